//! Where evaluation reads an output whose bytes a rebuilder put elsewhere. Evaluation knows a
//! derivation's outputs by C++ Nix's paths; a lifted output lies at the path that its content
//! gives, and so do the outputs it refers to. What refers to nothing is read where it lies: its
//! bytes are the same under any name. What holds store paths is read from a copy in which every
//! digest is again the one that evaluation knows, so that what it computes from the bytes (other
//! derivations, say) is C++ Nix's. Nothing of this is true in the store.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use floe_core::path::{DIGEST_LEN, StorePath};
use floe_lang::graph::{DrvGraph, DrvId};
use floe_lang::host::HostError;
use floe_store::Store;
use floe_store::object::rewrite::Rewrites;
use rustc_hash::{FxHashMap, FxHashSet};
use tempfile::TempDir;

/// An output under the name that evaluation knows.
struct Alias {
    real: StorePath,
    drv: DrvId,
    graph: Weak<DrvGraph>,
    reading: OnceLock<Reading>,
}

/// Where it is read.
struct Reading {
    place: PathBuf,
    refs: Vec<StorePath>,
    /// Keeps a copy until nobody can ask for it.
    _copy: Option<TempDir>,
}

/// The outputs that were built for evaluation, by the paths that evaluation knows.
#[derive(Default)]
pub struct Aliases(RwLock<FxHashMap<StorePath, Arc<Alias>>>);

impl Aliases {
    /// Notes that an output, as evaluated at `evaluated`, lies at `real`.
    pub fn add(&self, graph: &Arc<DrvGraph>, drv: DrvId, evaluated: StorePath, real: StorePath) {
        let graph = Arc::downgrade(graph);
        let alias = Alias { real, drv, graph, reading: OnceLock::new() };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(evaluated, Arc::new(alias));
    }

    /// Whether none was built.
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn get(&self, evaluated: &StorePath) -> Option<Arc<Alias>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(evaluated).cloned()
    }

    /// The object that evaluation knows by this path.
    pub fn real(&self, evaluated: &StorePath) -> Option<StorePath> {
        self.get(evaluated).map(|alias| alias.real.clone())
    }

    /// Where to read what lies at a logical path, if it goes by another name.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn place(&self, store: &Store, logical: &Path) -> Result<Option<PathBuf>, HostError> {
        if self.is_empty() {
            return Ok(None);
        }
        let Some(text) = logical.to_str() else { return Ok(None) };
        let Ok((path, inside)) = StorePath::parse_prefix(text) else { return Ok(None) };
        let Some(reading) = self.reading(store, &path)? else { return Ok(None) };
        let inside = inside.trim_start_matches('/');
        Ok(Some(match inside.is_empty() {
            // Joining nothing would append a slash, which follows links and refuses files.
            true => reading.place.clone(),
            false => reading.place.join(inside),
        }))
    }

    /// What such an output refers to, by the paths that evaluation knows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn references(
        &self,
        store: &Store,
        path: &StorePath,
    ) -> Result<Option<Vec<StorePath>>, HostError> {
        Ok(self.reading(store, path)?.map(|reading| reading.refs.clone()))
    }

    fn reading(&self, store: &Store, path: &StorePath) -> Result<Option<AliasRef>, HostError> {
        let Some(alias) = self.get(path) else { return Ok(None) };
        if alias.reading.get().is_none() {
            let reading = self.prepare(store, &alias)?;
            let _ = alias.reading.set(reading);
        }
        Ok(Some(AliasRef(alias)))
    }

    fn prepare(&self, store: &Store, alias: &Alias) -> Result<Reading, HostError> {
        let failed = |error: floe_store::StoreError| HostError::Failed(error.to_string());
        let lies = store.physical(&alias.real);
        let refs = store.need(&alias.real).map_err(failed)?.refs;
        let names = match alias.graph.upgrade() {
            Some(graph) if !refs.is_empty() => self.names(&graph, alias.drv)?,
            _ => FxHashMap::default(),
        };
        let known = |path: &StorePath| names.get(path).unwrap_or(path).clone();
        let pairs = refs.iter().map(|path| (digits(path), digits(&known(path))));
        let rewrites = Rewrites::new(pairs);
        let refs = refs.iter().map(known).collect();
        if rewrites.is_empty() {
            return Ok(Reading { place: lies, refs, _copy: None });
        }
        let copy = tempfile::Builder::new()
            .prefix("floe-read-")
            .tempdir()
            .map_err(at("making a directory in", &std::env::temp_dir()))?;
        let place = copy.path().join("object");
        copy_renamed(&lies, &place, &rewrites)?;
        Ok(Reading { place, refs, _copy: Some(copy) })
    }

    /// By what path evaluation knows each object that a derivation may refer to; where several
    /// outputs came out as one object, the one nearest to the derivation counts. Whatever is named
    /// so counts as observed.
    fn names(
        &self,
        graph: &DrvGraph,
        drv: DrvId,
    ) -> Result<FxHashMap<StorePath, StorePath>, HostError> {
        let mut names = FxHashMap::default();
        let mut seen = FxHashSet::from_iter([drv]);
        let mut queue = VecDeque::from([drv]);
        while let Some(id) = queue.pop_front() {
            for output in 0..graph.node(id).outputs.len() {
                let path = graph.output_path(id, output);
                let path = path.map_err(|error| HostError::Failed(error.to_string()))?;
                if let Some(path) = path
                    && let Some(real) = self.real(&path)
                {
                    graph.observe(id);
                    names.entry(real).or_insert(path);
                }
            }
            let inputs = graph.instructions(id).input_drvs.into_iter();
            queue.extend(inputs.map(|input| input.drv).filter(|drv| seen.insert(*drv)));
        }
        Ok(names)
    }
}

