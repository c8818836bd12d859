//! The derivations that an evaluation made, as data for the engine: [`DrvGraph`]. Strings are
//! symbolic ([`SymStr`]): they name outputs and sources by handle, and texts, hashes and
//! paths are computed when asked for, once. Nothing of the evaluator's heap lives here: the
//! graph is `Send + Sync` and outlives it.

mod node;
mod paths;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use floe_core::ca::{CaError, ContentAddress, Method};
use floe_core::drv::{Derivation, Dynamic, MAX_NESTING, Modulo, ModuloError, Output};
use floe_core::hash::HashAlgo;
use floe_core::path::{OutputName, PathError, StorePath};
use floe_core::placeholder;
use floe_core::shared::shared;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

pub use node::{
    DrvNode, InputDrv, InputSrc, Instructions, MadeBy, OutputKind, OutputSpec, Picked, Segment,
    SourcePos, SymStr,
};
use paths::Paths;
use written::{Place, Written};

use crate::append::AppendVec;
use crate::host::{Host, HostError, Source};
use crate::pages::Shelf;
use crate::rows::Rows;
use crate::symbol::Symbol;

/// A derivation of a [`DrvGraph`]: dense, in the order of evaluation, inputs before users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DrvId(pub u32);

/// A source of a [`DrvGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

impl Computed {
    fn holds_at(&self, now: u32) -> bool {
        self.done.is_some() && self.at == now
    }
}

/// What is computed of a node when asked, and kept. The text itself is not: it would be more
/// than all the rest.
#[derive(Debug, PartialEq)]
pub struct Instantiated {
    /// The paths of the outputs that are known before building, in the order of
    /// [`DrvNode::outputs`].
    pub outputs: Box<[Option<StorePath>]>,
    /// The path of its file.
    pub path: StorePath,
    /// What it counts as for those that depend on it.
    pub modulo: Modulo,
}

/// The digest in a store path, which stands for the path: its name went into it.
type PathDigest = [u8; 20];

/// Room for a store path with a name of usual length, in bytes.
const USUAL_PATH_LEN: usize = 80;

struct DrvEntry {
    node: DrvNode,
    instructions: Place,
    /// Where the node lies that this derivation is now, plus one; zero for its own.
    now: AtomicU32,
    computed: Mutex<Computed>,
    observed: AtomicBool,
    hashed: AtomicBool,
}

/// What was computed of a derivation, and when: in numbers of redefinitions.
#[derive(Default)]
struct Computed {
    done: Option<Arc<Instantiated>>,
    /// Of which node.
    of: u32,
    /// When it was last known to hold.
    at: u32,
    /// When it became what it is.
    since: u32,
}

/// All derivations and sources of one evaluation. Grows only; safe to read from any thread.
pub struct DrvGraph {
    host: Arc<dyn Host>,
    drvs: AppendVec<DrvEntry>,
    instructions: Mutex<Written>,
    /// The digests of the sources' store paths, once they were computed.
    sources: AppendVec<OnceLock<PathDigest>>,
    index: Mutex<Index>,
    /// The derivations that became other ones, in the order in which they did.
    redefined: AppendVec<DrvId>,
}

#[derive(Default)]
struct Index {
    /// The sources, by their ids.
    rows: Rows<Source>,
    /// By what they are.
    sources: HashTable<SourceId>,
    /// Those whose paths were computed.
    drv_paths: Paths,
    made: FxHashMap<(DrvId, u32, OutputName), DrvId>,
    /// The first of each path, by its digest.
    source_paths: HashTable<SourceId>,
    /// Those that many derivations have in common.
    outputs: FxHashSet<Arc<[OutputSpec]>>,
}

fn hash(of: impl std::hash::Hash) -> u64 {
    FxBuildHasher.hash_one(of)
}

/// The store path of a source of this name.
fn path_of(digest: &PathDigest, name: &str) -> StorePath {
    StorePath::new(digest, name).expect("it was one when its digest was taken")
}

impl Index {
    fn source(&self, id: SourceId) -> Source {
        self.rows.get(id.0 as usize).expect("a SourceId comes from its own graph")
    }

