//! Topological: order all tasks by what they mention before anything runs.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 4.1 and figure 8. Needs tasks that mention all they may look at.

use std::collections::BTreeSet;

use super::{Crew, Pace, Refused, Scheduler, crew};
use crate::site::Site;
use crate::task::{Blocked, Tasks};
use crate::value::Key;

/// Keeps nothing between builds.
#[derive(Default)]
pub struct Topological;

/// Put what a key mentions, then the key, at the end of the order.
fn visit(
    tasks: &dyn Tasks,
    key: Key,
    seen: &mut BTreeSet<Key>,
    order: &mut Vec<Key>,
) -> Result<(), Refused> {
    let Some(task) = tasks.task(key) else { return Ok(()) };
    if !seen.insert(key) {
        return Ok(());
    }
    let mentions = task.mentions();
    if !mentions.complete {
        return Err(Refused::Dynamic(key));
    }
    for (dependency, _) in mentions.looks {
        visit(tasks, dependency, seen, order)?;
    }
    order.push(key);
    Ok(())
}

/// The order in which to bring these targets and all below them up to date.
pub(super) fn order(tasks: &dyn Tasks, targets: &[Key]) -> Result<Vec<Key>, Refused> {
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for target in targets {
        visit(tasks, *target, &mut seen, &mut order)?;
    }
    Ok(order)
}

impl Scheduler for Topological {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        for key in order(site.tasks, targets)? {
            let mut ready = |site: &mut Site<'_>, dependency: Key| {
                if site.done.contains(&dependency) { Ok(()) } else { Err(Blocked(dependency)) }
            };
            site.bring(key, &mut ready).map_err(|Blocked(key)| Refused::Undeclared(key))?;
        }
        Ok(())
    }

    fn parallel(&self, workers: usize, pace: Pace) -> Option<Box<dyn Scheduler>> {
        Some(Box::new(Crew::new(crew::Topological::default(), workers, pace)))
    }
}
