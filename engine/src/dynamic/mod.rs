//! Dynamic derivations (RFC 92): from the text of a derivation that a builder made to recipes that
//! join the graph of a request. What is found, and why it may be refused, is said here; [`Reader`]
//! reads it. When it is read, and what then happens, is the scheduler's affair.

mod holes;
mod reader;

use std::path::PathBuf;
use std::sync::Arc;

use floe_core::drv::{AtermError, KindError, ModuloError};
use floe_core::path::{OutputName, StorePath};
use floe_lang::graph::GraphError;
use floe_store::StoreError;

pub use reader::Reader;

use crate::graph::NodeIx;
use crate::recipe::Recipe;

/// How far builders may extend a request: what they make of derivations is input from outside, and
/// nothing in it need ever come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many derivations may have been made by each other's builders, one after another.
    pub max_depth: u32,
    /// How many derivations builders may add to one request.
    pub max_derivations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_depth: 32, max_derivations: 100_000 }
    }
}

/// Largest text of a derivation that is read, in bytes.
pub const MAX_TEXT_BYTES: u64 = 64 << 20;

/// A node of the graph: one that is there, or the nth of those that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// It is there.
    Old(NodeIx),
    /// It was found.
    New(usize),
}

/// A node that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// What to do.
    pub recipe: Arc<Recipe>,
    /// Whose outputs it needs, in the order of its recipe; each was found before it.
    pub deps: Vec<Place>,
    /// Its file; none where it stands for an output of a derivation that nothing has made yet.
    pub drv: Option<StorePath>,
}

/// A derivation that a builder made, with what it needs and the graph lacks.
#[derive(Debug)]
pub struct Discovery {
    /// What was found, inputs first.
    pub found: Vec<Found>,
    /// The derivation itself.
    pub root: Place,
    /// Something that a text names and that its object does not refer to.
    pub stray: Option<DynamicError>,
}

/// Somebody who reads derivations that builders made.
pub trait Discover {
    /// Reads the derivation whose text lies at `drv`, and those it needs that are not in the graph:
    /// `known` finds those that earlier discoveries added. At most `room` may be found.
    ///
    /// # Errors
    /// When there is no derivation there, or one that must not be built.
    fn discover(
        &self,
        drv: &StorePath,
        known: &dyn Fn(&StorePath) -> Option<NodeIx>,
        room: usize,
    ) -> Result<Discovery, DynamicError>;
}

/// Why an output that is to be a derivation is none that can be built.
#[derive(Debug, thiserror::Error)]
pub enum DynamicError {
    /// Its name is not that of a derivation.
    #[error(
        "{0} is no derivation, since its name does not end in '.drv'; let the name of the derivation that makes it end so"
    )]
    Name(StorePath),
    /// It is not a plain file.
    #[error("{0} is no derivation but a directory, a link or an executable file")]
    NoFile(StorePath),
    /// It cannot be read.
    #[error("cannot read the derivation {path}: {source}")]
    Io {
        /// Where it lies.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Its text is too long.
    #[error("the derivation {0} has more than {MAX_TEXT_BYTES} bytes")]
    Long(StorePath),
    /// Its text is no derivation.
    #[error("{path} is no derivation: {error}")]
    Text {
        /// The object.
        path: StorePath,
        /// What is wrong, and where.
        error: AtermError,
    },
    /// Its outputs do not go together.
    #[error("{path} cannot be built: {error}")]
    Kind {
        /// The object.
        path: StorePath,
        /// Why.
        error: KindError,
    },
    /// Its outputs have other paths than its instructions give.
    #[error(
        "{path} cannot be built: it gives its output '{output}' the path {claimed}, and its instructions give {given}"
    )]
    OutputPath {
        /// The object.
        path: StorePath,
        /// The output.
        output: OutputName,
        /// The path in the text.
        claimed: String,
        /// The path that follows from the instructions.
        given: String,
    },
    /// It has no such output.
    #[error("{path} has no output '{output}'; it has {has}")]
    NoOutput {
        /// The object.
        path: StorePath,
        /// The output.
        output: OutputName,
        /// Those that it has.
        has: String,
    },
    /// It names something that its builder cannot have got from its inputs.
    #[error(
        "{path} names {named}, which the builder that made it had no access to; make that an input of the builder, too"
    )]
    Stray {
        /// The object.
        path: StorePath,
        /// What it names.
        named: StorePath,
    },
    /// It holds an output path of a derivation that it does not depend on.
    #[error(
        "{path} holds the path of '{observed}' without depending on it, so it cannot be made content-addressed; let it \
         depend on that, or build it with --rebuilder input-addressed"
    )]
    Discarded {
        /// The object.
        path: StorePath,
        /// The derivation whose output path it is.
        observed: String,
    },
    /// It is not there.
    #[error("{0} is not in the store")]
    Missing(StorePath),
    /// It waits for itself.
    #[error("it waits for itself: {0}")]
    Cycle(String),
    /// Derivations that make each other.
    #[error(
        "builders make derivations whose builders make derivations, more than {max} of them one after another: {chain}; \
         if this comes to an end, raise --max-dynamic-depth"
    )]
    Deep {
        /// The bound.
        max: u32,
        /// Who made whom.
        chain: String,
    },
    /// Too many derivations.
    #[error(
        "builders add more than {0} derivations to this request; if that is meant, raise --max-dynamic-derivations"
    )]
    Many(usize),
    /// No hash of its text can be made.
    #[error(transparent)]
    Modulo(#[from] ModuloError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something about the derivations that were evaluated.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Nobody reads: for graphs in which no output is a derivation.
pub struct NoReader;

impl Discover for NoReader {
    fn discover(
        &self,
        drv: &StorePath,
        _: &dyn Fn(&StorePath) -> Option<NodeIx>,
        _: usize,
    ) -> Result<Discovery, DynamicError> {
        Err(DynamicError::Missing(drv.clone()))
    }
}
