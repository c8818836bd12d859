//! Jobs that several requests want at the same time: each resolved derivation runs once, whoever
//! asked for it, and is cancelled when the last who waits for it stops waiting. It knows no store
//! and no query; what a job does is the executor's affair.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use floe_core::hash::Digest;

use crate::cancel::Cancel;
use crate::event::{Event, Events};
use crate::job::{Context, Cost, Done, Executor, Failure, Job};

/// The jobs of this process, by what is run and how.
#[derive(Default)]
pub struct Jobs(Mutex<Table>);

#[derive(Default)]
struct Table {
    running: HashMap<Digest, Arc<Run>>,
    /// What ended while requests go on, and when.
    ended: HashMap<Digest, (Instant, Done)>,
    /// Requests that may still run jobs.
    requests: u64,
}

impl Jobs {
    /// Whether none is running.
    pub fn is_idle(&self) -> bool {
        self.lock().running.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One job that is running.
#[derive(Default)]
struct Run {
    cancel: Cancel,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    takers: Vec<Taker>,
    next: u64,
    builder_ended: bool,
    result: Option<Result<Done, Failure>>,
}

/// A request that waits for the result.
struct Taker {
    id: u64,
    /// The job's number in that request.
    job: u32,
    events: Events,
}

impl Run {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, job: u32, events: &Events) -> u64 {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.takers.push(Taker { id, job, events: events.clone() });
        id
    }

    fn end(&self, result: Result<Done, Failure>) {
        self.lock().result = Some(result);
        self.changed.notify_all();
    }

    /// Waits for the result. One who is to stop does not while others go on waiting; the last ends
    /// the job and sees it end.
    fn wait(self: &Arc<Self>, id: u64, context: &Context<'_>) -> Result<Done, Failure> {
        let run = Arc::clone(self);
        let _wakes = context.cancel.on_cancel(move || {
            // Not between the look at the token and the sleep.
            drop(run.lock());
            run.changed.notify_all();
        });
        let mut told = false;
        let mut state = self.lock();
        loop {
            if state.builder_ended && !std::mem::replace(&mut told, true) {
                drop(state);
                (context.builder_ended)();
                state = self.lock();
            }
            if let Some(result) = state.result.clone() {
                return result;
            }
            if context.cancel.is_cancelled() {
                state.takers.retain(|taker| taker.id != id);
                if !state.takers.is_empty() {
                    return Err(Failure::Cancelled);
                }
                drop(state);
                self.cancel.cancel();
                state = self.lock();
                if state.result.is_some() {
                    continue;
                }
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells everyone who waits, each under his own number for the job.
    fn tell(&self, event: &Event) {
        let state = self.lock();
        for taker in &state.takers {
            let mut event = event.clone();
            if let Event::Log { job, .. } | Event::Phase { job, .. } = &mut event {
                *job = taker.job;
            }
            taker.events.send(event);
        }
    }
}

/// An executor whose jobs other requests may share.
pub(crate) struct Shared {
    inner: Arc<dyn Executor>,
    jobs: Arc<Jobs>,
    /// How the executor runs builders: others are shared only with those who want it so.
    manner: Digest,
    /// When the request began to look up what is known: what ended since then, it may have missed.
    began: Instant,
}

impl Shared {
    pub(crate) fn new(
        inner: Arc<dyn Executor>,
        jobs: Arc<Jobs>,
        manner: Digest,
        began: Instant,
    ) -> Self {
        jobs.lock().requests += 1;
        Shared { inner, jobs, manner, began }
    }

    /// The run of this job, started if there is none, and who waits for it there; unless another
    /// request ended it since this one began.
    fn join(&self, job: &Job, events: &Events) -> Result<(Arc<Run>, u64), Done> {
        let key = Digest::of(&[self.manner.0, job.key.0].concat());
        let mut table = self.jobs.lock();
        if let Some(run) = table.running.get(&key) {
            return Ok((Arc::clone(run), run.join(job.id, events)));
        }
        if let Some((at, done)) = table.ended.get(&key)
            && *at >= self.began
        {
            return Err(Done { cost: Cost::default(), ..done.clone() });
        }
        let run: Arc<Run> = Arc::default();
        let id = run.join(job.id, events);
        table.running.insert(key, Arc::clone(&run));
        drop(table);
        self.start(key, job, &run);
        Ok((run, id))
    }

    fn start(&self, key: Digest, job: &Job, run: &Arc<Run>) {
        let (inner, jobs, job) = (Arc::clone(&self.inner), Arc::clone(&self.jobs), job.clone());
        let own = Arc::clone(run);
        let thread = std::thread::Builder::new().name("floe-job".into()).spawn(move || {
            let result = execute(&*inner, &job, &own);
            // It lets go of the store before anybody is told.
            drop(inner);
            let mut table = jobs.lock();
            table.running.remove(&key);
            if let Ok(done) = &result {
                table.ended.insert(key, (Instant::now(), done.clone()));
            }
            drop(table);
            own.end(result);
        });
        if let Err(error) = thread {
            self.jobs.lock().running.remove(&key);
            let message = format!("cannot start a thread: {error}; free processes and build again");
            run.end(Err(Failure::Transient { message, log_tail: Vec::new() }));
        }
    }
}

fn execute(inner: &dyn Executor, job: &Job, run: &Arc<Run>) -> Result<Done, Failure> {
    let teller = Arc::clone(run);
    let events = Events::to(move |event| teller.tell(&event));
    let builder_ended = || {
        run.lock().builder_ended = true;
        run.changed.notify_all();
    };
    let context = Context { events: &events, cancel: &run.cancel, builder_ended: &builder_ended };
    let caught = catch_unwind(AssertUnwindSafe(|| inner.execute(job, &context)));
    caught.unwrap_or_else(|_| {
        let message = format!("'{}': floe itself failed while building it", job.recipe.name);
        Err(Failure::Transient { message, log_tail: Vec::new() })
    })
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut table = self.jobs.lock();
        table.requests -= 1;
        if table.requests == 0 {
            table.ended.clear();
        }
    }
}

impl Executor for Shared {
    fn systems(&self) -> &[String] {
        self.inner.systems()
    }

    fn features(&self) -> &[String] {
        self.inner.features()
    }

    fn execute(&self, job: &Job, context: &Context<'_>) -> Result<Done, Failure> {
        if job.check.is_some() {
            // It is run to be run.
            return self.inner.execute(job, context);
        }
        loop {
            let (run, id) = match self.join(job, context.events) {
                Ok(joined) => joined,
                Err(done) => return Ok(done),
            };
            let result = run.wait(id, context);
            // Somebody else's wish to stop, just before we came, is not ours.
            if !matches!(result, Err(Failure::Cancelled)) || context.cancel.is_cancelled() {
                return result;
            }
        }
    }
}
