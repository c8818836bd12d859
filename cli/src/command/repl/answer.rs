//! What a session answers to each command. Where values come from is `session`'s affair.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use floe_server::protocol::Outputs;

use super::documentation::documentation;
use super::line::{Line, Verb, help};
use super::session::Session;
use crate::command::build::{answered, fail_if_failed, request};
use crate::command::{inspect, shell};
use crate::fault::Ended;

/// As deep as a plain expression is shown; `:p` shows all.
const SHALLOW: usize = 1;

impl Session {
    /// Does what a text asks for and gives what to print; `None` ends the session.
    ///
    /// # Errors
    /// What went wrong, for the user; the session goes on.
    pub fn answer(&mut self, line: &Line<'_>) -> Result<Option<String>> {
        if let Line::Command(Verb::Quit, _) = line {
            return Ok(None);
        }
        // A shell wants the terminal for itself.
        if let Line::Command(Verb::Shell, text) = line {
            let outputs = self.watched(|session| session.build(text))?;
            // How the shell ended is its user's affair.
            let ended = shell::open(&self.engine, &[outputs], Vec::new());
            return match ended {
                Err(error) if !error.is::<Ended>() => Err(error),
                _ => Ok(Some(String::new())),
            };
        }
        self.watched(|session| session.answer_one(line)).map(Some)
    }

    fn answer_one(&mut self, line: &Line<'_>) -> Result<String> {
        match *line {
            Line::Nothing => Ok(String::new()),
            Line::Expression(text) | Line::Unfinished(text) => {
                let value = self.value(text)?;
                Ok(shown(&self.evaluation.show(value, SHALLOW)?))
            }
            Line::Bindings(text) => self.bind(text).map(|()| String::new()),
            Line::Unknown(word) => bail!("there is no command :{word}; :? says what there is"),
            Line::Command(verb, rest) => self.command(verb, rest),
        }
    }

    fn command(&mut self, verb: Verb, rest: &str) -> Result<String> {
        match verb {
            Verb::Help => Ok(help()),
            Verb::Add => {
                let value = self.value(rest)?;
                self.add(value)
            }
            Verb::Load if rest.is_empty() => bail!(":l takes the name of a file"),
            Verb::Load => self.load(Path::new(rest)),
            Verb::Reload => self.reload(),
            Verb::LastLoaded if self.last.is_empty() => bail!("no names were added yet"),
            Verb::LastLoaded => Ok(self.last.join("\n") + "\n"),
            Verb::Print => self.print(rest),
            Verb::Type => {
                let value = self.value(rest)?;
                Ok(format!("{}\n", self.evaluation.describe(value)?))
            }
            Verb::Documentation => documentation(self, rest),
            Verb::Build => {
                Ok(told(&self.build(rest)?, |output, path| format!("{output} -> {path}")))
            }
            Verb::BuildAndLink => self.build_and_link(rest),
            Verb::Log => self.log(rest),
            Verb::Edit => self.edit(rest),
            Verb::TraceEnable => self.enable_trace(rest),
            Verb::Install => bail!(
                "floe has no profiles to install into; :bl {rest} builds and links, :u {rest} opens a shell with it"
            ),
            Verb::LoadFlake => bail!(
                "floe repl loads no flakes by reference; :a builtins.getFlake \"{}\" adds its outputs",
                if rest.is_empty() { "REF" } else { rest }
            ),
            Verb::BuildShell => bail!(
                "floe opens no shell to build in; :u {rest} builds it and opens a shell with it on PATH"
            ),
            Verb::Quit | Verb::Shell => {
                unreachable!("`answer` handles what ends or leaves a session")
            }
        }
    }

    /// A string as it is, any other value with everything in it.
    fn print(&mut self, text: &str) -> Result<String> {
        let value = self.value(text)?;
        let value = self.evaluation.force(value, false)?;
        let text = match self.evaluation.describe(value)?.starts_with("a string") {
            true => self.evaluation.raw(value)?,
            false => self.evaluation.show(value, usize::MAX)?,
        };
        Ok(shown(&text))
    }

