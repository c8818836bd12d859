//! POSIX extended regular expressions, as `builtins.match` and `builtins.split` take them: translated
//! to the `regex` crate, on bytes, in linear time. Patterns that libstdc++ refuses are refused.
//!
//! libstdc++ tries all alternatives and takes the longest match, but of repetitions only the most that match.
//! The crate takes the first alternative: with some, [`Part::split`] asks an automaton of all matches for the
//! longest one's end, and the groups are those of the first try that ends there. One difference remains: where
//! fewer repetitions would let an alternative match more, as in `a?(ab|c)?` on `ab`.

use std::cell::{OnceCell, RefCell};

use regex::bytes;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// A repetition count above this is refused.
const MAX_COUNT: u32 = 100_000;
/// Groups may nest this deep.
const MAX_DEPTH: usize = 250;
/// What that comes to in the crate's syntax.
const NEST_LIMIT: u32 = 4 * MAX_DEPTH as u32;
/// Memory a compiled pattern may take.
const MAX_SIZE_BYTES: usize = 10 << 20;

/// Why a pattern is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegexError {
    /// It is no POSIX extended regular expression.
    #[error("invalid regular expression")]
    Invalid,
    /// It would take too much memory.
    #[error("memory limit exceeded by regular expression")]
    TooLarge,
}

/// A compiled pattern that must match all of a text.
#[derive(Clone, Debug)]
pub struct Whole(bytes::Regex);

/// A compiled pattern that is searched for in a text.
#[derive(Clone, Debug)]
pub struct Part {
    first: bytes::Regex,
    /// Nothing where there are no alternatives.
    longest: Option<Longest>,
}

/// What finds the longest of the matches at one place, and its groups.
#[derive(Clone, Debug)]
struct Longest {
    pattern: Box<[u8]>,
    automaton: DFA,
    cache: RefCell<Cache>,
    /// Ends with the text that it is given, where that is cut off and where it is whole.
    within: OnceCell<bytes::Regex>,
    at_end: OnceCell<bytes::Regex>,
}

impl Longest {
    fn new(pattern: &[u8], translated: &str) -> Result<Longest, RegexError> {
        let config = DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true);
        let automaton = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(NEST_LIMIT))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_SIZE_BYTES)))
            .build(translated)
            .map_err(|_| RegexError::TooLarge)?;
        Ok(Longest {
            pattern: pattern.into(),
            cache: RefCell::new(automaton.create_cache()),
            automaton,
            within: OnceCell::new(),
            at_end: OnceCell::new(),
        })
    }

    /// Where the longest match that begins at `start` ends.
    fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let found = self.automaton.try_search_fwd(&mut self.cache.borrow_mut(), &input);
        found.ok().flatten().map(|found| found.offset())
    }

    /// The match from `start` to `end`.
    fn captures<'t>(
        &self,
        text: &'t [u8],
        start: usize,
        end: usize,
    ) -> Option<bytes::Captures<'t>> {
        // The end of the piece is not the end of the text, which `$` means.
        let (cell, dollar) = match end == text.len() {
            true => (&self.at_end, END),
            false => (&self.within, NEVER),
        };
        let regex = match cell.get() {
            Some(regex) => regex,
            None => {
                let translated = translate(&self.pattern, dollar).ok()?.out;
                let regex = compile(&format!(r"(?:{translated})\z")).ok()?;
                cell.get_or_init(|| regex)
            }
        };
        regex.captures_at(&text[..end], start)
    }
}

/// The end of the text, and what matches nothing.
const END: &str = r"\z";
const NEVER: &str = r"[^\x00-\xff]";

/// The groups of a match; a group that took no part is `None`.
pub type Groups<'t> = Vec<Option<&'t [u8]>>;

