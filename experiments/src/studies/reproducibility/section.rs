//! What building everything twice says, as a section of the report. Reads rows and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::condition;
use super::rows::{Fact, Line, Output, Set, Specimen};
use crate::report::block::{Figure, Plot, Section, Table};
use crate::stats;

/// How many packages of nixpkgs were bitwise reproducible, in percent, the least and the most of its revisions from 2017
/// to 2023; 709,816 packages in all. Malka, Zacchiroli, Zimmermann: Does Functional Package Management Enable
/// Reproducible Builds at Scale? Yes. MSR 2025.
const NIXPKGS: (f64, f64) = (69.0, 91.0);
const NIXPKGS_SOURCE: &str = "Malka, Zacchiroli, Zimmermann: \"Does Functional Package Management Enable Reproducible Builds \
                              at Scale? Yes\", MSR 2025, arXiv 2501.15919";

/// The condition under which nothing is varied on purpose.
const AGAIN: &str = "again";
/// How causes begin that the sandbox takes away.
const FIXED: &str = "fixed: ";

/// The section.
///
/// # Errors
/// Never; all that it needs was checked when the rows were read.
pub fn section(lines: &[Line]) -> Result<Section> {
    let mut told = Told::default();
    for line in lines {
        match line {
            Line::Set(of) => told.sets.push(of),
            Line::Output(of) => told.outputs.push(of),
            Line::Fact(of) => told.facts.push(of),
            Line::Specimen(of) => told.specimens.push(of),
        }
    }
    let mut section = Section { findings: told.findings(), ..Section::default() };
    section.headlines.push(("sets".to_owned(), crate::report::markdown::table(&told.by_set())));
    section.text(
        "Every set is built once, and then again in a store of its own under each of the conditions; each time all builders run. \
         Outputs are compared file by file, and once more with the digests of store paths masked. Conditions are real: other \
         processors, users, names, file systems. Nobody sets the clock: it goes on by itself, and builds lie minutes or \
         hours apart.",
    );
    section.table(told.by_set());
    section.figure(told.figure());
    section.text(told.conditions());
    section.table(told.by_condition());
    if !told.outputs.is_empty() {
        section.heading("What came out otherwise");
        section.table(told.differences());
    }
    section.heading("Whether the study finds what there is to find");
    section.text(
        "Builders that are careless on purpose, each in one way. Of the first kind every one must be found; the second \
         kind looks at what the sandbox fixes, and must not be.",
    );
    section.table(told.by_specimen());
    section.heading("What a builder can see");
    section.text(
        "A builder that writes down all it can ask of its surroundings, under each condition. What never changes here could still \
         change on another machine: the processor, its memory and the kernel are shown to builders as they are.",
    );
    section.text(told.by_fact());
    Ok(section)
}

#[derive(Debug, Default)]
struct Told<'a> {
    sets: Vec<&'a Set>,
    outputs: Vec<&'a Output>,
    facts: Vec<&'a Fact>,
    specimens: Vec<&'a Specimen>,
}

/// A set over all conditions.
struct Whole<'a> {
    name: &'a str,
    derivations: usize,
    conditions: Vec<&'a str>,
    /// Derivations that came out otherwise under some condition.
    different: BTreeSet<&'a str>,
    builds: usize,
    files: usize,
    files_identical: usize,
    renamed: usize,
}

impl Whole<'_> {
    fn same(&self) -> usize {
        self.derivations - self.different.len()
    }

    fn share(&self) -> f64 {
        if self.derivations == 0 {
            0.0
        } else {
            100.0 * self.same() as f64 / self.derivations as f64
        }
    }
}

