//! The local executor: one job from its inputs to registered outputs on this machine. The steps
//! are here in their order; what the builder sees is in `environment`, what its outputs must
//! satisfy in `checks`, its log in `log`. It holds no database handle and decides nothing.

mod bounds;
mod checks;
mod compare;
mod environment;
mod log;
mod mixture;
mod phase;
mod profile;
mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use floe_core::ca::make_store_path;
use floe_core::drv::{Derivation, Output};
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use floe_sandbox::{End, Input, Limits, Network, Outcome, Policy, RootFs, Spawner, Spec};
use floe_store::object::stage::{Address, Scratch};
use floe_store::{
    Batch, NewDerivation, NewTrace, Origin, Prepared, Realisation, Store, StoreError, TempRoots,
    TraceKey,
};

pub use bounds::{Bounds, MAX_DOWNLOAD_BYTES};
pub use log::log_path;
pub use profile::{Profiles, find_shell};
pub(crate) use scratch::ScratchDir;
use scratch::ScratchDirs;

use crate::environ::Environment;
use crate::event::{Event, Phase};
use crate::fetch;
use crate::job::{Context, Cost, Done, Executor, Failure, Job};
use crate::materials::Materials;
use crate::recipe::{ROOTFS, RootKind};
use crate::resolve::Outputs;
use crate::spent::Meter;
use checks::Candidate;
use environment::{ClosureEntry, prepare};
use log::BuildLog;

/// How builders are run.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// `NIX_BUILD_CORES`.
    pub cores: usize,
    /// Longest wall time of a builder.
    pub timeout: Option<Duration>,
    /// Longest time without output.
    pub max_silent: Option<Duration>,
    /// Most bytes of log.
    pub max_log_bytes: Option<u64>,
    /// What a build may use at most.
    pub bounds: Bounds,
    /// Leave the build directories of builders that failed behind.
    pub keep_failed: bool,
    /// Which sandbox layers may be missing.
    pub policy: Policy,
    /// Give fixed-output builders the host's own network.
    pub host_network: bool,
    /// Where fixed-output builders take the variables from that they may see.
    pub environment: Environment,
}

/// What belongs to one build while it goes on.
struct Site {
    /// The closure of its inputs.
    inputs: BTreeSet<StorePath>,
    /// The path of the resolved derivation.
    deriver: StorePath,
    /// Where the builder is told to write each output.
    scratch: BTreeMap<OutputName, StorePath>,
    dir: ScratchDir,
    log: BuildLog,
}

impl Site {
    /// A failure that will happen again, with the end of the log.
    fn failure(&self, name: &str, error: impl std::fmt::Display) -> Failure {
        Failure::Builder {
            message: format!("'{name}': {error}"),
            log_tail: self.log.tail(),
            log: Some(self.log.path().to_path_buf()),
        }
    }
}

/// Runs jobs in sandboxes on this machine.
pub struct Local {
    store: Arc<Store>,
    materials: Materials,
    settings: LocalSettings,
    spawner: Spawner,
    profiles: Profiles,
    systems: Vec<String>,
    features: Vec<String>,
    scratch_dirs: ScratchDirs,
    /// Protects what this request has built from collection until it ends.
    holds: Mutex<Vec<TempRoots>>,
}

