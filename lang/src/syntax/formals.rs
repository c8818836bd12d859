//! Set patterns: `{ a, b ? 1, ... }`. The arrow to the body and `@` belong to the parser.

use rustc_hash::FxHashMap;

use super::ast::*;
use super::error::SyntaxErrorKind;
use super::parser::{Parsed, Parser};
use super::token::TokenKind;
use crate::symbol::Symbol;

impl Parser<'_> {
    /// A pattern after its opening brace, and the closing brace. `first` is a name that has been read.
    pub fn formals(&mut self, first: Option<(Symbol, Span)>) -> Parsed<Formals> {
        let mut formals = Formals::default();
        let mut read = first;
        loop {
            let (name, span) = match (read.take(), self.token.kind) {
                (Some(first), _) => first,
                (None, TokenKind::Id) => {
                    let span = self.bump()?;
                    (Symbol::intern(self.lexer.text(span)), span)
                }
                (None, TokenKind::CurlyClose) => break,
                (None, TokenKind::Ellipsis) => {
                    self.bump()?;
                    formals.ellipsis = true;
                    self.require(&[TokenKind::CurlyClose])?;
                    break;
                }
                _ => {
                    return self.unexpected(&[
                        TokenKind::Id,
                        TokenKind::Ellipsis,
                        TokenKind::CurlyClose,
                    ]);
                }
            };
            let mut default = None;
            if self.token.kind == TokenKind::Question {
                self.bump()?;
                default = Some(self.expr()?);
            }
            formals.list.push(Formal { name, span, default });
            match self.token.kind {
                TokenKind::Comma => {
                    self.bump()?;
                }
                TokenKind::CurlyClose => break,
                _ => return self.unexpected(&[TokenKind::CurlyClose, TokenKind::Comma]),
            }
        }
        self.bump()?;
        Ok(formals)
    }

    /// No name twice, and none that is also the name of the whole argument.
    pub fn check_formals(&self, start: Span, arg: Option<Symbol>, formals: &Formals) -> Parsed<()> {
        let mut seen: FxHashMap<Symbol, usize> = FxHashMap::default();
        let mut worst: Option<(Symbol, Span)> = None;
        for (index, formal) in formals.list.iter().enumerate() {
            let first = *seen.entry(formal.name).or_insert(index);
            if first != index && worst.is_none_or(|(other, _)| formal.name < other) {
                worst = Some((formal.name, formal.span));
            }
        }
        if let Some((name, span)) = worst {
            return self.fail(span, SyntaxErrorKind::DuplicateFormal(name.to_string()));
        }
        match arg {
            Some(arg) if seen.contains_key(&arg) => {
                self.fail(start, SyntaxErrorKind::DuplicateFormal(arg.to_string()))
            }
            _ => Ok(()),
        }
    }
}
