//! Collection: deletes what no root reaches, while work goes on in this process. Mark without
//! stopping anybody, then sweep in small steps behind the closed gate: mark what was touched
//! meanwhile, delete rows in one synced batch, rename files aside; delete those with the gate
//! open again. Referrers go before what they refer to, so a stop at any point leaves a store in
//! which every reference is registered. A file whose row went is garbage that the next owner
//! cleans.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use floe_core::path::StorePath;
use rocksdb::WriteBatch;

use crate::db::Family;
use crate::error::{IoContext, Result, StoreError};
use crate::key::{self, PathKey};
use crate::lock::{FileLock, Patience, Waiting, WaitingFor};
use crate::mark::Marks;
use crate::protect::{self, Protect};
use crate::query::path_of;
use crate::row::{self, DerivationRow, ObjectRow};
use crate::store::{Store, now_ms};
use crate::{root, schema, trash};

/// How many objects one sweep deletes behind the closed gate.
const SWEEP: usize = 500;

/// How long a trace outlives its objects: 90 days, in milliseconds.
const TRACE_AGE_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// What to collect.
#[derive(Clone, Copy)]
pub struct GcOptions<'a> {
    /// Only say what would be deleted.
    pub dry_run: bool,
    /// Stop when about this much was deleted.
    pub max_freed_bytes: Option<u64>,
    /// Keep the derivations that made the objects which stay.
    pub keep_derivations: bool,
    /// Forget runs whose objects are gone when they are older than this; none to keep them all.
    pub trace_age_ms: Option<u64>,
    /// Wait for other processes that read the store, or fail at once.
    pub wait: bool,
    /// Told once before waiting.
    pub on_wait: Option<&'a dyn Fn(&Waiting)>,
}

impl Default for GcOptions<'_> {
    fn default() -> Self {
        let (keep_derivations, wait) = (true, true);
        Self {
            dry_run: false,
            max_freed_bytes: None,
            keep_derivations,
            trace_age_ms: Some(TRACE_AGE_MS),
            wait,
            on_wait: None,
        }
    }
}

/// What a collection did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Objects deleted, referrers first.
    pub deleted: Vec<StorePath>,
    /// Derivation texts deleted.
    pub derivations: usize,
    /// Realisations forgotten: their objects went long ago.
    pub traces: usize,
    /// Files found in the store without a row, deleted.
    pub orphans: usize,
    /// Deduplicated files that no object used any more.
    pub links: usize,
    /// Objects that stay.
    pub kept: usize,
    /// Indirect roots dropped, because the links they stood for are gone.
    pub stale_roots: Vec<PathBuf>,
    /// Bytes freed on the disk; in a dry run the NAR sizes of what would go.
    pub freed_bytes: u64,
}

/// Something to be deleted: an object, a derivation, or both under one path.
#[derive(Default)]
struct Dead {
    object: bool,
    derivation: bool,
    refs: Vec<PathKey>,
    nar_size: u64,
}

impl Store {
    /// Deletes everything that no root, temporary root or running work reaches.
    pub fn gc(&self, options: &GcOptions<'_>) -> Result<GcReport, StoreError> {
        self.writable("collect garbage")?;
        let _one = self.collection.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = Patience { wait: options.wait, on_wait: options.on_wait };
        let _readers = FileLock::exclusive(&self.layout.gc_lock, WaitingFor::Readers, patience)?;
        let collecting = Collecting::begin(&self.protect);
        let mut report = GcReport::default();
        let mut marks = Marks::new(self, options.keep_derivations);
        marks.mark(self.starting_points(&collecting, options, &mut report)?)?;
        let dead = self.dead(&marks, options, &mut report)?;
        if options.dry_run {
            for (key, dead) in &dead {
                self.note(key, dead, &mut report)?;
                report.freed_bytes += dead.nar_size;
            }
            return Ok(report);
        }
        self.mark_unclean()?;
        self.messy.store(true, Ordering::Release);
        for step in dead.chunks(SWEEP) {
            self.sweep(&mut marks, step, &mut report)?;
            report.freed_bytes += trash::empty(&self.layout.trash)?;
        }
        report.orphans = self.sweep_orphans()?;
        self.messy.store(false, Ordering::Release);
        report.freed_bytes += trash::empty(&self.layout.trash)?;
        report.freed_bytes += sweep_links(&self.layout.links, &mut report.links)?;
        if let Some(age) = options.trace_age_ms {
            report.traces = self.forget_runs(now_ms().saturating_sub(age))?;
        }
        Ok(report)
    }

    /// Everything from which marking starts; drops indirect roots whose links are gone.
    fn starting_points(
        &self,
        collecting: &Collecting<'_>,
        options: &GcOptions<'_>,
        report: &mut GcReport,
    ) -> Result<Vec<PathKey>> {
        let found = root::find(&self.layout)?;
        let mut keys: Vec<_> = found.roots.iter().map(|r| PathKey::of(&r.target)).collect();
        if !options.dry_run {
            for link in &found.stale {
                fs::remove_file(link).at("remove the stale root", link)?;
            }
        }
        report.stale_roots = found.stale;
        keys.extend_from_slice(&collecting.held);
        let _closed = self.protect.close();
        keys.extend(protect::read_files(&self.layout.temproots)?);
        Ok(keys)
    }

