//! Source text to syntax tree and back. Nothing here evaluates, resolves names or opens a file.
//!
//! [`parse`] makes an [`ast::Ast`]; [`print::expression`] writes one as `nix-instantiate --parse` does;
//! [`lines::LineTable`] turns offsets into lines and columns when a position is shown.

pub mod ast;
mod bindings;
pub mod error;
mod formals;
mod indent;
pub mod input;
mod lexer;
pub mod lines;
pub mod lint;
mod literal;
mod operands;
mod operators;
mod parser;
pub mod print;
mod sets;
#[cfg(test)]
mod tests;
pub mod token;

pub use error::{SyntaxError, SyntaxErrorKind};
pub use parser::{Features, MAX_DEPTH, parse};
