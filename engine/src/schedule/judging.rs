//! Judging in the scheduler, for rebuilders that go by what they remember of tasks: a node waits for
//! what its judgement needs, and if it must run, for its inputs. It stands in the place of the look
//! into the build trace; demand and running are the same.

use std::collections::HashMap;
use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::StorePath;

use super::{Scheduler, State};
use crate::db::address;
use crate::graph::NodeIx;
use crate::rebuilder::Memo;
use crate::rebuilder::judge::{Case, Court, Judge, Remembered, Verdict};
use crate::rebuilder::memory::decode_number;
use crate::resolve::Outputs;

/// The time of a source on the host, in nanoseconds since 1970, where it has one.
pub type Times<'a> = &'a dyn Fn(&StorePath) -> Option<u64>;

/// The judgements of a request, and who waits for what.
pub(super) struct Judging<'a> {
    court: Court<'a>,
    /// What each node waits for.
    needs: Vec<Vec<NodeIx>>,
    /// Who waits for each node.
    watchers: Vec<Vec<NodeIx>>,
    /// What the keys of nodes that were kept denote.
    kept: HashMap<Digest, Arc<Outputs>>,
}

/// What a rebuilder remembers, in the memo.
struct Memories<'m> {
    memo: &'m dyn Memo,
    rebuilder: &'static str,
}

impl Remembered for Memories<'_> {
    fn memory(&self, task: &str) -> Option<Vec<u8>> {
        self.memo.memory(&key(self.rebuilder, task))
    }

    fn are_present(&self, outputs: &Outputs) -> bool {
        outputs.values().all(|path| self.memo.is_present(path))
    }
}

/// Where the memory of a task is kept; that of no task is the number of the last request.
fn key(rebuilder: &str, task: &str) -> Vec<u8> {
    format!("{rebuilder}\0{task}").into_bytes()
}

