//! The scheduler: suspending in the words of Build Systems à la Carte, driven from the bottom.
//! One thread owns all state and asks the queries; worker threads run jobs and hold no database
//! handle. Inputs come first everywhere, so nothing blocks and nothing recurses, and a result
//! that equals the old one stops here: its dependants resolve to a key that the trace knows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use floe_core::hash::Digest;
use floe_core::path::OutputName;

use crate::cancel::Cancel;
use crate::db::{Database, Node, Settings, address, output, resolved};
use crate::event::{Event, Events};
use crate::graph::{Graph, NodeIx};
use crate::job::{Context, Cost, Done, Executor, Failure, Job};
use crate::rebuilder::Memo;
use crate::resolve::Outputs;

/// How a request is to be carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Builders at the same time, at least one.
    pub jobs: usize,
    /// Whether to go on with what does not depend on a failure.
    pub keep_going: bool,
    /// Stop before running anything and say what would run.
    pub dry_run: bool,
}

/// Where a derivation stands. Each variant states what holds when it is reached.
#[derive(Debug, Clone)]
pub enum State {
    /// Some input's outputs are not known yet, so it cannot be resolved.
    Waiting,
    /// It is resolved, and the trace does not know the key; nobody has asked for it yet.
    Missed,
    /// Its outputs are known by address or by trace; nobody has asked for the objects.
    Known,
    /// The objects that anyone uses are in the store.
    Present,
    /// Somebody asked for it and it must run; this many of its inputs are not present.
    Blocked(u32),
    /// All its inputs are present; it is in the queue.
    Ready,
    /// A worker has it.
    Running,
    /// It ran; its outputs are present.
    Built(Cost),
    /// Its builder failed.
    Failed(Failure),
    /// This input of it failed or was skipped.
    Skipped(NodeIx),
    /// The request ended before it could run.
    Cancelled,
}

impl State {
    fn outputs_known(&self) -> bool {
        matches!(self, State::Known | State::Present | State::Built(_))
    }

    fn is_present(&self) -> bool {
        matches!(self, State::Present | State::Built(_))
    }

    fn will_not_come(&self) -> bool {
        matches!(self, State::Failed(_) | State::Skipped(_) | State::Cancelled)
    }
}

/// What became of every node of the graph.
#[derive(Debug)]
pub struct Outcome {
    /// Where each node ended, by index.
    pub states: Vec<State>,
    /// The outputs of each node, where they became known.
    pub outputs: Vec<Option<Arc<Outputs>>>,
    /// The resolved key of each node that was resolved.
    pub keys: Vec<Option<Digest>>,
    /// Milliseconds after the request's start at which each node's job started.
    pub start_ms: Vec<Option<u64>>,
    /// Builders that ran, failed ones included.
    pub builders_run: u64,
    /// How many derivations were resolved by this request.
    pub resolved: u64,
    /// For a dry run: those that will certainly run.
    pub certain: Vec<NodeIx>,
    /// For a dry run: those that may have to run.
    pub possible: Vec<NodeIx>,
}

/// A message from a worker.
enum Message {
    BuilderEnded,
    Ended(NodeIx, Result<Done, Failure>),
}

/// Carries out a request.
pub struct Scheduler<'a> {
    graph: &'a Graph,
    nodes: &'a [Node],
    db: &'a Database,
    memo: &'a dyn Memo,
    events: &'a Events,
    cancel: &'a Cancel,
    options: Options,
    started: std::time::Instant,
    dependants: Vec<Vec<NodeIx>>,
    /// The outputs of each node that anyone in the graph uses.
    used: Vec<Vec<OutputName>>,
    /// Length of the longest way to a target: who is longest goes first.
    heights: Vec<u32>,
    demanded: Vec<bool>,
    unknown_inputs: Vec<u32>,
    states: Vec<State>,
    outputs: Vec<Option<Arc<Outputs>>>,
    keys: Vec<Option<Digest>>,
    start_ms: Vec<Option<u64>>,
    resolved: u64,
    builders_run: u64,
    /// Nodes that share a resolved derivation with one that is running.
    in_flight: HashMap<Digest, Vec<NodeIx>>,
    ready: BinaryHeap<(u32, Reverse<NodeIx>)>,
    /// Nodes found to run whose missing inputs are not counted yet.
    fresh: Vec<NodeIx>,
    stopping: bool,
}

