//! The content-addressed fixtures: what `nix-build` realises. Those that need only /bin/sh have their paths, NAR hashes
//! and references stored; those that build with this machine's busybox are compared with a living Nix.

use floe_tests::fixture::{Fixture, check_all, same};
use floe_tests::oracle::{Oracle, busybox};
use floe_tests::world::only_object;
use floe_tests::{World, process};
use serde_json::Value;

fn check(world: &World, fixture: &Fixture) -> Result<(), String> {
    let found = built_by_floe(world, fixture)?;
    match (fixture.text("case.exp"), Oracle::find()) {
        (Some(expected), _) => same("the outputs", &expected, &found),
        (None, Ok(oracle)) => {
            same("the outputs (living Nix first)", &built_by_nix(&oracle, fixture)?, &found)
        }
        // then all that this shows is that it builds
        (None, Err(why)) => {
            eprintln!("{}: built, but not compared: {why}", fixture.name);
            Ok(())
        }
    }
}

fn built_by_floe(world: &World, fixture: &Fixture) -> Result<String, String> {
    let mut command = world.command("nix-build");
    command
        .args(["--no-out-link", "case.nix", "--arg", "busybox"])
        .arg(busybox())
        .current_dir(&fixture.dir);
    let outcome = process::run(&mut command).map_err(|e| e.to_string())?;
    if !outcome.success() {
        return Err(outcome.describe());
    }
    outcome.lines().iter().map(|path| describe(path, &world.path_info(path)?)).collect()
}

fn built_by_nix(oracle: &Oracle, fixture: &Fixture) -> Result<String, String> {
    let (case, busybox) = (fixture.case(), busybox());
    let (case, busybox) = (case.to_string_lossy(), busybox.to_string_lossy());
    let outcome = oracle.run("nix-build", &["--no-out-link", &case, "--arg", "busybox", &busybox]);
    if !outcome.success() {
        return Err(format!("the oracle fails: {}", outcome.describe()));
    }
    outcome
        .lines()
        .iter()
        .map(|path| {
            describe(
                path,
                &only_object(&oracle.run("nix", &["path-info", "--json", path]).stdout, path)?,
            )
        })
        .collect()
}

/// The form in which case.exp holds an output.
fn describe(path: &str, info: &Value) -> Result<String, String> {
    let hash = info["narHash"].as_str().ok_or_else(|| format!("no narHash: {info}"))?;
    let size = info["narSize"].as_u64().ok_or_else(|| format!("no narSize: {info}"))?;
    let references =
        info["references"].as_array().ok_or_else(|| format!("no references: {info}"))?;
    let mut references: Vec<&str> = references.iter().filter_map(Value::as_str).collect();
    references.sort_unstable();
    let references: String = references.iter().map(|r| format!("  reference {r}\n")).collect();
    Ok(format!("{path}\n  narHash {hash}\n  narSize {size}\n{references}"))
}

#[test]
fn realised_paths_and_nars_are_those_of_nix() {
    check_all("ca", check);
}
