//! Codecs that the builtins need, on plain data. Nothing here knows values, thunks or the syntax tree.

pub mod flakeref;
pub mod float;
pub mod json;
pub mod regex;
pub mod toml;
pub mod version;
pub mod xml;
