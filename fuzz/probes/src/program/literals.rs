//! Literals of generated programs, and the small languages within strings: regular expressions, JSON, TOML.

use floe_lang::syntax::print;

use super::{Want, Writer};

const INTS: [&str; 16] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "(-1)",
    "(-7)",
    "255",
    "2147483647",
    "4294967296",
    "1000000007",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "9007199254740993",
    "001",
];

const FLOATS: [&str; 16] = [
    "0.0",
    "1.0",
    "1.5",
    "(-0.5)",
    ".5",
    "1.",
    "0.1",
    "100000.0",
    "1000000.0",
    "123456789.125",
    "1.0e10",
    "1.0e-5",
    "1.7976931348623157e308",
    "9223372036854775807.0",
    "(-0.0)",
    "3.14159265358979",
];

/// Bytes as they are in the value.
const TEXTS: [&str; 28] = [
    "",
    "a",
    "b",
    "ab",
    "abc",
    "aab",
    "a b",
    "A",
    "foo-1.2.3",
    "/",
    "/a/b",
    "/a//b/",
    "a/b/",
    "/nix/store/0c3vm4yrz5mxb3jpfqlqv3ircz9w4gl7-hello-2.12",
    "\n",
    "a\nb\n",
    "\t\r",
    "\\",
    "\"",
    "${",
    "$",
    "$$",
    "''",
    "é",
    "日本",
    "<&>'",
    "12",
    "1.5",
];

const VERSIONS: [&str; 14] = [
    "",
    "1",
    "1.0",
    "1.2.3",
    "1.2pre1",
    "1.2a",
    "2.3.1",
    "1.10",
    "a-1",
    "nix-0.12pre1",
    "a.b-c-2",
    "1..2",
    "-1",
    "99999999999",
];

/// White space and quotes make indentation.
const LINES: [&str; 10] = ["a", "  b", "", "    ", "\tc", "''$", "'''", "''\\n", "$${a}", "x  "];

/// Repetitions without bound in a regular expression: more take libstdc++ exponential time.
const MAX_LOOPS: usize = 4;

/// The length of a long list.
const LONG: &str = "40";

