//! TOML as `builtins.fromTOML` takes it: whatever the text, there is a value that can be printed, or an
//! error.

use floe_lang::syntax::print;

use crate::evaluate::{Outcome, evaluate};

/// Reads the bytes as a TOML text.
pub fn check(data: &[u8]) {
    let mut program = b"builtins.fromTOML ".to_vec();
    print::string(&mut program, data);
    let shown = evaluate(&program);
    assert!(!matches!(shown, Outcome::Beyond(_) | Outcome::Full), "{shown:?}");
    let json = evaluate(&[b"builtins.toJSON (", &program[..], b")"].concat());
    match (&shown, &json) {
        (Outcome::Value(_), Outcome::Value(_)) | (Outcome::Failure(_), Outcome::Failure(_)) => {}
        // TOML has names and texts that JSON cannot write, since Nix strings are bytes; not here,
        // where the text had to be UTF-8.
        other => panic!("{other:?}"),
    }
}
