//! Builtins on strings.

use floe_core::hash::{Hash, HashAlgo};

use super::Prim;
use crate::coerce::Coerce;
use crate::context::Ctx;
use crate::error::{Error, Res};
use crate::graph::Segment;
use crate::machine::Machine;
use crate::ops::check_length;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Str, Value};

fn to_string(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let value = machine.force(args[0])?;
    if matches!(value, Value::Str(_)) {
        return Ok(value);
    }
    let what = "while evaluating the first argument passed to builtins.toString";
    let (text, ctx) = machine.coerced(value, Coerce::TO_STRING, (loc, what))?;
    Ok(machine.string_with(&text, ctx))
}

fn string_length(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let value = machine.force(args[0]).map_err(|error| error.looped_at(loc))?;
    if let Value::Str(text) = value {
        return Ok(Value::Int(Str::bytes(text).len() as i64));
    }
    let what = "while evaluating the argument passed to builtins.stringLength";
    let (text, _) = machine.coerced(value, Coerce::INTERPOLATE, (loc, what))?;
    Ok(Value::Int(text.len() as i64))
}

fn substring(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what =
        "while evaluating the first argument (the start offset) passed to builtins.substring";
    let start = machine.as_int(args[0], loc).map_err(|e| e.frame(loc, what))?;
    if start < 0 {
        return Err(Error::eval(loc, "negative start position in 'substring'"));
    }
    let what =
        "while evaluating the second argument (the substring length) passed to builtins.substring";
    let len = machine.as_int(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let value = machine.force(args[2])?;
    if let Value::Str(text) = value {
        let bytes = Str::bytes(text);
        if len == 0 {
            return Ok(machine.string_with(b"", text.ctx));
        }
        if text.ctx.is_empty() {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let (from, to) = (start.min(bytes.len()), start.saturating_add(len).min(bytes.len()));
            if to - from == bytes.len() {
                return Ok(value);
            }
            return Ok(machine.string(&bytes[from..to]));
        }
    }
    let what = "while evaluating the third argument (the string) passed to builtins.substring";
    let (mut text, ctx) = machine.coerced(value, Coerce::INTERPOLATE, (loc, what))?;
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let cut = |len_of: usize| (start.min(len_of), start.saturating_add(len).min(len_of));
    let (from, to) = cut(text.len());
    if !ctx.is_empty() {
        let cuts = |at: usize| move |range: &(usize, usize)| range.0 < at && at < range.1;
        let tokens = machine.token_ranges(&text);
        if tokens.iter().any(cuts(from)) || tokens.iter().any(cuts(to)) {
            // Cuts through no digest need no real bytes: `substring 0 1 drv` is common.
            let digest_free =
                |range: &(usize, usize)| to <= range.0 + "/nix/store/".len() || from >= range.1;
            if text.starts_with(b"/nix/store/") && tokens.iter().all(digest_free) {
                return Ok(machine.string_with(&text[from..to], ctx));
            }
            text = machine.real_bytes(&text)?;
        }
    }
    let (from, to) = cut(text.len());
    Ok(machine.string_with(&text[from..to], ctx))
}

fn concat_strings_sep(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep";
    let separator = machine.as_str(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let what = "while evaluating the second argument (the list of strings to concat) passed to builtins.concatStringsSep";
    let list = machine.list_for(args[1], loc, what)?;
    let mut out = machine.room();
    let mut parts = Vec::new();
    separator.ctx.add_to(&mut parts);
    for (index, item) in list.places().iter().enumerate() {
        if index > 0 {
            check_length(out.len() + Str::bytes(separator).len(), loc)?;
            out.extend_from_slice(Str::bytes(separator));
        }
        let item = machine.force_place(item)?;
        let what = "while evaluating one element of the list of strings to concat passed to builtins.concatStringsSep";
        let mut own = Ctx::EMPTY;
        machine.coerce(item, Coerce::INTERPOLATE, (loc, what), &mut out, &mut own)?;
        own.add_to(&mut parts);
    }
    let ctx = machine.contexts.union_all(&parts);
    check_length(out.len(), loc)?;
    Ok(machine.string_from(out, ctx))
}

fn replace_strings(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.replaceStrings";
    let from = machine.list_for(args[0], loc, what)?;
    let what = "while evaluating the second argument passed to builtins.replaceStrings";
    let to = machine.list_for(args[1], loc, what)?;
    if from.len() != to.len() {
        return Err(Error::eval(
            loc,
            "'from' and 'to' arguments passed to builtins.replaceStrings have different lengths",
        ));
    }
    let mut patterns = Vec::with_capacity(from.len());
    for item in from.places() {
        let what =
            "while evaluating one of the strings to replace passed to builtins.replaceStrings";
        patterns.push(machine.as_text_any(item.unread(), loc).map_err(|e| e.frame(loc, what))?);
    }
    let what = "while evaluating the third argument passed to builtins.replaceStrings";
    let subject = machine.as_str(args[2], loc).map_err(|e| e.frame(loc, what))?;
    let mut ctx = subject.ctx;
    let text = machine.text(subject)?;
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at <= text.len() {
        let rest = &text[at..];
        let begins = |pattern: &&[u8]| match (pattern.first(), rest.first()) {
            (Some(a), Some(b)) => a == b && rest.starts_with(pattern),
            (first, _) => first.is_none(),
        };
        let Some(index) = patterns.iter().position(begins) else {
            out.extend(text.get(at));
            at += 1;
            continue;
        };
        let item = to.places()[index].unread();
        let what =
            "while evaluating one of the replacement strings passed to builtins.replaceStrings";
        let item = machine.as_str(item, loc).map_err(|e| e.frame(loc, what))?;
        ctx = machine.contexts.union(ctx, item.ctx);
        let replacement = Str::bytes(item);
        check_length(out.len() + replacement.len(), loc)?;
        out.extend_from_slice(replacement);
        if patterns[index].is_empty() {
            out.extend(text.get(at));
            at += 1;
        } else {
            at += patterns[index].len();
        }
    }
    check_length(out.len(), loc)?;
    Ok(machine.string_with(&out, ctx))
}

/// What is wrong with a name, in C++ Nix's words.
pub(crate) fn nix_words(error: &floe_core::path::PathError) -> String {
    match error {
        floe_core::path::PathError::Character { name, found } => {
            format!("name '{name}' contains illegal character '{found}'")
        }
        other => other.to_string(),
    }
}

/// A hash algorithm by its name.
pub(super) fn algorithm(
    machine: &mut Machine,
    value: Value,
    (loc, what): (Loc, &str),
) -> Res<HashAlgo> {
    let text = machine.as_text(value, loc).map_err(|e| e.frame(loc, what))?;
    let text = String::from_utf8_lossy(text);
    HashAlgo::parse(&text).map_err(|_| {
        Error::eval(loc, format!("unknown hash algorithm '{text}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'"))
    })
}

fn hash_string(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let algo = algorithm(
        machine,
        args[0],
        (loc, "while evaluating the first argument passed to builtins.hashString"),
    )?;
    let what = "while evaluating the second argument passed to builtins.hashString";
    let symbolic = machine.as_str(args[1], loc).map_err(|e| e.frame(loc, what))?;
    for segment in machine.segment_list(Str::bytes(symbolic)) {
        if let Segment::Output(id, _) = segment {
            machine.note_hash(id);
        }
    }
    let text = machine.as_text_any(args[1], loc).map_err(|e| e.frame(loc, what))?;
    for id in machine.graph.shown_in(text)? {
        machine.note_hash(id);
    }
    Ok(machine.string(Hash::of(algo, text).base16().as_bytes()))
}

fn convert_hash(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.convertHash";
    let attrs = machine.set_for(args[0], loc, what)?;
    let text = |machine: &mut Machine, name: &str| -> Res<String> {
        let symbol = Symbol::intern(name);
        let Some(attr) = Attrs::find(attrs, symbol) else {
            let what = format!("while locating the attribute '{name}'");
            return Err(super::missing(symbol).frame(Loc::NONE, what));
        };
        let text = machine.as_text(attr.value.unread(), loc).map_err(|error| {
            error.frame(loc, format!("while evaluating the attribute '{name}'"))
        })?;
        Ok(String::from_utf8_lossy(text).into_owned())
    };
    let hash = text(machine, "hash")?;
    let algo = Attrs::find(attrs, Symbol::intern("hashAlgo"));
    let algo = match algo {
        Some(attr) => {
            let what = "while evaluating the attribute 'hashAlgo'";
            Some(algorithm(machine, attr.value.unread(), (loc, what))?)
        }
        None => None,
    };
    let format = text(machine, "toHashFormat")?;
    let hash = Hash::parse(&hash, algo).map_err(|error| Error::eval(loc, error.to_string()))?;
    let out = match format.as_str() {
        "base16" => hash.base16(),
        "nix32" => hash.base32(),
        "base32" => {
            let warning = b"\"base32\" is a deprecated alias for hash format \"nix32\".";
            machine.host.message(crate::host::MessageKind::Notice, warning);
            hash.base32()
        }
        "base64" => hash.base64(),
        "sri" => hash.sri(),
        other => {
            let message = format!(
                "unknown hash format '{other}', expect 'base16', 'base32', 'base64', or 'sri'"
            );
            return Err(Error::eval(loc, message));
        }
    };
    Ok(machine.string(out.as_bytes()))
}

fn base_name_of(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.baseNameOf";
    let (text, ctx) = machine.coerced(args[0], Coerce::PLAIN, (loc, what))?;
    let text = if ctx.is_empty() { text } else { machine.real_bytes(&text)? };
    // Only one trailing slash is dropped.
    let trimmed = text.strip_suffix(b"/").unwrap_or(&text);
    let start = trimmed.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let base = trimmed[start..].to_vec();
    Ok(machine.string_with(&base, ctx))
}

fn dir_of(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let value = machine.force(args[0])?;
    if let Value::Path(path) = value {
        let parent = crate::paths::parent(Str::bytes(path));
        return Ok(machine.path(parent));
    }
    let what = "while evaluating the first argument passed to 'builtins.dirOf'";
    let (text, ctx) = machine.coerced(value, Coerce::PLAIN, (loc, what))?;
    let text = if ctx.is_empty() { text } else { machine.real_bytes(&text)? };
    let parent: &[u8] = match text.iter().rposition(|byte| *byte == b'/') {
        None => b".",
        Some(0) => b"/",
        Some(at) => &text[..at],
    };
    Ok(machine.string_with(parent, ctx))
}

fn placeholder(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.placeholder";
    let name = machine.as_text(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let text = floe_core::placeholder::output(&String::from_utf8_lossy(name));
    Ok(machine.string_with(text.as_bytes(), Ctx::EMPTY))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("toString", 1, 1, to_string),
        Prim::new("stringLength", 1, 1, string_length),
        Prim::new("substring", 3, 7, substring),
        Prim::new("concatStringsSep", 2, 3, concat_strings_sep),
        Prim::new("replaceStrings", 3, 7, replace_strings),
        Prim::new("hashString", 2, 3, hash_string),
        Prim::new("convertHash", 1, 1, convert_hash),
        Prim::new("baseNameOf", 1, 1, base_name_of),
        Prim::new("dirOf", 1, 1, dir_of),
        Prim::new("placeholder", 1, 1, placeholder),
    ]
}
