//! Patches: unified diffs of one file or many, as `diff -u` and `git diff` write them, turned into
//! what the files would be. Read and applied by the crate diffy: in this process, so that nothing
//! depends on which `patch` or `git` is installed, with no file of the user's open for writing, and
//! without fuzz, so that a hunk is never put at a place that only resembles the one it was made for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use diffy::patch_set::{FileMode, FileOperation, FilePatch, ParseOptions, PatchKind, PatchSet};

use super::{Content, Overlay, canonical, stays_inside};

/// Why a patch cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// There is nothing in it.
    #[error(
        "the patch {patch} changes nothing: it is empty, or no unified diff; `git diff` and `diff -u` write those"
    )]
    Empty {
        /// The patch.
        patch: String,
    },
    /// It cannot be understood.
    #[error("cannot read the patch {patch}: {reason}; is it a whole unified diff?")]
    Syntax {
        /// The patch.
        patch: String,
        /// Where and why.
        reason: String,
    },
    /// It is about bytes.
    #[error(
        "the patch {patch} changes '{name}', a binary file; only text can be patched, so change that file itself"
    )]
    Binary {
        /// The patch.
        patch: String,
        /// Which file.
        name: String,
    },
    /// It is about something outside.
    #[error(
        "the patch {patch} names '{name}', which leaves {root}; a patch may change only what is below that"
    )]
    Outside {
        /// The patch.
        patch: String,
        /// Which file.
        name: String,
        /// The tree it is for.
        root: PathBuf,
    },
    /// There is no such file.
    #[error(
        "the patch {patch} changes '{name}', which is not in {root}; say with --directory where it belongs, or with --strip how much of its names is too much"
    )]
    Missing {
        /// The patch.
        patch: String,
        /// Which file.
        name: String,
        /// The tree it is for.
        root: PathBuf,
    },
    /// There is such a file already.
    #[error("the patch {patch} makes '{name}', which is in {root} already; was it applied before?")]
    Exists {
        /// The patch.
        patch: String,
        /// Which file.
        name: String,
        /// The tree it is for.
        root: PathBuf,
    },
    /// A hunk finds no place.
    #[error(
        "the patch {patch} does not apply to '{name}' in {root}: {reason}; was it made from another version?"
    )]
    Conflict {
        /// The patch.
        patch: String,
        /// Which file.
        name: String,
        /// The tree it is for.
        root: PathBuf,
        /// Which hunk.
        reason: String,
    },
    /// The system said no.
    #[error("cannot try the patch {patch} on '{name}': {source}")]
    Io {
        /// The patch.
        patch: String,
        /// Which file.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A patch that was read, not applied yet.
pub struct Patch<'t> {
    /// What it is called in errors.
    name: String,
    files: Vec<FilePatch<'t, [u8]>>,
    /// Leading directories that its names have too many.
    strip: usize,
}

