//! Texts without their comments, for some families of languages; what a family does not know stays.
//! No parser: it knows strings, comments and blanks, and errs towards finding a difference.

use std::path::Path;

/// A family of languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `//` and `/* */`.
    Slashes,
    /// `#` to the end of the line, where a word may begin.
    Hashes,
    /// Text for people.
    Prose,
    /// A diff.
    Patch,
    /// Anything else.
    Unknown,
}

impl Syntax {
    /// That of a file, by its name.
    pub(super) fn of(name: &Path) -> Syntax {
        let file = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending {
            "c" | "h" | "cc" | "hh" | "cpp" | "hpp" | "cxx" | "hxx" | "inc" | "m" | "rs" | "go"
            | "java" | "js" | "ts" | "zig" | "swift" | "kt" | "css" => Syntax::Slashes,
            "py" | "sh" | "bash" | "pl" | "rb" | "toml" | "yaml" | "yml" | "mk" | "cmake" => {
                Syntax::Hashes
            }
            "md" | "txt" | "rst" | "adoc" | "texi" | "html" => Syntax::Prose,
            "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" => Syntax::Prose,
            "patch" | "diff" => Syntax::Patch,
            _ if ["README", "LICENSE", "LICENCE", "COPYING", "AUTHORS", "NEWS", "ChangeLog"]
                .iter()
                .any(|known| file.starts_with(known)) =>
            {
                Syntax::Prose
            }
            _ if file.starts_with("Makefile") || file == "CMakeLists.txt" => Syntax::Hashes,
            _ => Syntax::Unknown,
        }
    }
}

/// Whether two texts are the same apart from comments, blank lines and blanks at ends of lines.
pub(super) fn same_code(syntax: Syntax, old: &[u8], new: &[u8]) -> bool {
    match syntax {
        Syntax::Slashes | Syntax::Hashes => code(syntax, old) == code(syntax, new),
        _ => false,
    }
}

/// A text without comments and blank lines.
fn code(syntax: Syntax, text: &[u8]) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let at_word = kept.last().is_none_or(|last| last.is_ascii_whitespace());
        at += match (syntax, rest[0]) {
            (Syntax::Slashes, b'/') if rest.starts_with(b"//") => line(rest),
            (Syntax::Slashes, b'/') if rest.starts_with(b"/*") => {
                if kept.last().is_some_and(|last| !last.is_ascii_whitespace()) {
                    kept.push(b' ');
                }
                memchr::memmem::find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4)
            }
            // The middle of a comment, in a piece of a text.
            (Syntax::Slashes, b'*') if is_line_start(&kept) && !has_code(rest) => line(rest),
            (Syntax::Hashes, b'#') if at_word => line(rest),
            (_, b'"' | b'\'') => {
                let len = quoted(rest);
                kept.extend_from_slice(&rest[..len]);
                len
            }
            (_, b'\n') => {
                let end = kept.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
                kept.truncate(end.map_or(0, |end| end + 1));
                if kept.last().is_some_and(|last| *last != b'\n') {
                    kept.push(b'\n');
                }
                1
            }
            (_, byte) => {
                kept.push(byte);
                1
            }
        };
    }
    let end = kept.iter().rposition(|byte| !byte.is_ascii_whitespace());
    kept.truncate(end.map_or(0, |end| end + 1));
    kept
}

/// Bytes to the end of the line, its newline left.
fn line(rest: &[u8]) -> usize {
    memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

fn is_line_start(kept: &[u8]) -> bool {
    let before = kept.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
    before.is_none_or(|byte| *byte == b'\n')
}

/// Whether a line that begins with a star is more than the middle of a comment: `*p = 1;`.
fn has_code(rest: &[u8]) -> bool {
    let line = &rest[..line(rest)];
    let after = line.get(1).copied().unwrap_or(b' ');
    !matches!(after, b' ' | b'/' | b'*') || line.ends_with(b";")
}

/// Bytes of a quoted text; one where it does not end on its line.
fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'\n' {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == rest[0] => return at + 1,
            _ => at += 1,
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_code_stays() {
        let left = |text: &str| {
            String::from_utf8(code(Syntax::Slashes, text.as_bytes())).expect("it was text")
        };
        assert_eq!(left("/* a */ int x; // b\n\n\nint y;"), " int x;\nint y;");
        assert_eq!(left("s = \"// no\"; c = '\"'; // yes"), "s = \"// no\"; c = '\"';");
        assert_eq!(left(" * the middle\n * of a comment */\nint x;"), "int x;");
        assert_eq!(left("*p = 1;\n"), "*p = 1;");
        assert_eq!(left("/* open"), "");
        assert_eq!(left("\"open // x\nint y;"), "\"open\nint y;");
        let left = String::from_utf8(code(Syntax::Hashes, b"a=b#c # d\n# e\n"));
        assert_eq!(left.as_deref(), Ok("a=b#c"));
    }
}
