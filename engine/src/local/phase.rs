//! What a builder says of the phase that it is at: Nix's own messages (`@nix { ... }`), and the
//! line that nixpkgs' standard environment prints. Only reads lines; they are never trusted.

use serde::Deserialize;

use crate::event::Phase;

/// How a message begins that is not for people.
const FOR_NIX: &[u8] = b"@nix {";

/// How nixpkgs' standard environment says what follows.
const RUNNING: &[u8] = b"Running phase: ";

/// What a line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The phase that begins.
    pub(super) phase: Option<Phase>,
    /// Whether nobody else is to see the line.
    pub(super) is_for_floe: bool,
}

#[derive(Deserialize)]
struct Message {
    action: String,
    #[serde(default)]
    phase: String,
}

/// What a line says of phases.
pub(super) fn said(line: &[u8]) -> Said {
    if line.starts_with(FOR_NIX) {
        return match serde_json::from_slice::<Message>(&line[FOR_NIX.len() - 1..]) {
            Ok(message) if message.action == "setPhase" => {
                Said { phase: Phase::named(&message.phase), is_for_floe: true }
            }
            // As in C++ Nix, others are known from builders of its own only.
            _ => Said::default(),
        };
    }
    let name = line.strip_prefix(RUNNING).map(String::from_utf8_lossy);
    Said { phase: name.and_then(|name| Phase::named(&name)), is_for_floe: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_found_and_other_lines_left_alone() {
        let named = |name: &str| Some(Phase::Named(name.into()));
        for (line, phase, is_for_floe) in [
            (r#"@nix { "action": "setPhase", "phase": "buildPhase" }"#, named("buildPhase"), true),
            (r#"@nix {"phase":"x","action":"setPhase","more":[1]}"#, named("x"), true),
            (r#"@nix { "action": "setPhase" }"#, None, true),
            (r#"@nix { "action": "msg", "msg": "hello" }"#, None, false),
            (r#"@nix { "action": "setPhase", "phase": 1 }"#, None, false),
            ("@nix { not json", None, false),
            (r#"see @nix { "action": "setPhase", "phase": "no" }"#, None, false),
            ("Running phase: installPhase", named("installPhase"), false),
            ("Running phase: ", None, false),
            (" Running phase: no", None, false),
            ("", None, false),
        ] {
            assert_eq!(said(line.as_bytes()), Said { phase, is_for_floe }, "{line}");
        }
        assert_eq!(said(b"Running phase: \xff").phase, named("\u{fffd}"));
    }
}
