//! The query graph: salsa's inputs are recipes and their edges, its tracked functions are
//! address, resolved and output. A query never builds and never waits: what is not in the
//! memo yet is `None`, and the scheduler sees to it that nobody asks `output` too early.
//! No process is started here and nothing is written.

#![allow(missing_docs, reason = "salsa's macros write functions that cannot be documented")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe_core::hash::Digest;
use salsa::Setter;

use crate::rebuilder::{Address, Memo, Strategy};
use crate::recipe::Recipe;
use crate::resolve::{Outputs, key};

/// A derivation as an input of the query graph. The same task keeps the same node from one
/// request to the next.
#[salsa::input]
pub struct Node {
    /// What to do.
    #[returns(ref)]
    pub recipe: Arc<Recipe>,
    /// Whose outputs it needs, in the recipe's order.
    #[returns(ref)]
    pub deps: Arc<[Node]>,
}

/// What every answer depends on besides the recipes.
#[salsa::input(singleton)]
pub struct Settings {
    /// The rebuilder in force.
    #[returns(copy)]
    pub strategy: Strategy,
    /// Advances whenever objects or traces may have gone: collection, deletion, another store.
    #[returns(copy)]
    pub epoch: u64,
}

/// How much work the queries did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryCounts {
    /// Tracked functions whose body ran.
    pub executed: u64,
    /// Memos that were found still valid.
    pub validated: u64,
}

#[derive(Default)]
struct Counters {
    executed: AtomicU64,
    validated: AtomicU64,
}

/// What queries may ask for beyond salsa's own tables.
#[salsa::db]
pub trait Db: salsa::Database {
    /// The build trace and the set of valid objects.
    fn memo(&self) -> &dyn Memo;
}

/// The database.
#[salsa::db]
#[derive(Clone)]
pub struct Database {
    storage: salsa::Storage<Self>,
    memo: Arc<dyn Memo>,
    counters: Arc<Counters>,
}

#[salsa::db]
impl salsa::Database for Database {}

#[salsa::db]
impl Db for Database {
    fn memo(&self) -> &dyn Memo {
        &*self.memo
    }
}

impl Database {
    /// An empty graph over this memo.
    pub fn new(memo: Arc<dyn Memo>, strategy: Strategy) -> Self {
        let counters = Arc::new(Counters::default());
        let seen = Arc::clone(&counters);
        let storage = salsa::Storage::new(Some(Box::new(move |event| match event.kind {
            salsa::EventKind::WillExecute { .. } => {
                seen.executed.fetch_add(1, Ordering::Relaxed);
            }
            salsa::EventKind::DidValidateMemoizedValue { .. } => {
                seen.validated.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        })));
        let db = Database { storage, memo, counters };
        Settings::new(&db, strategy, 0);
        db
    }

    /// Work done so far.
    pub fn counts(&self) -> QueryCounts {
        QueryCounts {
            executed: self.counters.executed.load(Ordering::Relaxed),
            validated: self.counters.validated.load(Ordering::Relaxed),
        }
    }

    /// Puts another memo in the place of the present one and forgets what was concluded from it.
    pub fn set_memo(&mut self, memo: Arc<dyn Memo>) {
        self.memo = memo;
        self.advance_epoch();
    }

    /// Objects or traces may have gone: every answer that rests on them is asked again.
    pub fn advance_epoch(&mut self) {
        let settings = Settings::get(self);
        let epoch = settings.epoch(self) + 1;
        settings.set_epoch(self).to(epoch);
    }

    /// Sets the rebuilder, if it differs.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        let settings = Settings::get(self);
        if settings.strategy(self) != strategy {
            settings.set_strategy(self).to(strategy);
        }
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
    Some(key(&rebuilder.resolve(node.recipe(db), own.as_deref(), &inputs?)))
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
    let rebuilder = settings.strategy(db).rebuilder();
    let outputs = rebuilder.recall(db.memo(), node.recipe(db), &resolved);
    if outputs.is_none() {
        // A miss holds for this revision only: a job may write the trace at any time.
        db.report_untracked_read();
    }
    outputs.map(Arc::new)
}
