//! Builtins on version strings.

use super::Prim;
use crate::error::Res;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::version;
use crate::value::Value;

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
    Ok(Value::Int(version::compare(a, b) as i64))
}

fn parse_drv_name(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let all = text(machine, args[0], loc, "first", "parseDrvName")?;
    let (name, version) = version::parse_drv_name(all);
    let name = machine.string(name);
    let version = machine.string(version);
    Ok(machine.attrs(vec![(Symbol::NAME, name), (Symbol::VERSION, version)]))
}

fn split_version(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let all = text(machine, args[0], loc, "first", "splitVersion")?;
    let parts: Vec<Value> = version::split(all).map(|part| machine.string(part)).collect();
    Ok(machine.list(parts.into_iter()))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("compareVersions", 2, 3, compare_versions),
        Prim::new("parseDrvName", 1, 1, parse_drv_name),
        Prim::new("splitVersion", 1, 1, split_version),
    ]
}
