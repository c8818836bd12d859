//! What is kept of one expression from request to request: its evaluation, the query graph over the
//! derivations it made, the watch on what it read, and the last answer. It is of use to one request
//! at a time. Who may use it, and for how long it is kept, is the pool's affair.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use floe_engine::cancel::Cancel;
use floe_engine::engine::{BuildOptions, Built, Engine};
use floe_engine::environ::Environment;
use floe_engine::event::{Event, Events};
use floe_engine::import::{Seen, Wanted};
use floe_engine::instantiate::{Asked, InstantiateError, Instantiator, Target, Top};
use floe_engine::share::Jobs;
use floe_engine::slot::Slot;
use floe_engine::spent::{Meter, Spent};
use floe_lang::graph::DrvGraph;
use floe_lang::{ErrorKind, EvalError, SearchEntry, Settings};

use crate::answer::{self, no_derivation};
use crate::outlet::Outlet;
use crate::protocol::{self, Answer, Argument, Build, Bytes, Fault, Say, Source};
use crate::sentence;
use crate::watch::{Doubt, Watch};
use crate::work::ShowError;

/// An evaluation is not followed through more edits than this while it goes on.
const EDITS_MEANWHILE: usize = 8;

/// Bytes of one part of a report.
const PART: usize = 1 << 20;

/// Where what happens is told: to the client of the request that goes on.
#[derive(Default)]
struct Line {
    outlet: Mutex<Option<Arc<Outlet>>>,
    /// What evaluation said so far.
    said: Mutex<Vec<String>>,
}

impl Line {
    fn tell(&self, event: Event) {
        let outlet = lock(&self.outlet).clone();
        if let Some(outlet) = outlet {
            outlet.tell(event);
        }
    }
}

/// The last request that ended with everything in the store.
struct Last {
    attrs: Vec<String>,
    dry_run: bool,
    answer: Answer,
}

/// What stays of an expression.
pub(crate) struct Warm {
    instantiator: Instantiator,
    engine: Engine,
    watch: Watch,
    line: Arc<Line>,
    /// How many reads are watched.
    watched: usize,
    /// What the last request asked for.
    attrs: Vec<String>,
    last: Option<Last>,
    /// The size of the evaluation when it was new.
    first_size: Option<(u64, usize)>,
    /// It must not be used again.
    spent: bool,
    /// How many parts of the evaluation were laid aside since the last request.
    aside: usize,
}

/// Why a request must be carried out by another one.
pub(crate) struct Stale;