impl<'t> Patch<'t> {
    /// Reads a patch. `name` is for errors; `strip` leading directories of its files' names are
    /// left out, as `patch -p` does.
    ///
    /// # Errors
    /// When it is none, empty, or about binary files.
    pub fn read(name: &str, text: &'t [u8], strip: usize) -> Result<Patch<'t>, PatchError> {
        let patch = || name.to_owned();
        let is_git = text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"diff --git "));
        let form = if is_git { ParseOptions::gitdiff() } else { ParseOptions::unidiff() };
        if !is_git && !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"+++ ")) {
            return Err(PatchError::Empty { patch: patch() });
        }
        let files: Result<Vec<_>, _> = PatchSet::parse_bytes(text, form).collect();
        let files = files
            .map_err(|error| PatchError::Syntax { patch: patch(), reason: error.to_string() })?;
        let read = Patch { name: patch(), files, strip };
        if read.files.is_empty() {
            return Err(PatchError::Empty { patch: patch() });
        }
        match read.files.iter().find(|file| file.patch().is_binary()) {
            Some(file) => {
                let name = shown(&read.names(file).1);
                Err(PatchError::Binary { patch: patch(), name })
            }
            None => Ok(read),
        }
    }

    /// The paths before and after.
    fn names(&self, file: &FilePatch<'_, [u8]>) -> (PathBuf, PathBuf) {
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        // Git writes these two without the `a/` and `b/` of the others.
        let strip = match file.operation() {
            FileOperation::Rename { .. } | FileOperation::Copy { .. } => {
                self.strip.saturating_sub(1)
            }
            _ => self.strip,
        };
        match file.operation().strip_prefix(strip) {
            FileOperation::Delete(name) | FileOperation::Create(name) => (path(&name), path(&name)),
            FileOperation::Modify { original, modified } => (path(&original), path(&modified)),
            FileOperation::Rename { from, to } | FileOperation::Copy { from, to } => {
                (path(&from), path(&to))
            }
        }
    }

    /// The tree that it is for: `dir`, or the first directory above it, in which the files are that
    /// it changes; `dir` if there is none.
    pub fn root(&self, dir: &Path) -> PathBuf {
        let is_there = |root: &&Path| {
            self.files.iter().filter(|file| !file.operation().is_create()).all(|file| {
                let (old, new) = self.names(file);
                root.join(old).exists() || root.join(new).exists()
            })
        };
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
        dir.ancestors().find(is_there).unwrap_or(&dir).to_path_buf()
    }

    /// The files of a tree as they would be.
    ///
    /// # Errors
    /// When it does not fit the tree.
    pub fn apply(&self, root: &Path) -> Result<Overlay, PatchError> {
        let place = |error| self.io(root, error);
        let root = fs::canonicalize(root).map_err(place)?;
        let mut after = BTreeMap::new();
        for file in &self.files {
            self.apply_to(file, &root, &mut after)?;
        }
        Overlay::new(&after).map_err(|error| self.io(&root, error))
    }

    fn apply_to(
        &self,
        file: &FilePatch<'_, [u8]>,
        root: &Path,
        after: &mut BTreeMap<PathBuf, Content>,
    ) -> Result<(), PatchError> {
        let (old, new) = self.names(file);
        for name in [&old, &new] {
            self.check_inside(name, root)?;
        }
        let operation = file.operation();
        // `diff -u x.orig x` is about x.
        let base = match operation {
            FileOperation::Modify { .. } if root.join(&new).exists() => &new,
            _ => &old,
        };
        let base_path = canonical(&root.join(base), false);
        let before = match after.get(&base_path) {
            Some(content) => content.clone(),
            None => read(&base_path).map_err(|error| self.io(base, error))?,
        };
        let is_create = operation.is_create();
        match (&before, is_create) {
            (Content::Gone, false) => return Err(self.missing(base, root)),
            (Content::File { .. } | Content::Link(_), true) => {
                let (patch, name) = (self.name.clone(), shown(base));
                return Err(PatchError::Exists { patch, name, root: root.to_path_buf() });
            }
            _ => {}
        }
        let content = self.patched(file, before, base, root)?;
        let is_rename = matches!(operation, FileOperation::Rename { .. });
        if is_rename {
            after.insert(base_path.clone(), Content::Gone);
        }
        let target = match operation {
            FileOperation::Rename { .. } | FileOperation::Copy { .. } => {
                canonical(&root.join(&new), false)
            }
            _ => base_path,
        };
        after.insert(target, content);
        Ok(())
    }

    /// What a file would be.
    fn patched(
        &self,
        file: &FilePatch<'_, [u8]>,
        before: Content,
        name: &Path,
        root: &Path,
    ) -> Result<Content, PatchError> {
        let (text, was_executable, was_link) = match before {
            Content::File { bytes, executable } => (bytes, executable, false),
            Content::Link(text) => (text, false, true),
            Content::Gone => (Vec::new(), false, false),
        };
        let PatchKind::Text(patch) = file.patch() else {
            return Err(PatchError::Binary { patch: self.name.clone(), name: shown(name) });
        };
        let bytes = diffy::apply_bytes(&text, patch).map_err(|error| PatchError::Conflict {
            patch: self.name.clone(),
            name: shown(name),
            root: root.to_path_buf(),
            reason: error.to_string(),
        })?;
        if file.operation().is_delete() {
            return Ok(Content::Gone);
        }
        Ok(match file.new_mode() {
            Some(FileMode::Symlink) => Content::Link(bytes),
            None if was_link => Content::Link(bytes),
            Some(FileMode::Executable) => Content::File { bytes, executable: true },
            Some(_) => Content::File { bytes, executable: false },
            None => Content::File { bytes, executable: was_executable },
        })
    }

    fn check_inside(&self, name: &Path, root: &Path) -> Result<(), PatchError> {
        let is_inside = stays_inside(name)
            && root.join(name).parent().is_some_and(|dir| canonical(dir, true).starts_with(root));
        match is_inside {
            true => Ok(()),
            false => {
                let (patch, name) = (self.name.clone(), shown(name));
                Err(PatchError::Outside { patch, name, root: root.to_path_buf() })
            }
        }
    }

    fn missing(&self, name: &Path, root: &Path) -> PatchError {
        let (patch, name) = (self.name.clone(), shown(name));
        PatchError::Missing { patch, name, root: root.to_path_buf() }
    }

    fn io(&self, name: &Path, source: io::Error) -> PatchError {
        PatchError::Io { patch: self.name.clone(), name: shown(name), source }
    }
}

