//! What one version in place of another did to the packages above: who ran, who was cut off and how far away, and what of
//! the work made a difference. Looks at two builds and the graph; runs nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::graph::Graph;
use crate::floe::Decision;
use crate::objects::{Comparison, Sameness};

/// What became of the packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Packages that rest on the one whose version changed.
    pub above: usize,
    /// Builders that ran, by distance from it; its own stands first.
    pub built: Vec<usize>,
    /// Packages that were cut off, by distance.
    pub cut_off: Vec<usize>,
    /// Cutoffs by the comparison that made them.
    pub cutoffs: BTreeMap<String, usize>,
    /// How its own outputs came out.
    pub own: Sameness,
    /// Which parts of them differ in more than names.
    pub own_parts: BTreeSet<String>,
    /// Of the others that ran, those that came out byte for byte as before,
    pub ran_identical: usize,
    /// but for names of store paths,
    pub ran_renamed: usize,
    /// and otherwise.
    pub ran_different: usize,
    /// Of those that came out the same, with or without names, those that took in nothing but other names.
    pub ran_for_names: usize,
    /// Processor time of all builders.
    pub builders_cpu_ms: u64,
    /// That of those that came out the same, with or without names.
    pub needless_cpu_ms: u64,
}

/// How two store paths are compared.
pub type Compare<'a> = dyn FnMut(&str, &str) -> Result<Comparison> + 'a;

/// Compares the builds before and after the package `bumped`, which is a task, changed. The graph is that of `after`.
///
/// # Errors
/// An output cannot be read, or a package was not in both builds.
pub fn effect(
    graph: &Graph,
    bumped: &str,
    before: &[Decision],
    after: &[Decision],
    compare: &mut Compare<'_>,
) -> Result<Effect> {
    let levels = graph.levels(bumped);
    let former: HashMap<&str, &Decision> = before.iter().map(|of| (of.task.as_str(), of)).collect();
    let mut found = HashMap::new();
    for now in after.iter().filter(|of| levels.contains_key(of.task.as_str())) {
        let was = former.get(now.task.as_str());
        let was = was.with_context(|| format!("'{}' was no part of the build before", now.name))?;
        found.insert(now.task.as_str(), outputs(was, now, compare)?);
    }
    let sameness =
        |task: &str| found.get(task).map_or(Sameness::Identical, |(sameness, _)| *sameness);

    let depth = levels.values().max().map_or(0, |most| most + 1);
    let own = found.get(bumped).with_context(|| format!("'{bumped}' was not built"))?;
    let mut effect = Effect {
        above: levels.len() - 1,
        built: vec![0; depth],
        cut_off: vec![0; depth],
        cutoffs: BTreeMap::new(),
        own: own.0,
        own_parts: own.1.clone(),
        ran_identical: 0,
        ran_renamed: 0,
        ran_different: 0,
        ran_for_names: 0,
        builders_cpu_ms: 0,
        needless_cpu_ms: 0,
    };
    for now in after {
        let Some(&level) = levels.get(now.task.as_str()) else { continue };
        match now.decision.as_str() {
            "built" => {
                effect.built[level] += 1;
                let cpu_ms = now.cpu_ms.unwrap_or(0);
                effect.builders_cpu_ms += cpu_ms;
                if level == 0 {
                    continue;
                }
                let came_out = sameness(&now.task);
                match came_out {
                    Sameness::Identical => effect.ran_identical += 1,
                    Sameness::Renamed => effect.ran_renamed += 1,
                    Sameness::Different => effect.ran_different += 1,
                }
                if came_out != Sameness::Different {
                    effect.needless_cpu_ms += cpu_ms;
                    let inputs = graph.inputs(&now.task);
                    let for_names =
                        inputs.iter().all(|input| sameness(input) != Sameness::Different);
                    effect.ran_for_names += usize::from(for_names);
                }
            }
            "cutoff" => {
                effect.cut_off[level] += 1;
                let kind = now.kind.clone().unwrap_or_else(|| "other".to_owned());
                *effect.cutoffs.entry(kind).or_default() += 1;
            }
            _ => {}
        }
    }
    Ok(effect)
}

/// How the outputs of a package came out, and which parts of them differ.
fn outputs(
    was: &Decision,
    now: &Decision,
    compare: &mut Compare<'_>,
) -> Result<(Sameness, BTreeSet<String>)> {
    let mut worst = Sameness::Identical;
    let mut parts = BTreeSet::new();
    for (output, path) in &now.outputs {
        let former = was.outputs.get(output);
        let former = former.with_context(|| format!("'{}' had no output '{output}'", was.name))?;
        if former != path {
            let comparison = compare(former, path)?;
            worst = worst.max(Sameness::from(&comparison));
            parts.extend(comparison.real().map(|of| part(&of.file).to_owned()));
        }
    }
    Ok((worst, parts))
}

