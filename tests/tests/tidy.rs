//! The house rules that a compiler does not check: who may depend on whom, how files open and how long they get, words
//! that must not stay, where `unsafe` may live, and that ARCHITECTURE.md names what exists. Runs nothing of floe.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Which crates of the workspace each crate may depend on. One that is not named may depend on any.
const ARROWS: [(&str, &[&str]); 10] = [
    ("floe-core", &[]),
    ("floe-lang", &["floe-core"]),
    ("floe-store", &["floe-core"]),
    ("floe-sandbox", &[]),
    ("floe-engine", &["floe-core", "floe-lang", "floe-sandbox", "floe-store"]),
    ("floe-server", &["floe-core", "floe-engine", "floe-lang", "floe-sandbox", "floe-store"]),
    ("floe-papers", &[]),
    ("floe-experiments", &["floe-core", "floe-lang", "floe-papers"]),
    ("floe-probes", &["floe-core", "floe-lang"]),
    ("floe-tests", &[]),
];

/// Nothing is longer than this.
const LONGEST: usize = 900;

/// Where `unsafe` may be written.
const UNSAFE: [&str; 12] = [
    "fuzz/probes/src/posix.rs",
    "lang/src/attrs.rs",
    "lang/src/frames.rs",
    "lang/src/heap.rs",
    "lang/src/pages.rs",
    "lang/src/place.rs",
    "lang/src/table.rs",
    "lang/src/value.rs",
    "sandbox/src/child.rs",
    "sandbox/src/plan.rs",
    "sandbox/src/sys.rs",
    "tests/src/tracer.rs",
];

/// The top of the workspace.
fn top() -> &'static Path {
    static TOP: LazyLock<PathBuf> = LazyLock::new(floe_tests::fixture::package);
    TOP.parent().expect("the tests are a member of a workspace")
}

/// The files below a directory, as paths relative to the top; build results and hidden files left out.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of the tree").flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "target" {
            continue;
        }
        match entry.file_type().expect("its type") {
            kind if kind.is_dir() => files(&entry.path(), found),
            kind if kind.is_file() => {
                found.push(entry.path().strip_prefix(top()).expect("below the top").to_path_buf());
            }
            _ => {}
        }
    }
}

/// Path and text of every file whose name ends so.
fn texts(endings: &[&str]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    files(top(), &mut all);
    all.sort();
    all.into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .filter_map(|path| Some((path.clone(), fs::read_to_string(top().join(path)).ok()?)))
        .collect()
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn crates_depend_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(top())
        .output()
        .expect("cargo to run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let Some(allowed) = arrows.get(name) else { continue };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let on = dependency["name"].as_str().expect("a name");
            let ours = on.starts_with("floe");
            if ours && dependency["kind"].is_null() && !allowed.contains(&on) {
                faults.push(format!("{name} depends on {on}, and may only on {allowed:?}"));
            }
        }
    }
    none(&faults);
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    for (name, _) in ARROWS {
        assert!(names.contains(name), "{name} is no member of the workspace any more");
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    let faults: Vec<String> = texts(&[".rs"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| format!("{path} does not open with a //! sentence"))
        .collect();
    none(&faults);
}

#[test]
fn no_file_is_too_long() {
    let faults: Vec<String> = texts(&[".rs"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{path} has {lines} lines, more than {LONGEST}: split it"))
        .collect();
    none(&faults);
}

#[test]
fn no_banned_word_stays() {
    // written apart, so that this file does not hold them
    let code: Vec<String> = [
        ["to", "do!("],
        ["unimple", "mented!("],
        ["db", "g!("],
        ["#[ig", "nore"],
        ["allow(dead", "_code)"],
        ["FIX", "ME"],
    ]
    .map(|parts| parts.concat())
    .to_vec();
    // places of a machine that builds, which mean nothing on another
    let places: Vec<String> =
        [["/wo", "rk/"], ["/ro", "ot/."], ["/mnt/", "repo"]].map(|parts| parts.concat()).to_vec();
    let mut faults = Vec::new();
    for (path, text) in texts(&[".rs", ".toml", ".nix", ".md", ".sh", "Makefile", "run"]) {
        for (at, line) in text.lines().enumerate() {
            let banned = code.iter().filter(|_| path.ends_with(".rs")).chain(&places);
            // a word of a longer path is none
            let holds = |word: &&String| {
                line.match_indices(word.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}_$~.".contains(c))
                })
            };
            for word in banned.filter(holds) {
                faults.push(format!("{path}:{}: '{word}'", at + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn unsafe_lives_where_it_may_and_says_why() {
    let keyword = ["uns", "afe"].concat();
    let reason = ["SAF", "ETY"].concat();
    let mut faults = Vec::new();
    for (path, text) in texts(&[".rs"]) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let used = [" {", " fn", " impl", " trait", " extern"]
                .iter()
                .any(|next| code.contains(&format!("{keyword}{next}")));
            if !used {
                continue;
            }
            if !UNSAFE.contains(&path.as_str()) {
                faults.push(format!("{path}:{}: {keyword} is not allowed in this file", at + 1));
            }
            let near = &lines[at.saturating_sub(12)..=at];
            if !near.iter().any(|line| line.contains(&reason) || line.contains("# Safety")) {
                faults.push(format!("{path}:{}: {keyword} without a {reason} comment", at + 1));
            }
        }
    }
    none(&faults);
    for path in UNSAFE {
        let text = fs::read_to_string(top().join(path)).unwrap_or_default();
        assert!(
            text.contains(&keyword),
            "{path} needs no {keyword} any more: take it off the list"
        );
    }
}

/// ARCHITECTURE.md leads to functions and types in the form `` `name` (`path/file.rs`) ``.
#[test]
fn what_the_architecture_names_exists() {
    let text = fs::read_to_string(top().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let pieces: Vec<&str> = text.split('`').collect();
    let mut faults = Vec::new();
    let mut named = 0;
    for (at, piece) in pieces.iter().enumerate().skip(1).step_by(2) {
        let is_source = piece.ends_with(".rs") && piece.contains('/');
        if is_source && !top().join(piece).is_file() {
            faults.push(format!("`{piece}` does not exist"));
        }
        let pair = at >= 2 && pieces[at - 1].trim() == "(" && is_source;
        if !pair {
            continue;
        }
        named += 1;
        let name = pieces[at - 2].trim_end_matches("()").rsplit("::").next().unwrap_or_default();
        let source = fs::read_to_string(top().join(piece)).unwrap_or_default();
        if !defines(&source, name) {
            faults.push(format!("`{name}` (`{piece}`): that file defines nothing of the name"));
        }
    }
    none(&faults);
    assert!(named >= 3, "ARCHITECTURE.md names only {named} functions as `name` (`path/file.rs`)");
}

/// Whether a function, type, trait, constant or module of the name is written in the source.
fn defines(source: &str, name: &str) -> bool {
    ["fn ", "struct ", "enum ", "trait ", "const ", "mod ", "type ", "static "].iter().any(|kind| {
        let definition = format!("{kind}{name}");
        source.match_indices(&definition).any(|(at, _)| {
            !source[at + definition.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    })
}
