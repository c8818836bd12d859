//! The query graph: salsa's inputs are recipes and their edges, its tracked functions are
//! address, resolved and output. A query never builds and never waits: what is not in the
//! memo yet is `None`, and the scheduler sees to it that nobody asks `output` too early.
//! No process is started here and nothing is written.

mod input;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use floe_core::hash::Digest;
use rustc_hash::{FxBuildHasher, FxHashMap};
use salsa::{Durability, Setter};

pub use input::{Node, Settings};

use crate::graph::Graph;
use crate::rebuilder::{Address, Memo, Strategy};
use crate::recipe::Recipe;
use crate::resolve::{Outputs, key};

/// How much work the queries did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryCounts {
    /// Tracked functions whose body ran.
    pub executed: u64,
    /// Memos that were found still valid.
    pub validated: u64,
    /// Derivations that were resolved: executions of [`resolved`] that had all inputs.
    pub resolved: u64,
}

#[derive(Default)]
struct Counters {
    executed: AtomicU64,
    validated: AtomicU64,
    resolved: AtomicU64,
}

/// Hits of one epoch by resolved key; misses are never kept.
type Landed = DashMap<Digest, Arc<Outputs>, FxBuildHasher>;

/// What queries may ask for beyond salsa's own tables.
#[salsa::db]
pub trait Db: salsa::Database {
    /// The outputs of an earlier build of this resolved derivation. A hit is remembered until
    /// the epoch advances, a miss is not.
    fn recall(&self, strategy: Strategy, recipe: &Recipe, key: &Digest) -> Option<Arc<Outputs>>;
    /// A derivation was resolved.
    fn did_resolve(&self);
}

/// The database. Each clone is a handle for one thread.
#[salsa::db]
#[derive(Clone)]
pub struct Database {
    storage: salsa::Storage<Self>,
    memo: Arc<dyn Memo>,
    landed: Arc<Landed>,
    counters: Arc<Counters>,
}

#[salsa::db]
impl salsa::Database for Database {}

#[salsa::db]
impl Db for Database {
    fn recall(&self, strategy: Strategy, recipe: &Recipe, key: &Digest) -> Option<Arc<Outputs>> {
        if let Some(outputs) = self.landed.get(key) {
            return Some(Arc::clone(&outputs));
        }
        let outputs = Arc::new(strategy.rebuilder().recall(&*self.memo, recipe, key)?);
        self.landed.insert(*key, Arc::clone(&outputs));
        Some(outputs)
    }

    fn did_resolve(&self) {
        self.counters.resolved.fetch_add(1, Ordering::Relaxed);
    }
}

impl Database {
    /// An empty graph over this memo.
    pub fn new(memo: Arc<dyn Memo>, strategy: Strategy) -> Self {
        Database::listening(memo, strategy, |_| {})
    }

