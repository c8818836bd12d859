//! Derivations: the instructions of one build, as values. Their text form is in [`aterm`],
//! the hashes that name input-addressed outputs in [`modulo`], the replacement of inputs by
//! store paths in [`resolve`]. Nothing here builds, or reads a store.

mod aterm;
mod dynamic;
mod modulo;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use crate::ca::{self, CaError, ContentAddress, Method, Refs};
use crate::hash::HashAlgo;
use crate::path::{OutputName, PathError, StorePath};

pub use aterm::{AtermError, AtermReason};
pub use dynamic::{Dynamic, MAX_NESTING, Made};
pub use modulo::{Modulo, ModuloError, ModuloMemo, hash_modulo};
pub use resolve::ResolveError;

/// The instructions of one build.
///
/// Structured attributes stay what they are in the text form: the variable `__json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// Its name, without `.drv`.
    pub name: String,
    /// What it makes.
    pub outputs: BTreeMap<OutputName, Output>,
    /// Outputs of other derivations that it needs.
    pub input_drvs: BTreeMap<StorePath, BTreeSet<OutputName>>,
    /// Outputs that it needs of derivations that are themselves outputs of others: of these.
    pub dynamic_inputs: BTreeMap<StorePath, Dynamic>,
    /// Store objects that it needs.
    pub input_srcs: BTreeSet<StorePath>,
    /// The kind of machine that can run the builder.
    pub system: Vec<u8>,
    /// The program to run.
    pub builder: Vec<u8>,
    /// Its arguments.
    pub args: Vec<Vec<u8>>,
    /// Its environment.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// How the path of an output is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// From the instructions; known.
    InputAddressed(StorePath),
    /// From a content address given beforehand; known.
    Fixed(StorePath, ContentAddress),
    /// From the content, after the build.
    Floating(Method, HashAlgo),
    /// From the instructions, once inputs that are content-addressed have paths.
    Deferred,
}

impl Output {
    /// A fixed output of the derivation `drv_name`, with the path that follows.
    pub fn fixed(
        drv_name: &str,
        output: &OutputName,
        ca: ContentAddress,
    ) -> Result<Output, CaError> {
        let path = ca::fixed_path(&output.path_name(drv_name), &ca, &Refs::default())?;
        Ok(Output::Fixed(path, ca))
    }

    /// The path, where it is known before the build.
    pub fn path(&self) -> Option<&StorePath> {
        match self {
            Output::InputAddressed(path) | Output::Fixed(path, _) => Some(path),
            Output::Floating(..) | Output::Deferred => None,
        }
    }
}

/// What all outputs of a derivation have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All paths follow from the instructions and are known.
    InputAddressed,
    /// All paths follow from the instructions, once the inputs are resolved.
    Deferred,
    /// The content is given beforehand; may use the network.
    Fixed,
    /// The paths follow from what is built.
    Floating,
}

/// Why the outputs of a derivation do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// There is none.
    #[error("derivation '{name}' must have at least one output")]
    NoOutput {
        /// The derivation's name.
        name: String,
    },
    /// They are of different kinds.
    #[error("derivation '{name}': can't mix derivation output types")]
    Mixed {
        /// The derivation's name.
        name: String,
    },
    /// More than one fixed output.
    #[error("derivation '{name}': only one fixed output is allowed")]
    ManyFixed {
        /// The derivation's name.
        name: String,
    },
    /// A fixed output that is not `out`.
    #[error("derivation '{name}': single fixed output must be named \"out\", not \"{output}\"")]
    FixedNotOut {
        /// The derivation's name.
        name: String,
        /// The output's name.
        output: OutputName,
    },
    /// Floating outputs hashed differently.
    #[error("derivation '{name}': all floating outputs must use the same hash algorithm")]
    MixedAlgos {
        /// The derivation's name.
        name: String,
    },
}

impl Derivation {
    /// What its outputs have in common.
    pub fn kind(&self) -> Result<Kind, KindError> {
        let name = || self.name.clone();
        let mut kind = None;
        let mut algo = None;
        for (output_name, output) in &self.outputs {
            let this = match output {
                Output::InputAddressed(_) => Kind::InputAddressed,
                Output::Deferred => Kind::Deferred,
                Output::Fixed(..) => Kind::Fixed,
                Output::Floating(_, this) => {
                    if *algo.get_or_insert(*this) != *this {
                        return Err(KindError::MixedAlgos { name: name() });
                    }
                    Kind::Floating
                }
            };
            match kind.replace(this) {
                Some(before) if before != this => return Err(KindError::Mixed { name: name() }),
                Some(Kind::Fixed) => return Err(KindError::ManyFixed { name: name() }),
                _ => {}
            }
            if this == Kind::Fixed && output_name.as_str() != "out" {
                return Err(KindError::FixedNotOut { name: name(), output: output_name.clone() });
            }
        }
        kind.ok_or_else(|| KindError::NoOutput { name: name() })
    }

    /// Where its text lies in the store.
    pub fn drv_path(&self) -> Result<StorePath, PathError> {
        self.drv_path_of(&self.to_aterm())
    }

    /// The same, when the text is at hand.
    pub fn drv_path_of(&self, aterm: &[u8]) -> Result<StorePath, PathError> {
        ca::text_path(&format!("{}.drv", self.name), aterm, &self.refs())
    }

    /// Everything that its text refers to: input derivations and sources.
    pub fn refs(&self) -> BTreeSet<StorePath> {
        let drvs = self.input_drvs.keys().chain(self.dynamic_inputs.keys());
        drvs.chain(&self.input_srcs).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
