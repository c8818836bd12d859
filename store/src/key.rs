//! Keys of the database. A store path becomes its digest's 20 bytes, most significant first,
//! and its name: so keys sort exactly as the paths' texts do, and a prefix of the digest's text
//! is a range of keys. Nothing here reads or writes.

use std::fmt;

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_core::{base32, bytes};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::TraceKey;

/// Length of a store path's digest.
pub(crate) const DIGEST_LEN: usize = 20;

/// A store path as it stands in keys and rows.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PathKey(pub(crate) Vec<u8>);

impl PathKey {
    /// The key of a path.
    pub(crate) fn of(path: &StorePath) -> Self {
        let mut bytes = Vec::with_capacity(DIGEST_LEN + path.name().len());
        bytes.extend(path.digest().iter().rev());
        bytes.extend_from_slice(path.name().as_bytes());
        Self(bytes)
    }

    /// The path of a key, or what is wrong with it.
    pub(crate) fn path(&self) -> Result<StorePath, String> {
        let (digest, name) =
            self.0.split_first_chunk::<DIGEST_LEN>().ok_or("the key is too short for a path")?;
        let mut digest = *digest;
        digest.reverse();
        let name = std::str::from_utf8(name).map_err(|e| e.to_string())?;
        StorePath::new(&digest, name).map_err(|e| e.to_string())
    }
}

impl fmt::Debug for PathKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Ok(path) => f.write_str(path.base_name()),
            Err(_) => f.write_str(&hex(&self.0)),
        }
    }
}

/// A key in words, for error messages.
pub(crate) fn describe(family: crate::db::Family, key: &[u8]) -> String {
    use crate::db::Family;
    match family {
        Family::Objects | Family::Derivations => format!("{:?}", PathKey(key.to_vec())),
        Family::Meta | Family::Digests => String::from_utf8_lossy(key).into_owned(),
        Family::Referrers
        | Family::Trace
        | Family::TraceByObject
        | Family::Divergent
        | Family::Records
        | Family::Memory => hex(key),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Serialize for PathKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for PathKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = bytes::deserialize(deserializer)?;
        if bytes.len() <= DIGEST_LEN {
            return Err(D::Error::custom("a store path is too short"));
        }
        Ok(PathKey(bytes))
    }
}

/// `a ‖ 0 ‖ b`: names hold no zero byte, so the entries of `a` are exactly those under `a ‖ 0`.
pub(crate) fn pair(a: &PathKey, b: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(a.0.len() + 1 + b.len());
    key.extend_from_slice(&a.0);
    key.push(0);
    key.extend_from_slice(b);
    key
}

/// `resolved ‖ profile ‖ output`.
pub(crate) fn trace(key: &TraceKey, output: &OutputName) -> Vec<u8> {
    let mut bytes = trace_prefix(key);
    bytes.extend_from_slice(output.as_str().as_bytes());
    bytes
}

/// `resolved ‖ profile`.
pub(crate) fn trace_prefix(key: &TraceKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend_from_slice(&key.resolved.0);
    bytes.extend_from_slice(&key.profile.0);
    bytes
}

/// Takes a trace key apart again.
pub(crate) fn split_trace(bytes: &[u8]) -> Result<(TraceKey, OutputName), String> {
    let (resolved, rest) = bytes.split_first_chunk::<32>().ok_or("the key is too short")?;
    let (profile, output) = rest.split_first_chunk::<32>().ok_or("the key is too short")?;
    let output = std::str::from_utf8(output).map_err(|e| e.to_string())?;
    let output = OutputName::new(output).map_err(|e| e.to_string())?;
    Ok((TraceKey { resolved: Digest(*resolved), profile: Digest(*profile) }, output))
}

/// The range of keys whose path text begins with `text` (the digest's text, or a part of it, or
/// digest, dash and a part of the name): `start..end`, or `None` when no path can begin so.
pub(crate) fn text_range(text: &str) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    const CHARS: usize = 32;
    if text.len() > CHARS {
        let (digest, rest) = text.split_at_checked(CHARS)?;
        let mut start = base32::decode(digest).ok()?;
        start.reverse();
        start.extend_from_slice(rest.strip_prefix('-')?.as_bytes());
        let end = successor(&start);
        return Some((start, end));
    }
    let bound = |fill: &str| {
        let padded = format!("{text}{}", fill.repeat(CHARS - text.len()));
        let mut bytes = base32::decode(&padded).ok()?;
        bytes.reverse();
        Some(bytes)
    };
    Some((bound("0")?, successor(&bound("z")?)))
}

/// The first key after all that begin with `prefix`.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last != 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = StorePath> {
        (any::<[u8; 20]>(), "[a-z0-9][a-z0-9.+_-]{0,10}")
            .prop_map(|(digest, name)| StorePath::new(&digest, &name).expect("is a name"))
    }

    proptest! {
        #[test]
        fn keys_sort_as_texts_do(a in path(), b in path()) {
            let (x, y) = (PathKey::of(&a), PathKey::of(&b));
            prop_assert_eq!(x.path().expect("decodes"), a.clone());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn ranges_hold_exactly_what_begins_so(a in path(), b in path(), len in 0..45_usize) {
            let text = &a.base_name()[..len.min(a.base_name().len())];
            let (start, end) = text_range(text).expect("some path begins so");
            for path in [&a, &b] {
                let key = PathKey::of(path).0;
                let inside = key >= start && end.as_ref().is_none_or(|end| key < *end);
                prop_assert_eq!(inside, path.base_name().starts_with(text), "{} {}", path, text);
            }
        }

        #[test]
        fn trace_keys_come_apart(resolved: [u8; 32], profile: [u8; 32], name in "[a-z]{1,8}") {
            let key = TraceKey { resolved: Digest(resolved), profile: Digest(profile) };
            let output = OutputName::new(&name).expect("is a name");
            prop_assert_eq!(split_trace(&trace(&key, &output)), Ok((key, output)));
        }
    }
}