impl Warm {
    /// A new evaluation of this source.
    pub(crate) fn start(
        source: &Source,
        slot: &Arc<Slot>,
        jobs: &Arc<Jobs>,
    ) -> Result<Warm, Fault> {
        let line = Arc::new(Line::default());
        let (told, happened) = (Arc::clone(&line), Arc::clone(&line));
        let told = Events::to(move |event| {
            if let Event::Note(text) = &event {
                lock(&told.said).push(text.clone());
            }
            told.tell(event);
        });
        let happened = Events::to(move |event| happened.tell(event));
        let words = |error: &(dyn std::error::Error + 'static)| Fault::Words(sentence(error));
        slot.look().map_err(|error| words(&error))?;
        let engine = Engine::sharing(Arc::clone(slot), Arc::clone(jobs), told, happened)
            .map_err(|error| words(&error))?;
        let entry = |(prefix, path): &(String, Bytes)| SearchEntry {
            prefix: prefix.clone(),
            path: path.path(),
        };
        let settings = Settings {
            pure: source.pure,
            import_from_derivation: source.import_from_derivation,
            nix_path: source.search.iter().map(entry).collect(),
            ..Settings::default()
        };
        let host = engine.host();
        if let Some(seconds) = source.tarball_ttl_s {
            host.set_tarball_ttl(seconds);
        }
        let aliases = Arc::clone(host.aliases());
        let instantiator = Instantiator::new(host, settings, aliases)
            .map_err(|error| Fault::Words(format!("cannot start a thread: {error}")))?;
        Ok(Warm {
            instantiator,
            engine,
            watch: Watch::new(),
            line,
            watched: 0,
            attrs: Vec::new(),
            last: None,
            first_size: None,
            spent: false,
            aside: 0,
        })
    }

    /// Lets go of the store.
    pub(crate) fn let_go(&mut self) {
        self.engine.let_go();
    }

    /// Gives back another part of what it can spare; whether more may follow. The engine's comes first, then parts of the
    /// evaluation, which are laid aside in `folder` if there is room in one.
    pub(crate) fn rest(&mut self, folder: Option<&Path>) -> bool {
        if self.aside == 0 {
            self.engine.rest();
        }
        let lay_aside = |folder| self.instantiator.lay_aside(self.aside, folder);
        let is_more = folder.is_some_and(lay_aside);
        self.aside = if is_more { self.aside + 1 } else { usize::MAX };
        is_more
    }

    /// The bytes of the file in which parts of the evaluation lie.
    pub(crate) fn aside_bytes(&self) -> u64 {
        self.instantiator.aside_bytes()
    }

    /// How many derivations it holds.
    pub(crate) fn derivations(&self) -> usize {
        self.instantiator.size().1
    }

    /// Whether it is as good as a new one, and small enough.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        let Some((first_bytes, first_drvs)) = self.first_size else { return false };
        let (bytes, drvs) = self.instantiator.size();
        // What an edit makes unevaluated is never freed.
        !self.spent && bytes <= 4 * first_bytes + (64 << 20) && drvs <= 4 * first_drvs + 10_000
    }

    /// What changes when something changes that it rests on, and whether that is told of all.
    pub(crate) fn alarm(&self) -> Option<rustix::fd::OwnedFd> {
        let is_told = self.watch.unwatched().is_empty();
        self.watch.alarm().filter(|_| is_told).and_then(|fd| fd.try_clone_to_owned().ok())
    }

