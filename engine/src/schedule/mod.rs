//! The scheduler: suspending in the words of Build Systems à la Carte, driven from the bottom.
//! One thread owns all state and asks the queries; worker threads run jobs and hold no database
//! handle. Inputs come first everywhere, so nothing blocks and nothing recurses, and a result
//! that equals the old one stops here: its dependants resolve to a key that the trace knows.
//!
//! A request goes by rounds, of which there is nearly always one. Within a round every key denotes
//! one and the same outputs; when a builder gives something else than it gave before and the
//! former objects are not to be had, the round ends, and what rests on them is resolved again.
//! [`standing`] leaves alone what no edit can have reached yet; otherwise [`known`] finds out what is
//! known, [`demand`] asks for what is wanted, [`plan`] tells what may
//! run, [`run`] runs it, [`choice`] chooses among realisations; [`growth`] adds the derivations that
//! builders make.

mod bounds;
mod choice;
mod demand;
mod growth;
mod judging;
mod known;
mod names;
mod plan;
mod run;
mod standing;
mod state;
mod worker;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_core::hash::Digest;

pub use growth::Finds;
pub use judging::Times;
pub use plan::Expected;
pub use state::{Divergence, Options, Outcome, State};

use crate::cancel::Cancel;
use crate::db::{Database, Node};
use crate::dynamic::{Discover, NoReader};
use crate::event::Events;
use crate::graph::{Graph, NodeIx, Shape};
use crate::job::{Cost, Difference, Executor, Failure};
use crate::rebuilder::{Memo, Strategy};
use crate::recipe::RootKind;
use crate::resolve::Outputs;
use crate::tasks::{Entered, Known, Tasks};
use bounds::Bounds;
use growth::Growth;
use judging::Judging;
use names::Names;
use standing::Standing;

/// Carries out a request.
pub struct Scheduler<'a> {
    graph: &'a Graph,
    shape: &'a Shape,
    nodes: &'a [Node],
    tasks: &'a mut Tasks,
    db: &'a mut Database,
    reader: &'a dyn Discover,
    growth: Growth,
    /// Users that are to be told of a node, and whether it has just become known.
    news: Vec<(NodeIx, bool)>,
    /// Whether workers are at work.
    driving: bool,
    /// Whether the round ends because a derivation is to be read that a builder made.
    restarting: bool,
    restarts: u64,
    memo: Arc<dyn Memo>,
    strategy: Strategy,
    events: &'a Events,
    cancel: &'a Cancel,
    options: Options,
    started: Instant,
    waited: Duration,
    /// The nodes that were edited, if everything is known of all others and nobody looked yet.
    edited: Option<Vec<NodeIx>>,
    standing: Option<Standing>,
    /// Whether nothing was known of each node, or it was edited, as the round began.
    stale: Vec<bool>,
    states: Vec<State>,
    outputs: Vec<Option<Arc<Outputs>>>,
    keys: Vec<Option<Digest>>,
    addressed: Vec<bool>,
    /// Whether the outputs of each node are not those that its users were last resolved against.
    moved: Vec<bool>,
    /// Whether somebody wants anything of each node: to know its outputs' paths at least, so that a
    /// user can be resolved.
    asked: Vec<bool>,
    /// The outputs whose objects somebody wants, because a user will run or it is a target.
    wanted: Vec<Names>,
    /// Of a node that waits.
    unknown_inputs: Vec<u32>,
    /// When each node that was present was last found to have to run, for an output that somebody
    /// else wants; and when each node that must run last counted the inputs that it waits for.
    lost_at: Vec<u32>,
    counted_at: Vec<u32>,
    moment: u32,
    start_ms: Vec<Option<u64>>,
    builders_run: u64,
    /// Nodes that share a resolved derivation with one that is running.
    in_flight: HashMap<Digest, Vec<NodeIx>>,
    /// What came of every job of this request.
    finished: HashMap<Digest, Result<Arc<Outputs>, Failure>>,
    /// Whose jobs those were, with what they cost.
    ran: Vec<(Digest, NodeIx, Cost)>,
    failed: Vec<NodeIx>,
    ready: BinaryHeap<(u32, Reverse<NodeIx>)>,
    /// Nodes that were just asked for: whether their inputs will come, and how many they wait
    /// for, is counted once everything has been asked for.
    fresh: Vec<NodeIx>,
    /// A key denotes other outputs than nodes of this round were resolved against.
    rechosen: bool,
    /// What keys denote by choice.
    choices: HashMap<Digest, (RootKind, Arc<Outputs>)>,
    /// Of keys about which there was a choice, the outputs that somebody ever wanted.
    needed: HashMap<Digest, Names>,
    divergences: Vec<Divergence>,
    /// Whether targets run although they are present, to be compared.
    checking: bool,
    /// What that showed.
    differences: Vec<(NodeIx, Difference)>,
    /// Where the rebuilder goes by what it remembers.
    judging: Option<Judging<'a>>,
    /// How long the builder of a task took the last time, in milliseconds.
    expected_ms: Option<Expected<'a>>,
    /// What need not be built after all, and nobody was told of yet.
    cut_off: Vec<u32>,
    stopping: bool,
}

