//! A build system: a scheduler and a rebuilder put together, with what it keeps between builds. Knows no law.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 6: `Build c i k v` is a scheduler applied to a rebuilder.

use std::collections::{BTreeMap, BTreeSet};

use crate::chance::Chance;
use crate::clean::Clean;
use crate::log::Log;
use crate::outputs::Outputs;
use crate::project::Project;
use crate::rebuilder::{Rebuilder, Start};
use crate::scheduler::{Refused, Scheduler, fetch};
use crate::selftracking::SelfTracking;
use crate::site::Site;
use crate::store::Store;
use crate::task::{Blocked, Tasks};
use crate::value::{Key, Value};

/// How a system sees the tasks of a project.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// A task depends on its own text.
    pub self_tracking: bool,
    /// Each output file is a key of its own.
    pub outputs_apart: bool,
}

/// A build system at work.
pub struct System {
    /// Who orders.
    pub scheduler: Box<dyn Scheduler>,
    /// Who judges.
    pub rebuilder: Box<dyn Rebuilder>,
    /// How tasks are seen.
    pub view: View,
    /// What there is.
    pub store: Store,
    /// Where chance comes from.
    pub chance: Chance,
    /// Of a thousand retargets, how many are audited.
    pub audit_per_mille: u64,
    moment: u64,
    /// What was brought up to date in the last build.
    pub done: BTreeSet<Key>,
}

impl View {
    /// Tasks as seen so, for the time of a call.
    pub fn see<T>(self, tasks: &dyn Tasks, with: impl FnOnce(&dyn Tasks) -> T) -> T {
        match (self.outputs_apart, self.self_tracking) {
            (false, false) => with(tasks),
            (false, true) => with(&SelfTracking(tasks)),
            (true, false) => with(&Outputs(tasks)),
            (true, true) => with(&SelfTracking(&Outputs(tasks))),
        }
    }
}

impl System {
    /// A system that has built nothing yet.
    pub fn new(
        scheduler: impl Scheduler + 'static,
        rebuilder: impl Rebuilder + 'static,
        view: View,
    ) -> System {
        System {
            scheduler: Box::new(scheduler),
            rebuilder: Box::new(rebuilder),
            view,
            store: Store::default(),
            chance: Chance::new(0),
            audit_per_mille: 0,
            moment: 0,
            done: BTreeSet::new(),
        }
    }

    /// Bring these targets of a project up to date; the answer is what happened.
    pub fn build(&mut self, project: &Project, targets: &[Key]) -> Result<Log, Refused> {
        self.moment += 1;
        self.build_tasks(project, project.inputs(self.moment), targets)
    }

    /// The same for any tasks and inputs.
    pub fn build_tasks(
        &mut self,
        tasks: &dyn Tasks,
        inputs: BTreeMap<Key, Value>,
        targets: &[Key],
    ) -> Result<Log, Refused> {
        let changed = self.read(inputs);
        let keys: BTreeSet<Key> = self.store.keys().collect();
        let mut log = Log::default();
        let System { scheduler, rebuilder, store, chance, .. } = self;
        let audit_per_mille = self.audit_per_mille;
        let (result, done) = self.view.see(tasks, |tasks| {
            rebuilder.begin(&Start { changed: &changed, keys: &keys, tasks });
            let mut site = Site {
                tasks,
                store,
                rebuilder: rebuilder.as_mut(),
                log: &mut log,
                chance,
                done: BTreeSet::new(),
                audit_per_mille,
            };
            let result = scheduler.build(&mut site, targets).and_then(|()| {
                // what was asked for is to be had, even if hashes alone passed through so far
                targets.iter().try_for_each(|target| {
                    let had = site.materialise(*target, &mut fetch);
                    had.map(drop).map_err(|Blocked(key)| Refused::Undeclared(key))
                })
            });
            (result, site.done)
        });
        self.done = done;
        result.map(|()| log)
    }

    /// Put the inputs into the store; the answer is those that changed.
    fn read(&mut self, inputs: BTreeMap<Key, Value>) -> BTreeSet<Key> {
        let mut changed = BTreeSet::new();
        for (key, value) in inputs {
            let digest = value.digest();
            if self.store.entry(key).is_none_or(|entry| entry.digest != digest) {
                changed.insert(key);
            }
            self.store.put(key, self.rebuilder.naming().input(key, digest), value);
        }
        changed
    }

    /// Remove all that was made here. Where results are shared, they stay in the cloud.
    pub fn clean_up(&mut self) {
        let shared = self.rebuilder.traces().is_some();
        self.store.clean(shared);
    }

    /// The same project made by a clean build, named as this system names things.
    pub fn clean<T>(
        &self,
        project: &Project,
        targets: &[Key],
        with: impl FnOnce(&Clean<'_>) -> T,
    ) -> T {
        let inputs = project.inputs(self.moment);
        let naming = self.rebuilder.naming();
        self.view.see(project, |tasks| with(&Clean::build(tasks, &inputs, naming, targets)))
    }

    /// Give another system what this one has built: its traces and values.
    pub fn share(&mut self, other: &mut System) {
        if let (Some(mine), Some(theirs)) = (self.rebuilder.traces(), other.rebuilder.traces()) {
            theirs.learn(mine);
            self.store.share(&mut other.store);
        }
    }
}
