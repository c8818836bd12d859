//! Promises: values that are computed when they are needed. Where one stands (a thunk that others
//! can hold, or a slot that alone knows it), and how it is kept. What code means is `machine`'s
//! affair.

use std::cell::Cell;

use crate::code::*;
use crate::error::{Error, Res};
use crate::heap::{Gc, bump};
use crate::machine::Machine;
use crate::place::Place;
use crate::source::Loc;
use crate::value::{Env, LambdaRef, List, Slot, State, Thunk, Value};

impl Machine {
    pub(crate) fn thunk(&mut self, state: State) -> Value {
        bump(&mut self.tally.thunks, 1);
        Value::Thunk(self.heap.alloc(Thunk(Cell::new(state))))
    }

    /// A call that happens when needed.
    pub(crate) fn delay_call(&mut self, func: Value, arg: Value) -> Value {
        let pair = self.heap.alloc([func, arg]);
        self.thunk(State::App(pair))
    }

    /// The value of an expression, computed when needed; at once where that costs nothing.
    #[inline]
    pub(crate) fn delay(&mut self, lazy: &Lazy, env: Gc<Env>) -> Value {
        match self.known(lazy, env) {
            Some(value) => value,
            None => self.thunk(State::Suspended(LambdaRef::new(lazy.id, env))),
        }
    }

    /// The same, for a slot of a frame that nobody copies.
    #[inline]
    pub(crate) fn delay_variable(&mut self, lazy: &Lazy, env: Gc<Env>) -> Value {
        match self.known(lazy, env) {
            Some(value) => value,
            // What rests on what may change stays behind a thunk.
            None if self.tracking.is_some() => self.delay(lazy, env),
            None => {
                bump(&mut self.tally.thunks, 1);
                Value::Later(LambdaRef::new(lazy.id, env))
            }
        }
    }

    /// The value of an expression that costs nothing, or the promise of it that there is already.
    #[inline(always)]
    fn known(&mut self, lazy: &Lazy, env: Gc<Env>) -> Option<Value> {
        let value = match *lazy.code {
            Code::Const(value) => value,
            Code::Lambda(code) => return Some(Value::Lambda(LambdaRef::new(code, env))),
            Code::Local(slot, _) => self.variable(Env::slot(env, slot))?,
            Code::Up { level, slot, .. } => self.variable(Env::slot(Env::up(env, level), slot))?,
            _ => return None,
        };
        bump(&mut self.tally.avoided, 1);
        Some(value)
    }

    /// What a slot holds, if it is filled already, as something that another place can hold too.
    #[inline(always)]
    fn variable(&mut self, slot: &Slot) -> Option<Value> {
        match slot.get() {
            Value::Unset => None,
            Value::Later(_) | Value::Running => Some(self.share(slot)),
            value => match settled(value) {
                // C++ Nix prints a list again unless it is held by the same variable: the promise
                // tells which that is.
                Value::List(list) if list.len() > 0 => Some(self.hold(slot, list)),
                value => Some(value),
            },
        }
    }

    /// A variable's list as the promise that stands for the variable wherever it is named.
    #[inline]
    fn hold(&mut self, slot: &Slot, list: List) -> Value {
        match slot.get() {
            held @ Value::Thunk(_) => held,
            _ => self.promise(slot, State::Done(Value::List(list))),
        }
    }

    /// Lets a slot hold a promise that others can hold, too.
    fn promise(&mut self, slot: &Slot, state: State) -> Value {
        let promise = Value::Thunk(self.heap.alloc(Thunk(Cell::new(state))));
        slot.set(promise);
        promise
    }

    /// Moves a slot's own promise to where others can know it.
    #[inline(never)]
    fn share(&mut self, slot: &Slot) -> Value {
        let state = match slot.get() {
            Value::Later(at) => State::Suspended(at),
            _ => State::Black,
        };
        self.promise(slot, state)
    }

    /// Weak head normal form.
    #[inline(always)]
    pub(crate) fn force(&mut self, value: Value) -> Res<Value> {
        match value {
            Value::Thunk(thunk) => match thunk.0.get() {
                State::Done(value) => Ok(value),
                _ => self.run(thunk, Loc::NONE),
            },
            value => Ok(value),
        }
    }

    /// Forces what a slot holds and leaves the result there.
    #[inline(always)]
    pub(crate) fn force_slot(&mut self, slot: &Slot, loc: Loc) -> Res<Value> {
        match slot.get() {
            Value::Thunk(thunk) => {
                let value = match thunk.0.get() {
                    State::Done(value) => value,
                    _ => self.run(thunk, loc)?,
                };
                // A value that rests on what may change stays behind its thunk, and a list as `hold`
                // says.
                if !matches!(value, Value::List(_)) && matches!(thunk.0.get(), State::Done(_)) {
                    slot.set(value);
                }
                Ok(value)
            }
            Value::Later(_) | Value::Running => self.run_slot(slot),
            value => Ok(value),
        }
    }

