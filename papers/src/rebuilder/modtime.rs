//! Modification times: run what is older than something it depends on.
//!
//! Source: Feldman, Make (1979), as `modTimeRebuilder` in Build Systems à la Carte (JFP 2020, figure 8). Two refinements
//! are switches here. `restat` is Ninja's word: a command that left its output alone has not changed it, and the log
//! remembers that the command was run nevertheless. Recorded dependencies are those of redo and tup: what the last run
//! looked at instead of what the text mentions.

use std::collections::BTreeMap;

use super::{Job, Known, Need, Ran, Rebuilder, Start, Verdict};
use crate::value::Key;

/// Which dependencies count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependencies {
    /// Those that the task mentions.
    Mentioned,
    /// Those at which its last run looked.
    Recorded,
}

/// A clock, and times by key.
pub struct ModTime {
    /// Which dependencies count.
    pub dependencies: Dependencies,
    /// Whether an output that did not change keeps its time.
    pub restat: bool,
    now: u64,
    /// When each key was written.
    written: BTreeMap<Key, u64>,
    /// When each task last ran, and at what it looked.
    ran: BTreeMap<Key, (u64, Vec<Key>)>,
}

impl ModTime {
    /// Nothing was written yet.
    pub fn new(dependencies: Dependencies, restat: bool) -> ModTime {
        ModTime { dependencies, restat, now: 0, written: BTreeMap::new(), ran: BTreeMap::new() }
    }
}

impl Rebuilder for ModTime {
    fn begin(&mut self, start: &Start<'_>) {
        self.now += 1;
        self.written.extend(start.changed.iter().map(|key| (*key, self.now)));
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let Some((ran, looked)) = self.ran.get(&job.key) else { return Ok(Verdict::Run) };
        if !known.stands(job.current) {
            return Ok(Verdict::Run);
        }
        let dependencies = match self.dependencies {
            Dependencies::Recorded => looked.clone(),
            Dependencies::Mentioned => {
                job.task.mentions().looks.iter().map(|(key, _)| *key).collect()
            }
        };
        for dependency in dependencies {
            known.entry(dependency)?;
            if self.written.get(&dependency) > Some(ran) {
                return Ok(Verdict::Run);
            }
        }
        Ok(Verdict::Keep)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        self.now += 1;
        let looked = ran.looks.iter().map(|looked| looked.key).collect();
        self.ran.insert(job.key, (self.now, looked));
        if !(self.restat && job.current == Some(ran.entry)) {
            self.written.insert(job.key, self.now);
        }
    }
}