impl<'a> Told<'a> {
    fn wholes(&self) -> Vec<Whole<'a>> {
        let mut found: Vec<Whole<'a>> = Vec::new();
        for set in &self.sets {
            let at = found.iter().position(|of| of.name == set.set);
            let at = at.unwrap_or_else(|| {
                let of = self.outputs.iter().filter(|of| of.set == set.set);
                found.push(Whole {
                    name: &set.set,
                    derivations: set.derivations,
                    conditions: Vec::new(),
                    different: of.map(|of| of.derivation.as_str()).collect(),
                    builds: 0,
                    files: 0,
                    files_identical: 0,
                    renamed: 0,
                });
                found.len() - 1
            });
            let whole = &mut found[at];
            whole.conditions.push(&set.condition);
            whole.builds += set.built;
            whole.files += set.files;
            whole.files_identical += set.files_identical;
            whole.renamed = whole.renamed.max(set.renamed);
        }
        found
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let wholes = self.wholes();
        if let Some(first) = wholes.first() {
            let (low, high) = stats::share(first.same(), first.derivations).unwrap_or((0.0, 1.0));
            findings.push(format!(
                "**{} of {} packages come out bit for bit the same under all {} conditions** ({:.0} %; 95 % interval {:.0} to {:.0} %, \
                 if they were drawn by chance). Of nixpkgs {} to {} % did, of all languages and kinds, in builds of the same derivation \
                 on one machine and in a public cache ({NIXPKGS_SOURCE}). These here are C libraries and small programs, chosen by hand and \
                 built with precautions, so the figures stand beside each other and do not compete.",
                first.same(),
                first.derivations,
                first.conditions.len(),
                first.share(),
                100.0 * low,
                100.0 * high,
                NIXPKGS.0,
                NIXPKGS.1,
            ));
        }
        for careless in wholes.iter().filter(|of| of.name.ends_with("careless")) {
            let with = careless.name.trim_end_matches(", careless");
            let Some(careful) = wholes.iter().find(|of| of.name == with) else { continue };
            let what = match careless.different.len() {
                0 => "what the sandbox fixes is enough for them".to_owned(),
                count => format!("the other {count} need the precautions, not only the sandbox"),
            };
            findings.push(format!(
                "**Without the precautions of their builder (dates, prefixes, locale, source times) {} of {} derivations of the set \
                 '{with}' are still the same**, with them {} of {}: {what}.",
                careless.same(),
                careless.derivations,
                careful.same(),
                careful.derivations,
            ));
        }
        findings.extend(self.on_specimens());
        findings.extend(self.on_facts());
        findings
    }

    fn on_specimens(&self) -> Option<String> {
        let told = self.specimens_by_name();
        let (fixed, planted): (Vec<_>, Vec<_>) =
            told.iter().partition(|(_, of)| of[0].cause.starts_with(FIXED));
        let is_found = |of: &[&Specimen]| of.iter().any(|one| one.differs);
        let missed: Vec<&str> =
            planted.iter().filter(|(_, of)| !is_found(of)).map(|(name, _)| **name).collect();
        let leaked: Vec<&str> =
            fixed.iter().filter(|(_, of)| is_found(of)).map(|(name, _)| **name).collect();
        let every_time = |of: &&Specimen| of.condition == AGAIN && of.differs;
        let again: Vec<&&Specimen> = self.specimens.iter().filter(|of| every_time(of)).collect();
        let agreed = again.iter().filter(|of| of.checked == of.file).count();
        let list = |names: &[&str], none: &str| match names {
            [] => none.to_owned(),
            names => names.join(", "),
        };
        (!told.is_empty()).then(|| {
            format!(
                "**{} of {} careless builders are found** (missed: {}), and {} of {} that look at what the sandbox fixes come \
                 out the same (leaks: {}). Of the {} that differ whenever they are built again, `floe build --check` \
                 names the very file of {agreed}; the others differ only where processors, file system or kernel are others, \
                 which no check on one machine can see.",
                planted.len() - missed.len(),
                planted.len(),
                list(&missed, "none"),
                fixed.len() - leaked.len(),
                fixed.len(),
                list(&leaked, "none"),
                again.len(),
            )
        })
    }

    fn on_facts(&self) -> Option<String> {
        let told = self.facts_by_name();
        let of = |seen: Seen| told.iter().filter(|(_, (as_, _))| *as_ == seen).count();
        (!told.is_empty()).then(|| {
            format!(
                "**Of {} things that a builder can ask of its surroundings, {} were answered the same under all conditions**, {} \
                 another way whenever it was asked, and {} only under some conditions. What always differs is what tells the time, \
                 how busy the machine is and where on the disk a file lies; no sandbox of this kind hides it.",
                told.len(),
                of(Seen::Never),
                of(Seen::Always),
                of(Seen::Sometimes),
            )
        })
    }

    fn by_set(&self) -> Table {
        let mut table = Table::new(
            format!(
                "Derivations that came out bit for bit the same each time. Of nixpkgs, 2017 to 2023, {} to {} % did (Malka and \
                 others, MSR 2025).",
                NIXPKGS.0, NIXPKGS.1
            ),
            [
                "set",
                "derivations",
                "conditions",
                "builders run",
                "the same",
                "share",
                "files the same",
            ],
        );
        for of in self.wholes() {
            table.row([
                of.name.to_owned(),
                of.derivations.to_string(),
                of.conditions.len().to_string(),
                stats::whole(of.builds as f64),
                of.same().to_string(),
                format!("{:.1} %", of.share()),
                format!(
                    "{} of {}",
                    stats::whole(of.files_identical as f64),
                    stats::whole(of.files as f64)
                ),
            ]);
        }
        table
    }

    fn figure(&self) -> Figure {
        let mut groups: Vec<(String, Vec<f64>)> =
            self.wholes().iter().map(|of| (of.name.to_owned(), vec![of.share()])).collect();
        groups.push(("nixpkgs, least".to_owned(), vec![NIXPKGS.0]));
        groups.push(("nixpkgs, most".to_owned(), vec![NIXPKGS.1]));
        let said: Vec<String> =
            groups.iter().map(|(name, share)| format!("{name} {:.0} %", share[0])).collect();
        Figure {
            caption: "Derivations that are bit for bit the same; those of nixpkgs as published (Malka and others, MSR 2025)."
                .to_owned(),
            alt: format!("Bars of the share of reproducible derivations: {}.", said.join(", ")),
            plot: Plot::Bars {
                unit: "% bit for bit the same".to_owned(),
                series: vec!["share".to_owned()],
                groups,
            },
        }
    }

    fn by_condition(&self) -> Table {
        let mut table = Table::new(
            "Each second build: derivations that came out the same, the same but for names of store paths, and otherwise.",
            ["set and condition", "the same", "but for names", "different"],
        );
        for set in &self.sets {
            table.row([
                format!("{}: {}", set.set, set.condition),
                set.identical.to_string(),
                set.renamed.to_string(),
                set.different.to_string(),
            ]);
        }
        table
    }

    fn differences(&self) -> Table {
        let mut table = Table::new(
            "Files that came out otherwise. What differs under 'again', where nothing is varied, is the time or chance; the time, if \
             one stands there as text.",
            ["file", "of the set", "first byte", "differs under", "cause"],
        );
        let mut found: BTreeMap<(&str, &str, &str), Vec<&Output>> = BTreeMap::new();
        for of in &self.outputs {
            found.entry((&of.set, &of.derivation, &of.file)).or_default().push(of);
        }
        for ((set, derivation, file), of) in found {
            let conditions: Vec<&str> = of.iter().map(|one| one.condition.as_str()).collect();
            let byte = of.iter().filter_map(|one| one.offset_bytes).min();
            table.row([
                format!("{derivation}: {file}"),
                set.to_owned(),
                byte.map_or_else(|| of[0].how.clone(), |byte| stats::whole(byte as f64)),
                conditions.join(", "),
                cause(&of).to_owned(),
            ]);
        }
        table
    }

    fn specimens_by_name(&self) -> BTreeMap<&'a str, Vec<&'a Specimen>> {
        let mut told: BTreeMap<&str, Vec<&Specimen>> = BTreeMap::new();
        for of in &self.specimens {
            told.entry(&of.specimen).or_default().push(of);
        }
        told
    }

    fn by_specimen(&self) -> Table {
        let mut table = Table::new(
            "Careless builders. The first file that differs, and what `floe build --check` said in the same store.",
            ["builder", "lets in", "differs under", "first in", "floe's check"],
        );
        let told = self.specimens_by_name();
        let order = |of: &[&Specimen]| of[0].cause.starts_with(FIXED);
        let (fixed, planted): (Vec<_>, Vec<_>) = told.iter().partition(|(_, of)| order(of));
        for (name, of) in planted.into_iter().chain(fixed) {
            let under: Vec<&str> =
                of.iter().filter(|one| one.differs).map(|one| one.condition.as_str()).collect();
            let under = match under.len() {
                0 => "none".to_owned(),
                all if all == of.len() => "all".to_owned(),
                _ => under.join(", "),
            };
            let file = of.iter().find_map(|one| one.file.clone()).unwrap_or_default();
            let checked = of.iter().find(|one| one.condition == AGAIN);
            let checked = match checked.map(|one| &one.checked) {
                Some(Some(file)) => format!("finds {file}"),
                Some(None) => "finds nothing".to_owned(),
                None => "not made".to_owned(),
            };
            table.row([(*name).to_owned(), of[0].cause.clone(), under, file, checked]);
        }
        table
    }

    fn facts_by_name(&self) -> BTreeMap<&'a str, (Seen, Vec<&'a str>)> {
        let mut told: BTreeMap<&str, Vec<&Fact>> = BTreeMap::new();
        for of in &self.facts {
            told.entry(&of.fact).or_default().push(of);
        }
        told.into_iter()
            .map(|(fact, of)| {
                let under: Vec<&str> =
                    of.iter().filter(|one| one.differs).map(|one| one.condition.as_str()).collect();
                let seen = match under.len() {
                    0 if of.iter().all(|one| !one.answered) => Seen::Unanswered,
                    0 => Seen::Never,
                    _ if under.contains(&AGAIN) => Seen::Always,
                    _ => Seen::Sometimes,
                };
                (fact, (seen, under))
            })
            .collect()
    }

    fn by_fact(&self) -> String {
        let told = self.facts_by_name();
        let names = |seen: Seen| {
            let of = told.iter().filter(|(_, (as_, _))| *as_ == seen);
            of.map(|(fact, _)| *fact).collect::<Vec<_>>().join(", ")
        };
        let mut list = String::new();
        for seen in [Seen::Never, Seen::Always, Seen::Unanswered] {
            let names = names(seen);
            if !names.is_empty() {
                list.push_str(&format!("- **{}**: {names}\n", seen.title()));
            }
        }
        let mut sometimes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (fact, (_, under)) in told.iter().filter(|(_, (seen, _))| *seen == Seen::Sometimes) {
            sometimes.entry(under.join(" and ")).or_default().push(fact);
        }
        for (under, facts) in sometimes {
            list.push_str(&format!("- **other under {under}**: {}\n", facts.join(", ")));
        }
        list
    }

    /// The conditions that were tried, and what is other under each.
    fn conditions(&self) -> String {
        let sets = self.sets.iter().map(|of| of.condition.as_str());
        let specimens = self.specimens.iter().map(|of| of.condition.as_str());
        let tried: BTreeSet<&str> = sets.chain(specimens).collect();
        let known = condition::ALL.iter().filter(|of| tried.contains(of.name));
        let line = |of: &condition::Condition| format!("- **{}**: {}\n", of.name, of.title);
        format!("What is other than the first time:\n\n{}", known.map(line).collect::<String>())
    }
}

