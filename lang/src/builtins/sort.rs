//! Sorting: `builtins.sort`, and the merge sort that asks an evaluation which of two comes first.

use std::cmp::Ordering;

use super::lists::{func_arg, list_arg, placed};
use crate::code::{Code, Compare};
use crate::error::Res;
use crate::machine::Machine;
use crate::place::Place;
use crate::source::Loc;
use crate::value::{List, Str, Value};

/// A forced element and the place that it is at.
type Item<'a> = (Value, &'a Place);

pub(super) fn sort(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = list_arg(machine, args[1], loc, "second", "sort")?;
    if list.len() == 0 {
        return Ok(Value::List(List::EMPTY));
    }
    let func = func_arg(machine, args[0], loc, "sort")?;
    // The places go into the sorted list, where what was one value stays one.
    let items = list.places().iter().map(|item| Ok((machine.force_place(item)?, item)));
    let mut items = items.collect::<Res<Vec<Item>>>()?;
    let builtin =
        matches!(func, Value::Prim(prim) if machine.prims[prim as usize].name == "lessThan");
    let order = if builtin { Some(Order::Rising) } else { order_of(machine, func) };
    if !order.is_some_and(|order| sort_plain(&mut items, order)) {
        let mut less = |machine: &mut Machine, a: Item, b: Item| {
            if builtin {
                let what = "while evaluating the ordering function passed to builtins.sort";
                let less = machine.less_than(a.0, b.0, Loc::NONE);
                return less.map_err(|error| error.frame(Loc::NONE, what));
            }
            let result = machine.call(func, &[a.1.unread(), b.1.unread()], loc)?;
            let what =
                "while evaluating the return value of the sorting function passed to builtins.sort";
            machine.as_bool(result, loc).map_err(|e| e.frame(loc, what))
        };
        merge_sort(machine, &mut items, &mut less)?;
    }
    Ok(placed(machine, items.into_iter().map(|(_, place)| place.clone()).collect()))
}

#[derive(Clone, Copy)]
enum Order {
    Rising,
    Falling,
}

/// The order that a function stands for when it does nothing but compare its two arguments, as
/// `a: b: a < b` does.
fn order_of(machine: &Machine, func: Value) -> Option<Order> {
    let Value::Lambda(lambda) = func else {
        return None;
    };
    let outer = machine.tables.lambdas[lambda.code as usize].get();
    let inner = outer.inner?.get();
    if outer.formals.is_some() || inner.formals.is_some() {
        return None;
    }
    let Code::Compare(compare, pair) = inner.body.get() else {
        return None;
    };
    let (Code::Local(left, _), Code::Local(right, _)) = (pair.left.get(), pair.right.get()) else {
        return None;
    };
    let (first, second) = (outer.taken, inner.taken);
    let straight = match (*left, *right) {
        (a, b) if (a, b) == (first, second) => true,
        (b, a) if (a, b) == (first, second) => false,
        _ => return None,
    };
    match (compare, straight) {
        (Compare::Lt, true) | (Compare::Gt, false) => Some(Order::Rising),
        (Compare::Gt, true) | (Compare::Lt, false) => Some(Order::Falling),
        // What is neither greater nor less changes places by these.
        (Compare::Le | Compare::Ge, _) => None,
    }
}

/// Sorts what can be compared without evaluating anything: nothing but integers, or nothing but
/// strings that are their own text. Whether it did.
fn sort_plain(items: &mut [Item], order: Order) -> bool {
    let whole = |(item, _): &Item| if let Value::Int(n) = item { Some(*n) } else { None };
    let text = |(item, _): &Item| match item {
        Value::Str(text) if text.ctx.is_empty() => Some(Str::bytes(*text)),
        _ => None,
    };
    sort_by(items, order, whole) || sort_by(items, order, text)
}

/// Sorts by a key that all must have; equal ones stay as they are.
fn sort_by<K: Ord + Copy>(
    items: &mut [Item],
    order: Order,
    key: impl Fn(&Item) -> Option<K>,
) -> bool {
    let Some(mut keyed) =
        items.iter().map(|item| Some((key(item)?, *item))).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let rising = |a: &(K, Item), b: &(K, Item)| -> Ordering { a.0.cmp(&b.0) };
    match order {
        Order::Rising => keyed.sort_by(rising),
        Order::Falling => keyed.sort_by(|a, b| rising(b, a)),
    }
    for (to, (_, item)) in items.iter_mut().zip(keyed) {
        *to = item;
    }
    true
}

/// Stable, and stops at the first failing comparison.
pub(super) fn merge_sort<T: Copy>(
    machine: &mut Machine,
    items: &mut Vec<T>,
    less: &mut impl FnMut(&mut Machine, T, T) -> Res<bool>,
) -> Res<()> {
    const RUN: usize = 8;
    for run in items.chunks_mut(RUN) {
        for i in 1..run.len() {
            let mut j = i;
            while j > 0 && less(machine, run[j], run[j - 1])? {
                run.swap(j, j - 1);
                j -= 1;
            }
        }
    }
    let mut width = RUN;
    let mut other = Vec::with_capacity(items.len());
    while width < items.len() {
        other.clear();
        for pair in items.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut i, mut j) = (0, 0);
            while i < left.len() && j < right.len() {
                if less(machine, right[j], left[i])? {
                    other.push(right[j]);
                    j += 1;
                } else {
                    other.push(left[i]);
                    i += 1;
                }
            }
            other.extend_from_slice(&left[i..]);
            other.extend_from_slice(&right[j..]);
        }
        std::mem::swap(items, &mut other);
        width *= 2;
    }
    Ok(())
}
