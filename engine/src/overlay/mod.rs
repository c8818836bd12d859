//! Files as they would be: a few that differ from the host's, and all others as they are. Evaluation
//! and sources read through it, so that a patch can be tried without touching anybody's files.
//! How a patch is read is in [`patch`]; what is evaluated is not known here.

pub mod patch;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// What a file would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file of these bytes.
    File {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link of this text.
    Link(Vec<u8>),
    /// Nothing.
    Gone,
}

/// Files that differ from the host's. Their new states lie in a temporary directory, which goes
/// with this.
#[derive(Debug)]
pub struct Overlay {
    /// By absolute path, the directories' links followed: whether there is something.
    files: BTreeMap<PathBuf, bool>,
    scratch: TempDir,
    /// Copies of trees with the files in them.
    trees: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl Overlay {
    /// Files with their contents, by absolute paths without links in their directories.
    ///
    /// # Errors
    /// When they cannot be written down.
    pub fn new(contents: &BTreeMap<PathBuf, Content>) -> io::Result<Overlay> {
        let scratch = TempDir::with_prefix("floe-patch-")?;
        let (files, trees) = (BTreeMap::new(), Mutex::default());
        let mut overlay = Overlay { files, scratch, trees };
        for (path, content) in contents {
            overlay.files.insert(path.clone(), *content != Content::Gone);
            let place = overlay.mirror(path);
            let parent = place.parent().expect("it lies in the temporary directory");
            match content {
                Content::File { bytes, executable } => {
                    fs::create_dir_all(parent)?;
                    fs::write(&place, bytes)?;
                    let mode = if *executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
                }
                Content::Link(text) => {
                    fs::create_dir_all(parent)?;
                    symlink(OsString::from_vec(text.clone()), &place)?;
                }
                Content::Gone => {}
            }
        }
        Ok(overlay)
    }

    /// Where the new state of an absolute path would lie.
    fn mirror(&self, path: &Path) -> PathBuf {
        let below = path.components().filter(|part| matches!(part, Component::Normal(_)));
        self.scratch.path().join("files").join(below.collect::<PathBuf>())
    }

    /// Where a path is to be looked for instead; nowhere else where nothing differs. What is gone
    /// is at a place where there is nothing. `follow` says whether a link at its end counts as what
    /// it leads to.
    pub fn place(&self, path: &Path, follow: bool) -> Option<PathBuf> {
        let known = canonical(path, follow);
        let is_new_dir = || self.below(&known).any(|(_, exists)| *exists) && !known.exists();
        (self.files.contains_key(&known) || is_new_dir()).then(|| self.mirror(&known))
    }

    /// Files that differ below a directory.
    fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a bool)> {
        let from = self.files.range(dir.to_path_buf()..);
        // A file beside it may sort between it and what is in it.
        from.filter(move |(path, _)| path.starts_with(dir) && *path != dir)
    }

    /// What a directory's entries are called that come to it, and that go.
    pub fn entries(&self, dir: &Path) -> Vec<(OsString, bool)> {
        let dir = canonical(dir, true);
        let mut found: BTreeMap<OsString, bool> = BTreeMap::new();
        for (path, exists) in self.below(&dir) {
            let mut rest = path.strip_prefix(&dir).unwrap_or(path).components();
            let Some(first) = rest.next() else { continue };
            // A directory of which only files go stays.
            if *exists || rest.next().is_none() {
                *found.entry(first.as_os_str().to_owned()).or_default() |= *exists;
            }
        }
        found.into_iter().collect()
    }

