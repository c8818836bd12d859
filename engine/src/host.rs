//! Evaluation's door to this machine: files, environment and the store. Sources are hashed here,
//! once per state of the file, and enter the store when something needs their bytes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use floe_core::ca::Method;
use floe_core::drv::Derivation;
use floe_core::path::{STORE_DIR, StorePath};
use floe_lang::graph::{DrvGraph, DrvId};
use floe_lang::host::{FetchRequest, Fetched, FileKind, Host, HostError, MessageKind, Origin, Source};
use floe_store::{FileStat, Store};
use std::collections::BTreeSet;

use crate::event::{Event, Events};

/// A host with a store, which may be absent until somebody needs to write.
pub struct StoreHost {
    store: RwLock<Option<Arc<Store>>>,
    seed: Box<dyn Fn() -> Result<PathBuf, String> + Send + Sync>,
    events: Events,
}

impl StoreHost {
    /// A host over a store that was opened for reading or writing, or over none. `seed` makes
    /// sure that the seed exists and says where it lies (logically), for `<floe/seed>`.
    pub fn new(
        store: Option<Arc<Store>>,
        seed: impl Fn() -> Result<PathBuf, String> + Send + Sync + 'static,
        events: Events,
    ) -> Self {
        StoreHost { store: RwLock::new(store), seed: Box::new(seed), events }
    }

    /// Puts another opening of the same store in the place of the present one.
    pub fn set_store(&self, store: Arc<Store>) {
        *self.store.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(store);
    }

    fn store(&self) -> Option<Arc<Store>> {
        self.store.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn need_store(&self, what: &str) -> Result<Arc<Store>, HostError> {
        self.store().ok_or_else(|| HostError::Unsupported {
            what: what.to_owned(),
            why: "there is no store yet; build something first".to_owned(),
        })
    }

    /// Puts a source into the store.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn store_source(&self, store: &Store, source: &Source) -> Result<StorePath, HostError> {
        let failed = |error: floe_store::StoreError| HostError::Failed(error.to_string());
        let path = match &source.origin {
            Origin::Text(bytes, refs) => {
                let refs: BTreeSet<StorePath> = refs.iter().cloned().collect();
                store.add_text(&source.name, bytes, &refs).map_err(failed)?
            }
            Origin::Tree(path) => store
                .add_source(&self.physical(path), &source.name, source.method, None)
                .map_err(failed)?,
            Origin::Filtered(path, kept) => {
                let kept: BTreeSet<&Path> = kept.iter().map(PathBuf::as_path).collect();
                let mut filter = |relative: &Path| kept.contains(relative);
                store
                    .add_source(&self.physical(path), &source.name, source.method, Some(&mut filter))
                    .map_err(failed)?
            }
        };
        self.check_expected(source, &path)?;
        Ok(path)
    }

    fn hash_source(&self, source: &Source) -> Result<StorePath, HostError> {
        let failed = |error: floe_store::StoreError| HostError::Failed(error.to_string());
        match &source.origin {
            Origin::Text(bytes, refs) => {
                let refs: BTreeSet<StorePath> = refs.iter().cloned().collect();
                floe_core::ca::text_path(&source.name, bytes, &refs)
                    .map_err(|error| HostError::Failed(error.to_string()))
            }
            Origin::Tree(path) => self.hash_tree(&self.physical(path), source),
            Origin::Filtered(path, kept) => {
                let kept: BTreeSet<&Path> = kept.iter().map(PathBuf::as_path).collect();
                let mut filter = |relative: &Path| kept.contains(relative);
                floe_store::source_path(
                    &self.physical(path),
                    &source.name,
                    source.method,
                    Some(&mut filter),
                )
                .map_err(failed)
            }
        }
    }

    /// Hashes a whole file or tree; a single file's result is remembered under its stat.
    fn hash_tree(&self, path: &Path, source: &Source) -> Result<StorePath, HostError> {
        let failed = |error: floe_store::StoreError| HostError::Failed(error.to_string());
        let hash = || {
            floe_store::source_path(path, &source.name, source.method, None).map_err(failed)
        };
        let Some(store) = self.store() else { return hash() };
        let meta = fs::symlink_metadata(path).map_err(io("reading file", path))?;
        if !meta.is_file() {
            return hash();
        }
        let read_at = SystemTime::now();
        let stat = FileStat::of(&meta);
        let tag = format!("{:?} {} ", source.method, source.name);
        let key = PathBuf::from(OsStr::from_bytes(
            &[tag.as_bytes(), path.as_os_str().as_bytes()].concat(),
        ));
        let cached = store.digest_get(&key, &stat).ok().flatten();
        if let Some(path) = cached.and_then(|row| StorePath::from_base_name(&String::from_utf8(row).ok()?).ok()) {
            return Ok(path);
        }
        let result = hash()?;
        let row = (key.as_path(), stat, result.base_name().as_bytes());
        store.digest_put(read_at, [row]).map_err(failed)?;
        Ok(result)
    }

