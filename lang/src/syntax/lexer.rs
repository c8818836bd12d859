//! Bytes to tokens. The parser asks, and says in which mode: code, string, indented string or path.
//! Nothing here knows the grammar.
//!
//! Where several tokens fit, the longest wins, as in C++ Nix's scanner: `a/b` is a path, `x:y` a URI,
//! `-a/b` a path. The scanner never goes back over more than one run of path characters.

use super::ast::Span;
use super::error::{SyntaxError, SyntaxErrorKind};
use super::token::TokenKind;

/// A token of code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// What comes next in a string, an indented string or a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    /// Literal bytes at this span, still as written.
    Literal(Span),
    /// In an indented string: bytes that stand for themselves or for an escape, and end a line's indentation.
    Escape(Span, Escape),
    /// `${` at this span; code follows.
    Interpolation(Span),
    /// The closing quote, or the end of the path.
    End(Span),
    /// The text ended first.
    Eof,
}

/// The escapes of an indented string.
#[derive(Clone, Copy, Debug)]
pub(super) enum Escape {
    /// `$`, alone or as `''$`
    Dollar,
    /// `'''`
    Quotes,
    /// `'` before something special
    Quote,
    /// `''\x`: the byte x, escaped as in a string.
    Byte(u8),
}

pub(super) type LexResult<T> = Result<T, Box<SyntaxError>>;

pub(super) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    pipe_operators: bool,
    /// Before this offset no path or URI can begin: the run of path characters ends here without `/` or `:`.
    plain_until: usize,
}

const ID_START: u8 = 1;
const ID: u8 = 2;
const PATH: u8 = 4;
const URI: u8 = 8;
const SCHEME: u8 = 16;
const SPACE: u8 = 32;

/// The classes of each byte.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphabetic() {
            class |= ID_START | ID | PATH | URI | SCHEME;
        }
        if b.is_ascii_digit() {
            class |= ID | PATH | URI | SCHEME;
        }
        match b {
            b'_' => class |= ID_START | ID | PATH | URI,
            b'-' => class |= ID | PATH | URI | SCHEME,
            b'\'' => class |= ID | URI,
            b'.' | b'+' => class |= PATH | URI | SCHEME,
            b'%' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'$' | b',' | b'!' | b'~' | b'*' => {
                class |= URI
            }
            b' ' | b'\t' | b'\r' | b'\n' => class |= SPACE,
            _ => {}
        }
        table[byte] = class;
        byte += 1;
    }
    table
};

