//! Rows of the database: one struct for each family, postcard behind a version byte. A row that
//! cannot be decoded is an error that names key and family. No database access here.

use floe_core::ca::ContentAddress;
use floe_core::hash::{Digest, Hash, HashAlgo};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::db::Family;
use crate::error::{Result, StoreError};
use crate::key::{self, PathKey};
use crate::versioned;
use crate::{NewDerivation, NewObject, ObjectInfo, Origin, Realisation};

/// What a family holds.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// The family it lives in.
    const FAMILY: Family;
    /// The version byte in front of it.
    const VERSION: u8 = 1;
}

/// A row as it is stored.
pub(crate) fn encode<R: Row>(row: &R) -> Vec<u8> {
    versioned::encode(R::VERSION, row)
}

/// The inverse of [`encode`]; trailing bytes are an error.
pub(crate) fn decode<R: Row>(key: &[u8], bytes: &[u8]) -> Result<R> {
    versioned::decode(R::VERSION, bytes).map_err(|error| broken(R::FAMILY, key, error.to_string()))
}

/// The error for a row that makes no sense.
pub(crate) fn broken(family: Family, key: &[u8], reason: String) -> StoreError {
    StoreError::Row { family: family.name(), key: key::describe(family, key), reason }
}

/// A registered object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRow {
    pub(crate) nar_hash: [u8; 32],
    pub(crate) nar_size: u64,
    pub(crate) tree: [u8; 32],
    pub(crate) refs: Vec<PathKey>,
    pub(crate) deriver: Option<PathKey>,
    pub(crate) ca: Option<String>,
    pub(crate) registered_at_ms: u64,
}

impl Row for ObjectRow {
    const FAMILY: Family = Family::Objects;
}

impl ObjectRow {
    /// The row of a new object.
    pub(crate) fn of(object: &NewObject, now_ms: u64) -> Self {
        let nar_hash = <[u8; 32]>::try_from(object.nar_hash.bytes());
        Self {
            nar_hash: nar_hash.expect("an object's NAR hash is a SHA-256"),
            nar_size: object.nar_size,
            tree: object.tree.0,
            refs: object.refs.iter().map(PathKey::of).collect(),
            deriver: object.deriver.as_ref().map(PathKey::of),
            ca: object.ca.as_ref().map(ToString::to_string),
            registered_at_ms: now_ms,
        }
    }

    /// The row as callers see it.
    pub(crate) fn info(&self, key: &[u8]) -> Result<ObjectInfo> {
        let fail = |reason| broken(Family::Objects, key, reason);
        let refs: Result<Vec<_>, String> = self.refs.iter().map(PathKey::path).collect();
        let ca = self.ca.as_deref().map(ContentAddress::parse).transpose();
        Ok(ObjectInfo {
            nar_hash: sha256(self.nar_hash),
            nar_size: self.nar_size,
            tree: Digest(self.tree),
            refs: refs.map_err(fail)?,
            deriver: self.deriver.as_ref().map(PathKey::path).transpose().map_err(fail)?,
            ca: ca.map_err(|e| fail(e.to_string()))?,
            registered_at_ms: self.registered_at_ms,
        })
    }
}

/// A SHA-256 from its bytes.
pub(crate) fn sha256(bytes: [u8; 32]) -> Hash {
    Hash::from_bytes(HashAlgo::Sha256, &bytes).expect("a SHA-256 has 32 bytes")
}

/// A derivation's text with what must live as long as it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DerivationRow {
    pub(crate) refs: Vec<PathKey>,
    pub(crate) text: Vec<u8>,
}

impl Row for DerivationRow {
    const FAMILY: Family = Family::Derivations;
}

impl DerivationRow {
    /// The row of a new derivation.
    pub(crate) fn of(drv: &NewDerivation) -> Self {
        Self { refs: drv.refs.iter().map(PathKey::of).collect(), text: drv.text.clone() }
    }
}

/// All realisations of one trace key and output, one for each run that gave something new; the
/// first is preferred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceRow {
    pub(crate) realisations: Vec<RealisationRow>,
}

impl Row for TraceRow {
    const FAMILY: Family = Family::Trace;
}

impl TraceRow {
    /// The realisation that belongs to the run of this moment. Outputs that were recorded one by
    /// one have the oldest for every other run.
    pub(crate) fn of_run(&self, at_ms: u64) -> Option<&RealisationRow> {
        let exact = self.realisations.iter().find(|r| r.at_ms == at_ms);
        exact.or_else(|| self.realisations.iter().min_by_key(|r| r.at_ms))
    }

    /// Whether there is more than one object.
    pub(crate) fn is_divergent(&self) -> bool {
        self.realisations.iter().any(|r| r.path != self.realisations[0].path)
    }

    /// Whether some run gave this object.
    pub(crate) fn names(&self, object: &PathKey) -> bool {
        self.realisations.iter().any(|r| r.path == *object)
    }
}

