//! Builtins that write and read data formats.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::Prim;
use crate::context::Ctx;
use crate::error::{Error, Res};
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::json::{self, Json};
use crate::text::regex::{Part, Piece, RegexError, Whole};
use crate::value::Value;

fn to_json(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let mut out = Vec::new();
    let mut ctx = Ctx::EMPTY;
    machine.write_json(args[0], loc, &mut out, &mut ctx)?;
    Ok(machine.string_with(&out, ctx))
}

/// What C++ Nix says of text with NUL bytes.
pub(crate) fn nul_message(text: &[u8]) -> String {
    let shown = String::from_utf8_lossy(text).replace('\0', "␀");
    format!(
        "input string '{shown}' cannot be represented as Nix string because it contains null bytes"
    )
}

/// Fails for text with NUL bytes: in a string they could pass for a marker.
pub(crate) fn check_nul(text: &[u8], loc: Loc) -> Res<()> {
    if text.contains(&0) { Err(Error::eval(loc, nul_message(text))) } else { Ok(()) }
}

impl Machine {
    /// A value from JSON; the parser has bounded the depth.
    fn value_of_json(&mut self, json: &Json, loc: Loc) -> Res<Value> {
        Ok(match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Int(n) => Value::Int(*n),
            Json::Float(x) => Value::Float(*x),
            Json::String(text) => {
                check_nul(text, loc)?;
                self.string(text)
            }
            Json::Array(items) => {
                let items: Res<Vec<Value>> =
                    items.iter().map(|item| self.value_of_json(item, loc)).collect();
                self.list(items?.into_iter())
            }
            Json::Object(members) => {
                let mut last: FxHashMap<Symbol, Value> = FxHashMap::default();
                for (name, value) in members {
                    check_nul(name, loc)?;
                    let value = self.value_of_json(value, loc)?;
                    last.insert(Symbol::intern(name), value);
                }
                self.attrs(last.into_iter().collect())
            }
        })
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
    let json = json::parse(text).map_err(|error| {
        let failed = Error::eval(loc, error.to_string());
        if error.is_range() { failed } else { failed.frame(loc, "while decoding a JSON string") }
    })?;
    machine.value_of_json(&json, loc)
}

/// The regular expressions of an evaluation, by their text.
#[derive(Default)]
pub(crate) struct Patterns {
    whole: FxHashMap<Box<[u8]>, Rc<Whole>>,
    part: FxHashMap<Box<[u8]>, Rc<Part>>,
}

/// More regular expressions than this are made by a program, not written in it.
const MAX_PATTERNS: usize = 1024;

/// A regular expression, compiled once in an evaluation.
fn pattern<T>(
    machine: &mut Machine,
    value: Value,
    loc: Loc,
    name: &str,
    cache: impl Fn(&mut Machine) -> &mut FxHashMap<Box<[u8]>, Rc<T>>,
    compile: impl FnOnce(&[u8]) -> Result<T, RegexError>,
) -> Res<Rc<T>> {
    let pattern = machine.as_text(value, loc).map_err(|e| {
        e.frame(loc, format!("while evaluating the first argument passed to builtins.{name}"))
    })?;
    if let Some(regex) = cache(machine).get(pattern) {
        return Ok(regex.clone());
    }
    let regex = compile(pattern).map_err(|error| refused(error, pattern, loc))?;
    let regex = Rc::new(regex);
    let known = cache(machine);
    if known.len() >= MAX_PATTERNS {
        known.clear();
    }
    known.insert(pattern.into(), regex.clone());
    Ok(regex)
}

fn refused(error: RegexError, pattern: &[u8], loc: Loc) -> Error {
    Error::eval(loc, format!("{error} '{}'", String::from_utf8_lossy(pattern)))
}

/// What matching came to.
fn matched<T>(
    machine: &mut Machine,
    result: Result<T, RegexError>,
    pattern: Value,
    loc: Loc,
) -> Res<T> {
    match result {
        Ok(result) => Ok(result),
        Err(error) => Err(refused(error, machine.as_text(pattern, loc)?, loc)),
    }
}

fn match_text(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let regex = pattern(machine, args[0], loc, "match", |m| &mut m.patterns.whole, Whole::new)?;
    let what = "while evaluating the second argument passed to builtins.match";
    let text = machine.as_text_any(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let groups = matched(machine, regex.groups(text), args[0], loc)?;
    Ok(groups.map_or(Value::Null, |groups| machine.groups(&groups)))
}

fn split(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let regex = pattern(machine, args[0], loc, "split", |m| &mut m.patterns.part, Part::new)?;
    let what = "while evaluating the second argument passed to builtins.split";
    let text = machine.as_text_any(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let mut pieces = Vec::new();
    for piece in matched(machine, regex.split(text), args[0], loc)? {
        pieces.push(match piece {
            Piece::Text(text) => machine.string(text),
            Piece::Match(groups) => machine.groups(&groups),
        });
    }
    Ok(machine.list(pieces.into_iter()))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("fromJSON", 1, 1, from_json),
        Prim::new("match", 2, 3, match_text),
        Prim::new("split", 2, 3, split),
        Prim::new("toJSON", 1, 1, to_json),
    ]
}
