//! Which packages save the most when changes below them end there: a set that is put together one by one, each time the
//! package that saves the most beside those that are in it already. Greedy, so a set as large may save more.

use floe_papers::chance::Chance;

use super::coins::{Coins, Survival};
use super::graph::{Graph, Patch};
use super::spread::Spread;

/// Patches that the choice is made with: enough to tell packages apart, few enough to try hundreds of packages.
const SAMPLE: usize = 512;
/// Packages that are tried at each choice.
const TRIED: usize = 24;

const COINS: Coins = Coins { survival: Survival::NONE, seed: 0 };

/// A package that holds changes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The package.
    pub package: u32,
    /// How many builds run after all patches, one patch at a time, with this one and those before it.
    pub runs: u64,
}

/// The packages to choose first, so many of them, when every package is patched once and nothing else comes out as before;
/// and how many were tried for the first place.
pub fn choose(graph: &Graph, count: usize, seed: u64) -> (Vec<Hold>, usize) {
    let patches = graph.patches();
    let all: Vec<&Patch> = patches.iter().collect();
    let mut sample = all.clone();
    let mut chance = Chance::new(seed);
    sample.sort_by_cached_key(|_| chance.number());
    sample.truncate(SAMPLE);

    let mut spread = Spread::new(graph);
    let (mut chosen, mut first) = (Vec::new(), 0);
    let alone = spread.runs(&all, COINS);
    let mut before = total(&spread.runs(&sample, COINS));
    for _ in 0..count {
        let candidates = candidates(&spread, graph, &sample, &alone);
        if chosen.is_empty() {
            first = candidates.len();
        }
        let tried = candidates.into_iter().map(|package| {
            spread.holding[package as usize] = true;
            let runs = total(&spread.runs(&sample, COINS));
            spread.holding[package as usize] = false;
            (runs, package)
        });
        let Some((runs, package)) = tried.min().filter(|(runs, _)| *runs < before) else { break };
        before = runs;
        spread.holding[package as usize] = true;
        chosen.push(Hold { package, runs: total(&spread.runs(&all, COINS)) });
    }
    (chosen, first)
}

/// The packages that could save the most: those that are changed by many of the patches, and change much.
fn candidates(spread: &Spread<'_>, graph: &Graph, sample: &[&Patch], alone: &[u32]) -> Vec<u32> {
    let reached = spread.reached(sample, COINS);
    let patches = graph.patches();
    let mut scored: Vec<(u64, u32)> = patches
        .iter()
        .zip(alone)
        .filter(|(patch, _)| !spread.holding[patch.package as usize])
        .map(|(patch, runs)| {
            let below = patch.builds.iter().map(|build| u64::from(reached[*build as usize]));
            let above = u64::from(*runs) - patch.builds.len() as u64;
            (below.max().unwrap_or(0) * above, patch.package)
        })
        .filter(|(score, _)| *score > 0)
        .collect();
    scored.sort_unstable_by_key(|(score, package)| (std::cmp::Reverse(*score), *package));
    scored.into_iter().take(TRIED).map(|(_, package)| package).collect()
}

/// All of them together.
pub fn total(runs: &[u32]) -> u64 {
    runs.iter().map(|runs| u64::from(*runs)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studies::graphs::graph::{Kind, Node};

    /// Three packages below one, three above it.
    #[test]
    fn the_waist_of_an_hourglass_comes_first() {
        let node = |package, needs: &[u32]| Node {
            kind: Kind::Build,
            package,
            wanted: true,
            needs: needs.to_vec(),
        };
        let nodes = [
            node(0, &[]),
            node(1, &[]),
            node(2, &[]),
            node(3, &[0, 1, 2]),
            node(4, &[3]),
            node(5, &[3]),
            node(6, &[3]),
        ];
        let names = (0..7).map(|name| name.to_string()).collect();
        let graph = Graph::new("a drawing".to_owned(), names, &nodes).expect("a graph");
        let all = graph.patches();
        let runs = Spread::new(&graph).runs(&all.iter().collect::<Vec<_>>(), COINS);
        assert_eq!(runs, [5, 5, 5, 4, 1, 1, 1]);
        let (chosen, tried) = choose(&graph, 3, 1);
        assert_eq!((chosen, tried), (vec![Hold { package: 3, runs: 13 }], 4));
    }
}
