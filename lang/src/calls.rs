//! Calling functions: builtins, lambdas, functors; binding arguments to set patterns.

use crate::builtins::{MAX_ARITY, Prim};
use crate::code::*;
use crate::error::{Error, ErrorKind, Res};
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Env, LambdaRef, PrimApp, State, Value};

/// A set at most so many times as large as a pattern is matched with it side by side; in a larger
/// one each name is searched for.
const MERGE_MAX_RATIO: usize = 4;

/// Calls with at most so many arguments need no room of their own for them.
const FEW: usize = 4;

impl Machine {
    /// The value of a call's argument, computed when needed. A sum or difference of integers that
    /// are known already is computed at once: it costs less than the promise and cannot fail.
    #[inline]
    pub(crate) fn argument(&mut self, lazy: &Lazy, env: Gc<Env>) -> Value {
        match Self::known_sum(lazy.code, env) {
            Some(sum) => sum,
            None => self.delay(lazy, env),
        }
    }

    /// The same, for a slot of a frame that nobody copies.
    #[inline]
    fn argument_variable(&mut self, lazy: &Lazy, env: Gc<Env>) -> Value {
        match Self::known_sum(lazy.code, env) {
            Some(sum) => sum,
            None => self.delay_variable(lazy, env),
        }
    }

    #[inline]
    fn known_sum(code: Gc<Code>, env: Gc<Env>) -> Option<Value> {
        let pair = match code.get() {
            Code::Add(pair) | Code::Arith(Arith::Sub, pair) => pair,
            _ => return None,
        };
        let (Some(Value::Int(a)), Some(Value::Int(b))) =
            (Self::settled_operand(pair.left, env), Self::settled_operand(pair.right, env))
        else {
            return None;
        };
        let sum = match *code {
            Code::Add(_) => a.checked_add(b),
            _ => a.checked_sub(b),
        };
        sum.map(Value::Int)
    }

    pub(crate) fn eval_call(
        &mut self,
        func: Gc<Code>,
        args: &'static [Lazy],
        loc: Loc,
        env: Gc<Env>,
    ) -> Res<Value> {
        let func = self.operand_value(func, env)?;
        if let Value::Lambda(lambda) = func
            && args.len() <= FEW
        {
            let (code, used) = self.target(lambda, args.len());
            if used == args.len() {
                let mut values = [Value::Null; FEW];
                for (to, arg) in values.iter_mut().zip(args) {
                    *to = match code.inner {
                        // What a function inside takes over is copied.
                        Some(_) => self.argument(arg, env),
                        None => self.argument_variable(arg, env),
                    };
                }
                if code.formals.is_some() {
                    // A set pattern looks at its argument first of all.
                    let last = &args[used - 1];
                    values[used - 1] = self
                        .operand_value(last.code, env)
                        .map_err(|error| error.frame(loc, "from call site"))?;
                }
                return self.call_lambda(lambda, code, &values[..used], loc);
            }
        }
        if let Value::Prim(prim) = func {
            let prim = &self.prims[prim as usize];
            if prim.arity == args.len() {
                let mut values = [Value::Null; MAX_ARITY];
                for (index, arg) in args.iter().enumerate() {
                    values[index] = if prim.strict & (1 << index) != 0 {
                        match self.operand_value(arg.code, env) {
                            Ok(value) => value,
                            Err(error) => {
                                let given = (args, index, env);
                                return self.argument_failed(prim, values, given, error, loc);
                            }
                        }
                    } else {
                        self.argument(arg, env)
                    };
                }
                return self.call_prim(prim, &values[..args.len()], loc);
            }
        }
        let mut few = [Value::Null; FEW];
        if args.len() <= few.len() {
            for (to, arg) in few.iter_mut().zip(args) {
                *to = self.argument(arg, env);
            }
            return self.call(func, &few[..args.len()], loc);
        }
        let values: Vec<Value> = args.iter().map(|arg| self.argument(arg, env)).collect();
        self.call(func, &values, loc)
    }

