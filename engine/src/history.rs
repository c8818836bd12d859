//! What a store remembers of earlier requests: the records of tasks, the ledgers of targets, a
//! digest of each request and the journal. Read to say what changed, written when something did;
//! what is decided is `decide`'s affair.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use floe_store::{Batch, Store, StoreError};
use rustc_hash::FxHashMap;

use crate::amendments::{self, Amended, Amendment, Amendments, Edited, Frame};
use crate::decide::{Decided, Decisions, Past, Request, decide, decide_edited};
use crate::diff;
use crate::differences::{Differences, Names, differences};
use crate::explain::{Seen, Span, World};
use crate::graph::{Graph, NodeIx};
use crate::ids::Ids;
use crate::instructions::Instructions;
use crate::journal::{Head, Journal, JournalError, Logged, Replaced};
use crate::ledger::{self, Ledger, Short};
use crate::materials::Materials;
use crate::reads::Reads;
use crate::rebuilder::Strategy;
use crate::record::{Decision, Record, When};
use crate::schedule::Outcome;
use crate::tasks::Entered;

/// The past of one rebuilder in a store.
pub struct History<'a> {
    store: &'a Store,
    strategy: Strategy,
}

/// A request that is over, to be compared with the past.
pub(crate) struct Over<'a> {
    pub(crate) entered: &'a Entered,
    pub(crate) outcome: &'a Outcome,
    tasks: Cow<'a, Ids>,
    short_tasks: Cow<'a, [Short]>,
    pub(crate) recipes: Cow<'a, [Digest]>,
    /// Computed when something is decided about.
    deep: OnceCell<Vec<Digest>>,
    /// What stands for all of it.
    summary: Digest,
}

/// What is known of a request beside what became of it.
pub(crate) struct Around<'a> {
    pub(crate) asked: &'a [(String, String)],
    pub(crate) materials: &'a Materials,
    pub(crate) reads: &'a Reads,
}

impl<'a> Over<'a> {
    pub(crate) fn new(entered: &'a Entered, outcome: &'a Outcome) -> Over<'a> {
        let Entered { graph, shape, recipes, .. } = entered;
        let finds = &outcome.finds;
        let found: Vec<Short> = finds.tasks.iter().map(|task| Short::of_task(task)).collect();
        let mut tasks = Cow::Borrowed(&shape.tasks);
        if !finds.tasks.is_empty() {
            tasks.to_mut().extend(&finds.tasks);
        }
        let short_tasks = together(&shape.short_tasks, &found);
        let recipes = together(recipes, &finds.recipes);
        // What builders make of derivations follows from what the request began with.
        let first = recipes[..graph.first_len()].iter();
        let digests: Vec<u8> =
            std::iter::once(&shape.edges).chain(first).flat_map(|digest| digest.0).collect();
        let summary = Digest::of(&digests);
        let deep = OnceCell::new();
        Over { entered, outcome, tasks, short_tasks, recipes, deep, summary }
    }

    fn deep(&self) -> &[Digest] {
        self.deep.get_or_init(|| self.entered.graph.deep_digests(&self.recipes))
    }
}

impl<'a> History<'a> {
    /// The past of a rebuilder in this store.
    pub fn new(store: &'a Store, strategy: Strategy) -> Self {
        History { store, strategy }
    }

    /// The number of the last request for the same, if it was this one and everything stands.
    pub(crate) fn knows(&self, over: &Over<'_>) -> Result<Option<u64>, StoreError> {
        let Over { entered, outcome, summary, .. } = over;
        if outcome.builders_run > 0 || !outcome.is_complete(&entered.graph) {
            return Ok(None);
        }
        let known = self.store.record(&self.request_key(&entered.graph))?;
        Ok(known.and_then(|known| {
            let (known, number) = known.split_last_chunk()?;
            (known == summary_row(summary)).then(|| u64::from_be_bytes(*number))
        }))
    }

