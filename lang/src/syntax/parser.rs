//! Tokens to tree: recursive descent, with precedence climbing for operators. Literals, set patterns
//! and the merging of bindings are in the modules beside it.
//!
//! The lists of expected tokens in errors are those of C++ Nix's LALR(1) automaton, which reduces
//! before it complains: after a complete operand only what may follow the whole expression is listed.

use super::ast::*;
use super::bindings::Index;
use super::error::{SyntaxError, SyntaxErrorKind};
use super::lexer::{Lexer, Token};
use super::token::TokenKind;
use crate::symbol::Symbol;

/// How deep expressions may nest. The parser recurses: a thread that parses foreign text should
/// have 32 MiB of stack (a debug build needs about 2 kB a level).
pub const MAX_DEPTH: u32 = 10_000;

/// Syntax that C++ Nix hides behind experimental features.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// `x |> f` and `f <| x`
    pub pipe_operators: bool,
}

/// Parses a whole file.
pub fn parse(file: FileId, text: &[u8], features: Features) -> Result<Ast, SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError { span: Span::default(), kind: SyntaxErrorKind::TooLarge });
    }
    let mut parser = Parser {
        lexer: Lexer::new(text, features.pipe_operators),
        token: Token { kind: TokenKind::Eof, span: Span::default() },
        ast: Ast::new(file),
        index: Index::default(),
        paren: None,
        depth: 0,
        exprs: Vec::new(),
        names: Vec::new(),
    };
    parser.file().map_err(|error| *error)?;
    Ok(parser.ast)
}

pub(super) type Parsed<T> = Result<T, Box<SyntaxError>>;

pub(super) struct Parser<'t> {
    pub lexer: Lexer<'t>,
    /// The token that comes next. In strings and paths it is stale: the scanner is asked for pieces.
    pub token: Token,
    pub ast: Ast,
    pub index: Index,
    depth: u32,
    /// The expression in parentheses that was read last, and where it starts with them.
    paren: Option<(ExprId, Span)>,
    /// A stack of list elements and arguments that are not yet in the tree.
    exprs: Vec<ExprId>,
    /// A stack of attribute names that are not yet in the tree.
    names: Vec<AttrName>,
}

/// How an operator groups with its own kind.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    Left,
    Right,
    Never,
}

const LEVEL_LOWEST: u8 = 1;
const LEVEL_ABOVE_NOT: u8 = 8;
const LEVEL_HAS_ATTR: u8 = 11;

/// The binding strength of an infix operator.
fn infix(kind: TokenKind) -> Option<(BinaryOp, u8, Group)> {
    Some(match kind {
        TokenKind::Implies => (BinaryOp::Implies, 1, Group::Right),
        TokenKind::Or => (BinaryOp::Or, 2, Group::Left),
        TokenKind::And => (BinaryOp::And, 3, Group::Left),
        TokenKind::Eq => (BinaryOp::Eq, 4, Group::Never),
        TokenKind::Ne => (BinaryOp::Ne, 4, Group::Never),
        TokenKind::Lt => (BinaryOp::Lt, 5, Group::Never),
        TokenKind::Le => (BinaryOp::Le, 5, Group::Never),
        TokenKind::Gt => (BinaryOp::Gt, 5, Group::Never),
        TokenKind::Ge => (BinaryOp::Ge, 5, Group::Never),
        TokenKind::Update => (BinaryOp::Update, 6, Group::Right),
        TokenKind::Plus => (BinaryOp::Add, 8, Group::Left),
        TokenKind::Minus => (BinaryOp::Sub, 8, Group::Left),
        TokenKind::Star => (BinaryOp::Mul, 9, Group::Left),
        TokenKind::Slash => (BinaryOp::Div, 9, Group::Left),
        TokenKind::Concat => (BinaryOp::Concat, 10, Group::Right),
        _ => return None,
    })
}

