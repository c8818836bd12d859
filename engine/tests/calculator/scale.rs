//! Large graphs. Times are the benchmark's affair; here it is stacks, counts and text lengths.

use floe_engine::rebuilder::Strategy;

use crate::world::{Spec, World, graph};

/// Deeper than a test's stack would bear, if anything recursed: salsa takes 5 kB a level.
#[test]
fn a_long_chain() {
    // The other rebuilders run all above a change by their nature, so a shorter chain shows as
    // much.
    for strategy in Strategy::ALL {
        chain(strategy, if strategy == Strategy::ContentAddressed { 10_000 } else { 1_000 });
    }
}

fn chain(strategy: Strategy, count: usize) {
    let mut specs: Vec<Spec> = (0..count)
        .map(|at| Spec::new(&format!("n{at}"), 1, &if at > 0 { vec![at - 1] } else { vec![] }))
        .collect();
    let longest = graph(&specs, &[count - 1]).task_ids().iter().map(|id| id.len()).max();
    assert!(longest < Some(450), "{longest:?}");
    let mut world = World::new(strategy);
    assert_eq!(world.request(&specs, &[count - 1], 2).ran.len(), count);
    assert_eq!(world.request(&specs, &[count - 1], 2).counts.executed, 0);
    specs[0].comment += 1;
    let request = world.request(&specs, &[count - 1], 2);
    match strategy {
        Strategy::ContentAddressed => {
            assert_eq!(request.ran, ["n0"]);
            assert!(request.counts.executed < 10);
        }
        Strategy::InputAddressed | Strategy::AsWritten => assert_eq!(request.ran.len(), count),
    }
}
