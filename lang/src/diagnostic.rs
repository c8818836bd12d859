//! A failure as neutral data, and its plain-text form in C++ Nix's layout. No terminal, no colours,
//! and no files: source lines come through [`SourceLines`].

use std::collections::HashSet;

use crate::error::{ErrorKind, EvalError, Shown};
use crate::graph::SourcePos;

/// What kind of failure it is; callers choose exit codes and hints by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The text is no expression.
    Syntax,
    /// `throw`
    Throw,
    /// `abort`
    Abort,
    /// `assert`
    Assertion,
    /// Any other failure of an evaluation.
    Eval,
    /// The world outside refused.
    Host,
}

/// A place as messages name it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// A path, `«string»` or `«stdin»`.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1; 0 where only the line is known.
    pub column: u32,
}

/// A step of the way to the failure.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Frame {
    /// Such as `while calling the 'map' builtin`.
    pub message: String,
    /// Where, if it is known.
    pub position: Option<Position>,
    /// Shown even where frames are cut: `addErrorContext`.
    pub always: bool,
}

/// A failure with all that is known about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The kind.
    pub kind: Kind,
    /// What went wrong, without `error: `.
    pub message: String,
    /// Where.
    pub position: Option<Position>,
    /// How evaluation came there, outermost first.
    pub frames: Vec<Frame>,
    /// What may help, such as `Did you mean foo?`.
    pub hints: Vec<String>,
}

impl From<&SourcePos> for Position {
    fn from(pos: &SourcePos) -> Position {
        Position { file: pos.file.display().to_string(), line: pos.line, column: pos.column }
    }
}

impl Diagnostic {
    /// What is known of an error; the calls of functions belong to a full trace only.
    pub fn new(error: &EvalError, show_trace: bool) -> Diagnostic {
        let kind = match error.kind {
            ErrorKind::Syntax => Kind::Syntax,
            ErrorKind::Throw => Kind::Throw,
            ErrorKind::Abort => Kind::Abort,
            ErrorKind::Assertion => Kind::Assertion,
            ErrorKind::Host => Kind::Host,
            _ => Kind::Eval,
        };
        let (message, hint) = match error.message.split_once("\nDid you mean ") {
            Some((message, rest)) => (message, Some(format!("Did you mean {rest}"))),
            None => (error.message.as_str(), None),
        };
        // C++ Nix names the place of a builtin's call once, with the frame for the call: what the builtin
        // itself calls is nowhere.
        let mut frames = Vec::with_capacity(error.frames.len());
        let mut call = None;
        for frame in error.frames.iter().rev() {
            let repeats = frame.pos.is_some() && frame.pos == call;
            if frame.text.starts_with("while calling the '") {
                call.clone_from(&frame.pos);
            } else if frame.shown == Shown::InFull {
                call = None;
            }
            if frame.shown == Shown::InFull && !show_trace {
                continue;
            }
            if repeats && matches!(frame.shown, Shown::InFull | Shown::Placed) {
                continue;
            }
            frames.push(Frame {
                message: frame.text.clone(),
                position: frame.pos.as_ref().filter(|_| !repeats).map(Position::from),
                always: frame.shown == Shown::Always,
            });
        }
        let segment = error.frames.first().is_some_and(|frame| {
            frame.text == "while evaluating a path segment" && frame.pos == error.pos
        });
        let own = matches!(kind, Kind::Throw | Kind::Abort | Kind::Host) || segment;
        let placed = !own && (error.pos.is_none() || error.pos != call);
        Diagnostic {
            kind,
            message: message.to_owned(),
            position: error.pos.as_ref().filter(|_| placed).map(Position::from),
            frames,
            hints: hint.into_iter().collect(),
        }
    }
}

/// Gives the lines of sources.
pub trait SourceLines {
    /// A line (from 1) without its end; `None` where there is no such line or no such file.
    fn line(&self, file: &str, line: u32) -> Option<Vec<u8>>;
}

/// No sources: positions are shown without their lines.
impl SourceLines for () {
    fn line(&self, _file: &str, _line: u32) -> Option<Vec<u8>> {
        None
    }
}

