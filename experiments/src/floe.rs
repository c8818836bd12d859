//! floe as a study uses it: one build, and what its report says of each derivation. Reads the JSON lines that
//! `floe build --report` writes; knows no strategy by name.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::process::{self, Measured};

/// A store root, and the floe that works in it.
#[derive(Debug, Clone)]
pub struct Floe {
    program: PathBuf,
    root: PathBuf,
    /// Where commands run.
    folder: PathBuf,
}

/// What was decided for a derivation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Decision {
    /// Which derivation it is, the same before and after an edit.
    pub task: String,
    /// The derivation's name.
    pub name: String,
    /// `built`, `cutoff`, `reused`, `retargeted`, `substituted`, `failed` or `skipped`.
    pub decision: String,
    /// For a cutoff: `byte`, `normalised` or `observed`.
    pub kind: Option<String>,
    /// Whether its outputs equal the former ones.
    pub unchanged: bool,
    /// The path of the derivation as evaluated.
    pub drv: Option<String>,
    /// Output paths by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// Wall time of its builder in this request.
    pub wall_ms: Option<u64>,
    /// Processor time of its builder in this request.
    pub cpu_ms: Option<u64>,
}

/// A build that succeeded.
#[derive(Debug)]
pub struct Built {
    /// The whole command.
    pub measured: Measured,
    /// A decision for each derivation.
    pub decisions: Vec<Decision>,
    /// The report's counters, by name.
    pub counters: serde_json::Map<String, Value>,
}

impl Built {
    /// How many derivations were decided so.
    pub fn count(&self, decision: &str) -> usize {
        self.decisions.iter().filter(|of| of.decision == decision).count()
    }

    /// How many were cut off by this comparison.
    pub fn cut_off(&self, kind: &str) -> usize {
        self.decisions
            .iter()
            .filter(|of| of.decision == "cutoff" && of.kind.as_deref() == Some(kind))
            .count()
    }

    /// Builders that ran, those that evaluation waited for included.
    pub fn builders(&self) -> u64 {
        let counter = |name: &str| self.counters.get(name).and_then(Value::as_u64).unwrap_or(0);
        counter("builders_run") + counter("builders_run_for_evaluation")
    }

    /// Processor time of all builders, in milliseconds.
    pub fn builders_cpu_ms(&self) -> u64 {
        self.decisions.iter().filter_map(|of| of.cpu_ms).sum()
    }
}

impl Floe {
    /// floe in a store root, which it makes when it is not there. Commands run in `folder`.
    pub fn new(program: &Path, root: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_path_buf(),
            root: root.to_path_buf(),
            folder: folder.to_path_buf(),
        }
    }

    /// A command of floe's with these words.
    pub fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(&self.folder).env("FLOE_ROOT", &self.root);
        command
    }

    /// Builds, without a link and with a report.
    ///
    /// # Errors
    /// The build fails, or the report cannot be read.
    pub fn build<S: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Built> {
        self.build_as(words, |command| command)
    }

    /// The same by another command that is made of floe's.
    ///
    /// # Errors
    /// The build fails, or the report cannot be read.
    pub fn build_as<S: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
        wrap: impl FnOnce(Command) -> Command,
    ) -> Result<Built> {
        let folder = tempfile::tempdir()?;
        // Whoever the wrapped command runs as.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let report = folder.path().join("report");
        let mut command = self.command(["build", "--no-link"]);
        command.args(words).arg("--report").arg(&report);
        let measured = process::succeed(&mut wrap(command))?;
        let text = fs::read_to_string(&report).context("cannot read floe's report")?;
        let (decisions, counters) = parse(&text)?;
        Ok(Built { measured, decisions, counters })
    }

    /// The bytes on the disk below the store root.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn stored_bytes(&self) -> Result<u64> {
        Ok(disk_bytes(&self.root)?)
    }

    /// Where the store root is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the bytes of a store path lie on the disk.
    pub fn object(&self, path: &str) -> PathBuf {
        self.root.join("store").join(path.trim_start_matches("/nix/store/"))
    }
}

/// The names of all rebuilders that a floe has.
///
/// # Errors
/// floe cannot be run, or says something else than which there are.
pub fn rebuilders(program: &Path) -> Result<Vec<String>> {
    // Asked for one that there is not, it says which there are.
    let said = process::measure(Command::new(program).args(["build", "--rebuilder", "?"]))?.err;
    listed(&said).with_context(|| {
        format!("{} does not say which rebuilders it has: {said}", program.display())
    })
}

fn listed(said: &str) -> Option<Vec<String>> {
    let (_, names) = said.split_once("'?'; choose ")?;
    let names = names.lines().next()?.replace(" or ", ", ");
    Some(names.split(", ").map(str::to_owned).collect())
}

/// What `floe --version` says, and the commit of the sources if it is known.
///
/// # Errors
/// floe cannot be run.
pub fn version(program: &Path, top: &Path) -> Result<String> {
    let said = process::succeed(Command::new(program).arg("--version"))?.out.trim().to_owned();
    let commit = process::measure(
        Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(top),
    );
    Ok(match commit {
        Ok(done) if done.status.success() => format!("{said} ({})", done.out.trim()),
        _ => said,
    })
}

fn parse(text: &str) -> Result<(Vec<Decision>, serde_json::Map<String, Value>)> {
    let lines: Vec<&str> = text.lines().collect();
    let [_head, decisions @ .., counters] = lines.as_slice() else {
        anyhow::bail!("floe's report has {} lines, and no head and counters", lines.len());
    };
    let decisions = decisions.iter().map(|line| serde_json::from_str(line));
    let decisions =
        decisions.collect::<Result<_, _>>().context("a line of floe's report is no decision")?;
    let counters =
        serde_json::from_str(counters).context("the last line of floe's report has no counters")?;
    Ok((decisions, counters))
}

/// Bytes that files below a folder take, each file once however many names it has.
fn disk_bytes(folder: &Path) -> io::Result<u64> {
    use std::collections::HashSet;
    use std::os::unix::fs::MetadataExt;
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                bytes += metadata.blocks() * 512;
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebuilders_are_those_that_a_refusal_names() {
        let said = "error: invalid value '?' for '--rebuilder <NAME>': there is no rebuilder '?'; choose a-b, c or d\n\nFor more";
        assert_eq!(listed(said).expect("a list"), ["a-b", "c", "d"]);
        assert_eq!(listed("error: no"), None);
    }

    #[test]
    fn a_report_is_head_decisions_counters() {
        let text = concat!(
            "{\"floe_report\":1}\n",
            "{\"task\":\"t\",\"name\":\"a\",\"decision\":\"cutoff\",\"kind\":\"byte\",\"unchanged\":true}\n",
            "{\"builders_run\":3}\n"
        );
        let (decisions, counters) = parse(text).expect("a report");
        assert_eq!(decisions[0].kind.as_deref(), Some("byte"));
        assert_eq!(counters["builders_run"], 3);
        assert!(parse("").is_err());
    }
}
