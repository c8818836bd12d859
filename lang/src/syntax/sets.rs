//! Sets, the legacy `let` and the bindings between braces. Merging them is `bindings`.

use super::ast::*;
use super::error::SyntaxErrorKind;
use super::parser::*;
use super::token::TokenKind;
use crate::symbol::Symbol;

impl Parser<'_> {
    /// `{ ... }` after the brace; `first` is the first name where it has been read.
    pub(super) fn set(&mut self, open: Span, first: Option<AttrName>) -> Parsed<ExprId> {
        let set = self.ast.push_set(AttrSet::default());
        if first.is_some() || self.token.kind != TokenKind::CurlyClose {
            self.bindings(set, &[TokenKind::Inherit], first)?;
        }
        let close = self.expect(&[TokenKind::CurlyClose])?;
        Ok(self.ast.push(Expr::Set(set), open.to(close)))
    }

    /// `{ ... }` after `rec` or a legacy `let`.
    pub(super) fn recursive_set(&mut self, start: Span) -> Parsed<ExprId> {
        self.expect(&[TokenKind::CurlyOpen])?;
        let set = self.ast.push_set(AttrSet { recursive: true, ..AttrSet::default() });
        self.bindings(set, &[TokenKind::Inherit, TokenKind::CurlyClose], None)?;
        let close = self.expect(&[TokenKind::CurlyClose])?;
        Ok(self.ast.push(Expr::Set(set), start.to(close)))
    }

    /// `let { ... }`: the `body` of a recursive set.
    pub(super) fn legacy_let(&mut self, start: Span) -> Parsed<ExprId> {
        let base = self.recursive_set(start)?;
        let span = self.ast.span(base);
        let body = AttrName { kind: AttrNameKind::Static(Symbol::BODY), span };
        let path = self.ast.push_names(&[body]);
        Ok(self.ast.push(Expr::Select { base, path, default: None }, span))
    }

    /// Bindings up to `}` or `in`, which is left. `expected` is for complaints.
    pub(super) fn bindings(
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
    pub(super) fn binding(&mut self, set: SetId, first: Option<AttrName>) -> Parsed<()> {
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
    pub(super) fn inherit(&mut self, set: SetId) -> Parsed<()> {
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
