//! Observed traces: what is there may stand if everything that its run *looked at* would look the same now, whatever else
//! has changed in the dependencies.
//!
//! Source: Curtsinger and Barowy, Riker: Always-Correct and Fast Incremental Builds from Simple Specifications (USENIX
//! ATC 2022), whose traces hold a predicate for each system call; the traced file accesses of Fabricate and Rattle
//! (Spall, Mitchell, Tobin-Hochstadt, OOPSLA 2020) are the special case of files read. An absence is a look as well.

use super::constructive::choose;
use super::{Job, Known, Need, Ran, Rebuilder, Verdict};
use crate::task::Looked;
use crate::trace::{Memory, Trace, Traces};

/// Traces of looks.
pub struct Observed {
    traces: Traces,
    memory: Memory,
}

impl Observed {
    /// Nothing is remembered yet.
    pub fn new(memory: Memory) -> Observed {
        Observed { traces: Traces::default(), memory }
    }
}

/// Whether all that was seen would be seen again.
fn same(looks: &[Looked], known: &Known<'_>) -> Result<bool, Need> {
    for then in looks {
        let now = known.look(then.key, then.look)?;
        if now.is_none_or(|now| (now.normal, &now.names) != (then.normal, &then.names)) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Rebuilder for Observed {
    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let mut possible = Vec::new();
        for trace in self.traces.of(job.key) {
            if known.store.can_have(trace.result.digest) && same(&trace.looks, known)? {
                possible.push(trace.result);
            }
        }
        Ok(choose(job, &possible))
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        self.traces.add(job.key, Trace::new(ran.looks.clone(), ran.entry), self.memory);
    }

    fn traces(&mut self) -> Option<&mut Traces> {
        (self.memory == Memory::All).then_some(&mut self.traces)
    }
}
