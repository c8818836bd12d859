//! Builtins on numbers, and `lessThan`.

use super::Prim;
use crate::code::Arith;
use crate::error::{Error, Res};
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::Value;

fn both(machine: &mut Machine, args: &[Value]) -> Res<(Value, Value)> {
    Ok((machine.force(args[0])?, machine.force(args[1])?))
}

fn add(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let (left, right) = both(machine, args)?;
    let float = matches!(left, Value::Float(_)) || matches!(right, Value::Float(_));
    let check = |machine: &mut Machine, value: Value, which: &str| {
        let checked = if float {
            machine.as_float(value, loc).map(Value::Float)
        } else {
            machine.as_int(value, loc).map(Value::Int)
        };
        checked.map_err(|e| {
            e.frame(loc, format!("while evaluating the {which} argument of the addition"))
        })
    };
    match (check(machine, left, "first")?, check(machine, right, "second")?) {
        (Value::Int(a), Value::Int(b)) => a
            .checked_add(b)
            .map(Value::Int)
            .ok_or_else(|| Error::eval(loc, format!("integer overflow in adding {a} + {b}"))),
        (Value::Float(a), Value::Float(b)) => Ok(Value::Float(a + b)),
        _ => unreachable!("both are of the type that was asked for"),
    }
}

fn sub(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let (left, right) = both(machine, args)?;
    machine.arith(Arith::Sub, left, right, loc)
}

fn mul(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let (left, right) = both(machine, args)?;
    machine.arith(Arith::Mul, left, right, loc)
}

fn div(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let (left, right) = both(machine, args)?;
    machine.arith(Arith::Div, left, right, loc)
}

fn less_than(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let (left, right) = both(machine, args)?;
    machine.less_than(left, right, loc).map(Value::Bool)
}

macro_rules! bits {
    ($function:ident, $name:literal, $op:tt) => {
        fn $function(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
            let what = |which| format!(concat!("while evaluating the {} argument passed to builtins.", $name), which);
            let left = machine.as_int(args[0], loc).map_err(|e| e.frame(loc, what("first")))?;
            let right = machine.as_int(args[1], loc).map_err(|e| e.frame(loc, what("second")))?;
            Ok(Value::Int(left $op right))
        }
    };
}

bits!(bit_and, "bitAnd", &);
bits!(bit_or, "bitOr", |);
bits!(bit_xor, "bitXor", ^);

/// An integer, if it is one that C++ Nix gives back: it went through a float once, and says so instead of
/// giving another answer than it used to.
fn whole(n: i64, loc: Loc) -> Res<Value> {
    const BUG: &str = "Due to a bug (see https://github.com/NixOS/nix/issues/12899)";
    const FUTURE: &str = "Future Nix versions might implement the correct behavior.";
    let rounded = n as f64;
    if rounded >= 9_223_372_036_854_775_808.0 {
        let message = format!(
            "{BUG} the NixInt argument {n} caused undefined behavior in previous Nix versions.\n\t{FUTURE}"
        );
        return Err(Error::eval(loc, message));
    }
    if rounded as i64 != n {
        let message = format!(
            "{BUG} a loss of precision occurred in previous Nix versions because the NixInt argument {n} was rounded to {}.\n\t{FUTURE}",
            rounded as i64
        );
        return Err(Error::eval(loc, message));
    }
    Ok(Value::Int(n))
}

fn rounded(
    machine: &mut Machine,
    args: &[Value],
    loc: Loc,
    name: &str,
    round: fn(f64) -> f64,
) -> Res<Value> {
    let framed = |error: Error| {
        error.frame(loc, format!("while evaluating the first argument passed to builtins.{name}"))
    };
    let value = machine.force(args[0]).map_err(framed)?;
    if let Value::Int(n) = value {
        return whole(n, loc);
    }
    let x = round(machine.as_float(value, loc).map_err(framed)?);
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) {
        return Err(Error::eval(
            loc,
            format!("NixInt overflow in builtins.{name}: the float {x} is no integer in range"),
        ));
    }
    Ok(Value::Int(x as i64))
}

fn ceil(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    rounded(machine, args, loc, "ceil", f64::ceil)
}

fn floor(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    rounded(machine, args, loc, "floor", f64::floor)
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("add", 2, 3, add),
        Prim::new("sub", 2, 3, sub),
        Prim::new("mul", 2, 3, mul),
        Prim::new("div", 2, 3, div),
        Prim::new("lessThan", 2, 3, less_than),
        Prim::new("bitAnd", 2, 3, bit_and),
        Prim::new("bitOr", 2, 3, bit_or),
        Prim::new("bitXor", 2, 3, bit_xor),
        Prim::new("ceil", 1, 1, ceil),
        Prim::new("floor", 1, 1, floor),
    ]
}
