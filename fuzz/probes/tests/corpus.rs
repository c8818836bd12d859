//! The committed corpus and every input that once broke a law, through the same laws as under the fuzzer;
//! and the corpus of programs beside C++ Nix, where it is installed. Nothing is mutated here.

use std::fs;
use std::path::{Path, PathBuf};

use floe_probes::compare::Comparison;
use floe_probes::{PROBES, Probe};

fn folder(parts: &[&str]) -> PathBuf {
    // As it is now: compiled code is kept from one checkout to the next.
    let probes = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let fuzz = Path::new(&probes).parent().expect("the crate lies within fuzz");
    parts.iter().fold(fuzz.to_path_buf(), |path, part| path.join(part))
}

/// The inputs in a folder with their names; none where there is no such folder.
fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all.into_iter().map(|path| (path.clone(), fs::read(path).expect("an input"))).collect()
}

#[track_caller]
fn check(name: &str) {
    let Probe { check, .. } = PROBES.into_iter().find(|probe| probe.name == name).expect("a probe");
    let corpus = inputs(&folder(&["corpus", name]));
    assert!(corpus.len() >= 3, "fuzz/corpus/{name} holds only {} inputs", corpus.len());
    for (path, data) in corpus.into_iter().chain(inputs(&folder(&["regressions", name]))) {
        // A panic says what, this says for which input.
        let told = std::panic::catch_unwind(|| check(&data));
        assert!(told.is_ok(), "{} breaks a law of {name}", path.display());
    }
}

/// One test a probe, so that a failure names it.
macro_rules! laws {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_probe_is_tested() {
            assert_eq!(PROBES.map(|probe| probe.name), [$(stringify!($name)),*]);
        }
    };
}

laws!(aterm evaluate flakeref json nar parse path regex toml);

/// The language fixtures are texts that a parser should see, too.
#[test]
fn fixtures_are_parsed() {
    let lang = folder(&["..", "tests", "fixtures", "lang"]);
    let mut count = 0;
    for entry in fs::read_dir(lang).expect("the fixtures") {
        let Ok(text) = fs::read(entry.expect("an entry").path().join("case.nix")) else { continue };
        floe_probes::parse::check(&text);
        count += 1;
    }
    assert!(count > 200, "{count} fixtures");
}

#[test]
fn programs_of_the_corpus_mean_the_same_to_nix() {
    let mut comparison = match Comparison::open() {
        Ok(comparison) => comparison,
        Err(why) => {
            assert!(std::env::var_os("FLOE_REQUIRE_NIX").is_none(), "FLOE_REQUIRE_NIX: {why}");
            println!("skipped: {why}");
            return;
        }
    };
    let mut found = Vec::new();
    for (_, data) in inputs(&folder(&["corpus", "evaluate"])) {
        found.extend(comparison.add(&data));
    }
    found.extend(comparison.finish());
    assert!(found.is_empty(), "{found:#?}");
    let same = comparison.counts.get("same value").copied().unwrap_or(0);
    assert!(same > 20, "{:?}", comparison.counts);
}
