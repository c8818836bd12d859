//! The journal of a store's requests: each that found anything new has a number, and is kept with
//! what it was asked, what had been edited and what it replaced among the records, so that one can
//! look back to how things stood before it. Old ones are dropped. Nothing is compared here.

use std::collections::BTreeMap;

use floe_core::path::StorePath;
use floe_store::{Store, StoreError, versioned};
use serde::{Deserialize, Serialize};

use crate::instructions::Instructions;
use crate::reads::Edit;
use crate::record::{Decision, Record};

/// How many requests are kept.
pub const MAX_REQUESTS: u64 = 1_000;

/// How many bytes of what they replaced are kept; the newest request is kept whatever its size.
pub const MAX_BYTES: u64 = 64 << 20;

/// How many of a request's targets and edits are kept.
const MAX_NAMED: usize = 200;

/// One request that found something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// When it ended, in seconds since 1970.
    pub at: u64,
    /// The rebuilder's name.
    pub rebuilder: String,
    /// The attribute paths asked for, the first ones; an empty one is the whole expression.
    pub targets: Vec<String>,
    /// How many there were.
    pub target_count: u64,
    /// What else was asked: names and values of arguments, the expression, its file.
    pub asked: Vec<(String, String)>,
    /// What evaluation found edited, the first ones.
    pub edits: Vec<Edit>,
    /// How many edits there were.
    pub edit_count: u64,
    /// How many files and the like were read that no request had read before.
    pub first_reads: u64,
    /// Where sources come from that are new to some task.
    pub sources: Vec<(StorePath, String)>,
    /// How many derivations were decided how.
    pub decisions: BTreeMap<Decision, u64>,
    /// How many bytes it replaced among the records.
    pub replaced_bytes: u64,
}

impl Logged {
    /// Cuts its lists to what is kept.
    pub(crate) fn cut(mut self) -> Logged {
        self.target_count = self.targets.len() as u64;
        self.targets.truncate(MAX_NAMED);
        self.edit_count = self.edits.len() as u64;
        self.edits.truncate(MAX_NAMED);
        self
    }

    /// Whether a rebuilder was asked for what a task belongs to.
    pub fn is_for(&self, task: &str, rebuilder: &str) -> bool {
        let target = task.split('/').next().unwrap_or_default();
        let is_it = |asked: &String| asked == target || asked.is_empty();
        self.rebuilder == rebuilder && self.targets.iter().any(is_it)
    }
}

/// What stood in the records before a request replaced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced {
    /// The record.
    pub(crate) record: Record,
    /// The instructions, where they were replaced too.
    pub(crate) instructions: Option<Instructions>,
}

/// Which requests there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the newest; 0 if there is none.
    pub newest: u64,
    /// The number of the oldest that is kept.
    pub oldest: u64,
    /// How many bytes they replaced among the records.
    pub(crate) replaced_bytes: u64,
    /// How many rows the table of reads has.
    pub(crate) read_rows: u64,
}

impl Head {
    /// Whether it is known how things stood after this request; 0 stands for the beginning.
    pub fn knows(&self, request: u64) -> bool {
        request <= self.newest && request + 1 >= self.oldest
    }
}

/// The version byte of the journal's rows.
const VERSION: u8 = 1;

const HEAD: &[u8] = b"journal";

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is of this version and still no row.
    #[error(
        "what is kept of request {number} is damaged ({reason}); look back to a newer one (`floe explain --list`)"
    )]
    Damaged {
        /// The request.
        number: u64,
        /// In which way.
        reason: String,
    },
}

/// The journal of a store.
pub(crate) struct Journal<'a>(pub(crate) &'a Store);

