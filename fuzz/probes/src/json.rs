//! JSON: what can be read is written and read the same, and `serde_json` is of the same opinion on what
//! is JSON.

use floe_lang::text::json::{Json, JsonError, parse, write_float, write_string};
use serde_json::Value;

/// Nesting that `serde_json` takes.
const PEER_DEPTH: usize = 120;

/// Reads the bytes as a JSON text.
pub fn check(data: &[u8]) {
    let ours = parse(data);
    let peer: Result<Value, _> = serde_json::from_slice(data);
    match (&ours, &peer) {
        (Ok(json), Ok(value)) => assert!(is_same(json, value), "{json:?} is not {value:?}"),
        (Ok(json), Err(error)) => {
            // It rounds the largest numbers up.
            let range = error.to_string().contains("number out of range");
            assert!(range || depth(json) > PEER_DEPTH, "serde_json refuses {json:?}: {error}");
        }
        // Its numbers go further, and are what they are up to the last.
        (Err(error @ JsonError::Syntax { line, column, .. }), _) => {
            assert!(*line > 0 && *column > 0 && *column <= data.len() + 2);
            assert!(peer.is_err(), "serde_json takes it: {error}");
        }
        (Err(_), _) => {}
    }
    let Ok(json) = ours else { return };
    let mut written = Vec::new();
    write(&json, &mut written);
    let again = parse(&written).expect("what was written can be read");
    assert_eq!(again, json, "{}", String::from_utf8_lossy(&written));
}

fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => 1 + members.iter().map(|(_, v)| depth(v)).max().unwrap_or(0),
        _ => 0,
    }
}

fn write(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Json::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Json::Float(x) => write_float(out, *x),
        Json::String(text) => write_string(out, text),
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, name);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

fn is_same(json: &Json, value: &Value) -> bool {
    match (json, value) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(a), Value::Bool(b)) => a == b,
        // `-0` is an integer in Nix.
        (Json::Int(n), Value::Number(number)) => {
            number.as_i64() == Some(*n) || (*n == 0 && number.as_f64() == Some(0.0))
        }
        // `serde_json` rounds the last digit otherwise.
        (Json::Float(x), Value::Number(number)) => number
            .as_f64()
            .is_some_and(|y| (x - y).abs() <= (x.abs() * 1e-14).max(f64::MIN_POSITIVE)),
        (Json::String(a), Value::String(b)) => a == b.as_bytes(),
        (Json::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        // Of members with one name the last one counts.
        (Json::Object(members), Value::Object(map)) => map.iter().all(|(name, value)| {
            let last = members.iter().rev().find(|(other, _)| other == name.as_bytes());
            last.is_some_and(|(_, json)| is_same(json, value))
        }),
        _ => false,
    }
}
