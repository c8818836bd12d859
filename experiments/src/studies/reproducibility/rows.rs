//! The rows of this study. Field names of the raw data stand here and nowhere else.

use serde::{Deserialize, Serialize};

use crate::objects::{Comparison, How};
use crate::record::Written;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Line {
    /// A set of packages, built a second time.
    Set(Set),
    /// An output of a set that came out otherwise.
    Output(Output),
    /// Something that a builder can ask of its surroundings.
    Fact(Fact),
    /// A builder that is not careful.
    Specimen(Specimen),
}

/// A set of packages, built a second time under a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// The set's name.
    pub set: String,
    /// The condition's name.
    pub condition: String,
    /// Derivations, fetched sources left out.
    pub derivations: usize,
    /// How many of them a builder ran for, the second time.
    pub built: usize,
    /// Those whose outputs are the same in every byte.
    pub identical: usize,
    /// Those whose outputs are so once digests of store paths are masked.
    pub renamed: usize,
    /// The others.
    pub different: usize,
    /// Files in all outputs.
    pub files: usize,
    /// Those of them that are the same in every byte.
    pub files_identical: usize,
    /// Wall time of the request.
    pub wall_ms: u64,
    /// Processor time of all builders.
    pub builders_cpu_ms: u64,
}

/// A file of an output that came out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The set's name.
    pub set: String,
    /// The condition's name.
    pub condition: String,
    /// The derivation's name.
    pub derivation: String,
    /// The file, relative to the output.
    pub file: String,
    /// In what it differs, as [`How`] is written.
    pub how: String,
    /// Its first byte that differs in more than digests.
    pub offset_bytes: Option<u64>,
    /// Whether a time of day stands there as text, both times.
    pub time: bool,
}

/// Something that a builder can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The condition's name.
    pub condition: String,
    /// Its name in the probe.
    pub fact: String,
    /// Whether the answer was another one than the first time.
    pub differs: bool,
    /// Whether there was an answer.
    pub answered: bool,
}

/// A builder that is not careful, built a second time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specimen {
    /// The condition's name.
    pub condition: String,
    /// Its name.
    pub specimen: String,
    /// What gets into its output.
    pub cause: String,
    /// Whether its output was another one than the first time.
    pub differs: bool,
    /// The first file that differs.
    pub file: Option<String>,
    /// Where floe's own check, made in the same store, said that it differs, if it was made and found anything.
    pub checked: Option<String>,
}

impl Written for Line {}

/// The first file that differs in more than digests, or else the first that differs.
pub fn first(found: &Comparison) -> Option<&crate::objects::FileDifference> {
    found.real().next().or_else(|| found.files.iter().find(|file| file.how == How::Names))
}
