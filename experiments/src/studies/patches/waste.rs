//! Looks back at a build after a patch: how each derivation that ran came out, and what would have made its run needless.
//! Compares outputs; runs nothing.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context, Result};

use super::graph::Graph;
use super::rows::Knowledge;
use crate::floe::Decision;
use crate::objects::Comparison;
use crate::objects::Sameness;

/// A derivation that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// How it came out.
    pub came_out: Sameness,
    /// The worst of what it takes in.
    pub took_in: Sameness,
    /// What would have made the run needless.
    pub saved_by: Knowledge,
    /// Where what it takes in differs beyond names: `derivation: file`.
    pub files: Vec<String>,
    /// Processor time of its builder.
    pub cpu_ms: u64,
}

/// How two store paths are compared.
pub type Compare<'a> = dyn FnMut(&str, &str) -> Result<Comparison> + 'a;

/// A build before a patch and the same after it.
struct Pair<'a, 'b> {
    graph: &'a Graph,
    /// By path of the derivation before the patch: what was decided before and after.
    decisions: HashMap<&'a str, (&'a Decision, &'a Decision)>,
    compare: &'a mut Compare<'b>,
    compared: HashMap<(String, String), Rc<Comparison>>,
    /// Whether a derivation would run under content addressing.
    would_run: HashMap<&'a str, bool>,
}

/// A verdict on each derivation that ran after the patch, in the order of `after`. `graph` is that of `before`.
///
/// # Errors
/// An output cannot be read, or a derivation is not in both builds.
pub fn verdicts(
    graph: &Graph,
    before: &[Decision],
    after: &[Decision],
    compare: &mut Compare<'_>,
) -> Result<Vec<Verdict>> {
    let by_task: HashMap<&str, &Decision> =
        before.iter().map(|of| (of.task.as_str(), of)).collect();
    let mut decisions = HashMap::new();
    for now in after {
        if let Some(&was) = by_task.get(now.task.as_str()) {
            decisions.insert(drv(was)?, (was, now));
        }
    }
    let (compared, would_run) = (HashMap::new(), HashMap::new());
    let mut pair = Pair { graph, decisions, compare, compared, would_run };
    let ran = after.iter().filter(|of| of.decision == "built");
    ran.map(|now| {
        let was = by_task
            .get(now.task.as_str())
            .with_context(|| format!("'{}' was no part of the build before the patch", now.name))?;
        pair.verdict(was, now)
    })
    .collect()
}

fn drv(decision: &Decision) -> Result<&str> {
    decision.drv.as_deref().with_context(|| format!("'{}' has no derivation", decision.name))
}

