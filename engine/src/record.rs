//! The decision record: what was decided for each derivation of a request, and why. Everything
//! that explains or predicts reads these; nothing computes such figures on the side.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_store::versioned::{self, VersionedError};
use serde::{Deserialize, Serialize};

/// What was decided for a derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// A builder or fetcher ran.
    Built,
    /// Its unresolved key changed and nothing ran.
    Cutoff,
    /// Its output was made out of an old one by replacing digests.
    Retargeted,
    /// Its output came from a binary cache.
    Substituted,
    /// Nothing about it changed.
    Reused,
    /// Its builder ran and failed.
    Failed,
    /// A dependency failed.
    Skipped,
    /// The request was cancelled before it was done.
    Cancelled,
}

impl Decision {
    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Built => "built",
            Decision::Cutoff => "cutoff",
            Decision::Retargeted => "retargeted",
            Decision::Substituted => "substituted",
            Decision::Reused => "reused",
            Decision::Failed => "failed",
            Decision::Skipped => "skipped",
            Decision::Cancelled => "cancelled",
        }
    }
}

/// By which comparison a change was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutoffKind {
    /// The same store object.
    Byte,
    /// The same up to input references and self-references.
    Normalised,
    /// The same in every observation that the build made.
    Observed,
}

/// What decided: the input and, where one is known, the file in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedBy {
    /// The deciding input's task id, or the store path of a source.
    pub input: String,
    /// The file in it that differed, relative to its root.
    pub file: Option<String>,
}

/// When something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// In which request: its number in the journal.
    pub request: u64,
    /// In seconds since 1970.
    pub at: u64,
}

impl When {
    /// Now, in this request.
    pub(crate) fn now(request: u64) -> When {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        When { request, at }
    }
}

/// What is kept about a task from one request to the next, so that the next one can say what
/// changed. Keyed by rebuilder and task id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Digest of the recipe and of all below it: the unresolved key, as this was written. The
    /// ledger tells of cutoffs since.
    pub unresolved: Digest,
    /// Digest of the recipe alone.
    pub recipe: Digest,
    /// Digest of the resolved derivation; absent when it could not be resolved.
    pub resolved: Option<Digest>,
    /// Outputs by name.
    pub outputs: BTreeMap<OutputName, StorePath>,
    /// What it was built from: (task id, the outputs' paths) in the recipe's order.
    pub inputs: Vec<(String, Vec<StorePath>)>,
    /// Sources it read.
    pub sources: Vec<StorePath>,
    /// The last decision.
    pub decision: Decision,
    /// For a cutoff: by which comparison.
    pub kind: Option<CutoffKind>,
    /// In words, why.
    pub reason: String,
    /// What decided.
    pub decided_by: Option<DecidedBy>,
    /// Wall time of the last builder run, in milliseconds.
    pub wall_ms: u64,
    /// Processor time of the last builder run, in milliseconds.
    pub cpu_ms: u64,
    /// When this was written, in seconds since 1970.
    pub at: u64,
    /// By which request: its number in the journal.
    pub request: u64,
}

impl Record {
    /// The version byte of a stored record: another layout, another byte.
    pub(crate) const VERSION: u8 = 2;

    /// As it is stored. A request may write one for each of ten
    /// thousand derivations, so it is not JSON.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(Self::VERSION, self)
    }

    /// The inverse of [`Record::encode`]; a record of another version is as good as none, since
    /// all it costs is an explanation.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        versioned::decode(Self::VERSION, bytes).ok()
    }

    /// The same for whoever wants to tell a record of another version, which is none, from a
    /// damaged one.
    ///
    /// # Errors
    /// When it is of this version and cannot be read, in words.
    pub fn read(bytes: &[u8]) -> Result<Option<Record>, String> {
        match versioned::decode(Self::VERSION, bytes) {
            Ok(record) => Ok(Some(record)),
            Err(VersionedError::Version(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_stored() {
        let path = StorePath::new(&[7; 20], "zlib-1.3.2").expect("a valid name");
        let mut record = Record {
            unresolved: Digest([1; 32]),
            recipe: Digest([2; 32]),
            resolved: None,
            outputs: [(OutputName::out(), path.clone())].into(),
            inputs: vec![("small.zlib/source".to_owned(), vec![path.clone(), path.clone()])],
            sources: vec![path],
            decision: Decision::Cutoff,
            kind: Some(CutoffKind::Byte),
            reason: "its input came out byte for byte as before".to_owned(),
            decided_by: Some(DecidedBy { input: "small.zlib".to_owned(), file: None }),
            wall_ms: 1,
            cpu_ms: u64::MAX,
            at: 0,
            request: 7,
        };
        assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
        record.resolved = Some(Digest([3; 32]));
        record.decided_by = None;
        assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
        let whole = record.encode();
        for len in 0..whole.len() {
            assert_eq!(Record::decode(&whole[..len]), None, "cut to {len} bytes");
        }
        assert_eq!(Record::decode(br#"{"unresolved":1}"#), None);
        assert_eq!(Record::read(&[Record::VERSION + 1, 0]), Ok(None), "of another version");
        assert_eq!(
            Record::read(&whole[..9]),
            Err("Hit the end of buffer, expected more data".to_owned())
        );
    }
}
