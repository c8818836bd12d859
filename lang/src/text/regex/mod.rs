//! POSIX extended regular expressions, as `builtins.match` and `builtins.split` take them: those of
//! libstdc++, whose refusals are kept, too. They are matched by the `regex` crate, on bytes, in linear time,
//! wherever it comes to the same.
//!
//! It does not in two cases. libstdc++ tries all alternatives and takes the longest match, the crate takes the
//! first: with alternatives, an automaton of all matches tells whether there is a longer one. And a group that
//! may match nothing and is repeated without bound matches nothing once more at the end. What then counts is
//! found by `backtrack`. `pattern` reads, `spell` writes the crate's syntax.

mod backtrack;
mod pattern;
mod spell;

use std::cell::RefCell;
use std::ops::Range;

use regex::bytes;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use backtrack::{Program, Spans};
use pattern::{MAX_DEPTH, Pattern};

/// What the deepest pattern comes to in the crate's syntax.
const NEST_LIMIT: u32 = 12 * MAX_DEPTH as u32;
/// Memory a compiled pattern may take.
const MAX_SIZE_BYTES: usize = 10 << 20;

/// Why a pattern is none, or cannot be matched.
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
pub struct Whole {
    regex: bytes::Regex,
    /// How many groups there are: the crate drops some that take no part.
    count: usize,
    /// What knows the groups, where the crate does not.
    groups: Option<Program>,
}

/// A compiled pattern that is searched for in a text.
#[derive(Clone, Debug)]
pub struct Part {
    regex: bytes::Regex,
    count: usize,
    /// What knows the match at one place, where the crate may not.
    exact: Option<Exact>,
}

#[derive(Clone, Debug)]
struct Exact {
    program: Program,
    /// Whether the crate's match counts if there is no longer one.
    longest: Option<Longest>,
}

/// What finds the end of the longest of the matches at one place.
#[derive(Clone, Debug)]
struct Longest {
    automaton: DFA,
    cache: RefCell<Cache>,
}

impl Longest {
    fn new(spelt: &str) -> Result<Longest, RegexError> {
        let config = DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true);
        let automaton = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(NEST_LIMIT))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_SIZE_BYTES)))
            .build(spelt)
            .map_err(|_| RegexError::TooLarge)?;
        Ok(Longest { cache: RefCell::new(automaton.create_cache()), automaton })
    }

    /// Where the longest match that begins at `start` ends; more than that is not known of some.
    fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let found = self.automaton.try_search_fwd(&mut self.cache.borrow_mut(), &input);
        found.ok().flatten().map(|found| found.offset())
    }
}

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
    /// Reads and compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Whole, RegexError> {
        let pattern = Pattern::read(pattern)?;
        let regex = compile(&format!(r"\A(?:{})\z", spell::spell(&pattern.node)))?;
        let groups = pattern.node.loops_on_nothing().then(|| Program::new(&pattern)).transpose()?;
        Ok(Whole { regex, count: pattern.groups, groups })
    }

    /// The groups, if all of the text matches.
    ///
    /// # Errors
    /// When it takes too much memory to find out.
    pub fn groups<'t>(&self, text: &'t [u8]) -> Result<Option<Groups<'t>>, RegexError> {
        let Some(program) = &self.groups else {
            let found = self.regex.captures(text);
            return Ok(found.map(|found| groups(text, &spans(&found, self.count))));
        };
        if !self.regex.is_match(text) {
            return Ok(None);
        }
        Ok(program.run(text, 0, true)?.map(|spans| groups(text, &spans)))
    }
}

impl Part {
    /// Reads and compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Part, RegexError> {
        let pattern = Pattern::read(pattern)?;
        let spelt = spell::spell(&pattern.node);
        let regex = compile(&spelt)?;
        let loops = pattern.node.loops_on_nothing();
        if !loops && !pattern.branches {
            return Ok(Part { regex, count: pattern.groups, exact: None });
        }
        let longest = (!loops).then(|| Longest::new(&spelt)).transpose()?;
        let exact = Some(Exact { program: Program::new(&pattern)?, longest });
        Ok(Part { regex, count: pattern.groups, exact })
    }

    /// The text between matches, and the groups of each, alternately; begins and ends with text.
    ///
    /// # Errors
    /// When it takes too much memory to find out.
    pub fn split<'t>(&self, text: &'t [u8]) -> Result<Vec<Piece<'t>>, RegexError> {
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut last = 0;
        while from <= text.len()
            && let Some(spans) = self.find(text, from)?
        {
            let whole = whole(&spans);
            pieces.push(Piece::Text(&text[last..whole.start]));
            pieces.push(Piece::Match(groups(text, &spans)));
            last = whole.end;
            from = last + whole.is_empty() as usize;
        }
        pieces.push(Piece::Text(&text[last..]));
        Ok(pieces)
    }

    /// The match that counts among the leftmost ones from an offset on.
    fn find(&self, text: &[u8], from: usize) -> Result<Option<Spans>, RegexError> {
        let Some(first) = self.regex.captures_at(text, from) else { return Ok(None) };
        let first = spans(&first, self.count);
        let Some(Exact { program, longest }) = &self.exact else { return Ok(Some(first)) };
        let Range { start, end } = whole(&first);
        if longest.as_ref().is_some_and(|longest| longest.end(text, start) == Some(end)) {
            return Ok(Some(first));
        }
        Ok(program.run(text, start, false)?.or(Some(first)))
    }
}

/// What all of a match is.
fn whole(spans: &Spans) -> Range<usize> {
    spans[0].clone().expect("group 0 is the whole match")
}

fn spans(captures: &bytes::Captures<'_>, count: usize) -> Spans {
    let known = captures.iter().map(|group| group.map(|found| found.range()));
    known.chain(std::iter::repeat(None)).take(count + 1).collect()
}

fn groups<'t>(text: &'t [u8], spans: &Spans) -> Groups<'t> {
    spans[1..].iter().map(|span| span.clone().map(|span| &text[span])).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `no`, `bad`, or the groups joined by `,` with `-` for those that took no part.
    fn matched(pattern: &str, text: &str) -> String {
        match Whole::new(pattern.as_bytes()) {
            Err(_) => "bad".to_owned(),
            Ok(regex) => {
                let groups = regex.groups(text.as_bytes()).unwrap();
                groups.map_or("no".to_owned(), |groups| shown(&groups))
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
            ("(a?)*", "aa", "[]"),
            ("(a){0}b", "b", "[-]"),
            ("((a){0})(b)", "b", "[,-,b]"),
            ("a{2147483648}", "a", "bad"),
            ("(a|b*)+", "a", "[]"),
            ("((a?)|(b?))*", "aa", "[,,-]"),
            ("((a*)b)*", "abab", "[ab,a]"),
            ("(a?){2,3}", "aa", "[]"),
            ("(()|a)+", "a", "[,]"),
            ("(^a?)*", "", "[]"),
        ] {
            assert_eq!(matched(pattern, text), expect, "{pattern} {text}");
        }
        assert_eq!(Whole::new(b"(a{1000}){1000}{1000}").unwrap_err(), RegexError::TooLarge);
        assert_eq!(Whole::new(b"a{100001}").unwrap_err(), RegexError::TooLarge);
        assert_eq!(Whole::new(b"a{2147483648}").unwrap_err(), RegexError::Invalid);
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
            ("a?(ab|c)?", "ab", "'' [-] '' [-] 'b' [-] ''"),
        ] {
            let regex = Part::new(pattern.as_bytes()).unwrap();
            let pieces: Vec<_> = regex
                .split(text.as_bytes())
                .unwrap()
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
