//! Restarting with a calc chain: take keys in the order of the last build; give up a task that asks for a key further down
//! the chain, move that key before it, and start it again later.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 4.2 and figure 9 (Excel).

use std::collections::VecDeque;

use super::{Crew, Pace, Refused, Scheduler, crew};
use crate::site::Site;
use crate::task::Blocked;
use crate::value::Key;

/// The order of the last build.
#[derive(Default)]
pub struct Chain {
    chain: Vec<Key>,
}

impl Scheduler for Chain {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        let new = targets.iter().filter(|target| !self.chain.contains(target));
        let mut waiting: VecDeque<Key> = self.chain.iter().chain(new).copied().collect();
        let mut chain = Vec::new();
        while let Some(key) = waiting.pop_front() {
            if site.done.contains(&key) {
                continue;
            }
            let mut ready = |site: &mut Site<'_>, dependency: Key| {
                if site.done.contains(&dependency) { Ok(()) } else { Err(Blocked(dependency)) }
            };
            match site.bring(key, &mut ready) {
                Ok(()) => chain.push(key),
                Err(Blocked(dependency)) => {
                    waiting.retain(|other| *other != dependency);
                    waiting.push_front(dependency);
                    waiting.push_back(key);
                }
            }
        }
        self.chain = chain;
        Ok(())
    }

    fn parallel(&self, workers: usize, pace: Pace) -> Option<Box<dyn Scheduler>> {
        Some(Box::new(Crew::new(crew::Chain::default(), workers, pace)))
    }
}
