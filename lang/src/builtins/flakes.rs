//! Builtins on flake references. Flakes themselves are not evaluated here.

use super::Prim;
use crate::error::{Error, ErrorKind, Res};
use crate::host::FetchAttr;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::flakeref::{self, Attrs};
use crate::value::Value;

fn parse_flake_ref(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.parseFlakeRef";
    let text = machine.as_text(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let parsed = flakeref::parse(&String::from_utf8_lossy(text))
        .map_err(|message| Error::eval(Loc::NONE, message))?;
    let mut attrs = Vec::with_capacity(parsed.len());
    for (name, value) in parsed {
        let value = match value {
            FetchAttr::Str(text) => {
                super::json::check_nul(text.as_bytes(), loc)?;
                machine.string(text.as_bytes())
            }
            FetchAttr::Int(n) => Value::Int(n),
            FetchAttr::Bool(b) => Value::Bool(b),
        };
        attrs.push((Symbol::intern(name), value));
    }
    Ok(machine.attrs(attrs))
}

fn flake_ref_to_string(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.flakeRefToString";
    let set = machine.set_for(args[0], loc, what)?;
    let mut attrs = Attrs::new();
    for attr in crate::value::Attrs::by_text(set) {
        let name = attr.name.to_text().into_owned();
        let value = match machine.force_place(&attr.value)? {
            Value::Int(n) if n < 0 => {
                let message = format!("negative value given for flake ref attr {name}: {n}");
                return Err(Error::eval(loc, message));
            }
            Value::Int(n) => FetchAttr::Int(n),
            Value::Bool(b) => FetchAttr::Bool(b),
            Value::Str(text) => {
                let text = machine.text(text)?;
                FetchAttr::Str(String::from_utf8_lossy(text).into_owned())
            }
            other => {
                let message = format!(
                    "flake reference attribute sets may only contain integers, Booleans, and strings, but attribute '{name}' is {}",
                    machine.type_phrase(other)
                );
                return Err(Error::typed(loc, message));
            }
        };
        attrs.insert(name, value);
    }
    let text = flakeref::write(&attrs).map_err(|message| Error::eval(Loc::NONE, message))?;
    Ok(machine.string(text.as_bytes()))
}

fn get_flake(_: &mut Machine, _: &[Value], loc: Loc) -> Res<Value> {
    let message =
        "floe evaluates no flakes: import the flake's files, or call its outputs function";
    Err(Error::new(ErrorKind::Host, loc, message))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("parseFlakeRef", 1, 1, parse_flake_ref),
        Prim::new("flakeRefToString", 1, 1, flake_ref_to_string),
        Prim::new("getFlake", 1, 0, get_flake),
    ]
}