/// A piece of a split string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece<'t> {
    /// What stands between matches.
    Text(&'t [u8]),
    /// The groups of a match.
    Match(Groups<'t>),
}

impl Whole {
    /// Translates and compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Whole, RegexError> {
        compile(&format!(r"\A(?:{})\z", translate(pattern, END)?.out)).map(Whole)
    }

    /// The groups, if all of the text matches.
    pub fn groups<'t>(&self, text: &'t [u8]) -> Option<Groups<'t>> {
        self.0.captures(text).map(|captures| groups(&captures))
    }
}

impl Part {
    /// Translates and compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Part, RegexError> {
        let translated = translate(pattern, END)?;
        let first = compile(&translated.out)?;
        let longest = translated.branches.then(|| Longest::new(pattern, &translated.out));
        Ok(Part { first, longest: longest.transpose()? })
    }

    /// The text between matches, and the groups of each, alternately; begins and ends with text.
    pub fn split<'t>(&self, text: &'t [u8]) -> Vec<Piece<'t>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut last = 0;
        while from <= text.len()
            && let Some(captures) = self.captures_at(text, from)
        {
            let whole = captures.get(0).expect("group 0 is the whole match");
            pieces.push(Piece::Text(&text[last..whole.start()]));
            pieces.push(Piece::Match(groups(&captures)));
            last = whole.end();
            from = last + whole.is_empty() as usize;
        }
        pieces.push(Piece::Text(&text[last..]));
        pieces
    }

    /// The leftmost and longest match from an offset on.
    fn captures_at<'t>(&self, text: &'t [u8], from: usize) -> Option<bytes::Captures<'t>> {
        let first = self.first.captures_at(text, from)?;
        let found = first.get(0).expect("group 0 is the whole match").range();
        let longer = self.longest.as_ref().and_then(|longest| {
            let end = longest.end(text, found.start).filter(|end| *end > found.end)?;
            longest.captures(text, found.start, end)
        });
        Some(longer.unwrap_or(first))
    }
}

fn translate<'p>(pattern: &'p [u8], end: &'p str) -> Result<Translator<'p>, RegexError> {
    let mut translator = Translator { pattern, end, at: 0, out: String::new(), branches: false };
    translator.alternatives(0)?;
    if translator.at < pattern.len() {
        return Err(RegexError::Invalid);
    }
    Ok(translator)
}

fn groups<'t>(captures: &bytes::Captures<'t>) -> Groups<'t> {
    captures.iter().skip(1).map(|group| group.map(|found| found.as_bytes())).collect()
}

fn compile(pattern: &str) -> Result<bytes::Regex, RegexError> {
    bytes::RegexBuilder::new(pattern)
        .unicode(false)
        .nest_limit(NEST_LIMIT)
        .size_limit(MAX_SIZE_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RegexError::TooLarge,
            _ => RegexError::Invalid,
        })
}

/// Reads a pattern and writes the same in the crate's syntax.
struct Translator<'p> {
    pattern: &'p [u8],
    /// What the end of the text is written as.
    end: &'p str,
    at: usize,
    out: String,
    /// Whether there are alternatives.
    branches: bool,
}

