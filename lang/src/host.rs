//! The one door to the outside world: everything impure that evaluation may ask for is a
//! method of [`Host`]. No other module of this crate opens a file, reads a clock or an
//! environment variable; the implementations with a store live in other crates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use floe_core::ca::Method;
use floe_core::drv::Derivation;
use floe_core::hash::Hash;
use floe_core::path::StorePath;
use serde::{Deserialize, Serialize};

use crate::graph::{DrvGraph, DrvId};

/// What kind of thing a path names, without following symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A plain file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe: nothing that can enter a store.
    Unknown,
}

/// A tree, file or text that evaluation puts into the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The store object's name.
    pub name: String,
    /// Where the bytes come from.
    pub origin: Origin,
    /// How the bytes are hashed to name the object.
    pub method: Method,
    /// The hash the expression promises (`builtins.path { sha256 = ...; }`), to be checked.
    pub expected: Option<Box<Hash>>,
}

/// Where a [`Source`]'s bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A file or tree of the file system, whole.
    Tree(#[serde(with = "floe_core::bytes")] PathBuf),
    /// A tree of which a filter kept the listed entries: paths relative to the root, sorted;
    /// a directory's own entry precedes its content. The root itself is always kept.
    Filtered(
        #[serde(with = "floe_core::bytes")] PathBuf,
        #[serde(with = "floe_core::bytes")] Vec<PathBuf>,
    ),
    /// Bytes made by `builtins.toFile`, with the store paths they refer to.
    Text(#[serde(with = "floe_core::bytes")] Vec<u8>, Vec<StorePath>),
}

/// A fetcher's call: `fetchurl`, `fetchTarball`, `fetchGit`, `fetchTree`, ...
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FetchRequest {
    /// The builtin's name.
    pub kind: String,
    /// Its attributes as text, sorted by name.
    pub attrs: Vec<(String, FetchAttr)>,
}

/// One attribute of a [`FetchRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FetchAttr {
    /// Text.
    Str(String),
    /// A number.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

/// What a fetcher found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The object in the store.
    pub path: StorePath,
    /// What else is known of it (`rev`, `lastModified`, `narHash`, ...).
    pub attrs: Vec<(String, FetchAttr)>,
}

/// A message on its way to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// `builtins.trace`: shown as `trace: ...`.
    Trace,
    /// `builtins.warn`: shown as `evaluation warning: ...`.
    Warning,
    /// The evaluator's own warnings: shown as `warning: ...`.
    Notice,
}

impl MessageKind {
    /// The message as C++ Nix shows it.
    pub fn line(self, text: &[u8]) -> String {
        let prefix = match self {
            MessageKind::Trace => "trace:",
            MessageKind::Warning => "evaluation warning:",
            MessageKind::Notice => "warning:",
        };
        let text = String::from_utf8_lossy(text);
        let space = if text.starts_with('\n') { "" } else { " " };
        format!("{prefix}{space}{text}")
    }
}

/// Why the host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The file system said no.
    #[error("{action} '{path}': {source}")]
    Io {
        /// What was attempted: `reading file`, `reading directory`, ...
        action: &'static str,
        /// The path concerned.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// This host has no such faculty (a store, a network).
    #[error("{what} is not possible here: {why}")]
    Unsupported {
        /// The faculty.
        what: String,
        /// Why it is missing and what would help.
        why: String,
    },
    /// The user asked to stop.
    #[error("interrupted by the user")]
    Interrupted,
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}

/// Everything impure that evaluation may ask for. Shared between evaluators.
pub trait Host: Send + Sync {
    /// The whole content of a file, following symbolic links.
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, HostError>;
    /// A directory's entries in any order; `Symlink` is reported, not followed.
    fn read_dir(&self, path: &Path) -> Result<Vec<(Vec<u8>, FileKind)>, HostError>;
    /// The kind of the last component, `None` when there is nothing.
    fn file_kind(&self, path: &Path) -> Result<Option<FileKind>, HostError>;
    /// The text of a symbolic link.
    fn read_link(&self, path: &Path) -> Result<PathBuf, HostError>;
    /// An environment variable.
    fn env_var(&self, name: &str) -> Option<Vec<u8>>;
    /// Seconds since 1970.
    fn current_time(&self) -> i64;
    /// The platform, such as `x86_64-linux`.
    fn current_system(&self) -> String;
    /// A search path entry that the host supplies by itself, asked after all given entries
    /// failed: `<floe/seed>` asks for `floe/seed`. `None`: unknown.
    fn search_path(&self, name: &str) -> Result<Option<PathBuf>, HostError>;
    /// The store path a source has or would have; stores nothing.
    fn source_path(&self, source: &Source) -> Result<StorePath, HostError>;
    /// Puts a source into the store, whose path [`Host::source_path`] gave already.
    fn add_source(&self, source: &Source, path: &StorePath) -> Result<StorePath, HostError>;
    /// Writes a derivation's file to the store; called only for those whose path evaluation
    /// observed in a way that needs the file (`readFile drv.drvPath`, `import drv.drvPath`).
    fn write_derivation(&self, path: &StorePath, drv: &Derivation) -> Result<(), HostError>;
    /// Builds outputs that evaluation wants to read (import from derivation) and gives the path
    /// to read each one at, in order: the output's own where it is known before building, even
    /// if the host keeps its bytes under another name.
    fn realise(
        &self,
        graph: &Arc<DrvGraph>,
        wanted: &[(DrvId, usize)],
    ) -> Result<Vec<StorePath>, HostError>;
    /// Makes sure that a store path named by text exists (`builtins.storePath`).
    fn ensure_path(&self, path: &StorePath) -> Result<(), HostError>;
    /// What an object refers to that evaluation did not make itself, by the paths that evaluation
    /// knows.
    fn references(&self, path: &StorePath) -> Result<Vec<StorePath>, HostError> {
        let _ = path;
        Ok(Vec::new())
    }
    /// Where the bytes of a path under the logical store lie, for reading.
    fn physical(&self, logical: &Path) -> PathBuf {
        logical.to_path_buf()
    }
    /// Fetches at evaluation time.
    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, HostError>;
    /// A message for the user.
    fn message(&self, kind: MessageKind, text: &[u8]);
}
