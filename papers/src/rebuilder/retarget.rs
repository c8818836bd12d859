//! Retargeting: when everything looked at is the same up to names, the old result with the names replaced is the new one.
//! Right only for tasks that do not care how things are called (equivariant ones); see `equivariance.rs`.
//!
//! Source: floe's design; constructive traces modulo a renaming. The rewriting of digests in outputs is that of Dolstra,
//! The Purely Functional Software Deployment Model (2006), chapter 6, and of Guix's grafts, which apply it to whole
//! closures at the user's word; here the traces say when nothing but names has changed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Job, Known, Need, Ran, Rebuilder, Verdict};
use crate::store::Naming;
use crate::task::{Look, Looked};
use crate::trace::{Memory, Trace, Traces};
use crate::value::{Key, Name, Value};

/// What counts as looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grain {
    /// The whole of every dependency: floe's `normalised` cutoff.
    Whole,
    /// What the run looked at: floe's `observed` cutoff.
    Looks,
}

/// Constructive traces modulo renaming.
pub struct Retargeting {
    grain: Grain,
    traces: Traces,
    distrusted: BTreeSet<Key>,
}

/// Old names to new ones, no two to the same.
#[derive(Default, Debug)]
pub struct Renaming(BTreeMap<Name, Name>);

impl Renaming {
    /// Make room for one more pair; whether it agrees with the others.
    pub fn unify(&mut self, old: Name, new: Name) -> bool {
        match self.0.get(&old) {
            Some(known) => *known == new,
            None => {
                let taken = self.0.values().any(|other| *other == new);
                self.0.insert(old, new);
                !taken
            }
        }
    }

    /// Replace the names in a value.
    pub fn apply(&self, value: &Value) -> Value {
        let mut value = value.clone();
        if let Value::Tree(files) = &mut value {
            for name in files.values_mut().flat_map(|text| &mut text.names) {
                *name = *self.0.get(name).unwrap_or(name);
            }
        }
        value
    }

    /// Whether nothing is renamed.
    pub fn is_identity(&self) -> bool {
        self.0.iter().all(|(old, new)| old == new)
    }
}

impl Retargeting {
    /// Nothing is remembered yet.
    pub fn new(grain: Grain) -> Retargeting {
        Retargeting { grain, traces: Traces::default(), distrusted: BTreeSet::new() }
    }

    /// The renaming that makes what was looked at into what is there now, if there is one, and the new names of the
    /// dependencies in the order of the looks.
    fn renaming(
        looks: &[Looked],
        known: &Known<'_>,
    ) -> Result<Option<(Renaming, Vec<Name>)>, Need> {
        let mut renaming = Renaming::default();
        let mut names = Vec::new();
        for then in looks {
            let Some(now) = known.look(then.key, then.look)? else { return Ok(None) };
            let pairs = then.names.iter().zip(&now.names);
            if now.normal != then.normal
                || now.names.len() != then.names.len()
                || !pairs.into_iter().all(|(old, new)| renaming.unify(*old, *new))
            {
                return Ok(None);
            }
            names.push(now.entry.name);
        }
        Ok(Some((renaming, names)))
    }
}

impl Rebuilder for Retargeting {
    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        let mut verdict = Verdict::Run;
        for trace in self.traces.of(job.key) {
            let Some(old) = known.store.held(trace.result.digest) else { continue };
            let Some((renaming, names)) = Self::renaming(&trace.looks, known)? else { continue };
            if renaming.is_identity() {
                if Some(trace.result) == job.current {
                    return Ok(Verdict::Keep);
                }
                verdict = Verdict::Take(trace.result);
            } else if verdict == Verdict::Run && !self.distrusted.contains(&job.key) {
                let value = renaming.apply(old);
                if job.current.is_some_and(|now| now.digest == value.digest()) {
                    return Ok(Verdict::Keep);
                }
                verdict = Verdict::Retarget(value, names);
            }
        }
        Ok(verdict)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, known: &Known<'_>) {
        let mut looks = ran.looks.clone();
        if self.grain == Grain::Whole {
            let whole = looks.iter().filter_map(|l| known.look(l.key, Look::Whole).ok().flatten());
            looks = whole.collect();
            looks.dedup();
        }
        self.traces.add(job.key, Trace::new(looks, ran.entry), Memory::All);
    }

    fn naming(&self) -> Naming {
        Naming::Content
    }

    fn traces(&mut self) -> Option<&mut Traces> {
        Some(&mut self.traces)
    }

    fn distrust(&mut self, key: Key) {
        self.distrusted.insert(key);
    }
}