impl<'a> Scheduler<'a> {
    /// Opens the judgements, if the rebuilder goes by what it remembers.
    pub(super) fn open_court(&mut self, times: Times<'_>) {
        let rebuilder = self.strategy.rebuilder();
        let Some(judge) = rebuilder.judge() else { return };
        let memories = Memories { memo: &*self.memo, rebuilder: rebuilder.name() };
        let last = memories.memory("").map_or(0, |bytes| decode_number(&bytes));
        let nodes = self.graph.nodes();
        let own = nodes.map(|(ix, node)| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&node.recipe.digest().0);
            hasher.update(&self.times_of(ix, judge, times));
            Digest(*hasher.finalize().as_bytes())
        });
        let own = own.collect();
        let given = self
            .nodes
            .iter()
            .map(|&node| address(self.db, node).as_ref().map(|address| address.outputs.clone()));
        let given = given.collect();
        let (graph, tasks) = (self.graph, &self.shape.tasks);
        let court = Court::open(judge, Case { graph, tasks, last, own, given }, &memories);
        let empty = || vec![Vec::new(); graph.len()];
        self.judging =
            Some(Judging { court, needs: empty(), watchers: empty(), kept: HashMap::new() });
        self.forget_round();
    }

    /// The times of a node's sources, where they count.
    fn times_of(&self, ix: NodeIx, judge: Judge, times: Times<'_>) -> Vec<u8> {
        if !judge.times {
            return Vec::new();
        }
        let text = self.graph.node(ix).recipe.text();
        text.sources.iter().flat_map(|path| times(path).unwrap_or(0).to_le_bytes()).collect()
    }

    /// Judges a node, as far as can be known; `None` where no memory judges.
    pub(super) fn judge(&mut self, ix: NodeIx) -> Option<()> {
        let at = ix.index();
        let judging = self.judging.as_mut()?;
        let rebuilder = self.strategy.rebuilder().name();
        let memories = Memories { memo: &*self.memo, rebuilder };
        self.outputs[at] = None;
        match judging.court.judge(ix, &self.outputs, &memories) {
            Verdict::Keep(outputs) => {
                let outputs = self.kept(ix, outputs);
                self.know(ix, outputs);
                self.states[at] = State::Known;
                return Some(());
            }
            Verdict::Need(need) => {
                self.wait_for(ix, vec![need]);
                return Some(());
            }
            Verdict::Run => {}
        }
        let unknown = |dep: &&NodeIx| self.outputs[dep.index()].is_none();
        let mut unknown: Vec<NodeIx> = self.deps(ix).iter().filter(unknown).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            self.wait_for(ix, unknown);
            return Some(());
        }
        let key = self.resolve(ix);
        match self.denoted(key) {
            // Another node of this request ran for the same, or its result stands.
            Some(outputs) => {
                self.know(ix, outputs);
                self.record_run(ix);
                self.states[at] = State::Known;
            }
            None => self.states[at] = State::Missed,
        }
        Some(())
    }

    /// What a node has that may stand: what its key denotes for others, where it can be resolved.
    fn kept(&mut self, ix: NodeIx, outputs: Arc<Outputs>) -> Arc<Outputs> {
        if self.deps(ix).iter().any(|dep| self.outputs[dep.index()].is_none()) {
            return outputs;
        }
        let key = self.resolve(ix);
        let outputs = self.denoted(key).unwrap_or(outputs);
        if let Some(judging) = &mut self.judging {
            judging.kept.insert(key, Arc::clone(&outputs));
        }
        outputs
    }

    /// What a key denotes in this request, as far as that is known.
    fn denoted(&self, key: Digest) -> Option<Arc<Outputs>> {
        let ran = self.finished.get(&key).and_then(|result| result.as_ref().ok());
        let kept = || self.judging.as_ref()?.kept.get(&key);
        ran.or_else(kept).map(Arc::clone)
    }

    /// Lets a node wait for these.
    pub(super) fn wait_for(&mut self, ix: NodeIx, needs: Vec<NodeIx>) {
        let at = ix.index();
        self.states[at] = State::Waiting;
        self.unknown_inputs[at] = needs.len() as u32;
        if let Some(judging) = &mut self.judging {
            needs.iter().for_each(|need| judging.watchers[need.index()].push(ix));
            judging.needs[at] = needs;
        }
    }

    /// Whose outputs a node that waits must know.
    pub(super) fn awaited(&self, ix: NodeIx) -> Vec<NodeIx> {
        match &self.judging {
            Some(judging) => judging.needs[ix.index()].clone(),
            None => {
                let unknown = |dep: &&NodeIx| self.outputs[dep.index()].is_none();
                self.deps(ix).iter().filter(unknown).copied().collect()
            }
        }
    }

    /// Who waits for the outputs of a node that have just become known, or never will.
    pub(super) fn take_watchers(&mut self, ix: NodeIx) -> Vec<NodeIx> {
        match &mut self.judging {
            Some(judging) => std::mem::take(&mut judging.watchers[ix.index()]),
            None => self.users(ix).collect(),
        }
    }

    /// Nobody waits for anybody.
    pub(super) fn forget_watchers(&mut self) {
        if let Some(judging) = &mut self.judging {
            judging.watchers.iter_mut().for_each(Vec::clear);
        }
    }

    /// Remembers that a node ran.
    pub(super) fn record_run(&mut self, ix: NodeIx) {
        if let Some(judging) = &mut self.judging {
            judging.court.record(ix, &self.outputs);
        }
    }

    /// Notes what a node gives that stands for an output of another one.
    pub(super) fn record_dynamic(&mut self, ix: NodeIx) {
        let target = self.feeder(ix);
        if let Some(judging) = &mut self.judging {
            judging.court.follow(ix, target, &self.outputs);
        }
    }

    /// Lets a task be judged that was found while the request goes on.
    pub(super) fn judge_more(&mut self, ix: NodeIx, task: &Arc<str>, recipe: Digest) {
        let node = self.node(ix);
        let Some(judging) = &mut self.judging else { return };
        let given = address(self.db, node).as_ref().map(|address| address.outputs.clone());
        let rebuilder = self.strategy.rebuilder().name();
        let memories = Memories { memo: &*self.memo, rebuilder };
        let own = Digest(*blake3::hash(&recipe.0).as_bytes());
        judging.court.add(ix, Arc::clone(task), own, given, &memories);
        judging.needs.push(Vec::new());
        judging.watchers.push(Vec::new());
    }

    /// What is to be remembered of this request.
    pub(super) fn memories(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Some(judging) = &self.judging else { return Vec::new() };
        let rebuilder = self.strategy.rebuilder().name();
        let (now, tasks) = judging.court.news();
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> =
            tasks.into_iter().map(|(task, bytes)| (key(rebuilder, task), bytes)).collect();
        if !rows.is_empty() {
            rows.push((key(rebuilder, ""), now.to_le_bytes().to_vec()));
        }
        rows
    }
}
