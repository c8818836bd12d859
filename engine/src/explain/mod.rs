//! Looking back: what somebody means by a name, and from there every cause down to what somebody
//! edited, with what would have stopped it. Pure over what a [`World`] tells; rendering is the
//! command's.

mod cause;
mod chain;
mod names;
mod revision;
mod since;
mod span;

pub use cause::{Cause, Comparison, Effect, Found, Stop};
pub use chain::{Explained, Explanation, explain};
pub use names::{find, similar};
pub use revision::{Content, Nearest, nearest};
pub use since::{Since, SinceError, before};
pub use span::{Asked, Seen, Span};

use floe_core::path::StorePath;

use crate::differences::{Differences, Names};
use crate::instructions::Instructions;

/// What explaining asks beyond records.
pub trait World {
    /// A task's instructions as they are now.
    fn instructions(&self, task: &str) -> Option<Instructions>;
    /// Whether an object is still in the store.
    fn is_present(&self, path: &StorePath) -> bool;
    /// In which files two objects differ; none if one of them cannot be read.
    fn differences(&self, old: &StorePath, new: &StorePath, names: &Names) -> Option<Differences>;
}
