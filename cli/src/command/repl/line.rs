//! What a text that was typed asks for. Nothing is evaluated here.

use floe_lang::syntax::Features;
use floe_lang::syntax::input::{Input, read};

/// A command's names, what it takes, and what `:?` says of it.
pub struct Command {
    /// What it does.
    pub verb: Verb,
    /// Its names, without the colon; the first is shown first.
    pub names: &'static [&'static str],
    /// What it takes.
    pub takes: Takes,
    /// A line of help.
    pub help: &'static str,
}

/// What a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or a word.
    Word(&'static str),
    /// An expression, which may go on for several lines.
    Expression,
    /// A file's name.
    File,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Says what can be typed.
    Help,
    /// Names the attributes of a set.
    Add,
    /// Builds.
    Build,
    /// Builds and links the outputs.
    BuildAndLink,
    /// Opens what defines a value in an editor.
    Edit,
    /// Would install.
    Install,
    /// Names the attributes of a file's value.
    Load,
    /// Would load a flake.
    LoadFlake,
    /// Lists the names that were added last.
    LastLoaded,
    /// Prints with everything below.
    Print,
    /// Ends.
    Quit,
    /// Reads all files again.
    Reload,
    /// Would open a shell to build in.
    BuildShell,
    /// Says what a value is.
    Type,
    /// Opens a shell with a package.
    Shell,
    /// Says what is known of a function.
    Documentation,
    /// Prints a build's log.
    Log,
    /// Shows all steps of errors, or not.
    TraceEnable,
}

const fn command(
    verb: Verb,
    names: &'static [&'static str],
    takes: Takes,
    help: &'static str,
) -> Command {
    Command { verb, names, takes, help }
}

/// All commands, in the order of help.
pub const COMMANDS: &[Command] = &[
    command(
        Verb::Add,
        &["a", "add"],
        Takes::Expression,
        "give the attributes of a set their names",
    ),
    command(Verb::Build, &["b"], Takes::Expression, "build a derivation"),
    command(
        Verb::BuildAndLink,
        &["bl"],
        Takes::Expression,
        "build a derivation and link its outputs as repl-result-*",
    ),
    command(
        Verb::Documentation,
        &["doc"],
        Takes::Expression,
        "say what is known of a function or builtin",
    ),
    command(
        Verb::Edit,
        &["e", "edit"],
        Takes::Expression,
        "open what defines a function or package in $EDITOR",
    ),
    command(Verb::Install, &["i"], Takes::Expression, "not in floe: there are no profiles"),
    command(Verb::Load, &["l", "load"], Takes::File, "load a file: :a of its value"),
    command(
        Verb::LoadFlake,
        &["lf", "load-flake"],
        Takes::Word("REF"),
        "not in floe: :a builtins.getFlake \"REF\" does it",
    ),
    command(
        Verb::LastLoaded,
        &["ll", "last-loaded"],
        Takes::Word(""),
        "list the names that were added last",
    ),
    command(Verb::Log, &["log"], Takes::Expression, "print the log of a derivation's build"),
    command(Verb::Print, &["p", "print"], Takes::Expression, "print a value with everything in it"),
    command(Verb::Quit, &["q", "quit"], Takes::Word(""), "end"),
    command(Verb::Reload, &["r", "reload"], Takes::Word(""), "read all files again"),
    command(
        Verb::BuildShell,
        &["sh"],
        Takes::Expression,
        "not in floe: :u opens a shell with what was built",
    ),
    command(Verb::Type, &["t"], Takes::Expression, "say what a value is"),
    command(
        Verb::TraceEnable,
        &["te", "trace-enable"],
        Takes::Word("[true|false]"),
        "show every step of errors, or the first ones only",
    ),
    command(Verb::Shell, &["u"], Takes::Expression, "build a derivation and open a shell with it"),
    command(Verb::Help, &["?", "help"], Takes::Word(""), "say this"),
];

/// What a text asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'t> {
    /// Nothing at all.
    Nothing,
    /// The value of an expression.
    Expression(&'t str),
    /// Names for values.
    Bindings(&'t str),
    /// What a command does, with what follows it.
    Command(Verb, &'t str),
    /// There is no such command.
    Unknown(&'t str),
    /// The beginning of something.
    Unfinished(&'t str),
}

impl Line<'_> {
    /// Reads a text.
    pub fn read(text: &str) -> Line<'_> {
        let trimmed = text.trim();
        if let Some(rest) = trimmed.strip_prefix(':') {
            let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let rest = rest.trim();
            let Some(command) = find(word) else { return Line::Unknown(word) };
            let unfinished = command.takes == Takes::Expression
                && !rest.is_empty()
                && read(rest.as_bytes(), Features::default()) == Input::Unfinished;
            return if unfinished {
                Line::Unfinished(trimmed)
            } else {
                Line::Command(command.verb, rest)
            };
        }
        let blank = trimmed
            .lines()
            .all(|line| line.trim_start().starts_with('#') || line.trim().is_empty());
        if blank {
            return Line::Nothing;
        }
        match read(trimmed.as_bytes(), Features::default()) {
            Input::Bindings | Input::BindingsFault(_) => Line::Bindings(trimmed),
            Input::Unfinished => Line::Unfinished(trimmed),
            Input::Expression | Input::Fault(_) => Line::Expression(trimmed),
        }
    }

    /// Whether more has to be typed.
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Line::Unfinished(_))
    }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.names.contains(&name))
}

/// What `:?` says.
pub fn help() -> String {
    let mut text = String::new();
    let mut row = |what: &str, help: &str| text += &format!("  {what:<32} {help}\n");
    row("EXPR", "print the value of an expression");
    row("NAME = EXPR", "give a value a name; several with semicolons, or inherit");
    for command in COMMANDS {
        let names: Vec<String> = command.names.iter().map(|name| format!(":{name}")).collect();
        let takes = match command.takes {
            Takes::Word(word) => word,
            Takes::Expression => "EXPR",
            Takes::File => "FILE",
        };
        row(format!("{} {takes}", names.join(", ")).trim_end(), command.help);
    }
    text += "A text that is not finished goes on in the next line. Tab completes names, attributes and\n\
             files; Ctrl-C forgets what was typed, and ends an evaluation or a build.\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        assert_eq!(Line::read("x = 1;\n"), Line::Bindings("x = 1;"));
        assert_eq!(Line::read("x = 1; y = 2"), Line::Bindings("x = 1; y = 2"));
        assert_eq!(Line::read("x == 1"), Line::Expression("x == 1"));
        assert_eq!(Line::read("{ x = 1; }"), Line::Expression("{ x = 1; }"));
        assert_eq!(Line::read("{ x =\n"), Line::Unfinished("{ x ="));
        assert_eq!(Line::read("{ x =\n\n"), Line::Unfinished("{ x ="));
        assert_eq!(Line::read(":l ./a b"), Line::Command(Verb::Load, "./a b"));
        assert_eq!(Line::read(":p {\n"), Line::Unfinished(":p {"));
        assert_eq!(Line::read(":p {\n}"), Line::Command(Verb::Print, "{\n}"));
        assert_eq!(Line::read("  # nothing"), Line::Nothing);
        assert_eq!(Line::read("# said\n1"), Line::Expression("# said\n1"));
        assert_eq!(Line::read(":z"), Line::Unknown("z"));
    }

    #[test]
    fn commands_have_names_of_their_own() {
        let mut names: Vec<_> = COMMANDS.iter().flat_map(|command| command.names).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn help_is_worth_reading() {
        insta::assert_snapshot!(help());
    }
}
