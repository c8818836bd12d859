//! An explanation as text: what began it, then a block for each task, short lines for narrow
//! terminals.

use std::fmt::{Arguments, Write};

use floe_engine::explain::{Cause, Comparison, Explained, Explanation, Found};
use floe_engine::instructions::{Change, Value};
use floe_engine::record::Decision;
use similar::{ChangeTag, TextDiff};

use super::words;
use crate::terminal::{marked, marked_line};
use crate::time;

/// So many tasks are told of; of the others only those with which it began.
pub const MANY: usize = 12;

/// How many edits and files are listed.
const LISTED: usize = 10;

/// How many lines of a difference of two texts are shown.
const DIFF_LINES: usize = 16;

/// All of it.
pub fn text(explanation: &Explanation<'_>, many: usize) -> String {
    let mut out = Lines::default();
    header(&mut out, explanation);
    let (near, far) = explanation.tasks.split_at(explanation.tasks.len().min(many));
    let several = explanation.span.requests().count() > 1;
    near.iter().for_each(|explained| block(&mut out, explained, several));
    let began: Vec<&Explained<'_>> = far.iter().filter(|far| is_beginning(far)).collect();
    let told = began.len().min(many);
    if far.len() > told {
        let count = (far.len() - told) as u64;
        let tasks = words::plural(count, "task");
        out.add(
            0,
            format_args!(
                "... {count} more {tasks} in between (--json, --html and --svg tell of all)"
            ),
        );
    }
    began[..told].iter().for_each(|explained| block(&mut out, explained, several));
    out.0
}

/// Lines of text, indented.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, line: Arguments<'_>) {
        let _ = writeln!(self.0, "{:indent$}{line}", "", indent = 2 * depth);
    }
}

/// Whether a change came in here, and not from below.
fn is_beginning(explained: &Explained<'_>) -> bool {
    explained
        .causes
        .iter()
        .any(|cause| !matches!(cause, Cause::Input { .. } | Cause::Passed(_) | Cause::New))
}

fn header(out: &mut Lines, explanation: &Explanation<'_>) {
    let span = explanation.span;
    if span.since == 0 {
        out.add(0, format_args!("since the beginning:"));
    } else {
        let known = span.journal.iter().find(|(number, _)| *number == span.since);
        let at = known.map(|(_, logged)| format!(" of {}", time::shown(logged.at)));
        out.add(0, format_args!("since request {}{}:", span.since, at.unwrap_or_default()));
    }
    let edits = span.edits();
    let mut lines: Vec<String> = edits.iter().take(LISTED).map(words::edit).collect();
    let sources = explanation.edited_sources();
    lines.extend(sources.iter().take(LISTED).map(|(file, kind)| words::edited_source(file, *kind)));
    lines.extend(more(sources.len(), LISTED, "edited source"));
    lines.extend(span.asked(super::first_task(explanation)).iter().map(words::asked));
    lines.extend(more(edits.len(), LISTED, "edit"));
    lines.iter().for_each(|line| out.add(1, format_args!("{line}")));
}

fn more(count: usize, listed: usize, noun: &str) -> Option<String> {
    let left = count.saturating_sub(listed) as u64;
    (left > 0).then(|| format!("... and {left} more {}", words::plural(left, noun)))
}

/// One task; `several` requests may have had to do with it.
fn block(out: &mut Lines, explained: &Explained<'_>, several: bool) {
    let record = &explained.seen.now;
    let task = marked(explained.task);
    if !explained.happened() {
        out.add(0, format_args!("{task}: nothing happened to it"));
        return;
    }
    let reason = marked(&record.reason);
    let last = if several { format!(" in request {}", record.request) } else { String::new() };
    out.add(0, format_args!("{task}: {}{last}, because {reason}", words::decision(record)));
    for (name, path) in &record.outputs {
        out.add(1, format_args!("{name}: {path}"));
    }
    if record.decision == Decision::Built {
        let (wall, cpu) = (record.wall_ms, record.cpu_ms);
        out.add(1, format_args!("its builder took {wall} ms ({cpu} ms of processor time)"));
    }
    let causes = &explained.causes;
    causes.iter().take(LISTED).for_each(|cause| one(out, cause));
    more(causes.len(), LISTED, "cause").iter().for_each(|line| out.add(1, format_args!("{line}")));
    let ran = matches!(record.decision, Decision::Built | Decision::Failed);
    if let Some(effect) = words::effect(explained.effect).filter(|_| ran) {
        out.add(1, format_args!("{effect}"));
    }
    if let Some(stop) = words::stop(&explained.stop).filter(|_| explained.is_news()) {
        out.add(1, format_args!("what would have stopped it: {stop}"));
    }
}

