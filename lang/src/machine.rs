//! The evaluator's core: evaluating code, forcing thunks, calling functions. Recurses natively
//! on a large stack that is checked at every call and thunk. Operators are in `ops`, builtins
//! in `builtins`, the outside world behind `Host`.

use std::cell::Cell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::builtins::{self, Prim};
use crate::code::*;
use crate::compile::Tables;
use crate::context::{Contexts, Ctx};
use crate::error::{Error, ErrorKind, Res};
use crate::graph::{DrvGraph, SourceId};
use crate::heap::{Gc, Heap};
use crate::host::Host;
use crate::settings::Settings;
use crate::source::{Loc, Sources};
use crate::symbol::Symbol;
use crate::value::{Attr, Attrs, Env, LambdaRef, List, PrimApp, Slot, State, Str, Thunk, Value};

/// Everything one evaluation holds.
pub(crate) struct Machine {
    pub(crate) heap: Heap,
    pub(crate) tables: Tables,
    pub(crate) contexts: Contexts,
    pub(crate) sources: Sources,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) graph: Arc<DrvGraph>,
    pub(crate) settings: Settings,
    pub(crate) globals: FxHashMap<Symbol, Value>,
    pub(crate) prims: &'static [Prim],
    pub(crate) root: Gc<Env>,
    pub(crate) imports: FxHashMap<Vec<u8>, Import>,
    pub(crate) copied: FxHashMap<Vec<u8>, SourceId>,
    pub(crate) derivation: Option<Value>,
    /// The conditions of asserts that failed, as text.
    pub(crate) conditions: FxHashMap<Loc, String>,
    /// Calls in progress.
    pub(crate) depth: u32,
    /// The address below which the stack must not grow.
    pub(crate) stack_limit: usize,
}

/// A file that was imported.
#[derive(Clone, Copy)]
pub(crate) struct Import {
    pub(crate) value: Value,
}

impl Machine {
    /// Fails when the stack is nearly used up.
    #[inline(always)]
    pub(crate) fn check_stack(&self, loc: Loc) -> Res<()> {
        let here = 0u8;
        if std::ptr::from_ref(&here).addr() < self.stack_limit {
            return Err(stack_overflow(loc));
        }
        Ok(())
    }

