//! What the description of the study may say, and the trials that follow: a graph and a question each. Runs nothing.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::debian::Reach;
use crate::study::Trial;

/// The parameters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The graphs.
    pub graphs: Vec<Origin>,
    /// The names of those that are asked about; of all if none is named.
    #[serde(default)]
    pub only: Vec<String>,
    /// How likely a build comes out as before, at every level; 0 is always among them.
    pub likelihoods: Vec<f64>,
    /// Whether to simulate with what the study of patches found, too, by kind of patch.
    pub measured: bool,
    /// How often chance is asked.
    pub seeds: u64,
    /// How many packages are patched where chance decides, others with each seed; all if there are no more.
    pub patches: usize,
    /// How many packages that hold changes up are chosen.
    pub holding: usize,
    /// How the simulation is held against others.
    pub check: Check,
}

/// A graph and where it is from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The file's name.
    pub name: String,
    /// What the report calls it.
    pub title: String,
    /// If it is a package set in the Nix language.
    pub nix: Option<Nix>,
    /// If it is a suite of Debian.
    pub debian: Option<Debian>,
    /// If the engine and the models are asked about it, too: of so many of its builds, or all if there are no more.
    pub check: Option<usize>,
}

/// A package set in the Nix language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nix {
    /// A checkout of it.
    pub checkout: Checkout,
    /// What is evaluated, in the checkout.
    pub expression: String,
    /// A file that says where a library is from, and where it is from here: what it names is not to be downloaded.
    pub pin: Option<Pin>,
}

/// A file that is replaced.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The file.
    pub file: String,
    /// The attribute by which it names the library.
    pub attribute: String,
    /// A checkout of the library.
    pub checkout: Checkout,
}

/// Sources that are not brought along.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// Owner and name at GitHub.
    pub repository: String,
    /// Which state of it.
    pub commit: String,
    /// The environment variable that says where it is checked out.
    pub variable: String,
}

/// A suite of Debian.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// Its code name.
    pub suite: String,
    /// For which machines it is built.
    pub architecture: String,
    /// How far a build sees.
    pub reach: Reach,
}

/// How the simulation is held against others: on a graph or a part of it, its cycles cut.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// If this is less than what a graph says, so many builds.
    pub at_most: Option<usize>,
    /// So many patches.
    pub patches: usize,
    /// How likely a build comes out as before that needs the patched one.
    pub first: f64,
    /// Any other.
    pub further: f64,
    /// floe's rebuilders that are asked.
    pub rebuilders: Vec<String>,
    /// The models that are asked: under `content` those that go by content, under `inputs` by inputs.
    pub models: Vec<String>,
}

/// What is asked of a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// How large it is.
    Shape,
    /// What its most used packages cost.
    Used,
    /// What patches cost when builds come out as before with this likelihood.
    Spread(f64),
    /// The same with what the study of patches found.
    Measured,
    /// Which packages hold the most up.
    Holding,
    /// What a model runs.
    Model(String),
    /// What floe runs under a rebuilder.
    Engine(String),
}

impl Question {
    /// As it stands in a trial's key.
    fn key(&self) -> String {
        match self {
            Self::Shape => "shape".to_owned(),
            Self::Used => "used".to_owned(),
            Self::Spread(p) => format!("survival {p}"),
            Self::Measured => "survival as measured".to_owned(),
            Self::Holding => "holding".to_owned(),
            Self::Model(name) => format!("model {name}"),
            Self::Engine(name) => format!("floe {name}"),
        }
    }

    /// How long it takes, in minutes of a machine that does other things as well.
    fn weight(&self) -> f64 {
        match self {
            Self::Shape => 0.1,
            Self::Spread(_) | Self::Used => 1.0,
            Self::Measured | Self::Holding | Self::Model(_) => 3.0,
            Self::Engine(_) => 10.0,
        }
    }
}

impl Parameters {
    /// All trials: what tells most comes first.
    fn planned(&self) -> Vec<(&Origin, Question)> {
        let mut first = vec![Question::Shape, Question::Spread(0.0)];
        first.extend(self.likelihoods.iter().map(|p| Question::Spread(*p)));
        let models = self.check.models.iter().cloned().map(Question::Model);
        let engines = self.check.rebuilders.iter().cloned().map(Question::Engine);
        let checks: Vec<Question> = models.chain(engines).collect();
        let of_all = |question: Question| self.graphs.iter().map(move |of| (of, question.clone()));
        let checked = self.graphs.iter().filter(|of| of.check.is_some());
        let checked = checked.flat_map(|of| checks.iter().map(move |check| (of, check.clone())));
        let mut last = vec![Question::Used, Question::Holding];
        last.extend(self.measured.then_some(Question::Measured));
        let all = first.into_iter().flat_map(of_all).chain(checked);
        all.chain(last.into_iter().flat_map(of_all)).collect()
    }

    /// The trials, for the runner.
    pub fn trials(&self) -> Vec<Trial> {
        let planned = self.planned().into_iter();
        planned
            .map(|(of, question)| {
                Trial::new(format!("{}: {}", of.name, question.key())).weighing(question.weight())
            })
            .collect()
    }

    /// What a trial asks.
    ///
    /// # Errors
    /// There is no such trial.
    pub fn asked(&self, key: &str) -> Result<(&Origin, Question)> {
        let found = self
            .planned()
            .into_iter()
            .find(|(of, question)| format!("{}: {}", of.name, question.key()) == key);
        found.with_context(|| format!("the study of graphs has no trial '{key}'"))
    }
}
