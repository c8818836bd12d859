//! The log of reads and uses, and what rests on which stretch of it. Pure bookkeeping: no value is
//! computed here and nothing becomes unevaluated.

use std::hash::BuildHasher;
use std::io;

use floe_core::hash::Digest;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::{Read, ReadId};
use crate::graph::DrvId;
use crate::heap::Gc;
use crate::pages::Shelf;
use crate::rows::Rows;
use crate::table::Table;
use crate::value::{State, Thunk, Value};

/// The value of a thunk that rests on something.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) value: Value,
    /// The state before it was computed.
    pub(super) before: State,
    pub(crate) record: RecordId,
}

/// What rests on a stretch, by the order in which the stretches ended.
pub(crate) type RecordId = u32;

/// A joint, by the order in which they were first made.
pub(super) type JointId = u32;

/// One thing that was logged.
#[derive(Clone, Copy)]
enum Entry {
    Read(u32),
    /// The use of what a record stands for.
    Use(RecordId),
    /// The use of a joint: of a derivation by its name and outputs, whatever it is made of.
    Joint(JointId),
    /// The bytes of a derivation's path, which tell everything that it is made of.
    Bytes(DrvId),
    /// The hash of such bytes; they were used before.
    Hash(DrvId),
}

/// An entry in four bytes: what it is, and of which number.
#[derive(Clone, Copy)]
struct Packed(u32);

/// Bits of an entry's number.
const NUMBER_BITS: u32 = 29;

impl From<Entry> for Packed {
    fn from(entry: Entry) -> Packed {
        let (tag, number) = match entry {
            Entry::Read(id) => (0, id),
            Entry::Use(id) => (1, id),
            Entry::Joint(id) => (2, id),
            Entry::Bytes(drv) => (3, drv.0),
            Entry::Hash(drv) => (4, drv.0),
        };
        assert!(number < 1 << NUMBER_BITS, "an evaluation ends before it has logged so much");
        Packed(tag << NUMBER_BITS | number)
    }
}

impl Packed {
    fn entry(self) -> Entry {
        let number = self.0 % (1 << NUMBER_BITS);
        match self.0 >> NUMBER_BITS {
            0 => Entry::Read(number),
            1 => Entry::Use(number),
            2 => Entry::Joint(number),
            3 => Entry::Bytes(DrvId(number)),
            _ => Entry::Hash(DrvId(number)),
        }
    }
}

/// What rests on a stretch of the log.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) made: Made,
    from: u32,
    to: u32,
    /// The number of the joint, or [`NO_JOINT`].
    joint: JointId,
}

const NO_JOINT: JointId = JointId::MAX;

impl Record {
    pub(super) fn joint(&self) -> Option<JointId> {
        Some(self.joint).filter(|&joint| joint != NO_JOINT)
    }
}

/// What a record stands for.
#[derive(Clone, Copy)]
pub(super) enum Made {
    /// A thunk's value.
    Value(Gc<Thunk>),
    /// What a table of the machine holds under the path with this number.
    Import(u32),
    Copy(u32),
}

/// A derivation that a thunk's value is.
#[derive(Clone, Copy)]
pub(super) struct Joint {
    pub(super) drv: DrvId,
    /// The youngest record of its thunk.
    record: RecordId,
}

/// What an outcome rests on.
#[derive(Clone, Debug, Default)]
pub struct Rests {
    /// Every read of the world, sorted.
    pub reads: Vec<ReadId>,
    /// The derivations the bytes of whose paths were read.
    pub observed: FxHashSet<DrvId>,
    /// Those the bytes of whose paths were hashed.
    pub hashed: FxHashSet<DrvId>,
}

impl Rests {
    /// Adds what something else rests on; reads may then stand in any order, and more than once.
    pub fn add(&mut self, other: &Rests) {
        self.reads.extend(&other.reads);
        self.observed.extend(&other.observed);
        self.hashed.extend(&other.hashed);
    }
}

