//! What a failed selection says: the path as text and where its last attribute is defined. Only
//! error paths come here.

use crate::code::Name;
use crate::error::Error;
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::{Loc, SourceName};
use crate::syntax::ast::{AttrNameKind, Expr};
use crate::value::Env;

/// Whose attributes are nobody's affair: the definition of `derivation`.
pub(crate) const DERIVATION_FILE: &str = "derivation-internal.nix";

impl Machine {
    /// An error of a selection that had found an attribute (defined at `found`), or none yet.
    #[cold]
    pub(crate) fn selecting(
        &mut self,
        error: Error,
        found: Loc,
        loc: Loc,
        path: &'static [Name],
        env: Gc<Env>,
    ) -> Error {
        let error = error.looped_at(if found == Loc::NONE { loc } else { found });
        if found == Loc::NONE || self.is_internal(found) {
            return error;
        }
        let path = self.show_path(path, env);
        error.frame(found, format!("while evaluating the attribute '{path}'"))
    }

    fn is_internal(&self, loc: Loc) -> bool {
        let source = self.sources.find(loc);
        source.is_some_and(|(source, _)| {
            matches!(source.name, SourceName::Builtin(name) if name == DERIVATION_FILE)
        })
    }

    fn show_path(&mut self, path: &'static [Name], env: Gc<Env>) -> String {
        let mut names = Vec::with_capacity(path.len());
        for name in path {
            names.push(match self.name(name, env) {
                Ok(name) => name.to_string(),
                Err(_) => format!("\"${{{}}}\"", self.name_text(name)),
            });
        }
        names.join(".")
    }

    fn name_text(&self, name: &Name) -> String {
        let Name::Dynamic(_, loc) = *name else { return String::new() };
        let text = self.text_at(loc, |ast, offset| {
            ast.ids().find_map(|id| {
                let Expr::Select { path, .. } = ast.expr(id) else { return None };
                ast.names(path).iter().find_map(|name| match name.kind {
                    AttrNameKind::Dynamic(expr) if ast.span(expr).start as usize == offset => {
                        Some(expr)
                    }
                    _ => None,
                })
            })
        });
        text.unwrap_or_default()
    }
}
