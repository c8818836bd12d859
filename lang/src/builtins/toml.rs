//! `fromTOML`.

use toml::value::{Datetime, Offset, Value as Toml};

use super::Prim;
use crate::error::{Error, Res};
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::toml::beyond_first;
use crate::value::Value;

/// A larger text would take gigabytes while it is read.
const MAX_BYTES: usize = 128 << 20;
/// A longer message quotes a line that nobody reads.
const MAX_SHOWN_BYTES: usize = 2_000;

fn from_toml(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to builtins.fromTOML";
    let text = machine.as_text(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let failed = |why: &str| Error::eval(loc, format!("while parsing TOML: {why}"));
    if text.len() > MAX_BYTES {
        return Err(failed(&format!(
            "it is larger than {} MiB, the most that is read",
            MAX_BYTES >> 20
        )));
    }
    let text = std::str::from_utf8(text).map_err(|error| failed(&error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let overflow = error.span().and_then(|span| overflow(text, span));
        failed(&overflow.unwrap_or_else(|| said(&error)))
    })?;
    if let Some(what) = beyond_first(text) {
        return Err(failed(&format!("{what} is TOML 1.1; write it as in TOML 1.0")));
    }
    machine.value_of_toml(Toml::Table(table)).map_err(|why| failed(&why))
}

/// What the parser says, without the line that is wrong where that is long.
fn said(error: &toml::de::Error) -> String {
    let text = error.to_string();
    if text.len() <= MAX_SHOWN_BYTES {
        return text.trim_end().to_owned();
    }
    let place = text.lines().next().unwrap_or_default();
    let place: String = place.chars().take(MAX_SHOWN_BYTES).collect();
    format!("{place}: {}", error.message())
}

/// What C++ Nix's library says of a decimal integer that needs more than 64 bits.
fn overflow(text: &str, span: std::ops::Range<usize>) -> Option<String> {
    let number = text.get(span.clone())?;
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return None;
    }
    let before = &text[..span.start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let gap = " ".repeat(number.to_string().len());
    let column = " ".repeat(span.end - line_start);
    Some(format!(
        "[error] toml::parse_dec_integer: too large integer: current max digits = 2^63\n{gap}--> fromTOML\n {gap} |\n {number} | {line}\n {gap} | {column}^-- must be < 2^63\n"
    ))
}

/// Text that may become a string or a name.
fn checked(text: &str) -> Result<&str, String> {
    if !text.contains('\0') {
        return Ok(text);
    }
    Err(format!("error: {}", super::json::nul_message(text.as_bytes())))
}

impl Machine {
    /// A value from TOML; the parser has bounded the depth.
    fn value_of_toml(&mut self, toml: Toml) -> Result<Value, String> {
        Ok(match toml {
            Toml::String(text) => self.string(checked(&text)?.as_bytes()),
            Toml::Integer(n) => Value::Int(n),
            Toml::Float(x) => Value::Float(x),
            Toml::Boolean(b) => Value::Bool(b),
            Toml::Datetime(when) => {
                if !self.settings.toml_timestamps {
                    return Err("Dates and times are not supported".to_owned());
                }
                let (kind, text) = (self.string(b"timestamp"), timestamp(&when));
                let text = self.string(text.as_bytes());
                self.attrs(vec![(Symbol::intern("_type"), kind), (Symbol::VALUE, text)])
            }
            Toml::Array(items) => {
                let items: Result<Vec<Value>, String> =
                    items.into_iter().map(|item| self.value_of_toml(item)).collect();
                self.list(items?.into_iter())
            }
            Toml::Table(members) => {
                let mut attrs = Vec::with_capacity(members.len());
                for (name, value) in members {
                    let name = Symbol::intern(checked(&name)?);
                    attrs.push((name, self.value_of_toml(value)?));
                }
                self.attrs(attrs)
            }
        })
    }
}

/// Fractions of a second have 3, 6 or 9 digits, as in C++ Nix.
fn timestamp(when: &Datetime) -> String {
    let mut out = String::new();
    if let Some(date) = when.date {
        out += &date.to_string();
    }
    if when.date.is_some() && when.time.is_some() {
        out.push('T');
    }
    if let Some(time) = when.time {
        out += &format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second.unwrap_or(0));
        let nanos = time.nanosecond.unwrap_or(0);
        out += &match nanos {
            0 => String::new(),
            _ if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
            _ if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
            _ => format!(".{nanos:09}"),
        };
    }
    match when.offset {
        None => {}
        Some(Offset::Z) => out.push('Z'),
        Some(Offset::Custom { minutes }) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            out += &format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        }
    }
    out
}

pub(super) fn prims() -> Vec<Prim> {
    vec![Prim::new("fromTOML", 1, 1, from_toml)]
}
