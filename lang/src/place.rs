//! A place for a value in eight bytes: what the attributes of sets and the elements of lists are
//! kept in. Layout only.
//!
//! The lower three bits of a word tell what it is. Everything in the heap is aligned to eight, so
//! the address of a string, a set, a promise fits beside them; so do integers of 61 bits, Booleans
//! and the like. What does not fit stands in a finished promise, and the place holds its address.
//! Half the memory of a large evaluation is sets, most of it copied by `//`.

use std::cell::Cell;
use std::ptr::{NonNull, without_provenance_mut};

use crate::heap::{Gc, Heap};
use crate::value::{List, State, Thunk, Value};

const TAG: usize = 7;
const TAG_BITS: u32 = TAG.count_ones();

const THUNK: usize = 0;
const STR: usize = 1;
const PATH: usize = 2;
const ATTRS: usize = 3;
const PRIM_APP: usize = 4;
const INT: usize = 5;
const PRIM: usize = 6;
const OTHER: usize = 7;

/// The words of values that have no parts.
const NULL: usize = OTHER;
const FALSE: usize = OTHER | 1 << TAG_BITS;
const TRUE: usize = OTHER | 2 << TAG_BITS;
const EMPTY_LIST: usize = OTHER | 3 << TAG_BITS;

const _: () = assert!(size_of::<usize>() == 8, "integers share words with addresses");

/// A place that holds a value, possibly still a thunk.
#[derive(Clone)]
pub(crate) struct Place(Cell<*mut ()>);

#[inline(always)]
fn address<T>(at: Gc<T>, tag: usize) -> *mut () {
    at.as_ptr().cast::<()>().map_addr(|address| address | tag)
}

#[inline(always)]
fn number(payload: usize, tag: usize) -> *mut () {
    without_provenance_mut(payload << TAG_BITS | tag)
}

/// The word of a value, if it fits.
#[inline(always)]
fn word(value: Value) -> Option<*mut ()> {
    Some(match value {
        Value::Thunk(thunk) => address(thunk, THUNK),
        Value::Str(text) => address(text, STR),
        Value::Path(text) => address(text, PATH),
        Value::Attrs(attrs) => address(attrs, ATTRS),
        Value::PrimApp(app) => address(app, PRIM_APP),
        Value::Int(n) if n << TAG_BITS >> TAG_BITS == n => number(n as usize, INT),
        Value::Prim(index) => number(usize::from(index), PRIM),
        Value::Null => without_provenance_mut(NULL),
        Value::Bool(false) => without_provenance_mut(FALSE),
        Value::Bool(true) => without_provenance_mut(TRUE),
        Value::List(list) if list.len() == 0 => without_provenance_mut(EMPTY_LIST),
        _ => return None,
    })
}

impl Place {
    /// A place that holds a value.
    #[inline]
    pub(crate) fn new(value: Value, heap: &mut Heap) -> Place {
        let word = word(value).unwrap_or_else(|| {
            let thunk = heap.alloc(Thunk(Cell::new(State::Done(value))));
            address(thunk, THUNK)
        });
        Place(Cell::new(word))
    }

    /// The promise that it holds, finished or not.
    #[inline(always)]
    pub(crate) fn thunk(&self) -> Option<Gc<Thunk>> {
        // SAFETY: a word with this tag is the address of a thunk, which `word` got from a `Gc`.
        (self.0.get().addr() & TAG == THUNK).then(|| unsafe { self.gc(THUNK) })
    }

    /// What it holds: the value of a finished promise, or a promise.
    #[inline]
    pub(crate) fn get(&self) -> Value {
        match self.thunk() {
            Some(thunk) => match thunk.0.get() {
                State::Done(value) => value,
                _ => Value::Thunk(thunk),
            },
            None => self.immediate(),
        }
    }

    /// What it holds, a finished promise not looked into.
    #[inline]
    pub(crate) fn unread(&self) -> Value {
        match self.thunk() {
            Some(thunk) => Value::Thunk(thunk),
            None => self.immediate(),
        }
    }

