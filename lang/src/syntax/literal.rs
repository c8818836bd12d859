//! Literals: numbers, strings, indented strings, paths, URIs. Where one ends is for the scanner to say.

use std::borrow::Cow;

use super::ast::*;
use super::error::SyntaxErrorKind;
use super::indent::{self, IndentPiece};
use super::lexer::{Escape, Piece, Token};
use super::lint::Lint;
use super::parser::{Parsed, Parser};
use super::token::TokenKind;

impl<'t> Parser<'t> {
    pub fn int(&mut self) -> Parsed<ExprId> {
        let span = self.bump()?;
        let text = ascii(self.lexer.text(span));
        match text.parse() {
            Ok(value) => Ok(self.ast.push(Expr::Int(value), span)),
            Err(_) => self.fail(span, SyntaxErrorKind::InvalidInt(text.to_owned())),
        }
    }

    pub fn float(&mut self) -> Parsed<ExprId> {
        let span = self.bump()?;
        let text = ascii(self.lexer.text(span));
        let value: f64 = text.parse().expect("the scanner takes only what is a float");
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let zero = !mantissa.bytes().any(|digit| matches!(digit, b'1'..=b'9'));
        if value.is_normal() || zero {
            return Ok(self.ast.push(Expr::Float(value), span));
        }
        self.fail(span, SyntaxErrorKind::InvalidFloat(text.to_owned()))
    }

    pub fn uri(&mut self) -> Parsed<ExprId> {
        let span = self.bump()?;
        self.lint(self.lints.url, span, Lint::Url)?;
        let text = self.ast.push_text(self.lexer.text(span));
        Ok(self.ast.push(Expr::Uri(text), span))
    }

    pub fn search_path(&mut self) -> Parsed<ExprId> {
        let span = self.bump()?;
        let text = self.lexer.text(span);
        let text = self.ast.push_text(&text[1..text.len() - 1]);
        Ok(self.ast.push(Expr::SearchPath(text), span))
    }

    /// `${` has been read: the expression up to `}`, after which the scanner stands.
    fn interpolation(&mut self, open: Span) -> Parsed<(ExprId, Span)> {
        self.bump()?;
        let expr = self.expr()?;
        self.require(&[TokenKind::CurlyClose])?;
        Ok((expr, open.to(self.token.span)))
    }

    /// The text ended inside of a literal.
    fn unfinished<T>(&self, expected: &'static [TokenKind]) -> Parsed<T> {
        let end = self.lexer.offset();
        let token = Token { kind: TokenKind::Eof, span: Span { start: end, end } };
        self.unexpected_token(token, expected)
    }

    pub fn string(&mut self) -> Parsed<ExprId> {
        let open = self.token.span;
        // Most strings have one part.
        let mut only = None;
        let mut parts = Vec::new();
        loop {
            let part = match self.lexer.string_piece() {
                Piece::Interpolation(at) => {
                    let (expr, span) = self.interpolation(at)?;
                    Part::Interpolation(expr, span)
                }
                Piece::End(close) => {
                    self.bump()?;
                    let parts = if parts.is_empty() { only.as_slice() } else { &parts };
                    return Ok(self.joined(parts, open.to(close)));
                }
                Piece::Eof => return self.unfinished(&[TokenKind::Quote]),
                Piece::Literal(span) | Piece::Escape(span, _) => {
                    let text = self.lexer.text(span);
                    let text = unescape(text);
                    self.check_nul(&text, span)?;
                    Part::Literal(self.ast.push_text(&text))
                }
            };
            match only {
                None => only = Some(part),
                Some(first) => {
                    if parts.is_empty() {
                        parts.push(first);
                    }
                    parts.push(part);
                }
            }
        }
    }

