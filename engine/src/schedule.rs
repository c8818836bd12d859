//! The scheduler: suspending in the words of Build Systems à la Carte, driven from the bottom.
//! One thread owns all state and asks the queries; worker threads run jobs and hold no database
//! handle. Inputs come first everywhere, so nothing blocks and nothing recurses, and a result
//! that equals the old one stops here: its dependants resolve to a key that the trace knows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use floe_core::hash::Digest;

use crate::cancel::Cancel;
use crate::db::{Database, Node, address, resolved};
use crate::event::{Event, Events};
use crate::graph::{Graph, NodeIx, Shape};
use crate::job::{Context, Cost, Done, Executor, Failure, Job};
use crate::rebuilder::{Memo, Strategy};
use crate::resolve::Outputs;
use crate::tasks::{Entered, Known};

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
    Failed(Box<Failure>),
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
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Where each node ended, by index.
    pub states: Vec<State>,
    /// The outputs of each node, where they became known.
    pub outputs: Vec<Option<Arc<Outputs>>>,
    /// The resolved key of each node that was resolved.
    pub keys: Vec<Option<Digest>>,
    /// Whether each node's outputs follow from its instructions alone.
    pub addressed: Vec<bool>,
    /// Milliseconds after the request's start at which each node's job started.
    pub start_ms: Vec<Option<u64>>,
    /// Builders that ran, failed ones included.
    pub builders_run: u64,
    /// Those that had to run as the request began, whatever comes out below them: as long as no
    /// builder fails, nobody cancels, and a builder that ran before gives the same again.
    pub certain: Vec<NodeIx>,
    /// Those besides that might have to run, depending on what comes out below. Nothing runs
    /// that is neither certain nor possible.
    pub possible: Vec<NodeIx>,
    /// A builder gave something else than the trace says: the caller advances the epoch.
    pub diverged: bool,
}

impl Outcome {
    /// Whether everything that was asked for is in the store.
    pub fn is_complete(&self, graph: &Graph) -> bool {
        graph.targets.iter().all(|target| self.states[target.node.index()].is_present())
    }
}

/// What somebody wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Demand {
    /// Nothing.
    None,
    /// To know its outputs' paths, so that a user can be resolved.
    Paths,
    /// Its objects in the store, because a user will run or it is a target.
    Objects,
}

/// What became of a node that was about to start.
enum Start {
    /// It needs a worker.
    Job(Box<Job>),
    /// Another node's run serves it, or has served it.
    Shared,
}

/// A message from a worker.
enum Message {
    BuilderEnded,
    /// The last says whether `BuilderEnded` was sent before.
    Ended(NodeIx, Result<Done, Failure>, bool),
}

/// Carries out a request.
pub struct Scheduler<'a> {
    graph: &'a Graph,
    shape: &'a Shape,
    nodes: &'a [Node],
    db: &'a mut Database,
    memo: Arc<dyn Memo>,
    strategy: Strategy,
    events: &'a Events,
    cancel: &'a Cancel,
    options: Options,
    started: std::time::Instant,
    /// Whether nothing was known of each node, or it was edited, as the request began.
    stale: Vec<bool>,
    states: Vec<State>,
    outputs: Vec<Option<Arc<Outputs>>>,
    keys: Vec<Option<Digest>>,
    addressed: Vec<bool>,
    /// Whether the outputs of each node are not those that its users were last resolved against.
    moved: Vec<bool>,
    /// Whether the outputs that anyone uses were seen in the store, as long as they do not move.
    here: Vec<bool>,
    demanded: Vec<Demand>,
    /// Of a node that waits.
    unknown_inputs: Vec<u32>,
    /// A builder gave something else than the trace says, so that the keys above it are in doubt.
    diverged: bool,
    start_ms: Vec<Option<u64>>,
    builders_run: u64,
    /// Nodes that share a resolved derivation with one that is running.
    in_flight: HashMap<Digest, Vec<NodeIx>>,
    /// What came of every job of this request.
    finished: HashMap<Digest, Result<Arc<Outputs>, Failure>>,
    ready: BinaryHeap<(u32, Reverse<NodeIx>)>,
    /// Nodes that were just asked for: whether their inputs will come, and how many they wait
    /// for, is counted once everything has been asked for.
    fresh: Vec<NodeIx>,
    stopping: bool,
}