/// What a file of a package is to its users.
fn part(file: &str) -> &'static str {
    let is_below = |folder: &str| file.starts_with(folder);
    match () {
        () if is_below("include/") || file == "include" => "headers",
        () if is_below("lib/pkgconfig") || is_below("lib/cmake") => "build files",
        () if is_below("lib/") => "library",
        () if is_below("bin/") => "programs",
        () if is_below("share/doc") || is_below("share/man") => "documents",
        () => "other",
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::graph::tests::graph;
    use super::*;
    use crate::objects::{FileDifference, How};

    /// A decision on a package whose output is of this version.
    pub fn decision(name: &str, decision: &str, version: u32) -> Decision {
        Decision {
            task: name.to_owned(),
            name: name.to_owned(),
            decision: decision.to_owned(),
            kind: (decision == "cutoff").then(|| "byte".to_owned()),
            unchanged: false,
            drv: Some(format!("{name}.drv")),
            outputs: BTreeMap::from([("out".to_owned(), format!("{name} {version}"))]),
            wall_ms: None,
            cpu_ms: (decision == "built").then_some(10),
        }
    }

    /// A package, what was decided for it, and how its output differs, if it is another.
    type Became<'a> = (&'a str, &'a str, Option<(&'a str, How)>);

    /// z is below png and sql, png below ft, ft below site. `became` says what became of each after another z, and how an
    /// output that is another one differs.
    fn check(became: &[Became<'_>]) -> Effect {
        let graph = graph(&[
            ("z", &[]),
            ("png", &["z"]),
            ("sql", &["z"]),
            ("ft", &["png"]),
            ("site", &["ft", "sql"]),
            ("jq", &[]),
        ]);
        let before: Vec<Decision> =
            became.iter().map(|(name, ..)| decision(name, "reused", 1)).collect();
        let after: Vec<Decision> = became
            .iter()
            .map(|(name, decided, differs)| {
                decision(name, decided, if differs.is_some() { 2 } else { 1 })
            })
            .collect();
        let mut compare = |old: &str, _new: &str| {
            let name = old.split(' ').next().unwrap_or_default();
            let differs = became.iter().find(|(of, ..)| *of == name).and_then(|of| of.2);
            let file = |(file, how): (&str, How)| FileDifference {
                file: file.to_owned(),
                how,
                byte: None,
                real_byte: None,
            };
            Ok(Comparison { files: differs.map(file).into_iter().collect(), same: 1 })
        };
        effect(&graph, "z", &before, &after, &mut compare).expect("an effect")
    }

    #[test]
    fn a_change_of_packaging_stops_at_once() {
        let cut = |name| (name, "cutoff", None);
        let found = check(&[
            ("z", "built", None),
            cut("png"),
            cut("sql"),
            cut("ft"),
            cut("site"),
            ("jq", "reused", None),
        ]);
        assert_eq!((found.above, found.own), (4, Sameness::Identical));
        assert_eq!((found.built, found.cut_off), (vec![1, 0, 0], vec![0, 2, 2]));
        assert_eq!(found.cutoffs, BTreeMap::from([("byte".to_owned(), 4)]));
        assert_eq!((found.builders_cpu_ms, found.needless_cpu_ms), (10, 0));
    }

    #[test]
    fn a_run_is_needless_when_its_output_is_the_same() {
        let found = check(&[
            ("z", "built", Some(("lib/libz.so", How::Content))),
            ("png", "built", Some(("lib/libpng.so", How::Names))),
            ("sql", "built", Some(("lib/libsql.so", How::Content))),
            ("ft", "built", Some(("lib/libft.so", How::Names))),
            ("site", "built", None),
            ("jq", "reused", None),
        ]);
        assert_eq!(
            (found.own, found.own_parts),
            (Sameness::Different, BTreeSet::from(["library".to_owned()]))
        );
        assert_eq!((found.ran_identical, found.ran_renamed, found.ran_different), (1, 2, 1));
        // png took in another z, and site another sql; ft took in a png that had other names only.
        assert_eq!((found.ran_for_names, found.needless_cpu_ms), (1, 30));
        assert_eq!(found.built, [1, 2, 2]);
    }

    #[test]
    fn files_have_parts() {
        let told = ["include/z.h", "lib/libz.so", "lib/pkgconfig/z.pc", "share/man/man3/z.3", "z"]
            .map(part);
        assert_eq!(told, ["headers", "library", "build files", "documents", "other"]);
    }
}
