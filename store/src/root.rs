//! Permanent roots: symbolic links, so that a user can make and remove them with `ln` and `rm`
//! and a null build writes nothing. A link under `ROOT/roots` that points to an object is a
//! root; a link elsewhere is one when `ROOT/roots/auto` holds a link to it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use floe_core::base32;
use floe_core::hash::Digest;
use floe_core::path::{STORE_DIR, StorePath};

use crate::error::{IoContext, Result, StoreError};
use crate::key::PathKey;
use crate::layout::Layout;
use crate::store::Store;

/// A link that keeps an object alive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The link, where the user sees it.
    pub link: PathBuf,
    /// The object it names.
    pub target: StorePath,
}

/// What is found under `ROOT/roots`.
pub(crate) struct Found {
    pub(crate) roots: Vec<Root>,
    /// Entries of `roots/auto` whose links are gone.
    pub(crate) stale: Vec<PathBuf>,
}

/// How deep directories under `ROOT/roots` may lie (profiles have one of their own).
const MAX_DEPTH: u32 = 8;

impl Store {
    /// Makes `link` a symbolic link to the object's files and a root. Writes nothing when it is
    /// one already. The path must be valid and protected by the caller.
    pub fn add_root(&self, link: &Path, target: &StorePath) -> Result<(), StoreError> {
        let _pass = self.protect.pass();
        self.must_be_valid(target)?;
        let link = absolute(link)?;
        if fs::read_link(&link).is_ok_and(|old| !leads_into_a_store(&old)) {
            return Err(StoreError::InTheWay { link });
        }
        // The link first: an entry in `auto` without its link would count as stale.
        point(&link, &self.physical(target))?;
        if !link.starts_with(&self.layout.roots) {
            let name = base32::encode(&Digest::of(link.as_os_str().as_bytes()).0[..20]);
            point(&self.layout.auto_roots.join(name), &link)?;
        }
        self.protect.touch([&PathKey::of(target)]);
        Ok(())
    }

    /// Makes a root under `ROOT/roots`, such as `profiles/default`.
    pub fn add_named_root(&self, name: &Path, target: &StorePath) -> Result<(), StoreError> {
        let plain = name.components().all(|c| matches!(c, Component::Normal(_)));
        if !plain || name.as_os_str().is_empty() || name.starts_with("auto") {
            return Err(StoreError::RootName { name: name.to_path_buf() });
        }
        let link = self.layout.roots.join(name);
        let dir = link.parent().unwrap_or(&self.layout.roots);
        fs::create_dir_all(dir).at("create the directory", dir)?;
        self.add_root(&link, target)
    }

    /// All permanent roots, sorted.
    pub fn roots(&self) -> Result<Vec<Root>, StoreError> {
        let mut roots = find(&self.layout)?.roots;
        roots.sort_unstable();
        Ok(roots)
    }

    fn must_be_valid(&self, path: &StorePath) -> Result<()> {
        if self.is_valid(path)? { Ok(()) } else { Err(self.not_valid(path.to_string())) }
    }
}

/// Absolute, with the directory's symbolic links resolved, so that a link has one name.
fn absolute(link: &Path) -> Result<PathBuf> {
    let full = std::path::absolute(link).at("find the link", link)?;
    match (full.parent(), full.file_name()) {
        (Some(dir), Some(name)) => Ok(dir.canonicalize().at("find the directory", dir)?.join(name)),
        _ => Err(StoreError::InTheWay { link: full }),
    }
}

/// Whether a link's target looks like an object of some store, this one or another: other links are
/// the user's, and not ours to replace.
fn leads_into_a_store(target: &Path) -> bool {
    let object = |part: Component<'_>| {
        part.as_os_str().to_str().is_some_and(|name| StorePath::from_base_name(name).is_ok())
    };
    target.components().any(object)
}

/// Makes `link` point to `target`, atomically replacing a former link.
fn point(link: &Path, target: &Path) -> Result<()> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    match fs::read_link(link) {
        Ok(old) if old == target => return Ok(()),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            return Err(StoreError::InTheWay { link: link.to_path_buf() });
        }
        Err(e) => return Err(StoreError::io("read the link", link, e)),
    }
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = format!(".floe-link-{}-{number}", std::process::id());
    let temporary = link.with_file_name(temporary);
    symlink(target, &temporary).at("create the link", link)?;
    fs::rename(&temporary, link).map_err(|e| {
        // The temporary name is ours, and useless now.
        let _ = fs::remove_file(&temporary);
        StoreError::io("create the link", link, e)
    })
}

/// Reads all roots.
pub(crate) fn find(layout: &Layout) -> Result<Found> {
    let mut found = Found { roots: Vec::new(), stale: Vec::new() };
    visit(layout, &layout.roots, 0, &mut found)?;
    Ok(found)
}

fn visit(layout: &Layout, dir: &Path, depth: u32, found: &mut Found) -> Result<()> {
    for entry in fs::read_dir(dir).at("list", dir)? {
        let entry = entry.at("list", dir)?;
        let (path, kind) = (entry.path(), entry.file_type().at("inspect", dir)?);
        if kind.is_dir() && depth < MAX_DEPTH {
            visit(layout, &path, depth + 1, found)?;
        } else if kind.is_symlink() {
            let Some(next) = follow(&path) else { continue };
            if let Some(target) = object(layout, &next) {
                found.roots.push(Root { link: path, target });
            } else if let Some(target) = follow(&next).and_then(|end| object(layout, &end)) {
                found.roots.push(Root { link: next, target });
            } else if path.starts_with(&layout.auto_roots) && is_gone(&next) {
                found.stale.push(path);
            }
        }
    }
    Ok(())
}

/// Where a link points to, absolute; `None` when it is no link.
fn follow(link: &Path) -> Option<PathBuf> {
    let target = fs::read_link(link).ok()?;
    Some(link.parent()?.join(target))
}

/// Whether nothing lies there; a directory that cannot be looked into counts as something.
fn is_gone(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// The object in or at which a link's target lies.
fn object(layout: &Layout, target: &Path) -> Option<StorePath> {
    let inside = target
        .strip_prefix(&layout.store)
        .or_else(|_| target.strip_prefix(STORE_DIR))
        .map(Path::to_path_buf)
        .ok()
        .or_else(|| {
            // The root may have been spelled otherwise, through a symbolic link.
            let dir = target.parent()?.canonicalize().ok()?;
            (dir == layout.store).then(|| target.file_name().map(PathBuf::from))?
        })?;
    StorePath::from_base_name(inside.components().next()?.as_os_str().to_str()?).ok()
}
