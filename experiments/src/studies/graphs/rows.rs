//! What the raw results of the study hold, as data. Concludes nothing.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::measured::Measured;
use crate::record::{Row, Written};

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Line {
    /// How large a graph is.
    Shape(Shape),
    /// What a package costs that many need.
    Used(Used),
    /// What patches cost.
    Spread(Spread),
    /// A package that holds changes up.
    Hold(Hold),
    /// No package that was tried holds anything up.
    Unheld(Unheld),
    /// What something else says that the simulation says, too.
    Check(Check),
}

/// How large a graph is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Its name.
    pub graph: String,
    /// Where it is from.
    pub origin: String,
    /// Everything.
    pub nodes: usize,
    /// What is built.
    pub builds: usize,
    /// What is agreed on beforehand.
    pub fixed: usize,
    /// What comes as one.
    pub bundles: usize,
    /// Uses of one by another.
    pub uses: usize,
    /// Packages that can be patched.
    pub packages: usize,
    /// Those among them that something else is built with.
    pub used: usize,
    /// The most builds that need each other in a circle.
    pub circle: usize,
}

/// What a package costs that many need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// The graph.
    pub graph: String,
    /// The package.
    pub package: String,
    /// How many builds are its own.
    pub own: u32,
    /// How many builds need one of them, its own included.
    pub direct: u32,
    /// How many builds run if nothing comes out as before.
    pub all: u32,
    /// How many if a build comes out as before with a likelihood of a half.
    pub half: u32,
}

/// What patches cost, each package patched once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The graph.
    pub graph: String,
    /// What was counted that the likelihoods are from, if they are not assumed.
    pub measured: Option<Measured>,
    /// How likely a build comes out as before that needs the patched package.
    pub first: f64,
    /// Any other.
    pub further: f64,
    /// What was drawn.
    pub seed: u64,
    /// Packages patched.
    pub patches: usize,
    /// Those among them that something else is built with.
    pub used: usize,
    /// The patched packages' own builds, all patches together.
    pub own_runs: u64,
    /// Builds that ran when the patched packages came out otherwise, all patches together.
    pub runs: u64,
    /// The same for packages that something else is built with.
    pub used_runs: u64,
    /// Half of the packages that something else is built with ran no more than this.
    pub median: u32,
    /// Nine in ten.
    pub tenth: u32,
    /// Ninety-nine in a hundred.
    pub hundredth: u32,
    /// The most.
    pub most: u32,
    /// Packages whose patch runs more than half of all builds.
    pub over_half: usize,
    /// How many patches run at most so many builds.
    pub at_most: Vec<(u32, usize)>,
}

/// A package that holds changes up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The graph.
    pub graph: String,
    /// Where in the order of choice, from 1.
    pub place: usize,
    /// The package.
    pub package: String,
    /// Builds that run after all patches, one at a time, with this package and those before it.
    pub runs: u64,
    /// The same if none holds.
    pub without: u64,
}

/// A graph in which no package alone holds changes up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unheld {
    /// The graph.
    pub graph: String,
    /// How many packages were tried: those that most patches reach and most is built with.
    pub tried: usize,
}

/// One patch, told by two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The graph that a part was taken of.
    pub graph: String,
    /// Who was asked.
    pub asked: String,
    /// Nodes of the part.
    pub nodes: usize,
    /// Builds among them.
    pub builds: usize,
    /// Uses that were left out because they close a circle.
    pub cut: usize,
    /// The patched package; nothing for the first build of all.
    pub package: Option<String>,
    /// Builders that the simulation runs.
    pub simulated: u64,
    /// Builders that ran.
    pub ran: u64,
}

impl Written for Line {}

/// The rows as data.
///
/// # Errors
/// A row is none of this study's.
pub fn read(rows: &[Row]) -> Result<Vec<Line>> {
    rows.iter().map(Line::of).collect()
}
