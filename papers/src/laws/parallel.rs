//! Laws of working in parallel: several workers, some slower than others, make what one worker makes, and run what it runs.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.2, which keeps parallelism a matter of the scheduler alone.

use std::collections::BTreeMap;

use super::{Broken, Make, replay};
use crate::case::{Case, Happening};
use crate::chance::Chance;
use crate::scheduler::Pace;
use crate::system::System;
use crate::value::{Entry, Key};

/// As many as can run into one another on small graphs.
const WORKERS: usize = 3;

/// What a build made of each key that it brought up to date, and what it ran.
type Build = (BTreeMap<Key, Option<Entry>>, Vec<Key>);

fn builds(case: &Case, system: &mut System) -> Result<Vec<Build>, Broken> {
    let mut builds = Vec::new();
    replay(case, system, |system, _, targets, log| {
        let keys = system.done.iter().chain(targets);
        let made = keys.map(|key| (*key, system.store.entry(*key))).collect();
        let mut ran = log.ran();
        ran.sort();
        builds.push((made, ran));
        Ok(())
    })?;
    Ok(builds)
}

/// The builds of one worker beside those of several.
fn both(case: &Case, make: Make<'_>) -> Result<Vec<(Build, Build)>, Broken> {
    let mut several = make();
    let crew = several.scheduler.parallel(WORKERS, Pace::Uneven(Chance::new(case.seed)));
    several.scheduler = crew.ok_or("this scheduler has one worker only")?;
    Ok(builds(case, &mut make())?.into_iter().zip(builds(case, &mut several)?).collect())
}

/// Several workers make what one makes.
pub fn results(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    for ((one, _), (several, _)) in both(case, make)? {
        for (key, entry) in one {
            if several.get(&key).is_some_and(|other| *other != entry) {
                return Err(format!("{key:?} is something else when several work"));
            }
        }
    }
    Ok(())
}

/// Several workers make what one makes, and run what it runs. Losses are left out: equal values are one value, so a lost
/// one that two keys share is made once by one worker and may be made twice at a time by two.
pub fn runs(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let shared = make().rebuilder.traces().is_some();
    let loses = |what: &&Happening| match what {
        Happening::Evict(_) => true,
        Happening::Clean => !shared,
        _ => false,
    };
    let happenings = case.happenings.iter().filter(|what| !loses(what)).cloned().collect();
    let case = Case { happenings, ..case.clone() };
    results(&case, make)?;
    let differs = both(&case, make)?.into_iter().find(|((_, one), (_, several))| one != several);
    differs.map_or(Ok(()), |((_, one), (_, several))| {
        Err(format!("one worker runs {one:?}, several run {several:?}"))
    })
}