fn shown(name: &Path) -> String {
    name.display().to_string()
}

/// What a file is now.
fn read(path: &Path) -> io::Result<Content> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            Ok(Content::Link(fs::read_link(path)?.into_os_string().into_vec()))
        }
        Ok(meta) => {
            let executable = meta.permissions().mode() & 0o100 != 0;
            Ok(Content::File { bytes: fs::read(path)?, executable })
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Content::Gone),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with `src/a.c` of three lines, and what it would be: each file that differs, or why
    /// the patch cannot be tried.
    fn tried(text: &str) -> Result<Vec<(String, String)>, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let top = fs::canonicalize(dir.path()).expect("it exists");
        fs::create_dir_all(top.join("tree/src")).expect("ours");
        fs::write(top.join("tree/src/a.c"), "one\ntwo\nthree\n").expect("ours");
        fs::write(top.join("outside"), "one\n").expect("ours");
        std::os::unix::fs::symlink("..", top.join("tree/up")).expect("ours");
        let tree = top.join("tree");
        let words =
            |error: PatchError| error.to_string().replace(&tree.display().to_string(), "TREE");
        let patch = Patch::read("x.patch", text.as_bytes(), 1).map_err(words)?;
        let overlay = patch.apply(&tree).map_err(words)?;
        let differs = overlay.files.iter().map(|(path, exists)| {
            let name = path.strip_prefix(&tree).expect("inside").display().to_string();
            let text = fs::read_to_string(overlay.mirror(path)).unwrap_or_default();
            (name, if *exists { text } else { "(gone)".to_owned() })
        });
        Ok(differs.collect())
    }

    const HUNK: &str = "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";

    #[test]
    fn files_change_come_and_go() {
        let one = |name: &str, text: &str| Ok(vec![(name.to_owned(), text.to_owned())]);
        assert_eq!(
            tried(&format!("--- a/src/a.c\n+++ b/src/a.c\n{HUNK}")),
            one("src/a.c", "one\n2\nthree\n")
        );
        assert_eq!(
            tried("--- /dev/null\n+++ b/new/x\n@@ -0,0 +1,1 @@\n+hello\n"),
            one("new/x", "hello\n")
        );
        assert_eq!(
            tried("--- a/src/a.c\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n"),
            one("src/a.c", "(gone)")
        );
        let rename = "diff --git a/src/a.c b/src/b.c\nsimilarity index 100%\n\
                      rename from src/a.c\nrename to src/b.c\n";
        let renamed = tried(rename).expect("it applies");
        assert_eq!(renamed[0], ("src/a.c".to_owned(), "(gone)".to_owned()));
        assert_eq!(renamed[1], ("src/b.c".to_owned(), "one\ntwo\nthree\n".to_owned()));
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let wrong = HUNK.replace("-two", "-zwei");
        let second = format!("{HUNK}@@ -9,1 +9,1 @@\n-nine\n+9\n");
        let errors = [
            tried(""),
            tried("hello\n"),
            tried(&format!("--- a/src/a.c\n+++ b/src/a.c\n{wrong}")),
            tried(&format!("--- a/src/a.c\n+++ b/src/a.c\n{second}")),
            tried(&format!("--- a/../outside\n+++ b/../outside\n{HUNK}")),
            tried(&format!("--- a/up/outside\n+++ b/up/outside\n{HUNK}")),
            tried(&format!("--- a//etc/passwd\n+++ b//etc/passwd\n{HUNK}")),
            tried(&format!("--- a/src/b.c\n+++ b/src/b.c\n{HUNK}")),
            tried("--- /dev/null\n+++ b/src/a.c\n@@ -0,0 +1,1 @@\n+hello\n"),
            tried(
                "diff --git a/p.png b/p.png\nindex 1..2 100644\nBinary files a/p.png and b/p.png differ\n",
            ),
            tried("--- a/src/a.c\n+++ b/src/a.c\n@@ -1,3 +1,3 @@\n one\n"),
        ];
        let words: Vec<String> =
            errors.into_iter().map(|result| result.expect_err("it does not fit")).collect();
        insta::assert_snapshot!("patches-that-do-not-fit", words.join("\n"));
    }
}
