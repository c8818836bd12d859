//! Traces: what is remembered of runs. Judges nothing.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5.2.1. The paper's trace has a key, hashes of dependencies and a
//! result; ours also keeps at *what* of each dependency the task looked, and for deep traces the layers below.

use std::collections::BTreeMap;

use crate::task::Looked;
use crate::value::{Entry, Key};

/// Dependencies with what they were.
pub type Layer = Vec<(Key, Entry)>;

/// One remembered run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// What the task looked at, in order.
    pub looks: Vec<Looked>,
    /// The dependencies, those of the dependencies and so on, as far as a deep rebuilder wants them.
    pub layers: Vec<Layer>,
    /// What came out.
    pub result: Entry,
}

/// How many traces of a key are worth keeping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// The latest alone.
    Latest,
    /// All of them.
    All,
}

/// All traces by key, oldest first.
#[derive(Clone, Default, Debug)]
pub struct Traces(BTreeMap<Key, Vec<Trace>>);

impl Traces {
    /// The traces of a key, latest first.
    pub fn of(&self, key: Key) -> impl Iterator<Item = &Trace> {
        self.0.get(&key).into_iter().flatten().rev()
    }

    /// Remember one.
    pub fn add(&mut self, key: Key, trace: Trace, memory: Memory) {
        let traces = self.0.entry(key).or_default();
        match memory {
            Memory::Latest => traces.clear(),
            Memory::All => traces.retain(|known| known != &trace),
        }
        traces.push(trace);
    }

    /// Learn what another knows.
    pub fn learn(&mut self, other: &Traces) {
        for (key, traces) in &other.0 {
            for trace in traces {
                self.add(*key, trace.clone(), Memory::All);
            }
        }
    }
}

impl Trace {
    /// A trace of direct dependencies.
    pub fn new(looks: Vec<Looked>, result: Entry) -> Trace {
        Trace { looks, layers: Vec::new(), result }
    }
}