/// After this many lines of frames, the rest waits for `--show-trace`.
const SHORT_TRACE: usize = 3;
/// So many repeated frames are shown; more are counted.
const REPEATS: usize = 5;
/// What an error begins with; the lines below stand under its text.
const ERROR: &str = "error: ";
/// What a warning begins with.
const WARNING: &str = "warning: ";

/// Writes a failure as C++ Nix does, without a final line end. Lines of sources need not be UTF-8.
pub fn render(diagnostic: &Diagnostic, sources: &dyn SourceLines, show_trace: bool) -> Vec<u8> {
    let mut body = Vec::new();
    if !diagnostic.frames.is_empty() {
        frames(&mut body, &diagnostic.frames, sources, show_trace);
        put(&mut body, "\nerror: ");
    }
    put(&mut body, &diagnostic.message);
    body.push(b'\n');
    place(&mut body, "", diagnostic.position.as_ref(), sources);
    for hint in &diagnostic.hints {
        put(&mut body, hint);
        body.push(b'\n');
    }
    let mut text = indented(&body, ERROR, ERROR.len());
    // C++ Nix ends what it puts into a message by resetting the colour, behind a line end of its own; what is thrown it
    // shows as it is.
    let ends_a_line = diagnostic.message.ends_with('\n') && diagnostic.position.is_none();
    if ends_a_line && diagnostic.kind != Kind::Throw {
        text.push(b'\n');
        text.resize(text.len() + ERROR.len(), b' ');
    }
    text
}

/// Writes a warning as C++ Nix does, without the `warning: ` before it.
pub fn warning(message: &str, at: Option<&SourcePos>, sources: &dyn SourceLines) -> Vec<u8> {
    let mut body = message.as_bytes().to_vec();
    body.push(b'\n');
    place(&mut body, "", at.map(Position::from).as_ref(), sources);
    indented(&body, "", WARNING.len())
}

