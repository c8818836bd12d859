//! The store itself: opening it, its lifetime, and the small questions. What it can do is in
//! the modules beside: registration, queries, roots, collection, verification.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use floe_core::path::StorePath;

use crate::add;
use crate::db::Db;
use crate::divergent::Divergent;
use crate::error::{IoContext, Result, StoreError};
use crate::layout::Layout;
use crate::lock::{FileLock, Patience, Waiting, WaitingFor};
use crate::object::dedup::Links;
use crate::protect::Protect;
use crate::recover::RecoverReport;
use crate::schema;

/// What an opener wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Own the store: one process at a time.
    ReadWrite,
    /// See the store as it is now; works beside an owner, and what is seen stays.
    ReadOnly,
}

/// How to open a store.
#[derive(Clone, Copy)]
pub struct Open<'a> {
    /// What for.
    pub mode: Mode,
    /// Wait for a lock that another process holds, or fail at once.
    pub wait: bool,
    /// Told once before waiting.
    pub on_wait: Option<&'a dyn Fn(&Waiting)>,
}

impl Open<'_> {
    /// Own the store, waiting in silence.
    pub const READ_WRITE: Self = Self { mode: Mode::ReadWrite, wait: true, on_wait: None };
    /// Read the store, waiting in silence.
    pub const READ_ONLY: Self = Self { mode: Mode::ReadOnly, wait: true, on_wait: None };
}

/// An open store; shared between threads by `Arc`.
pub struct Store {
    // Fields drop in this order: the database is closed before the locks are released.
    pub(crate) db: Db,
    pub(crate) layout: Layout,
    pub(crate) protect: Arc<Protect>,
    /// One registration at a time: its checks and its write are one step.
    pub(crate) registration: Mutex<()>,
    /// One collection at a time.
    pub(crate) collection: Mutex<()>,
    pub(crate) epoch: AtomicU64,
    /// What is known of divergent traces, once somebody has asked.
    pub(crate) divergent: Mutex<Option<Arc<Divergent>>>,
    /// Handle on the directory of objects.
    pub(crate) objects: OwnedFd,
    /// Files by content, for an owner.
    pub(crate) links: Option<Links>,
    unclean: AtomicBool,
    /// Whether deleted rows may have left files.
    pub(crate) messy: AtomicBool,
    recovered: RecoverReport,
    mode: Mode,
    /// A reader's.
    collection_lock: Mutex<Option<FileLock>>,
    _owner_lock: Option<FileLock>,
}

impl Store {
    /// Opens the store at `root`. An owner creates it when it is missing, brings its schema up
    /// to date and cleans up after an owner that died.
    pub fn open(root: &Path, open: Open<'_>) -> Result<Self, StoreError> {
        let patience = Patience { wait: open.wait, on_wait: open.on_wait };
        match open.mode {
            Mode::ReadWrite => Self::open_owned(root, patience),
            Mode::ReadOnly => Self::open_snapshot(root, patience),
        }
    }

    /// Whether there is a store at `root`, in whatever state.
    pub fn exists(root: &Path) -> bool {
        Layout::of(root).is_ok_and(|layout| !matches!(layout.lacks_db(), Ok(true)))
    }

    fn open_owned(root: &Path, patience: Patience<'_>) -> Result<Self> {
        let layout = Layout::create(root)?;
        let owner = FileLock::exclusive(&layout.lock, WaitingFor::Owner, patience)?;
        if layout.lacks_db()? {
            Self::create_db(&layout)?;
        }
        let db = Db::open_owned(&layout.db).map_err(|e| schema::explain(e, &layout))?;
        schema::migrate(&db, &layout)?;
        let mut store = Self::assemble(db, layout, Mode::ReadWrite, None, Some(owner))?;
        store.recovered = store.recover()?;
        Ok(store)
    }

