//! How likely builds come out as before, by kind of patch, as the study of patches counted it. Simulates nothing.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::record;
use crate::studies::patches;
use crate::studies::patches::survival::{Level, Survival};
use crate::study::Place;

/// The study whose rows are read.
const STUDY: &str = "patches";

/// What was counted of packages that ran after a kind of patch: how many came out as before, of how many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The kind.
    pub kind: String,
    /// Whether results that differ in names of store paths alone count as equal.
    pub masked: bool,
    /// The patched packages.
    pub own: [u64; 2],
    /// What takes in something that came out otherwise.
    pub above: [u64; 2],
}

impl Measured {
    /// How likely the patched package comes out as before.
    pub fn own_share(&self) -> f64 {
        share(self.own)
    }

    /// How likely a build above it does. Where none ran, nothing came out otherwise, and what is assumed does not matter.
    pub fn above_share(&self) -> f64 {
        share(self.above)
    }
}

fn share([hits, of]: [u64; 2]) -> f64 {
    hits as f64 / of.max(1) as f64
}

/// By kind, each twice: byte for byte, and masked.
///
/// # Errors
/// The study of patches has no results of this scale.
pub fn read(place: &Place) -> Result<Vec<Measured>> {
    let folder = place.folder.with_file_name(STUDY);
    let file = folder.join("results").join(format!("{}.jsonl", place.scale.name()));
    let found = of(&patches::survival(&record::read(&file)?.rows)?);
    if found.is_empty() {
        bail!("the study '{STUDY}' has counted nothing yet: run it first, then this one goes on");
    }
    Ok(found)
}

/// The same from what that study makes of its rows.
fn of(survivals: &[Survival]) -> Vec<Measured> {
    let mut found: BTreeMap<(&str, bool), Measured> = BTreeMap::new();
    for of in survivals {
        for masked in [false, true] {
            let equal = if masked { of.identical_masked } else { of.identical };
            let kind = || Measured { kind: of.kind.clone(), masked, own: [0, 0], above: [0, 0] };
            let counted = found.entry((&of.kind, masked)).or_insert_with(kind);
            let counted = match of.level {
                Level::Patched => &mut counted.own,
                Level::Dependant => &mut counted.above,
            };
            *counted = [equal as u64, of.ran as u64];
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_byte_for_byte_and_masked() {
        let survival = |level, identical, identical_masked| Survival {
            kind: "doc".to_owned(),
            level,
            ran: 4,
            identical,
            identical_masked,
        };
        let found = of(&[survival(Level::Patched, 0, 0), survival(Level::Dependant, 2, 4)]);
        let told: Vec<_> = found.iter().map(|of| (of.masked, of.own, of.above)).collect();
        assert_eq!(told, [(false, [0, 4], [2, 4]), (true, [0, 4], [4, 4])]);
        assert!((found[0].above_share() - 0.5).abs() < 1e-9);
    }
}
