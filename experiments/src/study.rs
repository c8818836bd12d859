//! What a study is: trials that give rows, and a section of the report that is made of rows and of nothing else. No study
//! lives here; `studies/` holds them.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::description::Scale;
use crate::record::Row;
use crate::report::block::Section;

/// One thing to measure. It runs whole or not at all, so it is also what a run resumes at.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Names it among the trials of its study, in every run: what follows from the description, never from a clock.
    pub key: String,
    /// How long it takes, in any unit that is the same for all trials of a study; only for the estimate of what is left.
    pub weight: f64,
}

impl Trial {
    /// A trial that takes as long as any other.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), weight: 1.0 }
    }

    /// The same, taking so much longer.
    #[must_use]
    pub fn weighing(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
}

/// What one trial found: fields by name. Names that end in `_ms`, `_s`, `_bytes`, `_kb` or `_share` are measures, which
/// differ from run to run; all others must be the same whenever the trial runs again (see [`crate::compare`]).
pub type Fields = Map<String, Value>;

/// What a study may use while it runs.
#[derive(Debug)]
pub struct Place {
    /// The top of floe's sources: `pkgs/` and the studies' own folders lie there.
    pub top: PathBuf,
    /// The study's own folder.
    pub folder: PathBuf,
    /// Where it may put stores and whatever else should outlive a trial, so that the next need not begin anew.
    pub work: PathBuf,
    /// The floe command that is measured.
    pub floe: PathBuf,
    /// How much is measured.
    pub scale: Scale,
}

/// A study, as read from its description.
pub trait Study {
    /// All its trials at the scale it was made for, in the order in which they run.
    ///
    /// # Errors
    /// What the description asks for cannot be.
    fn trials(&self) -> Result<Vec<Trial>>;

    /// What is measured beside floe, with its version; a line of the raw data and of the report. Called once a run.
    ///
    /// # Errors
    /// A peer is missing and cannot be installed.
    fn peers(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    /// Runs one trial. What it needs of former ones (a base that was built) it sees to itself, since those may have run
    /// days ago, in another process.
    ///
    /// # Errors
    /// Anything that keeps it from giving a true result.
    fn run(&mut self, trial: &Trial, place: &Place) -> Result<Vec<Fields>>;

    /// What the rows say.
    ///
    /// # Errors
    /// A row lacks a field.
    fn section(&self, rows: &[Row]) -> Result<Section>;
}
