//! A study's folder: `study.toml` describes it, `results/` holds what it gave. Reads and checks, runs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How much of a study runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// All studies together in three minutes: to see that they run, not to quote.
    Quick,
    /// What the report is made of.
    Full,
}

impl Scale {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// `study.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What the report calls it.
    pub title: String,
    /// What it asks, in a sentence.
    pub question: String,
    /// Which code runs it: a name that [`crate::studies::open`] knows.
    pub kind: String,
    /// Where it stands in the report.
    pub order: u32,
    /// How long the full run took when it was last timed, in minutes.
    pub full_minutes: f64,
    /// The seed of all that is drawn by chance.
    #[serde(default = "one")]
    pub seed: u64,
    /// Of each measure that the report quotes, the factor by which the interval that it states has to be widened at both ends
    /// to hold what another day gives: intervals are of one day's runs, and days differ. `compare` holds a run to it.
    #[serde(default)]
    pub another_day: BTreeMap<String, f64>,
    /// What the full run does: the kind says what may stand here.
    pub full: toml::Table,
    /// What the quick run does instead: entries that replace those of `full`.
    #[serde(default)]
    pub quick: toml::Table,
    /// The folder's name.
    #[serde(skip)]
    pub name: String,
    /// The folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

fn one() -> u64 {
    1
}

impl Description {
    /// Reads the folder of one study.
    ///
    /// # Errors
    /// There is no description, or it is not one.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("study.toml");
        let text = fs::read_to_string(&file).with_context(|| {
            format!("there is no study in {}: cannot read {}", folder.display(), file.display())
        })?;
        let mut description: Self =
            toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        if let Some((measure, factor)) =
            description.another_day.iter().find(|(_, factor)| **factor < 1.0 || !factor.is_finite())
        {
            bail!(
                "in {}: 'another_day' widens an interval, so {measure} = {factor} must be 1 or more",
                file.display()
            );
        }
        description.name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        description.folder = folder.to_path_buf();
        Ok(description)
    }

    /// What the kind's code is told at this scale.
    ///
    /// # Errors
    /// Something is missing, unknown or of another type; the message names it.
    pub fn parameters<T: DeserializeOwned>(&self, scale: Scale) -> Result<T> {
        let mut table = self.full.clone();
        if scale == Scale::Quick {
            table.extend(self.quick.clone());
        }
        T::deserialize(toml::Value::Table(table)).with_context(|| {
            format!("in the {} parameters of {}/study.toml", scale.name(), self.folder.display())
        })
    }

    /// Where the raw results of a scale are kept.
    pub fn results(&self, scale: Scale) -> PathBuf {
        self.folder.join("results").join(format!("{}.jsonl", scale.name()))
    }
}

/// All studies below a folder, in the report's order.
///
/// # Errors
/// A description cannot be read.
pub fn all(studies: &Path) -> Result<Vec<Description>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(studies).with_context(|| {
        format!(
            "cannot list the studies in {}; name their folder with --studies",
            studies.display()
        )
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.join("study.toml").is_file() {
            found.push(Description::read(&path)?);
        }
    }
    found.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    Ok(found)
}

/// Those that were named, or all.
///
/// # Errors
/// There is none of a name; the message lists those there are.
pub fn chosen(studies: &Path, names: &[String]) -> Result<Vec<Description>> {
    let all = all(studies)?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|study| study.name != **name)) {
        let known: Vec<&str> = all.iter().map(|study| study.name.as_str()).collect();
        bail!("there is no study '{unknown}'; there are {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|study| names.is_empty() || names.contains(&study.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        counts: Vec<u32>,
        runs: u32,
    }

    fn written(text: &str) -> (tempfile::TempDir, Result<Description>) {
        let folder = tempfile::tempdir().expect("a directory");
        fs::write(folder.path().join("study.toml"), text).expect("written");
        let read = Description::read(folder.path());
        (folder, read)
    }

    const TEXT: &str = "title = 't'\nquestion = 'q'\nkind = 'k'\norder = 1\nfull_minutes = 2\n\
                        [full]\ncounts = [1, 2]\nruns = 5\n[quick]\nruns = 1\n";

    #[test]
    fn quick_replaces_what_it_names() {
        let (_folder, read) = written(TEXT);
        let description = read.expect("a description");
        let full: Parameters = description.parameters(Scale::Full).expect("full");
        assert_eq!(full, Parameters { counts: vec![1, 2], runs: 5 });
        let quick: Parameters = description.parameters(Scale::Quick).expect("quick");
        assert_eq!(quick, Parameters { counts: vec![1, 2], runs: 1 });
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_name() {
        let (_folder, read) = written(&format!("colour = 'red'\n{TEXT}"));
        assert!(format!("{:#}", read.expect_err("refused")).contains("colour"));
        let (_folder, read) = written(&format!("another_day = {{ wall_ms = 0.9 }}\n{TEXT}"));
        assert!(format!("{:#}", read.expect_err("refused")).contains("wall_ms = 0.9"));
        let (_folder, read) = written(&format!("{TEXT}speed = 3\n"));
        let fault = read
            .expect("a description")
            .parameters::<Parameters>(Scale::Quick)
            .expect_err("refused");
        assert!(format!("{fault:#}").contains("speed"), "{fault:#}");
    }
}
