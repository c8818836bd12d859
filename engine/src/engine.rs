//! The engine as a whole: a store root, the query graph over it, and requests. This is the door
//! for a command, a server or a test; each step is a module of its own.

mod memory;

use memory::{Ending, Kept};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_core::hash::Digest;
use floe_core::path::StorePath;
use floe_lang::graph::{DrvGraph, DrvId};
use floe_sandbox::Spawner;
use floe_store::{Moment, Store, StoreError};

use crate::builds::{Builds, Watch};
use crate::cancel::Cancel;
use crate::db::{Database, QueryCounts};
use crate::decide::Decided;
use crate::digests::Digests;
use crate::dynamic::{Discover, NoReader, Reader};
use crate::event::{Events, Stage};
use crate::graph::{Graph, NodeIx};
use crate::history::{History, Over};
use crate::host::StoreHost;
use crate::import::{ImportError, Imported, Imports, Revised, Seen, Wanted};
use crate::job::Executor;
use crate::local::{Local, LocalSettings, Profiles, find_shell};
use crate::materials::Materials;
use crate::memo::{EmptyMemo, StoreMemo};
use crate::predict::Prediction;
use crate::rebuilder::{Memo, Strategy};
use crate::recipe::Recipe;
use crate::report::Cost;
use crate::schedule::{Options, Outcome, Scheduler, State};
use crate::scheduling::{Restarts, Scheduling};
use crate::share::{Jobs, Shared};
use crate::slot::Slot;
use crate::spent::{Meter, Spent, Stages};
use crate::tasks::{Entered, Tasks};

/// Why a request could not be carried out at all. What fails in single builds is in the outcome.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The evaluated graph cannot be built.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Builds failed, and then what became of the request could not be written down.
    #[error("{error}\n{failures}")]
    Unkept {
        /// Why not.
        error: Box<EngineError>,
        /// What failed before, in full.
        failures: String,
    },
    /// The sandbox cannot be set up at all.
    #[error(transparent)]
    Sandbox(#[from] floe_sandbox::SandboxError),
    /// A helper thread cannot be started.
    #[error("cannot start a thread: {0}; free processes and build again")]
    Threads(std::io::Error),
    /// A derivation is made by a builder, and the scheduler wants to know it before anything runs.
    #[error(
        "'{name}' is a derivation that a builder makes, and the topological scheduler must know what depends on what \
         before anything runs; choose --scheduler suspending or restarting"
    )]
    Unplannable {
        /// The way to it.
        name: String,
    },
    /// The static shell cannot be read.
    #[error(
        "cannot read the sandbox's shell {path}: {source}; let FLOE_SANDBOX_SHELL name a static shell, or unset it"
    )]
    Shell {
        /// Where it should be.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// What a request wants beside its targets.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Which results may stand.
    pub strategy: Strategy,
    /// How many builders, and what a failure stops.
    pub schedule: Options,
    /// How builders run.
    pub local: LocalSettings,
    /// Decide about every derivation even when nothing had to be done.
    pub decide_all: bool,
    /// Make targets that are there again, and compare.
    pub check: bool,
    /// What the expression and its arguments are, by name, for whoever looks back.
    pub asked: Vec<(String, String)>,
}

/// What came of a request.
pub struct Built {
    /// The graph.
    pub graph: Arc<Graph>,
    /// What became of each node.
    pub outcome: Arc<Outcome>,
    /// The decisions; empty when nothing had to be done and nobody asked.
    pub decided: Vec<Decided>,
    /// Each node's derivation as evaluated; empty for a generated graph.
    pub drvs: Arc<[DrvId]>,
    /// What its stages took.
    pub stages: Stages,
    /// How much work the queries did for this request.
    pub queries: QueryCounts,
    /// What is foreseen, in a dry run of not too much.
    pub prediction: Option<Prediction>,
}

/// A store root and everything that is known about it.
pub struct Engine {
    slot: Arc<Slot>,
    events: Events,
    digests: Arc<Digests>,
    host: Arc<StoreHost>,
    profiles: Profiles,
    db: Database,
    tasks: Tasks,
    imports: Imports,
    /// The opening of the store that the database's memo reads.
    read: Option<Arc<Store>>,
    /// What the store was like when it began to, or when it stopped.
    moment: Option<Moment>,
    /// Where jobs are shared with other engines.
    jobs: Option<Arc<Jobs>>,
    restarts: Arc<Restarts>,
}

