//! Joints: where an edit stops in an evaluation that is kept. A derivation's users hold it by handle,
//! so when only what it is made of changes, the derivation is made again in its place and its users
//! stay as they are. The exceptions all make users unevaluated, as any other change does:
//!
//! - its name or outputs changed, or it is no derivation any more: the joint is **broken**;
//! - somebody knows the bytes of its path, or of one above it;
//! - it came to use one of its users, which only evaluating those again can tell.
//!
//! Edits of code go through joints: what it makes is mostly made by other thunks than before.
//!
//! A joint that fell is made again when somebody needs it: because evaluation comes upon its thunk, or
//! because it can be reached from a derivation that is asked for ([`Machine::settle`]).

use rustc_hash::{FxHashMap, FxHashSet};

use super::log::{Changed, JointId, Kept, Made, RecordId, Stretch};
use super::{Read, ReadId};
use crate::error::{Error, Res};
use crate::graph::{DrvId, InputSrc};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::{Attrs, State, Thunk, Value};

/// A joint that fell and was not made again.
#[derive(Clone, Copy)]
struct Fallen {
    joint: JointId,
    drv: DrvId,
    /// What its users hold.
    value: Value,
}

/// What is to be made again.
#[derive(Default)]
pub(super) struct Unsettled {
    /// By the address of the thunk.
    fallen: FxHashMap<usize, Fallen>,
    thunks: FxHashMap<DrvId, Gc<Thunk>>,
    /// Those whose users must be evaluated again.
    broken: FxHashSet<JointId>,
    /// By id, which derivations have nothing below them that fell, and no way to themselves.
    marks: Vec<Mark>,
    /// Whether anything ever fell.
    any: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Mark {
    #[default]
    New,
    Open,
    Settled,
}

impl Unsettled {
    fn take(&mut self, thunk: Gc<Thunk>) -> Option<Fallen> {
        let fallen = self.fallen.remove(&thunk.as_ptr().addr())?;
        self.thunks.remove(&fallen.drv);
        Some(fallen)
    }

    fn mark(&mut self, id: DrvId) -> &mut Mark {
        let at = id.0 as usize;
        if self.marks.len() <= at {
            self.marks.resize(at + 1, Mark::New);
        }
        &mut self.marks[at]
    }
}

impl Machine {
    /// Keeps what a thunk gave. The value that it has from now on.
    pub(super) fn keep(
        &mut self,
        thunk: Gc<Thunk>,
        before: State,
        stretch: Stretch,
        value: Value,
        rests: bool,
    ) -> Value {
        let made = self.just_made(value);
        let Some(tracking) = &mut self.tracking else { return value };
        let fallen = tracking.unsettled.take(thunk);
        if !rests {
            tracking.unsettled.broken.extend(fallen.map(|fallen| fallen.joint));
            return value;
        }
        let origin = Made::Value(thunk);
        let (value, record) = match (made, fallen) {
            (Some(new), Some(fallen)) if self.graph.stands_for(new, fallen.drv) => {
                let record = tracking.record_joint(origin, stretch, Some(fallen.joint), fallen.drv);
                self.redefine(fallen.drv, new);
                (fallen.value, record)
            }
            (made, fallen) => {
                tracking.unsettled.broken.extend(fallen.map(|fallen| fallen.joint));
                let record = match made {
                    Some(drv) => tracking.record_joint(origin, stretch, None, drv),
                    None => tracking.record(origin, stretch),
                };
                (value, record)
            }
        };
        let kept = self.heap.alloc(Kept { value, before, record });
        thunk.0.set(State::Kept(kept));
        value
    }

    /// The derivation that a value is, if it is the one that was made last.
    fn just_made(&mut self, value: Value) -> Option<DrvId> {
        let Value::Attrs(attrs) = value else { return None };
        self.made_last.take_if(|(made, _)| *made == attrs).map(|(_, drv)| drv)
    }

    /// Notes which derivation a set stands for, until its thunk is kept.
    pub(crate) fn note_made(&mut self, value: Value, drv: DrvId) {
        if let (Value::Attrs(attrs), true) = (value, self.tracking.is_some()) {
            self.made_last = Some((attrs, drv));
        }
    }

