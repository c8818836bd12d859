//! Hostile builders against the real sandbox of this host: what they see, what they may change,
//! how they end. Everything runs a second time without privilege when it is started as root.

mod ends;
mod limits;
mod network;
mod spec;
mod walls;
mod world;

use std::process::Command;
use std::time::{Duration, Instant};

use world::again_without_privilege;

#[test]
fn everything_again_without_privilege() {
    if let Some(output) = again_without_privilege() {
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
    }
}

/// Whether this process was started by one of its own tests.
pub fn inner() -> bool {
    std::env::var_os("FLOE_TEST_INNER").is_some()
}

/// The arguments that run one test of this program.
pub fn with_arguments<'a>(command: &'a mut Command, name: &str) -> &'a mut Command {
    command.args(["--exact", name, "--nocapture"]).env("FLOE_TEST_INNER", "1")
}

/// Waits for something that must become true within twenty seconds.
pub fn eventually(what: &str, test: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !test() {
        assert!(Instant::now() < deadline, "{what}: not within 20 seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}
