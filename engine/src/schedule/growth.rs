//! Dynamic derivations in the scheduler: a node that stands for an output of a derivation which a
//! builder makes waits for the file, then for the derivation that the file turns out to be, and then
//! is what that gives. What is found joins the graph while everything else goes on. What is in a file
//! is the affair of whoever reads it.

use std::collections::HashMap;
use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use rustc_hash::FxHashSet;

use super::names::Names;
use super::{Scheduler, State};
use crate::db::Node;
use crate::dynamic::{Discovery, DynamicError, Place};
use crate::graph::{NodeIx, task_below};
use crate::job::Failure;
use crate::recipe::Recipe;
use crate::resolve::Outputs;
use crate::scheduling::Scheduling;

/// What a request found out beside the graph that it began with. The vectors go on where the graph's
/// own tables end.
#[derive(Debug, Clone, Default)]
pub struct Finds {
    /// Task ids.
    pub tasks: Vec<Arc<str>>,
    /// Digests of the recipes.
    pub recipes: Vec<Digest>,
    /// What each output of a derivation that a builder made turned out to be an output of.
    pub targets: HashMap<NodeIx, NodeIx>,
}

/// The finds, and what the scheduler keeps beside them.
#[derive(Default)]
pub(super) struct Growth {
    pub(super) finds: Finds,
    pub(super) nodes: Vec<Node>,
    pub(super) heights: Vec<u32>,
    /// After how many derivations made by one another each was found.
    depths: Vec<u32>,
    /// Users of nodes that were found later than those.
    users: HashMap<NodeIx, Arc<Vec<NodeIx>>>,
    by_drv: HashMap<StorePath, NodeIx>,
    /// Those that stand for outputs of derivations to be made.
    made: HashMap<Made, NodeIx>,
    /// How many derivations were found.
    derivations: usize,
    taken: FxHashSet<Arc<str>>,
    /// Those whose file may be there.
    pub(super) pending: Vec<NodeIx>,
}

/// Who makes a derivation, as which output, and which output of that is meant.
type Made = (NodeIx, OutputName, OutputName);

fn made(recipe: &Recipe, deps: &[NodeIx]) -> Made {
    (deps[0], recipe.deps[0].outputs[0].clone(), recipe.outputs[0].clone())
}

impl Growth {
    /// Forgets what derivations turned out to be; what was found stays.
    pub(super) fn forget_targets(&mut self) {
        self.finds.targets.clear();
        self.pending.clear();
    }

    /// The users of a node that were found after it.
    pub(super) fn users(&self, ix: NodeIx) -> Option<Arc<Vec<NodeIx>>> {
        self.users.get(&ix).cloned()
    }

    fn add_user(&mut self, ix: NodeIx, user: NodeIx) {
        Arc::make_mut(self.users.entry(ix).or_default()).push(user);
    }
}

