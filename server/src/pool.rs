//! Who uses which warm evaluation. One request at a time uses one; a second for the same expression
//! waits as long as the first evaluates, and does not wait for its builders: it gets an evaluation of
//! its own, and shares the jobs. Knows no client.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::protocol::Source;
use crate::warm::Warm;

/// How many are kept at most.
const KEPT: usize = 8;

/// So much memory the process may use before it keeps fewer, in parts of all there is.
const MEMORY_SHARE: u64 = 4;

/// How long the builders of another request may take before nobody waits for them.
const SHORT: Duration = Duration::from_millis(200);

/// A rebuilder and a source.
pub(crate) type Key = (String, Source);

struct Entry {
    key: Key,
    /// None while it is in use.
    warm: Option<Box<Warm>>,
    /// When the builders of the request that uses it started.
    building: Option<Instant>,
    used: Instant,
}

/// The warm evaluations of a server.
#[derive(Default)]
pub(crate) struct Pool {
    entries: Mutex<Vec<Entry>>,
    changed: Condvar,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The evaluation that is kept for this key; none if there is none, or none that is free soon.
    /// Whoever asks is expected to give one back.
    pub(crate) fn take(&self, key: &Key) -> Option<Box<Warm>> {
        let mut entries = self.lock();
        loop {
            let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) else {
                let key = key.clone();
                entries.push(Entry { key, warm: None, building: None, used: Instant::now() });
                return None;
            };
            if let Some(warm) = entry.warm.take() {
                entry.building = None;
                return Some(warm);
            }
            let patience = entry.building.map(|since| SHORT.saturating_sub(since.elapsed()));
            if patience == Some(Duration::ZERO) {
                return None;
            }
            let patience = patience.unwrap_or(Duration::from_secs(1));
            let waited = self.changed.wait_timeout(entries, patience);
            entries = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The request that uses it has begun to build.
    pub(crate) fn builds(&self, key: &Key) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| entry.key == *key) {
            entry.building.get_or_insert_with(Instant::now);
        }
        self.changed.notify_all();
    }

    /// Gives one back, or tells that the one that was taken is no more.
    pub(crate) fn put(&self, key: &Key, warm: Option<Box<Warm>>) {
        let mut entries = self.lock();
        let mut dropped = Vec::new();
        match (entries.iter_mut().find(|entry| entry.key == *key), warm) {
            (Some(entry), Some(warm)) => {
                // The younger of two has seen more.
                dropped.extend(entry.warm.replace(warm));
                entry.building = None;
                entry.used = Instant::now();
            }
            (Some(_), None) => entries.retain(|entry| entry.key != *key || entry.warm.is_some()),
            (None, Some(warm)) => {
                let (key, used) = (key.clone(), Instant::now());
                entries.push(Entry { key, warm: Some(warm), building: None, used });
            }
            (None, None) => {}
        }
        while let Some(at) = one_too_many(&entries) {
            dropped.extend(entries.remove(at).warm);
        }
        drop(entries);
        self.changed.notify_all();
        // Takes its time where much was evaluated.
        drop(dropped);
    }

    /// Calls `visit` with all that are not in use.
    pub(crate) fn each(&self, mut visit: impl FnMut(&mut Warm)) {
        self.lock().iter_mut().filter_map(|entry| entry.warm.as_mut()).for_each(|warm| visit(warm));
    }

    /// Calls `visit` with those that are not in use, until one says that this was enough; whether one
    /// did.
    pub(crate) fn any(&self, mut visit: impl FnMut(&mut Warm) -> bool) -> bool {
        self.lock().iter_mut().filter_map(|entry| entry.warm.as_mut()).any(|warm| visit(warm))
    }

    /// Something about the one that is kept for this key, if it is not in use.
    pub(crate) fn of<T>(&self, key: &Key, ask: impl FnOnce(&mut Warm) -> T) -> Option<T> {
        let mut entries = self.lock();
        let entry = entries.iter_mut().find(|entry| entry.key == *key)?;
        entry.warm.as_mut().map(|warm| ask(warm))
    }
}

/// The one that was not used for longest, if there are more than are to be kept.
fn one_too_many(entries: &[Entry]) -> Option<usize> {
    let idle = || entries.iter().enumerate().filter(|(_, entry)| entry.warm.is_some());
    let many = idle().count() > KEPT;
    let large = || resident_bytes() > memory_bytes() / MEMORY_SHARE;
    if many || (idle().count() > 1 && large()) {
        return idle().min_by_key(|(_, entry)| entry.used).map(|(at, _)| at);
    }
    None
}

/// The memory that this process has in use, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)))
}