/// What is no longer as it was.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) reads: FxHashSet<u32>,
    pub(super) joints: FxHashSet<JointId>,
    pub(super) bytes: FxHashSet<DrvId>,
    /// Whether a joint that falls takes its users along.
    pub(super) through: bool,
}

/// The log, and what rests on which stretch of it.
#[derive(Default)]
pub(crate) struct Tracking {
    log: Table<Packed>,
    pub(super) reads: Rows<Read>,
    /// The numbers of the reads, by what they are.
    ids: HashTable<u32>,
    /// The answers of the last reads, of which nobody was told yet.
    untold: Vec<Option<Digest>>,
    records: Table<Record>,
    /// Which of them were undone.
    stale: Table<bool>,
    /// The paths of imports and copies that records stand for.
    paths: Vec<Box<[u8]>>,
    pub(super) joints: Table<Joint>,
    /// Stretches that ended as joints and that no joint around them has taken in yet.
    holes: Vec<Hole>,
    /// Where in the log each read, record and joint stands last, plus one.
    read_seen: Table<u32>,
    record_seen: Table<u32>,
    joint_seen: Table<u32>,
    /// The same for the bytes of paths.
    bytes_seen: FxHashMap<DrvId, u32>,
    /// Where the innermost stretch began.
    floor: u32,
    /// What is to be settled.
    pub(super) unsettled: super::joint::Unsettled,
}

/// A stretch of the log; while it is not finished, with the floor around it.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    from: u32,
    outer: u32,
}

/// The stretch of a joint.
struct Hole {
    from: u32,
    to: u32,
}

