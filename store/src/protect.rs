//! Temporary roots: paths that running work needs. In memory for the owner's own threads, as
//! locked files in `ROOT/temproots` for what outlives the open store. Also the gate between
//! work and collection (see `lib.rs`). Permanent roots are in `root.rs`.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::db::Family;
use crate::error::{IoContext, Result, StoreError};
use crate::key::PathKey;
use crate::store::Store;

/// The gate, and what is protected in this process.
#[derive(Default)]
pub(crate) struct Protect {
    gate: RwLock<()>,
    table: Mutex<Table>,
    staging_ended: Condvar,
}

#[derive(Default)]
struct Table {
    /// How many holders each path has.
    held: HashMap<PathKey, usize>,
    /// While a collection runs: what was protected, registered or rooted since its last look.
    touched: Option<Vec<PathKey>>,
    /// Paths that some thread is moving into the store right now.
    staging: HashSet<PathKey>,
    /// Files in place, not registered yet, with their tree digests.
    staged: HashMap<PathKey, Digest>,
}

impl Protect {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes the gate: no sweep happens while the guard lives. Do not pass twice in one thread.
    pub(crate) fn pass(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the gate: a sweep has the store for itself.
    pub(crate) fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Protects paths until the guard goes; waits while a sweep runs.
    pub(crate) fn hold(self: &Arc<Self>, keys: Vec<PathKey>) -> TempRoots {
        let _pass = self.pass();
        self.hold_inside(keys)
    }

    /// [`Protect::hold`] for a caller that has passed the gate.
    pub(crate) fn hold_inside(self: &Arc<Self>, keys: Vec<PathKey>) -> TempRoots {
        let mut table = self.table();
        for key in &keys {
            *table.held.entry(key.clone()).or_default() += 1;
        }
        if let Some(touched) = &mut table.touched {
            touched.extend_from_slice(&keys);
        }
        drop(table);
        TempRoots { keys, protect: Arc::clone(self) }
    }

    fn release(&self, keys: &[PathKey]) {
        let mut table = self.table();
        for key in keys {
            if let Some(count) = table.held.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    table.held.remove(key);
                }
            }
        }
    }

    /// Tells a running collection that these paths are needed. The caller has passed the gate.
    pub(crate) fn touch<'k>(&self, keys: impl IntoIterator<Item = &'k PathKey>) {
        if let Some(touched) = &mut self.table().touched {
            touched.extend(keys.into_iter().cloned());
        }
    }

    /// A collection begins: returns what is held, and notes what is touched from now on.
    pub(crate) fn begin_collection(&self) -> Vec<PathKey> {
        let mut table = self.table();
        table.touched = Some(Vec::new());
        table.held.keys().cloned().collect()
    }

    /// What was touched since the last look.
    pub(crate) fn take_touched(&self) -> Vec<PathKey> {
        self.table().touched.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The collection is over.
    pub(crate) fn end_collection(&self) {
        self.table().touched = None;
    }

    /// Whether a path is held or being staged.
    pub(crate) fn is_held(&self, key: &PathKey) -> bool {
        self.table().held.contains_key(key)
    }

    /// Waits until nobody else stages this path, then stages it alone until the guard goes.
    pub(crate) fn stage_alone(&self, key: &PathKey) -> Staging<'_> {
        let mut table = self.table();
        while !table.staging.insert(key.clone()) {
            table = self.staging_ended.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        Staging { protect: self, key: key.clone() }
    }

    /// The tree that lies staged under a path.
    pub(crate) fn staged(&self, key: &PathKey) -> Option<Digest> {
        self.table().staged.get(key).copied()
    }

    /// Notes a tree as in place and not registered.
    pub(crate) fn set_staged(&self, key: &PathKey, tree: Digest) {
        self.table().staged.insert(key.clone(), tree);
    }

    /// Forgets staged trees: they were registered or removed.
    pub(crate) fn unset_staged<'k>(&self, keys: impl IntoIterator<Item = &'k PathKey>) {
        let mut table = self.table();
        for key in keys {
            table.staged.remove(key);
        }
    }

    /// Whether anything is in place without a row.
    pub(crate) fn has_staged(&self) -> bool {
        let table = self.table();
        !table.staged.is_empty() || !table.staging.is_empty()
    }
}

