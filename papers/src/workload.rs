//! Workloads with known answers: the graph of 22 steps, and layered random graphs such as package sets are. Real tools are
//! run on the same graphs by `side-by-side`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::project::{Node, Project};
use crate::scheduler::Refused;
use crate::script::{Read, Script};
use crate::system::System;
use crate::task::Look;
use crate::value::{File, Value};

/// Which of its two files a step reads of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// What nearly all read.
    A,
    /// What few read, as documentation is.
    B,
}

/// A graph of steps. Each has a source of its own with a line for `a`, a line for `b` and a comment, and writes `a` and
/// `b`; its `a` is made of the sources' lines for `a` and the `a`s that it reads, and `b` likewise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Graph {
    /// For each step, which steps it reads. Written by others as `g`.
    #[serde(alias = "g")]
    pub steps: Vec<Vec<(u16, Output)>>,
    /// Whether outputs hold the names of what they were made from.
    #[serde(default)]
    pub embed: bool,
}

/// What is edited in the source of step 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Nothing.
    None,
    /// A comment, which no output shows.
    Comment,
    /// The line for `b`, which few or none read.
    Unread,
    /// The line for `a`, which all read.
    Real,
    /// The line for `a`, and back after a build.
    Revert,
}

/// What a build cost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
pub struct Cost {
    /// Commands that ran.
    pub ran: usize,
    /// Results that were renamed.
    pub retargeted: usize,
}

/// Every change, in the order of the tables.
pub const CHANGES: [Change; 5] =
    [Change::None, Change::Comment, Change::Unread, Change::Real, Change::Revert];

impl Graph {
    /// The graph of 22 steps: a base, ten that read its `a`, ten more, and a top.
    pub fn twenty_two(embed: bool) -> Graph {
        let first = (0..10).map(|_| vec![(0, Output::A)]);
        let second = (1..=10).map(|step| vec![(step, Output::A)]);
        let top = (11..=20).map(|step| (step, Output::A)).collect();
        let steps = [Vec::new()].into_iter().chain(first).chain(second).chain([top]).collect();
        Graph { steps, embed }
    }

    /// A random graph in layers: each step reads `fanin - 1` steps of the layer below and one of a few at the bottom that
    /// many read; one read in ten is of `b`.
    pub fn layered(steps: u16, width: u16, fanin: usize, seed: u64) -> Graph {
        let mut chance = Chance::new(seed);
        let step = |at: u16| {
            let layer = at / width;
            let mut read = BTreeSet::new();
            if layer > 0 {
                let below = (layer - 1) * width;
                while read.len() + 1 < fanin.min(width.into()) {
                    read.insert(below + chance.below(width.into()) as u16);
                }
                read.insert(chance.below(width.min(8).into()) as u16);
            }
            let mut output = || if chance.below(10) == 0 { Output::B } else { Output::A };
            read.into_iter().map(|step| (step, output())).collect()
        };
        Graph { steps: (0..steps).map(step).collect(), embed: false }
    }

    /// The graph as a project, with the source of step 0 in the state after a change. Step n is node 2n + 1, its source
    /// node 2n.
    pub fn project(&self, change: Change) -> Project {
        let mut nodes = Vec::new();
        for (at, reads) in self.steps.iter().enumerate() {
            let of = |which: Change| if at == 0 && which == change { 1 } else { 0 };
            let words = [of(Change::Real), of(Change::Unread), of(Change::Comment)];
            nodes.push(Node::Source(Value::words(words)));
            let source = 2 * at as u16;
            let own = [(0, 1), (1, 2), (2, 0)]
                .map(|(f, into)| Read::Look(source, Look::File(File(f)), into));
            let others = reads.iter().map(|(step, output)| match output {
                Output::A => Read::Look(2 * step + 1, Look::File(File(0)), 1),
                Output::B => Read::Look(2 * step + 1, Look::File(File(1)), 2),
            });
            let script = Script::copying(at as u64, 2, own.into_iter().chain(others).collect());
            nodes.push(Node::Rule(Script { embed: self.embed && at > 0, ..script }));
        }
        Project { nodes }
    }

    /// What a change costs a system that has built the graph before.
    pub fn cost(&self, make: fn() -> System, change: Change) -> Result<Cost, Refused> {
        let mut system = make();
        let before = self.project(Change::None);
        system.build(&before, &before.sinks())?;
        let after = self.project(if change == Change::Revert { Change::Real } else { change });
        let mut log = system.build(&after, &after.sinks())?;
        if change == Change::Revert {
            log = system.build(&before, &before.sinks())?;
        }
        Ok(Cost { ran: log.ran().len(), retargeted: log.retargeted().len() })
    }
}
