//! Laws of being right: correctness, answers after any history, and agreement of what belongs together.
//!
//! Source: Build Systems à la Carte (JFP 2020): correctness is section 3.6; for tasks that are not deterministic it is
//! that each value is a possible result for the dependencies as they are (8.3); a build that breaks this is a frankenbuild
//! (Esfahani et al., CloudBuild, 2016; JFP section 8.4, figure 12).

use super::{Broken, Make, replay};
use crate::case::Case;
use crate::system::System;
use crate::task::{Blocked, Look, Part, Seen, Tasks, World};
use crate::value::{Key, Value};

/// Everything brought up to date is what a clean build makes.
pub fn correct(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    replay(case, &mut system, |system, project, targets, _| {
        system.clean(project, targets, |clean| {
            for (key, made) in &clean.made {
                let relevant = targets.contains(key) || system.done.contains(key);
                if relevant && system.store.entry(*key) != Some(made.entry) {
                    return Err(format!("{key:?} is not what a clean build makes"));
                }
            }
            Ok(())
        })
    })
    .map(drop)
}

/// The targets are what a clean build makes, and their values are at hand.
pub fn answers(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    replay(case, &mut system, |system, project, targets, _| {
        system.clean(project, targets, |clean| {
            for target in targets {
                let entry = system.store.entry(*target);
                if entry != clean.made.get(target).map(|made| made.entry) {
                    return Err(format!("the answer for {target:?} is stale"));
                }
                let value = entry.and_then(|entry| system.store.held(entry.digest));
                if value != clean.made.get(target).map(|made| &made.value) {
                    return Err(format!("the value of {target:?} is missing"));
                }
            }
            Ok(())
        })
    })
    .map(drop)
}

/// Every key brought up to date is a possible result of its task for its dependencies as they are now.
pub fn possible(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    replay(case, &mut system, |system, project, _, _| {
        let view = system.view;
        view.see(project, |tasks| {
            let strange = system.done.iter().find(|key| !could_be(system, tasks, **key));
            strange.map_or(Ok(()), |key| Err(format!("{key:?} does not fit its dependencies")))
        })
    })
    .map(drop)
}

/// Whether some outcome of chance makes the key what it is. A key that stands on something not brought up to date in this
/// build is not judged.
fn could_be(system: &System, tasks: &dyn Tasks, key: Key) -> bool {
    let Some(task) = tasks.task(key) else { return true };
    let outcomes = 0..2;
    outcomes.into_iter().any(|outcome| {
        let mut world = AsItIs { system, tasks, outcome };
        match task.run(&mut world) {
            Ok(value) => system.store.entry(key).is_some_and(|e| e.digest == value.digest()),
            Err(Blocked(_)) => true,
        }
    })
}

/// The store as it is.
struct AsItIs<'a> {
    system: &'a System,
    tasks: &'a dyn Tasks,
    outcome: u64,
}

impl World for AsItIs<'_> {
    fn look(&mut self, key: Key, what: Look) -> Result<Seen, Blocked> {
        if self.tasks.task(key).is_some() && !self.system.done.contains(&key) {
            return Err(Blocked(key));
        }
        let entry = self.system.store.entry(key).ok_or(Blocked(key))?;
        let value: &Value = self.system.store.held(entry.digest).ok_or(Blocked(key))?;
        Ok(Seen { name: entry.name, part: Part::of(value, what) })
    }

    fn random(&mut self, below: u64) -> u64 {
        self.outcome % below.max(1)
    }
}
