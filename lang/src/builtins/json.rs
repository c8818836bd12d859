//! Builtins that write and read data formats.

use super::Prim;
use crate::context::Ctx;
use crate::error::Res;
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::Value;

fn to_json(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let mut out = Vec::new();
    let mut ctx = Ctx::EMPTY;
    machine.to_json(args[0], loc, &mut out, &mut ctx)?;
    Ok(machine.string_with(&out, ctx))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![Prim::new("toJSON", 1, 1, to_json, "A value as JSON text.")]
}