    /// Builds the derivation that a text is.
    fn build(&mut self, text: &str) -> Result<Outputs> {
        let value = self.value(text)?;
        let target = self.evaluation.only_target(value, text)?;
        let drvs = std::sync::Arc::clone(self.evaluation.graph());
        let targets = [target];
        let built = request(&mut self.engine, &drvs, &targets, &self.options)?;
        let mut answer = answered(&self.engine, &built, &targets, false);
        fail_if_failed(&answer, self.style.form)?;
        answer.results.pop().context("a target has a result")
    }

    fn build_and_link(&mut self, text: &str) -> Result<String> {
        let outputs = self.build(text)?;
        let store = self.engine.store().context("what was built is in a store")?;
        for (output, path) in &outputs.outputs {
            store.add_root(&PathBuf::from(link_name(output.as_str())), path)?;
        }
        Ok(told(&outputs, |output, path| format!("./{} -> {path}", link_name(output))))
    }

    /// Prints the log of a derivation's build, by the outputs that it is known to have, or by its
    /// name.
    fn log(&mut self, text: &str) -> Result<String> {
        let value = self.value(text)?;
        let target = self.evaluation.only_target(value, text)?;
        let drvs = std::sync::Arc::clone(self.evaluation.graph());
        let name = drvs.node(target.wanted.drv).name.to_string();
        let targets = [target];
        let mut options = self.options.clone();
        options.schedule.dry_run = true;
        let built = request(&mut self.engine, &drvs, &targets, &options)?;
        let answer = answered(&self.engine, &built, &targets, false);
        let known = answer.results.into_iter().flat_map(|result| result.outputs).next();
        let what = known.map_or(name, |(_, path)| path.to_string());
        let store = self.engine.store().context("nothing was built yet, so there is no log")?;
        inspect::print_log(&self.engine, &store, &what)?;
        Ok(String::new())
    }

    /// Opens the place of a value in the editor, then reads all files again.
    fn edit(&mut self, text: &str) -> Result<String> {
        let value = self.value(text)?;
        let place = self.evaluation.place(value)?;
        let (file, line) =
            place.with_context(|| format!("nothing says where '{text}' is defined"))?;
        if !file.exists() {
            bail!("'{text}' is defined in {}, which is no file", file.display());
        }
        let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok());
        let editor = editor.context("neither VISUAL nor EDITOR names an editor")?;
        let mut words = editor.split_ascii_whitespace();
        let program = words.next().context("VISUAL or EDITOR is empty")?;
        let mut command = Command::new(program);
        command.args(words);
        let takes_lines = ["vi", "nano", "emacs", "kak", "micro"];
        let base =
            Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(line) = line.filter(|_| takes_lines.iter().any(|name| base.contains(name))) {
            command.arg(format!("+{line}"));
        }
        let ended = command.arg(&file).status();
        let ended = ended.with_context(|| format!("cannot start the editor '{program}'"))?;
        if !ended.success() {
            bail!("the editor '{program}' failed: {ended}");
        }
        self.reload()
    }

    fn enable_trace(&mut self, word: &str) -> Result<String> {
        let on = match word {
            "true" => true,
            "false" => false,
            "" => !self.evaluation.shows_trace(),
            other => bail!(":te takes true, false or nothing, not '{other}'"),
        };
        self.evaluation.show_trace(on);
        Ok(format!("{}showing every step of errors\n", if on { "" } else { "not " }))
    }
}

fn link_name(output: &str) -> String {
    format!("repl-result-{output}")
}

fn told(outputs: &Outputs, row: impl Fn(&str, &str) -> String) -> String {
    let mut text = "this derivation has these outputs:\n".to_owned();
    for (output, path) in &outputs.outputs {
        text += &format!("  {}\n", row(output.as_str(), path.as_str()));
    }
    text
}

fn shown(text: &[u8]) -> String {
    format!("{}\n", String::from_utf8_lossy(text))
}