/// Whether a token begins an operand: what makes `f x` an application.
fn begins_operand(kind: TokenKind) -> bool {
    use TokenKind::*;
    matches!(
        kind,
        Id | Int
            | Float
            | Quote
            | IndOpen
            | Path
            | HomePath
            | SearchPath
            | Uri
            | ParenOpen
            | Let
            | Rec
            | CurlyOpen
            | BracketOpen
    )
}

impl Parser<'_> {
    pub fn bump(&mut self) -> Parsed<Span> {
        let span = self.token.span;
        self.token = self.lexer.token()?;
        Ok(span)
    }

    pub fn unexpected<T>(&self, expected: &'static [TokenKind]) -> Parsed<T> {
        self.unexpected_token(self.token, expected)
    }

    pub fn unexpected_token<T>(&self, token: Token, expected: &'static [TokenKind]) -> Parsed<T> {
        let kind = SyntaxErrorKind::Unexpected { found: token.kind, expected };
        Err(Box::new(SyntaxError { span: token.span, kind }))
    }

    pub fn fail<T>(&self, span: Span, kind: SyntaxErrorKind) -> Parsed<T> {
        Err(Box::new(SyntaxError { span, kind }))
    }

    /// The next token must be the one that `expected` holds; leaves it.
    pub fn require(&self, expected: &'static [TokenKind; 1]) -> Parsed<()> {
        if self.token.kind == expected[0] { Ok(()) } else { self.unexpected(expected) }
    }

    /// The next token must be the one that `expected` holds; takes it.
    pub fn expect(&mut self, expected: &'static [TokenKind; 1]) -> Parsed<Span> {
        self.require(expected)?;
        self.bump()
    }

    /// From the start of `start` to the end of node `end`.
    fn span_to(&self, start: Span, end: ExprId) -> Span {
        start.to(self.ast.span(end))
    }

    /// Goes `levels` deeper, or complains.
    fn enter(&mut self, levels: u32) -> Parsed<()> {
        self.depth = self.depth.saturating_add(levels);
        if self.depth > MAX_DEPTH {
            return self.fail(self.token.span, SyntaxErrorKind::TooDeep(MAX_DEPTH));
        }
        Ok(())
    }

    fn leave(&mut self, levels: u32) {
        self.depth -= levels;
    }

    fn file(&mut self) -> Parsed<()> {
        self.bump()?;
        self.ast.root = self.expr()?;
        self.require(&[TokenKind::Eof])
    }

    /// Any expression.
    pub fn expr(&mut self) -> Parsed<ExprId> {
        self.enter(1)?;
        let expr = match self.token.kind {
            TokenKind::Id => self.lambda_or_operand(),
            TokenKind::CurlyOpen => self.pattern_or_set(),
            TokenKind::Assert | TokenKind::With => self.guard(),
            TokenKind::Let => self.let_in(),
            TokenKind::If => self.conditional(),
            _ => self.pipes(None),
        }?;
        self.leave(1);
        Ok(expr)
    }

    /// `x: body`, `x@{...}: body`, or an expression that begins with a variable.
    fn lambda_or_operand(&mut self) -> Parsed<ExprId> {
        let name = self.bump()?;
        match self.token.kind {
            TokenKind::Colon => {
                self.bump()?;
                let arg = Symbol::intern(self.lexer.text(name));
                self.lambda(name, Some(arg), None)
            }
            TokenKind::At => {
                self.bump()?;
                let arg = Symbol::intern(self.lexer.text(name));
                self.expect(&[TokenKind::CurlyOpen])?;
                let formals = self.formals(None)?;
                self.expect(&[TokenKind::Colon])?;
                self.lambda(name, Some(arg), Some(formals))
            }
            _ => {
                let operand = self.variable(name);
                self.pipes(Some(operand))
            }
        }
    }

    /// `{ ... }: body`, `{ ... }@x: body`, or an expression that begins with a set.
    fn pattern_or_set(&mut self) -> Parsed<ExprId> {
        let open = self.bump()?;
        let formals = match self.token.kind {
            TokenKind::CurlyClose => {
                let close = self.bump()?;
                if !matches!(self.token.kind, TokenKind::Colon | TokenKind::At) {
                    let set = self.ast.push_set(AttrSet::default());
                    let set = self.ast.push(Expr::Set(set), open.to(close));
                    return self.pipes(Some(set));
                }
                Formals::default()
            }
            TokenKind::Ellipsis => self.formals(None)?,
            TokenKind::Id => {
                let name = self.bump()?;
                let symbol = Symbol::intern(self.lexer.text(name));
                if matches!(
                    self.token.kind,
                    TokenKind::Comma | TokenKind::Question | TokenKind::CurlyClose
                ) {
                    self.formals(Some((symbol, name)))?
                } else {
                    let first = AttrName { kind: AttrNameKind::Static(symbol), span: name };
                    let set = self.set(open, Some(first))?;
                    return self.pipes(Some(set));
                }
            }
            _ => {
                let set = self.set(open, None)?;
                return self.pipes(Some(set));
            }
        };
        let arg = match self.token.kind {
            TokenKind::At => {
                self.bump()?;
                let name = self.expect(&[TokenKind::Id])?;
                self.expect(&[TokenKind::Colon])?;
                Some(Symbol::intern(self.lexer.text(name)))
            }
            TokenKind::Colon => {
                self.bump()?;
                None
            }
            _ => return self.unexpected(&[TokenKind::Colon, TokenKind::At]),
        };
        self.lambda(open, arg, Some(formals))
    }

    fn lambda(
        &mut self,
        start: Span,
        arg: Option<Symbol>,
        formals: Option<Formals>,
    ) -> Parsed<ExprId> {
        let body = self.expr()?;
        if let Some(formals) = &formals {
            self.check_formals(start, arg, formals)?;
        }
        let span = self.span_to(start, body);
        let lambda = self.ast.push_lambda(Lambda { name: None, arg, formals, body });
        Ok(self.ast.push(Expr::Lambda(lambda), span))
    }

    fn guard(&mut self) -> Parsed<ExprId> {
        let with = self.token.kind == TokenKind::With;
        let start = self.bump()?;
        let head = self.expr()?;
        self.expect(&[TokenKind::Semicolon])?;
        let body = self.expr()?;
        let span = self.span_to(start, body);
        let expr =
            if with { Expr::With { env: head, body } } else { Expr::Assert { cond: head, body } };
        Ok(self.ast.push(expr, span))
    }

    fn conditional(&mut self) -> Parsed<ExprId> {
        let start = self.bump()?;
        let cond = self.expr()?;
        self.expect(&[TokenKind::Then])?;
        let yes = self.expr()?;
        self.expect(&[TokenKind::Else])?;
        let no = self.expr()?;
        let span = self.span_to(start, no);
        Ok(self.ast.push(Expr::If { cond, yes, no }, span))
    }

    fn let_in(&mut self) -> Parsed<ExprId> {
        let start = self.bump()?;
        if self.token.kind == TokenKind::CurlyOpen {
            let operand = self.legacy_let(start)?;
            return self.pipes(Some(operand));
        }
        let bindings = self.ast.push_set(AttrSet::default());
        self.bindings(bindings, &[TokenKind::In, TokenKind::Inherit], None)?;
        self.expect(&[TokenKind::In])?;
        let body = self.expr()?;
        if !self.ast.set(bindings).dynamic.is_empty() {
            return self.fail(start, SyntaxErrorKind::DynamicInLet);
        }
        let span = self.span_to(start, body);
        Ok(self.ast.push(Expr::Let { bindings, body }, span))
    }

    /// Operators, and the pipes around them. `operand` is the first operand where it has been read.
    fn pipes(&mut self, operand: Option<ExprId>) -> Parsed<ExprId> {
        let mut left = self.operators(LEVEL_LOWEST, operand)?;
        match self.token.kind {
            TokenKind::PipeInto => {
                let mut levels = 0;
                while self.token.kind == TokenKind::PipeInto {
                    self.enter(1)?;
                    levels += 1;
                    let at = self.bump()?;
                    let func = self.operators(LEVEL_LOWEST, None)?;
                    left = self.call(at, func, &[left]);
                }
                self.leave(levels);
                Ok(left)
            }
            TokenKind::PipeFrom => {
                let at = self.bump()?;
                self.enter(1)?;
                let arg = self.operators(LEVEL_LOWEST, None)?;
                let arg =
                    if self.token.kind == TokenKind::PipeFrom { self.pipe_from(arg)? } else { arg };
                self.leave(1);
                Ok(self.call(at, left, &[arg]))
            }
            _ => Ok(left),
        }
    }

    /// `<| arg`, where `func` has been read.
    fn pipe_from(&mut self, func: ExprId) -> Parsed<ExprId> {
        let at = self.bump()?;
        self.enter(1)?;
        let mut arg = self.operators(LEVEL_LOWEST, None)?;
        if self.token.kind == TokenKind::PipeFrom {
            arg = self.pipe_from(arg)?;
        }
        self.leave(1);
        Ok(self.call(at, func, &[arg]))
    }

    /// A call at `at`. A function that is a call itself takes the arguments to its own.
    fn call(&mut self, at: Span, func: ExprId, args: &[ExprId]) -> ExprId {
        let last = *args.last().expect("a call has arguments");
        if let Expr::Call { func: inner, args: first } = self.ast.expr(func) {
            let mut all = self.ast.exprs(first).to_vec();
            all.extend_from_slice(args);
            let args = self.ast.push_exprs(&all);
            self.ast.exprs[func.index()] = Expr::Call { func: inner, args };
            self.ast.spans[func.index()].end = self.ast.span(last).end;
            return func;
        }
        let args = self.ast.push_exprs(args);
        let span = self.span_to(at, last);
        self.ast.push(Expr::Call { func, args }, span)
    }

    /// Operands joined by operators of at least `level`.
    fn operators(&mut self, level: u8, operand: Option<ExprId>) -> Parsed<ExprId> {
        let mut left = match operand {
            Some(operand) => self.application(operand)?,
            None => self.prefix()?,
        };
        let mut last = None;
        let mut levels = 0;
        loop {
            if self.token.kind == TokenKind::Question && LEVEL_HAS_ATTR >= level {
                self.enter(1)?;
                levels += 1;
                left = self.has_attr(left)?;
                last = None;
                continue;
            }
            let Some((op, strength, group)) =
                infix(self.token.kind).filter(|(_, strength, _)| *strength >= level)
            else {
                break;
            };
            if last == Some(strength) {
                return self.unexpected(&[]);
            }
            self.enter(1)?;
            levels += 1;
            let at = self.bump()?.start;
            let right = self.operators(strength + (group != Group::Right) as u8, None)?;
            let span = self.span_to(self.ast.span(left), right);
            left = self.ast.push(Expr::Binary { op, at, left, right }, span);
            last = (group == Group::Never).then_some(strength);
        }
        self.leave(levels);
        Ok(left)
    }

    fn has_attr(&mut self, base: ExprId) -> Parsed<ExprId> {
        self.bump()?;
        let (path, end) = self.attr_path()?;
        let span = self.ast.span(base).to(end);
        Ok(self.ast.push(Expr::HasAttr { base, path }, span))
    }

    fn prefix(&mut self) -> Parsed<ExprId> {
        let operand = match self.token.kind {
            TokenKind::Bang => {
                self.enter(1)?;
                let start = self.bump()?;
                let operand = self.operators(LEVEL_ABOVE_NOT, None)?;
                let span = self.span_to(start, operand);
                self.ast.push(Expr::Not(operand), span)
            }
            TokenKind::Minus => {
                self.enter(1)?;
                let start = self.bump()?;
                let operand = self.prefix()?;
                let span = self.span_to(start, operand);
                self.ast.push(Expr::Neg(operand), span)
            }
            _ => {
                let operand = self.simple()?;
                return self.application(operand);
            }
        };
        self.leave(1);
        Ok(operand)
    }

    /// Where an expression that was just read starts, its parentheses included.
    fn start_of(&self, expr: ExprId) -> Span {
        match self.paren {
            Some((inner, open)) if inner == expr => open,
            _ => self.ast.span(expr),
        }
    }

    /// `f x y`, where the first simple expression has been read.
    fn application(&mut self, simple: ExprId) -> Parsed<ExprId> {
        let func = self.selection(simple)?;
        let start = self.start_of(func);
        if !begins_operand(self.token.kind) {
            return Ok(func);
        }
        let mark = self.exprs.len();
        while begins_operand(self.token.kind) {
            let simple = self.simple()?;
            let arg = self.selection(simple)?;
            self.exprs.push(arg);
        }
        let args = self.exprs.split_off(mark);
        Ok(self.call(start, func, &args))
    }

    /// `x.path`, `x.path or default`, where the simple expression has been read.
    fn selection(&mut self, base: ExprId) -> Parsed<ExprId> {
        let start = self.start_of(base);
        match self.token.kind {
            TokenKind::Dot => {
                self.bump()?;
                let (path, mut end) = self.attr_path()?;
                let mut default = None;
                if self.token.kind == TokenKind::OrKeyword {
                    self.bump()?;
                    self.enter(1)?;
                    let simple = self.simple()?;
                    let value = self.selection(simple)?;
                    self.leave(1);
                    end = self.ast.span(value);
                    default = Some(value);
                }
                Ok(self.ast.push(Expr::Select { base, path, default }, start.to(end)))
            }
            // `or` after a simple expression is an argument: Nixpkgs has a function of that name.
            TokenKind::OrKeyword => {
                let word = self.bump()?;
                let arg = self.ast.push(Expr::Var(Symbol::OR), word);
                let args = self.ast.push_exprs(&[arg]);
                Ok(self.ast.push(Expr::Call { func: base, args }, start.to(word)))
            }
            _ => Ok(base),
        }
    }

    /// `a."b".${c}`; also says where it ends.
    fn attr_path(&mut self) -> Parsed<(AttrPath, Span)> {
        let mark = self.names.len();
        let mut end = self.attr_names()?;
        end.start = end.end;
        let path = self.ast.push_names(&self.names[mark..]);
        self.names.truncate(mark);
        Ok((path, end))
    }

    /// Puts the names of a path on the stack; returns its span.
    fn attr_names(&mut self) -> Parsed<Span> {
        let first = self.attr_name()?;
        self.names.push(first);
        self.more_attr_names(first.span)
    }

    fn more_attr_names(&mut self, mut span: Span) -> Parsed<Span> {
        while self.token.kind == TokenKind::Dot {
            self.bump()?;
            let name = self.attr_name()?;
            self.names.push(name);
            span.end = name.span.end;
        }
        Ok(span)
    }

    fn attr_name(&mut self) -> Parsed<AttrName> {
        let start = self.token.span;
        let value = match self.token.kind {
            TokenKind::Id | TokenKind::OrKeyword => {
                self.bump()?;
                let name = Symbol::intern(self.lexer.text(start));
                return Ok(AttrName { kind: AttrNameKind::Static(name), span: start });
            }
            TokenKind::Quote => self.string()?,
            TokenKind::DollarCurly => {
                self.bump()?;
                let value = self.expr()?;
                let close = self.expect(&[TokenKind::CurlyClose])?;
                let span = start.to(close);
                return Ok(AttrName { kind: self.attr_name_kind(value), span });
            }
            _ => {
                return self.unexpected(&[
                    TokenKind::Id,
                    TokenKind::OrKeyword,
                    TokenKind::DollarCurly,
                    TokenKind::Quote,
                ]);
            }
        };
        Ok(AttrName { kind: self.attr_name_kind(value), span: self.ast.span(value) })
    }

    /// A name that is a plain string is as good as an identifier.
    fn attr_name_kind(&self, value: ExprId) -> AttrNameKind {
        match self.ast.expr(value) {
            Expr::Str(text) | Expr::Uri(text) => {
                AttrNameKind::Static(Symbol::intern(self.ast.text(text)))
            }
            _ => AttrNameKind::Dynamic(value),
        }
    }

    pub fn variable(&mut self, name: Span) -> ExprId {
        let symbol = Symbol::intern(self.lexer.text(name));
        let expr = if symbol == Symbol::CUR_POS { Expr::CurPos } else { Expr::Var(symbol) };
        self.ast.push(expr, name)
    }

    /// An expression that needs no parentheses anywhere.
    fn simple(&mut self) -> Parsed<ExprId> {
        match self.token.kind {
            TokenKind::Id => {
                let name = self.bump()?;
                Ok(self.variable(name))
            }
            TokenKind::Int => self.int(),
            TokenKind::Float => self.float(),
            TokenKind::Quote => self.string(),
            TokenKind::IndOpen => self.indented_string(),
            TokenKind::Path => self.path(false),
            TokenKind::HomePath => self.path(true),
            TokenKind::SearchPath => self.search_path(),
            TokenKind::Uri => self.uri(),
            TokenKind::ParenOpen => {
                let open = self.bump()?;
                let inner = self.expr()?;
                self.expect(&[TokenKind::ParenClose])?;
                self.paren = Some((inner, open));
                Ok(inner)
            }
            TokenKind::Let => {
                let start = self.bump()?;
                self.require(&[TokenKind::CurlyOpen])?;
                self.legacy_let(start)
            }
            TokenKind::Rec => {
                let start = self.bump()?;
                self.recursive_set(start)
            }
            TokenKind::CurlyOpen => {
                let open = self.bump()?;
                self.set(open, None)
            }
            TokenKind::BracketOpen => self.list(),
            _ => self.unexpected(&[]),
        }
    }

    fn list(&mut self) -> Parsed<ExprId> {
        // An element is no whole expression, so its depth is not counted there.
        self.enter(1)?;
        let open = self.bump()?;
        let mark = self.exprs.len();
        while self.token.kind != TokenKind::BracketClose {
            let simple = self.simple()?;
            let element = self.selection(simple)?;
            self.exprs.push(element);
        }
        let close = self.bump()?;
        let elements = self.ast.push_exprs(&self.exprs[mark..]);
        self.exprs.truncate(mark);
        self.leave(1);
        Ok(self.ast.push(Expr::List(elements), open.to(close)))
    }

    /// `{ ... }` after the brace; `first` is the first name where it has been read.
    fn set(&mut self, open: Span, first: Option<AttrName>) -> Parsed<ExprId> {
        let set = self.ast.push_set(AttrSet::default());
        if first.is_some() || self.token.kind != TokenKind::CurlyClose {
            self.bindings(set, &[TokenKind::Inherit], first)?;
        }
        let close = self.expect(&[TokenKind::CurlyClose])?;
        Ok(self.ast.push(Expr::Set(set), open.to(close)))
    }

    /// `{ ... }` after `rec` or a legacy `let`.
    fn recursive_set(&mut self, start: Span) -> Parsed<ExprId> {
        self.expect(&[TokenKind::CurlyOpen])?;
        let set = self.ast.push_set(AttrSet { recursive: true, ..AttrSet::default() });
        self.bindings(set, &[TokenKind::Inherit, TokenKind::CurlyClose], None)?;
        let close = self.expect(&[TokenKind::CurlyClose])?;
        Ok(self.ast.push(Expr::Set(set), start.to(close)))
    }

    /// `let { ... }`: the `body` of a recursive set.
    fn legacy_let(&mut self, start: Span) -> Parsed<ExprId> {
        let base = self.recursive_set(start)?;
        let span = self.ast.span(base);
        let body = AttrName { kind: AttrNameKind::Static(Symbol::BODY), span };
        let path = self.ast.push_names(&[body]);
        Ok(self.ast.push(Expr::Select { base, path, default: None }, span))
    }

    /// Bindings up to `}` or `in`, which is left. `expected` is for complaints.
    fn bindings(
        &mut self,
        set: SetId,
        expected: &'static [TokenKind],
        first: Option<AttrName>,
    ) -> Parsed<()> {
        if let Some(first) = first {
            self.binding(set, Some(first))?;
        }
        loop {
            match self.token.kind {
                TokenKind::Id
                | TokenKind::OrKeyword
                | TokenKind::Quote
                | TokenKind::DollarCurly => {
                    self.binding(set, None)?;
                }
                TokenKind::Inherit => self.inherit(set)?,
                TokenKind::CurlyClose if !expected.contains(&TokenKind::In) => return Ok(()),
                TokenKind::In if expected.contains(&TokenKind::In) => return Ok(()),
                _ => return self.unexpected(expected),
            }
        }
    }

    /// `path = value;`
    fn binding(&mut self, set: SetId, first: Option<AttrName>) -> Parsed<()> {
        let mark = self.names.len();
        let span = match first {
            Some(first) => {
                self.names.push(first);
                self.more_attr_names(first.span)?
            }
            None => self.attr_names()?,
        };
        if self.token.kind != TokenKind::Assign {
            return self.unexpected(&[TokenKind::Dot, TokenKind::Assign]);
        }
        self.bump()?;
        let levels = (self.names.len() - mark) as u32 - 1;
        self.enter(levels)?;
        let value = self.expr()?;
        self.leave(levels);
        self.expect(&[TokenKind::Semicolon])?;
        self.index.bind(&mut self.ast, set, &self.names[mark..], span, value)?;
        self.names.truncate(mark);
        Ok(())
    }

    /// `inherit a b;` or `inherit (source) a b;`
    fn inherit(&mut self, set: SetId) -> Parsed<()> {
        self.bump()?;
        let mut source = None;
        if self.token.kind == TokenKind::ParenOpen {
            self.bump()?;
            let from = self.expr()?;
            self.expect(&[TokenKind::ParenClose])?;
            source = Some(from);
        }
        let mark = self.names.len();
        while self.token.kind != TokenKind::Semicolon {
            if !matches!(
                self.token.kind,
                TokenKind::Id | TokenKind::OrKeyword | TokenKind::Quote | TokenKind::DollarCurly
            ) {
                return self.unexpected(&[]);
            }
            let name = self.attr_name()?;
            if let AttrNameKind::Dynamic(_) = name.kind {
                return self.fail(name.span, SyntaxErrorKind::DynamicInInherit);
            }
            self.names.push(name);
        }
        self.bump()?;
        let from = source.map(|source| {
            let sources = &mut self.ast.sets[set.index()].inherit_from;
            sources.push(source);
            sources.len() as u32 - 1
        });
        for index in mark..self.names.len() {
            let AttrName { kind: AttrNameKind::Static(name), span } = self.names[index] else {
                continue;
            };
            let value = match from {
                Some(from) => AttrValue::InheritFrom(from),
                None => AttrValue::Inherit(self.ast.push(Expr::Var(name), span)),
            };
            self.index.inherit(&mut self.ast, set, Attr { name, span, value })?;
        }
        self.names.truncate(mark);
        Ok(())
    }
}
