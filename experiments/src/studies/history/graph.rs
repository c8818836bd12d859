//! The packages of a request and what each takes in, as `floe derivation show` tells it. Knows no version.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::floe::Decision;

/// Packages by task; fetched sources are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    inputs: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    system: String,
    input_drvs: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// Reads what `floe derivation show --recursive` prints of a request with these decisions.
    ///
    /// # Errors
    /// It is something else, or a derivation was not decided on.
    pub fn read(shown: &str, decisions: &[Decision]) -> Result<Self> {
        let shown: BTreeMap<String, Shown> = serde_json::from_str(shown)
            .context("what `floe derivation show` printed cannot be read")?;
        let tasks: HashMap<&str, &str> = decisions
            .iter()
            .filter_map(|of| Some((of.drv.as_deref()?, of.task.as_str())))
            .collect();
        let task = |drv: &str| {
            let task = tasks.get(drv).with_context(|| format!("nothing was decided on {drv}"))?;
            Ok((*task).to_owned())
        };
        let is_package = |drv: &str| shown.get(drv).is_some_and(|of| of.system != "builtin");
        let mut inputs = BTreeMap::new();
        for (drv, of) in shown.iter().filter(|(drv, _)| is_package(drv)) {
            let taken = of.input_drvs.keys().filter(|drv| is_package(drv)).map(|drv| task(drv));
            inputs.insert(task(drv)?, taken.collect::<Result<_>>()?);
        }
        Ok(Self { inputs })
    }

    /// What a package takes in itself.
    pub fn inputs(&self, task: &str) -> &[String] {
        self.inputs.get(task).map_or(&[], Vec::as_slice)
    }

    /// How many steps a package and all that rest on it are away from it, on the shortest way.
    pub fn levels(&self, from: &str) -> BTreeMap<&str, usize> {
        let Some((from, _)) = self.inputs.get_key_value(from) else { return BTreeMap::new() };
        let mut levels = BTreeMap::from([(from.as_str(), 0)]);
        let mut todo = VecDeque::from([(from.as_str(), 0)]);
        while let Some((task, level)) = todo.pop_front() {
            for (user, inputs) in &self.inputs {
                if inputs.iter().any(|input| input == task) && !levels.contains_key(user.as_str()) {
                    levels.insert(user, level + 1);
                    todo.push_back((user, level + 1));
                }
            }
        }
        levels
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A graph of packages and what they take in, with the words of both tools.
    pub fn graph(packages: &[(&str, &[&str])]) -> Graph {
        let mut shown = serde_json::Map::new();
        let mut decisions = Vec::new();
        for (name, inputs) in packages {
            let inputs: BTreeMap<String, [&str; 1]> =
                inputs.iter().map(|input| (format!("{input}.drv"), ["out"])).collect();
            let system = if name.ends_with(".crate") { "builtin" } else { "x86_64-linux" };
            shown.insert(
                format!("{name}.drv"),
                serde_json::json!({ "system": system, "inputDrvs": inputs, "name": name }),
            );
            decisions.push(super::super::effect::tests::decision(name, "built", 1));
        }
        Graph::read(&serde_json::to_string(&shown).expect("text"), &decisions).expect("a graph")
    }

    #[test]
    fn levels_are_shortest_ways() {
        let graph = graph(&[
            ("z.crate", &[]),
            ("z", &["z.crate"]),
            ("png", &["z"]),
            ("ft", &["png", "z"]),
            ("tool", &["ft"]),
            ("jq", &[]),
        ]);
        let levels = BTreeMap::from([("z", 0), ("png", 1), ("ft", 1), ("tool", 2)]);
        assert_eq!(graph.levels("z"), levels);
        assert_eq!(graph.inputs("z"), [] as [String; 0]);
        assert!(graph.levels("z.crate").is_empty());
        assert!(Graph::read("[]", &[]).is_err());
    }
}
