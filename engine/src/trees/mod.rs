//! Fetching while evaluating: `fetchurl`, `fetchTarball`, `fetchGit` and `fetchTree`. Each call ends
//! in an object of the store and what is known of it. What a pin already names in the store is never
//! fetched; what the network gave is remembered in the store for as long as a setting says.

mod address;
mod cache;
mod git;
mod input;
mod local;
mod repository;
mod tarball;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use floe_core::ca::{CaError, ContentAddress, Method, Refs, fixed_path};
use floe_core::hash::{Hash, HashAlgo, HashError};
use floe_core::path::StorePath;
use floe_lang::host::{FetchAttr, FetchRequest, Fetched};
use floe_store::object::tree::Source;
use floe_store::{Store, StoreError, TempRoots};

use crate::fetch::FetchError;
use crate::fetch::archive::ArchiveError;

use input::Input;

/// Why a tree cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A call that names what no fetcher knows.
    #[error("{0}")]
    Call(String),
    /// A pin that cannot be read.
    #[error("invalid hash '{text}': {source}")]
    Pin {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: HashError,
    },
    /// The file could not be brought.
    #[error("cannot fetch '{url}': {source}")]
    Fetch {
        /// From where.
        url: String,
        /// Why not.
        source: FetchError,
    },
    /// The archive could not be unpacked.
    #[error("cannot unpack '{url}': {source}")]
    Archive {
        /// From where.
        url: String,
        /// Why not.
        source: ArchiveError,
    },
    /// It is not what was promised.
    #[error(
        "hash mismatch in file downloaded from '{url}':\n  specified: {specified}\n  got:       {got}"
    )]
    Mismatch {
        /// From where.
        url: String,
        /// The pin.
        specified: String,
        /// What it is.
        got: String,
    },
    /// An attribute that was given is not what was found.
    #[error("{what} mismatch in input '{input}', expected '{specified}' but got '{got}'")]
    Differs {
        /// Which.
        what: &'static str,
        /// Of what.
        input: String,
        /// What was given.
        specified: String,
        /// What was found.
        got: String,
    },
    /// `git` is missing or failed.
    #[error("cannot fetch the Git repository '{url}': {said}")]
    Git {
        /// From where.
        url: String,
        /// What it said.
        said: String,
    },
    /// A file of this machine.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that makes no path.
    #[error(transparent)]
    Address(#[from] CaError),
}

/// How long what the network gave counts as fresh, as C++ Nix's `tarball-ttl`.
pub const DEFAULT_TTL_S: u64 = 3600;

/// The fetchers, over a store that is open for writing.
pub struct Trees {
    store: Arc<Store>,
    /// Where clones lie.
    cache: PathBuf,
    ttl_s: u64,
    now_s: u64,
    /// Protects what was fetched from collection.
    holds: Vec<TempRoots>,
}

impl Trees {
    /// The fetchers; clones are kept below `cache`.
    pub fn new(store: Arc<Store>, cache: PathBuf, ttl_s: u64) -> Trees {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Trees { store, cache, ttl_s, now_s: now.map_or(0, |now| now.as_secs()), holds: Vec::new() }
    }

    /// What protects the fetched objects.
    pub fn into_holds(self) -> Vec<TempRoots> {
        self.holds
    }

    /// Carries out a call.
    ///
    /// # Errors
    /// When it makes no sense, cannot be carried out or gives something else than was promised.
    pub fn fetch(&mut self, request: &FetchRequest) -> Result<Fetched, TreeError> {
        match request.kind.as_str() {
            "fetchurl" => self.pinned(request, Method::Flat),
            "fetchTarball" => self.pinned(request, Method::Nar),
            "fetchGit" | "fetchTree" => self.tree(Input::of(request)?),
            other => Err(TreeError::Call(format!(
                "builtins.{other} is not possible here: clone the repository yourself and use its path, or use \
                 builtins.fetchGit"
            ))),
        }
    }

    /// `fetchurl` and `fetchTarball`.
    fn pinned(&mut self, request: &FetchRequest, method: Method) -> Result<Fetched, TreeError> {
        let get = |name: &str| {
            request.attrs.iter().find_map(|(key, value)| match value {
                FetchAttr::Str(text) if key == name => Some(text.as_str()),
                _ => None,
            })
        };
        let url = get("url").unwrap_or_default();
        let name = get("name").unwrap_or("source");
        let pin = get("sha256").map(parse_hash).transpose()?;
        if let Some(hash) = pin {
            let path = fixed_path(name, &ContentAddress { method, hash }, &Refs::default())?;
            if self.has(&path)? {
                return Ok(Fetched { path, attrs: Vec::new() });
            }
        }
        let path = match method {
            Method::Nar => self.tarball(url, name)?.path,
            _ => self.file(url, name, Method::Flat)?,
        };
        if let Some(specified) = pin {
            let got = match method {
                Method::Nar => self.store.need(&path)?.nar_hash,
                _ => {
                    let place = self.store.physical(&path);
                    let bytes = std::fs::read(&place).map_err(at("read", &place))?;
                    Hash::of(HashAlgo::Sha256, &bytes)
                }
            };
            if got != specified {
                return Err(TreeError::Mismatch {
                    url: url.to_owned(),
                    specified: nix32(&specified),
                    got: nix32(&got),
                });
            }
        }
        Ok(Fetched { path, attrs: Vec::new() })
    }

