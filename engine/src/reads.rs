//! What evaluation read of the world since a request last looked, and what of it is not as the
//! store remembers it: the files that somebody edited. A table in the store says of each path what
//! was read there last, so a process that knows nothing of the one before can name them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use floe_core::hash::Digest;
use floe_core::path::STORE_DIR;
use floe_store::{Store, StoreError, versioned};
use serde::{Deserialize, Serialize};

use crate::ledger::Short;

/// What evaluation read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// A file's content.
    File(String),
    /// The names in a directory.
    Directory(String),
    /// An environment variable.
    Variable(String),
}

impl Place {
    /// The kind and the name in it.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Place::File(path) => ("file", path),
            Place::Directory(path) => ("directory", path),
            Place::Variable(name) => ("variable", name),
        }
    }

    fn row_key(&self) -> Vec<u8> {
        let (kind, name) = self.parts();
        format!("{PREFIX}{kind}\0{name}").into_bytes()
    }
}

/// A difference between what was read at a place before and what was read there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Where.
    pub place: Place,
    /// Of what was there before; none if nothing was, or if the place was never read.
    pub old: Option<Short>,
    /// Of what is there now; none if nothing is.
    pub new: Option<Short>,
}

/// What is noted of evaluation's reads.
#[derive(Debug, Default)]
pub struct Reads(Mutex<BTreeMap<Place, Option<Short>>>);

/// Before the keys of the table.
const PREFIX: &str = "read\0";

/// The table is begun again when it has more rows.
const MAX_ROWS: u64 = 200_000;

/// The version byte of its rows.
const VERSION: u8 = 1;

impl Reads {
    /// Notes a file's content, or that it cannot be read.
    pub(crate) fn file(&self, path: &Path, content: Option<&[u8]>) {
        self.note(path, Place::File, || content.map(Digest::of));
    }

    /// Notes a directory's names, in any order.
    pub(crate) fn directory(&self, path: &Path, names: Option<Vec<Vec<u8>>>) {
        self.note(path, Place::Directory, || {
            let mut names = names?;
            names.sort_unstable();
            Some(Digest::of(&names.join(&b'\0')))
        });
    }

    /// Notes an environment variable.
    pub(crate) fn variable(&self, name: &str, value: Option<&[u8]>) {
        let read = value.map(|value| Digest::of(value).into());
        self.lock().insert(Place::Variable(name.to_owned()), read);
    }

    fn note(
        &self,
        path: &Path,
        place: fn(String) -> Place,
        digest: impl FnOnce() -> Option<Digest>,
    ) {
        // What lies in the store never changes.
        if path.starts_with(STORE_DIR) {
            return;
        }
        let path = path.to_string_lossy().into_owned();
        let read = digest().map(Short::from);
        self.lock().insert(place(path), read);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Option<Short>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What differs from the store's table. What was read for the first time counts as an edit only
    /// if something else was read before: the first request of all reads everything for the first
    /// time.
    pub(crate) fn news(&self, store: &Store, known_rows: u64) -> Result<News, StoreError> {
        let reads = self.lock().clone();
        let mut news = News { known_rows, ..News::default() };
        if known_rows > MAX_ROWS {
            news.known_rows = 0;
            store.records(PREFIX.as_bytes(), |key, _| {
                news.dropped.push(key.to_vec());
                true
            })?;
        }
        let (mut first, mut any_known) = (Vec::new(), false);
        for (place, new) in reads {
            let key = place.row_key();
            let row = store.record(&key)?.filter(|_| news.dropped.is_empty());
            let known: Option<Option<Short>> =
                row.and_then(|row| versioned::decode(VERSION, &row).ok());
            any_known |= known.is_some();
            match known {
                Some(old) if old == new => continue,
                Some(old) => news.edits.push(Edit { place, old, new }),
                // A look for what is not there, such as a variable that is unset.
                None if new.is_none() => {}
                None => first.push(Edit { place, old: None, new }),
            }
            news.known_rows += u64::from(known.is_none());
            news.rows.push((key, versioned::encode(VERSION, &new)));
        }
        news.first_reads = first.len() as u64;
        if any_known {
            news.edits.append(&mut first);
        }
        // What was begun anew is written under the keys that would be dropped.
        let written: HashSet<&[u8]> = news.rows.iter().map(|(key, _)| &key[..]).collect();
        news.dropped.retain(|key| !written.contains(&key[..]));
        Ok(news)
    }

    /// Forgets what was noted: the store remembers it.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }
}

/// What a request found out about the world.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// What differs.
    pub(crate) edits: Vec<Edit>,
    /// How many places were read for the first time.
    pub(crate) first_reads: u64,
    /// Rows for the table.
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rows that are to go.
    pub(crate) dropped: Vec<Vec<u8>>,
    /// How many rows the table has then.
    pub(crate) known_rows: u64,
}