impl<'a> Scheduler<'a> {
    /// A scheduler for a graph that was entered into the database. It takes what is known from
    /// the former request; a second one for the same graph knows nothing.
    pub fn new(
        entered: &'a mut Entered,
        tasks: &'a mut Tasks,
        db: &'a mut Database,
        events: &'a Events,
        cancel: &'a Cancel,
        options: Options,
    ) -> Self {
        let (known, edited) = (entered.known.take(), entered.edited.take());
        if entered.graph.len() > entered.graph.first_len() {
            Arc::make_mut(&mut entered.graph).shrink();
        }
        let Entered { graph, shape, nodes, .. } = &*entered;
        let count = graph.len();
        let Known { stale, states, outputs, keys, addressed } =
            known.unwrap_or_else(|| Known::nothing(count));
        Scheduler {
            graph,
            shape,
            nodes,
            tasks,
            reader: &NoReader,
            growth: Growth::default(),
            news: Vec::new(),
            driving: false,
            restarting: false,
            restarts: 0,
            memo: Arc::clone(db.memo()),
            strategy: db.strategy(),
            db,
            events,
            cancel,
            options,
            started: Instant::now(),
            waited: Duration::ZERO,
            edited,
            standing: None,
            stale,
            states,
            outputs,
            keys,
            addressed,
            moved: vec![false; count],
            asked: vec![false; count],
            wanted: vec![Names::default(); count],
            unknown_inputs: vec![0; count],
            lost_at: vec![0; count],
            counted_at: vec![0; count],
            moment: 0,
            start_ms: vec![None; count],
            builders_run: 0,
            in_flight: HashMap::new(),
            finished: HashMap::new(),
            ran: Vec::new(),
            failed: Vec::new(),
            ready: BinaryHeap::new(),
            fresh: Vec::new(),
            rechosen: false,
            choices: HashMap::new(),
            needed: HashMap::new(),
            divergences: Vec::new(),
            checking: false,
            differences: Vec::new(),
            judging: None,
            expected_ms: None,
            cut_off: Vec::new(),
            stopping: false,
        }
    }

    /// Tells the times of sources, which dirty bits go by, and reads what the rebuilder remembers.
    pub fn remember(&mut self, times: Times<'_>) {
        self.open_court(times);
    }

    /// Lets derivations that builders make be read.
    pub fn read_with(&mut self, reader: &'a dyn Discover) {
        self.reader = reader;
    }

    /// Lets targets that are there be made again, to see whether they come out the same.
    pub fn check_targets(&mut self) {
        self.checking = true;
    }

    /// Lets the plan say how long things will take.
    pub fn expect(&mut self, expected_ms: Expected<'a>) {
        self.expected_ms = Some(expected_ms);
    }