    /// A copy of a tree as it would be; none where nothing in it differs.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn tree(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let known = canonical(path, false);
        if self.files.contains_key(&known) {
            return Ok(Some(self.mirror(&known)));
        }
        if self.below(&known).next().is_none() {
            return Ok(None);
        }
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = trees.get(&known) {
            return Ok(Some(copy.clone()));
        }
        let copy = self.scratch.path().join(format!("tree-{}", trees.len()));
        if known.exists() {
            copy_tree(&known, &copy)?;
        }
        for (path, exists) in self.below(&known) {
            let place = copy.join(path.strip_prefix(&known).expect("it is below"));
            if fs::symlink_metadata(&place).is_ok() {
                fs::remove_file(&place)?;
            }
            if *exists {
                fs::create_dir_all(place.parent().expect("it is in the copy"))?;
                copy_tree(&self.mirror(path), &place)?;
            }
        }
        trees.insert(known, copy.clone());
        Ok(Some(copy))
    }
}

/// An absolute path without links in its directories, and at its end if `follow`. What does not
/// exist is taken by its name.
fn canonical(path: &Path, follow: bool) -> PathBuf {
    if follow && let Ok(whole) = fs::canonicalize(path) {
        return whole;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => canonical(parent, true).join(name),
        _ => fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()),
    }
}

/// Copies a file, link or directory.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    if meta.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if !meta.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy_tree(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Whether a path of a patch stays where it is told.
fn stays_inside(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && path.components().all(|part| matches!(part, Component::Normal(_)))
        && !path.as_os_str().as_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_files_differ_and_the_host_stays_as_it_is() {
        let dir = TempDir::new().expect("a temporary directory");
        let top = fs::canonicalize(dir.path()).expect("it exists");
        fs::create_dir_all(top.join("src/deep")).expect("ours");
        for (name, text) in [("src/a", "old"), ("src/deep/b", "b"), ("src-other", "x")] {
            fs::write(top.join(name), text).expect("ours");
        }
        symlink("src", top.join("link")).expect("ours");
        symlink("a", top.join("src/to-a")).expect("ours");
        let file = |text: &str| Content::File { bytes: text.into(), executable: true };
        let contents = [
            (top.join("src/a"), file("new")),
            (top.join("src/deep/b"), Content::Gone),
            (top.join("src/fresh/c"), file("c")),
            (top.join("src/l"), Content::Link(b"a".to_vec())),
        ];
        let overlay = Overlay::new(&contents.into()).expect("it is written down");
        let read = |path: &str, follow| {
            let place = overlay.place(&top.join(path), follow)?;
            Some(fs::read_to_string(place).unwrap_or_default())
        };
        assert_eq!(read("src/a", false).as_deref(), Some("new"));
        assert_eq!(read("link/a", false).as_deref(), Some("new"), "through a link to the folder");
        assert_eq!(read("src/to-a", true).as_deref(), Some("new"), "through a link to the file");
        assert_eq!(read("src/to-a", false), None, "the link itself is what it was");
        assert_eq!(read("src/deep/b", false).as_deref(), Some(""), "gone");
        assert_eq!(read("src-other", false), None);
        assert!(overlay.place(&top.join("src/fresh"), false).expect("a new folder").is_dir());
        let entries = overlay.entries(&top.join("src"));
        let entries: Vec<_> =
            entries.iter().map(|(name, is)| (name.to_str().expect("text"), *is)).collect();
        assert_eq!(entries, [("a", true), ("fresh", true), ("l", true)]);
        assert_eq!(overlay.entries(&top.join("src/deep")), [(OsString::from("b"), false)]);

        let tree = overlay.tree(&top.join("src")).expect("copies").expect("it differs");
        assert_eq!(fs::read_to_string(tree.join("a")).expect("there"), "new");
        assert_eq!(fs::read_to_string(tree.join("l")).expect("a link to a"), "new");
        assert!(!tree.join("deep/b").exists() && tree.join("fresh/c").exists());
        assert_eq!(
            fs::metadata(tree.join("a")).expect("there").permissions().mode() & 0o111,
            0o111
        );
        assert_eq!(overlay.tree(&top.join("src-other")).expect("nothing to do"), None);
        assert_eq!(fs::read_to_string(top.join("src/a")).expect("there"), "old");
        assert!(top.join("src/deep/b").exists() && !top.join("src/fresh").exists());
    }
}
