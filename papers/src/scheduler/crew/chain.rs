//! Restarting with a calc chain, for several workers: all take from the front of the chain; the chain of the next build is
//! the order in which they came home.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.2: tasks that ran into one another are apart the next time.

use std::collections::{BTreeSet, VecDeque};

use super::{Foreman, Looked, Refused, Site};
use crate::value::Key;

/// The order of the last build, what is left of it, and what is in workers' hands.
#[derive(Default)]
pub struct Chain {
    chain: Vec<Key>,
    waiting: VecDeque<Key>,
    in_hand: BTreeSet<Key>,
}

impl Foreman for Chain {
    fn begin(&mut self, _site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        let new = targets.iter().filter(|target| !self.chain.contains(target));
        self.waiting = self.chain.iter().chain(new).copied().collect();
        self.chain.clear();
        self.in_hand.clear();
        Ok(())
    }

    fn next(&mut self, site: &Site<'_>) -> Option<Key> {
        let Chain { waiting, in_hand, .. } = self;
        waiting.retain(|key| {
            !site.is_input(*key) && !site.done.contains(key) && !in_hand.contains(key)
        });
        let key = waiting.pop_front()?;
        in_hand.insert(key);
        Some(key)
    }

    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused> {
        self.in_hand.remove(&key);
        if !site.done.contains(&on) && !self.in_hand.contains(&on) {
            self.waiting.retain(|other| *other != on);
            self.waiting.push_front(on);
        }
        self.waiting.push_back(key);
        Ok(())
    }

    fn finished(&mut self, key: Key, _looks: Option<&[Looked]>) {
        self.in_hand.remove(&key);
        self.chain.push(key);
    }
}
