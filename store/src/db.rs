//! RocksDB: how it is opened and tuned, its column families, and typed access to rows.
//! Knows keys and bytes; what the rows mean is the affair of the modules above.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBPinnableSlice, DBRecoveryMode, FlushOptions, InfoLogger, LogLevel, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use crate::error::{Result, StoreError};
use crate::key;
use crate::row::{self, Row};
use crate::seal::{Seal, Sealed};
use crate::syncer::Syncer;

/// The column families, one for each kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Schema version and epoch.
    Meta,
    /// Path -> what is known of the object.
    Objects,
    /// Path ‖ 0 ‖ referrer -> nothing.
    Referrers,
    /// Path -> text and references of a derivation.
    Derivations,
    /// Resolved ‖ profile ‖ output -> realisations, the preferred one first.
    Trace,
    /// Path ‖ 0 ‖ trace key -> nothing.
    TraceByObject,
    /// Trace key of which there is more than one object -> nothing.
    Divergent,
    /// Task id -> the engine's bytes.
    Records,
    /// Rebuilder and task id -> what that rebuilder remembers.
    Memory,
    /// Host path -> stat and digests.
    Digests,
}

impl Family {
    /// All families.
    pub(crate) const ALL: [Self; 10] = [
        Self::Meta,
        Self::Objects,
        Self::Referrers,
        Self::Derivations,
        Self::Trace,
        Self::TraceByObject,
        Self::Divergent,
        Self::Records,
        Self::Memory,
        Self::Digests,
    ];

    /// The family's name in the database and in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Objects => "objects",
            Self::Referrers => "referrers",
            Self::Derivations => "derivations",
            Self::Trace => "trace",
            Self::TraceByObject => "trace_by_object",
            Self::Divergent => "divergent",
            Self::Records => "records",
            Self::Memory => "memory",
            Self::Digests => "digests",
        }
    }
}

/// How often a read-only open is tried again when the owner's compaction pulled a file away
/// between reading the manifest and opening the file.
const READ_RETRIES: u32 = 20;

/// How long the log may be when the database is closed: every opening reads all of it, so a longer
/// one is turned into tables.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// An open database.
pub(crate) struct Db {
    /// An owner's; dropped before its database.
    syncer: Option<Syncer>,
    inner: Arc<DB>,
    path: PathBuf,
    /// An owner's; dropped when the database is closed.
    seal: Option<Seal>,
}

impl Db {
    /// Opens for reading and writing, creating what is missing. The caller owns the root.
    pub(crate) fn open_owned(path: &Path) -> Result<Self> {
        let seal = Seal::break_open(path)?;
        let mut opts = db_options(true)?;
        opts.set_wal_recovery_mode(recovery(seal.was_whole()));
        let inner = match DB::open_cf_descriptors(&opts, path, descriptors(&opts)) {
            Ok(inner) => Arc::new(inner),
            Err(e) => {
                seal.put_back();
                return Err(StoreError::db("open", path, &e));
            }
        };
        seal.opened()?;
        let syncer = Some(Syncer::start(Arc::clone(&inner), path.to_path_buf())?);
        Ok(Self { syncer, inner, path: path.to_path_buf(), seal: Some(seal) })
    }

