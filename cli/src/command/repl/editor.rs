//! The keyboard: editing, history, completion, and texts of several lines. Evaluates nothing by
//! itself.

use std::cell::RefCell;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Helper};

use super::complete::complete;
use super::line::Line;
use super::session::Session;

const PROMPT: &str = "floe> ";

/// Texts that are remembered.
const HISTORY: usize = 10_000;

/// What came from the keyboard.
pub enum Typed {
    /// A text.
    Text(String),
    /// Ctrl-C: what was typed is forgotten.
    Nothing,
    /// Ctrl-D.
    End,
}

/// A keyboard with a memory.
pub struct Editor {
    line: rustyline::Editor<Help, FileHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// The terminal's keyboard, which completes from a session.
    pub fn open(session: Rc<RefCell<Session>>) -> Result<Editor> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY)?
            .history_ignore_space(true)
            .build();
        let mut line = rustyline::Editor::with_config(config).context("cannot use the terminal")?;
        line.set_helper(Some(Help { session }));
        let history = history_file();
        if let Some(history) = &history {
            // There is none the first time.
            let _ = line.load_history(history);
        }
        Ok(Editor { line, history })
    }

    /// Reads the next text.
    pub fn read(&mut self) -> Result<Typed> {
        match self.line.readline(PROMPT) {
            Ok(text) => {
                self.remember(&text);
                Ok(Typed::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Nothing),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error).context("cannot read from the terminal"),
        }
    }

    /// Keeps a text at once: a session may end in many ways.
    fn remember(&mut self, text: &str) {
        let added = !text.trim().is_empty() && self.line.add_history_entry(text).unwrap_or(false);
        if let Some(history) = self.history.as_ref().filter(|_| added)
            && let Err(error) = self.line.append_history(history)
        {
            eprintln!("floe: cannot keep the history {}: {error}", history.display());
            self.history = None;
        }
    }
}

/// Where the history is, in a folder that exists: `$XDG_STATE_HOME/floe/repl-history`.
fn history_file() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")))?;
    let folder = state.join("floe");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("repl-history"))
}

/// What the editor asks while somebody types.
struct Help {
    session: Rc<RefCell<Session>>,
}

impl Completer for Help {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = complete(&mut self.session.borrow_mut(), &line[..pos]);
        // Only the last component is told where several may be meant.
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Validator for Help {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match Line::read(context.input()).is_unfinished() {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Hinter for Help {
    type Hint = String;
}

impl Highlighter for Help {}

impl Helper for Help {}
