//! What steps of versions say, as a section of the report. Reads rows and nothing else.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::bump::{Bump, Change};
use super::effect::Effect;
use crate::objects::Sameness;
use crate::record::{Row, Written};
use crate::report::block::{Axis, Figure, Plot, Section, Series, Table};
use crate::stats;

/// The section.
///
/// # Errors
/// A row is not one of this study, or there is none.
pub fn section(rows: &[Row]) -> Result<Section> {
    let bumps = rows.iter().map(Bump::of).collect::<Result<Vec<_>>>()?;
    let strategies = ordered(bumps.iter().map(|of| of.strategy.as_str()));
    let told = Told { bumps: &bumps, strategies };
    let mut section = Section { findings: told.findings()?, ..Section::default() };
    section.headlines.push(("steps".to_owned(), crate::report::markdown::table(&told.by_change())));
    section.text(
        "Each step puts one published version of a library's source into the set in place of the version before, and builds \
         everything that rests on it; all other libraries stay at the oldest version of their series. The sources are crates that \
         carry a C library, so a release of the crate need not be one of the library. A series begins in a store that knows \
         the oldest versions, and nothing newer. Store paths of these libraries do not name their versions, as they would \
         elsewhere: what uses a library names its path, and would come out otherwise for that alone.",
    );
    section.table(told.by_change());
    section.figure(told.builders());
    section.heading("Where a change stops");
    for strategy in &told.strategies {
        section.table(told.reach(strategy));
    }
    section.heading("What ran and made no difference");
    section.table(told.waste());
    section.heading("Library by library");
    section.table(told.by_package());
    if let Some(figure) = told.processor_time() {
        section.figure(figure);
    }
    section.heading("Each step that changed a file of its library");
    section.table(told.steps()?);
    if bumps.iter().any(|of| of.failure.is_some()) {
        section.heading("What did not build");
        section.text(
            "Such a step has no effect to count; the next one is measured from the last version that did build.",
        );
        section.table(told.failures());
    }
    Ok(section)
}

struct Told<'a> {
    bumps: &'a [Bump],
    strategies: Vec<&'a str>,
}

/// What several steps come to.
#[derive(Debug, Default)]
struct Sum {
    steps: usize,
    builders: usize,
    cut_off: usize,
    above: usize,
    identical: usize,
    renamed: usize,
    different: usize,
    for_names: usize,
    cpu_ms: u64,
    needless_cpu_ms: u64,
}

impl Sum {
    fn of<'b>(effects: impl Iterator<Item = &'b Effect>) -> Self {
        let mut sum = Self::default();
        for of in effects {
            sum.steps += 1;
            sum.builders += of.built.iter().sum::<usize>();
            sum.cut_off += of.cut_off.iter().sum::<usize>();
            sum.above += of.above;
            sum.identical += of.ran_identical;
            sum.renamed += of.ran_renamed;
            sum.different += of.ran_different;
            sum.for_names += of.ran_for_names;
            sum.cpu_ms += of.builders_cpu_ms;
            sum.needless_cpu_ms += of.needless_cpu_ms;
        }
        sum
    }

    fn dependants(&self) -> usize {
        self.identical + self.renamed + self.different
    }

    fn same(&self) -> usize {
        self.identical + self.renamed
    }
}

impl<'a> Told<'a> {
    fn effects(&self, strategy: &'a str) -> impl Iterator<Item = (&'a Bump, &'a Effect)> {
        let of = self.bumps.iter().filter(move |of| of.strategy == strategy);
        of.filter_map(|of| Some((of, of.effect.as_ref()?)))
    }

    fn sum(&self, strategy: &'a str, keep: impl Fn(&Bump) -> bool) -> Sum {
        Sum::of(self.effects(strategy).filter(|(bump, _)| keep(bump)).map(|(_, effect)| effect))
    }

    /// The strategy under which the fewest builders ran, and the one with most.
    fn extremes(&self) -> Result<(&'a str, &'a str)> {
        let builders = |name: &&&'a str| self.sum(name, |_| true).builders;
        let least = self.strategies.iter().min_by_key(builders);
        let most = self.strategies.iter().max_by_key(builders);
        Ok((least.context("there is no step")?, most.context("there is no step")?))
    }

