//! The rebuilders of the literature on one history: where each runs more or less than the others.

use floe_engine::rebuilder::Strategy;

use crate::world::{Spec, World};

/// How many builders run at first, again, after a comment at the bottom and without it again, after
/// a real change there and without it again.
fn check(rebuilder: &str, expect: [usize; 6]) {
    let strategy: Strategy = rebuilder.parse().expect("a rebuilder of this name");
    let mut world = World::new(strategy);
    let mut specs = vec![
        Spec::new("base", 1, &[]),
        Spec::new("mid", 0, &[0]),
        Spec::new("side", 2, &[]),
        Spec::new("top", 0, &[1, 2]),
    ];
    let mut ran = Vec::new();
    for (comment, op) in [(0, 1), (0, 1), (1, 1), (0, 1), (0, 2), (0, 1)] {
        (specs[0].comment, specs[0].op) = (comment, op);
        // What is remembered is on disk, not in this process.
        world.restart();
        let request = world.request(&specs, &[3], 2);
        request.assert_whole(&world);
        assert!(request.outcome.is_complete(&request.graph));
        ran.push(request.ran.len());
    }
    assert_eq!(ran, expect, "{rebuilder}");
}

#[test]
fn each_runs_what_it_must() {
    check("content-addressed", [4, 0, 1, 0, 3, 0]);
    check("input-addressed", [4, 0, 3, 0, 3, 0]);
    check("dirty-bit", [4, 0, 3, 3, 3, 3]);
    check("verifying", [4, 0, 1, 1, 3, 3]);
    check("step", [4, 0, 1, 1, 3, 3]);
    check("constructive", [4, 0, 1, 0, 3, 0]);
    check("deep-constructive", [4, 0, 3, 0, 3, 0]);
    check("depth-1", [4, 0, 1, 0, 3, 0]);
    // top looks at what base gave, and nobody asks for mid.
    check("depth-2", [4, 0, 1, 0, 3, 0]);
    check("depth-3", [4, 0, 3, 0, 3, 0]);
}

/// Numbers of builds and hashes part where a change is taken back before a user of it is built.
#[test]
fn steps_count_what_hashes_forget() {
    for (rebuilder, expect) in [("verifying", 0), ("step", 1)] {
        let mut world = World::new(rebuilder.parse().expect("a rebuilder of this name"));
        let mut specs = vec![Spec::new("base", 1, &[]), Spec::new("top", 0, &[0])];
        world.request(&specs, &[0, 1], 1);
        for op in [2, 1] {
            specs[0].op = op;
            // A graph holds what was asked for and nothing else.
            world.request(&specs[..1], &[0], 1);
        }
        assert_eq!(world.request(&specs, &[0, 1], 1).ran.len(), expect, "{rebuilder}");
    }
}

/// Results that are gone are made again by those that keep no more than hashes of them.
#[test]
fn what_is_gone_is_made_again() {
    for (rebuilder, expect) in [("content-addressed", 0), ("verifying", 1), ("constructive", 1)] {
        let mut world = World::new(rebuilder.parse().expect("a rebuilder of this name"));
        let specs = vec![Spec::new("base", 1, &[]), Spec::new("top", 0, &[0])];
        world.request(&specs, &[1], 1);
        world.shared.lock().lose(&["base"]);
        world.db.advance_epoch();
        assert_eq!(world.request(&specs, &[1], 1).ran.len(), expect, "{rebuilder}");
    }
}
