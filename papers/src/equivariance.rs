//! Evidence that a task does not care how things are called: certificates, which run it again under other names. Audits
//! are the site's (`audit_per_mille`). Evidence is not proof, and its miss rate is what the laws measure.
//!
//! Source: floe's design; the property is equivariance in the sense of nominal sets (Pitts, Nominal Sets, 2013): for every
//! renaming r of the names in the inputs, task(r(inputs)) = r(task(inputs)).

use crate::rebuilder::Renaming;
use crate::store::Store;
use crate::task::{Blocked, Look, Part, Seen, Task, World};
use crate::value::{Key, Name, Value, hash};

/// A store whose every name was replaced by another.
struct Elsewhere<'a> {
    store: &'a Store,
    /// Nothing for the names as they are.
    salt: Option<u64>,
    renaming: Renaming,
}

impl Elsewhere<'_> {
    fn rename(&mut self, name: Name) -> Name {
        let Some(salt) = self.salt else { return name };
        let new = Name(hash((salt, name)));
        self.renaming.unify(name, new);
        new
    }
}

impl World for Elsewhere<'_> {
    fn look(&mut self, key: Key, what: Look) -> Result<Seen, Blocked> {
        let entry = self.store.entry(key).ok_or(Blocked(key))?;
        let value = self.store.held(entry.digest).ok_or(Blocked(key))?;
        let mut part = Part::of(value, what);
        if let Part::Texts(texts) = &mut part {
            for name in texts.iter_mut().flat_map(|(_, text)| &mut text.names) {
                *name = self.rename(*name);
            }
        }
        Ok(Seen { name: self.rename(entry.name), part })
    }

    fn random(&mut self, _below: u64) -> u64 {
        0
    }
}

fn elsewhere(task: &dyn Task, store: &Store, salt: Option<u64>) -> Option<(Value, Renaming)> {
    let mut world = Elsewhere { store, salt, renaming: Renaming::default() };
    let value = task.run(&mut world).ok()?;
    Some((value, world.renaming))
}

/// Run the task on its dependencies as they are in the store, and under so many other sets of names: whether it was
/// equivariant every time.
pub fn certificate(task: &dyn Task, store: &Store, trials: u64, seed: u64) -> bool {
    let Some((plain, _)) = elsewhere(task, store, None) else { return false };
    (0..trials).all(|trial| {
        elsewhere(task, store, Some(hash((seed, trial))))
            .is_some_and(|(value, renaming)| renaming.apply(&plain) == value)
    })
}
