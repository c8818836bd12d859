//! Builtins on lists.

use rustc_hash::FxHashMap;

use super::Prim;
use super::sort::{merge_sort, sort};
use crate::error::{Error, Res};
use crate::heap::{Gc, bump};
use crate::machine::Machine;
use crate::ops::{MAX_LIST_LEN, check_list_length};
use crate::place::Place;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, List, Part, State, Str, Value};

pub(super) fn list_arg(
    machine: &mut Machine,
    value: Value,
    loc: Loc,
    which: &str,
    name: &str,
) -> Res<List> {
    let what = format_args!("while evaluating the {which} argument passed to builtins.{name}");
    machine.list_for(value, loc, what)
}

fn quoted_list_arg(machine: &mut Machine, value: Value, loc: Loc, name: &str) -> Res<List> {
    let what = format_args!("while evaluating the first argument passed to 'builtins.{name}'");
    machine.list_for(value, loc, what)
}

pub(super) fn func_arg(machine: &mut Machine, value: Value, loc: Loc, name: &str) -> Res<Value> {
    machine.as_function(value, loc).map_err(|e| {
        e.frame(loc, format!("while evaluating the first argument passed to builtins.{name}"))
    })
}

pub(super) fn placed(machine: &mut Machine, places: Vec<Place>) -> Value {
    bump(&mut machine.heap.tally.list_elements, places.len() as u64);
    Value::List(List::from_places(machine.heap.alloc_slice(places.into_iter())))
}

fn map(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = list_arg(machine, args[1], loc, "second", "map")?;
    if list.len() == 0 {
        return Ok(Value::List(List::EMPTY));
    }
    let func = func_arg(machine, args[0], loc, "map")?;
    let all = machine.heap.alloc((func, list));
    let mut out = machine.heap.list_row(list.len());
    for index in 0..list.len() {
        let value = machine.thunk(State::Mapped(Part::new(all, index)));
        out.push(Place::new(value, &mut machine.heap));
    }
    Ok(Value::List(List::from_places(out.finish())))
}

fn truth(machine: &mut Machine, func: Value, item: &Place, loc: Loc, name: &str) -> Res<bool> {
    let result = machine.call(func, &[item.unread()], loc)?;
    machine.as_bool(result, loc).map_err(|e| {
        let function = match name {
            "filter" => "filtering function",
            "partition" => "partition function",
            _ => "function",
        };
        let what = "while evaluating the return value of the";
        e.frame(loc, format!("{what} {function} passed to builtins.{name}"))
    })
}

fn filter(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = list_arg(machine, args[1], loc, "second", "filter")?;
    if list.len() == 0 {
        return Ok(Value::List(List::EMPTY));
    }
    let func = func_arg(machine, args[0], loc, "filter")?;
    let mut out = Vec::new();
    for item in list.places() {
        if truth(machine, func, item, loc, "filter")? {
            out.push(item.clone());
        }
    }
    if out.len() == list.len() {
        return Ok(Value::List(list));
    }
    Ok(placed(machine, out))
}

fn foldl(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = func_arg(machine, args[0], loc, "foldlStrict")?;
    let list = list_arg(machine, args[2], loc, "third", "foldlStrict")?;
    let mut acc = args[1];
    for item in list.places() {
        acc = machine.call(func, &[acc, item.unread()], loc)?;
    }
    machine.force(acc)
}

