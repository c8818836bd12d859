//! The one opening of a store root that a process has: for reading as long as nothing must be
//! written, for writing from then on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use floe_store::{Mode, Open, Store, StoreError, Waiting, WaitingFor};

use crate::event::{Event, Events};

/// A store root, opened as far as was needed.
pub struct Slot {
    root: PathBuf,
    wait: bool,
    events: Events,
    store: Mutex<Option<Arc<Store>>>,
}

impl Slot {
    /// The root at `root`, opened for reading if it exists. `wait` says whether to wait for
    /// another process that holds a lock.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn open(root: &Path, wait: bool, events: Events) -> Result<Slot, StoreError> {
        let slot = Slot { root: root.to_path_buf(), wait, events, store: Mutex::new(None) };
        if Store::exists(root) {
            *slot.lock() = Some(slot.open_as(Mode::ReadOnly)?);
        }
        Ok(slot)
    }

    /// The store as it is open now; none if it does not exist yet.
    pub fn get(&self) -> Option<Arc<Store>> {
        self.lock().clone()
    }

    /// The store, open for writing, created if need be.
    ///
    /// # Errors
    /// When it cannot be opened so.
    pub fn writable(&self) -> Result<Arc<Store>, StoreError> {
        let mut slot = self.lock();
        if let Some(store) = slot.as_ref()
            && store.mode() == Mode::ReadWrite
        {
            return Ok(Arc::clone(store));
        }
        let store = self.open_as(Mode::ReadWrite)?;
        *slot = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Lets go of the store as far as this slot holds it.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn open_as(&self, mode: Mode) -> Result<Arc<Store>, StoreError> {
        let tell = |waiting: &Waiting| {
            let what = match waiting.reason {
                WaitingFor::Owner => "uses the store",
                WaitingFor::Collection => "collects garbage",
                WaitingFor::Readers => "reads the store",
            };
            self.events.send(Event::Note(format!(
                "waiting for {}, which {what} {} (--no-wait fails instead)",
                waiting.holder,
                self.root.display()
            )));
        };
        Store::open(&self.root, Open { mode, wait: self.wait, on_wait: Some(&tell) }).map(Arc::new)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Store>>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
