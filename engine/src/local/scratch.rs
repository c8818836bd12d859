//! The private directory of one build: its build directory and the store it writes its outputs
//! into. Made exclusively, closed to everyone else at every level, gone afterwards or emptied for
//! another build.

mod spare;

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::fs::{CWD, Mode, RenameFlags, fchmod, renameat_with};
use rustix::io::Errno;

use spare::Spares;

/// What a build's directory holds, sorted: its build directory, and its store.
const PARTS: [&str; 2] = ["build", "store"];

/// A build's directory; removed when dropped.
pub struct ScratchDir {
    path: PathBuf,
    kept: bool,
    /// The scratch store, opened before any builder could change who may open it.
    handle: Option<File>,
    /// Who removes it, beside the build's thread.
    remover: Option<Sender<PathBuf>>,
}

/// The directories of an executor's builds. Those of builds that have ended are emptied for others or
/// removed, on a thread of its own, so that what waits for a build does not wait for its rubbish.
/// Dropping it waits until all are gone.
pub struct ScratchDirs {
    queue: Option<Sender<PathBuf>>,
    thread: Option<JoinHandle<()>>,
    spares: Arc<Spares>,
}

impl ScratchDirs {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start() -> io::Result<Self> {
        let (queue, paths) = channel::<PathBuf>();
        let spares = Arc::new(Spares::new(MOST_SPARES));
        let given = Arc::clone(&spares);
        let thread = std::thread::Builder::new().name("floe-remove".into()).spawn(move || {
            for path in paths {
                if !given.give(&path) {
                    // What cannot be removed now is garbage that the next opening of the store
                    // removes.
                    let _ = delete_at(&path);
                }
            }
        })?;
        Ok(ScratchDirs { queue: Some(queue), thread: Some(thread), spares })
    }

    /// A directory under `builds`, which comes back when it is dropped.
    ///
    /// # Errors
    /// As [`ScratchDir::create`].
    pub fn provide(&self, builds: &Path, name: &str) -> io::Result<ScratchDir> {
        let mut dir = ScratchDir::make(builds, name, Some(&self.spares))?;
        dir.remover.clone_from(&self.queue);
        Ok(dir)
    }
}

/// More directories than builders run at the same time are no use.
const MOST_SPARES: usize = 64;

impl Drop for ScratchDirs {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl ScratchDir {
    /// Makes a fresh one under `builds`.
    ///
    /// # Errors
    /// When it cannot be made; the message names the place.
    pub fn create(builds: &Path, name: &str) -> io::Result<Self> {
        ScratchDir::make(builds, name, None)
    }

