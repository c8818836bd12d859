//! From what a builder left to what may be in the store: canonical files, all digests in one
//! pass over the bytes, references, and for content-addressed outputs the final path with the
//! scratch digests rewritten. The trees stay in their scratch place until [`publish`].
//!
//! The tree digest's encoding is described in [`super::merkle`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use floe_core::ca::{ContentAddress, Method, Refs, fixed_path};
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use rustix::fs::{FileType, Mode, RenameFlags, fchmod, renameat_with};
use rustix::io::Errno;

use super::dedup::Links;
use super::handle;
use super::rewrite::{ModuloHasher, Rewrites, modulo_rewrites};
use super::scan::{Digits, Needles};
use super::walk::{Action, Contents, Other, Plan, walk};
use super::{ObjectError, show};

/// How an output's final path is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// It is known.
    Input(StorePath),
    /// It is known, and the content must have this address.
    Fixed(StorePath, ContentAddress),
    /// From the content.
    Floating(Method, HashAlgo),
}

/// An output as the builder left it.
#[derive(Debug, Clone, Copy)]
pub struct Scratch<'a> {
    /// Its name.
    pub output: &'a OutputName,
    /// How to find its path.
    pub address: &'a Address,
    /// The path that the builder was told.
    pub path: &'a StorePath,
    /// The directory that it lies in.
    pub dir: BorrowedFd<'a>,
    /// Its name there.
    pub file_name: &'a OsStr,
}

/// An output ready to be published and registered.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Its name.
    pub output: OutputName,
    /// Its final path.
    pub path: StorePath,
    /// What it refers to; itself too, if it does.
    pub refs: BTreeSet<StorePath>,
    /// Its content address, if it has one.
    pub ca: Option<ContentAddress>,
    /// Its digests and files.
    pub contents: Contents,
}