    /// Each step once, whatever it was built under.
    fn distinct(&self) -> Vec<&'a Bump> {
        let mut seen = BTreeSet::new();
        self.bumps.iter().filter(|of| seen.insert((&of.package, &of.to))).collect()
    }

    fn findings(&self) -> Result<Vec<String>> {
        let (least, most) = self.extremes()?;
        let distinct = self.distinct();
        let kind = |change| distinct.iter().filter(|of| of.change == change).count();
        let libraries = ordered(distinct.iter().map(|of| of.package.as_str())).len();
        let of = |change: Change, strategy| self.sum(strategy, move |bump| bump.change == change);
        if least == most {
            return Ok(vec![format!(
                "There are results under {least} only, so nothing is compared yet."
            )]);
        }
        let mut findings = Vec::new();

        let (packaging, other) = (of(Change::Packaging, least), of(Change::Packaging, most));
        findings.push(format!(
            "**{} of {} steps between consecutive published versions of {libraries} libraries changed nothing but packaging.** \
             For those {least} ran {} and cut off {} packages above; {most} ran {} ({} against {} of processor time). \
             The sources are crates, whose releases outnumber those of the libraries in them: where upstream's own \
             archives are used, such steps are rarer.",
            kind(Change::Packaging),
            distinct.len(),
            builders(packaging.builders),
            packaging.cut_off,
            builders(other.builders),
            stats::duration(packaging.cpu_ms as f64),
            stats::duration(other.cpu_ms as f64),
        ));

        let upstream = of(Change::Upstream, least);
        if upstream.steps > 0 {
            let of_upstream: Vec<&Effect> = self
                .effects(least)
                .filter(|(bump, _)| bump.change == Change::Upstream)
                .map(|(_, effect)| effect)
                .collect();
            let at_once = of_upstream.iter().filter(|of| reach(of) == Some(0)).count();
            let below =
                of_upstream.iter().filter(|of| of.cut_off.iter().sum::<usize>() > 0).count();
            findings.push(format!(
                "**Another upstream version stops at the library itself in {at_once} of {} steps** under {least}, and somewhere \
                 below the top in {below}: {} of the {} packages above these libraries were not built. {} would have built all of them.{}",
                upstream.steps,
                upstream.above - upstream.dependants(),
                upstream.above,
                capital(most),
                self.returns(least),
            ));

            let ran = upstream.dependants();
            let (low, high) = stats::share(upstream.same(), ran).unwrap_or((0.0, 1.0));
            findings.push(format!(
                "**Of {ran} packages that {least} did rebuild above another upstream version, {} came out as before** ({} \
                 byte for byte, {} but for names of store paths; {:.0} %, 95 % interval {:.0} to {:.0} %, if steps were drawn by \
                 chance, which they were not), for {} of {} of processor time. {} of them took in nothing but other names \
                 themselves, though something below those had changed; the others took in a library whose bytes \
                 differ, and only knowledge of what they use of it could have saved their runs.",
                upstream.same(),
                upstream.identical,
                upstream.renamed,
                100.0 * ratio(upstream.same(), ran),
                100.0 * low,
                100.0 * high,
                stats::duration(upstream.needless_cpu_ms as f64),
                stats::duration(upstream.cpu_ms as f64),
                upstream.for_names,
            ));
        }

        let source = of(Change::Source, least);
        let silent: Vec<String> = self
            .effects(least)
            .filter(|(bump, effect)| bump.change == Change::Source && reach(effect) == Some(0))
            .map(|(bump, _)| format!("{} {} ({})", bump.package, bump.to, files(bump.source_files)))
            .collect();
        if source.steps > 0 {
            findings.push(format!(
                "**{} of {} steps that changed files of a library, but not its version, left what is installed byte for byte as it \
                 was**{}.",
                silent.len(),
                source.steps,
                if silent.is_empty() { String::new() } else { format!(": {}", silent.join(", ")) },
            ));
        }

        let failed = distinct.iter().filter(|of| of.failure.is_some()).count();
        if failed > 0 {
            findings.push(format!(
                "{failed} of {} steps did not build with the package as it is described here; they are listed, and count for nothing.",
                distinct.len()
            ));
        }
        Ok(findings)
    }

    /// Says which of another upstream version's steps that stop somewhere go back to a version before: what stops them is
    /// that it was built, not that it is like the one it replaces.
    fn returns(&self, strategy: &'a str) -> String {
        let mut before = BTreeSet::new();
        let mut returned = Vec::new();
        for (bump, effect) in self.effects(strategy) {
            before.insert((&bump.package, &bump.upstream_from));
            let is_back = bump.change == Change::Upstream
                && before.contains(&(&bump.package, &bump.upstream_to));
            if is_back && effect.cut_off.iter().any(|&count| count > 0) {
                let Bump { package, to, upstream_from, upstream_to, .. } = bump;
                returned.push(format!("{package} {to}, {upstream_from} back to {upstream_to}"));
            }
        }
        if returned.is_empty() {
            return String::new();
        }
        format!(
            " Of the steps that stop, {} {} back to a version that was in the set before, so that everything above had been built \
             with it already ({}).",
            returned.len(),
            if returned.len() == 1 { "goes" } else { "go" },
            returned.join("; "),
        )
    }

    fn by_change(&self) -> Table {
        let mut columns = vec!["what a step changes".to_owned(), "steps".to_owned()];
        for strategy in &self.strategies {
            columns.push(format!("builders, {strategy}"));
            columns.push(format!("processor time, {strategy}"));
        }
        let mut table = Table::new(
            "Builders that ran and their processor time, the library's own builder included, by what changed.",
            columns,
        );
        for change in Change::ALL {
            let sums: Vec<Sum> = self
                .strategies
                .iter()
                .map(|name| self.sum(name, |bump| bump.change == change))
                .collect();
            let steps = sums.first().map_or(0, |sum| sum.steps);
            let mut cells = vec![change.title().to_owned(), steps.to_string()];
            for sum in &sums {
                cells.push(stats::whole(sum.builders as f64));
                cells.push(stats::duration(sum.cpu_ms as f64));
            }
            table.row(cells);
        }
        table
    }

    fn builders(&self) -> Figure {
        let group = |change: Change| {
            let builders = |name: &&'a str| {
                let sum = self.sum(name, |bump| bump.change == change);
                ratio(sum.builders, sum.steps)
            };
            (change.title().to_owned(), self.strategies.iter().map(builders).collect())
        };
        let groups: Vec<(String, Vec<f64>)> = Change::ALL.into_iter().map(group).collect();
        let said: Vec<String> = groups
            .iter()
            .map(|(label, values)| {
                let values: Vec<String> =
                    values.iter().map(|value| format!("{value:.1}")).collect();
                format!("{label}: {}", values.join(", "))
            })
            .collect();
        Figure {
            caption: "Builders a step, on average, by what the step changes.".to_owned(),
            alt: format!(
                "Bars of builders a step for {}. {}.",
                self.strategies.join(", "),
                said.join("; ")
            ),
            plot: Plot::Bars {
                unit: "builders a step".to_owned(),
                series: self.strategies.iter().map(|name| (*name).to_owned()).collect(),
                groups,
            },
        }
    }

    fn reach(&self, strategy: &'a str) -> Table {
        let depth = self.effects(strategy).map(|(_, of)| of.built.len()).max().unwrap_or(0);
        let columns = ["what a step changes".to_owned(), "steps".to_owned()]
            .into_iter()
            .chain((0..depth).map(|level| match level {
                0 => "the library only".to_owned(),
                level => format!("level {level}"),
            }))
            .chain(["built above, of all above".to_owned()]);
        let mut table = Table::new(
            format!(
                "{}: the farthest package above the library that was built; a package that uses the library stands on level 1.",
                capital(strategy)
            ),
            columns,
        );
        for change in Change::ALL {
            let of: Vec<&Effect> = self
                .effects(strategy)
                .filter(|(bump, _)| bump.change == change)
                .map(|(_, effect)| effect)
                .collect();
            let sum = Sum::of(of.iter().copied());
            let mut cells = vec![change.title().to_owned(), of.len().to_string()];
            cells.extend((0..depth).map(|level| {
                of.iter().filter(|effect| reach(effect) == Some(level)).count().to_string()
            }));
            cells.push(format!("{} of {}", sum.dependants(), sum.above));
            table.row(cells);
        }
        table
    }

    fn waste(&self) -> Table {
        let mut table = Table::new(
            "Packages above the library that were built, and how their outputs stand to those of the version before.",
            [
                "",
                "built above",
                "byte for byte the same",
                "but for names",
                "different",
                "same, of processor time above",
            ],
        );
        for strategy in &self.strategies {
            for change in Change::ALL {
                let sum = self.sum(strategy, |bump| bump.change == change);
                if sum.dependants() == 0 {
                    continue;
                }
                table.row([
                    format!("{strategy}, {}", change.title()),
                    sum.dependants().to_string(),
                    sum.identical.to_string(),
                    sum.renamed.to_string(),
                    sum.different.to_string(),
                    stats::duration(sum.needless_cpu_ms as f64),
                ]);
            }
        }
        table
    }

    fn by_package(&self) -> Table {
        let columns = ["library", "packages above", "steps: packaging, files, upstream"]
            .map(str::to_owned)
            .into_iter()
            .chain(self.strategies.iter().map(|name| format!("builders, {name}")));
        let mut table =
            Table::new("Builders that ran over the whole series of each library.", columns);
        for package in ordered(self.bumps.iter().map(|of| of.package.as_str())) {
            let distinct = self.distinct();
            let steps: Vec<String> = Change::ALL
                .iter()
                .map(|change| {
                    let of =
                        distinct.iter().filter(|of| of.package == package && of.change == *change);
                    of.count().to_string()
                })
                .collect();
            let above = self.bumps.iter().filter(|of| of.package == package);
            let above = above.filter_map(|of| of.effect.as_ref()).map(|of| of.above).max();
            let builders = self
                .strategies
                .iter()
                .map(|name| self.sum(name, |bump| bump.package == package).builders.to_string());
            table.row(
                [package.to_owned(), above.unwrap_or(0).to_string(), steps.join(", ")]
                    .into_iter()
                    .chain(builders),
            );
        }
        table
    }

    fn processor_time(&self) -> Option<Figure> {
        let series: Vec<Series> = self
            .strategies
            .iter()
            .map(|name| {
                let mut sum = 0.0;
                let mut points = vec![(0.0, 0.0)];
                for (at, (_, effect)) in self.effects(name).enumerate() {
                    sum += effect.builders_cpu_ms as f64 / 1e3;
                    points.push(((at + 1) as f64, sum));
                }
                Series { name: (*name).to_owned(), points }
            })
            .collect();
        let ends: Vec<String> = series
            .iter()
            .filter_map(|of| {
                Some(format!("{} ends at {}", of.name, stats::duration(of.points.last()?.1 * 1e3)))
            })
            .collect();
        series.iter().any(|of| of.points.len() > 1).then(|| Figure {
            caption:
                "Processor time of all builders, step after step, in the order of the table above."
                    .to_owned(),
            alt: format!("Lines that only rise, one for each strategy: {}.", ends.join(", ")),
            plot: Plot::Lines {
                x: Axis::linear("steps"),
                y: Axis::linear("processor time, s"),
                series,
            },
        })
    }

    fn steps(&self) -> Result<Table> {
        let (least, _) = self.extremes()?;
        let columns = [
            "step".to_owned(),
            "upstream".to_owned(),
            "files".to_owned(),
            "its own output".to_owned(),
            "above: built, same".to_owned(),
        ];
        let mut table = Table::new(
            format!(
                "Under {least}: files of the library that changed, what of its output did, and how many packages above were built \
                 and came out the same, names apart, of all above."
            ),
            columns,
        );
        for (bump, effect) in
            self.effects(least).filter(|(bump, _)| bump.change != Change::Packaging)
        {
            let own = match effect.own {
                Sameness::Identical => "the same".to_owned(),
                Sameness::Renamed => "other names".to_owned(),
                Sameness::Different => {
                    effect.own_parts.iter().cloned().collect::<Vec<_>>().join(", ")
                }
            };
            let upstream = match bump.change {
                Change::Upstream => format!("{} to {}", bump.upstream_from, bump.upstream_to),
                _ => bump.upstream_to.clone(),
            };
            let sum = Sum::of(std::iter::once(effect));
            table.row([
                format!("{} {}", bump.package, bump.to),
                upstream,
                bump.source_files.to_string(),
                own,
                format!("{}, {} of {}", sum.dependants(), sum.same(), effect.above),
            ]);
        }
        Ok(table)
    }

    fn failures(&self) -> Table {
        let mut table =
            Table::new("Steps that did not build, and what floe said.", ["step", "under", "why"]);
        for bump in self.bumps {
            if let Some(why) = &bump.failure {
                table.row([
                    format!("{} {} to {}", bump.package, bump.from, bump.to),
                    bump.strategy.clone(),
                    why.clone(),
                ]);
            }
        }
        table
    }
}

