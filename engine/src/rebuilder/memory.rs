//! What the classic rebuilders remember of a task from one request to the next. Plain data; how it
//! is judged by is `judge`'s affair, where it is kept the store's.

use std::collections::BTreeMap;

use floe_core::path::OutputName;
use floe_store::versioned;
use serde::{Deserialize, Serialize};

use crate::ledger::Short;
use crate::resolve::Outputs;

/// Something that a run rested on, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Of which task.
    pub task: Short,
    /// Which of its outputs; none for its own instructions.
    pub output: Option<OutputName>,
    /// What it was.
    pub was: Short,
}

/// Facts of one depth, outermost first.
pub type Layer = Vec<Fact>;

/// A run that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What it rested on: itself and its direct inputs first, then what those rested on, as deep as
    /// the rebuilder looks.
    pub layers: Vec<Layer>,
    /// What it gave.
    pub outputs: Outputs,
}

/// What is remembered of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The number of the request in which it last ran.
    pub built: u64,
    /// The request in which each output last changed.
    pub changed: BTreeMap<OutputName, u64>,
    /// Remembered runs, oldest first.
    pub runs: Vec<Run>,
}

/// The version byte of a stored memory: another layout, another byte.
const VERSION: u8 = 1;

/// How many runs of a task are worth keeping for those who keep more than one.
const MAX_RUNS: usize = 256;

impl Memory {
    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(VERSION, self)
    }

    /// The inverse of [`Memory::encode`]; one of another version is as good as none, since all it
    /// costs is a run.
    pub fn decode(bytes: &[u8]) -> Memory {
        versioned::decode(VERSION, bytes).unwrap_or_default()
    }

    /// Remembers a run of this request; `all` says whether beside the earlier ones.
    pub fn add(&mut self, run: Run, now: u64, all: bool) {
        let former = self.runs.last().map(|run| &run.outputs);
        for (name, path) in &run.outputs {
            if former.and_then(|outputs| outputs.get(name)) != Some(path) {
                self.changed.insert(name.clone(), now);
            }
        }
        self.built = now;
        match all {
            true => self.runs.retain(|known| *known != run),
            false => self.runs.clear(),
        }
        self.runs.push(run);
        let too_many = self.runs.len().saturating_sub(MAX_RUNS);
        self.runs.drain(..too_many);
    }
}

/// The stored number of the last request that changed a rebuilder's memory.
pub fn decode_number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}
