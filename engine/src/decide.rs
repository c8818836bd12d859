//! From what became of every node to decision records: what was decided, by which input, and
//! what stood there before. The only place where decisions are named.

use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::StorePath;

use crate::graph::{Graph, NodeIx};
use crate::rebuilder::Strategy;
use crate::recipe::Kind;
use crate::record::{CutoffKind, DecidedBy, Decision, Record};
use crate::schedule::{Outcome, State};

/// Where former records and differences come from.
pub trait Past {
    /// The record that the last request left for this task.
    fn record(&self, strategy: Strategy, task: &str) -> Option<Record>;
    /// The first file that differs between two objects.
    fn first_difference(&self, old: &StorePath, new: &StorePath) -> Option<String>;
}

/// The decision about one node.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Which node.
    pub node: NodeIx,
    /// Its task id.
    pub task: Arc<str>,
    /// The record to be kept.
    pub record: Record,
    /// Whether the outputs equal those of the former record.
    pub unchanged: bool,
    /// Whether the former record said the same, so that nothing need be written.
    pub recorded: bool,
}

/// What is to be decided about.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its task ids.
    pub tasks: &'a [Arc<str>],
    /// The digests of its recipes.
    pub recipes: &'a [Digest],
    /// Its deep digests.
    pub deep: &'a [Digest],
    /// What became of it.
    pub outcome: &'a Outcome,
    /// The rebuilder in force.
    pub strategy: Strategy,
}

/// Decides about every node of a request.
pub fn decide(request: &Request<'_>, past: &dyn Past, now: u64) -> Vec<Decided> {
    let former: Vec<Option<Record>> =
        request.tasks.iter().map(|task| past.record(request.strategy, task)).collect();
    let &Request { graph, tasks, recipes, deep, outcome, .. } = request;
    let view = View { graph, outcome, recipes, deep, tasks, former: &former, past };
    graph.nodes().map(|(ix, _)| view.decide(ix, now)).collect()
}

struct View<'a> {
    graph: &'a Graph,
    outcome: &'a Outcome,
    recipes: &'a [Digest],
    deep: &'a [Digest],
    tasks: &'a [Arc<str>],
    former: &'a [Option<Record>],
    past: &'a dyn Past,
}

