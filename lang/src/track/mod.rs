//! What each value rests on, for evaluations that outlive an edit: every read of the world, and
//! every use of a value that rests on one, is written to a log; a thunk's value rests on what was
//! logged while it was computed. When a read would give something else now, exactly the thunks
//! that rest on it become unevaluated again.
//!
//! A derivation is a **joint**: strings hold it by its name and outputs, whatever it is made of, so an
//! edit that changes only what it is made of stops there (`joint`).
//!
//! Why this is enough: a value can be reached only through the thunk that made it, or through a
//! value made while that thunk was computed. A thunk that rests on something is never shortened
//! away (its state is `Kept`, not `Done`), so whoever gets at its value passes it and is logged.

mod joint;
mod log;

use std::path::PathBuf;

use floe_core::hash::Digest;
use serde::{Deserialize, Serialize};

use crate::coerce::os_path;
use crate::error::Res;
use crate::graph::{DrvId, SourceId};
use crate::heap::Gc;
use crate::host::{FetchAttr, FetchRequest, Fetched, FileKind, Host, HostError, Origin, Source};
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::{State, Thunk, Value};

pub(crate) use joint::MadeLast;
use log::Made;
pub use log::Rests;
pub(crate) use log::{Kept, RecordId, Stretch, Tracking};

