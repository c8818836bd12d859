//! How far patches spread: which builds run again, for hundreds of patches at a time, a bit each. Knows no package set.

use super::coins::{Coins, Survival, Tosser};
use super::graph::{Graph, Kind, Patch};

const WORDS: usize = 8;
/// Patches that go together.
const LANES: usize = WORDS * 64;
/// Digits of a count: nodes have numbers of so many.
const DIGITS: usize = 32;

type Bits = [u64; WORDS];

/// What spreads patches: the graph with what follows from it, and who holds changes up.
#[derive(Debug)]
pub struct Spread<'a> {
    graph: &'a Graph,
    groups: Vec<Vec<u32>>,
    demanded: Vec<bool>,
    /// Packages whose builds come out as before whenever something below them changes, whatever the coins say.
    pub holding: Vec<bool>,
}

impl<'a> Spread<'a> {
    /// A spread in which coins alone decide.
    pub fn new(graph: &'a Graph) -> Self {
        Self {
            graph,
            groups: graph.groups(),
            demanded: graph.demanded(),
            holding: vec![false; graph.packages.len()],
        }
    }

    /// How many of the demanded builds run after each patch when the patched builds come out otherwise, those included. A build runs when
    /// something that it needs came out otherwise; then it comes out otherwise itself, unless the coins have it survive.
    pub fn runs(&self, patches: &[&Patch], coins: Coins) -> Vec<u32> {
        let mut counts = Vec::with_capacity(patches.len());
        self.waves(patches, coins, |wave| {
            wave.tally();
            counts.extend((0..wave.block.len()).map(|lane| wave.count(lane)));
        });
        counts
    }

    /// How many of the patches make each node run.
    pub fn reached(&self, patches: &[&Patch], coins: Coins) -> Vec<u32> {
        let mut counts = vec![0; self.graph.len()];
        self.waves(patches, coins, |wave| {
            for (count, ran) in counts.iter_mut().zip(&wave.ran) {
                *count += ran.iter().map(|word| word.count_ones()).sum::<u32>();
            }
        });
        counts
    }

    /// Spreads patches, some at a time.
    fn waves(&self, patches: &[&Patch], coins: Coins, mut done: impl FnMut(&mut Wave<'_>)) {
        let none = || vec![[0; WORDS]; self.graph.len()];
        let mut wave = Wave {
            spread: self,
            coins,
            block: &[],
            tossers: Vec::new(),
            patched: none(),
            near: none(),
            ran: none(),
            changed: none(),
            digits: [[0; WORDS]; DIGITS],
        };
        for block in patches.chunks(LANES) {
            wave.start(block);
            wave.settle(Wave::look);
            wave.settle(Wave::run);
            done(&mut wave);
        }
    }
}

struct Wave<'a> {
    spread: &'a Spread<'a>,
    coins: Coins,
    block: &'a [&'a Patch],
    /// The coins of each of them.
    tossers: Vec<Tosser>,
    /// For which patches a build is patched.
    patched: Vec<Bits>,
    /// For which it is patched, or is a bundle with something patched in it.
    near: Vec<Bits>,
    /// For which it runs, or, a bundle, has something changed in it.
    ran: Vec<Bits>,
    /// For which it comes out otherwise.
    changed: Vec<Bits>,
    /// Counts of runs, the digits apart: a count is read across.
    digits: [Bits; DIGITS],
}

