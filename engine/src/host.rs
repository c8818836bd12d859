//! Evaluation's door to this machine: files, environment and the store. Sources are hashed here,
//! once per state of the file, and enter the store when something needs their bytes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use floe_core::drv::Derivation;
use floe_core::hash::HashAlgo;
use floe_core::path::{STORE_DIR, StorePath};
use floe_lang::graph::{DrvGraph, DrvId};
use floe_lang::host::{
    FetchRequest, Fetched, FileKind, Host, HostError, MessageKind, Origin, Source,
};
use floe_lang::os_host::{kind_of, read_whole};
use floe_store::object::tree::{BoxError, Source as TreeSource};
use floe_store::object::walk::FileKind as TreeFileKind;
use floe_store::{Store, StoreError, TempRoots};

use crate::alias::Aliases;
use crate::builds::Builds;
use crate::digests::{Digests, Snapshot};
use crate::environ::Environment;
use crate::event::{Event, Events};
use crate::overlay::Overlay;
use crate::predict::edit::Tree;
use crate::reads::Reads;
use crate::seed::{self, List};
use crate::slot::Slot;
use crate::trees::{DEFAULT_TTL_S, Trees};

/// A host with a store, which is opened for writing only when evaluation needs it.
pub struct StoreHost {
    slot: Arc<Slot>,
    digests: Arc<Digests>,
    events: Events,
    /// Protects what was added for evaluation and builds from collection while we live.
    holds: Mutex<Vec<TempRoots>>,
    aliases: Arc<Aliases>,
    tarball_ttl_s: AtomicU64,
    environment: Mutex<Environment>,
    builds: Mutex<Option<Arc<Builds>>>,
    overlay: OnceLock<Overlay>,
    reads: Reads,
    me: Weak<StoreHost>,
}

impl StoreHost {
    /// A host over this store root.
    pub fn new(slot: Arc<Slot>, digests: Arc<Digests>, events: Events) -> Arc<Self> {
        Arc::new_cyclic(|me| StoreHost {
            slot,
            digests,
            events,
            holds: Mutex::default(),
            aliases: Arc::default(),
            tarball_ttl_s: AtomicU64::new(DEFAULT_TTL_S),
            environment: Mutex::default(),
            builds: Mutex::default(),
            overlay: OnceLock::new(),
            reads: Reads::default(),
            me: Weak::clone(me),
        })
    }

    /// What an engine beside the host's own shares with it.
    pub(crate) fn parts(&self) -> (Arc<Slot>, Arc<Digests>, Events) {
        (Arc::clone(&self.slot), Arc::clone(&self.digests), self.events.clone())
    }

