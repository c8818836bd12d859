//! From syntax tree to code: resolves variables to (level, slot), folds constants, makes
//! literal paths absolute. Evaluates nothing and reads nothing.

use std::cell::Cell;

use rustc_hash::FxHashMap;

use crate::code::*;
use crate::context::Ctx;
use crate::error::{Error, ErrorKind, Res};
use crate::heap::{Gc, Heap};
use crate::paths;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::syntax::ast::{
    Ast, AttrName, AttrNameKind, AttrSet, AttrValue, BinaryOp, Expr, ExprId, Lambda, LambdaId,
    Part, PathKind, SetId, Span,
};
use crate::value::{Attr, Attrs, List, Str, Value};

/// Code tables that thunks and functions index.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) lazies: Vec<Gc<Code>>,
    pub(crate) lambdas: Vec<Gc<LambdaCode>>,
    /// How many nodes of code were made.
    pub(crate) nodes: u64,
}

/// What surrounds the expression.
pub(crate) struct Surroundings<'a> {
    /// Names that are always there.
    pub(crate) globals: &'a FxHashMap<Symbol, Value>,
    /// The names of the frame around the expression (`scopedImport`, the repl), by slot.
    pub(crate) frame: Option<Vec<Symbol>>,
    /// The folder that relative paths start from.
    pub(crate) base: &'a [u8],
    /// The user's home, if paths may refer to it.
    pub(crate) home: Option<Vec<u8>>,
    /// Where the text begins in the table of sources.
    pub(crate) start: Loc,
    /// The file's text.
    pub(crate) text: &'a [u8],
    /// The name of the file as a value for `__curPos`.
    pub(crate) file: Option<Value>,
    /// The address below which the stack must not grow.
    pub(crate) stack_limit: usize,
}

/// A function of more arguments one by one than this begins a new frame: what a partial
/// application holds is copied by each call of it.
const MAX_TAKEN: u32 = 4;

enum Scope {
    Frame(FxHashMap<Symbol, u32>),
    With(Loc),
}

struct Compiler<'a> {
    ast: &'a Ast,
    heap: &'a mut Heap,
    tables: &'a mut Tables,
    around: &'a Surroundings<'a>,
    scopes: Vec<Scope>,
    /// Whether any scope binds one of [`BEHIND_OPERATORS`].
    rebinds: bool,
}

/// Names that operators and `<path>` stand for.
const BEHIND_OPERATORS: [Symbol; 6] =
    [Symbol::SUB, Symbol::MUL, Symbol::DIV, Symbol::LESS_THAN, Symbol::FIND_FILE, Symbol::NIX_PATH];

/// Compiles a whole tree.
pub(crate) fn compile(
    ast: &Ast,
    heap: &mut Heap,
    tables: &mut Tables,
    around: &Surroundings<'_>,
) -> Res<Gc<Code>> {
    let mut scopes = Vec::new();
    if let Some(names) = &around.frame {
        scopes
            .push(Scope::Frame(names.iter().zip(0..).map(|(name, slot)| (*name, slot)).collect()));
    }
    let mut compiler = Compiler { ast, heap, tables, around, scopes, rebinds: false };
    for name in around.frame.iter().flatten() {
        compiler.note(*name);
    }
    compiler.expr(ast.root())
}