    /// Lets it hold the value of its promise, if that fits.
    #[inline(always)]
    pub(crate) fn shorten(&self, value: Value) {
        if let Some(word) = word(value) {
            self.0.set(word);
        }
    }

    /// The value of a word that is no promise.
    #[inline(always)]
    pub(crate) fn immediate(&self) -> Value {
        let word = self.0.get();
        // SAFETY: a word with one of these tags is the address of what the tag says, which `word`
        // got from a `Gc`.
        unsafe {
            match word.addr() & TAG {
                STR => Value::Str(self.gc(STR)),
                PATH => Value::Path(self.gc(PATH)),
                ATTRS => Value::Attrs(self.gc(ATTRS)),
                PRIM_APP => Value::PrimApp(self.gc(PRIM_APP)),
                INT => Value::Int(word.addr() as i64 >> TAG_BITS),
                PRIM => Value::Prim((word.addr() >> TAG_BITS) as u16),
                _ => match word.addr() {
                    NULL => Value::Null,
                    FALSE => Value::Bool(false),
                    TRUE => Value::Bool(true),
                    _ => Value::List(List::EMPTY),
                },
            }
        }
    }

    /// What a word with this tag points to.
    ///
    /// # Safety
    /// The word has this tag, and was made from a `Gc<T>`.
    #[inline(always)]
    unsafe fn gc<T>(&self, tag: usize) -> Gc<T> {
        let at = self.0.get().map_addr(|address| address ^ tag).cast::<T>();
        // SAFETY: as this function asks; an address in the heap is not null.
        unsafe { Gc::new(NonNull::new_unchecked(at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Ctx;
    use crate::value::{Attrs, Str};

    #[test]
    fn gives_back_what_it_was_given() {
        let mut heap = Heap::new(u64::MAX);
        let text = Str::alloc(&mut heap, b"text", Ctx::EMPTY);
        let set = Attrs::from_vec(&mut heap, Vec::new());
        let thunk = heap.alloc(Thunk(Cell::new(State::Black)));
        let mut again = |value: Value| Place::new(value, &mut heap).get();
        for n in [0, 1, -1, i64::MAX >> 3, i64::MIN >> 3, (i64::MAX >> 3) + 1, i64::MIN, i64::MAX] {
            assert!(matches!(again(Value::Int(n)), Value::Int(found) if found == n), "{n}");
        }
        assert!(matches!(again(Value::Float(0.5)), Value::Float(x) if x == 0.5));
        assert!(matches!(again(Value::Null), Value::Null));
        assert!(matches!(again(Value::Bool(true)), Value::Bool(true)));
        assert!(matches!(again(Value::Bool(false)), Value::Bool(false)));
        assert!(matches!(again(Value::Prim(7)), Value::Prim(7)));
        assert!(matches!(again(Value::Str(text)), Value::Str(found) if found == text));
        assert!(matches!(again(Value::Path(text)), Value::Path(found) if found == text));
        assert!(matches!(again(Value::Attrs(set)), Value::Attrs(found) if found == set));
        assert!(matches!(again(Value::Thunk(thunk)), Value::Thunk(found) if found == thunk));
        assert!(matches!(again(Value::List(List::EMPTY)), Value::List(list) if list.len() == 0));
    }

    #[test]
    fn looks_into_a_promise_once_it_is_kept() {
        let mut heap = Heap::new(u64::MAX);
        let thunk = heap.alloc(Thunk(Cell::new(State::Black)));
        let place = Place::new(Value::Thunk(thunk), &mut heap);
        thunk.0.set(State::Done(Value::Float(1.0)));
        assert!(matches!(place.get(), Value::Float(_)) && place.thunk().is_some());
        place.shorten(Value::Float(1.0));
        assert!(place.thunk().is_some(), "a float does not fit");
        place.shorten(Value::Int(1));
        assert!(matches!(place.unread(), Value::Int(1)));
    }
}
