//! Resolution: the holes of a recipe are filled with store paths, which gives a derivation
//! whose only inputs are store paths. Pure; its result is what the build trace is keyed by.

use std::collections::{BTreeMap, BTreeSet};

use floe_core::ca::{Refs, fixed_path};
use floe_core::drv::{Derivation, Output};
use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_core::placeholder;

use crate::recipe::{Head, Kind, Piece, Recipe, Template, Text};

/// The outputs of a derivation, by name.
pub type Outputs = BTreeMap<OutputName, StorePath>;

/// The digest of a resolved derivation: the key of the build trace.
pub fn key(resolved: &Derivation) -> Digest {
    Digest(*blake3::hash(&resolved.to_aterm()).as_bytes())
}

/// Resolves `recipe` against the outputs of its dependencies, in the order of its `deps`.
/// `kind` says how its outputs are addressed and `own` holds their paths where those are known
/// before building.
pub fn resolve(
    recipe: &Recipe,
    kind: &Kind,
    own: Option<&Outputs>,
    inputs: &[&Outputs],
) -> Derivation {
    let fill = Fill { own, inputs };
    let text = recipe.text();
    let mut input_srcs: BTreeSet<StorePath> = text.sources.clone();
    for (dep, outputs) in recipe.deps.iter().zip(inputs) {
        input_srcs.extend(dep.outputs.iter().filter_map(|name| outputs.get(name)).cloned());
    }
    derivation(recipe, &text, kind, &fill, BTreeMap::new(), input_srcs)
}

/// The output path of a fixed-output recipe.
pub fn fixed_outputs(recipe: &Recipe) -> Option<Outputs> {
    let Kind::Fixed(ca) = &recipe.kind else { return None };
    let mut outputs = Outputs::new();
    for name in &*recipe.outputs {
        let path = fixed_path(&name.path_name(&recipe.name), ca, &Refs::default()).ok()?;
        outputs.insert(name.clone(), path);
    }
    Some(outputs)
}

/// Fills templates with paths.
pub struct Fill<'a> {
    /// The recipe's own outputs, where known; their placeholders otherwise.
    pub own: Option<&'a Outputs>,
    /// The outputs of its dependencies.
    pub inputs: &'a [&'a Outputs],
}

impl Fill<'_> {
    /// The bytes of a template.
    ///
    /// # Panics
    /// When a hole names an output that its derivation does not have: evaluation checked it.
    pub fn template(&self, template: &Template) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(text) => bytes.extend_from_slice(text),
                Piece::Input { dep, output } => {
                    let path = self.inputs[*dep as usize]
                        .get(output)
                        .expect("evaluation names only outputs that exist");
                    bytes.extend_from_slice(path.as_str().as_bytes());
                }
                Piece::Own(output) => match self.own.and_then(|own| own.get(output)) {
                    Some(path) => bytes.extend_from_slice(path.as_str().as_bytes()),
                    None => {
                        bytes.extend_from_slice(placeholder::output(output.as_str()).as_bytes())
                    }
                },
                Piece::Path(path) => bytes.extend_from_slice(path.as_str().as_bytes()),
            }
        }
        bytes
    }
}

/// The derivation that a recipe with this head and text describes, with these inputs.
pub fn derivation(
    recipe: &Head,
    text: &Text,
    kind: &Kind,
    fill: &Fill<'_>,
    input_drvs: BTreeMap<StorePath, BTreeSet<OutputName>>,
    input_srcs: BTreeSet<StorePath>,
) -> Derivation {
    let outputs = recipe.outputs.iter().map(|name| {
        let path = fill.own.and_then(|own| own.get(name)).cloned();
        let output = match (kind, path) {
            (Kind::Floating(method, algo), _) => Output::Floating(*method, *algo),
            (Kind::Fixed(ca), Some(path)) => Output::Fixed(path, **ca),
            (_, Some(path)) => Output::InputAddressed(path),
            (_, None) => Output::Deferred,
        };
        (name.clone(), output)
    });
    let mut env: BTreeMap<Vec<u8>, Vec<u8>> =
        text.env.iter().map(|(name, value)| (name.to_vec(), fill.template(value))).collect();
    // As evaluation does: under each output's name its path, or what stands for it.
    for name in &*recipe.outputs {
        let value = match (kind, fill.own.and_then(|own| own.get(name))) {
            (_, Some(path)) => path.as_str().to_owned(),
            (Kind::InputAddressed, None) => String::new(),
            (_, None) => placeholder::output(name.as_str()),
        };
        env.insert(name.as_str().into(), value.into());
    }
    Derivation {
        name: recipe.name.to_string(),
        outputs: outputs.collect(),
        input_drvs,
        dynamic_inputs: BTreeMap::new(),
        input_srcs,
        system: fill.template(&text.system),
        builder: fill.template(&text.builder),
        args: text.args.iter().map(|arg| fill.template(arg)).collect(),
        env,
    }
}