    /// The decisions about a request that adds nothing to the past: those that tell of something
    /// new, or all if `full`.
    pub(crate) fn decided(&self, over: &Over<'_>, full: bool) -> Result<Vec<Decided>, StoreError> {
        let request = Journal(self.store).head()?.newest;
        let (_, Decisions { decided, .. }) = self.decide(over, full, When::now(request))?;
        Ok(decided)
    }

    fn decide<'t>(
        &self,
        over: &'t Over<'_>,
        full: bool,
        now: When,
    ) -> Result<(Ledgers<'t>, Decisions), StoreError> {
        let Over { entered, outcome, tasks, short_tasks, recipes, .. } = over;
        let deep = over.deep();
        let mut ledgers = Ledgers::of(self, tasks)?;
        let entries = ledgers.entries(short_tasks);
        let request = Request {
            graph: &entered.graph,
            tasks,
            short_tasks,
            recipes,
            deep,
            entries: &entries,
            outcome,
            full,
        };
        Ok((ledgers, decide(&request, self, now)))
    }

    /// Decides about what differs from the past, or about everything if `full`; the batch is to be
    /// written. Nobody else may enter a request meanwhile.
    pub(crate) fn compare(
        &self,
        over: &Over<'_>,
        around: &Around<'_>,
        full: bool,
    ) -> Result<Addition, StoreError> {
        let head = Journal(self.store).head()?;
        let now = When::now(head.newest + 1);
        let (ledgers, Decisions { decided, entries, tally }) = self.decide(over, full, now)?;
        let graph = &over.entered.graph;
        let records = ledgers.updated(self, now.request, &over.short_tasks, &entries);
        let mut dropped = Vec::new();
        for key in [self.amendments_key(graph), self.frame_key(graph)] {
            if self.store.record(&key)?.is_some() {
                dropped.push(key);
            }
        }
        self.enter(over, around, head, now, Found { decided, tally, records, dropped })
    }

    /// The same for a request in which nothing but these nodes differs from the former one, which
    /// was the store's last, and in which nothing came out otherwise; none where that cannot be told
    /// in few words.
    pub(crate) fn amend(
        &self,
        over: &Over<'_>,
        around: &Around<'_>,
        former: u64,
        edited: &[NodeIx],
    ) -> Result<Option<Addition>, StoreError> {
        let head = Journal(self.store).head()?;
        if head.newest != former {
            return Ok(None);
        }
        let Over { entered, outcome, tasks, short_tasks, recipes, .. } = over;
        let graph = &entered.graph;
        let (frame_key, key) = (self.frame_key(graph), self.amendments_key(graph));
        let mut records = Vec::new();
        let known = self.store.record(&key)?;
        let amendments = match &known {
            None => {
                let frame = Frame::of(graph, short_tasks, recipes);
                records.push((frame_key, frame.encode()));
                Some(Amendments::default())
            }
            Some(row) => Amendments::decode(row),
        };
        let has_room = |amendments: &Amendments| amendments.0.len() < amendments::MOST;
        let amendments = amendments.filter(has_room);
        let Some(mut amendments) = amendments else { return Ok(None) };
        let now = When::now(head.newest + 1);
        let mut news = vec![false; graph.len()];
        let above = entered.shape.above(edited, |_| true);
        edited.iter().chain(&above).for_each(|ix| news[ix.index()] = true);
        let news_count = news.iter().filter(|news| **news).count() as u64;
        let digest = |ix: &NodeIx| (*ix, graph.deep_digest(recipes, *ix));
        let deep = edited.iter().map(digest).collect();
        let request = Request {
            graph,
            tasks,
            short_tasks,
            recipes,
            deep: &[],
            entries: &[],
            outcome,
            full: false,
        };
        let mut tally = BTreeMap::new();
        let mut count = |decision, count: u64| *tally.entry(decision).or_default() += count;
        let (mut decided, mut amended) = (Vec::new(), Vec::new());
        for (ix, entry, decision, found) in decide_edited(&request, &deep, news, self, now) {
            count(decision, 1);
            amended.push(Edited::of(ix, recipes[ix.index()], &entry));
            decided.extend(found);
        }
        count(Decision::Cutoff, news_count - edited.len() as u64);
        count(Decision::Reused, graph.len() as u64 - news_count);
        tally.retain(|_, count| *count > 0);
        amendments.0.push(Amendment { request: now.request, at: now.at, edited: amended });
        records.push((key, amendments.encode()));
        let found = Found { decided, tally, records, dropped: Vec::new() };
        self.enter(over, around, head, now, found).map(Some)
    }

    /// What younger requests found that did not write the ledgers.
    fn amended(&self) -> Result<FxHashMap<Short, Amended>, StoreError> {
        let prefix = format!("amended\0{}\0", self.strategy).into_bytes();
        let mut rows = Vec::new();
        self.store.records(&prefix, |key, row| {
            rows.push((key[prefix.len()..].to_vec(), Amendments::decode(row)));
            true
        })?;
        let mut all: FxHashMap<Short, Amended> = FxHashMap::default();
        for (request, amendments) in rows {
            let key = [format!("frame\0{}\0", self.strategy).as_bytes(), &request].concat();
            let frame = self.store.record(&key)?.and_then(|row| Frame::decode(&row));
            let (Some(frame), Some(amendments)) = (frame, amendments) else { continue };
            for (task, amended) in frame.amended(&amendments) {
                let known = all.entry(task).or_insert(amended);
                if known.request < amended.request {
                    *known = amended;
                }
            }
        }
        Ok(all)
    }

    /// What is to be written of a request about which this was found.
    fn enter(
        &self,
        over: &Over<'_>,
        around: &Around<'_>,
        head: Head,
        now: When,
        found: Found,
    ) -> Result<Addition, StoreError> {
        let journal = Journal(self.store);
        let graph = &over.entered.graph;
        let Found { decided, tally, mut records, mut dropped } = found;
        let (mut replaced, mut sources) = (Vec::new(), BTreeMap::new());
        for decided in decided.iter().filter(|decided| !decided.recorded) {
            sources.extend(new_sources(decided, around.materials));
            replaced.extend(self.replace(graph, decided, &mut records)?);
        }
        let number = now.request.to_be_bytes();
        let row = [&summary_row(&over.summary)[..], &number].concat();
        records.push((self.request_key(graph), row));
        let mut news = around.reads.news(self.store, head.read_rows)?;
        let logged = Logged {
            at: now.at,
            rebuilder: self.strategy.to_string(),
            targets: graph.targets.iter().map(|target| target.attr.clone()).collect(),
            target_count: 0,
            asked: around.asked.to_vec(),
            edits: news.edits,
            edit_count: 0,
            first_reads: news.first_reads,
            sources: sources.into_iter().collect(),
            decisions: tally,
            replaced_bytes: 0,
        };
        records.append(&mut news.rows);
        let head = Head { read_rows: news.known_rows, ..head };
        dropped.append(&mut journal.enter(head, logged.cut(), replaced, &mut records)?);
        dropped.append(&mut news.dropped);
        let batch = Batch { records, dropped_records: dropped, ..Batch::default() };
        Ok(Addition { number: now.request, decided, batch })
    }

    /// Which requests there are, of all rebuilders.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn head(&self) -> Result<Head, StoreError> {
        Journal(self.store).head()
    }

    /// The requests that are kept, of all rebuilders, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read, or a row of it.
    pub fn requests(&self) -> Result<Vec<(u64, Logged)>, JournalError> {
        Journal(self.store).after(0)
    }

    /// Writes a record, and the instructions if they are new; what that replaces.
    fn replace(
        &self,
        graph: &Graph,
        decided: &Decided,
        records: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Option<(String, Replaced)>, StoreError> {
        let Decided { task, record, former, .. } = decided;
        let mut instructions = None;
        if former.as_ref().is_none_or(|former| former.recipe != record.recipe) {
            let key = self.instructions_key(task);
            if former.is_some() {
                instructions = self.instructions_at(&key)?;
            }
            records.push((key, Instructions::of(graph, decided.node).encode()));
        }
        records.push((self.record_key(task), record.encode()));
        let replaced = |record: &Record| Replaced { record: record.clone(), instructions };
        Ok(former.as_ref().map(replaced).map(|replaced| (task.to_string(), replaced)))
    }

    /// How all tasks stand now, with the journal: nothing is compared yet.
    ///
    /// # Errors
    /// When the store cannot be read, or a row of it.
    pub fn now(&self) -> Result<Span, JournalError> {
        let journal = Journal(self.store);
        let until = journal.head()?.newest;
        let mut span = Span {
            since: until,
            until,
            rebuilder: self.strategy.to_string(),
            journal: journal.after(0)?,
            ..Span::default()
        };
        let entries = self.entries()?;
        self.each_record(|task, record| match record {
            Ok(mut now) => {
                let written = now.request;
                if let Some(entry) = entries.get(&Short::of_task(&task)) {
                    entry.complete(&mut now);
                }
                let seen = Seen { now, written, then: None, instructions_then: None };
                span.tasks.insert(task, seen);
            }
            Err(why) => {
                span.damaged.insert(task, why);
            }
        })?;
        Ok(span)
    }

    /// Compares them with how they stood after a request, which is kept.
    ///
    /// # Errors
    /// When the store cannot be read, or a row of it.
    pub fn look_back(&self, mut span: Span, since: u64) -> Result<Span, JournalError> {
        span.since = since;
        for seen in span.tasks.values_mut().filter(|seen| seen.happened(since)) {
            // The rest is as it was when it was cut off.
            seen.then = (seen.written <= since).then(|| seen.now.clone());
        }
        let journal = Journal(self.store);
        let oldest = journal.head()?.oldest;
        // Newest first, so that what the oldest of them replaced is what stood then.
        for number in (since.max(oldest.saturating_sub(1)) + 1..=span.until).rev() {
            for (task, replaced) in journal.replaced(number, self.strategy.name())? {
                let Some(seen) = span.tasks.get_mut(&task) else { continue };
                // What was first heard of after the request was not there then.
                seen.then = Some(replaced.record).filter(|then| then.request <= since);
                if replaced.instructions.is_some() {
                    seen.instructions_then = replaced.instructions;
                }
            }
        }
        Ok(span)
    }

    /// All that ledgers say.
    fn entries(&self) -> Result<FxHashMap<Short, ledger::Entry>, StoreError> {
        let amended = self.amended()?;
        let mut entries = FxHashMap::default();
        self.store.records(&self.ledger_key(""), |_, bytes| {
            let mut ledger = Ledger::decode(bytes);
            ledger.amend(&amended);
            entries.extend(ledger.entries().iter().copied());
            true
        })?;
        Ok(entries)
    }

    /// Every record of this layout, or why it cannot be read.
    fn each_record(
        &self,
        mut visit: impl FnMut(String, Result<Record, String>),
    ) -> Result<(), StoreError> {
        let prefix = self.record_key("");
        self.store.records(&prefix, |key, bytes| {
            let task = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            if let Some(record) = Record::read(bytes).transpose() {
                visit(task, record);
            }
            true
        })
    }

    /// All records, by task id, with what the ledgers add to them.
    pub(crate) fn records(&self) -> Result<Vec<(String, Record)>, StoreError> {
        let entries = self.entries()?;
        let mut records = Vec::new();
        self.each_record(|task, record| {
            let Ok(mut record) = record else { return };
            if let Some(entry) = entries.get(&Short::of_task(&task)) {
                entry.complete(&mut record);
            }
            records.push((task, record));
        })?;
        Ok(records)
    }

    fn instructions_at(&self, key: &[u8]) -> Result<Option<Instructions>, StoreError> {
        Ok(self.store.record(key)?.and_then(|row| Instructions::decode(&row)))
    }

    fn instructions_key(&self, task: &str) -> Vec<u8> {
        format!("text\0{}\0{task}", self.strategy).into_bytes()
    }

    /// How long the builder of a task took when it last ran, in milliseconds.
    pub(crate) fn wall_ms(&self, task: &str) -> Option<u64> {
        self.record(task).map(|record| record.wall_ms).filter(|&wall_ms| wall_ms > 0)
    }

    fn record_key(&self, task: &str) -> Vec<u8> {
        format!("task\0{}\0{task}", self.strategy).into_bytes()
    }

    fn ledger_key(&self, target: &str) -> Vec<u8> {
        format!("ledger\0{}\0{target}", self.strategy).into_bytes()
    }

    fn request_key(&self, graph: &Graph) -> Vec<u8> {
        self.key_of_targets("request", graph)
    }

    fn frame_key(&self, graph: &Graph) -> Vec<u8> {
        self.key_of_targets("frame", graph)
    }

    fn amendments_key(&self, graph: &Graph) -> Vec<u8> {
        self.key_of_targets("amended", graph)
    }

    fn key_of_targets(&self, kind: &str, graph: &Graph) -> Vec<u8> {
        let targets: String =
            graph.targets.iter().map(|target| format!("{}\0", target.attr)).collect();
        format!("{kind}\0{}\0{targets}", self.strategy).into_bytes()
    }
}

