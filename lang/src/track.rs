//! What each value rests on, for evaluations that outlive an edit: every read of the world, and
//! every use of a value that rests on one, is written to a log; a thunk's value rests on what was
//! logged while it was computed. When a read would give something else now, exactly the thunks
//! that rest on it become unevaluated again.
//!
//! Why this is enough: a value can be reached only through the thunk that made it, or through a
//! value made while that thunk was computed. A thunk that rests on something is never shortened
//! away (its state is `Kept`, not `Done`), so whoever gets at its value passes it and is logged.

use std::path::PathBuf;

use floe_core::hash::Digest;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::coerce::os_path;
use crate::error::Res;
use crate::graph::SourceId;
use crate::heap::Gc;
use crate::host::{FetchAttr, FetchRequest, Fetched, FileKind, Host, HostError, Origin, Source};
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::{State, Thunk, Value};

/// One thing that evaluation asked the world for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// A file's content.
    File(PathBuf),
    /// A directory's entries.
    Directory(PathBuf),
    /// What kind of thing is at a path, if any.
    Kind(PathBuf),
    /// A symbolic link's text.
    Link(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The time.
    Clock,
    /// A source, whole.
    Source(Source),
    /// A fetcher's answer.
    Fetch(FetchRequest),
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

/// The value of a thunk that rests on something.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) value: Value,
    pub(crate) record: u32,
}

/// A read, or the use of what a record stands for.
#[derive(Clone, Copy)]
enum Entry {
    Read(u32),
    Use(u32),
}

/// What rests on a stretch of the log.
struct Record {
    made: Made,
    /// The stretch.
    from: u32,
    to: u32,
    /// It was undone.
    stale: bool,
}

enum Made {
    /// A thunk's value, and the state that it had before.
    Value(Gc<Thunk>, State),
    /// What a table of the machine holds under this path.
    Import(Vec<u8>),
    Copy(Vec<u8>),
}

/// The log, and what rests on which stretch of it.
#[derive(Default)]
pub(crate) struct Tracking {
    log: Vec<Entry>,
    reads: Vec<(Read, Option<Digest>)>,
    ids: FxHashMap<Read, u32>,
    records: Vec<Record>,
    /// Where in the log each read and record stands last, plus one.
    read_seen: Vec<u32>,
    record_seen: Vec<u32>,
    /// Where the innermost stretch began.
    floor: u32,
}

/// A stretch that is not finished.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    from: u32,
    outer: u32,
}

impl Tracking {
    /// Logs a read and what was answered.
    fn note(&mut self, read: Read, answer: Option<Digest>) {
        let id = match self.ids.get(&read) {
            Some(&id) => id,
            None => {
                let id = self.reads.len() as u32;
                self.ids.insert(read.clone(), id);
                self.reads.push((read, answer));
                self.read_seen.push(0);
                id
            }
        };
        if self.read_seen[id as usize] <= self.floor {
            self.log.push(Entry::Read(id));
            self.read_seen[id as usize] = self.log.len() as u32;
        }
    }

    /// Logs the use of what a record stands for.
    pub(crate) fn used(&mut self, record: u32) {
        if self.record_seen[record as usize] <= self.floor {
            self.log.push(Entry::Use(record));
            self.record_seen[record as usize] = self.log.len() as u32;
        }
    }

    pub(crate) fn begin(&mut self) -> Stretch {
        let from = self.log.len() as u32;
        let outer = std::mem::replace(&mut self.floor, from);
        Stretch { from, outer }
    }

    /// Ends a stretch; whether anything was logged in it.
    fn end(&mut self, stretch: Stretch) -> bool {
        self.floor = stretch.outer;
        self.log.len() as u32 > stretch.from
    }

    fn record(&mut self, made: Made, stretch: Stretch) -> u32 {
        let to = self.log.len() as u32;
        self.records.push(Record { made, from: stretch.from, to, stale: false });
        self.record_seen.push(0);
        let id = self.records.len() as u32 - 1;
        // Whoever is computing now has used it.
        self.used(id);
        id
    }

    /// Everything that a stretch of the log rests on.
    fn closure(&self, from: u32, to: u32) -> Vec<ReadId> {
        let mut reads = FxHashSet::default();
        let mut seen = vec![false; self.records.len()];
        let mut open = vec![(from, to)];
        while let Some((from, to)) = open.pop() {
            for entry in &self.log[from as usize..to as usize] {
                match *entry {
                    Entry::Read(id) => {
                        reads.insert(ReadId(id));
                    }
                    Entry::Use(id) => {
                        let record = &self.records[id as usize];
                        // What was computed within the stretch lies in it already.
                        let inside = record.from >= from && record.to <= to;
                        if !std::mem::replace(&mut seen[id as usize], true) && !inside {
                            open.push((record.from, record.to));
                        }
                    }
                }
            }
        }
        let mut reads: Vec<ReadId> = reads.into_iter().collect();
        reads.sort_unstable();
        reads
    }

