//! Forward: run all commands in the order in which the author wrote them, skipping those that need not run.
//!
//! Source: Spall, Mitchell, Tobin-Hochstadt: Build Scripts with Perfect Dependencies (Rattle, OOPSLA 2020); McCloskey's
//! memoize and Hoyt's Fabricate before it. The order is the author's, so a target is never asked for and a command that
//! reads what a later one writes is the author's fault (a hazard): it is refused.

use super::{Crew, Pace, Refused, Scheduler, crew};
use crate::site::Site;
use crate::task::Blocked;
use crate::value::Key;

/// Keeps nothing between builds.
#[derive(Default)]
pub struct Forward;

/// The commands of the script up to the last that a target needs.
pub(super) fn commands(targets: &[Key]) -> impl Iterator<Item = Key> {
    let last = targets.iter().map(|key| match key {
        Key::Node(node) | Key::File(node, _) | Key::Script(node) => *node,
        Key::World => 0,
    });
    (0..=last.max().unwrap_or(0)).map(Key::Node)
}

impl Scheduler for Forward {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        for key in commands(targets) {
            let mut ready = |site: &mut Site<'_>, dependency: Key| {
                if site.done.contains(&dependency) { Ok(()) } else { Err(Blocked(dependency)) }
            };
            site.bring(key, &mut ready).map_err(|Blocked(key)| Refused::Undeclared(key))?;
        }
        Ok(())
    }

    fn parallel(&self, workers: usize, pace: Pace) -> Option<Box<dyn Scheduler>> {
        Some(Box::new(Crew::new(crew::Forward::default(), workers, pace)))
    }
}
