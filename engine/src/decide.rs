//! From what became of every node to decision records: what was decided, by which input, and
//! what stood there before. The only place where decisions are named.

use std::collections::BTreeMap;
use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use rustc_hash::FxHashMap;

use crate::graph::{Graph, NodeIx};
use crate::ids::Ids;
use crate::ledger::{Cause, Cutoff, Entry, Short};
use crate::recipe::Kind;
use crate::record::{CutoffKind, DecidedBy, Decision, Record, When};
use crate::resolve::Outputs;
use crate::schedule::{Outcome, State};

/// Where the former records of a rebuilder's tasks come from, and differences between objects.
pub trait Past {
    /// The record that the last request left for this task.
    fn record(&self, task: &str) -> Option<Record>;
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
    /// Whether the former record says the same, or with the ledger's entry does.
    pub recorded: bool,
    /// The record that this one replaces, as it was written.
    pub former: Option<Record>,
}

/// What is to be decided about. The tables are by the graph's indices.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its task ids.
    pub tasks: &'a Ids,
    /// What stands for them in ledgers.
    pub short_tasks: &'a [Short],
    /// The digests of its recipes.
    pub recipes: &'a [Digest],
    /// Its deep digests.
    pub deep: &'a [Digest],
    /// What the ledgers say.
    pub entries: &'a [Option<Entry>],
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Whether every decision is to be given in full, and not only those to be recorded.
    pub full: bool,
}

/// What was decided.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Decisions in full.
    pub decided: Vec<Decided>,
    /// What the ledgers are to say, by index.
    pub entries: Vec<Entry>,
    /// How many derivations were decided how.
    pub tally: BTreeMap<Decision, u64>,
}

/// Decides about every node of a request.
pub fn decide(request: &Request<'_>, past: &dyn Past, now: When) -> Decisions {
    let news = vec![false; request.graph.len()];
    let mut view = View { request: *request, deep: Deep::All(request.deep), past, news };
    let mut decisions = Decisions::default();
    for (ix, _) in request.graph.nodes() {
        let (entry, decision, decided) = view.decide(ix, now);
        decisions.entries.push(entry);
        *decisions.tally.entry(decision).or_default() += 1;
        decisions.decided.extend(decided);
    }
    decisions
}

/// Decides about nodes that were edited, in a request whose former one was complete and in which no
/// output is another one; `deep` holds their deep digests and `news` is true of them and of all above.
pub(crate) fn decide_edited(
    request: &Request<'_>,
    deep: &FxHashMap<NodeIx, Digest>,
    news: Vec<bool>,
    past: &dyn Past,
    now: When,
) -> Vec<(NodeIx, Entry, Decision, Option<Decided>)> {
    let mut view = View { request: *request, deep: Deep::Of(deep), past, news };
    let mut edited: Vec<NodeIx> = deep.keys().copied().collect();
    edited.sort_unstable();
    let decide = |ix| {
        let facts = view.facts(ix);
        let former = past.record(&request.tasks[NodeIx::index(ix)]);
        let changed = former.is_some();
        let (entry, decision, decided) =
            view.decide_by_record(ix, former.clone(), former, None, changed, facts, now);
        (ix, entry, decision, decided)
    };
    edited.into_iter().map(decide).collect()
}

/// The deep digests.
#[derive(Clone, Copy)]
enum Deep<'a> {
    /// Of all nodes.
    All(&'a [Digest]),
    /// Of those that are decided about.
    Of(&'a FxHashMap<NodeIx, Digest>),
}

/// What the ledger is to say, the decision, and all about it if somebody wants to know.
type Verdict = (Entry, Decision, Option<Decided>);

struct View<'a> {
    request: Request<'a>,
    deep: Deep<'a>,
    past: &'a dyn Past,
    /// Whether the unresolved key is not what it was, of the nodes so far.
    news: Vec<bool>,
}

