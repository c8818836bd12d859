//! Tasks: descriptions of how a key is computed, which ask for what they need through a callback. Knows no store, no
//! scheduler and no rebuilder.
//!
//! Source: Build Systems à la Carte (JFP 2020), sections 3.2 and 3.5 (tasks), 3.7 (dependencies of applicative tasks), 8.3
//! (impure tasks). The paper's `Task c k v` is polymorphic in a constraint, and `Applicative` tasks can be inspected
//! while `Monad` ones cannot. Here there is one trait: [`Task::mentions`] is the inspection, and it says itself whether
//! it is complete. The callback can refuse, which is how a restarting scheduler aborts a task.

use crate::value::{Digest, Entry, File, Key, Name, Text, Value, hash};

/// What of a dependency a task looks at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Look {
    /// Everything.
    Whole,
    /// One file, or that it is absent.
    File(File),
    /// Which files there are.
    List,
}

/// What the task saw there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// There is no such file.
    Absent,
    /// The dependency has failed, first at this key.
    Failed(Key),
    /// The files looked at.
    Texts(Vec<(File, Text)>),
    /// The names of the files alone.
    Listing(Vec<File>),
}

/// The answer to a look: where the dependency is to be found, and what is there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Seen {
    /// The name of the dependency.
    pub name: Name,
    /// What was looked at.
    pub part: Part,
}

/// The task cannot go on until this key is up to date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocked(pub Key);

/// What a running task may ask: the paper's `fetch`, and a source of randomness.
pub trait World {
    /// Look at a dependency.
    fn look(&mut self, key: Key, what: Look) -> Result<Seen, Blocked>;
    /// Some number below this one: a task that asks is not deterministic.
    fn random(&mut self, below: u64) -> u64;
}

/// What can be learned of a task without running it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mentions {
    /// What it names.
    pub looks: Vec<(Key, Look)>,
    /// Whether it can look at nothing else. Applicative tasks are complete; so are those that choose between
    /// dependencies that they name.
    pub complete: bool,
    /// How many of the looks, from the first, every run takes that meets no failure. What comes after a choice is not
    /// certain.
    pub certain: usize,
}

/// How to compute one key.
pub trait Task {
    /// What can be learned without running it.
    fn mentions(&self) -> Mentions;
    /// Compute the value.
    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked>;
    /// Whether a real system would start a process for it: taking one file out of several outputs is no command.
    fn is_command(&self) -> bool;
}

/// All tasks by key; a key without a task is an input.
pub trait Tasks {
    /// The task of a key.
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>>;
}

/// One look of a run that is over, as rebuilders record it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// At what.
    pub key: Key,
    /// At what of it.
    pub look: Look,
    /// What the whole dependency was.
    pub entry: Entry,
    /// The hash of what was seen, with every name replaced by the number of its first occurrence.
    pub normal: Digest,
    /// Those names, the dependency's own first. `normal` and `names` together say exactly what was seen.
    pub names: Vec<Name>,
}

impl Part {
    /// The part of a value that a look shows.
    pub fn of(value: &Value, look: Look) -> Part {
        match (value, look) {
            (Value::Failed(key), _) => Part::Failed(*key),
            (Value::Tree(files), Look::List) => Part::Listing(files.keys().copied().collect()),
            (Value::Tree(files), Look::Whole) => {
                Part::Texts(files.iter().map(|(file, text)| (*file, text.clone())).collect())
            }
            (Value::Tree(files), Look::File(file)) => match files.get(&file) {
                Some(text) => Part::Texts(vec![(file, text.clone())]),
                None => Part::Absent,
            },
        }
    }
}

impl Looked {
    /// The record of a look.
    pub fn new(key: Key, look: Look, entry: Entry, part: &Part) -> Looked {
        let mut names = vec![entry.name];
        let normal = match part {
            Part::Texts(texts) => {
                let mut place = |name: &Name| {
                    names.iter().position(|known| known == name).unwrap_or_else(|| {
                        names.push(*name);
                        names.len() - 1
                    })
                };
                let normal: Vec<(File, u64, Vec<usize>)> = texts
                    .iter()
                    .map(|(file, text)| {
                        (*file, text.word, text.names.iter().map(&mut place).collect())
                    })
                    .collect();
                hash(normal)
            }
            other => hash(other),
        };
        Looked { key, look, entry, normal: Digest(normal), names }
    }
}