impl Translator<'_> {
    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, RegexError> {
        let byte = self.peek().ok_or(RegexError::Invalid)?;
        self.at += 1;
        Ok(byte)
    }

    /// Up to the end or a closing parenthesis, which is left.
    fn alternatives(&mut self, depth: usize) -> Result<(), RegexError> {
        if depth > MAX_DEPTH {
            return Err(RegexError::TooLarge);
        }
        while let Some(byte) = self.peek() {
            match byte {
                b')' => break,
                b'|' => {
                    self.at += 1;
                    self.branches = true;
                    self.out.push('|');
                }
                _ => self.term(depth)?,
            }
        }
        Ok(())
    }

    /// An atom or anchor and the repetitions behind it.
    fn term(&mut self, depth: usize) -> Result<(), RegexError> {
        let start = self.out.len();
        match self.next()? {
            // An anchor is not repeated: a sign behind it has nothing before it.
            b'^' => {
                self.out.push_str(r"\A");
                return Ok(());
            }
            b'$' => {
                self.out.push_str(self.end);
                return Ok(());
            }
            b'.' => self.out.push_str(r"[^\x00]"),
            b'[' => self.bracket()?,
            b'(' => {
                self.out.push('(');
                self.alternatives(depth + 1)?;
                if self.next()? != b')' {
                    return Err(RegexError::Invalid);
                }
                self.out.push(')');
            }
            b'*' | b'+' | b'?' | b'{' => return Err(RegexError::Invalid),
            b'\\' => {
                let byte = self.next()?;
                if !b".[\\()*+?{|^$".contains(&byte) {
                    return Err(RegexError::Invalid);
                }
                self.literal(byte);
            }
            byte => self.literal(byte),
        }
        while let Some(byte @ (b'*' | b'+' | b'?' | b'{')) = self.peek() {
            self.at += 1;
            // In a group of its own, so that a second sign repeats the first instead of making it lazy.
            self.out.insert_str(start, "(?:");
            self.out.push(')');
            if byte == b'{' {
                self.counts()?;
            } else {
                self.out.push(byte as char);
            }
        }
        Ok(())
    }

    fn literal(&mut self, byte: u8) {
        self.out.push_str(&format!(r"\x{byte:02x}"));
    }

    /// `n}`, `n,}` or `n,m}`
    fn counts(&mut self) -> Result<(), RegexError> {
        let least = self.count()?.ok_or(RegexError::Invalid)?;
        let most = match self.next()? {
            b'}' => Some(least),
            b',' => {
                let most = self.count()?;
                if self.next()? != b'}' || most.is_some_and(|most| most < least) {
                    return Err(RegexError::Invalid);
                }
                most
            }
            _ => return Err(RegexError::Invalid),
        };
        match most {
            Some(most) => self.out.push_str(&format!("{{{least},{most}}}")),
            None => self.out.push_str(&format!("{{{least},}}")),
        }
        Ok(())
    }

    fn count(&mut self) -> Result<Option<u32>, RegexError> {
        let mut value = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            let next = value.unwrap_or(0) * 10 + u32::from(digit - b'0');
            if next > MAX_COUNT {
                return Err(RegexError::TooLarge);
            }
            value = Some(next);
        }
        Ok(value)
    }

    /// A set of bytes, after its opening bracket.
    fn bracket(&mut self) -> Result<(), RegexError> {
        let mut set = [false; 256];
        let negated = self.peek() == Some(b'^');
        self.at += negated as usize;
        // What stood last, if a range can begin with it.
        let mut last = None;
        if let Some(byte @ (b']' | b'-')) = self.peek() {
            self.at += 1;
            set[byte as usize] = true;
            last = Some(byte);
        }
        loop {
            match self.next()? {
                b']' => break,
                b'[' if self.is_named() => last = self.named(&mut set)?,
                b'-' if self.peek() == Some(b']') => set[b'-' as usize] = true,
                b'-' => {
                    let (low, high) = (last.take().ok_or(RegexError::Invalid)?, self.next()?);
                    if high == b'[' && self.is_named() {
                        return Err(RegexError::Invalid);
                    }
                    // C's char has a sign on the machines that matter.
                    if (high as i8) < low as i8 {
                        return Err(RegexError::Invalid);
                    }
                    (low as i8..=high as i8).for_each(|byte| set[byte as u8 as usize] = true);
                }
                byte => {
                    set[byte as usize] = true;
                    last = Some(byte);
                }
            }
        }
        let mut ranges = String::new();
        let mut at = 0;
        while let Some(low) = (at..256).find(|&byte| set[byte] != negated) {
            let end = (low..256).find(|&byte| set[byte] == negated).unwrap_or(256);
            ranges.push_str(&format!(r"\x{low:02x}-\x{:02x}", end - 1));
            at = end;
        }
        // The crate has no empty set but this.
        let class =
            if ranges.is_empty() { r"[^\x00-\xff]".to_owned() } else { format!("[{ranges}]") };
        self.out.push_str(&class);
        Ok(())
    }

    /// Whether an opening bracket in a set begins `[:`, `[=` or `[.`
    fn is_named(&self) -> bool {
        matches!(self.peek(), Some(b':' | b'=' | b'.'))
    }

    /// `:alpha:]`, `=a=]` or `.hyphen.]`; the byte, if a range can begin with it.
    fn named(&mut self, set: &mut [bool; 256]) -> Result<Option<u8>, RegexError> {
        let mark = self.next()?;
        let rest = &self.pattern[self.at..];
        let end = memchr::memchr(mark, rest).ok_or(RegexError::Invalid)?;
        if rest.get(end + 1) != Some(&b']') {
            return Err(RegexError::Invalid);
        }
        self.at += end + 2;
        let name = &rest[..end];
        if mark == b':' {
            let belongs = class(&name.to_ascii_lowercase()).ok_or(RegexError::Invalid)?;
            (0..=255u8).filter(belongs).for_each(|byte| set[byte as usize] = true);
            return Ok(None);
        }
        let byte = COLLATING.iter().position(|known| known.as_bytes() == name);
        let byte = byte.ok_or(RegexError::Invalid)? as u8;
        set[byte as usize] = true;
        if mark == b'.' {
            return Ok(Some(byte));
        }
        // Letters of both cases are equivalent.
        set[byte.to_ascii_lowercase() as usize] = true;
        set[byte.to_ascii_uppercase() as usize] = true;
        Ok(None)
    }
}

