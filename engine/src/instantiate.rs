//! Instantiation as a query, in a process that outlives an edit. One evaluation is kept, with a log
//! of what each of its values rests on. `refresh` looks at all that it read of the world, before
//! anything is asked, and touches the requests that rest on what changed: these are the inputs of the
//! query graph. A request is then answered from its memo if nothing that its own evaluation read has
//! changed, and otherwise by evaluating again just the values that rested on the change. Derivations
//! that come out equal stop the change there. Nothing is built here.

mod evaluation;
mod stamp;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use floe_core::path::{OutputName, StorePath};
use floe_lang::graph::{DrvGraph, GraphError};
use floe_lang::host::{Host, Source};
use floe_lang::track::{Read, ReadId};
use floe_lang::{Argument, EvalError, Rows, Settings, Shelf, Table};
use rustc_hash::FxHashMap;
use salsa::Setter;

use crate::alias::Aliases;
use crate::import::{Imported, Seen, Wanted, import};
use crate::ledger::Short;

use evaluation::Evaluation;
use stamp::Stamp;

/// Where an expression comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Top {
    /// A file, or a directory with a `default.nix`.
    File(PathBuf),
    /// A text.
    Text(String),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The expression.
    pub top: Top,
    /// The folder that relative paths in texts and arguments start from.
    pub base: PathBuf,
    /// The attribute path; empty for everything.
    pub attr: String,
    /// Arguments of the top-level function.
    pub args: Vec<(String, Argument)>,
}

/// A derivation that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The attribute path at which it was found.
    pub attr: String,
    /// Which of its outputs.
    pub outputs: Vec<OutputName>,
    /// What `meta.mainProgram` says.
    pub main_program: Option<String>,
}

/// What an evaluation gave.
#[derive(Debug)]
pub struct Instantiated {
    /// The derivations.
    pub targets: Vec<Target>,
    /// The same, for the engine.
    pub wanted: Vec<Wanted>,
    /// The graph that they are in.
    pub graph: Arc<DrvGraph>,
    /// What their evaluation saw of paths.
    pub seen: Seen,
}

impl Instantiated {
    /// The paths of the derivations' files.
    ///
    /// # Errors
    /// When a derivation's text cannot be made.
    pub fn drv_paths(&self) -> Result<Vec<StorePath>, GraphError> {
        self.wanted.iter().map(|wanted| self.graph.drv_path(wanted.drv)).collect()
    }
}

/// Why there is nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InstantiateError {
    /// The expression is at fault.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A derivation's text cannot be made.
    #[error("{0}")]
    Graph(String),
}

impl From<GraphError> for InstantiateError {
    fn from(error: GraphError) -> Self {
        InstantiateError::Graph(error.to_string())
    }
}

/// The answer of a request.
pub type Answer = Result<Arc<Instantiated>, InstantiateError>;

/// The inputs of the queries.
mod input {
    #![expect(missing_docs, reason = "salsa generates constructors and setters without any")]
    use super::Asked;

    /// A request.
    #[salsa::input]
    pub struct Request {
        #[returns(ref)]
        pub asked: Asked,
        /// How often something changed that its answer rests on. An input for each read would take
        /// more room than all else that is known of it.
        #[returns(copy)]
        pub changes: u64,
    }
}
pub use input::Request;

/// How much work was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were evaluated: executions of [`instantiated`].
    pub evaluated: u64,
    /// Graphs that were made for the engine: executions of [`imported`].
    pub imported: u64,
    /// Files that were parsed.
    pub parsed: u64,
    /// Values that became unevaluated.
    pub forgotten: u64,
    /// Reads that are watched.
    pub reads: u64,
}

#[derive(Default)]
struct Counters {
    evaluated: AtomicU64,
    imported: AtomicU64,
    parsed: AtomicU64,
    forgotten: AtomicU64,
}

/// What is known of the reads, by their numbers.
#[derive(Default)]
struct Watched {
    reads: Rows<Read>,
    answers: Table<Option<Short>>,
    stamps: Table<Stamp>,
    /// What the last answer of each request rests on, sorted.
    rests: FxHashMap<Request, Box<[ReadId]>>,
}

impl Watched {
    fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        self.reads.lay_aside(shelf)?;
        self.answers.lay_aside(shelf)?;
        self.stamps.lay_aside(shelf)
    }
}

/// A graph, and the derivations that were asked for.
type Made = (Vec<String>, Arc<Imported>);