/// A table of the graph that a request began with, and how it goes on with what was found.
fn together<'t, T: Clone>(first: &'t [T], found: &[T]) -> Cow<'t, [T]> {
    match found {
        [] => Cow::Borrowed(first),
        found => Cow::Owned([first, found].concat()),
    }
}

/// The sources that a task did not read before, and where they lie on the host.
fn new_sources(decided: &Decided, materials: &Materials) -> Vec<(StorePath, String)> {
    let Decided { record, former, .. } = decided;
    let known =
        |source: &StorePath| former.as_ref().is_some_and(|former| former.sources.contains(source));
    let origin = |source: &StorePath| {
        let origin = materials.origin(source)?;
        Some((source.clone(), origin.to_string_lossy().into_owned()))
    };
    record.sources.iter().filter(|source| !known(source)).filter_map(origin).collect()
}

/// What is kept of a request: with records of another version beside it, it is as good as none.
fn summary_row(summary: &Digest) -> Vec<u8> {
    [&[Record::VERSION][..], &summary.0].concat()
}

/// What a request adds to the past.
pub(crate) struct Addition {
    /// Its number.
    pub(crate) number: u64,
    pub(crate) decided: Vec<Decided>,
    pub(crate) batch: Batch,
}

/// What was found about a request.
struct Found {
    decided: Vec<Decided>,
    tally: BTreeMap<Decision, u64>,
    /// Rows to be written beside those of every request.
    records: Vec<(Vec<u8>, Vec<u8>)>,
    dropped: Vec<Vec<u8>>,
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

impl World for History<'_> {
    fn instructions(&self, task: &str) -> Option<Instructions> {
        self.instructions_at(&self.instructions_key(task)).ok()?
    }

