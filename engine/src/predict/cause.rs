//! Why each derivation may run that is not known to stand: what differs from what was last built,
//! as far as that can be known before anything runs. Says nothing of how likely it is.

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use rustc_hash::FxHashSet;

use super::book::{Book, Cell, Change, Key};
use super::edit::Edits;
use crate::decide::{Decided, Past};
use crate::graph::{Graph, NodeIx, Shape};
use crate::rebuilder::Strategy;
use crate::recipe::Kind;
use crate::record::Record;
use crate::schedule::Outcome;

/// What is to be predicted. Of the outcome only what was known before anything ran is looked at.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its shape.
    pub shape: &'a Shape,
    /// The digests of its recipes.
    pub recipes: &'a [Digest],
    /// Bounds, addresses, and the outputs that were known.
    pub outcome: &'a Outcome,
    /// What was decided; looked at for those whose outputs were known.
    pub decided: &'a [Decided],
    /// The records from before the request.
    pub past: &'a dyn Past,
    /// What an edit of sources changes.
    pub edits: &'a dyn Edits,
    /// The rebuilder.
    pub strategy: Strategy,
}

/// How a derivation stands before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It will run.
    Certain,
    /// It is not resolved, since some input's outputs are not known.
    Waiting,
    /// Its outputs are known and gone: it runs if somebody who runs needs them.
    Wanted,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// There is no result of it yet.
    New,
    /// Its own instructions, or what a source of it holds.
    Edited(Change, Option<StorePath>),
    /// What is known of an input; which, where it can be told.
    Input(Option<NodeIx>),
    /// Nothing; its outputs are gone.
    Lost,
    /// Nothing so far: that depends on what comes out below.
    Below,
}

impl Cause {
    /// The kind of change that its output may differ by; none where there is nothing to compare
    /// with, or nothing differs.
    pub fn change(&self) -> Option<Change> {
        match self {
            Cause::Edited(change, _) => Some(*change),
            Cause::Input(_) | Cause::Below => Some(Change::Input),
            Cause::New | Cause::Lost => None,
        }
    }
}

/// A derivation that may run.
#[derive(Debug, Clone)]
pub struct Affected {
    /// Which.
    pub ix: NodeIx,
    /// What its task is known by.
    pub task: Key,
    /// What its name is known by.
    pub name: Key,
    /// How it stands.
    pub standing: Standing,
    /// What differs.
    pub cause: Cause,
    /// What is known of the task.
    pub own: Cell,
    /// What is known of all of its name.
    pub kin: Cell,
    /// Whether the book does not know the task, though there is a record of it: it lost a row.
    pub unlisted: bool,
}

/// Those that may run, inputs first.
pub fn affected(request: &Request<'_>, book: &Book<'_>) -> Vec<Affected> {
    let Request { outcome, .. } = request;
    let certain = outcome.certain.iter().map(|&ix| (ix, Standing::Certain));
    let wanted: FxHashSet<NodeIx> = outcome.wanted.iter().copied().collect();
    let standing = |ix| if wanted.contains(&ix) { Standing::Wanted } else { Standing::Waiting };
    let possible = outcome.possible.iter().map(|&ix| (ix, standing(ix)));
    let mut all: Vec<(NodeIx, Standing)> = certain.chain(possible).collect();
    all.sort_unstable_by_key(|(ix, _)| *ix);
    let may_run: FxHashSet<NodeIx> = all.iter().map(|(ix, _)| *ix).collect();
    let is_known = |ix: NodeIx| {
        outcome.outputs[ix.index()].is_some()
            && (outcome.addressed[ix.index()] || wanted.contains(&ix) || !may_run.contains(&ix))
    };
    let moved = request.decided.iter().filter(|decided| !decided.unchanged);
    let moved = moved.map(|decided| decided.node).filter(|&ix| is_known(ix)).collect();
    let view = View { request: *request, book, is_known: &is_known, moved };
    all.into_iter().map(|(ix, standing)| view.look_at(ix, standing)).collect()
}

