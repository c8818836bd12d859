//! What the report says of the study: findings, tables and curves from rows. Measures nothing.

use anyhow::Result;

use super::measured::Measured;
use super::plan::{Origin, Parameters};
use super::rows::{Check, Hold, Line, Shape, Spread, Unheld, Used};
use crate::report::block::{Axis, Figure, Plot, Section, Series, Table};
use crate::stats::{self, whole};

/// The section of these rows.
///
/// # Errors
/// Never: what is missing is left out.
pub fn of(lines: &[Line], parameters: &Parameters) -> Result<Section> {
    let data = Data { lines, parameters };
    let findings =
        [data.cost(), data.survival(), data.measured_kinds(), data.held(), data.agreement()];
    let findings = findings.into_iter().flatten().collect();
    let mut section = Section { findings, ..Section::default() };
    if let Some(table) = data.headline() {
        section.headlines.push(("graphs".to_owned(), crate::report::markdown::table(&table)));
    }

    section.heading("The graphs");
    section.text(
        "A *build* runs again when something that it needs came out otherwise. A *fixed* node is a fetched source, whose content is \
         agreed on beforehand: changes end there, and what only a fetcher needs is not built again. A *bundle* is a binary package of \
         Debian with all that it depends on; nothing is built there. A patch to a package changes all builds of that name at once, \
         every stage of a bootstrap among them. Debian builds its toolchain with itself, so its graph has circles: all of a circle \
         follows each of its members.",
    );
    section.table(data.shapes());
    section.heading("Input addressing: everything above is built again");
    section.table(data.costs());
    for origin in &parameters.graphs {
        section.blocks.extend(data.curve(origin).map(crate::report::block::Block::Figure));
    }
    section.heading("Content addressing: a build that comes out as before stops there");
    section.text(
        "Here every build that runs comes out as before with one likelihood, drawn anew for each patch and build; the patched package \
         itself comes out otherwise. With a likelihood of 1 only what is built with the patched package itself runs. Real builds are \
         not independent of each other: what makes one survive, such as a comment that no compiler keeps, makes its neighbours \
         survive as well, so that single patches lie further apart than these means say.",
    );
    section.table(data.means());
    section.blocks.extend(data.slope().map(crate::report::block::Block::Figure));
    section.blocks.extend(data.kinds().map(crate::report::block::Block::Table));
    section.heading("Packages that hold changes up");
    section.text(
        "Which packages would save the most if changes from below ended at them, whatever else comes out otherwise? They are chosen one \
         after the other, each time the best beside those before it among those that many patches reach and much is built with. \
         Changes to a chosen package itself still travel.",
    );
    section.table(data.holds());
    section.blocks.extend(data.unheld().map(crate::report::block::Block::Text));
    for origin in &parameters.graphs {
        section.blocks.extend(data.used(origin).map(crate::report::block::Block::Table));
    }
    section.heading("Held against models and against floe");
    section.text(format!(
        "Graphs or parts of them, circles cut, are given to the models of `papers/`, and to floe as a Nix expression of the same \
         shape whose builders are a few lines of shell: they show a patch that they find in what they need, or, having survived, do \
         not. A build survives with {} where it needs the patched one, else with {}. What floe runs after each patch must be what \
         was simulated, build for build.",
        parameters.check.first, parameters.check.further
    ));
    section.table(data.checks());
    Ok(section)
}

struct Data<'a> {
    lines: &'a [Line],
    parameters: &'a Parameters,
}

