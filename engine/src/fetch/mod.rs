//! Fetchers that are built in: they bring one file, named by a fixed-output derivation, to a place
//! that the caller chose. They run outside every sandbox, with the user's own clients and settings,
//! and never run code of what they fetch. Hashes are checked by the caller, never here.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};

use crate::cancel::Cancel;

pub mod archive;
mod crates;
pub mod download;

pub use crates::fetch_crate;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The derivation names a fetcher that does not exist.
    #[error("there is no built-in fetcher '{builder}'; there are {}", FETCHERS.join(", "))]
    NoSuchFetcher {
        /// The derivation's builder.
        builder: String,
    },
    /// The derivation lacks what the fetcher must know.
    #[error("'{builder}' needs the attribute '{attribute}'")]
    Missing {
        /// The derivation's builder.
        builder: String,
        /// The attribute that is absent or no text.
        attribute: &'static str,
    },
    /// A name, version or address that no client may be given.
    #[error("{what} '{text}' is not valid: {rule}")]
    Invalid {
        /// What kind of text it is.
        what: &'static str,
        /// The text itself.
        text: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A client that is not installed.
    #[error(
        "cannot run '{tool}', which fetching {subject} needs: {source}; install it or put it on PATH"
    )]
    NoTool {
        /// The command.
        tool: &'static str,
        /// What was to be fetched.
        subject: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The client ran and failed; its own words are in the log.
    #[error("'{tool}' could not fetch {subject} ({status}): {said}")]
    Client {
        /// The command.
        tool: &'static str,
        /// What was to be fetched.
        subject: String,
        /// How it ended.
        status: ExitStatus,
        /// The line of its log that tells why.
        said: String,
    },
    /// The client was content but the file is not there.
    #[error("'{tool}' ended well but left no file for {subject}")]
    NothingFetched {
        /// The command.
        tool: &'static str,
        /// What was to be fetched.
        subject: String,
    },
    /// More came than one download may be.
    #[error(
        "{subject} is larger than {max_bytes} bytes, the most that is fetched; if it is what you want, allow more with --max-download-size"
    )]
    TooLarge {
        /// What was to be fetched.
        subject: String,
        /// The bound.
        max_bytes: u64,
    },
    /// A file of ours could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// What bounds a download.
pub struct Bounds<'a> {
    /// The largest file that a client may write.
    pub max_bytes: u64,
    /// Ends the client when it is cancelled.
    pub cancel: &'a Cancel,
}

/// The builders that [`fetch`] knows.
pub const FETCHERS: [&str; 4] =
    ["builtin:fetchurl", "builtin:fetchcrate", "builtin:fetchnpm", "builtin:fetchpypi"];

/// Carries out the derivation with this builder and environment: one file at `dest`, which must not
/// exist yet. What the client says goes to `log`.
///
/// # Errors
/// Everything in [`FetchError`]; after an error `dest` does not exist.
pub fn fetch(
    builder: &str,
    env: &BTreeMap<Vec<u8>, Vec<u8>>,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    let get = |attribute: &'static str| {
        env.get(attribute.as_bytes())
            .and_then(|value| std::str::from_utf8(value).ok())
            .filter(|value| !value.is_empty())
            .ok_or_else(|| FetchError::Missing { builder: builder.to_owned(), attribute })
    };
    match builder {
        "builtin:fetchurl" => fetch_url(get("url")?, get("executable").is_ok(), dest, bounds, log),
        "builtin:fetchcrate" => fetch_crate(get("crate")?, get("version")?, dest, bounds, log),
        "builtin:fetchnpm" => fetch_npm(get("package")?, get("version")?, dest, bounds, log),
        "builtin:fetchpypi" => fetch_pypi(get("package")?, get("version")?, dest, bounds, log),
        _ => Err(FetchError::NoSuchFetcher { builder: builder.to_owned() }),
    }
}

