//! The query graph: salsa's inputs are recipes, their edges and the outputs that the scheduler
//! knows; its tracked functions are address and resolved. It ends at the resolved key, so that
//! answers travel upwards over the scheduler's own edges, to those they matter to and no further:
//! validating memos through each other would go through the whole closure at every change.
//! No process is started here and nothing is written.

mod input;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use floe_core::hash::Digest;
use rustc_hash::FxBuildHasher;
use salsa::{Durability, Setter};

pub use input::{Node, Settings};

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
    /// Advances whenever objects or traces may have gone: collection, deletion, another store.
    epoch: u64,
    counters: Arc<Counters>,
    listener: Listener,
}

/// Who hears what the queries do.
type Listener = Arc<dyn Fn(&salsa::Event) + Send + Sync>;

#[salsa::db]
impl salsa::Database for Database {}

#[salsa::db]
impl Db for Database {
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
        let (counters, listener): (_, Listener) = (Arc::default(), Arc::new(listener));
        let storage = storage(&counters, &listener);
        let db = Database { storage, memo, landed: Arc::default(), epoch: 0, counters, listener };
        let _ = Settings::builder(strategy).durability(Durability::MEDIUM).new(&db);
        db
    }

    /// An empty graph over the same memo; work is counted on. What was chosen for keys is asked of the memo again.
    pub(crate) fn emptied(&self) -> Database {
        let storage = storage(&self.counters, &self.listener);
        let db = Database { storage, landed: Arc::default(), ..self.clone() };
        let _ = Settings::builder(self.strategy()).durability(Durability::MEDIUM).new(&db);
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

    /// The outputs of an earlier build of this resolved derivation: those that were chosen for it,
    /// or the preferred ones. A hit is remembered until the epoch advances, a miss is not: a job
    /// may write the trace at any time.
    pub(crate) fn recall(&self, recipe: &Recipe, key: &Digest) -> Option<Arc<Outputs>> {
        if let Some(outputs) = self.landed.get(key) {
            return Some(Arc::clone(&outputs));
        }
        let outputs = Arc::new(self.recall_all(recipe, key).into_iter().next()?);
        self.landed.insert(*key, Arc::clone(&outputs));
        Some(outputs)
    }

    /// The outputs of every earlier run of this resolved derivation that gave something else.
    pub(crate) fn recall_all(&self, recipe: &Recipe, key: &Digest) -> Vec<Outputs> {
        self.strategy().rebuilder().recall(&*self.memo, recipe, key)
    }

    /// Puts another memo in the place of the present one and forgets what was concluded from it.
    pub fn set_memo(&mut self, memo: Arc<dyn Memo>) {
        self.advance_epoch();
        self.memo = memo;
    }

    /// Puts a memo of the same store in the place of the present one: what was concluded stands.
    pub(crate) fn renew_memo(&mut self, memo: Arc<dyn Memo>) {
        self.memo = memo;
    }

    /// Objects or traces may have gone: every answer that rests on them is asked again.
    pub fn advance_epoch(&mut self) {
        self.landed = Arc::default();
        self.epoch += 1;
    }

    /// What was concluded from objects and traces holds for as long as this stays the same.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Begins a revision in which nothing changed, so that every key that is asked for is
    /// validated again.
    pub fn new_revision(&mut self) {
        salsa::Database::synthetic_write(self, Durability::LOW);
    }

    /// The rebuilder in force.
    pub fn strategy(&self) -> Strategy {
        Settings::get(self).strategy(self)
    }

    /// Sets the rebuilder, if it differs.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        if self.strategy() != strategy {
            Settings::get(self).set_strategy(self).to(strategy);
        }
    }

    /// A node for a new task, with what is known of its outputs. What evaluation says changes less often than what is known of
    /// outputs, and an address depends on the former only.
    pub(crate) fn add(
        &mut self,
        recipe: Arc<Recipe>,
        deps: Arc<[Node]>,
        outputs: Option<Arc<Outputs>>,
    ) -> Node {
        Node::builder(recipe, deps, outputs)
            .recipe_durability(Durability::MEDIUM)
            .deps_durability(Durability::MEDIUM)
            .new(self)
    }

    /// A task's instructions are others now.
    pub(crate) fn edit(&mut self, node: Node, recipe: Arc<Recipe>) {
        node.set_recipe(self).to(recipe);
    }

    /// A task's inputs are others now.
    pub(crate) fn connect(&mut self, node: Node, deps: Arc<[Node]>) {
        node.set_deps(self).to(deps);
    }

    /// Lets users be resolved against these outputs. Returns whether that is news.
    pub(crate) fn know(&mut self, node: Node, outputs: &Arc<Outputs>) -> bool {
        let news = node.outputs(self).as_ref() != Some(outputs);
        if news {
            node.set_outputs(self).to(Some(Arc::clone(outputs)));
        }
        news
    }

    /// Chooses the outputs of a key: all that is resolved against it from now on gets these.
    pub(crate) fn land(&self, key: Digest, outputs: Arc<Outputs>) {
        self.landed.insert(key, outputs);
    }
}

/// Empty tables whose events are counted and heard.
fn storage(counters: &Arc<Counters>, listener: &Listener) -> salsa::Storage<Database> {
    let (seen, listener) = (Arc::clone(counters), Arc::clone(listener));
    salsa::Storage::new(Some(Box::new(move |event| {
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
    })))
}

/// The outputs that the instructions alone name, if the rebuilder lets them.
#[salsa::tracked(returns(ref))]
pub fn address(db: &dyn Db, node: Node) -> Option<Arc<Address>> {
    if node.recipe(db).is_dynamic() {
        return None;
    }
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
        node.deps(db).iter().map(|dep| dep.outputs(db).as_deref()).collect();
    let derivation = rebuilder.resolve(node.recipe(db), own.as_deref(), &inputs?);
    db.did_resolve();
    Some(key(&derivation))
}