/// One thing that evaluation asked the world for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Read {
    /// A file's content.
    File(#[serde(with = "floe_core::bytes")] PathBuf),
    /// A directory's entries.
    Directory(#[serde(with = "floe_core::bytes")] PathBuf),
    /// What kind of thing is at a path, if any.
    Kind(#[serde(with = "floe_core::bytes")] PathBuf),
    /// A symbolic link's text.
    Link(#[serde(with = "floe_core::bytes")] PathBuf),
    /// An environment variable.
    Variable(String),
    /// The time.
    Clock,
    /// A source, whole.
    Source(Box<Source>),
    /// A fetcher's answer.
    Fetch(Box<FetchRequest>),
}

/// A read of one evaluation: dense, in the order of first asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(pub u32);

impl Read {
    /// What the world answers now, as a digest; failures are answers too. Nothing for a source:
    /// whether its files changed is the host's affair.
    pub fn answer(&self, host: &dyn Host) -> Option<Digest> {
        Some(match self {
            Read::File(path) => file_answer(&host.read_file(&host.physical(path))),
            Read::Directory(path) => directory_answer(&host.read_dir(&host.physical(path))),
            Read::Kind(path) => kind_answer(&host.file_kind(&host.physical(path))),
            Read::Link(path) => link_answer(&host.read_link(&host.physical(path))),
            Read::Variable(name) => variable_answer(host.env_var(name).as_deref()),
            Read::Clock => clock_answer(host.current_time()),
            Read::Fetch(request) => fetch_answer(&host.fetch(request)),
            Read::Source(_) => return None,
        })
    }
}

type Answer<T> = Result<T, HostError>;

fn answered<T>(answer: &Answer<T>, digest: impl FnOnce(&T) -> Digest) -> Digest {
    match answer {
        Ok(answer) => digest(answer),
        Err(error) => Digest::of(format!("failure\0{error}").as_bytes()),
    }
}

pub(crate) fn file_answer(answer: &Answer<Vec<u8>>) -> Digest {
    answered(answer, |bytes| Digest::of(bytes))
}

pub(crate) fn directory_answer(answer: &Answer<Vec<(Vec<u8>, FileKind)>>) -> Digest {
    answered(answer, |entries| {
        let rows = entries.iter().map(|(name, kind)| format!("{name:?} {}\n", kind_word(*kind)));
        let mut rows: Vec<String> = rows.collect();
        rows.sort_unstable();
        Digest::of(rows.concat().as_bytes())
    })
}

pub(crate) fn kind_answer(answer: &Answer<Option<FileKind>>) -> Digest {
    answered(answer, |kind| Digest::of(kind.map_or("nothing", kind_word).as_bytes()))
}

fn kind_word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "regular",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Unknown => "unknown",
    }
}

pub(crate) fn link_answer(answer: &Answer<PathBuf>) -> Digest {
    answered(answer, |target| Digest::of(target.as_os_str().as_encoded_bytes()))
}

pub(crate) fn variable_answer(value: Option<&[u8]>) -> Digest {
    Digest::of(&[&[u8::from(value.is_some())], value.unwrap_or_default()].concat())
}

fn clock_answer(seconds: i64) -> Digest {
    Digest::of(&seconds.to_le_bytes())
}

pub(crate) fn fetch_answer(answer: &Answer<Fetched>) -> Digest {
    answered(answer, |fetched| {
        let mut text = fetched.path.as_str().to_owned();
        for (name, value) in &fetched.attrs {
            text += &match value {
                FetchAttr::Str(value) => format!("\0{name}\0s{value}"),
                FetchAttr::Int(value) => format!("\0{name}\0i{value}"),
                FetchAttr::Bool(value) => format!("\0{name}\0b{value}"),
            };
        }
        Digest::of(text.as_bytes())
    })
}

impl Machine {
    /// Computes a thunk and notes what its value rests on.
    #[inline(never)]
    pub(crate) fn run_tracked(&mut self, thunk: Gc<Thunk>, loc: Loc) -> Res<Value> {
        if let State::Kept(kept) = thunk.0.get() {
            if let Some(tracking) = &mut self.tracking {
                tracking.used(kept.record);
            }
            return Ok(kept.value);
        }
        let before = thunk.0.get();
        let stretch = match &mut self.tracking {
            Some(tracking) => tracking.begin(),
            None => return self.run_plain(thunk, loc),
        };
        let result = self.run_plain(thunk, loc);
        let rests = self.tracking.as_mut().is_some_and(|tracking| tracking.end(stretch));
        match result {
            Ok(value) => Ok(self.keep(thunk, before, stretch, value, rests)),
            Err(error) => {
                self.lose_joint(thunk);
                if rests {
                    // It may succeed next time: a failure is not kept here.
                    thunk.0.set(before);
                }
                Err(error)
            }
        }
    }

    /// Notes a read of the file system. What lies in the store never changes.
    #[inline]
    pub(crate) fn note(
        &mut self,
        path: &[u8],
        read: fn(PathBuf) -> Read,
        answer: impl FnOnce() -> Digest,
    ) {
        if let Some(tracking) = &mut self.tracking
            && !path.starts_with(b"/nix/store/")
        {
            tracking.note(&read(os_path(path)), Some(answer()));
        }
    }

    /// Notes an environment variable.
    pub(crate) fn note_variable(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(tracking) = &mut self.tracking {
            tracking.note(&Read::Variable(name.to_owned()), Some(variable_answer(value)));
        }
    }

    /// Notes that the time counts.
    pub(crate) fn note_clock(&mut self, seconds: i64) {
        if let Some(tracking) = &mut self.tracking {
            tracking.note(&Read::Clock, Some(clock_answer(seconds)));
        }
    }

    /// Notes a fetcher's answer.
    pub(crate) fn note_fetch(&mut self, request: &FetchRequest, answer: &Answer<Fetched>) {
        if let Some(tracking) = &mut self.tracking {
            let read = Read::Fetch(Box::new(request.clone()));
            tracking.note(&read, Some(fetch_answer(answer)));
        }
    }

    /// Notes that a source's files count.
    pub(crate) fn note_source(&mut self, id: SourceId) {
        if let Some(tracking) = &mut self.tracking {
            let source = self.graph.source(id);
            if !matches!(source.origin, Origin::Text(..)) {
                tracking.note(&Read::Source(Box::new(source)), None);
            }
        }
    }

    /// Begins what will be kept in a table.
    pub(crate) fn begin_entry(&mut self) -> Option<Stretch> {
        self.tracking.as_mut().map(Tracking::begin)
    }

    /// Notes what an import's entry rests on.
    pub(crate) fn end_import(&mut self, stretch: Option<Stretch>, path: &[u8]) -> Option<RecordId> {
        self.end_entry(stretch, path, Made::Import)
    }

    /// Notes what a copied path's entry rests on.
    pub(crate) fn end_copy(&mut self, stretch: Option<Stretch>, path: &[u8]) -> Option<RecordId> {
        self.end_entry(stretch, path, Made::Copy)
    }

    fn end_entry(
        &mut self,
        stretch: Option<Stretch>,
        path: &[u8],
        made: fn(u32) -> Made,
    ) -> Option<RecordId> {
        let (tracking, stretch) = (self.tracking.as_mut()?, stretch?);
        tracking.end(stretch).then(|| {
            let path = tracking.keep_path(path);
            tracking.record(made(path), stretch)
        })
    }

    /// Notes that an entry of a table was used.
    #[inline]
    pub(crate) fn used(&mut self, record: Option<RecordId>) {
        if let (Some(tracking), Some(record)) = (&mut self.tracking, record) {
            tracking.used(record);
        }
    }

    /// Ends a stretch and tells everything that it rests on.
    pub(crate) fn rests_on(&mut self, stretch: Option<Stretch>) -> Rests {
        let (Some(tracking), Some(stretch)) = (&mut self.tracking, stretch) else {
            return Rests::default();
        };
        tracking.end(stretch);
        tracking.closure(stretch)
    }

    /// Notes that the bytes of a derivation's path were hashed.
    pub(crate) fn note_hash(&mut self, drv: DrvId) {
        self.graph.hash(drv);
        if let Some(tracking) = &mut self.tracking {
            tracking.used_hash(drv);
        }
    }

    /// The reads that nobody was told of yet.
    pub(crate) fn new_reads(&mut self) -> Vec<(Read, Option<Digest>)> {
        self.tracking.as_mut().map(Tracking::new_reads).unwrap_or_default()
    }
}