impl Journal<'_> {
    /// Which requests there are. A journal of another version is as good as none.
    pub(crate) fn head(&self) -> Result<Head, StoreError> {
        let row = self.0.record(HEAD)?;
        Ok(row.and_then(|row| versioned::decode(VERSION, &row).ok()).unwrap_or_default())
    }

    /// The requests after a number, oldest first.
    pub(crate) fn after(&self, number: u64) -> Result<Vec<(u64, Logged)>, JournalError> {
        let head = self.head()?;
        let mut found = Vec::new();
        for number in number.max(head.oldest.saturating_sub(1)) + 1..=head.newest {
            if let Some(row) = self.0.record(&log_key(number))? {
                found.push((number, decode(number, &row)?));
            }
        }
        Ok(found)
    }

    /// What a request replaced among one rebuilder's records, by task.
    pub(crate) fn replaced(
        &self,
        number: u64,
        rebuilder: &str,
    ) -> Result<Vec<(String, Replaced)>, JournalError> {
        let prefix = replaced_key(number, rebuilder, "");
        let mut found = Vec::new();
        let mut damaged = None;
        self.0.records(&prefix, |key, row| {
            let task = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            match decode(number, row) {
                Ok(replaced) => found.push((task, replaced)),
                Err(error) => damaged = Some(error),
            }
            damaged.is_none()
        })?;
        damaged.map_or(Ok(found), Err)
    }

    /// Enters a request: the rows to write and those to drop.
    pub(crate) fn enter(
        &self,
        head: Head,
        logged: Logged,
        replaced: Vec<(String, Replaced)>,
        rows: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let number = head.newest + 1;
        let mut bytes = 0;
        for (task, replaced) in replaced {
            let row = versioned::encode(VERSION, &replaced);
            bytes += row.len() as u64;
            rows.push((replaced_key(number, &logged.rebuilder, &task), row));
        }
        let logged = Logged { replaced_bytes: bytes, ..logged };
        rows.push((log_key(number), versioned::encode(VERSION, &logged)));
        let mut head = Head {
            newest: number,
            oldest: head.oldest.max(1),
            replaced_bytes: head.replaced_bytes + bytes,
            ..head
        };
        let dropped = self.drop_old(&mut head, MAX_REQUESTS, MAX_BYTES)?;
        rows.push((HEAD.to_vec(), versioned::encode(VERSION, &head)));
        Ok(dropped)
    }

    /// Forgets old requests until no more than so many, and so many bytes, are left.
    fn drop_old(
        &self,
        head: &mut Head,
        max_requests: u64,
        max_bytes: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut dropped = Vec::new();
        while head.oldest < head.newest
            && (head.newest - head.oldest >= max_requests || head.replaced_bytes > max_bytes)
        {
            let mut bytes = 0;
            self.0.records(&number_key("was", head.oldest), |key, row| {
                bytes += row.len() as u64;
                dropped.push(key.to_vec());
                true
            })?;
            dropped.push(log_key(head.oldest));
            head.replaced_bytes = head.replaced_bytes.saturating_sub(bytes);
            head.oldest += 1;
        }
        Ok(dropped)
    }
}

fn decode<T: serde::de::DeserializeOwned>(number: u64, row: &[u8]) -> Result<T, JournalError> {
    versioned::decode(VERSION, row)
        .map_err(|error| JournalError::Damaged { number, reason: error.to_string() })
}

fn number_key(kind: &str, number: u64) -> Vec<u8> {
    [kind.as_bytes(), b"\0", &number.to_be_bytes(), b"\0"].concat()
}

fn log_key(number: u64) -> Vec<u8> {
    number_key("log", number)
}

fn replaced_key(number: u64, rebuilder: &str, task: &str) -> Vec<u8> {
    [&number_key("was", number)[..], format!("{rebuilder}\0{task}").as_bytes()].concat()
}