    /// Who uses a node.
    fn users(&self, ix: NodeIx) -> impl Iterator<Item = NodeIx> + use<'a> {
        let first = match ix.index() < self.graph.first_len() {
            true => self.shape.dependants.of(ix),
            false => &[],
        };
        let found = self.growth.users(ix);
        let count = found.as_ref().map_or(0, |found| found.len());
        let found = (0..count).filter_map(move |at| found.as_ref()?.get(at).copied());
        first.iter().copied().chain(found)
    }

    /// Its node in the query graph.
    fn node(&self, ix: NodeIx) -> Node {
        match ix.index().checked_sub(self.nodes.len()) {
            None => self.nodes[ix.index()],
            Some(at) => self.growth.nodes[at],
        }
    }

    /// Length of the longest way to a target.
    fn height(&self, ix: NodeIx) -> u32 {
        match ix.index().checked_sub(self.shape.heights.len()) {
            None => self.shape.heights[ix.index()],
            Some(at) => self.growth.heights[at],
        }
    }

    fn deps(&self, ix: NodeIx) -> &'a [NodeIx] {
        self.graph.node(ix).deps
    }

    /// The outputs of its `nth` input that a node uses.
    fn used(&self, ix: NodeIx, nth: usize) -> Names {
        let node = self.graph.node(ix);
        Names::of(self.graph.node(node.deps[nth]).recipe, &node.recipe.deps[nth].outputs)
    }

    /// Whether a node's outputs are known, and these are in the store.
    fn are_here(&self, ix: NodeIx, names: Names) -> bool {
        let Some(outputs) = &self.outputs[ix.index()] else { return false };
        self.are_present(ix, names, outputs)
    }

    /// Whether these outputs of a node would be in the store, if it had these paths.
    fn are_present(&self, ix: NodeIx, names: Names, outputs: &Outputs) -> bool {
        let is_present =
            |name: &_| outputs.get(name).is_some_and(|path| self.memo.is_present(path));
        names.all(self.graph.node(ix).recipe, is_present)
    }

    /// Whether everything that was asked for is there already.
    pub fn is_finished(&self) -> bool {
        // One that is to be checked may have to run although what stands for its output is there.
        let is_to_run =
            |ix: NodeIx| matches!(self.states[ix.index()], State::Blocked(_) | State::Ready);
        let mut targets = self.graph.targets.iter().map(|target| target.node);
        self.is_settled()
            && targets.all(|ix| {
                self.states[ix.index()].is_present()
                    && !(self.checking && is_to_run(self.stood_for(ix)))
            })
    }

    /// Runs what must run.
    pub fn run(mut self, executor: &dyn Executor) -> Outcome {
        let bounds = self.bounds();
        self.tell_plan(&bounds);
        let Bounds { certain, possible, unknown, wanted } = bounds;
        while !self.options.dry_run && !self.is_finished() {
            self.drive(executor);
            if !self.rechosen {
                break;
            }
            self.begin_again();
        }
        self.say_what_ran();
        let memories = self.memories();
        let settled = self.settled();
        let upkeep =
            self.ran.iter().map(|(.., cost)| cost).fold((0, 0), |(before, after), cost| {
                (before + u64::from(cost.setup_us), after + u64::from(cost.registering_us))
            });
        let choices = self.choices.into_iter().map(|(key, (root, outputs))| (key, root, outputs));
        Outcome {
            states: self.states,
            outputs: self.outputs,
            keys: self.keys,
            addressed: self.addressed,
            start_ms: self.start_ms,
            builders_run: self.builders_run,
            certain,
            possible,
            unknown,
            restarts: self.restarts,
            finds: self.growth.finds,
            wanted,
            divergences: self.divergences,
            differences: self.differences,
            choices: choices.collect(),
            settled,
            waited: self.waited,
            upkeep: (Duration::from_micros(upkeep.0), Duration::from_micros(upkeep.1)),
            memories,
        }
    }
}
