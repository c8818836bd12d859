//! The plan of a request as listeners hear it: what may run, what needs what, and how long it took
//! the last time. It is told, never asked: nothing here changes what runs.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Scheduler;
use super::bounds::Bounds;
use crate::event::{Event, Task};
use crate::graph::NodeIx;

/// How long the builder of a task took the last time, in milliseconds.
pub type Expected<'a> = Box<dyn Fn(NodeIx, &str) -> Option<u64> + 'a>;

/// Where more may follow, only those are told that will run.
pub(super) const MOST: usize = 4096;

/// So many tasks are told at a time.
const PART: usize = 4096;

/// What a task without a past counts for where the longest way is looked for, in milliseconds.
const UNKNOWN_MS: u64 = 1000;

impl Scheduler<'_> {
    /// Tells what will run and what may.
    pub(super) fn tell_plan(&self, bounds: &Bounds) {
        if !self.events.are_heard() {
            return;
        }
        let Bounds { certain, possible, unknown, .. } = bounds;
        let (total, done) = self.count(bounds);
        self.events.send(Event::Planned {
            total,
            done,
            certain: certain.len(),
            possible: possible.len(),
            unknown: unknown.len(),
            at_once: self.options.jobs,
        });
        if self.options.dry_run || certain.is_empty() && possible.is_empty() {
            return;
        }
        // Nobody reads through more; those that run are named as they start.
        let possible = if possible.len() > MOST { &[][..] } else { possible };
        let tasks = self.tasks(certain, possible);
        tasks.chunks(PART).for_each(|part| self.events.send(Event::Tasks(part.to_vec())));
    }

    /// How many derivations there are, and of how many the outputs are known.
    fn count(&self, bounds: &Bounds) -> (usize, usize) {
        if self.standing.is_some() {
            let total = self.graph.len();
            return (total, total - bounds.certain.len() - bounds.possible.len());
        }
        let derivations = self.graph.nodes().filter(|(_, node)| !node.recipe.is_dynamic());
        let (mut total, mut done) = (0, 0);
        for (ix, _) in derivations {
            total += 1;
            done += usize::from(self.states[ix.index()].outputs_known());
        }
        (total, done)
    }

    /// The tasks of a plan, inputs first. Users come after their inputs, so that one pass from the
    /// end knows of each task the longest way that is left above it.
    fn tasks(&self, certain: &[NodeIx], possible: &[NodeIx]) -> Vec<Task> {
        let mut planned: Vec<(NodeIx, bool)> = certain.iter().map(|&ix| (ix, true)).collect();
        planned.extend(possible.iter().map(|&ix| (ix, false)));
        planned.sort_unstable();
        let places: FxHashMap<NodeIx, usize> =
            planned.iter().enumerate().map(|(place, (ix, _))| (*ix, place)).collect();
        let in_detail = self.events.are_detailed();
        let mut left_ms = vec![0; planned.len()];
        let mut tasks = Vec::with_capacity(planned.len());
        for (place, &(ix, certain)) in planned.iter().enumerate().rev() {
            // What builders made comes after its users, and after everything that was looked at.
            let users = self.users(ix).filter(|&user| user > ix);
            let users = users.filter_map(|user| places.get(&user).copied());
            let longest = users.max_by_key(|&user| left_ms[user]);
            let expected_ms = self.expected_ms(ix);
            let above_ms = longest.map_or(0, |user| left_ms[user]);
            left_ms[place] = expected_ms.unwrap_or(UNKNOWN_MS).saturating_add(above_ms);
            let needs = self.deps(ix).iter().filter(|dep| in_detail && places.contains_key(dep));
            tasks.push(Task {
                job: ix.0,
                name: self.graph.node(ix).recipe.name.clone(),
                needed_by: longest.map(|user| planned[user].0.0),
                certain,
                expected_ms,
                needs: needs.map(|dep| dep.0).collect(),
            });
        }
        tasks.reverse();
        tasks
    }

    /// Tells of the derivations from the `first` on, which a builder made.
    pub(super) fn tell_found(&self, way: &Arc<str>, first: usize) {
        if !self.events.are_heard() {
            return;
        }
        let found = (first..self.graph.len()).map(|at| NodeIx(at as u32));
        let found: Vec<NodeIx> = found.filter(|&ix| !self.is_dynamic(ix)).collect();
        let name = Arc::clone(way);
        self.events.send(Event::Discovered { name, derivations: found.len() });
        let task = |&ix: &NodeIx| Task {
            job: ix.0,
            name: Arc::clone(&self.graph.node(ix).recipe.name),
            needed_by: None,
            certain: false,
            expected_ms: self.expected_ms(ix),
            needs: Vec::new(),
        };
        let tasks: Vec<Task> = found.iter().map(task).collect();
        tasks.chunks(PART).for_each(|part| self.events.send(Event::Tasks(part.to_vec())));
    }

    fn expected_ms(&self, ix: NodeIx) -> Option<u64> {
        self.expected_ms.as_ref()?(ix, &self.task(ix))
    }

    /// Tells what turned out not to have to be built when `by` ended.
    pub(super) fn tell_cut_off(&mut self, by: NodeIx) {
        if !self.cut_off.is_empty() {
            let jobs = std::mem::take(&mut self.cut_off);
            let count = jobs.len();
            // As in a plan.
            let jobs = if count > MOST { Vec::new() } else { jobs };
            self.events.send(Event::CutOff { jobs, count, by: by.0 });
        }
    }
}
