//! What an edit of sources changes: comments that a compiler skips, text that may be passed on as
//! it is, or anything else. Told from the files that differ, by their names and what is left of
//! them without comments; a guess, which odds are kept about, and nothing more.

mod comment;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use floe_core::path::StorePath;

use super::book::Change;
use comment::{Syntax, same_code};

/// Somebody who can look into sources.
pub trait Edits {
    /// What differs between sources that went and those that came; [`Change::Source`] where it
    /// cannot be told.
    fn change(&self, old: &[&StorePath], new: &[&StorePath]) -> Change;
}

/// Where a source's files are.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The file or directory.
    pub place: PathBuf,
    /// The entries that belong to it, where not all do; relative.
    pub kept: Option<Vec<PathBuf>>,
}

/// So many bytes are read of each side, and so many files looked at.
const MOST_BYTES: u64 = 8 << 20;
const MOST_FILES: usize = 20_000;

/// What differs between sources, paired by name; a patch that came or went is read as what it does.
pub fn change(old: &[(&str, Tree)], new: &[(&str, Tree)]) -> Change {
    compare(old, new).ok().flatten().unwrap_or(Change::Source)
}

/// None where there is too much to read.
fn compare(old: &[(&str, Tree)], new: &[(&str, Tree)]) -> io::Result<Option<Change>> {
    let mut worst = Change::Comment;
    let mut left = MOST_BYTES;
    let gone = old.iter().filter(|(name, _)| new.iter().all(|(other, _)| other != name));
    for (name, tree) in new {
        let former = old.iter().find(|(other, _)| other == name);
        let change = match former {
            Some((_, former)) => trees(name, former, tree, &mut left)?,
            None => alone(name, tree, &mut left)?,
        };
        let Some(change) = change else { return Ok(None) };
        worst = worst.max(change);
    }
    for (name, tree) in gone {
        let Some(change) = alone(name, tree, &mut left)? else { return Ok(None) };
        worst = worst.max(change);
    }
    Ok(Some(worst))
}

/// A source that came or went whole.
fn alone(name: &str, tree: &Tree, left: &mut u64) -> io::Result<Option<Change>> {
    Ok(match Syntax::of(Path::new(name)) {
        Syntax::Patch => read(&tree.place, left)?.map(|text| patch(&text)),
        _ => Some(Change::Source),
    })
}

/// What differs between two trees or files.
fn trees(name: &str, old: &Tree, new: &Tree, left: &mut u64) -> io::Result<Option<Change>> {
    let (Some(before), Some(after)) = (files(old)?, files(new)?) else { return Ok(None) };
    let mut worst = Change::Comment;
    for relative in &after {
        let path = |tree: &Tree| match relative.as_os_str().is_empty() {
            true => tree.place.clone(),
            false => tree.place.join(relative),
        };
        let shown = if relative.as_os_str().is_empty() { Path::new(name) } else { relative };
        if !before.contains(relative) {
            worst = worst.max(text_or_source(shown));
            continue;
        }
        let (Some(a), Some(b)) = (read(&path(old), left)?, read(&path(new), left)?) else {
            return Ok(None);
        };
        if a != b {
            worst = worst.max(file(shown, &a, &b));
        }
    }
    let gone = before.iter().filter(|relative| !after.contains(*relative));
    let gone = gone.map(|relative| text_or_source(relative)).max();
    Ok(Some(worst.max(gone.unwrap_or(Change::Comment))))
}

