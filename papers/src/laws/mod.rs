//! The laws: what a build system may promise, each a property of a random case. They see systems from outside, and compare
//! with clean builds by plain recursion. Which system keeps which law is found by running them.
//!
//! Source: the definitions in Build Systems à la Carte (JFP 2020): minimality (section 2.1), correctness (3.6), early
//! cutoff (2.3), and the corners of section 8; each file names its own.

mod cost;
mod fingerprint;
mod parallel;
mod right;
mod sharing;

pub mod retarget;

use proptest::strategy::{BoxedStrategy, Strategy};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::case::{Case, Happening, Shape, edited, histories, losses, returns};
use crate::log::Log;
use crate::project::Project;
use crate::scheduler::Refused;
use crate::system::System;
use crate::value::Key;

/// Makes the system that is to be held to a law.
pub type Make<'a> = &'a dyn Fn() -> System;

/// What was found broken, in words.
pub type Broken = String;

/// What happens to the projects of a law.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum History {
    /// Edits, each followed by a full build.
    Edits,
    /// Edits and then their undoing in reverse order, each followed by a full build.
    Returns,
    /// Anything in any order.
    Any,
    /// Losses and clean-ups, each followed by a build that may ask for something else first.
    Losses,
}

/// A law.
#[derive(Clone, Copy)]
pub struct Law {
    /// Its name, a few words.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What random projects may contain.
    pub shape: Shape,
    /// What happens to them.
    pub history: History,
    /// Whether a system keeps it in a case.
    pub check: fn(&Case, Make<'_>) -> Result<(), Broken>,
}

const STATIC: Shape = Shape {
    dynamic: false,
    scripts: false,
    failures: false,
    volatile: false,
    random: false,
    embed: false,
    scramble: false,
};
const FAILING: Shape = Shape { failures: true, ..STATIC };
const DYNAMIC: Shape = Shape { dynamic: true, ..FAILING };

/// All laws that any system can be held to.
pub const LAWS: [Law; 24] = [
    Law {
        name: "correct",
        says: "after a build everything is what a clean build makes, failures included",
        shape: FAILING,
        history: History::Edits,
        check: right::correct,
    },
    Law {
        name: "dynamic dependencies",
        says: "the same when tasks find out what they need while they run",
        shape: DYNAMIC,
        history: History::Edits,
        check: right::correct,
    },
    Law {
        name: "self-tracking",
        says: "the same when the tasks themselves are edited",
        shape: Shape { scripts: true, ..FAILING },
        history: History::Edits,
        check: right::correct,
    },
    Law {
        name: "volatile tasks",
        says: "the same with tasks that change in every build",
        shape: Shape { volatile: true, ..FAILING },
        history: History::Edits,
        check: right::correct,
    },
    Law {
        name: "names",
        says: "the same when outputs hold the names of inputs",
        shape: Shape { embed: true, ..FAILING },
        history: History::Edits,
        check: right::correct,
    },
    Law {
        name: "no stale answer",
        says: "the answer is right after any history: partial builds, several edits, clean-ups, losses",
        shape: FAILING,
        history: History::Any,
        check: right::answers,
    },
    Law {
        name: "no stale answer, dynamic",
        says: "the same with dynamic dependencies",
        shape: DYNAMIC,
        history: History::Any,
        check: right::answers,
    },
    Law {
        name: "non-determinism",
        says: "everything is something that its task could make of its dependencies as they are",
        shape: Shape { random: true, ..STATIC },
        history: History::Edits,
        check: right::possible,
    },
    Law {
        name: "no frankenbuild",
        says: "the same after clean-ups and losses, when some results come from a cloud",
        shape: Shape { random: true, ..STATIC },
        history: History::Losses,
        check: right::possible,
    },
    Law {
        name: "minimal",
        says: "a task starts at most once in a build, and only if an input below it has changed",
        shape: STATIC,
        history: History::Edits,
        check: cost::minimal,
    },
    Law {
        name: "minimal, restarts forgiven",
        says: "a task comes to its end at most once in a build, and only if an input below it has changed",
        shape: STATIC,
        history: History::Edits,
        check: cost::minimal_runs,
    },
    Law {
        name: "minimal, dynamic",
        says: "the same with dynamic dependencies, since the task was last needed; nothing starts that is not needed",
        shape: Shape { dynamic: true, ..STATIC },
        history: History::Returns,
        check: cost::minimal,
    },
    Law {
        name: "early cutoff",
        says: "a task runs only if what it depends on directly has changed",
        shape: STATIC,
        history: History::Edits,
        check: cost::cutoff,
    },
    Law {
        name: "observed cutoff",
        says: "a task runs only if what it looked at has changed, up to names",
        shape: STATIC,
        history: History::Edits,
        check: cost::observed_cutoff,
    },
    Law {
        name: "normalised cutoff",
        says: "a task runs only if what it depends on has changed otherwise than in the names that it holds",
        shape: Shape { embed: true, ..STATIC },
        history: History::Edits,
        check: cost::normalised_cutoff,
    },
    Law {
        name: "observed, normalised cutoff",
        says: "a task runs only if what it looked at has changed otherwise than in the names that it holds",
        shape: Shape { embed: true, ..STATIC },
        history: History::Edits,
        check: cost::observed_cutoff,
    },
    Law {
        name: "idempotent",
        says: "building again runs nothing and changes nothing",
        shape: FAILING,
        history: History::Edits,
        check: cost::idempotent,
    },
    Law {
        name: "revert costs nothing",
        says: "going back to what was built before runs nothing",
        shape: FAILING,
        history: History::Edits,
        check: cost::revert,
    },
    Law {
        name: "sharing costs nothing",
        says: "what another has built and shared is not run again",
        shape: FAILING,
        history: History::Edits,
        check: sharing::sharing,
    },
    Law {
        name: "shallow",
        says: "of what another has built, the targets alone are fetched",
        shape: STATIC,
        history: History::Edits,
        check: sharing::shallow,
    },
    Law {
        name: "eviction",
        says: "the loss of a value in between costs nothing as long as nobody looks at it",
        shape: STATIC,
        history: History::Edits,
        check: sharing::eviction,
    },
    Law {
        name: "parallel",
        says: "several workers make what one makes",
        shape: FAILING,
        history: History::Any,
        check: parallel::results,
    },
    Law {
        name: "parallel, same runs",
        says: "several workers make what one makes and run what it runs",
        shape: STATIC,
        history: History::Any,
        check: parallel::runs,
    },
    Law {
        name: "parallel, dynamic",
        says: "the same with dynamic dependencies",
        shape: Shape { dynamic: true, ..STATIC },
        history: History::Any,
        check: parallel::runs,
    },
];

/// The law for systems that retarget.
pub const CERTIFIED: Law = Law {
    name: "certified",
    says: "results are right although some tasks mind how things are called, where certificates are asked for",
    shape: Shape { embed: true, scramble: true, ..FAILING },
    history: History::Edits,
    check: retarget::certified,
};

/// The law of this name.
pub fn law(name: &str) -> Option<&'static Law> {
    LAWS.iter().find(|law| law.name == name)
}

