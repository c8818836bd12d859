//! What was fetched before, as records of the store: by address, with the time and the server's
//! version. A record of an object that is gone is as good as none.

use floe_core::path::StorePath;
use floe_store::Batch;
use serde::{Deserialize, Serialize};

use super::{TreeError, Trees};

/// One thing that was fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Known {
    /// The object's base name.
    pub(super) object: String,
    /// When it was seen to be the present version, in seconds since 1970.
    pub(super) at_s: u64,
    /// The server's name for the version.
    pub(super) etag: Option<String>,
    /// When the youngest file in it changed.
    pub(super) last_modified: i64,
    /// Commits behind it.
    pub(super) rev_count: Option<i64>,
}

impl Known {
    pub(super) fn new(path: &StorePath) -> Known {
        Known {
            object: path.base_name().to_owned(),
            at_s: 0,
            etag: None,
            last_modified: 0,
            rev_count: None,
        }
    }

    pub(super) fn path(&self) -> Option<StorePath> {
        StorePath::from_base_name(&self.object).ok()
    }
}

impl Trees {
    /// What is remembered under these words, if the object is still there.
    pub(super) fn recall(&mut self, key: &[&str]) -> Result<Option<(StorePath, Known)>, TreeError> {
        let Some(row) = self.store.record(&row_key(key))? else { return Ok(None) };
        let Ok(known) = serde_json::from_slice::<Known>(&row) else { return Ok(None) };
        let Some(path) = known.path() else { return Ok(None) };
        Ok(self.has(&path)?.then_some((path, known)))
    }

    /// Remembers.
    pub(super) fn remember(&self, key: &[&str], mut known: Known) -> Result<(), TreeError> {
        known.at_s = self.now_s;
        let row = serde_json::to_vec(&known).unwrap_or_default();
        self.store.register(&Batch { records: vec![(row_key(key), row)], ..Batch::default() })?;
        Ok(())
    }

    /// Whether something seen at that time need not be asked for again.
    pub(super) fn is_fresh(&self, at_s: u64) -> bool {
        at_s <= self.now_s && self.now_s - at_s < self.ttl_s
    }
}

fn row_key(words: &[&str]) -> Vec<u8> {
    format!("fetch\0{}", words.join("\0")).into_bytes()
}
