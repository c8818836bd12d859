//! What makes written rows outlive a power cut: a thread that syncs the write-ahead log soon after
//! each write, so that many registrations share one sync. It knows no rows.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rocksdb::DB;

use crate::error::{Result, StoreError};

/// How long a write may wait for others to share its sync.
const DELAY: Duration = Duration::from_millis(30);

/// Syncs the log of one database until it is dropped, which syncs a last time.
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    db: Arc<DB>,
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Something was written since the last sync began.
    dirty: bool,
    stopping: bool,
}

impl Syncer {
    /// Starts the thread.
    pub(crate) fn start(db: Arc<DB>, path: PathBuf) -> Result<Self> {
        let shared =
            Arc::new(Shared { db, path, state: Mutex::default(), changed: Condvar::new() });
        let thread = std::thread::Builder::new()
            .name("floe-sync".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.serve()
            })
            .map_err(|e| StoreError::io("start the syncing thread for", &shared.path, e))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Something was written: it will be synced soon.
    pub(crate) fn wrote(&self) {
        let mut state = self.shared.lock();
        if !state.dirty {
            state.dirty = true;
            self.shared.changed.notify_one();
        }
    }

    /// Syncs now what is not synced yet.
    pub(crate) fn sync(&self) -> Result<()> {
        // Also when the thread has begun a sync: only our own tells us that it went well.
        self.shared.lock().dirty = false;
        self.shared.sync()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics only where a lock is poisoned already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            while !state.dirty && !state.stopping {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.stopping {
                let waited = self.changed.wait_timeout_while(state, DELAY, |state| !state.stopping);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if std::mem::take(&mut state.dirty) {
                drop(state);
                // After a failure the database refuses all further writes with the reason, and
                // the request's own sync at its end fails with it.
                let _ = self.sync();
                state = self.lock();
            }
            if state.stopping && !state.dirty {
                return;
            }
        }
    }

    fn sync(&self) -> Result<()> {
        self.db.flush_wal(true).map_err(|e| StoreError::db("sync", &self.path, &e))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
