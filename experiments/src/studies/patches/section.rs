//! What the report says of patches: findings worded by the numbers, then the tables they rest on.

use anyhow::Result;

use super::plan::Parameters;
use super::rows::{Knowledge, Line, Strategy};
use super::sums::{Data, Dependants};
use super::tables::{self, percent, seconds, share};
use crate::report::block::{Figure, Plot, Section};

/// Plain Nix.
const INPUT: &str = "input-addressed";
/// floe's default.
const CONTENT: &str = "content-addressed";

fn strategy(grain: &str, rebuilder: &str) -> Strategy {
    Strategy { grain: grain.to_owned(), rebuilder: rebuilder.to_owned() }
}

/// The section.
///
/// # Errors
/// A figure cannot be made.
pub fn of(lines: &[Line], parameters: &Parameters) -> Result<Section> {
    let data = Data::new(lines);
    let mut section = Section::default();
    let (input, content) = (strategy("package", INPUT), strategy("package", CONTENT));
    let split = strategy("split", CONTENT);
    let wide = wide(&data);

    findings(&data, &input, &content, &mut section);
    other_findings(&data, &wide, &mut section);
    let both = [input.clone(), content.clone()];
    let patches = data.common(&both);
    if !patches.is_empty() {
        let by_kind = tables::by_kind(&data, &both, &parameters.kinds);
        let wasted = data.dependants(&input, None);
        let said = format!(
            "{}\n\n{} of {} dependants that ran under {INPUT} came out as they were, up to names of store paths: {}.",
            crate::report::markdown::table(&by_kind).trim(),
            wasted.wasted(),
            wasted.ran,
            share(wasted.wasted(), wasted.ran),
        );
        section.headlines.push(("kinds".to_owned(), said));
        section.heading("By kind of patch");
        section.table(by_kind);
        section.figure(kinds_figure(&data, &wide, parameters));
    }

    section.heading("Which runs were needless");
    section.text(
        "A dependant is whatever ran without being the patched package or a part of it. Its output is compared file by file \
         with the one before the patch: *identical*, identical *up to names* (each digest in the name of a store path stands \
         for one other), or *different*. Intervals are Wilson's with 95 %; they take runs to be independent, and runs that \
         share a patch are not quite, so they are rather too narrow.",
    );
    let shown: Vec<Strategy> = wide.iter().cloned().chain([split.clone()]).collect();
    section.table(tables::waste(&data, &shown));
    section.text(
        "What one would have had to know, the least first, to see beforehand that a run changes nothing. *Byte cutoff*: \
         nothing below it came out otherwise but for names. *Normalised cutoff*: what it takes in itself differs in names \
         only. *File-level observation*: what differs are documents, which no build reads. *What is used*: headers or \
         libraries differ, which it may well have read, and yet it came out the same; whether observing files would do \
         depends on whether it read just these, which outputs cannot tell. *Different*: nothing would have, it had to run.",
    );
    for of in &both {
        let found = data.dependants(of, None);
        if found.ran > 0 {
            section.table(tables::knowledge(&data, of, &parameters.kinds));
        }
    }
    if data.dependants(&input, None).ran > 0 {
        section.figure(knowledge_figure(&data, &both));
    }

    if wide.len() > 1 {
        section.heading("Granularity and strategy");
        section.text(
            "*file*: a derivation for each C file and one that links and installs, from the same description, as Bazel has \
             it; packages with a build system of their own stay one derivation.",
        );
        section.table(tables::overview(&data, &wide));
    }
    let apart = [input.clone(), content.clone(), split.clone()];
    if !data.common(&apart).is_empty() {
        section.text(
            "*split*: libraries, headers and documents are outputs of their own, so a dependant takes in only what it names: \
             what observing files would give, as far as outputs can tell files apart.",
        );
        section.table(tables::overview(&data, &apart));
    }
    let named: Vec<Strategy> =
        data.strategies().into_iter().filter(|of| of.grain == "package").collect();
    if named.len() > 2 && !data.common(&named).is_empty() {
        section.heading("Every rebuilder");
        section.table(tables::every(&data, &named));
        let left: Vec<String> = parameters
            .left_out
            .iter()
            .map(|left| format!("{}: {}", left.rebuilders.join(", "), left.why))
            .collect();
        if !left.is_empty() {
            section.text(format!("Not measured: {}.", left.join("; ")));
        }
    }
    section.heading("How likely a change ends at a package");
    section.text(
        "Of the packages that ran under content addressing, how many came out as they were: the patched one, and those that \
         took in something with other bytes. The first figure is what byte cutoff can use, the second what normalised \
         cutoff can.",
    );
    section.table(tables::survival(lines, &parameters.kinds));
    if !wide.is_empty() {
        section.heading("Every patch");
        section.table(tables::every_patch(&data, &wide));
    }
    let missing: Vec<String> = parameters
        .no_patch
        .iter()
        .map(|reason| format!("There is no patch *{}*: {}.", reason.name, reason.why))
        .collect();
    if !missing.is_empty() {
        section.text(missing.join(" "));
    }
    if !data.bases.is_empty() {
        section.table(tables::bases(&data, &shown));
    }
    Ok(section)
}

