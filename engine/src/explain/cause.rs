//! The causes of one decision: every joint at which a task differs from what it was, by which
//! comparison, and what would have stopped the change there. Each is found by comparing what is in
//! the store, or said to be unknown. Which tasks are looked at is `chain`'s affair.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;

use floe_core::path::StorePath;
use rustc_hash::FxHashMap;

use super::World;
use super::span::{Seen, Span, moved};
use crate::differences::{Differences, Names};
use crate::instructions::Change;
use crate::record::{Decision, Record};

/// Why something happened to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It was never heard of before.
    New,
    /// An input came out otherwise.
    Input {
        /// Which.
        task: String,
        /// The outputs that are used and differ; none where others are used than before.
        outputs: Vec<Comparison>,
    },
    /// It has an input that it had not.
    AddedInput(String),
    /// It lacks an input that it had.
    RemovedInput(String),
    /// A source has other content.
    Source {
        /// Where it was read from, if that is known.
        origin: Option<String>,
        /// The two.
        object: Comparison,
    },
    /// It has a source that it had not.
    AddedSource {
        /// The source.
        path: StorePath,
        /// Where it was read from, if that is known.
        origin: Option<String>,
    },
    /// It lacks a source that it had.
    RemovedSource(StorePath),
    /// Its instructions differ, in these parts; none where only sources and inputs do.
    Instructions(Vec<Change>),
    /// Something happened to an input, and its outputs are what they were.
    Passed(String),
    /// Nothing that is recorded differs: the record's own reason tells why, and perhaps which input
    /// is behind it.
    Told(Option<String>),
}

/// Two objects, one in the place of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The former.
    pub old: StorePath,
    /// The one that stands in its place.
    pub new: StorePath,
    /// In what they differ.
    pub found: Found,
}

/// In what two objects differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In these files.
    Files(Differences),
    /// In nothing but names of store paths, in so many files.
    Names(u64),
    /// Nobody can tell: these are no longer in the store.
    Gone(Vec<StorePath>),
    /// Nobody looked: there were too many, or they could not be read.
    Unread,
}

/// What became of a task's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// They are the first.
    First,
    /// They are what they were.
    Same,
    /// They are what they were, up to names of store paths.
    Names,
    /// They differ.
    Changed,
    /// They have other paths, and whether more differs nobody can tell.
    Unknown,
    /// There are none.
    Missing,
}

/// What would have stopped the change before a task ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It was stopped: nothing had to run.
    Stopped,
    /// All that differs are names of store paths: putting the new names into the old output.
    Retarget,
    /// Observing what it reads, if it reads none of these files.
    Observation {
        /// The files, each with the task or source it is in; the first ones.
        files: Vec<(String, PathBuf)>,
        /// How many there are.
        count: u64,
    },
    /// Nothing: its own instructions differ.
    Nothing,
    /// No change made it run: it failed before, or its outputs were gone.
    Other,
    /// Nobody can tell: objects are gone, or too many to be compared.
    Unknown,
}

/// How many pairs of objects are compared in one explanation, sources apart.
const MAX_PAIRS: usize = 400;

/// How many files a [`Stop`] names.
const MAX_FILES: usize = 20;

/// Compares tasks of a span, each pair of objects once.
pub(super) struct Causes<'a> {
    span: &'a Span,
    world: &'a dyn World,
    names: Names,
    compared: RefCell<FxHashMap<(StorePath, StorePath), Found>>,
    left: Cell<usize>,
}

impl<'a> Causes<'a> {
    pub(super) fn new(span: &'a Span, world: &'a dyn World) -> Self {
        let (compared, left) = (RefCell::default(), Cell::new(MAX_PAIRS));
        Causes { span, world, names: span.names(), compared, left }
    }

    /// Every cause, those that made a difference first.
    pub(super) fn of(&self, task: &str, seen: &Seen) -> Vec<Cause> {
        let Some(then) = &seen.then else { return vec![Cause::New] };
        let now = &seen.now;
        let mut causes = Vec::new();
        if then.recipe != now.recipe {
            let old = seen.instructions_then.clone();
            let new = self.world.instructions(task);
            let changes = match (old, new) {
                (Some(old), Some(new)) => old.changes(&new),
                _ => Vec::new(),
            };
            causes.push(Cause::Instructions(changes));
        }
        self.sources(then, now, &mut causes);
        self.inputs(then, now, &mut causes);
        // That only a path in the instructions differs is told by what the path leads to.
        if causes.len() > 1 && causes[0] == Cause::Instructions(Vec::new()) {
            causes.remove(0);
        }
        let differs = !causes.is_empty();
        let passed = |(input, _): &(String, Vec<StorePath>)| {
            let has_happened = |seen: &Seen| seen.happened(self.span.since);
            let happened = self.span.tasks.get(input).is_some_and(has_happened);
            (happened && !mentions(&causes, input)).then(|| Cause::Passed(input.clone()))
        };
        let passed: Vec<Cause> = now.inputs.iter().filter_map(passed).collect();
        if !differs && (passed.is_empty() || now.decision != Decision::Cutoff) {
            let by = now.decided_by.as_ref().map(|by| by.input.clone());
            causes.push(Cause::Told(by.filter(|by| self.span.tasks.contains_key(by))));
        }
        causes.extend(passed);
        causes
    }

