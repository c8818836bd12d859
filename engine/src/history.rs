//! What a store remembers of earlier requests: the records of tasks, the ledgers of targets and
//! a digest of each request. Read to say what changed, written when something did; what is
//! decided is `decide`'s affair.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use floe_store::{Batch, Store, StoreError};
use rustc_hash::FxHashMap;

use crate::decide::{Decided, Decisions, Past, Request, decide};
use crate::diff;
use crate::graph::Graph;
use crate::ledger::{Entry, Ledger, Short};
use crate::rebuilder::Strategy;
use crate::record::Record;
use crate::schedule::Outcome;
use crate::tasks::Entered;

/// The past of one rebuilder in a store.
pub(crate) struct History<'a> {
    store: &'a Store,
    strategy: Strategy,
}

/// What a request adds to the past.
#[derive(Default)]
pub(crate) struct News {
    /// Decisions in full.
    pub(crate) decided: Vec<Decided>,
    /// What is to be written, if anything is.
    pub(crate) batch: Option<Batch>,
}

impl<'a> History<'a> {
    pub(crate) fn new(store: &'a Store, strategy: Strategy) -> Self {
        History { store, strategy }
    }

    /// Decides about what differs from the past, or about everything if `full`.
    pub(crate) fn compare(
        &self,
        entered: &Entered,
        outcome: &Outcome,
        full: bool,
    ) -> Result<News, StoreError> {
        let Entered { graph, shape, recipes, .. } = entered;
        let finds = &outcome.finds;
        let tasks = together(&shape.tasks, &finds.tasks);
        let recipes = together(recipes, &finds.recipes);
        let deep = graph.deep_digests(&recipes);
        // What builders make of derivations follows from what the request began with.
        let first = deep[..graph.first_len()].iter();
        let digests: Vec<u8> = first.flat_map(|digest| digest.0).collect();
        let summary = Digest::of(&digests);
        let request_key = self.request_key(graph);
        let same = outcome.builders_run == 0
            && outcome.is_complete(graph)
            && self.store.record(&request_key)?.as_deref() == Some(&summary.0[..]);
        if same && !full {
            return Ok(News::default());
        }
        let found: Vec<Short> = finds.tasks.iter().map(|task| Short::of_task(task)).collect();
        let short_tasks = together(&shape.short_tasks, &found);
        let mut ledgers = Ledgers::of(self, &tasks)?;
        let entries = ledgers.entries(&short_tasks);
        let request = Request {
            graph,
            tasks: &tasks,
            short_tasks: &short_tasks,
            recipes: &recipes,
            deep: &deep,
            entries: &entries,
            outcome,
            full,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let Decisions { decided, entries } = decide(&request, self, now);
        if same {
            return Ok(News { decided, batch: None });
        }
        let to_record = decided.iter().filter(|decided| !decided.recorded);
        let mut records: Vec<(Vec<u8>, Vec<u8>)> = to_record
            .map(|decided| (self.record_key(&decided.task), decided.record.encode()))
            .collect();
        records.extend(ledgers.updated(self, &short_tasks, &entries));
        records.push((request_key, summary.0.to_vec()));
        Ok(News { decided, batch: Some(Batch { records, ..Batch::default() }) })
    }

    /// All records, by task id, with what the ledgers add to them.
    pub(crate) fn records(&self) -> Result<Vec<(String, Record)>, StoreError> {
        let mut entries: FxHashMap<Short, Entry> = FxHashMap::default();
        self.store.records(&self.ledger_key(""), |_, bytes| {
            entries.extend(Ledger::decode(bytes).entries().iter().copied());
            true
        })?;
        let prefix = self.record_key("");
        let mut records = Vec::new();
        self.store.records(&prefix, |key, bytes| {
            let task = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            if let Some(mut record) = Record::decode(bytes) {
                if let Some(entry) = entries.get(&Short::of_task(&task)) {
                    entry.complete(&mut record);
                }
                records.push((task, record));
            }
            true
        })?;
        Ok(records)
    }

    fn record_key(&self, task: &str) -> Vec<u8> {
        format!("task\0{}\0{task}", self.strategy).into_bytes()
    }

    fn ledger_key(&self, target: &str) -> Vec<u8> {
        format!("ledger\0{}\0{target}", self.strategy).into_bytes()
    }

    fn request_key(&self, graph: &Graph) -> Vec<u8> {
        let targets: String =
            graph.targets.iter().map(|target| format!("{}\0", target.attr)).collect();
        format!("request\0{}\0{targets}", self.strategy).into_bytes()
    }
}

/// A table of the graph that a request began with, and how it goes on with what was found.
pub(crate) fn together<'t, T: Clone>(first: &'t [T], found: &[T]) -> Cow<'t, [T]> {
    match found {
        [] => Cow::Borrowed(first),
        found => Cow::Owned([first, found].concat()),
    }
}

impl Past for History<'_> {
    fn record(&self, task: &str) -> Option<Record> {
        Record::decode(&self.store.record(&self.record_key(task)).ok()??)
    }

    fn first_difference(&self, old: &StorePath, new: &StorePath) -> Option<String> {
        let difference =
            diff::first_difference(&self.store.physical(old), &self.store.physical(new))?;
        Some(difference.to_string_lossy().into_owned())
    }
}

/// The ledgers of a request's tasks. A task belongs to the target that its id begins with,
/// whatever else was asked for at the same time, so that it is in one ledger only.
struct Ledgers<'t> {
    by_target: BTreeMap<&'t str, (Ledger, Vec<usize>)>,
}

impl<'t> Ledgers<'t> {
    fn of(history: &History<'_>, tasks: &'t [std::sync::Arc<str>]) -> Result<Self, StoreError> {
        let mut by_target: BTreeMap<&str, (Ledger, Vec<usize>)> = BTreeMap::new();
        for (at, task) in tasks.iter().enumerate() {
            let target = task.split('/').next().unwrap_or_default();
            by_target.entry(target).or_default().1.push(at);
        }
        for (target, (ledger, _)) in &mut by_target {
            if let Some(bytes) = history.store.record(&history.ledger_key(target))? {
                *ledger = Ledger::decode(&bytes);
            }
        }
        Ok(Ledgers { by_target })
    }

    /// What they say of each task.
    fn entries(&mut self, tasks: &[Short]) -> Vec<Option<Entry>> {
        let mut entries = vec![None; tasks.len()];
        for (ledger, places) in self.by_target.values_mut() {
            for (nth, &at) in places.iter().enumerate() {
                entries[at] = ledger.get(nth, tasks[at]);
            }
        }
        entries
    }

    /// The rows after the request.
    fn updated(
        self,
        history: &History<'_>,
        tasks: &[Short],
        entries: &[Entry],
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let row = |(target, (ledger, places)): (&str, (Ledger, Vec<usize>))| {
            let own = places.iter().map(|&at| (tasks[at], entries[at])).collect();
            (history.ledger_key(target), ledger.with(own).encode())
        };
        self.by_target.into_iter().map(row).collect()
    }
}