/// A reading that is there.
struct AliasRef(Arc<Alias>);

impl std::ops::Deref for AliasRef {
    type Target = Reading;

    fn deref(&self) -> &Reading {
        self.0.reading.get().expect("made before the reference")
    }
}

fn digits(path: &StorePath) -> [u8; DIGEST_LEN] {
    path.digest_text().as_bytes().try_into().expect("a digest has one length")
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HostError + use<> {
    let path = path.to_path_buf();
    move |source| HostError::Io { action, path, source }
}

/// Copies an object with digests replaced in files, links and names.
fn copy_renamed(from: &Path, to: &Path, rewrites: &Rewrites) -> Result<(), HostError> {
    let meta = fs::symlink_metadata(from).map_err(at("getting status of", from))?;
    if meta.is_symlink() {
        let target = fs::read_link(from).map_err(at("reading symbolic link", from))?;
        let target = rewrites.of(target.as_os_str().as_bytes());
        return symlink(std::ffi::OsString::from_vec(target), to).map_err(at("writing", to));
    }
    if !meta.is_dir() {
        let bytes = fs::read(from).map_err(at("reading file", from))?;
        fs::write(to, rewrites.of(&bytes)).map_err(at("writing", to))?;
        let mode = meta.permissions().mode() | 0o200;
        return fs::set_permissions(to, PermissionsExt::from_mode(mode)).map_err(at("writing", to));
    }
    fs::create_dir(to).map_err(at("writing", to))?;
    for entry in fs::read_dir(from).map_err(at("reading directory", from))? {
        let entry = entry.map_err(at("reading directory", from))?;
        let name = rewrites.of(entry.file_name().as_bytes());
        let name = std::ffi::OsString::from_vec(name);
        copy_renamed(&entry.path(), &to.join(name), rewrites)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_replaced_everywhere() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (old, new) = ([b'0'; DIGEST_LEN], [b'1'; DIGEST_LEN]);
        let text = |digest: [u8; DIGEST_LEN]| String::from_utf8(digest.to_vec()).expect("digits");
        let from = dir.path().join("from");
        fs::create_dir(&from).expect("ours");
        fs::write(from.join("file"), format!("see {}-x", text(old))).expect("ours");
        symlink(format!("/nix/store/{}-x", text(old)), from.join("link")).expect("ours");
        fs::write(from.join(format!("{}-y", text(old))), "").expect("ours");
        let to = dir.path().join("to");
        copy_renamed(&from, &to, &Rewrites::new([(old, new)])).expect("copies");
        assert_eq!(fs::read_to_string(to.join("file")).unwrap(), format!("see {}-x", text(new)));
        let link = fs::read_link(to.join("link")).unwrap();
        assert_eq!(link, PathBuf::from(format!("/nix/store/{}-x", text(new))));
        assert!(to.join(format!("{}-y", text(new))).exists());
    }
}
