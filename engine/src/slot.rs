//! The one opening of a store root that a process has: for reading as long as nothing must be
//! written, for writing from then on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floe_store::{Mode, Open, Store, StoreError, Waiting, WaitingFor};

use crate::event::{Event, Events};

/// A store root, opened as far as was needed.
pub struct Slot {
    root: PathBuf,
    wait: bool,
    events: Events,
    store: Mutex<Option<Arc<Store>>>,
    /// Held while a request is entered into the store's history.
    turn: Mutex<()>,
    /// Held while it is opened, which may take until another process ends; taken before `store`.
    opening: Mutex<()>,
}

impl Slot {
    /// The root at `root`, opened for reading if it exists. `wait` says whether to wait for
    /// another process that holds a lock.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn open(root: &Path, wait: bool, events: Events) -> Result<Slot, StoreError> {
        let slot = Slot::closed(root, wait, events);
        slot.look()?;
        Ok(slot)
    }

    /// The root at `root`, not opened yet.
    pub fn closed(root: &Path, wait: bool, events: Events) -> Slot {
        let (store, turn, opening) = (Mutex::default(), Mutex::default(), Mutex::default());
        Slot { root: root.to_path_buf(), wait, events, store, turn, opening }
    }

    /// The store as it is open now; none if it is closed or does not exist yet.
    pub fn get(&self) -> Option<Arc<Store>> {
        self.lock().clone()
    }

    /// The store, opened for reading if it is closed and exists.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn look(&self) -> Result<Option<Arc<Store>>, StoreError> {
        if let Some(store) = self.get() {
            return Ok(Some(store));
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let mut store = self.get();
        if store.is_none() && Store::exists(&self.root) {
            store = Some(self.open_as(Mode::ReadOnly, self.wait)?);
            self.lock().clone_from(&store);
        }
        Ok(store)
    }

    /// The store, open for writing, created if need be.
    ///
    /// # Errors
    /// When it cannot be opened so.
    pub fn writable(&self) -> Result<Arc<Store>, StoreError> {
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = self.get();
        if let Some(store) = &reader
            && store.mode() == Mode::ReadWrite
        {
            return Ok(Arc::clone(store));
        }
        let store = match self.open_as(Mode::ReadWrite, false) {
            Err(StoreError::Busy { .. }) if self.wait => {
                if let Some(reader) = reader {
                    reader.yield_to_collection();
                }
                self.open_as(Mode::ReadWrite, true)?
            }
            opened => opened?,
        };
        *self.lock() = Some(Arc::clone(&store));
        Ok(store)
    }

    /// The turn to enter a request into the store's history; one has it at a time.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the store as far as this slot holds it.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn open_as(&self, mode: Mode, wait: bool) -> Result<Arc<Store>, StoreError> {
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
        Store::open(&self.root, Open { mode, wait, on_wait: Some(&tell) }).map(Arc::new)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Store>>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