    /// Makes an empty database, which is whole from the moment it stands in its place: readers do
    /// not wait for the owner's lock, and would read a part of it.
    fn create_db(layout: &Layout) -> Result<()> {
        let making = &layout.new_db;
        match fs::remove_dir_all(making) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove the unfinished database", making, e));
            }
            _ => {}
        }
        fs::DirBuilder::new().mode(0o700).create(making).at("create the directory", making)?;
        let db = Db::open_owned(making)?;
        schema::migrate(&db, layout)?;
        db.settle()?;
        drop(db);
        fs::rename(making, &layout.db).at("put the new database in its place", &layout.db)
    }

    fn open_snapshot(root: &Path, patience: Patience<'_>) -> Result<Self> {
        let layout = Layout::find(root)?;
        // The lock comes first: nothing that the snapshot shows may go while we hold it.
        let lock = FileLock::shared(&layout.gc_lock, WaitingFor::Collection, patience)?;
        match Db::open_snapshot(&layout.db) {
            Ok(db) if schema::check(&db, &layout)? => {
                return Self::assemble(db, layout, Mode::ReadOnly, lock, None);
            }
            Ok(_) => {}
            Err(_) if schema::is_older(&layout) => {}
            Err(e) => return Err(schema::explain(e, &layout)),
        }
        drop(lock);
        drop(Self::open_owned(root, patience)?);
        Self::open_snapshot(root, patience)
    }

    fn assemble(
        db: Db,
        layout: Layout,
        mode: Mode,
        collection: Option<FileLock>,
        owner: Option<FileLock>,
    ) -> Result<Self> {
        let epoch = AtomicU64::new(schema::epoch(&db)?);
        let objects = add::open_dir(&layout.store)?;
        let links = match mode {
            Mode::ReadWrite => Some(Links::open(&layout.links)?),
            Mode::ReadOnly => None,
        };
        Ok(Self {
            db,
            layout,
            objects,
            links,
            messy: AtomicBool::new(false),
            protect: Arc::default(),
            registration: Mutex::default(),
            collection: Mutex::default(),
            epoch,
            divergent: Mutex::default(),
            unclean: AtomicBool::new(false),
            recovered: RecoverReport::default(),
            mode,
            collection_lock: Mutex::new(collection),
            _owner_lock: owner,
        })
    }

    /// The root directory, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Where builds work; each takes a directory of its own here. What lies here when an owner
    /// opens the store is removed.
    pub fn builds_dir(&self) -> &Path {
        &self.layout.builds
    }

    /// Where the directories of failed builds are kept on demand; private, and never cleaned by the
    /// store.
    pub fn kept_dir(&self) -> &Path {
        &self.layout.kept
    }

    /// Where build logs lie.
    pub fn log_dir(&self) -> &Path {
        &self.layout.log
    }

    /// The directory that is the logical `/nix/store`.
    pub fn objects_dir(&self) -> &Path {
        &self.layout.store
    }

    /// How the store was opened.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What opening cleaned up.
    pub fn recovered(&self) -> &RecoverReport {
        &self.recovered
    }

    /// Where the bytes of a path lie or would lie.
    pub fn physical(&self, path: &StorePath) -> PathBuf {
        self.layout.store.join(path.base_name())
    }

    /// Advanced by every deletion: what was concluded from an older epoch must be asked again.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Lets a collection begin, though this opening goes on reading: what it shows may go from now
    /// on. For a reader who is about to wait for the owner, who may be a collection that waits for
    /// readers.
    pub fn yield_to_collection(&self) {
        self.collection_lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Makes all that was registered survive a power cut: the end of a request, whose results
    /// are about to be reported.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.db.sync()
    }

    /// Refuses to change a store that is open read-only.
    pub(crate) fn writable(&self, action: &'static str) -> Result<()> {
        match self.mode {
            Mode::ReadWrite => Ok(()),
            Mode::ReadOnly => Err(StoreError::ReadOnly { action, root: self.layout.root.clone() }),
        }
    }

    /// From here on `ROOT/store` may hold objects without rows: should we die, the next owner
    /// must look.
    pub(crate) fn mark_unclean(&self) -> Result<()> {
        if !self.unclean.load(Ordering::Acquire) {
            let marker = &self.layout.unclean;
            fs::write(marker, b"").at("create the marker", marker)?;
            self.unclean.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Objects staged and never registered keep the marker, and so call the next owner.
        // Rows before the marker, which would otherwise vanish with objects whose rows were lost.
        let settled = self.db.settle().is_ok();
        let tidy = settled && !*self.messy.get_mut() && !self.protect.has_staged();
        if tidy && *self.unclean.get_mut() {
            // Failing only costs the next owner a look at the directory.
            let _ = fs::remove_file(&self.layout.unclean);
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { layout, mode, .. } = self;
        f.debug_struct("Store").field("root", &layout.root).field("mode", mode).finish()
    }
}

/// Milliseconds since 1970; a clock before that counts as 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
