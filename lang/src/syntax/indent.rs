//! Indented strings: takes the common indentation away. Works on pieces, before they become nodes.

use std::borrow::Cow;

/// A piece of an indented string as the scanner found it.
#[derive(Clone, Debug)]
pub(super) enum IndentPiece<'t, E> {
    /// Text as written: its line ends and leading spaces count as indentation.
    Plain(&'t [u8]),
    /// What an escape stands for.
    Escaped(Cow<'t, [u8]>),
    /// An interpolation.
    Expr(E),
}

/// Strips the common indentation and drops pieces that became empty.
///
/// A last line of only spaces does not count towards the indentation, and goes.
pub(super) fn strip<'t, E>(pieces: Vec<IndentPiece<'t, E>>) -> Vec<Result<Cow<'t, [u8]>, E>> {
    let indent = common_indent(&pieces);
    let last = pieces.len().saturating_sub(1);
    let mut line = Line { fresh: true, dropped: 0 };
    let mut stripped = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.into_iter().enumerate() {
        let text = match piece {
            IndentPiece::Expr(expr) => {
                line = Line { fresh: false, dropped: 0 };
                stripped.push(Err(expr));
                continue;
            }
            IndentPiece::Plain(text) => line.trim(text, indent),
            IndentPiece::Escaped(text) => Cow::Owned(line.trim(&text, indent).into_owned()),
        };
        let text = if index == last { without_blank_end(text) } else { text };
        if !text.is_empty() {
            stripped.push(Ok(text));
        }
    }
    stripped
}

/// The fewest spaces before the first other character of any line.
fn common_indent<E>(pieces: &[IndentPiece<'_, E>]) -> usize {
    let mut fresh = true;
    let mut least = 1_000_000;
    let mut current = 0;
    for piece in pieces {
        let IndentPiece::Plain(text) = piece else {
            if fresh {
                fresh = false;
                least = least.min(current);
            }
            continue;
        };
        for byte in *text {
            match byte {
                b'\n' => {
                    fresh = true;
                    current = 0;
                }
                b' ' if fresh => current += 1,
                _ if fresh => {
                    fresh = false;
                    least = least.min(current);
                }
                _ => {}
            }
        }
    }
    least
}

/// Where in a line the text stands.
struct Line {
    /// Only spaces so far.
    fresh: bool,
    /// How many spaces went by at its beginning.
    dropped: usize,
}

impl Line {
    fn trim<'t>(&mut self, text: &'t [u8], indent: usize) -> Cow<'t, [u8]> {
        if indent == 0 {
            // Nothing goes, but the state must follow.
            if let Some(end) = memchr::memrchr(b'\n', text) {
                *self = Line { fresh: true, dropped: 0 };
                self.trim_slow(&text[end + 1..], indent);
            } else {
                self.trim_slow(text, indent);
            }
            return Cow::Borrowed(text);
        }
        Cow::Owned(self.trim_slow(text, indent))
    }

    fn trim_slow(&mut self, text: &[u8], indent: usize) -> Vec<u8> {
        let mut kept = Vec::with_capacity(text.len());
        for byte in text {
            match byte {
                b' ' if self.fresh => {
                    self.dropped += 1;
                    if self.dropped > indent {
                        kept.push(b' ');
                    }
                    continue;
                }
                b'\n' => {
                    self.fresh = true;
                    self.dropped = 0;
                }
                _ if self.fresh => *self = Line { fresh: false, dropped: 0 },
                _ => {}
            }
            kept.push(*byte);
        }
        kept
    }
}

/// Without the spaces after the last line end, if there are only spaces.
fn without_blank_end(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let Some(end) = memchr::memrchr(b'\n', &text) else {
        return text;
    };
    if text[end + 1..].iter().any(|byte| *byte != b' ') {
        return text;
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..=end]),
        Cow::Owned(mut text) => {
            text.truncate(end + 1);
            Cow::Owned(text)
        }
    }
}
