//! The graph of a request: recipes as nodes, dense indices as edges, in an order where inputs
//! come first. It knows no expression, no store and no query: what it is made from is in
//! `import`, what is asked of it in `db` and `plan`.

use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::OutputName;

use crate::recipe::Recipe;

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIx(pub u32);

impl NodeIx {
    /// As an index into a dense table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One derivation of a request.
#[derive(Debug, Clone)]
pub struct GraphNode {
    /// What to do.
    pub recipe: Arc<Recipe>,
    /// Whose outputs it needs, in the order of [`Recipe::deps`]. Each is less than the node's own index.
    pub deps: Vec<NodeIx>,
}

/// What was asked for: some outputs of one node.
#[derive(Debug, Clone)]
pub struct Target {
    /// The attribute path it was requested by; empty for a whole expression.
    pub attr: String,
    /// Which derivation.
    pub node: NodeIx,
    /// Which of its outputs.
    pub outputs: Vec<OutputName>,
}

/// All derivations of a request.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<GraphNode>,
    /// What was asked for.
    pub targets: Vec<Target>,
}

impl Graph {
    /// Adds a node whose dependencies are in the graph already.
    ///
    /// # Panics
    /// When a dependency is not, or when the recipe counts its dependencies differently: the
    /// caller's order is broken.
    pub fn add(&mut self, recipe: Arc<Recipe>, deps: Vec<NodeIx>) -> NodeIx {
        assert!(deps.iter().all(|dep| dep.index() < self.nodes.len()), "inputs come first");
        assert_eq!(deps.len(), recipe.deps.len(), "a node for each of the recipe's inputs");
        self.nodes.push(GraphNode { recipe, deps });
        NodeIx(u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 derivations"))
    }

    /// How many derivations there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node.
    pub fn node(&self, ix: NodeIx) -> &GraphNode {
        &self.nodes[ix.index()]
    }

    /// All nodes, inputs first.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeIx, &GraphNode)> {
        self.nodes.iter().enumerate().map(|(at, node)| (NodeIx(at as u32), node))
    }

    /// For each node the nodes that use it, sorted.
    pub fn dependants(&self) -> Vec<Vec<NodeIx>> {
        let mut dependants = vec![Vec::new(); self.len()];
        for (ix, node) in self.nodes() {
            for dep in &node.deps {
                dependants[dep.index()].push(ix);
            }
        }
        dependants
    }

    /// For each node the digest of its recipe and of all below it.
    pub fn deep_digests(&self) -> Vec<Digest> {
        let mut digests: Vec<Digest> = Vec::with_capacity(self.len());
        for (_, node) in self.nodes() {
            let below = node.deps.iter().map(|dep| digests[dep.index()]);
            digests.push(node.recipe.deep_digest(below));
        }
        digests
    }

    /// For each node its stable task id: the attribute that was requested, then the names of
    /// the derivations on the way to it (the shortest way, the first among equals), so that the
    /// same node is found again though every store path changed.
    pub fn task_ids(&self) -> Vec<Arc<str>> {
        let mut ids: Vec<Option<Arc<str>>> = vec![None; self.len()];
        let mut queue = std::collections::VecDeque::new();
        for target in &self.targets {
            let slot = &mut ids[target.node.index()];
            if slot.is_none() {
                let name = &self.node(target.node).recipe.name;
                *slot = Some(if target.attr.is_empty() {
                    Arc::clone(name)
                } else {
                    Arc::from(target.attr.as_str())
                });
                queue.push_back(target.node);
            }
        }
        while let Some(ix) = queue.pop_front() {
            let base = ids[ix.index()].clone().expect("queued with an id");
            let mut seen: std::collections::HashMap<&str, u32> = Default::default();
            for &dep in &self.node(ix).deps {
                let name = &*self.node(dep).recipe.name;
                let count = seen.entry(name).or_default();
                *count += 1;
                if ids[dep.index()].is_none() {
                    let id = match *count {
                        1 => format!("{base}/{name}"),
                        n => format!("{base}/{name}#{n}"),
                    };
                    ids[dep.index()] = Some(Arc::from(id));
                    queue.push_back(dep);
                }
            }
        }
        ids.into_iter()
            .zip(self.nodes())
            .map(|(id, (_, node))| id.unwrap_or_else(|| Arc::clone(&node.recipe.name)))
            .collect()
    }
}
