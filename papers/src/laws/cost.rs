//! Laws of cost: what may run. Each says that a task whose fingerprint has not changed since the last build does not.
//!
//! Source: Build Systems à la Carte (JFP 2020): minimality is section 2.1, early cutoff 2.3. A restarted task counts as
//! started twice, which is why the paper calls restarting systems not minimal. Observed and normalised cutoff are floe's.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Make, build, fingerprint, replay};
use crate::case::Case;
use crate::clean::Clean;
use crate::log::Log;
use crate::value::Key;

/// Tasks start at most once, and only when inputs below have changed.
pub fn minimal(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    unchanged(case, make, fingerprint::deep, |log| once(log.started()))
}

/// Tasks end at most once, and only when inputs below have changed: what is given up and started again does not count.
pub fn minimal_runs(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    unchanged(case, make, fingerprint::deep, |log| once(log.ran()))
}

/// The same keys, if none occurs twice.
fn once(keys: Vec<Key>) -> Result<Vec<Key>, Broken> {
    let mut seen = BTreeSet::new();
    match keys.iter().find(|key| !seen.insert(**key)) {
        Some(key) => Err(format!("{key:?} was run twice")),
        None => Ok(keys),
    }
}

/// Tasks run only when direct dependencies have changed.
pub fn cutoff(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    unchanged(case, make, fingerprint::direct, |log| Ok(log.ran()))
}

/// Tasks run only when something that they looked at has changed.
pub fn observed_cutoff(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    unchanged(case, make, fingerprint::observed, |log| Ok(log.ran()))
}

/// Tasks run only when direct dependencies have changed in more than names.
pub fn normalised_cutoff(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    unchanged(case, make, fingerprint::normalised, |log| Ok(log.ran()))
}

/// Whatever ran has another fingerprint than when it was last needed.
fn unchanged<F: PartialEq>(
    case: &Case,
    make: Make<'_>,
    fingerprint: fn(&Clean<'_>, Key) -> F,
    which: fn(&Log) -> Result<Vec<Key>, Broken>,
) -> Result<(), Broken> {
    let mut before: BTreeMap<Key, F> = BTreeMap::new();
    let mut system = make();
    replay(case, &mut system, |system, project, targets, log| {
        system.clean(project, targets, |clean| {
            for key in which(log)? {
                if !clean.made.contains_key(&key) {
                    return Err(format!("{key:?} ran and is not needed"));
                }
                if before.get(&key) == Some(&fingerprint(clean, key)) {
                    return Err(format!("{key:?} ran although nothing that counts has changed"));
                }
            }
            before.extend(clean.made.keys().map(|key| (*key, fingerprint(clean, *key))));
            Ok(())
        })
    })
    .map(drop)
}

/// Building again runs nothing and changes nothing.
pub fn idempotent(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    let project = replay(case, &mut system, |_, _, _, _| Ok(()))?;
    let targets = project.sinks();
    let entries = |system: &crate::system::System| {
        let made = system.store.keys().filter(|key| *key != Key::World);
        made.map(|key| (key, system.store.entry(key))).collect::<Vec<_>>()
    };
    let before = entries(&system);
    let log = build(&mut system, &project, &targets)?;
    match log.started().first() {
        Some(key) => Err(format!("{key:?} ran in a null build")),
        None if before != entries(&system) => Err("a null build changed something".into()),
        None => Ok(()),
    }
}

/// Going back to where the case began runs nothing.
pub fn revert(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    replay(case, &mut system, |_, _, _, _| Ok(()))?;
    let log = build(&mut system, &case.project, &case.project.sinks())?;
    match log.ran().first() {
        Some(key) => Err(format!("{key:?} ran after going back")),
        None => Ok(()),
    }
}
