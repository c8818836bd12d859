//! All the files in which two store objects differ, each with the kind of difference, and whether
//! anything is left of it when the names of store paths are taken for each other. `diff` stops at
//! the first; this is for looking back. Nothing here knows why the objects differ.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use floe_core::path::StorePath;
use rustc_hash::FxHashMap;

use crate::diff::{Side, walk};

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In its bytes.
    Content,
    /// In whether it may be executed.
    Mode,
    /// In where the link leads.
    Link,
    /// One is a file, the other a directory or a link.
    Type,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the object; empty for the object itself.
    pub file: PathBuf,
    /// How it differs.
    pub kind: Kind,
    /// Its former length in bytes; none for what is no file.
    pub old_size: Option<u64>,
    /// Its length now.
    pub new_size: Option<u64>,
    /// The first byte that differs, names apart.
    pub byte: Option<u64>,
    /// It differs in nothing but names of store paths.
    pub names_only: bool,
}

/// All in which two objects differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// The files, in order, those that differ in more than names first; the first so many.
    pub files: Vec<FileChange>,
    /// How many differ in more than names.
    pub real: u64,
    /// How many differ in nothing but names.
    pub names_only: u64,
    /// How many are the same.
    pub same: u64,
}

/// Store paths that stand for each other: what a name was, and what it is.
#[derive(Debug, Default)]
pub struct Names {
    old: FxHashMap<[u8; LEN], u32>,
    new: FxHashMap<[u8; LEN], u32>,
}

/// Length of a store path's digest as it is written.
const LEN: usize = 32;

/// How many files are named.
const MAX_FILES: usize = 100;

/// Longer files are compared without a look at names, in bytes.
const MAX_LEN: u64 = 128 << 20;

impl Names {
    /// Lets two paths stand for each other.
    pub fn pair(&mut self, old: &StorePath, new: &StorePath) {
        let next = self.old.len() as u32;
        let nth = *self.old.entry(digest(old)).or_insert(next);
        self.new.entry(digest(new)).or_insert(nth);
    }
}

fn digest(path: &StorePath) -> [u8; LEN] {
    *path.digest_text().as_bytes().first_chunk().expect("a digest is written in 32 letters")
}

/// Everything in which two objects differ.
///
/// # Errors
/// When one of them cannot be read.
pub fn differences(old: &Path, new: &Path, names: &Names) -> io::Result<Differences> {
    let mut found = Differences::default();
    let mut all = Vec::new();
    walk(old, new, |file, a, b| {
        match change(file, a, b, names)? {
            Some(change) => all.push(change),
            None => found.same += 1,
        }
        Ok(ControlFlow::<()>::Continue(()))
    })?;
    found.names_only = all.iter().filter(|change| change.names_only).count() as u64;
    found.real = all.len() as u64 - found.names_only;
    all.sort_by_key(|change| change.names_only);
    all.truncate(MAX_FILES);
    found.files = all;
    Ok(found)
}

/// How one file differs, if it does.
fn change(
    file: PathBuf,
    (a, old): Side<'_>,
    (b, new): Side<'_>,
    names: &Names,
) -> io::Result<Option<FileChange>> {
    let size = |meta: &Option<Metadata>| meta.as_ref().filter(|m| m.is_file()).map(Metadata::len);
    let (old_size, new_size) = (size(&old), size(&new));
    let found = |kind, byte, names_only| {
        Ok(Some(FileChange { file, kind, old_size, new_size, byte, names_only }))
    };
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(_)) => return found(Kind::Added, None, false),
        (Some(_), None) => return found(Kind::Removed, None, false),
        (None, None) => return Ok(None),
    };
    if old.file_type() != new.file_type() {
        return found(Kind::Type, None, false);
    }
    if old.file_type().is_symlink() {
        let [a, b] =
            [fs::read_link(a)?, fs::read_link(b)?].map(|to| to.into_os_string().into_vec());
        return match first_byte(a, b, names) {
            First::Same => Ok(None),
            First::Names => found(Kind::Link, None, true),
            First::Byte(_) => found(Kind::Link, None, false),
        };
    }
    // Equal files of a store are usually one file.
    if (old.dev(), old.ino()) == (new.dev(), new.ino()) {
        return Ok(None);
    }
    let executable = |meta: &Metadata| meta.permissions().mode() & 0o100 != 0;
    let first = match old.len().max(new.len()) > MAX_LEN {
        true => long_files(a, b)?,
        false => first_byte(fs::read(a)?, fs::read(b)?, names),
    };
    match first {
        First::Byte(byte) => found(Kind::Content, Some(byte), false),
        _ if executable(&old) != executable(&new) => found(Kind::Mode, None, false),
        First::Names => found(Kind::Content, None, true),
        First::Same => Ok(None),
    }
}

/// Where two byte strings differ first.
enum First {
    Same,
    /// Nowhere, names apart.
    Names,
    Byte(u64),
}

fn first_byte(mut a: Vec<u8>, mut b: Vec<u8>, names: &Names) -> First {
    if a == b {
        return First::Same;
    }
    number(&mut a, &names.old);
    number(&mut b, &names.new);
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    match common < a.len().max(b.len()) {
        true => First::Byte(common as u64),
        false => First::Names,
    }
}

