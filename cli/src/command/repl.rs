//! `floe repl`: expressions and definitions, a line at a time, from a terminal or a pipe.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

use anyhow::Result;
use floe_lang::Handle;

use crate::args::{Global, Source};
use crate::evaluate::Evaluation;
use crate::progress::{Progress, Style};

const HELP: &str = "EXPR            print the value of an expression
NAME = EXPR     give a value a name
:a EXPR         give the attributes of a set their names
:l FILE         load a file: :a of its value
:p EXPR         print a value with everything in it
:t EXPR         say what a value is
:doc NAME       describe a builtin
:q              end
An expression that is not finished goes on in the next line.
";

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Line<'t> {
    Nothing,
    Quit,
    Help,
    Expr(&'t str),
    Define(&'t str, &'t str),
    Add(&'t str),
    Load(&'t str),
    Deep(&'t str),
    Type(&'t str),
    Doc(&'t str),
    Unknown(&'t str),
}

impl Line<'_> {
    fn read(text: &str) -> Line<'_> {
        let text = text.trim();
        if let Some(command) = text.strip_prefix(':') {
            let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
            let rest = rest.trim();
            return match word {
                "q" | "quit" => Line::Quit,
                "?" | "h" | "help" => Line::Help,
                "a" | "add" => Line::Add(rest),
                "l" | "load" => Line::Load(rest),
                "p" | "print" => Line::Deep(rest),
                "t" | "type" => Line::Type(rest),
                "doc" => Line::Doc(rest),
                _ => Line::Unknown(word),
            };
        }
        if text.is_empty() || text.starts_with('#') {
            return Line::Nothing;
        }
        match text.split_once('=') {
            Some((name, value))
                if floe_lang::syntax::print::is_identifier(name.trim().as_bytes())
                    && !value.starts_with('=') =>
            {
                Line::Define(name.trim(), value.trim().trim_end_matches(';'))
            }
            _ => Line::Expr(text),
        }
    }
}

struct Session {
    evaluation: Evaluation,
    names: BTreeMap<String, Handle>,
}

impl Session {
    fn define(&mut self, text: &str) -> Result<Handle> {
        let scope: Vec<(String, Handle)> =
            self.names.iter().map(|(name, value)| (name.clone(), *value)).collect();
        self.evaluation.define(text, &scope)
    }

    fn add(&mut self, value: Handle) -> Result<String> {
        let found = self.evaluation.attributes(value)?;
        let count = found.len();
        self.names.extend(found);
        Ok(format!("{count} names\n"))
    }

    /// Does what a line asks for; `None` ends the session.
    fn answer(&mut self, line: &Line<'_>) -> Result<Option<String>> {
        let text = match *line {
            Line::Quit => return Ok(None),
            Line::Nothing => String::new(),
            Line::Help => HELP.to_owned(),
            Line::Expr(text) => {
                let value = self.define(text)?;
                let value = self.evaluation.force(value, false)?;
                shown(self.evaluation.print(value)?)
            }
            Line::Deep(text) => {
                let value = self.define(text)?;
                let value = self.evaluation.force(value, true)?;
                shown(self.evaluation.print(value)?)
            }
            Line::Define(name, text) => {
                let value = self.define(text)?;
                self.names.insert(name.to_owned(), value);
                String::new()
            }
            Line::Add(text) => {
                let value = self.define(text)?;
                self.add(value)?
            }
            Line::Load(file) => {
                let value = self.evaluation.load(file)?;
                self.add(value)?
            }
            Line::Type(text) => {
                let value = self.define(text)?;
                format!("{}\n", self.evaluation.describe(value)?)
            }
            Line::Doc(name) => documentation(name),
            Line::Unknown(word) => format!("there is no :{word}; :? says what there is\n"),
        };
        Ok(Some(text))
    }
}

fn shown(text: Vec<u8>) -> String {
    format!("{}\n", String::from_utf8_lossy(&text))
}

fn documentation(name: &str) -> String {
    let name = name.strip_prefix("builtins.").unwrap_or(name);
    match floe_lang::documentation().find(|(builtin, ..)| *builtin == name) {
        Some((name, arity, text)) => format!("builtins.{name}, arguments: {arity}\n{text}\n"),
        None => format!("there is no builtin '{name}'\n"),
    }
}

/// Reads lines until the end, or `:q`.
pub fn repl(global: &Global, source: &Source) -> Result<()> {
    let progress = Progress::start(Style { quiet: global.quiet, logs: false });
    let engine = super::engine(global, progress.events())?;
    let empty = Source { expr: Some("{ }".to_owned()), ..source.clone() };
    let given = source.file.is_some() || source.expr.is_some();
    let start = if given { source } else { &empty };
    let mut session =
        Session { evaluation: Evaluation::start(start, engine.host())?, names: BTreeMap::new() };
    let top = session.evaluation.select(None)?;
    session.add(top)?;
    let terminal = std::io::stdin().is_terminal();
    let mut lines = std::io::stdin().lock().lines();
    let mut text = String::new();
    loop {
        prompt(terminal, if text.is_empty() { "floe> " } else { "      " })?;
        let line = lines.next().transpose()?;
        let ended = line.is_none() || line.as_deref() == Some("");
        if line.is_none() && text.is_empty() {
            return Ok(());
        }
        text += &line.unwrap_or_default();
        text.push('\n');
        match session.answer(&Line::read(&text)) {
            Ok(Some(answer)) => prompt(true, &answer)?,
            Ok(None) => return Ok(()),
            Err(error) if !ended && is_unfinished(&error) => continue,
            Err(error) => eprintln!("{error}"),
        }
        text.clear();
    }
}

fn is_unfinished(error: &anyhow::Error) -> bool {
    error.to_string().contains("unexpected end of file")
}

fn prompt(show: bool, text: &str) -> Result<()> {
    if show {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(Line::read("x = 1;\n"), Line::Define("x", "1"));
        assert_eq!(Line::read("x == 1"), Line::Expr("x == 1"));
        assert_eq!(Line::read("{ x = 1; }"), Line::Expr("{ x = 1; }"));
        assert_eq!(Line::read(":l ./a b"), Line::Load("./a b"));
        assert_eq!(Line::read("  # nothing"), Line::Nothing);
        assert_eq!(Line::read(":z"), Line::Unknown("z"));
    }
}
