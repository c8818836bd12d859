//! Questions about what is registered: validity, infos, closures, referrers, listings. Reads
//! only.

use std::collections::HashSet;

use floe_core::path::StorePath;

use crate::ObjectInfo;
use crate::db::Family;
use crate::error::{Result, StoreError};
use crate::key::{self, PathKey};
use crate::row::{self, DerivationRow, ObjectRow};
use crate::store::Store;

impl Store {
    /// Whether an object is registered.
    pub fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        self.db.has(Family::Objects, &PathKey::of(path).0)
    }

    /// What is known of an object.
    pub fn info(&self, path: &StorePath) -> Result<Option<ObjectInfo>, StoreError> {
        let key = PathKey::of(path);
        self.db.row::<ObjectRow>(&key.0)?.map(|row| row.info(&key.0)).transpose()
    }

    /// What is known of an object that must be there.
    pub fn need(&self, path: &StorePath) -> Result<ObjectInfo, StoreError> {
        self.info(path)?.ok_or_else(|| self.not_valid(path.to_string()))
    }

    /// A derivation's text.
    pub fn derivation(&self, path: &StorePath) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.row::<DerivationRow>(&PathKey::of(path).0)?.map(|row| row.text))
    }

    /// Everything reachable from `paths` by references, themselves included, in order of text.
    pub fn closure(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let mut seen: HashSet<PathKey> = HashSet::new();
        let mut todo: Vec<PathKey> = paths.iter().map(PathKey::of).collect();
        while let Some(key) = todo.pop() {
            if seen.contains(&key) {
                continue;
            }
            match self.db.row::<ObjectRow>(&key.0)? {
                Some(row) => todo.extend(row.refs.into_iter().filter(|k| !seen.contains(k))),
                // A derivation is a possible reference, and is not followed: to refer to
                // instructions is not to need what they need.
                None if self.db.has(Family::Derivations, &key.0)? => {}
                None => return Err(self.not_valid(format!("{key:?}"))),
            }
            seen.insert(key);
        }
        let mut keys: Vec<_> = seen.into_iter().collect();
        keys.sort_unstable();
        keys.iter().map(|key| path_of(Family::Objects, key)).collect()
    }

    /// The objects that refer to this one, in order of text; itself too if it does.
    pub fn referrers(&self, path: &StorePath) -> Result<Vec<StorePath>, StoreError> {
        let prefix = key::pair(&PathKey::of(path), &[]);
        let mut found = Vec::new();
        self.db.scan_prefix(Family::Referrers, &prefix, |key, _| {
            found.push(path_of(Family::Referrers, &PathKey(key[prefix.len()..].to_vec()))?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Objects whose base name begins with `text` (`""` for all), in order of text, until
    /// `visit` returns false.
    pub fn objects(
        &self,
        text: &str,
        mut visit: impl FnMut(StorePath, ObjectInfo) -> bool,
    ) -> Result<(), StoreError> {
        let Some((start, end)) = key::text_range(text) else { return Ok(()) };
        self.db.scan(Family::Objects, &start, end, |key, value| {
            let info = row::decode::<ObjectRow>(key, value)?.info(key)?;
            Ok(visit(path_of(Family::Objects, &PathKey(key.to_vec()))?, info))
        })
    }

    /// The paths of [`Store::objects`].
    pub fn find(&self, text: &str) -> Result<Vec<StorePath>, StoreError> {
        let mut found = Vec::new();
        self.objects(text, |path, _| {
            found.push(path);
            true
        })?;
        Ok(found)
    }

    pub(crate) fn not_valid(&self, path: String) -> StoreError {
        StoreError::NotValid { path, root: self.layout.root.clone() }
    }
}

/// The path of a key that came out of the database.
pub(crate) fn path_of(family: Family, key: &PathKey) -> Result<StorePath> {
    key.path().map_err(|reason| row::broken(family, &key.0, reason))
}