impl Data<'_> {
    fn shape(&self, graph: &str) -> Option<&Shape> {
        self.lines.iter().find_map(|line| match line {
            Line::Shape(shape) if shape.graph == graph => Some(shape),
            _ => None,
        })
    }

    /// All runs with a likelihood, one a seed.
    fn level(&self, graph: &str, p: f64) -> Vec<&Spread> {
        self.spreads(graph)
            .filter(|of| of.measured.is_none() && of.first == p && of.further == p)
            .collect()
    }

    fn spreads(&self, graph: &str) -> impl Iterator<Item = &Spread> {
        let graph = graph.to_owned();
        self.lines.iter().filter_map(move |line| match line {
            Line::Spread(of) if of.graph == graph => Some(of),
            _ => None,
        })
    }

    fn holding(&self, graph: &str) -> Vec<&Hold> {
        let holds = self.lines.iter().filter_map(|line| match line {
            Line::Hold(hold) if hold.graph == graph => Some(hold),
            _ => None,
        });
        holds.collect()
    }

    /// Graphs with what input addressing costs them.
    fn alone(&self) -> Vec<(&Origin, &Spread)> {
        let graphs = self.parameters.graphs.iter();
        graphs.filter_map(|of| Some((of, *self.level(&of.name, 0.0).first()?))).collect()
    }

    fn cost(&self) -> Option<String> {
        let said: Vec<String> = self
            .alone()
            .iter()
            .map(|(of, spread)| {
                format!(
                    "in {} the median is {}, one in ten runs {} or more, and {} of all packages more than half of all builds",
                    of.title,
                    builds(f64::from(spread.median)),
                    whole(f64::from(spread.tenth)),
                    percent(spread.over_half as f64, spread.patches as f64),
                )
            })
            .collect();
        (!said.is_empty()).then(|| {
            format!(
                "**What a patch costs when everything above it is built again.** Of the packages that something is built with, {}. (Each \
                 package is patched once; the weight that real patches have is not known.)",
                said.join("; ")
            )
        })
    }

    fn survival(&self) -> Option<String> {
        let share = |of: &Origin, p: f64| {
            let all = mean(&self.level(&of.name, 0.0))?;
            let some = mean(&self.level(&of.name, p))?;
            Some(percent(some, all))
        };
        let said: Vec<String> = self
            .parameters
            .graphs
            .iter()
            .filter_map(|of| {
                let (half, most) = (share(of, 0.5)?, share(of, 0.9)?);
                Some(format!("{half} in {} (with nine in ten {most})", of.title))
            })
            .collect();
        (!said.is_empty()).then(|| {
            format!(
                "**What survival saves depends on the graph.** When every second build comes out as before, content \
                 addressing still runs, of what input addressing runs, {}. (Survival is drawn independently; see below.)",
                said.join(", ")
            )
        })
    }

    fn measured_kinds(&self) -> Option<String> {
        let (origin, _) = *self.alone().first()?;
        let all = mean(&self.level(&origin.name, 0.0))?;
        let said: Vec<String> = self
            .found()
            .iter()
            .filter(|of| !of.masked)
            .filter_map(|of| {
                let runs = self.kind(&origin.name, of)?;
                Some(format!("{} {}", of.kind, percent(runs, all)))
            })
            .collect();
        (!said.is_empty()).then(|| {
            format!(
                "**With what real builds did after each kind of patch,** a patch in {} runs, of what input addressing runs: {}. \
                 (Likelihoods from a small set of C libraries, carried over to a whole distribution; byte-wise cutoff.)",
                origin.title,
                said.join(", ")
            )
        })
    }

    /// What was counted, by kind, byte for byte and masked.
    fn found(&self) -> Vec<&Measured> {
        let mut found: Vec<&Measured> = self
            .lines
            .iter()
            .filter_map(|line| match line {
                Line::Spread(of) => of.measured.as_ref(),
                _ => None,
            })
            .collect();
        found.sort_by(|a, b| (&a.kind, a.masked).cmp(&(&b.kind, b.masked)));
        found.dedup();
        found
    }

    fn held(&self) -> Option<String> {
        let said: Vec<String> = self
            .parameters
            .graphs
            .iter()
            .filter_map(|of| {
                let holds = self.holding(&of.name);
                let last = holds.last()?;
                let saved = last.without as f64 - last.runs as f64;
                let names: Vec<&str> =
                    holds.iter().take(3).map(|hold| hold.package.as_str()).collect();
                Some(format!(
                    "{} packages in {} save {} ({} first)",
                    holds.len(),
                    of.title,
                    percent(saved, last.without as f64),
                    names.join(", ")
                ))
            })
            .collect();
        (!said.is_empty()).then(|| {
            format!(
                "**What few packages could save.** If changes from below ended at them and nowhere else, of all builds after all patches: {}. (Chosen greedily; whether they can \
                 hold changes up is another question: a compiler's wrapper that names the compiler's path never will, byte for byte.)",
                said.join("; ")
            )
        })
    }

    fn agreement(&self) -> Option<String> {
        let checks = self.checked();
        let agreed = checks.iter().filter(|check| check.simulated == check.ran).count();
        let all: u64 = checks.iter().map(|check| check.ran).sum();
        (!checks.is_empty()).then(|| {
            let verdict = if agreed == checks.len() {
                "**Simulation, models and engine agree.**"
            } else {
                "**Simulation, models and engine do not always agree.**"
            };
            format!(
                "{verdict} {agreed} of {} counts are equal, {} runs of builders in all, {} of the counts by floe itself. (On {}; \
                 trivial builders.)",
                checks.len(),
                whole(all as f64),
                checks.iter().filter(|check| self.is_engine(check)).count(),
                self.extents()
            )
        })
    }

    /// How much of each graph was compared.
    fn extents(&self) -> String {
        let checks = self.checked();
        let extent = |of: &Origin| {
            let check = checks.iter().find(|check| check.graph == of.name)?;
            let of_it = |line: &&Line| matches!(line, Line::Shape(shape) if shape.graph == of.name && shape.builds == check.builds);
            let is_whole = self.lines.iter().any(|line| of_it(&line));
            let all = if is_whole { "all " } else { "" };
            let circles = if check.cut > 0 { ", its circles cut" } else { "" };
            Some(format!("{all}{} of {}{circles}", builds(check.builds as f64), of.title))
        };
        self.parameters.graphs.iter().filter_map(extent).collect::<Vec<_>>().join(" and ")
    }

    fn checked(&self) -> Vec<&Check> {
        let checks = self.lines.iter().filter_map(|line| match line {
            Line::Check(check) => Some(check),
            _ => None,
        });
        checks.collect()
    }

    fn is_engine(&self, check: &Check) -> bool {
        self.parameters.check.rebuilders.contains(&check.asked)
    }

    /// The mean of what a patch of a kind runs: its own builds alone if the package itself comes out as before.
    fn kind(&self, graph: &str, measured: &Measured) -> Option<f64> {
        let of: Vec<&Spread> =
            self.spreads(graph).filter(|of| of.measured.as_ref() == Some(measured)).collect();
        let patches: usize = of.iter().map(|one| one.patches).sum();
        let own = of.iter().map(|one| one.own_runs).sum::<u64>() as f64 / patches as f64;
        let survives = measured.own_share();
        Some(survives * own + (1.0 - survives) * mean(&of)?)
    }

    fn headline(&self) -> Option<Table> {
        let mut table = Table::new(
            "Builds after a patch, packages that something is built with; the means are over all packages, when a build comes out \
             as before never (input addressing), every second time and nine times in ten.",
            ["graph", "builds", "median", "90 %", "mean", "half survive", "nine in ten"],
        );
        for (of, alone) in self.alone() {
            let cell = |p: f64| mean(&self.level(&of.name, p)).map_or_else(dash, number);
            table.row([
                of.title.clone(),
                self.shape(&of.name).map_or_else(dash, |shape| whole(shape.builds as f64)),
                whole(f64::from(alone.median)),
                whole(f64::from(alone.tenth)),
                cell(0.0),
                cell(0.5),
                cell(0.9),
            ]);
        }
        (!table.rows.is_empty()).then_some(table)
    }

    fn shapes(&self) -> Table {
        let mut table = Table::new(
            "The graphs.",
            [
                "graph",
                "nodes",
                "builds",
                "fixed",
                "bundles",
                "uses",
                "packages",
                "used",
                "largest circle",
                "from",
            ],
        );
        for of in &self.parameters.graphs {
            let Some(shape) = self.shape(&of.name) else { continue };
            let numbers = [
                shape.nodes,
                shape.builds,
                shape.fixed,
                shape.bundles,
                shape.uses,
                shape.packages,
                shape.used,
                shape.circle,
            ];
            let numbers = numbers.map(|number| whole(number as f64));
            let cells = std::iter::once(of.title.clone()).chain(numbers);
            table.row(cells.chain([shape.origin.clone()]));
        }
        table
    }

    fn costs(&self) -> Table {
        let mut table = Table::new(
            "Builds after a patch under input addressing: of packages that something is built with; the mean of all packages; and how \
             many packages run more than half of all builds.",
            [
                "graph",
                "patches",
                "used",
                "median",
                "90 %",
                "99 %",
                "most",
                "mean of all",
                "over half",
            ],
        );
        for (of, spread) in self.alone() {
            table.row([
                of.title.clone(),
                whole(spread.patches as f64),
                whole(spread.used as f64),
                whole(f64::from(spread.median)),
                whole(f64::from(spread.tenth)),
                whole(f64::from(spread.hundredth)),
                whole(f64::from(spread.most)),
                number(spread.runs as f64 / spread.patches as f64),
                whole(spread.over_half as f64),
            ]);
        }
        table
    }

    fn likelihoods(&self) -> Vec<f64> {
        let mut all = vec![0.0];
        all.extend(&self.parameters.likelihoods);
        all.sort_by(f64::total_cmp);
        all
    }

    fn means(&self) -> Table {
        let titles = self.parameters.graphs.iter().map(|of| of.title.clone());
        let mut table = Table::new(
            "The mean number of builds after a patch, by the likelihood that a build comes out as before; in brackets the least and \
             the greatest mean of several draws.",
            std::iter::once("likelihood".to_owned()).chain(titles),
        );
        for p in self.likelihoods() {
            let cell = |of: &Origin| {
                let all = self.level(&of.name, p);
                let each: Vec<f64> = all.iter().map(|one| mean(&[one]).unwrap_or(0.0)).collect();
                let (least, most) =
                    each.iter().fold((f64::MAX, 0.0f64), |(a, b), &m| (a.min(m), b.max(m)));
                match mean(&all) {
                    None => dash(),
                    Some(mean) if all.len() == 1 => number(mean),
                    Some(mean) => {
                        format!("{} ({} to {})", number(mean), number(least), number(most))
                    }
                }
            };
            let cells = self.parameters.graphs.iter().map(cell);
            table.row(std::iter::once(p.to_string()).chain(cells));
        }
        table
    }

    fn kinds(&self) -> Option<Table> {
        let graphs: Vec<&Origin> = self.alone().into_iter().map(|(of, _)| of).collect();
        let columns = ["patch", "cutoff by", "itself survives", "above it"].map(str::to_owned);
        let titles = graphs.iter().map(|of| of.title.clone());
        let mut table = Table::new(
            "The mean number of builds after a patch of a kind, with the likelihoods that the study of patches found (95 %): that the \
             patched package, and that a build above it, comes out as before; byte for byte, or up to names of store paths.",
            columns.into_iter().chain(titles),
        );
        let likely = |[hits, of]: [u64; 2]| match stats::share(hits as usize, of as usize) {
            None => "none ran".to_owned(),
            Some((low, high)) => format!(
                "{} ({} to {})",
                percent(hits as f64, of as f64),
                percent(low, 1.0),
                percent(high, 1.0)
            ),
        };
        for of in self.found() {
            let by = if of.masked { "bytes, names masked" } else { "bytes" };
            let cell = |graph: &&Origin| self.kind(&graph.name, of).map_or_else(dash, number);
            let cells = [of.kind.clone(), by.to_owned(), likely(of.own), likely(of.above)];
            table.row(cells.into_iter().chain(graphs.iter().map(cell)));
        }
        (!table.rows.is_empty()).then_some(table)
    }

    fn curve(&self, of: &Origin) -> Option<Figure> {
        let series: Vec<Series> = self
            .likelihoods()
            .into_iter()
            .filter_map(|p| {
                let spread = *self.level(&of.name, p).first()?;
                let point = |(limit, count): &(u32, usize)| {
                    (f64::from(*limit), *count as f64 / spread.patches as f64)
                };
                let name = if p == 0.0 {
                    "none survives (input addressing)".to_owned()
                } else {
                    format!("{p} survive")
                };
                Some(Series { name, points: spread.at_most.iter().map(point).collect() })
            })
            .collect();
        (!series.is_empty()).then(|| Figure {
            caption: format!(
                "{}: the share of packages whose patch runs at most so many builds, for several likelihoods that a build comes out as \
                 before.",
                of.title
            ),
            alt: format!(
                "Rising curves over a logarithmic axis of builds for {}; the more builds survive, the earlier a curve is near 1.",
                of.title
            ),
            plot: Plot::Lines {
                x: Axis::logarithmic("builds after a patch"),
                y: Axis::linear("share of packages"),
                series,
            },
        })
    }

    fn slope(&self) -> Option<Figure> {
        let line = |of: &Origin| {
            let point = |p: f64| Some((p, mean(&self.level(&of.name, p))?));
            let points: Vec<(f64, f64)> =
                self.likelihoods().into_iter().filter_map(point).collect();
            (points.len() > 1).then(|| Series { name: of.title.clone(), points })
        };
        let series: Vec<Series> = self.parameters.graphs.iter().filter_map(line).collect();
        (!series.is_empty()).then(|| Figure {
            caption: "The mean number of builds after a patch, by the likelihood that a build comes out as before.".to_owned(),
            alt: "A falling line a graph over the likelihood of survival; the axis of builds is logarithmic.".to_owned(),
            plot: Plot::Lines {
                x: Axis::linear("likelihood that a build comes out as before"),
                y: Axis::logarithmic("builds after a patch, mean"),
                series,
            },
        })
    }

    fn holds(&self) -> Table {
        let graphs = self.parameters.graphs.iter();
        let graphs: Vec<(&Origin, Vec<&Hold>)> = graphs
            .map(|of| (of, self.holding(&of.name)))
            .filter(|(_, holds)| !holds.is_empty())
            .collect();
        let titles = graphs.iter().map(|(of, _)| of.title.clone());
        let mut table = Table::new(
            "Packages in the order in which they are chosen, and the share of all builds after all patches that they and those above \
             save.",
            std::iter::once("chosen".to_owned()).chain(titles),
        );
        let most = graphs.iter().map(|(_, holds)| holds.len()).max().unwrap_or(0);
        for place in 0..most {
            let cell = |(_, holds): &(&Origin, Vec<&Hold>)| {
                holds.get(place).map_or_else(dash, |hold| {
                    let saved = hold.without as f64 - hold.runs as f64;
                    format!("{} {}", hold.package, percent(saved, hold.without as f64))
                })
            };
            table.row(std::iter::once((place + 1).to_string()).chain(graphs.iter().map(cell)));
        }
        table
    }

    /// Why graphs are missing from the table.
    fn unheld(&self) -> Option<String> {
        let said = |line: &Line| {
            let Line::Unheld(Unheld { graph, tried }) = line else { return None };
            let of = self.parameters.graphs.iter().find(|of| of.name == *graph)?;
            let circle = self.shape(graph).map_or(0, |shape| shape.circle);
            Some(format!(
                "{} ({tried} tried; {} on its largest circle)",
                of.title,
                builds(circle as f64)
            ))
        };
        let said: Vec<String> = self.lines.iter().filter_map(said).collect();
        (!said.is_empty()).then(|| {
            format!(
                "None of the packages that were tried saves a single build alone in {}. A dense circle reaches everything past any one of its members: it would \
                 take many packages at once.",
                said.join(", ")
            )
        })
    }

    fn used(&self, of: &Origin) -> Option<Table> {
        let mut table = Table::new(
            format!(
                "{}: the packages with the most users, and the builds that follow a patch when no build, every second, and every \
                 build comes out as before.",
                of.title
            ),
            ["package", "own builds", "none survives", "half", "all survive"],
        );
        for line in self.lines {
            let Line::Used(Used { graph, package, own, direct, all, half }) = line else {
                continue;
            };
            if *graph == of.name {
                let numbers = [own, all, half, direct].map(|number| whole(f64::from(*number)));
                table.row(std::iter::once(package.clone()).chain(numbers));
            }
        }
        (!table.rows.is_empty()).then_some(table)
    }

    fn checks(&self) -> Table {
        let mut table = Table::new(
            "Counts that were compared. The first build of all, which runs everything, is one of floe's counts.",
            ["graph", "asked", "nodes", "builds", "circles cut", "counts", "equal", "builders run"],
        );
        let checks = self.checked();
        let asked = self.parameters.check.models.iter().chain(&self.parameters.check.rebuilders);
        for of in &self.parameters.graphs {
            for asked in asked.clone() {
                let of_it = |check: &&&Check| check.graph == of.name && check.asked == *asked;
                let some: Vec<&Check> = checks.iter().filter(of_it).copied().collect();
                let Some(first) = some.first() else { continue };
                let equal = some.iter().filter(|check| check.simulated == check.ran).count();
                let who = if self.is_engine(first) {
                    format!("floe itself, {asked}")
                } else {
                    format!("model: {asked}")
                };
                table.row([
                    of.title.clone(),
                    who,
                    whole(first.nodes as f64),
                    whole(first.builds as f64),
                    whole(first.cut as f64),
                    some.len().to_string(),
                    equal.to_string(),
                    whole(some.iter().map(|check| check.ran).sum::<u64>() as f64),
                ]);
            }
        }
        table
    }
}