impl Local {
    /// An executor for one request, whose sources come from `materials`.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn new(
        store: Arc<Store>,
        materials: Materials,
        settings: LocalSettings,
        spawner: Spawner,
        profiles: Profiles,
    ) -> std::io::Result<Self> {
        Ok(Local {
            store,
            materials,
            settings,
            spawner,
            profiles,
            systems: vec![current_system(), "builtin".to_owned()],
            features: vec!["ca-derivations".to_owned()],
            scratch_dirs: ScratchDirs::start()?,
            holds: Mutex::default(),
        })
    }

    fn build(&self, job: &Job, context: &Context<'_>) -> Result<Done, Failure> {
        context.enter(job, Phase::SettingUp);
        let meter = Meter::of_thread();
        let mut site = self.open(job, context)?;
        let mut result = self.run_and_register(job, context, &mut site, meter);
        if let Ok(Done { cost, .. }) = &mut result {
            cost.registering_us = micros(meter.read().cpu).saturating_sub(cost.setup_us);
        }
        let failed = match &result {
            Ok(done) => done.differences.iter().any(|difference| difference.now.is_none()),
            Err(failure) => matches!(failure, Failure::Builder { .. }),
        };
        match result {
            Ok(mut done) if failed && self.settings.keep_failed => {
                self.keep_differing(job, context, site, &mut done);
                Ok(done)
            }
            result => {
                if failed && self.settings.keep_failed {
                    self.keep(job, context, site);
                }
                result
            }
        }
    }

    /// Makes what a build needs before it starts.
    fn open(&self, job: &Job, context: &Context<'_>) -> Result<Site, Failure> {
        let drv = &job.derivation;
        self.check_system(drv)?;
        let inputs = self.inputs(job)?;
        let deriver = drv.drv_path().map_err(|error| builder_failure(&drv.name, error))?;
        let scratch =
            scratch_paths(drv, &deriver).map_err(|error| builder_failure(&drv.name, error))?;
        let dir = self.scratch_dirs.provide(self.store.builds_dir(), &drv.name);
        let dir = dir.map_err(transient(&drv.name))?;
        let log = BuildLog::create(self.store.log_dir(), &deriver, job, context.events)
            .map_err(transient(&drv.name))?;
        Ok(Site { inputs, deriver, scratch, dir, log })
    }

    /// Leaves the directory of a build behind, and says where.
    fn keep(&self, job: &Job, context: &Context<'_>, site: Site) -> Option<PathBuf> {
        let name = &job.derivation.name;
        let kept = site.dir.keep(self.store.kept_dir());
        context.events.send(Event::Note(match &kept {
            Ok(place) => format!("keeping the build directory of '{name}' at {}", place.display()),
            Err(error) => format!("cannot keep the build directory of '{name}': {error}"),
        }));
        kept.ok()
    }

    fn run_and_register(
        &self,
        job: &Job,
        context: &Context<'_>,
        site: &mut Site,
        meter: Meter,
    ) -> Result<Done, Failure> {
        let started = Instant::now();
        let cpu = if job.recipe.root_kind() == RootKind::None {
            self.fetch(job, context, site)?
        } else {
            let outcome = self.run(job, context, site)?;
            outcome.cpu_user + outcome.cpu_system
        };
        let cost = Cost {
            wall_ms: millis(started.elapsed()),
            cpu_ms: millis(cpu),
            setup_us: micros(meter.read().cpu),
            registering_us: 0,
        };
        (context.builder_ended)();
        context.enter(job, Phase::Hashing);
        let prepared = self.stage(job, site)?;
        match &job.check {
            Some(before) => {
                context.enter(job, Phase::Comparing);
                self.compare(job, site, before, prepared, cost)
            }
            None => {
                context.enter(job, Phase::Registering);
                self.register(job, site, prepared, cost)
            }
        }
    }

    /// Brings what the builder left into the store, where nobody knows of it yet.
    fn stage(&self, job: &Job, site: &Site) -> Result<Vec<Prepared>, Failure> {
        let drv = &job.derivation;
        let fault = |error: StoreError| site.failure(&drv.name, error);
        let store_dir = site.dir.open_store().map_err(transient(&drv.name))?;
        let mut addresses = Vec::with_capacity(drv.outputs.len());
        for (name, output) in &drv.outputs {
            let scratch = &site.scratch[name];
            if std::fs::symlink_metadata(site.dir.store().join(scratch.base_name())).is_err() {
                return Err(site.failure(
                    &drv.name,
                    format!("builder failed to produce output path for output '{name}'; it must write to ${name} ({scratch})"),
                ));
            }
            addresses.push(match output {
                Output::Fixed(path, ca) => Address::Fixed(path.clone(), *ca),
                Output::Floating(method, algo) => Address::Floating(*method, *algo),
                Output::InputAddressed(_) | Output::Deferred => Address::Input(scratch.clone()),
            });
        }
        let scratches: Vec<Scratch<'_>> = drv
            .outputs
            .keys()
            .zip(&addresses)
            .map(|(name, address)| Scratch {
                output: name,
                address,
                path: &site.scratch[name],
                dir: store_dir,
                file_name: OsStr::new(site.scratch[name].base_name()),
            })
            .collect();
        let prepared = self
            .store
            .stage_outputs(&drv.name, Some(&site.deriver), &scratches, &site.inputs)
            .map_err(fault)?;
        let candidates: Vec<Candidate<'_>> = drv
            .outputs
            .keys()
            .zip(&prepared)
            .map(|(output, prepared)| Candidate {
                output,
                path: &prepared.object.path,
                refs: &prepared.object.refs,
                nar_size: prepared.object.nar_size,
            })
            .collect();
        checks::check(drv, &candidates, &|path| {
            let closure = self.closure_entries(std::slice::from_ref(path))?;
            Ok(closure.into_iter().map(|entry| (entry.path, entry.nar_size)).collect())
        })
        .map_err(|message| site.failure(&drv.name, message))?;
        Ok(prepared)
    }

    /// Makes what was staged true, with its trace, in one write.
    fn register(
        &self,
        job: &Job,
        site: &Site,
        prepared: Vec<Prepared>,
        cost: Cost,
    ) -> Result<Done, Failure> {
        let drv = &job.derivation;
        let outputs: Outputs = drv
            .outputs
            .keys()
            .cloned()
            .zip(prepared.iter().map(|prepared| prepared.object.path.clone()))
            .collect();
        let key = TraceKey { resolved: job.key, profile: self.profiles.of(job.recipe.root_kind()) };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let at_ms = now.map_or(0, millis);
        let traces = outputs.iter().map(|(output, path)| NewTrace {
            key,
            output: output.clone(),
            realisation: Realisation {
                path: path.clone(),
                origin: Origin::Built,
                at_ms,
                wall_ms: cost.wall_ms,
                cpu_ms: cost.cpu_ms,
            },
        });
        let batch = Batch {
            traces: traces.collect(),
            derivations: vec![NewDerivation {
                path: site.deriver.clone(),
                text: drv.to_aterm(),
                refs: drv.refs(),
            }],
            objects: prepared.iter().map(|prepared| prepared.object.clone()).collect(),
            ..Batch::default()
        };
        self.store.register(&batch).map_err(|error| site.failure(&drv.name, error))?;
        // Kept until the request ends: a collection beside us must not take what its targets
        // have not been rooted to yet.
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.extend(prepared.into_iter().map(|prepared| prepared.hold));
        Ok(Done { outputs, cost, differences: Vec::new() })
    }

    fn check_system(&self, drv: &Derivation) -> Result<(), Failure> {
        let system = String::from_utf8_lossy(&drv.system);
        if !self.systems.iter().any(|has| *has == system) {
            return Err(Failure::Builder {
                message: format!(
                    "'{}' must be built on a '{system}', and this machine builds for {}; give another `system`",
                    drv.name,
                    self.systems.join(" and ")
                ),
                log_tail: Vec::new(),
                log: None,
            });
        }
        let features = drv.env.get(b"requiredSystemFeatures".as_slice());
        let features = String::from_utf8_lossy(features.map_or(&[], Vec::as_slice)).into_owned();
        match features
            .split_ascii_whitespace()
            .find(|feature| !self.features.iter().any(|has| has == feature))
        {
            Some(feature) => Err(Failure::Builder {
                message: format!(
                    "'{}' requires the system feature '{feature}', which this machine does not have (it has: {})",
                    drv.name,
                    self.features.join(", ")
                ),
                log_tail: Vec::new(),
                log: None,
            }),
            None => Ok(()),
        }
    }

    /// The closure of the job's inputs, all of it in the store.
    fn inputs(&self, job: &Job) -> Result<BTreeSet<StorePath>, Failure> {
        let drv = &job.derivation;
        let direct: Vec<StorePath> = drv.input_srcs.iter().cloned().collect();
        for path in &direct {
            self.materials
                .ensure(&self.store, path)
                .map_err(|error| builder_failure(&drv.name, error))?;
        }
        let closure =
            self.store.closure(&direct).map_err(|error| builder_failure(&drv.name, error))?;
        mixture::refuse(&self.store, &drv.name, &direct, &closure)
            .map_err(|message| builder_failure(&drv.name, message))?;
        Ok(closure.into_iter().collect())
    }

    fn run(&self, job: &Job, context: &Context<'_>, site: &mut Site) -> Result<Outcome, Failure> {
        let drv = &job.derivation;
        let Site { inputs, scratch, dir, log, .. } = site;
        let prepared = prepare(
            drv,
            &environment::Settings {
                cores: self.settings.cores,
                scratch,
                impure: &|name| {
                    let value = self.settings.environment.get(name);
                    value.map(std::os::unix::ffi::OsStringExt::into_vec)
                },
                closures: &|roots| self.closure_entries(roots),
            },
        )
        .map_err(|message| Failure::Builder {
            message,
            log_tail: Vec::new(),
            log: None,
        })?;
        dir.write_files(&prepared.files).map_err(transient(&drv.name))?;
        let mut spec = Spec::new(self.root_fs(job)?, dir.store(), dir.build(), prepared.builder);
        spec.args = prepared.args;
        spec.env = prepared.env;
        spec.inputs = inputs
            .iter()
            .map(|path| Input {
                host: self.store.physical(path),
                name: path.base_name().to_owned(),
            })
            .collect();
        spec.network = self.network(drv);
        spec.policy = self.settings.policy;
        spec.limits = Limits {
            timeout: self.settings.timeout,
            max_silent: self.settings.max_silent,
            max_log_bytes: self.settings.max_log_bytes,
            max_processes: self.settings.bounds.max_processes,
            rlimits: self.settings.bounds.rlimits(),
        };
        let running = self.spawner.spawn(&spec).map_err(transient(&drv.name))?;
        context.enter(job, Phase::Running);
        let killer = running.killer();
        let _guard = context.cancel.on_cancel(move || killer.kill());
        let outcome = running.wait(&mut |bytes| log.take(bytes)).map_err(transient(&drv.name))?;
        log.finish();
        match outcome.end {
            End::Exited(0) => Ok(outcome),
            End::Killed if context.cancel.is_cancelled() => Err(Failure::Cancelled),
            end => {
                let log_tail = log.tail();
                let end = self.settings.bounds.describe(end, &log_tail);
                Err(Failure::Builder {
                    message: format!("builder for '{}' {end}", drv.name),
                    log_tail,
                    log: Some(log.path().to_path_buf()),
                })
            }
        }
    }

    fn root_fs(&self, job: &Job) -> Result<RootFs, Failure> {
        let drv = &job.derivation;
        match drv.env.get(ROOTFS) {
            None => match self.profiles.shell() {
                Some(shell) => Ok(RootFs::Bare { sh: shell.to_path_buf() }),
                None => Err(builder_failure(
                    &drv.name,
                    "there is no static shell to stand at /bin/sh in its sandbox; install one (apt-get install \
                     busybox-static), name one in FLOE_SANDBOX_SHELL, or give the derivation a root of its own \
                     (__rootfs)",
                )),
            },
            Some(text) => {
                let text = String::from_utf8_lossy(text);
                let seed = StorePath::parse(&text)
                    .map_err(|error| builder_failure(&drv.name, format!("__rootfs: {error}")))?;
                Ok(RootFs::Seed(self.store.physical(&seed)))
            }
        }
    }

    fn network(&self, drv: &Derivation) -> Network {
        let fixed = drv.outputs.values().any(|output| matches!(output, Output::Fixed(..)));
        match (fixed, self.settings.host_network) {
            (false, _) => Network::None,
            (true, false) => Network::UserMode,
            (true, true) => Network::Host,
        }
    }

    fn closure_entries(&self, roots: &[StorePath]) -> Result<Vec<ClosureEntry>, String> {
        let closure = self.store.closure(roots).map_err(|error| error.to_string())?;
        closure
            .into_iter()
            .map(|path| {
                let info = self.store.need(&path).map_err(|error| error.to_string())?;
                Ok(ClosureEntry {
                    path,
                    nar_hash: info.nar_hash,
                    nar_size: info.nar_size,
                    refs: info.refs,
                })
            })
            .collect()
    }

    fn fetch(
        &self,
        job: &Job,
        context: &Context<'_>,
        site: &mut Site,
    ) -> Result<Duration, Failure> {
        let drv = &job.derivation;
        let Site { scratch, dir, log, .. } = site;
        let out = scratch.get(&OutputName::out()).ok_or_else(|| {
            builder_failure(&drv.name, "a built-in fetcher needs the single output 'out'")
        })?;
        let destination = dir.store().join(out.base_name());
        if context.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let builder = String::from_utf8_lossy(&drv.builder);
        let bounds = fetch::Bounds {
            max_bytes: self.settings.bounds.max_download_bytes,
            cancel: context.cancel,
        };
        context.enter(job, Phase::Fetching);
        let result = fetch::fetch(&builder, &drv.env, &destination, &bounds, log);
        log.finish();
        match result {
            // A fetcher waits for others; what it computes is not worth counting.
            Ok(()) => Ok(Duration::ZERO),
            Err(_) if context.cancel.is_cancelled() => Err(Failure::Cancelled),
            Err(error) => Err(Failure::Transient {
                message: format!("fetching '{}' failed: {error}", drv.name),
                log_tail: log.tail(),
            }),
        }
    }
}

