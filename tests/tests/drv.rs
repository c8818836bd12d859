//! The derivation fixtures: the .drv paths that `nix-instantiate` prints. A path is a hash of the .drv file, of all it
//! depends on and of the sources, so equal paths are equal files.

use floe_tests::fixture::{Fixture, check_all, same};
use floe_tests::{World, process};

fn check(world: &World, fixture: &Fixture) -> Result<(), String> {
    let mut command = world.command("nix-instantiate");
    let outcome = process::run(command.arg("case.nix").current_dir(&fixture.dir))
        .map_err(|e| e.to_string())?;
    if !outcome.success() {
        return Err(outcome.describe());
    }
    let expected =
        fixture.text("case.exp").ok_or("there is no case.exp: run fixtures/regenerate")?;
    same("the .drv paths", &expected, &outcome.stdout).map_err(|message| {
        let paths = outcome.lines();
        let first_wrong = expected.lines().zip(&paths).position(|(a, b)| a != *b);
        format!(
            "{message}\n{}",
            first_wrong.map(|i| texts(world, fixture, &expected, paths[i], i)).unwrap_or_default()
        )
    })
}

/// The two texts of the first .drv that differs, to see where.
fn texts(world: &World, fixture: &Fixture, expected: &str, found: &str, index: usize) -> String {
    let base = |line: &str| line.split('!').next().unwrap_or_default().to_owned();
    let mut distinct: Vec<String> = expected.lines().take(index + 1).map(base).collect();
    distinct.dedup();
    let all = fixture.text("case.drv").unwrap_or_default();
    let wanted = all.lines().nth(distinct.len() - 1).unwrap_or_default();
    let text = world.floe(["store", "cat", &base(found)]);
    let text =
        if text.success() { text.stdout } else { format!("(floe store cat says) {}", text.stderr) };
    let at = wanted
        .bytes()
        .zip(text.bytes())
        .position(|(a, b)| a != b)
        .unwrap_or(wanted.len().min(text.len()));
    format!("  {} differs from byte {at}\n  expected: {wanted}\n  found:    {text}", base(found))
}

#[test]
fn derivation_paths_are_those_of_nix() {
    check_all("drv", check);
}
