//! Every parser of this crate against bytes that nobody vouches for: random ones, and well-formed ones cut, repeated
//! and changed. No panic, no overflow of the stack, bounded time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_lang::os_host::OsHost;
use floe_lang::syntax::ast::FileId;
use floe_lang::syntax::{Features, parse};
use floe_lang::text::{json, regex, version};
use floe_lang::{Evaluator, Settings};

/// A small generator of its own, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Bytes made from a sample: changed, cut out, repeated, spliced with words of the language.
    fn damage(&mut self, samples: &[&[u8]], words: &[&[u8]]) -> Vec<u8> {
        let mut bytes = samples[self.below(samples.len())].to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let to = (at + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] = self.next() as u8,
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.drain(at..to)),
                3 => {
                    let piece = bytes[at..to].repeat(1 + self.below(20));
                    bytes.splice(at..at, piece);
                }
                4 => bytes.truncate(at),
                _ => {
                    let word = words[self.below(words.len())];
                    bytes.splice(at..at, word.iter().copied());
                }
            }
        }
        bytes
    }
}

/// Feeds many damaged inputs to a parser; none may take long.
fn torture(rounds: usize, samples: &[&[u8]], words: &[&[u8]], mut parse: impl FnMut(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let bytes = random.damage(samples, words);
        let started = Instant::now();
        parse(&bytes);
        let took = started.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{took:?} for {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

const EXPRESSIONS: [&[u8]; 4] = [
    b"let inherit (a) b c; d.e.\"f${g}\" = 1.5e3; in { x ? 1, y, ... }@z: with z; if x == y then [ (x) y ] else rec { a = ./b/c; }",
    b"''\n  indented ${toString 1} '''' ''$ ''\\n\n   more\n'' + \"a\\n\\\"${b.c or d}\" + <nixpkgs/lib> + ~/x + https://a.b/c?d=e",
    b"assert a -> b && !c || d ? e.f; a // b ++ c + d * -e / f < 1 # end\n/* block */ |> g",
    "{ \"\u{e9}\" = 0x; ${null} = .5; } \u{1f9ca}".as_bytes(),
];
const WORDS: [&[u8]; 16] = [
    b"${",
    b"''",
    b"\"",
    b"''$",
    b"let ",
    b" in ",
    b"rec {",
    b"}@a: ",
    b"[",
    b"(",
    b"/*",
    b"\\",
    b"\xff",
    b"\0",
    b"99999999999999999999",
    b"\r\n",
];

#[test]
fn expressions_are_parsed_and_compiled() {
    let mut evaluator = Evaluator::new(Arc::new(OsHost::new()), Settings::default());
    torture(20_000, &EXPRESSIONS, &WORDS, |bytes| {
        if let Ok(ast) = parse(FileId(0), bytes, Features { pipe_operators: true }) {
            drop(ast);
            // Compiled as the body of a function, which nobody calls.
            let text = format!("x: (\n{}\n)", String::from_utf8_lossy(bytes));
            drop(evaluator.eval_expr(&text, Path::new("/")));
        }
    });
}

#[test]
fn nesting_of_every_kind_ends_with_a_message() {
    for open in [
        "(",
        "[",
        "{ a = ",
        "let a = ",
        "\"${",
        "''${",
        "x: ",
        "{ x ? ",
        "if ",
        "with ",
        "assert ",
        "- ",
        "! ",
        "a ? b.${",
        "f (",
        "a.b.\"${",
        "rec { ${",
        "1 + (",
        "a -> ",
        "a // ",
        "a ++ ",
        "inherit (",
    ] {
        drop(parse(FileId(0), open.repeat(200_000).as_bytes(), Features::default()));
    }
}

#[test]
fn json_texts() {
    let samples: [&[u8]; 3] = [
        br#"{"a": [1, -2.5e10, true, null, "x\u00e9\ud83e\uddca\n"], "b": {"c": {}}}"#,
        b"[[[[[[]]]]]]",
        b"\"\\ud83e\\uddca\"",
    ];
    let words: [&[u8]; 8] = [b"[", b"{\"a\":", b"\\u", b"\\ud800", b"1e999", b"\xff", b"-", b"\0"];
    torture(50_000, &samples, &words, |bytes| drop(json::parse(bytes)));
    for open in ["[", "{\"a\":", "[{\"a\":["] {
        assert!(json::parse(open.repeat(1_000_000).as_bytes()).is_err());
    }
}

#[test]
fn patterns_and_versions() {
    let samples: [&[u8]; 4] =
        [b"([a-z]+)-([0-9.]*)", b"(a|b)*[[:space:]]{1,5}$", b"1.2.3pre4", b"hello-2.12.1-rc"];
    let words: [&[u8]; 8] =
        [b"(", b"[", b"{1000}", b"\\", b"[[:", b"\xc3", b"*", b"99999999999999999999"];
    torture(10_000, &samples, &words, |bytes| {
        if let Ok(regex) = regex::Regex::new(bytes) {
            drop(regex.match_whole(b"hello-2.12 \xff\xc3\xa9 world"));
            drop(regex.split(b"hello-2.12 \xff\xc3\xa9 world"));
        }
        drop(version::parse_drv_name(bytes));
        drop(version::split(bytes).count());
        let _ = version::compare(bytes, b"1.2.3");
    });
}
