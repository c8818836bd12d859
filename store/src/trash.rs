//! Getting rid of files: renamed aside in one step, deleted afterwards by the object half.
//! Knows nothing of rows.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::add::open_dir;
use crate::error::{IoContext, Result, StoreError};
use crate::object::delete::delete;

static COUNTER: AtomicU64 = AtomicU64::new(0);

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
    let handle = open_dir(dir)?;
    let mut freed_bytes = 0;
    for entry in fs::read_dir(dir).at("list", dir)? {
        let name = entry.at("list", dir)?.file_name();
        freed_bytes += delete(handle.as_fd(), &name)?.bytes;
    }
    Ok(freed_bytes)
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