    /// An empty graph over this memo, whose events `listener` hears.
    pub fn listening(
        memo: Arc<dyn Memo>,
        strategy: Strategy,
        listener: impl Fn(&salsa::Event) + Send + Sync + 'static,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let seen = Arc::clone(&counters);
        let storage = salsa::Storage::new(Some(Box::new(move |event| {
            match event.kind {
                salsa::EventKind::WillExecute { .. } => {
                    seen.executed.fetch_add(1, Ordering::Relaxed);
                }
                salsa::EventKind::DidValidateMemoizedValue { .. } => {
                    seen.validated.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
            listener(&event);
        })));
        let db = Database { storage, memo, landed: Arc::default(), counters };
        Settings::new(&db, strategy, 0);
        db
    }

    /// Work done so far.
    pub fn counts(&self) -> QueryCounts {
        QueryCounts {
            executed: self.counters.executed.load(Ordering::Relaxed),
            validated: self.counters.validated.load(Ordering::Relaxed),
            resolved: self.counters.resolved.load(Ordering::Relaxed),
        }
    }

    /// The build trace and the set of valid objects, as the queries see them.
    pub fn memo(&self) -> &Arc<dyn Memo> {
        &self.memo
    }

    /// Puts another memo in the place of the present one and forgets what was concluded from it.
    pub fn set_memo(&mut self, memo: Arc<dyn Memo>) {
        self.advance_epoch();
        self.memo = memo;
    }

    /// Objects or traces may have gone: every answer that rests on them is asked again.
    pub fn advance_epoch(&mut self) {
        self.landed = Arc::default();
        let settings = Settings::get(self);
        let epoch = settings.epoch(self) + 1;
        settings.set_epoch(self).to(epoch);
    }

    /// Begins a revision in which nothing changed, so that every memo is validated again.
    pub fn new_revision(&mut self) {
        salsa::Database::synthetic_write(self, Durability::LOW);
    }

    /// Sets the rebuilder, if it differs.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        let settings = Settings::get(self);
        if settings.strategy(self) != strategy {
            settings.set_strategy(self).to(strategy);
        }
    }

    /// What a job has just registered under its key.
    pub(crate) fn land(&self, key: Digest, outputs: Arc<Outputs>) {
        self.landed.insert(key, outputs);
    }
}

/// Which task stands for which node, from one request to the next, and the digest of its recipe.
#[derive(Default)]
pub struct Tasks(FxHashMap<Arc<str>, (Node, Digest)>);

/// A graph in the database, by the graph's indices.
pub struct Entered {
    /// The inputs of the queries.
    pub nodes: Vec<Node>,
    /// The recipes' digests.
    pub recipes: Vec<Digest>,
}

impl Tasks {
    /// Enters a graph into the database: a task that is known keeps its node, and only what
    /// differs is set. `tasks` are the graph's task ids, which are unique.
    pub fn enter(&mut self, db: &mut Database, graph: &Graph, tasks: &[Arc<str>]) -> Entered {
        let mut nodes: Vec<Node> = Vec::with_capacity(graph.len());
        let mut recipes = Vec::with_capacity(graph.len());
        for ((_, node), task) in graph.nodes().zip(tasks) {
            let deps = node.deps.iter().map(|dep| nodes[dep.index()]);
            let known = match self.0.get_mut(task) {
                Some((known, digest)) => {
                    let recipe = known.recipe(db);
                    if !Arc::ptr_eq(recipe, &node.recipe) && **recipe != *node.recipe {
                        known.set_recipe(db).to(Arc::clone(&node.recipe));
                        *digest = node.recipe.digest();
                    }
                    if !known.deps(db).iter().copied().eq(deps.clone()) {
                        let deps = deps.collect();
                        known.set_deps(db).to(deps);
                    }
                    (*known, *digest)
                }
                None => {
                    let new = Node::new(db, Arc::clone(&node.recipe), deps.collect());
                    *self.0.entry(Arc::clone(task)).or_insert((new, node.recipe.digest()))
                }
            };
            nodes.push(known.0);
            recipes.push(known.1);
        }
        Entered { nodes, recipes }
    }
}

/// The outputs that the instructions alone name, if the rebuilder lets them.
#[salsa::tracked(returns(ref))]
pub fn address(db: &dyn Db, node: Node) -> Option<Arc<Address>> {
    let rebuilder = Settings::get(db).strategy(db).rebuilder();
    let inputs: Vec<Option<&Address>> = if rebuilder.addresses_by_inputs() {
        node.deps(db).iter().map(|&dep| address(db, dep).as_deref()).collect()
    } else {
        Vec::new()
    };
    rebuilder.address(node.recipe(db), &inputs).map(Arc::new)
}

/// The key of the derivation in which every input is replaced by the store path it denotes,
/// once all are known. The derivation itself is not kept: whoever runs it resolves again.
#[salsa::tracked(returns(copy))]
pub fn resolved(db: &dyn Db, node: Node) -> Option<Digest> {
    let rebuilder = Settings::get(db).strategy(db).rebuilder();
    let own = address(db, node);
    let inputs: Option<Vec<&Outputs>> =
        node.deps(db).iter().map(|&dep| output(db, dep).as_deref()).collect();
    let derivation = rebuilder.resolve(node.recipe(db), own.as_deref(), &inputs?);
    db.did_resolve();
    Some(key(&derivation))
}

/// The outputs of a node: by its address, or by the build trace. `None` means that a job must
/// run first; the scheduler does not ask before it has.
#[salsa::tracked(returns(ref))]
pub fn output(db: &dyn Db, node: Node) -> Option<Arc<Outputs>> {
    if let Some(address) = address(db, node) {
        return Some(Arc::new(address.outputs.clone()));
    }
    let settings = Settings::get(db);
    let _ = settings.epoch(db);
    let resolved = resolved(db, node)?;
    let outputs = db.recall(settings.strategy(db), node.recipe(db), &resolved);
    if outputs.is_none() {
        // A miss holds for this revision only: a job may write the trace at any time.
        db.report_untracked_read();
    }
    outputs
}