    /// A strict argument of a builtin failed, which may want something of an earlier one first, and
    /// says what it wanted of this one: it is called with a promise that fails.
    #[cold]
    #[inline(never)]
    fn argument_failed(
        &mut self,
        prim: &'static Prim,
        mut values: [Value; MAX_ARITY],
        (args, index, env): (&'static [Lazy], usize, Gc<Env>),
        error: Error,
        loc: Loc,
    ) -> Res<Value> {
        let Some(kept) = self.failures.keep(&error) else {
            return Err(in_builtin(error, prim.shown(), loc));
        };
        values[index] = self.thunk(State::Failed(kept));
        for (value, arg) in values.iter_mut().zip(args).skip(index + 1) {
            *value = self.argument(arg, env);
        }
        self.call_prim(prim, &values[..args.len()], loc)
    }

    #[inline(never)]
    pub(crate) fn call_prim(
        &mut self,
        prim: &'static Prim,
        args: &[Value],
        loc: Loc,
    ) -> Res<Value> {
        self.check_stack(loc)?;
        if self.depth >= self.gate {
            return self.watched_prim(prim, args, loc);
        }
        self.run_prim(prim, args, loc)
    }

    /// The call itself.
    #[inline(always)]
    pub(crate) fn run_prim(&mut self, prim: &'static Prim, args: &[Value], loc: Loc) -> Res<Value> {
        self.depth += 1;
        let result = (prim.run)(self, args, loc);
        self.depth -= 1;
        match result {
            Ok(value) => self.force(value),
            Err(error) => Err(in_builtin(error, prim.shown(), loc)),
        }
    }

    /// Calls a function with one or more arguments.
    pub(crate) fn call(&mut self, func: Value, args: &[Value], loc: Loc) -> Res<Value> {
        let mut func = self.force(func)?;
        let mut rest = args;
        while !rest.is_empty() {
            match func {
                Value::Lambda(lambda) => {
                    let (code, used) = self.target(lambda, rest.len());
                    let (now, behind) = rest.split_at(used);
                    func = self.call_lambda(lambda, code, now, loc)?;
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
                    let count = app.args.len() + taken;
                    let mut all = [Value::Null; MAX_ARITY];
                    for (to, arg) in all.iter_mut().zip(app.args.iter().chain(now)) {
                        *to = *arg;
                    }
                    let all = &all[..count];
                    if taken < wanted {
                        let args = self.heap.alloc_slice(all.iter().copied());
                        return Ok(Value::PrimApp(
                            self.heap.alloc(PrimApp { prim: app.prim, args }),
                        ));
                    }
                    func = self.call_prim(prim, all, loc)?;
                    rest = behind;
                }
                Value::Attrs(attrs) => {
                    let Some(functor) = Attrs::find(attrs, Symbol::FUNCTOR) else {
                        return Err(self.not_a_function(func, loc));
                    };
                    // One that gives itself without end must come to the limit of depth, so it takes its argument along.
                    let at = functor.loc;
                    let called = self.nested(loc, |machine| {
                        let code = machine.force_place(&functor.value)?;
                        machine.call(code, &[func, rest[0]], at)
                    });
                    let what =
                        "while calling a functor (an attribute set with a '__functor' attribute)";
                    func = called.map_err(|error| error.frame(loc, what))?;
                    rest = &rest[1..];
                }
                other => return Err(self.not_a_function(other, loc)),
            }
        }
        Ok(func)
    }

    #[cold]
    pub(crate) fn not_a_function(&mut self, value: Value, loc: Loc) -> Error {
        let shown = self.show_error(value);
        let message = format!(
            "attempt to call something which is not a function but {}: {shown}",
            self.type_phrase(value)
        );
        Error::typed(loc, message)
    }

    /// The code that a function runs when it is called with so many arguments, and how many it
    /// takes.
    #[inline]
    fn target(&self, lambda: LambdaRef, given: usize) -> (&'static LambdaCode, usize) {
        let mut code = self.tables.lambdas[lambda.code as usize].get();
        let mut used = 1;
        while used < given
            && let Some(inner) = code.inner
        {
            code = inner.get();
            used += 1;
        }
        (code, used)
    }

    /// Runs `code`, which is the function's own or that of a function inside it that shares its
    /// frame, with as many arguments as that takes.
    pub(crate) fn call_lambda(
        &mut self,
        lambda: LambdaRef,
        code: &'static LambdaCode,
        args: &[Value],
        loc: Loc,
    ) -> Res<Value> {
        self.check_stack(loc)?;
        if self.depth >= self.gate {
            return self.watched_lambda(lambda, code, args, loc);
        }
        self.run_lambda(lambda, code, args, loc)
    }

    /// The call itself.
    #[inline(always)]
    pub(crate) fn run_lambda(
        &mut self,
        lambda: LambdaRef,
        code: &'static LambdaCode,
        args: &[Value],
        loc: Loc,
    ) -> Res<Value> {
        let outer = lambda.env();
        let taken = code.taken + 1 - args.len() as u32;
        let (up, held) = match taken {
            0 => (outer, &[][..]),
            _ => (Env::up(outer, 1), Env::slots(outer, taken)),
        };
        let mark = self.heap.mark();
        let len = code.frame_len as usize;
        let env = match &code.formals {
            None => Env::filled(&mut self.heap, Some(up), len, held, args),
            Some(formals) => {
                let (last, before) = args.split_last().expect("a call has an argument");
                let env = Env::filled(&mut self.heap, Some(up), len, held, before);
                self.bind(code, formals, env, *last, loc)?;
                env
            }
        };
        self.depth += 1;
        let result = self.eval(code.body, env);
        self.depth -= 1;
        match result {
            Ok(value) => {
                Env::end_call(&mut self.heap, mark, env, len, value);
                Ok(value)
            }
            Err(error) => Err(called(code, error, loc)),
        }
    }

    /// Fills a frame from a set according to a set pattern.
    pub(crate) fn bind(
        &mut self,
        code: &'static LambdaCode,
        formals: &'static FormalsCode,
        env: Gc<Env>,
        arg: Value,
        loc: Loc,
    ) -> Res<()> {
        let what = "while evaluating the value passed for the lambda argument";
        let call = "from call site";
        let forced = self.force(arg).map_err(|error| error.placed_frame(loc, call))?;
        let attrs = self
            .as_attrs(forced, code.loc)
            .map_err(|error| error.frame(code.loc, what).placed_frame(loc, call))?;
        let mut first = code.taken;
        if formals.at_name.is_some() {
            Env::slot(env, first).set(forced);
            first += 1;
        }
        let mut matched = 0;
        let slots = formals.list.iter().zip(first..);
        match Attrs::plain_row(attrs) {
            // Both are sorted by symbol.
            Some(given) if given.len() <= formals.list.len() * MERGE_MAX_RATIO => {
                let mut given = given.iter().peekable();
                for (formal, at) in slots {
                    while given.next_if(|attr| attr.name < formal.name).is_some() {}
                    if let Some(attr) = given.next_if(|attr| attr.name == formal.name) {
                        Env::slot(env, at).set(attr.value.unread());
                        matched += 1;
                    }
                }
            }
            _ => {
                for (formal, at) in slots {
                    if let Some(attr) = Attrs::find(attrs, formal.name) {
                        Env::slot(env, at).set(attr.value.unread());
                        matched += 1;
                    }
                }
            }
        }
        let missing = matched < formals.list.len();
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
            for (formal, at) in formals.list.iter().zip(first..) {
                if formal.default.is_none() && matches!(Env::slot(env, at).get(), Value::Unset) {
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
    pub(crate) fn unexpected_argument(
        &mut self,
        code: &LambdaCode,
        formals: &FormalsCode,
        attrs: Gc<Attrs>,
        loc: Loc,
    ) -> Error {
        let mut names: Vec<Symbol> =
            Attrs::all(attrs, &mut self.heap).iter().map(|attr| attr.name).collect();
        names.sort_unstable();
        let known = |name: &Symbol| formals.list.binary_search_by_key(name, |f| f.name).is_ok();
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
            let functor = self.force_place(&functor.value)?;
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
            attrs.extend_from_slice(args);
        } else {
            for formal in formals.list {
                if let Some((_, value)) = args.iter().find(|(name, _)| *name == formal.name) {
                    attrs.push((formal.name, *value));
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

#[cold]
pub(crate) fn stack_overflow(loc: Loc) -> Error {
    Error::new(ErrorKind::StackOverflow, loc, "stack overflow; max-call-depth exceeded")
}

#[cold]
pub(crate) fn in_builtin(error: Error, name: &str, loc: Loc) -> Error {
    // Its only purpose is the frame of its own.
    if name == "addErrorContext" {
        return error;
    }
    error.frame(loc, format!("while calling the '{name}' builtin"))
}

pub(crate) fn shown_name(code: &LambdaCode) -> String {
    code.name.map_or_else(|| "anonymous lambda".to_owned(), |name| name.to_text().into_owned())
}

#[cold]
pub(crate) fn called(code: &LambdaCode, error: Error, loc: Loc) -> Error {
    let text = match code.name {
        Some(name) => format!("while calling '{}'", name.to_text()),
        None => "while calling anonymous lambda".to_owned(),
    };
    let error = error.call_frame(code.loc, text);
    if loc == Loc::NONE { error } else { error.call_frame(loc, "from call site") }
}
