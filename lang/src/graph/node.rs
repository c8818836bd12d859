//! What a derivation is made of, as plain data: its texts, outputs and inputs by handle. What is
//! computed of it, how it is kept, and which derivations there are, is the graph's affair.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use floe_core::ca::Method;
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use serde::{Deserialize, Serialize};

use super::{DrvId, SourceId};
use crate::symbol::Symbol;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Segment {
    /// Bytes as they are.
    Text(#[serde(with = "floe_core::bytes")] Box<[u8]>),
    /// The store path (or placeholder) of an output, by its index in [`DrvNode::outputs`].
    Output(DrvId, u32),
    /// The path of a derivation's own file.
    DrvPath(DrvId),
    /// The store path of a source.
    Source(SourceId),
}

/// A string with handles in it.
///
/// A clone shares the segments: the same few values are in the environments of thousands of
/// derivations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SymStr(pub Arc<[Segment]>);

impl SymStr {
    /// A string without handles.
    pub fn text(bytes: &[u8]) -> SymStr {
        if bytes.is_empty() {
            return SymStr::default();
        }
        SymStr(Arc::new([Segment::Text(bytes.into())]))
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// From the instructions.
    InputAddressed,
    /// From a hash given up front.
    Fixed(Method, Box<Hash>),
    /// From the content, after building.
    Floating(Method, HashAlgo),
}

/// One output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputSpec {
    /// `out`, `dev`, ...
    pub name: OutputName,
    /// How its path comes about.
    pub kind: OutputKind,
}

/// One use of another derivation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDrv {
    /// Which.
    pub drv: DrvId,
    /// Indices of the outputs used, sorted.
    pub outputs: Picked,
}

/// Some outputs of a derivation by their indices, sorted; nearly always it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Picked {
    /// This one.
    One(u32),
    /// These.
    These(Box<[u32]>),
}

impl Deref for Picked {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        match self {
            Picked::One(index) => std::slice::from_ref(index),
            Picked::These(indices) => indices,
        }
    }
}

impl From<Vec<u32>> for Picked {
    fn from(indices: Vec<u32>) -> Picked {
        match indices[..] {
            [index] => Picked::One(index),
            _ => Picked::These(indices.into()),
        }
    }
}

/// A source file or a store path known by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InputSrc {
    /// To be hashed and added.
    Source(SourceId),
    /// Already in a store.
    Path(StorePath),
    /// A derivation's file itself (from `drvPath` with its whole closure).
    DrvFile(DrvId),
}

/// Where a derivation comes from that is itself the output of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MadeBy {
    /// Whose output it is.
    pub drv: DrvId,
    /// Which of its outputs.
    pub output: u32,
    /// How many derivations lie in each other, from the one that was evaluated on.
    pub depth: u32,
}

/// One derivation as evaluated, as those see it that use it; or what is known of one that another
/// one makes: one output that somebody uses, which depends on the output that is its file.
#[derive(Debug)]
pub struct DrvNode {
    /// What makes it, if a build does. Then it has no instructions yet, and no file.
    pub made_by: Option<MadeBy>,
    /// The `name` attribute.
    pub name: Arc<str>,
    /// Sorted by name, as in the derivation's file.
    pub outputs: Arc<[OutputSpec]>,
    /// Whether any input, however far, has an output whose path is not yet known, so that
    /// input-addressed outputs of this one are deferred.
    pub deferred: bool,
}

/// What is done to make a derivation's outputs, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    /// The platform wanted.
    pub system: SymStr,
    /// The program to run.
    pub builder: SymStr,
    /// Its arguments.
    pub args: Vec<SymStr>,
    /// The environment, sorted by name, with empty strings for the outputs whose paths are to
    /// be filled in.
    pub env: Vec<(Symbol, SymStr)>,
    /// The outputs of other derivations used, sorted by id.
    pub input_drvs: Vec<InputDrv>,
    /// Sources used, sorted.
    pub input_srcs: Vec<InputSrc>,
}

impl Instructions {
    /// The derivations that they name.
    pub fn inputs(&self) -> impl Iterator<Item = DrvId> {
        named(&self.input_drvs, &self.input_srcs)
    }

    /// All their texts.
    pub fn strings(&self) -> impl Iterator<Item = &SymStr> {
        let env = self.env.iter().map(|(_, value)| value);
        [&self.system, &self.builder].into_iter().chain(&self.args).chain(env)
    }
}

/// The derivations that inputs name.
pub(super) fn named(drvs: &[InputDrv], srcs: &[InputSrc]) -> impl Iterator<Item = DrvId> {
    let files = srcs.iter().filter_map(|src| match src {
        InputSrc::DrvFile(drv) => Some(*drv),
        InputSrc::Source(_) | InputSrc::Path(_) => None,
    });
    drvs.iter().map(|input| input.drv).chain(files)
}

impl DrvNode {
    /// What its file is called; of one that is made by a build, the way to it.
    pub(super) fn file_name(&self) -> String {
        match self.made_by {
            Some(_) => self.name.to_string(),
            None => format!("{}.drv", self.name),
        }
    }
}
