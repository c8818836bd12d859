//! Tasks from one request to the next: which node of the query graph stands for which task, and
//! what the former request left known, so that a request looks only at what differs. Nothing is
//! looked up here and nothing runs.

use std::sync::{Arc, Mutex, PoisonError};

use floe_core::hash::Digest;
use floe_lang::graph::DrvId;
use rustc_hash::FxHashMap;

use crate::db::{Database, Node};
use crate::graph::{Graph, NodeIx, Shape};
use crate::ledger::Short;
use crate::rebuilder::Strategy;
use crate::recipe::Recipe;
use crate::resolve::Outputs;
use crate::schedule::{Outcome, State};

/// All tasks that were ever entered, and the last request.
#[derive(Default)]
pub struct Tasks {
    by_id: FxHashMap<Short, Node>,
    former: Option<Former>,
}

/// A graph in the database, by the graph's indices.
pub struct Entered {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Its shape.
    pub shape: Arc<Shape>,
    /// The inputs of the queries.
    pub nodes: Vec<Node>,
    /// The recipes' digests.
    pub recipes: Vec<Digest>,
    /// Each node's derivation as evaluated, where there was an evaluation.
    pub(crate) drvs: Option<Arc<[DrvId]>>,
    /// How long builders took the last time, of those about which somebody asked.
    pub(crate) walls: Walls,
    /// What the former request left known; the scheduler takes it.
    pub(crate) known: Option<Known>,
    /// The nodes that were edited, if of all others everything is known; the scheduler takes it.
    pub(crate) edited: Option<Vec<NodeIx>>,
    /// The number that the store's last request had when it was this task's last one.
    pub(crate) entered_as: Option<u64>,
}

/// How long builders took the last time, in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Walls(Arc<Mutex<FxHashMap<NodeIx, Option<u64>>>>);

impl Walls {
    /// Of a node; `find` is asked once.
    pub(crate) fn of(&self, ix: NodeIx, find: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(ix).or_insert_with(find)
    }

    /// What ran took so long this time.
    fn keep(&self, outcome: &Outcome) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (ix, state) in (0u32..).map(NodeIx).zip(&outcome.states) {
            if let State::Built(cost) = state
                && let Some(wall_ms) = known.get_mut(&ix)
            {
                *wall_ms = Some(cost.wall_ms).filter(|wall_ms| *wall_ms > 0);
            }
        }
    }
}

/// A request that is over.
struct Former {
    graph: Arc<Graph>,
    shape: Arc<Shape>,
    /// None while it rests, and so the recipes' digests.
    nodes: Vec<Node>,
    recipes: Vec<Digest>,
    left: Left,
    strategy: Strategy,
    epoch: u64,
    drvs: Option<Arc<[DrvId]>>,
    walls: Walls,
    entered_as: Option<u64>,
}

/// What a request left known.
enum Left {
    /// As it ended.
    Outcome(Arc<Outcome>),
    /// The same in little room, and the outputs that the query graph knew.
    Packed(Packed, Vec<Option<Arc<Outputs>>>),
}

/// What is known of each node, in little room.
#[derive(Default)]
struct Packed {
    /// Of each node which of the marks below it has.
    marks: Vec<u8>,
    outputs: Vec<Option<Arc<Outputs>>>,
    /// Zeroes where there is none.
    keys: Vec<Digest>,
}

const STALE: u8 = 1;
const KNOWN: u8 = 2;
const PRESENT: u8 = 4;
const KEYED: u8 = 8;
const ADDRESSED: u8 = 16;

/// What is known of each node as a request begins, by index.
pub(crate) struct Known {
    /// Whether nothing is known, or the node's own instructions or edges are not what they were.
    pub(crate) stale: Vec<bool>,
    /// `Known` or `Present` where something is known, `Waiting` otherwise.
    pub(crate) states: Vec<State>,
    /// The outputs.
    pub(crate) outputs: Vec<Option<Arc<Outputs>>>,
    /// The resolved keys.
    pub(crate) keys: Vec<Option<Digest>>,
    /// Whether the outputs follow from the instructions alone.
    pub(crate) addressed: Vec<bool>,
}

