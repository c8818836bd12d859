//! The schema's version and the way from older ones: a row in `meta`, and one function for each
//! step. A newer version is refused.

use rocksdb::WriteBatch;

use crate::db::{Db, Family};
use crate::error::{Result, StoreError};
use crate::key;
use crate::layout::Layout;
use crate::row::{self, ObjectRow, TraceRow};

/// The version this code writes.
pub(crate) const VERSION: u32 = 2;

const VERSION_KEY: &[u8] = b"schema";
const EPOCH_KEY: &[u8] = b"epoch";

/// The step from version `i` to `i + 1` at index `i`; its writes join the batch that records it.
const STEPS: [fn(&Db, &mut WriteBatch) -> Result<()>; VERSION as usize] =
    [index_everything, index_divergent];

/// Brings a database that we own to [`VERSION`].
pub(crate) fn migrate(db: &Db, layout: &Layout) -> Result<()> {
    let found = match version(db)? {
        Some(found) => found,
        None if is_empty(db)? => {
            let mut batch = WriteBatch::default();
            db.put(&mut batch, Family::Meta, VERSION_KEY, &VERSION.to_le_bytes());
            return db.write(batch, true);
        }
        None => 0,
    };
    refuse_newer(found, layout)?;
    for (at, step) in STEPS.iter().enumerate().skip(found as usize) {
        let mut batch = WriteBatch::default();
        step(db, &mut batch)?;
        db.put(&mut batch, Family::Meta, VERSION_KEY, &(at as u32 + 1).to_le_bytes());
        db.write(batch, true)?;
    }
    Ok(())
}

/// Whether the database at this place is of an older version, and therefore has no family that came
/// later.
pub(crate) fn is_older(layout: &Layout) -> bool {
    let found = Db::peek_meta(&layout.db, VERSION_KEY);
    let found = found.and_then(|bytes| bytes.as_slice().try_into().ok()).map(u32::from_le_bytes);
    found.is_some_and(|found| found < VERSION)
}

/// Whether a snapshot can be read as it is; `false` asks for an owner's open, which migrates.
pub(crate) fn check(db: &Db, layout: &Layout) -> Result<bool> {
    let found = version(db)?.unwrap_or(0);
    refuse_newer(found, layout)?;
    Ok(found == VERSION)
}

/// A database that does not open may have been written by a newer floe: then say that.
pub(crate) fn explain(error: StoreError, layout: &Layout) -> StoreError {
    let found = Db::peek_meta(&layout.db, VERSION_KEY);
    match found.and_then(|bytes| bytes.as_slice().try_into().ok()).map(u32::from_le_bytes) {
        Some(found) if found > VERSION => newer(found, layout),
        _ => error,
    }
}

fn refuse_newer(found: u32, layout: &Layout) -> Result<()> {
    if found > VERSION { Err(newer(found, layout)) } else { Ok(()) }
}

fn newer(found: u32, layout: &Layout) -> StoreError {
    StoreError::Newer { root: layout.root.clone(), found, known: VERSION }
}

fn version(db: &Db) -> Result<Option<u32>> {
    let Some(bytes) = db.get(Family::Meta, VERSION_KEY)? else { return Ok(None) };
    let bytes = bytes.as_ref().try_into();
    let bytes = bytes
        .map_err(|_| row::broken(Family::Meta, VERSION_KEY, "a version has four bytes".into()))?;
    Ok(Some(u32::from_le_bytes(bytes)))
}

fn is_empty(db: &Db) -> Result<bool> {
    let mut empty = true;
    for family in Family::ALL {
        db.scan(family, &[], None, |_, _| {
            empty = false;
            Ok(false)
        })?;
    }
    Ok(empty)
}

/// Version 0 had objects and traces, but neither of the two indexes over them.
fn index_everything(db: &Db, batch: &mut WriteBatch) -> Result<()> {
    db.scan(Family::Objects, &[], None, |key, value| {
        let object: ObjectRow = row::decode(key, value)?;
        for reference in &object.refs {
            db.put(batch, Family::Referrers, &key::pair(reference, key), &[]);
        }
        Ok(true)
    })?;
    db.scan(Family::Trace, &[], None, |key, value| {
        let trace: TraceRow = row::decode(key, value)?;
        for realisation in &trace.realisations {
            db.put(batch, Family::TraceByObject, &key::pair(&realisation.path, key), &[]);
        }
        Ok(true)
    })
}