/// What the queries may ask for.
#[salsa::db]
pub trait Db: salsa::Database {
    /// Evaluates, and notes what the answer rests on.
    fn evaluate(&self, request: Request) -> Answer;
    /// The engine's graph, if there can be one: the former one if it is of the same derivations.
    fn import(&self, request: Request, found: &Instantiated) -> Option<Arc<Imported>>;
}

/// The query graph and the evaluation beneath it.
#[salsa::db]
#[derive(Clone)]
pub struct Instantiator {
    storage: salsa::Storage<Self>,
    host: Arc<dyn Host>,
    aliases: Arc<Aliases>,
    evaluation: Arc<Evaluation>,
    graph: Arc<DrvGraph>,
    watched: Arc<Mutex<Watched>>,
    requests: Arc<Mutex<Vec<(Asked, Request)>>>,
    /// The engine's graphs that were made last, and of which derivations.
    made: Arc<Mutex<FxHashMap<Request, Made>>>,
    counters: Arc<Counters>,
}

#[salsa::db]
impl salsa::Database for Instantiator {}

#[salsa::db]
impl Db for Instantiator {
    fn evaluate(&self, request: Request) -> Answer {
        self.counters.evaluated.fetch_add(1, Ordering::Relaxed);
        let started = SystemTime::now();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.evaluation.evaluate(request.asked(self).clone());
        self.counters.parsed.store(outcome.parsed, Ordering::Relaxed);
        for (read, answer) in outcome.new_reads {
            let stamp = Stamp::of(&read, &*self.host, started);
            watched.answers.push(answer.map(Short::from).or_else(|| stamp.tree()));
            watched.stamps.push(stamp);
            watched.reads.push(&read);
        }
        watched.rests.insert(request, outcome.rests_on.into());
        outcome.answer
    }

    fn import(&self, request: Request, found: &Instantiated) -> Option<Arc<Imported>> {
        let shown = found.wanted.iter().map(|wanted| found.graph.shown(wanted.drv));
        let paths: Vec<String> = shown.collect::<Result<_, _>>().ok()?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, imported)) = made.get(&request)
            && *known == paths
        {
            return Some(Arc::clone(imported));
        }
        self.counters.imported.fetch_add(1, Ordering::Relaxed);
        let imported = import(&found.graph, &found.wanted, &found.seen, &self.aliases).ok()?;
        let imported = Arc::new(imported);
        made.insert(request, (paths, Arc::clone(&imported)));
        Some(imported)
    }
}

