//! Cleaning up after an owner that was killed: builds, trash, and objects without rows. Runs
//! when an owner opens the store, before anybody works in it.

use std::fs;

use floe_core::path::StorePath;

use crate::db::Family;
use crate::error::{IoContext, Result};
use crate::key::PathKey;
use crate::store::Store;
use crate::trash;

/// What opening the store cleaned up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoverReport {
    /// Whether the former owner ended without closing the store.
    pub was_unclean: bool,
    /// Objects that had been put in place and never registered, or whose rows had been deleted.
    pub orphans: usize,
    /// Builds that had been in progress.
    pub builds: usize,
    /// Bytes freed.
    pub freed_bytes: u64,
}

impl Store {
    /// Removes what a dead owner left. We own the store, and nothing runs in it yet.
    pub(crate) fn recover(&self) -> Result<RecoverReport> {
        let layout = &self.layout;
        let builds = fs::read_dir(&layout.builds).at("list", &layout.builds)?.count();
        let mut report = RecoverReport { builds, ..RecoverReport::default() };
        report.was_unclean = layout.unclean.exists();
        if report.was_unclean {
            for entry in fs::read_dir(&layout.store).at("list", &layout.store)? {
                let entry = entry.at("list", &layout.store)?;
                let name = entry.file_name();
                let path = name.to_str().and_then(|name| StorePath::from_base_name(name).ok());
                let registered = match path {
                    Some(path) => self.db.has(Family::Objects, &PathKey::of(&path).0)?,
                    None => false,
                };
                if !registered {
                    trash::discard(&entry.path(), &layout.trash)?;
                    report.orphans += 1;
                }
            }
        }
        if builds > 0 {
            report.freed_bytes += trash::empty(&layout.builds)?;
        }
        report.freed_bytes += trash::empty(&layout.trash)?;
        if report.was_unclean {
            if let Some(links) = &self.links {
                report.freed_bytes += links.sweep()?.bytes;
            }
            fs::remove_file(&layout.unclean).at("remove the marker", &layout.unclean)?;
        }
        Ok(report)
    }
}
