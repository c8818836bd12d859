//! Large graphs. Times are the benchmark's affair; here it is stacks, counts and text lengths.

use floe_engine::rebuilder::Strategy;

use crate::world::{Spec, World, graph};

/// A change that is cut off is resolved, and nobody above it is: not even validated.
#[test]
fn work_is_that_of_the_change() {
    // One at the bottom, ten rows of a hundred, each node using two of the row below, one on top.
    let mut specs = vec![Spec::new("base", 1, &[])];
    for row in 0..10 {
        for column in 0..100 {
            let below = |shift: usize| match row {
                0 => 0,
                _ => 1 + (row - 1) * 100 + (column + shift) % 100,
            };
            let deps = if row == 0 { vec![0] } else { vec![below(0), below(1)] };
            specs.push(Spec::new(&format!("n{row}.{column}"), 1, &deps));
        }
    }
    let last_row: Vec<usize> = (specs.len() - 100..specs.len()).collect();
    specs.push(Spec::new("top", 0, &last_row));
    let top = specs.len() - 1;
    let mut world = World::new(Strategy::ContentAddressed);
    assert_eq!(world.request(&specs, &[top], 2).counts.resolved, specs.len() as u64);

    specs[0].comment = 1;
    let request = world.request(&specs, &[top], 2);
    assert_eq!(request.ran, ["base"]);
    assert_eq!((request.counts.executed, request.counts.resolved), (2, 1));
    assert_eq!(request.counts.validated, 0);
    assert_eq!(request.outcome.possible.len(), specs.len() - 1);
    let back = world.request(&specs, &[top], 2);
    assert_eq!((back.counts.executed, back.counts.resolved), (0, 0));

    // In the middle: its own two users' answers rest on it, and are not asked for either.
    specs[450].comment = 1;
    let request = world.request(&specs, &[top], 2);
    assert_eq!((request.counts.executed, request.counts.resolved), (2, 1));
}

/// Deeper than a test's stack would bear, if anything recursed: salsa takes 5 kB a level.
#[test]
fn a_long_chain() {
    // The other rebuilders run all above a change by their nature, so a shorter chain shows as
    // much.
    for strategy in Strategy::TRACED {
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
        _ => assert_eq!(request.ran.len(), count),
    }
}