impl Instantiator {
    /// An evaluation that has read nothing yet.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn new(
        host: Arc<dyn Host>,
        settings: Settings,
        aliases: Arc<Aliases>,
    ) -> std::io::Result<Instantiator> {
        let evaluation = Evaluation::start(Arc::clone(&host), settings)?;
        Ok(Instantiator {
            storage: salsa::Storage::new(None),
            graph: evaluation.graph(),
            evaluation: Arc::new(evaluation),
            host,
            aliases,
            watched: Arc::default(),
            requests: Arc::default(),
            made: Arc::default(),
            counters: Arc::default(),
        })
    }

    /// Looks at everything that was read so far and sets what changed; how much that was. What the
    /// stats say is unchanged is not read again.
    pub fn refresh(&mut self) -> usize {
        self.refresh_from(0)
    }

    /// The same for what was read from a number on.
    pub fn refresh_from(&mut self, from: usize) -> usize {
        let count = self.counts().reads as u32;
        self.update((from as u32..count).map(ReadId), true)
    }

    /// Asks these again, whatever the stats say, and sets what changed; how much that was.
    pub fn ask_again(&mut self, ids: impl IntoIterator<Item = ReadId>) -> usize {
        self.update(ids.into_iter(), false)
    }

    fn update(&mut self, ids: impl Iterator<Item = ReadId>, trusting_stats: bool) -> usize {
        let now = SystemTime::now();
        let mut changed: Vec<ReadId> = Vec::new();
        let touched: Vec<Request>;
        {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let Watched { reads, answers, stamps, rests } = &mut *watched;
            let mut looked = stamp::Looked::default();
            for id in ids {
                let at = id.0 as usize;
                let Some(read) = reads.get(at) else { continue };
                if trusting_stats && stamps[at].still_holds(&read, &*self.host, &mut looked) {
                    continue;
                }
                let new = Stamp::of(&read, &*self.host, now);
                let (answer, stands) = match &read {
                    Read::Source(source) => (new.tree(), self.is_as_hashed(source)),
                    _ => {
                        let answer = read.answer(&*self.host).map(Short::from);
                        (answer, answer == answers[at])
                    }
                };
                stamps[at] = new;
                if !stands {
                    answers[at] = answer;
                    changed.push(id);
                }
            }
            let is_among = |rests: &[ReadId]| {
                changed.iter().any(|changed| rests.binary_search(changed).is_ok())
            };
            let resting = rests.iter().filter(|(_, rests)| is_among(rests));
            touched = resting.map(|(request, _)| *request).collect();
        }
        if changed.is_empty() {
            return 0;
        }
        let count = changed.len();
        let forgotten = self.evaluation.forget(changed);
        self.counters.forgotten.fetch_add(forgotten as u64, Ordering::Relaxed);
        for request in touched {
            let changes = request.changes(self) + 1;
            request.set_changes(self).to(changes);
        }
        count
    }

    /// Whether a source has the store path that evaluation computed of it.
    fn is_as_hashed(&self, source: &Source) -> bool {
        let known = self.graph.known_source_path(source);
        known.is_some_and(|known| self.host.source_path(source).is_ok_and(|path| path == known))
    }

    /// What was read so far, from a number on; a [`ReadId`] is an index of this list.
    pub fn reads(&self, from: usize) -> Vec<Read> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        (from..watched.reads.len()).filter_map(|at| watched.reads.get(at)).collect()
    }

    /// One of them.
    pub fn read(&self, id: ReadId) -> Option<Read> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.reads.get(id.0 as usize)
    }

    /// The text of a source that an error refers to, as it was evaluated.
    pub fn source_text(&self, file: &Path) -> Option<Vec<u8>> {
        self.evaluation.source_text(file.to_path_buf())
    }

    /// How large the evaluation has grown: the bytes of its heap, and its derivations.
    pub fn size(&self) -> (u64, usize) {
        (self.evaluation.heap_bytes(), self.graph.len())
    }

    /// Lays the `nth` part of the evaluation's values aside in a file in this folder, until they are
    /// needed again; whether there is such a part, and room for it.
    pub fn lay_aside(&self, nth: usize, folder: &Path) -> bool {
        let watched = Arc::clone(&self.watched);
        let also = move |shelf: &mut Shelf| match nth {
            0 => watched.lock().unwrap_or_else(PoisonError::into_inner).lay_aside(shelf),
            _ => Ok(()),
        };
        self.evaluation.lay_aside(nth, folder.to_path_buf(), also)
    }

    /// The bytes of the file in which values are laid aside.
    pub fn aside_bytes(&self) -> u64 {
        self.evaluation.aside_bytes()
    }

    fn request(&self, asked: &Asked) -> Request {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, request)) = requests.iter().find(|(known, _)| known == asked) {
            return *request;
        }
        let request = Request::new(self, asked.clone(), 0);
        requests.push((asked.clone(), request));
        request
    }

    /// The derivations asked for, as of the last [`Instantiator::refresh`].
    ///
    /// # Errors
    /// When the expression is at fault.
    pub fn instantiate(&self, asked: &Asked) -> Answer {
        instantiated(self, self.request(asked)).clone()
    }

    /// The engine's graph of what is asked for.
    pub fn graph(&self, asked: &Asked) -> Option<Arc<Imported>> {
        imported(self, self.request(asked)).0.clone()
    }

    /// Work done so far.
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        Counts {
            evaluated: load(&self.counters.evaluated),
            imported: load(&self.counters.imported),
            parsed: load(&self.counters.parsed),
            forgotten: load(&self.counters.forgotten),
            reads: watched.reads.len() as u64,
        }
    }
}

/// The derivations of a request. It rests on everything that its evaluation read, and on nothing
/// else. Whether they are what they were is not asked here: that takes all their paths.
#[salsa::tracked(returns(ref), no_eq)]
pub fn instantiated(db: &dyn Db, request: Request) -> Answer {
    let _ = request.changes(db);
    db.evaluate(request)
}

/// An engine's graph, the same one for as long as the derivations are.
#[derive(Clone)]
pub struct Graphed(Option<Arc<Imported>>);

impl PartialEq for Graphed {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The engine's graph of a request: made anew only when a derivation differs.
#[salsa::tracked(returns(ref))]
pub fn imported(db: &dyn Db, request: Request) -> Graphed {
    let answer = instantiated(db, request);
    Graphed(answer.as_ref().ok().and_then(|found| db.import(request, found)))
}
