//! Evaluations that must end within a bound on time and memory, in a value or in an orderly error. Nothing about a
//! particular expression.

use std::process::Command;

use crate::World;
use crate::process::{Outcome, run};
use crate::scene::{fails_with, says};

/// What an evaluation may address, in KiB: a stack of 1 GiB, values, and the largest text that may be made, twice.
const MEMORY_KIB: u32 = 6 << 20;
/// What it may take on a machine that is busy with other tests: far from what anything quadratic takes.
const TIME_MS: u128 = 60_000;

/// The command under the bound on memory, with signals as a terminal's user has them: whoever runs tests in the background
/// of a script passes on that interrupts are ignored.
pub fn bounded(inner: &Command) -> Command {
    let mut outer = Command::new("/bin/sh");
    outer
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY_KIB} && exec /usr/bin/env --default-signal \"$0\" \"$@\""));
    outer.arg(inner.get_program()).args(inner.get_args()).env_clear();
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = inner.get_current_dir() {
        outer.current_dir(dir);
    }
    outer
}

/// Evaluates a text, as the file `case.nix`, under floe's own name.
#[track_caller]
pub fn eval(world: &World, text: impl AsRef<[u8]>, flags: &[&str]) -> Outcome {
    eval_as(world, "floe", text, flags)
}

/// The same under another name.
#[track_caller]
pub fn eval_as(world: &World, name: &str, text: impl AsRef<[u8]>, flags: &[&str]) -> Outcome {
    let case = world.file("case.nix", text);
    let mut command = world.command(name);
    match name {
        "floe" => command.args(["eval", "-f"]).arg(case).args(flags),
        _ => command.arg("--eval").args(flags).arg(case),
    };
    within_time(run(&mut bounded(&command)).expect("floe to start"))
}

#[track_caller]
fn within_time(outcome: Outcome) -> Outcome {
    assert!(outcome.wall_ms < TIME_MS, "it took {} ms", outcome.wall_ms);
    let orderly = outcome.status.code().is_some() && !outcome.stderr.contains("panicked at");
    assert!(orderly, "an orderly end was expected: {}", start_of(&outcome));
    outcome
}

/// It evaluates to what begins with this text.
#[track_caller]
pub fn evaluates(world: &World, text: impl AsRef<[u8]>, flags: &[&str], expected: &str) {
    let outcome = eval(world, &text, flags);
    let shown = String::from_utf8_lossy(text.as_ref()).chars().take(100).collect::<String>();
    assert!(
        outcome.success() && outcome.stdout.starts_with(expected),
        "{shown}: {expected} was expected: {}",
        start_of(&outcome)
    );
}

/// It fails with exit status 1, these words and this place.
#[track_caller]
pub fn fails_at(world: &World, text: impl AsRef<[u8]>, flags: &[&str], words: &str, place: &str) {
    let outcome = eval(world, text, flags);
    assert!(outcome.stderr.contains(words), "{words} was expected: {}", start_of(&outcome));
    fails_with(&outcome, 1, &[words]);
    says(&outcome, &[place]);
}

/// It ends in a value or in an error, and not in a crash.
#[track_caller]
pub fn deep(world: &World, text: &str) {
    let outcome = eval(world, text, &[]);
    assert!(matches!(outcome.status.code(), Some(0 | 1)), "{}", start_of(&outcome));
}

/// What a command said, without the megabytes that it may have been given.
fn start_of(outcome: &Outcome) -> String {
    outcome.describe().chars().take(2_000).collect()
}
