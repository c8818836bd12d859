//! Constructive traces: a remembered run with the same dependencies tells the result, whoever ran it.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5.3. Traces hold hashes, and values lie in a content-addressed
//! store beside them. A trace whose value is nowhere any more tells nothing, unless the system is shallow: then hashes
//! pass through, and the value is made again when a task wants to see it (section 8.4).

use super::{Job, Known, Need, Ran, Rebuilder, Verdict};
use crate::store::Naming;
use crate::trace::{Memory, Trace, Traces};
use crate::value::Entry;

/// Traces of results.
pub struct Constructive {
    traces: Traces,
    memory: Memory,
    naming: Naming,
    shallow: bool,
}

impl Constructive {
    /// Nothing is remembered yet.
    pub fn new(memory: Memory, naming: Naming) -> Constructive {
        Constructive { traces: Traces::default(), memory, naming, shallow: false }
    }

    /// The same, passing hashes through.
    pub fn shallow(mut self) -> Constructive {
        self.shallow = true;
        self
    }
}

/// Among possible results, keep what is there if it is one of them, otherwise take any, otherwise run.
pub fn choose(job: &Job<'_>, possible: &[Entry]) -> Verdict {
    match (job.current, possible) {
        (Some(current), possible) if possible.contains(&current) => Verdict::Keep,
        (_, [any, ..]) => Verdict::Take(*any),
        _ => Verdict::Run,
    }
}

impl Rebuilder for Constructive {
    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let mut possible = Vec::new();
        for trace in self.traces.of(job.key) {
            let usable = self.shallow || known.store.can_have(trace.result.digest);
            if usable && known.are(trace.looks.iter().map(|looked| (looked.key, looked.entry)))? {
                possible.push(trace.result);
            }
        }
        Ok(choose(job, &possible))
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        self.traces.add(job.key, Trace::new(ran.looks.clone(), ran.entry), self.memory);
    }

    fn naming(&self) -> Naming {
        self.naming
    }

    fn is_shallow(&self) -> bool {
        self.shallow
    }

    fn traces(&mut self) -> Option<&mut Traces> {
        Some(&mut self.traces)
    }
}
