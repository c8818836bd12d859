//! How a run ended and what it cost. Plain data.

use std::time::Duration;

use crate::layers::Layers;

/// How a builder came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited by itself with this status.
    Exited(i32),
    /// A signal killed it, sent by itself, one of its processes or the kernel.
    Signaled(i32),
    /// It ran longer than its timeout, so it was killed.
    TimedOut(Duration),
    /// It printed nothing for too long, so it was killed.
    Silent(Duration),
    /// It printed more than this many bytes, so it was killed.
    LogTooLong(u64),
    /// Someone asked for its end (see [`crate::Killer`]).
    Killed,
}

impl End {
    /// Whether the builder exited with status 0.
    pub fn is_success(self) -> bool {
        self == End::Exited(0)
    }
}

/// Everything known of a run that has ended. When it is returned, no process of it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// From before the namespaces were made until the last process was gone.
    pub wall: Duration,
    /// User CPU time of the builder, of every descendant somebody waited for, and of what was
    /// left over and killed at its end. Children of a process that ignores SIGCHLD are not
    /// counted: the kernel drops their times.
    pub cpu_user: Duration,
    /// System CPU time of the same processes (the sandbox's own set-up included).
    pub cpu_system: Duration,
    /// The largest resident set of one of the processes, in bytes.
    pub max_resident_bytes: u64,
    /// How many bytes it printed.
    pub log_bytes: u64,
    /// The layers that were in force.
    pub layers: Layers,
}
