//! What a session knows: the evaluation, the names given to values, the files that were loaded,
//! and the engine that builds. Reads no line and prints nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use floe_engine::engine::{BuildOptions, Engine};
use floe_lang::{Handle, Interrupt};

use crate::args::{Building, Global, Repl, Source};
use crate::command;
use crate::command::build::{begin, options};
use crate::evaluate::Evaluation;
use crate::progress::{Channel, Progress, Style};

/// How many names are told when names are added.
const TOLD: usize = 20;

/// A session.
pub struct Session {
    pub(super) engine: Engine,
    pub(super) options: BuildOptions,
    pub(super) evaluation: Evaluation,
    /// Values by name.
    pub(super) names: BTreeMap<String, Handle>,
    /// The names that were added last.
    pub(super) last: Vec<String>,
    channel: Channel,
    pub(super) style: Style,
    source: Source,
    /// Files in the order of loading, each once.
    files: Vec<PathBuf>,
    interrupt: Interrupt,
}

impl Session {
    /// A session with nothing in it yet.
    pub fn begin(global: &Global, args: &Repl) -> Result<Session> {
        let style = Style::of(global, false);
        let channel = Channel::new(style);
        let engine = command::engine(global, channel.events())?;
        let options = options(&Building::plain(Default::default()), false, false)?;
        let source = args.source.clone();
        // Ctrl-C ends what runs, not the session.
        let interrupt: Interrupt = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupt))
            .context("cannot watch for signals")?;
        let evaluation = fresh(&engine, &source, &options, &interrupt)?;
        let files = args.files.clone();
        Ok(Session {
            engine,
            options,
            evaluation,
            names: BTreeMap::new(),
            last: Vec::new(),
            channel,
            style,
            source,
            files,
            interrupt,
        })
    }

    /// Shows what happens while something is done; what happened is shown when this returns.
    pub(super) fn watched<T>(&mut self, work: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        self.interrupt.store(false, Ordering::Relaxed);
        let progress = Progress::listen(&self.channel);
        let result = work(self);
        progress.finish();
        result
    }

    /// Does work for completion: somebody is typing, so nothing that happens is shown.
    pub(super) fn quietly<T>(&mut self, work: impl FnOnce(&mut Session) -> Result<T>) -> Option<T> {
        self.interrupt.store(false, Ordering::Relaxed);
        let progress = Progress::ignore(&self.channel);
        let result = work(self).ok();
        progress.finish();
        result
    }

    fn scope(&self) -> Vec<(String, Handle)> {
        self.names.iter().map(|(name, value)| (name.clone(), *value)).collect()
    }

    /// The value of a text, computed when needed.
    pub(super) fn value(&mut self, text: &str) -> Result<Handle> {
        let scope = self.scope();
        self.evaluation.define(text, &scope)
    }

    /// Gives values the names that a text of bindings says.
    pub(super) fn bind(&mut self, text: &str) -> Result<()> {
        let scope = self.scope();
        let found = self.evaluation.bind(text, &scope)?;
        self.names.extend(found);
        Ok(())
    }

    /// Gives the attributes of a set their names, and says which.
    pub(super) fn add(&mut self, value: Handle) -> Result<String> {
        let found = self.evaluation.set_attributes(value)?;
        self.last = found.iter().map(|(name, _)| name.clone()).collect();
        self.names.extend(found);
        let told = self.last.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match self.last.len() {
            0 => String::new(),
            count if count > TOLD => format!(": {told}, and {} more (:ll)", count - TOLD),
            _ => format!(": {told}"),
        };
        let plural = if self.last.len() == 1 { "" } else { "s" };
        Ok(format!("added {} name{plural}{more}\n", self.last.len()))
    }

    /// Loads a file, now and whenever files are read again.
    pub(super) fn load(&mut self, file: &Path) -> Result<String> {
        self.files.retain(|known| known != file);
        self.files.push(file.to_owned());
        let value = self.evaluation.load(file)?;
        self.add(value)
    }

    /// Loads what the command line names and, if told to, says so.
    pub fn load_all(&mut self, tell: bool) -> Result<()> {
        let told = self.watched(Session::load_again)?;
        if tell {
            print!("{told}");
        }
        Ok(())
    }

    fn load_again(&mut self) -> Result<String> {
        let mut told = String::new();
        if self.source.file.is_some() || self.source.expr.is_some() {
            let top = self.evaluation.select(None)?;
            told += &self.add(top)?;
        }
        for file in self.files.clone() {
            told += &format!("loading {}: {}", file.display(), self.load(&file)?);
        }
        Ok(told)
    }

    /// Forgets everything and reads all files again.
    pub(super) fn reload(&mut self) -> Result<String> {
        self.evaluation = fresh(&self.engine, &self.source, &self.options, &self.interrupt)?;
        self.names.clear();
        self.last.clear();
        self.load_again()
    }
}

/// An evaluation that can be interrupted.
fn fresh(
    engine: &Engine,
    source: &Source,
    options: &BuildOptions,
    interrupt: &Interrupt,
) -> Result<Evaluation> {
    let given = source.file.is_some() || source.expr.is_some();
    let empty = Source { expr: Some("{ }".to_owned()), ..source.clone() };
    let mut evaluation = begin(engine, if given { source } else { &empty }, options)?;
    evaluation.heed(Arc::clone(interrupt));
    Ok(evaluation)
}