/// The files of a tree; none if there are too many.
fn files(tree: &Tree) -> io::Result<Option<BTreeSet<PathBuf>>> {
    let mut found = BTreeSet::new();
    let mut stack = tree.kept.clone().unwrap_or_else(|| vec![PathBuf::new()]);
    while let Some(relative) = stack.pop() {
        let place = match relative.as_os_str().is_empty() {
            true => tree.place.clone(),
            false => tree.place.join(&relative),
        };
        let meta = fs::symlink_metadata(&place)?;
        if !meta.is_dir() {
            found.insert(relative);
        } else if tree.kept.is_none() {
            for entry in fs::read_dir(&place)? {
                stack.push(relative.join(entry?.file_name()));
            }
        }
        if found.len() + stack.len() > MOST_FILES {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// A file's bytes, or a link's text; none if it is more than is left to be read.
fn read(place: &Path, left: &mut u64) -> io::Result<Option<Vec<u8>>> {
    use std::os::unix::ffi::OsStringExt;
    let meta = fs::symlink_metadata(place)?;
    if meta.is_symlink() {
        return Ok(Some(fs::read_link(place)?.into_os_string().into_vec()));
    }
    if meta.len() > *left || !meta.is_file() {
        return Ok(None);
    }
    *left -= meta.len();
    fs::read(place).map(Some)
}

/// What differs between two states of a file.
fn file(name: &Path, old: &[u8], new: &[u8]) -> Change {
    match Syntax::of(name) {
        Syntax::Prose => Change::Text,
        Syntax::Patch => patch(old).max(patch(new)),
        syntax if same_code(syntax, old, new) => match is_header(name) {
            true => Change::Text,
            false => Change::Comment,
        },
        _ => Change::Source,
    }
}

fn text_or_source(name: &Path) -> Change {
    match Syntax::of(name) {
        Syntax::Prose => Change::Text,
        _ => Change::Source,
    }
}

/// Whether a file is one that is passed on to users, comments included.
fn is_header(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    matches!(ending, "h" | "hh" | "hpp" | "hxx" | "inc" | "in")
}

/// What a patch changes, of the files that it is about.
fn patch(text: &[u8]) -> Change {
    let mut worst = Change::Comment;
    let mut name = PathBuf::new();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let mut in_hunk = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"+++ ") {
            let rest = String::from_utf8_lossy(rest);
            name = PathBuf::from(rest.split(['\t', '\n']).next().unwrap_or_default());
            in_hunk = false;
        }
        if line.starts_with(b"@@") || line.starts_with(b"diff ") || line.starts_with(b"--- ") {
            worst = worst.max(hunk(&name, &mut old, &mut new));
            in_hunk = line.starts_with(b"@@");
            continue;
        }
        match line.first() {
            Some(b'-') if in_hunk => old.extend_from_slice(&line[1..]),
            Some(b'+') if in_hunk => new.extend_from_slice(&line[1..]),
            Some(b' ') if in_hunk => {
                old.extend_from_slice(&line[1..]);
                new.extend_from_slice(&line[1..]);
            }
            _ => {}
        }
    }
    worst.max(hunk(&name, &mut old, &mut new))
}

fn hunk(name: &Path, old: &mut Vec<u8>, new: &mut Vec<u8>) -> Change {
    let (old, new) = (std::mem::take(old), std::mem::take(new));
    if old == new { Change::Comment } else { file(name, &old, &new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dir: &Path, files: &[(&str, &str)]) -> Tree {
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        Tree { place: dir.to_path_buf(), kept: None }
    }

    #[track_caller]
    fn check(edit: (&str, &str, &str), expected: Change) {
        let (name, before, after) = edit;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let always = ("same.c", "int same;");
        let old = tree(&dir.path().join("old"), &[always, (name, before)]);
        let new = tree(&dir.path().join("new"), &[always, (name, after)]);
        assert_eq!(change(&[("src", old.clone())], &[("src", new.clone())]), expected, "{edit:?}");
        let kept = |tree: Tree| Tree { kept: Some(vec![PathBuf::from("same.c")]), ..tree };
        assert_eq!(change(&[("src", kept(old))], &[("src", kept(new))]), Change::Comment);
    }

    #[test]
    fn an_edit_is_what_is_left_of_it() {
        check(("a.c", "int a; /* one */\n", "int a; /* two */\n"), Change::Comment);
        check(("a.c", "int a;\n", "int a; // why\n\n"), Change::Comment);
        check(("a.c", "int a;\n", "int b;\n"), Change::Source);
        check(("a.c", "f(\"/* one */\");\n", "f(\"/* two */\");\n"), Change::Source);
        check(("a.h", "int a; /* one */\n", "int a; /* two */\n"), Change::Text);
        check(("a.py", "a = 1 # one\n", "a = 1 # two\n"), Change::Comment);
        check(("a.py", "a = '# one'\n", "a = '# two'\n"), Change::Source);
        check(("doc/a.md", "one", "two"), Change::Text);
        check(("README", "one", "two"), Change::Text);
        check(("data.bin", "one", "two"), Change::Source);
    }

    #[test]
    fn a_patch_is_what_it_does() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let patches = [
            ("c.patch", "--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n-/* a */\n+/* b */\n int x;\n"),
            ("i.patch", "--- a/x.c\n+++ b/x.c\n@@ -1,2 +1,2 @@\n-int y;\n+int z;\n int x;\n"),
            ("h.patch", "--- a/x.h\n+++ b/x.h\n@@ -1,1 +1,2 @@\n int x;\n+/* more */\n"),
        ];
        tree(dir.path(), &patches);
        let of = |name: &'static str| (name, Tree { place: dir.path().join(name), kept: None });
        assert_eq!(change(&[], &[of("c.patch")]), Change::Comment);
        assert_eq!(change(&[of("c.patch")], &[of("i.patch")]), Change::Source);
        assert_eq!(change(&[of("c.patch")], &[of("h.patch")]), Change::Text);
        assert_eq!(change(&[], &[of("gone.patch")]), Change::Source, "cannot be read");
    }
}
