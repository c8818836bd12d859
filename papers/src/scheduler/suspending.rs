//! Suspending: build a dependency when it is asked for, while the task that asked waits.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 4.3 and figure 10 (Shake).

use super::{Crew, Pace, Refused, Scheduler, crew};
use crate::site::Site;
use crate::task::Blocked;
use crate::value::Key;

/// Keeps nothing between builds.
#[derive(Default)]
pub struct Suspending;

/// Bring a key up to date if it is not.
pub(crate) fn fetch(site: &mut Site<'_>, key: Key) -> Result<(), Blocked> {
    if site.done.contains(&key) {
        return Ok(());
    }
    site.bring(key, &mut fetch)
}

impl Scheduler for Suspending {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        for target in targets {
            fetch(site, *target).map_err(|Blocked(key)| Refused::Undeclared(key))?;
        }
        Ok(())
    }

    fn parallel(&self, workers: usize, pace: Pace) -> Option<Box<dyn Scheduler>> {
        Some(Box::new(Crew::new(crew::Suspending::default(), workers, pace)))
    }
}
