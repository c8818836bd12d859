//! The inputs that no derivation makes: sources and `.drv` files named by evaluation. They enter
//! the store only when a builder is about to read them.

use std::collections::HashMap;
use std::sync::Arc;

use floe_core::path::StorePath;
use floe_lang::graph::{DrvGraph, GraphError, InputSrc};
use floe_lang::host::HostError;
use floe_store::{Store, StoreError};

use crate::host::StoreHost;
use crate::import::Material;

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
        let unknown = || MaterialError::Unknown(path.clone());
        let sources = self.0.as_ref().ok_or_else(unknown)?;
        match sources.by_path.get(path).ok_or_else(unknown)? {
            Material::Source(id) => {
                let found = sources.host.store_source(store, sources.drvs.source(*id))?;
                match found == *path {
                    true => Ok(()),
                    false => Err(MaterialError::Changed { expected: path.clone(), found }),
                }
            }
            Material::DrvFile(id) => sources.write_drv_closure(store, *id),
        }
    }
}

impl Sources {
    /// Writes a derivation's file and those of all its inputs, inputs first.
    fn write_drv_closure(
        &self,
        store: &Store,
        id: floe_lang::graph::DrvId,
    ) -> Result<(), MaterialError> {
        let mut order = std::collections::BTreeSet::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if order.insert(id) {
                stack.extend(self.drvs.node(id).input_drvs.iter().map(|input| input.drv));
            }
        }
        for id in order {
            for src in &self.drvs.node(id).input_srcs {
                if let InputSrc::Source(source) = src {
                    self.host.store_source(store, self.drvs.source(*source))?;
                }
            }
            let made = self.drvs.derivation(id)?;
            self.host.store_derivation(store, &made.drv)?;
        }
        Ok(())
    }
}
