//! Source files and trees: what path they have in the store, and a copy of them made in the
//! same pass. The walk is the one that stages outputs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use floe_core::ca::{ContentAddress, Method, Refs, fixed_path};
use floe_core::hash::HashAlgo;
use floe_core::path::StorePath;
use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

use super::handle;
use super::scan::Needles;
use super::walk::{Action, Contents, Other, Plan, walk};
use super::{ObjectError, show};

pub use super::walk::{BoxError, Filter};

/// What is to be added.
pub struct Source<'a> {
    /// Where it lies. Its last component is not followed if it is a symbolic link.
    pub path: &'a Path,
    /// Its name in the store.
    pub name: &'a str,
    /// How it is addressed.
    pub method: Method,
    /// With which hash.
    pub algo: HashAlgo,
    /// Which files belong to it; asked in ascending order of names, not about the root.
    pub filter: Option<&'a mut Filter<'a>>,
}

/// A source and its place in the store.
#[derive(Debug, Clone)]
pub struct Added {
    /// Its path.
    pub path: StorePath,
    /// Its content address.
    pub ca: ContentAddress,
    /// Its digests and files.
    pub contents: Contents,
}

/// Finds the path of a source; nothing is stored.
pub fn hash(source: Source<'_>) -> Result<Added, ObjectError> {
    add(source, None)
}

/// The same, and leaves a canonical copy called `name` in `dir`, where nothing may lie yet.
pub fn copy(source: Source<'_>, dir: BorrowedFd<'_>, name: &OsStr) -> Result<Added, ObjectError> {
    add(source, Some((dir, name.as_bytes())))
}

/// Digests of an object that is in a store already; `shown` names it in messages.
pub fn digest(dir: BorrowedFd<'_>, name: &OsStr, shown: &str) -> Result<Contents, ObjectError> {
    let none = Needles::new([]);
    walk(dir, name.as_bytes(), shown.as_bytes(), Plan::new(Action::Read, &none))
}

/// The digests of an object, and which of the candidates it refers to: for verification.
pub fn digest_and_scan(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    shown: &str,
    candidates: &BTreeSet<StorePath>,
) -> Result<(Contents, BTreeSet<StorePath>), ObjectError> {
    let digits = candidates.iter().map(|path| {
        path.digest_text().as_bytes().try_into().expect("a store path's digest has 32 digits")
    });
    let needles = Needles::new(digits);
    let plan = Plan::new(Action::Read, &needles);
    let contents = walk(dir, name.as_bytes(), shown.as_bytes(), plan)?;
    let found = candidates.iter().zip(&contents.found).filter(|(_, found)| **found);
    let refs = found.map(|(path, _)| path.clone()).collect();
    Ok((contents, refs))
}

/// The first file of a canonical object whose mode is not what it must be, and that mode. Called
/// after the object's digest was found right, which bounds its depth.
pub fn wrong_mode(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    shown: &str,
) -> Result<Option<(String, u32)>, ObjectError> {
    find_wrong_mode(dir, name.as_bytes(), shown.as_bytes())
}

fn find_wrong_mode(
    dir: BorrowedFd<'_>,
    name: &[u8],
    shown: &[u8],
) -> Result<Option<(String, u32)>, ObjectError> {
    let stat = handle::stat(dir, name).map_err(ObjectError::io("look at", shown))?;
    let mode = handle::permissions(&stat);
    let kind = handle::kind(&stat);
    let right = match kind {
        FileType::Directory => mode == 0o555,
        FileType::RegularFile => matches!(mode, 0o444 | 0o555),
        _ => true,
    };
    if !right {
        return Ok(Some((show(shown), mode)));
    }
    if kind == FileType::Directory {
        let this = handle::open_dir(dir, name).map_err(ObjectError::io("open", shown))?;
        for (name, _) in handle::entries(this.as_fd()).map_err(ObjectError::io("list", shown))? {
            let found = find_wrong_mode(this.as_fd(), &name, &[shown, b"/", &name].concat())?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn add(source: Source<'_>, copy: Option<(BorrowedFd<'_>, &[u8])>) -> Result<Added, ObjectError> {
    let shown = source.path.as_os_str().as_bytes();
    let (parent, name) = match (source.path.parent(), source.path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => (Path::new("."), name),
        (Some(parent), Some(name)) => (parent, name),
        _ => (source.path, OsStr::new(".")),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, parent, flags, Mode::empty()).map_err(ObjectError::io("open", shown))?;
    let flat = source.method != Method::Nar;
    if flat {
        let stat = handle::stat(dir.as_fd(), name.as_bytes())
            .map_err(ObjectError::io("look at", shown))?;
        if handle::kind(&stat) != FileType::RegularFile {
            return Err(ObjectError::Kind {
                path: show(shown),
                kind: match handle::kind(&stat) {
                    FileType::Directory | FileType::Symlink => {
                        "directory or link, and is added as a flat file"
                    }
                    kind => handle::kind_name(kind),
                },
            });
        }
    }
    let none = Needles::new([]);
    let mut filter = source.filter;
    let filtered = filter.is_some();
    let mut ask = |path: &Path, kind| filter.as_mut().map_or(Ok(true), |filter| filter(path, kind));
    let plan = Plan {
        other: match (flat, source.algo) {
            (true, algo) => Other::Flat(algo),
            (false, HashAlgo::Sha256) => Other::None,
            (false, algo) => Other::Nar(algo),
        },
        filter: if filtered { Some(&mut ask) } else { None },
        copy,
        plain: flat,
        ..Plan::new(Action::Read, &none)
    };
    let contents = walk(dir.as_fd(), name.as_bytes(), shown, plan)?;
    let hash = contents.other_hash.unwrap_or(contents.nar_hash);
    let ca = ContentAddress { method: source.method, hash };
    let path = fixed_path(source.name, &ca, &Refs::default())?;
    Ok(Added { path, ca, contents })
}
