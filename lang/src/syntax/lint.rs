//! What is allowed but unwise: literals that C++ Nix can be told to warn about or to refuse, and the
//! word `or` where a future parser will read it differently.

use super::ast::{ExprId, Span};
use super::error::SyntaxErrorKind;
use super::parser::{Parsed, Parser};

/// What to do about a kind of literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// Nothing.
    #[default]
    Ignore,
    /// Warn.
    Warn,
    /// Refuse.
    Fatal,
}

/// What to do about each kind of literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lints {
    /// `http://example.org`
    pub url: Level,
    /// `a/b` instead of `./a/b`
    pub short_path: Level,
    /// `/a` and `~/a`
    pub absolute_path: Level,
}

/// A kind of literal with its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lint {
    /// An unquoted URL, and whether it is refused.
    Url(String, Level),
    /// A path that begins with a name.
    ShortPath(String),
    /// A path that begins with a slash.
    AbsolutePath(String),
    /// A path that begins with `~/`.
    HomePath(String),
}

/// Something to warn of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// A literal.
    Literal(Lint, Span),
    /// `f or` as an argument; the span is that of the application.
    CursedOr(Span),
}

impl std::fmt::Display for Lint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const ADVICE: &str =
            "by a string, relative path, or parameter (lint-absolute-path-literals)";
        match self {
            Lint::Url(text, level) => {
                let word = if *level == Level::Fatal { "disallowed" } else { "discouraged" };
                write!(
                    f,
                    "URL literals are {word}. Consider using a string literal \"{text}\" instead (lint-url-literals)"
                )
            }
            Lint::ShortPath(text) => write!(
                f,
                "relative path literal '{text}' should be prefixed with '.' for clarity: './{text}' (lint-short-path-literals)"
            ),
            Lint::AbsolutePath(text) => write!(
                f,
                "absolute path literals are not portable. Consider replacing path literal '{text}' {ADVICE}"
            ),
            Lint::HomePath(text) => write!(
                f,
                "home path literals are not portable. Consider replacing path literal '{text}' {ADVICE}"
            ),
        }
    }
}

impl Parser<'_> {
    /// Warns of a literal, or refuses it.
    pub(super) fn lint(
        &mut self,
        level: Level,
        span: Span,
        lint: fn(String, Level) -> Lint,
    ) -> Parsed<()> {
        if level == Level::Ignore {
            return Ok(());
        }
        let text = String::from_utf8_lossy(self.lexer.text(span)).into_owned();
        let lint = lint(text, level);
        if level == Level::Fatal {
            return self.fail(span, SyntaxErrorKind::Lint(lint));
        }
        self.ast.warnings.push(Warning::Literal(lint, span));
        Ok(())
    }

    /// Warns of an operand that is `f or` without parentheses.
    pub(super) fn warn_of_or(&mut self, operand: ExprId) {
        if let Some((expr, span)) = self.cursed
            && expr == operand
        {
            self.ast.warnings.push(Warning::CursedOr(span));
        }
    }
}
