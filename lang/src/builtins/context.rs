//! Builtins that look into string contexts.

use floe_core::drv::MAX_NESTING;
use floe_core::path::{OutputName, StorePath};

use super::Prim;
use crate::coerce::Coerce;
use crate::context::{Ctx, CtxElem};
use crate::error::{Error, Res};
use crate::graph::DrvId;
use crate::heap::Gc;
use crate::machine::Machine;
use crate::marker;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Str, Value};

fn discard(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.unsafeDiscardStringContext";
    let (text, _) = machine.coerced(args[0], Coerce::INTERPOLATE, (loc, what))?;
    let text = machine.real_bytes(&text)?;
    Ok(machine.string(&text))
}

fn has_context(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.hasContext";
    let text = machine.as_str(args[0], loc).map_err(|e| e.frame(loc, what))?;
    Ok(Value::Bool(!text.ctx.is_empty()))
}

fn discard_output_dependency(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.unsafeDiscardOutputDependency";
    let (text, ctx) = machine.coerced(args[0], Coerce::INTERPOLATE, (loc, what))?;
    let elems = machine.contexts.elems(ctx).iter().map(|elem| match *elem {
        CtxElem::DrvDeep(id) => CtxElem::DrvFile(id),
        elem => elem,
    });
    let elems = elems.collect();
    let ctx = machine.contexts.intern(elems);
    Ok(machine.string_with(&text, ctx))
}

fn add_output_dependencies(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.addDrvOutputDependencies";
    let (text, ctx) = machine.coerced(args[0], Coerce::INTERPOLATE, (loc, what))?;
    let elems = machine.contexts.elems(ctx).to_vec();
    let id = match elems[..] {
        [CtxElem::DrvFile(id) | CtxElem::DrvDeep(id)] => id,
        [_] => {
            let real = machine.real_bytes(&text)?;
            let message = match elems[..] {
                [CtxElem::Output(id, output)] => format!(
                    "`addDrvOutputDependencies` can only act on derivations, not on a derivation output such as '{}'",
                    machine.graph.node(id).outputs[output as usize].name
                ),
                _ => format!("path '{}' is not a derivation", String::from_utf8_lossy(&real)),
            };
            return Err(Error::eval(loc, message));
        }
        _ => {
            let text = machine.real_bytes(&text)?;
            let message = format!(
                "context of string '{}' must have exactly one element, but has {}",
                String::from_utf8_lossy(&text),
                elems.len()
            );
            return Err(Error::eval(loc, message));
        }
    };
    let ctx = machine.contexts.intern(vec![CtxElem::DrvDeep(id)]);
    Ok(machine.string_with(&text, ctx))
}

