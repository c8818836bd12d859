//! The Nix language: source text in, values and derivations out. No store on disk, no terminal.
//!
//! Start reading at [`Evaluator`]; what evaluation may ask of the world is [`host::Host`], what
//! it hands on is [`graph::DrvGraph`].

mod append;
mod assertion;
mod attrs;
mod builtins;
mod calls;
mod code;
mod coerce;
mod collect;
mod compile;
mod context;
mod deep;
pub mod diagnostic;
mod doc;
mod drv;
pub mod error;
mod evaluator;
#[cfg(test)]
mod evaluator_tests;
mod failures;
mod frames;
pub mod graph;
mod heap;
pub mod host;
mod import;
mod json;
mod machine;
mod marker;
pub mod memory;
mod ops;
pub mod os_host;
mod pages;
mod paths;
mod place;
mod print;
pub mod profile;
mod promise;
mod realise;
mod rows;
mod select;
mod session;
#[cfg(test)]
mod session_tests;
mod sets;
pub mod settings;
mod show;
mod source;
pub mod stats;
mod suggest;
pub mod symbol;
pub mod syntax;
mod table;
pub mod text;
pub mod track;
mod value;
mod watch;

pub use builtins::manual;
pub use collect::Wanted;
pub use doc::Documentation;
pub use error::{ErrorKind, EvalError, Frame, Shown};
pub use evaluator::{Argument, Evaluator, Handle};
pub use pages::{Shelf, give_back};
pub use rows::Rows;
pub use settings::{SearchEntry, Settings};
pub use source::SourceName;
pub use table::Table;
pub use watch::Interrupt;
