//! `floe derivation show`: derivations as evaluated, in Nix's JSON form. Never lifted.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use floe_core::drv::{Derivation as Drv, Dynamic, Output};
use floe_core::path::{OutputName, StorePath};
use serde_json::{Value, json};

use crate::args::{Building, Derivation, Global};

/// Looks at derivations.
pub fn derivation(global: &Global, args: &Derivation) -> Result<()> {
    let Derivation::Show { source, attrs, recursive } = args;
    let engine = super::build::silent(global)?;
    let options = super::build::options(&Building::plain(Default::default()), false, false)?;
    let (drvs, targets) = super::build::evaluate(&engine, source, attrs, &options)?;
    let mut todo: Vec<_> = targets.iter().map(|target| target.wanted.drv).collect();
    let mut seen = BTreeSet::new();
    let mut shown: BTreeMap<StorePath, Value> = BTreeMap::new();
    while let Some(id) = todo.pop() {
        let id = drvs.outermost(id);
        if !seen.insert(id) {
            continue;
        }
        shown.insert(drvs.drv_path(id)?, to_json(&drvs.file(id)?));
        if *recursive {
            todo.extend(drvs.instructions(id).input_drvs.iter().map(|input| input.drv));
        }
    }
    let object: serde_json::Map<String, Value> =
        shown.into_iter().map(|(path, value)| (path.to_string(), value)).collect();
    println!("{}", serde_json::to_string_pretty(&object)?);
    Ok(())
}

fn names(outputs: &BTreeSet<OutputName>) -> Value {
    json!(outputs.iter().map(OutputName::as_str).collect::<Vec<_>>())
}

/// What is needed of outputs that are derivations, as later versions of Nix show it.
fn dynamic_outputs(dynamic: &Dynamic) -> Value {
    let made = dynamic.0.iter().map(|(name, made)| {
        let inner = dynamic_outputs(&made.dynamic);
        let value = json!({ "outputs": names(&made.outputs), "dynamicOutputs": inner });
        (name.as_str().to_owned(), value)
    });
    Value::Object(made.collect())
}

fn to_json(drv: &Drv) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outputs: serde_json::Map<String, Value> = drv
        .outputs
        .iter()
        .map(|(name, output)| {
            let value = match output {
                Output::InputAddressed(path) => json!({ "path": path.as_str() }),
                Output::Fixed(path, ca) => json!({
                    "hash": ca.hash.base16(),
                    "hashAlgo": ca.method_algo(),
                    "path": path.as_str(),
                }),
                Output::Floating(method, algo) => {
                    let prefix = match method {
                        floe_core::ca::Method::Nar => "r:",
                        floe_core::ca::Method::Text => "text:",
                        floe_core::ca::Method::Flat => "",
                    };
                    json!({ "hashAlgo": format!("{prefix}{algo}") })
                }
                Output::Deferred => json!({}),
            };
            (name.as_str().to_owned(), value)
        })
        .collect();
    let mut inputs: serde_json::Map<String, Value> =
        drv.input_drvs.iter().map(|(path, outputs)| (path.to_string(), names(outputs))).collect();
    for (path, dynamic) in &drv.dynamic_inputs {
        let outputs = drv.input_drvs.get(path).map_or(json!([]), names);
        let both = json!({ "outputs": outputs, "dynamicOutputs": dynamic_outputs(dynamic) });
        inputs.insert(path.to_string(), both);
    }
    let env: serde_json::Map<String, Value> =
        drv.env.iter().map(|(name, value)| (text(name), json!(text(value)))).collect();
    json!({
        "args": drv.args.iter().map(|arg| text(arg)).collect::<Vec<_>>(),
        "builder": text(&drv.builder),
        "env": env,
        "inputDrvs": inputs,
        "inputSrcs": drv.input_srcs.iter().map(StorePath::as_str).collect::<Vec<_>>(),
        "name": drv.name,
        "outputs": outputs,
        "system": text(&drv.system),
    })
}
