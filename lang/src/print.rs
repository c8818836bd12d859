//! Values as text: as `nix-instantiate --eval` prints them, and shortened for messages. Forces
//! nothing.

use rustc_hash::FxHashSet;

use crate::calls::stack_overflow;
use crate::error::{Error, ErrorKind, Res};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::ops::check_length;
use crate::source::Loc;
use crate::syntax::print::{identifier, string};
use crate::text::float;
use crate::value::{Attr, Attrs, List, State, Str, Value};

const REPEATED: &[u8] = "«repeated»".as_bytes();
const INFINITE: &[u8] = "«potential infinite recursion»".as_bytes();

const ERROR_MAX_DEPTH: usize = 10;
const ERROR_MAX_ITEMS: usize = 10;
const ERROR_MAX_BYTES: usize = 1024;

/// A value in the making as messages show it: the attributes and items that may still be shown, of all
/// sets and lists together, how deep they may nest and how long a string may be.
struct Shown {
    out: Vec<u8>,
    seen: FxHashSet<usize>,
    attrs: usize,
    items: usize,
    depth: usize,
    bytes: usize,
    /// Whether what says of which kind a set is comes first.
    kind_first: bool,
}

impl Shown {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn elided(&mut self, count: usize, noun: &str) {
        let plural = if count == 1 { "" } else { "s" };
        self.put(&format!("«{count} {noun}{plural} elided»"));
    }
}

/// Whether a list was seen before. C++ Nix goes by the variable that holds a list: the promise, if
/// there is one, else the row of slots.
fn is_repeated(holder: Value, list: List, seen: &mut FxHashSet<usize>) -> bool {
    let slots = list.places().as_ptr().addr();
    match holder {
        Value::Thunk(thunk) => {
            seen.insert(slots);
            !seen.insert(thunk.as_ptr().addr())
        }
        _ => !seen.insert(slots),
    }
}

impl Machine {
    /// A value without the thunk around it, if that was computed.
    pub(crate) fn peek(value: Value) -> Value {
        match value {
            Value::Thunk(thunk) => match thunk.0.get() {
                State::Done(value) => value,
                State::Kept(kept) => kept.value,
                _ => value,
            },
            value => value,
        }
    }

    /// As `nix-instantiate --eval` prints.
    pub(crate) fn print(&mut self, value: Value) -> Res<Vec<u8>> {
        let mut out = Vec::new();
        let mut seen = FxHashSet::default();
        self.print_into(value, 0, &mut out, &mut seen)?;
        Ok(out)
    }

    /// Fails for values nested deeper than calls may be.
    fn check_depth(&self, value: Value, depth: usize) -> Res<()> {
        if depth > self.settings.max_call_depth as usize {
            return Err(stack_overflow(self.value_pos(value)));
        }
        self.check_stack(Loc::NONE)
    }

