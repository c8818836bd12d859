//! The language fixtures: the value that `nix-instantiate --eval --strict` prints, or the message of the error, some with
//! the whole trace.

use floe_tests::fixture::{Fixture, check_all, group, same};
use floe_tests::{World, process};

/// What `--show-trace` says of an error, where a `case.trace` has it.
fn check_trace(world: &World, fixture: &Fixture) -> Result<(), String> {
    let Some(trace) = fixture.text("case.trace") else { return Ok(()) };
    let mut command = world.command("nix-instantiate");
    let outcome = process::run(
        command.args(["--eval", "--strict", "--show-trace", "case.nix"]).current_dir(&fixture.dir),
    )
    .map_err(|e| e.to_string())?;
    let folder = format!("{}/", fixture.dir.display());
    same("the trace", &trace, &outcome.stderr.replace(&folder, ""))
}

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
                check_trace(world, fixture)
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

/// Builtins that ask for a network, a repository or more than this command has; their tests are
/// beside what answers them.
const WITHOUT_FIXTURE: [&str; 5] =
    ["fetchGit", "fetchMercurial", "fetchTarball", "fetchTree", "getFlake"];

#[test]
fn each_builtin_has_a_fixture() {
    let world = World::new();
    let mut command = world.command("nix-instantiate");
    let names = "builtins.attrNames builtins";
    let outcome = process::run(command.args(["--eval", "--strict", "--json", "-E", names]));
    let outcome = outcome.expect("the command to start");
    let names: Vec<String> = serde_json::from_str(&outcome.stdout).expect("a list of names");
    let texts: Vec<String> = ["lang", "drv", "ca"]
        .into_iter()
        .flat_map(group)
        .map(|fixture| fixture.text("case.nix").expect("a fixture has a case.nix"))
        .collect();
    let inside = |c: char| c.is_alphanumeric() || "_-'".contains(c);
    let is_used = |name: &String| {
        texts.iter().any(|text| {
            text.match_indices(name.as_str()).any(|(at, _)| {
                let before = text[..at].trim_end_matches("__");
                !before.ends_with(inside) && !text[at + name.len()..].starts_with(inside)
            })
        })
    };
    let bare: Vec<&String> = names
        .iter()
        .filter(|name| !WITHOUT_FIXTURE.contains(&name.as_str()) && !is_used(name))
        .collect();
    assert!(bare.is_empty(), "builtins without a fixture: {bare:?}");
}