/// The strategies that nearly all patches were tried under.
fn wide(data: &Data) -> Vec<Strategy> {
    let tried = |of: &Strategy| data.common(std::slice::from_ref(of)).len();
    let most = data.strategies().iter().map(tried).max().unwrap_or(0);
    data.strategies().into_iter().filter(|of| tried(of) * 2 > most).collect()
}

fn findings(data: &Data, input: &Strategy, content: &Strategy, section: &mut Section) {
    let both = [input.clone(), content.clone()];
    let patches = data.common(&both);
    if patches.is_empty() {
        return;
    }
    let (ia, ca) = (data.cost(input, &patches), data.cost(content, &patches));
    section.findings.push(format!(
        "{} patches to {} libraries ran {} builders under input addressing and {} under content addressing ({} and {} of \
         processor time): byte cutoff alone saves {} of the builds.",
        patches.len(),
        packages(&patches),
        ia.builders,
        ca.builders,
        seconds(ia.cpu_ms),
        seconds(ca.cpu_ms),
        percent(1.0 - ca.builders as f64 / ia.builders.max(1) as f64),
    ));
    let (of_ia, of_ca) = (data.dependants(input, None), data.dependants(content, None));
    if of_ca.ran > 0 {
        let most = of_ca.wasted() * 2 > of_ca.ran;
        section.findings.push(format!(
            "{}: of {} dependants that content addressing did run, {} came out as they were but for names of store paths, {}; \
             under input addressing {} of {}, {}. These patches are small and made so as not to change what programs print; \
             version bumps would show less waste.",
            if most { "Most of what remains is waste too" } else { "Some of what remains is waste too" },
            of_ca.ran,
            of_ca.wasted(),
            share(of_ca.wasted(), of_ca.ran),
            of_ia.wasted(),
            of_ia.ran,
            share(of_ia.wasted(), of_ia.ran),
        ));
    }
    if of_ia.ran > 0 {
        section.findings.push(saved(&of_ia));
    }
    let misled = of_ca.misled;
    section.findings.push(if misled == 0 {
        format!(
            "Retargeting would have been right each time: of {} dependants whose inputs differed in names only, none came \
             out different.",
            of_ca.saved_by.get(&Knowledge::NormalisedCutoff).copied().unwrap_or(0)
        )
    } else {
        let names: Vec<&str> = of_ca.misled_names.iter().map(String::as_str).collect();
        format!(
            "Retargeting needs evidence: {misled} of {} dependants under content addressing whose inputs differed in names only \
             came out different ({}), since they run what lies deeper.",
            misled + of_ca.saved_by.get(&Knowledge::NormalisedCutoff).copied().unwrap_or(0),
            names.join(", ")
        )
    });
}

fn packages(patches: &[super::sums::Name]) -> usize {
    let names: std::collections::BTreeSet<&str> =
        patches.iter().map(|(package, _)| package.as_str()).collect();
    names.len()
}

fn saved(found: &Dependants) -> String {
    let of = |knowledge: Knowledge| {
        let count = found.saved_by.get(&knowledge).copied().unwrap_or(0);
        let cpu_ms = found.saved_cpu_ms.get(&knowledge).copied().unwrap_or(0);
        let [runs, cpu] =
            [count as f64 / found.ran as f64, cpu_ms as f64 / found.cpu_ms.max(1) as f64];
        format!("{count} ({}, CPU {})", percent(runs), percent(cpu))
    };
    let used = [Knowledge::HeaderUse, Knowledge::LibraryUse].map(of);
    format!(
        "What would have saved the {} runs of dependants under input addressing: byte cutoff {}, normalised cutoff {}, \
         knowing that documents are not read {}; {} more used a header and {} a library or program that did differ, and came \
         out the same. {} had to run.",
        found.ran,
        of(Knowledge::ByteCutoff),
        of(Knowledge::NormalisedCutoff),
        of(Knowledge::FileObservation),
        used[0],
        used[1],
        of(Knowledge::Nothing),
    )
}