impl Compiler<'_> {
    fn offset(&self, offset: u32) -> Loc {
        Loc(self.around.start.0 + offset)
    }

    fn start(&self, span: Span) -> Loc {
        self.offset(span.start)
    }

    fn loc(&self, id: ExprId) -> Loc {
        self.start(self.ast.span(id))
    }

    fn put(&mut self, code: Code) -> Gc<Code> {
        self.tables.nodes += 1;
        self.heap.alloc(code)
    }

    fn lazy(&mut self, id: ExprId) -> Res<Lazy> {
        let code = self.expr(id)?;
        Ok(self.lazy_of(code))
    }

    fn lazy_of(&mut self, code: Gc<Code>) -> Lazy {
        let id = match *code {
            Code::Const(_) | Code::Lambda(_) => u32::MAX,
            _ => {
                self.tables.lazies.push(code);
                self.tables.lazies.len() as u32 - 1
            }
        };
        Lazy { code, id }
    }

    fn string(&mut self, bytes: &[u8]) -> Value {
        Value::Str(Str::alloc(self.heap, bytes, Ctx::EMPTY))
    }

    fn check_stack(&self, id: ExprId) -> Res<()> {
        let here = 0u8;
        if std::ptr::from_ref(&here).addr() < self.around.stack_limit {
            return Err(Error::new(
                ErrorKind::StackOverflow,
                self.loc(id),
                "expression is nested too deeply",
            ));
        }
        Ok(())
    }

    fn expr(&mut self, id: ExprId) -> Res<Gc<Code>> {
        self.check_stack(id)?;
        let loc = self.loc(id);
        let code = match self.ast.expr(id) {
            Expr::Int(n) => Code::Const(Value::Int(n)),
            Expr::Float(x) => Code::Const(Value::Float(x)),
            Expr::Str(text) | Expr::Uri(text) => {
                let bytes = self.ast.text(text);
                Code::Const(self.string(bytes))
            }
            Expr::Interpolated(parts) => {
                let parts = self.ast.parts(parts);
                let parts = self.parts(parts)?;
                Code::Interpolated { parts, loc }
            }
            Expr::Path(kind, parts) => return self.path(kind, self.ast.parts(parts), loc),
            Expr::SearchPath(text) => return self.search_path(self.ast.text(text), loc),
            Expr::Var(name) => return self.variable(name, loc),
            Expr::CurPos => Code::Const(self.cur_pos(id)),
            Expr::Select { base, path, default } => {
                let base = self.expr(base)?;
                let path = self.attr_path(self.ast.names(path))?;
                let default = default.map(|default| self.expr(default)).transpose()?;
                Code::Select { base, path, default, loc }
            }
            Expr::HasAttr { base, path } => {
                let base = self.expr(base)?;
                let path = self.attr_path(self.ast.names(path))?;
                Code::HasAttr { base, path }
            }
            Expr::Call { func, args } => {
                let func = self.expr(func)?;
                let args = self.ast.exprs(args);
                let args = self.lazies(args)?;
                Code::Call { func, args, loc }
            }
            Expr::Lambda(lambda) => Code::Lambda(self.lambda(lambda, loc, None)?.0),
            Expr::Set(set) => self.set(set)?,
            Expr::Let { bindings, body } => {
                let frame = self.frame(bindings)?;
                let body = self.expr(body);
                self.scopes.pop();
                Code::Let { frame, body: body? }
            }
            Expr::With { env, body } => {
                let env = self.lazy(env)?;
                self.scopes.push(Scope::With(loc));
                let body = self.expr(body);
                self.scopes.pop();
                Code::With { env, body: body? }
            }
            Expr::Assert { cond, body } => {
                Code::Assert { cond: self.expr(cond)?, body: self.expr(body)?, loc }
            }
            Expr::If { cond, yes, no } => {
                Code::If { cond: self.expr(cond)?, yes: self.expr(yes)?, no: self.expr(no)?, loc }
            }
            Expr::List(items) => {
                let items = self.ast.exprs(items);
                let items = self.lazies(items)?;
                if items.is_empty() {
                    Code::Const(Value::List(List::EMPTY))
                } else {
                    Code::List(items)
                }
            }
            Expr::Not(inner) => {
                // C++ Nix puts the operator where its argument is.
                let inner = self.expr(inner)?;
                Code::Not(inner, inner.pos())
            }
            Expr::Neg(inner) => match self.rebound(Symbol::SUB) {
                Some(func) => {
                    let zero = self.put(Code::Const(Value::Int(0)));
                    let zero = self.lazy_of(zero);
                    let inner = self.lazy(inner)?;
                    self.call(func, &[zero, inner], loc)?
                }
                None => Code::Neg(self.expr(inner)?, loc),
            },
            Expr::Binary { op, at, left, right, starts } => {
                let [left_loc, right_loc] = starts.map(|start| self.offset(start));
                let (left, right) = ((left, left_loc), (right, right_loc));
                self.binary(op, self.offset(at), left, right)?
            }
        };
        Ok(self.put(code))
    }

    fn lazies(&mut self, ids: &[ExprId]) -> Res<&'static [Lazy]> {
        let lazies = ids.iter().map(|id| self.lazy(*id)).collect::<Res<Vec<_>>>()?;
        Ok(self.heap.alloc_slice(lazies.into_iter()))
    }

    fn parts(&mut self, parts: &[Part]) -> Res<&'static [PartCode]> {
        let mut codes = Vec::with_capacity(parts.len());
        for part in parts {
            codes.push(match *part {
                Part::Literal(text) => {
                    let bytes = self.ast.text(text);
                    PartCode::Text(self.heap.alloc_slice(bytes.iter().copied()))
                }
                Part::Interpolation(expr, span) => {
                    PartCode::Expr(self.expr(expr)?, self.start(span))
                }
            });
        }
        Ok(self.heap.alloc_slice(codes.into_iter()))
    }

    fn attr_path(&mut self, names: &[AttrName]) -> Res<&'static [Name]> {
        let mut path = Vec::with_capacity(names.len());
        for name in names {
            path.push(match name.kind {
                AttrNameKind::Static(name) => Name::Static(name),
                AttrNameKind::Dynamic(expr) => Name::Dynamic(self.expr(expr)?, self.loc(expr)),
            });
        }
        Ok(self.heap.alloc_slice(path.into_iter()))
    }

    /// A variable, where the syntax names one.
    fn variable(&mut self, name: Symbol, loc: Loc) -> Res<Gc<Code>> {
        let mut withs = Vec::new();
        for (level, scope) in (0u32..).zip(self.scopes.iter().rev()) {
            match scope {
                Scope::Frame(names) => {
                    if let Some(&slot) = names.get(&name) {
                        let code = if level == 0 {
                            Code::Local(slot, loc)
                        } else {
                            Code::Up { level, slot, loc }
                        };
                        return Ok(self.put(code));
                    }
                }
                Scope::With(loc) => withs.push((level, *loc)),
            }
        }
        if let Some(&value) = self.around.globals.get(&name) {
            return Ok(self.put(Code::Const(value)));
        }
        if withs.is_empty() {
            let message = format!("undefined variable '{name}'");
            let near = self.names_near(name);
            return Err(Error::new(ErrorKind::UndefinedVariable, loc, message).hint(&near));
        }
        let withs = self.heap.alloc_slice(withs.into_iter());
        Ok(self.put(Code::Dynamic { name, withs, loc }))
    }

    /// Which names in scope may have been meant.
    #[cold]
    fn names_near(&self, name: Symbol) -> String {
        let frames = self.scopes.iter().flat_map(|scope| match scope {
            Scope::Frame(names) => names.keys().copied().collect(),
            Scope::With(_) => Vec::new(),
        });
        let names: Vec<Symbol> = frames.chain(self.around.globals.keys().copied()).collect();
        let names = names.iter().map(|name| name.as_bytes());
        crate::suggest::did_you_mean_half(name.as_bytes(), names)
    }

    /// Takes note of a name that is bound.
    fn note(&mut self, name: Symbol) {
        self.rebinds |= BEHIND_OPERATORS.contains(&name);
    }

    /// Whether the program binds a name that an operator stands for.
    fn rebound(&mut self, name: Symbol) -> Option<Symbol> {
        (self.rebinds
            && self
                .scopes
                .iter()
                .any(|scope| matches!(scope, Scope::Frame(names) if names.contains_key(&name))))
        .then_some(name)
    }

    fn call(&mut self, func: Symbol, args: &[Lazy], loc: Loc) -> Res<Code> {
        let func = self.variable(func, loc)?;
        let args = self.heap.alloc_slice(args.iter().copied());
        Ok(Code::Call { func, args, loc })
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        loc: Loc,
        (left, left_loc): (ExprId, Loc),
        (right, right_loc): (ExprId, Loc),
    ) -> Res<Code> {
        let named = match op {
            BinaryOp::Sub => Some(Symbol::SUB),
            BinaryOp::Mul => Some(Symbol::MUL),
            BinaryOp::Div => Some(Symbol::DIV),
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => Some(Symbol::LESS_THAN),
            _ => None,
        };
        if let Some(func) = named.and_then(|name| self.rebound(name)) {
            let (l, r) = (self.lazy(left)?, self.lazy(right)?);
            let swapped = matches!(op, BinaryOp::Le | BinaryOp::Gt);
            let call = self.call(func, &if swapped { [r, l] } else { [l, r] }, loc)?;
            if matches!(op, BinaryOp::Le | BinaryOp::Ge) {
                let call = self.put(call);
                return Ok(Code::Not(call, loc));
            }
            return Ok(call);
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let pair = Pair { left, right, loc, left_loc, right_loc };
        Ok(match op {
            BinaryOp::Eq => Code::Eq(pair),
            BinaryOp::Ne => Code::Ne(pair),
            BinaryOp::Lt => Code::Compare(Compare::Lt, pair),
            BinaryOp::Le => Code::Compare(Compare::Le, pair),
            BinaryOp::Gt => Code::Compare(Compare::Gt, pair),
            BinaryOp::Ge => Code::Compare(Compare::Ge, pair),
            BinaryOp::Add => Code::Add(pair),
            BinaryOp::Sub => Code::Arith(Arith::Sub, pair),
            BinaryOp::Mul => Code::Arith(Arith::Mul, pair),
            BinaryOp::Div => Code::Arith(Arith::Div, pair),
            BinaryOp::Concat => Code::Concat(pair),
            BinaryOp::Update => Code::Update(pair),
            BinaryOp::And => Code::And(pair),
            BinaryOp::Or => Code::Or(pair),
            BinaryOp::Implies => Code::Implies(pair),
        })
    }

    fn path(&mut self, kind: PathKind, parts: &[Part], loc: Loc) -> Res<Gc<Code>> {
        let Some(Part::Literal(first)) = parts.first() else {
            unreachable!("a path begins with a literal part")
        };
        let written = self.ast.text(*first);
        let mut first = match kind {
            PathKind::Absolute => written.to_vec(),
            PathKind::Relative => [self.around.base, b"/", written].concat(),
            PathKind::Home => {
                let Some(home) = &self.around.home else {
                    let message = format!(
                        "the path '{}' can not be resolved in pure mode",
                        String::from_utf8_lossy(written)
                    );
                    return Err(Error::new(ErrorKind::Restricted, loc, message));
                };
                [home, &written[1..]].concat()
            }
        };
        if parts.len() == 1 {
            let path = paths::normalise(&first);
            let value = Value::Path(Str::alloc(self.heap, &path, Ctx::EMPTY));
            return Ok(self.put(Code::Const(value)));
        }
        let ends_in_slash = first.ends_with(b"/");
        first = paths::normalise(&first);
        if ends_in_slash && !first.ends_with(b"/") {
            first.push(b'/');
        }
        let rest = self.parts(&parts[1..])?;
        let first = PartCode::Text(self.heap.alloc_slice(first.into_iter()));
        let all: Vec<PartCode> = std::iter::once(first).chain(rest.iter().copied()).collect();
        let parts = self.heap.alloc_slice(all.into_iter());
        Ok(self.put(Code::Path { parts, loc }))
    }

    fn search_path(&mut self, name: &[u8], loc: Loc) -> Res<Gc<Code>> {
        let name_value = self.string(name);
        if self.rebound(Symbol::FIND_FILE).or_else(|| self.rebound(Symbol::NIX_PATH)).is_some() {
            let entries = self.variable(Symbol::NIX_PATH, loc)?;
            let entries = self.lazy_of(entries);
            let name = self.put(Code::Const(name_value));
            let name = self.lazy_of(name);
            let call = self.call(Symbol::FIND_FILE, &[entries, name], loc)?;
            return Ok(self.put(call));
        }
        let name = self.heap.alloc_slice(name.iter().copied());
        Ok(self.put(Code::SearchPath { name, loc }))
    }

    fn cur_pos(&mut self, id: ExprId) -> Value {
        let Some(file) = self.around.file else {
            return Value::Null;
        };
        let before = &self.around.text[..self.ast.span(id).start as usize];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let fields = [
            (Symbol::FILE, file),
            (Symbol::LINE, Value::Int(line as i64)),
            (Symbol::COLUMN, Value::Int(column as i64)),
        ];
        let attrs = fields.map(|(name, value)| Attr::new(name, Loc::NONE, value, self.heap)).into();
        Value::Attrs(Attrs::from_vec(self.heap, attrs))
    }

    /// A function; `taken` counts the slots of the frame that it shares with the functions
    /// around it, if it does: the innermost scope is theirs then.
    fn lambda(&mut self, id: LambdaId, loc: Loc, taken: Option<u32>) -> Res<(u32, Gc<LambdaCode>)> {
        let ast = self.ast;
        let lambda = ast.lambda(id);
        if taken.is_none() {
            self.scopes.push(Scope::Frame(FxHashMap::default()));
        }
        let code = self.lambda_inside(lambda, loc, taken.unwrap_or(0));
        if taken.is_none() {
            self.scopes.pop();
        }
        let code = self.heap.alloc(code?);
        self.tables.lambdas.push(code);
        Ok((self.tables.lambdas.len() as u32 - 1, code))
    }

    fn lambda_inside(&mut self, lambda: &Lambda, loc: Loc, taken: u32) -> Res<LambdaCode> {
        let mut sorted: Vec<_> = lambda.formals.iter().flat_map(|f| f.list.iter()).collect();
        sorted.sort_unstable_by_key(|formal| formal.name);
        let Some(Scope::Frame(names)) = self.scopes.last_mut() else {
            unreachable!("a function's own scope is the innermost")
        };
        let mut next = taken;
        if let Some(arg) = lambda.arg {
            names.insert(arg, next);
            self.rebinds |= BEHIND_OPERATORS.contains(&arg);
        }
        if lambda.arg.is_some() || lambda.formals.is_none() {
            next += 1;
        }
        for formal in &sorted {
            names.insert(formal.name, next);
            self.rebinds |= BEHIND_OPERATORS.contains(&formal.name);
            next += 1;
        }
        let frame_len = next;
        let mut list = Vec::with_capacity(sorted.len());
        for formal in &sorted {
            let default = formal.default.map(|default| self.lazy(default)).transpose()?;
            list.push(FormalCode { name: formal.name, loc: self.start(formal.span), default });
        }
        let (body, inner) = match self.ast.expr(lambda.body) {
            Expr::Lambda(id) if lambda.formals.is_none() && taken < MAX_TAKEN => {
                let loc = self.loc(lambda.body);
                self.check_stack(lambda.body)?;
                let (index, code) = self.lambda(id, loc, Some(frame_len))?;
                (self.put(Code::Lambda(index)), Some(code))
            }
            _ => (self.expr(lambda.body)?, None),
        };
        let formals = lambda.formals.as_ref().map(|formals| {
            let order: Vec<u32> = formals
                .list
                .iter()
                .map(|f| {
                    let at = sorted.binary_search_by_key(&f.name, |formal| formal.name);
                    at.expect("the same names") as u32
                })
                .collect();
            FormalsCode {
                list: self.heap.alloc_slice(list.into_iter()),
                ellipsis: formals.ellipsis,
                at_name: lambda.arg,
                source_order: self.heap.alloc_slice(order.into_iter()),
                args: Cell::new(None),
            }
        });
        let (name, param) = (lambda.name, lambda.arg);
        Ok(LambdaCode { name, loc, body, param, formals, frame_len, taken, inner })
    }

    fn set(&mut self, id: SetId) -> Res<Code> {
        let ast = self.ast;
        let set = ast.set(id);
        if set.recursive {
            let frame = self.frame(id)?;
            self.scopes.pop();
            return Ok(Code::RecSet(frame));
        }
        if set.attrs.is_empty() && set.dynamic.is_empty() {
            return Ok(Code::Const(Value::Attrs(Attrs::from_vec(self.heap, Vec::new()))));
        }
        let sources = self.lazies(&set.inherit_from)?;
        let mut bindings = Vec::with_capacity(set.attrs.len());
        for attr in &set.attrs {
            let (value, scope) = match attr.value {
                AttrValue::Plain(expr) => (self.lazy(expr)?, BindingScope::Inside),
                AttrValue::Inherit(expr) => (self.lazy(expr)?, BindingScope::Around),
                AttrValue::InheritFrom(index) => {
                    let at = self.start(attr.span);
                    let base = self.put(Code::Local(index, at));
                    (self.select(base, attr.name, at), BindingScope::Sources)
                }
            };
            bindings.push(Binding { name: attr.name, loc: self.start(attr.span), value, scope });
        }
        bindings.sort_unstable_by_key(|binding| binding.name);
        let dynamic = self.dynamic(set)?;
        let bindings = self.heap.alloc_slice(bindings.into_iter());
        Ok(Code::Set(self.heap.alloc(SetCode { bindings, sources, dynamic, overrides: None })))
    }

    fn select(&mut self, base: Gc<Code>, name: Symbol, loc: Loc) -> Lazy {
        let path = self.heap.alloc_slice(std::iter::once(Name::Static(name)));
        let code = self.put(Code::Select { base, path, default: None, loc });
        self.lazy_of(code)
    }

    fn dynamic(&mut self, set: &AttrSet) -> Res<&'static [DynamicBinding]> {
        let mut dynamic = Vec::with_capacity(set.dynamic.len());
        for attr in &set.dynamic {
            dynamic.push(DynamicBinding {
                name: self.expr(attr.name)?,
                value: self.lazy(attr.value)?,
                loc: self.start(attr.span),
            });
        }
        Ok(self.heap.alloc_slice(dynamic.into_iter()))
    }

    /// The frame of a recursive set or a `let`. Leaves its scope on the stack for the body.
    fn frame(&mut self, id: SetId) -> Res<Gc<SetCode>> {
        let ast = self.ast;
        let set = ast.set(id);
        let mut sorted: Vec<_> = set.attrs.iter().collect();
        sorted.sort_unstable_by_key(|attr| attr.name);
        let mut around = FxHashMap::default();
        for attr in &sorted {
            self.note(attr.name);
            if let AttrValue::Inherit(expr) = attr.value {
                around.insert(attr.name, self.lazy(expr)?);
            }
        }
        let names = sorted.iter().zip(0..).map(|(attr, slot)| (attr.name, slot)).collect();
        self.scopes.push(Scope::Frame(names));
        let code = self.frame_inside(set, &sorted, &around);
        if code.is_err() {
            self.scopes.pop();
        }
        Ok(self.heap.alloc(code?))
    }

    fn frame_inside(
        &mut self,
        set: &AttrSet,
        sorted: &[&crate::syntax::ast::Attr],
        around: &FxHashMap<Symbol, Lazy>,
    ) -> Res<SetCode> {
        let mut bindings = Vec::with_capacity(sorted.len());
        for attr in sorted {
            let at = self.start(attr.span);
            let (value, scope) = match attr.value {
                AttrValue::Plain(expr) => (self.lazy(expr)?, BindingScope::Inside),
                AttrValue::Inherit(_) => (around[&attr.name], BindingScope::Around),
                AttrValue::InheritFrom(index) => {
                    let base = self.put(Code::Local(sorted.len() as u32 + index, at));
                    (self.select(base, attr.name, at), BindingScope::Inside)
                }
            };
            bindings.push(Binding { name: attr.name, loc: at, value, scope });
        }
        let sources = self.lazies(&set.inherit_from)?;
        let dynamic = self.dynamic(set)?;
        let overrides = set
            .recursive
            .then(|| bindings.iter().position(|binding| binding.name == Symbol::OVERRIDES))
            .flatten()
            .map(|at| at as u32);
        let bindings = self.heap.alloc_slice(bindings.into_iter());
        Ok(SetCode { bindings, sources, dynamic, overrides })
    }
}
