//! Looking back: which record somebody means, and the chain of causes from it down to what
//! changed first. Pure over records; rendering is the command's.

use floe_core::path::StorePath;

use crate::record::Record;

/// The record that `what` names: a task id, its last attribute or derivation name (with or
/// without a version), or one of its outputs. The same derivation may be a task of several
/// requests: the newest word counts, then the exact name, then the shortest way.
pub fn find<'a>(
    records: &'a [(String, Record)],
    what: &str,
    path: Option<&StorePath>,
) -> Option<&'a (String, Record)> {
    records
        .iter()
        .filter(|(task, record)| {
            names(task, what)
                || path.is_some_and(|path| record.outputs.values().any(|out| out == path))
        })
        .max_by_key(|(task, record)| (record.at, task == what, std::cmp::Reverse(task.len())))
}

/// Whether `what` is a name of this task.
fn names(task: &str, what: &str) -> bool {
    let last = task.rsplit('/').next().unwrap_or(task);
    let version = |rest: &str| rest.strip_prefix('-').is_some_and(starts_with_digit);
    task == what
        || last == what
        || last.rsplit('.').next() == Some(what)
        || last.strip_prefix(what).is_some_and(version)
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// The record and what decided about it, and what decided about that, down to the first cause.
/// Ends where the cause is no task (a source, the instructions) or was seen before.
pub fn chain<'a>(
    records: &'a [(String, Record)],
    first: &'a (String, Record),
) -> Vec<&'a (String, Record)> {
    let mut chain = vec![first];
    while let Some(by) = chain.last().and_then(|(_, record)| record.decided_by.as_ref()) {
        match records.iter().find(|(task, _)| *task == by.input) {
            Some(next) if chain.iter().all(|(seen, _)| *seen != next.0) => chain.push(next),
            _ => break,
        }
    }
    chain
}
