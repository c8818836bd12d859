//! Large graphs. Times are the benchmark's affair; here it is stacks, counts and text lengths.

use floe_engine::rebuilder::Strategy;

use crate::world::{Spec, World, graph};

/// Deeper than any stack would bear, if anything recursed.
#[test]
fn a_chain_of_a_hundred_thousand() {
    let count = 100_000;
    let mut specs: Vec<Spec> = (0..count)
        .map(|at| Spec::new(&format!("n{at}"), 1, &if at > 0 { vec![at - 1] } else { vec![] }))
        .collect();
    let longest = graph(&specs, &[count - 1]).task_ids().iter().map(|id| id.len()).max();
    assert!(longest < Some(450), "{longest:?}");
    for strategy in Strategy::ALL {
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
            Strategy::InputAddressed | Strategy::AsWritten => {
                assert_eq!(request.ran.len(), count);
            }
        }
    }
}