impl Engine {
    /// An engine over the store at `root`. The store is opened for reading if it exists; it is
    /// created, or opened for writing, when something must be written.
    ///
    /// # Errors
    /// When the store is damaged or cannot be read, or when another process collects garbage
    /// and `wait` is false.
    pub fn open(root: &Path, wait: bool, events: Events) -> Result<Engine, EngineError> {
        let slot = Arc::new(Slot::open(root, wait, events.clone())?);
        let shell = find_shell();
        let digests = Arc::new(Digests::new(Arc::clone(&slot)));
        let profiles = Profiles::load(shell.clone(), &digests)
            .map_err(|source| EngineError::Shell { path: shell.unwrap_or_default(), source })?;
        let host = StoreHost::new(Arc::clone(&slot), Arc::clone(&digests), events.clone());
        Ok(Engine::over(host, slot, digests, events, profiles))
    }

    /// An engine with nothing in its memory.
    fn over(
        host: Arc<StoreHost>,
        slot: Arc<Slot>,
        digests: Arc<Digests>,
        events: Events,
        profiles: Profiles,
    ) -> Engine {
        let read = slot.get();
        let db = Database::new(memo(read.as_ref(), &profiles), Strategy::default());
        let moment = read.as_ref().map(|store| store.moment());
        let (tasks, imports) = (Tasks::default(), Imports::default());
        let (jobs, restarts) = (None, Arc::default());
        Engine {
            slot,
            events,
            digests,
            host,
            profiles,
            db,
            tasks,
            imports,
            read,
            moment,
            jobs,
            restarts,
        }
    }

    /// An engine over an opening of a store, and over running jobs, that others share. `told` hears
    /// what evaluation says, `events` all else.
    ///
    /// # Errors
    /// When the sandbox's shell cannot be read.
    pub fn sharing(
        slot: Arc<Slot>,
        jobs: Arc<Jobs>,
        told: Events,
        events: Events,
    ) -> Result<Engine, EngineError> {
        let shell = find_shell();
        let digests = Arc::new(Digests::new(Arc::clone(&slot)));
        let profiles = Profiles::load(shell.clone(), &digests)
            .map_err(|source| EngineError::Shell { path: shell.unwrap_or_default(), source })?;
        let host = StoreHost::new(Arc::clone(&slot), Arc::clone(&digests), told);
        let jobs = Some(jobs);
        Ok(Engine { jobs, ..Engine::over(host, slot, digests, events, profiles) })
    }

    /// Lets go of the store and keeps what is known of it, for when it is open again.
    pub fn let_go(&mut self) {
        if let Some(read) = self.read.take() {
            self.moment = Some(read.moment());
            self.db.renew_memo(Arc::new(EmptyMemo));
        }
        self.host.let_go();
    }

    /// Gives back memory that the next request can do without: what queries concluded is known beside them.
    pub fn rest(&mut self) {
        self.tasks.rest(&mut self.db);
    }

