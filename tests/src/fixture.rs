//! The fixtures: folders `fixtures/GROUP/NAME` with a `case.nix` and what is expected of it. Runs a check over all of a
//! group and reports every failure at the end.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::World;

/// One folder with a `case.nix`.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// `GROUP/NAME`
    pub name: String,
    /// The folder.
    pub dir: PathBuf,
}

impl Fixture {
    /// The text of a file in the folder, if it exists.
    pub fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(file)).ok()
    }

    /// The `case.nix`.
    pub fn case(&self) -> PathBuf {
        self.dir.join("case.nix")
    }
}

/// The folder of the package whose tests run. Cargo says it when they run: what it said when they were compiled may be
/// another checkout's, for compiled code is kept from one to the next.
///
/// # Panics
/// When no cargo runs the test.
pub fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests").into()
}

/// The folder of all fixtures.
pub fn folder() -> PathBuf {
    package().join("fixtures")
}

/// The fixtures of a group by name; with `FLOE_FIXTURES=TEXT` those whose `GROUP/NAME` contains the text.
pub fn group(group: &str) -> Vec<Fixture> {
    let wanted = std::env::var("FLOE_FIXTURES").unwrap_or_default();
    let mut found: Vec<Fixture> = fs::read_dir(folder().join(group))
        .expect("the folder of the group")
        .filter_map(|entry| {
            let dir = entry.expect("an entry of the group").path();
            let name = format!("{group}/{}", dir.file_name()?.to_str()?);
            (dir.join("case.nix").exists() && name.contains(&wanted))
                .then_some(Fixture { name, dir })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Runs `check` over a group on two threads, each in a [`World`] of its own, and panics with all that failed.
///
/// Fixtures named in `fixtures/expected-failures` must fail: one that passes has to be taken off the list, which can
/// only shrink.
pub fn check_all(name: &str, check: impl Fn(&World, &Fixture) -> Result<(), String> + Sync) {
    let fixtures = group(name);
    let expected = expected_failures();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let world = World::new();
                while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = match (check(&world, fixture), expected.contains(&fixture.name)) {
                        (Ok(()), false) | (Err(_), true) => continue,
                        (Ok(()), true) => {
                            "passes: take it off fixtures/expected-failures".to_owned()
                        }
                        (Err(message), false) => message,
                    };
                    failures
                        .lock()
                        .expect("no check panicked")
                        .push((fixture.name.clone(), verdict));
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no check panicked");
    failures.sort();
    if !failures.is_empty() {
        let names: Vec<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
        let details: Vec<String> =
            failures.iter().map(|(name, text)| format!("--- {name}\n{text}")).collect();
        panic!(
            "{}\n{} of {} fixtures fail: {}",
            details.join("\n"),
            names.len(),
            fixtures.len(),
            names.join(" ")
        );
    }
}

/// `Err` with both texts if they differ.
pub fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "{what}\n  expected:\n{}\n  found:\n{}",
        crate::process::indent(expected),
        crate::process::indent(found)
    ))
}

fn expected_failures() -> BTreeSet<String> {
    let text = fs::read_to_string(folder().join("expected-failures")).unwrap_or_default();
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}
