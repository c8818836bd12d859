//! Topological, for several workers: whatever has all its dependencies is started.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.2; make -j and Ninja.

use super::{Foreman, Looked, Refused, Site};
use crate::scheduler::topological::order;
use crate::value::Key;

/// What waits, in topological order.
#[derive(Default)]
pub struct Topological {
    waiting: Vec<Key>,
}

/// Whether all that a key mentions is up to date.
fn is_complete(site: &Site<'_>, key: Key) -> bool {
    let looks = site.tasks.task(key).map(|task| task.mentions().looks).unwrap_or_default();
    looks.iter().all(|(key, _)| site.is_input(*key) || site.done.contains(key))
}

impl Foreman for Topological {
    fn begin(&mut self, site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        self.waiting = order(site.tasks, targets)?;
        Ok(())
    }

    fn next(&mut self, site: &Site<'_>) -> Option<Key> {
        let at = self.waiting.iter().position(|key| is_complete(site, *key))?;
        Some(self.waiting.remove(at))
    }

    fn blocked(&mut self, _site: &Site<'_>, _key: Key, on: Key) -> Result<(), Refused> {
        Err(Refused::Undeclared(on))
    }

    fn finished(&mut self, _key: Key, _looks: Option<&[Looked]>) {}
}
