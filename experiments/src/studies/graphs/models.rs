//! The models of `papers/` on the same graph, asked what they run after a patch. Knows no engine.

use anyhow::{Context, Result, bail};
use floe_papers::project::{Node, Project};
use floe_papers::script::{Read, Script};
use floe_papers::systems;
use floe_papers::task::Look;
use floe_papers::value::{File, Key, Value};

use super::coins::Coins;
use super::graph::{Graph, Kind, Patch};

/// Chains of tens of thousands of tasks are visited by recursion.
const STACK_BYTES: usize = 4 << 30;

/// How many commands a model runs after each patch, having built everything before. Only for graphs without cycles and
/// bundles.
///
/// # Errors
/// There is no model of this name, it refuses the graph, or there are more nodes than it can number.
pub fn runs(graph: &Graph, patches: &[&Patch], coins: Coins, name: &str) -> Result<Vec<usize>> {
    if graph.len() > usize::from(u16::MAX) {
        bail!("the models number {} nodes at most, and there are {}", u16::MAX, graph.len());
    }
    let model = systems::model(name).with_context(|| format!("there is no model '{name}'"))?;
    let order = graph.groups().concat();
    let mut number = vec![0u16; graph.len()];
    for (at, node) in order.iter().enumerate() {
        number[*node as usize] = at as u16;
    }
    let wanted = graph.nodes().filter(|node| graph.wanted(*node));
    // A fixed thing is a model's input, and no target.
    let wanted = wanted.filter(|node| graph.kind(*node) == Kind::Build);
    let targets: Vec<Key> = wanted.map(|node| Key::Node(number[node as usize])).collect();
    let one = |patch: &Patch| -> Result<usize> {
        let mut system = (model.make)();
        let before = project(graph, &order, &number, patch, coins, false);
        let refused = |why| anyhow::anyhow!("the model '{name}' refuses the graph: {why:?}");
        system.build(&before, &targets).map_err(refused)?;
        let after = project(graph, &order, &number, patch, coins, true);
        Ok(system.build(&after, &targets).map_err(refused)?.ran().len())
    };
    std::thread::scope(|scope| {
        let work = || patches.iter().map(|patch| one(patch)).collect();
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, work).context("no stack for the models")?;
        thread.join().expect("the models do not panic")
    })
}

/// The graph as a model's project, before the patch or after. A build that survives reads in vain, as a compiler reads a
/// comment: what it reads shows in no output.
fn project(
    graph: &Graph,
    order: &[u32],
    number: &[u16],
    patch: &Patch,
    coins: Coins,
    is_patched: bool,
) -> Project {
    let node = |node: &u32| {
        if graph.kind(*node) == Kind::Fixed {
            return Node::Source(Value::words([u64::from(*node)]));
        }
        let needs = graph.needs(*node);
        let own = patch.builds.contains(node);
        let first = needs.iter().any(|need| patch.builds.contains(need));
        let shows = own || !coins.survives(patch.package, *node, first);
        let read =
            |need: &u32| Read::Look(number[*need as usize], Look::File(File(0)), u8::from(shows));
        let salt = u64::from(*node) << 1 | u64::from(own && is_patched);
        Node::Rule(Script::copying(salt, 1, needs.iter().map(read).collect()))
    };
    Project { nodes: order.iter().map(node).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::studies::graphs::coins::Survival;
    use crate::studies::graphs::spread::Spread;
    use crate::studies::graphs::testing::{coins, plain_graphs};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn models_run_what_is_simulated(graph in plain_graphs(), coins in coins()) {
            let patches = graph.patches();
            let all: Vec<&Patch> = patches.iter().collect();
            let ours = |coins| -> Vec<usize> {
                Spread::new(&graph).runs(&all, coins).into_iter().map(|runs| runs as usize).collect()
            };
            let content = runs(&graph, &all, coins, "floe, content-addressed").expect("a model");
            prop_assert_eq!(content, ours(coins));
            let content = runs(&graph, &all, coins, "Nix, content-addressed").expect("a model");
            prop_assert_eq!(content, ours(coins));
            let inputs = runs(&graph, &all, coins, "Nix, input-addressed").expect("a model");
            prop_assert_eq!(inputs, ours(Coins { survival: Survival::NONE, ..coins }));
        }
    }
}
