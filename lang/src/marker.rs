//! Handles inside strings: a fixed-width marker stands where a store path's digest will stand.
//! A Nix string holds no NUL byte, so no program can forge one.
//!
//! A *token* is the whole path that a marker belongs to: `/nix/store/` marker `-name`, or `/`
//! marker for the placeholder of an output whose path is unknown before building. Tokens are
//! never cut: whoever would cut one reads the resolved text instead.

use floe_core::path::STORE_DIR;

use crate::graph::{DrvId, Segment, SourceId};

const DIGEST_LEN: usize = 32;
const PLACEHOLDER_LEN: usize = 52;
const FILL: u8 = b'?';

/// Adds a marker of `len` bytes.
fn marker(bytes: &mut Vec<u8>, kind: u8, id: u32, output: u32, len: usize) {
    let end = bytes.len() + len;
    bytes.extend_from_slice(&[0, kind]);
    for number in [id, output] {
        for digit in (0..u32::BITS).step_by(4).rev() {
            bytes.push(b"0123456789abcdef"[(number >> digit & 15) as usize]);
        }
    }
    bytes.resize(end, FILL);
}

fn path_token(kind: u8, id: u32, output: u32, name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(STORE_DIR.len() + DIGEST_LEN + name.len() + 2);
    bytes.extend_from_slice(STORE_DIR.as_bytes());
    bytes.push(b'/');
    marker(&mut bytes, kind, id, output, DIGEST_LEN);
    bytes.push(b'-');
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// The path of a source, whose object has this name.
pub(crate) fn source(id: SourceId, name: &str) -> Vec<u8> {
    path_token(b's', id.0, 0, name)
}

/// The path of a derivation's file; `name` is the derivation's.
pub(crate) fn drv_path(id: DrvId, name: &str) -> Vec<u8> {
    path_token(b'd', id.0, 0, &format!("{name}.drv"))
}

/// The path of an output that is known before building; `name` is the object's.
pub(crate) fn output(id: DrvId, index: u32, name: &str) -> Vec<u8> {
    path_token(b'o', id.0, index, name)
}

/// The placeholder of an output that is known only after building.
pub(crate) fn unknown_output(id: DrvId, index: u32) -> Vec<u8> {
    let mut bytes = vec![b'/'];
    marker(&mut bytes, b'p', id.0, index, PLACEHOLDER_LEN);
    bytes
}

/// A token in a string.
pub(crate) struct Token {
    /// What it stands for.
    pub(crate) segment: Segment,
    /// Where the token starts.
    pub(crate) start: usize,
    /// The marker's end; the name that follows belongs to the token.
    pub(crate) end: usize,
}

/// The next token from `from` on. `name_len` gives the length of the `-name` part.
pub(crate) fn next(
    bytes: &[u8],
    from: usize,
    name_len: &dyn Fn(&Segment) -> usize,
) -> Option<Token> {
    let at = from + memchr::memchr(0, &bytes[from..])?;
    let hex = |range: std::ops::Range<usize>| {
        std::str::from_utf8(bytes.get(range)?)
            .ok()
            .and_then(|text| u32::from_str_radix(text, 16).ok())
    };
    let id = hex(at + 2..at + 10)?;
    let index = hex(at + 10..at + 18)?;
    let prefix = STORE_DIR.len() + 1;
    let (segment, prefix, width) = match bytes.get(at + 1)? {
        b's' => (Segment::Source(SourceId(id)), prefix, DIGEST_LEN),
        b'd' => (Segment::DrvPath(DrvId(id)), prefix, DIGEST_LEN),
        b'o' => (Segment::Output(DrvId(id), index), prefix, DIGEST_LEN),
        _ => (Segment::Output(DrvId(id), index), 1, PLACEHOLDER_LEN),
    };
    let name = if width == DIGEST_LEN { name_len(&segment) } else { 0 };
    let end = at + width + name;
    (end <= bytes.len()).then_some(())?;
    Some(Token { segment, start: at.checked_sub(prefix)?, end })
}
