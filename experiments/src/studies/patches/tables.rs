//! The tables of the section. Sums come from `sums`; nothing is concluded here.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rows::{Knowledge, Line, Strategy};
use super::sums::{Data, Name};
use super::survival::{self, Level};
use crate::report::block::Table;
use crate::stats;

/// A share with the interval that holds it with 95 %.
pub fn share(hits: usize, of: usize) -> String {
    let said = |(low, high): (f64, f64)| {
        let whole = |share: f64| format!("{:.0}", share * 100.0);
        format!("{} ({} to {})", percent(hits as f64 / of as f64), whole(low), whole(high))
    };
    stats::share(hits, of).map_or_else(|| "-".to_owned(), said)
}

/// A share as readers want it.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Seconds of a sum.
pub fn seconds(ms: u64) -> String {
    let s = ms as f64 / 1e3;
    if s < 100.0 { format!("{s:.1} s") } else { format!("{} s", stats::whole(s)) }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", stats::whole(bytes as f64 / 1e6))
}

/// A strategy's name: the grain is told unless it is the usual one.
pub fn title(of: &Strategy) -> String {
    match of.grain.as_str() {
        "package" => of.rebuilder.clone(),
        grain => format!("{}, {grain}", of.rebuilder),
    }
}

fn of_kind(patches: &[Name], kind: &str) -> Vec<Name> {
    patches.iter().filter(|(_, of)| of == kind).cloned().collect()
}

/// Builders and processor time by kind.
pub fn by_kind(data: &Data, strategies: &[Strategy], kinds: &[String]) -> Table {
    let patches = data.common(strategies);
    let mut columns = vec!["patch".to_owned(), "patches".to_owned()];
    for of in strategies {
        columns.extend([title(of), "CPU".to_owned()]);
    }
    let mut table = Table::new(
        "Builders that ran and processor time, all patches of a kind together; the patched packages' own builds included.",
        columns,
    );
    let mut row = |label: &str, patches: &[Name]| {
        let mut cells = vec![label.to_owned(), patches.len().to_string()];
        for of in strategies {
            let cost = data.cost(of, patches);
            cells.extend([stats::whole(cost.builders as f64), seconds(cost.cpu_ms)]);
        }
        table.row(cells);
    };
    for kind in kinds {
        let some = of_kind(&patches, kind);
        if !some.is_empty() {
            row(kind, &some);
        }
    }
    row("all", &patches);
    table
}

/// How dependants came out, by strategy.
pub fn waste(data: &Data, strategies: &[Strategy]) -> Table {
    let mut table = Table::new(
        "Dependants that ran, and how they came out.",
        [
            "strategy",
            "ran",
            "identical",
            "up to names",
            "different",
            "needless (95 %)",
            "of their CPU",
        ],
    );
    for of in strategies {
        let found = data.dependants(of, None);
        if found.ran == 0 {
            continue;
        }
        table.row([
            title(of),
            found.ran.to_string(),
            found.identical.to_string(),
            found.renamed.to_string(),
            found.different.to_string(),
            share(found.wasted(), found.ran),
            percent(found.wasted_cpu_ms as f64 / found.cpu_ms.max(1) as f64),
        ]);
    }
    table
}

/// What would have saved the dependants of a strategy, by kind of patch.
pub fn knowledge(data: &Data, strategy: &Strategy, kinds: &[String]) -> Table {
    let all = data.dependants(strategy, None);
    let seen: Vec<Knowledge> =
        Knowledge::ALL.into_iter().filter(|of| all.saved_by.contains_key(of)).collect();
    let columns = ["patch", "ran"].into_iter().chain(seen.iter().map(|of| of.words()));
    let mut table = Table::new(
        format!("What would have saved the dependants that ran under {}.", title(strategy)),
        columns,
    );
    for kind in kinds.iter().map(|kind| Some(kind.as_str())).chain([None]) {
        let found = data.dependants(strategy, kind);
        let count = |of: &Knowledge| found.saved_by.get(of).copied().unwrap_or(0).to_string();
        let label = [kind.unwrap_or("all").to_owned(), found.ran.to_string()];
        table.row(label.into_iter().chain(seen.iter().map(count)));
    }
    let cpu = |of: &Knowledge| seconds(all.saved_cpu_ms.get(of).copied().unwrap_or(0));
    let label = ["CPU".to_owned(), seconds(all.cpu_ms)];
    table.row(label.into_iter().chain(seen.iter().map(cpu)));
    table
}

