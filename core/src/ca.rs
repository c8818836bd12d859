//! Content addresses and the store paths that follow from them. Pure arithmetic on hashes
//! and names; what is hashed (files, NARs) is computed elsewhere.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::{Hash, HashAlgo, HashError};
use crate::path::{OutputName, PathError, STORE_DIR, StorePath};

/// How the content of a store object becomes one stream of bytes to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A text with references: derivations and `builtins.toFile`.
    Text,
    /// The bytes of one file.
    Flat,
    /// The NAR of any tree.
    Nar,
}

impl Method {
    /// What stands before the algorithm in a derivation's output: ``, `r:` or `text:`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Method::Text => "text:",
            Method::Flat => "",
            Method::Nar => "r:",
        }
    }

    /// Reads `r:sha256`, `sha256` or `text:sha256`, as in a derivation's output.
    pub fn parse_with_algo(text: &str) -> Result<(Method, HashAlgo), CaError> {
        let (method, algo) = match (text.strip_prefix("r:"), text.strip_prefix("text:")) {
            (Some(algo), _) => (Method::Nar, algo),
            (_, Some(algo)) => (Method::Text, algo),
            _ => (Method::Flat, text),
        };
        Ok((method, HashAlgo::parse(algo)?))
    }
}

/// Why there is no such content address or path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The text is of no known form.
    #[error(
        "'{text}' is not a content address: expect 'text:sha256:<hash>' or 'fixed:[r:]<algo>:<hash>'"
    )]
    Form {
        /// The whole text.
        text: String,
    },
    /// The hash in it is wrong.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The name cannot stand in a store path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Only text and recursive SHA-256 objects may have references.
    #[error(
        "fixed output derivation '{name}' is not allowed to refer to other store paths: only the method 'text', or 'nar' with sha256, admits references"
    )]
    References {
        /// The object's name.
        name: String,
    },
    /// A text cannot contain its own path.
    #[error("text '{name}' may not refer to itself")]
    TextRefersToItself {
        /// The object's name.
        name: String,
    },
    /// Texts are addressed by SHA-256 alone.
    #[error("text '{name}' is hashed with {algo}, but texts are addressed by sha256 alone")]
    TextAlgo {
        /// The object's name.
        name: String,
        /// The algorithm asked for.
        algo: HashAlgo,
    },
}

/// A method and a hash: what the content of an object must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentAddress {
    /// What was hashed.
    pub method: Method,
    /// Its hash, taken modulo self-references.
    pub hash: Hash,
}

impl ContentAddress {
    /// Reads Nix's text form, `text:sha256:...` or `fixed:[r:]algo:...`.
    pub fn parse(text: &str) -> Result<ContentAddress, CaError> {
        let form = || CaError::Form { text: text.to_owned() };
        let (kind, rest) = text.split_once(':').ok_or_else(form)?;
        let (method, rest) = match kind {
            "text" => (Method::Text, rest),
            "fixed" => {
                rest.strip_prefix("r:").map_or((Method::Flat, rest), |rest| (Method::Nar, rest))
            }
            _ => return Err(form()),
        };
        let (algo, digits) = rest.split_once(':').ok_or_else(form)?;
        Ok(ContentAddress { method, hash: Hash::parse_digits(digits, HashAlgo::parse(algo)?)? })
    }

    /// `r:sha256`, `sha256` or `text:sha256`: method and algorithm as in a derivation.
    pub fn method_algo(&self) -> String {
        format!("{}{}", self.method.prefix(), self.hash.algo())
    }
}

/// Nix's text form.
impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.method {
            Method::Text => "text:",
            Method::Flat => "fixed:",
            Method::Nar => "fixed:r:",
        };
        write!(f, "{prefix}{}", self.hash)
    }
}

impl Serialize for ContentAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentAddress {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ContentAddress, D::Error> {
        let text = String::deserialize(deserializer)?;
        ContentAddress::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The references of an object whose own path may not be known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Other objects.
    pub others: BTreeSet<StorePath>,
    /// Whether it refers to itself.
    pub this: bool,
}

impl Refs {
    /// No reference at all.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.this
    }
}

/// The root of all naming: the path of a kind (`source`, `text:...`, `output:out`), a hash
/// and a name.
pub fn make_store_path(kind: &str, hash: &Hash, name: &str) -> Result<StorePath, PathError> {
    let text = format!("{kind}:{}:{}:{STORE_DIR}:{name}", hash.algo(), hash.base16());
    StorePath::new(&Hash::of(HashAlgo::Sha256, text.as_bytes()).fold(), name)
}

fn kind_with_refs<'a>(
    kind: &str,
    others: impl IntoIterator<Item = &'a StorePath>,
    this: bool,
) -> String {
    let others = others.into_iter();
    // A path with a name of usual length.
    let mut text = String::with_capacity(kind.len() + 8 + others.size_hint().0 * 80);
    text.push_str(kind);
    for path in others {
        text.push(':');
        text.push_str(path.as_str());
    }
    if this {
        text.push_str(":self");
    }
    text
}

/// The path of a text with its references.
pub fn text_path(
    name: &str,
    bytes: &[u8],
    refs: &BTreeSet<StorePath>,
) -> Result<StorePath, PathError> {
    text_path_of(name, &Hash::of(HashAlgo::Sha256, bytes), refs)
}