/// The right to move files to one path.
pub(crate) struct Staging<'a> {
    protect: &'a Protect,
    key: PathKey,
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        self.protect.table().staging.remove(&self.key);
        self.protect.staging_ended.notify_all();
    }
}

/// Paths that no collection of this process takes away while this value lives, nor anything
/// they refer to.
#[must_use = "the paths are protected only as long as this lives"]
pub struct TempRoots {
    keys: Vec<PathKey>,
    protect: Arc<Protect>,
}

impl TempRoots {
    /// Takes over what another one protects.
    pub fn absorb(&mut self, mut other: Self) {
        if Arc::ptr_eq(&self.protect, &other.protect) {
            self.keys.append(&mut other.keys);
        }
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        self.protect.release(&self.keys);
    }
}

impl std::fmt::Debug for TempRoots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TempRoots").field(&self.keys).finish()
    }
}

/// Paths protected by a locked file: holds for any process that has the file open, also after
/// the store is closed.
#[must_use = "the paths are protected only as long as this lives"]
#[derive(Debug)]
pub struct TempRootFile {
    file: Option<File>,
    path: PathBuf,
}

impl TempRootFile {
    /// Keeps the protection for the program that this process turns into by `exec`, and for its
    /// children: the lock lives until the last of them ends, then the next collection removes
    /// the file.
    pub fn keep_across_exec(mut self) -> Result<(), StoreError> {
        if let Some(file) = self.file.take() {
            fcntl_setfd(&file, FdFlags::empty()).at("keep open the file", &self.path)?;
            // The descriptor now belongs to whatever runs in this process until it ends.
            std::mem::forget(file);
        }
        Ok(())
    }
}

impl Drop for TempRootFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // A file that stays is unlocked, and the next collection removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Store {
    /// Protects paths, valid or to come, from collections. Protect first and ask for validity
    /// afterwards: a path that is valid then stays so. (A read-only opener needs none: the store
    /// does not shrink while it is open.)
    pub fn protect<'p>(&self, paths: impl IntoIterator<Item = &'p StorePath>) -> TempRoots {
        self.protect.hold(paths.into_iter().map(PathKey::of).collect())
    }

    /// Protects paths if all of them are valid then.
    pub fn protect_valid<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<Option<TempRoots>, StoreError> {
        let held = self.protect(paths);
        for key in &held.keys {
            if !self.db.has(Family::Objects, &key.0)? {
                return Ok(None);
            }
        }
        Ok(Some(held))
    }

    /// Protects paths by a file, for work that goes on after this store is closed.
    pub fn protect_by_file<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<TempRootFile, StoreError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = self.layout.temproots.join(format!("{}-{number}", std::process::id()));
        let _pass = self.protect.pass();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let mut file = options.open(&path).at("create the temporary root", &path)?;
        flock(&file, FlockOperation::LockExclusive).at("lock the temporary root", &path)?;
        let mut text = String::new();
        let mut keys = Vec::new();
        for store_path in paths {
            text.push_str(store_path.base_name());
            text.push('\n');
            keys.push(PathKey::of(store_path));
        }
        file.write_all(text.as_bytes()).at("write the temporary root", &path)?;
        self.protect.touch(&keys);
        Ok(TempRootFile { file: Some(file), path })
    }
}

/// Reads the files of living processes, removes those of dead ones. The gate is closed.
pub(crate) fn read_files(dir: &Path) -> Result<Vec<PathKey>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(dir).at("list", dir)? {
        let path = entry.at("list", dir)?.path();
        let mut file = File::open(&path).at("open the temporary root", &path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_file(&path).at("remove the stale temporary root", &path)?;
            continue;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).at("read the temporary root", &path)?;
        for line in text.lines() {
            if let Ok(store_path) = StorePath::from_base_name(line) {
                keys.push(PathKey::of(&store_path));
            }
        }
    }
    Ok(keys)
}
