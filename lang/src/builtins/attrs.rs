//! Builtins on sets.

use rustc_hash::FxHashSet;

use super::Prim;
use crate::attrs::AttrsRow;
use crate::error::{Error, ErrorKind, Res};
use crate::heap::{Gc, bump};
use crate::machine::Machine;
use crate::place::Place;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attr, Attrs, List, Part, State, Value, Zip};

fn set_arg(
    machine: &mut Machine,
    value: Value,
    loc: Loc,
    which: &str,
    name: &str,
) -> Res<Gc<Attrs>> {
    let what = format_args!("while evaluating the {which} argument passed to builtins.{name}");
    machine.set_for(value, loc, what)
}

fn only_set_arg(machine: &mut Machine, value: Value, loc: Loc, name: &str) -> Res<Gc<Attrs>> {
    let what = format_args!("while evaluating the argument passed to builtins.{name}");
    machine.set_for(value, loc, what)
}

fn name_arg(machine: &mut Machine, value: Value, loc: Loc, which: &str, name: &str) -> Res<Symbol> {
    machine.attr_name(value, loc).map_err(|e| {
        e.frame(loc, format!("while evaluating the {which} argument passed to builtins.{name}"))
    })
}

/// The error of a builtin that does not find an attribute of its argument.
#[cold]
pub(crate) fn missing(name: Symbol) -> Error {
    let message = format!("attribute '{name}' missing");
    Error::new(ErrorKind::MissingAttribute, Loc::NONE, message)
}

fn attr_names(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let attrs = only_set_arg(machine, args[0], loc, "attrNames")?;
    let mut names = machine.heap.list_row(attrs.len());
    for attr in Attrs::by_text(attrs) {
        let name = machine.name_string(attr.name);
        names.push(Place::new(name, &mut machine.heap));
    }
    Ok(Value::List(List::from_places(names.finish())))
}

fn attr_values(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let attrs = only_set_arg(machine, args[0], loc, "attrValues")?;
    let values = Attrs::by_text(attrs).into_iter().map(|attr| attr.value.clone());
    Ok(Value::List(List::from_places(machine.heap.alloc_slice(values))))
}

fn get_attr(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let name = name_arg(machine, args[0], loc, "first", "getAttr")?;
    let attrs = set_arg(machine, args[1], loc, "second", "getAttr")?;
    match Attrs::find(attrs, name) {
        Some(attr) => machine.force_place(&attr.value),
        None => Err(missing(name).frame(Loc::NONE, "in the attribute set under consideration")),
    }
}

fn has_attr(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let name = name_arg(machine, args[0], loc, "first", "hasAttr")?;
    let attrs = set_arg(machine, args[1], loc, "second", "hasAttr")?;
    Ok(Value::Bool(Attrs::find(attrs, name).is_some()))
}

fn map_attrs(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let attrs = set_arg(machine, args[1], loc, "second", "mapAttrs")?;
    let all = Attrs::all(attrs, &mut machine.heap);
    let whole = machine.heap.alloc((args[0], all));
    let mut mapped = AttrsRow::new(&mut machine.heap, all.len());
    for (index, attr) in all.iter().enumerate() {
        let value = machine.thunk(State::MappedAttr(Part::new(whole, index)));
        mapped.push(Attr::new(attr.name, Loc::NONE, value, &mut machine.heap));
    }
    Ok(Value::Attrs(mapped.finish(&mut machine.heap)))
}