/// What the same patches cost under each of some strategies.
pub fn overview(data: &Data, strategies: &[Strategy]) -> Table {
    let patches = data.common(strategies);
    let mut table = Table::new(
        format!(
            "The {} patches that all of these were given, summed; *back*: when they were taken away again.",
            patches.len()
        ),
        ["strategy", "builders", "CPU", "wall", "written", "builders back"],
    );
    for of in strategies {
        let cost = data.cost(of, &patches);
        table.row([
            title(of),
            stats::whole(cost.builders as f64),
            seconds(cost.cpu_ms),
            seconds(cost.wall_ms),
            megabytes(cost.written_bytes),
            cost.back_builders.to_string(),
        ]);
    }
    table
}

/// Builders under every rebuilder, there and back.
pub fn every(data: &Data, strategies: &[Strategy]) -> Table {
    let patches = data.common(strategies);
    let heads = patches.iter().map(|(package, kind)| format!("{package} {kind}"));
    let columns = std::iter::once("rebuilder".to_owned()).chain(heads);
    let mut table =
        Table::new("Builders that ran for a patch / when it was taken away again.", columns);
    for of in strategies {
        let cell = |patch: &Name| {
            data.patch(of, patch)
                .map(|found| format!("{} / {}", found.builders, found.back_builders))
                .unwrap_or_default()
        };
        table.row(std::iter::once(title(of)).chain(patches.iter().map(cell)));
    }
    table
}

/// Builders for every patch.
pub fn every_patch(data: &Data, strategies: &[Strategy]) -> Table {
    let columns = std::iter::once("patch".to_owned()).chain(strategies.iter().map(title));
    let mut patches = data.common(&strategies[..1]);
    // The package whose patches cost most comes first.
    let weight = |package: &str| {
        let own: Vec<Name> = patches.iter().filter(|(of, _)| of == package).cloned().collect();
        data.cost(&strategies[0], &own).builders
    };
    let weights: BTreeMap<String, u64> =
        patches.iter().map(|(package, _)| (package.clone(), weight(package))).collect();
    patches.sort_by_key(|(package, _)| Reverse((weights[package], package.clone())));
    let mut table =
        Table::new("Builders that ran for each patch, the package's own included.", columns);
    for patch in &patches {
        let cell = |of: &Strategy| {
            data.patch(of, patch).map_or_else(|| "-".to_owned(), |found| found.builders.to_string())
        };
        let label = format!("{} {}", patch.0, patch.1);
        table.row(std::iter::once(label).chain(strategies.iter().map(cell)));
    }
    table
}

/// How likely outputs survive.
pub fn survival(lines: &[Line], kinds: &[String]) -> Table {
    let found = survival::of(lines);
    let mut table = Table::new(
        "The share of packages that ran and came out as they were (95 %).",
        ["patch", "package", "ran", "byte for byte", "up to names"],
    );
    for kind in kinds {
        for of in found.iter().filter(|of| of.kind == *kind) {
            let level = match of.level {
                Level::Patched => "patched",
                Level::Dependant => "above it",
            };
            table.row([
                kind.clone(),
                level.to_owned(),
                of.ran.to_string(),
                share(of.identical, of.ran),
                share(of.identical_masked, of.ran),
            ]);
        }
    }
    table
}

/// The cold builds.
pub fn bases(data: &Data, strategies: &[Strategy]) -> Table {
    let mut table = Table::new(
        "The unpatched set, cold; sources are fetched and the toolchain is imported before.",
        ["strategy", "derivations", "CPU", "wall", "written"],
    );
    for base in data.bases.iter().filter(|base| strategies.contains(&base.strategy)) {
        table.row([
            title(&base.strategy),
            base.derivations.to_string(),
            seconds(base.cpu_ms),
            seconds(base.wall_ms),
            megabytes(base.written_bytes),
        ]);
    }
    table
}
