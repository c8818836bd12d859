//! Rebuilders, in the sense of Build Systems à la Carte (JFP 2020, section 4.2): given a
//! derivation and what became of its inputs, may an old result stand? Each strategy is one
//! implementation of [`Rebuilder`]; who runs what and when is the scheduler's affair.

mod as_written;
mod content_addressed;
mod input_addressed;

use std::fmt;
use std::str::FromStr;

use floe_core::drv::{Derivation, Modulo};
use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};

pub use as_written::AsWritten;
pub use content_addressed::ContentAddressed;
pub use input_addressed::InputAddressed;

use crate::recipe::{Kind, Recipe, RootKind};
use crate::resolve::{Outputs, resolve};

/// What the instructions alone say of a derivation, where the strategy lets them say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The output paths.
    pub outputs: Outputs,
    /// For input-addressing: the path of the derivation's file and its hash modulo
    /// fixed-output derivations, which the addresses of its users are made from.
    pub derivation: Option<(StorePath, Modulo)>,
}

/// What is remembered of earlier builds: the build trace and the set of valid objects.
pub trait Memo: Send + Sync {
    /// What each run of this resolved derivation with such a root gave as these outputs, the
    /// preferred run first; more than one where the recipe is not deterministic. The objects may
    /// be gone.
    fn recall(&self, resolved: &Digest, root: RootKind, outputs: &[OutputName]) -> Vec<Outputs>;
    /// Whether the object is in the store.
    fn is_present(&self, path: &StorePath) -> bool;
}

/// A strategy for deciding whether an old result may stand.
pub trait Rebuilder: Send + Sync {
    /// Its name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// Whether [`Rebuilder::address`] looks at the addresses of the inputs.
    fn addresses_by_inputs(&self) -> bool;

    /// The outputs that are known before anything is built, if they are. `inputs` are the
    /// dependencies' addresses, where they have one; empty unless
    /// [`Rebuilder::addresses_by_inputs`].
    fn address(&self, recipe: &Recipe, inputs: &[Option<&Address>]) -> Option<Address>;

    /// How the recipe's outputs are addressed under this strategy, whatever it was written as.
    fn kind(&self, recipe: &Recipe) -> Kind;

    /// The derivation to key and to run, once every input's outputs are known.
    fn resolve(&self, recipe: &Recipe, own: Option<&Address>, inputs: &[&Outputs]) -> Derivation {
        resolve(recipe, &self.kind(recipe), own.map(|own| &own.outputs), inputs)
    }

    /// The outputs of earlier runs of the same resolved derivation, the preferred run first.
    fn recall(&self, memo: &dyn Memo, recipe: &Recipe, resolved: &Digest) -> Vec<Outputs> {
        memo.recall(resolved, recipe.root_kind(), &recipe.outputs)
    }
}

/// The strategies that exist, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Output paths are functions of the instructions, as in plain Nix.
    InputAddressed,
    /// Output paths are functions of the content; resolution gives early cutoff.
    #[default]
    ContentAddressed,
    /// Each derivation as its author wrote it, which is what Nix does.
    AsWritten,
}

impl Strategy {
    /// All of them, the default first.
    pub const ALL: [Strategy; 3] =
        [Strategy::ContentAddressed, Strategy::InputAddressed, Strategy::AsWritten];

    /// The implementation.
    pub fn rebuilder(self) -> &'static dyn Rebuilder {
        match self {
            Strategy::InputAddressed => &InputAddressed,
            Strategy::ContentAddressed => &ContentAddressed,
            Strategy::AsWritten => &AsWritten,
        }
    }

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.rebuilder().name()
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no rebuilder of that name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no rebuilder '{0}'; choose content-addressed, input-addressed or as-written")]
pub struct UnknownStrategy(pub String);

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Strategy::ALL
            .into_iter()
            .find(|strategy| strategy.name() == name)
            .ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}