fn list_to_attrs(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.listToAttrs";
    let list = machine.list_for(args[0], loc, what)?;
    let mut attrs: Vec<Attr> = Vec::with_capacity(list.len());
    // The names of a first part of `attrs`: only elements without a value ask for them.
    let (mut seen, mut known) = (FxHashSet::default(), 0);
    for item in list.places() {
        let item = machine.force_place(item)?;
        let what = "while evaluating an element of the list passed to builtins.listToAttrs";
        let set = machine.set_for(item, loc, what)?;
        let what = "in a {name=...; value=...;} pair";
        let Some(name) = Attrs::find(set, Symbol::NAME) else {
            return Err(missing(Symbol::NAME).frame(Loc::NONE, what));
        };
        let value = name.value.unread();
        let what_name = "while evaluating the `name` attribute of an element of the list passed to builtins.listToAttrs";
        let symbol =
            machine.attr_name(value, name.loc).map_err(|e| e.frame(name.loc, what_name))?;
        match Attrs::find(set, Symbol::VALUE) {
            Some(value) => attrs.push(Attr { name: symbol, ..value.copy() }),
            None => {
                seen.extend(attrs[known..].iter().map(|attr| attr.name));
                known = attrs.len();
                // Of equal names, the first counts.
                if !seen.contains(&symbol) {
                    return Err(missing(Symbol::VALUE).frame(Loc::NONE, what));
                }
            }
        }
    }
    attrs.sort_by_key(|attr| attr.name);
    attrs.dedup_by(|later, first| later.name == first.name);
    Ok(Value::Attrs(Attrs::from_sorted(&mut machine.heap, attrs.into_iter())))
}

fn intersect_attrs(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let left = set_arg(machine, args[0], loc, "first", "intersectAttrs")?;
    let right = set_arg(machine, args[1], loc, "second", "intersectAttrs")?;
    let mut out = AttrsRow::new(&mut machine.heap, left.len().min(right.len()));
    // The room for the result is cut to size at the end, so nothing is allocated meanwhile.
    if left.len() < right.len() {
        for attr in Attrs::once(left) {
            if let Some(attr) = Attrs::find(right, attr.name) {
                out.push(attr.copy());
            }
        }
    } else {
        for attr in Attrs::once(right).filter(|attr| Attrs::find(left, attr.name).is_some()) {
            out.push(attr.copy());
        }
    }
    Ok(Value::Attrs(out.finish(&mut machine.heap)))
}

fn remove_attrs(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let attrs = set_arg(machine, args[0], loc, "first", "removeAttrs")?;
    let what = "while evaluating the second argument passed to builtins.removeAttrs";
    let list = machine.list_for(args[1], loc, what)?;
    let mut names = Vec::with_capacity(list.len());
    for item in list.places() {
        let what =
            "while evaluating the values of the second argument passed to builtins.removeAttrs";
        names.push(machine.attr_name(item.unread(), loc).map_err(|e| e.frame(loc, what))?);
    }
    names.sort_unstable();
    let mut kept = AttrsRow::new(&mut machine.heap, attrs.len());
    let mut names = names.into_iter().peekable();
    for attr in Attrs::once(attrs) {
        while names.next_if(|name| *name < attr.name).is_some() {}
        if names.peek() != Some(&attr.name) {
            kept.push(attr.copy());
        }
    }
    // A set of its own, also where nothing was removed: printing tells whether it is.
    Ok(Value::Attrs(kept.finish(&mut machine.heap)))
}

fn cat_attrs(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let name = name_arg(machine, args[0], loc, "first", "catAttrs")?;
    let what = "while evaluating the second argument passed to builtins.catAttrs";
    let list = machine.list_for(args[1], loc, what)?;
    let mut out = Vec::new();
    for item in list.places() {
        let item = machine.force_place(item)?;
        let what = "while evaluating an element in the list passed as second argument to builtins.catAttrs";
        let set = machine.set_for(item, loc, what)?;
        out.extend(Attrs::find(set, name).map(|attr| attr.value.clone()));
    }
    Ok(Value::List(List::from_places(machine.heap.alloc_slice(out.into_iter()))))
}

fn function_args(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    match machine.force(args[0])? {
        Value::Lambda(lambda) => {
            let code = machine.tables.lambdas[lambda.code as usize].get();
            let Some(formals) = &code.formals else {
                return Ok(machine.attrs(Vec::new()));
            };
            if let Some(known) = formals.args.get() {
                return Ok(Value::Attrs(known));
            }
            let mut row = AttrsRow::new(&mut machine.heap, formals.list.len());
            for formal in formals.list {
                let value = Value::Bool(formal.default.is_some());
                row.push(Attr::new(formal.name, formal.loc, value, &mut machine.heap));
            }
            let all = row.finish(&mut machine.heap);
            formals.args.set(Some(all));
            Ok(Value::Attrs(all))
        }
        Value::Prim(_) | Value::PrimApp(_) => Ok(machine.attrs(Vec::new())),
        _ => Err(Error::typed(loc, "'functionArgs' requires a function")),
    }
}

