//! Judging by memory, which is what the classic rebuilders have in common: a node may stand if a
//! remembered run rested on what is there now. Inputs are asked for one after another and no further
//! than the first that differs, as in the models of `papers/`. Nothing runs here, and the build
//! trace is neither read nor written: what it says stays true whatever is judged.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5.

use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use rustc_hash::FxHashMap;

use super::memory::{Fact, Layer, Memory, Run};
use crate::graph::{Graph, NodeIx};
use crate::ids::Ids;
use crate::ledger::Short;
use crate::resolve::Outputs;

/// How deep a rebuilder looks, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judge {
    /// What a run must have rested on for its result to stand.
    pub rests_on: RestsOn,
    /// Whether all runs of a task are remembered, or the last alone.
    pub all_runs: bool,
    /// Whether the time of a source counts, its content being the same.
    pub times: bool,
}

/// What a run must have rested on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestsOn {
    /// The task's own instructions, and no input that ran since.
    Unrun,
    /// The task's own instructions, and no input that changed since.
    Unchanged,
    /// The task's own instructions, and what its inputs were so many levels down.
    Level(usize),
    /// All instructions below it, and nothing in between.
    Bottom,
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These may stand.
    Keep(Arc<Outputs>),
    /// It cannot be judged before the outputs of this node are known.
    Need(NodeIx),
    /// It must run.
    Run,
}

/// Where a judgement takes what was remembered from.
pub trait Remembered {
    /// The memory of a task, by its id.
    fn memory(&self, task: &str) -> Option<Vec<u8>>;
    /// Whether all of these are in the store.
    fn are_present(&self, outputs: &Outputs) -> bool;
}

/// The judgements of one request.
pub struct Court<'a> {
    judge: Judge,
    graph: &'a Graph,
    tasks: Ids,
    shorts: Vec<Short>,
    places: FxHashMap<Short, NodeIx>,
    /// Outputs that are given up front.
    given: Vec<Option<Outputs>>,
    /// What stands for each node's own instructions.
    own: Vec<Short>,
    /// What stands for those of everything below it as well; made when somebody looks so deep.
    below: Vec<Short>,
    memories: Vec<Memory>,
    /// The layers of the run that accounts for each node in this request.
    accounts: Vec<Vec<Layer>>,
    /// The number of this request.
    now: u64,
    ran: Vec<bool>,
}

/// What a court is told of a request.
pub struct Case<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its task ids.
    pub tasks: &'a Ids,
    /// The number of the last request that was remembered.
    pub last: u64,
    /// Digests of the recipes, with the times of their sources where those count.
    pub own: Vec<Digest>,
    /// Outputs that are given up front, which are inputs like a source.
    pub given: Vec<Option<Outputs>>,
}

