//! Making sets and frames of variables from code: bindings, recursive sets, computed names.

use crate::attrs::AttrsRow;
use crate::code::*;
use crate::error::{Error, Res};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::Loc;
use crate::value::{Attr, Attrs, Env, LambdaRef, State, Value};

impl Machine {
    /// A frame with all its bindings, each delayed: in its slot alone, if it is `own`ed by it.
    pub(crate) fn frame(&mut self, set: Gc<SetCode>, around: Gc<Env>, own: bool) -> Gc<Env> {
        let set = set.get();
        let env = Env::alloc(&mut self.heap, Some(around), set.bindings.len() + set.sources.len());
        let behind = set.bindings.len() as u32;
        for (source, at) in set.sources.iter().zip(behind..) {
            let value = self.delay(source, env);
            Env::slot(env, at).set(value);
        }
        for (binding, at) in set.bindings.iter().zip(0..) {
            let scope = if binding.scope == BindingScope::Around { around } else { env };
            let value = if set.overrides.is_some() && binding.value.id != u32::MAX {
                // What a variable names may still be overridden.
                self.thunk(State::Suspended(LambdaRef::new(binding.value.id, scope)))
            } else if own {
                self.delay_variable(&binding.value, scope)
            } else {
                self.delay(&binding.value, scope)
            };
            Env::slot(env, at).set(value);
        }
        env
    }

    pub(crate) fn plain_set(&mut self, set: Gc<SetCode>, env: Gc<Env>) -> Res<Value> {
        let set = set.get();
        let inner = if set.sources.is_empty() {
            env
        } else {
            let inner = Env::alloc(&mut self.heap, Some(env), set.sources.len());
            for (source, at) in set.sources.iter().zip(0..) {
                let value = self.delay(source, env);
                Env::slot(inner, at).set(value);
            }
            inner
        };
        let delayed = |machine: &mut Self, binding: &Binding| {
            let scope = if binding.scope == BindingScope::Sources { inner } else { env };
            let value = machine.delay(&binding.value, scope);
            Attr::new(binding.name, binding.loc, value, &mut machine.heap)
        };
        if set.dynamic.is_empty() {
            let mut row = AttrsRow::new(&mut self.heap, set.bindings.len());
            for binding in set.bindings {
                row.push(delayed(self, binding));
            }
            return Ok(Value::Attrs(row.finish(&mut self.heap)));
        }
        let mut attrs = Vec::with_capacity(set.bindings.len() + set.dynamic.len());
        for binding in set.bindings {
            attrs.push(delayed(self, binding));
        }
        self.dynamic_attrs(set, env, attrs)
    }

    pub(crate) fn recursive_set(&mut self, set: Gc<SetCode>, around: Gc<Env>) -> Res<Value> {
        let env = self.frame(set, around, false);
        let set = set.get();
        let bound = |machine: &mut Self, binding: &Binding, at: u32| {
            let value = Env::slot(env, at).get();
            Attr::new(binding.name, binding.loc, value, &mut machine.heap)
        };
        let bindings = set.bindings.iter().zip(0..);
        if set.dynamic.is_empty() && set.overrides.is_none() {
            let mut row = AttrsRow::new(&mut self.heap, set.bindings.len());
            for (binding, at) in bindings {
                row.push(bound(self, binding, at));
            }
            return Ok(Value::Attrs(row.finish(&mut self.heap)));
        }
        let mut attrs: Vec<Attr> = bindings.map(|(binding, at)| bound(self, binding, at)).collect();
        if let Some(at) = set.overrides {
            let overrides = self.force_slot(Env::slot(env, at), Loc::NONE)?;
            let overrides = self
                .as_attrs(overrides, Loc::NONE)
                .map_err(|e| e.frame(Loc::NONE, "while evaluating the `__overrides` attribute"))?;
            for attr in Attrs::all(overrides, &mut self.heap) {
                if let Ok(at) =
                    set.bindings.binary_search_by_key(&attr.name, |binding| binding.name)
                {
                    Env::slot(env, at as u32).set(attr.value.unread());
                    attrs[at] = attr.copy();
                } else {
                    attrs.push(attr.copy());
                }
            }
        }
        self.dynamic_attrs(set, env, attrs)
    }

    /// Adds the attributes with computed names and makes the set.
    pub(crate) fn dynamic_attrs(
        &mut self,
        set: &SetCode,
        env: Gc<Env>,
        mut attrs: Vec<Attr>,
    ) -> Res<Value> {
        for dynamic in set.dynamic {
            let name = self.eval(dynamic.name, env)?;
            if matches!(name, Value::Null) {
                continue;
            }
            let what = "while evaluating the name of a dynamic attribute";
            let name = self.attr_name(name, dynamic.loc).map_err(|e| e.frame(dynamic.loc, what))?;
            if let Some(other) = attrs.iter().find(|attr| attr.name == name) {
                let at = self.show_loc(other.loc);
                let message = format!("dynamic attribute '{name}' already defined at {at}");
                return Err(Error::eval(dynamic.loc, message));
            }
            let value = self.delay(&dynamic.value, env);
            attrs.push(Attr::new(name, dynamic.loc, value, &mut self.heap));
        }
        Ok(Value::Attrs(Attrs::from_vec(&mut self.heap, attrs)))
    }
}
