//! From a command line's source to values and derivations, for every command that evaluates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use floe_core::path::OutputName;
use floe_engine::import::Wanted;
use floe_lang::diagnostic::{self, Diagnostic};
use floe_lang::graph::DrvGraph;
use floe_lang::host::Host;
use floe_lang::{
    Argument, Documentation, ErrorKind, EvalError, Evaluator, Handle, Interrupt, SearchEntry,
    Settings, SourceName,
};

use crate::args::Source;
use crate::fault;
use crate::terminal;
use crate::watching::Watching;

/// An evaluation in progress and what it was started with.
pub struct Evaluation {
    evaluator: Evaluator,
    /// The source's value, once there is one.
    top: Option<Handle>,
    args: Vec<(String, Argument)>,
    base: PathBuf,
    style: Style,
    watching: Watching,
}

impl Drop for Evaluation {
    fn drop(&mut self) {
        self.watching.end(&mut self.evaluator);
    }
}

/// How errors look.
#[derive(Clone, Copy)]
struct Style {
    show_trace: bool,
    /// As C++ Nix shows them.
    nix: bool,
}

/// A derivation to build and what its expression says of it.
pub struct Target {
    /// For the engine.
    pub wanted: Wanted,
    /// What `meta.mainProgram` says.
    pub main_program: Option<String>,
}

impl Evaluation {
    /// Evaluates the source to a value, calling a top-level function with the arguments given.
    pub fn start(source: &Source, host: Arc<dyn Host>) -> Result<Evaluation> {
        let base = std::env::current_dir().context("cannot find the current directory")?;
        let args = arguments(source, Argument::Expr, Argument::Text);
        let (mut evaluator, style) = evaluator(source, host, &base)?;
        let watching = Watching::begin(source, &mut evaluator)?;
        let mut this =
            Evaluation { evaluator, top: None, args, base: base.clone(), style, watching };
        let stdin = source.nix.as_ref().and_then(|nix| nix.stdin.as_deref());
        let top = this.try_with(|evaluator| match (&source.expr, &source.file) {
            _ if stdin.is_some() => evaluator.eval_stdin(stdin.unwrap_or_default(), &base),
            (Some(text), _) => evaluator.eval_expr(text, &base),
            (None, file) => {
                let file = base.join(file.as_deref().unwrap_or(Path::new(".")));
                evaluator.eval_file(&file)
            }
        })?;
        this.top = Some(top);
        Ok(this)
    }

    /// The value of a text in which names stand for values, computed when needed.
    pub fn define(&mut self, text: &str, scope: &[(String, Handle)]) -> Result<Handle> {
        let base = self.base.clone();
        self.try_with(|evaluator| evaluator.define(text, &base, scope))
    }

    /// The value of a file; a function is called with the arguments given.
    pub fn load(&mut self, file: &Path) -> Result<Handle> {
        let (base, args) = (self.base.clone(), self.args.clone());
        self.try_with(|evaluator| {
            let value = evaluator.eval_file(&base.join(file))?;
            evaluator.auto_call(value, &args, &base)
        })
    }

    /// The names that a text of bindings binds, and their values.
    pub fn bind(
        &mut self,
        text: &str,
        scope: &[(String, Handle)],
    ) -> Result<Vec<(String, Handle)>> {
        let base = self.base.clone();
        self.try_with(|evaluator| evaluator.bind(text, &base, scope))
    }

    /// The names that every program knows.
    pub fn global_names(&self) -> Vec<String> {
        self.evaluator.global_names()
    }

    /// Lets somebody interrupt the evaluation.
    pub fn heed(&mut self, interrupt: Interrupt) {
        self.evaluator.heed(interrupt);
    }

    /// Whether errors show every step.
    pub fn shows_trace(&self) -> bool {
        self.style.show_trace
    }

    /// Lets errors show every step, or the first ones only.
    pub fn show_trace(&mut self, on: bool) {
        self.style.show_trace = on;
    }

    /// The attributes by name of what must be a set.
    pub fn set_attributes(&mut self, value: Handle) -> Result<Vec<(String, Handle)>> {
        let found = self.attributes(value)?;
        if found.is_empty() {
            let what = self.describe(value)?;
            if what != "a set" {
                bail!("only the attributes of a set have names to give, and this is {what}");
            }
        }
        Ok(found)
    }

