//! What may come next in a text: commands, names, attributes and files. Knows no keyboard.

use std::path::Path;

use anyhow::Result;
use floe_lang::syntax::print::is_identifier;

use super::line::{COMMANDS, Takes, find};
use super::session::Session;

/// Words of the language that begin an expression.
const KEYWORDS: [&str; 7] = ["assert", "if", "import", "inherit", "let", "rec", "with"];

/// Where the word begins that is to be replaced, and what may replace it, sorted.
pub fn complete(session: &mut Session, text: &str) -> (usize, Vec<String>) {
    if let Some(typed) = text.strip_prefix(':')
        && !typed.contains(char::is_whitespace)
    {
        let names = COMMANDS.iter().flat_map(|command| command.names);
        let found = names.filter(|name| name.starts_with(typed)).map(|name| format!(":{name}"));
        return (0, sorted(found.collect()));
    }
    let start = text.rfind(|c: char| c.is_whitespace() || "(){}[]=,;!+".contains(c));
    let start = start.map_or(0, |at| at + 1);
    let word = &text[start..];
    if word.contains('/') || word.starts_with("~") || takes_file(text) {
        return (start, files(word));
    }
    match last_dot(word) {
        Some(dot) => {
            let (set, typed) = (&word[..dot], &word[dot + 1..]);
            let names = session.quietly(|session| attribute_names(session, set));
            let found = names.unwrap_or_default().into_iter();
            let found = found.filter(|name| name.starts_with(typed));
            (start, sorted(found.map(|name| format!("{set}.{name}")).collect()))
        }
        None => {
            let mut found: Vec<String> = session.names.keys().cloned().collect();
            found.extend(session.evaluation.global_names());
            found.extend(KEYWORDS.map(str::to_owned));
            found.retain(|name| name.starts_with(word));
            (start, sorted(found))
        }
    }
}

fn sorted(mut found: Vec<String>) -> Vec<String> {
    found.sort();
    found.dedup();
    found
}

fn takes_file(text: &str) -> bool {
    let command = text.strip_prefix(':').and_then(|text| text.split_whitespace().next());
    command.and_then(find).is_some_and(|command| command.takes == Takes::File)
}

/// The last dot that is not within quotes.
fn last_dot(word: &str) -> Option<usize> {
    let dot = word.rfind('.')?;
    let quotes = word[..dot].bytes().filter(|byte| *byte == b'"').count();
    (dot > 0 && quotes % 2 == 0).then_some(dot)
}

/// The names of a set's attributes, as they are written.
fn attribute_names(session: &mut Session, set: &str) -> Result<Vec<String>> {
    let value = session.value(set)?;
    let found = session.evaluation.attributes(value)?;
    let written = |name: String| match is_identifier(name.as_bytes()) {
        true => name,
        false => {
            format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${"))
        }
    };
    Ok(found.into_iter().map(|(name, _)| written(name)).collect())
}

/// Files whose path begins with what was typed; folders end in a slash.
fn files(word: &str) -> Vec<String> {
    let (folder, typed) =
        word.rsplit_once('/').map_or(("", word), |(folder, typed)| (folder, typed));
    let shown = if word.contains('/') { format!("{folder}/") } else { String::new() };
    let place = match (folder, shown.is_empty()) {
        ("", true) => ".".into(),
        ("", false) => "/".into(),
        (folder, _) => match (folder.strip_prefix('~'), std::env::var_os("HOME")) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest.trim_start_matches('/')),
            _ => folder.into(),
        },
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let hidden = name.starts_with('.') && !typed.starts_with('.');
        if hidden || !name.starts_with(typed) {
            continue;
        }
        let slash = if entry.path().is_dir() { "/" } else { "" };
        found.push(format!("{shown}{name}{slash}"));
    }
    sorted(found)
}
