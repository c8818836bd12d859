//! Divergence: traces of which there is more than one object, and closures that mix them. The index
//! is empty as long as recipes are deterministic, and then none of this costs anything. What is to
//! become of a mixture is the engine's affair.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use floe_core::path::{OutputName, StorePath};

use crate::TraceKey;
use crate::db::Family;
use crate::error::{Result, StoreError};
use crate::key::{self, PathKey};
use crate::row::{self, TraceRow};
use crate::store::Store;

/// The divergent traces that name each object.
pub(crate) type Divergent = HashMap<PathKey, Vec<Vec<u8>>>;

/// Two results of one key in one closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixture {
    /// The key.
    pub key: TraceKey,
    /// The output of which they are realisations.
    pub output: OutputName,
    /// The one that was met first.
    pub one: StorePath,
    /// The other.
    pub other: StorePath,
}

impl Store {
    /// Two realisations of one output among these paths, if there are such.
    pub fn mixture<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<Option<Mixture>, StoreError> {
        let divergent = self.divergent()?;
        if divergent.is_empty() {
            return Ok(None);
        }
        let mut met: HashMap<&[u8], &StorePath> = HashMap::new();
        for path in paths {
            for trace in divergent.get(&PathKey::of(path)).into_iter().flatten() {
                match met.insert(trace, path) {
                    Some(one) if one != path => {
                        let (key, output) = split(trace)?;
                        let (one, other) = (one.clone(), path.clone());
                        return Ok(Some(Mixture { key, output, one, other }));
                    }
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// All outputs of which there is more than one realisation, the preferred one first.
    pub fn divergences(&self) -> Result<Vec<(TraceKey, OutputName, Vec<StorePath>)>, StoreError> {
        let mut found = Vec::new();
        self.db.scan(Family::Divergent, &[], None, |bytes, _| {
            let (key, output) = split(bytes)?;
            let mut paths = Vec::new();
            for realisation in self.trace_all(&key, &output)? {
                paths.push(realisation.path);
            }
            found.push((key, output, paths));
            Ok(true)
        })?;
        Ok(found)
    }

    /// The index was written to: who asks next reads it again.
    pub(crate) fn forget_divergent(&self) {
        *self.divergent.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn divergent(&self) -> Result<Arc<Divergent>> {
        let mut known = self.divergent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(divergent) = &*known {
            return Ok(Arc::clone(divergent));
        }
        let mut divergent = Divergent::new();
        self.db.scan(Family::Divergent, &[], None, |trace, _| {
            let row: TraceRow = self.db.row(trace)?.unwrap_or_default();
            for realisation in row.realisations {
                let traces = divergent.entry(realisation.path).or_default();
                if traces.last().is_none_or(|last| last != trace) {
                    traces.push(trace.to_vec());
                }
            }
            Ok(true)
        })?;
        let divergent = Arc::new(divergent);
        *known = Some(Arc::clone(&divergent));
        Ok(divergent)
    }
}

fn split(trace: &[u8]) -> Result<(TraceKey, OutputName)> {
    key::split_trace(trace).map_err(|reason| row::broken(Family::Divergent, trace, reason))
}
