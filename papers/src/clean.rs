//! The reference: what a project means, by plain recursion with no memory of earlier builds. Shares no code with the site,
//! the schedulers or the rebuilders, so that their faults cannot hide in it.
//!
//! Source: the `busy` build system and the definition of correctness in Build Systems à la Carte (JFP 2020, sections 3.3
//! and 3.6).

use std::collections::BTreeMap;

use crate::store::Naming;
use crate::task::{Blocked, Look, Looked, Part, Seen, Tasks, World};
use crate::value::{Entry, Key, Name, Value};

/// One key as a clean build makes it.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it is.
    pub entry: Entry,
    /// Its value.
    pub value: Value,
    /// What its task looked at; nothing for an input.
    pub looks: Vec<Looked>,
}

/// A clean build.
pub struct Clean<'a> {
    tasks: &'a dyn Tasks,
    inputs: &'a BTreeMap<Key, Value>,
    naming: Naming,
    /// All that was made or read.
    pub made: BTreeMap<Key, Made>,
}

impl<'a> Clean<'a> {
    /// Build these targets from nothing.
    pub fn build(
        tasks: &'a dyn Tasks,
        inputs: &'a BTreeMap<Key, Value>,
        naming: Naming,
        targets: &[Key],
    ) -> Clean<'a> {
        let mut clean = Clean { tasks, inputs, naming, made: BTreeMap::new() };
        for target in targets {
            clean.make(*target);
        }
        clean
    }

    fn make(&mut self, key: Key) -> Made {
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let made = match self.tasks.task(key) {
            None => {
                let value = self.inputs.get(&key).cloned().unwrap_or(Value::words([]));
                let digest = value.digest();
                let name = self.naming.input(key, digest);
                Made { entry: Entry { digest, name }, value, looks: Vec::new() }
            }
            Some(task) => {
                let mut running = Running { clean: self, looks: Vec::new() };
                let value = task.run(&mut running).unwrap_or(Value::Failed(key));
                let looks = running.looks;
                let digest = value.digest();
                let from: Vec<Name> = looks.iter().map(|looked| looked.entry.name).collect();
                let name = self.naming.name(key, digest, &from);
                Made { entry: Entry { digest, name }, value, looks }
            }
        };
        self.made.insert(key, made.clone());
        made
    }

    /// Everything below a key, itself left out.
    pub fn below(&self, key: Key) -> Vec<Key> {
        let mut found = vec![key];
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            for looked in self.made.get(&next).iter().flat_map(|made| &made.looks) {
                if !found.contains(&looked.key) {
                    found.push(looked.key);
                }
            }
            at += 1;
        }
        found.split_off(1)
    }
}

struct Running<'c, 'a> {
    clean: &'c mut Clean<'a>,
    looks: Vec<Looked>,
}

impl World for Running<'_, '_> {
    fn look(&mut self, key: Key, what: Look) -> Result<Seen, Blocked> {
        let made = self.clean.make(key);
        let part = Part::of(&made.value, what);
        let looked = Looked::new(key, what, made.entry, &part);
        if !self.looks.contains(&looked) {
            self.looks.push(looked);
        }
        Ok(Seen { name: made.entry.name, part })
    }

    fn random(&mut self, _below: u64) -> u64 {
        0
    }
}
