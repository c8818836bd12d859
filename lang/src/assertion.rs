//! What a failed `assert` says: its condition as text and, for an equality, where the two sides
//! differ. Only error paths come here.

use crate::code::Code;
use crate::error::{Error, ErrorKind, Res};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::{Loc, SourceName};
use crate::symbol::Symbol;
use crate::syntax::ast::{Ast, Expr, ExprId};
use crate::syntax::{self, print};
use crate::value::{Attrs, Env, List, Value};

fn differ(message: String) -> Error {
    Error::new(ErrorKind::Assertion, Loc::NONE, message)
}

impl Machine {
    /// The error of the `assert` at a place.
    #[cold]
    pub(crate) fn assertion_failed(&mut self, cond: Gc<Code>, env: Gc<Env>, loc: Loc) -> Error {
        let text = self.condition_text(loc);
        if let Code::Eq(pair) = cond.get() {
            let compared = self.eval(pair.left, env).and_then(|left| {
                let right = self.eval(pair.right, env)?;
                self.assert_equal(left, right)
            });
            if let Err(error) = compared {
                if !error.is_catchable() {
                    return error;
                }
                let what = format!("while evaluating the condition of the assertion '{text}'");
                return error.frame(loc, what);
            }
        }
        Error::new(ErrorKind::Assertion, loc, format!("assertion '{text}' failed"))
    }

    /// The condition as `nix-instantiate --parse` writes it, found once for each place.
    fn condition_text(&mut self, loc: Loc) -> String {
        if let Some(text) = self.conditions.get(&loc) {
            return text.clone();
        }
        let text = self.parse_condition(loc).unwrap_or_default();
        self.conditions.insert(loc, text.clone());
        text
    }

    fn parse_condition(&self, loc: Loc) -> Option<String> {
        self.text_at(loc, |ast, offset| {
            ast.ids().find_map(|id| match ast.expr(id) {
                Expr::Assert { cond, .. } if ast.span(id).start as usize == offset => Some(cond),
                _ => None,
            })
        })
    }

    /// An expression of the source at a place, as `nix-instantiate --parse` writes it. The tree is
    /// long gone: the source is parsed again.
    pub(crate) fn text_at(
        &self,
        loc: Loc,
        pick: impl FnOnce(&Ast, usize) -> Option<ExprId>,
    ) -> Option<String> {
        let (source, offset) = self.sources.find(loc)?;
        let file = syntax::ast::FileId(0);
        let ast = syntax::parse(file, &source.text, self.settings.features).ok()?;
        let expr = pick(&ast, offset)?;
        let base = match &source.name {
            SourceName::File(path) => path.parent(),
            _ => None,
        };
        let base = base.map_or(&b"/"[..], |path| path.as_os_str().as_encoded_bytes());
        let text = print::expression(&ast, expr, print::Folders { base, home: b"~" });
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Fails with the first difference between two values.
    fn assert_equal(&mut self, left: Value, right: Value) -> Res<()> {
        self.check_stack(Loc::NONE)?;
        let (left, right) = (self.force(left)?, self.force(right)?);
        let equal = match (left, right) {
            (Value::List(a), Value::List(b)) => return self.assert_equal_lists(a, b),
            (Value::Attrs(a), Value::Attrs(b)) => return self.assert_equal_sets(a, b),
            _ => self.equal(left, right, Loc::NONE)?,
        };
        if equal {
            return Ok(());
        }
        let (a, b) = (self.show_error(left), self.show_error(right));
        let (kind_a, kind_b) = (self.type_phrase(left), self.type_phrase(right));
        Err(differ(match (left, right) {
            (Value::Int(_), Value::Float(_))
            | (Value::Float(_), Value::Int(_))
            | (Value::Int(_), Value::Int(_))
            | (Value::Float(_), Value::Float(_)) => {
                format!("{kind_a} with value '{a}' is not equal to {kind_b} with value '{b}'")
            }
            (Value::Bool(_), Value::Bool(_)) => {
                format!("boolean '{a}' is not equal to boolean '{b}'")
            }
            (Value::Str(_), Value::Str(_)) => format!("string '{a}' is not equal to string '{b}'"),
            (Value::Path(_), Value::Path(_)) => format!("path '{a}' is not equal to path '{b}'"),
            (
                Value::Lambda(_) | Value::Prim(_) | Value::PrimApp(_),
                Value::Lambda(_) | Value::Prim(_) | Value::PrimApp(_),
            ) => "distinct functions and immediate comparisons of identical functions compare as unequal"
                .to_owned(),
            _ => format!("{kind_a} of value '{a}' is not equal to {kind_b} of value '{b}'"),
        }))
    }

    fn assert_equal_lists(&mut self, a: List, b: List) -> Res<()> {
        if a.len() != b.len() {
            let (left, right) = (self.show_error(Value::List(a)), self.show_error(Value::List(b)));
            return Err(differ(format!(
                "list of size '{}' is not equal to list of size '{}', left hand side is '{left}', right hand side is '{right}'",
                a.len(),
                b.len()
            )));
        }
        for (index, (x, y)) in a.places().iter().zip(b.places()).enumerate() {
            if self.equal_places(x, y, Loc::NONE)? {
                continue;
            }
            self.assert_equal(x.get(), y.get())
                .map_err(|e| e.frame(Loc::NONE, format!("while comparing list element {index}")))?;
        }
        Ok(())
    }

    fn assert_equal_sets(&mut self, a: Gc<Attrs>, b: Gc<Attrs>) -> Res<()> {
        if self.is_derivation(a)?
            && self.is_derivation(b)?
            && let (Some(x), Some(y)) =
                (Attrs::find(a, Symbol::OUT_PATH), Attrs::find(b, Symbol::OUT_PATH))
        {
            return self.assert_equal(x.value.get(), y.value.get()).map_err(|e| {
                e.frame(Loc::NONE, "while comparing a derivation by its 'outPath' attribute")
            });
        }
        let shown = |machine: &mut Self| {
            (machine.show_error(Value::Attrs(a)), machine.show_error(Value::Attrs(b)))
        };
        if a.len() != b.len() {
            let (left, right) = shown(self);
            return Err(differ(format!(
                "attribute names of attribute set '{left}' differs from attribute set '{right}'"
            )));
        }
        for x in Attrs::all(a, &mut self.heap) {
            let Some(y) = Attrs::find(b, x.name) else {
                let (left, right) = shown(self);
                return Err(differ(format!(
                    "attribute name '{}' is contained in '{left}', but not in '{right}'",
                    x.name
                )));
            };
            if self.equal_places(&x.value, &y.value, Loc::NONE)? {
                continue;
            }
            self.assert_equal(x.value.get(), y.value.get()).map_err(|e| {
                let e =
                    if y.loc == Loc::NONE { e } else { e.frame(y.loc, "where right hand side is") };
                let e =
                    if x.loc == Loc::NONE { e } else { e.frame(x.loc, "where left hand side is") };
                e.frame(Loc::NONE, format!("while comparing attribute '{}'", x.name))
            })?;
        }
        Ok(())
    }
}
