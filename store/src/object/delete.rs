//! Deleting trees that somebody may still be changing: by directory handles, never through a
//! symbolic link or into another file system, with few open files however deep the tree.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, chmod, fchmod, fstat, openat, openat2,
    renameat, unlinkat,
};
use rustix::io::Errno;

use super::{ObjectError, handle};

/// Nested directories that are open at the same time; deeper ones are moved up.
const MAX_OPEN: usize = 64;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Names removed.
    pub entries: u64,
    /// Bytes of files whose last name was removed.
    pub bytes: u64,
}

/// Deletes the tree called `name` in `dir`. That it does not exist is no error.
pub fn delete(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Deleted, ObjectError> {
    let mut work = Work { deleted: Deleted::default(), moved: 0 };
    let name = name.as_bytes();
    work.entry(dir, name, None, 0).map_err(ObjectError::io("delete", name))?;
    Ok(work.deleted)
}

/// Deletes everything in the directory called `name` in `dir`, whatever its mode, and gives it, open
/// and closed to everyone but its owner.
pub fn empty(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, ObjectError> {
    let mut work = Work { deleted: Deleted::default(), moved: 0 };
    let name = name.as_bytes();
    let mut all = || {
        let this = open_dir(dir, name)?;
        fchmod(&this, Mode::RWXU)?;
        // Deep directories are moved up into it.
        while work.inside(this.as_fd(), this.as_fd(), 0)? {}
        Ok(this)
    };
    all().map_err(ObjectError::io("empty", name))
}

struct Work {
    deleted: Deleted,
    /// Directories moved up so far.
    moved: u64,
}

impl Work {
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        top: Option<BorrowedFd<'_>>,
        depth: usize,
    ) -> Result<(), Errno> {
        let stat = match handle::stat(dir, name) {
            Err(Errno::NOENT) => return Ok(()),
            result => result?,
        };
        if handle::kind(&stat) != FileType::Directory {
            match unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) => {
                    self.deleted.entries += 1;
                    if stat.st_nlink <= 1 {
                        self.deleted.bytes += stat.st_size as u64;
                    }
                    return Ok(());
                }
                Err(Errno::NOENT) => return Ok(()),
                // It has become a directory meanwhile.
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(errno) => return Err(errno),
            }
        }
        if let (MAX_OPEN.., Some(top)) = (depth, top) {
            self.moved += 1;
            let up = format!(".floe-deep-{}", self.moved);
            return renameat(dir, name, top, up.as_bytes());
        }
        let this = match open_dir(dir, name) {
            // Gone, or no directory any more: whoever empties the parent comes back to it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            result => result?,
        };
        fchmod(&this, Mode::RWXU)?;
        let top = top.unwrap_or(this.as_fd());
        loop {
            let went_on = self.inside(this.as_fd(), top, depth)?;
            match unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Ok(()) => {
                    self.deleted.entries += 1;
                    return Ok(());
                }
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                // Directories were moved up into it, or somebody still adds to it.
                Err(Errno::NOTEMPTY | Errno::EXIST) if went_on => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Deletes what is in a directory, or moves it up; whether there was any of that.
    fn inside(
        &mut self,
        this: BorrowedFd<'_>,
        top: BorrowedFd<'_>,
        depth: usize,
    ) -> Result<bool, Errno> {
        let before = (self.deleted.entries, self.moved);
        for (entry, _) in &handle::entries(this)? {
            self.entry(this, entry, Some(top), depth + 1)?;
        }
        Ok(before != (self.deleted.entries, self.moved))
    }
}

/// Opens a directory of the same file system, whatever its mode.
fn open_dir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| match openat2(dir, name, flags, Mode::empty(), beneath) {
        // A kernel or filter without it; the name has one component, so no link is followed.
        Err(Errno::NOSYS) => openat(dir, name, flags, Mode::empty()),
        result => result,
    };
    match open(flags | OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            let this = open(flags | OFlags::PATH)?;
            if handle::kind(&fstat(&this)?) != FileType::Directory {
                return Err(Errno::NOTDIR);
            }
            let by_handle = format!("/proc/self/fd/{}", this.as_raw_fd());
            chmod(&by_handle, Mode::RWXU)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, &by_handle, flags, Mode::empty())
        }
        result => result,
    }
}