/// The same for a text whose SHA-256 is known.
pub fn text_path_of(
    name: &str,
    hash: &Hash,
    refs: &BTreeSet<StorePath>,
) -> Result<StorePath, PathError> {
    make_store_path(&kind_with_refs("text", refs, false), hash, name)
}

/// The path of an object whose content address is known.
pub fn fixed_path(name: &str, ca: &ContentAddress, refs: &Refs) -> Result<StorePath, CaError> {
    match (ca.method, ca.hash.algo()) {
        (Method::Text, _) if refs.this => {
            Err(CaError::TextRefersToItself { name: name.to_owned() })
        }
        (Method::Text, HashAlgo::Sha256) => {
            let kind = kind_with_refs("text", &refs.others, false);
            Ok(make_store_path(&kind, &ca.hash, name)?)
        }
        (Method::Text, algo) => Err(CaError::TextAlgo { name: name.to_owned(), algo }),
        (Method::Nar, HashAlgo::Sha256) => {
            let kind = kind_with_refs("source", &refs.others, refs.this);
            Ok(make_store_path(&kind, &ca.hash, name)?)
        }
        _ if !refs.is_empty() => Err(CaError::References { name: name.to_owned() }),
        _ => {
            let inner = format!("fixed:out:{}:{}:", ca.method_algo(), ca.hash.base16());
            let hash = Hash::of(HashAlgo::Sha256, inner.as_bytes());
            Ok(make_store_path("output:out", &hash, name)?)
        }
    }
}

/// The path of an input-addressed output, from the derivation's hash modulo.
pub fn output_path(
    output: &OutputName,
    modulo: &Hash,
    drv_name: &str,
) -> Result<StorePath, PathError> {
    make_store_path(&format!("output:{output}"), modulo, &output.path_name(drv_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values of `nix-instantiate --eval` for `builtins.toFile "a.txt" "hello\n"` and of
    /// `nix-store --print-fixed-path` for the hashes of "hello\n".
    #[test]
    fn known_paths() {
        let none = BTreeSet::new();
        assert_eq!(text_path("a.txt", b"hello\n", &none).unwrap().as_str(), TEXT);
        let first = BTreeSet::from([StorePath::parse(TEXT).unwrap()]);
        assert_eq!(text_path("b.txt", TEXT.as_bytes(), &first).unwrap().as_str(), TEXT_WITH_REF);
        for (method, algo, path) in FIXED {
            let ca = ContentAddress { method, hash: Hash::of(algo, b"hello\n") };
            assert_eq!(fixed_path("a.txt", &ca, &Refs::default()).unwrap().as_str(), path);
        }
    }

    #[test]
    fn where_references_are_allowed() {
        let refs = Refs { others: BTreeSet::new(), this: true };
        let path = |method, algo| {
            fixed_path("x", &ContentAddress { method, hash: Hash::zero(algo) }, &refs)
        };
        assert!(path(Method::Nar, HashAlgo::Sha256).is_ok());
        assert!(matches!(path(Method::Nar, HashAlgo::Sha1), Err(CaError::References { .. })));
        assert!(matches!(path(Method::Flat, HashAlgo::Sha256), Err(CaError::References { .. })));
        assert!(matches!(
            path(Method::Text, HashAlgo::Sha256),
            Err(CaError::TextRefersToItself { .. })
        ));
    }

    proptest! {
        #[test]
        fn round_trip(data: Vec<u8>, which in 0..5usize, method in 0..3usize) {
            let method = [Method::Text, Method::Flat, Method::Nar][method];
            let ca = ContentAddress { method, hash: Hash::of(HashAlgo::ALL[which], &data) };
            prop_assert_eq!(ContentAddress::parse(&ca.to_string()), Ok(ca));
            prop_assert_eq!(
                Method::parse_with_algo(&ca.method_algo()),
                Ok((method, HashAlgo::ALL[which]))
            );
        }

        #[test]
        fn parse_never_panics(text in "(text|fixed|):(r:)?(sha256)?:?\\PC{0,60}") {
            let _ = ContentAddress::parse(&text);
        }
    }

    const TEXT: &str = "/nix/store/8hb1zapwkfr1j7zmxj7s7wj2pgci7zjm-a.txt";
    const TEXT_WITH_REF: &str = "/nix/store/r25ak71wkppfmdiibarvvvnc9cyjjkhh-b.txt";
    const FIXED: [(Method, HashAlgo, &str); 4] = [
        (Method::Flat, HashAlgo::Sha256, "/nix/store/fdwm55r4skpypx1gwzb7x69ckav1rv09-a.txt"),
        (Method::Nar, HashAlgo::Sha256, "/nix/store/kgcxv5w2qgaiplbdrb8hlb7bmgfas0xs-a.txt"),
        (Method::Flat, HashAlgo::Sha1, "/nix/store/ai1nh82p4c5ylq44c5yqamdsl6s74p63-a.txt"),
        (Method::Nar, HashAlgo::Sha512, "/nix/store/06fgyzfi0c753p70fvz0cdvbiajdhmb5-a.txt"),
    ];
}
