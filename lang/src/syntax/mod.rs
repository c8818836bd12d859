//! Source text to syntax tree and back. Nothing here evaluates, resolves names or opens a file.

pub mod ast;
