//! Schedulers: in which order keys are brought up to date, and what happens to a task that asks for one that is not. One
//! file each. They judge nothing: whether a key must run is the rebuilder's affair.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 4.

mod chain;
pub mod crew;
mod forward;
mod independent;
mod queue;
mod suspending;
mod topological;

pub use chain::Chain;
pub use crew::{Crew, Pace};
pub use forward::Forward;
pub use independent::Independent;
pub use queue::Queue;
pub use suspending::Suspending;
pub(crate) use suspending::fetch;
pub use topological::Topological;

use thiserror::Error;

use crate::site::Site;
use crate::value::Key;

/// A scheduler cannot build this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// The dependencies of a task must be known before it runs.
    #[error(
        "{0:?} does not say what it depends on before it runs; use a scheduler for dynamic dependencies"
    )]
    Dynamic(Key),
    /// A task asked for something that its description does not mention.
    #[error(
        "a task asked for {0:?}, which was not to be had at that moment; mention it, or reorder the tasks"
    )]
    Undeclared(Key),
}

/// A strategy for ordering.
pub trait Scheduler {
    /// Bring the targets up to date.
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused>;

    /// The same way of ordering for several workers; nothing where there is none.
    fn parallel(&self, _workers: usize, _pace: Pace) -> Option<Box<dyn Scheduler>> {
        None
    }
}