    /// Reads the store as it is now, opened again if need be; whether what was known of it holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn look(&mut self) -> Result<bool, EngineError> {
        self.slot.look()?;
        let epoch = self.db.epoch();
        self.read_store();
        Ok(epoch == self.db.epoch())
    }

    /// An engine over the same opening of the store, for a request in the middle of another.
    pub(crate) fn beside(
        host: Arc<StoreHost>,
        profiles: Profiles,
        jobs: Option<Arc<Jobs>>,
    ) -> Engine {
        let (slot, digests, events) = host.parts();
        Engine { jobs, ..Engine::over(host, slot, digests, events, profiles) }
    }

    /// Sends what happens from now on to somebody else.
    pub fn listen(&mut self, events: Events) {
        self.events = events;
    }

    /// Lets evaluation build what it wants to read (import from derivation), in this way; `watch`
    /// gives what stops such a build.
    pub fn build_for_evaluation(
        &self,
        options: BuildOptions,
        watch: impl Fn() -> Watch + Send + Sync + 'static,
    ) {
        let (restarts, jobs) = (Arc::clone(&self.restarts), self.jobs.clone());
        let builds = Builds::new(options, Box::new(watch), self.profiles.clone(), restarts, jobs);
        self.host.set_builds(builds);
    }

    /// The evaluations that are to begin again because something was built for them.
    pub fn restarts(&self) -> &Restarts {
        &self.restarts
    }

    /// What a request took that began then, for its report. Takes the count of builders that ran for evaluation.
    pub fn cost(&self, started: Instant, evaluation: Spent, built: &Built) -> Cost {
        Cost {
            restarts: self.restarts.count(),
            builders_for_evaluation: self.restarts.take_builders(),
            wall_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            evaluation,
            stages: built.stages,
        }
    }

    /// Evaluation's host.
    pub fn host(&self) -> Arc<StoreHost> {
        Arc::clone(&self.host)
    }

    /// The store as it is open now, if it exists.
    pub fn store(&self) -> Option<Arc<Store>> {
        self.slot.get()
    }

    /// The store, open for writing; waits for another owner.
    ///
    /// # Errors
    /// When it cannot be opened so.
    pub fn writable_store(&self) -> Result<Arc<Store>, EngineError> {
        Ok(self.slot.writable()?)
    }

    /// The store, open for writing, and nothing else of the engine: no reader of this process is
    /// left to wait for.
    ///
    /// # Errors
    /// When it cannot be opened so.
    pub fn into_writable(self) -> Result<Arc<Store>, EngineError> {
        let Engine { slot, host, .. } = self;
        drop(host);
        slot.close();
        Ok(slot.writable()?)
    }

    /// Lets the queries read the store as it is open now; what they concluded from another store,
    /// or before something was deleted, is forgotten.
    fn read_store(&mut self) {
        let store = self.store();
        let same = self.read.as_ref().map(Arc::as_ptr) == store.as_ref().map(Arc::as_ptr);
        let stands = |store: &Arc<Store>| {
            self.moment.as_ref().is_some_and(|moment| moment.epoch() == store.epoch())
        };
        if same && store.as_ref().is_none_or(stands) {
            return;
        }
        let moment = store.as_ref().map(|store| store.moment());
        let holds = match (&moment, &self.moment) {
            (Some(now), Some(before)) => now.continues(before),
            _ => false,
        };
        let memo = memo(store.as_ref(), &self.profiles);
        match holds {
            true => self.db.renew_memo(memo),
            false => self.db.set_memo(memo),
        }
        self.moment = moment;
        self.read = store;
    }

    /// Builds what evaluation wants.
    ///
    /// # Errors
    /// When the request as a whole cannot be carried out; failed builds are in the result.
    pub fn build(
        &mut self,
        drvs: &Arc<DrvGraph>,
        wanted: &[Wanted],
        options: &BuildOptions,
        cancel: &Cancel,
    ) -> Result<Built, EngineError> {
        self.build_seen(drvs, wanted, &Seen::All, options, cancel)
    }

    /// Builds what one request of several to an evaluation wants, which has seen only so much.
    ///
    /// # Errors
    /// As [`Engine::build`].
    pub fn build_seen(
        &mut self,
        drvs: &Arc<DrvGraph>,
        wanted: &[Wanted],
        seen: &Seen,
        options: &BuildOptions,
        cancel: &Cancel,
    ) -> Result<Built, EngineError> {
        let aliases = self.host.aliases();
        let importing = self.events.stage(Stage::Importing);
        let meter = Meter::of_thread();
        // What must be known before anything runs is looked at as a whole.
        let is_planned = options.schedule.scheduling == Scheduling::Topological;
        let former = self.tasks.former_drvs().filter(|_| !is_planned).cloned();
        let revised = match &former {
            Some(former) => self.imports.revise(former, drvs, wanted, seen, aliases)?,
            None => None,
        };
        let (made, ids, materials) = match (revised, former) {
            (Some(Revised { recipes, materials }), Some(ids)) => {
                (Made::Revised(recipes), ids, materials)
            }
            _ => {
                let Imported { graph, drvs, materials } =
                    self.imports.import(drvs, wanted, seen, aliases)?;
                Self::refuse_dynamic(&graph, options)?;
                (Made::Anew(Box::new(graph)), drvs, materials)
            }
        };
        let import = meter.read();
        drop(importing);
        let materials = Materials::new(Arc::clone(drvs), self.host(), materials);
        let lifts = options.strategy.rebuilder().lifts();
        let reader = Reader::new(Arc::clone(&self.slot), Arc::clone(drvs), Arc::clone(&ids), lifts);
        let mut built = self.build_reading(made, Some(ids), materials, &reader, options, cancel)?;
        built.stages.import = import;
        Ok(built)
    }

    /// Builds the targets of a graph.
    ///
    /// # Errors
    /// When the request as a whole cannot be carried out; failed builds are in the result.
    pub fn build_graph(
        &mut self,
        graph: Graph,
        materials: Materials,
        options: &BuildOptions,
        cancel: &Cancel,
    ) -> Result<Built, EngineError> {
        self.build_reading(Made::Anew(Box::new(graph)), None, materials, &NoReader, options, cancel)
    }

    /// Refuses what the scheduler cannot know before anything runs.
    fn refuse_dynamic(graph: &Graph, options: &BuildOptions) -> Result<(), EngineError> {
        let mut dynamic = graph.nodes().filter(|(_, node)| node.recipe.is_dynamic());
        match dynamic.next() {
            Some((_, node)) if options.schedule.scheduling == Scheduling::Topological => {
                Err(EngineError::Unplannable { name: node.recipe.name.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// The same, derivations that builders make being read by `reader`.
    fn build_reading(
        &mut self,
        made: Made,
        drvs: Option<Arc<[DrvId]>>,
        materials: Materials,
        reader: &dyn Discover,
        options: &BuildOptions,
        cancel: &Cancel,
    ) -> Result<Built, EngineError> {
        let meter = Meter::of_thread();
        let before = self.db.counts();
        if let Made::Revised(recipes) = &made
            && !recipes.is_empty()
            && !options.schedule.dry_run
            && let Err(error) = self.slot.writable()
        {
            // It is opened now, since something will be written: opened later, everything would be looked
            // up again. What was imported is entered nowhere.
            self.tasks.forget_former();
            return Err(error.into());
        }
        self.read_store();
        self.db.set_strategy(options.strategy);
        let mut entered = match made {
            Made::Anew(graph) => self.tasks.enter(&mut self.db, *graph),
            Made::Revised(recipes) => {
                let entered = self.tasks.revise(&mut self.db, recipes);
                entered.expect("it was revised against a former request")
            }
        };
        entered.drvs.clone_from(&drvs);
        let outcome = self.carry_out(&mut entered, materials.clone(), reader, options, cancel)?;
        let outcome = Arc::new(outcome);
        let kept = self.keep(&Over::new(&entered, &outcome), &materials, options);
        let kept = kept.map_err(|error| unkept(error, &entered.graph, &outcome))?;
        let Ending { kept: Kept { decided, number, reporting }, prediction, syncing } = kept;
        let graph = Arc::clone(&entered.graph);
        entered.entered_as = number;
        self.tasks.keep(&self.db, entered, &outcome);
        let after = self.db.counts();
        let (waiting, (setting_up, registering)) = (outcome.waited, outcome.upkeep);
        let others = Spent { wall: waiting, cpu: Duration::ZERO } + syncing + reporting;
        let engine = meter.read().without(others);
        Ok(Built {
            graph,
            outcome,
            decided,
            drvs: drvs.unwrap_or_default(),
            stages: Stages {
                import: Spent::default(),
                engine,
                waiting,
                syncing,
                reporting,
                setting_up,
                registering,
            },
            queries: QueryCounts {
                executed: after.executed - before.executed,
                validated: after.validated - before.validated,
                resolved: after.resolved - before.resolved,
            },
            prediction,
        })
    }

    /// Looks up what differs from the former request and runs what must run.
    fn carry_out(
        &mut self,
        entered: &mut Entered,
        materials: Materials,
        reader: &dyn Discover,
        options: &BuildOptions,
        cancel: &Cancel,
    ) -> Result<Outcome, EngineError> {
        let began = Instant::now();
        let events = self.events.clone();
        let (walls, first_len) = (entered.walls.clone(), entered.graph.first_len());
        let order = Order { events: &events, materials: &materials, reader, options, cancel };
        let mut scheduler = scheduler(&mut self.db, &mut self.tasks, entered, order);
        if scheduler.is_finished() || options.schedule.dry_run {
            return Ok(scheduler.run(&Nobody));
        }
        let opening = self.events.stage(Stage::Opening);
        let store = self.slot.writable()?;
        let local = Local::new(
            Arc::clone(&store),
            materials.clone(),
            options.local.clone(),
            Spawner::new()?,
            self.profiles.clone(),
        )
        .map_err(EngineError::Threads)?;
        let executor: Box<dyn Executor> = match &self.jobs {
            Some(jobs) => {
                let manner = Digest::of(format!("{:?}", options.local).as_bytes());
                Box::new(Shared::new(Arc::new(local), Arc::clone(jobs), manner, began))
            }
            None => Box::new(local),
        };
        drop(opening);
        if self.read.as_ref().is_none_or(|read| !Arc::ptr_eq(read, &store)) {
            // Somebody else may have written since it was opened for reading.
            drop(scheduler);
            self.read_store();
            scheduler = self::scheduler(&mut self.db, &mut self.tasks, entered, order);
        }
        if self.events.are_heard() {
            let strategy = options.strategy;
            let find = move |task: &str| History::new(&store, strategy).wall_ms(task);
            // What is found on the way has other numbers the next time.
            scheduler.expect(Box::new(move |ix, task| match ix.index() < first_len {
                true => walls.of(ix, || find(task)),
                false => find(task),
            }));
        }
        let _building = self.events.stage(Stage::Building);
        Ok(scheduler.run(&*executor))
    }

    /// Where an object's bytes lie, if there is a store.
    pub fn physical(&self, path: &StorePath) -> Option<PathBuf> {
        self.store().map(|store| store.physical(path))
    }
}

/// Why nothing was written down, after what failed before: that may be the cause, and is told nowhere else.
fn unkept(error: EngineError, graph: &Graph, outcome: &Outcome) -> EngineError {
    let told = graph.nodes().filter_map(|(ix, node)| match &outcome.states[ix.index()] {
        State::Failed(failure) => {
            Some(format!("before that, '{}' failed: {}", node.recipe.name, failure.in_full()))
        }
        _ => None,
    });
    let failures = told.collect::<Vec<_>>().join("\n");
    match failures.is_empty() {
        true => error,
        false => EngineError::Unkept { error: Box::new(error), failures },
    }
}

/// The graph of a request.
enum Made {
    /// All of it.
    Anew(Box<Graph>),
    /// The former request's, in which these recipes are others now.
    Revised(Vec<(NodeIx, Arc<Recipe>)>),
}

/// What a scheduler goes by beside the graph.
#[derive(Clone, Copy)]
struct Order<'a> {
    events: &'a Events,
    materials: &'a Materials,
    reader: &'a dyn Discover,
    options: &'a BuildOptions,
    cancel: &'a Cancel,
}

/// A scheduler that has looked up what is known.
fn scheduler<'a>(
    db: &'a mut Database,
    tasks: &'a mut Tasks,
    entered: &'a mut Entered,
    order: Order<'a>,
) -> Scheduler<'a> {
    let Order { events, materials, reader, options, cancel } = order;
    let _resolving = events.stage(Stage::Resolving);
    let how = options.schedule.clone();
    let mut scheduler = Scheduler::new(entered, tasks, db, events, cancel, how);
    scheduler.read_with(reader);
    scheduler.remember(&|path| materials.time(path));
    if options.check {
        scheduler.check_targets();
    }
    scheduler.look_up();
    scheduler
}

fn memo(store: Option<&Arc<Store>>, profiles: &Profiles) -> Arc<dyn Memo> {
    match store {
        Some(store) => Arc::new(StoreMemo::new(Arc::clone(store), profiles.clone())),
        None => Arc::new(EmptyMemo),
    }
}

/// The executor of requests that run nothing.
struct Nobody;

impl Executor for Nobody {
    fn systems(&self) -> &[String] {
        &[]
    }

    fn features(&self) -> &[String] {
        &[]
    }

    fn execute(
        &self,
        job: &crate::job::Job,
        _context: &crate::job::Context<'_>,
    ) -> Result<crate::job::Done, crate::job::Failure> {
        unreachable!("'{}' must not run in a request that is finished", job.recipe.name)
    }
}
