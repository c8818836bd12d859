//! Builtins that steer evaluation: errors, forcing, tracing; and the environment.

use super::Prim;
use crate::coerce::Coerce;
use crate::diagnostic;
use crate::error::{Error, ErrorKind, Res};
use crate::host::MessageKind;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Str, Value};

fn message(machine: &mut Machine, value: Value, loc: Loc, what: &str) -> Res<Vec<u8>> {
    let (text, _) = machine.coerced(value, Coerce::INTERPOLATE, (loc, what))?;
    machine.real_bytes(&text)
}

fn throw(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let text = message(
        machine,
        args[0],
        loc,
        "while evaluating the error message passed to builtin.throw",
    )?;
    Err(machine.thrown(ErrorKind::Throw, &text, loc))
}

fn abort(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let text = message(
        machine,
        args[0],
        loc,
        "while evaluating the error message passed to builtins.abort",
    )?;
    let text =
        [b"evaluation aborted with the following error message: '", &text[..], b"'"].concat();
    Err(machine.thrown(ErrorKind::Abort, &text, loc))
}

fn try_eval(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    let depth = machine.depth;
    let (success, value) = match machine.force(args[0]) {
        Ok(value) => (true, value),
        Err(error) if error.is_catchable() => (false, Value::Bool(false)),
        Err(error) => return Err(error),
    };
    machine.depth = depth;
    Ok(machine.attrs(vec![(Symbol::SUCCESS, Value::Bool(success)), (Symbol::VALUE, value)]))
}

fn add_error_context(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    match machine.force(args[1]) {
        Ok(value) => Ok(value),
        Err(error) => {
            let what = "while evaluating the error message passed to builtins.addErrorContext";
            let text = message(machine, args[0], loc, what)?;
            Err(error.context(String::from_utf8_lossy(&text).into_owned()))
        }
    }
}

fn trace(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    let first = machine.force(args[0])?;
    let text = match first {
        Value::Str(text) => machine.text(text)?.to_vec(),
        other => machine.show_whole(other),
    };
    machine.host.message(MessageKind::Trace, &text);
    machine.force(args[1])
}

fn trace_verbose(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    if machine.settings.trace_verbose {
        return trace(machine, args, loc);
    }
    machine.force(args[1])
}

/// Lines of a warning stand under its first one's text.
const WARNING_WIDTH: usize = "evaluation warning: ".len();

fn warn(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument; the message passed to builtins.warn";
    let text = machine.as_text_any(args[0], loc).map_err(|e| e.frame(loc, what))?;
    machine.host.message(MessageKind::Warning, &diagnostic::hanging(text, WARNING_WIDTH));
    if machine.settings.abort_on_warn {
        let message = "aborting to reveal stack trace of warning, as abort-on-warn is set";
        return Err(machine.thrown(ErrorKind::Abort, message.as_bytes(), loc));
    }
    machine.force(args[1])
}

fn seq(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    machine.force(args[0])?;
    machine.force(args[1])
}

fn deep_seq(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    machine.force_deep(args[0])?;
    machine.force(args[1])
}

fn breakpoint(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    machine.force(args[0])
}

fn get_env(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.getEnv";
    let name = machine.as_text(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let hidden = machine.settings.pure || machine.settings.restrict.is_some();
    let name = String::from_utf8_lossy(name);
    let value = if hidden { None } else { machine.host.env_var(&name) };
    machine.note_variable(&name, value.as_deref());
    let value = value.unwrap_or_default();
    super::json::check_nul(&value, loc)?;
    Ok(machine.string(&value))
}

fn derivation_strict(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    machine.derivation_strict(args[0], loc)
}

/// The search path as a list of sets.
/// The one builtin of the table that is no function: it is called once, when its value is wanted.
pub(crate) const CLOCK: &str = "currentTime";

fn current_time(machine: &mut Machine, _: &[Value], _: Loc) -> Res<Value> {
    let now = machine.host.current_time();
    machine.note_clock(now);
    Ok(Value::Int(now))
}

pub(super) fn nix_path(machine: &mut Machine) -> Value {
    let mut entries = Vec::new();
    if !machine.settings.pure {
        for entry in machine.settings.nix_path.clone() {
            let path = std::os::unix::ffi::OsStrExt::as_bytes(entry.path.as_os_str()).to_vec();
            let path = machine.string(&path);
            let prefix = machine.string(entry.prefix.as_bytes());
            entries.push(
                machine.attrs(vec![(Symbol::PATH, path), (Symbol::intern("prefix"), prefix)]),
            );
        }
    }
    machine.list(entries.into_iter())
}

const DERIVATION: &str = include_str!("derivation-internal.nix");

fn derivation(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let func = match machine.derivation {
        Some(func) => func,
        None => {
            let func = machine.eval_builtin_text(crate::select::DERIVATION_FILE, DERIVATION)?;
            machine.derivation = Some(func);
            func
        }
    };
    machine.call(func, args, loc)
}

fn not_found(machine: &mut Machine, value: Value) -> String {
    match value {
        Value::Str(text) => String::from_utf8_lossy(Str::bytes(text)).into_owned(),
        other => machine.show_error(other),
    }
}

fn find_file(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.findFile";
    let list = machine.list_for(args[0], loc, what)?;
    let mut entries = Vec::new();
    for item in Machine::items(list) {
        let what = "while evaluating an element of the list passed to builtins.findFile";
        let set = machine.set_for(item, loc, what)?;
        let mut prefix = String::new();
        if let Some(attr) = crate::value::Attrs::find(set, Symbol::intern("prefix")) {
            let value = machine.force_place(&attr.value)?;
            let text = machine.as_text(value, loc)?;
            prefix = String::from_utf8_lossy(text).into_owned();
        }
        let path = super::lists::required(machine, set, Symbol::PATH, loc, "findFile")?;
        let path = machine.realised_text(path, (loc, ""))?;
        entries.push((prefix, path));
    }
    let value = machine.force(args[1])?;
    let Value::Str(_) = value else {
        let shown = not_found(machine, value);
        return Err(Error::typed(loc, format!("expected a string but found {shown}")));
    };
    let name = machine.as_text(value, loc)?;
    machine.find_file(&entries, name, loc)
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("throw", 1, 1, throw),
        Prim::new("abort", 1, 1, abort),
        Prim::new("tryEval", 1, 0, try_eval),
        Prim::new("addErrorContext", 2, 0, add_error_context),
        Prim::new("trace", 2, 1, trace),
        Prim::new("traceVerbose", 2, 0, trace_verbose),
        Prim::new("warn", 2, 1, warn),
        Prim::new("seq", 2, 3, seq),
        Prim::new("deepSeq", 2, 1, deep_seq),
        Prim::new("break", 1, 1, breakpoint),
        Prim::new(CLOCK, 1, 0, current_time),
        Prim::new("getEnv", 1, 1, get_env),
        Prim::new("derivationStrict", 1, 1, derivation_strict),
        Prim::new("derivation", 1, 1, derivation),
        Prim::new("findFile", 2, 3, find_file),
    ]
}
