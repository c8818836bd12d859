//! Getting rid of files: renamed aside in one step, then deleted by directory handles, never
//! through a path that somebody could bend. Knows nothing of rows.

use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{IoContext, Result, StoreError};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Directories nested deeper than this are moved up first, so that neither our stack nor our
/// file descriptors depend on what a builder left.
const MAX_DEPTH: u32 = 32;

/// A name in the trash that nobody used.
fn fresh_name() -> String {
    format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Moves a file or tree into the trash; nothing there is fine.
pub(crate) fn discard(path: &Path, trash: &Path) -> Result<()> {
    let kind = match path.symlink_metadata() {
        Ok(meta) => meta.file_type(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::io("inspect", path, e)),
    };
    if kind.is_dir() {
        // A directory that changes its parent must be writable: `..` changes.
        fs::set_permissions(path, Permissions::from_mode(0o700)).at("open up", path)?;
    }
    fs::rename(path, trash.join(fresh_name())).at("move to the trash", path)
}

/// Deletes everything in a directory of ours; returns the bytes that became free.
pub(crate) fn empty(dir: &Path) -> Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let base = rustix::fs::openat(CWD, dir, flags, Mode::empty()).at("open", dir)?;
    let mut freed_bytes = 0;
    loop {
        let names = list(base.as_fd()).at("list", dir)?;
        if names.is_empty() {
            return Ok(freed_bytes);
        }
        for name in names {
            freed_bytes += remove(base.as_fd(), base.as_fd(), &name, 0).at("empty", dir)?;
        }
    }
}

fn list(dir: BorrowedFd<'_>) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn remove(
    base: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    name: &CStr,
    depth: u32,
) -> rustix::io::Result<u64> {
    let gone = |r: rustix::io::Result<()>| if r == Err(Errno::NOENT) { Ok(()) } else { r };
    let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(0),
        other => other?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        gone(rustix::fs::unlinkat(parent, name, AtFlags::empty()))?;
        let last = stat.st_nlink == 1;
        return Ok(if last { u64::try_from(stat.st_blocks).unwrap_or(0) * 512 } else { 0 });
    }
    if stat.st_mode & 0o700 != 0o700 {
        rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    }
    if depth == MAX_DEPTH {
        rustix::fs::renameat(parent, name, base, fresh_name())?;
        return Ok(0);
    }
    let dir = open_dir(parent, name)?;
    let mut freed_bytes = 0;
    for child in list(dir.as_fd())? {
        freed_bytes += remove(base, dir.as_fd(), &child, depth + 1)?;
    }
    gone(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR))?;
    Ok(freed_bytes)
}

fn open_dir(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empties_deep_and_locked_trees() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut deep = dir.path().to_path_buf();
        for _ in 0..100 {
            deep.push("d");
            fs::create_dir(&deep).expect("create");
        }
        fs::write(deep.join("file"), vec![1; 10_000]).expect("write");
        let locked = dir.path().join("locked");
        fs::create_dir(&locked).expect("create");
        fs::write(locked.join("file"), b"x").expect("write");
        std::os::unix::fs::symlink("/", dir.path().join("link")).expect("link");
        fs::set_permissions(&locked, Permissions::from_mode(0o000)).expect("lock");
        let freed_bytes = empty(dir.path()).expect("empties");
        assert!(freed_bytes >= 10_000, "{freed_bytes}");
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
        assert!(Path::new("/usr").exists(), "links are not followed");
    }
}
