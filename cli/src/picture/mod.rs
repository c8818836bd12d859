//! A picture of an explanation: edited files on top, what they led to below, coloured and worded by
//! what was decided; what was reused is counted, not drawn. What is on it is decided here, where it
//! stands in `layout`, how it looks in `svg` and `page`.

mod layout;
mod page;
mod svg;

use std::collections::{HashMap, HashSet};

use floe_engine::differences::FileChange;
use floe_engine::explain::{Cause, Comparison, Effect, Explained, Explanation, Found};
use floe_engine::record::Decision;

use crate::command::explain::words;
use crate::time;

pub use page::page;

/// What a node stands for: its colour and its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Edited,
    Built,
    BuiltSame,
    Cutoff,
    Given,
    Failed,
    Other,
}

impl Class {
    const ALL: [Class; 7] = [
        Class::Edited,
        Class::Built,
        Class::BuiltSame,
        Class::Cutoff,
        Class::Given,
        Class::Failed,
        Class::Other,
    ];

    /// Its name in the style sheet.
    fn name(self) -> &'static str {
        match self {
            Class::Edited => "edited",
            Class::Built => "built",
            Class::BuiltSame => "same",
            Class::Cutoff => "cut",
            Class::Given => "given",
            Class::Failed => "failed",
            Class::Other => "other",
        }
    }

    /// What the legend says.
    fn legend(self) -> &'static str {
        match self {
            Class::Edited => "edited",
            Class::Built => "built, and came out otherwise",
            Class::BuiltSame => "built, and came out as before",
            Class::Cutoff => "cut off: nothing ran",
            Class::Given => "retargeted or substituted",
            Class::Failed => "failed, skipped or cancelled",
            Class::Other => "nothing happened to it",
        }
    }

    fn of(explained: &Explained<'_>) -> Class {
        match (explained.seen.now.decision, explained.effect) {
            _ if !explained.happened() => Class::Other,
            (Decision::Built, Effect::Same) => Class::BuiltSame,
            (Decision::Built, _) => Class::Built,
            (Decision::Cutoff, _) => Class::Cutoff,
            (Decision::Retargeted | Decision::Substituted, _) => Class::Given,
            (Decision::Failed | Decision::Skipped | Decision::Cancelled, _) => Class::Failed,
            (Decision::Reused, _) => Class::Other,
        }
    }
}

/// What is drawn as a box.
struct Node {
    label: String,
    /// The line below.
    words: String,
    /// What is said when a pointer rests on it.
    title: String,
    class: Class,
}

/// How an edge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The change went this way.
    Cause,
    /// It stopped here.
    Stopped,
    /// It had no part in it.
    Use,
}

/// All that is drawn.
struct Drawing {
    title: String,
    description: String,
    nodes: Vec<Node>,
    /// From an input to its user.
    edges: Vec<(usize, usize, Line)>,
}

/// So many tasks are drawn, the nearest to what was asked.
const MAX_TASKS: usize = 3_000;

/// So many edited files are drawn.
const MAX_EDITS: usize = 12;

/// So many files of one source are drawn.
const MAX_FILES: usize = 3;

/// The picture alone.
pub fn svg(explanation: &Explanation<'_>) -> String {
    svg::document(&Drawing::of(explanation))
}

impl Drawing {
    fn of(explanation: &Explanation<'_>) -> Drawing {
        let tasks = &explanation.tasks[..explanation.tasks.len().min(MAX_TASKS)];
        let mut drawing = Drawing {
            title: title(explanation),
            description: String::new(),
            nodes: tasks.iter().map(task_node).collect(),
            edges: Vec::new(),
        };
        let places: HashMap<&str, usize> =
            tasks.iter().enumerate().map(|(at, explained)| (explained.task, at)).collect();
        let mut reused = 0;
        for (at, explained) in tasks.iter().enumerate() {
            let mut rest = 0u64;
            for (input, _) in &explained.seen.now.inputs {
                match places.get(input.as_str()) {
                    Some(&from) => drawing.edges.push((from, at, line(explained, input))),
                    None => rest += 1,
                }
            }
            if rest > 0 {
                drawing.nodes[at].words += &format!(" · {rest} not drawn");
            }
            reused += rest;
        }
        drawing.add_edits(explanation, tasks);
        drawing.describe(explanation, reused);
        drawing
    }

