//! Forcing everything below a value, as deep as calls may be nested. What `deepSeq` and strict
//! printing do.

use rustc_hash::FxHashSet;

use crate::calls::stack_overflow;
use crate::error::Res;
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::{Attrs, State, Value};

impl Machine {
    /// Forces everything below a value.
    pub(crate) fn force_deep(&mut self, value: Value) -> Res<Value> {
        self.deepen(value, &mut FxHashSet::default())
    }

    fn deepen(&mut self, value: Value, seen: &mut FxHashSet<usize>) -> Res<Value> {
        let pos = self.value_pos(value);
        self.nested(pos, |machine| {
            let forced = machine.force_at(value, pos)?;
            match forced {
                Value::Attrs(attrs) => {
                    if !seen.insert(attrs.as_ptr().addr()) {
                        return Ok(forced);
                    }
                    for attr in Attrs::all(attrs, &mut machine.heap) {
                        machine.deepen(attr.value.get(), seen).map_err(|error| {
                            let what = format!("while evaluating the attribute '{}'", attr.name);
                            error.frame(attr.loc, what)
                        })?;
                    }
                }
                Value::List(list) => {
                    if list.len() > 0 && !seen.insert(list.places().as_ptr().addr()) {
                        return Ok(forced);
                    }
                    for (index, item) in list.places().iter().enumerate() {
                        machine.deepen(item.get(), seen).map_err(|error| {
                            let what = format!("while evaluating list element at index {index}");
                            error.frame(Loc::NONE, what)
                        })?;
                    }
                }
                _ => {}
            }
            Ok(forced)
        })
    }

    /// Does work that nests as calls do.
    pub(crate) fn nested<T>(
        &mut self,
        loc: Loc,
        work: impl FnOnce(&mut Machine) -> Res<T>,
    ) -> Res<T> {
        self.check_stack(loc)?;
        if self.depth > self.settings.max_call_depth {
            return Err(stack_overflow(loc));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// Forces a value; a call that was put off happens at `pos`.
    pub(crate) fn force_at(&mut self, value: Value, pos: Loc) -> Res<Value> {
        let Value::Thunk(thunk) = value else { return Ok(value) };
        match thunk.0.get() {
            State::Done(value) => Ok(value),
            _ => self.run(thunk, pos).map_err(|error| error.looped_at(pos)),
        }
    }

    /// Where C++ Nix says that a value is: a function, or a call of one that was put off.
    pub(crate) fn value_pos(&self, value: Value) -> Loc {
        match value {
            Value::Lambda(lambda) => self.tables.lambdas[lambda.code as usize].loc,
            Value::Thunk(thunk) => match thunk.0.get() {
                State::Done(value) => self.value_pos(value),
                State::App(pair) => self.value_pos(pair[0]),
                State::Generated(part) => self.value_pos(*part.whole()),
                State::Mapped(part) => self.value_pos(part.whole().0),
                State::Zipped(part) => self.value_pos(part.whole().func),
                _ => Loc::NONE,
            },
            _ => Loc::NONE,
        }
    }

    /// The same; somewhere else for what is nowhere.
    pub(crate) fn value_pos_or(&self, value: Value, otherwise: Loc) -> Loc {
        match self.value_pos(value) {
            Loc::NONE => otherwise,
            own => own,
        }
    }
}
