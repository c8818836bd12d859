//! Values as a session shows them: computed as far as they are shown, indented, derivations by
//! their path, failures within them in their place. The layout is that of `nix repl`.

use rustc_hash::FxHashSet;

use crate::calls::stack_overflow;
use crate::error::{Error, ErrorKind, Res};
use crate::machine::Machine;
use crate::symbol::Symbol;
use crate::syntax::print::{identifier, string};
use crate::value::{Attrs, Value};

const INDENT: usize = 2;

/// A text in the making.
struct Shown {
    out: Vec<u8>,
    seen: FxHashSet<usize>,
    /// What lies deeper is left out.
    max_depth: usize,
}

impl Shown {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Before an item, or the closing brace, of what stands `depth` levels deep.
    fn space(&mut self, tall: bool, depth: usize) {
        if tall {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + depth * INDENT, b' ');
        } else {
            self.out.push(b' ');
        }
    }
}

impl Machine {
    /// Computes a value and shows it, `max_depth` levels of sets and lists deep. Only a failure of
    /// the value itself fails.
    pub(crate) fn show(&mut self, value: Value, max_depth: usize) -> Res<Vec<u8>> {
        let mut shown = Shown { out: Vec::new(), seen: FxHashSet::default(), max_depth };
        self.show_level(value, 0, &mut shown)?;
        Ok(shown.out)
    }

    fn show_below(&mut self, value: Value, depth: usize, shown: &mut Shown) -> Res<()> {
        let before = shown.out.len();
        match self.show_level(value, depth, shown) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                shown.out.truncate(before);
                shown.put(&format!("«error: {}»", error.message()));
                Ok(())
            }
            done => done,
        }
    }

    fn show_level(&mut self, value: Value, depth: usize, shown: &mut Shown) -> Res<()> {
        let pos = self.value_pos(value);
        if depth > self.settings.max_call_depth as usize {
            return Err(stack_overflow(pos));
        }
        self.check_stack(pos)?;
        match self.force_at(value, pos)? {
            Value::Str(text) => {
                let text = self.text(text)?;
                string(&mut shown.out, text);
            }
            Value::Attrs(attrs) => {
                if !shown.seen.insert(attrs.as_ptr().addr()) {
                    shown.put("«repeated»");
                } else if self.is_derivation(attrs)? {
                    self.show_derivation(attrs, shown)?;
                } else if depth >= shown.max_depth {
                    shown.put("{ ... }");
                } else {
                    let all = Attrs::by_text(attrs);
                    let tall = match all[..] {
                        [] => false,
                        [one] => self.is_nested(one.value.get())?,
                        _ => true,
                    };
                    shown.put("{");
                    for attr in all {
                        shown.space(tall, depth + 1);
                        identifier(&mut shown.out, attr.name.as_bytes());
                        shown.put(" = ");
                        self.show_below(attr.value.get(), depth + 1, shown)?;
                        shown.put(";");
                    }
                    shown.space(tall, depth);
                    shown.put("}");
                }
            }
            Value::List(list) => {
                if list.len() > 0 && !shown.seen.insert(list.places().as_ptr().addr()) {
                    shown.put("«repeated»");
                } else if depth >= shown.max_depth {
                    shown.put("[ ... ]");
                } else {
                    let tall = match list.places() {
                        [] => false,
                        [one] => self.is_nested(one.get())?,
                        _ => true,
                    };
                    shown.put("[");
                    for item in list.places() {
                        shown.space(tall, depth + 1);
                        self.show_below(item.get(), depth + 1, shown)?;
                    }
                    shown.space(tall, depth);
                    shown.put("]");
                }
            }
            simple => {
                let text = self.show_error(simple);
                shown.put(&text);
            }
        }
        Ok(())
    }

    /// Whether a single item deserves lines of its own. One that fails is shown as it fails.
    fn is_nested(&mut self, value: Value) -> Res<bool> {
        match self.force(value) {
            Ok(value) => Ok(matches!(value, Value::Attrs(_) | Value::List(_))),
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn show_derivation(&mut self, attrs: crate::heap::Gc<Attrs>, shown: &mut Shown) -> Res<()> {
        shown.put("«derivation");
        if let Some(path) = Attrs::find(attrs, Symbol::DRV_PATH) {
            let value = self.force_place(&path.value)?;
            let Value::Str(text) = value else {
                return Err(Error::typed(path.loc, "the drvPath of a derivation is no string"));
            };
            let text = self.text(text)?;
            shown.put(" ");
            shown.out.extend_from_slice(text);
        }
        shown.put("»");
        Ok(())
    }
}