    /// A value as a session shows it, so many levels deep.
    pub fn show(&mut self, value: Handle, max_depth: usize) -> Result<Vec<u8>> {
        self.try_with(|evaluator| evaluator.show(value, max_depth))
    }

    /// What is known of a function or builtin.
    pub fn documentation(&mut self, value: Handle) -> Result<Option<Documentation>> {
        self.try_with(|evaluator| evaluator.documentation(value))
    }

    /// What is known of a set's attribute.
    pub fn attribute_documentation(
        &mut self,
        set: Handle,
        name: &str,
    ) -> Result<Option<Documentation>> {
        self.try_with(|evaluator| evaluator.attribute_documentation(set, name))
    }

    /// The file and line to look at for a value.
    pub fn place(&mut self, value: Handle) -> Result<Option<(PathBuf, Option<u32>)>> {
        self.try_with(|evaluator| evaluator.place(value))
    }

    /// A set's attributes by name.
    pub fn attributes(&mut self, value: Handle) -> Result<Vec<(String, Handle)>> {
        self.try_with(|evaluator| evaluator.attributes(value))
    }

    /// What a value is, in words.
    pub fn describe(&mut self, value: Handle) -> Result<String> {
        self.try_with(|evaluator| evaluator.describe(value))
    }

    /// The source as `nix-instantiate --parse` prints it.
    pub fn parse(source: &Source, host: Arc<dyn Host>) -> Result<Vec<u8>> {
        let base = std::env::current_dir().context("cannot find the current directory")?;
        let (mut evaluator, style) = evaluator(source, host, &base)?;
        let stdin = source.nix.as_ref().and_then(|nix| nix.stdin.as_deref());
        let parsed = match (stdin, &source.expr, &source.file) {
            (Some(text), ..) => evaluator.parse(SourceName::Stdin, text, &base),
            (_, Some(text), _) => evaluator.parse(SourceName::Text, text.as_bytes(), &base),
            (_, None, file) => {
                let mut file = base.join(file.as_deref().unwrap_or(Path::new(".")));
                if file.is_dir() {
                    file.push("default.nix");
                }
                let text = std::fs::read(&file)
                    .with_context(|| format!("cannot read '{}'", file.display()))?;
                let folder = file.parent().unwrap_or(&base).to_owned();
                evaluator.parse(SourceName::File(file), &text, &folder)
            }
        };
        parsed.map_err(|error| shown(&error, &evaluator, style))
    }

    fn try_with<T>(
        &mut self,
        work: impl FnOnce(&mut Evaluator) -> Result<T, EvalError>,
    ) -> Result<T> {
        let result = work(&mut self.evaluator);
        result.map_err(|error| shown(&error, &self.evaluator, self.style))
    }

    /// The value at an attribute path; the whole value without one.
    pub fn select(&mut self, attr: Option<&str>) -> Result<Handle> {
        let top = self.top.context("nothing was evaluated yet")?;
        let (args, base) = (self.args.clone(), self.base.clone());
        self.try_with(|evaluator| {
            let value = evaluator.select_attr_path(top, attr.unwrap_or_default(), &args, &base)?;
            evaluator.auto_call(value, &args, &base)
        })
    }

    /// The value at an attribute path as `nix-instantiate --eval` has it: a function there is called
    /// only if there are arguments for it.
    pub fn select_as_nix(&mut self, attr: Option<&str>) -> Result<Handle> {
        if !self.args.is_empty() {
            return self.select(attr);
        }
        let top = self.top.context("nothing was evaluated yet")?;
        let base = self.base.clone();
        self.try_with(|evaluator| {
            evaluator.select_attr_path(top, attr.unwrap_or_default(), &[], &base)
        })
    }

    /// The derivations that building these attribute paths means.
    pub fn targets(&mut self, attrs: &[String]) -> Result<Vec<Target>> {
        let paths: Vec<Option<&str>> = match attrs {
            [] => vec![None],
            attrs => attrs.iter().map(|attr| Some(attr.as_str())).collect(),
        };
        let mut targets = Vec::new();
        for path in paths {
            let value = self.select(path)?;
            targets.extend(self.targets_in(value, path)?);
        }
        Ok(targets)
    }