fn one(out: &mut Lines, cause: &Cause) {
    match cause {
        Cause::New | Cause::Told(_) => {}
        Cause::Input { task, outputs } if outputs.is_empty() => {
            out.add(1, format_args!("it uses other outputs of its input {}", marked(task)));
        }
        Cause::Input { task, outputs } => {
            for output in outputs {
                let which = match outputs.len() {
                    1 => String::new(),
                    _ => format!(" ({})", output.new.name()),
                };
                let found = words::found(output);
                out.add(1, format_args!("its input {}{which}: {found}", marked(task)));
                files(out, output);
            }
        }
        Cause::AddedInput(task) => out.add(1, format_args!("it has a new input: {}", marked(task))),
        Cause::RemovedInput(task) => {
            out.add(1, format_args!("it no longer has the input {}", marked(task)));
        }
        Cause::Source { origin, object } => {
            let from =
                origin.as_deref().map(|origin| format!(", read from {}", words::near(origin)));
            let (name, found) = (object.new.name(), words::found(object));
            out.add(1, format_args!("its source {name}{}: {found}", from.unwrap_or_default()));
            files(out, object);
        }
        Cause::AddedSource { path, origin } => {
            let from =
                origin.as_deref().map(|origin| format!(", read from {}", words::near(origin)));
            out.add(
                1,
                format_args!("it has a new source: {}{}", path.name(), from.unwrap_or_default()),
            );
        }
        Cause::RemovedSource(path) => {
            out.add(1, format_args!("it no longer has the source {}", path.name()));
        }
        Cause::Instructions(changes) if changes.is_empty() => {
            out.add(1, format_args!("its instructions differ; in what, is not kept"));
        }
        Cause::Instructions(changes) => changes.iter().for_each(|change| instruction(out, change)),
        Cause::Passed(task) => {
            out.add(1, format_args!("its input {} is what it was", marked(task)));
        }
    }
}

fn files(out: &mut Lines, comparison: &Comparison) {
    let Found::Files(found) = &comparison.found else { return };
    for change in found.files.iter().filter(|change| !change.names_only).take(LISTED) {
        out.add(2, format_args!("{}", words::file(change)));
    }
    let real = usize::try_from(found.real).unwrap_or(usize::MAX);
    more(real, LISTED, "file").iter().for_each(|line| out.add(2, format_args!("{line}")));
}

fn instruction(out: &mut Lines, change: &Change) {
    let field = words::field(&change.field);
    let texts = match (&change.old, &change.new) {
        (Some(Value::Text(old)), Some(Value::Text(new)))
            if old.contains('\n') || new.contains('\n') =>
        {
            Some((old, new))
        }
        _ => None,
    };
    let Some((old, new)) = texts else {
        let (old, new) = (words::value(change.old.as_ref()), words::value(change.new.as_ref()));
        out.add(1, format_args!("{field}: {old} -> {new}"));
        return;
    };
    out.add(1, format_args!("{field}:"));
    let diff = TextDiff::from_lines(old.as_str(), new.as_str());
    let changes = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    let lines: Vec<String> = changes
        .map(|change| {
            format!("{}{}", change.tag(), marked_line(change.value().trim_end().as_bytes()))
        })
        .collect();
    for line in lines.iter().take(DIFF_LINES) {
        out.add(2, format_args!("{line}"));
    }
    more(lines.len(), DIFF_LINES, "line")
        .iter()
        .for_each(|line| out.add(2, format_args!("{line}")));
}
