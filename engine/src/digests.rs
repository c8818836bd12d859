//! What was computed from files of the host, remembered under their stats: files and whole trees
//! that did not change are not read again. What is remembered is the caller's affair.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use floe_core::hash::Digest;
use floe_store::{FileStat, Mode, Store, StoreError};

use crate::slot::Slot;

/// The state that a file or tree was in, taken before it was read.
pub struct Snapshot {
    at: SystemTime,
    stat: FileStat,
    digest: Digest,
}

impl Snapshot {
    /// Of a file or a whole tree; none if it cannot be told from the stats whether it changes.
    ///
    /// # Errors
    /// When a file cannot be looked at.
    pub fn of_tree(path: &Path) -> io::Result<Option<Snapshot>> {
        let mut below = Vec::new();
        let mut open = vec![PathBuf::new()];
        while let Some(dir) = open.pop() {
            // Joining nothing would append a slash, which follows links and refuses files.
            let place = match dir.as_os_str().is_empty() {
                true => path.to_path_buf(),
                false => path.join(&dir),
            };
            if !fs::symlink_metadata(&place)?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&place)? {
                let entry = entry?;
                let relative = dir.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    open.push(relative.clone());
                }
                below.push(relative);
            }
        }
        below.sort_unstable();
        Self::of_entries(path, &below)
    }

    /// Of a tree of which only the listed entries count.
    ///
    /// # Errors
    /// When a file cannot be looked at.
    pub fn of_entries(path: &Path, below: &[PathBuf]) -> io::Result<Option<Snapshot>> {
        let at = SystemTime::now();
        let root = fs::symlink_metadata(path)?;
        let mut stat = FileStat::of(&root);
        let mut hasher = blake3::Hasher::new();
        let mut add = |relative: &OsStr, meta: &fs::Metadata| {
            let FileStat { dev, ino, size, mtime_ns, ctime_ns } = FileStat::of(meta);
            let name = relative.as_bytes();
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name);
            for number in [dev, ino, size, mtime_ns as u64, ctime_ns as u64] {
                hasher.update(&number.to_le_bytes());
            }
            hasher.update(&meta.permissions().mode().to_le_bytes());
        };
        add(OsStr::new(""), &root);
        for relative in below {
            let meta = fs::symlink_metadata(path.join(relative))?;
            // Another file system's time stamps may be coarser.
            if meta.dev() != stat.dev {
                return Ok(None);
            }
            let own = FileStat::of(&meta);
            stat.mtime_ns = stat.mtime_ns.max(own.mtime_ns);
            stat.ctime_ns = stat.ctime_ns.max(own.ctime_ns);
            add(relative.as_os_str(), &meta);
        }
        let digest = Digest(*hasher.finalize().as_bytes());
        Ok(Some(Snapshot { at, stat, digest }))
    }
}

impl Snapshot {
    /// What all the stats together are known by.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// When any of it changed last, in nanoseconds since 1970.
    pub(crate) fn changed_ns(&self) -> i64 {
        self.stat.mtime_ns.max(self.stat.ctime_ns)
    }
}

/// The memory, which lies in the store.
pub struct Digests {
    slot: Arc<Slot>,
    /// What was learnt while the store was open for reading only.
    pending: Mutex<Vec<(PathBuf, Snapshot, Vec<u8>)>>,
}

impl Digests {
    /// The memory of this store root.
    pub fn new(slot: Arc<Slot>) -> Self {
        Digests { slot, pending: Mutex::default() }
    }

    /// What `compute` gave for the file at `path`, when it was last in this state, or gives now.
    /// `purpose` tells apart what is computed from the same file.
    ///
    /// # Errors
    /// Those of `compute`.
    pub fn of<E>(
        &self,
        purpose: &str,
        path: &Path,
        snapshot: Option<Snapshot>,
        compute: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let (Some(store), Some(snapshot)) = (self.slot.get(), snapshot) else { return compute() };
        let key = [purpose.as_bytes(), b" ", path.as_os_str().as_bytes()].concat();
        let key = PathBuf::from(OsStr::from_bytes(&key));
        // A row that cannot be read is as good as none.
        let row = store.digest_get(&key, &snapshot.stat).ok().flatten();
        if let Some(value) = row.as_deref().and_then(|row| row.strip_prefix(&snapshot.digest.0)) {
            return Ok(value.to_vec());
        }
        let value = compute()?;
        let row = [&snapshot.digest.0, value.as_slice()].concat();
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push((key, snapshot, row));
        Ok(value)
    }

    /// Writes down what was learnt, if the store is open for writing.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep(&self, store: &Store) -> Result<(), StoreError> {
        if store.mode() == Mode::ReadOnly {
            return Ok(());
        }
        let learnt =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, snapshot, row) in learnt {
            store.digest_put(snapshot.at, [(key.as_path(), snapshot.stat, row.as_slice())])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Events;

    struct World {
        dir: tempfile::TempDir,
        digests: Digests,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let root = dir.path().join("root");
            let slot = Slot::open(&root, true, Events::nowhere()).expect("opens");
            slot.writable().expect("opens");
            fs::create_dir_all(dir.path().join("tree/inner")).expect("ours");
            let world = World { dir, digests: Digests::new(Arc::new(slot)) };
            world.write("tree/inner/file", "one");
            world
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).expect("ours");
        }

        /// Whether the tree had to be read; what was learnt is kept.
        fn reads(&self) -> bool {
            let path = self.dir.path().join("tree");
            let snapshot = Snapshot::of_tree(&path).expect("is there");
            let mut read = false;
            let compute = || {
                read = true;
                Ok::<_, StoreError>(b"value".to_vec())
            };
            let value = self.digests.of("test", &path, snapshot, compute).expect("computes");
            assert_eq!(value, b"value");
            let store = self.digests.slot.writable().expect("is open");
            self.digests.keep(&store).expect("writes");
            read
        }
    }

    #[test]
    fn only_a_tree_that_stayed_as_it_was_is_remembered() {
        let settle = || std::thread::sleep(Duration::from_millis(60));
        let world = World::new();
        assert!(world.reads(), "nothing is known at first");
        settle();
        assert!(world.reads(), "what was just written may still change unseen");
        assert!(!world.reads());
        let inner = world.dir.path().join("tree/inner");
        let changes: [&dyn Fn(); 5] = [
            // The same length, deep below.
            &|| world.write("tree/inner/file", "two"),
            &|| world.write("tree/inner/new", ""),
            &|| fs::remove_file(inner.join("new")).expect("is there"),
            &|| fs::rename(inner.join("file"), inner.join("other")).expect("is there"),
            &|| {
                let executable = fs::Permissions::from_mode(0o755);
                fs::set_permissions(inner.join("other"), executable).expect("is ours");
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            change();
            settle();
            assert!(world.reads(), "change {number} was not seen");
            assert!(!world.reads(), "after change {number}");
        }
    }
}
