//! The derivations of a build and what each takes in, as `floe derivation show` tells it. Knows no patch.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Derivations by the path of the file that holds them.
pub type Graph = BTreeMap<String, Node>;

/// A derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Whether floe fetches it by itself instead of running a builder.
    pub is_fetched: bool,
    /// Which outputs it takes in, by the derivation that they are of.
    pub inputs: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    system: String,
    input_drvs: BTreeMap<String, Vec<String>>,
}

/// Reads what `floe derivation show --recursive` prints.
///
/// # Errors
/// It is something else.
pub fn read(text: &str) -> Result<Graph> {
    let shown: BTreeMap<String, Shown> = serde_json::from_str(text)
        .context("what `floe derivation show` printed cannot be read; derivations that others make have no place here")?;
    let node =
        |shown: Shown| Node { is_fetched: shown.system == "builtin", inputs: shown.input_drvs };
    Ok(shown.into_iter().map(|(path, shown)| (path, node(shown))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read() {
        let graph = read(
            r#"{"/nix/store/x-a.drv": {"args": [], "builder": "/bin/bash", "env": {}, "inputSrcs": [], "name": "a",
                 "inputDrvs": {"/nix/store/y-s.drv": ["out"]}, "outputs": {}, "system": "x86_64-linux"},
                "/nix/store/y-s.drv": {"inputDrvs": {}, "system": "builtin"}}"#,
        )
        .expect("derivations");
        let node = &graph["/nix/store/x-a.drv"];
        assert!(!node.is_fetched && graph["/nix/store/y-s.drv"].is_fetched);
        assert_eq!(node.inputs["/nix/store/y-s.drv"], ["out"]);
        assert!(read("[]").is_err());
    }
}