    fn is_present(&self, path: &StorePath) -> bool {
        self.store.is_valid(path).unwrap_or(false)
    }

    fn differences(&self, old: &StorePath, new: &StorePath, names: &Names) -> Option<Differences> {
        differences(&self.store.physical(old), &self.store.physical(new), names).ok()
    }
}

/// The ledgers of a request's tasks. A task belongs to the target that its id begins with,
/// whatever else was asked for at the same time, so that it is in one ledger only.
struct Ledgers<'t> {
    by_target: BTreeMap<&'t str, (Ledger, Vec<usize>)>,
}

impl<'t> Ledgers<'t> {
    fn of(history: &History<'_>, tasks: &'t Ids) -> Result<Self, StoreError> {
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
        let amended = history.amended()?;
        by_target.values_mut().for_each(|(ledger, _)| ledger.amend(&amended));
        Ok(Ledgers { by_target })
    }

    /// What they say of each task.
    fn entries(&mut self, tasks: &[Short]) -> Vec<Option<ledger::Entry>> {
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
        request: u64,
        tasks: &[Short],
        entries: &[ledger::Entry],
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let row = |(target, (ledger, places)): (&str, (Ledger, Vec<usize>))| {
            let own = places.iter().map(|&at| (tasks[at], entries[at])).collect();
            (history.ledger_key(target), ledger.with(request, own).encode())
        };
        self.by_target.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests;
