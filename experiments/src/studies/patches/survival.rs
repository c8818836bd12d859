//! How often the output of a package that was rebuilt is what it was: the probability that a change ends there. Reads rows;
//! other studies simulate with it.

use std::collections::BTreeMap;

use anyhow::Result;

use super::rows::{self, Line};
use crate::objects::Sameness;
use crate::record::Row;
use crate::stats;

/// The rebuilder whose runs count: under it a package runs again only if what it takes in has other bytes.
const REBUILDER: &str = "content-addressed";
/// The grain whose runs count.
const GRAIN: &str = "package";

/// Where a rebuilt package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is the patched one.
    Patched,
    /// It takes in something that came out with other bytes.
    Dependant,
}

/// What became of the outputs of packages that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survival {
    /// The kind of patch.
    pub kind: String,
    /// Where they stand.
    pub level: Level,
    /// How many ran.
    pub ran: usize,
    /// How many of them came out byte for byte as before.
    pub identical: usize,
    /// How many did once names of store paths are masked; those of `identical` included.
    pub identical_masked: usize,
}

/// A probability with the interval that holds it with 95 % (Wilson's).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probability {
    /// The share that was seen.
    pub share: f64,
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Survival {
    /// That an output survives byte for byte: what content addressing can use. `None` if nothing ran.
    pub fn byte(&self) -> Option<Probability> {
        probability(self.identical, self.ran)
    }

    /// That it survives up to names of store paths: what normalised cutoff can use. `None` if nothing ran.
    pub fn masked(&self) -> Option<Probability> {
        probability(self.identical_masked, self.ran)
    }
}

fn probability(hits: usize, of: usize) -> Option<Probability> {
    let (low, high) = stats::share(hits, of)?;
    Some(Probability { share: hits as f64 / of as f64, low, high })
}

/// By kind of patch and level, from this study's raw rows (all of them may be given).
///
/// # Errors
/// A row is none of this study's.
pub fn survival(rows: &[Row]) -> Result<Vec<Survival>> {
    Ok(of(&rows::read(rows)?))
}

/// The same from rows that were read.
pub fn of(lines: &[Line]) -> Vec<Survival> {
    let mut found: BTreeMap<(String, Level), Survival> = BTreeMap::new();
    for line in lines {
        let Line::Ran(ran) = line else { continue };
        if ran.edit.strategy.rebuilder != REBUILDER || ran.edit.strategy.grain != GRAIN {
            continue;
        }
        let level = if ran.own { Level::Patched } else { Level::Dependant };
        let kind = ran.edit.kind.clone();
        let of = found.entry((kind.clone(), level)).or_insert_with(|| Survival {
            kind,
            level,
            ran: 0,
            identical: 0,
            identical_masked: 0,
        });
        of.ran += ran.count;
        if ran.came_out == Sameness::Identical {
            of.identical += ran.count;
        }
        if ran.came_out <= Sameness::Renamed {
            of.identical_masked += ran.count;
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_content_addressed_packages_count() {
        let row = |rebuilder: &str, grain: &str, own: bool, came_out: &str| {
            Row {
            trial: "t".to_owned(),
            fields: json!({
                "what": "ran", "grain": grain, "rebuilder": rebuilder, "package": "zlib", "kind": "impl", "names": ["n"],
                "count": 1, "own": own, "came_out": came_out, "took_in": "identical", "saved_by": "nothing", "files": [],
                "cpu_ms": 1,
            })
            .as_object()
            .expect("an object")
            .clone(),
        }
        };
        let ca = "content-addressed";
        let found = survival(&[
            row(ca, "package", true, "different"),
            row(ca, "package", false, "renamed"),
            row(ca, "package", false, "identical"),
            row(ca, "package", false, "different"),
            row(ca, "file", false, "identical"),
            row("input-addressed", "package", false, "identical"),
        ])
        .expect("rows");
        let told: Vec<_> =
            found.iter().map(|of| (of.level, of.ran, of.identical, of.identical_masked)).collect();
        assert_eq!(told, [(Level::Patched, 1, 0, 0), (Level::Dependant, 3, 1, 2)]);
        let masked = found[1].masked().expect("three ran");
        assert!((masked.share - 2.0 / 3.0).abs() < 1e-9 && masked.low > 0.2 && masked.high < 0.95);
    }
}