impl<'a> Court<'a> {
    /// Reads what is remembered of the tasks of a request.
    pub fn open(judge: Judge, case: Case<'a>, remembered: &dyn Remembered) -> Court<'a> {
        let Case { graph, tasks, last, own, given } = case;
        let shorts: Vec<Short> = tasks.iter().map(Short::of_task).collect();
        let places = shorts.iter().enumerate().map(|(at, task)| (*task, NodeIx(at as u32)));
        let places = places.collect();
        let memory = |task: &str| {
            remembered.memory(task).map_or_else(Memory::default, |bytes| Memory::decode(&bytes))
        };
        let memories = tasks.iter().map(memory).collect();
        let ixs = || graph.nodes().map(|(ix, _)| ix);
        let own: Vec<Short> =
            ixs().map(|ix| own_fact(graph, ix, own[ix.index()], &shorts, &given)).collect();
        let mut below = Vec::with_capacity(own.len());
        for ix in ixs().filter(|_| judge.rests_on == RestsOn::Bottom) {
            below.push(below_fact(graph, ix, &own, &below, &given));
        }
        let tasks = tasks.clone();
        let count = graph.len();
        let accounts = vec![Vec::new(); count];
        let ran = vec![false; count];
        let now = last + 1;
        Court {
            judge,
            graph,
            tasks,
            shorts,
            places,
            given,
            own,
            below,
            memories,
            accounts,
            now,
            ran,
        }
    }

    /// Reads what is remembered of a task that was found while the request goes on; `own` is the
    /// digest of its recipe.
    pub fn add(
        &mut self,
        ix: NodeIx,
        task: Arc<str>,
        own: Digest,
        given: Option<Outputs>,
        remembered: &dyn Remembered,
    ) {
        let short = Short::of_task(&task);
        self.shorts.push(short);
        self.places.insert(short, ix);
        let memory = remembered.memory(&task);
        self.memories.push(memory.map_or_else(Memory::default, |bytes| Memory::decode(&bytes)));
        self.tasks.push(&task);
        self.own.push(own_fact(self.graph, ix, own, &self.shorts, &self.given));
        if self.judge.rests_on == RestsOn::Bottom {
            let below = below_fact(self.graph, ix, &self.own, &self.below, &self.given);
            self.below.push(below);
        }
        self.given.push(given);
        self.accounts.push(Vec::new());
        self.ran.push(false);
    }

    /// Notes what a node gives that stands for an output of `target`, where that ran or it gave
    /// something else before.
    pub fn follow(&mut self, ix: NodeIx, target: NodeIx, outputs: &[Option<Arc<Outputs>>]) {
        let last = self.memories[ix.index()].runs.last().map(|run| &run.outputs);
        if self.ran[target.index()] || last != outputs[ix.index()].as_deref() {
            self.record(ix, outputs);
        }
    }

    /// Judges a node by what is known of outputs so far.
    pub fn judge(
        &mut self,
        ix: NodeIx,
        outputs: &[Option<Arc<Outputs>>],
        remembered: &dyn Remembered,
    ) -> Verdict {
        let at = ix.index();
        for nth in (0..self.memories[at].runs.len()).rev() {
            let run = &self.memories[at].runs[nth];
            if !remembered.are_present(&run.outputs) {
                continue;
            }
            match self.rests(ix, run, outputs) {
                Ok(true) => {
                    self.accounts[at] = run.layers.clone();
                    return Verdict::Keep(Arc::new(run.outputs.clone()));
                }
                Ok(false) => {}
                Err(need) => return Verdict::Need(need),
            }
        }
        Verdict::Run
    }

    /// Whether a run rested on what is there now, or which node must be known to tell.
    fn rests(
        &self,
        ix: NodeIx,
        run: &Run,
        outputs: &[Option<Arc<Outputs>>],
    ) -> Result<bool, NodeIx> {
        let at = ix.index();
        let Some(last) = run.layers.last() else { return Ok(false) };
        match self.judge.rests_on {
            RestsOn::Bottom | RestsOn::Level(_) => self.are(last, outputs),
            RestsOn::Unrun | RestsOn::Unchanged => {
                if last.first().is_none_or(|fact| fact.was != self.own[at]) {
                    return Ok(false);
                }
                let built = self.memories[at].built;
                for (dep, name) in self.inputs(ix) {
                    if outputs[dep.index()].is_none() {
                        return Err(dep);
                    }
                    let memory = &self.memories[dep.index()];
                    let moment = match self.judge.rests_on {
                        RestsOn::Unrun => memory.built,
                        _ => memory.changed.get(name).copied().unwrap_or(0),
                    };
                    if moment > built {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Whether all these facts are what they were, asked for in order.
    fn are(&self, facts: &[Fact], outputs: &[Option<Arc<Outputs>>]) -> Result<bool, NodeIx> {
        for fact in facts {
            let Some(&ix) = self.places.get(&fact.task) else { return Ok(false) };
            let now = match &fact.output {
                None if self.judge.rests_on == RestsOn::Bottom => Some(self.below[ix.index()]),
                None => Some(self.own[ix.index()]),
                Some(name) => match &outputs[ix.index()] {
                    Some(outputs) => outputs.get(name).map(of_path),
                    None => return Err(ix),
                },
            };
            if now != Some(fact.was) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The outputs that a node uses, those given up front apart.
    fn inputs(&self, ix: NodeIx) -> impl Iterator<Item = (NodeIx, &'a OutputName)> {
        let node = self.graph.node(ix);
        let deps = node.deps.iter().zip(node.recipe.deps.iter());
        let deps = deps.filter(|(dep, _)| self.given[dep.index()].is_none());
        deps.flat_map(|(dep, uses)| uses.outputs.iter().map(move |name| (*dep, name)))
    }

    /// Remembers what a node gave that ran; what its inputs are is known.
    pub fn record(&mut self, ix: NodeIx, outputs: &[Option<Arc<Outputs>>]) {
        let at = ix.index();
        let Some(own) = outputs[at].as_ref().filter(|_| self.given[at].is_none()) else { return };
        let task = self.shorts[at];
        let layers = match self.judge.rests_on {
            RestsOn::Bottom => vec![vec![Fact { task, output: None, was: self.below[at] }]],
            _ => {
                let mut direct = vec![Fact { task, output: None, was: self.own[at] }];
                for (dep, name) in self.inputs(ix) {
                    let path = outputs[dep.index()].as_ref().and_then(|outputs| outputs.get(name));
                    direct.extend(path.map(|path| Fact {
                        task: self.shorts[dep.index()],
                        output: Some(name.clone()),
                        was: of_path(path),
                    }));
                }
                self.layers(direct)
            }
        };
        self.accounts[at].clone_from(&layers);
        let run = Run { layers, outputs: (**own).clone() };
        self.memories[at].add(run, self.now, self.judge.all_runs);
        self.ran[at] = true;
    }

    /// What lies below direct inputs, as deep as is looked: each is replaced by what it rested on
    /// itself, and stays where it rested on nothing.
    fn layers(&self, direct: Layer) -> Vec<Layer> {
        let depth = match self.judge.rests_on {
            RestsOn::Level(depth) => depth.max(1),
            _ => 1,
        };
        let mut layers = vec![direct];
        for above in 0..depth - 1 {
            let mut layer = Layer::new();
            for fact in &layers[0] {
                let ix = fact.output.as_ref().and_then(|_| self.places.get(&fact.task));
                match ix.and_then(|ix| self.accounts[ix.index()].get(above)) {
                    Some(deeper) => layer.extend(deeper.iter().cloned()),
                    None => layer.push(fact.clone()),
                }
            }
            layer.dedup();
            layers.push(layer);
        }
        layers
    }

    /// What is new: the memories of tasks that ran, and the number of this request.
    pub fn news(&self) -> (u64, Vec<(&str, Vec<u8>)>) {
        let ran = self.ran.iter().enumerate().filter(|(_, ran)| **ran);
        let tasks = &self.tasks;
        (self.now, ran.map(|(at, _)| (&tasks[at], self.memories[at].encode())).collect())
    }
}

fn of_path(path: &StorePath) -> Short {
    Digest::of(path.as_str().as_bytes()).into()
}

/// Own instructions: the recipe, who the inputs are, and the paths of those that are given up front.
fn own_fact(
    graph: &Graph,
    ix: NodeIx,
    own: Digest,
    tasks: &[Short],
    given: &[Option<Outputs>],
) -> Short {
    let node = graph.node(ix);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&own.0);
    for (dep, uses) in node.deps.iter().zip(node.recipe.deps.iter()) {
        let Some(outputs) = &given[dep.index()] else {
            hasher.update(tasks[dep.index()].bytes());
            continue;
        };
        for path in uses.outputs.iter().filter_map(|name| outputs.get(name)) {
            hasher.update(path.as_str().as_bytes());
        }
    }
    Digest(*hasher.finalize().as_bytes()).into()
}

/// Instructions all the way down, as far as nothing is given up front; `below` has those of the
/// inputs.
fn below_fact(
    graph: &Graph,
    ix: NodeIx,
    own: &[Short],
    below: &[Short],
    given: &[Option<Outputs>],
) -> Short {
    let mut hasher = blake3::Hasher::new();
    hasher.update(own[ix.index()].bytes());
    for dep in graph.node(ix).deps.iter().filter(|dep| given[dep.index()].is_none()) {
        hasher.update(below[dep.index()].bytes());
    }
    Digest(*hasher.finalize().as_bytes()).into()
}
