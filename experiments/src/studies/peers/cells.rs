//! The rows of all repetitions, brought together by size, system and request. Says nothing about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;

use super::system::{Kind, SYSTEMS};
use crate::record::Row;
use crate::stats::{self, Estimate};

/// What the repetitions of one request gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Fewest and most actions that ran.
    pub actions: (f64, f64),
    /// How few must run.
    pub least: f64,
    /// The edited action and all above it.
    pub above: f64,
    /// Wall time.
    pub wall: Estimate,
    /// Processor time.
    pub cpu: Estimate,
    /// The most memory of one process.
    pub peak: Peak,
}

/// The most memory that a process held, in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Peak {
    /// As much.
    Mib(f64),
    /// No more than what measures it held itself, so that it cannot be told.
    Below(f64),
}

impl fmt::Display for Peak {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mib(mib) => write!(out, "{}", stats::whole(*mib)),
            Self::Below(mib) => write!(out, "< {}", stats::whole(mib.ceil())),
        }
    }
}

/// All that was measured.
#[derive(Debug, Default)]
pub struct Cells {
    cells: BTreeMap<(usize, String, String), Cell>,
    /// The median load of the machine for each core.
    pub load: Option<f64>,
    /// Systems that were not there, by size.
    pub missing: BTreeSet<(usize, String)>,
}

impl Cells {
    /// Of these rows.
    ///
    /// # Errors
    /// A row lacks a field.
    pub fn of(rows: &[Row]) -> Result<Self> {
        let mut by_request: BTreeMap<(usize, String, String), Vec<&Row>> = BTreeMap::new();
        let mut missing = BTreeSet::new();
        for row in rows {
            let (size, system) = (row.number("size")? as usize, row.text("system")?.to_owned());
            match row.text("edit")? {
                "left out" => {
                    missing.insert((size, system));
                }
                edit => by_request.entry((size, system, edit.to_owned())).or_default().push(row),
            }
        }
        let measured = by_request.values().flatten();
        let loads = measured.map(|row| row.number("load_share")).collect::<Result<Vec<f64>>>()?;
        let load = stats::estimate(&loads).map(|load| load.median);
        let cells = by_request.into_iter().map(|(key, rows)| Ok((key, cell(&rows)?)));
        Ok(Self { cells: cells.collect::<Result<_>>()?, load, missing })
    }

    /// The sizes, from the smallest.
    pub fn sizes(&self) -> Vec<usize> {
        let sizes: BTreeSet<usize> = self.cells.keys().map(|(size, _, _)| *size).collect();
        sizes.into_iter().collect()
    }

    /// The systems that were measured at a size.
    pub fn systems(&self, size: usize) -> Vec<&'static Kind> {
        let measured =
            |kind: &&Kind| self.cells.keys().any(|(of, name, _)| *of == size && name == kind.name);
        SYSTEMS.iter().filter(measured).collect()
    }

    /// What a system took for a request.
    pub fn get(&self, size: usize, system: &str, edit: &str) -> Option<&Cell> {
        self.cells.get(&(size, system.to_owned(), edit.to_owned()))
    }

    /// Of the systems that `counts`, the one with the least median of a measure for a request.
    pub fn best(
        &self,
        size: usize,
        edit: &str,
        measure: fn(&Cell) -> &Estimate,
        counts: impl Fn(&Kind) -> bool,
    ) -> Option<(&'static Kind, Estimate)> {
        let measured = self.systems(size).into_iter().filter(|kind| counts(kind));
        measured
            .filter_map(|kind| Some((kind, *measure(self.get(size, kind.name, edit)?))))
            .min_by(|a, b| a.1.median.total_cmp(&b.1.median))
    }
}

fn cell(rows: &[&Row]) -> Result<Cell> {
    let numbers =
        |name: &str| rows.iter().map(|row| row.number(name)).collect::<Result<Vec<f64>>>();
    let estimate = |name: &str| {
        Ok::<_, anyhow::Error>(
            stats::estimate(&numbers(name)?)
                .unwrap_or_else(|| unreachable!("a request that was grouped has a row")),
        )
    };
    let most = |values: Vec<f64>| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let actions = numbers("actions")?;
    let (peak, floor) = (most(numbers("peak_kb")?), most(numbers("floor_kb")?));
    Ok(Cell {
        actions: (actions.iter().copied().fold(f64::INFINITY, f64::min), most(actions)),
        least: most(numbers("least")?),
        above: most(numbers("above")?),
        wall: estimate("wall_ms")?,
        cpu: estimate("cpu_ms")?,
        peak: if peak > floor { Peak::Mib(peak / 1024.0) } else { Peak::Below(floor / 1024.0) },
    })
}
