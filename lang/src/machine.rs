//! The evaluator's core: evaluating code. Recurses natively on a large stack that is checked at
//! every call and thunk. Promises are in `promise`, operators in `ops`, builtins in `builtins`,
//! calls in `calls`, the outside world behind `Host`.

use std::sync::Arc;

use floe_core::path::StorePath;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::attrs::AttrsRow;
use crate::builtins::{self, Prim};
use crate::calls::{in_builtin, stack_overflow};
use crate::code::*;
use crate::compile::Tables;
use crate::context::{Contexts, Ctx};
use crate::error::{Error, ErrorKind, Res};
use crate::failures::Failures;
use crate::graph::{DrvGraph, DrvId, InputSrc, SourceId};
use crate::heap::{Gc, Heap, bump};
use crate::host::Host;
use crate::place::Place;
use crate::promise::settled;
use crate::settings::Settings;
use crate::source::{Loc, Sources};
use crate::symbol::Symbol;
use crate::track::Tracking;
use crate::value::{Attr, Attrs, Env, LambdaRef, List, Str, Value};
use crate::watch::{self, Watch};

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
    pub(crate) copied: FxHashMap<Vec<u8>, (SourceId, Option<u32>)>,
    /// Directories that were read since the evaluator was last entered.
    pub(crate) listings: FxHashMap<Vec<u8>, Value>,
    /// What evaluation put into the store, or found there.
    pub(crate) stored: FxHashSet<InputSrc>,
    /// Entries of the search path that were said not to be there.
    pub(crate) missing_entries: FxHashSet<Vec<u8>>,
    /// Outputs that were built to be read, and where.
    pub(crate) built: FxHashMap<(DrvId, usize), StorePath>,
    pub(crate) derivation: Option<Value>,
    /// What promises failed with.
    pub(crate) failures: Failures,
    /// The conditions of asserts that failed, as text.
    pub(crate) conditions: FxHashMap<Loc, String>,
    pub(crate) patterns: builtins::json::Patterns,
    pub(crate) texts: crate::drv::Texts,
    /// What values rest on, if that is kept.
    pub(crate) tracking: Option<Tracking>,
    /// The derivation made last, until its thunk is kept.
    pub(crate) made_last: crate::track::MadeLast,
    /// Room that strings were put together in.
    rooms: Vec<Vec<u8>>,
    /// Strings that are names, by the number of the name.
    names: Vec<Option<Gc<Str>>>,
    /// Calls in progress.
    pub(crate) depth: u32,
    /// Calls nested as deep as this take the slow way, which looks at them: at the limit, or all.
    pub(crate) gate: u32,
    /// Who looks at calls.
    pub(crate) watch: Option<Box<Watch>>,
    /// What is counted whether anybody asks or not.
    pub(crate) tally: watch::Tally,
    /// Texts of a session so far.
    pub(crate) inputs: u32,
}

/// Few chains of `//` are longer.
const CHAIN: usize = 8;

/// Larger room is freed.
const LARGEST_ROOM_BYTES: usize = 64 << 10;

/// A file that was imported.
#[derive(Clone, Copy)]
pub(crate) struct Import {
    pub(crate) value: Value,
    /// What its being here rests on.
    pub(crate) record: Option<crate::track::RecordId>,
}

impl Machine {
    /// Fails when the stack is nearly used up, or the memory for values.
    #[inline(always)]
    pub(crate) fn check_stack(&self, loc: Loc) -> Res<()> {
        let here = 0u8;
        if std::ptr::from_ref(&here).addr() < self.heap.stack_limit() {
            return Err(self.no_room(loc));
        }
        Ok(())
    }

    #[cold]
    fn no_room(&self, loc: Loc) -> Error {
        if !self.heap.is_full() {
            return stack_overflow(loc);
        }
        let limit = self.heap.limit_bytes() >> 20;
        let message = format!(
            "out of memory: the values of this evaluation take more than {limit} MiB; evaluate less at once"
        );
        Error::new(ErrorKind::OutOfMemory, loc, message)
    }

