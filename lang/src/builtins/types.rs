//! Builtins that tell types apart.

use super::Prim;
use crate::error::Res;
use crate::machine::Machine;
use crate::ops::type_name;
use crate::source::Loc;
use crate::value::Value;

macro_rules! is {
    ($function:ident, $($pattern:pat_param)|+) => {
        fn $function(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
            Ok(Value::Bool(matches!(machine.force(args[0])?, $($pattern)|+)))
        }
    };
}

is!(is_null, Value::Null);
is!(is_bool, Value::Bool(_));
is!(is_int, Value::Int(_));
is!(is_float, Value::Float(_));
is!(is_string, Value::Str(_));
is!(is_path, Value::Path(_));
is!(is_list, Value::List(_));
is!(is_attrs, Value::Attrs(_));
is!(is_function, Value::Lambda(_) | Value::Prim(_) | Value::PrimApp(_));

fn type_of(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    let value = machine.force(args[0])?;
    Ok(machine.string(type_name(value).as_bytes()))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("isNull", 1, 1, is_null),
        Prim::new("isBool", 1, 1, is_bool),
        Prim::new("isInt", 1, 1, is_int),
        Prim::new("isFloat", 1, 1, is_float),
        Prim::new("isString", 1, 1, is_string),
        Prim::new("isPath", 1, 1, is_path),
        Prim::new("isList", 1, 1, is_list),
        Prim::new("isAttrs", 1, 1, is_attrs),
        Prim::new("isFunction", 1, 1, is_function),
        Prim::new("typeOf", 1, 1, type_of),
    ]
}
