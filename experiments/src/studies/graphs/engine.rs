//! The same graph built for real: a Nix expression of its shape, whose builders are a few lines of shell, and floe building
//! it once and after each patch. What floe ran is set beside what was simulated.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::coins::Coins;
use super::graph::{Graph, Kind, Patch};
use crate::floe::Floe;

/// What a build does. A file says who made it and, if it shows a patch, which one and how many builds ago (0, 1, or 2 for
/// more). A build shows what it finds in what it needs, unless it survives that patch: `first` names the packages whose
/// patches it survives where it needs the patched build itself, `further` the others.
const SCRIPT: &str = r#"
read -r needs < "$needsPath"
found= level=9
for need in $needs; do
  read -r _ package away < "$need"
  if [ -n "$package" ]; then
    found=$package
    if [ "$away" -lt "$level" ]; then level=$away; fi
  fi
done
survives=$further
if [ "$level" = 0 ]; then survives=$first; fi
case " $survives " in *" $found "*) found= ;; esac
if [ -n "$patch" ]; then
  echo "$name $patch 0"
elif [ -n "$found" ]; then
  echo "$name $found $((level < 1 ? 1 : 2))"
else
  echo "$name"
fi > "$out"
"#;

/// What floe ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// Builders of the cold build.
    pub cold: u64,
    /// Builders after each patch, from the cold build on.
    pub patched: Vec<u64>,
    /// Processor time of all these commands and their builders, in milliseconds.
    pub cpu_ms: f64,
    /// Wall time of them.
    pub wall_ms: f64,
}

/// Builds the graph in a fresh store under `folder`, cold and after each of these patches, with one of floe's rebuilders.
///
/// # Errors
/// A build fails, or files cannot be written.
pub fn run(
    graph: &Graph,
    patches: &[&Patch],
    coins: Coins,
    rebuilder: &str,
    floe: &Path,
    folder: &Path,
) -> Result<Ran> {
    let place = || format!("cannot write below {}", folder.display());
    fs::create_dir_all(folder).with_context(place)?;
    let folder = tempfile::tempdir_in(folder).with_context(place)?;
    fs::write(folder.path().join("default.nix"), expression(graph, patches, coins))?;
    let floe = Floe::new(floe, &folder.path().join("root"), folder.path());
    let mut ran = Ran { cold: 0, patched: Vec::new(), cpu_ms: 0.0, wall_ms: 0.0 };
    let mut build = |patch: &str| -> Result<u64> {
        let built = floe.build(["-f", ".", "--rebuilder", rebuilder, "--arg", "patched", patch])?;
        ran.cpu_ms += built.measured.cpu_ms;
        ran.wall_ms += built.measured.wall_ms;
        Ok(built.builders())
    };
    let cold = build("null")?;
    let patched =
        patches.iter().map(|patch| build(&patch.package.to_string())).collect::<Result<_>>()?;
    Ok(Ran { cold, patched, ..ran })
}

/// A Nix expression of the graph's shape: a function of the number of the patched package.
///
/// # Panics
/// The graph has bundles, which no derivation is.
pub fn expression(graph: &Graph, patches: &[&Patch], coins: Coins) -> String {
    let mut out = String::from("{ patched ? null }:\nlet\n  script = ''");
    out.push_str(&SCRIPT.replace("${", "''${"));
    out.push_str(concat!(
        "'';\n",
        "  made = name: needs: { inherit name; system = builtins.currentSystem; builder = \"/bin/sh\"; ",
        "inherit needs; passAsFile = [ \"needs\" ]; };\n",
        "  b = name: package: first: further: needs: derivation (made name needs // { args = [ \"-c\" script ]; ",
        "inherit first further; patch = if patched == package then toString package else \"\"; });\n",
        "  f = name: needs: derivation (made name needs // { args = [ \"-c\" \"echo ${name} > $out\" ]; ",
        "outputHashMode = \"flat\"; outputHashAlgo = \"sha256\"; ",
        "outputHash = builtins.hashString \"sha256\" \"${name}\\n\"; });\n",
    ));
    for node in graph.nodes() {
        let needs: Vec<String> = graph.needs(node).iter().map(|need| format!("n{need}")).collect();
        let needs = needs.join(" ");
        let _ = match graph.kind(node) {
            Kind::Fixed => writeln!(out, "  n{node} = f \"f{node}\" [ {needs} ];"),
            Kind::Build => {
                let survives = |first: bool| {
                    let of = patches.iter().map(|patch| patch.package);
                    let of = of.filter(|package| coins.survives(*package, node, first));
                    of.map(|package| package.to_string()).collect::<Vec<_>>().join(" ")
                };
                writeln!(
                    out,
                    "  n{node} = b \"b{node}\" {} \"{}\" \"{}\" [ {needs} ];",
                    graph.package(node),
                    survives(true),
                    survives(false)
                )
            }
            Kind::Bundle => panic!("a graph with bundles cannot be built"),
        };
    }
    let wanted = graph.nodes().filter(|node| graph.wanted(*node));
    let roots: Vec<String> = wanted.map(|node| format!("n{node}")).collect();
    let _ = write!(out, "in\n[ {} ]\n", roots.join(" "));
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use floe_lang::os_host::OsHost;
    use floe_lang::{Argument, Evaluator, Settings};
    use proptest::prelude::*;

    use super::*;
    use crate::studies::graphs::testing::{coins, plain_graphs};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_expression_has_the_shape_of_the_graph(graph in plain_graphs(), coins in coins()) {
            let patches = graph.patches();
            let all: Vec<&Patch> = patches.iter().collect();
            let text = expression(&graph, &all, coins);
            let mut evaluator = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
            let value = evaluator.eval_expr(&text, Path::new("/")).expect("it can be evaluated");
            let args = [("patched".to_owned(), Argument::Expr("null".to_owned()))];
            let wanted = evaluator.derivations(value, &args, Path::new("/")).expect("derivations");
            let asked = graph.nodes().filter(|node| graph.wanted(*node)).count();
            prop_assert_eq!(wanted.len(), asked);
            let drvs = evaluator.finish();
            for id in drvs.ids() {
                let node = drvs.node(id);
                let number: u32 = node.name[1..].parse().expect("a number");
                let mut needs: Vec<u32> = drvs
                    .inputs_of(id)
                    .into_iter()
                    .map(|need| drvs.node(need).name[1..].parse().expect("a number"))
                    .collect();
                needs.sort_unstable();
                prop_assert_eq!(needs.as_slice(), graph.needs(number));
                prop_assert_eq!(node.name.starts_with('f'), graph.kind(number) == Kind::Fixed);
            }
        }
    }
}