    fn print_into(
        &mut self,
        value: Value,
        depth: usize,
        out: &mut Vec<u8>,
        seen: &mut FxHashSet<usize>,
    ) -> Res<()> {
        self.check_depth(value, depth)?;
        check_length(out.len(), self.value_pos(value))?;
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
                    out.extend_from_slice(REPEATED);
                    return Ok(());
                }
                out.extend_from_slice(b"{ ");
                for attr in self.sorted_by_text(attrs) {
                    identifier(out, attr.name.as_bytes());
                    out.extend_from_slice(b" = ");
                    self.print_into(attr.value.unread(), depth + 1, out, seen)?;
                    out.extend_from_slice(b"; ");
                }
                out.push(b'}');
            }
            Value::List(list) => {
                if list.len() > 0 && is_repeated(value, list, seen) {
                    out.extend_from_slice(REPEATED);
                    return Ok(());
                }
                out.extend_from_slice(b"[ ");
                for item in list.places() {
                    self.print_into(item.unread(), depth + 1, out, seen)?;
                    out.push(b' ');
                }
                out.push(b']');
            }
            Value::Lambda(_) => out.extend_from_slice(b"<LAMBDA>"),
            Value::Prim(_) => out.extend_from_slice(b"<PRIMOP>"),
            Value::PrimApp(_) => out.extend_from_slice(b"<PRIMOP-APP>"),
            Value::Thunk(thunk) => out.extend_from_slice(match thunk.0.get() {
                State::Black => INFINITE,
                _ => b"<CODE>",
            }),
            Value::Unset | Value::Later(_) | Value::Running => out.extend_from_slice(b"<CODE>"),
        }
        Ok(())
    }

    fn sorted_by_text(&mut self, attrs: Gc<Attrs>) -> Vec<&'static Attr> {
        let mut all: Vec<_> = Attrs::all(attrs, &mut self.heap).iter().collect();
        all.sort_unstable_by_key(|attr| attr.name.as_bytes());
        all
    }

    /// Shortened, for messages. Never fails.
    pub(crate) fn show_error(&mut self, value: Value) -> String {
        let mut shown = Shown {
            out: Vec::new(),
            seen: FxHashSet::default(),
            attrs: ERROR_MAX_ITEMS,
            items: ERROR_MAX_ITEMS,
            depth: ERROR_MAX_DEPTH,
            bytes: ERROR_MAX_BYTES,
            kind_first: true,
        };
        self.show_into(value, 0, &mut shown);
        String::from_utf8_lossy(&shown.out).into_owned()
    }

    /// All of it, as `trace` shows it; what is not forced yet is `«thunk»`.
    pub(crate) fn show_whole(&mut self, value: Value) -> Vec<u8> {
        let mut shown = Shown {
            out: Vec::new(),
            seen: FxHashSet::default(),
            attrs: usize::MAX,
            items: usize::MAX,
            depth: usize::MAX,
            bytes: usize::MAX,
            kind_first: false,
        };
        self.show_into(value, 0, &mut shown);
        shown.out
    }

    fn show_into(&mut self, value: Value, depth: usize, shown: &mut Shown) {
        match Self::peek(value) {
            Value::Str(text) => {
                let text = self.text(text).unwrap_or(b"\xc2\xabunknown path\xc2\xbb");
                if text.len() <= shown.bytes {
                    string(&mut shown.out, text);
                } else {
                    string(&mut shown.out, &text[..shown.bytes]);
                    shown.put(" ");
                    shown.elided(text.len() - shown.bytes, "byte");
                }
            }
            Value::Attrs(attrs) => {
                // All empty sets are one and the same in C++ Nix.
                let identity = if attrs.len() == 0 { 0 } else { attrs.as_ptr().addr() };
                if !shown.seen.insert(identity) {
                    shown.out.extend_from_slice(REPEATED);
                } else if depth >= shown.depth || self.check_stack(Loc::NONE).is_err() {
                    shown.put("{ ... }");
                } else {
                    self.show_attrs(attrs, depth, shown);
                }
            }
            Value::List(list) => {
                if list.len() > 0 && is_repeated(value, list, &mut shown.seen) {
                    shown.out.extend_from_slice(REPEATED);
                } else if depth >= shown.depth || self.check_stack(Loc::NONE).is_err() {
                    shown.put("[ ... ]");
                } else {
                    shown.put("[");
                    for (index, item) in list.places().iter().enumerate() {
                        shown.put(" ");
                        if shown.items == 0 {
                            shown.elided(list.len() - index, "item");
                            break;
                        }
                        self.show_into(item.unread(), depth + 1, shown);
                        shown.items = shown.items.saturating_sub(1);
                    }
                    shown.put(" ]");
                }
            }
            Value::Lambda(lambda) => {
                let code = self.tables.lambdas[lambda.code as usize].get();
                let name = code.name.map_or(String::new(), |name| format!(" {name}"));
                shown.put(&format!("«lambda{name} @ {}»", self.show_loc(code.loc)));
            }
            Value::Prim(prim) => {
                shown.put(&format!("«primop {}»", self.prims[prim as usize].shown()));
            }
            Value::PrimApp(app) => {
                let name = self.prims[app.prim as usize].shown();
                shown.put(&format!("«partially applied primop {name}»"));
            }
            Value::Thunk(thunk) if matches!(thunk.0.get(), State::Black) => {
                shown.out.extend_from_slice(INFINITE);
            }
            Value::Thunk(_) | Value::Unset | Value::Later(_) | Value::Running => {
                shown.put("«thunk»")
            }
            simple => {
                // Scalars print without failing.
                let _ = self.print_into(simple, 0, &mut shown.out, &mut shown.seen);
            }
        }
    }

    fn show_attrs(&mut self, attrs: Gc<Attrs>, depth: usize, shown: &mut Shown) {
        let mut all = self.sorted_by_text(attrs);
        if shown.kind_first {
            all.sort_by_key(|attr| !matches!(attr.name.as_bytes(), b"type" | b"_type"));
        }
        shown.put("{");
        for (index, attr) in all.iter().enumerate() {
            shown.put(" ");
            if shown.attrs == 0 {
                shown.elided(all.len() - index, "attribute");
                break;
            }
            identifier(&mut shown.out, attr.name.as_bytes());
            shown.put(" = ");
            self.show_into(attr.value.unread(), depth + 1, shown);
            shown.put(";");
            shown.attrs = shown.attrs.saturating_sub(1);
        }
        shown.put(" }");
    }

    /// An error of the program's own making.
    pub(crate) fn thrown(&mut self, kind: ErrorKind, text: &[u8], loc: Loc) -> Error {
        Error::new(kind, loc, String::from_utf8_lossy(text))
    }
}
