//! The private directory of one build: its build directory and the store it writes its outputs
//! into. Made exclusively, closed to everyone else at every level, gone afterwards.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::fs::{CWD, Mode, RenameFlags, fchmod, renameat_with};
use rustix::io::Errno;

/// A build's directory; removed when dropped.
pub struct ScratchDir {
    path: PathBuf,
    kept: bool,
    /// The scratch store, opened before any builder could change who may open it.
    handle: Option<File>,
    /// Who removes it, beside the build's thread.
    remover: Option<Sender<PathBuf>>,
}

/// Removes directories of builds that have ended, on a thread of its own, so that what waits for
/// a build does not wait for its rubbish. Dropping it waits until all are gone.
pub struct Remover {
    queue: Option<Sender<PathBuf>>,
    thread: Option<JoinHandle<()>>,
}

impl Remover {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start() -> io::Result<Self> {
        let (queue, paths) = channel::<PathBuf>();
        let thread = std::thread::Builder::new().name("floe-remove".into()).spawn(move || {
            for path in paths {
                // What cannot be removed now is garbage that the next opening of the store removes.
                let _ = delete(&path);
            }
        })?;
        Ok(Remover { queue: Some(queue), thread: Some(thread) })
    }
}

impl Drop for Remover {
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
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = builds.join(format!("{}-{number}-{name}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(at(&path, &error)),
                Ok(()) => {}
            }
            let mut dir = ScratchDir { path, kept: false, handle: None, remover: None };
            for inner in [dir.store(), dir.build()] {
                DirBuilder::new().mode(0o700).create(&inner).map_err(|error| at(&inner, &error))?;
            }
            let store = dir.store();
            dir.handle = Some(File::open(&store).map_err(|error| at(&store, &error))?);
            return Ok(dir);
        }
    }

    /// Lets `remover` remove it.
    pub fn removed_by(mut self, remover: &Remover) -> Self {
        self.remover.clone_from(&remover.queue);
        self
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
        let _ = delete(&path);
    }
}

/// Deletes by handles, following no link that a builder may have left.
fn delete(path: &Path) -> Option<()> {
    let parent = std::fs::File::open(path.parent()?).ok()?;
    floe_store::object::delete::delete(parent.as_fd(), path.file_name()?).ok().map(drop)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display()))
}
