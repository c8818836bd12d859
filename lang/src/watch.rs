//! Looking at calls: the slow way that every call takes while somebody profiles or counts an
//! evaluation, or may interrupt it. An evaluation that nobody looks at pays nothing for this: the
//! test that bounds the depth of calls is the one that leads here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustc_hash::FxHashMap;

use crate::builtins::Prim;
use crate::calls::stack_overflow;
use crate::code::LambdaCode;
use crate::error::{Error, ErrorKind, Res};
use crate::machine::Machine;
use crate::profile::record::{Callee, Recorder};
use crate::settings::Settings;
use crate::source::Loc;
use crate::value::{LambdaRef, Value};

/// The wish that an evaluation end, shared with whoever may express it: another thread, or the
/// handler of a signal.
pub type Interrupt = Arc<AtomicBool>;

/// Counted always: an increment costs less than a question.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Promises made.
    pub(crate) thunks: u64,
    /// Values that were there already where a promise could have been made.
    pub(crate) avoided: u64,
    /// `//`
    pub(crate) updates: u64,
    /// `++`
    pub(crate) concats: u64,
}

/// What only those count who ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) functions: u64,
    /// Slots of the frames of these calls.
    pub(crate) slots: u64,
    pub(crate) prims: u64,
    pub(crate) lookups: u64,
    /// Calls of each function and builtin, and selections of each attribute, by its place.
    pub(crate) each: Option<Each>,
}

/// Counts one by one (`NIX_COUNT_CALLS`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Each {
    pub(crate) functions: FxHashMap<Loc, (Option<crate::symbol::Symbol>, u64)>,
    pub(crate) prims: FxHashMap<&'static str, u64>,
    pub(crate) attributes: FxHashMap<Loc, u64>,
}

/// Who looks at calls.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) interrupt: Option<Interrupt>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) counts: Option<Counts>,
}

impl Watch {
    /// Takes note of an attribute that was found.
    #[cold]
    pub(crate) fn selected(&mut self, found: Loc) {
        if let Some(counts) = &mut self.counts {
            counts.lookups += 1;
            if let Some(each) = &mut counts.each {
                *each.attributes.entry(found).or_default() += 1;
            }
        }
    }
}

/// The depth from which on calls are looked at, if nobody looks at all of them.
pub(crate) fn gate(settings: &Settings) -> u32 {
    settings.max_call_depth.saturating_add(1)
}

impl Machine {
    /// From now on each call is looked at; what for, the caller puts in.
    pub(crate) fn watch(&mut self) -> &mut Watch {
        self.gate = 0;
        self.watch.get_or_insert_default()
    }

    fn recorder(&mut self) -> Option<&mut Recorder> {
        self.watch.as_mut()?.recorder.as_mut()
    }

    /// Evaluation begins, or goes on.
    pub(crate) fn begin_watching(&mut self) {
        if let Some(recorder) = self.recorder() {
            recorder.go_on();
        }
    }

    /// Evaluation stops for now.
    pub(crate) fn end_watching(&mut self) {
        if let Some(recorder) = self.recorder() {
            recorder.pause();
        }
    }

    /// Whether a call may happen.
    fn pass(&mut self, loc: Loc) -> Res<Option<&mut Watch>> {
        if self.depth > self.settings.max_call_depth {
            return Err(stack_overflow(loc));
        }
        let Some(watch) = &mut self.watch else { return Ok(None) };
        if watch.interrupt.as_ref().is_some_and(|wish| wish.load(Ordering::Relaxed)) {
            return Err(Error::new(ErrorKind::Interrupted, loc, "interrupted by the user"));
        }
        Ok(Some(&mut **watch))
    }

    /// Notes that what was entered last is left, by whatever way.
    pub(crate) fn leave(&mut self) {
        if let Some(recorder) = self.recorder() {
            recorder.leave();
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn watched_lambda(
        &mut self,
        lambda: LambdaRef,
        code: &'static LambdaCode,
        args: &[Value],
        loc: Loc,
    ) -> Res<Value> {
        // A call with several arguments goes to an inner function; the outer one has the name.
        let called = self.tables.lambdas[lambda.code as usize].get();
        if let Some(watch) = self.pass(loc)? {
            if let Some(counts) = &mut watch.counts {
                counts.functions += 1;
                counts.slots += u64::from(code.frame_len);
                if let Some(each) = &mut counts.each {
                    each.functions.entry(called.loc).or_insert((called.name, 0)).1 += 1;
                }
            }
            if let Some(recorder) = &mut watch.recorder {
                recorder.enter(Callee::Lambda(called.loc), Loc::NONE, called.name);
            }
        }
        let result = self.run_lambda(lambda, code, args, loc);
        self.leave();
        result
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn watched_prim(
        &mut self,
        prim: &'static Prim,
        args: &[Value],
        loc: Loc,
    ) -> Res<Value> {
        if let Some(watch) = self.pass(loc)? {
            if let Some(counts) = &mut watch.counts {
                counts.prims += 1;
                if let Some(each) = &mut counts.each {
                    *each.prims.entry(prim.name).or_default() += 1;
                }
            }
            if let Some(recorder) = &mut watch.recorder {
                recorder.enter(Callee::Prim(prim.name), loc, None);
            }
        }
        let result = self.run_prim(prim, args, loc);
        self.leave();
        result
    }

    /// Notes that a text is being read into code: a profile shows that as a frame of its own.
    pub(crate) fn enter_reading(&mut self, start: Loc) {
        if let Some(recorder) = self.recorder() {
            recorder.enter(Callee::Reading(start), Loc::NONE, None);
        }
    }
}
