//! Which derivations lie at a store path: [`Paths`], which keeps hashes of paths and no path. What a path is made from is
//! not known here.

use floe_core::path::StorePath;
use hashbrown::HashTable;

use super::{DrvId, hash};

/// Derivations by the paths of their files. Each has one at most: what it left is forgotten, so that this grows with the
/// derivations and not with their edits.
#[derive(Default)]
pub(super) struct Paths(HashTable<(u64, DrvId)>);

impl Paths {
    /// Notes that a derivation lies at a path, and no longer at another one.
    pub(super) fn put(&mut self, id: DrvId, from: Option<&StorePath>, to: &StorePath) {
        let is_it = |entry: &(u64, DrvId)| entry.1 == id;
        if let Some(from) = from
            && let Ok(entry) = self.0.find_entry(hash(from), is_it)
        {
            entry.remove();
        }
        let key = hash(to);
        self.0.entry(key, is_it, |entry| entry.0).or_insert((key, id));
    }

    /// Those that may lie there, in no order: whose path has the same hash.
    pub(super) fn at(&self, path: &StorePath) -> impl Iterator<Item = DrvId> {
        let key = hash(path);
        self.0.iter_hash(key).filter(move |entry| entry.0 == key).map(|entry| entry.1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn path(number: u8) -> StorePath {
        StorePath::new(&[number; 20], "a.drv").expect("a plain name")
    }

    proptest! {
        /// Beside a map of each derivation's path, whatever moves where and how often.
        #[test]
        fn each_derivation_lies_where_it_was_put_last(moves in prop::collection::vec((0u32..9, 0u8..5), 0..60)) {
            let mut paths = Paths::default();
            let mut model: BTreeMap<u32, u8> = BTreeMap::new();
            for (id, to) in moves {
                let from = model.insert(id, to).map(path);
                paths.put(DrvId(id), from.as_ref(), &path(to));
            }
            for place in 0..5 {
                let mut found: Vec<u32> = paths.at(&path(place)).map(|id| id.0).collect();
                found.sort_unstable();
                let there = model.iter().filter(|(_, at)| **at == place).map(|(id, _)| *id);
                prop_assert_eq!(found, there.collect::<Vec<_>>());
            }
            prop_assert_eq!(paths.0.len(), model.len());
        }
    }
}