    /// The files that somebody edited, above what they changed.
    fn add_edits(&mut self, explanation: &Explanation<'_>, tasks: &[Explained<'_>]) {
        let mut files: HashMap<String, usize> = HashMap::new();
        let mut drawn = HashSet::new();
        let edits = explanation.span.edits();
        let listed: Vec<String> = match edits.len() {
            0..=MAX_EDITS => edits.iter().map(|edit| words::near(edit.place.parts().1)).collect(),
            count => vec![format!("{count} edited files")],
        };
        for (at, explained) in tasks.iter().enumerate() {
            for cause in &explained.causes {
                let names = match cause {
                    Cause::Instructions(_) => listed.clone(),
                    Cause::Source { origin, object } => edited_files(origin.as_deref(), object),
                    Cause::AddedSource { path, origin } => {
                        vec![origin.as_deref().map_or(path.name().to_owned(), words::near)]
                    }
                    _ => continue,
                };
                for name in names {
                    let next = self.nodes.len();
                    let file = *files.entry(name.clone()).or_insert(next);
                    if file == next {
                        let label = name.rsplit('/').next().unwrap_or(&name).to_owned();
                        let words = "edited".to_owned();
                        self.nodes.push(Node { label, words, title: name, class: Class::Edited });
                    }
                    if drawn.insert((file, at)) {
                        self.edges.push((file, at, Line::Cause));
                    }
                }
            }
        }
    }

    fn describe(&mut self, explanation: &Explanation<'_>, reused: u64) {
        let counts = Class::ALL.iter().filter_map(|class| {
            let count = self.nodes.iter().filter(|node| node.class == *class).count();
            (count > 0).then(|| format!("{count} {}", class.legend()))
        });
        let mut parts: Vec<String> = counts.collect();
        if reused > 0 {
            parts.push(format!("{reused} uses of inputs that nothing happened to are not drawn"));
        }
        let left = explanation.tasks.len().saturating_sub(MAX_TASKS);
        if left > 0 {
            parts.push(format!("{left} tasks further down are not drawn"));
        }
        self.description = parts.join("; ");
    }
}

/// The files of a source that differ; the source itself where they are many, or nobody can tell.
fn edited_files(origin: Option<&str>, object: &Comparison) -> Vec<String> {
    let name = origin.map_or(object.new.name().to_owned(), words::near);
    match &object.found {
        Found::Files(found) if found.files.len() <= MAX_FILES => {
            let within = |change: &FileChange| match change.file.as_os_str().is_empty() {
                true => name.clone(),
                false => format!("{name}/{}", change.file.display()),
            };
            found.files.iter().map(within).collect()
        }
        _ => vec![name],
    }
}

fn title(explanation: &Explanation<'_>) -> String {
    let span = explanation.span;
    let what = match explanation.tasks.as_slice() {
        [] => "nothing".to_owned(),
        [first, ..] => first.task.to_owned(),
    };
    let known = span.journal.iter().find(|(number, _)| *number == span.since);
    match known {
        Some((number, logged)) => {
            format!("What happened to {what} since request {number} of {}", time::shown(logged.at))
        }
        None => format!("What happened to {what}"),
    }
}

fn task_node(explained: &Explained<'_>) -> Node {
    let record = &explained.seen.now;
    let last = explained.task.rsplit('/').next().unwrap_or(explained.task);
    let mut title = format!("{}: {}", explained.task, words::decision(record));
    if explained.happened() {
        title += &format!(", because {}", record.reason);
    }
    let stop = words::stop(&explained.stop).filter(|_| explained.is_news());
    if let Some(stop) = stop {
        title += &format!("; what would have stopped it: {stop}");
    }
    let class = Class::of(explained);
    let words = match class {
        Class::Other => "nothing happened".to_owned(),
        Class::BuiltSame => "built, as before".to_owned(),
        Class::Built if explained.effect == Effect::Names => "built, names differ".to_owned(),
        _ => words::decision(record),
    };
    Node { label: last.to_owned(), words, title, class }
}

/// What an input had to do with what happened to its user.
fn line(explained: &Explained<'_>, input: &str) -> Line {
    let found = explained.causes.iter().find_map(|cause| match cause {
        Cause::Input { task, .. } | Cause::AddedInput(task) if task == input => Some(Line::Cause),
        Cause::Told(Some(task)) if task == input => Some(Line::Cause),
        Cause::Passed(task) if task == input => Some(Line::Stopped),
        _ => None,
    });
    found.unwrap_or(Line::Use)
}
