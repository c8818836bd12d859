//! Frames of variables: made, filled, and taken back after a call that nothing can look back on.
//!
//! A call's frame is taken back when it is the newest thing in the heap as the call ends, and
//! the result is no function made in that very frame. Then nothing can reach it:
//!
//! - A frame is known to thunks, to inner frames, to functions (values with the address of
//!   their frame), to promises that stand in slots of its own or of newer frames, and to the
//!   evaluator's own variables while the call lasts.
//! - Thunks and inner frames made in the frame would lie behind it, since the heap only grows
//!   upwards; nothing lies behind it any more, so those that were made were taken back by this
//!   same rule.
//! - A function made in the frame was passed on as an argument (its slot was in a newer frame,
//!   which is gone), or put into a list, a set, a thunk or a partial application (which would
//!   lie behind the frame), or it is the result, which is looked at.
//! - What is older than the frame is changed in one way only: a thunk gets its result. A thunk
//!   that is older and was computed during the call knows nothing of the frame, so neither does
//!   its result. A thunk that waits for this call gets a result that came through here.
//!
//! In tests and under a fuzzer the memory taken back is poisoned, so that a mistake here would not pass unseen.

use std::cell::Cell;

use crate::heap::{Gc, Heap, Mark};
use crate::value::{Slot, Value};

/// A frame of variables and the frame around it.
#[repr(C)]
pub(crate) struct Env {
    up: Option<Gc<Env>>,
    first: [Slot; 0],
}

impl Env {
    const fn bytes(len: usize) -> usize {
        size_of::<Env>() + len * size_of::<Slot>()
    }

    /// A frame of `len` unset slots.
    #[inline(always)]
    pub(crate) fn alloc(heap: &mut Heap, up: Option<Gc<Env>>, len: usize) -> Gc<Env> {
        heap.tally.envs.add(len);
        Env::filled(heap, up, len, &[], &[])
    }

    /// A frame of `len` slots: first those of another frame, then the values, then unset ones.
    #[inline(always)]
    pub(crate) fn filled(
        heap: &mut Heap,
        up: Option<Gc<Env>>,
        len: usize,
        taken: &[Slot],
        values: &[Value],
    ) -> Gc<Env> {
        assert!(taken.len() + values.len() <= len, "a frame has room for what it is given");
        let at = heap.raw(Env::bytes(len)).cast::<Env>();
        // SAFETY: fresh memory for the header and `len` slots, all written here.
        unsafe {
            at.write(Env { up, first: [] });
            let mut to = std::ptr::addr_of_mut!((*at.as_ptr()).first).cast::<Slot>();
            for slot in taken {
                to.write(slot.clone());
                to = to.add(1);
            }
            for value in values {
                to.write(Cell::new(*value));
                to = to.add(1);
            }
            for _ in taken.len() + values.len()..len {
                to.write(Cell::new(Value::Unset));
                to = to.add(1);
            }
            Gc::new(at)
        }
    }

    #[inline(always)]
    pub(crate) fn slot(this: Gc<Env>, index: u32) -> &'static Slot {
        // SAFETY: the compiler gives out only indices below the length of the frame that it
        // sized itself, for the very level this frame stands on.
        unsafe {
            let first = std::ptr::addr_of!((*this.as_ptr()).first).cast::<Slot>();
            &*first.add(index as usize)
        }
    }

    /// The first `len` slots, which the frame must have.
    #[inline(always)]
    pub(crate) fn slots(this: Gc<Env>, len: u32) -> &'static [Slot] {
        // SAFETY: as for `slot`.
        unsafe {
            let first = std::ptr::addr_of!((*this.as_ptr()).first).cast::<Slot>();
            std::slice::from_raw_parts(first, len as usize)
        }
    }

    /// The frame `level` steps out.
    #[inline(always)]
    pub(crate) fn up(this: Gc<Env>, level: u32) -> Gc<Env> {
        let mut env = this;
        for _ in 0..level {
            env = env.get().up.expect("the compiler counts levels within the chain of frames");
        }
        env
    }

    /// Takes a call's frame of `len` slots back, if nothing can reach it after the call gave
    /// `result`. `mark` is where the heap stood before the frame.
    #[inline(always)]
    pub(crate) fn end_call(heap: &mut Heap, mark: Mark, frame: Gc<Env>, len: usize, result: Value) {
        if matches!(result, Value::Lambda(lambda) if lambda.env() == frame) {
            return;
        }
        // SAFETY: by the rule at the head of this file, if the frame is the last thing in the
        // heap; else this does nothing.
        unsafe { heap.take_back(mark, Env::bytes(len)) };
    }
}

const _: () = assert!(size_of::<Env>() == 8 && align_of::<Env>() == align_of::<Slot>());