    /// Carries a request out. A stale one has told the client nothing.
    pub(crate) fn build(
        &mut self,
        build: &Build,
        outlet: &Arc<Outlet>,
        cancel: &Cancel,
        building: &dyn Fn(),
        show: ShowError,
    ) -> Result<Result<Answer, Fault>, Stale> {
        let started = Instant::now();
        self.aside = 0;
        *lock(&self.line.outlet) = Some(Arc::clone(outlet));
        let environment =
            Environment::of(build.environment.iter().map(|(name, value)| (name.os(), value.os())));
        self.engine.host().set_environment(environment.clone());
        let mut options = match answer::options(&build.how, environment) {
            Ok(options) => options,
            Err(words) => return Ok(Err(Fault::Words(words))),
        };
        options.decide_all = build.report.is_some();
        options.asked = answer::asked(&build.source);
        let unwatched = self.watch.unwatched().to_vec();
        let changed = self.catch_up() + self.instantiator.ask_again(unwatched);
        let (is_unchanged, holds) = (changed == 0, self.engine.look());
        match holds {
            Ok(holds) if self.first_size.is_some() => {
                let has_said = !lock(&self.line.said).is_empty();
                let is_other = self.attrs != build.attrs;
                // What was deleted may have been read. What said something for one request is
                // silent when another comes upon it, and would not be in a process of its own.
                if !holds || (has_said && (is_other || !is_unchanged)) {
                    return Err(Stale);
                }
            }
            Ok(_) => {}
            Err(error) => return Ok(Err(Fault::Words(sentence(&error)))),
        }
        self.attrs.clone_from(&build.attrs);
        let result = self.carry_out(build, &options, is_unchanged, cancel, building, show, started);
        self.engine.host().let_go();
        *lock(&self.line.outlet) = None;
        Ok(result)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn carry_out(
        &mut self,
        build: &Build,
        options: &BuildOptions,
        is_unchanged: bool,
        cancel: &Cancel,
        building: &dyn Fn(),
        show: ShowError,
        started: Instant,
    ) -> Result<Answer, Fault> {
        if self.first_size.is_some() {
            let said = lock(&self.line.said).clone();
            said.into_iter().for_each(|text| self.line.tell(Event::Note(text)));
        }
        if is_unchanged
            && build.report.is_none()
            && let Some(last) = &self.last
            && last.attrs == build.attrs
            && last.dry_run == build.how.dry_run
        {
            let answer = last.answer.clone();
            return self.linked(build, answer);
        }
        let stop = cancel.clone();
        self.engine.restarts().take_builders();
        self.engine.build_for_evaluation(options.clone(), move || (stop.clone(), Box::new(())));
        let meter = Meter::of_process();
        let targets = self.evaluate(build, show)?;
        let evaluation = meter.read();
        self.first_size.get_or_insert(self.instantiator.size());
        if cancel.is_cancelled() {
            return Err(Fault::Interrupted);
        }
        building();
        let wanted: Vec<Wanted> = targets.found.iter().map(|(_, wanted)| wanted.clone()).collect();
        let built = self.engine.build_seen(&targets.graph, &wanted, &targets.seen, options, cancel);
        let built = built.map_err(|error| Fault::Words(sentence(&error)))?;
        if cancel.is_cancelled() {
            return Ok(Answer { interrupted: true, ..Answer::default() });
        }
        self.report(build, &built, &targets.graph, options, (started, evaluation))?;
        let named =
            targets.found.iter().map(|(target, wanted)| (wanted, target.main_program.as_ref()));
        let mut answer = answer::answer(&built, named, build.how.dry_run);
        let objects = self.engine.store().map(|store| Bytes::from(store.objects_dir()));
        answer.objects = objects;
        let is_complete = built.outcome.is_complete(&built.graph);
        self.last = is_complete.then(|| Last {
            attrs: build.attrs.clone(),
            dry_run: build.how.dry_run,
            answer: Answer { builders_run: 0, ..answer.clone() },
        });
        self.linked(build, answer)
    }

    /// Finds out what changed of all that is watched; how much that was.
    fn catch_up(&mut self) -> usize {
        match self.watch.doubts() {
            Doubt::Reads(ids) => {
                // New directories are watched before the question is asked.
                for id in &ids {
                    if let Some(read) = self.instantiator.read(*id) {
                        self.watch.add_again(&read);
                    }
                }
                self.instantiator.ask_again(ids)
            }
            Doubt::All => {
                self.watch = Watch::new();
                self.watch.add(&self.instantiator.reads(0), 0);
                self.instantiator.refresh()
            }
        }
    }

    /// Watches what was read since the last time; how much of it is not as it was read.
    fn watch_news(&mut self) -> usize {
        let news = self.instantiator.reads(self.watched);
        self.watch.add(&news, self.watched);
        let from = self.watched;
        self.watched += news.len();
        self.instantiator.refresh_from(from)
    }

    /// The derivations that are asked for, as of one moment.
    fn evaluate(&mut self, build: &Build, show: ShowError) -> Result<Targets, Fault> {
        for _ in 0..EDITS_MEANWHILE {
            let targets = self.targets(build);
            // Both, so that all is as of now.
            let changed = self.watch_news() + self.catch_up();
            if changed > 0 {
                continue;
            }
            return targets.map_err(|fault| self.fault(fault, build, show));
        }
        // Somebody edits without a pause: it is as of no moment, as it would be in one process.
        self.spent = true;
        self.targets(build).map_err(|fault| self.fault(fault, build, show))
    }

    fn targets(&mut self, build: &Build) -> Result<Targets, NoTargets> {
        let paths: Vec<Option<&str>> = match build.attrs.as_slice() {
            [] => vec![None],
            attrs => attrs.iter().map(|attr| Some(attr.as_str())).collect(),
        };
        let mut found = Vec::new();
        let mut graph = None;
        let mut seen: Option<Seen> = None;
        for path in paths {
            let answer = self.instantiator.instantiate(&asked(&build.source, path))?;
            if answer.targets.is_empty() {
                return Err(NoTargets::None(no_derivation(path)));
            }
            found.extend(answer.targets.iter().cloned().zip(answer.wanted.iter().cloned()));
            graph = Some(Arc::clone(&answer.graph));
            seen = Some(match seen {
                Some(seen) => seen.and(&answer.seen),
                None => answer.seen.clone(),
            });
        }
        let graph = graph.expect("at least one path was asked for");
        Ok(Targets { found, graph, seen: seen.unwrap_or_default() })
    }

    fn fault(&mut self, fault: NoTargets, build: &Build, show: ShowError) -> Fault {
        self.last = None;
        match fault {
            NoTargets::None(words) => Fault::Words(words),
            NoTargets::Instantiate(InstantiateError::Graph(words)) => {
                self.spent = true;
                Fault::Words(words)
            }
            NoTargets::Instantiate(InstantiateError::Eval(error)) => {
                // It may go better another time, though nothing that was read changes.
                self.spent |= matches!(error.kind, ErrorKind::Host | ErrorKind::Interrupted);
                self.first_size.get_or_insert(self.instantiator.size());
                match error.kind {
                    ErrorKind::Interrupted => Fault::Interrupted,
                    _ => Fault::Shown(Bytes(self.shown(&error, build, show))),
                }
            }
        }
    }

    fn shown(&self, error: &EvalError, build: &Build, show: ShowError) -> Vec<u8> {
        let text_of = |file: &Path| self.instantiator.source_text(file);
        show(error, &text_of, build.show_trace, build.colour)
    }

    fn report(
        &self,
        build: &Build,
        built: &Built,
        drvs: &DrvGraph,
        options: &BuildOptions,
        (started, evaluation): (Instant, Spent),
    ) -> Result<(), Fault> {
        let Some(report) = build.report else { return Ok(()) };
        let cost = self.engine.cost(started, evaluation, built);
        let text = answer::report(built, drvs, options.strategy.name(), report, cost)
            .map_err(|error| Fault::Words(sentence(&error)))?;
        if let Some(outlet) = lock(&self.line.outlet).clone() {
            for part in text.chunks(PART) {
                outlet.say(&Say::Report(Bytes(part.to_vec())));
            }
        }
        Ok(())
    }

    /// The answer, its results linked if that is wanted and they are all there.
    fn linked(&self, build: &Build, mut answer: Answer) -> Result<Answer, Fault> {
        if let Some(link) = &build.link
            && answer.failures.is_empty()
            && !build.how.dry_run
            && let Some(store) = self.engine.store()
            && let Err(error) = answer::link(&store, &link.path(), &answer.results)
        {
            answer.unlinked = Some(sentence(&error));
        }
        Ok(answer)
    }
}

/// What is to be built.
struct Targets {
    found: Vec<(Target, Wanted)>,
    graph: Arc<DrvGraph>,
    seen: Seen,
}

/// Why there is nothing to build.
enum NoTargets {
    None(String),
    Instantiate(InstantiateError),
}

impl From<InstantiateError> for NoTargets {
    fn from(error: InstantiateError) -> Self {
        NoTargets::Instantiate(error)
    }
}

fn asked(source: &Source, path: Option<&str>) -> Asked {
    let top = match &source.top {
        protocol::Top::File(file) => Top::File(file.path()),
        protocol::Top::Text(text) => Top::Text(text.clone()),
    };
    let argument = |(name, argument): &(String, Argument)| {
        let argument = match argument {
            Argument::Text(text) => floe_lang::Argument::Text(text.clone()),
            Argument::Expr(text) => floe_lang::Argument::Expr(text.clone()),
        };
        (name.clone(), argument)
    };
    Asked {
        top,
        base: source.base.path(),
        attr: path.unwrap_or_default().to_owned(),
        args: source.args.iter().map(argument).collect(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
