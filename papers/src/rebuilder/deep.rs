//! Deep constructive traces: the inputs at the very bottom tell the result; nothing in between is looked at.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5.4. The bottom of a run is the union of the bottoms of what it
//! looked at, each taken from the trace that accounts for that dependency in this very build. In the code that accompanies
//! the paper the look-up of a dependency's trace compares with the hash of the *parent's* value, finds none, and records the
//! dependency as if it were an input, so that its deep traces cut off; `tests/findings.rs` shows the difference.

use std::collections::BTreeMap;

use super::constructive::choose;
use super::{Job, Known, Need, Ran, Rebuilder, Start, Verdict};
use crate::store::Naming;
use crate::trace::{Layer, Memory, Trace, Traces};
use crate::value::Key;

/// Traces from inputs to results.
pub struct Deep {
    traces: Traces,
    naming: Naming,
    /// For each key settled in this build, the inputs that account for it.
    bottoms: BTreeMap<Key, Layer>,
}

impl Deep {
    /// Nothing is remembered yet.
    pub fn new(naming: Naming) -> Deep {
        Deep { traces: Traces::default(), naming, bottoms: BTreeMap::new() }
    }
}

fn bottom(trace: &Trace) -> Layer {
    trace.layers.first().cloned().unwrap_or_default()
}

impl Rebuilder for Deep {
    fn begin(&mut self, _start: &Start<'_>) {
        self.bottoms.clear();
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let mut possible = Vec::new();
        for trace in self.traces.of(job.key) {
            if known.store.can_have(trace.result.digest) && known.are(bottom(trace))? {
                possible.push(trace.result);
            }
        }
        Ok(choose(job, &possible))
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        let mut layer = Layer::new();
        for looked in &ran.looks {
            match self.bottoms.get(&looked.key) {
                Some(deeper) => layer.extend(deeper),
                None => layer.push((looked.key, looked.entry)),
            }
        }
        layer.sort();
        layer.dedup();
        let trace = Trace { looks: Vec::new(), layers: vec![layer], result: ran.entry };
        self.bottoms.insert(job.key, bottom(&trace));
        self.traces.add(job.key, trace, Memory::All);
    }

    fn settled(&mut self, job: &Job<'_>, known: &Known<'_>) {
        let mut accounts =
            self.traces.of(job.key).filter(|trace| Some(trace.result) == job.current);
        if let Some(trace) = accounts.find(|trace| known.are(bottom(trace)) == Ok(true)) {
            self.bottoms.insert(job.key, bottom(trace));
        }
    }

    fn naming(&self) -> Naming {
        self.naming
    }

    fn traces(&mut self) -> Option<&mut Traces> {
        Some(&mut self.traces)
    }
}