impl Tasks {
    /// Enters a graph into the database: a task that is known keeps its node, and only what
    /// differs is set.
    pub fn enter(&mut self, db: &mut Database, graph: Graph) -> Entered {
        self.wake(db);
        match self.former.take() {
            Some(former) if graph.is_shaped_like(&former.graph) => self.re_enter(db, graph, former),
            former => self.enter_anew(db, graph, former),
        }
    }

    /// Enters a task that a request found on its way.
    pub(crate) fn enter_one(
        &mut self,
        db: &mut Database,
        task: &Arc<str>,
        recipe: &Arc<Recipe>,
        deps: &[Node],
    ) -> (Node, Digest) {
        let (node, _) = self.place(db, Short::of_task(task), recipe, deps.iter().copied());
        (node, recipe.digest())
    }

    /// The node of a task, added or made to say this; whether that is news.
    fn place(
        &mut self,
        db: &mut Database,
        task: Short,
        recipe: &Arc<Recipe>,
        deps: impl Iterator<Item = Node> + Clone,
    ) -> (Node, bool) {
        let Some(&node) = self.by_id.get(&task) else {
            let node = db.add(Arc::clone(recipe), deps.collect(), None);
            self.by_id.insert(task, node);
            return (node, true);
        };
        let is_edited = node.recipe(db) != recipe;
        if is_edited {
            db.edit(node, Arc::clone(recipe));
        }
        let is_moved = !node.deps(db).iter().copied().eq(deps.clone());
        if is_moved {
            db.connect(node, deps.collect());
        }
        (node, is_edited || is_moved)
    }

    /// Remembers what a request left known. The epoch must be the one it ran in.
    pub fn keep(&mut self, db: &Database, entered: Entered, outcome: &Arc<Outcome>) {
        let Entered { graph, shape, nodes, recipes, drvs, walls, entered_as, .. } = entered;
        walls.keep(outcome);
        let left = Left::Outcome(Arc::clone(outcome));
        let (strategy, epoch) = (db.strategy(), db.epoch());
        self.former = Some(Former {
            graph,
            shape,
            nodes,
            recipes,
            left,
            strategy,
            epoch,
            drvs,
            walls,
            entered_as,
        });
    }

    /// Empties the database: what queries computed of the former request is known beside them, and what is known lies
    /// in little room until the next request. Nothing is done where there was no such request, or where it found
    /// derivations on its way.
    pub fn rest(&mut self, db: &mut Database) {
        let Some(former) = &mut self.former else { return };
        let has_ended = matches!(former.left, Left::Outcome(_));
        if !has_ended || former.nodes.len() != former.graph.len() {
            return;
        }
        let entered = former.nodes.iter().map(|node| node.outputs(db).clone()).collect();
        let nothing = Left::Packed(Packed::default(), Vec::new());
        let known = std::mem::replace(&mut former.left, nothing).known();
        former.left = Left::Packed(Packed::of(known), entered);
        (former.nodes, former.recipes) = (Vec::new(), Vec::new());
        self.by_id = FxHashMap::default();
        *db = db.emptied();
    }

    /// Enters the former request's graph into the database again, if that was emptied.
    fn wake(&mut self, db: &mut Database) {
        let Some(former) = &mut self.former else { return };
        let Left::Packed(_, entered) = &mut former.left else { return };
        if entered.is_empty() {
            return;
        }
        self.by_id.reserve(former.graph.len());
        former.nodes.reserve_exact(former.graph.len());
        former.recipes.reserve_exact(former.graph.len());
        let tasks = former.graph.nodes().zip(&former.shape.short_tasks);
        for (((_, node), task), outputs) in tasks.zip(std::mem::take(entered)) {
            let deps = node.deps.iter().map(|dep| former.nodes[dep.index()]).collect();
            former.recipes.push(node.recipe.digest());
            let node = db.add(Arc::clone(node.recipe), deps, outputs);
            self.by_id.insert(*task, node);
            former.nodes.push(node);
        }
    }

    /// The derivations of the former request, where there was an evaluation.
    pub(crate) fn former_drvs(&self) -> Option<&Arc<[DrvId]>> {
        self.former.as_ref()?.drvs.as_ref()
    }

