//! The Nix language: source text in, values and derivations out. No store on disk, no terminal.

pub mod diagnostic;
pub mod symbol;
pub mod syntax;
pub mod text;