    /// A string value.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> Value {
        Value::Str(Str::alloc(&mut self.heap, bytes, Ctx::EMPTY))
    }

    /// A string value with context.
    pub(crate) fn string_with(&mut self, bytes: &[u8], ctx: Ctx) -> Value {
        Value::Str(Str::alloc(&mut self.heap, bytes, ctx))
    }

    /// Empty room to put a string together in.
    #[inline]
    pub(crate) fn room(&mut self) -> Vec<u8> {
        self.rooms.pop().unwrap_or_default()
    }

    /// A string value from such room, which is used again.
    pub(crate) fn string_from(&mut self, mut room: Vec<u8>, ctx: Ctx) -> Value {
        let value = self.string_with(&room, ctx);
        if room.capacity() <= LARGEST_ROOM_BYTES {
            room.clear();
            self.rooms.push(room);
        }
        value
    }

    /// A list value.
    pub(crate) fn list(&mut self, items: impl ExactSizeIterator<Item = Value>) -> Value {
        let mut places = self.heap.list_row(items.len());
        for item in items.take(places.room()) {
            places.push(Place::new(item, &mut self.heap));
        }
        Value::List(List::from_places(places.finish()))
    }

    /// A set from names in any order, each once, and their values; none is defined anywhere.
    pub(crate) fn attrs(&mut self, mut attrs: Vec<(Symbol, Value)>) -> Value {
        attrs.sort_unstable_by_key(|(name, _)| *name);
        let mut row = AttrsRow::new(&mut self.heap, attrs.len());
        for (name, value) in attrs {
            row.push(Attr::new(name, Loc::NONE, value, &mut self.heap));
        }
        Value::Attrs(row.finish(&mut self.heap))
    }

    /// What `eval` gives, without a call for constants and variables that are computed already.
    #[inline(always)]
    pub(crate) fn operand_value(&mut self, code: Gc<Code>, env: Gc<Env>) -> Res<Value> {
        match Self::settled_operand(code, env) {
            Some(value) => Ok(value),
            None => self.eval(code, env),
        }
    }

    #[inline(always)]
    pub(crate) fn settled_operand(code: Gc<Code>, env: Gc<Env>) -> Option<Value> {
        let value = match code.get() {
            Code::Const(value) => *value,
            Code::Local(slot, _) => settled(Env::slot(env, *slot).get()),
            Code::Up { level, slot, .. } => settled(Env::slot(Env::up(env, *level), *slot).get()),
            _ => return None,
        };
        match value {
            Value::Thunk(_) | Value::Unset | Value::Later(_) | Value::Running => None,
            value => Some(value),
        }
    }

    /// Evaluates code to weak head normal form.
    pub(crate) fn eval(&mut self, mut code: Gc<Code>, mut env: Gc<Env>) -> Res<Value> {
        loop {
            match code.get() {
                Code::Const(value) => return self.force(*value),
                Code::Local(slot, loc) => {
                    let slot = Env::slot(env, *slot);
                    return self.force_slot(slot, *loc).map_err(|error| error.read_at(*loc));
                }
                Code::Up { level, slot, loc } => {
                    let slot = Env::slot(Env::up(env, *level), *slot);
                    return self.force_slot(slot, *loc).map_err(|error| error.read_at(*loc));
                }
                Code::Lambda(lambda) => return Ok(Value::Lambda(LambdaRef::new(*lambda, env))),
                Code::Call { func, args, loc } => return self.eval_call(*func, args, *loc, env),
                Code::If { cond, yes, no, loc } => {
                    code = if self.condition(*cond, env, *loc)? { *yes } else { *no };
                }
                Code::Select { base, path, default, loc } => {
                    match self.select(*base, path, default.is_some(), *loc, env)? {
                        Ok(value) => return Ok(value),
                        Err(found) => {
                            let default =
                                default.expect("only a selection with a default gives nothing");
                            if found == Loc::NONE {
                                code = default;
                                continue;
                            }
                            return self
                                .eval(default, env)
                                .map_err(|error| self.selecting(error, found, *loc, path, env));
                        }
                    }
                }
                Code::Let { frame, body } => {
                    env = self.frame(*frame, env, true);
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
                let called = |error| in_builtin(error, op.builtin(), pair.loc);
                let left = self.operand_value(pair.left, env).map_err(called)?;
                let right = self.operand_value(pair.right, env).map_err(called)?;
                if let (Arith::Sub, Value::Int(a), Value::Int(b)) = (*op, left, right)
                    && let Some(difference) = a.checked_sub(b)
                {
                    return Ok(Value::Int(difference));
                }
                self.arith(*op, left, right, pair.loc).map_err(called)
            }
            Code::Add(pair) => {
                let left = self.operand_value(pair.left, env)?;
                match self.operand_value(pair.right, env) {
                    Ok(right) => self.add(left, right, pair),
                    Err(error) => Err(self.cannot_begin_sum(left, pair).unwrap_or(error)),
                }
            }
            Code::Compare(op, pair) => {
                // The operators stand for calls of `lessThan`, whose first argument comes first.
                let (first, second, negate) = match op {
                    Compare::Lt => (pair.left, pair.right, false),
                    Compare::Gt => (pair.right, pair.left, false),
                    Compare::Le => (pair.right, pair.left, true),
                    Compare::Ge => (pair.left, pair.right, true),
                };
                let called = |error| compared(error, pair.loc, negate);
                let first = self.operand_value(first, env).map_err(called)?;
                let second = self.operand_value(second, env).map_err(called)?;
                let less = match (first, second) {
                    (Value::Int(a), Value::Int(b)) => a < b,
                    _ => self.less_than(first, second, pair.loc).map_err(called)?,
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
            Code::Neg(inner, loc) => self
                .eval(*inner, env)
                .and_then(|value| self.arith(Arith::Sub, Value::Int(0), value, *loc))
                .map_err(|error| in_builtin(error, Arith::Sub.builtin(), *loc)),
            Code::Update(pair) => self.update(pair, env).map(Value::Attrs),
            Code::Concat(pair) => {
                let left = self.eval(pair.left, env)?;
                let right = self.eval(pair.right, env)?;
                let what = "while evaluating one of the elements to concatenate";
                let framed = |error: Error| error.frame(pair.loc, what);
                let left = self.as_list(left, pair.loc).map_err(framed)?;
                let right = self.as_list(right, pair.loc).map_err(framed)?;
                self.concat(left, right, pair.loc).map(Value::List)
            }
            Code::HasAttr { base, path } => self.has_attr(*base, path, env),
            Code::List(items) => {
                let mut places = self.heap.list_row(items.len());
                for item in *items {
                    let value = self.delay(item, env);
                    places.push(Place::new(value, &mut self.heap));
                }
                Ok(Value::List(List::from_places(places.finish())))
            }
            Code::Set(set) => self.plain_set(*set, env),
            Code::RecSet(set) => self.recursive_set(*set, env),
            Code::Dynamic { name, withs, loc } => self.dynamic_variable(*name, withs, env, *loc),
            Code::Interpolated { parts, loc } => self.interpolate(parts, env, *loc),
            Code::Path { parts, loc } => self.interpolate_path(parts, env, *loc),
            Code::SearchPath { name, loc } => self
                .find_in_nix_path(name, *loc)
                .map_err(|error| in_builtin(error, "findFile", *loc)),
            _ => unreachable!("`eval` handles the other nodes"),
        }
    }

    /// `a // (b // c)`: all operands, and then one set. C++ Nix looks at the right operand
    /// first: its attributes win.
    #[inline(never)]
    fn update(&mut self, pair: &'static Pair, env: Gc<Env>) -> Res<Gc<Attrs>> {
        bump(&mut self.tally.updates, 1);
        let left_of = "in the left operand of the update (//) operator";
        let right_of = "in the right operand of the update (//) operator";
        let Code::Update(second) = pair.right.get() else {
            let right = self.update_operand(pair.right, env, right_of)?;
            let left = self.update_operand(pair.left, env, left_of)?;
            return Ok(Attrs::update(&mut self.heap, left, right));
        };
        let mut lefts = Vec::with_capacity(CHAIN);
        lefts.extend([pair.left, second.left]);
        let mut last = second.right;
        bump(&mut self.tally.updates, 1);
        while let Code::Update(next) = last.get() {
            bump(&mut self.tally.updates, 1);
            lefts.push(next.left);
            last = next.right;
        }
        let mut sets = Vec::with_capacity(lefts.len() + 1);
        sets.push(self.update_operand(last, env, right_of)?);
        for left in lefts.into_iter().rev() {
            sets.push(self.update_operand(left, env, left_of)?);
        }
        sets.reverse();
        Ok(Attrs::update_all(&mut self.heap, &sets))
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

    fn update_operand(&mut self, code: Gc<Code>, env: Gc<Env>, what: &str) -> Res<Gc<Attrs>> {
        match self.eval(code, env) {
            Ok(Value::Attrs(attrs)) => Ok(attrs),
            Ok(other) => Err(self.wrong_type("a set", other, Loc::NONE).frame(code.pos(), what)),
            Err(error) if matches!(*code, Code::Update(_)) => Err(error),
            Err(error) => Err(error.frame(code.pos(), what)),
        }
    }

    pub(crate) fn show_loc(&self, loc: Loc) -> String {
        match self.sources.resolve(loc) {
            Some(pos) => format!("{}:{}:{}", pos.file.display(), pos.line, pos.column),
            None => "«none»".to_owned(),
        }
    }

    /// A string value as the name of an attribute.
    #[inline]
    pub(crate) fn attr_name(&mut self, value: Value, loc: Loc) -> Res<Symbol> {
        if let Value::Str(text) = Self::peek(value)
            && let Some(name) = text.name.get()
        {
            return Ok(name);
        }
        self.new_attr_name(value, loc)
    }

    fn new_attr_name(&mut self, value: Value, loc: Loc) -> Res<Symbol> {
        let string = self.as_str(value, loc)?;
        if let Some(name) = string.name.get() {
            return Ok(name);
        }
        // Only a string without context is a name.
        let text = self.as_text(Value::Str(string), loc)?;
        let name = Symbol::intern(text);
        string.name.set(Some(name));
        Ok(name)
    }

    /// A name as a string, the same one each time.
    pub(crate) fn name_string(&mut self, name: Symbol) -> Value {
        let at = name.index();
        if at >= self.names.len() {
            self.names.resize((at + 1).next_power_of_two(), None);
        }
        if let Some(known) = self.names[at] {
            return Value::Str(known);
        }
        let text = Str::alloc(&mut self.heap, name.as_bytes(), Ctx::EMPTY);
        text.name.set(Some(name));
        self.names[at] = Some(text);
        Value::Str(text)
    }

    pub(crate) fn name(&mut self, name: &Name, env: Gc<Env>) -> Res<Symbol> {
        match *name {
            Name::Static(name) => Ok(name),
            Name::Dynamic(code, loc) => {
                let value = self.eval(code, env)?;
                self.attr_name(value, loc)
                    .map_err(|e| e.frame(loc, "while evaluating an attribute name"))
            }
        }
    }

    /// What a selection finds, or where what it found last on the way to nothing is defined.
    fn select(
        &mut self,
        base: Gc<Code>,
        path: &'static [Name],
        has_default: bool,
        loc: Loc,
        env: Gc<Env>,
    ) -> Res<Result<Value, Loc>> {
        let mut value = self.operand_value(base, env)?;
        // Where the attribute that was found last is defined.
        let mut found = Loc::NONE;
        for (at, name) in path.iter().enumerate() {
            let symbol = match self.name(name, env) {
                Ok(symbol) => symbol,
                Err(error) => return Err(self.selecting(error, found, loc, path, env)),
            };
            let Value::Attrs(attrs) = value else {
                if has_default {
                    return Ok(Err(found));
                }
                let error = self.wrong_type("a set", value, Loc::NONE);
                let error = error.frame(loc, "while selecting an attribute");
                return Err(self.selecting(error, found, loc, path, env));
            };
            let Some(attr) = Attrs::find(attrs, symbol) else {
                if has_default {
                    return Ok(Err(found));
                }
                let error = self.missing_attribute(attrs, symbol, loc);
                return Err(self.selecting(error, found, loc, path, env));
            };
            found = attr.loc;
            if let Some(watch) = &mut self.watch {
                watch.selected(found);
            }
            let last = at + 1 == path.len() && found != Loc::NONE;
            value = match self.force_place_at(&attr.value, if last { found } else { loc }) {
                Ok(value) => value,
                Err(error) => return Err(self.selecting(error, found, loc, path, env)),
            };
        }
        Ok(Ok(value))
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
            value = self.force_place_at(&attr.value, base.pos())?;
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
        withs: &'static [(u32, Loc)],
        env: Gc<Env>,
        loc: Loc,
    ) -> Res<Value> {
        for (level, at) in withs {
            let slot = Env::slot(Env::up(env, *level), 0);
            let set = self.force_slot(slot, *at)?;
            let what = "while evaluating the first subexpression of a with expression";
            let set = self.as_attrs(set, *at).map_err(|e| e.frame(*at, what))?;
            if let Some(attr) = Attrs::find(set, name) {
                return self.force_place_at(&attr.value, loc).map_err(|error| error.read_at(loc));
            }
        }
        Err(Error::new(ErrorKind::UndefinedVariable, loc, format!("undefined variable '{name}'")))
    }
}

/// An error of a comparison, which is a call of `lessThan`, negated or not.
#[cold]
fn compared(error: Error, loc: Loc, negated: bool) -> Error {
    let error = in_builtin(error, "lessThan", loc);
    if negated { error.frame(loc, "in the argument of the not operator") } else { error }
}

impl Machine {
    /// An empty machine with its globals.
    pub(crate) fn new(host: Arc<dyn Host>, settings: Settings) -> Machine {
        let mut heap = Heap::new(settings.heap_bytes);
        let root = Env::alloc(&mut heap, None, 0);
        let graph = Arc::new(DrvGraph::new(host.clone()));
        let gate = watch::gate(&settings);
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
            listings: FxHashMap::default(),
            stored: FxHashSet::default(),
            missing_entries: FxHashSet::default(),
            built: FxHashMap::default(),
            derivation: None,
            failures: Failures::default(),
            conditions: FxHashMap::default(),
            patterns: builtins::json::Patterns::default(),
            texts: crate::drv::Texts::default(),
            tracking: None,
            made_last: None,
            rooms: Vec::new(),
            names: Vec::new(),
            depth: 0,
            gate,
            watch: None,
            tally: watch::Tally::default(),
            inputs: 0,
        };
        builtins::register(&mut machine);
        machine
    }
}
