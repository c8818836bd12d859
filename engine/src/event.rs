//! What happens during a request, as typed values. Events only flow outwards: nothing waits for
//! an answer, and a slow or absent listener changes no result. Whoever listens gives the channel a
//! bound: builders can write faster than anybody reads.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Sender;
use floe_core::path::StorePath;

/// Where events go.
#[derive(Clone, Default)]
pub struct Events {
    sink: Sink,
    /// Whether somebody wants to know what is of no use but to a profile.
    detailed: bool,
}

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
        Events { sink: Sink::Channel(sender), detailed: false }
    }

    /// Each event is handed to `listener`, by whichever thread it happens on; it must not wait.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Events { sink: Sink::Call(Arc::new(listener)), detailed: false }
    }

    /// Nobody listens.
    pub fn nowhere() -> Self {
        Events::default()
    }

    /// The same listener, who wants to know the details as well.
    pub(crate) fn in_detail(self) -> Self {
        Events { detailed: true, ..self }
    }

    /// Whether anybody listens.
    pub fn are_heard(&self) -> bool {
        !matches!(self.sink, Sink::Nowhere)
    }

    /// Whether [`Event::Stage`], [`Event::Ready`] and the inputs of tasks are wanted.
    pub fn are_detailed(&self) -> bool {
        self.detailed
    }

    /// A stage of the request begins, if somebody wants to know; it ends with the guard.
    pub fn stage(&self, stage: Stage) -> StageGuard {
        let events = self.detailed.then(|| self.clone());
        if let Some(events) = &events {
            events.send(Event::Stage { stage, begins: true });
        }
        StageGuard { events, stage }
    }

    /// Sends an event; a listener that has gone away is no fault.
    pub fn send(&self, event: Event) {
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Channel(sender) => drop(sender.send(event)),
            Sink::Call(listener) => listener(event),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.sink {
            Sink::Nowhere => "Events::nowhere",
            Sink::Channel(_) => "Events::into",
            Sink::Call(_) => "Events::to",
        })
    }
}

/// Ends a stage when it is dropped.
#[must_use = "the stage ends when this is dropped"]
pub struct StageGuard {
    events: Option<Events>,
    stage: Stage,
}

impl Drop for StageGuard {
    fn drop(&mut self) {
        if let Some(events) = &self.events {
            events.send(Event::Stage { stage: self.stage, begins: false });
        }
    }
}

/// A part of a request, for profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The expression is evaluated; what it imports is built meanwhile.
    Evaluating,
    /// The evaluated derivations become the engine's graph.
    Importing,
    /// Addresses, keys and what the trace says of them.
    Resolving,
    /// The store is opened for writing, and what runs builders is made ready.
    Opening,
    /// Workers run what must run.
    Building,
    /// What was decided is compared with the records and written.
    Deciding,
    /// What was written is made to outlive a power cut.
    Syncing,
}

impl Stage {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Evaluating => "evaluation",
            Stage::Importing => "import",
            Stage::Resolving => "resolution",
            Stage::Opening => "opening the store",
            Stage::Building => "building",
            Stage::Deciding => "decisions",
            Stage::Syncing => "sync",
        }
    }
}

/// What a job is at. A builder names further ones itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Its directories and its sandbox are made.
    SettingUp,
    /// A file or tree is fetched.
    Fetching,
    /// The builder runs.
    Running,
    /// The builder says that it is at this; at most [`Phase::LONGEST`] bytes of its choice.
    Named(Arc<str>),
    /// The outputs are made canonical, hashed and scanned for references.
    Hashing,
    /// They are compared with what was built before.
    Comparing,
    /// They are made true.
    Registering,
}

impl Phase {
    /// Bytes of a name that are kept.
    pub const LONGEST: usize = 64;

    /// A phase that the builder names; `None` for no name at all.
    pub fn named(name: &str) -> Option<Phase> {
        let name = name.trim();
        let end = (0..=name.len().min(Phase::LONGEST)).rev().find(|&at| name.is_char_boundary(at));
        let name = &name[..end.unwrap_or(0)];
        (!name.is_empty()).then(|| Phase::Named(Arc::from(name)))
    }