    /// A thunk failed: those who hold it as a derivation must be evaluated again.
    pub(super) fn lose_joint(&mut self, thunk: Gc<Thunk>) {
        if let Some(tracking) = &mut self.tracking
            && let Some(fallen) = tracking.unsettled.take(thunk)
        {
            tracking.unsettled.broken.insert(fallen.joint);
        }
    }

    /// A derivation is made of something else now.
    fn redefine(&mut self, drv: DrvId, new: DrvId) {
        if self.graph.redefine(drv, new) {
            self.built.clear();
            self.stored.retain(|item| !matches!(item, InputSrc::DrvFile(_)));
        }
    }

    /// Notes that the bytes of a derivation's path count, and sees to it that they are those of now.
    pub(crate) fn note_bytes(&mut self, drv: DrvId) -> Res<()> {
        if self.tracking.is_some() {
            self.settle(&[drv])?;
        }
        if let Some(tracking) = &mut self.tracking {
            tracking.used_bytes(drv);
        }
        Ok(())
    }

    /// Makes everything again that fell and can be reached from these derivations.
    pub(crate) fn settle(&mut self, tops: &[DrvId]) -> Res<()> {
        if !self.tracking.as_ref().is_some_and(|tracking| tracking.unsettled.any) {
            return Ok(());
        }
        let mut stack: Vec<(DrvId, Vec<DrvId>)> = Vec::new();
        let result = self.settle_from(tops, &mut stack);
        if let Some(tracking) = &mut self.tracking {
            for (id, _) in stack {
                *tracking.unsettled.mark(id) = Mark::New;
            }
        }
        result
    }

