//! The `input-addressed` rebuilder: deep constructive traces, which is what plain Nix does. Every
//! output path is a function of the instructions, all the way down to the sources, so a change
//! anywhere below rebuilds everything above; fixed outputs alone stop it. A recipe that was
//! written as floating is run as an input-addressed one.

use std::collections::{BTreeMap, BTreeSet};

use floe_core::drv::{Modulo, ModuloError};
use floe_core::path::{OutputName, StorePath};

use super::{Address, Rebuilder};
use crate::recipe::{Kind, Recipe};
use crate::resolve::{Fill, Outputs, derivation, fixed_outputs};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct InputAddressed;

impl Rebuilder for InputAddressed {
    fn name(&self) -> &'static str {
        "input-addressed"
    }

    fn addresses_by_inputs(&self) -> bool {
        true
    }

    fn lifts(&self) -> bool {
        false
    }

    fn kind(&self, recipe: &Recipe) -> Kind {
        match &recipe.kind {
            kind @ (Kind::Fixed(_) | Kind::Dynamic) => kind.clone(),
            _ => Kind::InputAddressed,
        }
    }

    fn address(&self, recipe: &Recipe, inputs: &[Option<&Address>]) -> Option<Address> {
        by_instructions(recipe, &self.kind(recipe), inputs)
    }
}

/// The outputs as the instructions name them; `None` when those of an input do not.
pub(super) fn by_instructions(
    recipe: &Recipe,
    kind: &Kind,
    inputs: &[Option<&Address>],
) -> Option<Address> {
    let inputs: Vec<&Address> = inputs.iter().copied().collect::<Option<_>>()?;
    let input_outputs: Vec<&Outputs> = inputs.iter().map(|input| &input.outputs).collect();
    let mut modulos: BTreeMap<&StorePath, Modulo> = BTreeMap::new();
    let mut input_drvs: BTreeMap<StorePath, BTreeSet<OutputName>> = BTreeMap::new();
    for (dep, input) in recipe.deps.iter().zip(inputs) {
        let (path, modulo) = input.derivation.as_ref()?;
        modulos.insert(path, *modulo);
        input_drvs.entry(path.clone()).or_default().extend(dep.outputs.iter().cloned());
    }
    let fixed = fixed_outputs(recipe);
    let fill = Fill { own: fixed.as_ref(), inputs: &input_outputs };
    let text = recipe.text();
    let mut drv = derivation(recipe, &text, kind, &fill, input_drvs, text.sources.clone());
    let modulo_of = |path: &StorePath| {
        modulos.get(path).copied().ok_or_else(|| ModuloError::Cycle(path.clone()))
    };
    drv.fill_outputs(modulo_of).ok()?;
    let modulo = drv.modulo(modulo_of).ok()?;
    let path = drv.drv_path().ok()?;
    let outputs = drv
        .outputs
        .iter()
        .map(|(name, output)| Some((name.clone(), output.path()?.clone())))
        .collect::<Option<Outputs>>()?;
    Some(Address { outputs, derivation: Some((path, modulo)) })
}
