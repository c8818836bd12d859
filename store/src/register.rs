//! Registration: the one place where objects, references, traces and records become true, all
//! in one write. The files lie in place before (`stage.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use floe_core::path::StorePath;
use rocksdb::WriteBatch;

use crate::db::Family;
use crate::error::{Result, StoreError};
use crate::key::{self, PathKey};
use crate::row::{self, DerivationRow, ObjectRow, RealisationRow, TraceRow};
use crate::store::{Store, now_ms};
use crate::{Batch, Divergence, NewObject, NewTrace, Registered};

impl Store {
    /// Registers a batch: all of it, or nothing. When this returns, it is true for everyone and
    /// survives the death of this process; after [`Store::sync`], or some tens of milliseconds,
    /// it survives a power cut. Registering equal content again changes nothing.
    pub fn register(&self, batch: &Batch) -> Result<Registered, StoreError> {
        self.writable("register objects")?;
        let _pass = self.protect.pass();
        let _one = self.registration.lock().unwrap_or_else(PoisonError::into_inner);
        let mut registration = Registration::new(self, batch)?;
        registration.objects(&batch.objects)?;
        for drv in &batch.derivations {
            let key = PathKey::of(&drv.path);
            if !self.db.has(Family::Derivations, &key.0)? {
                let row = DerivationRow::of(drv);
                registration.references(&drv.path, &row.refs, &drv.refs)?;
                registration.put(Family::Derivations, &key.0, &row::encode(&row));
            }
        }
        registration.traces(&batch.traces)?;
        registration.finish_traces();
        for (task, bytes) in &batch.records {
            registration.put(Family::Records, task, bytes);
        }
        for task in &batch.dropped_records {
            self.db.delete(&mut registration.writes, Family::Records, task);
        }
        for (task, bytes) in &batch.memories {
            registration.put(Family::Memory, task, bytes);
        }
        registration.commit()
    }
}

/// One registration on its way.
struct Registration<'s> {
    store: &'s Store,
    writes: WriteBatch,
    /// Objects and derivations of the batch, and those already found to be registered.
    known: HashSet<PathKey>,
    objects: Vec<PathKey>,
    traces: HashMap<Vec<u8>, TraceRow>,
    result: Registered,
}

impl<'s> Registration<'s> {
    fn new(store: &'s Store, batch: &Batch) -> Result<Self> {
        let objects = batch.objects.iter().map(|o| PathKey::of(&o.path));
        let known = objects.chain(batch.derivations.iter().map(|d| PathKey::of(&d.path)));
        Ok(Self {
            store,
            writes: WriteBatch::default(),
            known: known.collect(),
            objects: Vec::new(),
            traces: HashMap::new(),
            result: Registered::default(),
        })
    }

    fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.store.db.put(&mut self.writes, family, key, value);
    }

    /// Whether a path is registered or in the batch.
    fn knows(&mut self, key: &PathKey) -> Result<bool> {
        let db = &self.store.db;
        if self.known.contains(key) {
            return Ok(true);
        }
        if db.has(Family::Objects, &key.0)? || db.has(Family::Derivations, &key.0)? {
            self.known.insert(key.clone());
            return Ok(true);
        }
        Ok(false)
    }

    fn references<'r>(
        &mut self,
        of: &StorePath,
        keys: &[PathKey],
        paths: impl IntoIterator<Item = &'r StorePath>,
    ) -> Result<()> {
        for (key, path) in keys.iter().zip(paths) {
            if !self.knows(key)? {
                let (object, reference) = (of.to_string(), path.to_string());
                return Err(StoreError::MissingReference { object, reference });
            }
        }
        Ok(())
    }

    fn objects(&mut self, objects: &[NewObject]) -> Result<()> {
        let now = now_ms();
        let mut seen: HashMap<PathKey, ObjectRow> = HashMap::with_capacity(objects.len());
        for object in objects {
            let key = PathKey::of(&object.path);
            let row = ObjectRow::of(object, now);
            let earlier = match seen.get(&key) {
                Some(earlier) => Some(earlier.clone()),
                None => self.store.db.row::<ObjectRow>(&key.0)?,
            };
            if let Some(earlier) = earlier {
                same(&object.path, &earlier, &row)?;
                self.objects.push(key);
                continue;
            }
            let files = self.store.physical(&object.path);
            if files.symlink_metadata().is_err() {
                let object = object.path.to_string();
                return Err(StoreError::NotStaged { object, path: files });
            }
            self.references(&object.path, &row.refs, &object.refs)?;
            self.put(Family::Objects, &key.0, &row::encode(&row));
            for reference in &row.refs {
                self.put(Family::Referrers, &key::pair(reference, &key.0), &[]);
            }
            self.result.new_objects += 1;
            self.objects.push(key.clone());
            seen.insert(key, row);
        }
        Ok(())
    }

    /// Each run of a builder by itself: its outputs belong together.
    fn traces(&mut self, traces: &[NewTrace]) -> Result<()> {
        let mut runs: Vec<Vec<&NewTrace>> = Vec::new();
        for trace in traces {
            let path = &trace.realisation.path;
            if !self.knows(&PathKey::of(path))? {
                return Err(self.store.not_valid(path.to_string()));
            }
            let fits = |run: &&mut Vec<&NewTrace>| {
                run[0].key == trace.key && run.iter().all(|other| other.output != trace.output)
            };
            match runs.iter_mut().find(fits) {
                Some(run) => run.push(trace),
                None => runs.push(vec![trace]),
            }
        }
        runs.iter().try_for_each(|run| self.run(run))
    }

    /// Records a run, unless an earlier one gave the same.
    fn run(&mut self, run: &[&NewTrace]) -> Result<()> {
        let mut rows = Vec::with_capacity(run.len());
        for trace in run {
            let key = key::trace(&trace.key, &trace.output);
            let row = match self.traces.get(&key) {
                Some(row) => row.clone(),
                None => self.store.db.row::<TraceRow>(&key)?.unwrap_or_default(),
            };
            rows.push((key, row, PathKey::of(&trace.realisation.path)));
        }
        let same = |at_ms| {
            let gave = |(_, row, path): &(_, TraceRow, _)| {
                row.of_run(at_ms).is_some_and(|realisation| realisation.path == *path)
            };
            rows.iter().all(gave)
        };
        if rows[0].1.realisations.iter().any(|realisation| same(realisation.at_ms)) {
            return Ok(());
        }
        let mut at_ms = run[0].realisation.at_ms;
        let is_taken = |at_ms| {
            rows.iter().any(|(_, row, _)| row.realisations.iter().any(|r| r.at_ms == at_ms))
        };
        while is_taken(at_ms) {
            at_ms += 1;
        }
        for (trace, (key, mut row, path)) in run.iter().zip(rows) {
            if let Some(preferred) = row.realisations.first()
                && !row.names(&path)
            {
                let broken = |reason| row::broken(Family::Trace, &key, reason);
                self.result.divergent.push(Divergence {
                    key: trace.key,
                    output: trace.output.clone(),
                    preferred: preferred.path.path().map_err(broken)?,
                    other: trace.realisation.path.clone(),
                });
                self.put(Family::Divergent, &key, &[]);
            }
            row.realisations
                .push(RealisationRow { at_ms, ..RealisationRow::of(&trace.realisation) });
            self.traces.insert(key, row);
        }
        Ok(())
    }

    fn finish_traces(&mut self) {
        for (key, row) in std::mem::take(&mut self.traces) {
            self.put(Family::Trace, &key, &row::encode(&row));
            for realisation in &row.realisations {
                self.put(Family::TraceByObject, &key::pair(&realisation.path, &key), &[]);
            }
        }
    }

    fn commit(self) -> Result<Registered> {
        // References and traced objects are among the known: a running collection spares them.
        self.store.protect.touch(&self.known);
        if !self.writes.is_empty() {
            self.store.db.write(self.writes, false)?;
        }
        self.store.protect.unset_staged(&self.objects);
        if !self.result.divergent.is_empty() {
            self.store.forget_divergent();
        }
        Ok(self.result)
    }
}

/// Two registrations of one path must describe one object.
fn same(path: &StorePath, had: &ObjectRow, got: &ObjectRow) -> Result<()> {
    let conflict = |what, had: String, got: String| {
        Err(StoreError::Conflict { object: path.to_string(), what, had, got })
    };
    if had.nar_hash != got.nar_hash {
        let [had, got] = [had.nar_hash, got.nar_hash].map(|hash| row::sha256(hash).sri());
        return conflict("NAR hash", had, got);
    }
    if had.refs != got.refs {
        return conflict("set of references", format!("{:?}", had.refs), format!("{:?}", got.refs));
    }
    Ok(())
}
