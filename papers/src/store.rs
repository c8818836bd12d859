//! The store: what each key is at the moment, and the values that are at hand, here or in a cloud. Traces are the
//! rebuilder's, not the store's.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 3.1; values are held by content hash as in section 5.3, so that a
//! trace can hold hashes alone and a value can be missing although its hash is known (section 8.4: shallow builds and
//! eviction with the traces kept).

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::value::{Digest, Entry, Key, Name, Value, hash};

/// How a system names what it makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Naming {
    /// Where it was put: the same before and after.
    #[default]
    Place,
    /// By what it was made from, as Nix's input-addressed paths.
    Inputs,
    /// By what it is, as Nix's content-addressed paths.
    Content,
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Store {
    entries: BTreeMap<Key, Entry>,
    here: HashMap<Digest, Rc<Value>>,
    cloud: HashMap<Digest, Rc<Value>>,
}

impl Naming {
    /// The name of what was put at `key` with this content, made from things of these names.
    pub fn name(self, key: Key, digest: Digest, from: &[Name]) -> Name {
        Name(match self {
            Naming::Place => hash(key),
            Naming::Content => hash((key, digest)),
            Naming::Inputs => hash((key, from)),
        })
    }

    /// The name of an input: where names move at all, by its content.
    pub fn input(self, key: Key, digest: Digest) -> Name {
        match self {
            Naming::Place => self.name(key, digest, &[]),
            _ => Naming::Content.name(key, digest, &[]),
        }
    }
}

impl Store {
    /// What a key is at the moment, up to date or not.
    pub fn entry(&self, key: Key) -> Option<Entry> {
        self.entries.get(&key).copied()
    }

    /// Every key that has an entry.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.entries.keys().copied()
    }

    /// A value that is at hand here.
    pub fn value(&self, digest: Digest) -> Option<&Value> {
        self.here.get(&digest).map(Rc::as_ref)
    }

    /// A value that is at hand here or in the cloud.
    pub fn held(&self, digest: Digest) -> Option<&Value> {
        self.here.get(&digest).or_else(|| self.cloud.get(&digest)).map(Rc::as_ref)
    }

    /// Whether a value can be had without computing it.
    pub fn can_have(&self, digest: Digest) -> bool {
        self.held(digest).is_some()
    }

    /// Bring a value here from the cloud; whether it is here now.
    pub fn fetch(&mut self, digest: Digest) -> bool {
        if let Some(value) = self.cloud.get(&digest) {
            self.here.insert(digest, Rc::clone(value));
        }
        self.here.contains_key(&digest)
    }

    /// Put a value under a key.
    pub fn put(&mut self, key: Key, name: Name, value: Value) -> Entry {
        let entry = Entry { digest: value.digest(), name };
        self.here.insert(entry.digest, Rc::new(value));
        self.entries.insert(key, entry);
        entry
    }

    /// Say what a key is without its value.
    pub fn set(&mut self, key: Key, entry: Entry) {
        self.entries.insert(key, entry);
    }

    /// Lose a key's value, here and in the cloud. What is known of it stays.
    pub fn evict(&mut self, key: Key) {
        if let Some(entry) = self.entry(key) {
            self.here.remove(&entry.digest);
            self.cloud.remove(&entry.digest);
        }
    }

    /// Remove all that was made, as `make clean` and a fresh checkout do. Where results are shared the cloud keeps them.
    pub fn clean(&mut self, shared: bool) {
        self.entries.clear();
        if shared {
            self.cloud.extend(self.here.drain());
        }
        self.here.clear();
    }

    /// Give what is here to the cloud that another store sees.
    pub fn share(&self, other: &mut Store) {
        for (digest, value) in self.here.iter().chain(&self.cloud) {
            other.cloud.insert(*digest, Rc::clone(value));
        }
    }
}
