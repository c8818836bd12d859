//! What must hold of every parser of untrusted bytes: functions that take any bytes and panic where
//! a law is broken. The fuzz targets and the ordinary tests call the same ones. No fuzzer is named here.

pub mod aterm;
pub mod choices;
pub mod compare;
pub mod evaluate;
pub mod flakeref;
pub mod json;
pub mod nar;
pub mod nix;
pub mod parse;
pub mod path;
pub mod posix;
pub mod program;
pub mod regex;
pub mod rules;
pub mod toml;

/// A law and the name of its target and corpus.
pub struct Probe {
    /// The name.
    pub name: &'static str,
    /// Panics where the law is broken.
    pub check: fn(&[u8]),
}

/// Every law that needs nothing but the bytes.
pub const PROBES: [Probe; 9] = [
    Probe { name: "aterm", check: aterm::check },
    Probe { name: "evaluate", check: evaluate::check },
    Probe { name: "flakeref", check: flakeref::check },
    Probe { name: "json", check: json::check },
    Probe { name: "nar", check: nar::check },
    Probe { name: "parse", check: parse::check },
    Probe { name: "path", check: path::check },
    Probe { name: "regex", check: regex::check },
    Probe { name: "toml", check: toml::check },
];
