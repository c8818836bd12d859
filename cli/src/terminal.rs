//! Text that somebody else chose, on its way to a terminal or a file. What could steer the terminal is left out of
//! what an expression says, as C++ Nix does, and marked in what a builder does. Also what the terminal
//! is like. Prints nothing.

use std::io::IsTerminal;

use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar;

use crate::progress::Size;

const ESCAPE: u8 = 0x1b;

/// What a terminal has that does not say its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Whether standard error is a screen on which something can be painted over.
pub fn can_be_drawn_on() -> bool {
    let is_able = |term: &std::ffi::OsString| !term.is_empty() && term != "dumb";
    std::io::stderr().is_terminal() && std::env::var_os("TERM").as_ref().is_some_and(is_able)
}

/// Whether standard error shows colours that are wanted (<https://no-color.org>).
pub fn has_colours() -> bool {
    can_be_drawn_on() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether the locale's characters are Unicode's.
pub fn is_unicode() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// The size of the terminal that standard error is, as it is now.
pub fn size() -> Size {
    match tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => USUAL,
    }
}

/// The text for standard error: with its colours on a terminal, without them elsewhere, and with spaces for tabs.
pub fn for_stderr(text: &[u8]) -> Vec<u8> {
    expanded(&filtered(text, has_colours()))
}

/// A text for a renderer that adds colours of its own.
pub fn without_escapes(text: &str) -> String {
    String::from_utf8_lossy(&filtered(text.as_bytes(), false)).into_owned()
}

/// A message, some words of which a builder may have chosen (names of files): control characters
/// are marked.
pub fn marked(text: &str) -> String {
    mark(text, &['\t', '\n'])
}

/// A builder's line, likewise.
pub fn marked_line(line: &[u8]) -> String {
    mark(String::from_utf8_lossy(line).trim_end_matches('\r'), &['\t'])
}

/// A builder's text for a place of known width on the screen: without its colours, all control
/// characters marked, and without what makes terminals disagree about widths.
pub fn bare(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&filtered(text, false)).replace('\t', " ");
    mark(text.trim_end(), &[]).replace('\u{fe0f}', "")
}

fn mark(text: &str, harmless: &[char]) -> String {
    text.chars().map(|c| if steers(c) && !harmless.contains(&c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character does something to those around it: control characters, and those that turn
/// the direction of writing.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without escape sequences, of which those that only colour may stay, and without control characters other
/// than tabs, line ends and NUL.
fn filtered(text: &[u8], colours: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == ESCAPE {
            let len = sequence_len(rest);
            let (sequence, behind) = rest.split_at(len);
            if colours && sequence.starts_with(b"\x1b[") && sequence.ends_with(b"m") {
                out.extend_from_slice(sequence);
            }
            rest = behind;
            continue;
        }
        // NUL does nothing, and C++ Nix shows it.
        if matches!(byte, b'\t' | b'\n' | 0) || !byte.is_ascii_control() {
            out.push(byte);
        }
        rest = after;
    }
    out
}

/// Columns between the stops of tabs.
const TAB_STOP: usize = 8;

/// The text with spaces for tabs, up to the next stop as C++ Nix counts it: from the beginning of the text, not of
/// the line.
fn expanded(text: &[u8]) -> Vec<u8> {
    if !text.contains(&b'\t') {
        return text.to_vec();
    }
    let mut out = Vec::with_capacity(text.len() + TAB_STOP);
    let mut column = 0;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let len = match byte {
            b'\t' => {
                let spaces = TAB_STOP - column % TAB_STOP;
                out.resize(out.len() + spaces, b' ');
                column += spaces;
                rest = after;
                continue;
            }
            ESCAPE => sequence_len(rest),
            _ => {
                let len = char_len(rest);
                column += match std::str::from_utf8(&rest[..len]) {
                    Ok(text) => text.chars().map(|c| c.width().unwrap_or(0)).sum(),
                    Err(_) => len,
                };
                len
            }
        };
        out.extend_from_slice(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

/// How many bytes the character takes that the text begins with; of what is none, one.
fn char_len(text: &[u8]) -> usize {
    let len = match text[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let is_whole = text.len() >= len && std::str::from_utf8(&text[..len]).is_ok();
    if is_whole { len } else { 1 }
}

/// How long the escape sequence is that the text begins with; one that is cut off is all of it.
fn sequence_len(text: &[u8]) -> usize {
    let end_of = |from: usize, is_end: &dyn Fn(u8) -> bool| {
        let end = text[from..].iter().position(|byte| is_end(*byte));
        end.map_or(text.len(), |at| from + at + 1)
    };
    match text.get(1) {
        Some(b'[') => end_of(2, &|byte| (0x40..=0x7e).contains(&byte)),
        // Titles and links end with BEL, or with ESC and a backslash.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let end = end_of(2, &|byte| byte == 0x07 || byte == ESCAPE);
            end + (text.get(end - 1) == Some(&ESCAPE) && text.get(end) == Some(&b'\\')) as usize
        }
        Some(0x20..=0x2f) => end_of(2, &|byte| (0x30..=0x7e).contains(&byte)),
        Some(_) => 2,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        for (text, plain, coloured) in [
            ("a\tb\nc", "a\tb\nc", "a\tb\nc"),
            ("\x1b[1;35mred\x1b[0m", "red", "\x1b[1;35mred\x1b[0m"),
            ("\x1b[2Jx\x1b[1;1H", "x", "x"),
            ("\x1b]0;title\x07x", "x", "x"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
            ("\x1bPdata\x1b\\x", "x", "x"),
            ("\x1bcx\x1b(Bx", "xx", "xx"),
            ("a\rb\x07c\x08d\x7f\x00e", "abcd\x00e", "abcd\x00e"),
            ("é\u{1f600}", "é\u{1f600}", "é\u{1f600}"),
            ("cut \x1b", "cut ", "cut "),
            ("cut \x1b[1;3", "cut ", "cut "),
            ("cut \x1b]0;title", "cut ", "cut "),
        ] {
            assert_eq!(filtered(text.as_bytes(), false), plain.as_bytes(), "{text:?}");
            assert_eq!(filtered(text.as_bytes(), true), coloured.as_bytes(), "{text:?}");
        }
        assert_eq!(filtered(b"\xff\x80", false), b"\xff\x80");
    }

    #[test]
    fn tabs_are_spaces() {
        for (text, plain) in [
            ("a\tb", "a       b"),
            ("12345678\tb", "12345678        b"),
            // Line ends take no column, and begin none anew.
            ("abc\n\tb", "abc\n     b"),
            ("é😀\tb", "é😀     b"),
            ("\x1b[31ma\x1b[0m\tb", "\x1b[31ma\x1b[0m       b"),
        ] {
            assert_eq!(expanded(text.as_bytes()), plain.as_bytes(), "{text:?}");
        }
        assert_eq!(expanded(b"\xff\t|"), b"\xff       |");
    }

    #[test]
    fn a_builder_chooses_characters_and_nothing_else() {
        assert_eq!(marked_line(b"a\tb\x1b[2Jc\r"), "a\tb\u{fffd}[2Jc");
        assert_eq!(marked_line("\u{202e}txt.exe".as_bytes()), "\u{fffd}txt.exe");
        assert_eq!(bare(b"\x1b[31merror:\x1b[0m\tno\x07 \xff\r"), "error: no \u{fffd}");
        assert_eq!(bare("\u{2764}\u{fe0f} \u{9b}2J".as_bytes()), "\u{2764} \u{fffd}2J");
    }
}
