//! The builtins: one table, made of one file for each family. Here: the table, and how it
//! becomes the global names of a program.

mod attrs;
mod context;
mod control;
pub(crate) mod fetch;
mod files;
mod flakes;
pub(crate) mod json;
mod lists;
pub mod manual;
mod math;
mod sort;
pub(crate) mod strings;
mod toml;
mod types;
mod versions;
pub(crate) mod xml;

pub(crate) use attrs::missing;

use std::sync::LazyLock;

use crate::error::Res;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::Value;

/// What a builtin does: its arguments are not forced, except those marked strict.
pub(crate) type Run = fn(&mut Machine, &[Value], Loc) -> Res<Value>;

/// No builtin takes more arguments.
pub(crate) const MAX_ARITY: usize = 3;

/// A builtin function.
pub(crate) struct Prim {
    /// Its name in `builtins`.
    pub(crate) name: &'static str,
    /// How many arguments it takes.
    pub(crate) arity: usize,
    /// Bit i: argument i is always forced first, so a caller may evaluate it at once.
    pub(crate) strict: u8,
    /// The function.
    pub(crate) run: Run,
}

impl Prim {
    const fn new(name: &'static str, arity: usize, strict: u8, run: Run) -> Prim {
        assert!(arity <= MAX_ARITY);
        Prim { name, arity, strict, run }
    }

    /// The name for messages.
    pub(crate) fn shown(&self) -> &'static str {
        self.name
    }
}

/// Names that programs may use without `builtins.`; all others get two underscores.
const UNPREFIXED: &[&str] = &[
    "abort",
    "baseNameOf",
    "break",
    "derivation",
    "derivationStrict",
    "dirOf",
    "false",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fetchTree",
    "fromTOML",
    "import",
    "isNull",
    "map",
    "null",
    "placeholder",
    "removeAttrs",
    "scopedImport",
    "throw",
    "toString",
    "true",
];

static TABLE: LazyLock<Vec<Prim>> = LazyLock::new(|| {
    let mut all = Vec::new();
    all.extend(types::prims());
    all.extend(math::prims());
    all.extend(lists::prims());
    all.extend(attrs::prims());
    all.extend(strings::prims());
    all.extend(versions::prims());
    all.extend(json::prims());
    all.extend(context::prims());
    all.extend(control::prims());
    all.extend(files::prims());
    all.extend(fetch::prims());
    all.extend(flakes::prims());
    all.extend(toml::prims());
    all.extend(xml::prims());
    all
});

/// All builtin functions.
pub(crate) fn table() -> &'static [Prim] {
    &TABLE
}

/// The version of C++ Nix whose language this is.
pub(crate) const NIX_VERSION: &str = "2.34.8";
const LANG_VERSION: i64 = 6;

/// Fills the machine's globals.
pub(crate) fn register(machine: &mut Machine) {
    let mut all: Vec<(&'static str, Value)> = Vec::new();
    for (prim, index) in table().iter().zip(0..) {
        match (prim.name, machine.settings.pure) {
            (control::CLOCK, true) => {}
            // Looked at when somebody wants to know, so that it is known whether anybody does.
            (control::CLOCK, false) => {
                all.push((prim.name, machine.delay_call(Value::Prim(index), Value::Null)));
            }
            _ => all.push((prim.name, Value::Prim(index))),
        }
    }
    all.push(("true", Value::Bool(true)));
    all.push(("false", Value::Bool(false)));
    all.push(("null", Value::Null));
    all.push(("langVersion", Value::Int(LANG_VERSION)));
    all.push(("nixVersion", machine.string(NIX_VERSION.as_bytes())));
    all.push(("storeDir", machine.string(floe_core::path::STORE_DIR.as_bytes())));
    if !machine.settings.pure {
        let system = machine.host.current_system();
        all.push(("currentSystem", machine.string(system.as_bytes())));
    }
    let path = control::nix_path(machine);
    all.push(("nixPath", path));
    let own = machine.delay_call(Value::Null, Value::Null);
    all.push(("builtins", own));
    let mut attrs = Vec::with_capacity(all.len());
    for &(name, value) in &all {
        attrs.push((Symbol::intern(name), value));
        let global = if UNPREFIXED.contains(&name) || name == "builtins" {
            name.to_owned()
        } else {
            format!("__{name}")
        };
        machine.globals.insert(Symbol::intern(global), value);
    }
    let builtins = machine.attrs(attrs);
    if let Value::Thunk(thunk) = own {
        thunk.0.set(crate::value::State::Done(builtins));
    }
    machine.globals.insert(Symbol::intern("builtins"), builtins);
}