impl Law {
    /// The random cases of this law.
    pub fn cases(&self) -> BoxedStrategy<Case> {
        match self.history {
            History::Edits => edited(self.shape).boxed(),
            History::Returns => returns(self.shape).boxed(),
            History::Any => histories(self.shape).boxed(),
            History::Losses => losses(self.shape).boxed(),
        }
    }

    /// Hold a system to this law in so many random cases; the smallest counter-example found, in words, if any.
    pub fn refute(&self, cases: u32, seed: u64, make: Make<'_>) -> Option<String> {
        let mut runner = runner(cases, seed);
        let checked = runner
            .run(&self.cases(), |case| (self.check)(&case, make).map_err(TestCaseError::fail));
        match checked {
            Ok(()) => None,
            Err(TestError::Fail(reason, case)) => Some(format!("{reason}\n{case:#?}")),
            Err(TestError::Abort(reason)) => Some(format!("gave up: {reason}")),
        }
    }
}

/// A runner whose cases depend on the seed alone.
pub fn runner(cases: u32, seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, rng)
}

/// Let a case happen to a system, and look after every build.
fn replay(
    case: &Case,
    system: &mut System,
    mut look: impl FnMut(&mut System, &Project, &[Key], &Log) -> Result<(), Broken>,
) -> Result<Project, Broken> {
    system.chance = crate::chance::Chance::new(case.seed);
    let mut project = case.project.clone();
    for happening in &case.happenings {
        match happening {
            Happening::Edit(edit) => project.apply(edit),
            Happening::Clean => system.clean_up(),
            Happening::Evict(node) if project.script(*node).is_some() => {
                system.store.evict(Key::Node(*node));
            }
            Happening::Evict(_) => {}
            Happening::Build(_) | Happening::Inner(_) => {
                let targets = happening.targets(&project).unwrap_or_default();
                let log = build(system, &project, &targets)?;
                look(system, &project, &targets, &log)?;
            }
        }
    }
    Ok(project)
}

fn build(system: &mut System, project: &Project, targets: &[Key]) -> Result<Log, Broken> {
    system.build(project, targets).map_err(|refused: Refused| refused.to_string())
}
