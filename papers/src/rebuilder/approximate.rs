//! Approximate dirty bits: start with the inputs that changed, run what mentions something dirty, and mark it dirty only
//! if its result changed. This gives early cutoff with one bit a key, at a price: the bits are forgotten after each build.
//!
//! Source: Build Systems à la Carte (JFP 2020), last paragraph of section 5.1, and `approximateRebuilder` of its code. As
//! the paper says, it is right only if every build brings all targets up to date.

use std::collections::BTreeSet;

use super::{Job, Known, Need, Ran, Rebuilder, Start, Verdict};
use crate::value::Key;

/// One bit a key, for the time of one build.
#[derive(Default)]
pub struct Approximate {
    dirty: BTreeSet<Key>,
}

impl Rebuilder for Approximate {
    fn begin(&mut self, start: &Start<'_>) {
        self.dirty.clone_from(start.changed);
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let mentions = job.task.mentions();
        if !known.stands(job.current) || !mentions.complete {
            return Ok(Verdict::Run);
        }
        for (key, _) in mentions.looks {
            known.entry(key)?;
            if self.dirty.contains(&key) {
                return Ok(Verdict::Run);
            }
        }
        Ok(Verdict::Keep)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        if job.current != Some(ran.entry) {
            self.dirty.insert(job.key);
        }
    }
}