impl View<'_> {
    fn decide(&self, ix: NodeIx, now: u64) -> Decided {
        let at = ix.index();
        let former = self.former[at].as_ref();
        let (decision, kind, reason, decided_by) = self.explain(ix, former);
        let now = self.record(ix, former, now);
        let unchanged = self.outcome.outputs[at].is_some()
            && former.is_some_and(|former| former.outputs == now.outputs);
        let record = match former {
            // What a task was compared with before stays what it is compared with next time,
            // until there is a result to compare.
            Some(former) if self.outcome.outputs[at].is_none() || is_failure(decision) => {
                Record { at: now.at, ..former.clone() }
            }
            _ => now,
        };
        let record = Record { decision, kind, reason, decided_by, ..record };
        // A derivation that was reused leaves the record of what last happened to it.
        let recorded = decision == Decision::Reused
            && former.is_some_and(|former| {
                !is_failure(former.decision)
                    && former.unresolved == record.unresolved
                    && former.outputs == record.outputs
                    && former.inputs == record.inputs
            });
        Decided { node: ix, task: Arc::clone(&self.tasks[at]), record, unchanged, recorded }
    }

    /// The facts about a node as they are now; the decision is still open.
    fn record(&self, ix: NodeIx, former: Option<&Record>, now: u64) -> Record {
        let at = ix.index();
        let node = self.graph.node(ix);
        let cost = match &self.outcome.states[at] {
            State::Built(cost) => (cost.wall_ms, cost.cpu_ms),
            _ => former.map_or((0, 0), |former| (former.wall_ms, former.cpu_ms)),
        };
        let inputs = node
            .deps
            .iter()
            .enumerate()
            .map(|(nth, dep)| (self.tasks[dep.index()].to_string(), self.input_paths(ix, nth)));
        Record {
            unresolved: self.deep[at],
            recipe: self.recipes[at],
            resolved: self.outcome.keys[at],
            outputs: self.outcome.outputs[at].as_deref().cloned().unwrap_or_default(),
            inputs: inputs.collect(),
            sources: node.recipe.sources.iter().cloned().collect(),
            decision: Decision::Reused,
            kind: None,
            reason: String::new(),
            decided_by: None,
            wall_ms: cost.0,
            cpu_ms: cost.1,
            at: now,
        }
    }

    /// The paths of an input that the node uses, as far as they are known.
    fn input_paths(&self, ix: NodeIx, nth: usize) -> Vec<StorePath> {
        let node = self.graph.node(ix);
        let outputs = self.outcome.outputs[node.deps[nth].index()].as_deref();
        let used = node.recipe.deps[nth].outputs.iter();
        used.filter_map(|name| outputs?.get(name).cloned()).collect()
    }

    fn explain(
        &self,
        ix: NodeIx,
        former: Option<&Record>,
    ) -> (Decision, Option<CutoffKind>, String, Option<DecidedBy>) {
        let at = ix.index();
        let changed = former.is_some_and(|former| former.unresolved != self.deep[at]);
        match &self.outcome.states[at] {
            State::Built(_) => {
                let (reason, by) = self.why_built(ix, former);
                (Decision::Built, None, reason, by)
            }
            State::Failed(failure) => {
                let (reason, by) = self.why_built(ix, former);
                (Decision::Failed, None, format!("{reason}; {failure}"), by)
            }
            State::Skipped(cause) => {
                let task = self.tasks[cause.index()].to_string();
                let reason = format!("its input '{task}' has no outputs");
                (Decision::Skipped, None, reason, Some(DecidedBy { input: task, file: None }))
            }
            State::Present | State::Known if changed => {
                let (reason, by) = self.why_cut_off(ix, former);
                (Decision::Cutoff, Some(CutoffKind::Byte), reason, by)
            }
            State::Waiting | State::Missed if changed => {
                let reason = "nothing that was asked for needs it".to_owned();
                (Decision::Cutoff, Some(CutoffKind::Byte), reason, None)
            }
            State::Waiting | State::Missed => {
                let reason = "nothing that was asked for needs it".to_owned();
                (Decision::Reused, None, reason, None)
            }
            State::Present | State::Known => {
                let reason = match former {
                    Some(_) => "nothing about it changed",
                    None => "its outputs were in the store or the build trace already",
                };
                (Decision::Reused, None, reason.to_owned(), None)
            }
            State::Blocked(_) | State::Ready | State::Running | State::Cancelled => (
                Decision::Cancelled,
                None,
                "the request ended before it could run".to_owned(),
                None,
            ),
        }
    }

    /// Why a builder had to run: the first thing that differs from the former record.
    fn why_built(&self, ix: NodeIx, former: Option<&Record>) -> (String, Option<DecidedBy>) {
        let Some(former) = former else {
            return ("it was never built here before".to_owned(), None);
        };
        let node = self.graph.node(ix);
        for (nth, dep) in node.deps.iter().enumerate() {
            let task = &*self.tasks[dep.index()];
            let Some((_, old)) = former.inputs.iter().find(|(old, _)| old == task) else {
                continue;
            };
            let new = self.input_paths(ix, nth);
            if *old != new {
                let pair = old.iter().zip(&new).find(|(old, new)| old != new);
                let file = pair.and_then(|(old, new)| self.past.first_difference(old, new));
                let reason = match &file {
                    Some(file) if !file.is_empty() => {
                        format!("its input '{task}' changed, first in {file}")
                    }
                    _ => format!("its input '{task}' changed"),
                };
                return (reason, Some(DecidedBy { input: task.to_owned(), file }));
            }
        }
        let sources: Vec<&StorePath> = node.recipe.sources.iter().collect();
        if let Some(new) = sources.iter().find(|new| !former.sources.contains(new)) {
            let old = former
                .sources
                .iter()
                .find(|old| old.name() == new.name() && !node.recipe.sources.contains(*old));
            let file = old.and_then(|old| self.past.first_difference(old, new));
            let reason = match (&file, old) {
                (Some(file), _) if !file.is_empty() => {
                    format!("its source '{}' changed, first in {file}", new.name())
                }
                (_, Some(_)) => format!("its source '{}' changed", new.name()),
                (_, None) => format!("it has a new source '{}'", new.name()),
            };
            return (reason, Some(DecidedBy { input: new.to_string(), file }));
        }
        if former.recipe != self.recipes[ix.index()] {
            return ("its instructions changed".to_owned(), None);
        }
        match former.decision {
            Decision::Failed => return ("it failed the last time".to_owned(), None),
            Decision::Skipped | Decision::Cancelled => {
                return ("it was not reached the last time".to_owned(), None);
            }
            _ => {}
        }
        ("its outputs were no longer in the store".to_owned(), None)
    }

    /// Why nothing had to run although something below changed.
    fn why_cut_off(&self, ix: NodeIx, former: Option<&Record>) -> (String, Option<DecidedBy>) {
        let node = self.graph.node(ix);
        let resolved = self.outcome.keys[ix.index()];
        let moved = |former: &Record| former.resolved.is_some() && former.resolved != resolved;
        if resolved.is_some() && former.is_some_and(moved) {
            return (
                "the build trace knows this resolved derivation from an earlier build".to_owned(),
                None,
            );
        }
        let changed = node.deps.iter().find(|dep| {
            let former = self.former[dep.index()].as_ref();
            former.is_none_or(|former| former.unresolved != self.deep[dep.index()])
        });
        match changed {
            Some(dep) => {
                let task = self.tasks[dep.index()].to_string();
                let reason = format!("its input '{task}' came out byte for byte as before");
                (reason, Some(DecidedBy { input: task, file: None }))
            }
            None if matches!(node.recipe.kind, Kind::Fixed(_)) => {
                ("its outputs are addressed by content that was given up front".to_owned(), None)
            }
            None => ("its outputs are in the store from an earlier build".to_owned(), None),
        }
    }
}

/// Whether a decision leaves a task without a result.
fn is_failure(decision: Decision) -> bool {
    matches!(decision, Decision::Failed | Decision::Skipped | Decision::Cancelled)
}
