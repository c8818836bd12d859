//! The build trace and the engine's records: look-ups. Both are written by registration.

use floe_core::hash::Digest;
use floe_core::path::OutputName;
use rocksdb::WriteBatch;

use crate::db::Family;
use crate::error::StoreError;
use crate::key;
use crate::row::{self, TraceRow};
use crate::store::Store;
use crate::{Realisation, TraceKey};

impl Store {
    /// The preferred realisation of an output, if one is known. Its object was valid when it was
    /// recorded, and goes together with the trace.
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
        row.realisations.iter().map(|r| r.realisation(&key)).collect()
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
