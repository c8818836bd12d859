//! What client and server say to each other. The opening has a fixed layout that every version
//! understands; what follows is understood only by the same build of floe.

use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_engine::predict::Prediction;
use serde::{Deserialize, Serialize};

use crate::happening::Happening;

/// Raised when a message changes its meaning.
pub const VERSION: u32 = 2;

/// How an opening begins, in every version.
const MAGIC: [u8; 8] = *b"floe-ipc";

/// Bytes of an opening.
const OPENING: usize = 8 + 4 + 4 + 32;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One request, an [`Ask`]. Only between equals.
    Ask = 0,
    /// The server is to end when those it works for have their answers; the connection closes when
    /// it has.
    Stop = 1,
    /// The server is to let go of the store as soon as nobody needs it, and each time again for as
    /// long as this connection stands.
    Release = 2,
}

/// The first words of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// [`VERSION`] of who speaks.
    pub version: u32,
    /// A client: what the connection is for. A server repeats it.
    pub purpose: Purpose,
    /// Who speaks: what is understood alike by both has one digest.
    pub identity: Digest,
}

impl Opening {
    /// Says it.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn send(&self, stream: &mut impl Write) -> io::Result<()> {
        stream.write_all(&self.bytes())
    }

    /// As it is sent.
    pub fn bytes(&self) -> [u8; OPENING] {
        let mut bytes = [0; OPENING];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.purpose as u32).to_le_bytes());
        bytes[16..].copy_from_slice(&self.identity.0);
        bytes
    }

    /// Hears it; `None` when it is none, or for a purpose that is not known here.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn receive(stream: &mut impl Read) -> io::Result<Option<Opening>> {
        let mut bytes = [0; OPENING];
        stream.read_exact(&mut bytes)?;
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let purpose = match number(12) {
            0 => Purpose::Ask,
            1 => Purpose::Stop,
            2 => Purpose::Release,
            _ => return Ok(None),
        };
        let mut identity = [0; 32];
        identity.copy_from_slice(&bytes[16..]);
        let opening = Opening { version: number(8), purpose, identity: Digest(identity) };
        Ok((bytes[..8] == MAGIC).then_some(opening))
    }
}

/// Variables that the programs which floe runs for itself heed (git, curl, npm, pip, cargo, the
/// network's helpers), or floe itself in ways that no request carries.
fn is_heeded(name: &[u8]) -> bool {
    const WHOLE: [&[u8]; 12] = [
        b"PATH",
        b"HOME",
        b"TMPDIR",
        b"USER",
        b"LOGNAME",
        b"LANG",
        b"FLOE_SANDBOX_SHELL",
        b"XDG_CONFIG_HOME",
        b"SSH_AUTH_SOCK",
        b"NETRC",
        b"LD_LIBRARY_PATH",
        b"LD_PRELOAD",
    ];
    const BEGINNINGS: [&[u8]; 12] = [
        b"GIT_",
        b"CURL_",
        b"SSL_",
        b"NIX_SSL_",
        b"CARGO_",
        b"RUSTUP_",
        b"npm_config_",
        b"NPM_",
        b"PIP_",
        b"PYTHON",
        b"LC_",
        b"SSH_",
    ];
    let is_proxy = name.to_ascii_lowercase().ends_with(b"_proxy");
    is_proxy || WHOLE.contains(&name) || BEGINNINGS.iter().any(|start| name.starts_with(start))
}

/// Who this process is to the other end of a connection: its very program, and the variables that
/// no request carries. Whoever is another cannot be understood, or would build otherwise.
pub fn identity() -> Digest {
    let mut text = format!("floe {VERSION} {}\0", env!("CARGO_PKG_VERSION")).into_bytes();
    if let Ok(meta) = std::fs::metadata("/proc/self/exe") {
        let numbers = [meta.dev(), meta.ino(), meta.size(), meta.mtime() as u64];
        numbers.iter().for_each(|number| text.extend(number.to_le_bytes()));
        text.extend(meta.mtime_nsec().to_le_bytes());
    }
    let mut variables: Vec<_> =
        std::env::vars_os().filter(|(name, _)| is_heeded(name.as_bytes())).collect();
    variables.sort();
    for (name, value) in variables {
        for part in [name, value] {
            text.extend((part.len() as u64).to_le_bytes());
            text.extend(part.as_bytes());
        }
    }
    Digest::of(&text)
}

/// Text of the system's, which may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Bytes(pub Vec<u8>);

impl From<&Path> for Bytes {
    fn from(path: &Path) -> Self {
        Bytes(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<std::ffi::OsString> for Bytes {
    fn from(text: std::ffi::OsString) -> Self {
        Bytes(text.into_vec())
    }
}

impl Bytes {
    /// As a path.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.os())
    }

    /// As the system's text.
    pub fn os(&self) -> std::ffi::OsString {
        std::ffi::OsString::from_vec(self.0.clone())
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// To build, or to say what would be built.
    Build(Box<Build>),
    /// How the server is.
    Status,
    /// To be told when something changes that the last request of this connection rests on.
    Change,
    /// No more of the request that is being carried out.
    Cancel,
}

/// Where an expression comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Top {
    /// A file or directory, absolute.
    File(Bytes),
    /// A text.
    Text(String),
}

/// An argument of the top-level function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Argument {
    /// A string.
    Text(String),
    /// An expression.
    Expr(String),
}

/// What is evaluated, and in what way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The expression.
    pub top: Top,
    /// The folder that relative paths start from.
    pub base: Bytes,
    /// Arguments of the top-level function.
    pub args: Vec<(String, Argument)>,
    /// The search path: prefixes and places.
    pub search: Vec<(String, Bytes)>,
    /// Whether evaluation may build what it wants to read.
    pub import_from_derivation: bool,
    /// Whether to evaluate without clock, environment and search path.
    pub pure: bool,
    /// How many seconds what the network gave counts as fresh.
    pub tarball_ttl_s: Option<u64>,
}

