//! The Nix project's own language tests, from a checkout of its sources that `FLOE_NIX_SOURCE` names
//! (it is not part of this repository). Without one there is no test here to pass.
//!
//! What may fail is listed in `fixtures/conformance/VERSION`, a line each: the level that is not
//! reached (`bytes` or `value`), the test, and why. The list can only shrink.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use floe_tests::fixture::folder;
use floe_tests::suite::{CATEGORIES, Level, Suite, Verdict};

const NAME: &str = "language_suite";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let source = std::env::var_os("FLOE_NIX_SOURCE");
    if words.iter().any(|word| word == "--list") {
        let ignored = words.iter().any(|word| word == "--ignored");
        if source.is_some() && !ignored {
            println!("{NAME}: test");
        }
        return ExitCode::SUCCESS;
    }
    let Some(source) = source else {
        println!("skipped: FLOE_NIX_SOURCE names no checkout of Nix's sources; 0 tests ran");
        return ExitCode::SUCCESS;
    };
    match check(Path::new(&source)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn check(source: &Path) -> Result<(), String> {
    let suite = Suite::open(source)?;
    let verdicts = suite.run();
    print_counts(&suite.version, &verdicts);
    let expected = expected(&suite.version)?;
    let mut wrong = Vec::new();
    for Verdict { name, level } in &verdicts {
        match (expected.get(name), *level) {
            (None, Level::Bytes) => {}
            (None, level) => wrong.push(format!("{name}: reaches only {level:?}")),
            (Some(Level::Value), Level::Value) | (Some(Level::Exit), Level::Exit) => {}
            (Some(before), level) if level > *before => {
                wrong.push(format!("{name}: reaches {level:?} now: correct or remove its line"));
            }
            (Some(before), level) => {
                wrong.push(format!("{name}: reached {before:?}, now only {level:?}"));
            }
        }
    }
    let known = |name: &&String| verdicts.iter().any(|verdict| verdict.name == **name);
    wrong.extend(
        expected.keys().filter(|name| !known(name)).map(|name| format!("{name}: no such test")),
    );
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn print_counts(version: &str, verdicts: &[Verdict]) {
    println!(
        "Nix {version}: {:12} {:>5} {:>5} {:>5} {:>5}",
        "kind", "tests", "exit", "value", "bytes"
    );
    let row = |kind: &str, of: &dyn Fn(&Verdict) -> bool| {
        let levels: Vec<Level> = verdicts.iter().filter(|v| of(v)).map(|v| v.level).collect();
        let at_least = |level| levels.iter().filter(|reached| **reached >= level).count();
        println!(
            "Nix {version}: {kind:12} {:>5} {:>5} {:>5} {:>5}",
            levels.len(),
            at_least(Level::Exit),
            at_least(Level::Value),
            at_least(Level::Bytes)
        );
    };
    for category in CATEGORIES {
        row(category, &|verdict| verdict.category() == category);
    }
    row("all", &|_| true);
}

/// What is known to fail, and which level it still reaches.
fn expected(version: &str) -> Result<BTreeMap<String, Level>, String> {
    let file = folder().join("conformance").join(version);
    let text = std::fs::read_to_string(&file)
        .map_err(|e| format!("no list of failures for Nix {version}: {}: {e}", file.display()))?;
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (level, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let reached = match level {
            "bytes" => Level::Value,
            "value" => Level::Exit,
            _ => return Err(format!("{line}: begins with neither 'bytes' nor 'value'")),
        };
        if name.is_empty() || reason.trim().is_empty() {
            return Err(format!("{line}: a test and a reason are missing"));
        }
        all.insert(name.to_owned(), reached);
    }
    Ok(all)
}