    /// Computes what a slot promises that nothing else knew when it began.
    #[inline(never)]
    fn run_slot(&mut self, slot: &Slot) -> Res<Value> {
        let place = std::ptr::from_ref(slot).addr();
        let Value::Later(at) = slot.get() else {
            return Err(Error::infinite_recursion(place));
        };
        if self.tracking.is_some() {
            self.share(slot);
            return self.force_slot(slot, Loc::NONE);
        }
        self.check_stack(Loc::NONE)?;
        slot.set(Value::Running);
        let code = self.tables.lazies[at.code as usize];
        let result = self.eval(code, at.env());
        // It may have been shared meanwhile.
        let shared = match slot.get() {
            Value::Thunk(thunk) => Some(thunk),
            _ => None,
        };
        match result {
            Ok(value) => {
                if let Some(thunk) = shared {
                    thunk.0.set(State::Done(value));
                }
                if shared.is_none() || !matches!(value, Value::List(_)) {
                    slot.set(value);
                }
                Ok(value)
            }
            Err(error) => {
                error.leaves(shared.map_or(place, |thunk| thunk.as_ptr().addr()));
                let kept = self.failures.keep(&error);
                let state = kept.map_or(State::Suspended(at), State::Failed);
                match shared {
                    Some(thunk) => thunk.0.set(state),
                    None => {
                        self.promise(slot, state);
                    }
                }
                Err(error)
            }
        }
    }

    /// Forces what a place holds and leaves the result there, if it fits.
    #[inline(always)]
    pub(crate) fn force_place(&mut self, place: &Place) -> Res<Value> {
        self.force_place_at(place, Loc::NONE)
    }

    /// The same; a call that was put off happens at `loc`.
    #[inline(always)]
    pub(crate) fn force_place_at(&mut self, place: &Place, loc: Loc) -> Res<Value> {
        let Some(thunk) = place.thunk() else {
            return Ok(place.immediate());
        };
        if let State::Done(value) = thunk.0.get() {
            place.shorten(value);
            return Ok(value);
        }
        let value = self.run(thunk, loc)?;
        // A value that rests on what may change stays behind its thunk.
        if let State::Done(_) = thunk.0.get() {
            place.shorten(value);
        }
        Ok(value)
    }

    /// Computes what a thunk promises; a call that was put off happens at `loc`.
    #[inline(never)]
    pub(crate) fn run(&mut self, thunk: Gc<Thunk>, loc: Loc) -> Res<Value> {
        if self.tracking.is_some() {
            return self.run_tracked(thunk, loc);
        }
        self.run_plain(thunk, loc)
    }

    /// Computes a thunk.
    #[inline(always)]
    pub(crate) fn run_plain(&mut self, thunk: Gc<Thunk>, loc: Loc) -> Res<Value> {
        let before = thunk.0.get();
        self.check_stack(Loc::NONE)?;
        thunk.0.set(State::Black);
        let result = match before {
            State::Done(value) => Ok(value),
            State::Suspended(at) => {
                let code = self.tables.lazies[at.code as usize];
                self.eval(code, at.env())
            }
            State::App(pair) => self.call(pair[0], &[pair[1]], loc),
            State::Generated(part) => {
                let number = Value::Int(part.index() as i64);
                self.call(*part.whole(), &[number], loc)
            }
            State::Mapped(part) => {
                let (func, list) = *part.whole();
                self.call(func, &[list.places()[part.index()].unread()], loc)
            }
            State::MappedAttr(part) => {
                let (func, all) = *part.whole();
                let attr = &all[part.index()];
                let name = self.name_string(attr.name);
                self.call(func, &[name, attr.value.unread()], loc)
            }
            State::Zipped(part) => {
                let zip = part.whole();
                let (name, values) = zip.group(part.index());
                let name = self.name_string(name);
                self.call(zip.func, &[name, Value::List(values)], loc)
            }
            State::Black => return Err(Error::infinite_recursion(thunk.as_ptr().addr())),
            State::Failed(index) => {
                thunk.0.set(before);
                return Err(self.failures.again(index));
            }
            State::Kept(kept) => Ok(kept.value),
        };
        match result {
            Ok(value) => {
                thunk.0.set(State::Done(value));
                Ok(value)
            }
            Err(error) => {
                error.leaves(thunk.as_ptr().addr());
                thunk.0.set(self.failures.keep(&error).map_or(before, State::Failed));
                Err(error)
            }
        }
    }
}

/// A finished thunk's value, or the thunk.
#[inline(always)]
pub(crate) fn settled(value: Value) -> Value {
    if let Value::Thunk(thunk) = value
        && let State::Done(value) = thunk.0.get()
    {
        return value;
    }
    value
}
