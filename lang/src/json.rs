//! Values as JSON. Markers of symbolic strings pass through untouched; numbers and escapes are
//! as C++ Nix's library writes them.

use std::collections::BTreeMap;

use crate::coerce::Coerce;
use crate::context::Ctx;
use crate::error::{Error, Res};
use crate::graph::Segment;
use crate::machine::Machine;
use crate::marker;
use crate::ops::{PIECE_BYTES, check_length};
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::json;
use crate::value::{Attr, Attrs, Str, Value};

/// So many contexts are gathered before they become one.
const MAX_PARTS: usize = 256;

/// An object from members that are JSON already.
pub(crate) fn object(members: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// Writes what stands between quotes, as long as the text may still grow.
fn write_pieces(out: &mut Vec<u8>, bytes: &[u8], loc: Loc) -> Res<()> {
    for piece in bytes.chunks(PIECE_BYTES) {
        json::write_escaped(out, piece);
        check_length(out.len(), loc)?;
    }
    Ok(())
}

impl Machine {
    fn json_string(&mut self, bytes: &[u8], loc: Loc, out: &mut Vec<u8>) -> Res<()> {
        out.push(b'"');
        let graph = self.graph.clone();
        let name_len = |segment: &Segment| graph.name_len(segment);
        let mut from = 0;
        while let Some(token) = marker::next(bytes, from, &name_len) {
            write_pieces(out, &bytes[from..token.start], loc)?;
            out.extend_from_slice(&bytes[token.start..token.end]);
            from = token.end;
        }
        let rest = &bytes[from..];
        if let Err(error) = std::str::from_utf8(bytes) {
            let at = error.valid_up_to();
            return Err(Error::eval(
                Loc::NONE,
                format!(
                    "JSON serialization error: [json.exception.type_error.316] invalid UTF-8 byte at index {at}: 0x{:02X}",
                    bytes[at]
                ),
            ));
        }
        write_pieces(out, rest, loc)?;
        out.push(b'"');
        Ok(())
    }

    /// Appends a value's JSON, forcing everything below it.
    pub(crate) fn write_json(
        &mut self,
        value: Value,
        loc: Loc,
        out: &mut Vec<u8>,
        ctx: &mut Ctx,
    ) -> Res<()> {
        let mut parts = Vec::new();
        ctx.add_to(&mut parts);
        self.json_into(value, loc, out, &mut parts)?;
        *ctx = self.contexts.union_all(&parts);
        Ok(())
    }

    /// Contexts are gathered in `parts`: a union for each string would be quadratic.
    fn json_into(
        &mut self,
        value: Value,
        loc: Loc,
        out: &mut Vec<u8>,
        parts: &mut Vec<Ctx>,
    ) -> Res<()> {
        if parts.len() > MAX_PARTS {
            let all = self.contexts.union_all(parts);
            *parts = vec![all];
        }
        self.nested(loc, |machine| {
            let forced = machine.force_at(value, loc)?;
            machine.write_forced(forced, loc, out, parts)
        })
    }

    fn write_forced(
        &mut self,
        value: Value,
        loc: Loc,
        out: &mut Vec<u8>,
        parts: &mut Vec<Ctx>,
    ) -> Res<()> {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::Float(x) => json::write_float(out, x),
            Value::Str(text) => {
                text.ctx.add_to(parts);
                self.json_string(Str::bytes(text), loc, out)?;
            }
            path @ Value::Path(_) => {
                let mut text = Vec::new();
                let mut own = Ctx::EMPTY;
                self.coerce(path, Coerce::INTERPOLATE, (loc, ""), &mut text, &mut own)?;
                own.add_to(parts);
                self.json_string(&text, loc, out)?;
            }
            Value::List(list) => {
                out.push(b'[');
                for (index, item) in list.places().iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.json_into(item.get(), loc, out, parts).map_err(|e| {
                        e.frame(loc, format!("while evaluating list element at index {index}"))
                    })?;
                }
                out.push(b']');
            }
            set @ Value::Attrs(attrs) => {
                if let Some(to_string) = Attrs::find(attrs, Symbol::TO_STRING) {
                    return self.json_of_to_string(set, (to_string, loc), out, parts);
                }
                if let Some(path) = Attrs::find(attrs, Symbol::OUT_PATH) {
                    return self.json_into(path.value.get(), path.loc, out, parts);
                }
                out.push(b'{');
                let all = Attrs::by_text(attrs);
                for (index, attr) in all.into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.json_string(attr.name.as_bytes(), attr.loc, out)?;
                    out.push(b':');
                    self.json_into(attr.value.get(), attr.loc, out, parts).map_err(|e| {
                        e.frame(attr.loc, format!("while evaluating attribute '{}'", attr.name))
                    })?;
                }
                out.push(b'}');
            }
            other => {
                let message = format!("cannot convert {} to JSON", self.type_phrase(other));
                return Err(Error::typed(self.value_pos_or(other, loc), message));
            }
        }
        Ok(())
    }

    /// Appends what a set's `__toString` gives: a string, or a path as it stands. C++ Nix says of anything else what is
    /// said here since 2.36.
    fn json_of_to_string(
        &mut self,
        set: Value,
        (to_string, loc): (&Attr, Loc),
        out: &mut Vec<u8>,
        parts: &mut Vec<Ctx>,
    ) -> Res<()> {
        let func = self.force_place_at(&to_string.value, loc)?;
        let given = self.call(func, &[set], loc)?;
        let written = self.nested(to_string.loc, |machine| {
            machine.json_of_given(given, to_string.loc, out, parts)
        });
        let what = "while using the result of the `__toString` attribute";
        written.map_err(|error| error.frame(to_string.loc, what))
    }

    fn json_of_given(
        &mut self,
        given: Value,
        loc: Loc,
        out: &mut Vec<u8>,
        parts: &mut Vec<Ctx>,
    ) -> Res<()> {
        let given = self.force_at(given, loc)?;
        let must = match given {
            Value::Str(_) => return self.write_forced(given, loc, out, parts),
            Value::Path(path) => return self.json_string(Str::bytes(path), loc, out),
            Value::Attrs(attrs) => {
                if let Some(to_string) = Attrs::find(attrs, Symbol::TO_STRING) {
                    return self.json_of_to_string(given, (to_string, loc), out, parts);
                }
                if let Some(path) = Attrs::find(attrs, Symbol::OUT_PATH) {
                    let value = path.value.get();
                    return self
                        .nested(path.loc, |machine| {
                            machine.json_of_given(value, path.loc, out, parts)
                        })
                        .map_err(|e| e.frame(path.loc, "while using the `outPath` attribute"));
                }
                "must"
            }
            _ => "should",
        };
        let shown = self.show_error(given);
        let kind = self.type_phrase(given);
        let message = format!("`__toString` {must} return a string, but got {kind}: {shown}");
        Err(Error::typed(loc, message))
    }
}
