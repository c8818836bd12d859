//! From a value to the derivations it stands for: attribute paths, and what `nix-build` takes.

use rustc_hash::FxHashSet;

use crate::context::CtxElem;
use crate::error::{Error, ErrorKind, Res};
use crate::graph::DrvId;
use crate::heap::Gc;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Str, Value};

/// A derivation to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it was found below the value, `a.b.0`; empty for the value itself.
    pub attr_path: String,
    /// The derivation.
    pub drv: DrvId,
    /// Indices of the outputs wanted.
    pub outputs: Vec<u32>,
    /// What `meta.mainProgram` says.
    pub main_program: Option<String>,
}

/// What was found so far; the same set found again counts once.
#[derive(Default)]
struct Found {
    wanted: Vec<Wanted>,
    seen: FxHashSet<usize>,
    /// Whether a string that is one output counts.
    strings: bool,
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Splits `a."b.c".d`; `None` for an open quote.
fn split(path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => parts.push(std::mem::take(&mut part)),
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    c => part.push(c),
                }
            },
            c => part.push(c),
        }
    }
    if !path.is_empty() {
        parts.push(part);
    }
    Some(parts)
}

impl Machine {
    /// Follows an attribute path, calling functions on the way.
    pub(crate) fn follow(
        &mut self,
        value: Value,
        path: &str,
        args: &[(Symbol, Value)],
    ) -> Res<Value> {
        let Some(parts) = split(path) else {
            return Err(Error::eval(
                Loc::NONE,
                format!("missing closing quote in selection path '{path}'"),
            ));
        };
        let mut value = value;
        for part in parts {
            value = self.auto_call(value, args)?;
            if part.is_empty() {
                return Err(Error::eval(
                    Loc::NONE,
                    format!("empty attribute name in selection path '{path}'"),
                ));
            }
            value = match value {
                Value::Attrs(attrs) => {
                    let Some(attr) = Attrs::find(attrs, Symbol::intern(&part)) else {
                        let names = Attrs::all(attrs, &mut self.heap)
                            .iter()
                            .map(|attr| attr.name.as_bytes());
                        let hint = crate::suggest::did_you_mean(part.as_bytes(), names);
                        let message = format!(
                            "attribute '{part}' in selection path '{path}' not found{hint}"
                        );
                        return Err(Error::new(ErrorKind::MissingAttribute, Loc::NONE, message));
                    };
                    self.force_place(&attr.value).map_err(|e| {
                        e.frame(attr.loc, format!("while evaluating the attribute '{part}'"))
                    })?
                }
                Value::List(list) => {
                    let item =
                        part.parse::<usize>().ok().and_then(|index| list.places().get(index));
                    let Some(item) = item else {
                        let message =
                            format!("list index {part} in selection path '{path}' is out of range");
                        return Err(Error::new(ErrorKind::MissingAttribute, Loc::NONE, message));
                    };
                    self.force_place(item)?
                }
                other => {
                    let message = format!(
                        "the expression selected by the selection path '{path}' should be a set or a list but is {}",
                        self.type_phrase(other)
                    );
                    return Err(Error::typed(Loc::NONE, message));
                }
            };
        }
        Ok(value)
    }

    /// The derivations of a value, in the order of their names; `strings` says whether a string that
    /// is one output stands for it.
    pub(crate) fn collect(
        &mut self,
        value: Value,
        args: &[(Symbol, Value)],
        strings: bool,
    ) -> Res<Vec<Wanted>> {
        let mut found = Found { strings, ..Found::default() };
        self.collect_into(value, "", args, &mut found, true)?;
        Ok(found.wanted)
    }