/// An output of a derivation that is given by the path of its file, or by what stands for that
/// while nothing has made it.
fn output_of(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument to builtins.outputOf";
    let text = machine.as_str(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let what_name = "while evaluating the second argument to builtins.outputOf";
    let name = machine.as_text(args[1], loc).map_err(|e| e.frame(loc, what_name))?;
    let name = String::from_utf8_lossy(name).into_owned();
    let elems = machine.contexts.elems(text.ctx).to_vec();
    let found = match elems[..] {
        [CtxElem::DrvFile(id)] => known_output(machine, id, text, &name)?,
        [CtxElem::Output(id, output)] => made_output(machine, (id, output), text, &name, loc)?,
        _ => Err(no_derivation(machine, &elems, text)?),
    };
    found.map_err(|message| Error::eval(Loc::NONE, message).frame(loc, what))
}

/// An output of a derivation that was evaluated; or in words why there is none.
fn known_output(
    machine: &mut Machine,
    id: DrvId,
    text: Gc<Str>,
    name: &str,
) -> Res<Result<Value, String>> {
    let graph = machine.graph.clone();
    if marker::drv_path(id, &graph.node(id).name) != Str::bytes(text) {
        let shown = String::from_utf8_lossy(machine.text(text)?).into_owned();
        let path = graph.drv_path(id)?;
        if shown != path.as_str() {
            return Ok(Err(format!(
                "path string '{shown}' has context with the different path '{path}'"
            )));
        }
    }
    let found = graph.node(id).outputs.iter().position(|output| output.name.as_str() == name);
    Ok(match found {
        Some(index) => Ok(machine.output_string(id, index as u32)),
        None => {
            let shown = graph.drv_path(id)?;
            Err(format!("derivation '{shown}' does not have output '{name}'"))
        }
    })
}

/// An output of a derivation that is an output itself; or in words why there is none.
fn made_output(
    machine: &mut Machine,
    (id, output): (DrvId, u32),
    text: Gc<Str>,
    name: &str,
    loc: Loc,
) -> Res<Result<Value, String>> {
    let graph = machine.graph.clone();
    if machine.output_token(id, output) != Str::bytes(text) {
        let shown = String::from_utf8_lossy(machine.text(text)?).into_owned();
        let expected = graph.output_text(id, output as usize)?;
        if shown != expected {
            let output = &graph.node(id).outputs[output as usize].name;
            return Ok(Err(format!(
                "string '{shown}' has context with the output '{output}' from derivation '{}', but the string is not the right placeholder for this derivation output. It should be '{expected}'",
                graph.shown(id)?
            )));
        }
    }
    let name = OutputName::new(name).map_err(|error| Error::eval(loc, error.to_string()))?;
    Ok(match graph.made_by(id, output, &name) {
        Some(made) => Ok(machine.output_string(made, 0)),
        None => {
            let outermost = graph.drv_path(graph.outermost(id))?;
            Err(format!("outputs of '{outermost}' lie more than {MAX_NESTING} derivations deep"))
        }
    })
}

/// Why a text names neither a derivation nor what will be one.
fn no_derivation(machine: &mut Machine, elems: &[CtxElem], text: Gc<Str>) -> Res<String> {
    let shown = String::from_utf8_lossy(machine.text(text)?).into_owned();
    Ok(match elems {
        [CtxElem::DrvDeep(_)] => format!(
            "string '{shown}' has a context which refers to a complete source and binary closure. This is not supported at this time"
        ),
        [_] => format!("path '{shown}' is not a derivation of this evaluation"),
        _ => format!(
            "string '{shown}' has {} entries in its context. It should only have exactly one entry",
            elems.len()
        ),
    })
}

/// What a context says of one path.
#[derive(Default)]
struct Info {
    path: bool,
    all_outputs: bool,
    outputs: Vec<String>,
}

fn get_context(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.getContext";
    let text = machine.as_str(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let graph = machine.graph.clone();
    let mut infos: std::collections::BTreeMap<String, Info> = std::collections::BTreeMap::new();
    for elem in machine.contexts.elems(text.ctx).to_vec() {
        machine.note_elem(elem)?;
        match elem {
            CtxElem::Source(id) => {
                infos.entry(graph.source_path(id)?.to_string()).or_default().path = true
            }
            CtxElem::Path(id) => {
                infos.entry(machine.contexts.path(id).to_string()).or_default().path = true
            }
            CtxElem::DrvFile(id) => {
                infos.entry(graph.drv_path(id)?.to_string()).or_default().path = true
            }
            CtxElem::DrvDeep(id) => {
                infos.entry(graph.drv_path(id)?.to_string()).or_default().all_outputs = true
            }
            CtxElem::Output(id, output) => {
                if let Some(made) = graph.node(id).made_by {
                    let name = &graph.node(made.drv).outputs[made.output as usize].name;
                    let message = format!(
                        "cannot operate on output '{name}' of the unbuilt derivation '{}'",
                        graph.shown(made.drv)?
                    );
                    return Err(Error::eval(loc, message));
                }
                graph.observe(id);
                let name = graph.node(id).outputs[output as usize].name.to_string();
                infos.entry(graph.drv_path(id)?.to_string()).or_default().outputs.push(name);
            }
        }
    }
    let mut attrs = Vec::new();
    for (path, mut info) in infos {
        let mut fields = Vec::new();
        if info.path {
            fields.push((Symbol::PATH, Value::Bool(true)));
        }
        if info.all_outputs {
            fields.push((Symbol::intern("allOutputs"), Value::Bool(true)));
        }
        if !info.outputs.is_empty() {
            info.outputs.sort();
            let names: Vec<Value> =
                info.outputs.iter().map(|name| machine.string(name.as_bytes())).collect();
            let names = machine.list(names.into_iter());
            fields.push((Symbol::OUTPUTS, names));
        }
        let fields = machine.attrs(fields);
        attrs.push((Symbol::intern(path), fields));
    }
    Ok(machine.attrs(attrs))
}

fn append_context(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.appendContext";
    let text = machine.as_str(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let what = "while evaluating the second argument passed to builtins.appendContext";
    let set = machine.set_for(args[1], loc, what)?;
    let mut elems = machine.contexts.elems(text.ctx).to_vec();
    for attr in Attrs::by_text(set) {
        let name = attr.name.to_text();
        let path = StorePath::parse(&name).map_err(|_| {
            Error::eval(attr.loc, format!("context key '{name}' is not a store path"))
        })?;
        let value = machine.force_place(&attr.value)?;
        let what = "while evaluating the value of a string context";
        let info = machine.set_for(value, attr.loc, what)?;
        let drv = machine.graph.by_path(&path);
        let flag = |machine: &mut Machine, name: &str| -> Res<bool> {
            let Some(attr) = Attrs::find(info, Symbol::intern(name)) else {
                return Ok(false);
            };
            let value = machine.force_place(&attr.value)?;
            let what = format!("while evaluating the `{name}` attribute of a string context");
            machine.as_bool(value, attr.loc).map_err(|e| e.frame(attr.loc, what))
        };
        let needs_drv = |what: &str| {
            let message = format!(
                "tried to add {what} context of {name}, which is not a derivation of this evaluation, to a string"
            );
            Error::eval(attr.loc, message)
        };
        if flag(machine, "path")? {
            elems.push(match drv {
                Some(id) => CtxElem::DrvFile(id),
                None => machine.contexts.path_elem(&path),
            });
        }
        if flag(machine, "allOutputs")? {
            elems.push(CtxElem::DrvDeep(drv.ok_or_else(|| needs_drv("all-outputs"))?));
        }
        if let Some(outputs) = Attrs::find(info, Symbol::OUTPUTS) {
            let list = machine.force_place(&outputs.value)?;
            let what = "while evaluating the `outputs` attribute of a string context";
            let list = machine.list_for(list, outputs.loc, what)?;
            for item in list.places() {
                let id = drv.ok_or_else(|| needs_drv("derivation output"))?;
                let item = machine.force_place(item)?;
                let what = "while evaluating an output name within a string context";
                let output =
                    machine.as_text(item, outputs.loc).map_err(|e| e.frame(outputs.loc, what))?;
                let known = machine
                    .graph
                    .node(id)
                    .outputs
                    .iter()
                    .position(|o| o.name.as_str().as_bytes() == output);
                let Some(index) = known else {
                    let message = format!(
                        "derivation '{name}' has no output '{}'",
                        String::from_utf8_lossy(output)
                    );
                    return Err(Error::eval(outputs.loc, message));
                };
                elems.push(CtxElem::Output(id, index as u32));
            }
        }
    }
    let ctx = machine.contexts.intern(elems);
    Ok(machine.string_with(Str::bytes(text), ctx))
}

fn store_path(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    if machine.settings.pure {
        return Err(Error::new(
            crate::error::ErrorKind::Restricted,
            loc,
            "'builtins.storePath' is not allowed in pure evaluation mode",
        ));
    }
    let what = "while evaluating the first argument passed to 'builtins.storePath'";
    let value = machine.force(args[0]).map_err(|error| error.frame(loc, what))?;
    let (mut text, ctx) = match value {
        Value::Path(path) => (Str::bytes(path).to_vec(), Ctx::EMPTY),
        value => machine.coerced_path(value, (loc, what))?,
    };
    if !text.starts_with(b"/nix/store/") {
        text = machine.resolve_symlinks(&text, loc)?;
    }
    let shown = String::from_utf8_lossy(&text).into_owned();
    let (path, _) = StorePath::parse_prefix(&shown)
        .map_err(|_| Error::eval(loc, format!("path '{shown}' is not in the Nix store")))?;
    let own = match (machine.graph.by_path(&path), machine.graph.source_by_path(&path)) {
        (Some(id), _) => CtxElem::DrvFile(id),
        (None, Some(id)) => CtxElem::Source(id),
        (None, None) => {
            machine.host.ensure_path(&path).map_err(|e| Error::from(e).at(loc))?;
            machine.contexts.path_elem(&path)
        }
    };
    let own = machine.contexts.intern(vec![own]);
    let ctx = machine.contexts.union(ctx, own);
    Ok(machine.string_with(&text, ctx))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("unsafeDiscardStringContext", 1, 1, discard),
        Prim::new("hasContext", 1, 1, has_context),
        Prim::new("unsafeDiscardOutputDependency", 1, 1, discard_output_dependency),
        Prim::new("addDrvOutputDependencies", 1, 1, add_output_dependencies),
        Prim::new("getContext", 1, 1, get_context),
        Prim::new("appendContext", 2, 3, append_context),
        Prim::new("outputOf", 2, 3, output_of),
        Prim::new("storePath", 1, 1, store_path),
    ]
}
