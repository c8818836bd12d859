//! Verifying step traces: instead of hashes of dependencies, the number of the build in which each key was built and in
//! which it last changed.
//!
//! Source: Mitchell, Shake Before Building (ICFP 2012, section 2.3.3); Build Systems à la Carte (JFP 2020), section 5.2.2.
//! Here inputs have a `changed` number like every other key. In the code that accompanies the paper only built keys have
//! traces, and an input that changed goes unnoticed; `tests/findings.rs` shows the difference.

use std::collections::BTreeMap;

use super::{Job, Known, Need, Ran, Rebuilder, Start, Verdict};
use crate::value::{Entry, Key};

/// A step trace.
struct Step {
    result: Entry,
    built: u64,
    depends: Vec<Key>,
}

/// The number of the build, and step traces by key.
#[derive(Default)]
pub struct StepTraces {
    now: u64,
    changed: BTreeMap<Key, u64>,
    steps: BTreeMap<Key, Step>,
}

impl Rebuilder for StepTraces {
    fn begin(&mut self, start: &Start<'_>) {
        self.now += 1;
        self.changed.extend(start.changed.iter().map(|key| (*key, self.now)));
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let Some(step) = self.steps.get(&job.key) else { return Ok(Verdict::Run) };
        if !known.stands(job.current) || job.current != Some(step.result) {
            return Ok(Verdict::Run);
        }
        for dependency in &step.depends {
            known.entry(*dependency)?;
            if self.changed.get(dependency) > Some(&step.built) {
                return Ok(Verdict::Run);
            }
        }
        Ok(Verdict::Keep)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        let same = self.steps.get(&job.key).is_some_and(|before| before.result == ran.entry);
        if !same {
            self.changed.insert(job.key, self.now);
        }
        let depends = ran.looks.iter().map(|looked| looked.key).collect();
        self.steps.insert(job.key, Step { result: ran.entry, built: self.now, depends });
    }
}