    /// Opens a snapshot for reading; the owner may go on writing.
    pub(crate) fn open_snapshot(path: &Path) -> Result<Self> {
        let mut opts = db_options(false)?;
        let mut tries = 0;
        loop {
            let sealed = Sealed::look(path)?;
            opts.set_wal_recovery_mode(recovery(sealed == Sealed::Whole));
            match DB::open_cf_descriptors_read_only(&opts, path, descriptors(&opts), false) {
                Ok(inner) => {
                    let inner = Arc::new(inner);
                    return Ok(Self { syncer: None, inner, path: path.to_path_buf(), seal: None });
                }
                // An owner that came meanwhile writes to what was whole.
                Err(_) if sealed == Sealed::Whole && Sealed::look(path)? == Sealed::Open => {}
                Err(e) if tries < READ_RETRIES && is_race(&e) => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(tries)));
                }
                Err(e) => return Err(StoreError::db("open", path, &e)),
            }
        }
    }

    /// Reads one row of the family `meta` of a database whose other families may be unknown.
    pub(crate) fn peek_meta(path: &Path, key: &[u8]) -> Option<Vec<u8>> {
        let opts = db_options(false).ok()?;
        let db = DB::open_cf_for_read_only(&opts, path, [Family::Meta.name()], false).ok()?;
        db.get_cf(db.cf_handle(Family::Meta.name())?, key).ok()?
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.inner.cf_handle(family.name()).expect("every family is created when opening")
    }

    fn err(&self, action: &'static str) -> impl Fn(rocksdb::Error) -> StoreError + '_ {
        move |e| StoreError::db(action, &self.path, &e)
    }

    /// The bytes under a key.
    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>> {
        self.inner.get_pinned_cf(self.family(family), key).map_err(self.err("read"))
    }

    /// Whether there is a row.
    pub(crate) fn has(&self, family: Family, key: &[u8]) -> Result<bool> {
        Ok(self.get(family, key)?.is_some())
    }

    /// The decoded row under a key.
    pub(crate) fn row<R: Row>(&self, key: &[u8]) -> Result<Option<R>> {
        match self.get(R::FAMILY, key)? {
            Some(bytes) => row::decode(key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Calls `visit` for the rows of a key range in order, until it returns false.
    pub(crate) fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<Vec<u8>>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let mut opts = ReadOptions::default();
        if let Some(end) = end {
            opts.set_iterate_upper_bound(end);
        }
        let mut rows = self.inner.raw_iterator_cf_opt(self.family(family), opts);
        rows.seek(start);
        while let Some((key, value)) = rows.item() {
            if !visit(key, value)? {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(self.err("read"))
    }

    /// Calls `visit` for the rows whose keys begin with `prefix`.
    pub(crate) fn scan_prefix(
        &self,
        family: Family,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        self.scan(family, prefix, key::successor(prefix), visit)
    }

    /// Adds a put to a batch.
    pub(crate) fn put(&self, batch: &mut WriteBatch, family: Family, key: &[u8], value: &[u8]) {
        batch.put_cf(self.family(family), key, value);
    }

    /// Adds a deletion to a batch.
    pub(crate) fn delete(&self, batch: &mut WriteBatch, family: Family, key: &[u8]) {
        batch.delete_cf(self.family(family), key);
    }

    /// Writes a batch; when it returns, the batch survives a power cut if `synced`, a kill if
    /// not, and then it is synced a little later.
    pub(crate) fn write(&self, batch: WriteBatch, synced: bool) -> Result<()> {
        let mut opts = WriteOptions::default();
        opts.set_sync(synced);
        self.inner.write_opt(batch, &opts).map_err(self.err("write to"))?;
        if let (false, Some(syncer)) = (synced, &self.syncer) {
            syncer.wrote();
        }
        Ok(())
    }

    /// Syncs what was written: when it returns, all of it survives a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.syncer.as_ref().map_or(Ok(()), Syncer::sync)
    }

    /// How many writes it has seen since it was made.
    pub(crate) fn writes(&self) -> u64 {
        self.inner.latest_sequence_number()
    }

    /// The last thing before closing: syncs, and turns into tables a long log, or one that a crash
    /// may have cut short. What is closed then is sealed.
    pub(crate) fn settle(&self) -> Result<()> {
        self.sync()?;
        let Some(seal) = &self.seal else { return Ok(()) };
        if !seal.is_after_crash() && self.log_bytes() <= MAX_LOG_BYTES {
            seal.arm();
            return Ok(());
        }
        let families: Vec<&ColumnFamily> = Family::ALL.iter().map(|f| self.family(*f)).collect();
        let families: Vec<&&ColumnFamily> = families.iter().collect();
        self.inner
            .flush_cfs_opt(&families, &FlushOptions::default())
            .map_err(self.err("write the tables of"))?;
        seal.arm();
        Ok(())
    }

    /// How much a next opening would have to read again; 0 if nobody knows.
    fn log_bytes(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return 0 };
        let logs = entries.flatten().filter(|e| e.path().extension().is_some_and(|x| x == "log"));
        logs.flat_map(|entry| entry.metadata()).map(|meta| meta.len()).sum()
    }
}

/// How much of the log must be readable: all of it where it was closed in order; up to the first
/// record that a dying process or machine left unfinished otherwise.
fn recovery(whole: bool) -> DBRecoveryMode {
    match whole {
        true => DBRecoveryMode::AbsoluteConsistency,
        false => DBRecoveryMode::PointInTime,
    }
}

/// A file that the manifest named was gone when it was opened.
fn is_race(e: &rocksdb::Error) -> bool {
    let text = e.to_string();
    text.contains("No such file") || text.contains("file not found")
}

fn descriptors(opts: &Options) -> Vec<ColumnFamilyDescriptor> {
    let names = Family::ALL.iter().map(|f| f.name());
    names.map(|name| ColumnFamilyDescriptor::new(name, opts.clone())).collect()
}

/// Tuned for many short-lived processes over small rows: quick to open, one writer, little memory.
fn db_options(owner: bool) -> Result<Options> {
    let mut opts = Options::default();
    // Not in the binding: without it every open writes the log's rows out to a table file for
    // each family, a dozen syncs.
    opts = opts
        .get_options_from_string("avoid_flush_during_recovery=true")
        .map_err(|e| StoreError::db("configure", Path::new("db"), &e))?;
    opts.create_if_missing(owner);
    opts.create_missing_column_families(owner);
    opts.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| ()));
    opts.set_keep_log_file_num(1);
    opts.set_stats_dump_period_sec(0);
    opts.set_stats_persist_period_sec(0);
    opts.set_skip_stats_update_on_db_open(true);
    // A reader keeps every table open from the start, so that the owner may delete them.
    opts.set_max_open_files(if owner { 256 } else { -1 });
    opts.set_max_file_opening_threads(1);
    opts.set_max_background_jobs(2);
    // The log is what an open must read again: keep it short.
    opts.set_max_total_wal_size(8 << 20);
    opts.set_write_buffer_size(4 << 20);
    opts.set_max_write_buffer_number(2);
    opts.set_compression_type(DBCompressionType::Lz4);
    let mut table = BlockBasedOptions::default();
    table.set_bloom_filter(10.0, false);
    table.set_block_size(16 << 10);
    table.set_format_version(6);
    table.set_block_cache(&Cache::new_lru_cache(32 << 20));
    opts.set_block_based_table_factory(&table);
    Ok(opts)
}
