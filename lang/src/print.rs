//! Values as text: as `nix-instantiate --eval` prints them, and shortened for messages. Forces
//! nothing.

use std::fmt::Write as _;

use rustc_hash::FxHashSet;

use crate::error::{Error, ErrorKind, Res};
use crate::machine::Machine;
use crate::source::Loc;
use crate::syntax::print::{identifier, string};
use crate::text::float;
use crate::value::{Attrs, State, Str, Value};

const ERROR_MAX_DEPTH: usize = 10;
const ERROR_MAX_ITEMS: usize = 10;
const ERROR_MAX_BYTES: usize = 1024;

impl Machine {
    /// A value without the thunk around it, if that was computed.
    pub(crate) fn peek(value: Value) -> Value {
        match value {
            Value::Thunk(thunk) => match thunk.0.get() {
                State::Done(value) => value,
                _ => value,
            },
            value => value,
        }
    }

    /// As `nix-instantiate --eval` prints.
    pub(crate) fn print(&mut self, value: Value) -> Res<Vec<u8>> {
        let mut out = Vec::new();
        let mut seen = FxHashSet::default();
        self.print_into(value, &mut out, &mut seen)?;
        Ok(out)
    }

    fn print_into(
        &mut self,
        value: Value,
        out: &mut Vec<u8>,
        seen: &mut FxHashSet<usize>,
    ) -> Res<()> {
        self.check_stack(Loc::NONE)?;
        match Self::peek(value) {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::Float(x) => out.extend_from_slice(float::general(x).as_bytes()),
            Value::Str(text) => {
                let text = self.text(text)?;
                string(out, text);
            }
            Value::Path(path) => out.extend_from_slice(Str::bytes(path)),
            Value::Attrs(attrs) => {
                if attrs.len() > 0 && !seen.insert(attrs.as_ptr().addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"{ ");
                let mut all: Vec<_> = Attrs::all(attrs, &mut self.heap).iter().collect();
                all.sort_unstable_by_key(|attr| attr.name.as_bytes());
                for attr in all {
                    identifier(out, attr.name.as_bytes());
                    out.extend_from_slice(b" = ");
                    self.print_into(attr.value.get(), out, seen)?;
                    out.extend_from_slice(b"; ");
                }
                out.push(b'}');
            }
            Value::List(list) => {
                if list.len() > 0 && !seen.insert(list.slots().as_ptr().addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"[ ");
                for item in list.slots() {
                    self.print_into(item.get(), out, seen)?;
                    out.push(b' ');
                }
                out.push(b']');
            }
            Value::Lambda(_) => out.extend_from_slice(b"<LAMBDA>"),
            Value::Prim(_) => out.extend_from_slice(b"<PRIMOP>"),
            Value::PrimApp(_) => out.extend_from_slice(b"<PRIMOP-APP>"),
            Value::Thunk(thunk) => out.extend_from_slice(match thunk.0.get() {
                State::Black => "«potential infinite recursion»".as_bytes(),
                _ => b"<CODE>",
            }),
            Value::Unset => out.extend_from_slice(b"<CODE>"),
        }
        Ok(())
    }