    fn settle_from(&mut self, tops: &[DrvId], stack: &mut Vec<(DrvId, Vec<DrvId>)>) -> Res<()> {
        for &top in tops {
            self.open(top, stack)?;
            while let Some((id, below)) = stack.last_mut() {
                match below.pop() {
                    Some(next) => self.open(next, stack)?,
                    None => {
                        let id = *id;
                        stack.pop();
                        if let Some(tracking) = &mut self.tracking {
                            *tracking.unsettled.mark(id) = Mark::Settled;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, id: DrvId, stack: &mut Vec<(DrvId, Vec<DrvId>)>) -> Res<()> {
        let Some(tracking) = &mut self.tracking else { return Ok(()) };
        match *tracking.unsettled.mark(id) {
            Mark::Settled => return Ok(()),
            Mark::Open => {
                // Evaluating those on the way again tells how it comes to need itself.
                let on_the_way: FxHashSet<DrvId> = stack.iter().map(|(id, _)| *id).collect();
                let joints = (0..).zip(tracking.joints.iter());
                let cyclic = joints.filter(|(_, joint)| on_the_way.contains(&joint.drv));
                tracking.unsettled.broken.extend(cyclic.map(|(at, _)| at));
                return Err(Error::infinite_recursion(0));
            }
            Mark::New => {}
        }
        *tracking.unsettled.mark(id) = Mark::Open;
        // On the stack before anything can fail, so that its mark is taken back.
        stack.push((id, Vec::new()));
        if let Some(thunk) = tracking.unsettled.thunks.get(&id).copied() {
            self.run(thunk, Loc::NONE)?;
        }
        stack.last_mut().expect("just pushed").1 = self.graph.inputs_of(id);
        Ok(())
    }

    /// Makes everything unevaluated again that rests on these reads, whose answers are others now;
    /// how many values that were.
    pub(crate) fn forget(&mut self, changed: &[ReadId]) -> usize {
        let Some(tracking) = &mut self.tracking else { return 0 };
        // Other code makes other derivations, and users of the old ones are found sooner than joints.
        let mut through = false;
        for id in changed {
            match tracking.reads.get(id.0 as usize) {
                Some(Read::Source(source)) => self.graph.forget_source(&source),
                _ => through = true,
            }
        }
        let reads = changed.iter().map(|id| id.0).collect();
        self.undo(Changed { reads, through, ..Changed::default() })
    }

    /// Makes the users of broken joints unevaluated; whether there were any.
    pub(crate) fn break_joints(&mut self) -> bool {
        let Some(tracking) = &mut self.tracking else { return false };
        let joints = std::mem::take(&mut tracking.unsettled.broken);
        if joints.is_empty() {
            return false;
        }
        self.undo(Changed { joints, ..Changed::default() });
        true
    }

    /// Makes the users of every joint unevaluated, and every joint that fell a thing of the past;
    /// whether an edit ever stopped at one.
    pub(crate) fn break_all(&mut self) -> bool {
        let Some(tracking) = self.tracking.as_mut().filter(|tracking| tracking.unsettled.any)
        else {
            return false;
        };
        let joints = (0..tracking.joints.len() as JointId).collect();
        self.undo(Changed { joints, ..Changed::default() });
        if let Some(tracking) = &mut self.tracking {
            tracking.unsettled = Unsettled::default();
        }
        true
    }

    fn undo(&mut self, mut changed: Changed) -> usize {
        let through = changed.through;
        let mut count = 0;
        let mut told: FxHashSet<DrvId> = FxHashSet::default();
        loop {
            let Some(tracking) = &mut self.tracking else { return count };
            tracking.unsettled.any = true;
            tracking.unsettled.marks.clear();
            let fallen = tracking.fall(&changed);
            count += fallen.len();
            fallen.into_iter().for_each(|id| self.undo_one(id, through));
            let bytes = self.known_above_fallen();
            let bytes: FxHashSet<DrvId> =
                bytes.into_iter().filter(|drv| told.insert(*drv)).collect();
            if bytes.is_empty() {
                return count;
            }
            changed = Changed { bytes, through, ..Changed::default() };
        }
    }

    fn undo_one(&mut self, id: RecordId, through: bool) {
        let Some(tracking) = &mut self.tracking else { return };
        let record = tracking.get(id);
        match record.made {
            Made::Value(thunk) => {
                // A thunk that was computed again since has a younger record.
                let joint = record.joint();
                if let State::Kept(kept) = thunk.0.get()
                    && kept.record == id
                {
                    thunk.0.set(kept.before);
                    if let Some(joint) = joint.filter(|_| !through) {
                        let drv = tracking.joints[joint as usize].drv;
                        let fallen = Fallen { joint, drv, value: kept.value };
                        tracking.unsettled.fallen.insert(thunk.as_ptr().addr(), fallen);
                        tracking.unsettled.thunks.insert(drv, thunk);
                    }
                }
            }
            Made::Import(path) => {
                let path = tracking.path(path);
                if self.imports.get(path).is_some_and(|import| import.record == Some(id)) {
                    self.imports.remove(path);
                }
            }
            Made::Copy(path) => {
                let path = tracking.path(path);
                if self.copied.get(path).is_some_and(|(_, record)| *record == Some(id)) {
                    self.copied.remove(path);
                }
            }
        }
    }

    /// The derivations whose paths' bytes somebody knows and that have one below them that fell.
    fn known_above_fallen(&self) -> Vec<DrvId> {
        let Some(tracking) = &self.tracking else { return Vec::new() };
        let fallen = &tracking.unsettled.thunks;
        if fallen.is_empty() {
            return Vec::new();
        }
        // What is below each, as far as it was looked at: whether something of it fell.
        let mut found: FxHashMap<DrvId, bool> = FxHashMap::default();
        let mut known = Vec::new();
        for top in tracking.known_by_bytes() {
            let mut stack = vec![(top, self.graph.inputs_of(top))];
            found.entry(top).or_insert(fallen.contains_key(&top));
            while let Some((id, below)) = stack.last_mut() {
                match below.pop() {
                    Some(next) if found.contains_key(&next) => {
                        let fell = found[&next];
                        let id = *id;
                        *found.get_mut(&id).expect("it was opened") |= fell;
                    }
                    Some(next) => {
                        found.insert(next, fallen.contains_key(&next));
                        stack.push((next, self.graph.inputs_of(next)));
                    }
                    None => {
                        let fell = found[id];
                        stack.pop();
                        if let Some((user, _)) = stack.last() {
                            *found.get_mut(user).expect("it was opened") |= fell;
                        }
                    }
                }
            }
            if found[&top] {
                known.push(top);
            }
        }
        known
    }
}

/// The set that the derivation made last is, until its thunk is kept.
pub(crate) type MadeLast = Option<(Gc<Attrs>, DrvId)>;
