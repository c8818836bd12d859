//! Operators on values: arithmetic, order, equality, `++`; what type a value has and the
//! errors when it is another one.

use std::cmp::Ordering;
use std::fmt::Display;

use crate::code::{Arith, Pair};
use crate::error::{Error, Res};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::place::Place;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, List, Str, Value};

/// The name that `typeOf` gives.
pub(crate) fn type_name(value: Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) => "string",
        Value::Path(_) => "path",
        Value::List(_) => "list",
        Value::Attrs(_) => "set",
        Value::Lambda(_) | Value::Prim(_) | Value::PrimApp(_) => "lambda",
        Value::Thunk(_) | Value::Unset | Value::Later(_) | Value::Running => {
            unreachable!("forced values have a type")
        }
    }
}

impl Machine {
    /// A value's type for messages, with its article.
    pub(crate) fn type_phrase(&self, value: Value) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Bool(_) => "a Boolean".into(),
            Value::Int(_) => "an integer".into(),
            Value::Float(_) => "a float".into(),
            Value::Str(text) if text.ctx.is_empty() => "a string".into(),
            Value::Str(_) => "a string with context".into(),
            Value::Path(_) => "a path".into(),
            Value::List(_) => "a list".into(),
            Value::Attrs(_) => "a set".into(),
            Value::Lambda(_) => "a function".into(),
            Value::Prim(prim) => {
                format!("the built-in function '{}'", self.prims[prim as usize].shown())
            }
            Value::PrimApp(app) => {
                format!(
                    "the partially applied built-in function '{}'",
                    self.prims[app.prim as usize].shown()
                )
            }
            Value::Thunk(_) | Value::Unset | Value::Later(_) | Value::Running => "a thunk".into(),
        }
    }

    /// `expected a set but found an integer: 1`
    #[cold]
    pub(crate) fn wrong_type(&mut self, expected: &str, found: Value, loc: Loc) -> Error {
        let shown = self.show_error(found);
        Error::typed(
            loc,
            format!("expected {expected} but found {}: {shown}", self.type_phrase(found)),
        )
    }

    /// A set. C++ Nix gives no place when it is none; the caller's frame has one.
    #[inline]
    pub(crate) fn as_attrs(&mut self, value: Value, loc: Loc) -> Res<Gc<Attrs>> {
        match self.force(value) {
            Ok(Value::Attrs(attrs)) => Ok(attrs),
            found => Err(self.unfit("a set", found, loc, None)),
        }
    }

    /// A list, with errors as those of sets.
    #[inline]
    pub(crate) fn as_list(&mut self, value: Value, loc: Loc) -> Res<List> {
        match self.force(value) {
            Ok(Value::List(list)) => Ok(list),
            found => Err(self.unfit("a list", found, loc, None)),
        }
    }

    /// A set for a purpose, which is told if it is something else.
    #[inline]
    pub(crate) fn set_for(&mut self, value: Value, loc: Loc, what: impl Display) -> Res<Gc<Attrs>> {
        match self.force(value) {
            Ok(Value::Attrs(attrs)) => Ok(attrs),
            found => Err(self.unfit("a set", found, loc, Some(&what))),
        }
    }

    /// A list, likewise.
    #[inline]
    pub(crate) fn list_for(&mut self, value: Value, loc: Loc, what: impl Display) -> Res<List> {
        match self.force(value) {
            Ok(Value::List(list)) => Ok(list),
            found => Err(self.unfit("a list", found, loc, Some(&what))),
        }
    }

    /// Why a value is not what was expected: it fails, or it is something else.
    #[cold]
    fn unfit(
        &mut self,
        expected: &str,
        found: Res<Value>,
        loc: Loc,
        what: Option<&dyn Display>,
    ) -> Error {
        let error = match found {
            Ok(other) => self.wrong_type(expected, other, Loc::NONE),
            Err(error) => return error.looped_at(loc),
        };
        match what {
            Some(what) => error.frame(loc, what.to_string()),
            None => error,
        }
    }

    #[inline]
    pub(crate) fn as_bool(&mut self, value: Value, loc: Loc) -> Res<bool> {
        match self.force(value)? {
            Value::Bool(value) => Ok(value),
            other => Err(self.wrong_type("a Boolean", other, loc)),
        }
    }

    #[inline]
    pub(crate) fn as_int(&mut self, value: Value, loc: Loc) -> Res<i64> {
        match self.force(value)? {
            Value::Int(value) => Ok(value),
            other => Err(self.wrong_type("an integer", other, loc)),
        }
    }

    pub(crate) fn as_float(&mut self, value: Value, loc: Loc) -> Res<f64> {
        match self.force(value)? {
            Value::Int(value) => Ok(value as f64),
            Value::Float(value) => Ok(value),
            other => Err(self.wrong_type("a float", other, loc)),
        }
    }

    /// A string; its bytes may hold markers.
    #[inline]
    pub(crate) fn as_str(&mut self, value: Value, loc: Loc) -> Res<Gc<Str>> {
        match self.force(value)? {
            Value::Str(text) => Ok(text),
            other => Err(self.wrong_type("a string", other, loc)),
        }
    }

    /// A string's real bytes, whatever its context.
    pub(crate) fn as_text_any(&mut self, value: Value, loc: Loc) -> Res<&'static [u8]> {
        let text = self.as_str(value, loc)?;
        self.text(text)
    }

    /// A string's bytes; it must have no context.
    pub(crate) fn as_text(&mut self, value: Value, loc: Loc) -> Res<&'static [u8]> {
        let text = self.as_str(value, loc)?;
        if text.ctx.is_empty() {
            return Ok(Str::bytes(text));
        }
        let real = self.text(text)?;
        let first = self.contexts.elems(text.ctx)[0];
        let what = self.show_elem(first)?;
        Err(Error::eval(
            loc,
            format!(
                "the string '{}' is not allowed to refer to a store path (such as '{what}')",
                String::from_utf8_lossy(real)
            ),
        ))
    }

    /// A function or something callable.
    pub(crate) fn as_function(&mut self, value: Value, loc: Loc) -> Res<Value> {
        let value = self.force(value)?;
        match value {
            Value::Lambda(_) | Value::Prim(_) | Value::PrimApp(_) => Ok(value),
            Value::Attrs(attrs) if Attrs::find(attrs, Symbol::FUNCTOR).is_some() => Ok(value),
            other => Err(self.wrong_type("a function", other, loc)),
        }
    }

    pub(crate) fn arith(&mut self, op: Arith, left: Value, right: Value, loc: Loc) -> Res<Value> {
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            let result = match op {
                Arith::Sub => a.checked_sub(b),
                Arith::Mul => a.checked_mul(b),
                Arith::Div if b == 0 => return Err(Error::eval(loc, "division by zero")),
                Arith::Div => a.checked_div(b),
            };
            return result.map(Value::Int).ok_or_else(|| overflow(op, a, b, loc));
        }
        let (noun, is_div) = match op {
            Arith::Sub => ("subtraction", false),
            Arith::Mul => ("multiplication", false),
            Arith::Div => ("division", true),
        };
        let first = if is_div { "operand" } else { "argument" };
        let left_is_float = matches!(left, Value::Float(_));
        let right_is_float = matches!(right, Value::Float(_));
        let number = |machine: &mut Self, value: Value, is_float: bool, which: &str| {
            let result = match value {
                Value::Int(n) => Ok(n as f64),
                Value::Float(x) => Ok(x),
                other if is_float => Err(machine.wrong_type("a float", other, loc)),
                other => Err(machine.wrong_type("an integer", other, loc)),
            };
            result.map_err(|e| {
                e.frame(loc, format!("while evaluating the {which} {first} of the {noun}"))
            })
        };
        let any_float = left_is_float || right_is_float;
        let (a, b) = if is_div {
            let b = number(self, right, true, "second")?;
            if b == 0.0 {
                return Err(Error::eval(loc, "division by zero"));
            }
            (number(self, left, any_float, "first")?, b)
        } else {
            (number(self, left, any_float, "first")?, number(self, right, any_float, "second")?)
        };
        Ok(Value::Float(match op {
            Arith::Sub => a - b,
            Arith::Mul => a * b,
            Arith::Div => a / b,
        }))
    }

    /// `left + right`; errors are at the operand that does not fit.
    pub(crate) fn add(&mut self, left: Value, right: Value, pair: &Pair) -> Res<Value> {
        let loc = pair.right_loc;
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => a
                .checked_add(b)
                .map(Value::Int)
                .ok_or_else(|| Error::eval(loc, format!("integer overflow in adding {a} + {b}"))),
            (Value::Float(a), Value::Float(b)) => Ok(Value::Float(a + b)),
            (Value::Int(a), Value::Float(b)) => Ok(Value::Float(a as f64 + b)),
            (Value::Float(a), Value::Int(b)) => Ok(Value::Float(a + b as f64)),
            (Value::Int(_), other) => Err(Error::eval(
                loc,
                format!("cannot add {} to an integer", self.type_phrase(other)),
            )),
            (Value::Float(_), other) => {
                Err(Error::eval(loc, format!("cannot add {} to a float", self.type_phrase(other))))
            }
            (Value::Str(a), Value::Str(b)) => {
                check_length(Str::bytes(a).len() + Str::bytes(b).len(), loc)?;
                let ctx = self.contexts.union(a.ctx, b.ctx);
                Ok(Value::Str(Str::concat(&mut self.heap, &[Str::bytes(a), Str::bytes(b)], ctx)))
            }
            (Value::Path(_), _) => self.add_to_path(left, right, pair),
            _ => self.add_strings(left, right, pair),
        }
    }

    pub(crate) fn less_than(&mut self, left: Value, right: Value, loc: Loc) -> Res<bool> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => Ok(a < b),
            (Value::Float(a), Value::Float(b)) => Ok(a < b),
            (Value::Int(a), Value::Float(b)) => Ok((a as f64) < b),
            (Value::Float(a), Value::Int(b)) => Ok(a < b as f64),
            (Value::Str(a), Value::Str(b)) => {
                let order = self.compare_strings(a, b)?;
                Ok(order == Ordering::Less)
            }
            (Value::Path(a), Value::Path(b)) => Ok(Str::bytes(a) < Str::bytes(b)),
            (Value::List(a), Value::List(b)) => {
                self.check_stack(loc)?;
                let (a, b) = (a.places(), b.places());
                for (index, right) in b.iter().enumerate() {
                    let Some(left) = a.get(index) else {
                        return Ok(true);
                    };
                    if !self.equal_places(left, right, loc)? {
                        let left = self.force_place(left)?;
                        let right = self.force_place(right)?;
                        let nested = matches!(left, Value::List(_));
                        let what = "while comparing two list elements";
                        return self.less_than(left, right, loc).map_err(|error| {
                            if nested { error } else { error.frame(Loc::NONE, what) }
                        });
                    }
                }
                Ok(false)
            }
            _ => {
                let (a, b) = (self.show_error(left), self.show_error(right));
                let (ta, tb) = (self.type_phrase(left), self.type_phrase(right));
                let message = if type_name(left) == type_name(right) {
                    format!(
                        "cannot compare {ta} with {tb}; values of that type are incomparable (values are {a} and {b})"
                    )
                } else {
                    format!("cannot compare {ta} with {tb}; values are {a} and {b}")
                };
                Err(Error::eval(loc, message))
            }
        }
    }

    pub(crate) fn compare_strings(&mut self, a: Gc<Str>, b: Gc<Str>) -> Res<Ordering> {
        if Str::bytes(a) == Str::bytes(b) {
            return Ok(Ordering::Equal);
        }
        Ok(self.text(a)?.cmp(self.text(b)?))
    }

    fn equal_strings(&mut self, a: Gc<Str>, b: Gc<Str>) -> Res<bool> {
        let (x, y) = (Str::bytes(a), Str::bytes(b));
        if x == y {
            return Ok(true);
        }
        // A path's length is known before its digest.
        if x.len() != y.len() || (a.ctx.is_empty() && b.ctx.is_empty()) {
            return Ok(false);
        }
        Ok(self.text(a)? == self.text(b)?)
    }

    pub(crate) fn equal_places(&mut self, a: &Place, b: &Place, loc: Loc) -> Res<bool> {
        // C++ Nix compares addresses once both are computed: inside of sets and lists the same
        // function is equal to itself, and the same set is not looked into.
        let same = matches!((a.unread(), b.unread()), (Value::Thunk(x), Value::Thunk(y)) if x == y);
        let left = self.force_place(a)?;
        if same {
            return Ok(true);
        }
        let right = self.force_place(b)?;
        match (left, right) {
            (Value::Attrs(x), Value::Attrs(y)) if x == y => Ok(true),
            (Value::List(x), Value::List(y)) if std::ptr::eq(x.places(), y.places()) => Ok(true),
            (Value::Lambda(x), Value::Lambda(y)) => Ok(x.code == y.code && x.env() == y.env()),
            (Value::Prim(x), Value::Prim(y)) => Ok(x == y),
            (Value::PrimApp(x), Value::PrimApp(y)) => Ok(x == y),
            _ => self.equal(left, right, loc),
        }
    }

    pub(crate) fn equal(&mut self, left: Value, right: Value, loc: Loc) -> Res<bool> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => Ok(a == b),
            (Value::Float(a), Value::Float(b)) => Ok(a == b),
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => {
                Ok(a as f64 == b)
            }
            (Value::Null, Value::Null) => Ok(true),
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Str(a), Value::Str(b)) => self.equal_strings(a, b),
            (Value::Path(a), Value::Path(b)) => Ok(Str::bytes(a) == Str::bytes(b)),
            (Value::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                self.nested(loc, |machine| {
                    for (a, b) in a.places().iter().zip(b.places()) {
                        if !machine.equal_places(a, b, loc)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                })
            }
            (Value::Attrs(a), Value::Attrs(b)) => {
                self.nested(loc, |machine| machine.equal_sets(a, b, loc))
            }
            _ => Ok(false),
        }
    }

    fn equal_sets(&mut self, a: Gc<Attrs>, b: Gc<Attrs>, loc: Loc) -> Res<bool> {
        if self.is_derivation(a)? && self.is_derivation(b)? {
            let (x, y) = (Attrs::find(a, Symbol::OUT_PATH), Attrs::find(b, Symbol::OUT_PATH));
            if let (Some(x), Some(y)) = (x, y) {
                return self.equal_places(&x.value, &y.value, loc);
            }
        }
        if a.len() != b.len() {
            return Ok(false);
        }
        let (a, b) = (Attrs::all(a, &mut self.heap), Attrs::all(b, &mut self.heap));
        if !a.iter().zip(b).all(|(a, b)| a.name == b.name) {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b) {
            if !self.equal_places(&a.value, &b.value, loc)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a set has `type = "derivation"`.
    pub(crate) fn is_derivation(&mut self, attrs: Gc<Attrs>) -> Res<bool> {
        let Some(kind) = Attrs::find(attrs, Symbol::TYPE) else {
            return Ok(false);
        };
        match self.force_place(&kind.value)? {
            Value::Str(text) => Ok(Str::bytes(text) == b"derivation"),
            _ => Ok(false),
        }
    }

    pub(crate) fn concat(&mut self, left: List, right: List, loc: Loc) -> Res<List> {
        crate::heap::bump(&mut self.tally.concats, 1);
        if left.len() == 0 {
            return Ok(right);
        }
        if right.len() == 0 {
            return Ok(left);
        }
        check_list_length(left.len() + right.len(), loc)?;
        let mut all = self.heap.list_row(left.len() + right.len());
        left.places().iter().chain(right.places()).for_each(|slot| all.push(slot.clone()));
        Ok(List::from_places(all.finish()))
    }
}

/// More elements than this cannot be meant: 2 GiB of slots and promises.
pub(crate) const MAX_LIST_LEN: usize = 1 << 26;

/// Fails for lists that are too long to be made.
#[inline]
pub(crate) fn check_list_length(len: usize, loc: Loc) -> Res<()> {
    if len <= MAX_LIST_LEN {
        return Ok(());
    }
    let message = format!("a list of {len} elements is longer than the limit of {MAX_LIST_LEN}");
    Err(Error::eval(loc, message))
}

/// Longer strings cannot be meant, and would take the memory of everything else.
const MAX_STRING_BYTES: usize = 1 << 30;

/// What is escaped or printed is looked at for its length after each piece of this size.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// Fails for strings that are too long to be made: asked before or while a text grows, not when it is done.
#[inline]
pub(crate) fn check_length(bytes: usize, loc: Loc) -> Res<()> {
    if bytes <= MAX_STRING_BYTES {
        return Ok(());
    }
    let message = format!("a string of {bytes} bytes is longer than the limit of 1 GiB");
    Err(Error::eval(loc, message))
}

#[cold]
fn overflow(op: Arith, a: i64, b: i64, loc: Loc) -> Error {
    let words = match op {
        Arith::Sub => format!("integer overflow in subtracting {a} - {b}"),
        Arith::Mul => format!("integer overflow in multiplying {a} * {b}"),
        Arith::Div => format!("integer overflow in dividing {a} / {b}"),
    };
    Error::eval(loc, words)
}
