//! How likely builds come out as before, by kind of patch: counted by the study of patches, in its raw rows. Simulates nothing.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::record::{self, Row};
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
    let found = of(&record::read(&file)?.rows)?;
    if found.is_empty() {
        bail!("the study '{STUDY}' has counted nothing yet: run it first, then this one goes on");
    }
    Ok(found)
}

/// The same from rows. Packages count that ran because something they take in has other bytes.
fn of(rows: &[Row]) -> Result<Vec<Measured>> {
    let mut found: BTreeMap<(String, bool), Measured> = BTreeMap::new();
    for row in rows {
        let counts = row.text("what")? == "ran"
            && row.text("rebuilder")? == "content-addressed"
            && row.text("grain")? == "package";
        if !counts {
            continue;
        }
        let kind = row.text("kind")?.to_owned();
        let own = row.field("own")?.as_bool().context("'own' is neither true nor false")?;
        let count = row.number("count")? as u64;
        let came_out = row.text("came_out")?;
        for masked in [false, true] {
            let equal = came_out == "identical" || (masked && came_out == "renamed");
            let of = found.entry((kind.clone(), masked)).or_insert_with(|| Measured {
                kind: kind.clone(),
                masked,
                own: [0, 0],
                above: [0, 0],
            });
            let of = if own { &mut of.own } else { &mut of.above };
            of[0] += if equal { count } else { 0 };
            of[1] += count;
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packages_under_content_addressing_count() {
        let row = |grain: &str, own: bool, came_out: &str| {
            Row {
            trial: "t".to_owned(),
            fields: json!({
                "what": "ran", "rebuilder": "content-addressed", "grain": grain, "kind": "doc", "own": own,
                "count": 2, "came_out": came_out,
            })
            .as_object()
            .expect("an object")
            .clone(),
        }
        };
        let rows = [
            row("package", true, "different"),
            row("package", false, "renamed"),
            row("package", false, "identical"),
            row("file", false, "different"),
        ];
        let found = of(&rows).expect("rows");
        let told: Vec<_> = found.iter().map(|of| (of.masked, of.own, of.above)).collect();
        assert_eq!(told, [(false, [0, 2], [2, 4]), (true, [0, 2], [4, 4])]);
        assert!((found[0].above_share() - 0.5).abs() < 1e-9);
    }
}