    pub fn indented_string(&mut self) -> Parsed<ExprId> {
        let open = self.token.span;
        let mut pieces: Vec<IndentPiece<'t, (ExprId, Span)>> = Vec::new();
        let close = loop {
            match self.lexer.indented_piece() {
                Piece::Interpolation(at) => pieces.push(IndentPiece::Expr(self.interpolation(at)?)),
                Piece::End(close) => break close,
                Piece::Eof => {
                    return self.unfinished(&[
                        TokenKind::IndStr,
                        TokenKind::DollarCurly,
                        TokenKind::IndClose,
                    ]);
                }
                Piece::Literal(span) => {
                    let text = self.lexer.text(span);
                    self.check_nul(text, span)?;
                    pieces.push(IndentPiece::Plain(text));
                }
                Piece::Escape(span, escape) => {
                    let text: Cow<'t, [u8]> = match escape {
                        Escape::Dollar => Cow::Borrowed(b"$"),
                        Escape::Quotes => Cow::Borrowed(b"''"),
                        Escape::Quote => Cow::Borrowed(b"'"),
                        Escape::Byte(byte) => Cow::Owned(vec![escaped(byte)]),
                    };
                    self.check_nul(&text, span)?;
                    pieces.push(IndentPiece::Escaped(text));
                }
            }
        };
        self.bump()?;
        let parts: Vec<Part> = indent::strip(pieces)
            .into_iter()
            .map(|piece| match piece {
                Ok(text) => Part::Literal(self.ast.push_text(&text)),
                Err((expr, span)) => Part::Interpolation(expr, span),
            })
            .collect();
        Ok(self.joined(&parts, open.to(close)))
    }

    /// A string of these parts: plain where there is nothing to compute or to join.
    fn joined(&mut self, parts: &[Part], span: Span) -> ExprId {
        let expr = match parts {
            [] => Expr::Str(self.ast.push_text(b"")),
            [Part::Literal(text)] => Expr::Str(*text),
            _ => Expr::Interpolated(self.ast.push_parts(parts)),
        };
        self.ast.push(expr, span)
    }

    /// A path whose beginning is the next token.
    pub fn path(&mut self, home: bool) -> Parsed<ExprId> {
        let mut span = self.token.span;
        let first = self.lexer.text(span);
        let kind = match first {
            _ if home => PathKind::Home,
            [b'/', ..] => PathKind::Absolute,
            _ => PathKind::Relative,
        };
        match kind {
            PathKind::Absolute => {
                self.lint(self.lints.absolute_path, span, |text, _| Lint::AbsolutePath(text))?;
            }
            PathKind::Home => {
                self.lint(self.lints.absolute_path, span, |text, _| Lint::HomePath(text))?;
            }
            PathKind::Relative if first.starts_with(b".") => {}
            PathKind::Relative => {
                self.lint(self.lints.short_path, span, |text, _| Lint::ShortPath(text))?;
            }
        }
        let start = span;
        let mut last = span;
        let mut parts = vec![Part::Literal(self.ast.push_text(first))];
        loop {
            let piece = self.lexer.path_piece(last)?;
            // What directly follows the beginning must be an interpolation, or be followed by one.
            if parts.len() == 2 && matches!(parts[1], Part::Literal(_)) {
                let (kind, span) = match piece {
                    Piece::Literal(span) => (TokenKind::Str, span),
                    Piece::End(_) if self.lexer.at_end() => (TokenKind::PathEnd, start),
                    Piece::End(span) => (TokenKind::PathEnd, span),
                    _ => (TokenKind::DollarCurly, span),
                };
                if kind != TokenKind::DollarCurly {
                    return self.unexpected_token(Token { kind, span }, &[TokenKind::DollarCurly]);
                }
            }
            match piece {
                Piece::Interpolation(at) => {
                    let (expr, whole) = self.interpolation(at)?;
                    parts.push(Part::Interpolation(expr, whole));
                    last = whole;
                    span.end = whole.end;
                }
                Piece::Literal(text) | Piece::Escape(text, _) => {
                    let bytes = self.lexer.text(text);
                    last = text;
                    parts.push(Part::Literal(self.ast.push_text(bytes)));
                    span.end = text.end;
                }
                Piece::End(_) | Piece::Eof => break,
            }
        }
        self.bump()?;
        let parts = self.ast.push_parts(&parts);
        Ok(self.ast.push(Expr::Path(kind, parts), span))
    }

    fn check_nul(&self, text: &[u8], span: Span) -> Parsed<()> {
        if memchr::memchr(0, text).is_none() {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(text).replace('\0', "␀");
        self.fail(span, SyntaxErrorKind::NulByte(shown))
    }
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("the scanner takes only ASCII as a number")
}

/// What a backslash and this byte stand for.
fn escaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// Resolves escapes, and makes every line end `\n`.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut special) = memchr::memchr2(b'\\', b'\r', text) else {
        return Cow::Borrowed(text);
    };
    let mut rest = text;
    let mut plain = Vec::with_capacity(text.len());
    loop {
        plain.extend_from_slice(&rest[..special]);
        rest = match &rest[special..] {
            [b'\\', byte, rest @ ..] => {
                plain.push(escaped(*byte));
                rest
            }
            [b'\r', b'\n', rest @ ..] | [b'\r', rest @ ..] => {
                plain.push(b'\n');
                rest
            }
            other => {
                plain.extend_from_slice(other);
                &[]
            }
        };
        match memchr::memchr2(b'\\', b'\r', rest) {
            Some(next) => special = next,
            None => {
                plain.extend_from_slice(rest);
                return Cow::Owned(plain);
            }
        }
    }
}
