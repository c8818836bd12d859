//! A worker thread: runs jobs until there are no more, and says what came of each. It decides
//! nothing.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::cancel::Cancel;
use crate::event::{Event, Events};
use crate::graph::NodeIx;
use crate::job::{Context, Done, Executor, Failure, Job};

/// A message from a worker.
pub(super) enum Message {
    BuilderEnded,
    Ended {
        /// Whose job it was.
        ix: NodeIx,
        /// What came of it.
        result: Result<Done, Failure>,
        /// Whether `BuilderEnded` was sent before.
        told: bool,
        /// Whether the worker takes no other job.
        dies: bool,
    },
}

/// Runs jobs until there are no more.
pub(super) fn work(
    executor: &dyn Executor,
    events: &Events,
    cancel: &Cancel,
    worker: u32,
    jobs: &Receiver<(NodeIx, Job)>,
    messages: &Sender<Message>,
) {
    for (ix, job) in jobs {
        let told = Cell::new(false);
        let builder_ended = || {
            if !told.replace(true) {
                let _ = messages.send(Message::BuilderEnded);
            }
        };
        let name = Arc::clone(&job.recipe.name);
        events.send(Event::Started { job: job.id, name: Arc::clone(&name), worker });
        let context = Context { events, cancel, builder_ended: &builder_ended };
        let caught = catch_unwind(AssertUnwindSafe(|| executor.execute(&job, &context)));
        let result = match caught {
            Ok(result) => result,
            Err(panic) => {
                // Somebody waits for this job: the panic goes on once they know.
                let message = format!("'{name}': floe itself failed while building it");
                let failure = Failure::Transient { message, log_tail: Vec::new() };
                events.send(Event::Failed { job: job.id, name });
                let (result, told) = (Err(failure), told.get());
                let _ = messages.send(Message::Ended { ix, result, told, dies: true });
                resume_unwind(panic)
            }
        };
        events.send(match &result {
            Ok(done) => Event::Finished {
                job: job.id,
                name,
                outputs: done.outputs.values().cloned().collect(),
                wall_ms: done.cost.wall_ms,
            },
            Err(Failure::Cancelled) => Event::Stopped { job: job.id, name },
            Err(_) => Event::Failed { job: job.id, name },
        });
        let told = told.get();
        let _ = messages.send(Message::Ended { ix, result, told, dies: false });
    }
}