    /// What is not marked, referrers first, as much as was asked for.
    fn dead(
        &self,
        marks: &Marks<'_>,
        options: &GcOptions<'_>,
        report: &mut GcReport,
    ) -> Result<Vec<(PathKey, Dead)>> {
        let mut dead: HashMap<PathKey, Dead> = HashMap::new();
        self.db.scan(Family::Objects, &[], None, |key, value| {
            let key = PathKey(key.to_vec());
            if marks.is_live(&key) {
                report.kept += 1;
            } else {
                let row: ObjectRow = row::decode(&key.0, value)?;
                let (refs, nar_size) = (row.refs, row.nar_size);
                dead.insert(key, Dead { object: true, derivation: false, refs, nar_size });
            }
            Ok(true)
        })?;
        self.db.scan(Family::Derivations, &[], None, |key, value| {
            let key = PathKey(key.to_vec());
            if !marks.is_live(&key) {
                let row: DerivationRow = row::decode(&key.0, value)?;
                let entry = dead.entry(key).or_default();
                entry.derivation = true;
                entry.refs.extend(row.refs);
            }
            Ok(true)
        })?;
        let mut order = referrers_first(dead);
        if let Some(max) = options.max_freed_bytes {
            let mut sum = 0_u64;
            let enough = order.iter().position(|(_, dead)| {
                let before = sum;
                sum = sum.saturating_add(dead.nar_size);
                before >= max
            });
            let rest = order.split_off(enough.unwrap_or(order.len()));
            report.kept += rest.iter().filter(|(_, dead)| dead.object).count();
        }
        Ok(order)
    }

    fn note(&self, key: &PathKey, dead: &Dead, report: &mut GcReport) -> Result<()> {
        report.derivations += usize::from(dead.derivation);
        if dead.object {
            report.deleted.push(path_of(Family::Objects, key)?);
        }
        Ok(())
    }

    /// One step behind the closed gate.
    fn sweep(
        &self,
        marks: &mut Marks<'_>,
        step: &[(PathKey, Dead)],
        report: &mut GcReport,
    ) -> Result<()> {
        let _closed = self.protect.close();
        marks.mark_again(self.protect.take_touched())?;
        let mut batch = WriteBatch::default();
        let mut files = Vec::new();
        for (key, dead) in step {
            if marks.is_live(key) {
                report.kept += usize::from(dead.object);
                continue;
            }
            self.note(key, dead, report)?;
            self.db.delete(&mut batch, Family::Objects, &key.0);
            self.db.delete(&mut batch, Family::Derivations, &key.0);
            for reference in &dead.refs {
                self.db.delete(&mut batch, Family::Referrers, &key::pair(reference, &key.0));
            }
            if dead.object {
                files.push(self.physical(&path_of(Family::Objects, key)?));
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let epoch = self.epoch.load(Ordering::Acquire) + 1;
        schema::put_epoch(&self.db, &mut batch, epoch);
        self.db.write(batch, true)?;
        self.epoch.store(epoch, Ordering::Release);
        files.iter().try_for_each(|file| trash::discard(file, &self.layout.trash))
    }

    /// Moves away what was staged and never registered, and is nobody's work any more.
    fn sweep_orphans(&self) -> Result<usize> {
        let dir = &self.layout.store;
        let mut orphans = 0;
        let _closed = self.protect.close();
        for entry in fs::read_dir(dir).at("list", dir)? {
            let entry = entry.at("list", dir)?;
            let name = entry.file_name();
            let path = name.to_str().and_then(|name| StorePath::from_base_name(name).ok());
            let Some(key) = path.as_ref().map(PathKey::of) else { continue };
            if !self.protect.is_held(&key) && !self.db.has(Family::Objects, &key.0)? {
                trash::discard(&entry.path(), &self.layout.trash)?;
                self.protect.unset_staged([&key]);
                orphans += 1;
            }
        }
        Ok(orphans)
    }
}

/// While this lives, what is touched is noted.
struct Collecting<'a> {
    protect: &'a Protect,
    held: Vec<PathKey>,
}

impl<'a> Collecting<'a> {
    fn begin(protect: &'a Protect) -> Self {
        Self { protect, held: protect.begin_collection() }
    }
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        self.protect.end_collection();
    }
}

/// Orders so that whatever refers to a path comes before it. References form no cycles, apart
/// from an object's reference to itself; should a damaged database hold one, its members come
/// last.
fn referrers_first(mut dead: HashMap<PathKey, Dead>) -> Vec<(PathKey, Dead)> {
    let mut referrers: HashMap<PathKey, usize> = dead.keys().map(|k| (k.clone(), 0)).collect();
    for (key, node) in &dead {
        for reference in node.refs.iter().filter(|r| *r != key) {
            if let Some(count) = referrers.get_mut(reference) {
                *count += 1;
            }
        }
    }
    let free = referrers.iter().filter(|(_, count)| **count == 0);
    let mut ready: VecDeque<PathKey> = free.map(|(key, _)| key.clone()).collect();
    ready.make_contiguous().sort_unstable();
    let mut order = Vec::with_capacity(dead.len());
    while let Some(key) = ready.pop_front() {
        let Some(node) = dead.remove(&key) else { continue };
        for reference in node.refs.iter().filter(|r| **r != key) {
            if let Some(count) = referrers.get_mut(reference) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(reference.clone());
                }
            }
        }
        order.push((key, node));
    }
    order.extend(dead);
    order
}

/// Removes deduplicated files that only their name in `ROOT/links` keeps. A thread that is about
/// to link to one finds it gone, and keeps its own copy.
fn sweep_links(dir: &Path, removed: &mut usize) -> Result<u64> {
    let mut freed_bytes = 0;
    for entry in fs::read_dir(dir).at("list", dir)? {
        let path = entry.at("list", dir)?.path();
        let meta = match path.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.at("inspect", &path)?,
        };
        let temporary = path.file_name().is_some_and(|n| n.as_bytes().starts_with(b"."));
        if meta.is_file() && meta.nlink() == 1 && !temporary {
            fs::remove_file(&path).at("remove the unused file", &path)?;
            *removed += 1;
            freed_bytes += meta.blocks() * 512;
        }
    }
    Ok(freed_bytes)
}
