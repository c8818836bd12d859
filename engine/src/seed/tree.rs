//! The files of a seed: what the packages own on this host, brought under the merged layout,
//! links made relative so that they resolve inside, alternatives followed to their end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::packages::dpkg_query;
use super::{List, SeedError};

/// The file tree of a seed, not copied yet.
pub(super) struct Tree {
    /// Relative path to the host's file; for a link, to where it leads inside.
    entries: BTreeMap<PathBuf, Entry>,
}

enum Entry {
    File(PathBuf),
    /// Relative to the root.
    Link(PathBuf),
}

/// Directories whose entries may be Debian alternatives.
const BIN_DIRS: [&str; 2] = ["/usr/bin", "/usr/sbin"];

/// Top-level links of a merged system.
const MERGED: [(&str, &str); 5] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("lib32", "usr/lib32"),
];

/// Finds all files of the packages that the list does not leave out.
pub(super) fn collect(packages: &[String], list: &List) -> Result<Tree, SeedError> {
    let mut args = vec!["-L"];
    args.extend(packages.iter().map(String::as_str));
    let listing = dpkg_query(&args)?;
    let dropped = |path: &Path| {
        let text = path.to_string_lossy();
        list.drop.iter().any(|pattern| matches(pattern, &text))
    };
    let mut hosts: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for line in listing.lines().filter(|line| line.starts_with('/') && *line != "/.") {
        let named = Path::new(line);
        let real = through_parent(named);
        if dropped(inside(&real)) || dropped(inside(named)) {
            continue;
        }
        let Ok(meta) = fs::symlink_metadata(&real) else { continue };
        if meta.is_file() || meta.is_symlink() {
            hosts.insert(inside(&real).to_path_buf(), real);
        }
    }
    for dir in BIN_DIRS {
        let Ok(entries) = fs::read_dir(dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let alternative =
                fs::read_link(&path).is_ok_and(|to| to.starts_with("/etc/alternatives"));
            let end = alternative.then(|| fs::canonicalize(&path).ok()).flatten();
            if end.is_some_and(|end| hosts.contains_key(inside(&end))) {
                hosts.entry(inside(&path).to_path_buf()).or_insert(path);
            }
        }
    }
    Ok(Tree { entries: link_up(hosts) })
}

/// Decides where links lead; those that lead nowhere inside are left out, until none is left.
fn link_up(hosts: BTreeMap<PathBuf, PathBuf>) -> BTreeMap<PathBuf, Entry> {
    let mut entries: BTreeMap<PathBuf, Entry> = BTreeMap::new();
    let mut dirs: BTreeSet<PathBuf> = BTreeSet::new();
    for (relative, host) in hosts {
        dirs.extend(relative.ancestors().skip(1).map(Path::to_path_buf));
        let entry = match fs::read_link(&host) {
            Err(_) => Entry::File(host),
            Ok(to) => {
                let target = if to.starts_with("/etc/alternatives") {
                    fs::canonicalize(&host).unwrap_or(to)
                } else if to.is_absolute() {
                    through_parent(&to)
                } else {
                    normal(&host.parent().unwrap_or(Path::new("/")).join(to))
                };
                Entry::Link(inside(&target).to_path_buf())
            }
        };
        entries.insert(relative, entry);
    }
    loop {
        let dangling: Vec<PathBuf> = entries
            .iter()
            .filter(|(_, entry)| {
                matches!(entry, Entry::Link(to) if !entries.contains_key(to) && !dirs.contains(to))
            })
            .map(|(path, _)| path.clone())
            .collect();
        if dangling.is_empty() {
            return entries;
        }
        dangling.iter().for_each(|path| drop(entries.remove(path)));
    }
}

impl Tree {
    /// How many files and links.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Writes the tree to a directory that does not exist yet.
    pub(super) fn copy_to(&self, root: &Path) -> Result<(), SeedError> {
        let mut made: BTreeSet<PathBuf> = BTreeSet::new();
        for (relative, entry) in &self.entries {
            let to = root.join(relative);
            let parent = to.parent().unwrap_or(root).to_path_buf();
            if made.insert(parent.clone()) {
                fs::create_dir_all(&parent).map_err(at("create", &parent))?;
            }
            match entry {
                Entry::File(host) => copy_file(host, &to)?,
                Entry::Link(target) => {
                    let target = relative_to(target, relative.parent().unwrap_or(Path::new("")));
                    symlink(target, &to).map_err(at("create", &to))?;
                }
            }
        }
        for (link, target) in MERGED {
            let link = root.join(link);
            if root.join(target).is_dir() && fs::symlink_metadata(&link).is_err() {
                symlink(target, &link).map_err(at("create", &link))?;
            }
        }
        Ok(())
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<(), SeedError> {
    fs::copy(from, to).map_err(at("copy", from))?;
    // Set-id bits of the host must not travel.
    let executable =
        fs::metadata(from).map_err(at("read", from))?.permissions().mode() & 0o111 != 0;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(at("set the mode of", to))
}

/// The path with its parent's links resolved, its own last component kept.
fn through_parent(path: &Path) -> PathBuf {
    match (path.parent().and_then(|parent| fs::canonicalize(parent).ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_path_buf(),
    }
}

fn inside(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Without `.` and `..`, by text alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// `target` as seen from the directory `from`; both relative to one root.
fn relative_to(target: &Path, from: &Path) -> PathBuf {
    let common = target.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(target.components().skip(common)).collect()
}

/// Whether a pattern, in which `*` stands for any text, matches the whole of `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SeedError {
    let path = path.to_path_buf();
    move |source| SeedError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        assert!(matches("usr/share/doc/*", "usr/share/doc/gcc/copyright"));
        assert!(matches("usr/lib/gcc/*/libasan*", "usr/lib/gcc/x86_64-linux-gnu/12/libasan.a"));
        assert!(!matches("usr/share/doc/*", "usr/share/docs"));
        assert!(matches("usr/bin/cpack", "usr/bin/cpack"));
        assert!(!matches("usr/bin/cpack", "usr/bin/cpack2"));
    }

    #[test]
    fn links_are_relative_to_where_they_lie() {
        assert_eq!(
            relative_to(Path::new("usr/bin/gcc-12"), Path::new("usr/bin")),
            Path::new("gcc-12")
        );
        assert_eq!(
            relative_to(Path::new("usr/lib/a"), Path::new("usr/bin/x")),
            Path::new("../../lib/a")
        );
    }
}
