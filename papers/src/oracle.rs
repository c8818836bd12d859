//! The oracle: what a real engine should do on a graph, by the model. An engine's tests build a random graph and its edits
//! for real, with builders as trivial as they please, and compare the sets of what ran. Knows no engine.
//!
//! ```
//! use floe_papers::oracle::Oracle;
//! use floe_papers::workload::{Change, Graph};
//!
//! let graph = Graph::layered(30, 6, 3, 7);
//! let mut oracle = Oracle::new("floe, content-addressed").expect("a model of this name");
//! assert_eq!(oracle.build(&graph, Change::None).expect("a static graph").ran.len(), 30);
//! assert_eq!(oracle.build(&graph, Change::Comment).expect("a static graph").ran, [0]);
//! ```

use std::collections::BTreeMap;

use crate::scheduler::Refused;
use crate::system::System;
use crate::systems::model;
use crate::value::Key;
use crate::workload::{Change, Graph};

/// A model at work.
pub struct Oracle {
    system: System,
}

/// What a build should do, in steps of the graph.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prediction {
    /// The steps whose builder runs, in ascending order.
    pub ran: Vec<u16>,
    /// The steps whose old result is renamed.
    pub retargeted: Vec<u16>,
}

/// The step of a key; step n is node 2n + 1.
fn steps(keys: Vec<Key>) -> Vec<u16> {
    let numbers = keys.into_iter().filter_map(|key| match key {
        Key::Node(node) => Some(node / 2),
        _ => None,
    });
    let mut steps: Vec<u16> = numbers.collect();
    steps.sort_unstable();
    steps
}

impl Oracle {
    /// The model of this name, which has built nothing yet; `None` when there is none.
    pub fn new(name: &str) -> Option<Oracle> {
        Some(Oracle { system: (model(name)?.make)() })
    }

    /// Build the graph in the state after a change; a revert is [`Change::None`] after another.
    pub fn build(&mut self, graph: &Graph, state: Change) -> Result<Prediction, Refused> {
        let project = graph.project(state);
        let log = self.system.build(&project, &project.sinks())?;
        Ok(Prediction { ran: steps(log.ran()), retargeted: steps(log.retargeted()) })
    }

    /// What each step's two outputs are now, as numbers that are equal when the contents are, names aside where outputs
    /// hold none: for comparing contents with a real build up to a bijection.
    pub fn contents(&self, graph: &Graph) -> BTreeMap<u16, u64> {
        let steps = 0..graph.steps.len() as u16;
        let of = |step: u16| self.system.store.entry(Key::Node(2 * step + 1));
        steps.filter_map(|step| Some((step, of(step)?.digest.0))).collect()
    }
}
