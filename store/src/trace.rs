//! The build trace, the engine's records and its rebuilders' memories: look-ups, and which run is
//! preferred. All of them are written by registration.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use rocksdb::WriteBatch;

use crate::db::Family;
use crate::error::StoreError;
use crate::key::{self, PathKey};
use crate::row::{self, TraceRow};
use crate::store::Store;
use crate::{Realisation, TraceKey};

impl Store {
    /// The preferred realisation of an output, if one is known. Its object was valid when it was
    /// recorded; the trace outlives it.
    pub fn trace_get(
        &self,
        key: &TraceKey,
        output: &OutputName,
    ) -> Result<Option<Realisation>, StoreError> {
        Ok(self.trace_all(key, output)?.into_iter().next())
    }

    /// All realisations of an output, the preferred one first; more than one when the recipe
    /// turned out not to be deterministic.
    pub fn trace_all(
        &self,
        key: &TraceKey,
        output: &OutputName,
    ) -> Result<Vec<Realisation>, StoreError> {
        let key = key::trace(key, output);
        let Some(row) = self.db.row::<TraceRow>(&key)? else { return Ok(Vec::new()) };
        let mut found: Vec<Realisation> = Vec::new();
        for realisation in &row.realisations {
            let realisation = realisation.realisation(&key)?;
            if found.iter().all(|known| known.path != realisation.path) {
                found.push(realisation);
            }
        }
        Ok(found)
    }

    /// What each run of a resolved derivation gave as these outputs, the preferred run first.
    /// Outputs of different runs are never put together.
    pub fn runs(
        &self,
        key: &TraceKey,
        outputs: &[OutputName],
    ) -> Result<Vec<BTreeMap<OutputName, StorePath>>, StoreError> {
        let rows = self.trace_rows(key, outputs)?;
        let moments = rows.first().map_or(&[][..], |(_, row)| row.realisations.as_slice());
        let run = |at_ms| {
            let path = |(name, (bytes, row)): (&OutputName, &(Vec<u8>, TraceRow))| {
                let realisation = row.of_run(at_ms)?;
                Some(realisation.realisation(bytes).map(|found| (name.clone(), found.path)))
            };
            outputs.iter().zip(&rows).filter_map(path).collect()
        };
        moments.iter().map(|realisation| run(realisation.at_ms)).collect()
    }

    /// Prefers the run that gave these outputs, if there is one.
    pub fn prefer(
        &self,
        key: &TraceKey,
        outputs: &BTreeMap<OutputName, StorePath>,
    ) -> Result<(), StoreError> {
        self.writable("prefer a realisation")?;
        let _pass = self.protect.pass();
        let _one = self.registration.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<OutputName> = outputs.keys().cloned().collect();
        let mut rows = self.trace_rows(key, &names)?;
        let paths: Vec<PathKey> = outputs.values().map(PathKey::of).collect();
        let moments = rows.first().map_or(&[][..], |(_, row)| row.realisations.as_slice());
        let gave = |at_ms: &u64| {
            let same = |((_, row), path): (&(Vec<u8>, TraceRow), &PathKey)| {
                row.of_run(*at_ms).is_some_and(|realisation| realisation.path == *path)
            };
            rows.iter().zip(&paths).all(same)
        };
        let Some(at_ms) = moments.iter().map(|realisation| realisation.at_ms).find(gave) else {
            return Ok(());
        };
        let mut batch = WriteBatch::default();
        for (bytes, row) in &mut rows {
            row.realisations.sort_by_key(|realisation| realisation.at_ms != at_ms);
            self.db.put(&mut batch, Family::Trace, bytes, &row::encode(row));
        }
        self.db.write(batch, false)
    }

    /// The rows of these outputs; none where one of them was never made.
    fn trace_rows(
        &self,
        key: &TraceKey,
        outputs: &[OutputName],
    ) -> Result<Vec<(Vec<u8>, TraceRow)>, StoreError> {
        let mut rows = Vec::with_capacity(outputs.len());
        for output in outputs {
            let bytes = key::trace(key, output);
            match self.db.row::<TraceRow>(&bytes)? {
                Some(row) => rows.push((bytes, row)),
                None => return Ok(Vec::new()),
            }
        }
        Ok(rows)
    }

    /// Everything known of a resolved derivation, under every profile.
    pub fn traces_of(
        &self,
        resolved: &Digest,
    ) -> Result<Vec<(TraceKey, OutputName, Vec<Realisation>)>, StoreError> {
        let mut found = Vec::new();
        self.db.scan_prefix(Family::Trace, &resolved.0, |bytes, value| {
            let (key, output) = key::split_trace(bytes)
                .map_err(|reason| row::broken(Family::Trace, bytes, reason))?;
            let row: TraceRow = row::decode(bytes, value)?;
            let realisations: Result<Vec<_>, _> =
                row.realisations.iter().map(|r| r.realisation(bytes)).collect();
            found.push((key, output, realisations?));
            Ok(true)
        })?;
        Ok(found)
    }

    /// The engine's record of a task.
    pub fn record(&self, task: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(Family::Records, task)?.map(|bytes| bytes.to_vec()))
    }

    /// The records whose task ids begin with `prefix`, in order, until `visit` returns false.
    pub fn records(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.db.scan_prefix(Family::Records, prefix, |task, bytes| Ok(visit(task, bytes)))
    }

    /// What a rebuilder remembers of a task.
    pub fn memory(&self, task: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(Family::Memory, task)?.map(|bytes| bytes.to_vec()))
    }

    /// Writes records that accompany no registration; not synced, so a power cut may lose the
    /// newest.
    pub fn put_records<'r>(
        &self,
        records: impl IntoIterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<(), StoreError> {
        self.writable("write records")?;
        let mut batch = WriteBatch::default();
        for (task, bytes) in records {
            self.db.put(&mut batch, Family::Records, task, bytes);
        }
        self.db.write(batch, false)
    }
}
