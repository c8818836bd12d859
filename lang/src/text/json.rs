//! JSON text to plain data, with Nix's rules for numbers, and the forms of scalars as Nix writes them.
//! No values of the language: the builtins build those.

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 1_000;
/// How much of a number that is none is shown.
const MAX_SHOWN: usize = 1_000;
/// How many values a text may hold: they take 2 GiB.
pub const MAX_VALUES: usize = 1 << 26;

/// A JSON text as data.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent that fits; larger ones are floats.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string, in UTF-8; it may hold NUL bytes.
    String(Vec<u8>),
    /// An array.
    Array(Vec<Json>),
    /// An object's members as they stand, names perhaps more than once: the last one counts.
    Object(Vec<(Vec<u8>, Json)>),
}

/// Why a text is no JSON, or none that Nix takes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonError {
    /// Not the syntax.
    #[error("parse error at line {line}, column {column}: {expected} expected")]
    Syntax {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A whole number between the largest Nix integer and 2^64.
    #[error("unsigned json number {0} outside of Nix integer range")]
    OutOfRange(u64),
    /// A number that is not even a float.
    #[error("number overflow parsing '{0}'")]
    Overflow(String),
    /// More values than the limit.
    #[error("there are more than {MAX_VALUES} values")]
    TooMany,
    /// Deeper than the limit.
    #[error("arrays and objects are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl JsonError {
    /// Whether it is a number that Nix cannot hold, in a text that is JSON.
    pub fn is_range(&self) -> bool {
        matches!(self, JsonError::OutOfRange(_))
    }
}

/// Reads one JSON text, with nothing but white space around it.
pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
    let mut reader = Reader { text, at: 0, values: 0 };
    let value = reader.value(0)?;
    reader.blank();
    if reader.at < text.len() {
        return reader.fail("end of input");
    }
    Ok(value)
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, expected: &'static str) -> Result<T, JsonError> {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
        Err(JsonError::Syntax { line, column, expected })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next, after white space.
    fn take(&mut self, byte: u8) -> bool {
        self.blank();
        let found = self.peek() == Some(byte);
        self.at += found as usize;
        found
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        self.fail(word)
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(JsonError::TooMany);
        }
        self.blank();
        match self.peek() {
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'"') => self.string().map(Json::String),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fail("a value"),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.take(b',') {
                return self.fail("',' or ']'");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return self.fail("a string as name");
            }
            let name = self.string()?;
            if !self.take(b':') {
                return self.fail("':'");
            }
            members.push((name, self.value(depth + 1)?));
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return self.fail("',' or '}'");
            }
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.at += (self.peek() == Some(b'-')) as usize;
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            self.at += matches!(self.peek(), Some(b'+' | b'-')) as usize;
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).expect("numbers are ASCII");
        if whole {
            if let Ok(value) = text.parse() {
                return Ok(Json::Int(value));
            }
            if let Ok(value) = text.parse::<u64>() {
                return Err(JsonError::OutOfRange(value));
            }
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Json::Float(value)),
            _ => Err(JsonError::Overflow(text.chars().take(MAX_SHOWN).collect())),
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, JsonError> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .unwrap_or(rest.len());
            if let Err(error) = std::str::from_utf8(&rest[..end]) {
                self.at += error.valid_up_to();
                return self.fail("UTF-8");
            }
            out.extend_from_slice(&rest[..end]);
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(_) => return self.fail("an escape for this control character"),
                None => return self.fail("a closing quote"),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        self.at += 2;
        let plain = match self.text.get(self.at - 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.code_point(out),
            _ => {
                self.at -= 1;
                return self.fail("an escape");
            }
        };
        out.push(plain);
        Ok(())
    }

    fn code_point(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u")
        {
            self.at += 2;
            let second = self.hex()?;
            if !(0xdc00..0xe000).contains(&second) {
                return self.fail("a low surrogate");
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        match char::from_u32(code) {
            Some(found) => out.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes()),
            None => return self.fail("a pair of surrogates"),
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let code = digits
            .iter()
            .try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?));
        match code {
            Some(code) if digits.len() == 4 => {
                self.at += 4;
                Ok(code)
            }
            _ => self.fail("four hexadecimal digits"),
        }
    }
}

/// Writes a string with quotes and escapes; bytes that are no control characters stay as they are.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Writes what stands between a string's quotes.
pub fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
}