    /// A string value.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> Value {
        Value::Str(Str::alloc(&mut self.heap, bytes, Ctx::EMPTY))
    }

    /// A string value with context.
    pub(crate) fn string_with(&mut self, bytes: &[u8], ctx: Ctx) -> Value {
        Value::Str(Str::alloc(&mut self.heap, bytes, ctx))
    }

    /// A list value.
    pub(crate) fn list(&mut self, items: impl ExactSizeIterator<Item = Value>) -> Value {
        Value::List(List::from_slots(self.heap.alloc_slice(items.map(Cell::new))))
    }

    /// A set from attributes in any order, each name once.
    pub(crate) fn attrs(&mut self, attrs: Vec<Attr>) -> Value {
        Value::Attrs(Attrs::from_vec(&mut self.heap, attrs))
    }

    fn thunk(&mut self, state: State) -> Value {
        Value::Thunk(self.heap.alloc(Thunk(Cell::new(state))))
    }

    /// A call that happens when needed.
    pub(crate) fn delay_call(&mut self, func: Value, arg: Value) -> Value {
        let pair = self.heap.alloc([func, arg]);
        self.thunk(State::App(pair))
    }

    /// A call with two arguments that happens when needed.
    pub(crate) fn delay_call2(&mut self, func: Value, first: Value, second: Value) -> Value {
        let triple = self.heap.alloc([func, first, second]);
        self.thunk(State::App2(triple))
    }

    /// The value of an expression, computed when needed; at once where that costs nothing.
    #[inline]
    pub(crate) fn delay(&mut self, lazy: &Lazy, env: Gc<Env>) -> Value {
        match *lazy.code {
            Code::Const(value) => return value,
            Code::Local(slot, _) => match Env::slot(env, slot).get() {
                Value::Unset => {}
                value => return settled(value),
            },
            Code::Up { level, slot, .. } => match Env::slot(Env::up(env, level), slot).get() {
                Value::Unset => {}
                value => return settled(value),
            },
            Code::Lambda(code) => return Value::Lambda(LambdaRef::new(code, env)),
            _ => {}
        }
        self.thunk(State::Suspended(LambdaRef::new(lazy.id, env)))
    }

    /// Weak head normal form.
    #[inline(always)]
    pub(crate) fn force(&mut self, value: Value) -> Res<Value> {
        match value {
            Value::Thunk(thunk) => match thunk.0.get() {
                State::Done(value) => Ok(value),
                _ => self.run(thunk),
            },
            value => Ok(value),
        }
    }

    /// Forces what a slot holds and leaves the result there.
    #[inline(always)]
    pub(crate) fn force_slot(&mut self, slot: &Slot) -> Res<Value> {
        match slot.get() {
            Value::Thunk(thunk) => {
                let value = match thunk.0.get() {
                    State::Done(value) => value,
                    _ => self.run(thunk)?,
                };
                slot.set(value);
                Ok(value)
            }
            value => Ok(value),
        }
    }

    #[inline(never)]
    fn run(&mut self, thunk: Gc<Thunk>) -> Res<Value> {
        let before = thunk.0.get();
        self.check_stack(Loc::NONE)?;
        thunk.0.set(State::Black);
        let result = match before {
            State::Done(value) => Ok(value),
            State::Suspended(at) => {
                let code = self.tables.lazies[at.code as usize];
                self.eval(code, at.env())
            }
            State::App(pair) => self.call(pair[0], &[pair[1]], Loc::NONE),
            State::App2(triple) => self.call(triple[0], &[triple[1], triple[2]], Loc::NONE),
            State::Black => return Err(infinite_recursion()),
        };
        match result {
            Ok(value) => {
                thunk.0.set(State::Done(value));
                Ok(value)
            }
            Err(error) => {
                thunk.0.set(before);
                Err(error)
            }
        }
    }

    /// What `eval` gives, without a call for constants and variables that are computed already.
    #[inline(always)]
    fn operand_value(&mut self, code: Gc<Code>, env: Gc<Env>) -> Res<Value> {
        match Self::settled_operand(code, env) {
            Some(value) => Ok(value),
            None => self.eval(code, env),
        }
    }

    #[inline(always)]
    fn settled_operand(code: Gc<Code>, env: Gc<Env>) -> Option<Value> {
        let value = match code.get() {
            Code::Const(value) => *value,
            Code::Local(slot, _) => settled(Env::slot(env, *slot).get()),
            Code::Up { level, slot, .. } => settled(Env::slot(Env::up(env, *level), *slot).get()),
            _ => return None,
        };
        if matches!(value, Value::Thunk(_) | Value::Unset) { None } else { Some(value) }
    }

    /// The value of a call's argument, computed when needed. A sum or difference of integers that
    /// are known already is computed at once: it costs less than the promise and cannot fail.
    #[inline]
    fn argument(&mut self, lazy: &Lazy, env: Gc<Env>) -> Value {
        let pair = match lazy.code.get() {
            Code::Add(pair) | Code::Arith(Arith::Sub, pair) => pair,
            _ => return self.delay(lazy, env),
        };
        if let (Some(Value::Int(a)), Some(Value::Int(b))) =
            (Self::settled_operand(pair.left, env), Self::settled_operand(pair.right, env))
        {
            let sum = match *lazy.code {
                Code::Add(_) => a.checked_add(b),
                _ => a.checked_sub(b),
            };
            if let Some(sum) = sum {
                return Value::Int(sum);
            }
        }
        self.delay(lazy, env)
    }

    /// Evaluates code to weak head normal form.
    pub(crate) fn eval(&mut self, mut code: Gc<Code>, mut env: Gc<Env>) -> Res<Value> {
        loop {
            match code.get() {
                Code::Const(value) => return self.force(*value),
                Code::Local(slot, loc) => {
                    let slot = Env::slot(env, *slot);
                    return self.force_slot(slot).map_err(|error| error.at(*loc));
                }
                Code::Up { level, slot, loc } => {
                    let slot = Env::slot(Env::up(env, *level), *slot);
                    return self.force_slot(slot).map_err(|error| error.at(*loc));
                }
                Code::Lambda(lambda) => return Ok(Value::Lambda(LambdaRef::new(*lambda, env))),
                Code::Call { func, args, loc } => return self.eval_call(*func, args, *loc, env),
                Code::If { cond, yes, no, loc } => {
                    code = if self.condition(*cond, env, *loc)? { *yes } else { *no };
                }
                Code::Select { base, path, default, loc } => {
                    match self.select(*base, path, default.is_some(), *loc, env)? {
                        Some(value) => return Ok(value),
                        None => {
                            code = default.expect("only a selection with a default gives nothing")
                        }
                    }
                }
                Code::Let { frame, body } => {
                    env = self.frame(*frame, env);
                    code = *body;
                }
                Code::With { env: set, body } => {
                    let inner = Env::alloc(&mut self.heap, Some(env), 1);
                    Env::slot(inner, 0).set(self.delay(set, env));
                    env = inner;
                    code = *body;
                }
                Code::Assert { cond, body, loc } => {
                    if !self.assert_condition(*cond, env, *loc)? {
                        return Err(self.assertion_failed(*cond, env, *loc));
                    }
                    code = *body;
                }
                Code::And(pair) => {
                    if !self.operand(
                        pair.left,
                        env,
                        pair.loc,
                        "in the left operand of the AND (&&) operator",
                    )? {
                        return Ok(Value::Bool(false));
                    }
                    let what = "in the right operand of the AND (&&) operator";
                    return self.operand(pair.right, env, pair.loc, what).map(Value::Bool);
                }
                Code::Or(pair) => {
                    if self.operand(
                        pair.left,
                        env,
                        pair.loc,
                        "in the left operand of the OR (||) operator",
                    )? {
                        return Ok(Value::Bool(true));
                    }
                    let what = "in the right operand of the OR (||) operator";
                    return self.operand(pair.right, env, pair.loc, what).map(Value::Bool);
                }
                Code::Implies(pair) => {
                    if !self.operand(
                        pair.left,
                        env,
                        pair.loc,
                        "in the left operand of the IMPL (->) operator",
                    )? {
                        return Ok(Value::Bool(true));
                    }
                    let what = "in the right operand of the IMPL (->) operator";
                    return self.operand(pair.right, env, pair.loc, what).map(Value::Bool);
                }
                _ => return self.eval_rest(code, env),
            }
        }
    }

    fn eval_rest(&mut self, code: Gc<Code>, env: Gc<Env>) -> Res<Value> {
        match code.get() {
            Code::Arith(op, pair) => {
                let left = self.operand_value(pair.left, env)?;
                let right = self.operand_value(pair.right, env)?;
                if let (Arith::Sub, Value::Int(a), Value::Int(b)) = (*op, left, right)
                    && let Some(difference) = a.checked_sub(b)
                {
                    return Ok(Value::Int(difference));
                }
                self.arith(*op, left, right, pair.loc)
                    .map_err(|e| in_builtin(e, op.builtin(), pair.loc))
            }
            Code::Add(pair) => {
                let left = self.operand_value(pair.left, env)?;
                let right = self.operand_value(pair.right, env)?;
                self.add(left, right, pair.loc)
            }
            Code::Compare(op, pair) => {
                let left = self.operand_value(pair.left, env)?;
                let right = self.operand_value(pair.right, env)?;
                let (left, right, negate) = match op {
                    Compare::Lt => (left, right, false),
                    Compare::Gt => (right, left, false),
                    Compare::Le => (right, left, true),
                    Compare::Ge => (left, right, true),
                };
                let less = match (left, right) {
                    (Value::Int(a), Value::Int(b)) => a < b,
                    _ => self
                        .less_than(left, right, pair.loc, "")
                        .map_err(|e| in_builtin(e, "lessThan", pair.loc))?,
                };
                Ok(Value::Bool(less != negate))
            }
            Code::Eq(pair) | Code::Ne(pair) => {
                let left = self.operand_value(pair.left, env)?;
                let right = self.operand_value(pair.right, env)?;
                let equal = self.equal(left, right, pair.loc)?;
                Ok(Value::Bool(equal == matches!(*code, Code::Eq(_))))
            }
            Code::Not(inner, loc) => self
                .operand(*inner, env, *loc, "in the argument of the not operator")
                .map(|b| Value::Bool(!b)),
            Code::Neg(inner, loc) => {
                let value = self.eval(*inner, env)?;
                self.arith(Arith::Sub, Value::Int(0), value, *loc)
            }
            Code::Update(pair) => {
                let left = self.eval(pair.left, env)?;
                let what = "in the left operand of the update (//) operator";
                let left = self.as_attrs(left, pair.loc).map_err(|e| e.frame(pair.loc, what))?;
                let right = self.eval(pair.right, env)?;
                let what = "in the right operand of the update (//) operator";
                let right = self.as_attrs(right, pair.loc).map_err(|e| e.frame(pair.loc, what))?;
                Ok(Value::Attrs(Attrs::update(&mut self.heap, left, right)))
            }
            Code::Concat(pair) => {
                let left = self.eval(pair.left, env)?;
                let left = self.as_list(left, pair.loc).map_err(|e| {
                    e.frame(pair.loc, "while evaluating one of the elements to concatenate")
                })?;
                let right = self.eval(pair.right, env)?;
                let right = self.as_list(right, pair.loc).map_err(|e| {
                    e.frame(pair.loc, "while evaluating one of the elements to concatenate")
                })?;
                Ok(Value::List(self.concat(left, right)))
            }
            Code::HasAttr { base, path } => self.has_attr(*base, path, env),
            Code::List(items) => {
                let mut slots = Vec::with_capacity(items.len());
                for item in *items {
                    slots.push(Cell::new(self.delay(item, env)));
                }
                Ok(Value::List(List::from_slots(self.heap.alloc_slice(slots.into_iter()))))
            }
            Code::Set(set) => self.plain_set(*set, env),
            Code::RecSet(set) => self.recursive_set(*set, env),
            Code::Dynamic { name, withs, loc } => self.dynamic_variable(*name, withs, env, *loc),
            Code::Interpolated { parts, loc } => self.interpolate(parts, env, *loc),
            Code::Path { parts, loc } => self.interpolate_path(parts, env, *loc),
            Code::SearchPath { name, loc } => {
                let path = self.find_in_nix_path(name, *loc)?;
                Ok(path)
            }
            _ => unreachable!("`eval` handles the other nodes"),
        }
    }

    fn condition(&mut self, cond: Gc<Code>, env: Gc<Env>, loc: Loc) -> Res<bool> {
        self.operand(cond, env, loc, "while evaluating a branch condition")
    }

    fn assert_condition(&mut self, cond: Gc<Code>, env: Gc<Env>, loc: Loc) -> Res<bool> {
        self.operand(cond, env, loc, "in the condition of the assert statement")
    }

    #[inline]
    fn operand(&mut self, code: Gc<Code>, env: Gc<Env>, loc: Loc, what: &str) -> Res<bool> {
        match self.operand_value(code, env) {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => Err(self.wrong_type("a Boolean", other, loc).frame(loc, what)),
            Err(error) => Err(error.frame(loc, what)),
        }
    }

    /// A frame with all its bindings, each delayed.
    fn frame(&mut self, set: Gc<SetCode>, around: Gc<Env>) -> Gc<Env> {
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
            } else {
                self.delay(&binding.value, scope)
            };
            Env::slot(env, at).set(value);
        }
        env
    }

    fn plain_set(&mut self, set: Gc<SetCode>, env: Gc<Env>) -> Res<Value> {
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
            Attr::new(binding.name, binding.loc, value)
        };
        if set.dynamic.is_empty() && set.bindings.len() <= 4 {
            // Small sets are common: no vector in between.
            let mut few: [Option<Attr>; 4] = [const { None }; 4];
            for (to, binding) in few.iter_mut().zip(set.bindings) {
                *to = Some(delayed(self, binding));
            }
            let mut rest = few.into_iter();
            let filled =
                (0..set.bindings.len()).map(|_| rest.next().flatten().expect("filled above"));
            let own = self.heap.alloc_slice(filled);
            return Ok(Value::Attrs(Attrs::from_sorted(&mut self.heap, own)));
        }
        let mut attrs = Vec::with_capacity(set.bindings.len() + set.dynamic.len());
        for binding in set.bindings {
            attrs.push(delayed(self, binding));
        }
        self.dynamic_attrs(set, env, attrs)
    }

    fn recursive_set(&mut self, set: Gc<SetCode>, around: Gc<Env>) -> Res<Value> {
        let env = self.frame(set, around);
        let set = set.get();
        let mut attrs: Vec<Attr> = set
            .bindings
            .iter()
            .zip(0..)
            .map(|(binding, at)| Attr::new(binding.name, binding.loc, Env::slot(env, at).get()))
            .collect();
        if let Some(at) = set.overrides {
            let overrides = self.force_slot(Env::slot(env, at))?;
            let overrides = self.as_attrs(overrides, set.bindings[at as usize].loc)?;
            for attr in Attrs::all(overrides, &mut self.heap) {
                if let Ok(at) =
                    set.bindings.binary_search_by_key(&attr.name, |binding| binding.name)
                {
                    Env::slot(env, at as u32).set(attr.value.get());
                    attrs[at] = attr.copy();
                } else {
                    attrs.push(attr.copy());
                }
            }
        }
        self.dynamic_attrs(set, env, attrs)
    }

    /// Adds the attributes with computed names and makes the set.
    fn dynamic_attrs(&mut self, set: &SetCode, env: Gc<Env>, mut attrs: Vec<Attr>) -> Res<Value> {
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
            attrs.push(Attr::new(name, dynamic.loc, value));
        }
        Ok(self.attrs(attrs))
    }

    pub(crate) fn show_loc(&self, loc: Loc) -> String {
        match self.sources.resolve(loc) {
            Some(pos) => format!("{}:{}:{}", pos.file.display(), pos.line, pos.column),
            None => "«none»".to_owned(),
        }
    }

    /// A string value as the name of an attribute.
    pub(crate) fn attr_name(&mut self, value: Value, loc: Loc) -> Res<Symbol> {
        let text = self.as_text(value, loc)?;
        Ok(Symbol::intern(text))
    }

    fn name(&mut self, name: &Name, env: Gc<Env>) -> Res<Symbol> {
        match *name {
            Name::Static(name) => Ok(name),
            Name::Dynamic(code, loc) => {
                let value = self.eval(code, env)?;
                self.attr_name(value, loc)
                    .map_err(|e| e.frame(loc, "while evaluating an attribute name"))
            }
        }
    }

    fn select(
        &mut self,
        base: Gc<Code>,
        path: &'static [Name],
        has_default: bool,
        loc: Loc,
        env: Gc<Env>,
    ) -> Res<Option<Value>> {
        let mut value = self.operand_value(base, env)?;
        for (index, name) in path.iter().enumerate() {
            let symbol = self.name(name, env)?;
            let Value::Attrs(attrs) = value else {
                if has_default {
                    return Ok(None);
                }
                let error = self.wrong_type("a set", value, loc);
                return Err(error.frame(loc, format!("while selecting an attribute '{symbol}'")));
            };
            let Some(attr) = Attrs::find(attrs, symbol) else {
                if has_default {
                    return Ok(None);
                }
                return Err(self.missing_attribute(attrs, symbol, loc));
            };
            value = match self.force_slot(&attr.value) {
                Ok(value) => value,
                Err(error) => {
                    let path = show_path(&path[..=index], symbol);
                    return Err(
                        error.frame(attr.loc, format!("while evaluating the attribute '{path}'"))
                    );
                }
            };
        }
        Ok(Some(value))
    }

    fn has_attr(&mut self, base: Gc<Code>, path: &'static [Name], env: Gc<Env>) -> Res<Value> {
        let mut value = self.eval(base, env)?;
        let (last, before) = path.split_last().expect("an attribute path has a name");
        for name in before {
            let symbol = self.name(name, env)?;
            let Value::Attrs(attrs) = value else {
                return Ok(Value::Bool(false));
            };
            let Some(attr) = Attrs::find(attrs, symbol) else {
                return Ok(Value::Bool(false));
            };
            value = self.force_slot(&attr.value)?;
        }
        let symbol = self.name(last, env)?;
        let Value::Attrs(attrs) = value else {
            return Ok(Value::Bool(false));
        };
        Ok(Value::Bool(Attrs::find(attrs, symbol).is_some()))
    }

    #[cold]
    pub(crate) fn missing_attribute(&mut self, attrs: Gc<Attrs>, name: Symbol, loc: Loc) -> Error {
        let names = Attrs::all(attrs, &mut self.heap).iter().map(|attr| attr.name);
        let mut message = format!("attribute '{name}' missing");
        message
            .push_str(&crate::suggest::did_you_mean(name.as_bytes(), names.map(Symbol::as_bytes)));
        Error::new(ErrorKind::MissingAttribute, loc, message)
    }

    fn dynamic_variable(
        &mut self,
        name: Symbol,
        withs: &'static [u32],
        env: Gc<Env>,
        loc: Loc,
    ) -> Res<Value> {
        for level in withs {
            let slot = Env::slot(Env::up(env, *level), 0);
            let set = self.force_slot(slot)?;
            let what = "while evaluating the first subexpression of a with expression";
            let set = self.as_attrs(set, loc).map_err(|e| e.frame(loc, what))?;
            if let Some(attr) = Attrs::find(set, name) {
                return self.force_slot(&attr.value).map_err(|error| error.at(loc));
            }
        }
        Err(Error::new(ErrorKind::UndefinedVariable, loc, format!("undefined variable '{name}'")))
    }

    fn eval_call(
        &mut self,
        func: Gc<Code>,
        args: &'static [Lazy],
        loc: Loc,
        env: Gc<Env>,
    ) -> Res<Value> {
        let func = self.operand_value(func, env)?;
        if let ([arg], Value::Lambda(lambda)) = (args, func) {
            let arg = self.argument(arg, env);
            return self.call_lambda(lambda, arg, loc);
        }
        if let Value::Prim(prim) = func {
            let prim = &self.prims[prim as usize];
            if prim.arity == args.len() && args.len() <= 3 {
                let mut values = [Value::Null; 3];
                for (index, (to, arg)) in values.iter_mut().zip(args).enumerate() {
                    *to = if prim.strict & (1 << index) != 0 {
                        self.operand_value(arg.code, env)
                            .map_err(|e| in_builtin(e, prim.name, loc))?
                    } else {
                        self.argument(arg, env)
                    };
                }
                return self.call_prim(prim, &values[..args.len()], loc);
            }
        }
        let mut few = [Value::Null; 4];
        if args.len() <= few.len() {
            for (to, arg) in few.iter_mut().zip(args) {
                *to = self.argument(arg, env);
            }
            return self.call(func, &few[..args.len()], loc);
        }
        let values: Vec<Value> = args.iter().map(|arg| self.argument(arg, env)).collect();
        self.call(func, &values, loc)
    }

    #[inline(never)]
    fn call_prim(&mut self, prim: &'static Prim, args: &[Value], loc: Loc) -> Res<Value> {
        self.check_stack(loc)?;
        match (prim.run)(self, args, loc) {
            Ok(value) => self.force(value),
            Err(error) => Err(in_builtin(error, prim.shown(), loc)),
        }
    }

    /// Calls a function with one or more arguments.
    pub(crate) fn call(&mut self, func: Value, args: &[Value], loc: Loc) -> Res<Value> {
        let mut func = self.force(func)?;
        let mut rest = args;
        while let Some((&first, behind)) = rest.split_first() {
            match func {
                Value::Lambda(lambda) => {
                    func = self.call_lambda(lambda, first, loc)?;
                    rest = behind;
                }
                Value::Prim(index) => {
                    let prim = &self.prims[index as usize];
                    if rest.len() < prim.arity {
                        let args = self.heap.alloc_slice(rest.iter().copied());
                        return Ok(Value::PrimApp(self.heap.alloc(PrimApp { prim: index, args })));
                    }
                    let (now, behind) = rest.split_at(prim.arity);
                    func = self.call_prim(prim, now, loc)?;
                    rest = behind;
                }
                Value::PrimApp(app) => {
                    let prim = &self.prims[app.prim as usize];
                    let wanted = prim.arity - app.args.len();
                    let taken = wanted.min(rest.len());
                    let (now, behind) = rest.split_at(taken);
                    let all: Vec<Value> = app.args.iter().chain(now).copied().collect();
                    if taken < wanted {
                        let args = self.heap.alloc_slice(all.into_iter());
                        return Ok(Value::PrimApp(
                            self.heap.alloc(PrimApp { prim: app.prim, args }),
                        ));
                    }
                    func = self.call_prim(prim, &all, loc)?;
                    rest = behind;
                }
                Value::Attrs(attrs) => {
                    let Some(functor) = Attrs::find(attrs, Symbol::FUNCTOR) else {
                        return Err(self.not_a_function(func, loc));
                    };
                    self.check_stack(loc)?;
                    let functor = self.force_slot(&functor.value)?;
                    func = self
                        .call(functor, &[func], loc)
                        .map_err(|e| e.frame(loc, "while calling a functor (an attribute set with a '__functor' attribute)"))?;
                }
                other => return Err(self.not_a_function(other, loc)),
            }
        }
        Ok(func)
    }

    #[cold]
    fn not_a_function(&mut self, value: Value, loc: Loc) -> Error {
        let shown = self.show_error(value);
        let message = format!(
            "attempt to call something which is not a function but {}: {shown}",
            self.type_phrase(value)
        );
        Error::typed(loc, message)
    }

    fn call_lambda(&mut self, lambda: LambdaRef, arg: Value, loc: Loc) -> Res<Value> {
        self.check_stack(loc)?;
        if self.depth >= self.settings.max_call_depth {
            return Err(stack_overflow(loc));
        }
        let code = self.tables.lambdas[lambda.code as usize].get();
        let env = Env::alloc(&mut self.heap, Some(lambda.env()), code.frame_len as usize);
        let bound = match &code.formals {
            None => {
                Env::slot(env, 0).set(arg);
                Ok(())
            }
            Some(formals) => self.bind(code, formals, env, arg, loc),
        };
        bound?;
        self.depth += 1;
        let result = self.eval(code.body, env);
        self.depth -= 1;
        result.map_err(|error| called(code, error, loc))
    }

    /// Fills a frame from a set according to a set pattern.
    fn bind(
        &mut self,
        code: &'static LambdaCode,
        formals: &'static FormalsCode,
        env: Gc<Env>,
        arg: Value,
        loc: Loc,
    ) -> Res<()> {
        let forced = self.force(arg)?;
        let what = "while evaluating the value passed for the lambda argument";
        let attrs = self
            .as_attrs(forced, code.loc)
            .map_err(|e| e.frame(code.loc, what).frame(loc, "from call site"))?;
        let first = u32::from(formals.at_name.is_some());
        if formals.at_name.is_some() {
            Env::slot(env, 0).set(forced);
        }
        let mut matched = 0;
        let mut missing = false;
        for (formal, at) in formals.list.iter().zip(first..) {
            if let Some(attr) = Attrs::find(attrs, formal.name) {
                Env::slot(env, at).set(attr.value.get());
                matched += 1;
            } else {
                missing = true;
            }
        }
        if missing {
            for (formal, at) in formals.list.iter().zip(first..) {
                let slot = Env::slot(env, at);
                if !matches!(slot.get(), Value::Unset) {
                    continue;
                }
                let Some(default) = &formal.default else {
                    continue;
                };
                let value = self.delay(default, env);
                slot.set(value);
            }
            for &index in formals.source_order {
                let formal = &formals.list[index as usize];
                if formal.default.is_none()
                    && matches!(Env::slot(env, first + index).get(), Value::Unset)
                {
                    let message = format!(
                        "function '{}' called without required argument '{}'",
                        shown_name(code),
                        formal.name
                    );
                    return Err(Error::typed(code.loc, message).frame(loc, "from call site"));
                }
            }
        }
        if !formals.ellipsis && matched != attrs.len() {
            return Err(self.unexpected_argument(code, formals, attrs, loc));
        }
        Ok(())
    }

    #[cold]
    fn unexpected_argument(
        &mut self,
        code: &LambdaCode,
        formals: &FormalsCode,
        attrs: Gc<Attrs>,
        loc: Loc,
    ) -> Error {
        let mut names: Vec<Symbol> =
            Attrs::all(attrs, &mut self.heap).iter().map(|attr| attr.name).collect();
        names.sort_unstable_by_key(|name| name.as_bytes());
        let known = |name: &Symbol| formals.list.iter().any(|formal| formal.name == *name);
        let extra =
            names.into_iter().find(|name| !known(name)).expect("more attributes than names");
        let candidates = formals.list.iter().map(|formal| formal.name.as_bytes());
        let hint = crate::suggest::did_you_mean(extra.as_bytes(), candidates);
        let message = format!(
            "function '{}' called with unexpected argument '{extra}'{hint}",
            shown_name(code)
        );
        Error::typed(code.loc, message).frame(loc, "from call site")
    }

    /// Calls a function whose set pattern names the arguments that are given to it.
    pub(crate) fn auto_call(&mut self, func: Value, args: &[(Symbol, Value)]) -> Res<Value> {
        let func = self.force(func)?;
        if let Value::Attrs(attrs) = func {
            let Some(functor) = Attrs::find(attrs, Symbol::FUNCTOR) else {
                return Ok(func);
            };
            let functor = self.force_slot(&functor.value)?;
            let inner = self.call(functor, &[func], Loc::NONE)?;
            return self.auto_call(inner, args);
        }
        let Value::Lambda(lambda) = func else {
            return Ok(func);
        };
        let code = self.tables.lambdas[lambda.code as usize].get();
        let Some(formals) = &code.formals else {
            return Ok(func);
        };
        let mut attrs = Vec::new();
        if formals.ellipsis {
            attrs.extend(args.iter().map(|(name, value)| Attr::new(*name, Loc::NONE, *value)));
        } else {
            for formal in formals.list {
                if let Some((_, value)) = args.iter().find(|(name, _)| *name == formal.name) {
                    attrs.push(Attr::new(formal.name, Loc::NONE, *value));
                } else if formal.default.is_none() {
                    let message = format!(
                        "cannot evaluate a function that has an argument without a value ('{}')\nNix attempted to evaluate a function as a top level expression; in\nthis case it must have its arguments supplied either by default\nvalues, or passed explicitly with '--arg' or '--argstr'. See\nhttps://nix.dev/manual/nix/stable/language/syntax.html#functions.",
                        formal.name
                    );
                    return Err(Error::new(ErrorKind::MissingAttribute, formal.loc, message));
                }
            }
        }
        let arg = self.attrs(attrs);
        self.call(func, &[arg], Loc::NONE)
    }
}