    /// The derivations that building a value means, which is at an attribute path.
    fn targets_in(&mut self, value: Handle, path: Option<&str>) -> Result<Vec<Target>> {
        let (args, base) = (self.args.clone(), self.base.clone());
        let as_nix = self.style.nix;
        let found = self.try_with(|evaluator| match as_nix {
            true => evaluator.derivations(value, &args, &base),
            false => evaluator.outputs(value, &args, &base),
        })?;
        if found.is_empty() {
            bail!("{}", floe_server::answer::no_derivation(path));
        }
        let mut targets = Vec::with_capacity(found.len());
        for found in found {
            let attr = match (path, found.attr_path.as_str()) {
                (Some(path), "") => path.to_owned(),
                (Some(path), below) => format!("{path}.{below}"),
                (None, below) => below.to_owned(),
            };
            let node = self.graph().node(found.drv);
            let outputs: Vec<OutputName> =
                found.outputs.iter().map(|&at| node.outputs[at as usize].name.clone()).collect();
            targets.push(Target {
                wanted: Wanted { attr, drv: found.drv, outputs },
                main_program: found.main_program,
            });
        }
        Ok(targets)
    }

    /// All outputs of the derivation that a value is, which was given as a text.
    pub fn only_target(&mut self, value: Handle, text: &str) -> Result<Target> {
        let mut targets = self.targets_in(value, Some(text))?;
        let (Some(mut target), true) = (targets.pop(), targets.is_empty()) else {
            bail!("'{text}' holds several derivations; name one of them");
        };
        let node = self.graph().node(target.wanted.drv);
        target.wanted.outputs = node.outputs.iter().map(|output| output.name.clone()).collect();
        Ok(target)
    }

    /// Applies a function given as text.
    pub fn apply(&mut self, function: &str, value: Handle) -> Result<Handle> {
        let base = self.base.clone();
        self.try_with(|evaluator| {
            let function = evaluator.eval_expr(function, &base)?;
            evaluator.apply(function, value)
        })
    }

    /// Forces a value, deeply if asked.
    pub fn force(&mut self, value: Handle, deep: bool) -> Result<Handle> {
        self.try_with(
            |evaluator| {
                if deep { evaluator.force_deep(value) } else { evaluator.force(value) }
            },
        )
    }

    /// A value as JSON.
    pub fn json(&mut self, value: Handle) -> Result<Vec<u8>> {
        self.try_with(|evaluator| evaluator.to_json(value))
    }

    /// A value as XML.
    pub fn xml(&mut self, value: Handle, strict: bool, locations: bool) -> Result<Vec<u8>> {
        self.try_with(|evaluator| evaluator.to_xml(value, strict, locations))
    }

    /// A string's bytes.
    pub fn raw(&mut self, value: Handle) -> Result<Vec<u8>> {
        self.try_with(|evaluator| evaluator.to_text(value))
    }

    /// A value as Nix prints it.
    pub fn print(&mut self, value: Handle) -> Result<Vec<u8>> {
        self.try_with(|evaluator| evaluator.print(value))
    }

    /// The derivations made so far.
    pub fn graph(&self) -> &Arc<DrvGraph> {
        self.evaluator.graph()
    }

    /// Frees the evaluation and keeps its derivations.
    pub fn finish(self) -> Arc<DrvGraph> {
        Arc::clone(self.graph())
    }

    /// Ends without freeing the values one by one, which would only delay the end of the process.
    pub fn leave(mut self) {
        self.watching.end(&mut self.evaluator);
        std::mem::forget(self);
    }
}

/// An evaluator with the source's settings, and how its errors look.
fn evaluator(source: &Source, host: Arc<dyn Host>, base: &Path) -> Result<(Evaluator, Style)> {
    let mut settings =
        Settings { nix_path: search_path(&source.include, base), ..Settings::default() };
    settings.heap_bytes = floe_lang::memory::for_values();
    if let Some(nix) = &source.nix {
        settings.trace_verbose = nix.trace_verbose;
        settings.abort_on_warn = nix.abort_on_warn;
        settings.toml_timestamps = nix.toml_timestamps;
        settings.features = nix.features;
        settings.max_call_depth = nix.max_call_depth.unwrap_or(settings.max_call_depth);
    }
    let style = Style { show_trace: source.show_trace, nix: source.nix.is_some() };
    let toggles = Toggles::of(source)?;
    settings.import_from_derivation =
        toggles.import_from_derivation.unwrap_or(settings.import_from_derivation);
    settings.pure = toggles.pure.unwrap_or(settings.pure);
    Ok((Evaluator::new(host, settings), style))
}

