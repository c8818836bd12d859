//! A profile of a whole request: a listener that stands before the others and notes when each event
//! was told, and what can be said of that afterwards. The engine knows nothing of it but that
//! somebody wants details; where nobody does, nothing is noted and nothing is told.
//!
//! [`spans`] makes spans of what was noted, [`chain`] finds the longest chain of jobs that waited
//! for one another, and [`chrome`] writes all of it as trace events. Sandbox profiles are something
//! else (`local::profile`), and so is where an evaluation's time goes (`floe_lang::profile`).

mod chain;
mod chrome;
mod spans;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::event::{Event, Events};

pub use spans::{Job, Profile, Request, Span, Summary};

/// Notes events and when they were told, in nanoseconds since it started. The clock is monotonic.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Notes>);

#[derive(Debug)]
struct Notes {
    start: Instant,
    noted: Mutex<Vec<(u64, Event)>>,
}

impl Recorder {
    /// Begins now.
    pub fn start() -> Recorder {
        Recorder(Arc::new(Notes { start: Instant::now(), noted: Mutex::default() }))
    }

    /// Nanoseconds since it began.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Hears what others hear, before they do, and what is of no use to them.
    pub fn before(&self, others: Events) -> Events {
        let own = self.clone();
        let hear = move |event: Event| {
            // A log is no news here, and may be long.
            if !matches!(event, Event::Log { .. } | Event::Note(_)) {
                // The moment is taken with the lock, so that what is noted is in order.
                let mut noted = own.lock();
                noted.push((own.now_ns(), event.clone()));
            }
            others.send(event);
        };
        Events::to(hear).in_detail()
    }

    /// What was noted until now; whatever comes later is not heard of.
    pub fn finish(&self) -> Profile {
        let mut noted = self.lock();
        let end_ns = self.now_ns();
        Profile::of(std::mem::take(&mut *noted), end_ns)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Event)>> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
