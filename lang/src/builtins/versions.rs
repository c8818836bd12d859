//! Builtins on version strings.

use std::cmp::Ordering;

use super::Prim;
use crate::error::Res;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attr, Value};

/// Cuts the next component off: digits, or anything else up to a digit, dot or dash.
fn component<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let skip = rest.iter().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    let text = &rest[skip..];
    let len = if text.first().is_some_and(u8::is_ascii_digit) {
        text.iter().take_while(|byte| byte.is_ascii_digit()).count()
    } else {
        text.iter()
            .take_while(|byte| !byte.is_ascii_digit() && !matches!(byte, b'.' | b'-'))
            .count()
    };
    *rest = &text[len..];
    &text[..len]
}

fn component_less(a: &[u8], b: &[u8]) -> bool {
    let number =
        |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse::<i32>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        (left, right) => {
            if a.is_empty() && right.is_some() {
                true
            } else if a == b"pre" && b != b"pre" {
                true
            } else if b == b"pre" {
                false
            } else if right.is_some() {
                true
            } else if left.is_some() {
                false
            } else {
                a < b
            }
        }
    }
}

pub(crate) fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (x, y) = (component(&mut a), component(&mut b));
        if component_less(x, y) {
            return Ordering::Less;
        }
        if component_less(y, x) {
            return Ordering::Greater;
        }
    }
    Ordering::Equal
}

fn text(
    machine: &mut Machine,
    value: Value,
    loc: Loc,
    which: &str,
    name: &str,
) -> Res<&'static [u8]> {
    machine.as_text(value, loc).map_err(|e| {
        e.frame(loc, format!("while evaluating the {which} argument passed to builtins.{name}"))
    })
}

fn compare_versions(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let a = text(machine, args[0], loc, "first", "compareVersions")?;
    let b = text(machine, args[1], loc, "second", "compareVersions")?;
    Ok(Value::Int(compare(a, b) as i64))
}

fn parse_drv_name(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let all = text(machine, args[0], loc, "first", "parseDrvName")?;
    let dash = (0..all.len().saturating_sub(1))
        .find(|&at| all[at] == b'-' && !all[at + 1].is_ascii_alphabetic());
    let (name, version) = dash.map_or((all, &b""[..]), |at| (&all[..at], &all[at + 1..]));
    let name = machine.string(name);
    let version = machine.string(version);
    Ok(machine.attrs(vec![
        Attr::new(Symbol::NAME, Loc::NONE, name),
        Attr::new(Symbol::VERSION, Loc::NONE, version),
    ]))
}

fn split_version(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let mut rest = text(machine, args[0], loc, "first", "splitVersion")?;
    let mut parts = Vec::new();
    loop {
        let part = component(&mut rest);
        if part.is_empty() {
            break;
        }
        parts.push(machine.string(part));
    }
    Ok(machine.list(parts.into_iter()))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new(
            "compareVersions",
            2,
            3,
            compare_versions,
            "-1, 0 or 1 as the first version is older than, equal to or newer than the second.",
        ),
        Prim::new(
            "parseDrvName",
            1,
            1,
            parse_drv_name,
            "Splits a package's name from its version.",
        ),
        Prim::new("splitVersion", 1, 1, split_version, "The components of a version."),
    ]
}
