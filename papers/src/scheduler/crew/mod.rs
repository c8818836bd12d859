//! Several workers: one simulation for all ways of ordering, the same again for the same seed. A worker judges and runs a
//! key away from the others and makes the result known when it comes home; in between the others go on. Who starts what is
//! the foreman's affair, one file each.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 8.2, which says how each scheduler can be made parallel and leaves
//! the code out; speculation is that of Rattle (Spall, Mitchell, Tobin-Hochstadt, OOPSLA 2020).

mod chain;
mod forward;
mod queue;
mod suspending;
mod topological;

pub use chain::Chain;
pub use forward::Forward;
pub use queue::Queue;
pub use suspending::Suspending;
pub use topological::Topological;

use std::collections::BTreeMap;

use super::{Refused, Scheduler};
use crate::chance::Chance;
use crate::log::Event;
use crate::site::{Judged, Prepared, Site};
use crate::task::{Blocked, Looked};
use crate::value::Key;

/// How long commands last. What is kept, taken from a trace or out of several outputs takes no time; what is given up takes
/// one.
#[derive(Clone, Debug)]
pub enum Pace {
    /// One.
    Even,
    /// One to four, by chance.
    Uneven(Chance),
}

/// Whoever says which key is started next.
pub trait Foreman {
    /// A build begins.
    fn begin(&mut self, site: &Site<'_>, targets: &[Key]) -> Result<(), Refused>;
    /// A key to be started now, if there is one. It is in a worker's hands until it is blocked or finished.
    fn next(&mut self, site: &Site<'_>) -> Option<Key>;
    /// A worker could not go on with a key without this other one.
    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused>;
    /// A key is up to date; if it ran, at these it looked.
    fn finished(&mut self, key: Key, looks: Option<&[Looked]>);
    /// Whether a task that cannot go on waits where it is instead of being given up.
    fn suspends(&self) -> bool {
        false
    }
}

/// A foreman with workers.
pub struct Crew<F> {
    foreman: F,
    workers: usize,
    pace: Pace,
    /// Running tasks that wait for a key.
    waiting: BTreeMap<Key, Judged>,
}

/// A key in a worker's hands.
struct Busy {
    until: u64,
    key: Key,
    outcome: Result<Prepared, Key>,
}

impl<F: Foreman> Crew<F> {
    /// A foreman with so many workers.
    pub fn new(foreman: F, workers: usize, pace: Pace) -> Crew<F> {
        Crew { foreman, workers: workers.max(1), pace, waiting: BTreeMap::new() }
    }

    /// Let a worker begin with a key, or go on with it; nothing if the task has to wait.
    fn start(&mut self, site: &mut Site<'_>, key: Key) -> Result<Option<Busy>, Refused> {
        let mut ready = |site: &mut Site<'_>, dependency: Key| {
            if site.done.contains(&dependency) { Ok(()) } else { Err(Blocked(dependency)) }
        };
        let judged = match self.waiting.remove(&key) {
            Some(judged) => Ok(Some(judged)),
            None => site.judge(key, &mut ready),
        };
        let (judged, ran) = match judged {
            Ok(None) => return Ok(None),
            Ok(Some(judged)) => {
                let before = site.log.events.len();
                let ran = site.run(&judged, &mut ready);
                if ran.is_err() && self.foreman.suspends() {
                    // it will be played again up to here, which is how a simulation waits: the last time counts
                    let events = site.log.events.split_off(before).into_iter();
                    let own = [Event::Started(key), Event::Aborted(key)];
                    site.log.events.extend(events.filter(|event| !own.contains(event)));
                }
                (Some(judged), ran)
            }
            Err(blocked) => (None, Err(blocked)),
        };
        let (lasts, outcome) = match (judged, ran) {
            (judged, Err(Blocked(on))) if self.foreman.suspends() => {
                self.waiting.extend(judged.map(|judged| (key, judged)));
                self.foreman.blocked(site, key, on)?;
                return Ok(None);
            }
            (_, Err(Blocked(on))) => (1, Err(on)),
            (None, Ok(_)) => return Ok(None),
            (Some(judged), Ok(ran)) => {
                let command = site.log.commands.contains(&key);
                let lasts = if ran.is_some() && command { self.pace.lasts() } else { 0 };
                (lasts, Ok(Prepared { judged, ran }))
            }
        };
        Ok(Some(Busy { until: site.log.time + lasts, key, outcome }))
    }
}

impl<F: Foreman> Scheduler for Crew<F> {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        self.foreman.begin(site, targets)?;
        self.waiting.clear();
        let mut busy: Vec<Busy> = Vec::new();
        loop {
            while busy.len() < self.workers
                && let Some(key) = self.foreman.next(site)
            {
                busy.extend(self.start(site, key)?);
            }
            // the first to come home; of several, the one that left first
            let Some(first) = (0..busy.len()).min_by_key(|at| (busy[*at].until, *at)) else {
                return Ok(());
            };
            let Busy { until, key, outcome } = busy.remove(first);
            site.log.time = until;
            match outcome {
                Ok(prepared) => {
                    let looks = prepared.ran.as_ref().map(|(_, looks)| looks.clone());
                    site.finish(prepared);
                    self.foreman.finished(key, looks.as_deref());
                }
                Err(on) => self.foreman.blocked(site, key, on)?,
            }
        }
    }
}

impl Pace {
    fn lasts(&mut self) -> u64 {
        match self {
            Pace::Even => 1,
            Pace::Uneven(chance) => 1 + chance.below(4),
        }
    }
}
