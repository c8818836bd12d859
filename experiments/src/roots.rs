//! Store roots as folders: copying one that holds a base, and deleting one that has served. Knows where floe puts its
//! objects, and nothing of what they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// What lies in a root and never changes once it is there; a copy shares it.
const FIXED: [&str; 2] = ["store", "links"];

/// Makes `to` what `from` is, in its place. Objects are shared with it, all else is copied; both must be on one file system.
///
/// # Errors
/// A file cannot be copied or linked, or `to` cannot be deleted.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    delete(to)?;
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let is_fixed = FIXED.iter().any(|name| entry.file_name() == *name);
        let how = if is_fixed { "-al" } else { "-a" };
        process::succeed(Command::new("cp").arg(how).arg(entry.path()).arg(to))?;
    }
    Ok(())
}

/// Deletes a root if it is there. Directories of objects may not be written, so they are opened first; files stay as they
/// are, since another root may share them.
///
/// # Errors
/// Something cannot be deleted.
pub fn delete(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    let place = || format!("cannot delete {}", root.display());
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).with_context(place)?;
        for entry in fs::read_dir(&folder).with_context(place)? {
            let entry = entry.with_context(place)?;
            if entry.file_type().with_context(place)?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(root).with_context(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_copy_shares_objects_and_nothing_else() {
        let place = tempfile::tempdir().expect("a directory");
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        let object = Path::new("store/x-zlib/lib");
        fs::create_dir_all(from.join(object)).expect("made");
        fs::create_dir(from.join("db")).expect("made");
        for file in ["store/x-zlib/lib/a", "db/CURRENT"] {
            fs::write(from.join(file), file).expect("written");
        }
        fs::set_permissions(from.join(object), fs::Permissions::from_mode(0o555)).expect("closed");

        copy(&from, &to).expect("copied");
        copy(&from, &to).expect("copied again");
        let inode = |file: &str| {
            [&from, &to].map(|root| fs::metadata(root.join(file)).expect("there").ino())
        };
        let [a, b] = inode("store/x-zlib/lib/a");
        assert_eq!(a, b);
        let [a, b] = inode("db/CURRENT");
        assert_ne!(a, b);

        delete(&to).expect("deleted");
        assert!(!to.exists() && from.join("store/x-zlib/lib/a").exists());
        delete(&to).expect("nothing to delete");
        delete(&from).expect("deleted");
    }
}
