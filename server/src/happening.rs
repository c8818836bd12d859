//! Events on their way from a server to a client. They keep what they say, but for what only the
//! profile of a request is made of; that is written where the request is carried out.

use std::sync::Arc;

use floe_core::path::StorePath;
use floe_engine::event::{self, Event};
use serde::{Deserialize, Serialize};

use crate::protocol::Bytes;

/// An [`Event`] on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Happening {
    /// [`Event::Planned`].
    Planned {
        /// All derivations.
        total: u64,
        /// Those that are finished.
        done: u64,
        /// Those that will be built.
        certain: u64,
        /// Those that may be.
        possible: u64,
        /// Those that stand for outputs of what builders make.
        unknown: u64,
        /// Builders at the same time.
        at_once: u64,
    },
    /// [`Event::Discovered`].
    Discovered(String, u64),
    /// [`Event::Tasks`].
    Tasks(Vec<Task>),
    /// [`Event::Started`], with its worker.
    Started(u32, String, u32),
    /// [`Event::Phase`].
    Phase(u32, Phase),
    /// [`Event::Log`].
    Log(u32, String, Bytes),
    /// [`Event::Finished`], with its outputs and its milliseconds.
    Finished(u32, String, Vec<StorePath>, u64),
    /// [`Event::CutOff`], with how many they are.
    CutOff(Vec<u32>, u64, u32),
    /// [`Event::Failed`].
    Failed(u32, String),
    /// [`Event::Stopped`].
    Stopped(u32, String),
    /// [`Event::Note`].
    Note(String),
}

/// A [`Task`](event::Task) on its way, without what is told in detail only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    job: u32,
    name: String,
    needed_by: Option<u32>,
    certain: bool,
    expected_ms: Option<u64>,
}

impl Task {
    fn of(task: event::Task) -> Task {
        let event::Task { job, name, needed_by, certain, expected_ms, .. } = task;
        Task { job, name: name.to_string(), needed_by, certain, expected_ms }
    }

    fn task(self) -> event::Task {
        let Task { job, name, needed_by, certain, expected_ms } = self;
        let (name, needs) = (Arc::from(name), Vec::new());
        event::Task { job, name, needed_by, certain, expected_ms, needs }
    }
}

/// A [`Phase`](event::Phase) on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// [`event::Phase::SettingUp`].
    SettingUp,
    /// [`event::Phase::Fetching`].
    Fetching,
    /// [`event::Phase::Running`].
    Running,
    /// [`event::Phase::Named`].
    Named(String),
    /// [`event::Phase::Hashing`].
    Hashing,
    /// [`event::Phase::Comparing`].
    Comparing,
    /// [`event::Phase::Registering`].
    Registering,
}

impl Phase {
    fn of(phase: event::Phase) -> Phase {
        match phase {
            event::Phase::SettingUp => Phase::SettingUp,
            event::Phase::Fetching => Phase::Fetching,
            event::Phase::Running => Phase::Running,
            event::Phase::Named(name) => Phase::Named(name.to_string()),
            event::Phase::Hashing => Phase::Hashing,
            event::Phase::Comparing => Phase::Comparing,
            event::Phase::Registering => Phase::Registering,
        }
    }

    fn phase(self) -> event::Phase {
        match self {
            Phase::SettingUp => event::Phase::SettingUp,
            Phase::Fetching => event::Phase::Fetching,
            Phase::Running => event::Phase::Running,
            Phase::Named(name) => event::Phase::Named(Arc::from(name)),
            Phase::Hashing => event::Phase::Hashing,
            Phase::Comparing => event::Phase::Comparing,
            Phase::Registering => event::Phase::Registering,
        }
    }
}