    /// The word for it; what a builder chose may hold any characters.
    pub fn word(&self) -> &str {
        match self {
            Phase::SettingUp => "setting up",
            Phase::Fetching => "fetching",
            Phase::Running => "running",
            Phase::Named(name) => name,
            Phase::Hashing => "hashing",
            Phase::Comparing => "comparing",
            Phase::Registering => "registering",
        }
    }
}

/// A derivation that is to be built, or may have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The dense index that its job will have.
    pub job: u32,
    /// The derivation's name.
    pub name: Arc<str>,
    /// Of the tasks that need it the one that has the longest way to a target; none for a target
    /// and for what nobody else needs. It is a greater number than the task's own.
    pub needed_by: Option<u32>,
    /// Whether it will certainly be built.
    pub certain: bool,
    /// How long its builder took the last time, in milliseconds.
    pub expected_ms: Option<u64>,
    /// The tasks that it needs; told in detail only.
    pub needs: Vec<u32>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The graph is known: how many derivations it has, and how many are finished already. The
    /// numbers of jobs that were told before mean nothing any more.
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
        /// Builders at the same time.
        at_once: usize,
    },
    /// A derivation that a builder made was read.
    Discovered {
        /// The way to it.
        name: Arc<str>,
        /// How many derivations it adds to the request, itself included.
        derivations: usize,
    },
    /// The derivations that may be built, after [`Event::Planned`]; in parts if they are many, and
    /// only those that will be if they are thousands.
    Tasks(Vec<Task>),
    /// Nothing but the start of others is missing for a job to start; told in detail only.
    Ready {
        /// Which job.
        job: u32,
    },
    /// A builder or fetcher started.
    Started {
        /// Dense index of the job in this request.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
        /// Which worker it is on, by a dense index.
        worker: u32,
    },
    /// A job goes on to something else.
    Phase {
        /// Which job.
        job: u32,
        /// What.
        phase: Phase,
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
    /// These need not be built after all: what they are made from came out as it is known already.
    CutOff {
        /// What would have been their jobs; none if they are thousands.
        jobs: Vec<u32>,
        /// How many they are.
        count: usize,
        /// After whose end this was seen.
        by: u32,
    },
    /// A job failed; the error itself is in the request's result.
    Failed {
        /// Which job.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
    },
    /// A job was stopped, because somebody asked to.
    Stopped {
        /// Which job.
        job: u32,
        /// The derivation's name.
        name: Arc<str>,
    },
    /// A stage of the request begins or ends; told in detail only.
    Stage {
        /// Which.
        stage: Stage,
        /// Whether it begins.
        begins: bool,
    },
    /// Something a user should know: a missing sandbox layer, waiting for a lock.
    Note(String),
    /// Nothing more will come that is worth waiting for.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_phases_are_cut_between_characters() {
        assert_eq!(Phase::named("  "), None);
        assert_eq!(Phase::named(" buildPhase\r"), Some(Phase::Named("buildPhase".into())));
        let Some(Phase::Named(name)) = Phase::named(&"é".repeat(100)) else { panic!("no phase") };
        assert_eq!(&*name, "é".repeat(Phase::LONGEST / 2));
        let Some(Phase::Named(name)) = Phase::named(&format!("x{}", "é".repeat(100))) else {
            panic!("no phase")
        };
        assert_eq!(name.len(), Phase::LONGEST - 1);
    }

    #[test]
    fn details_are_told_only_to_who_wants_them() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let events = Events::into(sender);
        drop(events.stage(Stage::Importing));
        assert!(receiver.try_recv().is_err());
        drop(events.in_detail().stage(Stage::Importing));
        for expected in [true, false] {
            let told = receiver.try_recv();
            assert!(matches!(told, Ok(Event::Stage { begins, .. }) if begins == expected));
        }
    }
}
