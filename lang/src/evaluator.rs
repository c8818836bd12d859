//! The public face: [`Evaluator`]. Every entry runs on a large stack of its own and checks that
//! the values it is given are its own.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe_core::hash::Digest;

use crate::collect::Wanted;
use crate::context::Ctx;
use crate::diagnostic::SourceLines;
use crate::doc::Documentation;
use crate::error::{EvalError, Res};
use crate::graph::{DrvGraph, DrvId};
use crate::host::Host;
use crate::machine::Machine;
use crate::pages::{Shelf, prefer_huge_pages};
use crate::profile::record::{BOUNDS, Recorder};
use crate::profile::{Clock, Format, Profile};
use crate::settings::Settings;
use crate::source::{Loc, SourceName};
use crate::stats::Statistics;
use crate::symbol::Symbol;
use crate::track::{Read, ReadId, Rests, Tracking};
use crate::value::Value;
use crate::watch::{Counts, Each, Interrupt};

/// A value of one [`Evaluator`]; useless without it.
#[derive(Clone, Copy)]
pub struct Handle {
    value: Value,
    owner: u64,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The part of the stack that most evaluations get by with. What is deeper asks for huge pages:
/// page faults were a fifth of the time of a chain of two thousand derivations.
const SHALLOW_BYTES: usize = 256 << 10;

/// Left free below the limit for what does not check.
const STACK_MARGIN_BYTES: usize = 512 << 10;

/// An evaluation: values, code and the derivations it made.
pub struct Evaluator {
    machine: Machine,
    id: u64,
}

/// An argument for a top-level function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `--argstr`: a string.
    Text(String),
    /// `--arg`: an expression, evaluated in the current folder.
    Expr(String),
}

