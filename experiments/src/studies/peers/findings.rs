//! What a reader should take away, worded by what the figures say: first where a peer is ahead.

use super::cells::{Cells, Peak};
use super::rivals;
use super::system::{Kind, named};
use crate::stats::{duration, whole};

/// All of them, most interesting first.
pub fn findings(cells: &Cells) -> Vec<String> {
    let mut found = vec![rivals::all(cells)];
    found.extend(rivals::sandboxed(cells));
    found.extend(busy(cells));
    found.extend(unchanged(cells));
    found.extend(partial(cells));
    found.extend(undone(cells));
    found.extend(growth(cells));
    found.extend(cold(cells));
    found.extend(memory(cells));
    found
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What the machine did besides.
fn busy(cells: &Cells) -> Option<String> {
    let load = cells.load.filter(|load| *load > 1.5)?;
    Some(format!(
        "**Caveat**: the machine was busy with other work: {load:.1} processes wanted each core, where two jobs alone make 1. Counts \
         do not mind and processor times mind little; wall times are longer than they would be."
    ))
}

/// The size at which most systems were measured, the larger of equals.
fn fullest(cells: &Cells) -> Option<usize> {
    cells.sizes().into_iter().max_by_key(|size| (cells.systems(*size).len(), *size))
}

/// The titles of systems by whether they ran as few actions as possible.
fn by_actions(cells: &Cells, size: usize, edit: &str) -> (Vec<&'static str>, Vec<String>) {
    let (mut few, mut more) = (Vec::new(), Vec::new());
    for kind in cells.systems(size) {
        let Some(cell) = cells.get(size, kind.name, edit) else { continue };
        match cell.actions.1 <= cell.least {
            true => few.push(kind.title),
            false => more.push(format!("{} {}", kind.title, whole(cell.actions.1))),
        }
    }
    (few, more)
}

/// A comment.
fn unchanged(cells: &Cells) -> Option<String> {
    let size = fullest(cells)?;
    let (few, more) = by_actions(cells, size, "comment");
    let cost = |name: &str| {
        let cell = cells.get(size, name, "comment")?;
        Some(format!("{} {}", named(name)?.title, duration(cell.cpu.median)))
    };
    let costs: Vec<String> = ["floe", "floe-server", "ninja-restat", "bazel", "nix-content"]
        .into_iter()
        .filter_map(cost)
        .collect();
    Some(format!(
        "**A comment below {} actions**, which changes no output, runs one action in {}; the others run more: {}. One action \
         is not one price, in processor time: {}.",
        whole(size as f64),
        listed(&few),
        if more.is_empty() { "none".to_owned() } else { more.join(", ") },
        costs.join(", ")
    ))
}

/// A change of the output that few read.
fn partial(cells: &Cells) -> Option<String> {
    let size = fullest(cells)?;
    let (few, more) = by_actions(cells, size, "partial");
    let least = cells
        .systems(size)
        .into_iter()
        .find_map(|kind| cells.get(size, kind.name, "partial"))?
        .least;
    Some(format!(
        "**A change of the output that few read** needs {} of {} actions, and {} run no more; the others: {}. Here the two \
         outputs are declared apart in every system, which is the best that each can be told.",
        whole(least),
        whole(size as f64),
        listed(&few),
        if more.is_empty() { "none".to_owned() } else { more.join(", ") }
    ))
}

/// The real edit, undone.
fn undone(cells: &Cells) -> Option<String> {
    let size = fullest(cells)?;
    let measured: Vec<(&Kind, f64)> = cells
        .systems(size)
        .into_iter()
        .filter_map(|kind| Some((kind, cells.get(size, kind.name, "real undone")?.actions.1)))
        .collect();
    let of = |nothing: bool| -> Vec<&str> {
        let those = measured.iter().filter(|(_, actions)| (*actions == 0.0) == nothing);
        those.map(|(kind, _)| kind.title).collect()
    };
    let most = measured.iter().map(|(_, actions)| *actions).fold(0.0, f64::max);
    Some(format!(
        "**Undoing the real edit** ran nothing in {}, where what was built before is remembered; {} ran up to {} actions again. \
         Bazel would run none with a disk cache, which it has only when asked.",
        listed(&of(true)),
        listed(&of(false)),
        whole(most)
    ))
}

/// How times grow with the graph.
fn growth(cells: &Cells) -> Option<String> {
    let sizes = cells.sizes();
    let (first, last) = (*sizes.first()?, *sizes.last()?);
    if first == last {
        return None;
    }
    let exponent = |name: &str, edit: &str| {
        let at = |size| Some(cells.get(size, name, edit)?.cpu.median.max(0.01));
        let (low, high) = (at(first)?, at(last)?);
        Some((high / low).ln() / (last as f64 / first as f64).ln())
    };
    let line = |edit: &str| {
        let grown = cells
            .systems(last)
            .into_iter()
            .filter_map(|kind| Some(format!("{} {:.2}", kind.title, exponent(kind.name, edit)?)));
        grown.collect::<Vec<_>>().join(", ")
    };
    Some(format!(
        "**Growth** from {} to {} actions, as the exponent of the number of actions in processor time (0 stays, 1 doubles with \
         the graph): null build: {}; comment: {}.",
        whole(first as f64),
        whole(last as f64),
        line("null"),
        line("comment")
    ))
}

/// From nothing.
fn cold(cells: &Cells) -> Option<String> {
    let size = fullest(cells)?;
    let each = |kind: &&'static Kind| {
        let cell = cells.get(size, kind.name, "cold")?;
        Some((kind.title, cell.cpu.median / size as f64))
    };
    let systems = cells.systems(size);
    let boxed: Vec<&str> =
        systems.iter().filter(|kind| kind.sandboxed).map(|kind| kind.title).collect();
    let mut costs: Vec<(&str, f64)> = systems.iter().filter_map(each).collect();
    costs.sort_by(|a, b| a.1.total_cmp(&b.1));
    let costs: Vec<String> =
        costs.into_iter().map(|(title, ms)| format!("{title} {ms:.2} ms")).collect();
    Some(format!(
        "**Cold, an action costs** in processor time, the action's own process included, with {} actions: {}. In a sandbox: {}.",
        whole(size as f64),
        costs.join(", "),
        listed(&boxed)
    ))
}

/// What a process holds at most.
fn memory(cells: &Cells) -> Option<String> {
    let size = *cells.sizes().last()?;
    let peak = |kind: &'static Kind| match cells.get(size, kind.name, "null")?.peak {
        Peak::Mib(mib) => Some((kind.title, mib)),
        Peak::Below(_) => None,
    };
    let mut peaks: Vec<(&str, f64)> = cells.systems(size).into_iter().filter_map(peak).collect();
    peaks.sort_by(|a, b| a.1.total_cmp(&b.1));
    let peaks: Vec<String> =
        peaks.into_iter().map(|(title, mib)| format!("{title} {} MiB", whole(mib))).collect();
    (!peaks.is_empty()).then(|| {
        format!(
            "**Memory** of the largest process in a null build of {} actions, where it can be told; of a server, the most since it \
             began: {}.",
            whole(size as f64),
            peaks.join(", ")
        )
    })
}