fn keyword(word: &[u8]) -> TokenKind {
    match word {
        b"if" => TokenKind::If,
        b"then" => TokenKind::Then,
        b"else" => TokenKind::Else,
        b"assert" => TokenKind::Assert,
        b"with" => TokenKind::With,
        b"let" => TokenKind::Let,
        b"in" => TokenKind::In,
        b"rec" => TokenKind::Rec,
        b"inherit" => TokenKind::Inherit,
        b"or" => TokenKind::OrKeyword,
        _ => TokenKind::Id,
    }
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t [u8], pipe_operators: bool) -> Lexer<'t> {
        Lexer { text, at: 0, pipe_operators, plain_until: 0 }
    }

    pub fn text(&self, span: Span) -> &'t [u8] {
        &self.text[span.start as usize..span.end as usize]
    }

    /// Where the scanner stands.
    pub fn offset(&self) -> u32 {
        self.at as u32
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn is(&self, at: usize, class: u8) -> bool {
        self.text.get(at).is_some_and(|byte| CLASS[*byte as usize] & class != 0)
    }

    /// The first offset at or after `from` whose byte is not of `class`.
    fn run(&self, from: usize, class: u8) -> usize {
        let rest = &self.text[from..];
        from + rest.iter().position(|byte| CLASS[*byte as usize] & class == 0).unwrap_or(rest.len())
    }

    fn fail<T>(&self, span: Span, kind: SyntaxErrorKind) -> LexResult<T> {
        Err(Box::new(SyntaxError { span, kind }))
    }

    /// The next token of code.
    pub fn token(&mut self) -> LexResult<Token> {
        self.skip_blank();
        let start = self.at;
        let (kind, end) =
            if start >= self.text.len() { (TokenKind::Eof, start) } else { self.scan(start) };
        let span = Span { start: start as u32, end: end as u32 };
        if matches!(kind, TokenKind::PipeFrom | TokenKind::PipeInto) && !self.pipe_operators {
            return self.fail(span, SyntaxErrorKind::FeatureDisabled("pipe-operators"));
        }
        self.at = end;
        Ok(Token { kind, span })
    }

    /// White space and comments. A comment without an end is left to be a `/`.
    fn skip_blank(&mut self) {
        loop {
            self.at = self.run(self.at, SPACE);
            let rest = &self.text[self.at..];
            match rest {
                [b'#', ..] => {
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                [b'/', b'*', body @ ..] => match memchr::memmem::find(body, b"*/") {
                    Some(len) => self.at += len + 4,
                    None => return,
                },
                _ => return,
            }
        }
    }

    /// The longest token at `start`, and where it ends.
    fn scan(&mut self, start: usize) -> (TokenKind, usize) {
        use TokenKind::*;
        let first = self.text[start];
        let class = CLASS[first as usize];
        if class & ID_START != 0 {
            let end = self.run(start, ID);
            return match self.byte(end) {
                b'.' | b'+' | b'/' | b':' => {
                    self.path_or_uri(start).unwrap_or((keyword(&self.text[start..end]), end))
                }
                _ => (keyword(&self.text[start..end]), end),
            };
        }
        if (class & PATH != 0 || first == b'/')
            && let Some(found) = self.path_or_uri(start)
        {
            return found;
        }
        if first.is_ascii_digit() || first == b'.' && self.byte(start + 1).is_ascii_digit() {
            return self.number(start);
        }
        let second = self.byte(start + 1);
        match (first, second) {
            (b'.', b'.') if self.byte(start + 2) == b'.' => (Ellipsis, start + 3),
            (b'=', b'=') => (Eq, start + 2),
            (b'!', b'=') => (Ne, start + 2),
            (b'<', _) => self.angle(start, second),
            (b'>', b'=') => (Ge, start + 2),
            (b'&', b'&') => (And, start + 2),
            (b'|', b'|') => (Or, start + 2),
            (b'|', b'>') => (PipeInto, start + 2),
            (b'-', b'>') => (Implies, start + 2),
            (b'/', b'/') => (Update, start + 2),
            (b'+', b'+') => (Concat, start + 2),
            (b'$', b'{') => (DollarCurly, start + 2),
            (b'\'', b'\'') => (IndOpen, self.indented_start(start + 2)),
            (b'~', b'/') => self.home_path(start),
            _ => (single(first), start + 1),
        }
    }

    /// `<path>`, `<=`, `<|` or `<`.
    fn angle(&self, start: usize, second: u8) -> (TokenKind, usize) {
        let end = self.segments(self.run(start + 1, PATH));
        if self.is(start + 1, PATH) && self.byte(end) == b'>' {
            return (TokenKind::SearchPath, end + 1);
        }
        match second {
            b'=' => (TokenKind::Le, start + 2),
            b'|' => (TokenKind::PipeFrom, start + 2),
            _ => (TokenKind::Lt, start + 1),
        }
    }

    /// Spaces and a line end directly after the opening quotes do not count.
    fn indented_start(&self, from: usize) -> usize {
        let mut end = from;
        while self.byte(end) == b' ' {
            end += 1;
        }
        if self.byte(end) == b'\n' { end + 1 } else { from }
    }

    /// The end of `(/segment)*` at `from`, without a trailing slash.
    fn segments(&self, from: usize) -> usize {
        let mut end = from;
        while self.byte(end) == b'/' && self.is(end + 1, PATH) {
            end = self.run(end + 1, PATH);
        }
        end
    }

    /// A path, the beginning of a path with interpolation, or a URI.
    fn path_or_uri(&mut self, start: usize) -> Option<(TokenKind, usize)> {
        if start < self.plain_until {
            return None;
        }
        let end = self.run(start, PATH);
        match self.byte(end) {
            b'/' => {
                let last = self.segments(end);
                if last > end {
                    return Some((TokenKind::Path, last + (self.byte(last) == b'/') as usize));
                }
                if self.text[end + 1..].starts_with(b"${") {
                    return Some((TokenKind::Path, end + 1));
                }
                self.plain_until = end;
            }
            b':' if self.is(end + 1, URI) => {
                let run = &self.text[start..end];
                let scheme = run
                    .iter()
                    .rposition(|byte| CLASS[*byte as usize] & SCHEME == 0)
                    .map_or(0, |at| at + 1);
                match run[scheme..].iter().position(u8::is_ascii_alphabetic) {
                    Some(letter) if scheme + letter == 0 => {
                        return Some((TokenKind::Uri, self.run(end + 1, URI)));
                    }
                    Some(letter) => self.plain_until = start + scheme + letter,
                    None => self.plain_until = end,
                }
            }
            _ => self.plain_until = end,
        }
        None
    }

    fn home_path(&self, start: usize) -> (TokenKind, usize) {
        let last = self.segments(start + 1);
        if last > start + 1 {
            return (TokenKind::HomePath, last + (self.byte(last) == b'/') as usize);
        }
        if self.text[start + 2..].starts_with(b"${") {
            return (TokenKind::HomePath, start + 2);
        }
        (TokenKind::Invalid, start + 1)
    }

    /// `12`, `1.5`, `.5e3`. A `0` before the point must be alone: `00.5` is two numbers.
    fn number(&self, start: usize) -> (TokenKind, usize) {
        let digits = |mut at: usize| {
            while self.byte(at).is_ascii_digit() {
                at += 1;
            }
            at
        };
        let whole = digits(start);
        if self.byte(whole) != b'.' {
            return (TokenKind::Int, whole);
        }
        let end = digits(whole + 1);
        let fraction = end > whole + 1;
        let float = match self.text[start] {
            b'.' => fraction,
            b'0' => whole == start + 1 && fraction,
            _ => true,
        };
        if !float {
            return (TokenKind::Int, whole);
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let sign = matches!(self.byte(end + 1), b'+' | b'-') as usize;
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                return (TokenKind::Float, exponent);
            }
        }
        (TokenKind::Float, end)
    }

    fn take(&mut self, len: usize) -> Span {
        let start = self.at;
        self.at = start + len;
        Span { start: start as u32, end: self.at as u32 }
    }

    /// The next piece of a string whose opening quote has been read.
    pub fn string_piece(&mut self) -> Piece {
        let start = self.at;
        loop {
            let rest = &self.text[self.at..];
            let Some(len) = memchr::memchr3(b'"', b'\\', b'$', rest) else {
                self.at = self.text.len();
                return Piece::Eof;
            };
            self.at += len;
            match (self.peek(0), self.text.get(self.at + 1)) {
                (b'"', _) => break,
                (b'$', Some(b'{')) => break,
                (b'$', Some(b'"' | b'\\')) => self.at += 1,
                (_, Some(_)) => self.at += 2,
                (_, None) => {
                    self.at = self.text.len();
                    return Piece::Eof;
                }
            }
        }
        if self.at > start {
            return Piece::Literal(Span { start: start as u32, end: self.at as u32 });
        }
        match self.peek(0) {
            b'"' => Piece::End(self.take(1)),
            _ => Piece::Interpolation(self.take(2)),
        }
    }

    /// The next piece of an indented string whose opening quotes have been read.
    pub fn indented_piece(&mut self) -> Piece {
        let start = self.at;
        loop {
            let rest = &self.text[self.at..];
            let Some(len) = memchr::memchr2(b'\'', b'$', rest) else {
                self.at = self.text.len();
                return if rest.is_empty() && self.at == start {
                    Piece::Eof
                } else {
                    self.literal(start)
                };
            };
            self.at += len;
            match (self.peek(0), self.text.get(self.at + 1)) {
                (b'$', Some(b'{' | b'\'')) | (b'\'', Some(b'\'' | b'$')) | (_, None) => break,
                _ => self.at += 2,
            }
        }
        if self.at > start {
            return self.literal(start);
        }
        match (self.peek(0), self.text.get(self.at + 1), self.text.get(self.at + 2)) {
            (b'$', Some(b'{'), _) => Piece::Interpolation(self.take(2)),
            (b'$', _, _) => Piece::Escape(self.take(1), Escape::Dollar),
            (_, Some(b'\''), Some(b'$')) => Piece::Escape(self.take(3), Escape::Dollar),
            (_, Some(b'\''), Some(b'\'')) => Piece::Escape(self.take(3), Escape::Quotes),
            (_, Some(b'\''), Some(b'\\')) if self.at + 3 < self.text.len() => {
                let byte = self.peek(3);
                Piece::Escape(self.take(4), Escape::Byte(byte))
            }
            (_, Some(b'\''), _) => Piece::End(self.take(2)),
            _ => Piece::Escape(self.take(1), Escape::Quote),
        }
    }

    fn literal(&self, start: usize) -> Piece {
        Piece::Literal(Span { start: start as u32, end: self.at as u32 })
    }

    /// Whether nothing follows.
    pub fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The next piece of a path; `last` is the piece before.
    pub fn path_piece(&mut self, last: Span) -> LexResult<Piece> {
        if self.peek(0) == b'$' && self.peek(1) == b'{' {
            return Ok(Piece::Interpolation(self.take(2)));
        }
        let start = self.at;
        let segments = self.segments(self.run(start, PATH));
        let end = segments + (self.byte(segments) == b'/') as usize;
        if end > start {
            return Ok(Piece::Literal(self.take(end - start)));
        }
        let here = Span { start: start as u32, end: start as u32 };
        if self.text(last).ends_with(b"/") {
            let place = if self.at_end() { last } else { here };
            return self.fail(place, SyntaxErrorKind::TrailingSlash);
        }
        Ok(Piece::End(here))
    }
}

fn single(byte: u8) -> TokenKind {
    match byte {
        b'<' => TokenKind::Lt,
        b'>' => TokenKind::Gt,
        b'+' => TokenKind::Plus,
        b'-' => TokenKind::Minus,
        b'*' => TokenKind::Star,
        b'/' => TokenKind::Slash,
        b'?' => TokenKind::Question,
        b':' => TokenKind::Colon,
        b'@' => TokenKind::At,
        b';' => TokenKind::Semicolon,
        b'!' => TokenKind::Bang,
        b'.' => TokenKind::Dot,
        b'"' => TokenKind::Quote,
        b'(' => TokenKind::ParenOpen,
        b')' => TokenKind::ParenClose,
        b'{' => TokenKind::CurlyOpen,
        b'}' => TokenKind::CurlyClose,
        b'[' => TokenKind::BracketOpen,
        b']' => TokenKind::BracketClose,
        b'=' => TokenKind::Assign,
        b',' => TokenKind::Comma,
        _ => TokenKind::Invalid,
    }
}
