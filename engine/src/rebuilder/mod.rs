//! Rebuilders, in the sense of Build Systems à la Carte (JFP 2020, section 4.2): given a
//! derivation and what became of its inputs, may an old result stand? Each strategy is one
//! implementation of [`Rebuilder`] and a row of the table in `strategy.rs`; who runs what and when is
//! the scheduler's affair.

mod as_written;
mod classic;
mod content_addressed;
mod input_addressed;
pub mod judge;
pub mod memory;
mod strategy;

use floe_core::ca::Method;
use floe_core::drv::{Derivation, Modulo};
use floe_core::hash::{Digest, HashAlgo};
use floe_core::path::{OutputName, StorePath};

pub use as_written::AsWritten;
pub use content_addressed::ContentAddressed;
pub use input_addressed::InputAddressed;
pub use strategy::{Strategy, UnknownStrategy};

use crate::recipe::{Kind, Recipe, RootKind};
use crate::resolve::{Outputs, fixed_outputs, resolve};
use judge::Judge;

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
    /// What a rebuilder that judges by memory has kept under a key.
    fn memory(&self, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// A strategy for deciding whether an old result may stand. One that says no more than its name
/// addresses outputs by their content and goes by the build trace.
pub trait Rebuilder: Send + Sync {
    /// Its name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// Whether [`Rebuilder::address`] looks at the addresses of the inputs.
    fn addresses_by_inputs(&self) -> bool {
        false
    }

    /// The outputs that are known before anything is built, if they are. `inputs` are the
    /// dependencies' addresses, where they have one; empty unless
    /// [`Rebuilder::addresses_by_inputs`].
    fn address(&self, recipe: &Recipe, _inputs: &[Option<&Address>]) -> Option<Address> {
        fixed_outputs(recipe).map(|outputs| Address { outputs, derivation: None })
    }

    /// Whether outputs that instructions name get other paths.
    fn lifts(&self) -> bool {
        true
    }

    /// How the recipe's outputs are addressed under this strategy, whatever it was written as.
    /// Input-addressed ones are lifted: their outputs float, as a NAR under SHA-256.
    fn kind(&self, recipe: &Recipe) -> Kind {
        match &recipe.kind {
            Kind::InputAddressed => Kind::Floating(Method::Nar, HashAlgo::Sha256),
            kind => kind.clone(),
        }
    }

    /// The derivation to key and to run, once every input's outputs are known.
    fn resolve(&self, recipe: &Recipe, own: Option<&Address>, inputs: &[&Outputs]) -> Derivation {
        resolve(recipe, &self.kind(recipe), own.map(|own| &own.outputs), inputs)
    }

    /// How it judges by what it remembers of tasks, where it does so instead of by the build trace.
    fn judge(&self) -> Option<Judge> {
        None
    }

    /// The outputs of earlier runs of the same resolved derivation, the preferred run first.
    fn recall(&self, memo: &dyn Memo, recipe: &Recipe, resolved: &Digest) -> Vec<Outputs> {
        memo.recall(resolved, recipe.root_kind(), &recipe.outputs)
    }
}