/// Writes a float with as few digits as tell it from its neighbours; `1.0`, `1e+20`, `1e-07`.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("{:e} writes an exponent");
    let exponent: i32 = exponent.parse().expect("{:e} writes an exponent");
    let text = if (-4..15).contains(&exponent) {
        format!("{value:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn fails(text: &str, expect: &str) {
        assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expect, "{text}");
    }

    #[test]
    fn numbers_follow_nix() {
        assert_eq!(parse(b"9223372036854775807"), Ok(Json::Int(i64::MAX)));
        assert_eq!(parse(b"-9223372036854775808"), Ok(Json::Int(i64::MIN)));
        assert_eq!(parse(b"-9223372036854775809"), Ok(Json::Float(-9223372036854775809.0)));
        assert_eq!(parse(b"18446744073709551616"), Ok(Json::Float(18446744073709551616.0)));
        assert_eq!(parse(b"1.0"), Ok(Json::Float(1.0)));
        assert_eq!(parse(b"-0"), Ok(Json::Int(0)));
        assert_eq!(parse(b"1e2"), Ok(Json::Float(100.0)));
        fails(
            "18446744073709551615",
            "unsigned json number 18446744073709551615 outside of Nix integer range",
        );
        fails("1e999", "number overflow parsing '1e999'");
        fails("01", "parse error at line 1, column 2: end of input expected");
        fails("1.", "parse error at line 1, column 3: a digit expected");
    }

    #[test]
    fn structures_are_read() {
        let member = |name: &str, value| (name.as_bytes().to_vec(), value);
        let expect = Json::Object(vec![
            member("a", Json::Array(vec![Json::Null, Json::Bool(true), Json::Array(vec![])])),
            member("a", Json::String("\u{1f600}\n/\0é".into())),
        ]);
        let text = "{ \"a\" : [null, true, [ ]], \"a\": \"\\ud83d\\ude00\\n\\/\\u0000é\" } ";
        assert_eq!(parse(text.as_bytes()), Ok(expect));
        fails("", "parse error at line 1, column 1: a value expected");
        fails("[1,\n2", "parse error at line 2, column 2: ',' or ']' expected");
        fails("{1:2}", "parse error at line 1, column 2: a string as name expected");
        fails(
            "\"a\tb\"",
            "parse error at line 1, column 3: an escape for this control character expected",
        );
        fails(r#""\ud800""#, "parse error at line 1, column 8: a pair of surrogates expected");
        fails(r#""\u00""#, "parse error at line 1, column 4: four hexadecimal digits expected");
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested =
            |depth: usize| parse(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        assert!(nested(MAX_DEPTH).is_ok());
        assert_eq!(nested(MAX_DEPTH + 2), Err(JsonError::TooDeep));
        assert_eq!(nested(1_000_000), Err(JsonError::TooDeep));
    }

    #[test]
    fn scalars_are_written_as_nix_does() {
        let mut out = Vec::new();
        write_string(&mut out, b"a\"\\\n\x01\x7f/\xc3\xa9");
        assert_eq!(out, b"\"a\\\"\\\\\\n\\u0001\x7f/\xc3\xa9\"");
        for (value, expect) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (0.00001, "1e-05"),
            (0.0001, "0.0001"),
            (0.001, "0.001"),
            (f64::NAN, "null"),
        ] {
            let mut out = Vec::new();
            write_float(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        }
    }

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(Json::Int),
            prop::num::f64::NORMAL.prop_map(Json::Float),
            ".{0,12}".prop_map(|text: String| Json::String(text.into_bytes())),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let name = ".{0,5}".prop_map(String::into_bytes);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
                prop::collection::vec((name, inner), 0..5).prop_map(Json::Object),
            ]
        })
    }

    fn write(json: &Json, out: &mut Vec<u8>) {
        match json {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(b) => out.extend_from_slice(b.to_string().as_bytes()),
            Json::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Json::Float(x) => write_float(out, *x),
            Json::String(text) => write_string(out, text),
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { b'[' } else { b',' });
                    write(item, out);
                }
                out.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
            }
            Json::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push(if index == 0 { b'{' } else { b',' });
                    write_string(out, name);
                    out.push(b':');
                    write(value, out);
                }
                out.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(json in values()) {
            let mut text = Vec::new();
            write(&json, &mut text);
            prop_assert_eq!(parse(&text), Ok(json));
        }

        #[test]
        fn floats_keep_every_bit(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut text = Vec::new();
            write_float(&mut text, value);
            let read = match parse(&text) {
                Ok(Json::Float(read)) => read,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(read.to_bits(), bits);
        }

        #[test]
        fn parse_never_panics(text in "[\\[{\\]},:\"0-9eE+.a-z\\\\ -]{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
