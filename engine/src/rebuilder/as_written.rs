//! The `as-written` rebuilder: what Nix does. Plain derivations are named by their instructions,
//! those that ask for it float, and a plain one that depends on a floating one is resolved first
//! and named by what it resolves to. It is what the name `nix-build` means.

use std::collections::{BTreeMap, BTreeSet};

use floe_core::drv::{Derivation, ModuloError};

use super::input_addressed::by_instructions;
use super::{Address, Rebuilder};
use crate::recipe::{Kind, Recipe, Text};
use crate::resolve::{Fill, Outputs, derivation, fixed_outputs, resolve};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct AsWritten;

impl Rebuilder for AsWritten {
    fn name(&self) -> &'static str {
        "as-written"
    }

    fn addresses_by_inputs(&self) -> bool {
        true
    }

    fn lifts(&self) -> bool {
        false
    }

    fn kind(&self, recipe: &Recipe) -> Kind {
        recipe.kind.clone()
    }

    fn address(&self, recipe: &Recipe, inputs: &[Option<&Address>]) -> Option<Address> {
        match &recipe.kind {
            Kind::Floating(..) | Kind::Dynamic => None,
            Kind::Fixed(_) => fixed(recipe),
            Kind::InputAddressed => by_instructions(recipe, &recipe.kind, inputs),
        }
    }

    /// A plain derivation above a floating one gets its output paths here, from the hash of what
    /// it resolved to.
    fn resolve(&self, recipe: &Recipe, own: Option<&Address>, inputs: &[&Outputs]) -> Derivation {
        let mut drv = resolve(recipe, &recipe.kind, own.map(|own| &own.outputs), inputs);
        if own.is_none() && recipe.kind == Kind::InputAddressed {
            drv.fill_outputs(|path| Err(ModuloError::Cycle(path.clone())))
                .expect("its outputs are plain, evaluation checked their names, no input is left");
        }
        drv
    }
}

/// A fixed output is the same whatever it is fetched with: its users' hashes see only its content
/// and its path, so that its inputs, some of which may not be named yet, stay out of its address.
fn fixed(recipe: &Recipe) -> Option<Address> {
    let outputs = fixed_outputs(recipe)?;
    let bare = Text { system: "".into(), builder: "".into(), ..Text::default() };
    let fill = Fill { own: Some(&outputs), inputs: &[] };
    let drv = derivation(recipe, &bare, &recipe.kind, &fill, BTreeMap::new(), BTreeSet::new());
    let modulo = drv.modulo(|path| Err(ModuloError::Cycle(path.clone()))).ok()?;
    let path = drv.drv_path().ok()?;
    Some(Address { outputs, derivation: Some((path, modulo)) })
}
