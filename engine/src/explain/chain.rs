//! From the tasks that somebody asks about down through all that had a part in it: which tasks an
//! explanation tells of, in which order. What is told of each is `cause`'s affair.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::World;
use super::cause::{Cause, Causes, Comparison, Effect, Found, Stop, stop};
use super::span::{Seen, Span};
use crate::differences::{FileChange, Kind};
use crate::record::Decision;

/// What is told of one task.
#[derive(Debug, Clone)]
pub struct Explained<'a> {
    /// Its id.
    pub task: &'a str,
    /// It then and now.
    pub seen: &'a Seen,
    /// Every cause, those that made a difference first; none if nothing happened to it.
    pub causes: Vec<Cause>,
    /// What became of its outputs.
    pub effect: Effect,
    /// Those of its outputs that differ.
    pub outputs: Vec<Comparison>,
    /// What would have stopped the change before it.
    pub stop: Stop,
}

/// All that is told.
#[derive(Debug, Clone)]
pub struct Explanation<'a> {
    /// What was compared.
    pub span: &'a Span,
    /// The tasks asked about, and after each those that had a part in it: nearer ones first.
    pub tasks: Vec<Explained<'a>>,
}

impl Explained<'_> {
    /// The tasks that had a part in what happened to it.
    pub fn because_of(&self) -> impl Iterator<Item = &str> {
        self.causes.iter().filter_map(|cause| match cause {
            Cause::Input { task, .. } | Cause::AddedInput(task) | Cause::Passed(task) => {
                Some(task.as_str())
            }
            Cause::Told(task) => task.as_deref(),
            _ => None,
        })
    }

    /// Whether anything differs from what it was; not so where it was never built before.
    pub fn is_news(&self) -> bool {
        self.happened() && self.causes != [Cause::New]
    }

    /// Whether anything happened to it.
    pub fn happened(&self) -> bool {
        !self.causes.is_empty()
    }
}

impl Explanation<'_> {
    /// The files on the host that were edited in sources, each once, with how they differ. Where the
    /// sources cannot be compared any more, it is the first file that differed when they could, or
    /// the whole source.
    pub fn edited_sources(&self) -> BTreeMap<String, Kind> {
        let mut files = BTreeMap::new();
        for explained in &self.tasks {
            for cause in &explained.causes {
                let Cause::Source { origin: Some(origin), object } = cause else { continue };
                let of = |file: &str| match file {
                    "" => origin.clone(),
                    file => format!("{origin}/{file}"),
                };
                if let Found::Files(found) = &object.found {
                    let file = |change: &FileChange| of(&change.file.to_string_lossy());
                    files.extend(found.files.iter().map(|change| (file(change), change.kind)));
                    continue;
                }
                let by = explained.seen.now.decided_by.as_ref();
                let first = by.filter(|by| by.input == object.new.as_str());
                let first = first.and_then(|by| by.file.as_deref()).unwrap_or_default();
                files.insert(of(first), Kind::Content);
            }
        }
        files
    }
}

/// Explains what happened to a task in a span, or to all that anything happened to.
pub fn explain<'a>(span: &'a Span, world: &'a dyn World, what: Option<&str>) -> Explanation<'a> {
    let causes = Causes::new(span, world);
    let mut seen = HashSet::new();
    let mut queue = VecDeque::new();
    for task in roots(span, what) {
        seen.insert(task);
        queue.push_back(task);
    }
    let mut tasks = Vec::new();
    while let Some(task) = queue.pop_front() {
        let explained = one(span, &causes, task);
        for next in explained.because_of() {
            // What a record names may be gone from the records.
            if let Some((next, state)) = span.tasks.get_key_value(next)
                && state.happened(span.since)
                && seen.insert(next)
            {
                queue.push_back(next);
            }
        }
        tasks.push(explained);
    }
    Explanation { span, tasks }
}

/// Where to begin: the task, or all that happened and that nothing else that happened uses.
fn roots<'a>(span: &'a Span, what: Option<&str>) -> Vec<&'a str> {
    if let Some(what) = what {
        return span.tasks.get_key_value(what).map(|(task, _)| task.as_str()).into_iter().collect();
    }
    // What was there already when it was first asked for is no news.
    let is_news = |(_, seen): &(&String, &Seen)| {
        seen.happened(span.since) && seen.now.decision != Decision::Reused
    };
    let happened = || span.tasks.iter().filter(is_news);
    let used: HashSet<&str> = happened()
        .flat_map(|(_, seen)| seen.now.inputs.iter().map(|(task, _)| task.as_str()))
        .collect();
    happened().map(|(task, _)| task.as_str()).filter(|task| !used.contains(task)).collect()
}

fn one<'a>(span: &'a Span, causes: &Causes<'a>, task: &'a str) -> Explained<'a> {
    let seen = &span.tasks[task];
    if !seen.happened(span.since) {
        let (effect, stop) = (Effect::Same, Stop::Stopped);
        return Explained { task, seen, causes: Vec::new(), effect, outputs: Vec::new(), stop };
    }
    let found = causes.of(task, seen);
    let (effect, outputs) = causes.effect(seen);
    let stop = stop(seen, &found);
    Explained { task, seen, causes: found, effect, outputs, stop }
}
