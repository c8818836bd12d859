//! What can be wrong with a text, in the words of C++ Nix. Positions are spans; naming them is the caller's part.

use std::fmt;

use super::ast::Span;
use super::lint::Lint;
use super::token::TokenKind;

/// Why a text is no Nix expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Where: messages point at its start.
    pub span: Span,
    /// What.
    pub kind: SyntaxErrorKind,
}

/// The kinds of fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SyntaxErrorKind {
    /// A token that cannot stand here.
    Unexpected {
        /// The token.
        found: TokenKind,
        /// What could stand here; empty where more than four kinds could.
        expected: &'static [TokenKind],
    },
    /// The same attribute twice.
    DuplicateAttr {
        /// The attribute path, as Nix writes it.
        path: String,
        /// Where it was bound before.
        previous: Span,
    },
    /// The same name twice among a function's arguments.
    DuplicateFormal(String),
    /// `let ${x} = ...;`
    DynamicInLet,
    /// `inherit ${x};`
    DynamicInInherit,
    /// An integer that is none of 64 bits.
    InvalidInt(String),
    /// A float that overflows or underflows.
    InvalidFloat(String),
    /// `./a/` before something that is no path.
    TrailingSlash,
    /// A NUL byte in a string.
    NulByte(String),
    /// Syntax that must be switched on.
    FeatureDisabled(&'static str),
    /// Deeper nesting than the limit.
    TooDeep(u32),
    /// More bytes than a span can count.
    TooLarge,
    /// A literal that the settings refuse.
    Lint(Lint),
}

impl SyntaxError {
    /// The message as C++ Nix words it; `locate` names a place as `file:line:column`.
    pub fn message(&self, locate: impl Fn(Span) -> String) -> String {
        match &self.kind {
            SyntaxErrorKind::DuplicateAttr { path, previous } => {
                format!("attribute '{path}' already defined at {}", locate(*previous))
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SyntaxErrorKind::Unexpected { found, expected } => {
                write!(f, "syntax error, unexpected {}", found.name())?;
                for (index, kind) in expected.iter().enumerate() {
                    let joint = if index == 0 { ", expecting" } else { " or" };
                    write!(f, "{joint} {}", kind.name())?;
                }
                Ok(())
            }
            SyntaxErrorKind::DuplicateAttr { path, previous } => {
                write!(f, "attribute '{path}' already defined at byte {}", previous.start)
            }
            SyntaxErrorKind::DuplicateFormal(name) => {
                write!(f, "duplicate formal function argument '{name}'")
            }
            SyntaxErrorKind::DynamicInLet => f.write_str("dynamic attributes not allowed in let"),
            SyntaxErrorKind::DynamicInInherit => {
                f.write_str("dynamic attributes not allowed in inherit")
            }
            SyntaxErrorKind::InvalidInt(text) => write!(f, "invalid integer '{text}'"),
            SyntaxErrorKind::InvalidFloat(text) => write!(f, "invalid float '{text}'"),
            SyntaxErrorKind::TrailingSlash => f.write_str("path has a trailing slash"),
            SyntaxErrorKind::NulByte(text) => write!(
                f,
                "input string '{text}' cannot be represented as Nix string because it contains null bytes"
            ),
            SyntaxErrorKind::FeatureDisabled(name) => write!(
                f,
                "experimental Nix feature '{name}' is disabled; \
                 add '--extra-experimental-features {name}' to enable it"
            ),
            SyntaxErrorKind::TooDeep(limit) => {
                write!(f, "expression is nested more than {limit} levels deep; split it up")
            }
            SyntaxErrorKind::Lint(lint) => write!(f, "{lint}"),
            SyntaxErrorKind::TooLarge => {
                f.write_str("source text is larger than 4 GiB; split it up")
            }
        }
    }
}

impl std::error::Error for SyntaxError {}
