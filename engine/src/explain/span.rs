//! How every task stood after one request and how it stands now: what an explanation compares. Read
//! by `history`; nothing is concluded here.

use std::collections::{BTreeMap, BTreeSet};

use floe_core::path::StorePath;

use crate::differences::Names;
use crate::instructions::Instructions;
use crate::journal::Logged;
use crate::reads::{Edit, Place};
use crate::record::Record;

/// One task then and now.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its record, with what the ledger adds.
    pub now: Record,
    /// In which request the record was written; what is newer, the ledger adds.
    pub written: u64,
    /// If anything happened to it since: its record as it stood then; none if there was none.
    pub then: Option<Record>,
    /// Its instructions as they stood then, if they were replaced since.
    pub instructions_then: Option<Instructions>,
}

/// All tasks of a rebuilder, then and now.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// The request after which things stood as they did then; 0 is the beginning.
    pub since: u64,
    /// The newest request.
    pub until: u64,
    /// Whose tasks.
    pub rebuilder: String,
    /// The requests that are kept, oldest first.
    pub journal: Vec<(u64, Logged)>,
    /// The tasks.
    pub tasks: BTreeMap<String, Seen>,
    /// Tasks whose records cannot be read, and why.
    pub damaged: BTreeMap<String, String>,
}

impl Seen {
    /// Whether anything was found out about it since, be it that it was cut off.
    pub fn happened(&self, since: u64) -> bool {
        self.now.request > since
    }
}

impl Span {
    /// The requests since, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &(u64, Logged)> {
        self.journal.iter().filter(|(number, _)| *number > self.since)
    }

    /// What became of each edited place since, in order: several edits of one are one, and one that
    /// was undone is none.
    pub fn edits(&self) -> Vec<Edit> {
        let mut merged: BTreeMap<&Place, Edit> = BTreeMap::new();
        for edit in self.requests().flat_map(|(_, logged)| &logged.edits) {
            let known = merged.entry(&edit.place).or_insert_with(|| edit.clone());
            known.new = edit.new;
        }
        merged.into_values().filter(|edit| edit.old != edit.new).collect()
    }

    /// Where a source was read from.
    pub fn origin(&self, source: &StorePath) -> Option<&str> {
        let mut known = self.journal.iter().rev().flat_map(|(_, logged)| &logged.sources);
        known.find(|(path, _)| path == source).map(|(_, origin)| origin.as_str())
    }

    /// In what the last request for a task was asked otherwise than the last one before the span.
    pub fn asked(&self, task: &str) -> Vec<Asked> {
        let of_task = |(_, logged): &&(u64, Logged)| logged.is_for(task, &self.rebuilder);
        let last = |until: u64| {
            self.journal.iter().rev().filter(|(number, _)| *number <= until).find(of_task)
        };
        let (Some((_, old)), Some((_, new))) = (last(self.since), last(self.until)) else {
            return Vec::new();
        };
        let names: BTreeSet<&String> =
            old.asked.iter().chain(&new.asked).map(|(name, _)| name).collect();
        let said = |logged: &Logged, name: &String| {
            let found = logged.asked.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let differs = names.into_iter().map(|name| Asked {
            name: name.clone(),
            old: said(old, name),
            new: said(new, name),
        });
        differs.filter(|asked| asked.old != asked.new).collect()
    }

    /// What was called one thing then and is called another now.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        for seen in self.tasks.values() {
            let Some(then) = &seen.then else { continue };
            for (output, old) in &then.outputs {
                if let Some(new) = seen.now.outputs.get(output).filter(|new| *new != old) {
                    names.pair(old, new);
                }
            }
            for (old, new) in moved(&then.sources, &seen.now.sources) {
                names.pair(old, new);
            }
        }
        names
    }
}

/// An argument that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// What it was.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
}

/// Sources that stand in the place of others: those of one name, one by one.
pub(super) fn moved<'a>(
    then: &'a [StorePath],
    now: &'a [StorePath],
) -> impl Iterator<Item = (&'a StorePath, &'a StorePath)> {
    let gone = |path: &&StorePath| !now.contains(path);
    let mut old: Vec<&StorePath> = then.iter().filter(gone).collect();
    now.iter().filter(|path| !then.contains(path)).filter_map(move |new| {
        let at = old.iter().position(|old| old.name() == new.name())?;
        Some((old.remove(at), new))
    })
}
