//! The building site, where a scheduler and a rebuilder meet: [`Site::bring`] brings one key up to date, asking the
//! scheduler for each dependency and the rebuilder for its judgement. Decides nothing itself.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 6.1, where a rebuilder turns a task into one that skips work.
//! Here it is cut in two, a judgement and a record, with a loop around them: the rebuilder borrows nothing while a task
//! runs, any scheduler can be put under any rebuilder at run time, and a judgement can be read as a pure function.

use std::collections::BTreeSet;

use crate::chance::Chance;
use crate::log::{Event, Log};
use crate::rebuilder::{Job, Known, Need, Ran, Rebuilder, Verdict};
use crate::store::Store;
use crate::task::{Blocked, Look, Looked, Part, Seen, Task, Tasks, World};
use crate::value::{Entry, Key, Name, Value};

/// What one build works on.
pub struct Site<'a> {
    /// How to make things.
    pub tasks: &'a dyn Tasks,
    /// What there is.
    pub store: &'a mut Store,
    /// Who judges.
    pub rebuilder: &'a mut dyn Rebuilder,
    /// What happens.
    pub log: &'a mut Log,
    /// Where chance comes from.
    pub chance: &'a mut Chance,
    /// Keys that are up to date.
    pub done: BTreeSet<Key>,
    /// Of a thousand retargets, how many are audited.
    pub audit_per_mille: u64,
}

/// What came out of a run, and what it looked at.
pub type Run = (Value, Vec<Looked>);

/// A key that was judged.
pub struct Judged {
    /// The key.
    pub key: Key,
    /// Whether its task is to run.
    pub runs: bool,
    asked: BTreeSet<Key>,
    verdict: Verdict,
}

/// A key that was judged, with its run if there was one, and of which nobody knows yet.
pub struct Prepared {
    /// The judgement.
    pub judged: Judged,
    /// The run.
    pub ran: Option<Run>,
}

