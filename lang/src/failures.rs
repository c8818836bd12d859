//! What promises failed with: a promise that failed is not computed again, it fails again.

use crate::error::{Error, ErrorKind};

/// More failures than this are not kept: their promises are computed again when asked again, so
/// that a long loop over `tryEval` does not fill the memory.
const MAX_KEPT: usize = 1 << 16;

/// Failures by number.
#[derive(Default)]
pub(crate) struct Failures(Vec<Error>);

impl Failures {
    /// Remembers a failure; promises that fail one after the other by one error share its number.
    #[cold]
    pub(crate) fn keep(&mut self, error: &Error) -> Option<u32> {
        // Asked again, it may run to its end.
        if error.kind() == ErrorKind::Interrupted {
            return None;
        }
        if !self.0.last().is_some_and(|last| last.is_same(error)) {
            if self.0.len() >= MAX_KEPT {
                return None;
            }
            self.0.push(error.share());
        }
        Some(self.0.len() as u32 - 1)
    }

    /// The failure as its promise's next reader sees it.
    #[cold]
    pub(crate) fn again(&self, index: u32) -> Error {
        self.0[index as usize].again()
    }
}