/// The bytes of a named class.
fn class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" | b"d" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"upper" => u8::is_ascii_uppercase,
        b"lower" => u8::is_ascii_lowercase,
        b"punct" => u8::is_ascii_punctuation,
        b"xdigit" => u8::is_ascii_hexdigit,
        b"cntrl" => u8::is_ascii_control,
        b"graph" => u8::is_ascii_graphic,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"space" | b"s" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"w" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
        _ => return None,
    })
}

/// The names of the bytes of ASCII in the portable character set of POSIX, as libstdc++ has them.
#[rustfmt::skip]
const COLLATING: [&str; 128] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "alert", "backspace", "tab", "newline",
    "vertical-tab", "form-feed", "carriage-return", "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4",
    "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "IS4", "IS3", "IS2", "IS1", "space",
    "exclamation-mark", "quotation-mark", "number-sign", "dollar-sign", "percent-sign", "ampersand",
    "apostrophe", "left-parenthesis", "right-parenthesis", "asterisk", "plus-sign", "comma", "hyphen",
    "period", "slash", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "colon", "semicolon", "less-than-sign", "equals-sign", "greater-than-sign", "question-mark",
    "commercial-at", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P",
    "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "left-square-bracket", "backslash",
    "right-square-bracket", "circumflex", "underscore", "grave-accent", "a", "b", "c", "d", "e", "f",
    "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
    "left-curly-bracket", "vertical-line", "right-curly-bracket", "tilde", "DEL",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `no`, `bad`, or the groups joined by `,` with `-` for those that took no part.
    fn matched(pattern: &str, text: &str) -> String {
        match Whole::new(pattern.as_bytes()) {
            Err(_) => "bad".to_owned(),
            Ok(regex) => {
                regex.groups(text.as_bytes()).map_or("no".to_owned(), |groups| shown(&groups))
            }
        }
    }

    fn shown(groups: &Groups<'_>) -> String {
        let groups: Vec<_> =
            groups.iter().map(|group| group.map_or("-".into(), String::from_utf8_lossy)).collect();
        format!("[{}]", groups.join(","))
    }

    #[test]
    fn whole_matches_are_those_of_nix() {
        for (pattern, text, expect) in [
            (r"\}", "}", "bad"),
            (r"\d", "1", "bad"),
            ("a*?", "aa", "[]"),
            ("a++", "aa", "[]"),
            ("(a|ab)(c|bcd)?", "abcd", "[a,bcd]"),
            (".", "\n", "[]"),
            ("(?:a)", "a", "bad"),
            ("*a", "*a", "bad"),
            ("a||b", "b", "[]"),
            ("[[:alpha:]-]+", "a-b", "[]"),
            (r"[\n]", "n", "[]"),
            ("a{2,1}", "aa", "bad"),
            ("a{2,3}", "aaa", "[]"),
            ("a{2}", "aaa", "no"),
            ("()", "", "[]"),
            ("(a)|b", "b", "[-]"),
            ("[a", "a", "bad"),
            ("(a", "a", "bad"),
            ("a)", "a)", "bad"),
            ("a{1", "a{1", "bad"),
            ("{", "{", "bad"),
            (r"a\", "a", "bad"),
            ("[[:foo:]]", "a", "bad"),
            ("^a$", "a", "[]"),
            ("^*a", "a", "bad"),
            ("a$?", "a", "bad"),
            ("a|^{2}", "a", "bad"),
            ("(^)*a", "a", "[]"),
            ("a^b", "a^b", "no"),
            (r"\^", "^", "[]"),
            ("[]a]", "]", "[]"),
            ("[^]a]", "b", "[]"),
            ("[z-a]", "z", "bad"),
            ("|a", "a", "[]"),
            ("}", "}", "[]"),
            ("]", "]", "[]"),
            ("[a-]", "-", "[]"),
            ("[[=a=]]", "a", "[]"),
            ("[[=a=]]", "A", "[]"),
            ("[[=1=]]", "1", "bad"),
            ("[[.A.]-C]", "B", "[]"),
            ("[[.-.]]", "-", "bad"),
            ("[[.hyphen.]]", "-", "[]"),
            ("[[=a=]-c]", "b", "bad"),
            ("[a-[.c.]]", "b", "bad"),
            ("[[:digit:]-z]", "1", "bad"),
            ("[[:ALPHA:]]+", "aB", "[]"),
            ("[a-c-e]", "a", "bad"),
            ("[a-c-]", "-", "[]"),
            ("[--a]", "A", "[]"),
            ("[---]", "-", "[]"),
            ("[]-a]", "a", "[]"),
            ("[a-\u{e9}]", "b", "bad"),
            ("[[:a]", "a", "bad"),
            ("[[a]", "[", "[]"),
            ("(.*)-([0-9.]+)", "foo-1.2", "[foo,1.2]"),
            ("ab", "abc", "no"),
        ] {
            assert_eq!(matched(pattern, text), expect, "{pattern} {text}");
        }
        assert_eq!(Whole::new(b"(a{1000}){1000}{1000}").unwrap_err(), RegexError::TooLarge);
        assert_eq!(Whole::new(&b"(".repeat(100_000)).unwrap_err(), RegexError::TooLarge);
    }

    #[test]
    fn splits_are_those_of_nix() {
        for (pattern, text, expect) in [
            ("a*", "baac", "'' [] 'b' [] '' [] 'c' [] ''"),
            ("", "ab", "'' [] 'a' [] 'b' [] ''"),
            ("(^a)", "aaa", "'' [a] 'aa'"),
            ("(a)|b", "xaybz", "'x' [a] 'y' [-] 'z'"),
            ("x", "", "''"),
            ("|c{0,}", "\nac", "'' [] '\n' [] 'a' [] '' [] ''"),
            ("c0|(|c{1,2}*).", "ca", "'' [c] ''"),
            ("a|ab", "abab", "'' [] '' [] ''"),
            ("(a?)(ab)?", "ab", "'' [a,-] '' [,-] 'b' [,-] ''"),
            ("a|ab$", "abab", "'' [] 'b' [] ''"),
            ("(a|b|ab$)(b?)", "abb", "'' [a,b] '' [b,] ''"),
        ] {
            let regex = Part::new(pattern.as_bytes()).unwrap();
            let pieces: Vec<_> = regex
                .split(text.as_bytes())
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
                    Piece::Match(groups) => shown(groups),
                })
                .collect();
            assert_eq!(pieces.join(" "), expect, "{pattern} {text}");
        }
    }
}
