//! File locks between processes: flock on a file under the root, with waiting said aloud.
//! The order of locks is written in `lib.rs`; threads of one process use other means.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{IoContext, Result, StoreError};

/// For what somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// Another process owns the store.
    Owner,
    /// A collection runs.
    Collection,
    /// A collection wants to run, and readers are still at work.
    Readers,
}

/// Told to the caller once before it blocks on a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub reason: WaitingFor,
    /// The lock file.
    pub lock: PathBuf,
    /// The holder in words, such as `process 4711`.
    pub holder: String,
}

/// How to behave when a lock is taken.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    pub(crate) wait: bool,
    pub(crate) on_wait: Option<&'a dyn Fn(&Waiting)>,
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock for one holder, and writes our process id into the file for others to name.
    pub(crate) fn exclusive(
        path: &Path,
        reason: WaitingFor,
        patience: Patience<'_>,
    ) -> Result<Self> {
        let mut file = options().open(path).at("open the lock", path)?;
        acquire(&mut file, path, true, reason, patience)?;
        // Made by an earlier version, it may be open to others; failing leaves it as it was.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
        // The holder's id is a courtesy to whoever waits: a full disk must not stop us here.
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = write!(file, "{}", std::process::id());
        Ok(Self { _file: file })
    }

    /// Takes the lock beside others. `None` when the lock file is missing and cannot be made,
    /// because then nobody can be about to take it exclusively either.
    pub(crate) fn shared(
        path: &Path,
        reason: WaitingFor,
        patience: Patience<'_>,
    ) -> Result<Option<Self>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => match options().open(path) {
                Ok(file) => file,
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                    ) =>
                {
                    return Ok(None);
                }
                Err(e) => return Err(StoreError::io("open the lock", path, e)),
            },
            Err(e) => return Err(StoreError::io("open the lock", path, e)),
        };
        acquire(&mut file, path, false, reason, patience)?;
        Ok(Some(Self { _file: file }))
    }
}

/// For the owner alone: whoever can open a lock, if only for reading, can hold it for ever.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn acquire(
    file: &mut File,
    path: &Path,
    exclusive: bool,
    reason: WaitingFor,
    patience: Patience<'_>,
) -> Result<()> {
    let (now, later) = if exclusive {
        (FlockOperation::NonBlockingLockExclusive, FlockOperation::LockExclusive)
    } else {
        (FlockOperation::NonBlockingLockShared, FlockOperation::LockShared)
    };
    match flock(&*file, now) {
        Ok(()) => return Ok(()),
        Err(Errno::WOULDBLOCK) => {}
        Err(e) => return Err(StoreError::io("lock", path, e.into())),
    }
    let holder = match reason {
        WaitingFor::Readers => "a process that reads the store".to_owned(),
        WaitingFor::Owner | WaitingFor::Collection => holder(file),
    };
    let lock = path.to_path_buf();
    if !patience.wait {
        let root = path.parent().unwrap_or(path).to_path_buf();
        return Err(StoreError::Busy { root, lock, holder });
    }
    if let Some(tell) = patience.on_wait {
        tell(&Waiting { reason, lock, holder });
    }
    loop {
        match flock(&*file, later) {
            Err(Errno::INTR) => {}
            other => return other.at("lock", path),
        }
    }
}

/// Who wrote the lock file last, in words.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut text));
    match read.ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