/// Fetches a file by its address (`http`, `https`, or `file` for one of this machine).
///
/// # Errors
/// As [`fetch`].
pub fn fetch_url(
    url: &str,
    executable: bool,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    download::download(url, None, dest, bounds, log)?;
    if executable {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dest, PermissionsExt::from_mode(0o755))
            .map_err(at("mark", dest))?;
    }
    Ok(())
}

/// Fetches the archive that a version of an npm package is published as.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_npm(
    package: &str,
    version: &str,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    check("package", package, b"-._@/")?;
    check("version", version, b"-.+")?;
    let dir = scratch()?;
    let mut client = Command::new("npm");
    client.args(["pack", "--ignore-scripts", "--silent", "--pack-destination"]).arg(dir.path());
    // After `--`, so that no name is taken for an option.
    client.arg("--").arg(format!("{package}@{version}")).current_dir(dir.path());
    fetched("npm", &format!("{package} {version}"), &mut client, dir.path(), dest, bounds, log)
}

/// Fetches the wheel of a version of a Python package: never its source archive, since pip runs
/// code of those merely to read them.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_pypi(
    package: &str,
    version: &str,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    check("package", package, b"-._")?;
    check("version", version, b"-.+!_")?;
    let dir = scratch()?;
    let mut client = Command::new("pip");
    client.args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]);
    client.arg("--dest").arg(dir.path()).arg("--").arg(format!("{package}=={version}"));
    fetched("pip", &format!("{package} {version}"), &mut client, dir.path(), dest, bounds, log)
}

