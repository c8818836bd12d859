//! Flake references: what was taken apart and put together comes apart the same way.

use floe_lang::text::flakeref::{parse, write};

/// Reads the bytes as a flake reference.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(attrs) = parse(text) else { return };
    let Ok(written) = write(&attrs) else { return };
    let Ok(again) = parse(&written) else { return };
    let settled = write(&again).expect("what was written and read can be written");
    let last = parse(&settled).expect("what was written and read twice can be read");
    assert_eq!(last, again, "{written} became {settled}");
}
