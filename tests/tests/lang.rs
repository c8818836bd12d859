//! The language fixtures: the value that `nix-instantiate --eval --strict` prints, or the message of the error.

use floe_tests::fixture::{Fixture, check_all, same};
use floe_tests::{World, process};

fn check(world: &World, fixture: &Fixture) -> Result<(), String> {
    let mut command = world.command("nix-instantiate");
    let outcome =
        process::run(command.args(["--eval", "--strict", "case.nix"]).current_dir(&fixture.dir))
            .map_err(|e| e.to_string())?;
    match (fixture.text("case.exp"), fixture.text("case.err")) {
        (Some(value), None) if outcome.success() => same("the value", &value, &outcome.stdout),
        (Some(_), None) => Err(format!("a value was expected: {}", outcome.describe())),
        (None, Some(messages)) => {
            // an ordinary failure, neither a panic (101) nor a signal
            let failed = matches!(outcome.status.code(), Some(1..=99));
            let said = messages.lines().any(|message| outcome.stderr.contains(message));
            if failed && said {
                Ok(())
            } else {
                Err(format!(
                    "expected the error \"{}\": {}",
                    messages.trim_end(),
                    outcome.describe()
                ))
            }
        }
        _ => Err("a fixture has either a case.exp or a case.err".to_owned()),
    }
}

#[test]
fn values_and_errors_are_those_of_nix() {
    check_all("lang", check);
}
