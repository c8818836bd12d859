//! Where an evaluation's time went: by function, by file and by stack, and as text that viewers
//! read. Nothing here opens a file or knows a clock; whoever wants a profile gives both.
//!
//! Calls are instrumented, not sampled: the clock is read where a call of a function or builtin
//! begins and where it ends, and the time between goes to what was running. So counts are exact,
//! an evaluation of five milliseconds has a profile as good as one of five minutes, and a frame
//! leaves the stack by the same door whether its call gave a value, threw, or was caught by
//! `tryEval`. The price is two readings of the clock for each call: what only calls takes two to
//! three times as long (`fib 27`: 0.07 s for 0.03 s), and looks that much dearer beside the rest. What is computed late (a promise) counts for the call that asks
//! for it, as in C++ Nix.
//!
//! A call tree keeps the stacks, so recursion costs no memory for each call; its bounds and those
//! of a trace are in `record`, and [`Profile::notes`] says when one was reached.

pub(crate) mod record;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::graph::SourcePos;
use crate::source::{Loc, SourceName, Sources};
use record::{Callee, Node, Recorder, Span};

/// Nanoseconds since any moment; never less than before.
pub type Clock = fn() -> u64;

/// A form that viewers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for each stack with its own nanoseconds: for flame graphs (speedscope, inferno,
    /// flamegraph.pl).
    Folded,
    /// Chrome's trace events as JSON: every call on a line of time (Perfetto, chrome://tracing).
    Chrome,
}

impl Format {
    /// By a file's name: `.json` is Chrome's.
    pub fn of(file: &Path) -> Format {
        match file.extension() {
            Some(extension) if extension == "json" => Format::Chrome,
            _ => Format::Folded,
        }
    }
}

/// Where calls go in a trace that others write as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// The trace's number of the process.
    pub process: u32,
    /// Of the thread.
    pub thread: u32,
    /// When recording began, on the trace's clock.
    pub start_ns: u64,
}

/// A function, a builtin or the reading of a file, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: a function's own, `builtins.map`, `(reading)`.
    pub name: String,
    /// Where it is defined; the file that is read.
    pub place: Option<SourcePos>,
    /// How often it was called.
    pub calls: u64,
    /// Time in it and not in what it called, nanoseconds.
    pub own_ns: u64,
    /// Time in it and in all that it called, nanoseconds.
    pub total_ns: u64,
}

/// A finished profile.
pub struct Profile {
    entries: Vec<Entry>,
    files: Vec<(String, u64)>,
    nodes: Vec<Node>,
    spans: Vec<Span>,
    spans_seen: u64,
    shortest_ns: u64,
    cut: bool,
}

impl Profile {
    /// Gives places to what was recorded.
    pub(crate) fn new(mut recorder: Recorder, sources: &Sources) -> Profile {
        recorder.end();
        let entries: Vec<Entry> = recorder
            .functions
            .iter()
            .map(|function| {
                let (name, place) = match function.callee {
                    Callee::Top => ("(evaluation)".to_owned(), None),
                    Callee::Lambda(loc) => {
                        let name = function.name.map(|name| name.to_string());
                        (name.unwrap_or_else(|| "(anonymous)".to_owned()), sources.resolve(loc))
                    }
                    Callee::Prim(name) => (format!("builtins.{name}"), None),
                    Callee::Reading(start) => ("(reading)".to_owned(), sources.resolve(start)),
                };
                let (calls, own_ns, total_ns) =
                    (function.calls, function.own_ns, function.total_ns);
                Entry { name, place, calls, own_ns, total_ns }
            })
            .collect();
        let files = by_file(&recorder, sources);
        let spans = recorder.spans.take().unwrap_or_default();
        Profile {
            entries,
            files,
            nodes: recorder.nodes,
            spans: spans.kept,
            spans_seen: spans.seen,
            shortest_ns: spans.shortest_ns,
            cut: recorder.cut,
        }
    }

    /// Functions and builtins, the one with the most time of its own first.
    pub fn functions(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.entries.iter().collect();
        all.sort_by(|a, b| b.own_ns.cmp(&a.own_ns).then_with(|| a.name.cmp(&b.name)));
        all
    }

    /// Files and the time in functions defined in them, in builtins called there and in reading
    /// them, in nanoseconds; the file with the most first.
    pub fn files(&self) -> &[(String, u64)] {
        &self.files
    }

    /// All the time, nanoseconds.
    pub fn total_ns(&self) -> u64 {
        self.entries.first().map_or(0, |top| top.total_ns)
    }

    /// All calls.
    pub fn calls(&self) -> u64 {
        self.entries.iter().skip(1).map(|entry| entry.calls).sum()
    }
}

/// The time in each file.
fn by_file(recorder: &Recorder, sources: &Sources) -> Vec<(String, u64)> {
    let mut times: FxHashMap<Option<&SourceName>, u64> = FxHashMap::default();
    for node in &recorder.nodes {
        let loc = match recorder.functions[node.function as usize].callee {
            Callee::Top => Loc::NONE,
            Callee::Lambda(loc) | Callee::Reading(loc) => loc,
            Callee::Prim(_) => node.site,
        };
        let name = sources.find(loc).map(|(source, _)| &source.name);
        *times.entry(name).or_default() += node.own_ns;
    }
    let mut files: Vec<(String, u64)> = times
        .into_iter()
        .map(|(name, own_ns)| {
            let shown = name.map(|name| name.shown().display().to_string());
            (shown.unwrap_or_else(|| "(no file)".to_owned()), own_ns)
        })
        .collect();
    files.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    files
}
