//! Everything that can go wrong in the store, as data: each variant says what, where, and what
//! to do. No printing, no exit codes.

use std::io;
use std::path::{Path, PathBuf};

use crate::object::ObjectError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused something for a reason without its own variant.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error(
        "cannot {action} {path:?}: the file system is read-only; remount it writable or choose another store with --root DIR"
    )]
    ReadOnlyFs {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// No space or no quota is left.
    #[error(
        "cannot {action} {path:?}: the disk is full; free some space (`floe store gc` removes what no root needs) and run the command again, finished work is kept"
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// A permission is missing.
    #[error(
        "cannot {action} {path:?}: permission denied; the store must belong to the user who writes it, so mend the permissions or choose another store with --root DIR"
    )]
    Denied {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// There is no store at the root, and the opener may not create one.
    #[error(
        "there is no store at {root:?}; build or add something first, or choose another store with --root DIR"
    )]
    NoStore {
        /// The root that was asked for.
        root: PathBuf,
    },
    /// The root cannot be made.
    #[error(
        "cannot create the store root {root:?}: {source}; choose a place below a directory that you may write to, with --root DIR"
    )]
    NoRoot {
        /// The root that was asked for.
        root: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The root belongs to somebody else.
    #[error(
        "the store root {path:?} belongs to user {owner}, not to user {user}; whoever owns it could change objects under us, so choose another store with --root DIR"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Another process holds a lock and the caller does not want to wait.
    #[error(
        "the store {root:?} is in use: {holder} holds {lock:?}; wait for it to end, or run without --no-wait"
    )]
    Busy {
        /// The store's root.
        root: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// The database was written by a newer floe.
    #[error(
        "the store {root:?} has schema version {found}, this floe knows versions up to {known}; use the newer floe that wrote it, or another store with --root DIR"
    )]
    Newer {
        /// The store's root.
        root: PathBuf,
        /// The version in the database.
        found: u32,
        /// The newest version this code can read.
        known: u32,
    },
    /// The database's files are damaged.
    #[error(
        "the store's database {path:?} is damaged: {message}; restore {path:?} from a backup, or move it away and build again: what it knew of finished builds is lost, so they run again, and `floe store gc` removes files that were not made anew"
    )]
    Corrupt {
        /// The database directory.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// RocksDB failed in another way.
    #[error("cannot {action} the store's database {path:?}: {message}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// The database directory.
        path: PathBuf,
        /// RocksDB's words.
        message: String,
    },
    /// A row cannot be decoded.
    #[error(
        "the row {key} of family `{family}` in the store's database cannot be read: {reason}; run `floe store verify`, and if it stays, delete the store root and build again"
    )]
    Row {
        /// The column family.
        family: &'static str,
        /// The key, in words.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A read-only store was asked to change something.
    #[error("cannot {action}: the store {root:?} is open read-only")]
    ReadOnly {
        /// What was asked.
        action: &'static str,
        /// The store's root.
        root: PathBuf,
    },
    /// A path is not registered.
    #[error(
        "{path} is not valid: no such object is registered in the store {root:?}; build it or add it first"
    )]
    NotValid {
        /// The logical path.
        path: String,
        /// The store's root.
        root: PathBuf,
    },
    /// An object to be registered refers to one that is not there.
    #[error(
        "cannot register {object}: it refers to {reference}, which is neither registered nor part of the same batch; register that first"
    )]
    MissingReference {
        /// The object to be registered.
        object: String,
        /// What it refers to.
        reference: String,
    },
    /// Another object lies under the same path.
    #[error(
        "cannot register {object}: another object is already registered under this path (its {what} is {had}, the new one's is {got}); the recipe is not deterministic, or one of the two was made by other means. To have the new one, remove the links to the registered one and run `floe store gc`; with content addresses both could be kept"
    )]
    Conflict {
        /// The path.
        object: String,
        /// In what they differ.
        what: &'static str,
        /// The registered value.
        had: String,
        /// The new value.
        got: String,
    },
    /// A file to be registered is missing from `ROOT/store`.
    #[error("cannot register {object}: nothing lies at {path:?}; stage its files first")]
    NotStaged {
        /// The logical path.
        object: String,
        /// Where its files belong.
        path: PathBuf,
    },
    /// A link to be made would overwrite something that is not a link into a store.
    #[error(
        "cannot make the link {link:?}: something that is no link into a store is in the way; remove it or choose another name with --out-link"
    )]
    InTheWay {
        /// The link.
        link: PathBuf,
    },
    /// A root's name would leave the roots directory.
    #[error("{name:?} cannot name a root: use a relative path without `..`")]
    RootName {
        /// The offending name.
        name: PathBuf,
    },
    /// A text cannot have this name.
    #[error("{name:?} cannot name an object: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes of an object are not what the store takes.
    #[error(transparent)]
    Object(ObjectError),
}

impl From<ObjectError> for StoreError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Io { action, path, source } => Self::io(action, Path::new(&path), source),
            other => Self::Object(other),
        }
    }
}

impl StoreError {
    /// Classifies a system error by what the user can do about it.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyFs { action, path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, path }
            }
            io::ErrorKind::PermissionDenied => Self::Denied { action, path },
            _ => Self::Io { action, path, source },
        }
    }

    /// A root that cannot be made, where the reason has no better words.
    pub(crate) fn no_root(root: &Path, source: io::Error) -> Self {
        match Self::io("create the store root", root, source) {
            Self::Io { path: root, source, .. } => Self::NoRoot { root, source },
            other => other,
        }
    }

    /// Classifies a RocksDB error; RocksDB hands the system's reason on as text only.
    pub(crate) fn db(action: &'static str, path: &Path, source: &rocksdb::Error) -> Self {
        let message = source.to_string();
        let path = path.to_path_buf();
        if message.contains("No space left on device") || message.contains("quota exceeded") {
            return Self::Full { action, path };
        }
        if message.contains("Read-only file system") {
            return Self::ReadOnlyFs { action, path };
        }
        if message.contains("Permission denied") {
            return Self::Denied { action, path };
        }
        let missing_file = message.contains("No such file or directory");
        match source.kind() {
            rocksdb::ErrorKind::Corruption => Self::Corrupt { path, message },
            rocksdb::ErrorKind::IOError if missing_file => Self::Corrupt { path, message },
            _ => Self::Database { action, path, message },
        }
    }
}

/// `Result` with the store's error.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Shorthand for attaching the verb and the path to a system error.
pub(crate) trait IoContext<T> {
    /// Names what was tried on which path.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| StoreError::io(action, path, e))
    }
}

impl<T> IoContext<T> for rustix::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| StoreError::io(action, path, e.into()))
    }
}