/// What got into a file, as far as the conditions under which it differs tell.
fn cause(of: &[&Output]) -> &'static str {
    let again = of.iter().find(|one| one.condition == AGAIN);
    match again {
        Some(one) if one.time => "the time, as text",
        Some(_) => "time or chance",
        None => "what the condition varies, or chance",
    }
}

/// When a builder sees another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Never.
    Never,
    /// There is no answer.
    Unanswered,
    /// Whenever it asks.
    Always,
    /// Under some conditions.
    Sometimes,
}

impl Seen {
    fn title(self) -> &'static str {
        match self {
            Self::Never => "always the same",
            Self::Unanswered => "none at all",
            Self::Always => "another each time",
            Self::Sometimes => "other under some conditions",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Written;
    use crate::report::markdown;

    fn set(name: &str, condition: &str, different: usize) -> Line {
        Line::Set(Set {
            set: name.to_owned(),
            condition: condition.to_owned(),
            derivations: 10,
            built: 10,
            identical: 10 - different,
            renamed: 0,
            different,
            files: 100,
            files_identical: 100 - different,
            wall_ms: 1000,
            builders_cpu_ms: 2000,
        })
    }

    fn output(condition: &str, file: &str) -> Line {
        Line::Output(Output {
            set: "packages, careless".to_owned(),
            condition: condition.to_owned(),
            derivation: "openssl-3.6.3".to_owned(),
            file: file.to_owned(),
            how: "content".to_owned(),
            offset_bytes: Some(1234),
            time: true,
        })
    }

    fn specimen(condition: &str, name: &str, cause: &str, differs: bool) -> Line {
        let file = differs.then(|| "file".to_owned());
        Line::Specimen(Specimen {
            condition: condition.to_owned(),
            specimen: name.to_owned(),
            cause: cause.to_owned(),
            differs,
            checked: if condition == AGAIN { file.clone() } else { None },
            file,
        })
    }

    fn fact(condition: &str, fact: &str, differs: bool) -> Line {
        let fact = fact.to_owned();
        Line::Fact(Fact {
            condition: condition.to_owned(),
            answered: fact != "nice",
            fact,
            differs,
        })
    }

    #[test]
    fn second_builds_are_told() {
        let other = "file-system";
        let lines = [
            set("packages", AGAIN, 0),
            set("packages", other, 0),
            set("packages, careless", AGAIN, 1),
            output(AGAIN, "lib/libcrypto.a"),
            specimen(AGAIN, "date", "time", true),
            specimen(other, "date", "time", true),
            specimen(AGAIN, "order", "directory order", false),
            specimen(other, "order", "directory order", true),
            specimen(AGAIN, "cores", "cores", false),
            specimen(other, "cores", "cores", false),
            specimen(AGAIN, "host", "fixed: host name", false),
            specimen(other, "host", "fixed: host name", false),
            fact(AGAIN, "clock", true),
            fact(other, "clock", true),
            fact(AGAIN, "device", false),
            fact(other, "device", true),
            fact(AGAIN, "host", false),
            fact(other, "host", false),
            fact(AGAIN, "nice", false),
        ];
        let section = section(&lines).expect("a section");
        insta::assert_snapshot!(
            markdown::findings(&section) + &markdown::blocks(&section, "reproducibility")
        );
        for figure in section.figures() {
            figure.svg(crate::report::block::Ink::Page).expect("drawn");
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        for line in [set("packages", AGAIN, 1), output(AGAIN, "a"), fact(AGAIN, "host", true)] {
            let row = crate::record::Row {
                trial: "t".to_owned(),
                fields: line.fields().expect("fields"),
            };
            assert_eq!(Line::of(&row).expect("a line"), line);
        }
    }
}