fn other_findings(data: &Data, wide: &[Strategy], section: &mut Section) {
    let pair = |rebuilder: &str| [strategy("package", rebuilder), strategy("file", rebuilder)];
    let [package, file] = pair(CONTENT);
    if wide.contains(&package) && wide.contains(&file) {
        let patches = data.common(&[package.clone(), file.clone()]);
        let (coarse, fine) = (data.cost(&package, &patches), data.cost(&file, &patches));
        let less = fine.cpu_ms < coarse.cpu_ms;
        section.findings.push(format!(
            "A derivation a C file instead of a package: {} builders instead of {} under content addressing, and {} of \
             processor time instead of {} for the same {} patches. The finer grain is {}.",
            fine.builders,
            coarse.builders,
            seconds(fine.cpu_ms),
            seconds(coarse.cpu_ms),
            patches.len(),
            if less { "cheaper in time though not in builders" } else { "dearer: starting a builder costs more than it saves" },
        ));
    }
    let forgetful: Vec<String> = data
        .strategies()
        .iter()
        .filter_map(|of| {
            let cost = data.cost(of, &data.common(std::slice::from_ref(of)));
            (cost.back_builders > 0).then(|| format!("`{}` ({})", of.rebuilder, cost.back_builders))
        })
        .collect();
    if !data.patches.is_empty() {
        section.findings.push(match forgetful.as_slice() {
            [] => "Taking a patch away again ran no builder under any strategy.".to_owned(),
            some => format!(
                "Taking a patch away again runs nothing under most strategies, and builders under those that remember one run \
                 only: {}.",
                some.join(", ")
            ),
        });
    }
}

fn kinds_figure(data: &Data, wide: &[Strategy], parameters: &Parameters) -> Figure {
    let patches = data.common(wide);
    let groups: Vec<(String, Vec<f64>)> = parameters
        .kinds
        .iter()
        .filter_map(|kind| {
            let of_kind: Vec<_> = patches.iter().filter(|(_, of)| of == kind).cloned().collect();
            let cost = |of: &Strategy| data.cost(of, &of_kind).cpu_ms as f64 / 1e3;
            (!of_kind.is_empty()).then(|| (kind.clone(), wide.iter().map(cost).collect()))
        })
        .collect();
    Figure {
        caption: format!(
            "Processor time of all patches of a kind, in seconds: {} patches that all of these were given.",
            patches.len()
        ),
        alt: format!(
            "Bars of seconds of processor time for each kind of patch under {}; the table above has the figures.",
            wide.iter().map(tables::title).collect::<Vec<_>>().join(", ")
        ),
        plot: Plot::Bars {
            unit: "seconds of processor time".to_owned(),
            series: wide.iter().map(tables::title).collect(),
            groups,
        },
    }
}