/// Stages all outputs of the derivation called `drv_name`. `candidates` are the paths that may
/// be referred to (the closure of the inputs); equal files become links where `links` is
/// given. The result is in the order of `outputs`.
pub fn stage_outputs(
    drv_name: &str,
    outputs: &[Scratch<'_>],
    candidates: &BTreeSet<StorePath>,
    links: Option<&Links>,
) -> Result<Vec<Staged>, ObjectError> {
    let scratch_digits: Vec<Digits> = outputs.iter().map(|output| digits(output.path)).collect();
    let needles = Needles::new(scratch_digits.iter().copied().chain(candidates.iter().map(digits)));
    let mut first = Vec::with_capacity(outputs.len());
    for output in outputs {
        first.push(first_pass(drv_name, output, &needles, outputs.len())?);
    }
    let order = order(drv_name, outputs, &first)?;

    let candidates: Vec<&StorePath> = candidates.iter().collect();
    let mut staged: Vec<Option<Staged>> = outputs.iter().map(|_| None).collect();
    for at in order {
        let output = &outputs[at];
        let found = |which: usize| first[at].found.get(which).copied().unwrap_or(false);
        let mut refs = Refs { others: BTreeSet::new(), this: found(at) };
        let mut others = Vec::new();
        for (which, path) in candidates.iter().enumerate() {
            if found(outputs.len() + which) {
                refs.others.insert((*path).clone());
            }
        }
        for (which, other) in staged.iter().enumerate() {
            if let Some(other) = other
                && found(which)
            {
                refs.others.insert(other.path.clone());
                others.push((scratch_digits[which], digits(&other.path)));
            }
        }
        let (path, ca) = address(drv_name, output, &first[at], &refs, &others)?;
        let own = (scratch_digits[at], digits(&path));
        let rewrites = Rewrites::new([own].into_iter().chain(others));
        let mut contents = first[at].clone();
        if contents.hits > 0 && !rewrites.is_empty() {
            let plan = Plan::new(Action::Rewrite(&rewrites, &first[at].files), &needles);
            let shown = output.path.as_str().as_bytes();
            contents = walk(output.dir, output.file_name.as_bytes(), shown, plan)?;
        }
        if refs.this {
            refs.others.insert(path.clone());
        }
        staged[at] =
            Some(Staged { output: output.output.clone(), path, refs: refs.others, ca, contents });
    }
    let staged: Vec<Staged> = staged.into_iter().flatten().collect();
    for (output, staged) in outputs.iter().zip(&staged) {
        let name = output.file_name.as_bytes();
        if let Some(links) = links {
            links.share(output.dir, name, &staged.contents.files)?;
        }
        seal(output.dir, name, output.path.as_str().as_bytes())?;
    }
    Ok(staged)
}

/// Moves a staged tree to its final name, where nothing may lie yet.
pub fn publish(
    from: BorrowedFd<'_>,
    from_name: &OsStr,
    to: BorrowedFd<'_>,
    to_name: &OsStr,
) -> Result<(), ObjectError> {
    let (from_name, to_name) = (from_name.as_bytes(), to_name.as_bytes());
    let stat = handle::stat(from, from_name).map_err(ObjectError::io("look at", from_name))?;
    let moved = || match renameat_with(from, from_name, to, to_name, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Err(ObjectError::Exists { path: show(to_name) }),
        result => result.map_err(ObjectError::io("move into the store", to_name)),
    };
    if handle::kind(&stat) != FileType::Directory {
        return moved();
    }
    // A directory that its owner may not write cannot change its parent.
    let io = |action| ObjectError::io(action, from_name);
    let dir = handle::open_dir(from, from_name).map_err(io("open"))?;
    fchmod(&dir, Mode::RWXU).map_err(io("set the mode of"))?;
    let result = moved();
    handle::finish(dir.as_fd(), true).map_err(io("set mode and time of"))?;
    result
}

/// Canonicalises, and computes what needs no other output.
fn first_pass(
    drv_name: &str,
    output: &Scratch<'_>,
    needles: &Needles,
    counted: usize,
) -> Result<Contents, ObjectError> {
    let (name, shown) = (output.file_name.as_bytes(), output.path.as_str().as_bytes());
    let stat = match handle::stat(output.dir, name) {
        Err(Errno::NOENT) => {
            return Err(ObjectError::NoOutput {
                drv: drv_name.to_owned(),
                output: output.output.clone(),
                path: output.path.to_string(),
            });
        }
        result => result.map_err(ObjectError::io("look at", shown))?,
    };
    let other = match output.address {
        Address::Input(_) => Other::None,
        Address::Fixed(_, ContentAddress { method, hash }) => other_hash(*method, hash.algo()),
        Address::Floating(method, algo) => other_hash(*method, *algo),
    };
    let plain = handle::kind(&stat) == FileType::RegularFile && stat.st_mode & 0o100 == 0;
    if matches!(other, Other::Flat(_)) && !plain {
        return Err(ObjectError::NotFlat { path: output.path.to_string() });
    }
    let plan = Plan { counted, other, ..Plan::new(Action::Canonicalise, needles) };
    walk(output.dir, name, shown, plan)
}

fn other_hash(method: Method, algo: HashAlgo) -> Other {
    match (method, algo) {
        (Method::Nar, HashAlgo::Sha256) => Other::None,
        (Method::Nar, algo) => Other::Nar(algo),
        (Method::Flat | Method::Text, algo) => Other::Flat(algo),
    }
}

/// The final path and content address of an output whose own outputs below have theirs.
fn address(
    drv_name: &str,
    output: &Scratch<'_>,
    contents: &Contents,
    refs: &Refs,
    others: &[(Digits, Digits)],
) -> Result<(StorePath, Option<ContentAddress>), ObjectError> {
    let as_built = contents.other_hash.unwrap_or(contents.nar_hash);
    match output.address {
        Address::Input(path) => Ok((path.clone(), None)),
        Address::Fixed(path, ca) => {
            if let Some(reference) = refs.others.first().or(refs.this.then_some(output.path)) {
                return Err(ObjectError::FixedReference {
                    drv: drv_name.to_owned(),
                    reference: reference.to_string(),
                });
            }
            if as_built != ca.hash {
                return Err(ObjectError::Mismatch {
                    drv: drv_name.to_owned(),
                    specified: ca.hash.sri(),
                    got: as_built.sri(),
                });
            }
            Ok((path.clone(), Some(*ca)))
        }
        Address::Floating(method, algo) => {
            let hash = if refs.this || !others.is_empty() {
                hash_modulo(output, *method, *algo, others)?
            } else {
                as_built
            };
            let ca = ContentAddress { method: *method, hash };
            let path = fixed_path(&output.output.path_name(drv_name), &ca, refs)?;
            Ok((path, Some(ca)))
        }
    }
}

/// The hash of an output's content with its own digest as zeros and others' final ones.
fn hash_modulo(
    output: &Scratch<'_>,
    method: Method,
    algo: HashAlgo,
    others: &[(Digits, Digits)],
) -> Result<Hash, ObjectError> {
    let (name, shown) = (output.file_name.as_bytes(), output.path.as_str().as_bytes());
    let rewrites = modulo_rewrites(digits(output.path), others);
    let mut hasher = ModuloHasher::new(&rewrites, algo);
    let copied = match method {
        Method::Nar => {
            let none = Needles::new([]);
            let plan = Plan { out: Some(&mut hasher), ..Plan::new(Action::Read, &none) };
            walk(output.dir, name, shown, plan)?;
            Ok(())
        }
        Method::Flat | Method::Text => {
            let file = handle::open(output.dir, name, rustix::fs::OFlags::RDONLY)
                .map_err(ObjectError::io("open", shown))?;
            std::io::copy(&mut std::fs::File::from(file), &mut hasher).map(drop)
        }
    };
    copied.and_then(|()| hasher.finish()).map_err(|source| ObjectError::Io {
        action: "hash",
        path: show(shown),
        source,
    })
}

/// Outputs so that each comes after those it refers to.
fn order(
    drv_name: &str,
    outputs: &[Scratch<'_>],
    contents: &[Contents],
) -> Result<Vec<usize>, ObjectError> {
    let refers = |from: usize, to: usize| {
        from != to && contents[from].found.get(to).copied().unwrap_or(false)
    };
    let mut order = Vec::with_capacity(outputs.len());
    let mut placed = vec![false; outputs.len()];
    while order.len() < outputs.len() {
        let ready = (0..outputs.len())
            .find(|&at| !placed[at] && (0..outputs.len()).all(|to| placed[to] || !refers(at, to)));
        let Some(ready) = ready else {
            return Err(cycle(drv_name, outputs, &placed, refers));
        };
        placed[ready] = true;
        order.push(ready);
    }
    Ok(order)
}

/// Names two neighbours on a cycle among the outputs that could not be placed.
fn cycle(
    drv_name: &str,
    outputs: &[Scratch<'_>],
    placed: &[bool],
    refers: impl Fn(usize, usize) -> bool,
) -> ObjectError {
    let next = |from: usize| (0..outputs.len()).find(|&to| !placed[to] && refers(from, to));
    // Whoever is not placed refers to another one of them: after that many steps we are on a
    // cycle, wherever we started.
    let mut from = placed.iter().position(|placed| !placed).unwrap_or(0);
    for _ in 0..outputs.len() {
        from = next(from).unwrap_or(from);
    }
    let to = next(from).unwrap_or(from);
    ObjectError::Cycle {
        drv: drv_name.to_owned(),
        from: outputs[from].output.clone(),
        to: outputs[to].output.clone(),
    }
}

/// Takes write permission from every directory and sets its times: the last step.
pub(super) fn seal(dir: BorrowedFd<'_>, name: &[u8], shown: &[u8]) -> Result<(), ObjectError> {
    let stat = handle::stat(dir, name).map_err(ObjectError::io("look at", shown))?;
    if handle::kind(&stat) != FileType::Directory {
        return Ok(());
    }
    let this = handle::open_dir(dir, name).map_err(ObjectError::io("open", shown))?;
    for (name, kind) in handle::entries(this.as_fd()).map_err(ObjectError::io("list", shown))? {
        if matches!(kind, FileType::Directory | FileType::Unknown) {
            seal(this.as_fd(), &name, &[shown, b"/", &name].concat())?;
        }
    }
    handle::finish(this.as_fd(), true).map_err(ObjectError::io("set mode and time of", shown))
}

fn digits(path: &StorePath) -> Digits {
    path.digest_text().as_bytes().try_into().expect("a store path's digest has 32 digits")
}

#[cfg(test)]
mod tests;
