//! Restarting with a queue, for several workers: all take from one queue. A task may be given up because another worker has
//! not come home yet, not only because the order was wrong.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.2; Bazel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Foreman, Looked, Refused, Site};
use crate::value::Key;

/// The queue, what is in workers' hands, and what was given up for the sake of what.
#[derive(Default)]
pub struct Queue {
    queue: VecDeque<Key>,
    in_hand: BTreeSet<Key>,
    blocked: BTreeMap<Key, Vec<Key>>,
}

impl Foreman for Queue {
    fn begin(&mut self, _site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        *self = Queue { queue: targets.iter().copied().collect(), ..Queue::default() };
        Ok(())
    }

    fn next(&mut self, site: &Site<'_>) -> Option<Key> {
        let Queue { queue, in_hand, .. } = self;
        queue.retain(|key| !site.is_input(*key) && !site.done.contains(key));
        let at = queue.iter().position(|key| !in_hand.contains(key))?;
        let key = queue.remove(at)?;
        in_hand.insert(key);
        Some(key)
    }

    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused> {
        self.in_hand.remove(&key);
        if site.done.contains(&on) {
            self.queue.push_back(key);
        } else {
            self.blocked.entry(on).or_default().push(key);
            self.queue.push_back(on);
        }
        Ok(())
    }

    fn finished(&mut self, key: Key, _looks: Option<&[Looked]>) {
        self.in_hand.remove(&key);
        self.queue.extend(self.blocked.remove(&key).into_iter().flatten());
    }
}
