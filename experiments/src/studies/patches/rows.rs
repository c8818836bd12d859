//! The rows of this study: one for a cold base, one for a patch, and one for each derivation that a patch made run. Field
//! names of the raw data stand here and nowhere else.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::objects::Sameness;
use crate::record::{Row, Written};

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Line {
    /// Everything, from a store that holds the toolchain only.
    Base(Base),
    /// A patch, and the way back.
    Patch(Patch),
    /// What ran because of it.
    Ran(Ran),
}

/// Under what something ran.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Strategy {
    /// What is one derivation: a `package`, or a `file`.
    pub grain: String,
    /// floe's name for it.
    pub rebuilder: String,
}

/// A patch under a strategy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edit {
    /// Under what.
    #[serde(flatten)]
    pub strategy: Strategy,
    /// Which package is patched.
    pub package: String,
    /// How.
    pub kind: String,
}

/// The cold build that patches are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Under what.
    #[serde(flatten)]
    pub strategy: Strategy,
    /// Derivations, fetched sources left out.
    pub derivations: usize,
    /// Builders that ran, fetchers left out.
    pub builders: usize,
    /// The whole command.
    pub wall_ms: u64,
    /// Processor time of floe and all builders.
    pub cpu_ms: u64,
    /// Processor time of the builders alone.
    pub builders_cpu_ms: u64,
    /// Bytes on the disk that the store grew by.
    pub written_bytes: u64,
}

/// What a patch cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// Which.
    #[serde(flatten)]
    pub edit: Edit,
    /// Builders that ran.
    pub builders: u64,
    /// Derivations above the change that did not run because an input came out byte for byte as before.
    pub cut_byte: usize,
    /// ... as before up to names of store paths.
    pub cut_normalised: usize,
    /// ... as before in all that their builds had observed.
    pub cut_observed: usize,
    /// Outputs made of old ones by putting in other names.
    pub retargeted: usize,
    /// Derivations that nothing happened to.
    pub reused: usize,
    /// The whole command.
    pub wall_ms: u64,
    /// Processor time of floe and all builders.
    pub cpu_ms: u64,
    /// Processor time of the builders alone.
    pub builders_cpu_ms: u64,
    /// Bytes on the disk that the store grew by.
    pub written_bytes: u64,
    /// Builders that ran when the patch was taken away again.
    pub back_builders: u64,
    /// That whole command.
    pub back_wall_ms: u64,
    /// Its processor time, builders included.
    pub back_cpu_ms: u64,
}

/// Derivations that ran because of a patch. In the grain of packages each has a row; in a finer one, those that are alike in
/// all that is said here share one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// Because of what.
    #[serde(flatten)]
    pub edit: Edit,
    /// Their names: the first few.
    pub names: Vec<String>,
    /// How many they are.
    pub count: usize,
    /// Whether they are the patched package itself, or parts of it; all others are dependants.
    pub own: bool,
    /// How they came out, compared with what was there before.
    pub came_out: Sameness,
    /// The same of what they take in from other derivations: the worst of it.
    pub took_in: Sameness,
    /// What would have made the run needless.
    pub saved_by: Knowledge,
    /// In which files, beyond names of store paths, what they take in differs: `derivation: file`, the first few.
    pub files: Vec<String>,
    /// Processor time of their builders.
    pub cpu_ms: u64,
}

/// What one must know to see beforehand that a run will change nothing, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knowledge {
    /// It was edited itself: to see that beforehand one has to understand the edit.
    Edit,
    /// Nothing below came out with other bytes: content addresses.
    ByteCutoff,
    /// What it takes in differs in names of store paths only: retargeting.
    NormalisedCutoff,
    /// What it takes in differs in documents only, which no build reads: which files a build reads.
    FileObservation,
    /// In headers too: which of them it reads, or what the compiler makes of them.
    HeaderUse,
    /// In libraries or programs too: what linking uses of them, or what running them gives.
    LibraryUse,
    /// Nothing: it came out different, so it had to run.
    Nothing,
}

impl Knowledge {
    /// All, the least first.
    pub const ALL: [Knowledge; 7] = [
        Self::Edit,
        Self::ByteCutoff,
        Self::NormalisedCutoff,
        Self::FileObservation,
        Self::HeaderUse,
        Self::LibraryUse,
        Self::Nothing,
    ];

    /// As readers know it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Edit => "edited",
            Self::ByteCutoff => "byte cutoff",
            Self::NormalisedCutoff => "normalised cutoff",
            Self::FileObservation => "observed files",
            Self::HeaderUse => "use of headers",
            Self::LibraryUse => "use of libraries",
            Self::Nothing => "nothing: different",
        }
    }
}

impl Written for Line {}

/// Rows as they were written.
///
/// # Errors
/// One is none of this study's; the message names its trial.
pub fn read(rows: &[Row]) -> Result<Vec<Line>> {
    rows.iter().map(Line::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Fields;

    #[test]
    fn rows_come_back_as_they_were_written() {
        let strategy = Strategy { grain: "package".to_owned(), rebuilder: "observed".to_owned() };
        let edit = Edit { strategy, package: "zlib".to_owned(), kind: "comment".to_owned() };
        let line = Line::Ran(Ran {
            edit,
            names: vec!["libpng-1.6.50".to_owned()],
            count: 1,
            own: false,
            came_out: Sameness::Renamed,
            took_in: Sameness::Different,
            saved_by: Knowledge::LibraryUse,
            files: vec!["zlib-1.3.2: lib/libz.so.1.3.2".to_owned()],
            cpu_ms: 5,
        });
        let fields = line.fields().expect("an object");
        assert_eq!(fields["what"], "ran");
        assert_eq!(fields["rebuilder"], "observed");
        assert_eq!(fields["saved_by"], "library-use");
        let row = Row { trial: "t".to_owned(), fields };
        assert_eq!(read(&[row]).expect("read"), [line]);
        let foreign = Row { trial: "other".to_owned(), fields: Fields::new() };
        assert!(format!("{:#}", read(&[foreign]).expect_err("refused")).contains("trial other"));
    }
}
