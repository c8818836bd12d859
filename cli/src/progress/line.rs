//! A line of a screen: pieces of text in a tone each, no wider than so many columns. Widths are
//! those of the characters, so that wide ones count twice and combining ones not at all.

use unicode_width::UnicodeWidthChar;

/// How a piece looks, where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As all text.
    Plain,
    /// What runs.
    Bold,
    /// What matters less.
    Dim,
    /// What failed.
    Red,
    /// What takes longer than it should.
    Yellow,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Bold => "\x1b[1m",
            Tone::Dim => "\x1b[2m",
            Tone::Red => "\x1b[31m",
            Tone::Yellow => "\x1b[33m",
        }
    }
}

/// What stands where something was cut off.
const CUT: char = '…';

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    /// With one more piece.
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Line {
        let text = text.into();
        if !text.is_empty() {
            self.0.push((tone, text));
        }
        self
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// Cut to so many columns.
    pub fn cut(self, columns: usize) -> Line {
        let mut left = columns;
        let mut cut = Line::default();
        let is_long = self.width() > columns;
        for (tone, text) in self.0 {
            let own = width(&text);
            if own < left || (own == left && !is_long) {
                left -= own;
                cut = cut.with(tone, text);
                continue;
            }
            return cut.with(tone, truncated(&text, left));
        }
        cut
    }

    /// As it is written, with colours or without.
    pub fn paint(&self, colours: bool) -> String {
        let mut out = String::new();
        for (tone, text) in &self.0 {
            let code = if colours { tone.code() } else { "" };
            out += code;
            out += text;
            if !code.is_empty() {
                out += "\x1b[0m";
            }
        }
        out
    }
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A text that is too long, cut to so many columns.
pub fn truncated(text: &str, columns: usize) -> String {
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let own = c.width().unwrap_or(0);
        if used + own > room {
            break;
        }
        used += own;
        out.push(c);
    }
    out.push(CUT);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_their_columns() {
        for (text, columns, expected) in [
            ("zlib", 4, "zlib"),
            ("zlib", 3, "zl…"),
            ("zlib", 1, "…"),
            ("zlib", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ] {
            let cut = Line::default().with(Tone::Plain, text).cut(columns);
            assert_eq!(cut.paint(true), expected, "{text} in {columns}");
            assert!(cut.width() <= columns);
        }
    }

    #[test]
    fn pieces_keep_their_tones() {
        let line = Line::default().with(Tone::Bold, "zlib").with(Tone::Dim, " 3 s");
        assert_eq!(line.paint(true), "\x1b[1mzlib\x1b[0m\x1b[2m 3 s\x1b[0m");
        assert_eq!(line.clone().cut(6).paint(false), "zlib …");
        assert_eq!(line.clone().cut(4).paint(false), "zli…");
        assert_eq!(line.clone().cut(5).paint(false), "zlib…");
        assert_eq!(line.clone().cut(8), line);
    }
}
