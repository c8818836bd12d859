//! The engine's memory of earlier builds, read from the store: the build trace and the valid
//! objects. What was found once is remembered for as long as the epoch stands.

use std::sync::Arc;

use dashmap::DashSet;
use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_store::{Store, TraceKey};

use crate::local::Profiles;
use crate::rebuilder::Memo;
use crate::recipe::RootKind;
use crate::resolve::Outputs;

/// The memo of a store.
pub struct StoreMemo {
    store: Arc<Store>,
    profiles: Profiles,
    /// Objects that were seen to be valid.
    present: DashSet<StorePath>,
}

impl StoreMemo {
    /// Over this store, under these sandbox profiles.
    pub fn new(store: Arc<Store>, profiles: Profiles) -> Self {
        StoreMemo { store, profiles, present: DashSet::new() }
    }
}

impl Memo for StoreMemo {
    fn recall(&self, resolved: &Digest, root: RootKind, outputs: &[OutputName]) -> Vec<Outputs> {
        let key = TraceKey { resolved: *resolved, profile: self.profiles.of(root) };
        // An entry that cannot be read is as good as none: the build runs again.
        self.store.runs(&key, outputs).unwrap_or_default()
    }

    fn memory(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.store.memory(key).ok()?
    }

    fn is_present(&self, path: &StorePath) -> bool {
        if self.present.contains(path) {
            return true;
        }
        let valid = self.store.is_valid(path).unwrap_or(false);
        if valid {
            self.present.insert(path.clone());
        }
        valid
    }
}

/// The memo of a store that does not exist yet.
pub struct EmptyMemo;

impl Memo for EmptyMemo {
    fn recall(&self, _: &Digest, _: RootKind, _: &[OutputName]) -> Vec<Outputs> {
        Vec::new()
    }

    fn is_present(&self, _: &StorePath) -> bool {
        false
    }
}