impl<'a> Wave<'a> {
    fn start(&mut self, block: &'a [&'a Patch]) {
        for bits in [&mut self.patched, &mut self.near, &mut self.ran, &mut self.changed] {
            bits.fill([0; WORDS]);
        }
        self.digits = [[0; WORDS]; DIGITS];
        self.block = block;
        self.tossers = block.iter().map(|patch| self.coins.of(patch.package)).collect();
        for (lane, patch) in block.iter().enumerate() {
            for build in &patch.builds {
                self.patched[*build as usize][lane / 64] |= 1 << (lane % 64);
            }
        }
    }

    /// Takes a step at every node, again and again within a circle until nothing moves there.
    fn settle(&mut self, step: fn(&mut Self, u32) -> bool) {
        let spread = self.spread;
        for group in &spread.groups {
            loop {
                let mut moved = false;
                for node in group {
                    moved |= step(self, *node);
                }
                if !moved || group.len() == 1 {
                    break;
                }
            }
        }
    }

    /// Any of these bits of what a node needs.
    fn below(&self, node: u32, bits: &[Bits]) -> Bits {
        let mut any = [0; WORDS];
        for need in self.spread.graph.heeds(node) {
            let of = &bits[*need as usize];
            for word in 0..WORDS {
                any[word] |= of[word];
            }
        }
        any
    }

    /// Who has a patched build in it.
    fn look(&mut self, node: u32) -> bool {
        let near = match self.spread.graph.kind(node) {
            Kind::Bundle => self.below(node, &self.near),
            Kind::Build | Kind::Fixed => self.patched[node as usize],
        };
        near != std::mem::replace(&mut self.near[node as usize], near)
    }

    /// Who runs, and what comes out.
    fn run(&mut self, node: u32) -> bool {
        let at = node as usize;
        let mut ran = self.below(node, &self.changed);
        for (word, patched) in ran.iter_mut().zip(&self.patched[at]) {
            *word |= patched;
        }
        let before = std::mem::replace(&mut self.ran[at], ran);
        if ran == before {
            return false;
        }
        match self.spread.graph.kind(node) {
            Kind::Fixed => {}
            Kind::Bundle => self.changed[at] = ran,
            Kind::Build => {
                for word in 0..WORDS {
                    self.changed[at][word] |= self.patched[at][word];
                }
                self.toss(node, &std::array::from_fn(|word| ran[word] & !before[word]));
            }
        }
        true
    }

    /// Decides for a build and the patches for which it is new that it runs.
    fn toss(&mut self, node: u32, new: &Bits) {
        let graph = self.spread.graph;
        if self.spread.holding[graph.package(node) as usize] {
            return;
        }
        let Survival { first, further } = self.coins.survival;
        let near = self.below(node, &self.near);
        for word in 0..WORDS {
            let mut passes = new[word];
            for (p, mut left) in
                [(first, new[word] & near[word]), (further, new[word] & !near[word])]
            {
                if p <= 0.0 {
                    continue;
                }
                if p >= 1.0 {
                    passes &= !left;
                    continue;
                }
                while left != 0 {
                    let bit = left.trailing_zeros();
                    let tosser = self.tossers[word * 64 + bit as usize];
                    passes &= !(u64::from(tosser.survives(node, p)) << bit);
                    left &= left - 1;
                }
            }
            self.changed[node as usize][word] |= passes;
        }
    }

    fn tally(&mut self) {
        for node in self.spread.graph.nodes() {
            if self.spread.demanded[node as usize] {
                self.add(self.ran[node as usize]);
            }
        }
    }

    fn add(&mut self, mut carry: Bits) {
        for digit in &mut self.digits {
            if carry == [0; WORDS] {
                return;
            }
            for word in 0..WORDS {
                let both = digit[word] & carry[word];
                digit[word] ^= carry[word];
                carry[word] = both;
            }
        }
    }

    fn count(&self, lane: usize) -> u32 {
        let digits = self.digits.iter().enumerate();
        digits.map(|(at, digit)| ((digit[lane / 64] >> (lane % 64) & 1) as u32) << at).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::studies::graphs::testing::{coins, graphs};

    /// What runs after one patch, by going round until nothing is new.
    pub fn naive(graph: &Graph, patch: &Patch, coins: Coins, holding: &[bool]) -> BTreeSet<u32> {
        let patched = |node: u32| patch.builds.contains(&node);
        let mut near: BTreeSet<u32> = patch.builds.iter().copied().collect();
        let mut ran = near.clone();
        let mut changed = near.clone();
        let mut before = (0, 0, 0);
        while before != (near.len(), ran.len(), changed.len()) {
            before = (near.len(), ran.len(), changed.len());
            for node in graph.nodes().filter(|node| graph.kind(*node) == Kind::Bundle) {
                if graph.needs(node).iter().any(|need| near.contains(need)) {
                    near.insert(node);
                }
            }
        }
        before = (0, 0, 0);
        while before != (near.len(), ran.len(), changed.len()) {
            before = (near.len(), ran.len(), changed.len());
            for node in graph.nodes().filter(|node| graph.kind(*node) != Kind::Fixed) {
                if graph.needs(node).iter().any(|need| changed.contains(need)) {
                    ran.insert(node);
                    let first = graph.needs(node).iter().any(|need| near.contains(need));
                    let survives = graph.kind(node) == Kind::Build
                        && !patched(node)
                        && (holding[graph.package(node) as usize]
                            || coins.survives(patch.package, node, first));
                    if !survives {
                        changed.insert(node);
                    }
                }
            }
        }
        ran.retain(|node| graph.demanded()[*node as usize]);
        ran
    }

    proptest! {
        #[test]
        fn runs_are_those_of_a_plain_walk(graph in graphs(), coins in coins(), held in any::<u8>()) {
            let mut spread = Spread::new(&graph);
            for (at, holds) in spread.holding.iter_mut().enumerate() {
                *holds = held >> (at % 8) & 3 == 3;
            }
            let patches = graph.patches();
            let all: Vec<&Patch> = patches.iter().collect();
            let counts = spread.runs(&all, coins);
            for (patch, count) in all.iter().zip(counts) {
                let plain = naive(&graph, patch, coins, &spread.holding);
                prop_assert_eq!(count as usize, plain.len(), "patch to {}", patch.package);
            }
        }

        #[test]
        fn compact_graphs_run_as_much(graph in graphs(), of in 0..2u32) {
            let survival = Survival::level(f64::from(of));
            let coins = Coins { survival, seed: 1 };
            let compact = graph.compact();
            let runs = |graph: &Graph| {
                let patches = graph.patches();
                let all: Vec<&Patch> = patches.iter().collect();
                Spread::new(graph).runs(&all, coins)
            };
            prop_assert_eq!(runs(&graph), runs(&compact));
        }

        #[test]
        fn a_greater_likelihood_never_runs_more(graph in graphs(), seed in any::<u64>()) {
            let patches = graph.patches();
            let all: Vec<&Patch> = patches.iter().collect();
            let spread = Spread::new(&graph);
            let mut last = spread.runs(&all, Coins { survival: Survival::NONE, seed });
            for p in [0.2, 0.5, 0.8, 1.0] {
                let next = spread.runs(&all, Coins { survival: Survival::level(p), seed });
                prop_assert!(last.iter().zip(&next).all(|(less, more)| more <= less));
                last = next;
            }
        }
    }
}
