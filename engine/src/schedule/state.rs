//! The words of the scheduler: where a derivation stands, and what became of a request. Plain data.

use std::sync::Arc;
use std::time::Duration;

use floe_core::hash::Digest;

use super::growth::Finds;
use crate::dynamic::Limits;
use crate::graph::{Graph, NodeIx};
use crate::job::{Cost, Difference, Failure};
use crate::recipe::RootKind;
use crate::resolve::Outputs;
use crate::scheduling::Scheduling;

/// How a request is to be carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Builders at the same time, at least one.
    pub jobs: usize,
    /// Whether to go on with what does not depend on a failure.
    pub keep_going: bool,
    /// Stop before running anything and say what would run.
    pub dry_run: bool,
    /// What becomes of a request that finds out what is to be built while it goes on.
    pub scheduling: Scheduling,
    /// How far builders may extend it.
    pub dynamic: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            jobs: 1,
            keep_going: false,
            dry_run: false,
            scheduling: Scheduling::default(),
            dynamic: Limits::default(),
        }
    }
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
    /// The objects that somebody asked for are in the store.
    Present,
    /// Somebody asked for it and it must run; this many of its inputs are not present.
    Blocked(u32),
    /// All its inputs are present; it is in the queue.
    Ready,
    /// A worker has it.
    Running,
    /// It ran; the objects that somebody asked for are in the store.
    Built(Cost),
    /// Its builder failed.
    Failed(Box<Failure>),
    /// This input of it failed or was skipped.
    Skipped(NodeIx),
    /// The request ended before it could run.
    Cancelled,
}

impl State {
    pub(super) fn outputs_known(&self) -> bool {
        matches!(self, State::Known | State::Present | State::Built(_))
    }

    pub(super) fn is_present(&self) -> bool {
        matches!(self, State::Present | State::Built(_))
    }

    pub(super) fn will_not_come(&self) -> bool {
        matches!(self, State::Failed(_) | State::Skipped(_) | State::Cancelled)
    }
}

/// A builder that gave something else than the trace says it gave.
#[derive(Debug, Clone)]
pub struct Divergence {
    /// Whose builder.
    pub node: NodeIx,
    /// The key of both runs.
    pub key: Digest,
    /// What it gave before.
    pub before: Arc<Outputs>,
    /// What it gave now.
    pub now: Arc<Outputs>,
}

/// What became of every node of the graph. Every key denotes one and the same outputs for all of
/// them: no node rests on a realisation that another node's inputs disagree with.
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
    /// that is neither certain nor possible, as long as a builder that ran before gives the same
    /// again.
    pub possible: Vec<NodeIx>,
    /// Those that stand for outputs of derivations which builders have yet to make: what has to run
    /// for these is not known.
    pub unknown: Vec<NodeIx>,
    /// How often the request was looked at anew because a builder had made a derivation.
    pub restarts: u64,
    /// What was found beside the graph that the request began with.
    pub finds: Finds,
    /// Those of the possible whose outputs were known as the request began: the objects are gone,
    /// and are made again if somebody who runs needs them.
    pub wanted: Vec<NodeIx>,
    /// Builders that gave something else than before.
    pub divergences: Vec<Divergence>,
    /// Where targets that were made again to be compared differ from what is registered.
    pub differences: Vec<(NodeIx, Difference)>,
    /// Keys that denote other outputs than those that the trace prefers, for the next request to
    /// begin with.
    pub choices: Vec<(Digest, RootKind, Arc<Outputs>)>,
    /// The nodes that were edited, inputs first, where everything else stands as the former request
    /// left it and their outputs are what they were: nothing above them was looked at, nothing else
    /// ran.
    pub settled: Option<Vec<NodeIx>>,
    /// How long nothing was left to do but to wait for builders.
    pub waited: Duration,
    /// Processor time of floe's own for what builders needed before they ran: setting up, and what
    /// came after they had ended.
    pub upkeep: (Duration, Duration),
    /// What the rebuilder is to remember, by its own keys.
    pub memories: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Outcome {
    /// Whether everything that was asked for is in the store.
    pub fn is_complete(&self, graph: &Graph) -> bool {
        graph.targets.iter().all(|target| self.states[target.node.index()].is_present())
    }
}