impl<'a> Scheduler<'a> {
    /// A scheduler for `graph`, whose nodes stand in the database as `nodes`.
    pub fn new(
        graph: &'a Graph,
        nodes: &'a [Node],
        db: &'a Database,
        memo: &'a dyn Memo,
        events: &'a Events,
        cancel: &'a Cancel,
        options: Options,
    ) -> Self {
        let count = graph.len();
        Scheduler {
            graph,
            nodes,
            db,
            memo,
            events,
            cancel,
            options,
            started: std::time::Instant::now(),
            dependants: graph.dependants(),
            used: used_outputs(graph),
            heights: heights(graph),
            demanded: vec![false; count],
            unknown_inputs: graph.nodes().map(|(_, node)| node.deps.len() as u32).collect(),
            states: vec![State::Waiting; count],
            outputs: vec![None; count],
            keys: vec![None; count],
            start_ms: vec![None; count],
            resolved: 0,
            builders_run: 0,
            in_flight: HashMap::new(),
            ready: BinaryHeap::new(),
            fresh: Vec::new(),
            stopping: false,
        }
    }

    /// Looks everything up and asks for the targets, without running anything.
    pub fn look_up(&mut self) {
        for (ix, _) in self.graph.nodes() {
            if matches!(self.states[ix.index()], State::Waiting) {
                self.learn(ix);
            }
        }
        for target in &self.graph.targets {
            self.demand(target.node);
        }
        self.settle();
    }

    /// Whether everything that was asked for is there already.
    pub fn is_finished(&self) -> bool {
        self.graph.targets.iter().all(|target| self.states[target.node.index()].is_present())
    }

    /// Runs what must run.
    pub fn run(mut self, executor: &dyn Executor) -> Outcome {
        let (certain, possible) = self.bounds();
        let done = self.states.iter().filter(|state| state.outputs_known()).count();
        self.events.send(Event::Planned {
            total: self.graph.len(),
            done,
            certain: certain.len(),
            possible: possible.len(),
        });
        if !self.options.dry_run && !self.is_finished() {
            self.drive(executor);
        }
        Outcome {
            states: self.states,
            outputs: self.outputs,
            keys: self.keys,
            start_ms: self.start_ms,
            builders_run: self.builders_run,
            resolved: self.resolved,
            certain,
            possible,
        }
    }

    /// What will certainly run (it is asked for and its own inputs leave no doubt), and what
    /// may run, depending on what comes out below.
    fn bounds(&self) -> (Vec<NodeIx>, Vec<NodeIx>) {
        let mut certain = Vec::new();
        let mut possible = Vec::new();
        for (ix, _) in self.graph.nodes() {
            match self.states[ix.index()] {
                State::Blocked(_) | State::Ready => certain.push(ix),
                State::Waiting if self.demanded[ix.index()] => possible.push(ix),
                _ => {}
            }
        }
        (certain, possible)
    }

    /// Finds out what can be known of a node whose inputs' outputs may all be known.
    fn learn(&mut self, ix: NodeIx) {
        let at = ix.index();
        let node = self.nodes[at];
        if address(self.db, node).is_some() {
            self.known(ix);
            return;
        }
        let unknown = self.count_unknown(ix);
        self.unknown_inputs[at] = unknown;
        if unknown > 0 {
            return;
        }
        let key = resolved(self.db, node).expect("the outputs of all inputs are known");
        self.resolved += 1;
        self.keys[at] = Some(key);
        let rebuilder = Settings::get(self.db).strategy(self.db).rebuilder();
        if rebuilder.recall(self.memo, node.recipe(self.db), &key).is_some() {
            self.known(ix);
        } else {
            self.states[at] = State::Missed;
        }
    }

    fn count_unknown(&self, ix: NodeIx) -> u32 {
        let deps = &self.graph.node(ix).deps;
        deps.iter().filter(|dep| self.outputs[dep.index()].is_none()).count() as u32
    }

    /// Marks a node's outputs as known, asking the query for them.
    fn known(&mut self, ix: NodeIx) {
        let outputs = output(self.db, self.nodes[ix.index()]).clone();
        self.outputs[ix.index()] = Some(outputs.expect("the trace or the address holds it"));
        self.states[ix.index()] = State::Known;
    }

    /// Somebody needs the objects of this node, or needs it to get on.
    fn demand(&mut self, ix: NodeIx) {
        let mut stack = vec![ix];
        while let Some(ix) = stack.pop() {
            let at = ix.index();
            match self.states[at] {
                State::Known => {
                    let outputs = self.outputs[at].as_ref().expect("known");
                    let memo = self.memo;
                    let here = self.used[at]
                        .iter()
                        .all(|name| outputs.get(name).is_some_and(|path| memo.is_present(path)));
                    if here {
                        self.states[at] = State::Present;
                    } else {
                        self.must_run(ix, &mut stack);
                    }
                }
                State::Missed => self.must_run(ix, &mut stack),
                State::Waiting if !self.demanded[at] => {
                    self.demanded[at] = true;
                    let outputs = &self.outputs;
                    let deps = self.graph.node(ix).deps.iter().copied();
                    stack.extend(deps.filter(|dep| outputs[dep.index()].is_none()));
                }
                _ => {}
            }
        }
    }