/// The level of the farthest package that was built.
fn reach(effect: &Effect) -> Option<usize> {
    effect.built.iter().rposition(|&built| built > 0)
}

fn ordered<'b>(names: impl Iterator<Item = &'b str>) -> Vec<&'b str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn ratio(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

fn builders(count: usize) -> String {
    if count == 1 {
        "1 builder".to_owned()
    } else {
        format!("{} builders", stats::whole(count as f64))
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::markdown;

    /// A step of one of two libraries, with two packages above each; `became` says how these came out, if they ran.
    fn step(
        strategy: &str,
        to: &str,
        change: Change,
        own: Sameness,
        became: [Option<Sameness>; 2],
    ) -> Bump {
        let count = |of: Sameness| became.iter().filter(|&&one| one == Some(of)).count();
        let built = |at: usize| usize::from(became[at].is_some());
        let cut_off = 2 - built(0) - built(1);
        let upstream = if change == Change::Upstream { to } else { "1.0" };
        Bump {
            package: if to.starts_with('9') { "jq" } else { "zlib" }.to_owned(),
            strategy: strategy.to_owned(),
            from: "1.0".to_owned(),
            to: to.to_owned(),
            upstream_from: "1.0".to_owned(),
            upstream_to: upstream.to_owned(),
            change,
            archive_files: 9,
            source_files: if change == Change::Packaging { 0 } else { 7 },
            effect: Some(Effect {
                above: 2,
                built: vec![1, built(0), built(1)],
                cut_off: vec![0, 1 - built(0), 1 - built(1)],
                cutoffs: [("byte".to_owned(), cut_off)].into(),
                own,
                own_parts: match own {
                    Sameness::Different => ["headers", "library"].map(str::to_owned).into(),
                    _ => BTreeSet::new(),
                },
                ran_identical: count(Sameness::Identical),
                ran_renamed: count(Sameness::Renamed),
                ran_different: count(Sameness::Different),
                ran_for_names: built(1),
                builders_cpu_ms: 1000 * (1 + built(0) + built(1)) as u64,
                needless_cpu_ms: 1000
                    * (count(Sameness::Identical) + count(Sameness::Renamed)) as u64,
            }),
            failure: None,
            wall_ms: 2000,
        }
    }

    #[test]
    fn steps_are_told() {
        use Sameness::{Different, Identical, Renamed};
        let (ca, ia) = ("content-addressed", "input-addressed");
        let all = [Some(Renamed), Some(Renamed)];
        let mut bumps = vec![
            step(ca, "1.1", Change::Packaging, Identical, [None, None]),
            step(ca, "1.2", Change::Source, Identical, [None, None]),
            step(ca, "2.0", Change::Upstream, Different, [Some(Renamed), None]),
            step(ca, "9.1", Change::Upstream, Different, [Some(Different), Some(Identical)]),
            Bump {
                upstream_from: "2.0".to_owned(),
                upstream_to: "1.0".to_owned(),
                ..step(ca, "2.1", Change::Upstream, Different, [None, None])
            },
            step(ia, "1.1", Change::Packaging, Identical, all),
            step(ia, "1.2", Change::Source, Identical, all),
            step(ia, "2.0", Change::Upstream, Different, all),
            step(ia, "9.1", Change::Upstream, Different, [Some(Different), Some(Renamed)]),
        ];
        bumps.push(Bump {
            effect: None,
            failure: Some("builder for 'zlib-3.0' failed with exit code 1".to_owned()),
            ..step(ca, "3.0", Change::Upstream, Identical, [None, None])
        });
        let row = |of: &Bump| Row { trial: "t".to_owned(), fields: of.fields().expect("fields") };
        let rows: Vec<Row> = bumps.iter().map(row).collect();
        let section = section(&rows).expect("a section");
        insta::assert_snapshot!(
            markdown::findings(&section) + &markdown::blocks(&section, "history")
        );
        for figure in section.figures() {
            figure.svg(crate::report::block::Ink::Page).expect("drawn");
        }
    }
}
