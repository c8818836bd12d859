//! Names in the store: store paths and output names, valid from the moment they exist.
//! Only the logical store directory is known here; where bytes lie on disk is not.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base32;

/// The logical store directory; every store path starts with it.
pub const STORE_DIR: &str = "/nix/store";

/// Digits of the digest in a store path.
pub const DIGEST_LEN: usize = 32;

/// The longest name (what follows the digest and its dash) that Nix accepts.
pub const MAX_NAME_LEN: usize = 211;

/// Where the base name starts in the text of a path.
const BASE: usize = STORE_DIR.len() + 1;
/// Where the name starts in the text of a path.
const NAME: usize = BASE + DIGEST_LEN + 1;

/// Why a text names nothing in the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// An empty name.
    #[error("name must not be empty")]
    Empty,
    /// A name beyond [`MAX_NAME_LEN`].
    #[error("name '{name}' must be no longer than {MAX_NAME_LEN} characters")]
    Long {
        /// The name.
        name: String,
    },
    /// `.`, `..`, or one of them followed by a dash.
    #[error("name '{name}' is not valid: first dash-separated component must not be '.' or '..'")]
    Dots {
        /// The name.
        name: String,
    },
    /// A character outside letters, digits and `+-._?=`.
    #[error(
        "name '{name}' contains illegal character '{found}': only letters, digits and '+-._?=' may be used"
    )]
    Character {
        /// The name.
        name: String,
        /// The first wrong character.
        found: char,
    },
    /// The text is not directly below the store directory.
    #[error("path '{text}' is not in the Nix store: it must be {STORE_DIR}/<digest>-<name>")]
    Outside {
        /// The text.
        text: String,
    },
    /// No 32 digits and a dash at the start.
    #[error("'{text}' is not a valid store path: it must start with 32 base-32 digits and a dash")]
    Digest {
        /// The base name.
        text: String,
    },
}

/// Checks what follows the digest in a store path.
pub fn check_name(name: &str) -> Result<(), PathError> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '?' | '=');
    if name.is_empty() {
        return Err(PathError::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(PathError::Long { name: name.to_owned() });
    }
    if matches!(name.split('-').next(), Some("." | "..")) {
        return Err(PathError::Dots { name: name.to_owned() });
    }
    match name.chars().find(|&c| !allowed(c)) {
        Some(found) => Err(PathError::Character { name: name.to_owned(), found }),
        None => Ok(()),
    }
}

/// The logical name of a store object, `/nix/store/<digest>-<name>`. A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

impl StorePath {
    /// The path of a digest and a name.
    pub fn new(digest: &[u8; 20], name: &str) -> Result<StorePath, PathError> {
        check_name(name)?;
        let mut text = String::with_capacity(NAME + name.len());
        text.push_str(STORE_DIR);
        text.push('/');
        base32::encode_into(digest, &mut text);
        text.push('-');
        text.push_str(name);
        Ok(StorePath(text.into()))
    }

    /// Reads a full path, `/nix/store/<digest>-<name>` and nothing below it.
    pub fn parse(text: &str) -> Result<StorePath, PathError> {
        let outside = || PathError::Outside { text: text.to_owned() };
        let base = text.strip_prefix(STORE_DIR).and_then(|rest| rest.strip_prefix('/'));
        let base = base.ok_or_else(outside)?;
        if base.is_empty() || base.contains('/') {
            return Err(outside());
        }
        check_base(base)?;
        Ok(StorePath(text.into()))
    }

    /// Reads a base name, `<digest>-<name>`.
    pub fn from_base_name(base: &str) -> Result<StorePath, PathError> {
        check_base(base)?;
        Ok(StorePath(format!("{STORE_DIR}/{base}").into()))
    }

    /// Reads the store path at the start of `text`, and returns what follows it: empty, or
    /// starting with a slash.
    pub fn parse_prefix(text: &str) -> Result<(StorePath, &str), PathError> {
        let end =
            text.get(BASE..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| BASE + at);
        let (path, rest) = text.split_at(end);
        Ok((StorePath::parse(path)?, rest))
    }

    /// The full logical path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `<digest>-<name>`.
    pub fn base_name(&self) -> &str {
        &self.0[BASE..]
    }

    /// What follows the digest and its dash.
    pub fn name(&self) -> &str {
        &self.0[NAME..]
    }

    /// The 32 digits.
    pub fn digest_text(&self) -> &str {
        &self.0[BASE..NAME - 1]
    }

