//! Which task somebody means, and which tasks a wrong name is close to. Nothing is compared here but
//! names.

use floe_core::path::StorePath;

use crate::record::Record;

/// The record that `what` names: a task id, its last attribute or derivation name (with or
/// without a version), or one of its outputs. The same derivation may be a task of several
/// requests: the newest word counts, then the exact name, then the shortest way.
pub fn find<'a>(
    records: impl IntoIterator<Item = (&'a str, &'a Record)>,
    what: &str,
    path: Option<&StorePath>,
) -> Option<&'a str> {
    let is_meant = |(task, record): &(&str, &Record)| {
        names(task, what) || path.is_some_and(|path| record.outputs.values().any(|out| out == path))
    };
    let found = records.into_iter().filter(is_meant);
    let order = |(task, record): &(&str, &Record)| {
        (record.request, *task == what, std::cmp::Reverse(task.len()))
    };
    found.max_by_key(order).map(|(task, _)| task)
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

/// The names of tasks that a wrong name is close to, the closest first; at most three.
pub fn similar<'a>(tasks: impl IntoIterator<Item = &'a str>, what: &str) -> Vec<&'a str> {
    let mut close: Vec<(usize, &str)> = Vec::new();
    for task in tasks {
        let last = task.rsplit('/').next().unwrap_or(task);
        let version = last.rfind('-').filter(|at| starts_with_digit(&last[at + 1..]));
        let short = version.map_or(last, |at| &last[..at]);
        let attr = last.rsplit('.').next().unwrap_or(last);
        let names = [task, last, short, attr];
        let nearest = names.into_iter().map(|name| (strsim::osa_distance(name, what), name)).min();
        close.extend(nearest.filter(|(far, _)| *far * 3 <= what.len().max(3)));
    }
    close.sort_unstable();
    close.dedup();
    close.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        let tasks = ["small.zlib", "small.zlib/source", "small.libpng/libpng-1.6.50", "other"];
        let close = |what: &str| similar(tasks, what);
        assert_eq!(close("zlb"), ["zlib"]);
        assert_eq!(close("libpgn"), ["libpng"]);
        assert_eq!(close("ohter"), ["other"]);
        assert_eq!(close("smal.zlib"), ["small.zlib"]);
        assert_eq!(close("nothing"), Vec::<&str>::new());
    }
}
