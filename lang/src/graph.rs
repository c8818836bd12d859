//! The derivations that an evaluation made, as data for the engine: [`DrvGraph`]. Strings are
//! symbolic ([`SymStr`]): they name outputs and sources by handle, and texts, hashes and
//! paths are computed when asked for, once. Nothing of the evaluator's heap lives here: the
//! graph is `Send + Sync` and outlives it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use floe_core::ca::Method;
use floe_core::drv::Derivation;
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use rustc_hash::FxHashMap;

use crate::append::AppendVec;
use crate::host::{Host, HostError, Source};

/// A derivation of a [`DrvGraph`]: dense, in the order of evaluation, inputs before users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrvId(pub u32);

/// A source of a [`DrvGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// Where in the expressions something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePos {
    /// The file, or a name in brackets for text from elsewhere.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// A piece of a [`SymStr`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Bytes as they are.
    Text(Box<[u8]>),
    /// The store path (or placeholder) of an output, by its index in [`DrvNode::outputs`].
    Output(DrvId, u32),
    /// The path of a derivation's own file.
    DrvPath(DrvId),
    /// The store path of a source.
    Source(SourceId),
}

/// A string with handles in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SymStr(pub Box<[Segment]>);

impl SymStr {
    /// A string without handles.
    pub fn text(bytes: &[u8]) -> SymStr {
        if bytes.is_empty() {
            return SymStr::default();
        }
        SymStr(Box::new([Segment::Text(bytes.into())]))
    }

    /// The bytes, if there is no handle in it.
    pub fn as_text(&self) -> Option<&[u8]> {
        match &*self.0 {
            [] => Some(b""),
            [Segment::Text(bytes)] => Some(bytes),
            _ => None,
        }
    }
}

/// How an output's path comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// From the instructions.
    InputAddressed,
    /// From a hash given up front.
    Fixed(Method, Hash),
    /// From the content, after building.
    Floating(Method, HashAlgo),
}

/// One output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// `out`, `dev`, ...
    pub name: OutputName,
    /// How its path comes about.
    pub kind: OutputKind,
}

/// One use of another derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDrv {
    /// Which.
    pub drv: DrvId,
    /// Indices of the outputs used, sorted.
    pub outputs: Box<[u32]>,
}

/// A source file or a store path known by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputSrc {
    /// To be hashed and added.
    Source(SourceId),
    /// Already in a store.
    Path(StorePath),
    /// A derivation's file itself (from `drvPath` with its whole closure).
    DrvFile(DrvId),
}

/// One derivation as evaluated.
#[derive(Debug)]
pub struct DrvNode {
    /// The `name` attribute.
    pub name: String,
    /// Sorted by name, as in the derivation's file.
    pub outputs: Box<[OutputSpec]>,
    /// The platform wanted.
    pub system: SymStr,
    /// The program to run.
    pub builder: SymStr,
    /// Its arguments.
    pub args: Box<[SymStr]>,
    /// The environment, sorted by name, with empty strings for the outputs whose paths are to
    /// be filled in.
    pub env: Box<[(Box<[u8]>, SymStr)]>,
    /// The outputs of other derivations used, sorted by id.
    pub input_drvs: Box<[InputDrv]>,
    /// Sources used, sorted.
    pub input_srcs: Box<[InputSrc]>,
    /// Where `name` was written.
    pub pos: Option<SourcePos>,
    /// Whether any input, however far, has an output whose path is not yet known, so that
    /// input-addressed outputs of this one are deferred.
    pub deferred: bool,
}

/// What is computed of a node when asked.
#[derive(Debug)]
pub struct Instantiated {
    /// The derivation as C++ Nix would write it.
    pub drv: Derivation,
    /// The path of its file.
    pub path: StorePath,
}

struct DrvEntry {
    node: DrvNode,
    done: OnceLock<Arc<Instantiated>>,
    observed: AtomicBool,
}

struct SourceEntry {
    source: Source,
    path: OnceLock<StorePath>,
}

/// All derivations and sources of one evaluation. Grows only; safe to read from any thread.
pub struct DrvGraph {
    host: Arc<dyn Host>,
    drvs: AppendVec<DrvEntry>,
    sources: AppendVec<SourceEntry>,
    index: Mutex<Index>,
}
