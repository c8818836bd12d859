//! Verifying traces: what is there may stand if a remembered run made it from dependencies that are what they were.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5.2. The paper notes that more than one trace a key helps little.

use super::{Job, Known, Need, Ran, Rebuilder, Verdict};
use crate::trace::{Memory, Trace, Traces};

/// Traces of hashes.
#[derive(Default)]
pub struct Verifying {
    traces: Traces,
}

impl Rebuilder for Verifying {
    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        if !known.stands(job.current) {
            return Ok(Verdict::Run);
        }
        for trace in self.traces.of(job.key).filter(|trace| Some(trace.result) == job.current) {
            if known.are(trace.looks.iter().map(|looked| (looked.key, looked.entry)))? {
                return Ok(Verdict::Keep);
            }
        }
        Ok(Verdict::Run)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        self.traces.add(job.key, Trace::new(ran.looks.clone(), ran.entry), Memory::Latest);
    }
}
