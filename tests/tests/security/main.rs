//! Attacks on floe by those it runs and by those beside it, each made for real with the command itself and seen to
//! fail. Names of published advisories stand in the names of the tests. Everything runs a second time as another user
//! when it is started as root. What the sandbox refuses call by call is tested in the sandbox's own crate.

mod builders;
mod keepers;
mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Set in the second run.
const UNPRIVILEGED: &str = "FLOE_TEST_UNPRIVILEGED";

#[test]
fn everything_again_without_privilege() {
    if !rustix::process::getuid().is_root() || std::env::var_os(UNPRIVILEGED).is_some() {
        return;
    }
    // Copies, because nobody may be able to reach the place where things are compiled.
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let (program, floe) = (dir.path().join("tests"), dir.path().join("floe"));
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    fs::copy(floe_tests::world::binary(), &floe).expect("a copy");
    let mut again = Command::new("setpriv");
    again
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--test-threads", "2"])
        .env(UNPRIVILEGED, "1")
        .env("FLOE_BIN", &floe)
        .env_remove("TMPDIR")
        .current_dir("/");
    // Each command in there has a bound of its own.
    let output = again.output().expect("setpriv of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