fn knowledge_figure(data: &Data, both: &[Strategy]) -> Figure {
    let found: Vec<Dependants> = both.iter().map(|of| data.dependants(of, None)).collect();
    let groups = Knowledge::ALL
        .iter()
        .filter(|knowledge| found.iter().any(|of| of.saved_by.contains_key(knowledge)))
        .map(|knowledge| {
            let count = |of: &Dependants| of.saved_by.get(knowledge).copied().unwrap_or(0) as f64;
            (knowledge.words().to_owned(), found.iter().map(count).collect())
        })
        .collect();
    Figure {
        caption: "Runs of dependants by what would have made them needless.".to_owned(),
        alt: "Bars that count runs of dependants by the knowledge that would have saved them; the tables above have the figures."
            .to_owned(),
        plot: Plot::Bars {
            unit: "runs".to_owned(),
            series: both.iter().map(tables::title).collect(),
            groups,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::{Value, json};

    use super::super::rows;
    use super::*;
    use crate::record::Row;
    use crate::report::block::Block;
    use crate::report::markdown;

    /// A patch's row and those of what ran.
    fn trial(
        (grain, rebuilder, package, kind): (&str, &str, &str, &str),
        (builders, cpu_ms, back): (u64, u64, u64),
        ran: &[(&str, bool, &str, &str, &str)],
    ) -> Vec<Row> {
        let edit =
            json!({"grain": grain, "rebuilder": rebuilder, "package": package, "kind": kind});
        let patch = json!({
            "what": "patch", "builders": builders, "cut_byte": 1, "cut_normalised": 0, "cut_observed": 0, "retargeted": 0,
            "reused": 9, "wall_ms": cpu_ms / 2, "cpu_ms": cpu_ms, "builders_cpu_ms": cpu_ms, "written_bytes": 2_000_000,
            "back_builders": back, "back_wall_ms": 30, "back_cpu_ms": 30,
        });
        let ran = ran.iter().map(|(name, own, came_out, took_in, saved_by)| {
            json!({
                "what": "ran", "names": [name], "count": 1, "own": own, "came_out": came_out, "took_in": took_in,
                "saved_by": saved_by, "files": [], "cpu_ms": 1000,
            })
        });
        let merged = std::iter::once(patch).chain(ran).map(|mut row| {
            let fields = row.as_object_mut().expect("an object");
            fields.extend(edit.as_object().expect("an object").clone());
            Row { trial: "t".to_owned(), fields: fields.clone() }
        });
        merged.collect()
    }

    fn check(rows: &[Row]) -> String {
        let parameters: Parameters = toml::from_str(
            "jobs = 2\nkinds = ['comment', 'doc', 'impl']\nplan = []\n\
             no_patch = [{ name = 'sqlite doc', why = 'it has none' }]\n\
             left_out = [{ rebuilders = ['depth-3', 'depth-4'], why = 'as depth-2' }]\n",
        )
        .expect("parameters");
        let section = of(&rows::read(rows).expect("rows"), &parameters).expect("a section");
        let mut out = String::new();
        for finding in &section.findings {
            let _ = writeln!(out, "- {finding}");
        }
        for (name, said) in &section.headlines {
            let _ = writeln!(out, "\n[{name}]\n{said}");
        }
        for block in &section.blocks {
            let _ = match block {
                Block::Heading(text) => writeln!(out, "\n## {text}"),
                Block::Text(text) => writeln!(out, "\n{text}"),
                Block::Table(of) => writeln!(out, "\n{}", markdown::table(of)),
                Block::Figure(of) => {
                    writeln!(out, "\n({})\n{}", of.caption, markdown::table(&of.data()))
                }
            };
        }
        out
    }

    #[test]
    fn the_section_says_what_the_rows_say() {
        let (ia, ca) = (INPUT, CONTENT);
        let package = |rebuilder, kind| ("package", rebuilder, "zlib", kind);
        let cold = |rebuilder: &str| {
            let Value::Object(fields) = json!({
                "what": "base", "grain": "package", "rebuilder": rebuilder, "derivations": 25, "builders": 25,
                "wall_ms": 70_000, "cpu_ms": 130_000, "builders_cpu_ms": 129_000, "written_bytes": 90_000_000,
            }) else {
                unreachable!("an object")
            };
            Row { trial: "t".to_owned(), fields }
        };
        let zlib = ("zlib-1", true, "identical", "identical", "edit");
        let changed = ("zlib-1", true, "different", "identical", "edit");
        let rows = [
            vec![cold(ia)],
            trial(
                package(ia, "comment"),
                (3, 30_000, 0),
                &[
                    zlib,
                    ("libpng-1", false, "renamed", "identical", "byte-cutoff"),
                    ("report-1", false, "identical", "renamed", "byte-cutoff"),
                ],
            ),
            trial(
                package(ia, "impl"),
                (3, 31_000, 0),
                &[
                    changed,
                    ("libpng-1", false, "renamed", "different", "library-use"),
                    ("report-1", false, "different", "renamed", "nothing"),
                ],
            ),
            vec![cold(ca)],
            trial(package(ca, "comment"), (1, 3_000, 0), &[zlib]),
            trial(
                package(ca, "impl"),
                (3, 31_500, 0),
                &[
                    changed,
                    ("libpng-1", false, "renamed", "different", "library-use"),
                    ("report-1", false, "different", "renamed", "nothing"),
                ],
            ),
            trial(("file", ca, "zlib", "comment"), (2, 1_000, 0), &[zlib]),
            trial(("file", ca, "zlib", "impl"), (9, 20_000, 0), &[changed]),
            trial(package("verifying", "comment"), (1, 3_000, 1), &[zlib]),
        ]
        .concat();
        insta::assert_snapshot!(check(&rows));
    }

    #[test]
    fn a_run_that_has_hardly_begun_has_a_section() {
        let rows = trial(("package", INPUT, "zlib", "comment"), (1, 5, 0), &[]);
        let said = check(&rows);
        assert!(said.starts_with("- Taking a patch away again ran no builder"), "{said}");
        check(&[]);
    }
}
