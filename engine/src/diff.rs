//! Which file differs first between two store objects: the answer to "which file was it?".

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The first path, relative to the roots and in sorted order, at which the two trees differ; an
/// empty path when they differ in kind at the root. `None` when they are equal or one cannot be
/// read.
pub fn first_difference(old: &Path, new: &Path) -> Option<PathBuf> {
    let mut stack = vec![PathBuf::new()];
    while let Some(relative) = stack.pop() {
        let (a, b) = (old.join(&relative), new.join(&relative));
        match same(&a, &b).ok()? {
            Same::Yes => {}
            Same::No => return Some(relative),
            Same::Directories(names) => {
                stack.extend(names.into_iter().rev().map(|name| relative.join(name)));
            }
        }
    }
    None
}

enum Same {
    Yes,
    No,
    /// Both are directories; these names occur in either.
    Directories(BTreeSet<OsString>),
}

fn same(a: &Path, b: &Path) -> io::Result<Same> {
    let (Ok(ma), Ok(mb)) = (fs::symlink_metadata(a), fs::symlink_metadata(b)) else {
        return Ok(if a.symlink_metadata().is_ok() == b.symlink_metadata().is_ok() {
            Same::Yes
        } else {
            Same::No
        });
    };
    if ma.file_type() != mb.file_type() {
        return Ok(Same::No);
    }
    if ma.is_dir() {
        let mut names = BTreeSet::new();
        for dir in [a, b] {
            for entry in fs::read_dir(dir)? {
                names.insert(entry?.file_name());
            }
        }
        return Ok(Same::Directories(names));
    }
    let equal = if ma.file_type().is_symlink() {
        fs::read_link(a)? == fs::read_link(b)?
    } else {
        same_file(a, &ma, b, &mb)?
    };
    Ok(if equal { Same::Yes } else { Same::No })
}

fn same_file(a: &Path, ma: &Metadata, b: &Path, mb: &Metadata) -> io::Result<bool> {
    // Equal files of a store are usually one file.
    if (ma.dev(), ma.ino()) == (mb.dev(), mb.ino()) {
        return Ok(true);
    }
    let executable = |meta: &Metadata| meta.permissions().mode() & 0o100 != 0;
    if ma.len() != mb.len() || executable(ma) != executable(mb) {
        return Ok(false);
    }
    Ok(fs::read(a)? == fs::read(b)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_differing_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let make = |root: &str, files: &[(&str, &str)]| {
            let root = dir.path().join(root);
            for (name, text) in files {
                let path = root.join(name);
                fs::create_dir_all(path.parent().expect("inside")).expect("a directory");
                fs::write(path, text).expect("a file");
            }
            root
        };
        let a = make("a", &[("lib/x.so", "1"), ("include/x.h", "1"), ("same", "s")]);
        let b = make("b", &[("lib/x.so", "2"), ("include/x.h", "1"), ("same", "s")]);
        let c = make("c", &[("lib/x.so", "1"), ("include/x.h", "1"), ("same", "s"), ("more", "")]);
        assert_eq!(first_difference(&a, &b), Some(PathBuf::from("lib/x.so")));
        assert_eq!(first_difference(&a, &c), Some(PathBuf::from("more")));
        assert_eq!(first_difference(&a, &a), None);
    }
}