/// A text whose further lines are indented.
pub fn hanging(text: &[u8], indent: usize) -> Vec<u8> {
    indented(text, "", indent)
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// The frames, repeated ones left out, with an ellipsis each.
fn frames(out: &mut Vec<u8>, frames: &[Frame], sources: &dyn SourceLines, show_trace: bool) {
    let mut seen: HashSet<&Frame> = HashSet::new();
    let mut repeated: Vec<&Frame> = Vec::new();
    let mut count = 0;
    let mut cut = false;
    for frame in frames.iter().filter(|frame| !frame.message.is_empty()) {
        cut |= !show_trace && count > SHORT_TRACE;
        if cut && !frame.always {
            continue;
        }
        if !seen.insert(frame) {
            repeated.push(frame);
            continue;
        }
        flush(out, &mut repeated, sources, &mut count);
        count += 1 + step(out, frame, sources);
    }
    flush(out, &mut repeated, sources, &mut count);
    if cut {
        put(
            out,
            "\n(stack trace truncated; use '--show-trace' to show the full, detailed trace)\n",
        );
    }
}

/// Writes the repeated frames, or how many there are.
fn flush(
    out: &mut Vec<u8>,
    repeated: &mut Vec<&Frame>,
    sources: &dyn SourceLines,
    count: &mut usize,
) {
    if repeated.len() > REPEATS {
        put(out, &format!("\n({} duplicate frames omitted)\n", repeated.len()));
    } else {
        for frame in repeated.iter() {
            *count += 1 + step(out, frame, sources);
        }
    }
    repeated.clear();
}

/// Writes a frame; a position counts as one more.
fn step(out: &mut Vec<u8>, frame: &Frame, sources: &dyn SourceLines) -> usize {
    put(out, &format!("\n… {}\n", frame.message));
    place(out, "  ", frame.position.as_ref(), sources);
    frame.position.is_some() as usize
}

/// `at file:line:column:` and the lines around it.
fn place(out: &mut Vec<u8>, indent: &str, position: Option<&Position>, sources: &dyn SourceLines) {
    let Some(position) = position else { return };
    let Position { file, line, column } = position;
    put(out, &format!("{indent}at {file}:{line}"));
    if *column > 0 {
        put(out, &format!(":{column}"));
    }
    out.push(b':');
    if *line > 1 {
        code(out, file, line - 1, sources);
    }
    if code(out, file, *line, sources) {
        if *column > 0 {
            // The column of a very long line is too much for a width in a format.
            put(out, "\n      |");
            out.resize(out.len() + *column as usize, b' ');
            out.push(b'^');
        }
        code(out, file, line + 1, sources);
    }
    out.push(b'\n');
}

/// Writes a line of a source, if there is one.
fn code(out: &mut Vec<u8>, file: &str, line: u32, sources: &dyn SourceLines) -> bool {
    let Some(text) = sources.line(file, line) else {
        return false;
    };
    put(out, &format!("\n {line:>5}| "));
    out.extend_from_slice(&text);
    true
}

/// Puts a prefix before the first line and space before the others; no line ends with space.
fn indented(body: &[u8], prefix: &str, indent: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 2);
    for (index, line) in body.trim_ascii_end().split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        let start = out.len();
        if index == 0 {
            put(&mut out, prefix);
        } else {
            out.resize(start + indent, b' ');
        }
        out.extend_from_slice(line);
        let kept = out[start..].trim_ascii_end().len();
        out.truncate(start + kept);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text(&'static str);

    impl SourceLines for Text {
        fn line(&self, file: &str, line: u32) -> Option<Vec<u8>> {
            assert_eq!(file, "/a.nix");
            self.0.split('\n').nth(line as usize - 1).map(|line| line.as_bytes().to_vec())
        }
    }

    fn at(line: u32, column: u32) -> Option<Position> {
        Some(Position { file: "/a.nix".to_owned(), line, column })
    }

    fn frame(message: &str, position: Option<Position>) -> Frame {
        Frame { message: message.to_owned(), position, always: false }
    }

    fn failure(frames: Vec<Frame>, position: Option<Position>) -> Diagnostic {
        Diagnostic {
            kind: Kind::Eval,
            message: "kaboom".to_owned(),
            position,
            frames,
            hints: Vec::new(),
        }
    }

    fn shown(diagnostic: &Diagnostic) -> String {
        String::from_utf8(render(diagnostic, &(), true)).unwrap()
    }

    #[track_caller]
    fn check(diagnostic: &Diagnostic, show_trace: bool, expect: &str) {
        let text = render(diagnostic, &Text("if true\nthen abort\n"), show_trace);
        assert_eq!(String::from_utf8(text).unwrap(), expect);
    }

    #[test]
    fn without_frames_the_message_comes_first() {
        let expect = "error: kaboom\n       at /a.nix:1:4:\n            1| if true\n             |    ^\n            2| then abort";
        check(&failure(Vec::new(), at(1, 4)), false, expect);
        let mut bare = failure(Vec::new(), None);
        bare.hints.push("Did you mean boom?".to_owned());
        check(&bare, false, "error: kaboom\n       Did you mean boom?");
        bare.message = "two\n\nlines".to_owned();
        check(&bare, false, "error: two\n\n       lines\n       Did you mean boom?");
    }

    #[test]
    fn frames_come_before_the_message() {
        let expect = "error:\n       … while calling\n         at /a.nix:2:6:\n            1| if true\n            \
                      2| then abort\n             |      ^\n            3|\n\n       error: kaboom";
        check(&failure(vec![frame("while calling", at(2, 6))], None), false, expect);
    }

    #[test]
    fn long_traces_are_cut() {
        let frames: Vec<Frame> = (0..6).map(|index| frame(&format!("f{index}"), None)).collect();
        let expect = "error:\n       … f0\n\n       … f1\n\n       … f2\n\n       … f3\n\n       \
                      (stack trace truncated; use '--show-trace' to show the full, detailed trace)\n\n       error: kaboom";
        check(&failure(frames.clone(), None), false, expect);
        let full = shown(&failure(frames, None));
        assert!(full.contains("… f5") && !full.contains("truncated"), "{full}");
    }

    #[test]
    fn repeated_frames_are_counted() {
        let frames = vec![frame("again", None); 11];
        let text = shown(&failure(frames, None));
        assert_eq!(
            text,
            "error:\n       … again\n\n       (10 duplicate frames omitted)\n\n       error: kaboom"
        );
        let few = shown(&failure(vec![frame("again", None); 3], None));
        assert_eq!(few.matches("… again").count(), 3);
    }
}
