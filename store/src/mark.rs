//! Marking: which objects and derivations are reachable from a set of paths. Reads only.

use std::collections::HashSet;

use crate::db::Family;
use crate::error::Result;
use crate::key::PathKey;
use crate::row::{DerivationRow, ObjectRow};
use crate::store::Store;

/// The set of what is alive so far; it only grows.
pub(crate) struct Marks<'s> {
    store: &'s Store,
    keep_derivations: bool,
    live: HashSet<PathKey>,
}

impl<'s> Marks<'s> {
    /// Nothing is alive yet. With `keep_derivations` the derivation that made a live object is
    /// alive too.
    pub(crate) fn new(store: &'s Store, keep_derivations: bool) -> Self {
        Self { store, keep_derivations, live: HashSet::new() }
    }

    /// Marks everything reachable from `keys`. Paths without a row are marked too: they may get
    /// one while the collection runs.
    pub(crate) fn mark(&mut self, keys: impl IntoIterator<Item = PathKey>) -> Result<()> {
        let db = &self.store.db;
        let mut todo: Vec<PathKey> = keys.into_iter().collect();
        while let Some(key) = todo.pop() {
            if self.live.contains(&key) {
                continue;
            }
            if let Some(object) = db.row::<ObjectRow>(&key.0)? {
                todo.extend(object.refs);
                if self.keep_derivations
                    && let Some(deriver) = object.deriver
                    && db.has(Family::Derivations, &deriver.0)?
                {
                    todo.push(deriver);
                }
            }
            if let Some(drv) = db.row::<DerivationRow>(&key.0)? {
                todo.extend(drv.refs);
            }
            self.live.insert(key);
        }
        Ok(())
    }

    /// Marks what is touched anew: unlike [`Marks::mark`] it looks again at paths that were
    /// marked when they had no row.
    pub(crate) fn mark_again(&mut self, keys: Vec<PathKey>) -> Result<()> {
        for key in &keys {
            self.live.remove(key);
        }
        self.mark(keys)
    }

    /// Whether a path is alive.
    pub(crate) fn is_live(&self, key: &PathKey) -> bool {
        self.live.contains(key)
    }
}