fn elem(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = list_arg(machine, args[1], loc, "second", "elem")?;
    let wanted = Place::new(args[0], &mut machine.heap);
    let text = |place: &Place| match place.unread() {
        Value::Str(text) if text.ctx.is_empty() => Some(Str::bytes(text)),
        _ => None,
    };
    for item in list.places() {
        // Mostly known names among known names: here, since as a part of all comparisons this takes
        // twice as long.
        let found = match (text(&wanted), text(item)) {
            (Some(wanted), Some(item)) => wanted == item,
            _ => machine.equal_places(&wanted, item, loc)?,
        };
        if found {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn elem_at(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the second argument passed to 'builtins.elemAt'";
    let index = machine.as_int(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let list = quoted_list_arg(machine, args[0], loc, "elemAt")?;
    match usize::try_from(index).ok().and_then(|index| list.places().get(index)) {
        Some(item) => machine.force_place(item),
        None => {
            let message = format!(
                "'builtins.elemAt' called with index {index} on a list of size {}",
                list.len()
            );
            Err(Error::eval(loc, message))
        }
    }
}

fn head(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = quoted_list_arg(machine, args[0], loc, "head")?;
    match list.places().first() {
        Some(item) => machine.force_place(item),
        None => Err(Error::eval(loc, "'builtins.head' called on an empty list")),
    }
}

fn tail(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = quoted_list_arg(machine, args[0], loc, "tail")?;
    match list.places() {
        [] => Err(Error::eval(loc, "'builtins.tail' called on an empty list")),
        [_, rest @ ..] => Ok(Value::List(List::from_places(rest))),
    }
}

fn length(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let list = list_arg(machine, args[0], loc, "first", "length")?;
    Ok(Value::Int(list.len() as i64))
}

fn concat_lists(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let lists = list_arg(machine, args[0], loc, "first", "concatLists")?;
    let mut out = Vec::new();
    for list in lists.places() {
        let list = machine.force_place(list)?;
        let what = "while evaluating a value of the list passed to builtins.concatLists";
        let list = machine.list_for(list, loc, what)?;
        check_list_length(out.len() + list.len(), loc)?;
        out.extend_from_slice(list.places());
    }
    Ok(placed(machine, out))
}

fn concat_map(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = func_arg(machine, args[0], loc, "concatMap")?;
    let list = list_arg(machine, args[1], loc, "second", "concatMap")?;
    let mut out = Vec::new();
    for item in list.places() {
        let part = machine.call(func, &[item.unread()], loc)?;
        let what = "while evaluating the return value of the function passed to builtins.concatMap";
        let at = machine.value_pos_or(part, machine.value_pos(func));
        let part = machine.list_for(part, at, what)?;
        check_list_length(out.len() + part.len(), loc)?;
        out.extend_from_slice(part.places());
    }
    Ok(placed(machine, out))
}

fn gen_list(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the second argument passed to builtins.genList";
    let len = machine.as_int(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= MAX_LIST_LEN) else {
        return Err(Error::eval(loc, format!("cannot create list of size {len}")));
    };
    // Asked for even where nothing is to be made.
    let func = func_arg(machine, args[0], loc, "genList")?;
    if len == 0 {
        return Ok(Value::List(List::EMPTY));
    }
    let shared = machine.heap.alloc(func);
    let mut out = machine.heap.list_row(len);
    for index in 0..len {
        let value = machine.thunk(State::Generated(Part::new(shared, index)));
        out.push(Place::new(value, &mut machine.heap));
    }
    Ok(Value::List(List::from_places(out.finish())))
}

fn all(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = func_arg(machine, args[0], loc, "all")?;
    for item in list_arg(machine, args[1], loc, "second", "all")?.places() {
        if !truth(machine, func, item, loc, "all")? {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn any(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = func_arg(machine, args[0], loc, "any")?;
    for item in list_arg(machine, args[1], loc, "second", "any")?.places() {
        if truth(machine, func, item, loc, "any")? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn partition(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = func_arg(machine, args[0], loc, "partition")?;
    let list = list_arg(machine, args[1], loc, "second", "partition")?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for item in list.places() {
        machine.force_place(item)?;
        if truth(machine, func, item, loc, "partition")? {
            right.push(item.clone());
        } else {
            wrong.push(item.clone());
        }
    }
    let right = placed(machine, right);
    let wrong = placed(machine, wrong);
    Ok(machine.attrs(vec![(Symbol::RIGHT, right), (Symbol::intern("wrong"), wrong)]))
}

fn group_by(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = func_arg(machine, args[0], loc, "groupBy")?;
    let list = list_arg(machine, args[1], loc, "second", "groupBy")?;
    let mut groups: rustc_hash::FxHashMap<Symbol, Vec<Place>> = rustc_hash::FxHashMap::default();
    for item in list.places() {
        let name = machine.call(func, &[item.unread()], loc)?;
        let what =
            "while evaluating the return value of the grouping function passed to builtins.groupBy";
        let name = machine.attr_name(name, loc).map_err(|e| e.frame(loc, what))?;
        groups.entry(name).or_default().push(item.clone());
    }
    let mut attrs = Vec::with_capacity(groups.len());
    for (name, group) in groups {
        let group = placed(machine, group);
        attrs.push((name, group));
    }
    Ok(machine.attrs(attrs))
}

/// A key of `genericClosure`: what comparing two keys looks at, where hashing is the same.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Int(i64),
    Text(Vec<u8>),
    Path(Vec<u8>),
}

/// The keys of a closure so far.
#[derive(Default)]
struct Keys {
    hashed: FxHashMap<Key, Value>,
    /// Once there is a key of which hashing says too little, all keys in order.
    ordered: Option<Vec<Value>>,
}

impl Keys {
    /// Adds a key that may be compared with the others; whether it is new.
    fn insert(&mut self, machine: &mut Machine, key: Value, loc: Loc) -> Res<bool> {
        let hashed = match key {
            _ if self.ordered.is_some() => None,
            Value::Int(n) => Some(Key::Int(n)),
            Value::Str(text) => Some(Key::Text(machine.text(text)?.to_vec())),
            Value::Path(path) => Some(Key::Path(Str::bytes(path).to_vec())),
            _ => None,
        };
        if let Some(hashed) = hashed {
            return Ok(self.hashed.insert(hashed, key).is_none());
        }
        // An integer and a float can be the same key, and lists are the same where neither comes first.
        let ordered = match &mut self.ordered {
            Some(ordered) => ordered,
            None => {
                let mut all: Vec<Value> = self.hashed.drain().map(|(_, key)| key).collect();
                let mut less = |machine: &mut Machine, a, b| machine.less_than(a, b, loc);
                merge_sort(machine, &mut all, &mut less)?;
                self.ordered.insert(all)
            }
        };
        let (mut low, mut high) = (0, ordered.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match machine.less_than(ordered[middle], key, loc)? {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let new = match ordered.get(low) {
            Some(other) => machine.less_than(key, *other, loc)?,
            None => true,
        };
        if new {
            ordered.insert(low, key);
        }
        Ok(new)
    }
}

fn generic_closure(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.genericClosure";
    let attrs = machine.set_for(args[0], loc, what)?;
    let start = required(machine, attrs, Symbol::START_SET, loc, "genericClosure")?;
    let what =
        "while evaluating the 'startSet' attribute passed as argument to builtins.genericClosure";
    let start = machine.list_for(start, loc, what)?;
    if start.len() == 0 {
        return Ok(Value::List(start));
    }
    let operator = required(machine, attrs, Symbol::OPERATOR, loc, "genericClosure")?;
    let what =
        "while evaluating the 'operator' attribute passed as argument to builtins.genericClosure";
    let operator = machine.as_function(operator, loc).map_err(|e| e.frame(loc, what))?;
    let mut work: std::collections::VecDeque<Value> =
        start.places().iter().map(Place::get).collect();
    let mut keys = Keys::default();
    let mut first_key = None;
    let mut out = Vec::new();
    while let Some(item) = work.pop_front() {
        let item = machine.force(item)?;
        let Value::Attrs(set) = item else {
            let what = format!("in genericClosure element {}", machine.show_error(item));
            return Err(machine.wrong_type("a set", item, Loc::NONE).frame(Loc::NONE, what));
        };
        let Some(key) = Attrs::find(set, Symbol::KEY) else {
            let what = format!("in genericClosure element {}", machine.show_error(item));
            return Err(super::attrs::missing(Symbol::KEY).frame(Loc::NONE, what));
        };
        let key = machine.force_place(&key.value)?;
        // Keys must be comparable with one another; a single one is not compared.
        if let Some((first, with)) = first_key {
            machine.less_than(key, first, loc).map_err(|error| {
                let what = format!("while comparing element {}", machine.show_error(item));
                let with = format!("with element {}", machine.show_error(with));
                error.frame(loc, with).frame(loc, what)
            })?;
        } else {
            first_key = Some((key, item));
        }
        if !keys.insert(machine, key, loc)? {
            continue;
        }
        out.push(item);
        let more = next_elements(machine, operator, item, loc).map_err(|error| {
            let what = format!(
                "while calling operator on genericClosure element {}",
                machine.show_error(item)
            );
            error.frame(Loc::NONE, what)
        })?;
        work.extend(more.places().iter().map(Place::get));
    }
    Ok(machine.list(out.into_iter()))
}

/// What the operator of `genericClosure` makes of an element, each forced.
fn next_elements(machine: &mut Machine, operator: Value, item: Value, loc: Loc) -> Res<List> {
    let more = machine.call(operator, &[item], loc)?;
    let what =
        "while evaluating the return value of the `operator` passed to builtins.genericClosure";
    let more = machine.list_for(more, loc, what)?;
    for element in more.places() {
        machine.force_place(element)?;
    }
    Ok(more)
}

/// An attribute that a builtin's argument must have, forced.
pub(super) fn required(
    machine: &mut Machine,
    attrs: Gc<Attrs>,
    name: Symbol,
    loc: Loc,
    builtin: &str,
) -> Res<Value> {
    match Attrs::find(attrs, name) {
        Some(attr) => machine.force_place(&attr.value).map_err(|error| error.looped_at(loc)),
        None => {
            let what = format!("in the attrset passed as argument to builtins.{builtin}");
            Err(super::attrs::missing(name).frame(Loc::NONE, what))
        }
    }
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("map", 2, 2, map),
        Prim::new("filter", 2, 2, filter),
        Prim::new("foldl'", 3, 4, foldl),
        Prim::new("sort", 2, 2, sort),
        Prim::new("elem", 2, 2, elem),
        Prim::new("elemAt", 2, 3, elem_at),
        Prim::new("head", 1, 1, head),
        Prim::new("tail", 1, 1, tail),
        Prim::new("length", 1, 1, length),
        Prim::new("concatLists", 1, 1, concat_lists),
        Prim::new("concatMap", 2, 2, concat_map),
        Prim::new("genList", 2, 2, gen_list),
        Prim::new("all", 2, 2, all),
        Prim::new("any", 2, 2, any),
        Prim::new("partition", 2, 2, partition),
        Prim::new("groupBy", 2, 2, group_by),
        Prim::new("genericClosure", 1, 1, generic_closure),
    ]
}