impl<'a> Scheduler<'a> {
    /// A scheduler for a graph that was entered into the database. It takes what is known from
    /// the former request; a second one for the same graph knows nothing.
    pub fn new(
        entered: &'a mut Entered,
        db: &'a mut Database,
        events: &'a Events,
        cancel: &'a Cancel,
        options: Options,
    ) -> Self {
        let known = entered.known.take();
        let Entered { graph, shape, nodes, .. } = &*entered;
        let count = graph.len();
        let Known { stale, states, outputs, keys, addressed } =
            known.unwrap_or_else(|| Known::nothing(count));
        Scheduler {
            graph,
            shape,
            nodes,
            memo: Arc::clone(db.memo()),
            strategy: db.strategy(),
            db,
            events,
            cancel,
            options,
            started: std::time::Instant::now(),
            here: states.iter().map(State::is_present).collect(),
            stale,
            states,
            outputs,
            keys,
            addressed,
            moved: vec![false; count],
            demanded: vec![Demand::None; count],
            unknown_inputs: vec![0; count],
            diverged: false,
            start_ms: vec![None; count],
            builders_run: 0,
            in_flight: HashMap::new(),
            finished: HashMap::new(),
            ready: BinaryHeap::new(),
            fresh: Vec::new(),
            stopping: false,
        }
    }

    /// Looks up what is not known from the former request and asks for the targets, without
    /// running anything.
    pub fn look_up(&mut self) {
        let mut doubted = self.stale.clone();
        for at in 0..self.graph.len() {
            if doubted[at] {
                let ix = NodeIx(at as u32);
                self.learn(ix);
                if self.moved[at] || self.outputs[at].is_none() {
                    self.users(ix).iter().for_each(|user| doubted[user.index()] = true);
                }
            }
        }
        for target in &self.graph.targets {
            self.demand(target.node, Demand::Objects);
        }
        self.settle();
    }

