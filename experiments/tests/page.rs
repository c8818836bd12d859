//! The page as readers see it: loaded by a real browser without a window, on a phone and on a desk, light and dark, and
//! measured there. `CHROMIUM` names another browser than Debian's.

use std::path::Path;
use std::process::{Command, Stdio};

use floe_experiments::description::{Description, Scale};
use floe_experiments::record::Head;
use floe_experiments::report::block::{Axis, Figure, Plot, Section, Series, Table};
use floe_experiments::report::{Chapter, html};
use serde::Deserialize;

/// Wraps the page in a frame of a given width (a browser without a window is never narrower than 500 pixels), and writes
/// what it measures in it into the document that is dumped.
const WRAPPER: &str = include_str!("measure.html");

/// What the browser measured.
#[derive(Debug, Deserialize)]
struct Measured {
    /// How far the page can be scrolled sideways.
    overflow: f64,
    /// The least contrast between letters and what they lie on, drawings included, and where.
    contrast: f64,
    faintest: String,
    /// The smallest letters in pixels, drawings included.
    smallest: f64,
    /// Drawings and tables without a name.
    nameless: u32,
    drawings: u32,
    /// Whether the page's background is darker than its letters.
    dark: bool,
    /// Scripts, and what would be loaded from elsewhere.
    foreign: u32,
}

fn chapter() -> Chapter {
    let mut section = Section {
        findings: vec!["A comment costs **1 builder** instead of `18`.".to_owned()],
        ..Section::default()
    };
    section.heading("A heading");
    section.text("A long word: `floe build --root DIR --rebuilder content-addressed --report some-file-with-a-long-name.jsonl`.");
    let mut table =
        Table::new("What it costs, all columns at once", (0..12).map(|at| format!("column {at}")));
    table.row((0..12).map(|at| format!("{at},000 ms")));
    section.table(table);
    let line = |name: &str, by: f64| Series {
        name: name.to_owned(),
        points: (0..4).map(|at| (10f64.powi(at + 1), by * 10f64.powi(at))).collect(),
    };
    section.figure(Figure {
        caption: "Growth".to_owned(),
        alt: "Two lines that rise; floe's lies lower.".to_owned(),
        plot: Plot::Lines {
            x: Axis::logarithmic("actions"),
            y: Axis::logarithmic("ms"),
            series: ["floe", "ninja", "make", "tup", "Bazel", "Nix", "Shake"]
                .iter()
                .zip(1u8..)
                .map(|(name, by)| line(name, by.into()))
                .collect(),
        },
    });
    section.figure(Figure {
        caption: "Builders".to_owned(),
        alt: "Bars; the first is longest.".to_owned(),
        plot: Plot::Bars {
            unit: "builders that ran".to_owned(),
            series: vec!["input-addressed".to_owned(), "content-addressed".to_owned()],
            groups: vec![
                ("zlib header comment".to_owned(), vec![18.0, 1.0]),
                ("<&\">".to_owned(), vec![18.0, 12.0]),
            ],
        },
    });
    let description: Description = toml::from_str(
        "title = 'A study'\nquestion = 'What is <asked>?'\nkind = 'none'\norder = 1\nfull_minutes = 1\n[full]\n",
    )
    .expect("a description");
    let head = Head::new(
        "study",
        Scale::Full,
        "floe 0".to_owned(),
        1,
        vec![("ninja".to_owned(), "1.11".to_owned())],
    );
    Chapter {
        description: Description { name: "study".to_owned(), ..description },
        head,
        earlier: Vec::new(),
        trials: (1, 1),
        wall_ms: 1,
        section,
    }
}

fn measure(page: &str, width: u32, dark: bool, folder: &Path) -> Measured {
    let wrapped = WRAPPER.replace("WIDTH", &width.to_string()).replace("PAGE", &html::escape(page));
    let file = folder.join("wrapped.html");
    std::fs::write(&file, wrapped).expect("written");
    let browser = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let scheme = if dark { 0 } else { 1 };
    let output = Command::new(&browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000"])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--dump-dom", &format!("file://{}", file.display())])
        .stderr(Stdio::null())
        .output()
        .unwrap_or_else(|fault| panic!("cannot run {browser}: {fault}; tests/setup installs it on Debian, CHROMIUM names another"));
    let dumped = String::from_utf8_lossy(&output.stdout);
    let found = dumped.split_once("MEASURED").and_then(|(_, rest)| rest.split_once("DERUSAEM"));
    let (found, _) = found.unwrap_or_else(|| panic!("the browser measured nothing:\n{dumped}"));
    serde_json::from_str(found).unwrap_or_else(|fault| panic!("{fault}: {found}"))
}

#[track_caller]
fn check(width: u32, dark: bool) {
    let folder = tempfile::tempdir().expect("a directory");
    let page = html::page(&[chapter()]).expect("a page");
    let seen = measure(&page, width, dark, folder.path());
    assert!(seen.overflow <= 0.0, "the page is wider than the screen: {seen:?}");
    assert!(seen.contrast >= 4.5, "'{}' is too faint: {seen:?}", seen.faintest);
    assert!(seen.smallest >= 9.0, "letters are too small: {seen:?}");
    assert_eq!(
        (seen.drawings, seen.nameless, seen.foreign, seen.dark),
        (2, 0, 0, dark),
        "{seen:?}"
    );
}

#[test]
fn a_phone_in_the_dark() {
    check(360, true);
}

#[test]
fn a_phone_by_day() {
    check(360, false);
}

#[test]
fn a_desk() {
    check(1280, false);
    check(1280, true);
}