    fn collect_into(
        &mut self,
        value: Value,
        path: &str,
        args: &[(Symbol, Value)],
        found: &mut Found,
        top: bool,
    ) -> Res<()> {
        self.check_stack(Loc::NONE)?;
        let value = self.auto_call(value, args)?;
        match value {
            Value::Attrs(attrs) => {
                if self.is_derivation(attrs)? {
                    if found.seen.insert(attrs.as_ptr().addr()) {
                        found.wanted.push(self.wanted(attrs, path)?);
                    }
                    return Ok(());
                }
                if !top && !self.recurses(attrs)? {
                    return Ok(());
                }
                let mut all: Vec<_> = Attrs::all(attrs, &mut self.heap).iter().collect();
                all.sort_unstable_by_key(|attr| attr.name.as_bytes());
                for attr in all {
                    let name = attr.name.to_text();
                    let value = self.force_place(&attr.value).map_err(|e| {
                        e.frame(attr.loc, format!("while evaluating the attribute '{name}'"))
                    })?;
                    // Functions and lists in a set are no packages.
                    if matches!(value, Value::Attrs(_)) {
                        self.collect_into(value, &join(path, &name), args, found, false)?;
                    }
                }
                Ok(())
            }
            Value::List(list) => {
                for (index, item) in list.places().iter().enumerate() {
                    let item = self.force_place(item)?;
                    self.collect_into(item, &join(path, &index.to_string()), args, found, true)?;
                }
                Ok(())
            }
            other => {
                if let (Value::Str(text), true) = (other, top && found.strings)
                    && let Some((drv, output)) = self.output_named(text)
                {
                    let attr_path = path.to_owned();
                    let outputs = vec![output];
                    found.wanted.push(Wanted { attr_path, drv, outputs, main_program: None });
                    return Ok(());
                }
                let message =
                    "expression does not evaluate to a derivation (or a set or list of those)";
                let shown = self.type_phrase(other);
                Err(Error::typed(Loc::NONE, format!("{message}, but to {shown}")))
            }
        }
    }

    /// The one output that a string is, as `outPath` and `builtins.outputOf` give it.
    fn output_named(&self, text: Gc<Str>) -> Option<(DrvId, u32)> {
        let &[CtxElem::Output(id, output)] = self.contexts.elems(text.ctx) else { return None };
        (self.output_token(id, output) == Str::bytes(text)).then_some((id, output))
    }

    fn recurses(&mut self, attrs: Gc<Attrs>) -> Res<bool> {
        let Some(attr) = Attrs::find(attrs, Symbol::intern("recurseForDerivations")) else {
            return Ok(false);
        };
        let value = self.force_place(&attr.value)?;
        self.as_bool(value, attr.loc)
    }

    fn wanted(&mut self, attrs: Gc<Attrs>, path: &str) -> Res<Wanted> {
        let not_one = |what: &str| Error::typed(Loc::NONE, format!("derivation '{path}' {what}"));
        let Some(attr) = Attrs::find(attrs, Symbol::DRV_PATH) else {
            return Err(not_one("does not contain a 'drvPath' attribute"));
        };
        let value = self.force_place(&attr.value)?;
        let text = self.as_str(value, attr.loc)?;
        let drvs: Vec<DrvId> = self
            .contexts
            .elems(text.ctx)
            .iter()
            .filter_map(|elem| match elem {
                CtxElem::DrvDeep(id) | CtxElem::DrvFile(id) => Some(*id),
                _ => None,
            })
            .collect();
        let &[drv] = &drvs[..] else {
            let text = String::from_utf8_lossy(self.text(text)?).into_owned();
            if let Ok(path) = floe_core::path::StorePath::parse(&text)
                && !text.ends_with(".drv")
            {
                let name = path.as_str().rsplit('/').next().unwrap_or_default();
                let message = format!("store path '{name}' is not a valid derivation path");
                return Err(Error::eval(Loc::NONE, message));
            }
            return Err(not_one("has a 'drvPath' that names no derivation of this evaluation"));
        };
        let graph = self.graph.clone();
        let node = graph.node(drv);
        let named = |name: &[u8]| {
            node.outputs.iter().position(|output| output.name.as_str().as_bytes() == name)
        };
        let mut outputs = Vec::new();
        let name = match Attrs::find(attrs, Symbol::intern("outputName")) {
            Some(attr) => {
                let value = self.force_place(&attr.value)?;
                Some(self.as_text_any(value, attr.loc)?)
            }
            None => None,
        };
        if let Some(name) = name {
            outputs.extend(named(name).map(|index| index as u32));
        }
        if outputs.is_empty() {
            outputs.push(named(b"out").unwrap_or(0) as u32);
        }
        let main_program = self.main_program(attrs)?;
        Ok(Wanted { attr_path: path.to_owned(), drv, outputs, main_program })
    }

    fn main_program(&mut self, attrs: Gc<Attrs>) -> Res<Option<String>> {
        let Some(meta) = Attrs::find(attrs, Symbol::intern("meta")) else {
            return Ok(None);
        };
        let Value::Attrs(meta) = self.force_place(&meta.value)? else {
            return Ok(None);
        };
        let Some(main) = Attrs::find(meta, Symbol::intern("mainProgram")) else {
            return Ok(None);
        };
        match self.force_place(&main.value)? {
            Value::Str(text) => Ok(Some(String::from_utf8_lossy(self.text(text)?).into_owned())),
            _ => Ok(None),
        }
    }
}