impl<'a> Pair<'a, '_> {
    fn verdict(&mut self, was: &'a Decision, now: &Decision) -> Result<Verdict> {
        let mut came_out = Sameness::Identical;
        for output in was.outputs.keys() {
            came_out = came_out.max(Sameness::from(&*self.output(was, now, output)?));
        }
        let mut took_in = Sameness::Identical;
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let graph = self.graph;
        let node = graph.get(drv(was)?).with_context(|| format!("'{}' is not shown", was.name))?;
        for (input, outputs) in &node.inputs {
            let &(input_was, input_now) = self.known(input)?;
            for output in outputs {
                let found = self.output(input_was, input_now, output)?;
                took_in = took_in.max(Sameness::from(&*found));
                for file in found.real() {
                    // An output that is a file itself is known by its own name.
                    let file = if file.file.is_empty() { output } else { &file.file };
                    files.insert(format!("{}: {file}", input_now.name), file.clone());
                }
            }
        }
        let saved_by = match () {
            () if self.is_edited(drv(was)?)? => Knowledge::Edit,
            () if came_out == Sameness::Different => Knowledge::Nothing,
            () if !self.would_run(drv(was)?)? => Knowledge::ByteCutoff,
            () => files
                .values()
                .map(|file| of_file(file))
                .max()
                .unwrap_or(Knowledge::NormalisedCutoff),
        };
        Ok(Verdict {
            name: now.name.clone(),
            came_out,
            took_in,
            saved_by,
            files: files.into_keys().collect(),
            cpu_ms: now.cpu_ms.unwrap_or(0),
        })
    }

    fn known(&self, drv: &str) -> Result<&(&'a Decision, &'a Decision)> {
        self.decisions.get(drv).with_context(|| format!("{drv} was not decided on in both builds"))
    }

    fn output(&mut self, was: &Decision, now: &Decision, output: &str) -> Result<Rc<Comparison>> {
        let path = |of: &Decision| {
            let path = of.outputs.get(output).cloned();
            path.with_context(|| format!("'{}' has no output '{output}'", of.name))
        };
        let paths = (path(was)?, path(now)?);
        if let Some(found) = self.compared.get(&paths) {
            return Ok(found.clone());
        }
        let found = match paths.0 == paths.1 {
            true => Comparison::default(),
            false => (self.compare)(&paths.0, &paths.1)?,
        };
        let found = Rc::new(found);
        self.compared.insert(paths, found.clone());
        Ok(found)
    }

    /// Whether its own instructions changed, and not only the names of what it takes in.
    fn is_edited(&self, drv: &str) -> Result<bool> {
        let same = |of: &str| self.known(of).map(|(was, now)| was.drv == now.drv);
        let mut is_edited = !same(drv)?;
        for input in self.graph.get(drv).into_iter().flat_map(|node| node.inputs.keys()) {
            is_edited &= same(input)?;
        }
        Ok(is_edited)
    }

    /// Whether it would run under content addressing: it was edited, or takes in an output with other bytes. An output of
    /// what would run has others if it differs beyond names, or in names while something with other bytes was taken in.
    fn would_run(&mut self, drv: &'a str) -> Result<bool> {
        if let Some(&known) = self.would_run.get(drv) {
            return Ok(known);
        }
        let would_run = self.is_edited(drv)? || self.takes_in_changed(drv)?;
        self.would_run.insert(drv, would_run);
        Ok(would_run)
    }

    fn takes_in_changed(&mut self, drv: &'a str) -> Result<bool> {
        let graph = self.graph;
        for (input, outputs) in graph.get(drv).into_iter().flat_map(|node| &node.inputs) {
            if !self.would_run(input)? {
                continue;
            }
            let &(was, now) = self.known(input)?;
            for output in outputs {
                let changed = match Sameness::from(&*self.output(was, now, output)?) {
                    Sameness::Identical => false,
                    Sameness::Renamed => !self.is_edited(input)? || self.takes_in_changed(input)?,
                    Sameness::Different => true,
                };
                if changed {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// What one must know of a file that differs, if it is to make no difference.
fn of_file(file: &str) -> Knowledge {
    if file.starts_with("c_") {
        // A C file on its own, in the grain of files.
        Knowledge::Edit
    } else if ["share/doc/", "share/man/"].iter().any(|folder| file.starts_with(folder)) {
        Knowledge::FileObservation
    } else if file.starts_with("include/") || file.ends_with(".h") {
        Knowledge::HeaderUse
    } else {
        Knowledge::LibraryUse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{FileDifference, How};
    use crate::studies::patches::graph::Node;

    fn decision(name: &str, version: u32) -> Decision {
        Decision {
            task: name.to_owned(),
            name: name.to_owned(),
            decision: "built".to_owned(),
            kind: None,
            unchanged: false,
            drv: Some(format!("{name}.drv{version}")),
            outputs: BTreeMap::from([("out".to_owned(), format!("{name} {version}"))]),
            wall_ms: None,
            cpu_ms: Some(1),
        }
    }

    /// A chain base <- mid <- top and a bystander; `differ` says in which file an output differs, and how.
    fn told(differ: &[(&str, &str, How)]) -> Vec<(String, Sameness, Sameness, Knowledge)> {
        let names = ["base", "mid", "top"];
        let mut graph = Graph::new();
        for (at, name) in names.iter().enumerate() {
            let input =
                at.checked_sub(1).map(|at| (format!("{}.drv1", names[at]), vec!["out".to_owned()]));
            let inputs = input.into_iter().collect();
            graph.insert(format!("{name}.drv1"), Node { is_fetched: false, inputs });
        }
        let of = |version| names.map(|name| decision(name, version));
        let mut compare = |old: &str, _new: &str| {
            let name = old.split(' ').next().unwrap_or_default();
            let files = differ.iter().filter(|(of, ..)| *of == name);
            let file = |(_, file, how): &(&str, &str, How)| FileDifference {
                file: (*file).to_owned(),
                how: *how,
                byte: None,
                real_byte: None,
            };
            Ok(Comparison { files: files.map(file).collect(), same: 1 })
        };
        let found = verdicts(&graph, &of(1), &of(2), &mut compare).expect("verdicts");
        found.into_iter().map(|of| (of.name, of.came_out, of.took_in, of.saved_by)).collect()
    }

    #[test]
    fn each_run_is_told_what_would_have_saved_it() {
        use Knowledge::*;
        use Sameness::*;
        let saved = |differ: &[(&str, &str, How)]| {
            told(differ).into_iter().map(|(.., saved)| saved).collect::<Vec<_>>()
        };
        assert_eq!(saved(&[]), [Edit, ByteCutoff, ByteCutoff]);
        let names = ("mid", "lib/m.so", How::Names);
        assert_eq!(
            told(&[("base", "lib/b.so", How::Content), names]),
            [
                ("base".to_owned(), Different, Identical, Edit),
                ("mid".to_owned(), Renamed, Different, LibraryUse),
                ("top".to_owned(), Identical, Renamed, NormalisedCutoff),
            ]
        );
        let doc = ("base", "share/man/b.3", How::Content);
        let header = ("base", "include/b.h", How::Content);
        assert_eq!(saved(&[doc, names]), [Edit, FileObservation, NormalisedCutoff]);
        assert_eq!(saved(&[doc, header]), [Edit, HeaderUse, ByteCutoff]);
        let source = ("base", "c_inflate_c", How::Content);
        assert_eq!(saved(&[source]), [Edit, Edit, ByteCutoff]);
        let real = ("mid", "bin/m", How::Content);
        assert_eq!(saved(&[header, real]), [Edit, Nothing, LibraryUse]);
    }
}
