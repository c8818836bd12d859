//! Directories of builds that have ended, emptied for the next ones. Where builds take
//! milliseconds, most of their time went into finding room for new directories: ext4 passes over
//! every inode that was freed within the last minute. What a builder may have changed about a
//! directory beside its entries is put right or makes it no spare.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use floe_store::object::delete::empty;
use rustix::fs::{CWD, IFlags, RenameFlags, fstat, ioctl_getflags, renameat_with};
use rustix::io::Errno;

use super::PARTS;

/// A directory that has grown larger than this stays large when it is emptied.
const LARGEST_DIR_BYTES: i64 = 4096;

/// That a file lies in extents (`EXT4_EXTENTS_FL`), the only flag that ext4 gives a new directory by
/// itself. Others change how names in it are understood or stored.
const EXTENTS: IFlags = IFlags::from_bits_retain(0x0008_0000);

/// Emptied directories.
pub(super) struct Spares {
    ready: Mutex<Vec<PathBuf>>,
    most: usize,
}

impl Spares {
    /// Keeps at most so many.
    pub(super) fn new(most: usize) -> Spares {
        Spares { ready: Mutex::default(), most }
    }

    /// Moves a spare to this path; whether there was one.
    ///
    /// # Errors
    /// When there is something at the path already.
    pub(super) fn take(&self, path: &Path) -> io::Result<bool> {
        let Some(spare) = self.ready().pop() else { return Ok(false) };
        match renameat_with(CWD, &spare, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(errno) => {
                self.ready().push(spare);
                match errno {
                    Errno::EXIST => Err(errno.into()),
                    _ => Ok(false),
                }
            }
        }
    }

    /// Empties the directory of a build that has ended; whether it is a spare now.
    pub(super) fn give(&self, path: &Path) -> bool {
        if self.ready().len() >= self.most || !is_emptied(path) {
            return false;
        }
        self.ready().push(path.to_owned());
        true
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        for path in self.ready().drain(..) {
            // What cannot be removed now is garbage that the next opening of the store removes.
            let _ = super::delete_at(&path);
        }
    }
}

/// Empties the parts of a build's directory, if nothing else is in it, and puts them right.
fn is_emptied(path: &Path) -> bool {
    let emptied = || {
        let dir = File::open(path).ok()?;
        let is_known = fs::read_dir(path).ok()?.count() == PARTS.len();
        let mut parts = PARTS.iter().map(|part| empty(dir.as_fd(), part.as_ref()).ok());
        Some(is_known && parts.all(|part| part.is_some_and(|part| is_like_new(&part))))
    };
    emptied().unwrap_or(false)
}

/// Whether an empty directory cannot be told from a new one.
fn is_like_new(dir: impl AsFd) -> bool {
    fstat(&dir).is_ok_and(|stat| stat.st_size <= LARGEST_DIR_BYTES) && has_usual_flags(dir)
}

/// Whether a directory has no flag that a new one has not; a file system may know of none.
fn has_usual_flags(dir: impl AsFd) -> bool {
    match ioctl_getflags(dir) {
        Ok(flags) => EXTENTS.contains(flags),
        Err(errno) => matches!(errno, Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL),
    }
}
