//! A step from one published version of a source to the next: what it changes in the archive, and the row that says what
//! came of it. Field names of the raw data stand here and in `effect.rs`, and nowhere else.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::effect::Effect;
use crate::objects::{self, Comparison};
use crate::process;
use crate::record::Written;

/// A published version of a source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "(String, String, String)")]
pub struct Version {
    /// The archive's.
    pub published: String,
    /// That of the library in it.
    pub upstream: String,
    /// The archive's SHA-256.
    pub sha256: String,
}

impl From<(String, String, String)> for Version {
    fn from((published, upstream, sha256): (String, String, String)) -> Self {
        Self { published, upstream, sha256 }
    }
}

/// What a step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// No file of the library: only what the archive holds beside it.
    Packaging,
    /// Files of the library, which is still called the same version.
    Source,
    /// The library is another version.
    Upstream,
}

impl Change {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Packaging, Self::Source, Self::Upstream];

    /// What the report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Packaging => "packaging only",
            Self::Source => "files of the same version",
            Self::Upstream => "another upstream version",
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bump {
    /// The package.
    pub package: String,
    /// floe's name for the rebuilder.
    pub strategy: String,
    /// The archive's version before.
    pub from: String,
    /// The archive's version after.
    pub to: String,
    /// The library's version before.
    pub upstream_from: String,
    /// The library's version after.
    pub upstream_to: String,
    /// What changed.
    pub change: Change,
    /// Files of the archive that differ.
    pub archive_files: usize,
    /// Those of them that are the library's.
    pub source_files: usize,
    /// What came of it, if everything was built.
    #[serde(flatten)]
    pub effect: Option<Effect>,
    /// Why not, if something was not.
    pub failure: Option<String>,
    /// Wall time of the whole request.
    pub wall_ms: u64,
}

impl Written for Bump {}

/// What two archives differ in.
#[derive(Debug, PartialEq, Eq)]
pub struct Archives {
    /// Files that differ.
    pub all: usize,
    /// Those of the library: everything below the folder that is its source.
    pub source: usize,
}

/// Unpacks two archives and compares them; `sources` says below which folder of each the library lies.
///
/// # Errors
/// One is no archive.
pub fn archives(old: &Path, new: &Path, sources: [&str; 2]) -> Result<Archives> {
    let place = tempfile::tempdir()?;
    let unpacked = |side: &str, archive: &Path| {
        let folder = place.path().join(side);
        std::fs::create_dir(&folder)?;
        let mut tar = Command::new("tar");
        tar.args(["--strip-components=1", "--no-same-permissions", "-xzf"]).arg(archive);
        process::succeed(tar.arg("-C").arg(&folder))?;
        anyhow::Ok(folder)
    };
    let (old, new) = (unpacked("old", old)?, unpacked("new", new)?);
    let all = files(&objects::compare(&old, &new)?, &old, &new)?;
    let [was, is] = [old.join(sources[0]), new.join(sources[1])];
    for folder in [&was, &is] {
        anyhow::ensure!(folder.is_dir(), "there is no folder {} in the archive", folder.display());
    }
    Ok(Archives { all, source: files(&objects::compare(&was, &is)?, &was, &is)? })
}

/// How many files differ, a folder that is in one only counted by what it holds.
fn files(found: &Comparison, old: &Path, new: &Path) -> Result<usize> {
    let below = |of: &objects::FileDifference| {
        let sides = [old.join(&of.file), new.join(&of.file)];
        sides.iter().map(|path| count(path)).sum::<Result<usize>>().map(|files| files.max(1))
    };
    let mut sum = 0;
    for of in &found.files {
        sum += match of.how {
            objects::How::Added | objects::How::Removed => below(of)?,
            _ => 1,
        };
    }
    Ok(sum)
}

fn count(path: &Path) -> Result<usize> {
    if !path.is_dir() {
        return Ok(usize::from(path.symlink_metadata().is_ok()));
    }
    std::fs::read_dir(path)?.map(|entry| count(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Row;

    fn archive(place: &Path, name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let folder = place.join(name);
        for (file, text) in files {
            let file = folder.join(file);
            std::fs::create_dir_all(file.parent().expect("below")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        let file = place.join(format!("{name}.crate"));
        let mut tar = Command::new("tar");
        process::succeed(tar.arg("-czf").arg(&file).arg("-C").arg(place).arg(name))
            .expect("packed");
        file
    }

    #[test]
    fn archives_are_compared_whole_and_below_the_source() {
        let place = tempfile::tempdir().expect("a directory");
        let old = archive(
            place.path(),
            "z-1",
            &[("Cargo.toml", "1"), ("z-1.0/a.c", "a"), ("z-1.0/doc/x", ""), ("z-1.0/doc/y", "")],
        );
        let new = archive(
            place.path(),
            "z-2",
            &[("Cargo.toml", "2"), ("z-1.0/a.c", "b"), ("build.rs", "")],
        );
        let found = archives(&old, &new, ["z-1.0", "z-1.0"]).expect("compared");
        assert_eq!(found, Archives { all: 5, source: 3 });
        let fault = archives(&old, &new, ["z-1.0", "src"]).expect_err("no folder");
        assert!(fault.to_string().contains("/src in the archive"), "{fault}");
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let bump = Bump {
            package: "zlib".to_owned(),
            strategy: "s".to_owned(),
            from: "1.1.8".to_owned(),
            to: "1.1.9".to_owned(),
            upstream_from: "1.2.11".to_owned(),
            upstream_to: "1.2.13".to_owned(),
            change: Change::Upstream,
            archive_files: 3,
            source_files: 2,
            effect: None,
            failure: Some("it does not build".to_owned()),
            wall_ms: 1,
        };
        let row =
            |bump: &Bump| Row { trial: "t".to_owned(), fields: bump.fields().expect("fields") };
        assert_eq!(Bump::of(&row(&bump)).expect("a step"), bump);
        let effect = Effect {
            above: 1,
            built: vec![1, 0],
            cut_off: vec![0, 1],
            cutoffs: [("byte".to_owned(), 1)].into(),
            own: crate::objects::Sameness::Identical,
            own_parts: Default::default(),
            ran_identical: 0,
            ran_renamed: 0,
            ran_different: 0,
            ran_for_names: 0,
            builders_cpu_ms: 5,
            needless_cpu_ms: 0,
        };
        let bump = Bump { effect: Some(effect), failure: None, ..bump };
        assert_eq!(Bump::of(&row(&bump)).expect("a step"), bump);
    }
}