/// Runs a client that leaves one file in `dir`, and moves that file to `dest`.
fn fetched(
    tool: &'static str,
    subject: &str,
    client: &mut Command,
    dir: &Path,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    run(tool, subject, client, bounds, log)?;
    let file = std::fs::read_dir(dir)
        .map_err(at("list", dir))?
        .filter_map(Result::ok)
        .find(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .ok_or_else(|| FetchError::NothingFetched { tool, subject: subject.to_owned() })?;
    copy(&file.path(), dest)
}

/// Runs a client to its end, with what it writes to standard error copied to the log as it comes.
fn run(
    tool: &'static str,
    subject: &str,
    client: &mut Command,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    let mut child = client
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| FetchError::NoTool { tool, subject: subject.to_owned(), source })?;
    let group = Pid::from_child(&child);
    limit_files(group, bounds.max_bytes);
    let mut tail = Vec::new();
    // Until its end has been waited for, nobody else can have its number.
    let ended_with_us = bounds.cancel.on_cancel(move || {
        // It fails only when nothing of it is left.
        let _ = kill_process_group(group, Signal::KILL);
    });
    if let Some(mut stderr) = child.stderr.take() {
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = stderr.read(&mut chunk) {
            // A log that cannot be written is no reason to give up a download.
            drop(log.write_all(&chunk[..n]));
            tail.extend_from_slice(&chunk[..n]);
            tail.drain(..tail.len().saturating_sub(2048));
        }
    }
    drop(ended_with_us);
    let status = child.wait().map_err(|source| FetchError::Io {
        action: "wait for",
        path: PathBuf::from(tool),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&tail);
    if met_the_limit(tool, status, &text) {
        let max_bytes = bounds.max_bytes;
        return Err(FetchError::TooLarge { subject: subject.to_owned(), max_bytes });
    }
    // The line that says what went wrong, where the client marks one; else the last.
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines.clone().find(|line| line.starts_with("error"));
    let said = marked.or_else(|| lines.next_back()).unwrap_or("it said nothing").to_owned();
    Err(FetchError::Client { tool, subject: subject.to_owned(), status, said })
}

/// No file that this process writes from now on grows larger: clients bound only downloads whose
/// size the server announces, if any.
fn limit_files(client: Pid, max_bytes: u64) {
    let limit = Rlimit { current: Some(max_bytes), maximum: Some(max_bytes) };
    // It fails when the client has ended already, or when its files are limited further.
    let _ = prlimit(Some(client), Resource::Fsize, limit);
}

/// Whether a client failed because a file would have grown beyond its limit.
fn met_the_limit(tool: &str, status: ExitStatus, log: &str) -> bool {
    const SIGXFSZ: i32 = Signal::XFSZ.as_raw();
    // curl's status for a size that was announced
    const TOO_LARGE: i32 = 63;
    status.signal() == Some(SIGXFSZ)
        || (tool == "curl" && status.code() == Some(TOO_LARGE))
        || log.contains("File too large")
}

/// Accepts a name or version of letters, digits and the bytes in `also`, not opening with a dash.
fn check(what: &'static str, text: &str, also: &[u8]) -> Result<(), FetchError> {
    let sound = (1..=200).contains(&text.len())
        && !text.starts_with(['-', '.', '/'])
        && !text.contains("..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b));
    if sound {
        return Ok(());
    }
    let rule = "only letters, digits and the usual marks, at most 200, not beginning with a mark";
    Err(FetchError::Invalid { what, text: text.to_owned(), rule })
}

/// Copies rather than links: the store changes times and modes of what it takes in, and the file
/// may be another program's.
fn copy(from: &Path, dest: &Path) -> Result<(), FetchError> {
    // Opening a pipe could wait for ever, and a device never ends.
    if !std::fs::metadata(from).map_err(at("read", from))?.is_file() {
        let reason = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        return Err(at("read", from)(reason));
    }
    let mut source = std::fs::File::open(from).map_err(at("read", from))?;
    let mut target = std::fs::File::create_new(dest).map_err(at("create", dest))?;
    if let Err(reason) = io::copy(&mut source, &mut target) {
        drop(std::fs::remove_file(dest));
        return Err(at("write", dest)(reason));
    }
    Ok(())
}

fn scratch() -> Result<tempfile::TempDir, FetchError> {
    tempfile::Builder::new()
        .prefix("floe-fetch-")
        .tempdir()
        .map_err(at("make a directory in", &std::env::temp_dir()))
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError + use<> {
    let path = path.to_owned();
    move |source| FetchError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
    }

    fn check(builder: &str, pairs: &[(&str, &str)], expect: &str) {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("dest");
        let bounds = Bounds { max_bytes: 1 << 20, cancel: &Cancel::default() };
        let said = match fetch(builder, &env(pairs), &dest, &bounds, &mut io::sink()) {
            Ok(()) => String::from_utf8(std::fs::read(&dest).unwrap()).unwrap(),
            Err(error) => {
                assert!(!dest.exists(), "an error left a file");
                error.to_string()
            }
        };
        assert!(said.contains(expect), "{said:?} does not say {expect:?}");
    }

    #[test]
    fn a_file_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("source");
        std::fs::write(&file, "ice").unwrap();
        check("builtin:fetchurl", &[("url", &format!("file://{}", file.display()))], "ice");
        check("builtin:fetchurl", &[("url", "file:///no/such")], "cannot read /no/such");
        check("builtin:fetchurl", &[("url", "file:///dev/zero")], "no regular file");
    }

    #[test]
    fn faults_name_what_is_wrong() {
        check("builtin:fetchurl", &[], "needs the attribute 'url'");
        check("builtin:fetchurl", &[("url", "gopher://x")], "must begin with http");
        check("builtin:fetchgit", &[], "there are builtin:fetchurl, builtin:fetchcrate");
        check("builtin:fetchurl", &[("url", "http://127.0.0.1:1/x")], "could not fetch");
        for name in ["", "a b", "../x", "--config", "x\"\n[patch]"] {
            let env = [("crate", name), ("version", "1.0.0")];
            let expect = if name.is_empty() { "needs the attribute" } else { "is not valid" };
            check("builtin:fetchcrate", &env, expect);
            check(
                "builtin:fetchnpm",
                &[("package", name), ("version", "1")],
                match name {
                    "" => "needs the attribute",
                    _ => "is not valid",
                },
            );
        }
        check("builtin:fetchcrate", &[("crate", "x"), ("version", "*")], "is not valid");
    }
}
