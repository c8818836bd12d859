//! What becomes of an evaluation that wants to read what is not built (import from derivation): where
//! the schedulers of Build Systems à la Carte differ for derivations, whose other dependencies are
//! all known before anything runs.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The schedulers of JFP 2020, section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduling {
    /// Evaluation waits while what it asked for is built.
    #[default]
    Suspending,
    /// Evaluation is given up, and begins again when what it asked for is built.
    Restarting,
    /// Everything must be known before anything runs: such an evaluation is refused.
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

/// The restarts of a request's evaluations.
#[derive(Debug, Default)]
pub struct Restarts {
    wanted: AtomicBool,
    count: AtomicU64,
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

    /// Whether the evaluation that has just failed is to begin again.
    pub fn take(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
