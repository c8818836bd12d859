//! Where things lie under a store root, and how the directories come to be: never writable by
//! group or world. Knows no object and no row.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result, StoreError};
use crate::seal;

/// The places under one root; the root is an absolute path without symbolic links.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    /// Objects, `<digest>-<name>`.
    pub(crate) store: PathBuf,
    /// One name for each distinct file content, hard-linked by objects.
    pub(crate) links: PathBuf,
    /// RocksDB; the owner puts it here once it is whole.
    pub(crate) db: PathBuf,
    /// RocksDB in the making.
    pub(crate) new_db: PathBuf,
    /// Builds in progress; whatever a dead owner left here is removed.
    pub(crate) builds: PathBuf,
    /// Directories of failed builds that were kept on purpose; nobody but their user removes them.
    pub(crate) kept: PathBuf,
    /// Build logs.
    pub(crate) log: PathBuf,
    /// Roots, as symbolic links.
    pub(crate) roots: PathBuf,
    /// Links to links outside the store.
    pub(crate) auto_roots: PathBuf,
    /// Paths protected by running processes.
    pub(crate) temproots: PathBuf,
    /// Objects on their way out.
    pub(crate) trash: PathBuf,
    /// The owner's lock.
    pub(crate) lock: PathBuf,
    /// The collection lock.
    pub(crate) gc_lock: PathBuf,
    /// Exists while `store` may hold objects without rows.
    pub(crate) unclean: PathBuf,
}

impl Layout {
    /// The places under `root`, which must exist.
    pub(crate) fn of(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        Ok(Self {
            store: root.join("store"),
            links: root.join("links"),
            db: root.join("db"),
            new_db: root.join("db.new"),
            builds: root.join("builds"),
            kept: root.join("kept"),
            log: root.join("log"),
            auto_roots: root.join("roots/auto"),
            roots: root.join("roots"),
            temproots: root.join("temproots"),
            trash: root.join("trash"),
            lock: root.join("lock"),
            gc_lock: root.join("gc.lock"),
            unclean: root.join("unclean"),
            root,
        })
    }

    /// Finds a store that exists, for reading.
    pub(crate) fn find(root: &Path) -> Result<Self> {
        match Self::of(root) {
            Ok(layout) if seal::is_database(&layout.db) => Ok(layout),
            Ok(_) => Err(StoreError::NoStore { root: root.to_path_buf() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NoStore { root: root.to_path_buf() })
            }
            Err(e) => Err(StoreError::io("open the store", root, e)),
        }
    }

    /// Creates what is missing, and tightens what is too open.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true).mode(0o755);
        maker.create(root).map_err(|e| StoreError::no_root(root, e))?;
        let layout = Self::of(root).at("open the store root", root)?;
        secure(&layout.root, 0o755)?;
        for (dir, mode) in [
            (&layout.store, 0o755),
            (&layout.links, 0o700),
            (&layout.builds, 0o700),
            (&layout.kept, 0o700),
            (&layout.log, 0o755),
            (&layout.roots, 0o755),
            (&layout.auto_roots, 0o755),
            (&layout.temproots, 0o755),
            (&layout.trash, 0o700),
        ] {
            match fs::DirBuilder::new().mode(mode).create(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::io("create the directory", dir, e));
                }
                _ => secure(dir, mode)?,
            }
        }
        if layout.db.exists() {
            secure(&layout.db, 0o700)?;
        }
        Ok(layout)
    }

    /// Whether the database has yet to be made.
    pub(crate) fn lacks_db(&self) -> Result<bool> {
        match fs::read_dir(&self.db) {
            Ok(mut entries) => Ok(entries.next().is_none()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(StoreError::io("read the directory", &self.db, e)),
        }
    }
}

/// Refuses a directory of somebody else, and takes away write permission for group and world.
fn secure(dir: &Path, mode: u32) -> Result<()> {
    let meta = fs::symlink_metadata(dir).at("inspect", dir)?;
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user {
        return Err(StoreError::Foreign { path: dir.to_path_buf(), owner: meta.uid(), user });
    }
    if meta.mode() & 0o022 != 0 {
        let mode = fs::Permissions::from_mode(meta.mode() & mode);
        fs::set_permissions(dir, mode).at("take write permission of others from", dir)?;
    }
    Ok(())
}