/// A finished thunk's value, or the thunk.
#[inline(always)]
fn settled(value: Value) -> Value {
    if let Value::Thunk(thunk) = value
        && let State::Done(value) = thunk.0.get()
    {
        return value;
    }
    value
}

#[cold]
fn stack_overflow(loc: Loc) -> Error {
    Error::new(ErrorKind::StackOverflow, loc, "stack overflow; max-call-depth exceeded")
}

#[cold]
fn infinite_recursion() -> Error {
    Error::new(ErrorKind::InfiniteRecursion, Loc::NONE, "infinite recursion encountered")
}

#[cold]
fn in_builtin(error: Error, name: &str, loc: Loc) -> Error {
    error.frame(loc, format!("while calling the '{name}' builtin"))
}

fn shown_name(code: &LambdaCode) -> String {
    code.name.map_or_else(|| "anonymous lambda".to_owned(), |name| name.to_string())
}

#[cold]
fn called(code: &LambdaCode, error: Error, loc: Loc) -> Error {
    let text = match code.name {
        Some(name) => format!("while calling '{name}'"),
        None => "while calling anonymous lambda".to_owned(),
    };
    let error = error.frame(code.loc, text);
    if loc == Loc::NONE { error } else { error.frame(loc, "from call site") }
}

fn show_path(path: &[Name], last: Symbol) -> String {
    let mut shown = String::new();
    for (index, name) in path.iter().enumerate() {
        if index > 0 {
            shown.push('.');
        }
        match name {
            Name::Static(name) => shown.push_str(&name.to_text()),
            Name::Dynamic(..) if index + 1 == path.len() => shown.push_str(&last.to_text()),
            Name::Dynamic(..) => shown.push_str("${...}"),
        }
    }
    shown
}

impl Machine {
    /// An empty machine with its globals.
    pub(crate) fn new(host: Arc<dyn Host>, settings: Settings) -> Machine {
        let mut heap = Heap::new();
        let root = Env::alloc(&mut heap, None, 0);
        let graph = Arc::new(DrvGraph::new(host.clone()));
        let mut machine = Machine {
            heap,
            tables: Tables::default(),
            contexts: Contexts::new(),
            sources: Sources::default(),
            host,
            graph,
            settings,
            globals: FxHashMap::default(),
            prims: builtins::table(),
            root,
            imports: FxHashMap::default(),
            copied: FxHashMap::default(),
            derivation: None,
            conditions: FxHashMap::default(),
            depth: 0,
            stack_limit: 0,
        };
        builtins::register(&mut machine);
        machine
    }
}
