//! Traces of depth n: look at the dependencies n levels down and at inputs that are met on the way. Depth 1 is a
//! constructive trace, depth infinity a deep one; in between some early cutoff returns, and determinism is still assumed.
//!
//! Source: Build Systems à la Carte (JFP 2020), end of section 5.4, which describes them without code. What a dependency's
//! dependencies were is taken from the trace that accounts for it, since the dependency may not have been computed now.

use std::collections::BTreeMap;

use super::constructive::choose;
use super::{Job, Known, Need, Ran, Rebuilder, Start, Verdict};
use crate::trace::{Layer, Memory, Trace, Traces};
use crate::value::Key;

/// Traces with n layers.
pub struct Depth {
    depth: usize,
    traces: Traces,
    /// For each key settled in this build, the layers of the trace that accounts for it.
    layers: BTreeMap<Key, Vec<Layer>>,
}

impl Depth {
    /// Nothing is remembered yet; the depth is at least 1.
    pub fn new(depth: usize) -> Depth {
        Depth { depth: depth.max(1), traces: Traces::default(), layers: BTreeMap::new() }
    }

    fn bottom(&self, trace: &Trace) -> Layer {
        trace.layers.get(self.depth - 1).cloned().unwrap_or_default()
    }
}

impl Rebuilder for Depth {
    fn begin(&mut self, _start: &Start<'_>) {
        self.layers.clear();
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let mut possible = Vec::new();
        for trace in self.traces.of(job.key) {
            if known.store.can_have(trace.result.digest) && known.are(self.bottom(trace))? {
                possible.push(trace.result);
            }
        }
        Ok(choose(job, &possible))
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        let direct: Layer = ran.looks.iter().map(|looked| (looked.key, looked.entry)).collect();
        let mut layers = vec![direct.clone()];
        for above in 0..self.depth - 1 {
            let mut layer = Layer::new();
            for (key, entry) in &direct {
                match self.layers.get(key).and_then(|layers| layers.get(above)) {
                    Some(deeper) => layer.extend(deeper),
                    None => layer.push((*key, *entry)),
                }
            }
            layer.dedup();
            layers.push(layer);
        }
        self.layers.insert(job.key, layers.clone());
        self.traces.add(
            job.key,
            Trace { looks: Vec::new(), layers, result: ran.entry },
            Memory::All,
        );
    }

    fn settled(&mut self, job: &Job<'_>, known: &Known<'_>) {
        let mut accounts =
            self.traces.of(job.key).filter(|trace| Some(trace.result) == job.current);
        if let Some(trace) = accounts.find(|trace| known.are(self.bottom(trace)) == Ok(true)) {
            self.layers.insert(job.key, trace.layers.clone());
        }
    }

    fn traces(&mut self) -> Option<&mut Traces> {
        Some(&mut self.traces)
    }
}