#[cfg(test)]
impl Logged {
    /// A request at this time of which nothing is worth telling.
    pub(crate) fn plain(at: u64) -> Logged {
        Logged {
            at,
            rebuilder: "content-addressed".to_owned(),
            targets: Vec::new(),
            target_count: 0,
            asked: Vec::new(),
            edits: Vec::new(),
            edit_count: 0,
            first_reads: 0,
            sources: Vec::new(),
            decisions: BTreeMap::new(),
            replaced_bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use floe_core::hash::Digest;
    use floe_store::{Batch, Open};

    use super::*;

    fn record(request: u64) -> Record {
        Record {
            unresolved: Digest([1; 32]),
            recipe: Digest([2; 32]),
            resolved: None,
            outputs: BTreeMap::new(),
            inputs: Vec::new(),
            sources: Vec::new(),
            decision: Decision::Built,
            kind: None,
            reason: "why not".to_owned(),
            decided_by: None,
            wall_ms: 0,
            cpu_ms: 0,
            at: 0,
            request,
        }
    }

    /// Enters so many requests, each of which replaces one record.
    fn store(dir: &std::path::Path, count: u64) -> Store {
        let store = Store::open(dir, Open::READ_WRITE).expect("opens");
        for number in 1..=count {
            let journal = Journal(&store);
            let replaced = Replaced { record: record(number - 1), instructions: None };
            let mut records = Vec::new();
            let head = journal.head().expect("reads");
            let replaced = vec![("top".to_owned(), replaced)];
            let targets = vec!["top".to_owned(); MAX_NAMED + 5];
            let logged = Logged { targets, ..Logged::plain(0) };
            let dropped_records =
                journal.enter(head, logged.cut(), replaced, &mut records).expect("reads");
            let batch = Batch { records, dropped_records, ..Batch::default() };
            store.register(&batch).expect("writes");
        }
        store
    }

    #[test]
    fn old_requests_are_dropped_with_what_they_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = store(dir.path(), MAX_REQUESTS + 3);
        let journal = Journal(&store);
        let head = journal.head().expect("reads");
        assert_eq!((head.oldest, head.newest), (4, MAX_REQUESTS + 3));
        assert_eq!(
            [2, 3, 1_003, 1_004].map(|number| head.knows(number)),
            [false, true, true, false]
        );
        let kept = journal.after(0).expect("reads");
        assert_eq!((kept.len() as u64, kept[0].0), (MAX_REQUESTS, 4));
        assert_eq!(kept[0].1.targets.len(), MAX_NAMED);
        assert_eq!(kept[0].1.target_count, MAX_NAMED as u64 + 5);
        assert_eq!(journal.after(1_001).expect("reads").len(), 2);
        let replaced = |number| journal.replaced(number, "content-addressed").expect("reads");
        assert_eq!(replaced(3), []);
        assert_eq!(replaced(4)[0].1.record, record(3));
        let bytes: u64 = kept.iter().map(|(_, logged)| logged.replaced_bytes).sum();
        assert_eq!(head.replaced_bytes, bytes, "what was dropped no longer counts");
        assert_eq!(journal.replaced(4, "input-addressed").expect("reads"), []);
    }

    #[test]
    fn what_takes_too_much_room_is_dropped_though_it_is_young() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = store(dir.path(), 5);
        let journal = Journal(&store);
        let mut head = journal.head().expect("reads");
        let two = head.replaced_bytes * 2 / 5;
        let dropped = journal.drop_old(&mut head, MAX_REQUESTS, two).expect("reads");
        assert_eq!((head.oldest, head.replaced_bytes, dropped.len()), (4, two, 6));
        journal.drop_old(&mut head, MAX_REQUESTS, 0).expect("reads");
        assert_eq!(head.oldest, 5, "the newest stays");
    }

    #[test]
    fn a_damaged_row_is_told_by_its_request() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = store(dir.path(), 3);
        store.put_records([(&log_key(2)[..], &[VERSION, 1][..])]).expect("writes");
        let error = Journal(&store).after(0).expect_err("it is damaged").to_string();
        assert!(error.starts_with("what is kept of request 2 is damaged"), "{error}");
        assert!(Journal(&store).after(2).is_ok());
    }
}
