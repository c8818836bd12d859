//! Versions and package names, as Nix compares and splits them.

use std::cmp::Ordering;

/// The components of a version: runs of digits, and runs of what is neither digit, `.` nor `-`.
pub fn split(version: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = version;
    std::iter::from_fn(move || {
        let (component, after) = next(rest);
        rest = after;
        (!component.is_empty()).then_some(component)
    })
}

/// The first component, empty at the end, and what follows it.
fn next(text: &[u8]) -> (&[u8], &[u8]) {
    let start = text.iter().position(|byte| !matches!(byte, b'.' | b'-')).unwrap_or(text.len());
    let text = &text[start..];
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let end = text
        .iter()
        .position(|byte| byte.is_ascii_digit() != digits || matches!(byte, b'.' | b'-'))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Which version is older: `2.3pre1` before `2.3` before `2.3a` before `2.3.1`.
pub fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    while !left.is_empty() || !right.is_empty() {
        let (a, after_a) = next(left);
        let (b, after_b) = next(right);
        if older(a, b) {
            return Ordering::Less;
        }
        if older(b, a) {
            return Ordering::Greater;
        }
        (left, right) = (after_a, after_b);
    }
    Ordering::Equal
}

fn older(a: &[u8], b: &[u8]) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        (_, Some(_)) if a.is_empty() => true,
        _ if a == b"pre" && b != b"pre" => true,
        _ if b == b"pre" => false,
        (_, Some(_)) => true,
        (Some(_), _) => false,
        _ => a < b,
    }
}

/// A component as a number; digits beyond 32 bits are compared as text, as C++ Nix does.
fn number(component: &[u8]) -> Option<i32> {
    std::str::from_utf8(component).ok()?.parse().ok()
}

/// A package name and its version: the version begins after the first `-` that no letter follows.
pub fn parse_drv_name(name: &[u8]) -> (&[u8], &[u8]) {
    let dash = (0..name.len().saturating_sub(1))
        .find(|at| name[*at] == b'-' && !name[at + 1].is_ascii_alphabetic());
    match dash {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_the_manual_says() {
        for (older, newer) in [
            ("1.0", "2.3"),
            ("2.1", "2.3"),
            ("2.3pre1", "2.3"),
            ("2.3pre3", "2.3pre12"),
            ("2.3a", "2.3c"),
            ("2.3pre1", "2.3c"),
            ("2.3pre1", "2.3q"),
            ("2.3a", "2.3.1"),
            ("2.3", "2.3.1"),
            ("", "1"),
            ("1.9", "1.10"),
        ] {
            assert_eq!(
                compare(older.as_bytes(), newer.as_bytes()),
                Ordering::Less,
                "{older} {newer}"
            );
            assert_eq!(
                compare(newer.as_bytes(), older.as_bytes()),
                Ordering::Greater,
                "{newer} {older}"
            );
        }
        assert_eq!(compare(b"2.3", b"2-3."), Ordering::Equal);
        assert_eq!(compare(b"1.01", b"1.1"), Ordering::Equal);
    }

    #[test]
    fn versions_split() {
        let parts: Vec<_> = split(b"..1.2-a3pre-").collect();
        assert_eq!(parts, [&b"1"[..], b"2", b"a", b"3", b"pre"]);
        assert_eq!(split(b"").count(), 0);
    }

    #[test]
    fn names_end_before_the_version() {
        assert_eq!(parse_drv_name(b"nix-0.12pre1"), (&b"nix"[..], &b"0.12pre1"[..]));
        assert_eq!(parse_drv_name(b"a-b-c-1-2"), (&b"a-b-c"[..], &b"1-2"[..]));
        assert_eq!(parse_drv_name(b"a-b"), (&b"a-b"[..], &b""[..]));
        assert_eq!(parse_drv_name(b"a-"), (&b"a-"[..], &b""[..]));
    }
}
