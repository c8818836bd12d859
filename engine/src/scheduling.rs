//! What becomes of an evaluation that wants to read what is not built (import from derivation), and of
//! a request that finds out what to build while it goes on (dynamic derivations): where the schedulers
//! of Build Systems à la Carte differ for derivations, whose other dependencies are all known before
//! anything runs.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The schedulers of JFP 2020, section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduling {
    /// Evaluation waits while what it asked for is built; so does the user of a derivation that a
    /// builder makes, and nobody else.
    #[default]
    Suspending,
    /// Evaluation is given up, and begins again when what it asked for is built; a request is looked
    /// at anew, from the bottom, when a builder has made a derivation.
    Restarting,
    /// Everything must be known before anything runs: such an evaluation or request is refused.
    Topological,
}

impl Scheduling {
    /// All of them, the default first.
    pub const ALL: [Scheduling; 3] =
        [Scheduling::Suspending, Scheduling::Restarting, Scheduling::Topological];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Scheduling::Suspending => "suspending",
            Scheduling::Restarting => "restarting",
            Scheduling::Topological => "topological",
        }
    }
}

impl fmt::Display for Scheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no scheduler of that name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no scheduler '{0}'; choose suspending, restarting or topological")]
pub struct UnknownScheduling(pub String);

impl FromStr for Scheduling {
    type Err = UnknownScheduling;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Scheduling::ALL.into_iter();
        all.find(|scheduling| scheduling.name() == name)
            .ok_or_else(|| UnknownScheduling(name.to_owned()))
    }
}

/// What a request's evaluations have had built, and how often they began again for it.
#[derive(Debug, Default)]
pub struct Restarts {
    wanted: AtomicBool,
    count: AtomicU64,
    /// Builders that ran while evaluation waited.
    builders: AtomicU64,
    /// The outputs that were built for evaluation so far: each restarts it once.
    built: Mutex<HashSet<String>>,
}

impl Restarts {
    /// An output was built for evaluation; whether evaluation must begin again.
    pub(crate) fn built(&self, outputs: impl IntoIterator<Item = String>) -> bool {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let new = outputs.into_iter().fold(false, |new, output| built.insert(output) | new);
        if new {
            self.wanted.store(true, Ordering::Release);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        new
    }

    /// So many builders ran for evaluation, in a request that was looked at anew so many times.
    pub(crate) fn ran(&self, builders: u64, restarts: u64) {
        self.count.fetch_add(restarts, Ordering::Relaxed);
        self.builders.fetch_add(builders, Ordering::Relaxed);
    }

    /// How many builders ran for evaluation since this was last asked.
    pub fn take_builders(&self) -> u64 {
        self.builders.swap(0, Ordering::Relaxed)
    }

    /// Whether the evaluation that has just failed is to begin again.
    pub fn take(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
