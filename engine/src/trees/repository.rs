//! One Git repository through the `git` command, without the settings of the repository that could
//! run programs. Questions and exports only; what is fetched, and when, is decided elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{TreeError, at};

/// A repository of this machine.
pub(super) struct Repository {
    dir: PathBuf,
    /// How messages name it.
    url: String,
}

/// A commit or the files of a working tree: what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File {
        executable: bool,
    },
    Link,
    Directory,
    /// A repository within this one.
    Module,
}

/// One path of a commit or an index.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) object: String,
    pub(super) path: Vec<u8>,
}

/// A repository within another, as `.gitmodules` describes it.
#[derive(Debug, Default, Clone)]
pub(super) struct Module {
    pub(super) path: String,
    pub(super) url: String,
    pub(super) branch: Option<String>,
}

impl Repository {
    pub(super) fn new(dir: &Path, url: &str) -> Repository {
        Repository { dir: dir.to_path_buf(), url: url.to_owned() }
    }

    /// The command, with what a hostile repository could set taken back.
    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.dir);
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
        command.args(["-c", "core.quotePath=false", "-c", "protocol.ext.allow=never"]);
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    fn fault(&self, said: impl std::fmt::Display) -> TreeError {
        TreeError::Git { url: self.url.clone(), said: said.to_string() }
    }

    fn output(&self, command: &mut Command) -> Result<Vec<u8>, TreeError> {
        let output = command.output().map_err(|error| {
            self.fault(format_args!("cannot run git: {error}; install it or put it on PATH"))
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        Err(self.fault(if said.is_empty() { "git failed and said nothing" } else { said }))
    }

    pub(super) fn run(&self, args: &[&str]) -> Result<Vec<u8>, TreeError> {
        self.output(self.command().args(args))
    }

    pub(super) fn line(&self, args: &[&str]) -> Result<String, TreeError> {
        Ok(String::from_utf8_lossy(&self.run(args)?).trim().to_owned())
    }

    /// The commit that a name means, if there is one.
    pub(super) fn commit(&self, name: &str) -> Option<String> {
        let name = format!("{name}^{{commit}}");
        self.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).ok()
    }

    /// When a commit was made, in seconds since 1970.
    pub(super) fn time(&self, rev: &str) -> Result<i64, TreeError> {
        let text = self.line(&["log", "-1", "--no-show-signature", "--format=%ct", rev])?;
        text.parse().map_err(|_| self.fault(format_args!("no time of commit {rev}: '{text}'")))
    }

    /// How many commits lead to one.
    pub(super) fn count(&self, rev: &str) -> Result<i64, TreeError> {
        let text = self.line(&["rev-list", "--count", rev])?;
        text.parse().map_err(|_| self.fault(format_args!("no count of commits: '{text}'")))
    }

    pub(super) fn is_shallow(&self) -> Result<bool, TreeError> {
        Ok(self.line(&["rev-parse", "--is-shallow-repository"])? == "true")
    }

    /// Everything in a commit, directories before what is in them.
    pub(super) fn entries(&self, rev: &str) -> Result<Vec<Entry>, TreeError> {
        let text = self.run(&["ls-tree", "-r", "-t", "-z", "--full-tree", rev])?;
        // MODE SP TYPE SP OBJECT TAB PATH
        self.parse(&text, 2)
    }

    /// Everything in the index.
    pub(super) fn index(&self) -> Result<Vec<Entry>, TreeError> {
        let text = self.run(&["ls-files", "--stage", "-z"])?;
        // MODE SP OBJECT SP STAGE TAB PATH
        self.parse(&text, 1)
    }

    fn parse(&self, text: &[u8], object: usize) -> Result<Vec<Entry>, TreeError> {
        let mut entries = Vec::new();
        for row in text.split(|byte| *byte == 0).filter(|row| !row.is_empty()) {
            let fault = || self.fault("git listed what cannot be read");
            let tab = row.iter().position(|byte| *byte == b'\t').ok_or_else(fault)?;
            let head = std::str::from_utf8(&row[..tab]).map_err(|_| fault())?;
            let words: Vec<&str> = head.split(' ').collect();
            let kind = match words[0] {
                "100755" => Kind::File { executable: true },
                "120000" => Kind::Link,
                "040000" => Kind::Directory,
                "160000" => Kind::Module,
                _ => Kind::File { executable: false },
            };
            let path = row[tab + 1..].to_vec();
            if path.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
                return Err(self.fault("a path in it leads out of it"));
            }
            let object = words.get(object).ok_or_else(fault)?;
            entries.push(Entry { kind, object: (*object).to_owned(), path });
        }
        Ok(entries)
    }

    /// Which paths `.gitattributes` keeps out of archives: of a commit, or of the working tree.
    pub(super) fn export_ignored(
        &self,
        rev: Option<&str>,
        entries: &[Entry],
    ) -> Result<std::collections::BTreeSet<Vec<u8>>, TreeError> {
        let is_attributes = |entry: &Entry| {
            entry.path.rsplit(|b| *b == b'/').next() == Some(&b".gitattributes"[..])
        };
        if !entries.iter().any(is_attributes) {
            return Ok(Default::default());
        }
        let scratch = super::scratch()?;
        let mut command = self.command();
        if let Some(rev) = rev {
            let index = scratch.path().join("index");
            self.output(self.command().env("GIT_INDEX_FILE", &index).args(["read-tree", rev]))?;
            command.env("GIT_INDEX_FILE", &index);
        }
        command.args(["check-attr", "-z", "--stdin"]);
        if rev.is_some() {
            command.arg("--cached");
        }
        command.arg("export-ignore").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.fault(error))?;
        let mut input = child.stdin.take().expect("piped");
        // An index lists no directories.
        let mut paths = std::collections::BTreeSet::new();
        for entry in entries {
            let ends = entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            paths.extend(ends.map(|(end, _)| &entry.path[..end]));
            paths.insert(&entry.path);
        }
        let names: Vec<u8> =
            paths.into_iter().flat_map(|path| path.iter().copied().chain([0])).collect();
        // Written beside the reading: both pipes are short.
        let writer = std::thread::spawn(move || input.write_all(&names));
        let mut answer = Vec::new();
        let mut output = child.stdout.take().expect("piped");
        output.read_to_end(&mut answer).map_err(|error| self.fault(error))?;
        let _ = writer.join();
        if !child.wait().map_err(|error| self.fault(error))?.success() {
            return Err(self.fault("git check-attr failed"));
        }
        let fields: Vec<&[u8]> = answer.split(|byte| *byte == 0).collect();
        let set = fields.chunks_exact(3).filter(|row| row[2] == b"set");
        Ok(set.map(|row| row[0].to_vec()).collect())
    }

    /// Writes a commit's entries below `to`, which exists; repositories within it become empty
    /// directories.
    pub(super) fn export(&self, entries: &[Entry], to: &Path) -> Result<(), TreeError> {
        let mut command = self.command();
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.fault(error))?;
        let mut input = child.stdin.take().expect("piped");
        let objects: String = entries
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::File { .. } | Kind::Link))
            .map(|entry| format!("{}\n", entry.object))
            .collect();
        let writer = std::thread::spawn(move || input.write_all(objects.as_bytes()));
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        for entry in entries {
            let target = to.join(OsStr::from_bytes(&entry.path));
            match entry.kind {
                Kind::Directory | Kind::Module => {
                    fs::create_dir_all(&target).map_err(at("write", &target))?;
                }
                Kind::File { executable } => {
                    let bytes = self.object(&mut output)?;
                    write_file(&target, &bytes, executable)?;
                }
                Kind::Link => {
                    let bytes = self.object(&mut output)?;
                    symlink(OsStr::from_bytes(&bytes), &target).map_err(at("write", &target))?;
                }
            }
        }
        let _ = writer.join();
        drop(output);
        child.wait().map_err(|error| self.fault(error))?;
        Ok(())
    }

    /// The next object of `cat-file --batch`.
    fn object(&self, output: &mut impl BufRead) -> Result<Vec<u8>, TreeError> {
        let mut head = String::new();
        output.read_line(&mut head).map_err(|error| self.fault(error))?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
        let Some(size) = size else {
            return Err(self.fault(format_args!("an object is missing: {}", head.trim_end())));
        };
        let mut bytes = Vec::new();
        let read = output.take(size as u64 + 1).read_to_end(&mut bytes);
        if read.map_err(|error| self.fault(error))? != size + 1 {
            return Err(self.fault("git ended in the middle of an object"));
        }
        bytes.pop();
        Ok(bytes)
    }

    /// Copies the files of the index as they are in the working tree; those that are gone are left
    /// out, and repositories within it as well.
    pub(super) fn export_working(&self, entries: &[Entry], to: &Path) -> Result<(), TreeError> {
        for entry in entries {
            let relative = OsStr::from_bytes(&entry.path);
            let (from, target) = (self.dir.join(relative), to.join(relative));
            if entry.kind == Kind::Module {
                continue;
            }
            let Ok(meta) = fs::symlink_metadata(&from) else { continue };
            if let Some(above) = target.parent() {
                fs::create_dir_all(above).map_err(at("write", above))?;
            }
            if meta.is_symlink() {
                let link = fs::read_link(&from).map_err(at("read", &from))?;
                symlink(link, &target).map_err(at("write", &target))?;
            } else if meta.is_file() {
                let bytes = fs::read(&from).map_err(at("read", &from))?;
                write_file(&target, &bytes, meta.permissions().mode() & 0o100 != 0)?;
            }
        }
        Ok(())
    }

    /// What `.gitmodules` says, of a commit or of the working tree.
    pub(super) fn modules(&self, rev: Option<&str>) -> Result<Vec<Module>, TreeError> {
        let mut args = vec!["config", "--list", "-z"];
        let blob = rev.map(|rev| format!("{rev}:.gitmodules"));
        match &blob {
            Some(blob) => args.extend(["--blob", blob]),
            None => args.extend(["--file", ".gitmodules"]),
        }
        let text = self.run(&args)?;
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        for row in String::from_utf8_lossy(&text).split('\0') {
            let (key, value) = row.split_once('\n').unwrap_or((row, ""));
            let Some(rest) = key.strip_prefix("submodule.") else { continue };
            let Some((name, field)) = rest.rsplit_once('.') else { continue };
            let module = modules.entry(name.to_owned()).or_default();
            match field {
                "path" => module.path = value.to_owned(),
                "url" => module.url = value.to_owned(),
                "branch" => module.branch = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(modules.into_values().collect())
    }
}

fn write_file(target: &Path, bytes: &[u8], executable: bool) -> Result<(), TreeError> {
    if let Some(above) = target.parent() {
        fs::create_dir_all(above).map_err(at("write", above))?;
    }
    fs::write(target, bytes).map_err(at("write", target))?;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(target, PermissionsExt::from_mode(mode)).map_err(at("write", target))
}