#[cfg(test)]
mod tests {
    use floe_store::{Batch, Open};

    use super::*;

    /// What a request that read this finds out, as it is then remembered.
    fn request(store: &Store, known: u64, note: impl Fn(&Reads)) -> (Vec<String>, u64) {
        let reads = Reads::default();
        note(&reads);
        let News { edits, rows, dropped, known_rows, .. } =
            reads.news(store, known).expect("reads");
        let batch = Batch { records: rows, dropped_records: dropped, ..Batch::default() };
        store.register(&batch).expect("writes");
        let told = |edit: &Edit| {
            let word = match (&edit.old, &edit.new) {
                (Some(_), Some(_)) => "edited",
                (None, _) => "new",
                (_, None) => "gone",
            };
            format!("{word} {}", edit.place.parts().1)
        };
        (edits.iter().map(told).collect(), known_rows)
    }

    #[test]
    fn edits_are_told_from_one_process_to_the_next() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Open::READ_WRITE).expect("opens");
        let file = |reads: &Reads, name: &str, text: Option<&[u8]>| {
            reads.file(Path::new(name), text);
        };
        let (edits, rows) = request(&store, 0, |reads| {
            file(reads, "/a.nix", Some(b"1"));
            file(reads, "/b.nix", Some(b"1"));
            file(reads, "/nix/store/x", Some(b"1"));
            reads.directory(Path::new("/d"), Some(vec![b"b".to_vec(), b"a".to_vec()]));
            reads.variable("UNSET", None);
        });
        assert_eq!((edits, rows), (vec![], 4), "everything is read for the first time");
        let (edits, rows) = request(&store, rows, |reads| {
            file(reads, "/a.nix", Some(b"2"));
            file(reads, "/b.nix", None);
            file(reads, "/c.nix", Some(b"1"));
            reads.directory(Path::new("/d"), Some(vec![b"a".to_vec(), b"b".to_vec()]));
            reads.variable("UNSET", Some(b"now it is"));
        });
        assert_eq!(edits, ["edited /a.nix", "gone /b.nix", "new UNSET", "new /c.nix"]);
        assert_eq!(rows, 5);
        let (edits, _) = request(&store, rows, |reads| file(reads, "/c.nix", Some(b"1")));
        assert!(edits.is_empty(), "{edits:?}");
    }

    #[test]
    fn a_table_that_grew_too_long_is_begun_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Open::READ_WRITE).expect("opens");
        let both = |reads: &Reads| {
            reads.file(Path::new("/a.nix"), Some(b"1"));
            reads.file(Path::new("/b.nix"), Some(b"1"));
        };
        request(&store, 0, both);
        let (edits, rows) = request(&store, MAX_ROWS + 1, |reads| {
            reads.file(Path::new("/a.nix"), Some(b"2"));
        });
        assert_eq!((edits, rows), (vec![], 1));
        let (edits, rows) = request(&store, rows, both);
        assert_eq!(edits, ["edited /a.nix", "new /b.nix"]);
        assert_eq!(rows, 2);
    }
}