    /// `fetchGit` and `fetchTree`.
    fn tree(&mut self, input: Input) -> Result<Fetched, TreeError> {
        let mut found = match input.kind() {
            "path" => self.path(&input)?,
            "file" => {
                let url = input.need("url")?;
                let path = self.file(url, input.name(), Method::Nar)?;
                input.clone().at(path)
            }
            "tarball" => {
                let tarball = self.tarball(input.need("url")?, input.name())?;
                let mut found = input.clone().at(tarball.path);
                found.default("lastModified", FetchAttr::Int(tarball.last_modified));
                found
            }
            "git" => self.git(&input)?,
            "github" | "gitlab" | "sourcehut" => self.forge(&input)?,
            other => {
                return Err(TreeError::Call(format!(
                    "input type '{other}' is not supported; there are path, file, tarball, git and github"
                )));
            }
        };
        let hash = self.store.need(&found.path)?.nar_hash;
        if let Some(text) = input.text("narHash")? {
            let specified = parse_hash(text)?;
            if specified != hash {
                return Err(TreeError::Differs {
                    what: "NAR hash",
                    input: input.shown(),
                    specified: specified.sri(),
                    got: hash.sri(),
                });
            }
        }
        found.input.set("narHash", FetchAttr::Str(hash.sri()));
        for name in ["lastModified", "revCount", "rev"] {
            let (given, got) = (input.get(name), found.input.get(name));
            if let (Some(given), true) = (given, given != got) {
                return Err(TreeError::Differs {
                    what: name,
                    input: input.shown(),
                    specified: input::show(Some(given)),
                    got: input::show(got),
                });
            }
        }
        Ok(found.emit())
    }

    /// A repository of a forge, as an archive: from the store if it is pinned and there.
    fn forge(&mut self, input: &Input) -> Result<input::Found, TreeError> {
        if let Some(text) = input.text("narHash")? {
            let ca = ContentAddress { method: Method::Nar, hash: parse_hash(text)? };
            let path = fixed_path(input.name(), &ca, &Refs::default())?;
            if self.has(&path)? {
                return Ok(input.clone().at(path));
            }
        }
        let (owner, repo) = (input.need("owner")?, input.need("repo")?);
        let Some(rev) = input.text("rev")?.filter(|_| input.kind() == "github") else {
            return Err(TreeError::Call(format!(
                "the input '{}' is not in the store; give its rev, or use type = \"git\"",
                input.shown()
            )));
        };
        let url = format!("https://github.com/{owner}/{repo}/archive/{rev}.tar.gz");
        let tarball = self.tarball(&url, input.name())?;
        let mut found = input.clone().at(tarball.path);
        found.default("lastModified", FetchAttr::Int(tarball.last_modified));
        Ok(found)
    }

    /// Whether an object is there; it stays from now on.
    fn has(&mut self, path: &StorePath) -> Result<bool, TreeError> {
        let hold = self.store.protect_valid([path])?;
        let found = hold.is_some();
        self.holds.extend(hold);
        Ok(found)
    }

    /// Puts a file or tree into the store.
    fn add(
        &mut self,
        place: &std::path::Path,
        name: &str,
        method: Method,
    ) -> Result<StorePath, TreeError> {
        let algo = HashAlgo::Sha256;
        let source = Source { path: place, name, method, algo, filter: None };
        let (path, hold) = self.store.add_source(source)?;
        self.holds.push(hold);
        Ok(path)
    }
}

fn parse_hash(text: &str) -> Result<Hash, TreeError> {
    Hash::parse(text, Some(HashAlgo::Sha256))
        .map_err(|source| TreeError::Pin { text: text.to_owned(), source })
}

fn at(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> TreeError + use<> {
    let path = path.to_path_buf();
    move |source| TreeError::Io { action, path, source }
}

fn scratch() -> Result<tempfile::TempDir, TreeError> {
    tempfile::Builder::new()
        .prefix("floe-tree-")
        .tempdir()
        .map_err(at("make a directory in", &std::env::temp_dir()))
}

fn nix32(hash: &Hash) -> String {
    format!("{}:{}", hash.algo(), hash.base32())
}
