//! Operands: simple expressions, selections, applications and attribute paths.

use super::ast::*;
use super::parser::*;
use super::token::TokenKind;
use crate::symbol::Symbol;

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
    /// Where an expression that was just read starts, its parentheses included.
    pub(super) fn start_of(&self, expr: ExprId) -> Span {
        match self.paren {
            Some((inner, open)) if inner == expr => open,
            _ => self.ast.span(expr),
        }
    }

    /// `f x y`, where the first simple expression has been read.
    pub(super) fn application(&mut self, simple: ExprId) -> Parsed<ExprId> {
        let func = self.selection(simple)?;
        self.cursed = None;
        let start = self.start_of(func);
        if !begins_operand(self.token.kind) {
            return Ok(func);
        }
        let mark = self.exprs.len();
        while begins_operand(self.token.kind) {
            let simple = self.simple()?;
            let arg = self.selection(simple)?;
            self.warn_of_or(arg);
            self.exprs.push(arg);
        }
        let args = self.exprs.split_off(mark);
        Ok(self.call(start, func, &args))
    }

    /// `x.path`, `x.path or default`, where the simple expression has been read.
    pub(super) fn selection(&mut self, base: ExprId) -> Parsed<ExprId> {
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
                    self.warn_of_or(value);
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
                let span = start.to(word);
                let call = self.ast.push(Expr::Call { func: base, args }, span);
                self.cursed = Some((call, span));
                Ok(call)
            }
            _ => Ok(base),
        }
    }

    /// `a."b".${c}`; also says where it ends.
    pub(super) fn attr_path(&mut self) -> Parsed<(AttrPath, Span)> {
        let mark = self.names.len();
        let mut end = self.attr_names()?;
        end.start = end.end;
        let path = self.ast.push_names(&self.names[mark..]);
        self.names.truncate(mark);
        Ok((path, end))
    }

    /// Puts the names of a path on the stack; returns its span.
    pub(super) fn attr_names(&mut self) -> Parsed<Span> {
        let first = self.attr_name()?;
        self.names.push(first);
        self.more_attr_names(first.span)
    }

    pub(super) fn more_attr_names(&mut self, mut span: Span) -> Parsed<Span> {
        while self.token.kind == TokenKind::Dot {
            self.bump()?;
            let name = self.attr_name()?;
            self.names.push(name);
            span.end = name.span.end;
        }
        Ok(span)
    }

    pub(super) fn attr_name(&mut self) -> Parsed<AttrName> {
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
    pub(super) fn attr_name_kind(&self, value: ExprId) -> AttrNameKind {
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
    pub(super) fn simple(&mut self) -> Parsed<ExprId> {
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

    pub(super) fn list(&mut self) -> Parsed<ExprId> {
        // An element is no whole expression, so its depth is not counted there.
        self.enter(1)?;
        let open = self.bump()?;
        let mark = self.exprs.len();
        while self.token.kind != TokenKind::BracketClose {
            let simple = self.simple()?;
            let element = self.selection(simple)?;
            self.warn_of_or(element);
            self.exprs.push(element);
        }
        let close = self.bump()?;
        let elements = self.ast.push_exprs(&self.exprs[mark..]);
        self.exprs.truncate(mark);
        self.leave(1);
        Ok(self.ast.push(Expr::List(elements), open.to(close)))
    }
}