    /// Forgets the former request.
    pub(crate) fn forget_former(&mut self) {
        self.former = None;
    }

    /// Enters the former request's graph again, in which these recipes are others now; none if there
    /// was no such request.
    pub(crate) fn revise(
        &mut self,
        db: &mut Database,
        recipes: Vec<(NodeIx, Arc<Recipe>)>,
    ) -> Option<Entered> {
        self.wake(db);
        let mut former = self.former.take()?;
        let mut graph = Arc::unwrap_or_clone(std::mem::take(&mut former.graph));
        graph.shrink();
        let mut edited = Vec::with_capacity(recipes.len());
        for (ix, recipe) in recipes {
            graph.share(ix, &recipe);
            edited.push(ix);
        }
        Some(self.edit(db, graph, former, edited))
    }

    /// Enters a graph that differs from the former in nothing but what its recipes say.
    fn re_enter(&mut self, db: &mut Database, mut graph: Graph, former: Former) -> Entered {
        let mut edited = Vec::new();
        for at in 0..graph.len() {
            let ix = NodeIx(at as u32);
            let (old, new) = (former.graph.node(ix).recipe, graph.node(ix).recipe);
            if Arc::ptr_eq(old, new) {
                continue;
            }
            if old == new {
                graph.share(ix, old);
            } else {
                edited.push(ix);
            }
        }
        self.edit(db, graph, former, edited)
    }

    /// Enters a graph of the former one's shape, whose recipes differ at these nodes.
    fn edit(
        &mut self,
        db: &mut Database,
        graph: Graph,
        former: Former,
        edited: Vec<NodeIx>,
    ) -> Entered {
        let holds = former.holds(db, !edited.is_empty());
        let Former { shape, nodes, mut recipes, left, drvs, walls, entered_as, .. } = former;
        let mut known = holds.then(|| left.known());
        let walls = if holds { walls } else { Walls::default() };
        if let Some(known) = &mut known {
            known.truncate(graph.len());
            shape.dynamic.iter().for_each(|&ix| known.forget(ix));
        }
        for &ix in &edited {
            let recipe = graph.node(ix).recipe;
            recipes[ix.index()] = recipe.digest();
            db.edit(nodes[ix.index()], Arc::clone(recipe));
            if let Some(known) = &mut known {
                known.forget(ix);
            }
        }
        let stale = known.as_ref().map(|known| known.stale.iter().filter(|stale| **stale).count());
        let edited = Some(edited).filter(|edited| stale == Some(edited.len()));
        let graph = Arc::new(graph);
        Entered { graph, shape, nodes, recipes, drvs, walls, known, edited, entered_as }
    }

    /// Enters a graph of any shape.
    fn enter_anew(
        &mut self,
        db: &mut Database,
        mut graph: Graph,
        former: Option<Former>,
    ) -> Entered {
        let shape = Arc::new(Shape::of(&graph));
        let mut nodes: Vec<Node> = Vec::with_capacity(graph.len());
        let mut recipes = Vec::with_capacity(graph.len());
        let mut edited = vec![false; graph.len()];
        for (at, edited) in edited.iter_mut().enumerate() {
            let ix = NodeIx(at as u32);
            let (recipe, deps) = (graph.node(ix).recipe, graph.node(ix).deps);
            let deps = deps.iter().map(|dep| nodes[dep.index()]);
            let node;
            (node, *edited) = self.place(db, shape.short_tasks[at], recipe, deps);
            recipes.push(recipe.digest());
            graph.share(ix, node.recipe(db));
            nodes.push(node);
        }
        let holds = |former: &Former| former.holds(db, edited.contains(&true));
        let known = former.filter(holds).map(|former| {
            let places: FxHashMap<Node, usize> =
                former.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
            let place = |at: usize| places.get(&nodes[at]).copied().filter(|_| !edited[at]);
            let mut known = former.left.known().rearranged((0..nodes.len()).map(place));
            shape.dynamic.iter().for_each(|&ix| known.forget(ix));
            known
        });
        Entered {
            graph: Arc::new(graph),
            shape,
            nodes,
            recipes,
            drvs: None,
            walls: Walls::default(),
            known,
            edited: None,
            entered_as: None,
        }
    }
}

