//! Adding objects: sources, texts, and what builders left. Joins the object half (bytes on
//! disk) with the metadata half (protection and registration). No decision about building.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use floe_core::ca::{ContentAddress, Method, text_path};
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::{IoContext, Result, StoreError};
use crate::object::Contents;
use crate::object::delete::delete;
use crate::object::stage::{Address, Scratch, publish, stage_outputs};
use crate::object::tree::{self, Source};
use crate::protect::TempRoots;
use crate::store::Store;
use crate::{Batch, NewObject};

/// An object whose files are in place, ready to be registered.
#[derive(Debug)]
pub struct Prepared {
    /// What to put into a batch.
    pub object: NewObject,
    /// Keeps the files until they are registered and rooted.
    pub hold: TempRoots,
    /// Whether its files were put in place now; otherwise the same object was there.
    pub fresh: bool,
}

impl Store {
    /// Brings what a builder left into the store: canonical, hashed, scanned for references, under
    /// the final names. The scratch trees are moved away. Not registered yet. In the order of
    /// `outputs`.
    pub fn stage_outputs(
        &self,
        drv_name: &str,
        deriver: Option<&StorePath>,
        outputs: &[Scratch<'_>],
        candidates: &BTreeSet<StorePath>,
    ) -> Result<Vec<Prepared>, StoreError> {
        self.writable("add objects")?;
        let staged = stage_outputs(drv_name, outputs, candidates, self.links.as_ref())?;
        let place = |(scratch, staged): (&Scratch<'_>, crate::object::stage::Staged)| {
            let object = NewObject {
                deriver: deriver.cloned(),
                ..object(staged.path, staged.refs, staged.ca, &staged.contents)
            };
            self.publish(object, scratch.dir, scratch.file_name)
        };
        outputs.iter().zip(staged).map(place).collect()
    }

    /// Copies a source tree into the store; not registered yet.
    pub fn prepare_source(&self, source: Source<'_>) -> Result<Prepared, StoreError> {
        self.writable("add objects")?;
        let workspace = Workspace::create(self)?;
        let added = tree::copy(source, workspace.dir.as_fd(), OsStr::new("object"))?;
        let object = object(added.path, BTreeSet::new(), Some(added.ca), &added.contents);
        self.publish(object, workspace.dir.as_fd(), OsStr::new("object"))
    }

    /// Puts a text into the store as a file; not registered yet.
    pub fn prepare_text(
        &self,
        name: &str,
        bytes: &[u8],
        refs: &BTreeSet<StorePath>,
    ) -> Result<Prepared, StoreError> {
        self.writable("add objects")?;
        let path = text_path(name, bytes, refs)
            .map_err(|e| StoreError::Name { name: name.to_owned(), reason: e.to_string() })?;
        let workspace = Workspace::create(self)?;
        let file = workspace.path.join("object");
        fs::write(&file, bytes).at("write the text", &file)?;
        let scratch = Scratch {
            output: &OutputName::out(),
            address: &Address::Input(path.clone()),
            path: &path,
            dir: workspace.dir.as_fd(),
            file_name: OsStr::new("object"),
        };
        let staged = stage_outputs(name, &[scratch], &BTreeSet::new(), self.links.as_ref())?;
        let hash = Hash::of(HashAlgo::Sha256, bytes);
        let ca = ContentAddress { method: Method::Text, hash };
        let contents = &staged.first().expect("one output in, one out").contents;
        let object = object(path.clone(), refs.clone(), Some(ca), contents);
        self.publish(object, scratch.dir, scratch.file_name)
    }

    /// Copies a source tree into the store and registers it.
    pub fn add_source(&self, source: Source<'_>) -> Result<(StorePath, TempRoots), StoreError> {
        self.register_one(self.prepare_source(source)?)
    }

    /// Puts a text into the store and registers it.
    pub fn add_text(
        &self,
        name: &str,
        bytes: &[u8],
        refs: &BTreeSet<StorePath>,
    ) -> Result<(StorePath, TempRoots), StoreError> {
        if let Ok(path) = text_path(name, bytes, refs)
            && let Some(hold) = self.protect_valid([&path])?
        {
            return Ok((path, hold));
        }
        self.register_one(self.prepare_text(name, bytes, refs)?)
    }

    fn register_one(&self, prepared: Prepared) -> Result<(StorePath, TempRoots)> {
        let path = prepared.object.path.clone();
        self.register(&Batch { objects: vec![prepared.object], ..Batch::default() })?;
        Ok((path, prepared.hold))
    }

    fn publish(
        &self,
        object: NewObject,
        dir: std::os::fd::BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<Prepared> {
        let place = |target: &std::path::Path| {
            let base = target.file_name().unwrap_or_default();
            Ok(publish(dir, name, self.objects.as_fd(), base)?)
        };
        let placed = self.place(&object.path, &object.tree, place)?;
        if !placed.fresh {
            let had = self.info(&object.path)?;
            // What differs from the registered object stays for whoever wants to see where.
            if had.is_none_or(|had| had.nar_hash == object.nar_hash) {
                delete(dir, name)?;
            }
        }
        Ok(Prepared { object, hold: placed.hold, fresh: placed.fresh })
    }
}

/// Where a source has its path, without storing anything.
pub fn source_path(source: Source<'_>) -> Result<StorePath, StoreError> {
    Ok(tree::hash(source)?.path)
}

fn object(
    path: StorePath,
    refs: BTreeSet<StorePath>,
    ca: Option<ContentAddress>,
    contents: &Contents,
) -> NewObject {
    let Contents { nar_hash, nar_size, tree, .. } = *contents;
    NewObject { path, nar_hash, nar_size, tree, refs, deriver: None, ca }
}

/// A directory of our own among the builds, removed in the end.
struct Workspace<'s> {
    store: &'s Store,
    name: String,
    path: PathBuf,
    dir: OwnedFd,
}

impl<'s> Workspace<'s> {
    fn create(store: &'s Store) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = format!(".add-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let path = store.builds_dir().join(&name);
        fs::create_dir(&path).at("create the directory", &path)?;
        let dir = open_dir(&path)?;
        Ok(Self { store, name, path, dir })
    }
}

impl Drop for Workspace<'_> {
    fn drop(&mut self) {
        // What cannot be removed now, the next owner removes.
        if let Ok(builds) = open_dir(self.store.builds_dir()) {
            let _ = delete(builds.as_fd(), OsStr::new(&self.name));
        }
    }
}

/// A handle on a directory of ours.
pub(crate) fn open_dir(path: &std::path::Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).at("open the directory", path)
}