/// One realisation. Those of one run have one moment, and no two runs of a key have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RealisationRow {
    pub(crate) path: PathKey,
    pub(crate) origin: OriginRow,
    pub(crate) at_ms: u64,
    pub(crate) wall_ms: u64,
    pub(crate) cpu_ms: u64,
}

/// [`Origin`] on disk; the order of variants is part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OriginRow {
    Built,
    Substituted,
    Retargeted,
}

impl RealisationRow {
    /// The row of a new realisation.
    pub(crate) fn of(r: &Realisation) -> Self {
        let origin = match r.origin {
            Origin::Built => OriginRow::Built,
            Origin::Substituted => OriginRow::Substituted,
            Origin::Retargeted => OriginRow::Retargeted,
        };
        let path = PathKey::of(&r.path);
        Self { path, origin, at_ms: r.at_ms, wall_ms: r.wall_ms, cpu_ms: r.cpu_ms }
    }

    /// The row as callers see it.
    pub(crate) fn realisation(&self, key: &[u8]) -> Result<Realisation> {
        Ok(Realisation {
            path: self.path.path().map_err(|reason| broken(Family::Trace, key, reason))?,
            origin: match self.origin {
                OriginRow::Built => Origin::Built,
                OriginRow::Substituted => Origin::Substituted,
                OriginRow::Retargeted => Origin::Retargeted,
            },
            at_ms: self.at_ms,
            wall_ms: self.wall_ms,
            cpu_ms: self.cpu_ms,
        })
    }
}

/// What a host file's digests were when it had this stat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DigestRow {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
    pub(crate) payload: Vec<u8>,
}

impl Row for DigestRow {
    const FAMILY: Family = Family::Digests;
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn path_key() -> impl Strategy<Value = PathKey> {
        (any::<[u8; 20]>(), "[a-z0-9][a-z0-9.+_-]{0,30}")
            .prop_map(|(digest, name)| PathKey([digest.as_slice(), name.as_bytes()].concat()))
    }

    fn check<R: Row + PartialEq + std::fmt::Debug>(row: &R) {
        let bytes = encode(row);
        assert_eq!(&decode::<R>(b"k", &bytes).expect("decodes"), row);
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(decode::<R>(b"k", &longer).is_err(), "trailing byte");
        assert!(decode::<R>(b"k", &bytes[..bytes.len() - 1]).is_err(), "cut off");
    }

    proptest! {
        #[test]
        fn object(
            nar_hash: [u8; 32], nar_size: u64, tree: [u8; 32], registered_at_ms: u64,
            refs in vec(path_key(), 0..5), deriver in option::of(path_key()),
            ca in option::of("[ -~]{0,60}"),
        ) {
            check(&ObjectRow { nar_hash, nar_size, tree, refs, deriver, ca, registered_at_ms });
        }

        #[test]
        fn derivation(refs in vec(path_key(), 0..5), text: Vec<u8>) {
            check(&DerivationRow { refs, text });
        }

        #[test]
        fn trace(paths in vec((path_key(), any::<(u64, u64, u64)>(), 0..3u8), 0..4)) {
            let realisations = paths.into_iter().map(|(path, (at_ms, wall_ms, cpu_ms), origin)| {
                let origin = match origin {
                    0 => OriginRow::Built,
                    1 => OriginRow::Substituted,
                    _ => OriginRow::Retargeted,
                };
                RealisationRow { path, origin, at_ms, wall_ms, cpu_ms }
            });
            check(&TraceRow { realisations: realisations.collect() });
        }

        #[test]
        fn digest(ids: [u64; 3], times: [i64; 2], payload: Vec<u8>) {
            let ([dev, ino, size], [mtime_ns, ctime_ns]) = (ids, times);
            check(&DigestRow { dev, ino, size, mtime_ns, ctime_ns, payload });
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = decode::<ObjectRow>(b"k", &bytes);
            let _ = decode::<DerivationRow>(b"k", &bytes);
            let _ = decode::<TraceRow>(b"k", &bytes);
            let _ = decode::<DigestRow>(b"k", &bytes);
        }
    }

    #[test]
    fn errors_name_key_and_family() {
        let key = [[0u8; 20].as_slice(), b"hello-1.0"].concat();
        insta::assert_snapshot!(
            decode::<ObjectRow>(&key, &[9, 1]).unwrap_err(),
            @"the row 00000000000000000000000000000000-hello-1.0 of family `objects` in the store's database cannot be read: unknown row version 9; run `floe store verify`, and if it stays, delete the store root and build again"
        );
        insta::assert_snapshot!(
            decode::<TraceRow>(&[0xab; 4], &[1, 1]).unwrap_err(),
            @"the row abababab of family `trace` in the store's database cannot be read: Hit the end of buffer, expected more data; run `floe store verify`, and if it stays, delete the store root and build again"
        );
    }
}