impl Former {
    /// Whether what it left known still holds of the nodes that were not edited.
    fn holds(&self, db: &Database, any_edited: bool) -> bool {
        // An address that is made from other addresses is asked for from the bottom, or not at
        // all: from somewhere in the middle its query would go down by recursion.
        let all_over = any_edited && self.strategy.rebuilder().addresses_by_inputs();
        self.epoch == db.epoch() && self.strategy == db.strategy() && !all_over
    }
}

impl Left {
    fn known(self) -> Known {
        match self {
            Left::Outcome(outcome) => Known::of(Arc::unwrap_or_clone(outcome)),
            Left::Packed(packed, _) => packed.known(),
        }
    }
}

impl Packed {
    fn of(known: Known) -> Packed {
        let Known { stale, states, outputs, keys, addressed } = known;
        let mark = |at: usize| {
            let state = match states[at] {
                State::Present => PRESENT,
                State::Known => KNOWN,
                _ => 0,
            };
            let marks =
                [(stale[at], STALE), (keys[at].is_some(), KEYED), (addressed[at], ADDRESSED)];
            marks.into_iter().fold(state, |all, (is_so, mark)| all | if is_so { mark } else { 0 })
        };
        let marks = (0..states.len()).map(mark).collect();
        let keys = keys.into_iter().map(|key| key.unwrap_or(Digest([0; 32]))).collect();
        Packed { marks, outputs, keys }
    }

    fn known(self) -> Known {
        let Packed { marks, outputs, keys } = self;
        let has = |mark: u8| marks.iter().map(move |marks| marks & mark != 0);
        let state = |marks: &u8| match marks & (KNOWN | PRESENT) {
            PRESENT => State::Present,
            KNOWN => State::Known,
            _ => State::Waiting,
        };
        Known {
            stale: has(STALE).collect(),
            states: marks.iter().map(state).collect(),
            outputs,
            keys: keys.into_iter().zip(has(KEYED)).map(|(key, is)| is.then_some(key)).collect(),
            addressed: has(ADDRESSED).collect(),
        }
    }
}

impl Known {
    /// Nothing is known of so many nodes.
    pub(crate) fn nothing(count: usize) -> Known {
        Known {
            stale: vec![true; count],
            states: vec![State::Waiting; count],
            outputs: vec![None; count],
            keys: vec![None; count],
            addressed: vec![false; count],
        }
    }

    /// What a request left known: the outputs that it ended with. A miss is never carried over.
    fn of(outcome: Outcome) -> Known {
        let Outcome { states, outputs, keys, addressed, .. } = outcome;
        let stale = vec![false; states.len()];
        let mut known = Known { stale, states, outputs, keys, addressed };
        for at in 0..known.states.len() {
            match known.states[at] {
                State::Known | State::Present => {}
                State::Built(_) => known.states[at] = State::Present,
                _ => known.forget(NodeIx(at as u32)),
            }
        }
        known
    }

    /// What a request found on its way the next one finds again.
    fn truncate(&mut self, count: usize) {
        self.stale.truncate(count);
        self.states.truncate(count);
        self.outputs.truncate(count);
        self.keys.truncate(count);
        self.addressed.truncate(count);
    }

    /// Nothing is known of this node.
    fn forget(&mut self, ix: NodeIx) {
        let at = ix.index();
        self.stale[at] = true;
        self.states[at] = State::Waiting;
        self.outputs[at] = None;
        self.keys[at] = None;
        self.addressed[at] = false;
    }

    /// For a graph of another shape, whose nodes stood at `places` in the former one.
    fn rearranged(mut self, places: impl ExactSizeIterator<Item = Option<usize>>) -> Known {
        let mut known = Known::nothing(places.len());
        for (at, place) in places.enumerate() {
            let Some(place) = place.filter(|&place| !self.stale[place]) else { continue };
            known.stale[at] = false;
            // Others may use it now, and other outputs of it.
            known.states[at] = State::Known;
            known.outputs[at] = self.outputs[place].take();
            known.keys[at] = self.keys[place];
            known.addressed[at] = self.addressed[place];
        }
        known
    }
}