    fn make(builds: &Path, name: &str, spares: Option<&Spares>) -> io::Result<Self> {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = builds.join(format!("{}-{number}-{name}", std::process::id()));
            let made = match spares.map_or(Ok(false), |spares| spares.take(&path)) {
                Ok(false) => DirBuilder::new().mode(0o700).create(&path).map(|()| true),
                Ok(true) => Ok(false),
                Err(error) => Err(error),
            };
            let is_new = match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(at(&path, &error)),
                Ok(is_new) => is_new,
            };
            let mut dir = ScratchDir { path, kept: false, handle: None, remover: None };
            if is_new {
                for inner in PARTS.map(|part| dir.path.join(part)) {
                    let made = DirBuilder::new().mode(0o700).create(&inner);
                    made.map_err(|error| at(&inner, &error))?;
                }
            }
            let store = dir.store();
            dir.handle = Some(File::open(&store).map_err(|error| at(&store, &error))?);
            return Ok(dir);
        }
    }

    /// What the builder sees as `/nix/store`.
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// A handle on the scratch store, which can be looked into again whatever mode the builder gave
    /// it. Called when no builder runs any more.
    ///
    /// # Errors
    /// When its mode cannot be set.
    pub fn open_store(&self) -> io::Result<BorrowedFd<'_>> {
        let handle = self.handle.as_ref().ok_or(io::ErrorKind::NotFound)?;
        fchmod(handle, Mode::RWXU)?;
        Ok(handle.as_fd())
    }

    /// What the builder sees as `/build`.
    pub fn build(&self) -> PathBuf {
        self.path.join("build")
    }

    /// Writes files into the build directory, before any builder has run in it.
    ///
    /// # Errors
    /// When one cannot be written; the message names it.
    pub fn write_files(&self, files: &[(String, Vec<u8>)]) -> io::Result<()> {
        for (name, content) in files {
            let path = self.build().join(name);
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(content))
                .map_err(|error| at(&path, &error))?;
        }
        Ok(())
    }

    /// Moves the directory to `kept`, which nobody cleans, and says where it lies now.
    ///
    /// # Errors
    /// When it cannot be moved; then it is removed as ever.
    pub fn keep(mut self, kept: &Path) -> io::Result<PathBuf> {
        let name = self.path.file_name().unwrap_or_default();
        for number in 0u32.. {
            let place = match number {
                0 => kept.join(name),
                number => kept.join(format!("{number}-{}", name.display())),
            };
            match renameat_with(CWD, &self.path, CWD, &place, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    self.kept = true;
                    return Ok(place);
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let path = match &self.remover {
            Some(remover) => match remover.send(path) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => path,
        };
        // What cannot be removed now is garbage that the next opening of the store removes.
        let _ = delete_at(&path);
    }
}

/// Deletes by handles, following no link that a builder may have left.
fn delete_at(path: &Path) -> Option<()> {
    let parent = std::fs::File::open(path.parent()?).ok()?;
    floe_store::object::delete::delete(parent.as_fd(), path.file_name()?).ok().map(drop)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    /// The directory of a build that has ended, and the one that the next build gets.
    fn next_after(spoil: impl FnOnce(&ScratchDir)) -> (u64, ScratchDir, Spares, tempfile::TempDir) {
        let builds = tempfile::tempdir().expect("a directory");
        let spares = Spares::new(2);
        let dir = ScratchDir::make(builds.path(), "first", Some(&spares)).expect("a directory");
        spoil(&dir);
        let inode = fs::metadata(&dir.path).expect("ours").ino();
        if spares.give(&dir.path) {
            std::mem::forget(dir);
        }
        let next = ScratchDir::make(builds.path(), "next", Some(&spares)).expect("a directory");
        for part in [next.build(), next.store()] {
            assert_eq!(fs::read_dir(&part).expect("readable").count(), 0, "it is empty");
            assert_eq!(fs::metadata(&part).expect("ours").permissions().mode() & 0o7777, 0o700);
        }
        (inode, next, spares, builds)
    }

    fn is_taken_over(inode: u64, next: &ScratchDir) -> bool {
        fs::metadata(&next.path).expect("ours").ino() == inode
    }

    #[test]
    fn a_directory_serves_the_next_build_emptied() {
        let (inode, next, spares, builds) = next_after(|dir| {
            fs::create_dir_all(dir.build().join("deep/".repeat(200))).expect("ours");
            fs::write(dir.store().join("output"), "left").expect("ours");
            symlink("/", dir.build().join("link")).expect("ours");
            fs::set_permissions(dir.build(), fs::Permissions::from_mode(0o0)).expect("ours");
        });
        assert!(is_taken_over(inode, &next));
        assert!(Path::new("/").join("bin").exists(), "no link was followed");
        drop((next, spares));
        assert_eq!(fs::read_dir(builds.path()).expect("readable").count(), 0, "nothing is left");
    }

    #[test]
    fn what_is_no_longer_as_it_was_made_serves_nobody() {
        let (inode, next, _spares, _builds) = next_after(|dir| {
            for number in 0..2000 {
                fs::write(dir.store().join(format!("a-long-name-of-a-file-{number}")), "")
                    .expect("ours");
            }
        });
        let grows = fs::metadata(next.store()).expect("ours").size() >= 4096;
        assert!(!grows || !is_taken_over(inode, &next), "a directory that has grown");
        let (inode, next, _spares, _builds) =
            next_after(|dir| fs::write(dir.path.join("third"), "").expect("ours"));
        assert!(!is_taken_over(inode, &next), "a directory with something else in it");
    }
}
