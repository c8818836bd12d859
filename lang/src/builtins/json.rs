//! Builtins that write and read data formats.

use super::Prim;
use crate::context::Ctx;
use crate::error::{Error, Res};
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::json::{self, Json};
use crate::text::regex::{Piece, Regex};
use crate::value::{Attr, Value};

fn to_json(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let mut out = Vec::new();
    let mut ctx = Ctx::EMPTY;
    machine.to_json(args[0], loc, &mut out, &mut ctx)?;
    Ok(machine.string_with(&out, ctx))
}

impl Machine {
    /// A value from JSON; the parser has bounded the depth.
    fn value_of_json(&mut self, json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Int(n) => Value::Int(*n),
            Json::Float(x) => Value::Float(*x),
            Json::String(text) => self.string(text),
            Json::Array(items) => {
                let items: Vec<Value> = items.iter().map(|item| self.value_of_json(item)).collect();
                self.list(items.into_iter())
            }
            Json::Object(members) => {
                let mut last: rustc_hash::FxHashMap<Symbol, Value> =
                    rustc_hash::FxHashMap::default();
                for (name, value) in members {
                    let value = self.value_of_json(value);
                    last.insert(Symbol::intern(name), value);
                }
                let attrs = last.into_iter().map(|(name, value)| Attr::new(name, Loc::NONE, value));
                self.attrs(attrs.collect())
            }
        }
    }

    fn groups(&mut self, groups: &[Option<&[u8]>]) -> Value {
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| group.map_or(Value::Null, |text| self.string(text)))
            .collect();
        self.list(groups.into_iter())
    }
}

fn from_json(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.fromJSON";
    let text = machine.as_text(args[0], loc).map_err(|e| e.frame(loc, what))?;
    // A NUL in a string could pass for a marker; C++ Nix has no such strings either.
    if memchr::memmem::find(text, b"\\u0000").is_some() || text.contains(&0) {
        return Err(Error::eval(
            loc,
            "JSON text with NUL characters cannot be represented as Nix strings",
        ));
    }
    let json = json::parse(text).map_err(|error| {
        Error::eval(loc, error.to_string()).frame(loc, "while decoding a JSON string")
    })?;
    Ok(machine.value_of_json(&json))
}

fn regex(machine: &mut Machine, value: Value, loc: Loc, name: &str) -> Res<Regex> {
    let what = format!("while evaluating the first argument passed to builtins.{name}");
    let pattern = machine.as_text(value, loc).map_err(|e| e.frame(loc, what))?;
    Regex::new(pattern).map_err(|_| {
        Error::eval(
            loc,
            format!("invalid regular expression '{}'", String::from_utf8_lossy(pattern)),
        )
    })
}

fn match_text(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let regex = regex(machine, args[0], loc, "match")?;
    let what = "while evaluating the second argument passed to builtins.match";
    let text = machine.as_text_any(args[1], loc).map_err(|e| e.frame(loc, what))?;
    Ok(regex.match_whole(text).map_or(Value::Null, |groups| machine.groups(&groups)))
}

fn split(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let regex = regex(machine, args[0], loc, "split")?;
    let what = "while evaluating the second argument passed to builtins.split";
    let text = machine.as_text_any(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let mut pieces = Vec::new();
    for piece in regex.split(text) {
        pieces.push(match piece {
            Piece::Text(text) => machine.string(text),
            Piece::Match(groups) => machine.groups(&groups),
        });
    }
    Ok(machine.list(pieces.into_iter()))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("fromJSON", 1, 1, from_json, "The value that a JSON text describes."),
        Prim::new(
            "match",
            2,
            3,
            match_text,
            "The groups of a POSIX extended regular expression, if it matches the whole string; else null.",
        ),
        Prim::new(
            "split",
            2,
            3,
            split,
            "A string cut at the matches of a regular expression, with the groups of each.",
        ),
        Prim::new("toJSON", 1, 1, to_json, "A value as JSON text."),
    ]
}
