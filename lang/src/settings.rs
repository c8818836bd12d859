//! How to evaluate. Plain data.

use std::path::PathBuf;

use crate::syntax::Features;

/// An entry of the search path: `<prefix/rest>` is looked up at `path/rest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchEntry {
    /// Empty: any name.
    pub prefix: String,
    /// Where; or the URL of an archive.
    pub path: PathBuf,
}

impl SearchEntry {
    /// Whether the path of an entry is the URL of an archive to fetch, as C++ Nix tells them from paths.
    pub fn is_url(path: &str) -> bool {
        const SCHEMES: [&str; 7] = ["http", "https", "file", "channel", "git", "s3", "ssh"];
        let scheme = path.split_once("://").map(|(scheme, _)| scheme);
        path.starts_with("channel:") || scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
    }
}

/// How to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Pure evaluation: no clock, no environment, no search path.
    pub pure: bool,
    /// Allow reading only below these folders (and the store), if given.
    pub restrict: Option<Vec<PathBuf>>,
    /// Build what evaluation wants to read of a derivation's outputs.
    pub import_from_derivation: bool,
    /// Calls nested deeper than this are an error.
    pub max_call_depth: u32,
    /// The search path, first entry first.
    pub nix_path: Vec<SearchEntry>,
    /// `builtins.traceVerbose` prints.
    pub trace_verbose: bool,
    /// `builtins.warn` fails.
    pub abort_on_warn: bool,
    /// `builtins.fromTOML` takes dates and times.
    pub toml_timestamps: bool,
    /// Syntax to allow, to warn of and to refuse.
    pub features: Features,
    /// Bytes of memory for values; an evaluation that takes more fails.
    pub heap_bytes: u64,
    /// Bytes of stack reserved (not used) for evaluation.
    pub stack_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            pure: false,
            restrict: None,
            import_from_derivation: true,
            max_call_depth: 10_000,
            nix_path: Vec::new(),
            trace_verbose: false,
            abort_on_warn: false,
            toml_timestamps: false,
            features: Features::default(),
            heap_bytes: u64::MAX,
            stack_bytes: 1 << 30,
        }
    }
}
