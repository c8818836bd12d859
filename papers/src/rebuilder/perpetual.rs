//! Run every time.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 3.3 (`busy`) and the `perpetualRebuilder` of its code.

use super::{Job, Known, Need, Ran, Rebuilder, Verdict};

/// Remembers nothing.
#[derive(Default)]
pub struct Perpetual;

impl Rebuilder for Perpetual {
    fn judge(&self, _job: &Job<'_>, _known: &Known<'_>) -> Result<Verdict, Need> {
        Ok(Verdict::Run)
    }

    fn record(&mut self, _job: &Job<'_>, _ran: &Ran, _known: &Known<'_>) {}
}