    /// How evaluation's builds are carried out from now on.
    pub(crate) fn set_builds(&self, builds: Builds) {
        *self.builds.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(builds));
    }

    /// Lets files be what they would be with this; once, before anything is read.
    pub fn overlay(&self, overlay: Overlay) {
        let is_first = self.overlay.set(overlay).is_ok();
        assert!(is_first, "a host has one overlay");
    }

    /// Where the host's file at a path lies, or what stands for it; a link at its end counts as
    /// what it leads to if `follow`.
    fn place(&self, path: &Path, follow: bool) -> PathBuf {
        let overlaid = self.overlay.get().and_then(|overlay| overlay.place(path, follow));
        overlaid.unwrap_or_else(|| self.physical(path))
    }

    /// Where a source lies, whole: (the place, whether that is the host's own).
    fn tree(&self, path: &Path) -> Result<(PathBuf, bool), HostError> {
        let overlaid = match self.overlay.get() {
            Some(overlay) => overlay.tree(path).map_err(io("copying", path))?,
            None => None,
        };
        let is_own = overlaid.is_none();
        Ok((overlaid.unwrap_or_else(|| self.physical(path)), is_own))
    }

    /// Where the files of a source lie, if it is made of any.
    pub(crate) fn source_tree(&self, source: &Source) -> Option<Tree> {
        let (path, kept) = match &source.origin {
            Origin::Text(..) => return None,
            Origin::Tree(path) => (path, None),
            Origin::Filtered(path, kept) => (path, Some(kept.clone())),
        };
        Some(Tree { place: self.tree(path).ok()?.0, kept })
    }

    /// What evaluation read since a request was last entered into the store's history.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// How long what the network gave counts as fresh.
    pub fn set_tarball_ttl(&self, seconds: u64) {
        self.tarball_ttl_s.store(seconds, Ordering::Relaxed);
    }

    /// Whose variables evaluation sees from now on.
    pub fn set_environment(&self, environment: Environment) {
        *self.environment.lock().unwrap_or_else(PoisonError::into_inner) = environment;
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner).get(name)
    }

    /// Protects nothing any more of what was added so far: a request is over.
    pub fn let_go(&self) {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The outputs that evaluation knows by other paths than the store.
    pub fn aliases(&self) -> &Arc<Aliases> {
        &self.aliases
    }

    fn writable(&self) -> Result<Arc<Store>, HostError> {
        self.slot.writable().map_err(failed)
    }

    /// Puts a source into the store.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn store_source(&self, store: &Store, source: &Source) -> Result<StorePath, HostError> {
        let (path, hold) = match &source.origin {
            Origin::Text(bytes, refs) => {
                let refs: BTreeSet<StorePath> = refs.iter().cloned().collect();
                store.add_text(&source.name, bytes, &refs).map_err(failed)?
            }
            Origin::Tree(path) => {
                let (path, _) = self.tree(path)?;
                store.add_source(tree_source(&path, source)).map_err(failed)?
            }
            Origin::Filtered(path, kept) => {
                let (path, _) = self.tree(path)?;
                let mut filter = kept_only(&path, kept);
                let tree = TreeSource { filter: Some(&mut filter), ..tree_source(&path, source) };
                store.add_source(tree).map_err(failed)?
            }
        };
        self.hold(hold);
        self.check_expected(source, &path)?;
        Ok(path)
    }

    /// Puts a derivation's file into the store.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store_derivation(&self, store: &Store, drv: &Derivation) -> Result<(), StoreError> {
        let name = format!("{}.drv", drv.name);
        let (_, hold) = store.add_text(&name, &drv.to_aterm(), &drv.refs())?;
        self.hold(hold);
        Ok(())
    }

    /// Protects something until the host goes.
    pub(crate) fn hold(&self, hold: TempRoots) {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).push(hold);
    }

    fn hash_source(&self, source: &Source) -> Result<StorePath, HostError> {
        match &source.origin {
            Origin::Text(bytes, refs) => {
                let refs: BTreeSet<StorePath> = refs.iter().cloned().collect();
                floe_core::ca::text_path(&source.name, bytes, &refs)
                    .map_err(|error| HostError::Failed(error.to_string()))
            }
            Origin::Tree(path) => {
                let (path, is_own) = self.tree(path)?;
                let snapshot = || Snapshot::of_tree(&path);
                self.remembered(source, "tree", (&path, is_own), snapshot, || {
                    floe_store::source_path(tree_source(&path, source)).map_err(failed)
                })
            }
            Origin::Filtered(path, kept) => {
                let (path, is_own) = self.tree(path)?;
                let snapshot = || Snapshot::of_entries(&path, kept);
                self.remembered(source, "filtered", (&path, is_own), snapshot, || {
                    let mut filter = kept_only(&path, kept);
                    let tree =
                        TreeSource { filter: Some(&mut filter), ..tree_source(&path, source) };
                    floe_store::source_path(tree).map_err(failed)
                })
            }
        }
    }

    /// Computes a source's path, or remembers it if none of its files changed.
    fn remembered(
        &self,
        source: &Source,
        kind: &str,
        (path, is_own): (&Path, bool),
        snapshot: impl FnOnce() -> std::io::Result<Option<Snapshot>>,
        compute: impl FnOnce() -> Result<StorePath, HostError>,
    ) -> Result<StorePath, HostError> {
        // Without a store there is no memory, and what is not the host's own is gone soon.
        if self.slot.get().is_none() || !is_own {
            return compute();
        }
        let algo = source_algo(source);
        let purpose = format!("{kind} {:?} {algo:?} {}", source.method, source.name);
        let snapshot = snapshot().map_err(io("reading file", path))?;
        let compute = || compute().map(|path| path.base_name().as_bytes().to_vec());
        let base = self.digests.of(&purpose, path, snapshot, compute)?;
        StorePath::from_base_name(&String::from_utf8_lossy(&base))
            .map_err(|error| HostError::Failed(error.to_string()))
    }

    /// Where the seed lies, logically; made now if the store has none.
    fn seed(&self) -> Result<PathBuf, HostError> {
        let found = match self.slot.get() {
            Some(store) => seed::find(&store).map_err(failed)?,
            None => None,
        };
        let seed = match found {
            Some(seed) => seed,
            None => {
                let made = List::parse(seed::DEFAULT_LIST)
                    .and_then(|list| seed::create(&*self.slot.writable()?, &list, &self.events));
                made.map_err(|error| HostError::Failed(error.to_string()))?
            }
        };
        Ok(PathBuf::from(seed.path.as_str()))
    }

    /// Where clones and the like lie, which can always be made again.
    fn cache_dir(&self) -> Option<PathBuf> {
        let named = |name| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
        Some(cache.join("floe"))
    }

    /// A directory's entries.
    fn entries(&self, path: &Path) -> Result<Vec<(Vec<u8>, FileKind)>, HostError> {
        let fault = io("reading directory", path);
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.place(path, true)).map_err(&fault)? {
            let entry = entry.map_err(&fault)?;
            let kind = entry.file_type().map_err(&fault)?;
            entries.push((entry.file_name().into_vec(), kind_of(kind)));
        }
        let differing = self.overlay.get().map(|overlay| overlay.entries(path));
        for (name, exists) in differing.unwrap_or_default() {
            entries.retain(|(other, _)| *other != name.as_bytes());
            let meta = fs::symlink_metadata(self.place(&path.join(&name), false));
            if let (true, Ok(meta)) = (exists, meta) {
                entries.push((name.into_vec(), kind_of(meta.file_type())));
            }
        }
        Ok(entries)
    }

    fn check_expected(&self, source: &Source, found: &StorePath) -> Result<(), HostError> {
        let Some(hash) = source.expected.as_deref().copied() else { return Ok(()) };
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
        let read = read_whole(&self.place(path, true));
        self.reads.file(path, read.as_deref().ok());
        read.map_err(io("reading file", path))
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<(Vec<u8>, FileKind)>, HostError> {
        let read = self.entries(path);
        let names = |entries: &'_ Vec<(Vec<u8>, FileKind)>| -> Vec<Vec<u8>> {
            entries.iter().map(|(name, _)| name.clone()).collect()
        };
        self.reads.directory(path, read.as_ref().ok().map(names));
        read
    }

    fn file_kind(&self, path: &Path) -> Result<Option<FileKind>, HostError> {
        match fs::symlink_metadata(self.place(path, false)) {
            Ok(meta) => Ok(Some(kind_of(meta.file_type()))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(io("getting status of", path)(error)),
        }
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, HostError> {
        fs::read_link(self.place(path, false)).map_err(io("reading symbolic link", path))
    }

    fn env_var(&self, name: &str) -> Option<Vec<u8>> {
        let value = self.variable(name).map(OsStringExt::into_vec);
        self.reads.variable(name, value.as_deref());
        value
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
            "floe/seed" => self.seed().map(Some),
            _ => Ok(None),
        }
    }

    fn source_path(&self, source: &Source) -> Result<StorePath, HostError> {
        let path = self.hash_source(source)?;
        self.check_expected(source, &path)?;
        Ok(path)
    }

    fn add_source(&self, source: &Source, path: &StorePath) -> Result<StorePath, HostError> {
        let store = self.writable()?;
        // What was hashed on the way need not be read by the next evaluation.
        self.digests.keep(&store).map_err(failed)?;
        if let Some(hold) = store.protect_valid([path]).map_err(failed)? {
            self.hold(hold);
            self.check_expected(source, path)?;
            return Ok(path.clone());
        }
        self.store_source(&store, source)
    }

    fn write_derivation(&self, _path: &StorePath, drv: &Derivation) -> Result<(), HostError> {
        let store = self.writable()?;
        self.store_derivation(&store, drv).map_err(failed)
    }

    fn realise(
        &self,
        graph: &Arc<DrvGraph>,
        wanted: &[(DrvId, usize)],
    ) -> Result<Vec<StorePath>, HostError> {
        let builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (builds, self.me.upgrade()) {
            (Some(builds), Some(me)) => builds.realise(&me, graph, wanted),
            _ => {
                let name = &graph.node(wanted[0].0).name;
                Err(HostError::Unsupported {
                    what: format!("importing from the derivation '{name}'"),
                    why: "whoever evaluates has not said how to build".to_owned(),
                })
            }
        }
    }

    fn references(&self, path: &StorePath) -> Result<Vec<StorePath>, HostError> {
        let Some(store) = self.slot.get() else { return Ok(Vec::new()) };
        if let Some(refs) = self.aliases.references(&store, path)? {
            return Ok(refs);
        }
        let info = store.info(path).map_err(failed)?;
        Ok(info.map_or_else(Vec::new, |info| info.refs.into_iter().collect()))
    }

    fn ensure_path(&self, path: &StorePath) -> Result<(), HostError> {
        if self.aliases.real(path).is_some() {
            return Ok(());
        }
        let valid = match self.slot.get() {
            Some(store) => store.is_valid(path).map_err(failed)?,
            None => false,
        };
        match valid {
            true => Ok(()),
            false => Err(HostError::Failed(format!("path '{path}' is not in the store"))),
        }
    }

    fn physical(&self, logical: &Path) -> PathBuf {
        match (logical.strip_prefix(STORE_DIR), self.slot.get()) {
            (Ok(inside), Some(store)) => match self.aliases.place(&store, logical) {
                Ok(Some(place)) => place,
                // What evaluation asked for was copied when it was built; anything else that
                // cannot be is as good as absent.
                Ok(None) | Err(_) => store.objects_dir().join(inside),
            },
            _ => logical.to_path_buf(),
        }
    }

    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, HostError> {
        let cache = self.cache_dir().ok_or_else(|| HostError::Unsupported {
            what: format!("builtins.{}", request.kind),
            why: "neither XDG_CACHE_HOME nor HOME says where clones may lie".to_owned(),
        })?;
        let ttl = self.tarball_ttl_s.load(Ordering::Relaxed);
        let mut trees = Trees::new(self.writable()?, cache, ttl);
        let fetched = trees.fetch(request);
        trees.into_holds().into_iter().for_each(|hold| self.hold(hold));
        fetched.map_err(|error| HostError::Failed(error.to_string()))
    }

    fn message(&self, kind: MessageKind, text: &[u8]) {
        self.events.send(Event::Note(kind.line(text)));
    }
}

/// A whole file or tree as the store takes it.
fn tree_source<'a>(path: &'a Path, source: &'a Source) -> TreeSource<'a> {
    let algo = source_algo(source);
    TreeSource { path, name: &source.name, method: source.method, algo, filter: None }
}

/// Which hash names it in the store.
fn source_algo(source: &Source) -> HashAlgo {
    source.expected.as_ref().map_or(HashAlgo::Sha256, |hash| hash.algo())
}

/// Lets through what evaluation's filter kept.
fn kept_only(
    root: &Path,
    kept: &[PathBuf],
) -> impl FnMut(&Path, TreeFileKind) -> Result<bool, BoxError> + use<> {
    let kept: BTreeSet<PathBuf> = kept.iter().map(|relative| root.join(relative)).collect();
    move |path, _| Ok(kept.contains(path))
}

fn failed(error: StoreError) -> HostError {
    HostError::Failed(error.to_string())
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> HostError {
    let path = path.to_path_buf();
    move |source| HostError::Io { action, path: path.clone(), source }
}