impl Scheduler<'_> {
    /// Whether a node stands for an output of a derivation that a builder makes.
    pub(super) fn is_dynamic(&self, ix: NodeIx) -> bool {
        self.graph.node(ix).recipe.is_dynamic()
    }

    /// What such a node waits for: who makes the derivation, then the derivation itself.
    pub(super) fn feeder(&self, ix: NodeIx) -> NodeIx {
        self.growth.finds.targets.get(&ix).copied().unwrap_or_else(|| self.deps(ix)[0])
    }

    /// The derivation whose output a node stands for, as far as that is known; or the node itself.
    pub(super) fn stood_for(&self, ix: NodeIx) -> NodeIx {
        self.growth.finds.targets.get(&ix).copied().unwrap_or(ix)
    }

    /// Whether news of `ix` are of any concern to `user`.
    pub(super) fn feeds(&self, ix: NodeIx, user: NodeIx) -> bool {
        !self.is_dynamic(user) || self.feeder(user) == ix
    }

    /// What such a node needs in the store of what it waits for.
    pub(super) fn needed_of_feeder(&self, ix: NodeIx) -> Names {
        match self.growth.finds.targets.get(&ix) {
            None => self.used(ix, 0),
            Some(&target) => {
                Names::of(self.graph.node(target).recipe, &self.graph.node(ix).recipe.outputs)
            }
        }
    }

    /// Finds out what can be known of a node that stands for another one's output.
    pub(super) fn learn_dynamic(&mut self, ix: NodeIx) {
        let target = self.growth.finds.targets.get(&ix);
        let outputs = target.and_then(|target| self.outputs[target.index()].clone());
        let name = &self.graph.node(ix).recipe.outputs[0];
        match outputs.as_ref().and_then(|outputs| outputs.get(name)) {
            Some(path) => {
                let own = Outputs::from([(name.clone(), path.clone())]);
                self.states[ix.index()] = State::Known;
                self.know(ix, Arc::new(own));
                self.record_dynamic(ix);
            }
            None => {
                self.outputs[ix.index()] = None;
                self.wait_for(ix, vec![self.feeder(ix)]);
            }
        }
    }

    /// Notes that the file of a derivation may be there, if somebody waits for it.
    pub(super) fn consider(&mut self, ix: NodeIx) {
        if !self.growth.finds.targets.contains_key(&ix) {
            self.growth.pending.push(ix);
        }
    }

    /// Reads the derivations whose files are there.
    pub(super) fn grow(&mut self) {
        for ix in std::mem::take(&mut self.growth.pending) {
            let maker = self.deps(ix)[0];
            let waits = matches!(self.states[ix.index()], State::Waiting)
                && self.asked[ix.index()]
                && !self.growth.finds.targets.contains_key(&ix);
            if !waits || !self.states[maker.index()].is_present() {
                continue;
            }
            if !self.are_here(maker, self.used(ix, 0)) {
                continue;
            }
            if self.driving && self.options.scheduling == Scheduling::Restarting {
                // Everything is asked again once it is read, from the bottom.
                self.rechosen = true;
                self.restarting = true;
                continue;
            }
            if let Err(error) = self.discover(ix) {
                let message = format!("'{}': {error}", self.graph.node(ix).recipe.name);
                let failure = Failure::Builder { message, log_tail: Vec::new(), log: None };
                self.landed(ix, Err(failure));
                continue;
            }
            self.learn(ix);
            let known = self.outputs[ix.index()].is_some();
            let wanted = self.wanted[ix.index()];
            self.asked[ix.index()] = false;
            self.demand(ix, Some(wanted).filter(|_| wanted != Names::default()));
            if known {
                self.news.push((ix, true));
            }
        }
    }

    /// Finds out what the derivation is whose output a node stands for.
    fn discover(&mut self, ix: NodeIx) -> Result<(), DynamicError> {
        let node = self.graph.node(ix);
        let (maker, name) = (node.deps[0], &node.recipe.outputs[0]);
        let outputs = self.outputs[maker.index()].as_ref().expect("it is present");
        let drv = outputs[&node.recipe.deps[0].outputs[0]].clone();
        let limits = self.options.dynamic;
        let depth = self.depth(ix).max(self.depth(maker)) + 1;
        if depth > limits.max_depth {
            return Err(DynamicError::Deep { max: limits.max_depth, chain: self.makers(ix) });
        }
        self.begin_growth();
        let by_drv = &self.growth.by_drv;
        let room = limits.max_derivations - self.growth.derivations;
        let found = self.reader.discover(&drv, &|path| by_drv.get(path).copied(), room);
        let Discovery { found, root, stray } = found.map_err(|error| match error {
            DynamicError::Many(_) => DynamicError::Many(limits.max_derivations),
            error => error,
        })?;
        let first = self.graph.len();
        let mut places: Vec<NodeIx> = Vec::with_capacity(found.len());
        for found in found {
            let deps: Box<[NodeIx]> = found
                .deps
                .iter()
                .map(|dep| match *dep {
                    Place::Old(ix) => ix,
                    Place::New(at) => places[at],
                })
                .collect();
            places.push(self.add(ix, found.recipe, deps, found.drv, depth, stray.is_none()));
        }
        let target = match root {
            Place::Old(ix) => ix,
            Place::New(at) => places[at],
        };
        self.refuse_cycle(ix, target)?;
        if let Some(stray) = stray {
            return Err(stray);
        }
        let recipe = self.graph.node(target).recipe;
        if !recipe.outputs.contains(name) {
            let has: Vec<&str> = recipe.outputs.iter().map(OutputName::as_str).collect();
            let (output, has) = (name.clone(), format!("'{}'", has.join("', '")));
            return Err(DynamicError::NoOutput { path: drv, output, has });
        }
        self.growth.finds.targets.insert(ix, target);
        self.growth.add_user(target, ix);
        self.tell_found(&node.recipe.name, first);
        (first..self.graph.len()).for_each(|new| self.learn(NodeIx(new as u32)));
        Ok(())
    }

    /// Notes what is there already, before anything is found.
    fn begin_growth(&mut self) {
        if !self.growth.taken.is_empty() {
            return;
        }
        self.growth.taken.extend(self.shape.tasks.iter().map(Arc::from));
        for (ix, node) in self.graph.nodes().filter(|(_, node)| node.recipe.is_dynamic()) {
            self.growth.made.insert(made(node.recipe, node.deps), ix);
        }
    }

    /// Adds a node to the graph and to all tables; an equal one that stands for an output to be made
    /// is there once.
    fn add(
        &mut self,
        below: NodeIx,
        recipe: Arc<Recipe>,
        deps: Box<[NodeIx]>,
        drv: Option<StorePath>,
        depth: u32,
        is_sound: bool,
    ) -> NodeIx {
        let made = recipe.is_dynamic().then(|| made(&recipe, &deps));
        if let Some(known) = made.as_ref().and_then(|made| self.growth.made.get(made)) {
            return *known;
        }
        let task = task_below(&self.task(below), &recipe.name, &mut self.growth.taken);
        let own: Vec<Node> = deps.iter().map(|&dep| self.node(dep)).collect();
        let (node, digest) = self.tasks.enter_one(self.db, &task, &recipe, &own);
        let ix = self.graph.grow(recipe, deps.clone(), drv.clone());
        let height = self.height(below);
        let growth = &mut self.growth;
        growth.finds.tasks.push(Arc::clone(&task));
        growth.finds.recipes.push(digest);
        growth.nodes.push(node);
        growth.heights.push(height);
        growth.depths.push(depth);
        growth.derivations += usize::from(drv.is_some());
        let mut deps: Vec<NodeIx> = deps.into_vec();
        deps.sort_unstable();
        deps.dedup();
        deps.into_iter().for_each(|dep| growth.add_user(dep, ix));
        if is_sound {
            growth.by_drv.extend(drv.map(|drv| (drv, ix)));
            growth.made.extend(made.map(|made| (made, ix)));
        }
        self.stale.push(true);
        self.states.push(State::Waiting);
        self.outputs.push(None);
        self.keys.push(None);
        self.addressed.push(false);
        self.moved.push(false);
        self.asked.push(false);
        self.wanted.push(Names::default());
        self.unknown_inputs.push(0);
        self.lost_at.push(0);
        self.counted_at.push(0);
        self.start_ms.push(None);
        self.judge_more(ix, &task, digest);
        ix
    }

    /// The task id of a node.
    pub(super) fn task(&self, ix: NodeIx) -> Arc<str> {
        match ix.index().checked_sub(self.shape.tasks.len()) {
            None => Arc::from(&self.shape.tasks[ix.index()]),
            Some(at) => Arc::clone(&self.growth.finds.tasks[at]),
        }
    }

    /// After how many derivations made by one another a node was found; of one that stands for an
    /// output, that of the derivation that it turned out to be.
    fn depth(&self, ix: NodeIx) -> u32 {
        let found = |ix: NodeIx| {
            let at = ix.index().checked_sub(self.shape.tasks.len());
            at.map_or(0, |at| self.growth.depths[at])
        };
        found(ix).max(self.growth.finds.targets.get(&ix).copied().map_or(0, found))
    }

    /// Who made whom, as far up as can be told, the node itself first.
    fn makers(&self, ix: NodeIx) -> String {
        const SHOWN: usize = 8;
        let mut names = Vec::new();
        let mut at = Some(ix);
        while let Some(ix) = at.filter(|_| names.len() < SHOWN) {
            names.push(format!("'{}'", self.graph.node(ix).recipe.name));
            at = match self.is_dynamic(ix) {
                true => Some(self.deps(ix)[0]),
                // The derivation that was found for whoever stands for it.
                false => {
                    let mut found =
                        self.growth.finds.targets.iter().filter(|(_, target)| **target == ix);
                    found.next().map(|(by, _)| self.deps(*by)[0])
                }
            };
        }
        if at.is_some() {
            names.push("...".to_owned());
        }
        names.join(" made by ")
    }

    /// A derivation that waits for what it is to be itself is refused.
    fn refuse_cycle(&self, ix: NodeIx, target: NodeIx) -> Result<(), DynamicError> {
        let mut from: HashMap<NodeIx, NodeIx> = HashMap::new();
        let mut stack = vec![target];
        while let Some(at) = stack.pop() {
            if at == ix {
                return Err(DynamicError::Cycle(self.chain(ix, target, &from)));
            }
            let dynamic = self.is_dynamic(at).then(|| self.feeder(at));
            let below = dynamic.as_slice().iter().chain(self.deps(at));
            for &dep in below {
                // What is known waits for nothing.
                let is_open = self.outputs[dep.index()].is_none() || dep == ix;
                if is_open && !from.contains_key(&dep) {
                    from.insert(dep, at);
                    stack.push(dep);
                }
            }
        }
        Ok(())
    }

    /// The way from `target` to `ix` in words.
    fn chain(&self, ix: NodeIx, target: NodeIx, from: &HashMap<NodeIx, NodeIx>) -> String {
        let name = |ix: NodeIx| format!("'{}'", self.graph.node(ix).recipe.name);
        let mut names = vec![name(ix)];
        let mut at = ix;
        while at != target
            && let Some(&above) = from.get(&at)
        {
            at = above;
            names.push(name(at));
        }
        names.push(format!("{} is to be", name(ix)));
        names.reverse();
        names.join(", which needs ").replacen(", which needs ", " ", 1)
    }
}
