//! Random programs beside C++ Nix, without a fuzzer: `compare SEED COUNT`. Differences are written down, and
//! the counts come last. What mutates towards new code is the fuzz target `evaluate`.

use floe_probes::choices::random;
use floe_probes::compare::{Comparison, record};

/// Bytes of an input; not all of them are used.
const BYTES: usize = 400;

fn main() {
    let number = |at| std::env::args().nth(at).and_then(|text| text.parse::<u64>().ok());
    let (Some(seed), Some(count)) = (number(1), number(2)) else {
        eprintln!("usage: compare SEED COUNT");
        std::process::exit(2);
    };
    let mut comparison = Comparison::open().unwrap_or_else(|why| {
        eprintln!("error: {why}");
        std::process::exit(1);
    });
    let mut bytes = random(seed);
    for _ in 0..count {
        let data: Vec<u8> = bytes.by_ref().take(BYTES).collect();
        comparison.add(&data).iter().for_each(record);
    }
    comparison.finish().iter().for_each(record);
    println!("{:?}", comparison.counts);
    if comparison.counts.contains_key("different") {
        std::process::exit(1);
    }
}