impl Evaluator {
    /// A new evaluation.
    pub fn new(host: Arc<dyn Host>, settings: Settings) -> Evaluator {
        Evaluator {
            machine: Machine::new(host, settings),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Runs on the large stack; nested uses stay on it.
    fn run<T>(&mut self, work: impl FnOnce(&mut Machine) -> Res<T>) -> Result<T, EvalError> {
        let machine = &mut self.machine;
        let size = machine.settings.stack_bytes;
        // What is asked for later, of a session say, sees the directories as they are then.
        machine.listings.clear();
        let result = stacker::grow(size, || {
            let here = 0u8;
            let limit = std::ptr::from_ref(&here)
                .addr()
                .saturating_sub(size - STACK_MARGIN_BYTES.min(size / 2));
            machine.heap.set_stack_limit(limit);
            machine.depth = 0;
            machine.begin_watching();
            let shallow = std::ptr::from_ref(&here).addr() - SHALLOW_BYTES.min(size / 2);
            prefer_huge_pages(limit..shallow);
            let result = work(machine);
            machine.end_watching();
            result
        });
        result.map_err(|error| error.resolve(&self.machine.sources))
    }

    fn own(&self, value: Handle) -> Value {
        assert_eq!(value.owner, self.id, "a value was given to an evaluator that did not make it");
        value.value
    }

    fn handle(&self, value: Value) -> Handle {
        Handle { value, owner: self.id }
    }

    /// Evaluates a file (of a directory: its `default.nix`).
    pub fn eval_file(&mut self, path: &Path) -> Result<Handle, EvalError> {
        let path = crate::paths::normalise(path.as_os_str().as_bytes());
        let value = self.run(|machine| machine.import(&path, Loc::NONE))?;
        Ok(self.handle(value))
    }

    /// Evaluates a text whose relative paths start from a folder.
    pub fn eval_expr(&mut self, text: &str, base: &Path) -> Result<Handle, EvalError> {
        self.eval_text(SourceName::Text, text.as_bytes(), base)
    }

    /// Evaluates what was read from standard input.
    pub fn eval_stdin(&mut self, text: &[u8], base: &Path) -> Result<Handle, EvalError> {
        self.eval_text(SourceName::Stdin, text, base)
    }

    fn eval_text(
        &mut self,
        name: SourceName,
        text: &[u8],
        base: &Path,
    ) -> Result<Handle, EvalError> {
        let base = crate::paths::normalise(base.as_os_str().as_bytes());
        let value = self.run(|machine| {
            let code = machine.compile(name, text.to_vec(), &base, None)?;
            machine.eval(code, machine.root)
        })?;
        Ok(self.handle(value))
    }

    /// The value of a text in which names stand for values, computed when needed.
    pub fn define(
        &mut self,
        text: &str,
        base: &Path,
        scope: &[(String, Handle)],
    ) -> Result<Handle, EvalError> {
        let base = crate::paths::normalise(base.as_os_str().as_bytes());
        let scope = self.scope(scope);
        let value = self.run(|machine| machine.define(text.as_bytes(), &base, &scope))?;
        Ok(self.handle(value))
    }

    /// The names that a text of bindings (`x = 1; y = 2`) binds, with their values, computed when
    /// needed; names of `scope` stand for values.
    pub fn bind(
        &mut self,
        text: &str,
        base: &Path,
        scope: &[(String, Handle)],
    ) -> Result<Vec<(String, Handle)>, EvalError> {
        let base = crate::paths::normalise(base.as_os_str().as_bytes());
        let scope = self.scope(scope);
        let found = self.run(|machine| machine.bind_names(text.as_bytes(), &base, &scope))?;
        Ok(found.into_iter().map(|(name, value)| (name, self.handle(value))).collect())
    }

    fn scope(&self, scope: &[(String, Handle)]) -> Vec<(Symbol, Value)> {
        scope.iter().map(|(name, value)| (Symbol::intern(name), self.own(*value))).collect()
    }

    /// The names that every program knows.
    pub fn global_names(&self) -> Vec<String> {
        self.machine.global_names()
    }

    /// A set's attributes by name; none of what is no set.
    pub fn attributes(&mut self, value: Handle) -> Result<Vec<(String, Handle)>, EvalError> {
        let value = self.own(value);
        let found = self.run(|machine| machine.named_attributes(value))?;
        Ok(found.into_iter().map(|(name, value)| (name, self.handle(value))).collect())
    }

    /// What a value is, in the words of messages: `a set`, `an integer`.
    pub fn describe(&mut self, value: Handle) -> Result<String, EvalError> {
        let value = self.own(value);
        self.run(|machine| {
            let value = machine.force(value)?;
            Ok(machine.type_phrase(value))
        })
    }

    /// A text's expression as `nix-instantiate --parse` writes it, its variables checked.
    pub fn parse(
        &mut self,
        name: SourceName,
        text: &[u8],
        base: &Path,
    ) -> Result<Vec<u8>, EvalError> {
        let base = crate::paths::normalise(base.as_os_str().as_bytes());
        self.run(|machine| {
            machine.compile(name, text.to_vec(), &base, None)?;
            let file = crate::syntax::ast::FileId(0);
            let ast = crate::syntax::parse(file, text, machine.settings.features);
            let ast = ast.expect("what was compiled can be parsed");
            let home = machine.host.env_var("HOME").unwrap_or_default();
            let folders = crate::syntax::print::Folders { base: &base, home: &home };
            Ok(crate::syntax::print::expression(&ast, ast.root(), folders))
        })
    }

    /// The values of command line arguments.
    fn arguments(
        &mut self,
        args: &[(String, Argument)],
        base: &Path,
    ) -> Result<Vec<(Symbol, Value)>, EvalError> {
        let base = crate::paths::normalise(base.as_os_str().as_bytes());
        self.run(|machine| {
            let mut values = Vec::with_capacity(args.len());
            for (name, arg) in args {
                let value = match arg {
                    Argument::Text(text) => {
                        crate::builtins::json::check_nul(text.as_bytes(), Loc::NONE)?;
                        machine.string(text.as_bytes())
                    }
                    Argument::Expr(text) => {
                        let code = machine.compile(
                            SourceName::Text,
                            text.as_bytes().to_vec(),
                            &base,
                            None,
                        )?;
                        machine.suspend(code)
                    }
                };
                values.push((Symbol::intern(name), value));
            }
            Ok(values)
        })
    }

    /// Calls a top-level function with the arguments it names; any other value stays as it is.
    pub fn auto_call(
        &mut self,
        value: Handle,
        args: &[(String, Argument)],
        base: &Path,
    ) -> Result<Handle, EvalError> {
        let value = self.own(value);
        let args = self.arguments(args, base)?;
        let value = self.run(|machine| machine.auto_call(value, &args))?;
        Ok(self.handle(value))
    }

    /// Applies a function.
    pub fn apply(&mut self, function: Handle, argument: Handle) -> Result<Handle, EvalError> {
        let (function, argument) = (self.own(function), self.own(argument));
        let value = self.run(|machine| machine.call(function, &[argument], Loc::NONE))?;
        Ok(self.handle(value))
    }

    /// Follows an attribute path such as `a.b.0."c.d"`, calling functions on the way.
    pub fn select_attr_path(
        &mut self,
        value: Handle,
        path: &str,
        args: &[(String, Argument)],
        base: &Path,
    ) -> Result<Handle, EvalError> {
        let value = self.own(value);
        let args = self.arguments(args, base)?;
        let value = self.run(|machine| machine.follow(value, path, &args))?;
        Ok(self.handle(value))
    }

    /// Weak head normal form.
    pub fn force(&mut self, value: Handle) -> Result<Handle, EvalError> {
        let value = self.own(value);
        let value = self.run(|machine| machine.force(value))?;
        Ok(self.handle(value))
    }

    /// Forces everything below.
    pub fn force_deep(&mut self, value: Handle) -> Result<Handle, EvalError> {
        let value = self.own(value);
        let value = self.run(|machine| machine.force_deep(value))?;
        Ok(self.handle(value))
    }

    /// The derivations that a build of this value makes, as `nix-build` collects them.
    pub fn derivations(
        &mut self,
        value: Handle,
        args: &[(String, Argument)],
        base: &Path,
    ) -> Result<Vec<Wanted>, EvalError> {
        self.collect(value, args, base, false)
    }

    /// The same, where a string that is an output stands for it, as `builtins.outputOf` gives it.
    pub fn outputs(
        &mut self,
        value: Handle,
        args: &[(String, Argument)],
        base: &Path,
    ) -> Result<Vec<Wanted>, EvalError> {
        self.collect(value, args, base, true)
    }

    fn collect(
        &mut self,
        value: Handle,
        args: &[(String, Argument)],
        base: &Path,
        strings_too: bool,
    ) -> Result<Vec<Wanted>, EvalError> {
        let value = self.own(value);
        let args = self.arguments(args, base)?;
        self.run(|machine| machine.collect(value, &args, strings_too))
    }

    /// As JSON.
    pub fn to_json(&mut self, value: Handle) -> Result<Vec<u8>, EvalError> {
        let value = self.own(value);
        self.run(|machine| {
            let mut out = Vec::new();
            let mut ctx = Ctx::EMPTY;
            machine.write_json(value, Loc::NONE, &mut out, &mut ctx)?;
            machine.real_bytes(&out)
        })
    }

    /// As `nix-instantiate --xml` prints it.
    pub fn to_xml(
        &mut self,
        value: Handle,
        strict: bool,
        locations: bool,
    ) -> Result<Vec<u8>, EvalError> {
        let value = self.own(value);
        self.run(|machine| {
            let style = crate::builtins::xml::Style { strict, locations };
            let (text, _) = machine.write_xml(value, style)?;
            machine.real_bytes(&text)
        })
    }

    /// As `nix-instantiate --eval` prints it; what is not forced yet is `<CODE>`.
    pub fn print(&mut self, value: Handle) -> Result<Vec<u8>, EvalError> {
        let value = self.own(value);
        self.run(|machine| machine.print(value))
    }

    /// As `nix repl` shows it: computed as far as it is shown, `max_depth` levels deep.
    pub fn show(&mut self, value: Handle, max_depth: usize) -> Result<Vec<u8>, EvalError> {
        let value = self.own(value);
        self.run(|machine| machine.show(value, max_depth))
    }

    /// What is known of a function or builtin beside its value; nothing of other values.
    pub fn documentation(&mut self, value: Handle) -> Result<Option<Documentation>, EvalError> {
        let value = self.own(value);
        self.run(|machine| machine.documentation(value))
    }

    /// Where a set's attribute is defined, and the comment before it; nothing where the set has no
    /// such attribute, or none that a program wrote.
    pub fn attribute_documentation(
        &mut self,
        set: Handle,
        name: &str,
    ) -> Result<Option<Documentation>, EvalError> {
        let set = self.own(set);
        self.run(|machine| machine.attribute_documentation(set, name))
    }

    /// The file and line to look at for a value: of a function its definition, of a package what
    /// `meta.position` says, of a path the path.
    pub fn place(&mut self, value: Handle) -> Result<Option<(PathBuf, Option<u32>)>, EvalError> {
        let value = self.own(value);
        self.run(|machine| machine.place(value))
    }

    /// A string's bytes, or those of what becomes a string by interpolation (`--raw`).
    pub fn to_text(&mut self, value: Handle) -> Result<Vec<u8>, EvalError> {
        let value = self.own(value);
        self.run(|machine| {
            let (text, _) =
                machine.coerced(value, crate::coerce::Coerce::INTERPOLATE, (Loc::NONE, ""))?;
            machine.real_bytes(&text)
        })
    }

    /// The text of a source that positions refer to, for excerpts.
    pub fn source_text(&self, file: &Path) -> Option<&[u8]> {
        self.machine.sources.by_path(file)
    }

    /// Bytes of heap in use.
    pub fn heap_bytes(&self) -> u64 {
        self.machine.heap.used_bytes()
    }

    /// The derivations made so far.
    pub fn graph(&self) -> &Arc<DrvGraph> {
        &self.machine.graph
    }

    /// Keeps what every value rests on from now on, so that the evaluation can outlive an edit.
    pub fn track(&mut self) {
        self.machine.tracking = Some(Tracking::default());
    }

    /// Does some work and tells what its outcome rests on; nothing unless that is tracked.
    pub fn resting<T>(
        &mut self,
        work: impl FnOnce(&mut Evaluator) -> Result<T, EvalError>,
    ) -> (Result<T, EvalError>, Rests) {
        let stretch = self.machine.begin_entry();
        let result = work(self);
        let rests = self.machine.rests_on(stretch);
        (result, rests)
    }

    /// The reads since this was asked last, with what was answered; a [`ReadId`] is an index of
    /// all that were ever told, one after another.
    pub fn new_reads(&mut self) -> Vec<(Read, Option<Digest>)> {
        self.machine.new_reads()
    }

    /// These reads have other answers now: everything that rests on them is unevaluated again,
    /// also behind handles. How many values that were.
    pub fn forget(&mut self, changed: &[ReadId]) -> usize {
        self.machine.forget(changed)
    }

    /// Lays the `nth` part of the values aside in a file, with the first also what is noted of them,
    /// from which they are read again where evaluation touches them; whether there is such a part. Between two parts other work may be
    /// done.
    ///
    /// # Errors
    /// When the file has no room for it: then it stays in memory.
    pub fn lay_aside(&mut self, nth: usize, shelf: &mut Shelf) -> std::io::Result<bool> {
        if nth == 0 {
            self.machine.graph.lay_aside(shelf)?;
            self.machine.contexts.lay_aside(shelf)?;
            if let Some(tracking) = &mut self.machine.tracking {
                tracking.lay_aside(shelf)?;
            }
        }
        self.machine.heap.lay_aside(nth, shelf)
    }

    /// Sees to it that everything below these derivations is as the world is now: what fell and only
    /// they need is made again.
    pub fn settle(&mut self, drvs: &[DrvId]) -> Result<(), EvalError> {
        self.run(|machine| machine.settle(drvs))
    }

    /// Whether what was evaluated since the last time, failures too, is to be evaluated again: some
    /// derivation is not what its users took it for. They are unevaluated now.
    pub fn break_joints(&mut self) -> bool {
        self.machine.break_joints()
    }

    /// Makes everything unevaluated that uses a derivation which rests on something; whether an
    /// edit ever stopped at one. Evaluation then takes its usual course.
    pub fn break_all(&mut self) -> bool {
        self.machine.break_all()
    }

    /// Lets evaluation end with an error of kind [`ErrorKind::Interrupted`] soon after somebody
    /// sets this; what was interrupted can be evaluated again.
    ///
    /// [`ErrorKind::Interrupted`]: crate::ErrorKind::Interrupted
    pub fn heed(&mut self, interrupt: Interrupt) {
        self.machine.watch().interrupt = Some(interrupt);
    }

    /// Records a profile from now on, in the form that `format` wants.
    pub fn profile(&mut self, clock: Clock, format: Format) {
        let recorder = Recorder::new(clock, format == Format::Chrome, BOUNDS);
        self.machine.watch().recorder = Some(recorder);
    }

    /// The profile so far, if one is recorded; it ends here.
    pub fn take_profile(&mut self) -> Option<Profile> {
        let recorder = self.machine.watch.as_mut()?.recorder.take()?;
        Some(Profile::new(recorder, &self.machine.sources))
    }

    /// Counts calls and selections from now on, if asked also each function, builtin and
    /// attribute by itself.
    pub fn count(&mut self, each: bool) {
        let each = each.then(Each::default);
        self.machine.watch().counts = Some(Counts { each, ..Counts::default() });
    }

    /// What was made and done so far.
    pub fn statistics(&self) -> Statistics {
        self.machine.statistics()
    }

    /// Files parsed so far.
    pub fn files_parsed(&self) -> usize {
        self.machine.sources.count()
    }

    /// Frees the evaluation and keeps its derivations.
    pub fn finish(self) -> Arc<DrvGraph> {
        self.machine.graph.clone()
    }
}

impl SourceLines for Evaluator {
    fn line(&self, file: &str, line: u32) -> Option<Vec<u8>> {
        self.machine.sources.line(file, line)
    }
}
