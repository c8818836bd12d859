//! Random small graphs for tests, which shrink.

use proptest::collection::vec;
use proptest::prelude::*;

use super::coins::{Coins, Survival};
use super::graph::{Graph, Kind, Node};

/// Graphs of up to fourteen nodes, cycles among them.
pub fn graphs() -> impl Strategy<Value = Graph> {
    any_graphs(true)
}

/// The same without cycles and bundles, what is needed first.
pub fn plain_graphs() -> impl Strategy<Value = Graph> {
    any_graphs(false)
}

fn any_graphs(wild: bool) -> impl Strategy<Value = Graph> {
    let node = (0..16u8, 0..5u32, vec(any::<u32>(), 0..4));
    vec(node, 1..14).prop_map(move |raw| {
        let count = raw.len() as u32;
        let numbered = raw.into_iter().enumerate();
        let node = |(at, (kind, package, needs)): (usize, (u8, u32, Vec<u32>))| Node {
            kind: match kind % 8 {
                0 => Kind::Fixed,
                1 | 2 if wild => Kind::Bundle,
                _ => Kind::Build,
            },
            package,
            // nobody asks for a bundle
            wanted: kind < 12 && !matches!(kind % 8, 1 | 2),
            needs: match (wild, at as u32) {
                (true, _) => needs.iter().map(|need| need % count).collect(),
                (false, 0) => Vec::new(),
                (false, at) => needs.iter().map(|need| need % at).collect(),
            },
        };
        let packages = (0..5).map(|package| format!("p{package}")).collect();
        Graph::new("chance".to_owned(), packages, &numbered.map(node).collect::<Vec<_>>())
            .expect("all numbers fit")
    })
}

/// Coins of any kind.
pub fn coins() -> impl Strategy<Value = Coins> {
    (0..=4u32, 0..=4u32, any::<u64>()).prop_map(|(first, further, seed)| {
        let survival =
            Survival { first: f64::from(first) / 4.0, further: f64::from(further) / 4.0 };
        Coins { survival, seed }
    })
}