/// Puts a number in the place of every name.
fn number(bytes: &mut [u8], names: &FxHashMap<[u8; LEN], u32>) {
    if names.is_empty() {
        return;
    }
    // How many bytes before this one could belong to a digest.
    let mut run = 0;
    for at in 0..bytes.len() {
        run =
            if bytes[at].is_ascii_digit() || bytes[at].is_ascii_lowercase() { run + 1 } else { 0 };
        if run < LEN {
            continue;
        }
        let place = at + 1 - LEN..at + 1;
        if let Some(nth) = bytes[place.clone()].first_chunk().and_then(|name| names.get(name)) {
            let number = format!("{nth:0>LEN$}");
            bytes[place].copy_from_slice(number.as_bytes());
            run = 0;
        }
    }
}

/// The same for files that are too long to be held in memory.
fn long_files(a: &Path, b: &Path) -> io::Result<First> {
    let [mut a, mut b] = [File::open(a)?, File::open(b)?];
    let mut offset = 0;
    loop {
        let [one, other] = [&mut a, &mut b].map(|file| {
            let mut part = Vec::new();
            file.take(1 << 20).read_to_end(&mut part).map(|_| part)
        });
        let (one, other) = (one?, other?);
        if one != other {
            let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count() as u64;
            return Ok(First::Byte(offset + common));
        }
        if one.is_empty() {
            return Ok(First::Same);
        }
        offset += one.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(digit: u8) -> StorePath {
        StorePath::new(&[digit; 20], "zlib").expect("a valid name")
    }

    /// A tree of files; a text that begins with `->` is a link, one with `#!` may be executed.
    fn tree(root: &Path, files: &[(&str, String)]) {
        fs::create_dir_all(root).expect("a directory");
        for (name, text) in files {
            let file = root.join(name);
            fs::create_dir_all(file.parent().expect("inside")).expect("a directory");
            if let Some(to) = text.strip_prefix("->") {
                symlink(to, &file).expect("a link");
                continue;
            }
            fs::write(&file, text).expect("a file");
            let mode = if text.starts_with("#!") { 0o555 } else { 0o444 };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        }
    }

    fn told(found: &Differences) -> Vec<String> {
        let line = |change: &FileChange| {
            let names = if change.names_only { ", names" } else { "" };
            format!("{} {:?} {:?}{names}", change.file.display(), change.kind, change.byte)
        };
        found.files.iter().map(line).collect()
    }

    #[test]
    fn every_file_is_named_with_its_kind() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let text = |text: &str| text.to_owned();
        tree(
            &old,
            &[
                ("a/content", text("12")),
                ("gone", text("")),
                ("link", text("->1")),
                ("mode", text("x")),
                ("named", format!("12{}-zlib/bin", path(1).as_str())),
                ("named-link", format!("->{}", path(1))),
                ("same", text("s")),
                ("type", text("->s")),
            ],
        );
        tree(
            &new,
            &[
                ("a/content", text("13")),
                ("link", text("->2")),
                ("mode", text("x")),
                ("named", format!("12{}-zlib/bin", path(2).as_str())),
                ("named-link", format!("->{}", path(2))),
                ("new", text("n")),
                ("same", text("s")),
                ("type/inside", text("s")),
            ],
        );
        let mode = fs::Permissions::from_mode(0o555);
        fs::set_permissions(new.join("mode"), mode).expect("a mode");
        let mut names = Names::default();
        let plain = differences(&old, &new, &names).expect("both are there");
        assert_eq!((plain.real, plain.names_only, plain.same), (8, 0, 1));
        names.pair(&path(1), &path(2));
        let found = differences(&old, &new, &names).expect("both are there");
        assert_eq!(
            told(&found),
            [
                "a/content Content Some(1)",
                "gone Removed None",
                "link Link None",
                "mode Mode None",
                "new Added None",
                "type Type None",
                "named Content None, names",
                "named-link Link None, names",
            ]
        );
        assert_eq!((found.real, found.names_only, found.same), (6, 2, 1));
        assert_eq!(differences(&old, &old, &names).expect("it is there").files, []);
        assert_eq!(
            differences(&old.join("mode"), &new.join("same"), &names).expect("read").real,
            1
        );
    }

    #[test]
    fn names_stand_for_one_another_and_for_nothing_else() {
        let mut names = Names::default();
        names.pair(&path(1), &path(2));
        names.pair(&path(3), &path(4));
        let first = |a: String, b: String| match first_byte(a.into(), b.into(), &names) {
            First::Same => "same".to_owned(),
            First::Names => "names".to_owned(),
            First::Byte(byte) => byte.to_string(),
        };
        let [one, two, three, four] =
            [1, 2, 3, 4].map(|digit| path(digit).digest_text().to_owned());
        assert_eq!(first(one.clone(), one.clone()), "same");
        assert_eq!(first(format!("x{one}{three}"), format!("x{two}{four}")), "names");
        assert_eq!(first(format!("x{one} y"), format!("x{two} z")), "34");
        // Each for its own.
        assert_eq!(first(format!("x {one}"), format!("x {four}")), "33");
        assert!(first(two, one).parse::<u64>().is_ok());
    }

    #[test]
    fn long_files_are_compared_piece_by_piece() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        let mut bytes = vec![0u8; (1 << 20) + 5];
        fs::write(&a, &bytes).expect("a file");
        fs::write(&b, &bytes).expect("a file");
        assert!(matches!(long_files(&a, &b).expect("reads"), First::Same));
        bytes[(1 << 20) + 3] = 1;
        fs::write(&b, &bytes).expect("a file");
        assert!(
            matches!(long_files(&a, &b).expect("reads"), First::Byte(at) if at == (1 << 20) + 3)
        );
    }
}
