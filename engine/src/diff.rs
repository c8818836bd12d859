//! Which file differs first between two store objects: the answer to "which file was it?".

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A place in a store object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the object; empty for the object itself.
    pub file: PathBuf,
    /// The offset in it, where both are files that differ in content.
    pub byte: Option<u64>,
}

/// The first path, relative to the roots and in sorted order, at which the two trees differ; an
/// empty path when they differ in kind at the root. `None` when they are equal or one cannot be
/// read.
pub fn first_difference(old: &Path, new: &Path) -> Option<PathBuf> {
    first_place(old, new, &[]).map(|place| place.file)
}

/// The first place at which the two trees differ, `names` apart: of each pair the first stands in
/// the one tree where the second stands in the other. Both have the same length.
pub fn first_place(old: &Path, new: &Path, names: &[(&[u8], &[u8])]) -> Option<Place> {
    let mut stack = vec![PathBuf::new()];
    while let Some(file) = stack.pop() {
        // To join nothing would ask for a directory.
        let within = |root: &Path| match file.as_os_str().is_empty() {
            true => root.to_path_buf(),
            false => root.join(&file),
        };
        let (a, b) = (within(old), within(new));
        match same(&a, &b, names).ok()? {
            Same::Yes => {}
            Same::No(byte) => return Some(Place { file, byte }),
            Same::Directories(names) => {
                stack.extend(names.into_iter().rev().map(|name| file.join(name)));
            }
        }
    }
    None
}

enum Same {
    Yes,
    /// They differ, first at this offset.
    No(Option<u64>),
    /// Both are directories; these names occur in either.
    Directories(BTreeSet<OsString>),
}

fn same(a: &Path, b: &Path, names: &[(&[u8], &[u8])]) -> io::Result<Same> {
    let (Ok(ma), Ok(mb)) = (fs::symlink_metadata(a), fs::symlink_metadata(b)) else {
        return Ok(if a.symlink_metadata().is_ok() == b.symlink_metadata().is_ok() {
            Same::Yes
        } else {
            Same::No(None)
        });
    };
    if ma.file_type() != mb.file_type() {
        return Ok(Same::No(None));
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
    if ma.file_type().is_symlink() {
        let [a, b] =
            [fs::read_link(a)?, fs::read_link(b)?].map(|to| to.into_os_string().into_vec());
        return Ok(first_byte(a, b, names).map_or(Same::Yes, |_| Same::No(None)));
    }
    same_file(a, &ma, b, &mb, names)
}

fn same_file(
    a: &Path,
    ma: &Metadata,
    b: &Path,
    mb: &Metadata,
    names: &[(&[u8], &[u8])],
) -> io::Result<Same> {
    // Equal files of a store are usually one file.
    if (ma.dev(), ma.ino()) == (mb.dev(), mb.ino()) {
        return Ok(Same::Yes);
    }
    let executable = |meta: &Metadata| meta.permissions().mode() & 0o100 != 0;
    if executable(ma) != executable(mb) {
        return Ok(Same::No(None));
    }
    let byte = first_byte(fs::read(a)?, fs::read(b)?, names);
    Ok(byte.map_or(Same::Yes, |byte| Same::No(Some(byte))))
}

/// The first offset at which the two differ, `names` apart.
fn first_byte(mut a: Vec<u8>, mut b: Vec<u8>, names: &[(&[u8], &[u8])]) -> Option<u64> {
    if a == b {
        return None;
    }
    for (old, new) in names {
        blank(&mut a, old);
        blank(&mut b, new);
    }
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    (common < a.len().max(b.len())).then_some(common as u64)
}

/// Puts zeros wherever the name stands.
fn blank(bytes: &mut [u8], name: &[u8]) {
    let mut at = 0;
    while at + name.len() <= bytes.len() {
        if bytes[at..].starts_with(name) && !name.is_empty() {
            bytes[at..at + name.len()].fill(0);
            at += name.len();
        } else {
            at += 1;
        }
    }
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
        let files = first_place(&a.join("lib/x.so"), &b.join("lib/x.so"), &[]);
        assert_eq!(files, Some(Place { file: PathBuf::new(), byte: Some(0) }));
    }

    #[test]
    fn names_the_first_byte_that_is_no_name() {
        let place = |a: &[u8], b: &[u8]| first_byte(a.to_vec(), b.to_vec(), &[(b"aaa", b"bbb")]);
        assert_eq!(place(b"x aaa y", b"x bbb y"), None);
        assert_eq!(place(b"x aaa y", b"x bbb z"), Some(6));
        assert_eq!(place(b"x aaa", b"x bbb more"), Some(5));
        assert_eq!(place(b"bbb", b"aaa"), Some(0));
    }
}
