//! The studies: a module each, which makes trials of a description and a section of rows.

pub mod graphs;
mod history;
pub mod patches;
mod peers;
mod reproducibility;

use anyhow::{Result, bail};

use crate::description::{Description, Scale};
use crate::study::Study;

type Open = fn(&Description, Scale) -> Result<Box<dyn Study>>;

/// What `kind` in a `study.toml` may say. A study joins by a line here.
const KINDS: &[(&str, Open)] = &[
    ("graphs", graphs::open),
    ("history", history::open),
    ("patches", patches::open),
    ("peers", peers::open),
    ("reproducibility", reproducibility::open),
];

/// The study that a description names, at a scale.
///
/// # Errors
/// There is no such kind, or its parameters are not what it wants.
pub fn open(description: &Description, scale: Scale) -> Result<Box<dyn Study>> {
    match KINDS.iter().find(|(kind, _)| *kind == description.kind) {
        Some((_, open)) => open(description, scale),
        None => bail!(
            "the study '{}' is of the kind '{}', which this floe does not know",
            description.name,
            description.kind
        ),
    }
}
