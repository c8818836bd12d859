//! The wish to stop, shared by everyone who works on a request. It is sticky, and whoever holds
//! something that must be ended (a builder, a download) leaves word here how to end it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Action = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    flag: AtomicBool,
    next: AtomicU64,
    actions: Mutex<BTreeMap<u64, Action>>,
}

/// A token that is asked often and set once.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl Cancel {
    /// Asks everyone to stop and ends what was registered. Safe to call more than once.
    pub fn cancel(&self) {
        self.0.flag.store(true, Ordering::SeqCst);
        let actions = std::mem::take(&mut *self.lock());
        actions.into_values().for_each(|action| action());
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::SeqCst)
    }

    /// Has `action` run when the token is cancelled, at once if it is already. The action is
    /// forgotten when the guard is dropped.
    #[must_use = "dropping the guard takes the action back"]
    pub fn on_cancel(&self, action: impl FnOnce() + Send + 'static) -> Guard {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Box::new(action));
        // Set between the caller's check and the insertion: the canceller saw an empty list.
        if self.is_cancelled()
            && let Some(action) = self.lock().remove(&id)
        {
            action();
        }
        Guard { cancel: self.clone(), id }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Action>> {
        self.0.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an action back when dropped.
pub struct Guard {
    cancel: Cancel,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.cancel.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_what_is_registered_and_what_comes_later() {
        let cancel = Cancel::default();
        let count = Arc::new(AtomicU64::new(0));
        let add = |n: u64| {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(n, Ordering::SeqCst);
            }
        };
        drop(cancel.on_cancel(add(1)));
        let _kept = cancel.on_cancel(add(10));
        cancel.cancel();
        cancel.cancel();
        let _late = cancel.on_cancel(add(100));
        assert_eq!(count.load(Ordering::SeqCst), 110);
    }
}
