//! Forgetting runs. A trace outlives its objects, since what a run gave is known though the bytes
//! are gone; a run whose objects went long ago is forgotten as a whole, so that what is left of the
//! others stays what one run gave.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use rocksdb::WriteBatch;

use crate::db::Family;
use crate::error::Result;
use crate::key::{self, PathKey};
use crate::row::{self, TraceRow};
use crate::store::Store;

/// Length of what a key's traces have in common.
const PREFIX_LEN: usize = 64;

impl Store {
    /// Forgets the runs from before this moment, in milliseconds since 1970, none of whose objects
    /// is registered any more. Returns how many realisations that were.
    pub(crate) fn forget_runs(&self, before_ms: u64) -> Result<usize> {
        let _one = self.registration.lock().unwrap_or_else(PoisonError::into_inner);
        let mut forgetting =
            Forgetting { store: self, before_ms, batch: WriteBatch::default(), count: 0 };
        let mut rows: Vec<(Vec<u8>, TraceRow)> = Vec::new();
        self.db.scan(Family::Trace, &[], None, |key, value| {
            let prefix = key.get(..PREFIX_LEN);
            if rows.first().is_some_and(|(first, _)| first.get(..PREFIX_LEN) != prefix) {
                forgetting.runs(&mut rows)?;
            }
            rows.push((key.to_vec(), row::decode(key, value)?));
            Ok(true)
        })?;
        forgetting.runs(&mut rows)?;
        let Forgetting { batch, count, .. } = forgetting;
        if count > 0 {
            self.db.write(batch, true)?;
            self.forget_divergent();
        }
        Ok(count)
    }
}

struct Forgetting<'s> {
    store: &'s Store,
    before_ms: u64,
    batch: WriteBatch,
    count: usize,
}

impl Forgetting<'_> {
    /// Takes the rows of one key and writes what is left of them.
    fn runs(&mut self, rows: &mut Vec<(Vec<u8>, TraceRow)>) -> Result<()> {
        let moments = rows.iter().flat_map(|(_, row)| row.realisations.iter().map(|r| r.at_ms));
        let old: BTreeSet<u64> = moments.filter(|at_ms| *at_ms < self.before_ms).collect();
        let mut gone = BTreeSet::new();
        for at_ms in old {
            if !self.is_here(rows, at_ms)? {
                gone.insert(at_ms);
            }
        }
        for (key, mut row) in rows.drain(..) {
            let was_divergent = row.is_divergent();
            let before: Vec<PathKey> = row.realisations.iter().map(|r| r.path.clone()).collect();
            row.realisations.retain(|r| !gone.contains(&r.at_ms));
            if before.len() == row.realisations.len() {
                continue;
            }
            self.count += before.len() - row.realisations.len();
            let db = &self.store.db;
            for path in before.iter().filter(|path| !row.names(path)) {
                db.delete(&mut self.batch, Family::TraceByObject, &key::pair(path, &key));
            }
            match row.realisations.is_empty() {
                true => db.delete(&mut self.batch, Family::Trace, &key),
                false => db.put(&mut self.batch, Family::Trace, &key, &row::encode(&row)),
            }
            if was_divergent && (row.realisations.is_empty() || !row.is_divergent()) {
                db.delete(&mut self.batch, Family::Divergent, &key);
            }
        }
        Ok(())
    }

    /// Whether some object of a run is registered.
    fn is_here(&self, rows: &[(Vec<u8>, TraceRow)], at_ms: u64) -> Result<bool> {
        for (_, row) in rows {
            let Some(realisation) = row.realisations.iter().find(|r| r.at_ms == at_ms) else {
                continue;
            };
            let path = &realisation.path.0;
            let db = &self.store.db;
            if db.has(Family::Objects, path)? || db.has(Family::Derivations, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
