//! What a derivation demands of its outputs: allowed and disallowed references and requisites,
//! and the per-output form of the same (`outputChecks`).

use std::collections::{BTreeMap, BTreeSet};

use floe_core::drv::Derivation;
use floe_core::path::{OutputName, StorePath};
use serde_json::Value;

/// The demands on one output. `None`: no demand.
#[derive(Debug, Default, PartialEq, Eq)]
struct Demands {
    allowed_references: Option<Vec<String>>,
    allowed_requisites: Option<Vec<String>>,
    disallowed_references: Option<Vec<String>>,
    disallowed_requisites: Option<Vec<String>>,
    max_size: Option<u64>,
    max_closure_size: Option<u64>,
}

/// The closure of a registered object, with the size of each.
pub type ClosureOf<'a> = dyn Fn(&StorePath) -> Result<Vec<(StorePath, u64)>, String> + 'a;

/// An output as it is about to be registered.
pub struct Candidate<'a> {
    /// Its name.
    pub output: &'a OutputName,
    /// Its path.
    pub path: &'a StorePath,
    /// What it refers to.
    pub refs: &'a BTreeSet<StorePath>,
    /// Its NAR size.
    pub nar_size: u64,
}

/// Checks all outputs of `drv`. `closure` gives the closure and sizes of registered objects.
///
/// # Errors
/// A message that names the output, the path and the attribute that forbids it.
pub fn check(
    drv: &Derivation,
    outputs: &[Candidate<'_>],
    closure: &ClosureOf<'_>,
) -> Result<(), String> {
    for output in outputs {
        let demands = demands(drv, output.output)?;
        if demands == Demands::default() {
            continue;
        }
        let requisites = requisites(output, outputs, closure)?;
        let specified = |words: &Option<Vec<String>>, attribute: &str| {
            words.as_ref().map(|words| paths(words, outputs, attribute)).transpose()
        };
        let refs: BTreeSet<&StorePath> = output.refs.iter().collect();
        let reached: BTreeSet<&StorePath> = requisites.keys().collect();
        for (words, attribute, set) in [
            (&demands.allowed_references, "allowedReferences", &refs),
            (&demands.allowed_requisites, "allowedRequisites", &reached),
        ] {
            if let Some(allowed) = specified(words, attribute)?
                && let Some(bad) = set.iter().find(|path| !allowed.contains(**path))
            {
                return Err(refused(drv, output, bad, attribute));
            }
        }
        for (words, attribute, set) in [
            (&demands.disallowed_references, "disallowedReferences", &refs),
            (&demands.disallowed_requisites, "disallowedRequisites", &reached),
        ] {
            if let Some(forbidden) = specified(words, attribute)?
                && let Some(bad) = set.iter().find(|path| forbidden.contains(**path))
            {
                return Err(refused(drv, output, bad, attribute));
            }
        }
        if let Some(max) = demands.max_size
            && output.nar_size > max
        {
            return Err(format!(
                "path '{}' is too large at {} bytes; limit is {max} bytes ('maxSize')",
                output.path, output.nar_size
            ));
        }
        let size: u64 = requisites.values().sum::<u64>();
        if let Some(max) = demands.max_closure_size
            && size > max
        {
            return Err(format!(
                "closure of path '{}' is too large at {size} bytes; limit is {max} bytes ('maxClosureSize')",
                output.path
            ));
        }
    }
    Ok(())
}

fn refused(drv: &Derivation, output: &Candidate<'_>, bad: &StorePath, attribute: &str) -> String {
    format!(
        "output '{}' of '{}' ({}) is not allowed to refer to {bad} (attribute '{attribute}')",
        output.output, drv.name, output.path
    )
}

/// Everything reachable from an output, through its siblings too, with sizes.
fn requisites(
    output: &Candidate<'_>,
    outputs: &[Candidate<'_>],
    closure: &ClosureOf<'_>,
) -> Result<BTreeMap<StorePath, u64>, String> {
    let mut reached = BTreeMap::new();
    let mut stack = vec![output];
    let mut outside = BTreeSet::new();
    while let Some(output) = stack.pop() {
        if reached.insert(output.path.clone(), output.nar_size).is_some() {
            continue;
        }
        for path in output.refs {
            match outputs.iter().find(|other| other.path == path) {
                Some(sibling) => stack.push(sibling),
                None => {
                    outside.insert(path.clone());
                }
            }
        }
    }
    for path in &outside {
        reached.extend(closure(path)?);
    }
    Ok(reached)
}

/// The store paths that a list of words names: paths, or names of outputs.
fn paths(
    words: &[String],
    outputs: &[Candidate<'_>],
    attribute: &str,
) -> Result<BTreeSet<StorePath>, String> {
    words
        .iter()
        .map(|word| match outputs.iter().find(|output| output.output.as_str() == word) {
            Some(output) => Ok(output.path.clone()),
            None => StorePath::parse_prefix(word).map(|(path, _)| path).map_err(|error| {
                format!("'{word}' in '{attribute}' is neither an output nor a store path: {error}")
            }),
        })
        .collect()
}

fn demands(drv: &Derivation, output: &OutputName) -> Result<Demands, String> {
    if let Some(json) = drv.env.get(b"__json".as_slice()) {
        let json: Value = serde_json::from_slice(json).map_err(|error| {
            format!("the attribute '__json' of '{}' is not JSON: {error}", drv.name)
        })?;
        let Some(checks) = json.get("outputChecks").and_then(|checks| checks.get(output.as_str()))
        else {
            return Ok(Demands::default());
        };
        let list = |name: &str| {
            checks.get(name).map(|value| match value {
                Value::Array(words) => {
                    words.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                Value::String(words) => split(words),
                _ => Vec::new(),
            })
        };
        return Ok(Demands {
            allowed_references: list("allowedReferences"),
            allowed_requisites: list("allowedRequisites"),
            disallowed_references: list("disallowedReferences"),
            disallowed_requisites: list("disallowedRequisites"),
            max_size: checks.get("maxSize").and_then(Value::as_u64),
            max_closure_size: checks.get("maxClosureSize").and_then(Value::as_u64),
        });
    }
    let list = |name: &str| {
        drv.env.get(name.as_bytes()).map(|words| split(&String::from_utf8_lossy(words)))
    };
    Ok(Demands {
        allowed_references: list("allowedReferences"),
        allowed_requisites: list("allowedRequisites"),
        disallowed_references: list("disallowedReferences"),
        disallowed_requisites: list("disallowedRequisites"),
        max_size: None,
        max_closure_size: None,
    })
}

fn split(words: &str) -> Vec<String> {
    words.split_ascii_whitespace().map(str::to_owned).collect()
}