    fn source_name(&self, id: SourceId) -> &str {
        // It is the first field.
        self.rows.first(id.0 as usize).expect("a SourceId comes from its own graph")
    }

    fn source_id(&self, source: &Source) -> Option<SourceId> {
        self.sources.find(hash(Some(source)), |id| self.source(*id) == *source).copied()
    }

    fn source_at(&self, graph: &DrvGraph, digest: &PathDigest) -> Option<SourceId> {
        let is_it = |id: &SourceId| graph.path_digest(*id).get() == Some(digest);
        self.source_paths.find(hash(Some(digest)), is_it).copied()
    }
}

/// Why a derivation has no text or path.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A source could not be hashed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Its outputs do not go together.
    #[error(transparent)]
    Modulo(#[from] ModuloError),
    /// A name makes no store path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A content address makes no store path.
    #[error(transparent)]
    Address(#[from] CaError),
}

impl DrvGraph {
    /// An empty graph whose sources the host knows.
    pub fn new(host: Arc<dyn Host>) -> DrvGraph {
        DrvGraph {
            host,
            drvs: AppendVec::new(),
            instructions: Mutex::default(),
            sources: AppendVec::new(),
            index: Mutex::default(),
            redefined: AppendVec::new(),
        }
    }

    /// How many derivations there are.
    pub fn len(&self) -> usize {
        self.drvs.len() as usize
    }

    /// Whether there is no derivation.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All derivations, inputs before users.
    pub fn ids(&self) -> impl Iterator<Item = DrvId> + use<> {
        (0..self.drvs.len()).map(DrvId)
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("nothing panics while it is held")
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.instructions.lock().expect("nothing panics while it is held")
    }

    fn entry(&self, id: DrvId) -> &DrvEntry {
        self.drvs.get(id.0).expect("a DrvId comes from its own graph")
    }

    fn path_digest(&self, id: SourceId) -> &OnceLock<PathDigest> {
        self.sources.get(id.0).expect("a SourceId comes from its own graph")
    }

    /// A derivation, as it is now.
    pub fn node(&self, id: DrvId) -> &DrvNode {
        &self.entry(self.now(id)).node
    }

    /// The node at a place, whatever became of the derivation that was first there.
    pub fn node_at(&self, place: DrvId) -> &DrvNode {
        &self.entry(place).node
    }

    /// What is done to make a derivation's outputs, as it is now; read anew each time.
    pub fn instructions(&self, id: DrvId) -> Instructions {
        self.instructions_at(self.now(id))
    }

    /// The instructions at a place, whatever became of the derivation that was first there.
    pub fn instructions_at(&self, place: DrvId) -> Instructions {
        self.written().instructions(self.entry(place).instructions)
    }

    /// Lays the instructions and sources aside in a file, from which they are read again where somebody asks.
    ///
    /// # Errors
    /// When there is no room in the file: then they stay in memory.
    pub(crate) fn lay_aside(&self, shelf: &mut Shelf) -> io::Result<()> {
        self.lock().rows.lay_aside(shelf)?;
        self.written().lay_aside(shelf)
    }

    /// Where a derivation's node lies: another place each time that the derivation becomes another
    /// one.
    pub fn now(&self, id: DrvId) -> DrvId {
        match self.entry(id).now.load(Ordering::Acquire) {
            0 => id,
            place => DrvId(place - 1),
        }
    }

    /// How often a derivation became another one.
    pub fn redefinitions(&self) -> u32 {
        self.redefined.len()
    }

    /// The derivations that became other ones since there had been so many redefinitions; one that
    /// did so twice is there twice. Everything else is as it was.
    pub fn redefined_since(&self, then: u32) -> impl Iterator<Item = DrvId> {
        (then..self.redefined.len()).filter_map(|at| self.redefined.get(at).copied())
    }

    /// Whether one derivation can stand where another does: nobody who holds it by handle could
    /// tell them apart.
    pub(crate) fn stands_for(&self, new: DrvId, old: DrvId) -> bool {
        let (one, two) = (self.node(new), self.node(old));
        one.name == two.name
            && one.deferred == two.deferred
            && one.outputs.len() == two.outputs.len()
            && (0..one.outputs.len()).all(|at| {
                one.outputs[at].name == two.outputs[at].name
                    && self.is_unknown(new, at) == self.is_unknown(old, at)
            })
    }

    /// Lets a derivation be from now on what another one is, which nobody else may name; whether
    /// that makes any difference.
    pub(crate) fn redefine(&self, id: DrvId, new: DrvId) -> bool {
        let (one, other) = (self.node(id), self.node(new));
        if one.name == other.name
            && one.outputs == other.outputs
            && self.instructions(id) == self.instructions(new)
        {
            return false;
        }
        self.entry(id).now.store(new.0 + 1, Ordering::Release);
        self.redefined.push(id);
        true
    }

    /// The derivations that this one names.
    pub fn inputs_of(&self, id: DrvId) -> Vec<DrvId> {
        self.written().inputs(self.entry(self.now(id)).instructions)
    }

    /// Whether evaluation read the text of one of its paths (compared, hashed, cut, printed):
    /// strings that were made from it may hold the path as plain text.
    pub fn observed(&self, id: DrvId) -> bool {
        self.entry(id).observed.load(Ordering::Relaxed)
    }

    /// Notes that it did.
    pub fn observe(&self, id: DrvId) {
        self.entry(id).observed.store(true, Ordering::Relaxed);
    }

    /// Whether evaluation hashed a text that held one of its paths: what was made from the hash
    /// depends on the path and does not show it.
    pub fn hashed(&self, id: DrvId) -> bool {
        self.entry(id).hashed.load(Ordering::Relaxed)
    }

    /// The derivations whose paths were observed and stand in a text, whose context may have been
    /// discarded.
    pub(crate) fn shown_in(&self, text: &[u8]) -> Result<Vec<DrvId>, GraphError> {
        let mut shown = Vec::new();
        if memchr::memmem::find(text, b"/nix/store/").is_none() {
            return Ok(shown);
        }
        for id in self.ids().filter(|&id| self.observed(id)) {
            for output in 0..self.node(id).outputs.len() {
                let path = self.output_text(id, output)?;
                if memchr::memmem::find(text, path.as_bytes()).is_some() {
                    shown.push(id);
                }
            }
        }
        Ok(shown)
    }

    /// Notes that a text was hashed that held one of its paths.
    pub(crate) fn hash(&self, id: DrvId) {
        self.entry(id).hashed.store(true, Ordering::Relaxed);
    }

    /// A source, read anew each time.
    pub fn source(&self, id: SourceId) -> Source {
        self.lock().source(id)
    }

    /// Its name.
    pub fn source_name(&self, id: SourceId) -> String {
        self.lock().source_name(id).to_owned()
    }

    /// Adds a derivation whose inputs are in the graph.
    pub fn add(&self, mut node: DrvNode, instructions: &Instructions) -> DrvId {
        if !node.outputs.iter().any(|output| matches!(output.kind, OutputKind::Fixed(..))) {
            node.outputs = shared(&mut self.lock().outputs, node.outputs);
        }
        self.push(node, instructions)
    }

    fn push(&self, node: DrvNode, instructions: &Instructions) -> DrvId {
        let instructions = self.written().add(instructions);
        DrvId(self.drvs.push(DrvEntry {
            node,
            instructions,
            now: AtomicU32::new(0),
            computed: Mutex::default(),
            observed: AtomicBool::new(false),
            hashed: AtomicBool::new(false),
        }))
    }

    /// An output of the derivation that an output of `drv` is; an equal one has one id. `None` when
    /// too many of them would lie in each other.
    pub fn made_by(&self, drv: DrvId, output: u32, name: &OutputName) -> Option<DrvId> {
        let mut index = self.lock();
        let key = (drv, output, name.clone());
        if let Some(&id) = index.made.get(&key) {
            return Some(id);
        }
        let maker = self.node(drv);
        let depth = maker.made_by.map_or(0, |made| made.depth) + 1;
        if depth as usize >= MAX_NESTING {
            return None;
        }
        // What stands for it is made of what stands for the one above: from the outermost on.
        let spec = OutputSpec {
            name: name.clone(),
            kind: OutputKind::Floating(Method::Nar, HashAlgo::Sha256),
        };
        let name = format!("{}^{}", maker.file_name(), maker.outputs[output as usize].name);
        let node = DrvNode {
            made_by: Some(MadeBy { drv, output, depth }),
            name: name.into(),
            outputs: Arc::new([spec]),
            deferred: true,
        };
        let input_drvs = vec![InputDrv { drv, outputs: Picked::One(output) }];
        let id = self.push(node, &Instructions { input_drvs, ..Instructions::default() });
        index.made.insert(key, id);
        Some(id)
    }

    /// The derivation that was evaluated, where others may make others before this one is known.
    pub fn outermost(&self, id: DrvId) -> DrvId {
        let mut id = id;
        while let Some(made) = self.node(id).made_by {
            id = made.drv;
        }
        id
    }

    /// The outputs on the way from the outermost derivation to this one, each a derivation.
    fn way(&self, id: DrvId) -> Vec<OutputName> {
        let mut way = Vec::new();
        let mut id = id;
        while let Some(MadeBy { drv, output, .. }) = self.node(id).made_by {
            way.push(self.node(drv).outputs[output as usize].name.clone());
            id = drv;
        }
        way.reverse();
        way
    }

    /// A derivation as Nix's command line names it: the path of its file, or the way to it.
    pub fn shown(&self, id: DrvId) -> Result<String, GraphError> {
        let mut text = self.drv_path(id)?.to_string();
        for output in self.way(id) {
            text.push('^');
            text.push_str(output.as_str());
        }
        Ok(text)
    }

    /// Adds a source; an equal one has one id.
    pub fn add_source(&self, source: &Source) -> SourceId {
        let mut index = self.lock();
        if let Some(id) = index.source_id(source) {
            return id;
        }
        let id = SourceId(self.sources.push(OnceLock::new()));
        let Index { rows, sources, .. } = &mut *index;
        rows.push(source);
        debug_assert_eq!(rows.len(), id.0 as usize + 1, "both grow under one lock");
        let rows = &*rows;
        let hash_of = |id: &SourceId| hash(rows.get(id.0 as usize));
        sources.insert_unique(hash(Some(source)), id, hash_of);
        id
    }

    /// Lets an equal source that is added from now on be another one, to be hashed anew: its files
    /// changed. What was made from the old one stays as it was.
    pub fn forget_source(&self, source: &Source) {
        let Index { rows, sources, .. } = &mut *self.lock();
        let is_it = |id: &SourceId| rows.get(id.0 as usize).as_ref() == Some(source);
        if let Ok(entry) = sources.find_entry(hash(Some(source)), is_it) {
            entry.remove();
        }
    }

    /// The store path of the source that an equal one stands for, if it was hashed.
    pub fn known_source_path(&self, source: &Source) -> Option<StorePath> {
        let id = self.lock().source_id(source)?;
        self.path_digest(id).get().map(|digest| path_of(digest, &source.name))
    }

    /// The store path a source has or will have. Hashes it once.
    pub fn source_path(&self, id: SourceId) -> Result<StorePath, HostError> {
        let known = self.path_digest(id);
        if let Some(digest) = known.get() {
            return Ok(path_of(digest, self.lock().source_name(id)));
        }
        let source = self.source(id);
        let path = match &source.origin {
            crate::host::Origin::Text(bytes, refs) if source.expected.is_none() => {
                let refs = refs.iter().cloned().collect();
                floe_core::ca::text_path(&source.name, bytes, &refs)
                    .map_err(|error| HostError::Failed(error.to_string()))?
            }
            _ => self.host.source_path(&source)?,
        };
        debug_assert_eq!(path.name(), source.name, "the digest stands for both");
        let mut index = self.lock();
        let digest = known.get_or_init(|| path.digest());
        if index.source_at(self, digest).is_none() {
            let hash_of = |id: &SourceId| hash(self.path_digest(*id).get());
            index.source_paths.insert_unique(hash(Some(digest)), id, hash_of);
        }
        Ok(path_of(digest, &source.name))
    }

    /// The sources whose paths were computed: those that evaluation may have shown.
    pub fn shown_sources(&self) -> impl Iterator<Item = SourceId> {
        let all = (0..self.sources.len()).map(SourceId);
        all.filter(|id| self.path_digest(*id).get().is_some())
    }

    /// How many derivations' texts and how many sources' hashes were computed so far.
    pub fn computed(&self) -> (usize, usize) {
        let drvs = self.ids().filter(|id| self.computed_entry(*id).done.is_some()).count();
        (drvs, self.shown_sources().count())
    }

    /// Whether an output's path is unknown before building.
    pub fn is_unknown(&self, id: DrvId, output: usize) -> bool {
        let node = self.node(id);
        match node.outputs[output].kind {
            OutputKind::Fixed(..) => false,
            OutputKind::Floating(..) => true,
            OutputKind::InputAddressed => node.deferred,
        }
    }

    /// The derivation's paths, as C++ Nix would compute them. Computed once, with those of
    /// everything below, until one of them becomes another one; does not recurse, however deep the
    /// graph.
    pub fn derivation(&self, id: DrvId) -> Result<Arc<Instantiated>, GraphError> {
        let now = self.redefinitions();
        let mut stack = vec![id];
        while let Some(&at) = stack.last() {
            if self.computed_entry(at).holds_at(now) {
                stack.pop();
                continue;
            }
            let before = stack.len();
            let inputs = self.inputs_of(at).into_iter();
            stack.extend(inputs.filter(|input| !self.computed_entry(*input).holds_at(now)));
            if stack.len() == before {
                self.compute(at, now)?;
                stack.pop();
            }
        }
        Ok(self.done(id))
    }

    /// Computes a derivation's paths, those of its inputs being computed; or finds that they are
    /// still what they were.
    fn compute(&self, id: DrvId, now: u32) -> Result<(), GraphError> {
        let place = self.now(id);
        let known = {
            let known = self.computed_entry(id);
            let since = known.at;
            let stands = known.done.is_some()
                && known.of == place.0
                && self.inputs_of(id).iter().all(|input| self.changed_at(id, *input) <= since);
            (stands, known.done.clone())
        };
        let done = match known {
            (true, _) => None,
            (false, former) => {
                let done = self.instantiate(id)?;
                former.is_none_or(|former| *former != done).then(|| Arc::new(done))
            }
        };
        if let (Some(done), None) = (&done, self.node(id).made_by) {
            let former = self.computed_entry(id).done.clone();
            let from = former.as_ref().map(|former| &former.path);
            self.lock().drv_paths.put(id, from, &done.path);
        }
        let mut computed = self.computed_entry(id);
        if let Some(done) = done {
            computed.done = Some(done);
            computed.since = now;
        }
        (computed.of, computed.at) = (place.0, now);
        Ok(())
    }

    /// When the paths of an input became what they are.
    fn changed_at(&self, user: DrvId, input: DrvId) -> u32 {
        // A derivation that names itself is one too many cycles; whoever makes it is told elsewhere.
        if user == input { 0 } else { self.computed_entry(input).since }
    }

    fn computed_entry(&self, id: DrvId) -> std::sync::MutexGuard<'_, Computed> {
        self.entry(id).computed.lock().expect("nothing panics while it is held")
    }

    /// The derivation as C++ Nix would write it, made anew each time.
    pub fn file(&self, id: DrvId) -> Result<Derivation, GraphError> {
        let done = self.derivation(id)?;
        let modulos = &mut FxHashMap::default();
        let mut drv = self.draft(id, modulos)?;
        if done.outputs.iter().all(Option::is_none) {
            // Placeholders, or nothing: no hash is needed to find them.
            drv.fill_outputs(|_| Ok::<_, GraphError>(Modulo::Deferred))?;
            return Ok(drv);
        }
        for (spec, path) in self.node(id).outputs.iter().zip(&done.outputs) {
            let Some(path) = path else { continue };
            drv.env.insert(spec.name.as_str().into(), path.as_str().into());
            if spec.kind == OutputKind::InputAddressed {
                drv.outputs.insert(spec.name.clone(), Output::InputAddressed(path.clone()));
            }
        }
        Ok(drv)
    }

    fn done(&self, id: DrvId) -> Arc<Instantiated> {
        self.computed_entry(id).done.clone().expect("inputs are computed before users")
    }

    fn instantiate(&self, id: DrvId) -> Result<Instantiated, GraphError> {
        if let Some(made) = self.node(id).made_by {
            // Nothing is known of it but the derivation at the other end of the way to it.
            let Instantiated { path, modulo, .. } = &*self.done(made.drv);
            let outputs = Box::new([None]);
            return Ok(Instantiated { outputs, path: path.clone(), modulo: *modulo });
        }
        let mut modulos = FxHashMap::default();
        let mut drv = self.draft(id, &mut modulos)?;
        let modulo_of = |path: &StorePath| {
            Ok::<_, GraphError>(modulos.get(path).copied().unwrap_or(Modulo::Deferred))
        };
        let (modulo, path) = drv.complete(modulo_of)?;
        let outputs = self.node(id).outputs.iter();
        let outputs = outputs.map(|spec| drv.outputs[&spec.name].path().cloned()).collect();
        Ok(Instantiated { outputs, path, modulo })
    }

    /// The derivation without the paths of its input-addressed outputs, and what its inputs
    /// count as.
    fn draft(
        &self,
        id: DrvId,
        modulos: &mut FxHashMap<StorePath, Modulo>,
    ) -> Result<Derivation, GraphError> {
        let (node, instructions) = (self.node(id), self.instructions(id));
        let mut outputs = BTreeMap::new();
        for spec in &*node.outputs {
            let output = match &spec.kind {
                OutputKind::InputAddressed => Output::Deferred,
                OutputKind::Fixed(method, hash) => {
                    let ca = ContentAddress { method: *method, hash: **hash };
                    Output::fixed(&node.name, &spec.name, ca)?
                }
                OutputKind::Floating(method, algo) => Output::Floating(*method, *algo),
            };
            outputs.insert(spec.name.clone(), output);
        }
        let mut input_drvs: BTreeMap<StorePath, BTreeSet<OutputName>> = BTreeMap::new();
        let mut dynamic_inputs: BTreeMap<StorePath, Dynamic> = BTreeMap::new();
        for input in &instructions.input_drvs {
            let names = &self.node(input.drv).outputs;
            let done = self.done(input.drv);
            if self.node(input.drv).made_by.is_some() {
                let dynamic = dynamic_inputs.entry(done.path.clone()).or_default();
                dynamic.insert(&self.way(input.drv), names[0].name.clone());
                modulos.insert(done.path.clone(), done.modulo);
                continue;
            }
            let wanted = input.outputs.iter().map(|output| names[*output as usize].name.clone());
            input_drvs.entry(done.path.clone()).or_default().extend(wanted);
            modulos.insert(done.path.clone(), done.modulo);
        }
        let mut input_srcs = BTreeSet::new();
        for src in &instructions.input_srcs {
            input_srcs.insert(match src {
                InputSrc::Source(source) => self.source_path(*source)?.clone(),
                InputSrc::Path(path) => path.clone(),
                InputSrc::DrvFile(drv) => self.done(*drv).path.clone(),
            });
        }
        let variable = |(name, value): &(Symbol, SymStr)| {
            Ok::<_, GraphError>((name.as_bytes().to_vec(), self.text(value)?))
        };
        let env = instructions.env.iter().map(variable).collect::<Result<_, _>>()?;
        Ok(Derivation {
            name: node.name.to_string(),
            outputs,
            input_drvs,
            dynamic_inputs,
            input_srcs,
            system: self.text(&instructions.system)?,
            builder: self.text(&instructions.builder)?,
            args: instructions.args.iter().map(|arg| self.text(arg)).collect::<Result<_, _>>()?,
            env,
        })
    }

    /// The path of a derivation's file; of one that a build makes, that of the one that was evaluated.
    pub fn drv_path(&self, id: DrvId) -> Result<StorePath, GraphError> {
        Ok(self.derivation(id)?.path.clone())
    }

    /// An output's path, where it is known before building.
    pub fn output_path(&self, id: DrvId, output: usize) -> Result<Option<StorePath>, GraphError> {
        Ok(self.derivation(id)?.outputs[output].clone())
    }

    /// The text that stands for an output in strings: its path, or the placeholder that C++
    /// Nix uses while the path is unknown.
    pub fn output_text(&self, id: DrvId, output: usize) -> Result<String, GraphError> {
        Ok(match self.output_path(id, output)? {
            Some(path) => path.as_str().to_owned(),
            None => self.placeholder(id, output)?,
        })
    }

    /// The placeholder of an output, whether its path is known or not.
    fn placeholder(&self, id: DrvId, output: usize) -> Result<String, GraphError> {
        let mut names = vec![&self.node(id).outputs[output].name];
        let mut id = id;
        while let Some(MadeBy { drv, output, .. }) = self.node(id).made_by {
            names.push(&self.node(drv).outputs[output as usize].name);
            id = drv;
        }
        let outermost = names.pop().expect("there is one at least");
        let mut text = placeholder::upstream(&self.drv_path(id)?, outermost);
        while let Some(name) = names.pop() {
            text = placeholder::computed(&text, name).expect("it is made of a placeholder");
        }
        Ok(text)
    }

    /// The text of one segment.
    pub fn segment_text(&self, segment: &Segment, out: &mut Vec<u8>) -> Result<(), GraphError> {
        match segment {
            Segment::Text(bytes) => out.extend_from_slice(bytes),
            Segment::Output(id, output) => match &self.derivation(*id)?.outputs[*output as usize] {
                Some(path) => out.extend_from_slice(path.as_str().as_bytes()),
                None => out.extend_from_slice(self.output_text(*id, *output as usize)?.as_bytes()),
            },
            Segment::DrvPath(id) => {
                out.extend_from_slice(self.derivation(*id)?.path.as_str().as_bytes())
            }
            Segment::Source(id) => {
                out.extend_from_slice(self.source_path(*id)?.as_str().as_bytes())
            }
        }
        Ok(())
    }

    /// The text of a string, as C++ Nix would have it.
    pub fn text(&self, string: &SymStr) -> Result<Vec<u8>, GraphError> {
        if let Some(text) = string.as_text() {
            return Ok(text.to_vec());
        }
        let room = |segment: &Segment| match segment {
            Segment::Text(bytes) => bytes.len(),
            Segment::Output(..) | Segment::DrvPath(_) | Segment::Source(_) => USUAL_PATH_LEN,
        };
        let mut out = Vec::with_capacity(string.0.iter().map(room).sum());
        for segment in &*string.0 {
            self.segment_text(segment, &mut out)?;
        }
        Ok(out)
    }

    /// The derivation at a path, if the path was computed here.
    pub fn by_path(&self, path: &StorePath) -> Option<DrvId> {
        // A hash stands for the path there, and whoever computes another one says so here first.
        let is_at = |id: DrvId| {
            self.computed_entry(id).done.as_ref().is_some_and(|done| done.path == *path)
        };
        let index = self.lock();
        index.drv_paths.at(path).filter(|id| is_at(*id)).min()
    }

    /// The source at a path, if the path was computed here.
    pub fn source_by_path(&self, path: &StorePath) -> Option<SourceId> {
        let index = self.lock();
        let digest = path.digest();
        let found = index.source_at(self, &digest)?;
        let is_now = |id: SourceId| index.source_id(&index.source(id)) == Some(id);
        if is_now(found) {
            return Some(found);
        }
        // Its files are others now; another source may have been the same.
        let mut shown = self.shown_sources();
        let is_at = |id: SourceId| self.path_digest(id).get() == Some(&digest);
        shown.find(|id| is_at(*id) && is_now(*id)).or(Some(found))
    }

    /// The length of the `-name` behind a marker.
    pub(crate) fn name_len(&self, segment: &Segment) -> usize {
        1 + match segment {
            Segment::Text(_) => 0,
            Segment::Source(id) => self.lock().source_name(*id).len(),
            Segment::DrvPath(id) => self.node(*id).name.len() + ".drv".len(),
            Segment::Output(id, output) => {
                let node = self.node(*id);
                node.outputs[*output as usize].name.path_name(&node.name).len()
            }
        }
    }
}

impl std::fmt::Debug for DrvGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DrvGraph({} derivations, {} sources)", self.drvs.len(), self.sources.len())
    }
}
