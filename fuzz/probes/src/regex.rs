//! POSIX regular expressions: the translation neither panics nor hangs, pieces make up the text, and the
//! C library is of the same opinion on whether a whole text matches.

use floe_lang::text::regex::{Part, Piece, Whole};

use crate::posix;

/// Longer patterns and texts teach nothing that shorter ones do not.
const MAX_PATTERN_BYTES: usize = 200;
const MAX_TEXT_BYTES: usize = 400;

/// Reads the bytes as a pattern, a line end and a text.
pub fn check(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (pattern, text) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    if pattern.len() > MAX_PATTERN_BYTES || text.len() > MAX_TEXT_BYTES {
        return;
    }
    let (whole, part) = match (Whole::new(pattern), Part::new(pattern)) {
        (Ok(whole), Ok(part)) => (whole, part),
        (Err(_), _) | (_, Err(_)) => return,
    };
    let (Ok(groups), Ok(pieces)) = (whole.groups(text), part.split(text)) else { return };
    if let Some(groups) = &groups {
        for group in groups.iter().flatten() {
            assert!(group.len() <= text.len());
        }
        assert!(text.is_empty() || pieces.len() > 1, "a text that matches has a match in it");
    }
    let mut last = text.as_ptr();
    for (index, piece) in pieces.into_iter().enumerate() {
        match piece {
            Piece::Text(between) => {
                assert!(index % 2 == 0 && between.as_ptr() >= last, "pieces stand in order");
                last = between.as_ptr_range().end;
                assert!(last <= text.as_ptr_range().end);
            }
            Piece::Match(_) => assert!(index % 2 == 1),
        }
    }
    if compares(pattern, text)
        && let Some(theirs) = posix::matches_whole(pattern, text)
    {
        assert_eq!(
            groups.is_some(),
            theirs,
            "'{}' on '{}': the C library says otherwise",
            pattern.escape_ascii(),
            text.escape_ascii()
        );
    }
}

/// Whether both mean the same by it. libstdc++, which C++ Nix uses and floe follows, has classes `w`,
/// `d` and `s`, collating elements, and repetitions of repetitions; the C library ends at a NUL, and takes
/// time and memory that grow with the product of counts.
fn compares(pattern: &[u8], text: &[u8]) -> bool {
    let has = |part: &[u8]| pattern.windows(part.len()).any(|window| window == part);
    let plain = |byte: &u8| byte.is_ascii() && *byte != 0;
    pattern.iter().all(plain)
        && text.iter().all(plain)
        && pattern.len() <= 40
        && text.len() <= 60
        && pattern.iter().filter(|byte| **byte == b'{').count() <= 1
        && ![&b"[[."[..], b"[=", b"[.", b"[:w:]", b"[:d:]", b"[:s:]"].into_iter().any(has)
}
