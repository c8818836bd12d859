//! What is run: one job realises the outputs of one resolved derivation. Jobs live outside the
//! query graph and hold no database handle; an [`Executor`] runs them, here or elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use floe_core::drv::Derivation;
use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};

use crate::cancel::Cancel;
pub use crate::diff::Place;
use crate::event::{Event, Events, Phase};
use crate::recipe::Recipe;
use crate::resolve::Outputs;

/// One derivation to be realised, its inputs present.
#[derive(Debug, Clone)]
pub struct Job {
    /// Dense index in the request, for events.
    pub id: u32,
    /// The recipe it came from.
    pub recipe: Arc<Recipe>,
    /// What to run.
    pub derivation: Derivation,
    /// The key its outputs are traced under.
    pub key: Digest,
    /// Its output paths, where they are known before it runs.
    pub own: Option<Outputs>,
    /// What it gave before, where it runs again only to be compared with that.
    pub check: Option<Outputs>,
}

/// How long a builder took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Milliseconds from start to end.
    pub wall_ms: u64,
    /// Milliseconds of processor time of the builder and its children.
    pub cpu_ms: u64,
    /// Microseconds of processor time that floe itself took before it ended.
    pub setup_us: u32,
    /// The same after that.
    pub registering_us: u32,
}

/// A job that ended well. Its outputs and its trace are registered.
#[derive(Debug, Clone)]
pub struct Done {
    /// The outputs.
    pub outputs: Outputs,
    /// What it cost.
    pub cost: Cost,
    /// Where its outputs differ from those they were to be compared with.
    pub differences: Vec<Difference>,
}

/// An output that came out otherwise than before, though it was made from the same.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Which output.
    pub output: OutputName,
    /// Its registered path.
    pub before: StorePath,
    /// Where the new bytes lie, if they were kept.
    pub now: Option<PathBuf>,
    /// The first file that differs, and where in it.
    pub place: Place,
}

/// Why a job has no outputs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The builder's own fault: it will happen again.
    #[error("{message}")]
    Builder {
        /// What, where and what to do.
        message: String,
        /// The last lines of its log.
        log_tail: Vec<Vec<u8>>,
        /// Where the whole log lies.
        log: Option<PathBuf>,
    },
    /// The machine's or the network's fault: another try may do better.
    #[error("{message}")]
    Transient {
        /// What, where and what to do.
        message: String,
        /// The last lines of its log.
        log_tail: Vec<Vec<u8>>,
    },
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl Failure {
    /// The last lines of its log, and where the whole log lies.
    pub fn log(&self) -> (&[Vec<u8>], Option<&Path>) {
        match self {
            Failure::Builder { log_tail, log, .. } => (log_tail, log.as_deref()),
            Failure::Transient { log_tail, .. } => (log_tail, None),
            Failure::Cancelled => (&[], None),
        }
    }

    /// What it says, what the builder said last, and where the rest is.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let (tail, log) = self.log();
        if !tail.is_empty() {
            text += &format!("\nlast {} lines of its log:", tail.len());
            for line in tail {
                text += &format!("\n  {}", String::from_utf8_lossy(line).trim_end_matches('\r'));
            }
        }
        if let Some(log) = log {
            text += &format!("\nthe whole log: {}", log.display());
        }
        text
    }
}

/// What an executor is given besides the job.
pub struct Context<'a> {
    /// Where to report progress.
    pub events: &'a Events,
    /// Whether to stop.
    pub cancel: &'a Cancel,
    /// To be called when the builder has ended and only book-keeping is left, so that the
    /// next builder may start.
    pub builder_ended: &'a dyn Fn(),
}

impl Context<'_> {
    /// Tells that a job goes on to something else.
    pub fn enter(&self, job: &Job, phase: Phase) {
        self.events.send(Event::Phase { job: job.id, phase });
    }
}

/// Somebody who can run jobs.
pub trait Executor: Send + Sync {
    /// The platforms it builds for, such as `x86_64-linux`; `builtin` fetchers included.
    fn systems(&self) -> &[String];
    /// The features it has (`requiredSystemFeatures`).
    fn features(&self) -> &[String];
    /// Realises the job's outputs and registers them.
    ///
    /// # Errors
    /// A [`Failure`]; nothing of the job is registered then.
    fn execute(&self, job: &Job, context: &Context<'_>) -> Result<Done, Failure>;
}
