//! Ledgers: beside the records of a target's tasks one row that says of each, in a few bytes,
//! what the last request found. A change that is cut off is news for everything above it; with
//! the ledger it costs a row, and records are read and written for those only about which
//! something else is new. Nothing is decided here.

use std::fmt;

use floe_core::hash::Digest;
use floe_store::versioned;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::amendments::Amended;
use crate::record::{CutoffKind, DecidedBy, Decision, Record};

/// Half a digest: enough to tell two things apart that nobody made to look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Short([u8; 16]);

impl From<Digest> for Short {
    fn from(digest: Digest) -> Self {
        Short(*digest.0.first_chunk().expect("32 bytes hold 16"))
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Short {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands for a task id.
    pub fn of_task(task: &str) -> Short {
        Digest::of(task.as_bytes()).into()
    }
}

/// What a ledger says of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Of its unresolved key.
    pub unresolved: Short,
    /// Of all else that its record says about it; none where the record has to be read.
    pub facts: Option<Short>,
    /// That it was cut off since its record was written.
    pub cutoff: Option<Cutoff>,
}

/// A cutoff that left everything about a task as its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutoff {
    /// When, in seconds since 1970.
    pub at: u64,
    /// In which request.
    pub request: u64,
    /// Why nothing had to run.
    pub cause: Cause,
}

/// Why nothing had to run although something below changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its inputs came out as before; this is the first whose unresolved key changed.
    Input(u32),
    /// Its address was given up front.
    Given,
    /// Its outputs are those of an earlier build.
    Stored,
    /// Nothing needs it.
    Unneeded,
}

impl Cause {
    /// In words; `input` names one of the task's inputs.
    pub fn explain(self, input: impl Fn(usize) -> String) -> (String, Option<DecidedBy>) {
        let reason = match self {
            Cause::Input(nth) => {
                let task = input(nth as usize);
                let reason = format!("its input '{task}' came out byte for byte as before");
                return (reason, Some(DecidedBy { input: task, file: None }));
            }
            Cause::Given => "its outputs are addressed by content that was given up front",
            Cause::Stored => "its outputs are in the store from an earlier build",
            Cause::Unneeded => "nothing that was asked for needs it",
        };
        (reason.to_owned(), None)
    }
}

impl Entry {
    /// What the record says, seen with what happened since.
    pub fn complete(&self, record: &mut Record) {
        let since = |cutoff: &Cutoff| cutoff.request >= record.request;
        let Some(Cutoff { at, request, cause }) = self.cutoff.filter(since) else { return };
        let (reason, decided_by) = cause.explain(|nth| match record.inputs.get(nth) {
            Some((task, _)) => task.clone(),
            None => String::new(),
        });
        record.decision = Decision::Cutoff;
        record.kind = Some(CutoffKind::Byte);
        record.reason = reason;
        record.decided_by = decided_by;
        record.at = at;
        record.request = request;
    }
}

/// The version byte of a stored ledger.
const VERSION: u8 = 3;

/// The tasks of one target, in the order of the last request.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The request that wrote it.
    request: u64,
    entries: Vec<(Short, Entry)>,
    places: FxHashMap<Short, usize>,
}

impl Ledger {
    /// The inverse of [`Ledger::encode`]; a ledger of another version is as good as none, since
    /// all it costs is reading the records.
    pub fn decode(bytes: &[u8]) -> Ledger {
        let (request, entries) = versioned::decode(VERSION, bytes).unwrap_or_default();
        Ledger { request, entries, places: FxHashMap::default() }
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(VERSION, &(self.request, &self.entries))
    }

    /// What it says of a task, which is likely the `nth`.
    pub fn get(&mut self, nth: usize, task: Short) -> Option<Entry> {
        match self.entries.get(nth) {
            Some((found, entry)) if *found == task => Some(*entry),
            _ => {
                if self.places.is_empty() {
                    let tasks = self.entries.iter().map(|(task, _)| *task);
                    self.places = tasks.enumerate().map(|(at, task)| (task, at)).collect();
                }
                self.places.get(&task).map(|&at| self.entries[at].1)
            }
        }
    }

    /// All entries.
    pub fn entries(&self) -> &[(Short, Entry)] {
        &self.entries
    }

    /// Lets it say what younger requests found that did not write it.
    pub fn amend(&mut self, amended: &FxHashMap<Short, Amended>) {
        for (task, entry) in self.entries.iter_mut().filter(|_| !amended.is_empty()) {
            let amended = amended.get(task).filter(|amended| amended.request > self.request);
            amended.into_iter().for_each(|amended| amended.apply(entry));
        }
    }

    /// The ledger after a request that had these tasks; others stay as they are.
    pub fn with(&self, request: u64, mut entries: Vec<(Short, Entry)>) -> Ledger {
        let same = entries.len() >= self.entries.len()
            && self.entries.iter().zip(&entries).all(|((old, _), (new, _))| old == new);
        if !same {
            let tasks: rustc_hash::FxHashSet<Short> =
                entries.iter().map(|(task, _)| *task).collect();
            entries.extend(self.entries.iter().filter(|(task, _)| !tasks.contains(task)));
        }
        Ledger { request, entries, places: FxHashMap::default() }
    }
}
