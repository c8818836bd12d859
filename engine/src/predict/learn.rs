//! After a request: what came of each derivation that might have run is compared with what was
//! said, and remembered. Nothing is predicted here.

use rustc_hash::FxHashSet;

use super::book::{Book, Cell, Key};
use super::cause::{Affected, Cause, Request, Standing};
use super::forecast::{Forecast, wall};
use super::pace::log_ms;
use super::score::Case;
use super::total::Layout;
use crate::decide::Decided;
use crate::graph::NodeIx;
use crate::job::Cost;
use crate::schedule::State;

/// Where more may run, the request's whole time is not laid out again to be scored: that would take
/// longer than a build that is cut off at once.
const TIMED: usize = 10_000;

/// Scores a forecast and learns from what happened; whether there was anything to score. The
/// forecast must be that of the book as it is. `jobs` is how many builders ran at a time.
pub fn learn(request: &Request<'_>, forecast: &Forecast, book: &mut Book<'_>, jobs: usize) -> bool {
    let is_small = forecast.affected.len() <= TIMED;
    let layout = if is_small { Layout::of(forecast, request, book, jobs) } else { None };
    let timed = layout.is_some_and(|layout| score_time(request, forecast, &layout, book));
    let scored = score(request, forecast, book);
    for node in &forecast.affected {
        if node.unlisted {
            book.update(node.task, |own| *own = node.own);
        }
        if let State::Built(cost) = request.outcome.states[node.ix.index()] {
            learn_pace(node, cost, book);
        }
    }
    learn_changes(request, forecast, book);
    scored || timed
}

/// Whether a node ran, where the request shows that.
fn fate(request: &Request<'_>, ix: NodeIx) -> Option<bool> {
    let at = ix.index();
    match request.outcome.states[at] {
        State::Cancelled => None,
        _ if request.outcome.start_ms[at].is_some() => Some(true),
        State::Known | State::Present => Some(false),
        // It was not needed, unless the request ended too early.
        State::Waiting | State::Missed => {
            request.outcome.is_complete(request.graph).then_some(false)
        }
        _ => None,
    }
}

fn score(request: &Request<'_>, forecast: &Forecast, book: &mut Book<'_>) -> bool {
    let mut cases = Vec::new();
    for (slot, node) in forecast.affected.iter().enumerate() {
        let Some(ran) = fate(request, node.ix) else { continue };
        match node.standing {
            Standing::Certain => {
                book.scores.certain += 1;
                book.scores.certain_ran += u64::from(ran);
            }
            // What was never built runs almost surely, and would flatter.
            _ if node.cause == Cause::New => {}
            _ => cases.push(Case { task: node.task, said: forecast.probability(slot), ran }),
        }
    }
    book.scores.add(&cases);
    !forecast.affected.is_empty()
}

/// Compares how long the builders of a request took with what was expected.
fn score_time(
    request: &Request<'_>,
    forecast: &Forecast,
    layout: &Layout<'_>,
    book: &mut Book<'_>,
) -> bool {
    let outcome = request.outcome;
    let ended = |node: &Affected| match outcome.states[node.ix.index()] {
        State::Built(cost) => Some(outcome.start_ms[node.ix.index()]? + cost.wall_ms),
        _ => None,
    };
    let started = |node: &Affected| outcome.start_ms[node.ix.index()];
    let first = forecast.affected.iter().filter_map(started).min();
    let last = forecast.affected.iter().filter_map(ended).max();
    let (Some(first), Some(last)) = (first, last) else { return false };
    if !outcome.is_complete(request.graph) {
        return false;
    }
    let ran = |slot: usize| started(&forecast.affected[slot]).is_some();
    let plain = layout.lay_out(ran, |wall| wall.at(0.0));
    let expected = layout.total(book.scores.times.excess()).wall_ms;
    book.scores.times.add(last - first, expected, plain.round() as u64);
    true
}

fn learn_pace(node: &Affected, cost: Cost, book: &mut Book<'_>) {
    if let Some((expected, true)) = wall(node, book) {
        book.scores.times.scattered(log_ms(cost.wall_ms) - expected.mean);
    }
    each(node, book, |cell| {
        cell.wall.add(log_ms(cost.wall_ms));
        cell.cpu.add(log_ms(cost.cpu_ms));
    });
}

/// Whether outputs came out otherwise, and what the recipes are by now.
fn learn_changes(request: &Request<'_>, forecast: &Forecast, book: &Book<'_>) {
    let mut changed: FxHashSet<NodeIx> = FxHashSet::default();
    for Decided { node: ix, record, unchanged, recorded, .. } in request.decided {
        if *recorded {
            continue;
        }
        if !unchanged && request.outcome.outputs[ix.index()].is_some() {
            changed.insert(*ix);
        }
        let mark = Cell::mark(&record.recipe);
        let task = Key::of_task(request.shape.short_tasks[ix.index()]);
        let name = Key::of_name(&request.graph.node(*ix).recipe.name);
        for key in [task, name] {
            if book.cell(key).is_none_or(|cell| cell.recipe != mark) {
                book.update(key, |cell| cell.recipe = mark);
            }
        }
    }
    for node in &forecast.affected {
        let deps = request.graph.node(node.ix).deps;
        let is_news = match node.cause {
            Cause::New | Cause::Lost => false,
            Cause::Edited(..) | Cause::Input(_) => true,
            Cause::Below => deps.iter().any(|dep| changed.contains(dep)),
        };
        let (true, Some(ran)) = (is_news, fate(request, node.ix)) else { continue };
        if node.standing == Standing::Waiting {
            each(node, book, |cell| cell.ran.add(ran));
        }
        let is_over = request.outcome.outputs[node.ix.index()].is_some();
        if let Some(change) = node.cause.change().filter(|_| is_over) {
            let differs = changed.contains(&node.ix);
            each(node, book, |cell| cell.odds_mut(change).add(differs));
        }
    }
}

/// What is learnt of a task is learnt of its name and of the store.
fn each(node: &Affected, book: &Book<'_>, learn: impl Fn(&mut Cell)) {
    [node.task, node.name, Key::ALL].into_iter().for_each(|key| book.update(key, &learn));
}
