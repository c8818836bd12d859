//! What happens during a request, as typed values. Events only flow outwards: nothing waits for
//! an answer, and a slow or absent listener changes no result. Whoever listens gives the channel a
//! bound: builders can write faster than anybody reads.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Sender;
use floe_core::path::StorePath;

/// Where events go.
#[derive(Clone, Default)]
pub struct Events(Sink);

#[derive(Clone, Default)]
enum Sink {
    #[default]
    Nowhere,
    Channel(Sender<Event>),
    Call(Arc<dyn Fn(Event) + Send + Sync>),
}

impl Events {
    /// Events into this channel.
    pub fn into(sender: Sender<Event>) -> Self {
        Events(Sink::Channel(sender))
    }

    /// Each event is handed to `listener`, by whichever thread it happens on; it must not wait.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Events(Sink::Call(Arc::new(listener)))
    }

    /// Nobody listens.
    pub fn nowhere() -> Self {
        Events(Sink::Nowhere)
    }

    /// Sends an event; a listener that has gone away is no fault.
    pub fn send(&self, event: Event) {
        match &self.0 {
            Sink::Nowhere => {}
            Sink::Channel(sender) => drop(sender.send(event)),
            Sink::Call(listener) => listener(event),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Sink::Nowhere => "Events::nowhere",
            Sink::Channel(_) => "Events::into",
            Sink::Call(_) => "Events::to",
        })
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The graph is known: how many derivations it has, and how many are finished already.
    Planned {
        /// All derivations of the request.
        total: usize,
        /// Those whose outputs are known and present.
        done: usize,
        /// Those that will certainly be built.
        certain: usize,
        /// Those that may have to be built, depending on what comes out below.
        possible: usize,
        /// Those that stand for outputs of derivations which builders have yet to make.
        unknown: usize,
    },
    /// A derivation that a builder made was read.
    Discovered {
        /// The way to it.
        name: Arc<str>,
        /// How many derivations it adds to the request, itself included.
        derivations: usize,
    },
    /// A builder or fetcher started.
    Started {
        /// Dense index of the job in this request.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
    },
    /// A line that a builder wrote, without its newline.
    Log {
        /// Which job.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
        /// The line, possibly cut; any bytes.
        line: Vec<u8>,
    },
    /// A job ended well.
    Finished {
        /// Which job.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
        /// Its outputs.
        outputs: Vec<StorePath>,
        /// Wall time in milliseconds.
        wall_ms: u64,
    },
    /// A job failed; the error itself is in the request's result.
    Failed {
        /// Which job.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
    },
    /// Something a user should know: a missing sandbox layer, waiting for a lock.
    Note(String),
    /// Nothing more will come that is worth waiting for.
    End,
}
