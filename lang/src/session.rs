//! What an interactive session needs of the machine: texts in which names stand for values, the
//! names in scope, and where values come from.

use crate::code::{Code, Lazy};
use crate::error::Res;
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::{Loc, SourceName, Typed};
use crate::symbol::Symbol;
use crate::value::{Attr, Attrs, Env, Value};

impl Machine {
    /// Compiles a text with more names in scope.
    fn compile_within(
        &mut self,
        name: SourceName,
        text: &[u8],
        base: &[u8],
        scope: &[(Symbol, Value)],
    ) -> Res<(Gc<Code>, Gc<Env>)> {
        let env = Env::alloc(&mut self.heap, Some(self.root), scope.len());
        for ((_, value), slot) in scope.iter().zip(0..) {
            Env::slot(env, slot).set(*value);
        }
        let names = scope.iter().map(|(name, _)| *name).collect();
        let code = self.compile(name, text.to_vec(), base, Some(names))?;
        Ok((code, env))
    }

    /// The next text of a session.
    fn next_input(&mut self, typed: Typed) -> SourceName {
        self.inputs += 1;
        SourceName::Input(self.inputs, typed)
    }

    /// The value of a text with more names in scope, computed when needed.
    pub(crate) fn define(
        &mut self,
        text: &[u8],
        base: &[u8],
        scope: &[(Symbol, Value)],
    ) -> Res<Value> {
        let name = self.next_input(Typed::Expression);
        let (code, env) = self.compile_within(name, text, base, scope)?;
        self.tables.lazies.push(code);
        let id = self.tables.lazies.len() as u32 - 1;
        Ok(self.delay(&Lazy { code, id }, env))
    }

    /// The names that a text of bindings binds, and their values, computed when needed.
    pub(crate) fn bind_names(
        &mut self,
        text: &[u8],
        base: &[u8],
        scope: &[(Symbol, Value)],
    ) -> Res<Vec<(String, Value)>> {
        let name = self.next_input(Typed::Bindings);
        let (code, env) = self.compile_within(name, text, base, scope)?;
        let set = self.eval(code, env)?;
        self.named_attributes(set)
    }

    /// The attributes of a value that is a set, in the order of their names.
    pub(crate) fn named_attributes(&mut self, value: Value) -> Res<Vec<(String, Value)>> {
        let Value::Attrs(attrs) = self.force(value)? else { return Ok(Vec::new()) };
        let named = |attr: &Attr| (attr.name.to_text().into_owned(), attr.value.get());
        Ok(Attrs::by_text(attrs).into_iter().map(named).collect())
    }

    /// The names that every program knows.
    pub(crate) fn global_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.globals.keys().map(|name| name.to_text().into_owned()).collect();
        names.sort();
        names
    }

    /// Where a value's attribute is defined.
    pub(crate) fn attribute_loc(&mut self, value: Value, name: &str) -> Res<Option<Loc>> {
        let Value::Attrs(attrs) = self.force(value)? else { return Ok(None) };
        let found = Attrs::find(attrs, Symbol::intern(name)).map(|attr| attr.loc);
        Ok(found.filter(|loc| *loc != Loc::NONE))
    }
}
