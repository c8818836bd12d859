//! What an interactive session needs of the machine: texts in which names stand for values.

use crate::code::Lazy;
use crate::error::Res;
use crate::machine::Machine;
use crate::source::SourceName;
use crate::symbol::Symbol;
use crate::value::{Attrs, Env, Value};

impl Machine {
    /// The value of a text with more names in scope, computed when needed.
    pub(crate) fn define(
        &mut self,
        text: &[u8],
        base: &[u8],
        scope: &[(Symbol, Value)],
    ) -> Res<Value> {
        let env = Env::alloc(&mut self.heap, Some(self.root), scope.len());
        for ((_, value), slot) in scope.iter().zip(0..) {
            Env::slot(env, slot).set(*value);
        }
        let names = scope.iter().map(|(name, _)| *name).collect();
        let code = self.compile(SourceName::Text, text.to_vec(), base, Some(names))?;
        self.tables.lazies.push(code);
        let id = self.tables.lazies.len() as u32 - 1;
        Ok(self.delay(&Lazy { code, id }, env))
    }

    /// The attributes of a value that is a set, in the order of their names.
    pub(crate) fn named_attributes(&mut self, value: Value) -> Res<Vec<(String, Value)>> {
        let Value::Attrs(attrs) = self.force(value)? else { return Ok(Vec::new()) };
        let all = Attrs::all(attrs, &mut self.heap);
        let named = |attr: &crate::value::Attr| (attr.name.to_string(), attr.value.get());
        let mut found: Vec<(String, Value)> = all.iter().map(named).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}
