//! Tokens to tree: recursive descent, with precedence climbing for operators. Literals, set patterns
//! and the merging of bindings are in the modules beside it.
//!
//! The lists of expected tokens in errors are those of C++ Nix's LALR(1) automaton, which reduces
//! before it complains: after a complete operand only what may follow the whole expression is listed.

use super::ast::*;
use super::bindings::Index;
use super::error::{SyntaxError, SyntaxErrorKind};
use super::lexer::{Lexer, Token};
use super::lint::Lints;
use super::token::TokenKind;
use crate::symbol::Symbol;

/// How deep expressions may nest.
pub const MAX_DEPTH: u32 = 10_000;

/// The parser recurses: what the deepest nesting takes of the stack, generously (a debug build needs
/// about 2 kB a level). A caller with less left is given a stack of this size.
const STACK_BYTES: usize = 32 << 20;

/// Syntax that C++ Nix hides behind experimental features, and what it can be told to refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// `x |> f` and `f <| x`
    pub pipe_operators: bool,
    /// What to do about unwise literals.
    pub lints: Lints,
}

/// Parses a whole file.
pub fn parse(file: FileId, text: &[u8], features: Features) -> Result<Ast, SyntaxError> {
    parse_with(file, text, features, |parser| parser.file())
}

/// Parses a text as the given part of the grammar, which must take all of it.
pub(super) fn parse_with(
    file: FileId,
    text: &[u8],
    features: Features,
    part: fn(&mut Parser<'_>) -> Parsed<()>,
) -> Result<Ast, SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError { span: Span::default(), kind: SyntaxErrorKind::TooLarge });
    }
    let mut parser = Parser {
        lexer: Lexer::new(text, features.pipe_operators),
        token: Token { kind: TokenKind::Eof, span: Span::default() },
        ast: Ast::new(file),
        index: Index::default(),
        paren: None,
        cursed: None,
        lints: features.lints,
        depth: 0,
        exprs: Vec::new(),
        names: Vec::new(),
    };
    stacker::maybe_grow(STACK_BYTES, STACK_BYTES, || part(&mut parser)).map_err(|error| *error)?;
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
    pub paren: Option<(ExprId, Span)>,
    /// The last operand of the form `f or`, and where it is.
    pub cursed: Option<(ExprId, Span)>,
    pub lints: Lints,
    /// A stack of list elements and arguments that are not yet in the tree.
    pub exprs: Vec<ExprId>,
    /// A stack of attribute names that are not yet in the tree.
    pub names: Vec<AttrName>,
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
    pub(super) fn span_to(&self, start: Span, end: ExprId) -> Span {
        start.to(self.ast.span(end))
    }

    /// Goes `levels` deeper, or complains.
    pub(super) fn enter(&mut self, levels: u32) -> Parsed<()> {
        self.depth = self.depth.saturating_add(levels);
        if self.depth > MAX_DEPTH {
            return self.fail(self.token.span, SyntaxErrorKind::TooDeep(MAX_DEPTH));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, levels: u32) {
        self.depth -= levels;
    }

    pub(super) fn file(&mut self) -> Parsed<()> {
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
    pub(super) fn lambda_or_operand(&mut self) -> Parsed<ExprId> {
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
    pub(super) fn pattern_or_set(&mut self) -> Parsed<ExprId> {
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

    pub(super) fn lambda(
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

    pub(super) fn guard(&mut self) -> Parsed<ExprId> {
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

    pub(super) fn conditional(&mut self) -> Parsed<ExprId> {
        let start = self.bump()?;
        let cond = self.expr()?;
        self.expect(&[TokenKind::Then])?;
        let yes = self.expr()?;
        self.expect(&[TokenKind::Else])?;
        let no = self.expr()?;
        let span = self.span_to(start, no);
        Ok(self.ast.push(Expr::If { cond, yes, no }, span))
    }

    pub(super) fn let_in(&mut self) -> Parsed<ExprId> {
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
}