    /// Marks a node as one that runs, and asks for all its inputs.
    fn must_run(&mut self, ix: NodeIx, stack: &mut Vec<NodeIx>) {
        self.demanded[ix.index()] = true;
        // Counted in `settle`, once all inputs have been asked for; until then it is blocked by
        // imaginary inputs, so that it cannot start early.
        self.states[ix.index()] = State::Blocked(u32::MAX);
        self.fresh.push(ix);
        for &dep in &self.graph.node(ix).deps {
            if !self.states[dep.index()].is_present() {
                stack.push(dep);
            }
        }
    }

    /// Counts the missing inputs of the nodes that were just found to run, and queues those
    /// that miss none.
    fn settle(&mut self) {
        for ix in std::mem::take(&mut self.fresh) {
            let at = ix.index();
            let deps = &self.graph.node(ix).deps;
            if let Some(&dep) = deps.iter().find(|dep| self.states[dep.index()].will_not_come()) {
                self.skip(ix, dep);
                continue;
            }
            let missing = deps.iter().filter(|dep| !self.states[dep.index()].is_present()).count();
            self.states[at] = State::Blocked(missing as u32);
            if missing == 0 {
                self.enqueue(ix);
            }
        }
    }

    fn enqueue(&mut self, ix: NodeIx) {
        self.states[ix.index()] = State::Ready;
        self.ready.push((self.heights[ix.index()], Reverse(ix)));
    }

    /// Marks a node that cannot run because of `cause`, and everything that waits for it.
    fn skip(&mut self, ix: NodeIx, cause: NodeIx) {
        let mut stack = vec![(ix, cause)];
        while let Some((ix, cause)) = stack.pop() {
            let at = ix.index();
            let waits = match self.states[at] {
                State::Blocked(_) => true,
                State::Waiting => self.demanded[at],
                _ => false,
            };
            if waits {
                self.states[at] = State::Skipped(cause);
                stack.extend(self.dependants[at].iter().map(|&user| (user, ix)));
            }
        }
    }

