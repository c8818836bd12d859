//! Rebuilders: given a key that is to be brought up to date, may something old stand? One file each. They order nothing,
//! run nothing and hold no store.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 5. There a rebuilder is one function from a task to a task; here
//! it is a judgement, which may ask for dependencies one at a time, and a record of what ran.

mod approximate;
mod constructive;
mod deep;
mod depth;
mod dirty;
mod modtime;
mod observed;
mod perpetual;
mod retarget;
mod step;
mod verifying;

use std::collections::BTreeSet;

pub use approximate::Approximate;
pub use constructive::{Constructive, choose};
pub use deep::Deep;
pub use depth::Depth;
pub use dirty::DirtyBit;
pub use modtime::{Dependencies, ModTime};
pub use observed::Observed;
pub use perpetual::Perpetual;
pub use retarget::{Grain, Renaming, Retargeting};
pub use step::StepTraces;
pub use verifying::Verifying;

use crate::store::{Naming, Store};
use crate::task::{Look, Looked, Part, Task, Tasks};
use crate::trace::Traces;
use crate::value::{Entry, Key, Name, Value};

/// What is to be brought up to date.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The key.
    pub key: Key,
    /// How to compute it.
    pub task: &'a dyn Task,
    /// What it was before.
    pub current: Option<Entry>,
}

/// What a judgement may rely on: inputs, and the dependencies that it asked for.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The store.
    pub store: &'a Store,
    /// The tasks.
    pub tasks: &'a dyn Tasks,
    /// The dependencies that were brought up to date for this judgement.
    pub asked: &'a BTreeSet<Key>,
}

/// The judgement cannot be made before this key is up to date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Need(pub Key);

/// A judgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// What is there may stand.
    Keep,
    /// It is this: a trace says so.
    Take(Entry),
    /// It is this old result renamed, made from things of these names.
    Retarget(Value, Vec<Name>),
    /// Run the task.
    Run,
}

/// What a run looked at and what came out.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The result.
    pub entry: Entry,
    /// The looks, in order.
    pub looks: Vec<Looked>,
}

/// What is new when a build begins. The paper leaves it to "the external system" to know which inputs changed.
pub struct Start<'a> {
    /// Inputs that differ from what they were in the last build.
    pub changed: &'a BTreeSet<Key>,
    /// All keys known from earlier builds.
    pub keys: &'a BTreeSet<Key>,
    /// The tasks.
    pub tasks: &'a dyn Tasks,
}

/// A strategy for judging whether old results may stand.
pub trait Rebuilder {
    /// A build begins.
    fn begin(&mut self, _start: &Start<'_>) {}
    /// May something old stand?
    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need>;
    /// The task ran.
    fn record(&mut self, job: &Job<'_>, ran: &Ran, known: &Known<'_>);
    /// The key is up to date, by whatever means; `job.current` is what it is now.
    fn settled(&mut self, _job: &Job<'_>, _known: &Known<'_>) {}
    /// How results are named.
    fn naming(&self) -> Naming {
        Naming::Place
    }
    /// Whether what a trace tells is fetched only when a task looks at it.
    fn is_shallow(&self) -> bool {
        false
    }
    /// The traces that can be shared with others; `None` when they mean nothing elsewhere.
    fn traces(&mut self) -> Option<&mut Traces> {
        None
    }
    /// Never retarget the results of this key.
    fn distrust(&mut self, _key: Key) {}
}

impl Known<'_> {
    /// What a dependency is, once it is up to date.
    pub fn entry(&self, key: Key) -> Result<Option<Entry>, Need> {
        if self.tasks.task(key).is_some() && !self.asked.contains(&key) {
            return Err(Need(key));
        }
        Ok(self.store.entry(key))
    }

    /// The same look as a task would take now; `None` when the value is not at hand.
    pub fn look(&self, key: Key, look: Look) -> Result<Option<Looked>, Need> {
        let entry = self.entry(key)?;
        Ok(entry.and_then(|entry| {
            let value = self.store.value(entry.digest)?;
            Some(Looked::new(key, look, entry, &Part::of(value, look)))
        }))
    }

    /// Whether the dependencies are what they were, asked for one after another and no further than the first that is
    /// not: what a later one is may not matter any more.
    pub fn are(&self, dependencies: impl IntoIterator<Item = (Key, Entry)>) -> Result<bool, Need> {
        for (key, entry) in dependencies {
            if self.entry(key)? != Some(entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there is a result from before whose value can be had.
    pub fn stands(&self, current: Option<Entry>) -> bool {
        current.is_some_and(|entry| self.store.can_have(entry.digest))
    }
}
