//! The text of derivations: what can be read is written and read the same.

use floe_core::drv::Derivation;

/// Reads the bytes as a `.drv` file.
pub fn check(data: &[u8]) {
    let Ok(drv) = Derivation::parse_aterm("probe", data) else { return };
    // Like C++ Nix, the writer escapes nothing in the system: some texts are read that it cannot write.
    if drv.system.iter().any(|byte| b"\"\\".contains(byte)) {
        return;
    }
    let written = drv.to_aterm();
    let again = Derivation::parse_aterm("probe", &written).expect("what was written can be read");
    assert_eq!(again, drv);
    assert_eq!(again.to_aterm(), written);
    // Whatever the text says, these answer.
    let _ = (drv.kind(), drv.refs(), drv.drv_path());
    let _ = drv.resolve(|_, _| None);
}