    /// Shortened, for messages. Never fails.
    pub(crate) fn show_error(&mut self, value: Value) -> String {
        let mut out = Vec::new();
        self.show_into(value, 0, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn show_into(&mut self, value: Value, depth: usize, out: &mut Vec<u8>) {
        match Self::peek(value) {
            Value::Str(text) => {
                let text = self.text(text).unwrap_or(b"\xc2\xabunknown path\xc2\xbb");
                if text.len() <= ERROR_MAX_BYTES {
                    string(out, text);
                } else {
                    string(out, &text[..ERROR_MAX_BYTES]);
                    let more = text.len() - ERROR_MAX_BYTES;
                    out.extend_from_slice(format!(" «{more} bytes elided»").as_bytes());
                }
            }
            Value::Attrs(attrs) => {
                if self.is_plain_derivation(value) {
                    out.extend_from_slice("«derivation»".as_bytes());
                    return;
                }
                if depth >= ERROR_MAX_DEPTH && attrs.len() > 0 {
                    out.extend_from_slice("{ ... }".as_bytes());
                    return;
                }
                out.push(b'{');
                let mut all: Vec<_> = Attrs::all(attrs, &mut self.heap).iter().collect();
                all.sort_unstable_by_key(|attr| attr.name.as_bytes());
                for attr in all.iter().take(ERROR_MAX_ITEMS) {
                    out.push(b' ');
                    identifier(out, attr.name.as_bytes());
                    out.extend_from_slice(b" = ");
                    self.show_into(attr.value.get(), depth + 1, out);
                    out.push(b';');
                }
                if all.len() > ERROR_MAX_ITEMS {
                    let more = all.len() - ERROR_MAX_ITEMS;
                    let plural = if more == 1 { "" } else { "s" };
                    out.extend_from_slice(format!(" «{more} attribute{plural} elided»").as_bytes());
                }
                out.extend_from_slice(b" }");
            }
            Value::List(list) => {
                if depth >= ERROR_MAX_DEPTH && list.len() > 0 {
                    out.extend_from_slice("[ ... ]".as_bytes());
                    return;
                }
                out.push(b'[');
                for item in list.slots().iter().take(ERROR_MAX_ITEMS) {
                    out.push(b' ');
                    self.show_into(item.get(), depth + 1, out);
                }
                if list.len() > ERROR_MAX_ITEMS {
                    let more = list.len() - ERROR_MAX_ITEMS;
                    let plural = if more == 1 { "" } else { "s" };
                    out.extend_from_slice(format!(" «{more} item{plural} elided»").as_bytes());
                }
                out.extend_from_slice(b" ]");
            }
            Value::Lambda(lambda) => {
                let code = self.tables.lambdas[lambda.code as usize].get();
                let mut text = "«lambda".to_owned();
                if let Some(name) = code.name {
                    let _ = write!(text, " {name}");
                }
                let _ = write!(text, " @ {}»", self.show_loc(code.loc));
                out.extend_from_slice(text.as_bytes());
            }
            Value::Prim(prim) => {
                out.extend_from_slice(
                    format!("«primop {}»", self.prims[prim as usize].shown()).as_bytes(),
                );
            }
            Value::PrimApp(app) => {
                let name = self.prims[app.prim as usize].shown();
                out.extend_from_slice(format!("«partially applied primop {name}»").as_bytes());
            }
            Value::Thunk(_) | Value::Unset => out.extend_from_slice("«thunk»".as_bytes()),
            simple => {
                let mut seen = FxHashSet::default();
                // Scalars print without failing.
                let _ = self.print_into(simple, out, &mut seen);
            }
        }
    }

    fn is_plain_derivation(&self, value: Value) -> bool {
        let Value::Attrs(attrs) = value else {
            return false;
        };
        let Some(kind) = Attrs::find(attrs, crate::symbol::Symbol::TYPE) else {
            return false;
        };
        matches!(Self::peek(kind.value.get()), Value::Str(text) if Str::bytes(text) == b"derivation")
    }

    /// Forces everything below a value.
    pub(crate) fn force_deep(&mut self, value: Value) -> Res<Value> {
        let top = self.force(value)?;
        let mut seen: FxHashSet<usize> = FxHashSet::default();
        let mut work = vec![top];
        while let Some(value) = work.pop() {
            let before = work.len();
            match value {
                Value::Attrs(attrs) => {
                    if !seen.insert(attrs.as_ptr().addr()) {
                        continue;
                    }
                    for attr in Attrs::all(attrs, &mut self.heap) {
                        let value = self.force_slot(&attr.value).map_err(|error| {
                            error.frame(
                                attr.loc,
                                format!("while evaluating the attribute '{}'", attr.name),
                            )
                        })?;
                        work.push(value);
                    }
                }
                Value::List(list) => {
                    if list.len() > 0 && !seen.insert(list.slots().as_ptr().addr()) {
                        continue;
                    }
                    for item in list.slots() {
                        let value = self.force_slot(item)?;
                        work.push(value);
                    }
                }
                _ => {}
            }
            work[before..].reverse();
        }
        Ok(top)
    }

    /// An error of the program's own making.
    pub(crate) fn thrown(&mut self, kind: ErrorKind, text: &[u8], loc: Loc) -> Error {
        Error::new(kind, loc, String::from_utf8_lossy(text))
    }
}