impl Happening {
    /// What is told of an event.
    pub fn of(event: Event) -> Option<Happening> {
        Some(match event {
            Event::Planned { total, done, certain, possible, unknown, at_once } => {
                Happening::Planned {
                    total: total as u64,
                    done: done as u64,
                    certain: certain as u64,
                    possible: possible as u64,
                    unknown: unknown as u64,
                    at_once: at_once as u64,
                }
            }
            Event::Discovered { name, derivations } => {
                Happening::Discovered(name.to_string(), derivations as u64)
            }
            Event::Tasks(tasks) => Happening::Tasks(tasks.into_iter().map(Task::of).collect()),
            Event::Started { job, name, worker } => {
                Happening::Started(job, name.to_string(), worker)
            }
            Event::Phase { job, phase } => Happening::Phase(job, Phase::of(phase)),
            Event::Log { job, name, line } => Happening::Log(job, name.to_string(), Bytes(line)),
            Event::Finished { job, name, outputs, wall_ms } => {
                Happening::Finished(job, name.to_string(), outputs, wall_ms)
            }
            Event::CutOff { jobs, count, by } => Happening::CutOff(jobs, count as u64, by),
            Event::Failed { job, name } => Happening::Failed(job, name.to_string()),
            Event::Stopped { job, name } => Happening::Stopped(job, name.to_string()),
            Event::Note(text) => Happening::Note(text),
            // A profile is written where the request is carried out.
            Event::Ready { .. } | Event::Stage { .. } | Event::End => return None,
        })
    }

    /// The event again.
    pub fn event(self) -> Event {
        let name = |name: String| Arc::from(name.as_str());
        match self {
            Happening::Planned { total, done, certain, possible, unknown, at_once } => {
                Event::Planned {
                    total: total as usize,
                    done: done as usize,
                    certain: certain as usize,
                    possible: possible as usize,
                    unknown: unknown as usize,
                    at_once: at_once as usize,
                }
            }
            Happening::Discovered(text, derivations) => {
                Event::Discovered { name: name(text), derivations: derivations as usize }
            }
            Happening::Tasks(tasks) => Event::Tasks(tasks.into_iter().map(Task::task).collect()),
            Happening::Started(job, text, worker) => {
                Event::Started { job, name: name(text), worker }
            }
            Happening::Phase(job, phase) => Event::Phase { job, phase: phase.phase() },
            Happening::Log(job, text, line) => Event::Log { job, name: name(text), line: line.0 },
            Happening::Finished(job, text, outputs, wall_ms) => {
                Event::Finished { job, name: name(text), outputs, wall_ms }
            }
            Happening::CutOff(jobs, count, by) => Event::CutOff { jobs, count: count as usize, by },
            Happening::Failed(job, text) => Event::Failed { job, name: name(text) },
            Happening::Stopped(job, text) => Event::Stopped { job, name: name(text) },
            Happening::Note(text) => Event::Note(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_what_they_say() {
        let path = StorePath::new(&[7; 20], "zlib").expect("a valid name");
        let task = event::Task {
            job: 3,
            name: "zlib".into(),
            needed_by: Some(5),
            certain: true,
            expected_ms: Some(1200),
            needs: Vec::new(),
        };
        let phases = [
            event::Phase::SettingUp,
            event::Phase::Fetching,
            event::Phase::Running,
            event::Phase::Named("buildPhase".into()),
            event::Phase::Hashing,
            event::Phase::Comparing,
            event::Phase::Registering,
        ];
        let mut events = vec![
            Event::Planned { total: 9, done: 4, certain: 1, possible: 2, unknown: 0, at_once: 8 },
            Event::Tasks(vec![task]),
            Event::Started { job: 3, name: "zlib".into(), worker: 2 },
            Event::Log { job: 3, name: "zlib".into(), line: b"\xff line".to_vec() },
            Event::Finished { job: 3, name: "zlib".into(), outputs: vec![path], wall_ms: 7 },
            Event::CutOff { jobs: vec![4, 5], count: 2, by: 3 },
            Event::Failed { job: 4, name: "png".into() },
            Event::Stopped { job: 5, name: "app".into() },
            Event::Note("note".to_owned()),
        ];
        events.extend(phases.map(|phase| Event::Phase { job: 3, phase }));
        for event in events {
            let told = Happening::of(event.clone()).expect("it is told");
            let bytes = crate::frame::pack(&told).expect("it can be sent");
            let heard: Happening = crate::frame::receive(&mut bytes.as_slice()).expect("heard");
            assert_eq!(format!("{:?}", heard.event()), format!("{event:?}"));
        }
    }
}