impl Writer<'_> {
    pub(super) fn literal(&mut self, want: Want) {
        match want {
            Want::Int | Want::Any => {
                let text = self.choices.pick(&INTS);
                self.put(text);
            }
            Want::Float => {
                let text = self.choices.pick(&FLOATS);
                self.put(text);
            }
            Want::Bool => {
                let text = self.choices.pick(&["true", "false"]);
                self.put(text);
            }
            Want::Null => self.put("null"),
            Want::Path => {
                let text = self.choices.pick(&["/a/b", "./a", "../c", "/a/../b/.", "/."]);
                self.put(text);
            }
            Want::Text => self.text_literal(),
            Want::List | Want::Numbers | Want::Texts => self.put("[ ]"),
            Want::Set => self.put("{ }"),
            Want::Function => {
                let text = self.choices.pick(&[
                    "(x: x)",
                    "builtins.toString",
                    "builtins.add",
                    "(builtins.add 1)",
                    "({ a ? 1, ... }: a)",
                ]);
                self.put(text);
            }
        }
    }

    fn quoted(&mut self, text: &str) {
        let mut out = Vec::new();
        print::string(&mut out, text.as_bytes());
        let out = String::from_utf8(out).expect("the text was UTF-8");
        self.put(&out);
    }

    fn text_literal(&mut self) {
        match self.choices.below(12) {
            0..=8 => {
                let text = self.choices.pick(&TEXTS);
                self.quoted(text);
            }
            9 => self.put("http://example.org/a?b=c"),
            _ => {
                self.put("''");
                let count = self.choices.below(5);
                for _ in 0..count {
                    let line = self.choices.pick(&LINES);
                    self.put(line);
                    if self.choices.one_in(6) {
                        self.put("${");
                        self.expression(Want::Text);
                        self.put("}");
                    }
                    let end = self.choices.pick(&["\n", "\n", "\n  ", ""]);
                    self.put(end);
                }
                self.put("''");
            }
        }
    }

    /// A literal of one of the kinds that only templates name.
    pub(super) fn special(&mut self, letter: char) {
        match letter {
            'k' => {
                let text =
                    self.choices.pick(&["\"a\"", "\"b\"", "\"x y\"", "\"c\"", "\"é\"", "\"out\""]);
                self.put(text);
            }
            'm' => {
                let text = self.choices.pick(&["0", "1", "2", "3", "5", "(-1)", LONG, "(1 + 1)"]);
                // Lengths of nested lists multiply.
                let is_second = text == LONG && std::mem::replace(&mut self.has_long, true);
                self.put(if is_second { "4" } else { text });
            }
            'v' => {
                let text = self.choices.pick(&VERSIONS);
                self.quoted(text);
            }
            'h' => {
                let text = self.choices.pick(&[
                    "\"sha256\"",
                    "\"md5\"",
                    "\"sha1\"",
                    "\"sha512\"",
                    "\"sha256\"",
                    "\"sha3\"",
                ]);
                self.put(text);
            }
            'r' => {
                let mut pattern = String::new();
                self.pattern(&mut pattern, 0);
                self.quoted(&pattern);
            }
            't' => {
                let length = self.choices.below(8);
                let text: String = (0..length)
                    .map(|_| self.choices.pick(&['a', 'b', 'c', '-', '1', ' ', '.', 'A', '\n']))
                    .collect();
                self.quoted(&text);
            }
            'j' => {
                let mut json = String::new();
                self.json(&mut json, 0);
                self.quoted(&json);
            }
            'o' => {
                let mut toml = String::new();
                self.toml(&mut toml);
                self.quoted(&toml);
            }
            other => unreachable!("no hole is called {other}"),
        }
    }

    fn pattern(&mut self, out: &mut String, depth: usize) {
        let count = 1 + self.choices.below(4);
        for _ in 0..count {
            match self.choices.below(14) {
                0 | 1 => out.push('a'),
                2 => out.push('b'),
                3 => out.push('.'),
                4..=6 if depth < 3 => {
                    out.push('(');
                    self.pattern(out, depth + 1);
                    out.push(')');
                }
                7 if depth < 3 => {
                    out.push('|');
                    self.pattern(out, depth + 1);
                }
                8 => out.push_str(self.choices.pick(&[
                    "[abc]",
                    "[^a]",
                    "[a-c]",
                    "[]a]",
                    "[^]b]",
                    "[a-]",
                    "[[:alpha:]]",
                    "[[:digit:].]",
                    "[^[:space:]]",
                    "[[=a=]b]",
                ])),
                9 => out.push_str(self.choices.pick(&["^", "$", "\\.", "\\$", "-", "{", "\\d"])),
                _ => out.push('c'),
            }
            if self.choices.one_in(3) {
                let sign = self.choices.pick(&["*", "+", "?", "{2}", "{1,2}", "{0,}", "{,2}"]);
                let loops = out.matches(['*', '+']).count() + out.matches(",}").count();
                out.push_str(if loops < MAX_LOOPS { sign } else { "?" });
            }
        }
    }

    fn json(&mut self, out: &mut String, depth: usize) {
        match self.choices.below(if depth < 3 { 10 } else { 7 }) {
            0 => out.push_str(self.choices.pick(&["0", "1", "-1", "12", "-0", "01", "+1"])),
            1 => out.push_str(self.choices.pick(&[
                "1.5",
                "-0.0",
                "1e3",
                "1E-2",
                "1.25e+10",
                "1.",
                ".5",
                "1e400",
                "0.1",
                "100000000000000000000",
            ])),
            2 => out.push_str(self.choices.pick(&[
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "18446744073709551615",
                "-9223372036854775809",
                "18446744073709551616",
            ])),
            3 => out.push_str(self.choices.pick(&["true", "false", "null", "True", "nul"])),
            4..=6 => out.push_str(self.choices.pick(&[
                "\"\"",
                "\"a\"",
                "\"\\n\\t\\\"\\\\\\/\"",
                "\"\\u00e9\"",
                "\"\\ud83d\\ude00\"",
                "\"\\ud800\"",
                "\"\\u0000\"",
                "\"é\"",
                "\"\\x\"",
                "\"a\nb\"",
            ])),
            7 | 8 => {
                out.push('[');
                let count = self.choices.below(4);
                for index in 0..count {
                    if index > 0 {
                        out.push_str(self.choices.pick(&[",", ", ", " ,\n"]));
                    }
                    self.json(out, depth + 1);
                }
                out.push_str(self.choices.pick(&["]", "]", "]", " ]", ",]", ""]));
            }
            _ => {
                out.push('{');
                let count = self.choices.below(4);
                for index in 0..count {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(self.choices.pick(&["\"a\":", "\"b\" : ", "\"\": ", "\"x y\":"]));
                    self.json(out, depth + 1);
                }
                out.push('}');
            }
        }
    }

    fn toml(&mut self, out: &mut String) {
        let lines = 1 + self.choices.below(5);
        for _ in 0..lines {
            match self.choices.below(8) {
                0 => out.push_str(self.choices.pick(&[
                    "[t]\n",
                    "[t.u]\n",
                    "[[l]]\n",
                    "[[t.l]]\n",
                    "[\"x y\"]\n",
                    "# note\n",
                    "[a]\n",
                ])),
                _ => {
                    out.push_str(
                        self.choices
                            .pick(&["a", "b", "c", "d.e", "d.f", "\"x y\"", "1", "'q'", "a.b"]),
                    );
                    out.push_str(" = ");
                    self.toml_value(out, 0);
                    out.push('\n');
                }
            }
        }
    }

    fn toml_value(&mut self, out: &mut String, depth: usize) {
        match self.choices.below(if depth < 3 { 8 } else { 5 }) {
            0 => out.push_str(self.choices.pick(&[
                "1",
                "-17",
                "+5",
                "1_000",
                "0xFF",
                "0o17",
                "0b101",
                "9223372036854775807",
                "9223372036854775808",
                "01",
                "-9223372036854775808",
            ])),
            1 => out.push_str(self.choices.pick(&[
                "1.5",
                "-0.0",
                "1e3",
                "6.626e-34",
                "inf",
                "1_0.5",
                "1.",
                "+inf",
            ])),
            2 => out.push_str(self.choices.pick(&["true", "false", "True"])),
            3 | 4 => out.push_str(self.choices.pick(&[
                "\"a\"",
                "\"\\n\\u00e9\\\\\"",
                "'a\\b'",
                "\"\"\"\na\n b\"\"\"",
                "'''\na'''",
                "\"\"",
                "\"\"\"a\\\n   b\"\"\"",
                "\"\\U0001F600\"",
                "\"\\x41\"",
                "1979-05-27",
            ])),
            5 | 6 => {
                out.push('[');
                let count = self.choices.below(4);
                for _ in 0..count {
                    self.toml_value(out, depth + 1);
                    out.push_str(self.choices.pick(&[", ", ",", ",\n"]));
                }
                out.push(']');
            }
            _ => {
                out.push_str("{ a = ");
                self.toml_value(out, depth + 1);
                out.push_str(self.choices.pick(&[" }", ", b.c = 1 }", ", a = 2 }"]));
            }
        }
    }
}
