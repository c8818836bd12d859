//! Sums over the rows: by strategy, by kind of patch, over the patches that strategies have in common. Renders nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Base, Edit, Knowledge, Line, Patch, Ran, Strategy};
use crate::objects::Sameness;

/// All rows, by what they are.
#[derive(Debug, Default)]
pub struct Data {
    /// Cold builds.
    pub bases: Vec<Base>,
    /// Patches.
    pub patches: Vec<Patch>,
    /// What ran because of them.
    pub ran: Vec<Ran>,
}

/// A patch, under whatever strategy: package and kind.
pub type Name = (String, String);

fn name(edit: &Edit) -> Name {
    (edit.package.clone(), edit.kind.clone())
}

impl Data {
    /// Sorts rows out.
    pub fn new(lines: &[Line]) -> Self {
        let mut data = Self::default();
        for line in lines {
            match line {
                Line::Base(base) => data.bases.push(base.clone()),
                Line::Patch(patch) => data.patches.push(patch.clone()),
                Line::Ran(ran) => data.ran.push(ran.clone()),
            }
        }
        data
    }

    /// The strategies that patches were tried under, in the order of the rows.
    pub fn strategies(&self) -> Vec<Strategy> {
        let mut found: Vec<Strategy> = Vec::new();
        for patch in &self.patches {
            if !found.contains(&patch.edit.strategy) {
                found.push(patch.edit.strategy.clone());
            }
        }
        found
    }

    /// The patches that were tried under all of these, in the order of the rows.
    pub fn common(&self, strategies: &[Strategy]) -> Vec<Name> {
        let of = |strategy: &Strategy| -> Vec<Name> {
            let patches = self.patches.iter().filter(|patch| patch.edit.strategy == *strategy);
            patches.map(|patch| name(&patch.edit)).collect()
        };
        let Some((first, others)) = strategies.split_first() else { return Vec::new() };
        let others: Vec<BTreeSet<Name>> =
            others.iter().map(|other| of(other).into_iter().collect()).collect();
        of(first).into_iter().filter(|patch| others.iter().all(|of| of.contains(patch))).collect()
    }

    /// What a patch cost under a strategy.
    pub fn patch(&self, strategy: &Strategy, patch: &Name) -> Option<&Patch> {
        self.patches.iter().find(|of| of.edit.strategy == *strategy && name(&of.edit) == *patch)
    }

    /// The sums over these patches under a strategy.
    pub fn cost(&self, strategy: &Strategy, patches: &[Name]) -> Cost {
        let mut cost = Cost::default();
        for patch in patches.iter().filter_map(|patch| self.patch(strategy, patch)) {
            cost.builders += patch.builders;
            cost.wall_ms += patch.wall_ms;
            cost.cpu_ms += patch.cpu_ms;
            cost.written_bytes += patch.written_bytes;
            cost.back_builders += patch.back_builders;
        }
        cost
    }

    /// What became of the dependants that ran under a strategy because of these patches; of one kind, or of all.
    pub fn dependants(&self, strategy: &Strategy, kind: Option<&str>) -> Dependants {
        let mut found = Dependants::default();
        for ran in self.ran.iter().filter(|ran| ran.edit.strategy == *strategy && !ran.own) {
            if kind.is_some_and(|kind| kind != ran.edit.kind) {
                continue;
            }
            found.ran += ran.count;
            found.cpu_ms += ran.cpu_ms;
            match ran.came_out {
                Sameness::Identical => found.identical += ran.count,
                Sameness::Renamed => found.renamed += ran.count,
                Sameness::Different => found.different += ran.count,
            }
            if ran.came_out != Sameness::Different {
                found.wasted_cpu_ms += ran.cpu_ms;
            } else if ran.took_in != Sameness::Different {
                found.misled += ran.count;
                found.misled_names.extend(ran.names.iter().cloned());
            }
            *found.saved_by.entry(ran.saved_by).or_default() += ran.count;
            *found.saved_cpu_ms.entry(ran.saved_by).or_default() += ran.cpu_ms;
        }
        found
    }
}

/// What patches cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Builders that ran.
    pub builders: u64,
    /// Wall time.
    pub wall_ms: u64,
    /// Processor time, floe's own included.
    pub cpu_ms: u64,
    /// Bytes that stores grew by.
    pub written_bytes: u64,
    /// Builders that ran on the way back.
    pub back_builders: u64,
}

/// What became of dependants that ran.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Dependants {
    /// How many did.
    pub ran: usize,
    /// Came out byte for byte as before.
    pub identical: usize,
    /// ... but for names of store paths.
    pub renamed: usize,
    /// Came out otherwise.
    pub different: usize,
    /// Came out otherwise although all they take in was the same but for names: retargeting them would have been wrong.
    pub misled: usize,
    /// Some of these.
    pub misled_names: BTreeSet<String>,
    /// Processor time of all.
    pub cpu_ms: u64,
    /// Of those that came out as before, up to names.
    pub wasted_cpu_ms: u64,
    /// How many each kind of knowledge would have saved.
    pub saved_by: BTreeMap<Knowledge, usize>,
    /// Their processor time.
    pub saved_cpu_ms: BTreeMap<Knowledge, u64>,
}

impl Dependants {
    /// How many ran for nothing.
    pub fn wasted(&self) -> usize {
        self.identical + self.renamed
    }
}
