//! Forward, for several workers, by speculation: a command starts before its turn when all that it looked at the last time
//! is up to date. If it then looks at something else that is not, it is given up and has its turn later.
//!
//! Source: Spall, Mitchell, Tobin-Hochstadt: Build Scripts with Perfect Dependencies (Rattle, OOPSLA 2020), section 2.3.
//! There a hazard is found when the commands have run; here at the look itself. A first build has no history and runs in
//! order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Foreman, Looked, Refused, Site};
use crate::scheduler::forward::commands;
use crate::value::Key;

/// What is left of the script, what was given up, and at what each command looked when it ran last.
#[derive(Default)]
pub struct Forward {
    order: Vec<Key>,
    waiting: BTreeSet<Key>,
    given_up: BTreeSet<Key>,
    looks: BTreeMap<Key, Vec<Key>>,
}

impl Forward {
    /// Whether everything before it in the script is up to date.
    fn has_its_turn(&self, site: &Site<'_>, key: Key) -> bool {
        let before = self.order.iter().take_while(|other| **other != key);
        before.into_iter().all(|other| site.done.contains(other))
    }

    fn may_be_tried(&self, site: &Site<'_>, key: Key) -> bool {
        let up_to_date = |key: &Key| site.is_input(*key) || site.done.contains(key);
        let looked = self.looks.get(&key);
        !self.given_up.contains(&key) && looked.is_some_and(|looked| looked.iter().all(up_to_date))
    }
}

impl Foreman for Forward {
    fn begin(&mut self, site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        self.order = commands(targets).filter(|key| !site.is_input(*key)).collect();
        self.waiting = self.order.iter().copied().collect();
        self.given_up.clear();
        Ok(())
    }

    fn next(&mut self, site: &Site<'_>) -> Option<Key> {
        let may = |key: &Key| self.has_its_turn(site, *key) || self.may_be_tried(site, *key);
        let key = self.order.iter().copied().find(|key| self.waiting.contains(key) && may(key))?;
        self.waiting.remove(&key);
        Some(key)
    }

    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused> {
        if self.given_up.contains(&key) && self.has_its_turn(site, key) {
            return Err(Refused::Undeclared(on));
        }
        self.given_up.insert(key);
        self.waiting.insert(key);
        Ok(())
    }

    fn finished(&mut self, key: Key, looks: Option<&[Looked]>) {
        if let Some(looks) = looks {
            self.looks.insert(key, looks.iter().map(|looked| looked.key).collect());
        }
    }
}
