//! The derivations of a package set in the Nix language, evaluated by floe's own evaluator: every attribute that is a
//! derivation, and all that these need. Builds nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use floe_lang::graph::{DrvGraph, DrvId, OutputKind};
use floe_lang::os_host::OsHost;
use floe_lang::{Evaluator, Handle, Settings};

use super::graph::{Graph, Kind, Node};

/// Sets within sets are gone into so far, where they ask for it.
const DEPTH: usize = 5;

/// What an evaluation gave.
#[derive(Debug)]
pub struct Evaluated {
    /// The derivations.
    pub graph: Graph,
    /// How many attributes are derivations.
    pub attributes: usize,
    /// How many attributes cannot be evaluated.
    pub failed: usize,
}

/// Evaluates `expression`, whose relative paths start at `folder`, and goes through all attributes.
///
/// # Errors
/// The expression itself cannot be evaluated.
pub fn evaluate(origin: String, expression: &str, folder: &Path) -> Result<Evaluated> {
    let mut evaluator = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let set = evaluator
        .eval_expr(expression, folder)
        .with_context(|| format!("cannot evaluate {expression} in {}", folder.display()))?;
    let mut walk = Walk { evaluator, folder, wanted: Vec::new(), attributes: 0, failed: 0 };
    walk.go(set, DEPTH);
    let Walk { evaluator, wanted, attributes, failed, .. } = walk;
    let graph = closure(origin, &evaluator.finish(), wanted)?;
    Ok(Evaluated { graph, attributes, failed })
}

struct Walk<'a> {
    evaluator: Evaluator,
    folder: &'a Path,
    wanted: Vec<DrvId>,
    attributes: usize,
    failed: usize,
}

impl Walk<'_> {
    fn go(&mut self, set: Handle, depth: usize) {
        let Ok(attributes) = self.evaluator.attributes(set) else {
            self.failed += 1;
            return;
        };
        for (_, value) in attributes {
            self.attribute(value, depth);
        }
    }

    /// A derivation is noted, a set that asks for it gone into, anything else left.
    fn attribute(&mut self, value: Handle, depth: usize) {
        let Ok(value) = self.evaluator.force(value) else {
            self.failed += 1;
            return;
        };
        // What has no attributes is no package.
        let Ok(inner) = self.evaluator.attributes(value) else { return };
        let named = |name: &str| inner.iter().find(|(of, _)| of == name).map(|(_, value)| *value);
        if self.says(named("type"), b"derivation") {
            match self.evaluator.derivations(value, &[], self.folder) {
                Ok(found) => {
                    self.attributes += 1;
                    self.wanted.extend(found.into_iter().map(|wanted| wanted.drv));
                }
                Err(_) => self.failed += 1,
            }
        } else if depth > 0 && self.says(named("recurseForDerivations"), b"true") {
            self.go(value, depth - 1);
        }
    }

    fn says(&mut self, value: Option<Handle>, what: &[u8]) -> bool {
        let shown = value.and_then(|value| self.evaluator.force(value).ok());
        let shown = shown.and_then(|value| self.evaluator.to_json(value).ok());
        shown.is_some_and(|json| json == what || json == [b"\"", what, b"\""].concat())
    }
}

/// What these derivations need, themselves included.
fn closure(origin: String, drvs: &DrvGraph, wanted: Vec<DrvId>) -> Result<Graph> {
    let mut numbers: HashMap<DrvId, u32> = HashMap::new();
    let mut found = Vec::new();
    let asked: HashSet<DrvId> = wanted.iter().copied().collect();
    let mut open = wanted;
    while let Some(drv) = open.pop() {
        if let std::collections::hash_map::Entry::Vacant(place) = numbers.entry(drv) {
            place.insert(found.len() as u32);
            found.push(drv);
            open.extend(drvs.inputs_of(drv));
        }
    }
    let mut packages = Vec::new();
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut nodes = Vec::with_capacity(found.len());
    for drv in found {
        let node = drvs.node(drv);
        let fixed = node.outputs.iter().any(|of| matches!(of.kind, OutputKind::Fixed(..)));
        let kind = if fixed { Kind::Fixed } else { Kind::Build };
        let name = package(&node.name);
        let package = *known.entry(name.to_owned()).or_insert_with(|| {
            packages.push(name.to_owned());
            packages.len() as u32 - 1
        });
        let needs = drvs.inputs_of(drv).iter().map(|need| numbers[need]).collect();
        nodes.push(Node { kind, package, wanted: asked.contains(&drv), needs });
    }
    Graph::new(origin, packages, &nodes)
}

/// The package that a derivation's name tells of: all before the first dash that no letter follows, as
/// `builtins.parseDrvName` has it.
fn package(name: &str) -> &str {
    let bytes = name.as_bytes();
    let dash = bytes.windows(2).position(|two| two[0] == b'-' && !two[1].is_ascii_alphabetic());
    &name[..dash.unwrap_or(name.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_what_they_need_are_found() {
        let expression = r#"
          let
            made = name: needs: derivation { inherit name needs; system = "x"; builder = "b"; };
            source = derivation { name = "source"; system = "x"; builder = made "curl-8" []; outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };
            zlib = made "zlib-1.3" [ source ];
          in {
            inherit zlib;
            broken = throw "no";
            inner = { recurseForDerivations = true; png = made "libpng-1.6" [ zlib ]; };
            hidden.jpeg = made "libjpeg-9" [ zlib ];
            text = "no package";
          }"#;
        let found = evaluate("a test".to_owned(), expression, Path::new("/")).expect("a set");
        assert_eq!((found.attributes, found.failed), (2, 1));
        let graph = found.graph;
        let mut told: Vec<_> = graph
            .nodes()
            .map(|node| {
                let name = &graph.packages[graph.package(node) as usize];
                let needs = graph.needs(node).len();
                (name.as_str(), graph.kind(node), graph.wanted(node), needs)
            })
            .collect();
        told.sort_unstable_by_key(|(name, ..)| *name);
        assert_eq!(
            told,
            [
                ("curl", Kind::Build, false, 0),
                ("libpng", Kind::Build, true, 1),
                ("source", Kind::Fixed, false, 1),
                ("zlib", Kind::Build, true, 1),
            ]
        );
        let patched: Vec<_> = graph
            .patches()
            .iter()
            .map(|of| &graph.packages[of.package as usize])
            .cloned()
            .collect();
        assert_eq!(patched.len(), 2, "who has the source needs no curl: {patched:?}");
    }

    #[test]
    fn a_package_is_a_name_without_its_version() {
        assert_eq!(package("zlib-1.3.2"), "zlib");
        assert_eq!(package("bash-interactive-5.3p3"), "bash-interactive");
        assert_eq!(package("source"), "source");
        assert_eq!(package("hook-"), "hook-");
    }
}
