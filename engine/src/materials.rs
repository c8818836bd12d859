//! The inputs that no derivation makes: sources and `.drv` files named by evaluation. They enter
//! the store only when a builder is about to read them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use floe_core::path::StorePath;
use floe_lang::graph::{DrvGraph, GraphError};
use floe_lang::host::{HostError, Origin};
use floe_store::{Store, StoreError};

use crate::host::StoreHost;
use crate::import::Material;
use crate::predict::edit::Tree;

/// Why an input could not be put into the store.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A derivation's text could not be made.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The source is not what it was when it was evaluated.
    #[error(
        "the source of {expected} changed while it was used (it is now {found}); run the command again"
    )]
    Changed {
        /// What evaluation computed.
        expected: StorePath,
        /// What it is now.
        found: StorePath,
    },
    /// Nobody knows how to make it.
    #[error("{0} is not in the store, and no derivation or source of this evaluation makes it")]
    Unknown(StorePath),
}

/// How the inputs of one request come into the store.
#[derive(Clone, Default)]
pub struct Materials(Option<Arc<Sources>>);

struct Sources {
    drvs: Arc<DrvGraph>,
    host: Arc<StoreHost>,
    by_path: HashMap<StorePath, Material>,
}

impl Materials {
    /// The materials of an imported graph.
    pub fn new(
        drvs: Arc<DrvGraph>,
        host: Arc<StoreHost>,
        by_path: HashMap<StorePath, Material>,
    ) -> Self {
        Materials(Some(Arc::new(Sources { drvs, host, by_path })))
    }

    /// Makes sure that `path` is in the store.
    ///
    /// # Errors
    /// When it is not and cannot be made, or when its source changed since it was evaluated.
    pub fn ensure(&self, store: &Store, path: &StorePath) -> Result<(), MaterialError> {
        if store.is_valid(path)? {
            return Ok(());
        }
        match &self.0 {
            Some(sources) => sources.ensure(store, path),
            None => Err(MaterialError::Unknown(path.clone())),
        }
    }
}

impl Materials {
    /// The newest time of a source's files on the host, in nanoseconds since 1970; none for what is
    /// no file there.
    pub fn time(&self, path: &StorePath) -> Option<u64> {
        self.0.as_ref()?.time(path)
    }

    /// Where the files of a source lie on the host; none for what is no file there.
    pub(crate) fn tree(&self, path: &StorePath) -> Option<Tree> {
        let sources = self.0.as_ref()?;
        let Material::Source(id) = sources.material(path)? else { return None };
        sources.host.source_tree(&sources.drvs.source(id))
    }

    /// Where on the host a source is read from; none for what is no file there.
    pub fn origin(&self, path: &StorePath) -> Option<PathBuf> {
        self.0.as_ref()?.origin(path)
    }
}

impl Sources {
    fn origin(&self, path: &StorePath) -> Option<PathBuf> {
        let Material::Source(id) = self.material(path)? else { return None };
        match self.drvs.source(id).origin {
            Origin::Text(..) => None,
            Origin::Tree(place) | Origin::Filtered(place, _) => Some(place),
        }
    }

    fn time(&self, path: &StorePath) -> Option<u64> {
        let Material::Source(id) = self.material(path)? else { return None };
        newest(&self.host.source_tree(&self.drvs.source(id))?.place)
    }

    /// What the path is, as far as this evaluation knows.
    fn material(&self, path: &StorePath) -> Option<Material> {
        let known = self.by_path.get(path).copied();
        let known = known.or_else(|| self.drvs.by_path(path).map(Material::DrvFile));
        known.or_else(|| self.drvs.source_by_path(path).map(Material::Source))
    }

    /// Puts a path into the store, and what it refers to before it; does not recurse, however
    /// long the chain.
    fn ensure(&self, store: &Store, path: &StorePath) -> Result<(), MaterialError> {
        // Each path with whether its references have been seen to.
        let mut stack = vec![(path.clone(), false)];
        while let Some((path, ready)) = stack.pop() {
            if store.is_valid(&path)? {
                continue;
            }
            let material =
                self.material(&path).ok_or_else(|| MaterialError::Unknown(path.clone()))?;
            if !ready {
                let refs = self.references(material)?;
                stack.push((path, true));
                stack.extend(refs.into_iter().map(|reference| (reference, false)));
                continue;
            }
            match material {
                Material::Source(id) => {
                    let found = self.host.store_source(store, &self.drvs.source(id))?;
                    if found != path {
                        return Err(MaterialError::Changed { expected: path, found });
                    }
                }
                Material::DrvFile(id) => {
                    self.host.store_derivation(store, &self.drvs.file(id)?)?;
                }
            }
        }
        Ok(())
    }

    /// What must be in the store before it.
    fn references(&self, material: Material) -> Result<Vec<StorePath>, MaterialError> {
        Ok(match material {
            Material::Source(id) => match self.drvs.source(id).origin {
                Origin::Text(_, refs) => refs,
                Origin::Tree(_) | Origin::Filtered(..) => Vec::new(),
            },
            Material::DrvFile(id) => self.drvs.file(id)?.refs().into_iter().collect(),
        })
    }
}

/// The newest modification time in a tree, links not followed.
fn newest(place: &Path) -> Option<u64> {
    let mut newest = None;
    let mut stack = vec![place.to_path_buf()];
    while let Some(place) = stack.pop() {
        let Ok(meta) = fs::symlink_metadata(&place) else { continue };
        let time = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        newest = newest.max(u64::try_from(time.as_nanos()).ok());
        if let (true, Ok(entries)) = (meta.is_dir(), fs::read_dir(&place)) {
            stack.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    newest
}
