//! The `content-addressed` rebuilder: constructive traces over resolved derivations, which is
//! what Nix's RFC 62 and the build trace describe. Every derivation is lifted to a floating
//! output, fixed outputs keep their given address.

use floe_core::ca::Method;
use floe_core::hash::HashAlgo;

use super::{Address, Rebuilder};
use crate::recipe::{Kind, Recipe};
use crate::resolve::fixed_outputs;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct ContentAddressed;

impl Rebuilder for ContentAddressed {
    fn name(&self) -> &'static str {
        "content-addressed"
    }

    fn addresses_by_inputs(&self) -> bool {
        false
    }

    fn address(&self, recipe: &Recipe, _inputs: &[Option<&Address>]) -> Option<Address> {
        fixed_outputs(recipe).map(|outputs| Address { outputs, derivation: None })
    }

    /// Input-addressed recipes are lifted: their outputs float, as a NAR under SHA-256.
    fn kind(&self, recipe: &Recipe) -> Kind {
        match &recipe.kind {
            Kind::InputAddressed => Kind::Floating(Method::Nar, HashAlgo::Sha256),
            kind => kind.clone(),
        }
    }
}