struct View<'a> {
    request: Request<'a>,
    book: &'a Book<'a>,
    /// Whether what a node's outputs are was known before anything ran.
    is_known: &'a dyn Fn(NodeIx) -> bool,
    /// Nodes whose outputs are known not to be what they were.
    moved: FxHashSet<NodeIx>,
}

impl View<'_> {
    fn look_at(&self, ix: NodeIx, standing: Standing) -> Affected {
        let Request { graph, shape, past, .. } = self.request;
        let id = &shape.tasks[ix.index()];
        let task = Key::of_task(shape.short_tasks[ix.index()]);
        let name = Key::of_name(&graph.node(ix).recipe.name);
        let (cell, kin) = (self.book.cell(task), self.book.cell(name));
        let record = if cell.is_none() { past.record(id) } else { None };
        let unlisted = record.is_some();
        let cell = cell.or_else(|| record.as_ref().map(listed));
        // It may have been part of other requests, where its task has another id.
        let cause = match cell.or(kin) {
            None => Cause::New,
            _ if standing == Standing::Wanted => Cause::Lost,
            Some(known) => self.cause(ix, known.recipe, standing, record),
        };
        let (own, kin) = (cell.unwrap_or_default(), kin.unwrap_or_default());
        Affected { ix, task, name, standing, cause, own, kin, unlisted }
    }

    fn cause(&self, ix: NodeIx, mark: u32, standing: Standing, record: Option<Record>) -> Cause {
        let Request { graph, shape, recipes, past, edits, .. } = self.request;
        let node = graph.node(ix);
        let record = || record.or_else(|| past.record(&shape.tasks[ix.index()]));
        if Cell::mark(&recipes[ix.index()]) != mark {
            let Some(former) = record() else {
                return Cause::Edited(Change::Instructions, None);
            };
            let text = node.recipe.text();
            let sources = &text.sources;
            let new: Vec<&StorePath> =
                sources.iter().filter(|path| !former.sources.contains(path)).collect();
            let old: Vec<&StorePath> =
                former.sources.iter().filter(|path| !sources.contains(*path)).collect();
            let change = match (old.is_empty(), new.is_empty()) {
                (true, true) => Change::Instructions,
                _ => edits.change(&old, &new),
            };
            return Cause::Edited(change, new.first().map(|path| (*path).clone()));
        }
        if standing == Standing::Waiting && !node.deps.iter().any(|dep| self.moved.contains(dep)) {
            return Cause::Below;
        }
        let Some(former) = record() else { return Cause::Input(None) };
        match self.differing_input(ix, &former) {
            // Other sources, which it has by hash.
            Some(dep) if matches!(graph.node(dep).recipe.kind, Kind::Fixed(_)) => {
                Cause::Edited(Change::Source, None)
            }
            Some(dep) => Cause::Input(Some(dep)),
            None if standing == Standing::Waiting => Cause::Below,
            None if former.outputs.is_empty() => Cause::New,
            None => Cause::Lost,
        }
    }

    /// The first input that is known not to be what the record was made with.
    fn differing_input(&self, ix: NodeIx, former: &Record) -> Option<NodeIx> {
        let Request { graph, outcome, .. } = self.request;
        let node = graph.node(ix);
        let differs = |(nth, dep): &(usize, &NodeIx)| {
            let (true, Some(outputs)) = ((self.is_known)(**dep), &outcome.outputs[dep.index()])
            else {
                return false;
            };
            let used = node.recipe.deps[*nth].outputs.iter();
            let now: Vec<&StorePath> = used.filter_map(|name| outputs.get(name)).collect();
            let before = former.inputs.get(*nth).map(|(_, paths)| paths.as_slice());
            !before.unwrap_or_default().iter().eq(now)
        };
        node.deps.iter().enumerate().find(differs).map(|(_, dep)| *dep)
    }
}

/// What a cell can be told by a record.
fn listed(record: &Record) -> Cell {
    let mut cell = Cell { recipe: Cell::mark(&record.recipe), ..Cell::default() };
    if record.wall_ms > 0 {
        cell.wall.add(super::pace::log_ms(record.wall_ms));
        cell.cpu.add(super::pace::log_ms(record.cpu_ms));
    }
    cell
}
