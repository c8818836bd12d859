//! The indices of a suite of Debian, brought by apt into a folder of its own: the machine's lists and settings stay as they
//! are. The archive is the one that the machine already uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// The text of a suite's indices.
#[derive(Debug)]
pub struct Indices {
    /// What the archive calls this state of the suite: version and date.
    pub state: String,
    /// The sources.
    pub sources: String,
    /// The binary packages.
    pub binaries: String,
}

/// Brings the indices of a suite's main component for an architecture.
///
/// # Errors
/// This is no Debian machine, or the archive cannot be reached or lacks the suite.
pub fn fetch(suite: &str, architecture: &str, work: &Path) -> Result<Indices> {
    let archive = archive()?;
    let folder = work.join(format!("apt-{suite}"));
    for inner in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(inner))?;
    }
    let list = folder.join("sources.list");
    fs::write(&list, format!("deb {archive} {suite} main\ndeb-src {archive} {suite} main\n"))?;
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        let set = |name: &str, value: PathBuf| format!("{name}={}", value.display());
        for option in [
            set("Dir::Etc::sourcelist", list.clone()),
            set("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            set("Dir::State::lists", folder.join("lists")),
            set("Dir::Cache", folder.join("cache")),
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(words);
        command
    };
    process::succeed(&mut apt(&["update", "--error-on=any"]))
        .with_context(|| format!("apt cannot bring the indices of {suite}"))?;
    let index = |identifier: &str| -> Result<String> {
        let wanted = format!("Identifier: {identifier}");
        let said =
            process::succeed(&mut apt(&["indextargets", "--format", "$(FILENAME)", &wanted]))?;
        let file = said.out.lines().next().with_context(|| format!("no {identifier}"))?.to_owned();
        let mut cat = Command::new("/usr/lib/apt/apt-helper");
        Ok(process::succeed(cat.args(["cat-file", &file]))?.out)
    };
    let state = state(&folder.join("lists"))?;
    Ok(Indices { state, sources: index("Sources")?, binaries: index("Packages")? })
}

/// Where the machine's own apt finds Debian's main component.
fn archive() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)"]);
    command.args(["Identifier: Packages", "Origin: Debian", "Component: main"]);
    let said = process::succeed(&mut command).context("apt is needed for Debian's indices")?.out;
    match said.lines().find(|line| !line.contains("security")) {
        Some(line) => Ok(line.to_owned()),
        None => bail!("apt knows no archive of Debian's; run 'apt-get update' once"),
    }
}

/// Version and date, as the archive's release file has them.
fn state(lists: &Path) -> Result<String> {
    for entry in fs::read_dir(lists)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("InRelease") {
            let text = fs::read_to_string(&path)?;
            let field =
                |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let (version, date) = (field("Version:"), field("Date:"));
            return Ok(format!(
                "version {} of {}",
                version.unwrap_or("unknown"),
                date.unwrap_or("an unknown date")
            ));
        }
    }
    bail!("apt brought no release file")
}