    fn users(&self, ix: NodeIx) -> &'a [NodeIx] {
        self.shape.dependants.of(ix)
    }

    fn deps(&self, ix: NodeIx) -> &'a [NodeIx] {
        self.graph.node(ix).deps
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
            addressed: self.addressed,
            start_ms: self.start_ms,
            builders_run: self.builders_run,
            certain,
            possible,
            diverged: self.diverged,
        }
    }

    /// The bounds of what runs; see [`Outcome::certain`] and [`Outcome::possible`].
    fn bounds(&mut self) -> (Vec<NodeIx>, Vec<NodeIx>) {
        let mut certain = Vec::new();
        let mut possible = Vec::new();
        let mut keys = HashSet::new();
        let mut addresses = HashSet::new();
        let mut reached = vec![false; self.graph.len()];
        let mut stack = Vec::new();
        for (ix, _) in self.graph.nodes() {
            let at = ix.index();
            match self.states[at] {
                State::Blocked(_) | State::Ready => {
                    reached[at] = true;
                    // Two of one key share a run; two of one address may find it there.
                    let shares = self.keys[at].is_some_and(|key| !keys.insert(key));
                    let here = self.outputs[at].as_ref().is_some_and(|own| !addresses.insert(own));
                    match (shares, here) {
                        (true, _) => {}
                        (false, true) => possible.push(ix),
                        (false, false) => certain.push(ix),
                    }
                }
                State::Waiting if self.demanded[at] > Demand::None => stack.push(ix),
                _ => {}
            }
        }
        // Whoever may run needs the objects of all its inputs, and they may be gone.
        while let Some(ix) = stack.pop() {
            let at = ix.index();
            if !std::mem::replace(&mut reached[at], true) {
                possible.push(ix);
                for &dep in self.deps(ix) {
                    if !reached[dep.index()] && !self.is_here(dep) {
                        stack.push(dep);
                    }
                }
            }
        }
        possible.sort_unstable();
        (certain, possible)
    }

    /// Whether a node's outputs are known, and those that anyone in the graph uses are in the
    /// store.
    fn is_here(&mut self, ix: NodeIx) -> bool {
        let at = ix.index();
        let Some(outputs) = &self.outputs[at] else { return false };
        if !self.here[at] {
            let is_present =
                |name| outputs.get(name).is_some_and(|path| self.memo.is_present(path));
            self.here[at] =
                self.states[at].is_present() || self.shape.used[at].iter().all(is_present);
        }
        self.here[at]
    }

    /// Finds out what can be known of a node whose inputs' outputs may all be known.
    fn learn(&mut self, ix: NodeIx) {
        let at = ix.index();
        if self.stale[at] {
            if let Some(address) = address(self.db, self.nodes[at]) {
                let outputs = Arc::new(address.outputs.clone());
                self.addressed[at] = true;
                self.states[at] = State::Known;
                self.know(ix, outputs);
                return;
            }
        } else if self.addressed[at] {
            return;
        }
        self.outputs[at] = None;
        self.unknown_inputs[at] = self.count_unknown(ix);
        if self.unknown_inputs[at] > 0 {
            self.states[at] = State::Waiting;
            return;
        }
        let stands = !self.stale[at] && self.deps(ix).iter().all(|dep| !self.moved[dep.index()]);
        let outputs = match stands {
            // Its inputs came out as they were: so did its key, and so does what the trace says.
            true => self.nodes[at].outputs(self.db).clone(),
            false => {
                let key = self.resolve(ix);
                self.db.recall(self.graph.node(ix).recipe, &key)
            }
        };
        match outputs {
            Some(outputs) => {
                self.know(ix, outputs);
                self.states[at] = if self.here[at] { State::Present } else { State::Known };
            }
            None => self.states[at] = State::Missed,
        }
    }

    /// The key of a node all of whose inputs' outputs are known.
    fn resolve(&mut self, ix: NodeIx) -> Digest {
        let key = resolved(self.db, self.nodes[ix.index()]);
        let key = key.expect("the outputs of all inputs are known");
        self.keys[ix.index()] = Some(key);
        key
    }

    /// The resolved derivation itself.
    fn derivation(&self, ix: NodeIx) -> floe_core::drv::Derivation {
        let inputs: Vec<&Outputs> = self
            .deps(ix)
            .iter()
            .map(|dep| &**self.outputs[dep.index()].as_ref().expect("its key was computed"))
            .collect();
        let own = address(self.db, self.nodes[ix.index()]).as_deref();
        self.strategy.rebuilder().resolve(self.graph.node(ix).recipe, own, &inputs)
    }

    /// The outputs of a node are known, to this request and to the queries above it.
    fn know(&mut self, ix: NodeIx, outputs: Arc<Outputs>) {
        let at = ix.index();
        self.diverged |= self.outputs[at].as_ref().is_some_and(|known| *known != outputs);
        if self.db.know(self.nodes[at], &outputs) {
            self.moved[at] = true;
            self.here[at] = false;
        }
        self.outputs[at] = Some(outputs);
    }

    fn count_unknown(&self, ix: NodeIx) -> u32 {
        self.deps(ix).iter().filter(|dep| self.outputs[dep.index()].is_none()).count() as u32
    }

    /// Somebody wants something of this node.
    fn demand(&mut self, ix: NodeIx, demand: Demand) {
        let mut stack = vec![(ix, demand)];
        while let Some((ix, demand)) = stack.pop() {
            let at = ix.index();
            let former = self.demanded[at];
            self.demanded[at] = former.max(demand);
            match self.states[at] {
                State::Known if demand == Demand::Objects => {
                    if self.is_here(ix) {
                        self.states[at] = State::Present;
                    } else {
                        self.must_run(ix, &mut stack);
                    }
                }
                State::Missed => self.must_run(ix, &mut stack),
                State::Waiting if former == Demand::None => {
                    self.fresh.push(ix);
                    let unknown = |dep: &&NodeIx| self.outputs[dep.index()].is_none();
                    let deps = self.deps(ix).iter().filter(unknown);
                    stack.extend(deps.map(|&dep| (dep, Demand::Paths)));
                }
                _ => {}
            }
        }
    }

    /// Marks a node as one that runs, and asks for all its inputs.
    fn must_run(&mut self, ix: NodeIx, stack: &mut Vec<(NodeIx, Demand)>) {
        // Counted in `settle`, once all inputs have been asked for; until then it is blocked by
        // imaginary inputs, so that it cannot start early.
        self.states[ix.index()] = State::Blocked(u32::MAX);
        self.fresh.push(ix);
        for &dep in self.deps(ix) {
            if !self.states[dep.index()].is_present() {
                stack.push((dep, Demand::Objects));
            }
        }
    }

    /// Counts the missing inputs of the nodes that were just found to run, queues those that
    /// miss none, and skips what waits for inputs that will not come.
    fn settle(&mut self) {
        for ix in std::mem::take(&mut self.fresh) {
            let at = ix.index();
            let deps = self.deps(ix);
            if let Some(&dep) = deps.iter().find(|dep| self.states[dep.index()].will_not_come()) {
                self.skip(ix, dep);
                continue;
            }
            if !matches!(self.states[at], State::Blocked(_)) {
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
        self.ready.push((self.shape.heights[ix.index()], Reverse(ix)));
    }

    /// Marks a node that cannot run because of `cause`, and everything that waits for it.
    fn skip(&mut self, ix: NodeIx, cause: NodeIx) {
        let mut stack = vec![(ix, cause)];
        while let Some((ix, cause)) = stack.pop() {
            let at = ix.index();
            let waits = match self.states[at] {
                State::Blocked(_) => true,
                State::Waiting => self.demanded[at] > Demand::None,
                _ => false,
            };
            if waits {
                self.states[at] = State::Skipped(cause);
                stack.extend(self.users(ix).iter().map(|&user| (user, ix)));
            }
        }
    }

    /// Tells the users of a node what has become of it: that its outputs are known
    /// (`newly_known`), and whether they are in the store. What they conclude travels on.
    fn tell_users(&mut self, ix: NodeIx, newly_known: bool) {
        let mut news = vec![(ix, newly_known)];
        while let Some((ix, newly_known)) = news.pop() {
            let present = self.states[ix.index()].is_present();
            for &user in self.users(ix) {
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
                            if self.demanded[user.index()] > Demand::None {
                                self.demand(user, self.demanded[user.index()]);
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
            if matches!(state, State::Ready | State::Blocked(_)) {
                *state = State::Cancelled;
            }
        }
        for at in 0..self.states.len() {
            if matches!(self.states[at], State::Waiting) && self.demanded[at] > Demand::None {
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
                if let Start::Job(job) = self.start(ix) {
                    builders += 1;
                    unfinished += 1;
                    to_workers.send((ix, *job)).expect("workers outlive the feeder");
                }
            }
            if unfinished == 0 {
                return;
            }
            match from_workers.recv().expect("workers outlive their jobs") {
                Message::BuilderEnded => builders -= 1,
                Message::Ended(ix, result, told) => {
                    // A failure frees its place only now, when it is known to be one.
                    builders -= usize::from(!told);
                    unfinished -= 1;
                    self.ended(ix, result);
                }
            }
        }
    }

    /// The job for a node that is ready, unless the result of another node serves it too.
    fn start(&mut self, ix: NodeIx) -> Start {
        let at = ix.index();
        let former = self.keys[at];
        let key = match former {
            Some(key) if !self.diverged => key,
            _ => self.resolve(ix),
        };
        if let Some(result) = self.finished.get(&key).cloned() {
            self.landed(ix, result.map(|outputs| (outputs, None)));
            return Start::Shared;
        }
        if former.is_some_and(|former| former != key)
            && let Some(outputs) = self.db.recall(self.graph.node(ix).recipe, &key)
            && outputs.values().all(|path| self.memo.is_present(path))
        {
            // An input came out otherwise than it was, and so this was built before.
            let newly_known = self.outputs[at].is_none();
            self.know(ix, outputs);
            self.states[at] = State::Present;
            self.tell_users(ix, newly_known);
            return Start::Shared;
        }
        if self.is_here(ix) {
            // Another derivation with the same address ran since this one was asked for.
            self.states[at] = State::Present;
            self.tell_users(ix, false);
            return Start::Shared;
        }
        self.states[at] = State::Running;
        if let Some(waiting) = self.in_flight.get_mut(&key) {
            waiting.push(ix);
            return Start::Shared;
        }
        self.in_flight.insert(key, Vec::new());
        self.builders_run += 1;
        self.start_ms[at] = Some(self.started.elapsed().as_millis() as u64);
        let own = address(self.db, self.nodes[at]).as_ref();
        Start::Job(Box::new(Job {
            id: ix.0,
            recipe: Arc::clone(self.graph.node(ix).recipe),
            derivation: self.derivation(ix),
            key,
            own: own.map(|own| own.outputs.clone()),
        }))
    }

    /// A job has ended, and with it all nodes that wait for the same.
    fn ended(&mut self, ix: NodeIx, result: Result<Done, Failure>) {
        let key = self.keys[ix.index()].expect("it was started");
        let sharers = self.in_flight.remove(&key).unwrap_or_default();
        let cost = result.as_ref().ok().map(|done| done.cost);
        let result = result.map(|done| Arc::new(done.outputs));
        if let Ok(outputs) = &result {
            self.db.land(key, Arc::clone(outputs));
        }
        self.finished.insert(key, result.clone());
        // One builder ran, whoever shares its result reuses it.
        self.landed(ix, result.clone().map(|outputs| (outputs, cost)));
        for ix in sharers {
            self.landed(ix, result.clone().map(|outputs| (outputs, None)));
        }
    }

    /// What a node was to run for is there, or will not come.
    fn landed(&mut self, ix: NodeIx, result: Result<(Arc<Outputs>, Option<Cost>), Failure>) {
        let at = ix.index();
        match result {
            Ok((outputs, cost)) => {
                let newly_known = self.outputs[at].is_none();
                self.know(ix, outputs);
                self.states[at] = cost.map_or(State::Present, State::Built);
                self.tell_users(ix, newly_known);
            }
            Err(failure) => {
                let cancelled = matches!(failure, Failure::Cancelled);
                self.states[at] =
                    if cancelled { State::Cancelled } else { State::Failed(Box::new(failure)) };
                self.stopping |= !self.options.keep_going;
                if !cancelled {
                    for &user in self.users(ix) {
                        self.skip(user, ix);
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
        let caught = catch_unwind(AssertUnwindSafe(|| executor.execute(&job, &context)));
        let result = match caught {
            Ok(result) => result,
            Err(panic) => {
                // Somebody waits for this job: the panic goes on once they know.
                let message = format!("'{name}': floe itself failed while building it");
                let failure = Failure::Transient { message, log_tail: Vec::new() };
                events.send(Event::Failed { job: job.id, name });
                let _ = messages.send(Message::Ended(ix, Err(failure), told.get()));
                resume_unwind(panic)
            }
        };
        events.send(match &result {
            Ok(done) => Event::Finished {
                job: job.id,
                name,
                outputs: done.outputs.values().cloned().collect(),
                wall_ms: done.cost.wall_ms,
            },
            Err(_) => Event::Failed { job: job.id, name },
        });
        let _ = messages.send(Message::Ended(ix, result, told.get()));
    }
}
