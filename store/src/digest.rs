//! The cache of host files' digests: a file whose stat did not change need not be read again.
//! What the digests are is the caller's affair.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rocksdb::WriteBatch;

use crate::db::Family;
use crate::error::StoreError;
use crate::row::{self, DigestRow};
use crate::store::{Mode, Store};

/// Files changed this shortly before they were read are not trusted: the kernel's time stamps
/// are this coarse, so a second change could leave the stat as it was.
const TICK: Duration = Duration::from_millis(20);

/// The same, for file systems that keep whole seconds only.
const COARSE_TICK: Duration = Duration::from_secs(2);

const SECOND_NS: i64 = 1_000_000_000;

/// What tells whether a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Device.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of content or inode; nobody can set it back.
    pub ctime_ns: i64,
}

impl FileStat {
    /// Out of what the system says.
    pub fn of(meta: &Metadata) -> Self {
        let ns = |s: i64, ns: i64| s.saturating_mul(SECOND_NS).saturating_add(ns);
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the file could change once more after `read_at` without its stat changing.
    fn is_racy(&self, read_at: SystemTime) -> bool {
        let newest = self.mtime_ns.max(self.ctime_ns);
        let whole = self.mtime_ns % SECOND_NS == 0 && self.ctime_ns % SECOND_NS == 0;
        let tick = if whole { COARSE_TICK } else { TICK };
        match read_at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(at) => {
                let settled = i64::try_from(at.saturating_sub(tick).as_nanos());
                settled.is_ok_and(|settled| newest >= settled)
            }
            Err(_) => true,
        }
    }
}

impl Store {
    /// What was stored for a file, if its stat is still the same. The path should be canonical.
    pub fn digest_get(&self, path: &Path, stat: &FileStat) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.db.row::<DigestRow>(path.as_os_str().as_bytes())?;
        Ok(row.and_then(|row| {
            let had = FileStat {
                dev: row.dev,
                ino: row.ino,
                size: row.size,
                mtime_ns: row.mtime_ns,
                ctime_ns: row.ctime_ns,
            };
            (had == *stat).then_some(row.payload)
        }))
    }

    /// Stores digests of files that were read. `stat` must have been taken *before* the file was
    /// read, at `read_at` or later. Returns how many were kept: files changed a moment before
    /// are not, and a read-only store keeps none. Not synced.
    pub fn digest_put<'f>(
        &self,
        read_at: SystemTime,
        files: impl IntoIterator<Item = (&'f Path, FileStat, &'f [u8])>,
    ) -> Result<usize, StoreError> {
        if self.mode() == Mode::ReadOnly {
            return Ok(0);
        }
        let mut batch = WriteBatch::default();
        for (path, stat, payload) in files {
            if stat.is_racy(read_at) {
                continue;
            }
            let row = DigestRow {
                dev: stat.dev,
                ino: stat.ino,
                size: stat.size,
                mtime_ns: stat.mtime_ns,
                ctime_ns: stat.ctime_ns,
                payload: payload.to_vec(),
            };
            let key = path.as_os_str().as_bytes();
            self.db.put(&mut batch, Family::Digests, key, &row::encode(&row));
        }
        let kept = batch.len();
        if kept > 0 {
            self.db.write(batch, false)?;
        }
        Ok(kept)
    }
}
