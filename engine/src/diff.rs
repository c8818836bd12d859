//! Which file differs first between two store objects: the answer to "which file was it?".

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::ops::ControlFlow;
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
    let found = walk(old, new, |file, a, b| {
        Ok(match same(a, b, names)? {
            Same::Yes => ControlFlow::Continue(()),
            Same::No(byte) => ControlFlow::Break(Place { file, byte }),
        })
    });
    found.ok()?
}

/// One side of a pair: a path, and what is there, if anything is.
pub(crate) type Side<'a> = (&'a Path, Option<Metadata>);

/// Goes through two trees at once, in sorted order, until `look` has seen enough. It is shown each
/// path that is a directory in neither or in one only, relative to the roots.
///
/// # Errors
/// When one of the trees cannot be read, or `look` fails.
pub(crate) fn walk<T>(
    old: &Path,
    new: &Path,
    mut look: impl FnMut(PathBuf, Side<'_>, Side<'_>) -> io::Result<ControlFlow<T>>,
) -> io::Result<Option<T>> {
    let mut stack = vec![PathBuf::new()];
    while let Some(file) = stack.pop() {
        // To join nothing would ask for a directory.
        let within = |root: &Path| match file.as_os_str().is_empty() {
            true => root.to_path_buf(),
            false => root.join(&file),
        };
        let (a, b) = (within(old), within(new));
        match (stat(&a)?, stat(&b)?) {
            (Some(old), Some(new)) if old.is_dir() && new.is_dir() => {
                let mut inside = BTreeSet::new();
                for dir in [&a, &b] {
                    for entry in fs::read_dir(dir)? {
                        inside.insert(entry?.file_name());
                    }
                }
                stack.extend(inside.into_iter().rev().map(|name| file.join(name)));
            }
            (old, new) => match look(file, (&a, old), (&b, new))? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(found) => return Ok(Some(found)),
            },
        }
    }
    Ok(None)
}

fn stat(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

enum Same {
    Yes,
    /// They differ, first at this offset.
    No(Option<u64>),
}

fn same((a, ma): Side<'_>, (b, mb): Side<'_>, names: &[(&[u8], &[u8])]) -> io::Result<Same> {
    let (ma, mb) = match (ma, mb) {
        (Some(ma), Some(mb)) if ma.file_type() == mb.file_type() => (ma, mb),
        (None, None) => return Ok(Same::Yes),
        _ => return Ok(Same::No(None)),
    };
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
