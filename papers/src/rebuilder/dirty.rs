//! Dirty bits: before a build, mark all that may be touched by a change, however far up; run what is marked.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5.1 and figure 9 (Excel). The bits are set from what tasks
//! mention, which is more than what they look at; a task with an INDIRECT mentions too little and is always marked.

use std::collections::BTreeSet;

use super::{Job, Known, Need, Ran, Rebuilder, Start, Verdict};
use crate::value::Key;

/// One bit a key.
#[derive(Default)]
pub struct DirtyBit {
    dirty: BTreeSet<Key>,
}

impl Rebuilder for DirtyBit {
    fn begin(&mut self, start: &Start<'_>) {
        self.dirty.extend(start.changed);
        loop {
            let before = self.dirty.len();
            for key in start.keys {
                let Some(task) = start.tasks.task(*key) else { continue };
                let mentions = task.mentions();
                let touched = mentions.looks.iter().any(|(key, _)| self.dirty.contains(key));
                if touched || !mentions.complete {
                    self.dirty.insert(*key);
                }
            }
            if self.dirty.len() == before {
                break;
            }
        }
        self.dirty.retain(|key| start.tasks.task(*key).is_some());
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let clean = known.stands(job.current) && !self.dirty.contains(&job.key);
        Ok(if clean { Verdict::Keep } else { Verdict::Run })
    }

    fn record(&mut self, job: &Job<'_>, _ran: &Ran, _known: &Known<'_>) {
        self.dirty.remove(&job.key);
    }
}
