//! Fingerprints of what a task depends on, at several depths and grains, taken from clean builds. A task whose fingerprint
//! is what it was need not run. Knows no system.

use crate::clean::Clean;
use crate::task::{Look, Looked, Part};
use crate::value::{Digest, Entry, Key, Name};

/// All inputs below a key: what minimality speaks of.
pub fn deep(clean: &Clean<'_>, key: Key) -> Vec<(Key, Entry)> {
    let below = clean.below(key).into_iter().filter_map(|key| Some((key, clean.made.get(&key)?)));
    let inputs = below.filter(|(_, made)| made.looks.is_empty());
    let mut found: Vec<_> = inputs.map(|(key, made)| (key, made.entry)).collect();
    found.sort();
    found
}

/// The contents of the direct dependencies as wholes: what early cutoff speaks of.
pub fn direct(clean: &Clean<'_>, key: Key) -> Vec<(Key, Digest)> {
    looks(clean, key).iter().map(|looked| (looked.key, looked.entry.digest)).collect()
}

/// A look up to names: what, at what of it, what was there, and which names are the same as which.
pub type Unnamed = (Key, Look, Digest, Vec<usize>);

/// What was looked at, up to names: what observed cutoff speaks of.
pub fn observed(clean: &Clean<'_>, key: Key) -> Vec<Unnamed> {
    unname(looks(clean, key))
}

/// The direct dependencies as wholes, up to names: what normalised cutoff speaks of.
pub fn normalised(clean: &Clean<'_>, key: Key) -> Vec<Unnamed> {
    let whole = looks(clean, key).iter().filter_map(|looked| {
        let made = clean.made.get(&looked.key)?;
        let part = Part::of(&made.value, Look::Whole);
        Some(Looked::new(looked.key, Look::Whole, made.entry, &part))
    });
    unname(&whole.collect::<Vec<_>>())
}

fn looks<'c>(clean: &'c Clean<'_>, key: Key) -> &'c [Looked] {
    clean.made.get(&key).map_or(&[], |made| &made.looks)
}

fn unname(looks: &[Looked]) -> Vec<Unnamed> {
    let mut names: Vec<Name> = Vec::new();
    let mut number = |name: &Name| {
        names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(*name);
            names.len() - 1
        })
    };
    looks
        .iter()
        .map(|l| (l.key, l.look, l.normal, l.names.iter().map(&mut number).collect()))
        .collect()
}