/// The scheduler's part: see to it that a key is up to date, or refuse.
pub type Ready<'r> = &'r mut dyn FnMut(&mut Site<'_>, Key) -> Result<(), Blocked>;

impl Site<'_> {
    /// Whether a key has no task.
    pub fn is_input(&self, key: Key) -> bool {
        self.tasks.task(key).is_none()
    }

    /// Bring a key up to date.
    pub fn bring(&mut self, key: Key, ready: Ready<'_>) -> Result<(), Blocked> {
        if let Some(prepared) = self.prepare(key, ready)? {
            self.finish(prepared);
        }
        Ok(())
    }

    /// Judge a key and run its task if need be, without telling anyone. Nothing for an input.
    fn prepare(&mut self, key: Key, ready: Ready<'_>) -> Result<Option<Prepared>, Blocked> {
        let Some(judged) = self.judge(key, ready)? else { return Ok(None) };
        let ran = self.run(&judged, ready)?;
        Ok(Some(Prepared { judged, ran }))
    }

    /// Judge a key; nothing for an input.
    pub fn judge(&mut self, key: Key, ready: Ready<'_>) -> Result<Option<Judged>, Blocked> {
        let tasks = self.tasks;
        let Some(task) = tasks.task(key) else { return Ok(None) };
        if task.is_command() {
            self.log.commands.insert(key);
        }
        let mut asked = BTreeSet::new();
        let verdict = loop {
            let job = Job { key, task: task.as_ref(), current: self.store.entry(key) };
            let known = Known { store: self.store, tasks, asked: &asked };
            match self.rebuilder.judge(&job, &known) {
                Ok(verdict) => break verdict,
                Err(Need(dependency)) => {
                    ready(self, dependency)?;
                    asked.insert(dependency);
                }
            }
        };
        // now and then a renamed result is built as well
        let audited = matches!(verdict, Verdict::Retarget(..))
            && self.chance.below(1000) < self.audit_per_mille;
        let runs = verdict == Verdict::Run || audited;
        Ok(Some(Judged { key, runs, asked, verdict }))
    }

    /// Run the task of a key that was judged, if it is to run.
    pub fn run(&mut self, judged: &Judged, ready: Ready<'_>) -> Result<Option<Run>, Blocked> {
        let tasks = self.tasks;
        match tasks.task(judged.key).filter(|_| judged.runs) {
            Some(task) => self.attempt(judged.key, task.as_ref(), ready).map(Some),
            None => Ok(None),
        }
    }

    /// Put what was prepared in its place, and let the rebuilder remember it.
    pub fn finish(&mut self, prepared: Prepared) {
        let Prepared { judged: Judged { key, asked, verdict, .. }, ran } = prepared;
        let tasks = self.tasks;
        let Some(task) = tasks.task(key) else { return };
        let audited = verdict != Verdict::Run;
        match verdict {
            Verdict::Run => {}
            Verdict::Keep => {
                self.log.events.push(Event::Kept(key));
                if let (Some(entry), false) = (self.store.entry(key), self.rebuilder.is_shallow()) {
                    self.fetch(key, entry);
                }
            }
            Verdict::Take(entry) => {
                self.store.set(key, entry);
                self.log.events.push(Event::Taken(key));
                if !self.rebuilder.is_shallow() {
                    self.fetch(key, entry);
                }
            }
            Verdict::Retarget(value, names) => {
                let name = self.rebuilder.naming().name(key, value.digest(), &names);
                self.store.put(key, name, value);
                self.log.events.push(Event::Retargeted(key));
            }
        }
        if let Some(run) = ran {
            let renamed = self.store.entry(key);
            let built = self.conclude(key, task.as_ref(), run);
            if audited {
                let same = renamed.is_some_and(|entry| entry.digest == built.digest);
                self.log.events.push(Event::Audited(key, same));
            }
        }
        let job = Job { key, task: task.as_ref(), current: self.store.entry(key) };
        let known = Known { store: self.store, tasks, asked: &asked };
        self.rebuilder.settled(&job, &known);
        self.done.insert(key);
    }

    /// Note the end of a run and what it looked at.
    fn conclude(&mut self, key: Key, task: &dyn Task, (value, looks): Run) -> Entry {
        let names: Vec<Name> = looks.iter().map(|looked| looked.entry.name).collect();
        let before = self.store.entry(key);
        let name = self.rebuilder.naming().name(key, value.digest(), &names);
        let entry = self.store.put(key, name, value);
        self.log.events.push(Event::Ran(key));
        let asked = looks.iter().map(|looked| looked.key).collect();
        let known = Known { store: self.store, tasks: self.tasks, asked: &asked };
        self.rebuilder.record(&Job { key, task, current: before }, &Ran { entry, looks }, &known);
        entry
    }

    /// Have a value here; whether it is.
    fn fetch(&mut self, key: Key, entry: Entry) -> bool {
        let missing = self.store.value(entry.digest).is_none();
        if missing && self.store.fetch(entry.digest) {
            self.log.events.push(Event::Fetched(key));
        }
        self.store.value(entry.digest).is_some()
    }

    fn attempt(&mut self, key: Key, task: &dyn Task, ready: Ready<'_>) -> Result<Run, Blocked> {
        self.log.events.push(Event::Started(key));
        let mut looking = Looking { site: self, ready, looks: Vec::new() };
        let result = task.run(&mut looking);
        let looks = looking.looks;
        if result.is_err() {
            self.log.events.push(Event::Aborted(key));
        }
        Ok((result?, looks))
    }

    /// The value of a key that is up to date, fetched or, where it is nowhere any more, made again.
    pub fn materialise(&mut self, key: Key, ready: Ready<'_>) -> Result<(Entry, Value), Blocked> {
        let nothing = Entry { digest: Value::words([]).digest(), name: Name(0) };
        let mut entry = self.store.entry(key).unwrap_or(nothing);
        if self.store.entry(key).is_some() && !self.fetch(key, entry) {
            let tasks = self.tasks;
            if let Some(task) = tasks.task(key) {
                let run = self.attempt(key, task.as_ref(), ready)?;
                entry = self.conclude(key, task.as_ref(), run);
            }
        }
        Ok((entry, self.store.value(entry.digest).cloned().unwrap_or(Value::words([]))))
    }
}

/// The world as a task sees it: every look goes through the scheduler and is noted.
struct Looking<'s, 'a, 'r> {
    site: &'s mut Site<'a>,
    ready: Ready<'r>,
    looks: Vec<Looked>,
}

impl World for Looking<'_, '_, '_> {
    fn look(&mut self, key: Key, what: Look) -> Result<Seen, Blocked> {
        if !self.site.is_input(key) {
            (self.ready)(self.site, key)?;
        }
        let (entry, value) = self.site.materialise(key, self.ready)?;
        let part = Part::of(&value, what);
        let looked = Looked::new(key, what, entry, &part);
        if !self.looks.contains(&looked) {
            self.looks.push(looked);
        }
        Ok(Seen { name: entry.name, part })
    }

    fn random(&mut self, below: u64) -> u64 {
        self.site.chance.below(below)
    }
}