    fn sources(&self, then: &Record, now: &Record, causes: &mut Vec<Cause>) {
        let origin = |path: &StorePath| self.span.origin(path).map(str::to_owned);
        let pairs: Vec<_> = moved(&then.sources, &now.sources).collect();
        for (old, new) in &pairs {
            let object = self.comparison(old, new, true);
            causes.push(Cause::Source { origin: origin(new), object });
        }
        for new in &now.sources {
            if !then.sources.contains(new) && pairs.iter().all(|(_, moved)| *moved != new) {
                causes.push(Cause::AddedSource { path: new.clone(), origin: origin(new) });
            }
        }
        for old in &then.sources {
            if !now.sources.contains(old) && pairs.iter().all(|(moved, _)| *moved != old) {
                causes.push(Cause::RemovedSource(old.clone()));
            }
        }
    }

    fn inputs(&self, then: &Record, now: &Record, causes: &mut Vec<Cause>) {
        let (olds, news) = (inputs_by_task(then), inputs_by_task(now));
        for (task, new) in &now.inputs {
            match olds.get(task.as_str()) {
                Some(old) if *old == new => {}
                Some(old) => {
                    let outputs = self.outputs(old, new);
                    causes.push(Cause::Input { task: task.clone(), outputs });
                }
                None => causes.push(Cause::AddedInput(task.clone())),
            }
        }
        let removed = then.inputs.iter().filter(|(task, _)| !news.contains_key(task.as_str()));
        causes.extend(removed.map(|(task, _)| Cause::RemovedInput(task.clone())));
    }

    /// Those of two lists of an input's outputs that differ.
    fn outputs(&self, old: &[StorePath], new: &[StorePath]) -> Vec<Comparison> {
        let pairs: Vec<_> = match old.len() == new.len() {
            true => old.iter().zip(new).filter(|(old, new)| old != new).collect(),
            false => moved(old, new).collect(),
        };
        pairs.into_iter().map(|(old, new)| self.comparison(old, new, false)).collect()
    }

    fn comparison(&self, old: &StorePath, new: &StorePath, is_source: bool) -> Comparison {
        let key = (old.clone(), new.clone());
        let known = self.compared.borrow().get(&key).cloned();
        let found = known.unwrap_or_else(|| {
            let found = match is_source || self.left.get() > 0 {
                true => self.compare(old, new),
                false => Found::Unread,
            };
            self.left.set(self.left.get().saturating_sub(usize::from(!is_source)));
            self.compared.borrow_mut().insert(key, found.clone());
            found
        });
        Comparison { old: old.clone(), new: new.clone(), found }
    }

    fn compare(&self, old: &StorePath, new: &StorePath) -> Found {
        let is_gone = |path: &&StorePath| !self.world.is_present(path);
        let gone: Vec<StorePath> = [old, new].into_iter().filter(is_gone).cloned().collect();
        if !gone.is_empty() {
            return Found::Gone(gone);
        }
        match self.world.differences(old, new, &self.names) {
            Some(found) if found.real == 0 => Found::Names(found.names_only),
            Some(found) => Found::Files(found),
            None => Found::Unread,
        }
    }

    /// What became of a task's outputs, and the outputs that differ.
    pub(super) fn effect(&self, seen: &Seen) -> (Effect, Vec<Comparison>) {
        let now = &seen.now.outputs;
        let then = seen.then.as_ref().map(|then| &then.outputs).filter(|then| !then.is_empty());
        let then = match then {
            _ if now.is_empty() => return (Effect::Missing, Vec::new()),
            None => return (Effect::First, Vec::new()),
            Some(then) if then == now => return (Effect::Same, Vec::new()),
            Some(then) => then,
        };
        let pairs = then.iter().filter_map(|(name, old)| Some((old, now.get(name)?)));
        let pairs = pairs.filter(|(old, new)| old != new);
        let outputs: Vec<_> = pairs.map(|(old, new)| self.comparison(old, new, false)).collect();
        let all_there = then.keys().eq(now.keys());
        let any_files = outputs.iter().any(|output| matches!(output.found, Found::Files(_)));
        let effect = match outputs.iter().all(|output| matches!(output.found, Found::Names(_))) {
            true if all_there => Effect::Names,
            _ if any_files || !all_there => Effect::Changed,
            _ => Effect::Unknown,
        };
        (effect, outputs)
    }
}

fn inputs_by_task(record: &Record) -> FxHashMap<&str, &Vec<StorePath>> {
    record.inputs.iter().map(|(task, paths)| (task.as_str(), paths)).collect()
}

/// Whether an input is a cause already.
fn mentions(causes: &[Cause], input: &str) -> bool {
    causes.iter().any(|cause| match cause {
        Cause::Input { task, .. } | Cause::AddedInput(task) => task == input,
        _ => false,
    })
}

/// What would have stopped these causes before anything ran.
pub(super) fn stop(seen: &Seen, causes: &[Cause]) -> Stop {
    let ran = matches!(seen.now.decision, Decision::Built | Decision::Failed);
    if !ran {
        return Stop::Stopped;
    }
    let (mut files, mut count, mut unknown) = (BTreeSet::new(), 0, false);
    for cause in causes {
        let (place, objects) = match cause {
            Cause::Passed(_) => continue,
            Cause::Told(_) => return Stop::Other,
            Cause::Input { task, outputs } if !outputs.is_empty() => (task.as_str(), &outputs[..]),
            Cause::Source { object, .. } => (object.new.name(), std::slice::from_ref(object)),
            _ => return Stop::Nothing,
        };
        for object in objects {
            match &object.found {
                Found::Names(_) => {}
                Found::Gone(_) | Found::Unread => unknown = true,
                Found::Files(found) => {
                    count += found.real;
                    let real = found.files.iter().filter(|change| !change.names_only);
                    files.extend(real.map(|change| (place.to_owned(), change.file.clone())));
                }
            }
        }
    }
    match count {
        _ if unknown => Stop::Unknown,
        0 => Stop::Retarget,
        _ => Stop::Observation { files: files.into_iter().take(MAX_FILES).collect(), count },
    }
}
