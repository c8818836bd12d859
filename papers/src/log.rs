//! What happened in a build, in order. Tests and tables read nothing else of the machinery.

use std::collections::BTreeSet;

use crate::value::Key;

/// One thing that happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Its task was started.
    Started(Key),
    /// Its task was given up, because it needs what is not up to date.
    Aborted(Key),
    /// Its task came to an end.
    Ran(Key),
    /// What was there may stand.
    Kept(Key),
    /// A trace told what it is.
    Taken(Key),
    /// An old result was renamed into the new one.
    Retargeted(Key),
    /// Its value was brought from the cloud.
    Fetched(Key),
    /// A retargeted result was built as well, and both were equal (true) or not.
    Audited(Key, bool),
}

/// What happened in one build.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// All events.
    pub events: Vec<Event>,
    /// Keys whose task is a command.
    pub commands: BTreeSet<Key>,
    /// How long it took where several work: a run lasts one at least.
    pub time: u64,
}

impl Log {
    /// The keys for which an event of this kind happened, in order, commands only.
    pub fn of(&self, kind: fn(Key) -> Event) -> Vec<Key> {
        let chosen = self.events.iter().filter_map(|event| {
            let key = event.key();
            (kind(key) == *event && self.commands.contains(&key)).then_some(key)
        });
        chosen.collect()
    }

    /// The commands that ran to their end.
    pub fn ran(&self) -> Vec<Key> {
        self.of(Event::Ran)
    }

    /// The commands that were started, also in vain.
    pub fn started(&self) -> Vec<Key> {
        self.of(Event::Started)
    }

    /// The results that were renamed.
    pub fn retargeted(&self) -> Vec<Key> {
        self.of(Event::Retargeted)
    }
}

impl Event {
    /// Whom it concerns.
    pub fn key(self) -> Key {
        match self {
            Event::Started(key)
            | Event::Aborted(key)
            | Event::Ran(key)
            | Event::Kept(key)
            | Event::Taken(key)
            | Event::Retargeted(key)
            | Event::Fetched(key)
            | Event::Audited(key, _) => key,
        }
    }
}