/// What the command line says of Nix's settings. Under the names of Nix's commands those without a
/// counterpart have no effect.
#[derive(Debug, Default)]
pub struct Toggles {
    /// `allow-import-from-derivation`.
    pub import_from_derivation: Option<bool>,
    /// `pure-eval`.
    pub pure: Option<bool>,
    /// `tarball-ttl`.
    pub tarball_ttl_s: Option<u64>,
}

impl Toggles {
    /// Of a source.
    pub fn of(source: &Source) -> Result<Toggles> {
        let mut toggles = Toggles::default();
        for pair in source.option.chunks_exact(2) {
            let on = || match pair[1].as_str() {
                "true" | "yes" | "1" => Ok(true),
                "false" | "no" | "0" => Ok(false),
                other => Err(anyhow!("the setting '{}' is true or false, not '{other}'", pair[0])),
            };
            match pair[0].as_str() {
                "allow-import-from-derivation" => toggles.import_from_derivation = Some(on()?),
                "pure-eval" => toggles.pure = Some(on()?),
                "tarball-ttl" => {
                    toggles.tarball_ttl_s = Some(crate::command::build::seconds(&pair[1])?)
                }
                _ if source.nix.is_some() => {}
                other => bail!(
                    "there is no setting '{other}'; there are allow-import-from-derivation, pure-eval and tarball-ttl"
                ),
            }
        }
        Ok(toggles)
    }
}

fn shown(error: &EvalError, evaluator: &Evaluator, style: Style) -> anyhow::Error {
    if error.kind == ErrorKind::Interrupted {
        return fault::Interrupted.into();
    }
    if style.nix {
        let text = diagnostic::render(
            &Diagnostic::new(error, style.show_trace),
            evaluator,
            style.show_trace,
        );
        return fault::Shown(text).into_error();
    }
    fault::show(error, evaluator, style.show_trace, terminal::has_colours()).into_error()
}

impl fault::Shown {
    fn into_error(self) -> anyhow::Error {
        anyhow::Error::new(self)
    }
}

/// The arguments that `--arg` and `--argstr` give, by name; of several for one name, the last.
pub fn arguments<T>(
    source: &Source,
    expr: fn(String) -> T,
    text: fn(String) -> T,
) -> Vec<(String, T)> {
    let mut args: Vec<(String, T)> = Vec::new();
    for (words, wrap) in [(&source.arg, expr), (&source.argstr, text)] {
        for pair in words.chunks_exact(2) {
            args.retain(|(known, _)| *known != pair[0]);
            args.push((pair[0].clone(), wrap(pair[1].clone())));
        }
    }
    args
}

/// The search path: what the command line gives, then `NIX_PATH`.
pub fn search_path(include: &[String], base: &Path) -> Vec<SearchEntry> {
    let environment = std::env::var("NIX_PATH").unwrap_or_default();
    let entry = |text: &str| {
        let (prefix, path) = text.split_once('=').unwrap_or(("", text));
        let path = match SearchEntry::is_url(path) {
            true => PathBuf::from(path),
            false => base.join(path),
        };
        SearchEntry { prefix: prefix.to_owned(), path }
    };
    include
        .iter()
        .map(|text| entry(text))
        .chain(split_search_path(&environment).into_iter().map(entry))
        .collect()
}

/// The entries of `NIX_PATH`, which colons separate that are no part of a URL.
fn split_search_path(text: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let colon = |from: usize| rest[from..].find(':').map_or(rest.len(), |at| from + at);
        let mut end = colon(0);
        let value = rest[..end].rfind('=').map_or(0, |equals| equals + 1);
        if SearchEntry::is_url(&rest[value..]) {
            end = colon((end + 1).min(rest.len()));
        }
        entries.push(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    entries.retain(|entry| !entry.is_empty());
    entries
}
