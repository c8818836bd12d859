//! What is committed beside the code: every study can be opened, and the page and the README say what the results say.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use floe_experiments::description::{self, Scale};
use floe_experiments::report::{self, html, markdown, readme};
use floe_experiments::studies;

fn top() -> PathBuf {
    // As it is now: compiled code is kept from one checkout to the next.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).parent().expect("the workspace").to_path_buf()
}

fn all() -> Vec<description::Description> {
    description::all(&top().join("experiments/studies")).expect("the studies")
}

#[test]
fn every_study_has_trials_of_its_own_at_both_scales() {
    for study in all() {
        for scale in [Scale::Quick, Scale::Full] {
            let trials =
                studies::open(&study, scale).and_then(|study| study.trials()).expect("trials");
            let keys: HashSet<&str> = trials.iter().map(|trial| trial.key.as_str()).collect();
            assert!(
                !trials.is_empty(),
                "{} has no trial at the scale {}",
                study.name,
                scale.name()
            );
            assert_eq!(keys.len(), trials.len(), "two trials of {} have one key", study.name);
            assert!(
                trials.iter().all(|trial| trial.weight > 0.0),
                "a trial of {} weighs nothing",
                study.name
            );
        }
    }
}

#[test]
fn the_page_is_made_of_the_results() {
    let chapters = report::chapters(&all(), Scale::Full).expect("chapters");
    let made = [
        ("index.html", html::page(&chapters).expect("a page")),
        ("report.md", markdown::page(&chapters)),
    ];
    for (name, text) in made {
        let committed =
            fs::read_to_string(top().join("experiments/report").join(name)).expect("the report");
        assert!(
            committed == text,
            "experiments/report/{name} is another's: run 'floe experiment report'"
        );
    }
}

#[test]
fn the_readme_says_what_the_results_say() {
    let chapters = report::chapters(&all(), Scale::Full).expect("chapters");
    let text = fs::read_to_string(top().join("README.md")).expect("the README");
    let made = readme::insert(&text, &chapters).expect("headlines");
    assert!(
        made == text,
        "the README's figures are not the results': run 'floe experiment readme'"
    );
}