fn zip_attrs_with(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = machine.as_function(args[0], loc).map_err(|e| {
        e.frame(loc, "while evaluating the first argument passed to builtins.zipAttrsWith")
    })?;
    let what = "while evaluating the second argument passed to builtins.zipAttrsWith";
    let list = machine.list_for(args[1], loc, what)?;
    let mut all: Vec<(Symbol, Place)> = Vec::new();
    for item in list.places() {
        let item = machine.force_place(item)?;
        let what = "while evaluating a value of the list passed as second argument to builtins.zipAttrsWith";
        let set = machine.set_for(item, loc, what)?;
        all.extend(Attrs::once(set).map(|attr| (attr.name, attr.value.clone())));
    }
    // Values of one name stay in the order of the sets.
    all.sort_by_key(|(name, _)| *name);
    let groups: Vec<(Symbol, u32)> = all
        .chunk_by(|a, b| a.0 == b.0)
        .scan(0, |end, group| {
            *end += group.len() as u32;
            Some((group[0].0, *end))
        })
        .collect();
    bump(&mut machine.heap.tally.list_elements, all.len() as u64);
    let values = machine.heap.alloc_slice(all.into_iter().map(|(_, value)| value));
    let groups = machine.heap.alloc_slice(groups.into_iter());
    let zip = machine.heap.alloc(Zip { func, groups, values });
    let mut zipped = AttrsRow::new(&mut machine.heap, groups.len());
    for (index, (name, _)) in groups.iter().enumerate() {
        let value = machine.thunk(State::Zipped(Part::new(zip, index)));
        zipped.push(Attr::new(*name, Loc::NONE, value, &mut machine.heap));
    }
    Ok(Value::Attrs(zipped.finish(&mut machine.heap)))
}

fn attr_pos(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let name = name_arg(machine, args[0], loc, "first", "unsafeGetAttrPos")?;
    let attrs = set_arg(machine, args[1], loc, "second", "unsafeGetAttrPos")?;
    let Some(attr) = Attrs::find(attrs, name) else {
        return Ok(Value::Null);
    };
    Ok(machine.position(attr.loc))
}

impl Machine {
    /// A place as a set of file, line and column, or null.
    pub(crate) fn position(&mut self, loc: Loc) -> Value {
        let Some((source, line, column)) = self.sources.line_column(loc) else {
            return Value::Null;
        };
        let crate::source::SourceName::File(file) = &source.name else {
            return Value::Null;
        };
        let file = std::os::unix::ffi::OsStrExt::as_bytes(file.as_os_str()).to_vec();
        let file = self.string(&file);
        self.attrs(vec![
            (Symbol::FILE, file),
            (Symbol::LINE, Value::Int(i64::from(line))),
            (Symbol::COLUMN, Value::Int(i64::from(column))),
        ])
    }

    /// The elements of a list, for callers outside.
    pub(crate) fn items(list: List) -> impl Iterator<Item = Value> {
        list.places().iter().map(Place::get)
    }
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("attrNames", 1, 1, attr_names),
        Prim::new("attrValues", 1, 1, attr_values),
        Prim::new("getAttr", 2, 3, get_attr),
        Prim::new("hasAttr", 2, 3, has_attr),
        Prim::new("mapAttrs", 2, 2, map_attrs),
        Prim::new("listToAttrs", 1, 1, list_to_attrs),
        Prim::new("intersectAttrs", 2, 3, intersect_attrs),
        Prim::new("removeAttrs", 2, 3, remove_attrs),
        Prim::new("catAttrs", 2, 3, cat_attrs),
        Prim::new("functionArgs", 1, 1, function_args),
        Prim::new("zipAttrsWith", 2, 2, zip_attrs_with),
        Prim::new("unsafeGetAttrPos", 2, 3, attr_pos),
    ]
}