    /// Tells the users of a node what has become of it: that its outputs are known
    /// (`newly_known`), and whether they are in the store. What they conclude travels on.
    fn tell_users(&mut self, ix: NodeIx, newly_known: bool) {
        let mut news = vec![(ix, newly_known)];
        while let Some((ix, newly_known)) = news.pop() {
            let present = self.states[ix.index()].is_present();
            for at in 0..self.dependants[ix.index()].len() {
                let user = self.dependants[ix.index()][at];
                match self.states[user.index()] {
                    State::Blocked(missing) if present && missing != u32::MAX => {
                        self.states[user.index()] = State::Blocked(missing - 1);
                        if missing == 1 {
                            self.enqueue(user);
                        }
                    }
                    State::Waiting if newly_known => {
                        self.unknown_inputs[user.index()] -= 1;
                        if self.unknown_inputs[user.index()] == 0 {
                            self.learn(user);
                            let known = self.outputs[user.index()].is_some();
                            if self.demanded[user.index()] {
                                self.demand(user);
                            }
                            if known {
                                news.push((user, true));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        self.settle();
    }

    /// Starts workers and feeds them until nothing is left.
    fn drive(&mut self, executor: &dyn Executor) {
        let (to_workers, jobs) = unbounded::<(NodeIx, Job)>();
        let (messages, from_workers) = unbounded::<Message>();
        let (events, cancel) = (self.events, self.cancel);
        // A worker whose builder has ended may still be hashing; the next builder need not wait.
        let threads = self.options.jobs * 2 + 2;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (jobs, messages) = (jobs.clone(), messages.clone());
                scope.spawn(move || work(executor, events, cancel, &jobs, &messages));
            }
            drop((jobs, messages));
            self.feed(&to_workers, &from_workers);
            drop(to_workers);
        });
        for state in &mut self.states {
            if matches!(state, State::Ready | State::Blocked(_) | State::Missed) {
                *state = State::Cancelled;
            }
        }
        for at in 0..self.states.len() {
            if matches!(self.states[at], State::Waiting) && self.demanded[at] {
                self.states[at] = State::Cancelled;
            }
        }
    }

    fn feed(&mut self, to_workers: &Sender<(NodeIx, Job)>, from_workers: &Receiver<Message>) {
        let mut builders = 0;
        let mut unfinished = 0;
        loop {
            while builders < self.options.jobs && !self.stopping && !self.cancel.is_cancelled() {
                let Some((_, Reverse(ix))) = self.ready.pop() else { break };
                if let Some(job) = self.start(ix) {
                    builders += 1;
                    unfinished += 1;
                    to_workers.send((ix, job)).expect("workers outlive the feeder");
                }
            }
            if unfinished == 0 {
                return;
            }
            match from_workers.recv().expect("workers outlive their jobs") {
                Message::BuilderEnded => builders -= 1,
                Message::Ended(ix, result) => {
                    unfinished -= 1;
                    self.ended(ix, result);
                }
            }
        }
    }

    /// The job for a node that is ready; none if another node with the same resolved derivation
    /// is running already, whose result will serve both.
    fn start(&mut self, ix: NodeIx) -> Option<Job> {
        let at = ix.index();
        let node = self.nodes[at];
        let key = resolved(self.db, node).expect("all inputs are present");
        if self.keys[at].replace(key).is_none() {
            self.resolved += 1;
        }
        self.states[at] = State::Running;
        if let Some(waiting) = self.in_flight.get_mut(&key) {
            waiting.push(ix);
            return None;
        }
        self.in_flight.insert(key, Vec::new());
        self.builders_run += 1;
        self.start_ms[at] = Some(self.started.elapsed().as_millis() as u64);
        let recipe = node.recipe(self.db);
        let own = address(self.db, node).as_deref();
        let inputs: Vec<&Outputs> = self
            .graph
            .node(ix)
            .deps
            .iter()
            .map(|dep| &**self.outputs[dep.index()].as_ref().expect("present"))
            .collect();
        let rebuilder = Settings::get(self.db).strategy(self.db).rebuilder();
        Some(Job {
            id: ix.0,
            recipe: Arc::clone(recipe),
            derivation: rebuilder.resolve(recipe, own, &inputs),
            key,
            own: own.map(|own| own.outputs.clone()),
        })
    }

    fn ended(&mut self, ix: NodeIx, result: Result<Done, Failure>) {
        let key = self.keys[ix.index()].expect("it was started");
        let sharers = self.in_flight.remove(&key).unwrap_or_default();
        for (nth, ix) in std::iter::once(ix).chain(sharers).enumerate() {
            match &result {
                Ok(done) => {
                    let newly_known = self.outputs[ix.index()].is_none();
                    if newly_known {
                        self.known(ix);
                    }
                    // One builder ran, whoever shares its result reuses it.
                    self.states[ix.index()] =
                        if nth == 0 { State::Built(done.cost) } else { State::Present };
                    self.tell_users(ix, newly_known);
                }
                Err(failure) => {
                    let cancelled = matches!(failure, Failure::Cancelled);
                    self.states[ix.index()] =
                        if cancelled { State::Cancelled } else { State::Failed(failure.clone()) };
                    if !self.options.keep_going {
                        self.stopping = true;
                    }
                    if !cancelled {
                        for at in 0..self.dependants[ix.index()].len() {
                            self.skip(self.dependants[ix.index()][at], ix);
                        }
                    }
                }
            }
        }
    }
}

/// A worker thread: runs jobs until there are no more.
fn work(
    executor: &dyn Executor,
    events: &Events,
    cancel: &Cancel,
    jobs: &Receiver<(NodeIx, Job)>,
    messages: &Sender<Message>,
) {
    for (ix, job) in jobs {
        let told = std::cell::Cell::new(false);
        let builder_ended = || {
            if !told.replace(true) {
                let _ = messages.send(Message::BuilderEnded);
            }
        };
        let name = Arc::clone(&job.recipe.name);
        events.send(Event::Started { job: job.id, name: Arc::clone(&name) });
        let context = Context { events, cancel, builder_ended: &builder_ended };
        let result = executor.execute(&job, &context);
        builder_ended();
        events.send(match &result {
            Ok(done) => Event::Finished {
                job: job.id,
                name,
                outputs: done.outputs.values().cloned().collect(),
                wall_ms: done.cost.wall_ms,
            },
            Err(_) => Event::Failed { job: job.id, name },
        });
        let _ = messages.send(Message::Ended(ix, result));
    }
}

/// For each node, the outputs that some other node or a target uses.
fn used_outputs(graph: &Graph) -> Vec<Vec<OutputName>> {
    let mut used = vec![Vec::new(); graph.len()];
    let mut add = |ix: NodeIx, names: &[OutputName]| {
        let list: &mut Vec<OutputName> = &mut used[ix.index()];
        for name in names {
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
    };
    for (_, node) in graph.nodes() {
        for (&dep, uses) in node.deps.iter().zip(&node.recipe.deps) {
            add(dep, &uses.outputs);
        }
    }
    for target in &graph.targets {
        add(target.node, &target.outputs);
    }
    used
}

/// For each node the number of nodes on the longest way to a target.
fn heights(graph: &Graph) -> Vec<u32> {
    let mut heights = vec![1; graph.len()];
    for (ix, node) in graph.nodes().rev() {
        for dep in &node.deps {
            heights[dep.index()] = heights[dep.index()].max(heights[ix.index()] + 1);
        }
    }
    heights
}
