//! `--since REV`: a revision of the Git repository in the current directory, and what its files are, so that the engine
//! can say which request saw them. Git itself is asked; nothing is checked out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use floe_core::ca::Method;
use floe_core::hash::{Digest, HashAlgo};
use floe_core::path::StorePath;
use floe_engine::explain::{Content, Nearest, nearest};
use floe_engine::journal::{Head, Logged};
use floe_engine::ledger::Short;
use floe_store::object::tree::Source;

/// How many files are named of those that differ.
const NAMED: usize = 3;

/// The number of the newest request that saw the files as they are in a revision.
pub fn request(text: &str, head: Head, journal: &[(u64, Logged)]) -> Result<u64> {
    let mut revision = Revision::open(text)?;
    let found = nearest(head, journal, |content| revision.holds(content))?;
    match found {
        None => bail!("no request is kept yet; build something first"),
        Some(Nearest { request, otherwise }) if otherwise.is_empty() => Ok(request),
        Some(Nearest { request, otherwise }) => {
            let more = otherwise.len().saturating_sub(NAMED);
            let named = otherwise[..otherwise.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            bail!(
                "no request that is kept saw the files as they are in '{text}'; the nearest, request {request}, found \
                 {named}{more} otherwise: name it with --since {request}, or build the revision once"
            )
        }
    }
}

/// A commit, and what was asked of it.
struct Revision {
    top: PathBuf,
    commit: String,
    files: HashMap<String, Option<Short>>,
    sources: HashMap<(String, String), Option<StorePath>>,
}

impl Revision {
    fn open(text: &str) -> Result<Self> {
        let unknown = || {
            format!(
                "'{text}' is no request (`floe explain --list` lists them), no time such as 2026-11-27T10:00, and no \
                 revision of a Git repository here"
            )
        };
        let top = git(None, &["rev-parse", "--show-toplevel"]).with_context(unknown)?;
        let top = PathBuf::from(String::from_utf8_lossy(&top).trim_end());
        let commit = format!("{text}^{{commit}}");
        let commit = git(Some(&top), &["rev-parse", "--verify", "--end-of-options", &commit])
            .with_context(unknown)?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        Ok(Self { top, commit, files: HashMap::new(), sources: HashMap::new() })
    }

    fn holds(&mut self, content: &Content<'_>) -> Result<Option<bool>> {
        let Ok(path) = Path::new(content.path()).strip_prefix(&self.top) else { return Ok(None) };
        let path = path.to_string_lossy().into_owned();
        Ok(Some(match content {
            Content::File(_, digest) => self.file(path)? == *digest,
            Content::Source(_, object) => {
                self.source(path, object.name())?.as_ref() == Some(*object)
            }
        }))
    }

    /// The digest of a file's content; none if there is no such file.
    fn file(&mut self, path: String) -> Result<Option<Short>> {
        if let Some(known) = self.files.get(&path) {
            return Ok(*known);
        }
        let digest = match self.is_there(&path)? {
            true => {
                let blob = git(
                    Some(&self.top),
                    &["cat-file", "blob", &format!("{}:{path}", self.commit)],
                )?;
                Some(Digest::of(&blob).into())
            }
            false => None,
        };
        self.files.insert(path, digest);
        Ok(digest)
    }

    /// What a file or a folder becomes in the store under a name; none if it is not there.
    fn source(&mut self, path: String, name: &str) -> Result<Option<StorePath>> {
        let key = (path, name.to_owned());
        if let Some(known) = self.sources.get(&key) {
            return Ok(known.clone());
        }
        let found = if self.is_there(&key.0)? { Some(self.unpacked(&key.0, name)?) } else { None };
        self.sources.insert(key, found.clone());
        Ok(found)
    }

    fn unpacked(&self, path: &str, name: &str) -> Result<StorePath> {
        let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
        let wanted = if path.is_empty() { "." } else { path };
        let archive =
            git(Some(&self.top), &["archive", "--format=tar", &self.commit, "--", wanted])?;
        let unpacked = tar::Archive::new(&archive[..]).unpack(folder.path());
        unpacked.with_context(|| format!("cannot unpack {wanted} of {}", self.commit))?;
        let path = folder.path().join(path);
        Ok(floe_store::source_path(Source {
            path: &path,
            name,
            method: Method::Nar,
            algo: HashAlgo::Sha256,
            filter: None,
        })?)
    }

    fn is_there(&self, path: &str) -> Result<bool> {
        let listed = git(Some(&self.top), &["ls-tree", "--name-only", &self.commit, "--", path])?;
        Ok(path.is_empty() || !listed.is_empty())
    }
}

/// What a command of Git's prints.
fn git(folder: Option<&Path>, words: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new("git");
    if let Some(folder) = folder {
        command.arg("-C").arg(folder);
    }
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.context("cannot run git, which knows what a revision holds; install it")?;
    if !output.status.success() {
        bail!("git {}: {}", words[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
