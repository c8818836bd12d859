//! How a command ends when it does not succeed: the exit status, and an error as the user sees
//! it. Evaluation errors get an excerpt of their source.

use std::fmt;
use std::io::Write;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use floe_lang::graph::SourcePos;
use floe_lang::{EvalError, Evaluator};
use serde_json::json;

use crate::progress::{Form, json_error};
use crate::terminal;

/// Exit statuses; also in `floe --help`.
pub mod status {
    /// An expression, an argument or the store is at fault.
    pub const ERROR: u8 = 1;
    /// A build failed.
    pub const BUILD_FAILED: u8 = 100;
    /// A build that was made again to be compared came out otherwise.
    pub const CHECK_FAILED: u8 = 104;
    /// Interrupted by the user.
    pub const INTERRUPTED: u8 = 130;
}

/// An evaluation error with its excerpt, ready to be printed.
#[derive(Debug)]
pub struct Shown(pub Vec<u8>);

impl Shown {
    /// Writes it to standard error; the excerpt has the bytes of its source, but for what steers terminals.
    pub fn print(&self) {
        let text = terminal::for_stderr(&self.0);
        let mut out = std::io::stderr().lock();
        // There is nobody else to tell.
        let _ = out.write_all(&text).and_then(|()| out.write_all(b"\n"));
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::error::Error for Shown {}

/// The command ends with this status; what there was to say has been said.
#[derive(Debug)]
pub struct Ended(pub u8);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// The user asked to stop.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; what was finished is kept")
    }
}

impl std::error::Error for Interrupted {}

/// Says what went wrong on standard error.
pub fn tell(error: &anyhow::Error, form: Form) {
    if form == Form::Json && !error.is::<Ended>() {
        let message = match error.downcast_ref::<Shown>() {
            Some(shown) => terminal::without_escapes(&shown.to_string()),
            None => floe_server::sentence(error.as_ref()),
        };
        return json_error(json!({ "message": message }));
    }
    if let Some(shown) = error.downcast_ref::<Shown>() {
        shown.print();
    } else if error.is::<Interrupted>() {
        eprintln!("floe: {Interrupted}");
    } else if !error.is::<Ended>() {
        eprintln!(
            "{}",
            terminal::marked(&format!("error: {}", floe_server::sentence(error.as_ref())))
        );
    }
}

/// What the step says that stands behind a function's call.
const CALL_SITE: &str = "from call site";

/// How many frames are shown without `--show-trace`.
const SHORT_TRACE: usize = 4;

/// Renders an evaluation error with the source it points to.
pub fn show(error: &EvalError, evaluator: &Evaluator, show_trace: bool, colour: bool) -> Shown {
    let text_of = |file: &Path| evaluator.source_text(file).map(<[u8]>::to_vec);
    Shown(render(error, &text_of, show_trace, colour))
}

/// The same, wherever the sources' texts come from.
pub fn render(
    error: &EvalError,
    source_text: &dyn Fn(&Path) -> Option<Vec<u8>>,
    show_trace: bool,
    colour: bool,
) -> Vec<u8> {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut report = Vec::new();
    let text_of = |pos: &SourcePos| {
        source_text(&pos.file).map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    // Where C++ Nix has the hint in the message, it stands with the other advice here.
    let (message, hint) = match error.message.split_once("\nDid you mean ") {
        Some((message, hint)) => (message, Some(format!("Did you mean {hint}"))),
        None => (error.message.as_str(), None),
    };
    let mut group = Level::ERROR
        .primary_title(terminal::without_escapes(message))
        .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    // Where C++ Nix gives no place to an error itself, the step that led to it has one.
    let place_of_step = || error.frames.iter().find_map(|frame| frame.pos.as_ref());
    let pos = error.pos.as_ref().or_else(place_of_step).or(error.near.as_deref());
    if let Some(pos) = pos
        && let Some(text) = text_of(pos)
        && let Some(at) = offset(&text, pos)
    {
        let end = at + text[at..].chars().next().map_or(1, char::len_utf8);
        group = group.element(
            Snippet::source(text)
                .line_start(1)
                .path(pos.file.display().to_string())
                .annotation(AnnotationKind::Primary.span(at..end)),
        );
    } else if let Some(pos) = pos {
        group = group.element(Level::NOTE.message(format!(
            "at {}:{}:{}",
            pos.file.display(),
            pos.line,
            pos.column
        )));
    }
    report.push(group);
    let mut text = renderer.render(&report).to_string();
    for advice in hint.iter().chain(&error.advice) {
        text += &format!("\n  {advice}");
    }
    let steps = if show_trace { all_steps(error) } else { useful_steps(error, pos) };
    let most = if show_trace { steps.len() } else { SHORT_TRACE };
    for (what, pos) in steps.iter().take(most) {
        text += &format!("\n  … {what}");
        if let Some(pos) = pos {
            text += &format!(" at {}:{}:{}", place(&pos.file), pos.line, pos.column);
        }
    }
    match steps.len().saturating_sub(most) {
        0 => {}
        1 => text += "\n  … and 1 more frame (--show-trace)",
        more => text += &format!("\n  … and {more} more frames (--show-trace)"),
    }
    text.into_bytes()
}

/// A step on the way to an error, and where it is.
type Step<'e> = (&'e str, Option<&'e SourcePos>);

fn all_steps(error: &EvalError) -> Vec<Step<'_>> {
    error.frames.iter().map(|frame| (frame.text.as_str(), frame.pos.as_ref())).collect()
}

/// The steps that say something new: none at the place that the excerpt shows, and for a call
/// where it happens, not where the function is defined.
fn useful_steps<'e>(error: &'e EvalError, excerpt: Option<&SourcePos>) -> Vec<Step<'e>> {
    let mut steps: Vec<Step<'e>> = Vec::new();
    let mut called = false;
    for (what, pos) in all_steps(error) {
        match steps.last_mut() {
            Some(step) if called && what == CALL_SITE => step.1 = pos,
            _ if what != CALL_SITE && pos.is_some() && pos == excerpt => {}
            _ => steps.push((what, pos)),
        }
        called = what.starts_with("while calling ");
    }
    steps
}

fn place(path: &Path) -> String {
    path.display().to_string()
}

/// The byte offset of a position; `None` when the text has changed since.
fn offset(text: &str, pos: &SourcePos) -> Option<usize> {
    let mut start = 0;
    for _ in 1..pos.line {
        start += text[start..].find('\n')? + 1;
    }
    let column = (pos.column as usize).saturating_sub(1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let at = (start + column).min(line_end.saturating_sub(1).max(start));
    (at < text.len() && text.is_char_boundary(at)).then_some(at)
}