    /// The digest's 20 bytes.
    pub fn digest(&self) -> [u8; 20] {
        let bytes = base32::decode(self.digest_text()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.expect("32 digits, checked when the path was made, write 20 bytes")
    }

    /// True when the name ends in `.drv`.
    pub fn is_derivation(&self) -> bool {
        self.0.ends_with(".drv")
    }
}

fn check_base(base: &str) -> Result<(), PathError> {
    let bytes = base.as_bytes();
    let whole = bytes.len() > DIGEST_LEN
        && bytes[DIGEST_LEN] == b'-'
        && bytes[..DIGEST_LEN].iter().all(|&byte| base32::is_digit(byte));
    if !whole {
        return Err(PathError::Digest { text: base.to_owned() });
    }
    check_name(&base[DIGEST_LEN + 1..])
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for StorePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<StorePath, PathError> {
        StorePath::parse(text)
    }
}

/// Written as its base name.
impl Serialize for StorePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.base_name())
    }
}

impl<'de> Deserialize<'de> for StorePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<StorePath, D::Error> {
        let base = String::deserialize(deserializer)?;
        StorePath::from_base_name(&base).map_err(serde::de::Error::custom)
    }
}

/// The name of a derivation's output: `out`, `dev`, ... A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(Arc<str>);

impl OutputName {
    /// Checks and takes a name; it becomes part of store path names, so their rules hold.
    pub fn new(name: &str) -> Result<OutputName, PathError> {
        check_name(name)?;
        Ok(OutputName(name.into()))
    }

    /// The default output, `out`.
    pub fn out() -> OutputName {
        OutputName("out".into())
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the store path that this output of a derivation called `drv_name` has.
    pub fn path_name(&self, drv_name: &str) -> String {
        if &*self.0 == "out" { drv_name.to_owned() } else { format!("{drv_name}-{}", self.0) }
    }
}

impl Borrow<str> for OutputName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for OutputName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OutputName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<OutputName, D::Error> {
        let name = String::deserialize(deserializer)?;
        OutputName::new(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &str = "/nix/store/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7-hello-2.12";

    #[test]
    fn parts() {
        let path = StorePath::parse(HELLO).unwrap();
        assert_eq!(path.to_string(), HELLO);
        assert_eq!(path.name(), "hello-2.12");
        assert_eq!(path.digest_text(), "0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7");
        assert_eq!(StorePath::from_base_name(path.base_name()), Ok(path.clone()));
        assert_eq!(StorePath::new(&path.digest(), path.name()), Ok(path.clone()));
        let below = format!("{HELLO}/bin/hello");
        let (prefix, rest) = StorePath::parse_prefix(&below).unwrap();
        assert_eq!((prefix, rest), (path, "/bin/hello"));
    }

    #[test]
    fn bad_paths() {
        let digest = "0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7";
        for bad in [
            "",
            "/nix/store",
            "/nix/store/",
            "/nix/store/x",
            "/nix/storex/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7-hello",
            "/nix/store/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7",
            "/nix/store/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7-",
            "/nix/store/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7-a/b",
            "/nix/store/ec3vm4yrz5mxb3jpfqlqv3ircz9w4gl7-a",
            "/nix/store/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gé-aaa",
        ] {
            assert!(StorePath::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", ".", "..", ".-x", "..-x", "a b", "a/b", "ä", "a\0", &"x".repeat(212)] {
            assert!(check_name(bad).is_err(), "{bad}");
            assert!(StorePath::from_base_name(&format!("{digest}-{bad}")).is_err(), "{bad}");
        }
        for good in [".x", "...", "..a", ".a-b", "-", "a?b=c+d_e", &"x".repeat(211)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn round_trip_and_order(a: [u8; 20], b: [u8; 20], name in "[a-z0-9+_?=][a-zA-Z0-9+._?=-]{0,40}") {
            let (a, b) = (StorePath::new(&a, &name).unwrap(), StorePath::new(&b, &name).unwrap());
            prop_assert_eq!(&StorePath::parse(a.as_str()).unwrap(), &a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parse_never_panics(text in "(/nix/store/)?[0-9a-z]{30,34}-?\\PC{0,20}") {
            let _ = StorePath::parse(&text);
            let _ = StorePath::parse_prefix(&text);
            let _ = StorePath::from_base_name(&text);
        }
    }
}