impl Tracking {
    /// Lays aside what can be, and gives back room that is not used.
    ///
    /// # Errors
    /// When there is no room in the file: then the rest stays in memory.
    pub(crate) fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        self.reads.lay_aside(shelf)?;
        self.paths.shrink_to_fit();
        self.log.lay_aside(shelf)?;
        self.records.lay_aside(shelf)?;
        self.stale.lay_aside(shelf)?;
        self.joints.lay_aside(shelf)?;
        self.read_seen.lay_aside(shelf)?;
        self.record_seen.lay_aside(shelf)?;
        self.joint_seen.lay_aside(shelf)
    }

    /// A number for a path.
    pub(super) fn keep_path(&mut self, path: &[u8]) -> u32 {
        self.paths.push(path.into());
        self.paths.len() as u32 - 1
    }

    /// The path of this number.
    pub(super) fn path(&self, number: u32) -> &[u8] {
        &self.paths[number as usize]
    }

    /// Logs a read and what was answered.
    pub(super) fn note(&mut self, read: &Read, answer: Option<Digest>) {
        let reads = &self.reads;
        let hash = FxBuildHasher.hash_one(read);
        let is_it = |id: &u32| reads.get(*id as usize).as_ref() == Some(read);
        let id = match self.ids.find(hash, is_it) {
            Some(&id) => id,
            None => {
                let id = self.reads.len() as u32;
                self.reads.push(read);
                self.untold.push(answer);
                self.read_seen.push(0);
                let reads = &self.reads;
                let hash_of = |id: &u32| {
                    FxBuildHasher.hash_one(reads.get(*id as usize).expect("it has a number"))
                };
                self.ids.insert_unique(hash, id, hash_of);
                id
            }
        };
        if self.read_seen[id as usize] <= self.floor {
            self.log.push(Entry::Read(id).into());
            self.read_seen[id as usize] = self.log.len() as u32;
        }
    }

    /// The reads that nobody was told of yet, with their answers.
    pub(super) fn new_reads(&mut self) -> Vec<(Read, Option<Digest>)> {
        let answers = std::mem::take(&mut self.untold);
        let first = self.reads.len() - answers.len();
        let read = |at| self.reads.get(at).expect("there are so many");
        (first..self.reads.len()).map(read).zip(answers).collect()
    }

    /// Logs the use of what a record stands for.
    pub(crate) fn used(&mut self, record: RecordId) {
        let (seen, entry) = match self.records[record as usize].joint() {
            Some(joint) => (&mut self.joint_seen[joint as usize], Entry::Joint(joint)),
            None => (&mut self.record_seen[record as usize], Entry::Use(record)),
        };
        if *seen <= self.floor {
            self.log.push(entry.into());
            *seen = self.log.len() as u32;
        }
    }

    /// Logs that the bytes of a derivation's path count.
    pub(super) fn used_bytes(&mut self, drv: DrvId) {
        let seen = self.bytes_seen.entry(drv).or_default();
        if *seen <= self.floor {
            self.log.push(Entry::Bytes(drv).into());
            *seen = self.log.len() as u32;
        }
    }

    /// Logs that the bytes of a derivation's path were hashed.
    pub(super) fn used_hash(&mut self, drv: DrvId) {
        self.log.push(Entry::Hash(drv).into());
    }

    /// The derivations whose paths' bytes count for something.
    pub(super) fn known_by_bytes(&self) -> impl Iterator<Item = DrvId> {
        self.bytes_seen.keys().copied()
    }

    pub(crate) fn begin(&mut self) -> Stretch {
        let from = self.log.len() as u32;
        let outer = std::mem::replace(&mut self.floor, from);
        Stretch { from, outer }
    }

    /// Ends a stretch; whether anything was logged in it.
    pub(super) fn end(&mut self, stretch: Stretch) -> bool {
        self.floor = stretch.outer;
        self.log.len() as u32 > stretch.from
    }

    /// Where the log ends.
    fn here(&self) -> u32 {
        self.log.len() as u32
    }

    /// Notes what rests on a stretch that has just ended.
    pub(super) fn record(&mut self, made: Made, stretch: Stretch) -> RecordId {
        self.add_record(made, stretch, None)
    }

    /// Notes what a joint's thunk rests on: nobody around it does, but on the joint. A joint that
    /// was there before keeps its number.
    pub(super) fn record_joint(
        &mut self,
        made: Made,
        stretch: Stretch,
        known: Option<JointId>,
        drv: DrvId,
    ) -> RecordId {
        self.cut_out(stretch.from);
        let record = self.records.len() as RecordId;
        let joint = match known {
            Some(joint) => {
                self.joints[joint as usize].record = record;
                joint
            }
            None => {
                self.joints.push(Joint { drv, record });
                self.joint_seen.push(0);
                self.joints.len() as JointId - 1
            }
        };
        self.add_record(made, stretch, Some(joint))
    }

    fn add_record(&mut self, made: Made, stretch: Stretch, joint: Option<JointId>) -> RecordId {
        let to = self.here();
        let joint = joint.unwrap_or(NO_JOINT);
        self.records.push(Record { made, from: stretch.from, to, joint });
        self.stale.push(false);
        self.record_seen.push(0);
        let id = self.records.len() as RecordId - 1;
        // Whoever is computing now has used it.
        self.used(id);
        id
    }

    /// What was logged from here on counts for nobody around it, who may have to log it again.
    fn cut_out(&mut self, from: u32) {
        let mut end = self.here();
        while let Some(hole) = self.holes.pop_if(|hole| hole.from >= from) {
            // The entries in the hole were seen to when it was cut.
            self.unsee(hole.to, end);
            end = hole.from;
        }
        self.unsee(from, end);
        let to = self.here();
        self.holes.push(Hole { from, to });
    }

    fn unsee(&mut self, from: u32, to: u32) {
        for at in from..to {
            match self.log[at as usize].entry() {
                Entry::Read(id) => self.read_seen[id as usize] = 0,
                Entry::Use(id) => self.record_seen[id as usize] = 0,
                Entry::Joint(id) => self.joint_seen[id as usize] = 0,
                Entry::Bytes(drv) => {
                    self.bytes_seen.insert(drv, 0);
                }
                Entry::Hash(_) => {}
            }
        }
    }

    pub(super) fn get(&self, record: RecordId) -> &Record {
        &self.records[record as usize]
    }

    /// Everything that a stretch of the log rests on, which has just ended.
    pub(super) fn closure(&self, stretch: Stretch) -> Rests {
        let mut reads = FxHashSet::default();
        let mut rests = Rests::default();
        let mut seen = vec![false; self.records.len()];
        // Where a stretch that was looked through begins, its end: stretches lie within each other.
        let mut through = vec![0; self.log.len()];
        let mut open = vec![(stretch.from, self.here())];
        while let Some((from, to)) = open.pop() {
            let mut next = from;
            while next < to {
                let at = next as usize;
                if through[at] > next {
                    next = through[at];
                    continue;
                }
                next += 1;
                let used = match self.log[at].entry() {
                    Entry::Read(id) => {
                        reads.insert(ReadId(id));
                        continue;
                    }
                    Entry::Bytes(drv) => {
                        rests.observed.insert(drv);
                        continue;
                    }
                    Entry::Hash(drv) => {
                        rests.hashed.insert(drv);
                        continue;
                    }
                    Entry::Use(id) => id,
                    Entry::Joint(id) => self.joints[id as usize].record,
                };
                let record = &self.records[used as usize];
                // What was computed within the stretch lies in it already.
                let inside = record.from >= from && record.to <= to;
                if !std::mem::replace(&mut seen[used as usize], true) && !inside {
                    open.push((record.from, record.to));
                }
            }
            if from < to {
                through[from as usize] = to.max(through[from as usize]);
            }
        }
        rests.reads = reads.into_iter().collect();
        rests.reads.sort_unstable();
        rests
    }

    /// Marks everything that rests on what changed, and gives it.
    pub(super) fn fall(&mut self, changed: &Changed) -> Vec<RecordId> {
        let mut fallen = self.fall_once(changed);
        // A joint that was made again has a record that comes after its users.
        let mut more = if changed.through { fallen.clone() } else { Vec::new() };
        while !more.is_empty() {
            more = self.fall_once(changed);
            fallen.extend(&more);
        }
        fallen
    }

    /// One pass in the order of the log is enough: a record's uses come after it, and records stand
    /// in the order in which their stretches end. How many entries before each place have fallen is
    /// kept, so that a stretch is looked up in no time; a joint's stretch counts for itself only.
    fn fall_once(&mut self, changed: &Changed) -> Vec<RecordId> {
        let mut read_fell = vec![false; self.reads.len()];
        changed.reads.iter().for_each(|id| read_fell[*id as usize] = true);
        let mut joint_fell = vec![false; self.joints.len()];
        changed.joints.iter().for_each(|id| joint_fell[*id as usize] = true);
        let mut record_fell: Vec<bool> = self.stale.iter().copied().collect();
        let mut sums = Vec::with_capacity(self.log.len() + 1);
        sums.push(0u32);
        let mut next = 0;
        let mut fallen = Vec::new();
        for at in 0..=self.log.len() {
            while let Some(record) = self.records.get(next).filter(|r| r.to as usize == at) {
                if sums[at] > sums[record.from as usize] && !record_fell[next] {
                    record_fell[next] = true;
                    fallen.push(next as RecordId);
                }
                if record.joint().is_some() {
                    sums[at] = sums[record.from as usize];
                }
                next += 1;
            }
            if let Some(entry) = self.log.get(at) {
                let fell = match entry.entry() {
                    Entry::Read(id) => read_fell[id as usize],
                    Entry::Use(id) => record_fell[id as usize],
                    Entry::Joint(id) => {
                        let record = self.joints[id as usize].record;
                        joint_fell[id as usize] || (changed.through && record_fell[record as usize])
                    }
                    Entry::Bytes(drv) => changed.bytes.contains(&drv),
                    Entry::Hash(_) => false,
                };
                sums.push(sums[at] + u32::from(fell));
            }
        }
        fallen.iter().for_each(|&id| self.stale[id as usize] = true);
        fallen
    }
}