impl View<'_> {
    fn decide(&mut self, ix: NodeIx, now: When) -> Verdict {
        let facts = self.facts(ix);
        match self.request.entries[ix.index()] {
            Some(entry) if self.stands(ix, &entry, facts) => self.decide_by_ledger(ix, entry, now),
            entry => {
                let replaced = self.past.record(&self.request.tasks[ix.index()]);
                let mut former = replaced.clone();
                let changed = former.as_mut().is_some_and(|former| match entry {
                    Some(entry) => {
                        entry.complete(former);
                        entry.unresolved != self.deep(ix).into()
                    }
                    None => former.unresolved != self.deep(ix),
                });
                self.decide_by_record(ix, replaced, former, entry, changed, facts, now)
            }
        }
    }

    fn deep(&self, ix: NodeIx) -> Digest {
        match self.deep {
            Deep::All(deep) => deep[ix.index()],
            Deep::Of(deep) => deep[&ix],
        }
    }

    /// Whether all that a record would say, its unresolved key apart, is what it said before.
    fn stands(&self, ix: NodeIx, entry: &Entry, facts: Short) -> bool {
        match self.request.outcome.states[ix.index()] {
            State::Present | State::Known => entry.facts == Some(facts),
            State::Waiting | State::Missed => entry.facts.is_some() && !self.request.full,
            _ => false,
        }
    }

    /// What stands for all that a record says about a node, its unresolved key apart.
    fn facts(&self, ix: NodeIx) -> Short {
        let at = ix.index();
        let Request { graph, recipes, outcome, short_tasks, .. } = self.request;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&recipes[at].0);
        if let Some(outputs) = &outcome.outputs[at] {
            for dep in graph.node(ix).deps {
                hasher.update(short_tasks[dep.index()].bytes());
            }
            match outcome.keys[at].filter(|_| !outcome.addressed[at]) {
                // The key is made of the inputs' paths.
                Some(key) => {
                    hasher.update(&key.0);
                }
                None => {
                    let inputs =
                        (0..graph.node(ix).deps.len()).flat_map(|nth| self.inputs(ix, nth));
                    inputs.for_each(|path| {
                        hasher.update(path.as_str().as_bytes());
                    });
                }
            }
            for path in outputs.values() {
                hasher.update(path.as_str().as_bytes());
            }
        }
        Digest(*hasher.finalize().as_bytes()).into()
    }

    /// Decides about a node about which at most its unresolved key is new.
    fn decide_by_ledger(&mut self, ix: NodeIx, former: Entry, now: When) -> Verdict {
        let at = ix.index();
        let unresolved = self.deep(ix).into();
        let changed = former.unresolved != unresolved;
        self.news[at] = changed;
        let cause = match self.request.outcome.states[at] {
            State::Present | State::Known => self.cause(ix),
            _ => Cause::Unneeded,
        };
        let cutoff = match changed {
            true => Some(Cutoff { at: now.at, request: now.request, cause }),
            false => former.cutoff,
        };
        // As with a record: without a result there is nothing to compare with next time.
        let has_result = self.request.outcome.outputs[at].is_some();
        let unresolved = if has_result { unresolved } else { former.unresolved };
        let entry = Entry { unresolved, facts: former.facts, cutoff };
        let decided = self.request.full.then(|| {
            let mut record = self.record(ix, None, now);
            match changed {
                true => entry.complete(&mut record),
                false => record.reason = UNCHANGED.to_owned(),
            }
            let task = Arc::from(&self.request.tasks[at]);
            Decided { node: ix, task, record, unchanged: true, recorded: true, former: None }
        });
        let decision = if changed { Decision::Cutoff } else { Decision::Reused };
        (entry, decision, decided)
    }

    /// Decides about a node by comparing it with its former record, which is also given as it was
    /// written.
    #[expect(clippy::too_many_arguments, reason = "all that is known of one node")]
    fn decide_by_record(
        &mut self,
        ix: NodeIx,
        replaced: Option<Record>,
        former: Option<Record>,
        entry: Option<Entry>,
        changed: bool,
        facts: Short,
        now: When,
    ) -> Verdict {
        let at = ix.index();
        let Request { tasks, outcome, .. } = self.request;
        let unresolved = self.deep(ix).into();
        let former = former.as_ref();
        self.news[at] = changed || former.is_none();
        let (decision, kind, reason, decided_by) = self.explain(ix, former, changed);
        let now = self.record(ix, former, now);
        let unchanged = outcome.outputs[at].is_some()
            && former.is_some_and(|former| former.outputs == now.outputs);
        // What a task was compared with before stays what it is compared with next time, until
        // there is a result to compare.
        let lasting = former.filter(|_| outcome.outputs[at].is_none() || is_failure(decision));
        let compared = lasting.map(|former| match entry {
            Some(entry) => entry.unresolved,
            None => former.unresolved.into(),
        });
        let record = match lasting {
            Some(former) => Record { at: now.at, request: now.request, ..former.clone() },
            None => now,
        };
        let record = Record { decision, kind, reason, decided_by, ..record };
        // A derivation that was reused leaves the record of what last happened to it.
        let recorded = decision == Decision::Reused
            && !changed
            && former.is_some_and(|former| {
                !is_failure(former.decision)
                    && former.recipe == record.recipe
                    && former.outputs == record.outputs
                    && former.inputs == record.inputs
            });
        let entry = Entry {
            unresolved: compared.unwrap_or(unresolved),
            facts: Some(facts).filter(|_| !is_failure(decision)),
            cutoff: entry.and_then(|entry| entry.cutoff).filter(|_| recorded),
        };
        let decided = (self.request.full || !recorded).then(|| Decided {
            node: ix,
            task: Arc::from(&tasks[at]),
            record,
            unchanged,
            recorded,
            former: replaced,
        });
        (entry, decision, decided)
    }

    /// The facts about a node as they are now; the decision is still open.
    fn record(&self, ix: NodeIx, former: Option<&Record>, now: When) -> Record {
        let at = ix.index();
        let Request { graph, tasks, recipes, outcome, .. } = self.request;
        let node = graph.node(ix);
        let cost = match &outcome.states[at] {
            State::Built(cost) => (cost.wall_ms, cost.cpu_ms),
            _ => former.map_or((0, 0), |former| (former.wall_ms, former.cpu_ms)),
        };
        let inputs = node
            .deps
            .iter()
            .enumerate()
            .map(|(nth, dep)| (tasks[dep.index()].to_string(), self.input_paths(ix, nth)));
        Record {
            unresolved: self.deep(ix),
            recipe: recipes[at],
            resolved: outcome.keys[at],
            outputs: outcome.outputs[at].as_deref().cloned().unwrap_or_default(),
            inputs: inputs.collect(),
            sources: node.recipe.text().sources.iter().cloned().collect(),
            decision: Decision::Reused,
            kind: None,
            reason: String::new(),
            decided_by: None,
            wall_ms: cost.0,
            cpu_ms: cost.1,
            at: now.at,
            request: now.request,
        }
    }

    /// The paths of an input that the node uses, as far as they are known.
    fn inputs(&self, ix: NodeIx, nth: usize) -> impl Iterator<Item = &StorePath> {
        let Request { graph, outcome, .. } = self.request;
        let node = graph.node(ix);
        let outputs: Option<&Outputs> = outcome.outputs[node.deps[nth].index()].as_deref();
        let used = node.recipe.deps[nth].outputs.iter();
        used.filter_map(move |name| outputs?.get(name))
    }

    fn input_paths(&self, ix: NodeIx, nth: usize) -> Vec<StorePath> {
        self.inputs(ix, nth).cloned().collect()
    }

    fn explain(
        &self,
        ix: NodeIx,
        former: Option<&Record>,
        changed: bool,
    ) -> (Decision, Option<CutoffKind>, String, Option<DecidedBy>) {
        let Request { tasks, outcome, .. } = self.request;
        match &outcome.states[ix.index()] {
            State::Built(_) => {
                let (mut reason, by) = self.why_built(ix, former);
                reason.extend(self.divergence(ix));
                (Decision::Built, None, reason, by)
            }
            State::Failed(failure) => {
                let (reason, by) = self.why_built(ix, former);
                (Decision::Failed, None, format!("{reason}; {failure}"), by)
            }
            State::Skipped(cause) => {
                let task = tasks[cause.index()].to_string();
                let reason = format!("its input '{task}' has no outputs");
                (Decision::Skipped, None, reason, Some(DecidedBy { input: task, file: None }))
            }
            State::Present | State::Known if outcome.finds.targets.contains_key(&ix) => {
                let target = outcome.finds.targets[&ix];
                let task = tasks[target.index()].to_string();
                let outputs = outcome.outputs[ix.index()].as_deref();
                let stays = changed && former.map(|former| &former.outputs) == outputs;
                let decision = if stays { Decision::Cutoff } else { Decision::Reused };
                let reason = format!("it stands for an output of '{task}'");
                let by = Some(DecidedBy { input: task, file: None });
                (decision, stays.then_some(CutoffKind::Byte), reason, by)
            }
            State::Present | State::Known if changed => {
                let (reason, by) = self.why_cut_off(ix, former);
                (Decision::Cutoff, Some(CutoffKind::Byte), reason, by)
            }
            State::Waiting | State::Missed => {
                let decision = if changed { Decision::Cutoff } else { Decision::Reused };
                let (reason, by) = self.in_words(ix, Cause::Unneeded);
                (decision, changed.then_some(CutoffKind::Byte), reason, by)
            }
            State::Present | State::Known => {
                let reason = match former {
                    Some(_) => UNCHANGED,
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

    /// That its builder gave something else than before, if it did.
    fn divergence(&self, ix: NodeIx) -> Option<String> {
        let mut divergences = self.request.outcome.divergences.iter();
        let divergence = divergences.find(|divergence| divergence.node == ix)?;
        let mut outputs = divergence.before.iter();
        let (_, path) = outputs.find(|(name, path)| divergence.now.get(*name) != Some(path))?;
        Some(format!("; it is not deterministic: it gave {path} before"))
    }

    /// Why a builder had to run: the first thing that differs from the former record.
    fn why_built(&self, ix: NodeIx, former: Option<&Record>) -> (String, Option<DecidedBy>) {
        let Some(former) = former else {
            return ("it was never built here before".to_owned(), None);
        };
        let Request { graph, tasks, recipes, .. } = self.request;
        let node = graph.node(ix);
        for (nth, dep) in node.deps.iter().enumerate() {
            let task = &tasks[dep.index()];
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
        let text = node.recipe.text();
        let sources = &text.sources;
        if let Some(new) = sources.iter().find(|new| !former.sources.contains(new)) {
            let old = former
                .sources
                .iter()
                .find(|old| old.name() == new.name() && !sources.contains(*old));
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
        if former.recipe != recipes[ix.index()] {
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
        let resolved = self.request.outcome.keys[ix.index()];
        let moved = |former: &Record| former.resolved.is_some() && former.resolved != resolved;
        if resolved.is_some() && former.is_some_and(moved) {
            return (
                "the build trace knows this resolved derivation from an earlier build".to_owned(),
                None,
            );
        }
        self.in_words(ix, self.cause(ix))
    }

    /// Why nothing had to run, where its inputs are what they were.
    fn cause(&self, ix: NodeIx) -> Cause {
        let node = self.request.graph.node(ix);
        if node.recipe.is_dynamic() {
            // Whatever became of who makes it.
            return Cause::Stored;
        }
        match node.deps.iter().position(|dep| self.news[dep.index()]) {
            Some(nth) => Cause::Input(nth as u32),
            None if matches!(node.recipe.kind, Kind::Fixed(_)) => Cause::Given,
            None => Cause::Stored,
        }
    }

    fn in_words(&self, ix: NodeIx, cause: Cause) -> (String, Option<DecidedBy>) {
        let deps = self.request.graph.node(ix).deps;
        cause.explain(|nth| self.request.tasks[deps[nth].index()].to_string())
    }
}

/// The reason of a derivation that is what it was, in all it depends on.
const UNCHANGED: &str = "nothing about it changed";

/// Whether a decision leaves a task without a result.
fn is_failure(decision: Decision) -> bool {
    matches!(decision, Decision::Failed | Decision::Skipped | Decision::Cancelled)
}
