//! The seed: the toolchain's files as installed on this host, imported once as one
//! content-addressed object, which derivations name as the root file system of their build. What
//! belongs to it is a list of Debian packages; nothing here is Debian's own code.

mod packages;
mod tree;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use floe_core::ca::Method;
use floe_core::hash::HashAlgo;
use floe_core::path::{OutputName, StorePath};
use floe_store::object::stage::{Address, Scratch};
use floe_store::{Batch, Store, StoreError, TempRoots};

use crate::event::{Event, Events};
use crate::local::ScratchDir;

pub use packages::{DEFAULT_LIST, List};

/// The name of the root that keeps the seed, under the store's roots.
const ROOT_NAME: &str = "seed";

/// Why there is no seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A package is not installed.
    #[error(
        "the seed needs the package {0}, which is not installed; install it (apt-get install {0}) and run again"
    )]
    NotInstalled(String),
    /// The list is not understood.
    #[error("line {line} of the seed's package list is not understood: '{text}'")]
    List {
        /// From 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// dpkg cannot be asked.
    #[error(
        "cannot ask dpkg what is installed: {0}; the seed is made from a Debian system's packages"
    )]
    Dpkg(String),
    /// A file of the host could not be read or copied.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A seed that was made or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Its store path.
    pub path: StorePath,
    /// How many packages it holds; zero when it was found.
    pub packages: usize,
    /// How many files and links it holds; zero when it was found.
    pub files: usize,
    /// Bytes of its NAR.
    pub size_bytes: u64,
}

/// The seed that the store's root of that name keeps, if it is there.
///
/// # Errors
/// When the store cannot be read.
pub fn find(store: &Store) -> Result<Option<Seed>, StoreError> {
    let link = store.root().join("roots").join(ROOT_NAME);
    let Some(path) = std::fs::read_link(&link)
        .ok()
        .and_then(|target| StorePath::from_base_name(target.file_name()?.to_str()?).ok())
    else {
        return Ok(None);
    };
    Ok(store.info(&path)?.map(|info| Seed {
        path,
        packages: 0,
        files: 0,
        size_bytes: info.nar_size,
    }))
}

/// Imports the packages of `list` as this host has them, and makes the result the root's seed.
///
/// # Errors
/// When a package is missing or a file cannot be copied.
pub fn create(store: &Store, list: &List, events: &Events) -> Result<Seed, SeedError> {
    events.send(Event::Note(
        "importing the toolchain of this host as the seed of all builds".to_owned(),
    ));
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SeedError::Io { action: "create", path, source }
    };
    let installed = packages::closure(list)?;
    let tree = tree::collect(&installed, list)?;
    let dir = ScratchDir::create(store.builds_dir(), "seed").map_err(io(store.builds_dir()))?;
    let place = dir.store().join("seed");
    tree.copy_to(&place)?;
    let (path, size_bytes, _hold) = import(store, &dir.store())?;
    store.add_named_root(Path::new(ROOT_NAME), &path)?;
    Ok(Seed { path, packages: installed.len(), files: tree.len(), size_bytes })
}

fn import(store: &Store, dir: &Path) -> Result<(StorePath, u64, TempRoots), SeedError> {
    let io = |source| SeedError::Io { action: "open", path: dir.to_path_buf(), source };
    let handle = std::fs::File::open(dir).map_err(io)?;
    let scratch_path =
        floe_core::ca::text_path("seed", b"", &BTreeSet::new()).expect("'seed' is a valid name");
    let prepared = store.stage_outputs(
        "seed",
        None,
        &[Scratch {
            output: &OutputName::out(),
            address: &Address::Floating(Method::Nar, HashAlgo::Sha256),
            path: &scratch_path,
            dir: handle.as_fd(),
            file_name: OsStr::new("seed"),
        }],
        &BTreeSet::new(),
    )?;
    let prepared = prepared.into_iter().next().expect("one output in, one out");
    let (path, size) = (prepared.object.path.clone(), prepared.object.nar_size);
    store.register(&Batch { objects: vec![prepared.object], ..Batch::default() })?;
    Ok((path, size, prepared.hold))
}