/// How to build.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct How {
    /// The rebuilder's name.
    pub rebuilder: String,
    /// Builders at the same time.
    pub jobs: u64,
    /// `NIX_BUILD_CORES`.
    pub cores: u64,
    /// Go on after a failure.
    pub keep_going: bool,
    /// Leave the directories of failed builders behind.
    pub keep_failed: bool,
    /// Longest wall time of a builder in seconds.
    pub timeout_s: Option<u64>,
    /// Longest silence of a builder in seconds.
    pub max_silent_s: Option<u64>,
    /// Longest log of a builder.
    pub max_log_bytes: u64,
    /// Memory of each process of a builder.
    pub max_memory_bytes: Option<u64>,
    /// Processes of a builder.
    pub max_processes: Option<u32>,
    /// The largest file that a builder may write.
    pub max_file_bytes: Option<u64>,
    /// The largest file to fetch.
    pub max_download_bytes: u64,
    /// How many derivations may be made by each other's builders, one after another.
    pub max_dynamic_depth: u32,
    /// How many derivations builders may add to the request.
    pub max_dynamic_derivations: u64,
    /// Sandbox layers that may be missing, by name.
    pub allow_missing_layers: Vec<String>,
    /// Give fixed-output builders the host's own network.
    pub host_network: bool,
    /// Stop before running anything.
    pub dry_run: bool,
}

/// A request to build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Build {
    /// What is evaluated.
    pub source: Source,
    /// Attribute paths; everything if there is none.
    pub attrs: Vec<String>,
    /// The client's environment.
    pub environment: Vec<(Bytes, Bytes)>,
    /// How to build.
    pub how: How,
    /// Whether evaluation errors show every frame.
    pub show_trace: bool,
    /// Whether they are coloured.
    pub colour: bool,
    /// Whether a report is wanted.
    pub report: Option<Report>,
    /// Where to link the results, absolute.
    pub link: Option<Bytes>,
}

/// What a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Leave out what was reused.
    pub changed_only: bool,
    /// When the request began, in seconds since 1970.
    pub at_s: u64,
}

/// What a server says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Say {
    /// Something happened.
    Happened(Happening),
    /// A part of the report.
    Report(Bytes),
    /// What came of the request.
    Built(Result<Answer, Fault>),
    /// How the server is.
    Status(Status),
    /// Something changed.
    Changed,
    /// It cannot be told whether something changes: ask again now and then.
    Unwatched,
}

/// What came of a request to build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Somebody asked to stop.
    pub interrupted: bool,
    /// What would certainly run, by name; in a dry run.
    pub certain: Vec<String>,
    /// What may run besides.
    pub possible: Vec<String>,
    /// What builders have yet to make: nothing is known of what has to run for it.
    pub unknown: Vec<String>,
    /// How likely each of these is to run and how long that takes.
    pub prediction: Option<Box<Prediction>>,
    /// What failed.
    pub failures: Vec<Failed>,
    /// How many were not built because of that.
    pub skipped: u64,
    /// The outputs of the targets.
    pub results: Vec<Outputs>,
    /// The directory that is the logical `/nix/store`.
    pub objects: Option<Bytes>,
    /// Why the results could not be linked.
    pub unlinked: Option<String>,
    /// Builders that ran.
    pub builders_run: u64,
}

/// A build that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The derivation's name.
    pub name: String,
    /// What, where and what to do.
    pub message: String,
    /// The last lines of its log.
    pub log_tail: Vec<Bytes>,
    /// Where the whole log lies.
    pub log: Option<Bytes>,
}

/// The outputs of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The attribute path.
    pub attr: String,
    /// Names and store paths, those that were asked for.
    pub outputs: Vec<(OutputName, StorePath)>,
    /// What `meta.mainProgram` says.
    pub main_program: Option<String>,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The expression is at fault; as it is shown.
    Shown(Bytes),
    /// In words, without `error: `.
    Words(String),
    /// Somebody asked to stop while it was evaluated.
    Interrupted,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// How long it runs, in seconds.
    pub up_s: u64,
    /// Requests that are being carried out.
    pub requests: u64,
    /// Whether it holds the store, and how.
    pub holds: Holds,
    /// Evaluations that are kept.
    pub kept: u64,
    /// Derivations in them.
    pub derivations: u64,
    /// Its resident memory in bytes.
    pub memory_bytes: u64,
    /// Bytes of files in which evaluations lie that were laid aside; what of them is needed is read
    /// again.
    pub aside_bytes: u64,
}

/// Whether a server holds the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holds {
    /// It does not.
    No,
    /// For reading.
    Reading,
    /// For writing.
    Writing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_survive_and_rubbish_is_none() {
        let opening = Opening { version: 7, purpose: Purpose::Stop, identity: Digest([3; 32]) };
        let bytes = opening.bytes();
        assert_eq!(Opening::receive(&mut bytes.as_slice()).expect("reads"), Some(opening));
        assert_eq!(Opening::receive(&mut [9; OPENING].as_slice()).expect("reads"), None);
        assert!(Opening::receive(&mut &bytes[..20]).is_err(), "cut off");
    }

    #[test]
    fn variables_that_programs_heed_are_known() {
        for name in ["PATH", "https_proxy", "HTTP_PROXY", "GIT_SSH_COMMAND"] {
            assert!(is_heeded(name.as_bytes()), "{name}");
        }
        for name in ["SHLVL", "OLDPWD", "WINDOWID", "FLOE_ROOT"] {
            assert!(!is_heeded(name.as_bytes()), "{name}");
        }
    }
}
