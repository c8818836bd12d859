//! Restarting with a queue: a task that asks for a key that is not up to date is given up and noted as blocked on it; when
//! that key is done, all that it blocked go back into the queue.
//!
//! Source: Build Systems à la Carte (JFP 2020), sections 4.2 and 6.5 (Bazel), which leave the code out. In the code that
//! accompanies the paper a dependency counts as up to date when its own trace agrees with what its dependencies are *at
//! that moment*, up to date or not; after an edit three levels down the answer is stale. Here a key is up to date when this
//! build has brought it so; `tests/findings.rs` shows the difference.

use std::collections::{BTreeMap, VecDeque};

use super::{Crew, Pace, Refused, Scheduler, crew};
use crate::site::Site;
use crate::task::Blocked;
use crate::value::Key;

/// Keeps nothing between builds.
#[derive(Default)]
pub struct Queue;

impl Scheduler for Queue {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        let mut queue: VecDeque<Key> = targets.iter().copied().collect();
        let mut blocked: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        while let Some(key) = queue.pop_front() {
            if site.done.contains(&key) {
                continue;
            }
            let mut ready = |site: &mut Site<'_>, dependency: Key| {
                if site.done.contains(&dependency) { Ok(()) } else { Err(Blocked(dependency)) }
            };
            match site.bring(key, &mut ready) {
                Ok(()) => queue.extend(blocked.remove(&key).into_iter().flatten()),
                Err(Blocked(dependency)) => {
                    blocked.entry(dependency).or_default().push(key);
                    queue.push_back(dependency);
                }
            }
        }
        Ok(())
    }

    fn parallel(&self, workers: usize, pace: Pace) -> Option<Box<dyn Scheduler>> {
        Some(Box::new(Crew::new(crew::Queue::default(), workers, pace)))
    }
}