impl Executor for Local {
    fn systems(&self) -> &[String] {
        &self.systems
    }

    fn features(&self) -> &[String] {
        &self.features
    }

    fn execute(&self, job: &Job, context: &Context<'_>) -> Result<Done, Failure> {
        if context.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        self.build(job, context)
    }
}

/// The platform of this machine in Nix's words.
pub fn current_system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Where the builder is told to write each output: the final path where it is known, a scratch
/// path made from the derivation otherwise (Nix's fallback path).
fn scratch_paths(
    drv: &Derivation,
    deriver: &StorePath,
) -> Result<BTreeMap<OutputName, StorePath>, floe_core::path::PathError> {
    let zero = Hash::from_bytes(HashAlgo::Sha256, &[0; 32]).expect("32 bytes are a SHA-256");
    drv.outputs
        .iter()
        .map(|(name, output)| {
            let path = match output.path() {
                Some(path) => path.clone(),
                None => {
                    let kind = format!("rewrite:{}:name:{name}", deriver.base_name());
                    make_store_path(&kind, &zero, &name.path_name(&drv.name))?
                }
            };
            Ok((name.clone(), path))
        })
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn builder_failure(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Builder { message: format!("'{name}': {error}"), log_tail: Vec::new(), log: None }
}

fn transient<E: std::fmt::Display>(name: &str) -> impl Fn(E) -> Failure + '_ {
    move |error| Failure::Transient { message: format!("'{name}': {error}"), log_tail: Vec::new() }
}
