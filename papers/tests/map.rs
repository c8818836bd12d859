//! The map in the README from the paper to the code: every figure and table of the paper has a row, and what the rows name
//! exists.

use std::path::PathBuf;

/// The rows of the map, cell by cell.
fn rows() -> Vec<Vec<&'static str>> {
    let section =
        include_str!("../README.md").split("\n## ").find(|s| s.starts_with("From the paper"));
    let lines = section.expect("the map's section").lines().filter(|line| line.starts_with("| "));
    let cells = |line: &'static str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    lines.skip(1).map(cells).collect()
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_figure_and_table_has_a_row() {
    let firsts: Vec<Vec<&str>> = rows().iter().map(|row| row[0].split(", ").collect()).collect();
    let figures = (1..=12).map(|n| format!("figure {n}"));
    for wanted in figures.chain(["table 1", "table 2"].map(String::from)) {
        assert!(firsts.iter().any(|row| row.contains(&wanted.as_str())), "{wanted} has no row");
    }
}

#[test]
fn what_the_map_names_exists() {
    // As it is now: compiled code is kept from one checkout to the next.
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"));
    let rows = rows();
    assert!(rows.len() > 30, "the map has {} rows", rows.len());
    for row in &rows {
        let files = quoted(row[2]).into_iter().filter(|name| name.contains('/'));
        let missing: Vec<&str> = files.filter(|file| !here.join(file).is_file()).collect();
        assert!(missing.is_empty(), "{missing:?} does not exist");
        let tests = quoted(row[3]);
        assert!(!tests.is_empty(), "nothing holds {}", row[0]);
        for test in tests {
            let (file, name) = test.split_once("::").expect("a file and a test");
            let text = std::fs::read_to_string(here.join(format!("tests/{file}.rs")))
                .unwrap_or_else(|error| panic!("tests/{file}.rs: {error}"));
            // the laws' tests are made by a macro
            let found =
                text.contains(&format!("fn {name}()")) || text.contains(&format!("    {name}: \""));
            assert!(found, "there is no test {name} in tests/{file}.rs");
        }
    }
}