    /// Marks everything that rests on these reads, and gives it.
    fn fall(&mut self, changed: &[ReadId]) -> Vec<u32> {
        let mut read_fell = vec![false; self.reads.len()];
        changed.iter().for_each(|id| read_fell[id.0 as usize] = true);
        // How many entries before each place have fallen: a stretch is looked up in no time. A
        // record's uses come after it, so one pass in the order of the log is enough if records
        // are settled where their stretches end.
        let mut order: Vec<u32> = (0..self.records.len() as u32).collect();
        order.sort_by_key(|&id| self.records[id as usize].to);
        let mut record_fell: Vec<bool> = self.records.iter().map(|record| record.stale).collect();
        let mut sums = Vec::with_capacity(self.log.len() + 1);
        sums.push(0u32);
        let mut next = order.into_iter().peekable();
        let mut fallen = Vec::new();
        for at in 0..=self.log.len() {
            while let Some(&id) = next.peek() {
                let record = &self.records[id as usize];
                if record.to as usize > at {
                    break;
                }
                next.next();
                if sums[record.to as usize] > sums[record.from as usize] && !record.stale {
                    record_fell[id as usize] = true;
                    fallen.push(id);
                }
            }
            if let Some(entry) = self.log.get(at) {
                let fell = match *entry {
                    Entry::Read(id) => read_fell[id as usize],
                    Entry::Use(id) => record_fell[id as usize],
                };
                sums.push(sums[at] + u32::from(fell));
            }
        }
        fallen.iter().for_each(|&id| self.records[id as usize].stale = true);
        fallen
    }
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
        let Some(tracking) = &mut self.tracking else { return result };
        if tracking.end(stretch) {
            match result {
                Ok(value) => {
                    let record = tracking.record(Made::Value(thunk, before), stretch);
                    let kept = self.heap.alloc(Kept { value, record });
                    thunk.0.set(State::Kept(kept));
                }
                // It may succeed next time: a failure is not kept here.
                Err(_) => thunk.0.set(before),
            }
        }
        result
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
            tracking.note(read(os_path(path)), Some(answer()));
        }
    }

    /// Notes an environment variable.
    pub(crate) fn note_variable(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(tracking) = &mut self.tracking {
            tracking.note(Read::Variable(name.to_owned()), Some(variable_answer(value)));
        }
    }

    /// Notes that the time counts.
    pub(crate) fn note_clock(&mut self, seconds: i64) {
        if let Some(tracking) = &mut self.tracking {
            tracking.note(Read::Clock, Some(clock_answer(seconds)));
        }
    }

    /// Notes a fetcher's answer.
    pub(crate) fn note_fetch(&mut self, request: &FetchRequest, answer: &Answer<Fetched>) {
        if let Some(tracking) = &mut self.tracking {
            tracking.note(Read::Fetch(request.clone()), Some(fetch_answer(answer)));
        }
    }

    /// Notes that a source's files count.
    pub(crate) fn note_source(&mut self, id: SourceId) {
        if let Some(tracking) = &mut self.tracking {
            let source = self.graph.source(id);
            if !matches!(source.origin, Origin::Text(..)) {
                tracking.note(Read::Source(source.clone()), None);
            }
        }
    }

    /// Begins what will be kept in a table.
    pub(crate) fn begin_entry(&mut self) -> Option<Stretch> {
        self.tracking.as_mut().map(Tracking::begin)
    }

    /// Notes what an import's entry rests on.
    pub(crate) fn end_import(&mut self, stretch: Option<Stretch>, path: &[u8]) -> Option<u32> {
        self.end_entry(stretch, || Made::Import(path.to_vec()))
    }

    /// Notes what a copied path's entry rests on.
    pub(crate) fn end_copy(&mut self, stretch: Option<Stretch>, path: &[u8]) -> Option<u32> {
        self.end_entry(stretch, || Made::Copy(path.to_vec()))
    }

    fn end_entry(&mut self, stretch: Option<Stretch>, made: impl FnOnce() -> Made) -> Option<u32> {
        let (tracking, stretch) = (self.tracking.as_mut()?, stretch?);
        tracking.end(stretch).then(|| tracking.record(made(), stretch))
    }

    /// Notes that an entry of a table was used.
    #[inline]
    pub(crate) fn used(&mut self, record: Option<u32>) {
        if let (Some(tracking), Some(record)) = (&mut self.tracking, record) {
            tracking.used(record);
        }
    }

    /// Makes everything unevaluated again that rests on these reads, whose answers are now these;
    /// how many values that were.
    pub(crate) fn forget(&mut self, changed: &[(ReadId, Option<Digest>)]) -> usize {
        let Some(tracking) = &mut self.tracking else { return 0 };
        let ids: Vec<ReadId> = changed.iter().map(|(id, _)| *id).collect();
        let fallen = tracking.fall(&ids);
        for (id, answer) in changed {
            let (read, known) = &mut tracking.reads[id.0 as usize];
            *known = *answer;
            if let Read::Source(source) = read {
                self.graph.forget_source(source);
            }
        }
        for &id in &fallen {
            match &tracking.records[id as usize].made {
                Made::Value(thunk, before) => {
                    // A thunk that was computed again since has a younger record.
                    if let State::Kept(kept) = thunk.0.get()
                        && kept.record == id
                    {
                        thunk.0.set(*before);
                    }
                }
                Made::Import(path) => {
                    if self.imports.get(path).is_some_and(|import| import.record == Some(id)) {
                        self.imports.remove(path);
                    }
                }
                Made::Copy(path) => {
                    if self.copied.get(path).is_some_and(|(_, record)| *record == Some(id)) {
                        self.copied.remove(path);
                    }
                }
            }
        }
        fallen.len()
    }

    /// Ends a stretch and tells every read that it rests on.
    pub(crate) fn rests_on(&mut self, stretch: Option<Stretch>) -> Vec<ReadId> {
        let (Some(tracking), Some(stretch)) = (&mut self.tracking, stretch) else {
            return Vec::new();
        };
        tracking.end(stretch);
        let to = tracking.log.len() as u32;
        tracking.closure(stretch.from, to)
    }

    /// The reads so far, from the given one on.
    pub(crate) fn reads(&self, from: usize) -> &[(Read, Option<Digest>)] {
        self.tracking.as_ref().and_then(|tracking| tracking.reads.get(from..)).unwrap_or_default()
    }
}