/// Version 1 could not tell which traces have more than one object.
fn index_divergent(db: &Db, batch: &mut WriteBatch) -> Result<()> {
    db.scan(Family::Trace, &[], None, |key, value| {
        let trace: TraceRow = row::decode(key, value)?;
        if trace.is_divergent() {
            db.put(batch, Family::Divergent, key, &[]);
        }
        Ok(true)
    })
}

/// The epoch: how often something was deleted.
pub(crate) fn epoch(db: &Db) -> Result<u64> {
    let Some(bytes) = db.get(Family::Meta, EPOCH_KEY)? else { return Ok(0) };
    let bytes = bytes.as_ref().try_into();
    bytes
        .map(u64::from_le_bytes)
        .map_err(|_| row::broken(Family::Meta, EPOCH_KEY, "an epoch has eight bytes".into()))
}

/// Adds the new epoch to a batch.
pub(crate) fn put_epoch(db: &Db, batch: &mut WriteBatch, epoch: u64) {
    db.put(batch, Family::Meta, EPOCH_KEY, &epoch.to_le_bytes());
}

/// Writes a version by hand, for tests of other versions.
#[cfg(test)]
pub(crate) fn put_version(db: &Db, batch: &mut WriteBatch, version: u32) {
    db.put(batch, Family::Meta, VERSION_KEY, &version.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use floe_core::hash::Digest;
    use floe_core::path::OutputName;

    use super::*;
    use crate::key::PathKey;
    use crate::row::{OriginRow, RealisationRow};
    use crate::{Mode, Open, Store, StoreError, TraceKey};

    fn path_key(name: &str) -> PathKey {
        PathKey([&[7; 20], name.as_bytes()].concat())
    }

    /// A database as version 0 left it: an object, its trace, and no index.
    fn make_old(root: &Path) {
        let store = Store::open(root, Open::READ_WRITE).expect("opens");
        let mut batch = WriteBatch::default();
        put_version(&store.db, &mut batch, 0);
        for (name, refs) in [("a", vec![]), ("b", vec![path_key("a")])] {
            let row = ObjectRow {
                nar_hash: [0; 32],
                nar_size: 1,
                tree: [0; 32],
                refs,
                deriver: None,
                ca: None,
                registered_at_ms: 0,
            };
            store.db.put(&mut batch, Family::Objects, &path_key(name).0, &row::encode(&row));
        }
        let realisation = RealisationRow {
            path: path_key("b"),
            origin: OriginRow::Built,
            at_ms: 0,
            wall_ms: 0,
            cpu_ms: 0,
        };
        let key = TraceKey { resolved: Digest([1; 32]), profile: Digest([2; 32]) };
        let row = row::encode(&TraceRow { realisations: vec![realisation] });
        store.db.put(&mut batch, Family::Trace, &key::trace(&key, &OutputName::out()), &row);
        store.db.write(batch, true).expect("writes");
    }

    #[test]
    fn old_databases_are_brought_up_to_date() {
        for mode in [Mode::ReadWrite, Mode::ReadOnly] {
            let dir = tempfile::tempdir().expect("temporary directory");
            make_old(dir.path());
            let open = Open { mode, wait: true, on_wait: None };
            let store = Store::open(dir.path(), open).expect("opens");
            let [a, b] = ["a", "b"].map(|name| path_key(name).path().expect("is a path"));
            assert_eq!(store.referrers(&a).expect("reads"), [b]);
            let indexed = key::pair(&path_key("b"), &[]);
            let mut entries = 0;
            store
                .db
                .scan_prefix(Family::TraceByObject, &indexed, |_, _| {
                    entries += 1;
                    Ok(true)
                })
                .expect("reads");
            assert_eq!(entries, 1);
        }
    }

    #[test]
    fn newer_databases_are_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path(), Open::READ_WRITE).expect("opens");
        let mut batch = WriteBatch::default();
        put_version(&store.db, &mut batch, 7);
        store.db.write(batch, true).expect("writes");
        drop(store);
        for open in [Open::READ_WRITE, Open::READ_ONLY] {
            let error = Store::open(dir.path(), open).expect_err("is too new");
            assert!(matches!(error, StoreError::Newer { found: 7, known: VERSION, .. }), "{error}");
        }
    }
}
