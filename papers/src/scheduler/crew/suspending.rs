//! Suspending, for several workers: a task that asks for a key waits, its worker takes another task, and what the waiting
//! task is certain to ask for as well is started with what it asked for.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.2; Shake. A task that waits occupies no worker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Foreman, Looked, Refused, Site};
use crate::value::Key;

/// What can go on, and what waits for what.
#[derive(Default)]
pub struct Suspending {
    wanted: BTreeSet<Key>,
    runnable: VecDeque<Key>,
    waiting: BTreeMap<Key, Vec<Key>>,
}

impl Suspending {
    fn want(&mut self, site: &Site<'_>, key: Key) {
        if !site.is_input(key) && self.wanted.insert(key) {
            self.runnable.push_back(key);
        }
    }
}

impl Foreman for Suspending {
    fn begin(&mut self, site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        *self = Suspending::default();
        targets.iter().for_each(|target| self.want(site, *target));
        Ok(())
    }

    fn next(&mut self, _site: &Site<'_>) -> Option<Key> {
        self.runnable.pop_front()
    }

    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused> {
        self.waiting.entry(on).or_default().push(key);
        self.want(site, on);
        let mentions = site.tasks.task(key).map(|task| task.mentions()).unwrap_or_default();
        let certain: Vec<Key> =
            mentions.looks.iter().take(mentions.certain).map(|(key, _)| *key).collect();
        if certain.contains(&on) {
            certain.into_iter().for_each(|other| self.want(site, other));
        }
        Ok(())
    }

    fn finished(&mut self, key: Key, _looks: Option<&[Looked]>) {
        self.runnable.extend(self.waiting.remove(&key).into_iter().flatten());
    }

    fn suspends(&self) -> bool {
        true
    }
}
