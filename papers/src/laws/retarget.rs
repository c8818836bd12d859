//! Laws of retargeting: for tasks that do not care about names, renaming an old result gives what a clean build gives
//! (that is the law `names`); a task that does care is caught by its certificate, or by audits as often as they are made.
//!
//! Source: floe's design. The probabilities are elementary: an audit rate p catches one of m wrong results with
//! 1 - (1-p)^m; a certificate of t trials for a task that minds one name in n, with 1 - (1-1/n)^(t+1).

use super::{Broken, Make, replay};
use crate::case::Case;
use crate::chance::Chance;
use crate::equivariance::certificate;
use crate::log::Event;
use crate::project::{Node, Project};
use crate::rebuilder::{Grain, Retargeting};
use crate::scheduler::Topological;
use crate::script::{Read, Script};
use crate::system::{System, View};
use crate::task::Look;
use crate::value::{File, Key, Value};

/// Trials of a certificate. Words are small numbers here, so that a task that minds names gives the right answer by accident
/// up to once in two.
const TRIALS: u64 = 64;

/// With a certificate for everything that ran, results are right although some tasks mind how things are called.
pub fn certified(case: &Case, make: Make<'_>) -> Result<(), Broken> {
    let mut system = make();
    replay(case, &mut system, |system, project, targets, log| {
        let distrusted: Vec<Key> = system.view.see(project, |tasks| {
            let ran = log.ran().into_iter();
            let minds = ran.filter(|key| {
                let task = tasks.task(*key);
                !task.is_some_and(|task| {
                    certificate(task.as_ref(), &system.store, TRIALS, case.seed)
                })
            });
            minds.collect()
        });
        distrusted.into_iter().for_each(|key| system.rebuilder.distrust(key));
        system.clean(project, targets, |clean| {
            let wrong =
                clean.made.iter().find(|(key, made)| system.store.entry(**key) != Some(made.entry));
            wrong.map_or(Ok(()), |(key, _)| Err(format!("{key:?} was renamed wrongly")))
        })
    })
    .map(drop)
}

/// A rate that was to be expected, and the one that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// By arithmetic.
    pub expected: f64,
    /// By counting.
    pub seen: f64,
    /// Of so many.
    pub of: u32,
}

impl Rate {
    fn count(expected: f64, of: u32, mut happens: impl FnMut(u64) -> bool) -> Rate {
        let happened = (0..of).filter(|seed| happens(u64::from(*seed))).count();
        Rate { expected, seen: happened as f64 / f64::from(of), of }
    }

    /// Whether what was seen is within so many standard deviations of what was to be expected.
    pub fn agrees(&self, deviations: f64) -> bool {
        let deviation = (self.expected * (1.0 - self.expected) / f64::from(self.of)).sqrt();
        (self.seen - self.expected).abs() <= deviations * deviation
    }
}

/// A source, something that is made from it and changes with it, and readers of a part that does not change. Each reader
/// minds one name in `minds`.
fn readers(count: u16, minds: u64, word: u64) -> Project {
    let source = Node::Source(Value::words([1, word]));
    let first = Read::Look(0, Look::File(File(0)), 1);
    let second = Read::Look(0, Look::File(File(1)), 2);
    let made = Node::Rule(Script::copying(0, 2, vec![first, second]));
    let reader = |salt| {
        let script = Script::copying(salt, 1, vec![Read::Look(1, Look::File(File(0)), 1)]);
        Node::Rule(Script { embed: true, scramble: minds, ..script })
    };
    Project { nodes: [source, made].into_iter().chain((0..count.into()).map(reader)).collect() }
}

/// How often auditing one retarget in 1000/`per_mille` finds a fault when `wrong` retargets are wrong.
pub fn audits(wrong: u16, per_mille: u64, cases: u32) -> Rate {
    let p = per_mille as f64 / 1000.0;
    Rate::count(1.0 - (1.0 - p).powi(wrong.into()), cases, |seed| {
        let mut system = System::new(
            Topological,
            Retargeting::new(Grain::Looks),
            View { self_tracking: true, outputs_apart: false },
        );
        system.chance = Chance::new(seed);
        system.audit_per_mille = per_mille;
        let mut caught = false;
        for word in [0, 1] {
            let project = readers(wrong, 1, word);
            let log = system.build(&project, &project.sinks());
            let events = log.map(|log| log.events).unwrap_or_default();
            caught |= events.iter().any(|event| matches!(event, Event::Audited(_, false)));
        }
        caught
    })
}

/// How often a certificate of so many trials finds a task out that minds one name in n.
pub fn certificates(minds: u64, trials: u64, cases: u32) -> Rate {
    let miss = 1.0 - 1.0 / minds as f64;
    Rate::count(1.0 - miss.powi(trials as i32 + 1), cases, |seed| {
        let mut system = System::new(
            Topological,
            Retargeting::new(Grain::Looks),
            View { self_tracking: true, outputs_apart: false },
        );
        let project = readers(1, minds, seed);
        let built = system.build(&project, &project.sinks());
        let found = system.view.see(&project, |tasks| {
            let task = tasks.task(Key::Node(2));
            task.is_some_and(|task| !certificate(task.as_ref(), &system.store, trials, seed))
        });
        built.is_ok() && found
    })
}