/// Builds a patch, over all of several draws.
fn mean(all: &[&Spread]) -> Option<f64> {
    let runs: u64 = all.iter().map(|one| one.runs).sum();
    let patches: usize = all.iter().map(|one| one.patches).sum();
    (patches > 0).then(|| runs as f64 / patches as f64)
}

fn percent(part: f64, of: f64) -> String {
    let share = part / of.max(f64::MIN_POSITIVE) * 100.0;
    if share >= 10.0 || share == 0.0 { format!("{share:.0} %") } else { format!("{share:.1} %") }
}

fn builds(number: f64) -> String {
    if number == 1.0 { "1 build".to_owned() } else { format!("{} builds", whole(number)) }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { whole(value) }
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Written;
    use crate::report::block::Block;
    use crate::report::markdown;
    use crate::studies::graphs::plan::Check as Checked;

    fn parameters() -> Parameters {
        let origin = |name: &str, title: &str| Origin {
            name: name.to_owned(),
            title: title.to_owned(),
            nix: None,
            debian: None,
            check: Some(10),
        };
        Parameters {
            graphs: vec![origin("a", "Set A"), origin("b", "Set B")],
            only: Vec::new(),
            likelihoods: vec![0.9, 0.5],
            measured: true,
            seeds: 2,
            patches: 100,
            holding: 2,
            check: Checked {
                at_most: None,
                patches: 2,
                first: 0.3,
                further: 0.7,
                rebuilders: vec!["content-addressed".to_owned()],
                models: vec!["a model".to_owned()],
            },
        }
    }

    fn spread(graph: &str, p: f64, seed: u64, runs: u64) -> Spread {
        Spread {
            graph: graph.to_owned(),
            measured: None,
            first: p,
            further: p,
            seed,
            patches: 10,
            used: 4,
            own_runs: 12,
            runs,
            used_runs: runs - 6,
            median: 2,
            tenth: 7,
            hundredth: 9,
            most: 9,
            over_half: 2,
            at_most: vec![(1, 6), (3, 8), (9, 10)],
        }
    }

    fn lines() -> Vec<Line> {
        let shape = Shape {
            graph: "a".to_owned(),
            origin: "somewhere".to_owned(),
            nodes: 14,
            builds: 9,
            fixed: 3,
            bundles: 2,
            uses: 20,
            packages: 10,
            used: 4,
            circle: 1,
        };
        let measured = |masked, above| Spread {
            measured: Some(Measured {
                kind: "comment".to_owned(),
                masked,
                own: [3, 4],
                above: [if masked { 8 } else { 1 }, 8],
            }),
            ..spread("a", above, 1, 42)
        };
        let hold = |place, package: &str, runs| Hold {
            graph: "a".to_owned(),
            place,
            package: package.to_owned(),
            runs,
            without: 50,
        };
        let check = |asked: &str, package: Option<&str>, ran| Check {
            graph: "a".to_owned(),
            asked: asked.to_owned(),
            nodes: 12,
            builds: 9,
            cut: 2,
            package: package.map(str::to_owned),
            simulated: 7,
            ran,
        };
        vec![
            Line::Shape(shape),
            Line::Spread(spread("a", 0.0, 1, 50)),
            Line::Spread(spread("b", 0.0, 1, 40)),
            Line::Spread(spread("a", 0.5, 1, 30)),
            Line::Spread(spread("a", 0.5, 2, 34)),
            Line::Spread(spread("a", 0.9, 1, 14)),
            Line::Spread(measured(false, 0.125)),
            Line::Spread(measured(true, 1.0)),
            Line::Hold(hold(1, "cc", 20)),
            Line::Hold(hold(2, "python", 15)),
            Line::Unheld(Unheld { graph: "b".to_owned(), tried: 24 }),
            Line::Check(check("a model", Some("zlib"), 7)),
            Line::Check(check("content-addressed", None, 7)),
            Line::Check(check("content-addressed", Some("zlib"), 6)),
            Line::Used(Used {
                graph: "a".to_owned(),
                package: "zlib".to_owned(),
                own: 1,
                direct: 4,
                all: 9,
                half: 6,
            }),
        ]
    }

    #[test]
    fn a_section_says_what_rows_say() {
        let section = of(&lines(), &parameters()).expect("a section");
        let mut text = section.findings.join("\n");
        for (name, headline) in &section.headlines {
            text.push_str(&format!("\n\n[{name}]\n{headline}"));
        }
        for block in &section.blocks {
            text.push_str("\n\n");
            match block {
                Block::Heading(said) | Block::Text(said) => text.push_str(said),
                Block::Table(table) => text.push_str(&markdown::table(table)),
                Block::Figure(figure) => {
                    text.push_str(&format!(
                        "{}\n{}",
                        figure.caption,
                        markdown::table(&figure.data())
                    ));
                    figure.svg(crate::report::block::Ink::Paper).expect("it can be drawn");
                }
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn without_rows_there_is_nothing_to_find() {
        let section = of(&[], &parameters()).expect("a section");
        assert!(section.findings.is_empty() && section.headlines.is_empty());
        assert_eq!(section.figures().count(), 0);
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let row = |line: &Line| crate::record::Row {
            trial: "t".to_owned(),
            fields: line.fields().expect("fields"),
        };
        let rows: Vec<_> = lines().iter().map(row).collect();
        assert_eq!(super::super::rows::read(&rows).expect("read"), lines());
    }
}