    fn check_expected(&self, source: &Source, found: &StorePath) -> Result<(), HostError> {
        let Some(hash) = source.expected else { return Ok(()) };
        let ca = floe_core::ca::ContentAddress { method: source.method, hash };
        let expected = floe_core::ca::fixed_path(&source.name, &ca, &Default::default())
            .map_err(|error| HostError::Failed(error.to_string()))?;
        if expected == *found {
            return Ok(());
        }
        Err(HostError::Failed(format!(
            "store path mismatch in (possibly filtered) path added from '{}'",
            match &source.origin {
                Origin::Tree(path) | Origin::Filtered(path, _) => path.display().to_string(),
                Origin::Text(..) => source.name.clone(),
            }
        )))
    }
}

impl Host for StoreHost {
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, HostError> {
        fs::read(self.physical(path)).map_err(io("reading file", path))
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<(Vec<u8>, FileKind)>, HostError> {
        let fault = io("reading directory", path);
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.physical(path)).map_err(&fault)? {
            let entry = entry.map_err(&fault)?;
            let kind = kind(&entry.metadata().map_err(&fault)?);
            entries.push((entry.file_name().into_vec(), kind));
        }
        Ok(entries)
    }

    fn file_kind(&self, path: &Path) -> Result<Option<FileKind>, HostError> {
        match fs::symlink_metadata(self.physical(path)) {
            Ok(meta) => Ok(Some(kind(&meta))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(io("getting status of", path)(error)),
        }
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, HostError> {
        fs::read_link(self.physical(path)).map_err(io("reading symbolic link", path))
    }

    fn env_var(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(OsStringExt::into_vec)
    }

    fn current_time(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
    }

    fn current_system(&self) -> String {
        crate::local::current_system()
    }

    fn search_path(&self, name: &str) -> Result<Option<PathBuf>, HostError> {
        match name {
            "floe/seed" => (self.seed)().map(Some).map_err(HostError::Failed),
            _ => Ok(None),
        }
    }

    fn source_path(&self, source: &Source) -> Result<StorePath, HostError> {
        let path = self.hash_source(source)?;
        self.check_expected(source, &path)?;
        Ok(path)
    }

    fn add_source(&self, source: &Source) -> Result<StorePath, HostError> {
        let store = self.need_store("adding a source to the store")?;
        self.store_source(&store, source)
    }

    fn write_derivation(&self, _path: &StorePath, drv: &Derivation) -> Result<(), HostError> {
        let store = self.need_store("writing a derivation")?;
        let name = format!("{}.drv", drv.name);
        store
            .add_text(&name, &drv.to_aterm(), &drv.refs())
            .map(|_| ())
            .map_err(|error| HostError::Failed(error.to_string()))
    }

    fn realise(
        &self,
        graph: &DrvGraph,
        wanted: &[(DrvId, usize)],
    ) -> Result<Vec<StorePath>, HostError> {
        let names: Vec<&str> = wanted.iter().map(|(id, _)| graph.node(*id).name.as_str()).collect();
        Err(HostError::Unsupported {
            what: format!("importing from the derivation '{}'", names.join("', '")),
            why: "evaluation cannot wait for builds yet; build it first and import its path".to_owned(),
        })
    }

    fn ensure_path(&self, path: &StorePath) -> Result<(), HostError> {
        let store = self.need_store(&format!("using {path}"))?;
        match store.is_valid(path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(HostError::Failed(format!("path '{path}' is not in the store"))),
            Err(error) => Err(HostError::Failed(error.to_string())),
        }
    }

    fn physical(&self, logical: &Path) -> PathBuf {
        match (logical.strip_prefix(STORE_DIR), self.store()) {
            (Ok(inside), Some(store)) => store.objects_dir().join(inside),
            _ => logical.to_path_buf(),
        }
    }

    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, HostError> {
        Err(HostError::Unsupported {
            what: format!("builtins.{}", request.kind),
            why: "use a fixed-output derivation (builtin:fetchurl), which fetches when it is built".to_owned(),
        })
    }

    fn message(&self, kind: MessageKind, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.events.send(Event::Note(match kind {
            MessageKind::Trace => format!("trace: {text}"),
            MessageKind::Warning => format!("warning: {text}"),
        }));
    }
}

fn kind(meta: &fs::Metadata) -> FileKind {
    let kind = meta.file_type();
    if kind.is_file() {
        FileKind::Regular { executable: meta.permissions().mode() & 0o100 != 0 }
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Unknown
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> HostError {
    let path = path.to_path_buf();
    move |source| HostError::Io { action, path: path.clone(), source }
}
