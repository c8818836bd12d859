//! The oracle: what a real engine should do on a graph, by the model. An engine's tests build a random graph and its edits
//! for real, with builders as trivial as they please, and compare the sets of what ran. Graphs are those of `workload.rs`,
//! with the edits of the table, or sums with arbitrary histories. Knows no engine.
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

use crate::log::Log;
use crate::made::Making;
use crate::scheduler::{Refused, Suspending};
use crate::sums::{MODULUS, Output, Sums};
use crate::system::System;
use crate::systems::model;
use crate::value::{File, Key, Value};
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

impl Prediction {
    fn of(log: &Log, step: fn(u16) -> u16) -> Prediction {
        let steps = |keys: Vec<Key>| {
            let numbers = keys.into_iter().filter_map(|key| match key {
                Key::Node(node) => Some(step(node)),
                _ => None,
            });
            let mut steps: Vec<u16> = numbers.collect();
            steps.sort_unstable();
            steps
        };
        Prediction { ran: steps(log.ran()), retargeted: steps(log.retargeted()) }
    }
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
        // step n is node 2n + 1
        Ok(Prediction::of(&log, |node| node / 2))
    }

    /// Let each output of a step be a thing of its own, as the outputs of a derivation are.
    pub fn outputs_apart(mut self) -> Oracle {
        self.system.view.outputs_apart = true;
        self
    }

    /// Let tasks wait for what they find out to need, in the place of the model's own scheduler.
    pub fn suspending(mut self) -> Oracle {
        self.system.scheduler = Box::new(Suspending);
        self
    }

    /// Build these steps, among them some that others make.
    pub fn build_making(
        &mut self,
        making: &Making,
        targets: &[u16],
    ) -> Result<Prediction, Refused> {
        let keys: Vec<Key> = targets.iter().map(|step| Key::Node(*step)).collect();
        let log = self.system.build_tasks(making, making.inputs(), &keys)?;
        Ok(Prediction::of(&log, |node| node))
    }

    /// Build all outputs of these steps.
    pub fn build_sums(&mut self, sums: &Sums, targets: &[u16]) -> Result<Prediction, Refused> {
        let outputs = targets.iter().flat_map(|step| sums.outputs(*step));
        let keys: Vec<Key> = match self.system.view.outputs_apart {
            true => outputs.map(|(step, output)| Key::File(step, File(output))).collect(),
            false => targets.iter().map(|step| Key::Node(*step)).collect(),
        };
        let log = self.system.build_tasks(sums, sums.inputs(), &keys)?;
        Ok(Prediction::of(&log, |node| node))
    }

    /// Lose the values of these outputs of a step, and what its command made as a whole. What is known of them stays.
    pub fn lose(&mut self, step: u16, outputs: &[u8]) {
        let keys = outputs.iter().map(|output| Key::File(step, File(*output)));
        for key in keys.chain([Key::Node(step)]) {
            self.system.store.evict(key);
        }
    }

    /// What an output is now, if the last build had to know it.
    pub fn value(&self, (step, output): Output) -> Option<u64> {
        let key = match self.system.view.outputs_apart {
            true => Key::File(step, File(output)),
            false => Key::Node(step),
        };
        let entry = self.system.store.entry(key)?;
        match self.system.store.held(entry.digest)? {
            Value::Tree(files) => files.get(&File(output)).map(|text| text.word % MODULUS),
            Value::Failed(_) => None,
        }
    }

    /// What each step's two outputs are now, as numbers that are equal when the contents are, names aside where outputs
    /// hold none: for comparing contents with a real build up to a bijection.
    pub fn contents(&self, graph: &Graph) -> BTreeMap<u16, u64> {
        let steps = 0..graph.steps.len() as u16;
        let of = |step: u16| self.system.store.entry(Key::Node(2 * step + 1));
        steps.filter_map(|step| Some((step, of(step)?.digest.0))).collect()
    }
}
