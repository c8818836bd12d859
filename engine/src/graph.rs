//! The graph of a request: recipes as nodes, dense indices as edges, in an order where inputs
//! come first. It knows no expression, no store and no query: what it is made from is in
//! `import`, what is asked of it in `db` and `schedule`. What builders make of derivations is added
//! while the request goes on, at its end.

use std::sync::Arc;

use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ids::Ids;
use crate::ledger::Short;
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
#[derive(Debug, Clone, Copy)]
pub struct GraphNode<'a> {
    /// What to do.
    pub recipe: &'a Arc<Recipe>,
    /// Whose outputs it needs, in the order of [`Recipe::deps`]. Each is less than the node's own
    /// index.
    pub deps: &'a [NodeIx],
}

/// For each node the nodes that use it, sorted: one table for all of them.
#[derive(Debug)]
pub struct Dependants {
    /// Where each node's users end in `users`; they begin where the former node's end.
    ends: Vec<u32>,
    users: Vec<NodeIx>,
}

impl Dependants {
    /// The users of a node.
    pub fn of(&self, ix: NodeIx) -> &[NodeIx] {
        slice(&self.users, &self.ends, ix)
    }
}

/// One node's part of a table for all of them.
fn slice<'a>(all: &'a [NodeIx], ends: &[u32], ix: NodeIx) -> &'a [NodeIx] {
    let start = ix.index().checked_sub(1).map_or(0, |former| ends[former]);
    &all[start as usize..ends[ix.index()] as usize]
}

/// What was asked for: some outputs of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The attribute path it was requested by; empty for a whole expression.
    pub attr: String,
    /// Which derivation.
    pub node: NodeIx,
    /// Which of its outputs.
    pub outputs: Vec<OutputName>,
}

/// A derivation that a builder made, or an output that one of those needs.
#[derive(Debug, Clone)]
struct Grown {
    recipe: Arc<Recipe>,
    deps: Box<[NodeIx]>,
    drv: Option<StorePath>,
}

/// All derivations of a request.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    recipes: Vec<Arc<Recipe>>,
    /// The edges of all nodes, one after another.
    deps: Vec<NodeIx>,
    /// Where each node's edges end in `deps`; they begin where the former node's end.
    ends: Vec<u32>,
    /// What was asked for.
    pub targets: Vec<Target>,
    /// What was found out since the request began; it never moves.
    grown: boxcar::Vec<Grown>,
}

impl Graph {
    /// Adds a node whose dependencies are in the graph already.
    ///
    /// # Panics
    /// When a dependency is not, or when the recipe counts its dependencies differently: the
    /// caller's order is broken.
    pub fn add(&mut self, recipe: Arc<Recipe>, deps: &[NodeIx]) -> NodeIx {
        assert!(self.grown.is_empty(), "what grew stands at the end");
        assert!(deps.iter().all(|dep| dep.index() < self.len()), "inputs come first");
        assert_eq!(deps.len(), recipe.deps.len(), "a node for each of the recipe's inputs");
        self.recipes.push(recipe);
        self.deps.extend_from_slice(deps);
        self.ends.push(u32::try_from(self.deps.len()).expect("fewer than 2^32 edges"));
        NodeIx(u32::try_from(self.len() - 1).expect("fewer than 2^32 derivations"))
    }

    /// Adds what a builder made, from the file `drv`, to a request that goes on.
    pub(crate) fn grow(
        &self,
        recipe: Arc<Recipe>,
        deps: Box<[NodeIx]>,
        drv: Option<StorePath>,
    ) -> NodeIx {
        let ix = self.first_len() + self.grown.push(Grown { recipe, deps, drv });
        NodeIx(u32::try_from(ix).expect("fewer than 2^32 derivations"))
    }

    /// Forgets what grew.
    pub(crate) fn shrink(&mut self) {
        self.grown.clear();
    }

    /// How many derivations there are.
    pub fn len(&self) -> usize {
        self.first_len() + self.grown.count()
    }

    /// How many there were as the request began.
    pub fn first_len(&self) -> usize {
        self.recipes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file of a derivation that a builder made.
    pub fn made_file(&self, ix: NodeIx) -> Option<&StorePath> {
        self.grown.get(ix.index().checked_sub(self.first_len())?)?.drv.as_ref()
    }

    /// A node.
    pub fn node(&self, ix: NodeIx) -> GraphNode<'_> {
        if let Some(at) = ix.index().checked_sub(self.first_len()) {
            let Grown { recipe, deps, .. } = &self.grown[at];
            return GraphNode { recipe, deps };
        }
        GraphNode { recipe: &self.recipes[ix.index()], deps: slice(&self.deps, &self.ends, ix) }
    }

    /// All nodes, inputs first.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeIx, GraphNode<'_>)> {
        (0..self.len()).map(|at| NodeIx(at as u32)).map(|ix| (ix, self.node(ix)))
    }

    /// Takes over a recipe that equals the node's own, so that only one of the two is kept.
    pub(crate) fn share(&mut self, ix: NodeIx, equal: &Arc<Recipe>) {
        self.recipes[ix.index()] = Arc::clone(equal);
    }

    /// Whether the graphs have one [`Shape`] as their requests begin: they may differ in what
    /// their recipes say, but not in names, edges and targets.
    pub fn is_shaped_like(&self, other: &Graph) -> bool {
        let alike = |(one, other): (&Arc<Recipe>, &Arc<Recipe>)| {
            Arc::ptr_eq(one, other) || one.is_shaped_like(other)
        };
        self.first_len() == other.first_len()
            && self.ends == other.ends
            && self.deps == other.deps
            && self.targets == other.targets
            && self.recipes.iter().zip(&other.recipes).all(alike)
    }

    /// What stands for the edges that the request began with.
    fn edges(&self) -> Digest {
        let numbers = self.ends.iter().copied().chain(self.deps.iter().map(|dep| dep.0));
        let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        Digest::of(&bytes)
    }

    /// The digest of a node's recipe and of all below it, as in [`Graph::deep_digests`].
    pub(crate) fn deep_digest(&self, recipes: &[Digest], top: NodeIx) -> Digest {
        let mut digests: FxHashMap<NodeIx, Digest> = FxHashMap::default();
        let mut stack = vec![top];
        while let Some(&ix) = stack.last() {
            if digests.contains_key(&ix) {
                stack.pop();
                continue;
            }
            let deps = self.node(ix).deps;
            let before = stack.len();
            stack.extend(deps.iter().filter(|dep| !digests.contains_key(dep)));
            if stack.len() == before {
                let below = deps.iter().map(|dep| &digests[dep]);
                let digest = deep(&recipes[ix.index()], below, &mut Vec::new());
                digests.insert(ix, digest);
            }
        }
        digests[&top]
    }

    /// Who uses whom.
    pub fn dependants(&self) -> Dependants {
        let mut ends = vec![0u32; self.len()];
        let deps = self.nodes().flat_map(|(_, node)| node.deps);
        deps.for_each(|dep| ends[dep.index()] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum - *end;
        }
        let mut users = vec![NodeIx(0); sum as usize];
        for (ix, node) in self.nodes() {
            for dep in node.deps {
                let end = &mut ends[dep.index()];
                users[*end as usize] = ix;
                *end += 1;
            }
        }
        Dependants { ends, users }
    }

    /// For each node the digest of its recipe, which `recipes` holds, and of all below it: the
    /// engine's unresolved key.
    pub fn deep_digests(&self, recipes: &[Digest]) -> Vec<Digest> {
        let mut digests: Vec<Digest> = Vec::with_capacity(self.len());
        let mut text = Vec::new();
        for ((_, node), recipe) in self.nodes().zip(recipes) {
            let below = node.deps.iter().map(|dep| &digests[dep.index()]);
            let digest = deep(recipe, below, &mut text);
            digests.push(digest);
        }
        digests
    }

    /// For each node its stable task id, unique in the graph: the attribute that was requested,
    /// then the names of the derivations on the way to it (the shortest way, the first among
    /// equals), so that the same node is found again though every store path changed. Where the
    /// way is long its beginning is replaced by a digest.
    pub fn task_ids(&self) -> Ids {
        let mut naming = Naming { ids: vec![None; self.len()], taken: Default::default() };
        let mut queue = std::collections::VecDeque::new();
        for target in &self.targets {
            if naming.ids[target.node.index()].is_none() {
                let name = &self.node(target.node).recipe.name;
                let id = if target.attr.is_empty() { name } else { target.attr.as_str() };
                naming.name(target.node, id.to_owned());
                queue.push_back(target.node);
            }
        }
        let mut seen: FxHashMap<&str, u32> = FxHashMap::default();
        while let Some(ix) = queue.pop_front() {
            let base = naming.ids[ix.index()].clone().expect("queued with an id");
            seen.clear();
            for &dep in self.node(ix).deps {
                let name: &str = &self.node(dep).recipe.name;
                let count = seen.entry(name).or_default();
                *count += 1;
                if naming.ids[dep.index()].is_none() {
                    let mut id = String::with_capacity(base.len() + name.len() + 4);
                    shorten(&base, name, &mut id);
                    if *count > 1 {
                        id.push_str(&format!("#{count}"));
                    }
                    naming.name(dep, id);
                    queue.push_back(dep);
                }
            }
        }
        for (ix, node) in self.nodes() {
            if naming.ids[ix.index()].is_none() {
                naming.name(ix, node.recipe.name.to_string());
            }
        }
        naming.ids.iter().map(|id| id.as_ref().expect("every node was named")).collect()
    }

    /// For each node the number of nodes on the longest way to a target.
    fn heights(&self) -> Vec<u32> {
        let mut heights = vec![1; self.len()];
        for (ix, node) in self.nodes().rev() {
            for dep in node.deps {
                heights[dep.index()] = heights[dep.index()].max(heights[ix.index()] + 1);
            }
        }
        heights
    }
}

/// The digest of a recipe and of all below it, whose deep digests are given.
pub(crate) fn deep<'d>(
    recipe: &Digest,
    below: impl Iterator<Item = &'d Digest>,
    text: &mut Vec<u8>,
) -> Digest {
    // Digests have one width and the recipe says how many there are: nothing to frame.
    text.clear();
    text.extend_from_slice(&recipe.0);
    below.for_each(|digest| text.extend_from_slice(&digest.0));
    Digest::of(text)
}

/// What follows from a graph's names, edges and targets: an edit of what recipes say leaves it as
/// it is, so it is kept from one request to the next.
#[derive(Debug)]
pub struct Shape {
    /// Each node's task id.
    pub tasks: Ids,
    /// What stands for them in ledgers.
    pub short_tasks: Vec<Short>,
    /// Who uses whom.
    pub dependants: Dependants,
    /// Length of the longest way from each node to a target.
    pub heights: Vec<u32>,
    /// The nodes that stand for outputs of derivations which builders make.
    pub dynamic: Vec<NodeIx>,
    /// What stands for the edges.
    pub edges: Digest,
}

impl Shape {
    /// The shape of a graph.
    pub fn of(graph: &Graph) -> Shape {
        let tasks = graph.task_ids();
        let short_tasks = tasks.iter().map(Short::of_task).collect();
        Shape::with(graph, tasks, short_tasks)
    }

    fn with(graph: &Graph, tasks: Ids, short_tasks: Vec<Short>) -> Shape {
        let dynamic = graph.nodes().filter(|(_, node)| node.recipe.is_dynamic());
        Shape {
            tasks,
            short_tasks,
            dependants: graph.dependants(),
            heights: graph.heights(),
            dynamic: dynamic.map(|(ix, _)| ix).collect(),
            edges: graph.edges(),
        }
    }

    /// The shape of a graph that has grown by these tasks since it had this one.
    pub fn grown(&self, graph: &Graph, found: &[Arc<str>]) -> Shape {
        let short = found.iter().map(|task| Short::of_task(task));
        let short_tasks = self.short_tasks.iter().copied().chain(short).collect();
        let mut tasks = self.tasks.clone();
        tasks.extend(found);
        Shape::with(graph, tasks, short_tasks)
    }

    /// All nodes that use one of these, however far, inputs first; what `passes` is false for is not
    /// looked through, and left out.
    pub fn above(&self, below: &[NodeIx], passes: impl Fn(NodeIx) -> bool) -> Vec<NodeIx> {
        let mut seen = vec![false; self.tasks.len()];
        let mut stack = below.to_vec();
        while let Some(ix) = stack.pop() {
            for &user in self.dependants.of(ix) {
                if !seen[user.index()] && passes(user) {
                    seen[user.index()] = true;
                    stack.push(user);
                }
            }
        }
        (0u32..).zip(seen).filter(|(_, seen)| *seen).map(|(at, _)| NodeIx(at)).collect()
    }
}

/// The longest task id that is written out: nobody reads on, and each node has one.
const TASK_LEN: usize = 160;

/// `base/name`; the way to `base` becomes a digest when it is too long to read, so that the ids
/// of a long chain do not grow with the square of its length.
fn shorten(base: &str, name: &str, id: &mut String) {
    if base.len() + name.len() < TASK_LEN {
        id.push_str(base);
    } else {
        let target = base.split('/').next().unwrap_or_default();
        let target = if target.len() < TASK_LEN / 2 { target } else { "" };
        id.push_str(target);
        id.push_str("/~");
        id.push_str(&Digest::of(base.as_bytes()).base16()[..32]);
    }
    id.push('/');
    id.push_str(name);
}

/// The task id of what was found below the task `base`, unlike all those in `taken`.
pub(crate) fn task_below(base: &str, name: &str, taken: &mut FxHashSet<Arc<str>>) -> Arc<str> {
    let mut wished = String::with_capacity(base.len() + name.len() + 4);
    shorten(base, name, &mut wished);
    let mut id: Arc<str> = Arc::from(wished.as_str());
    let mut nth = 1;
    while !taken.insert(Arc::clone(&id)) {
        nth += 1;
        id = Arc::from(format!("{wished}#{nth}"));
    }
    id
}

/// Task ids in the making.
struct Naming {
    ids: Vec<Option<Arc<str>>>,
    taken: FxHashSet<Arc<str>>,
}

impl Naming {
    /// Names a node; two targets may have the same attribute or name, their ids differ.
    fn name(&mut self, ix: NodeIx, wished: String) {
        let mut id: Arc<str> = Arc::from(wished.as_str());
        let mut nth = 1;
        while !self.taken.insert(Arc::clone(&id)) {
            nth += 1;
            id = Arc::from(format!("{wished}##{nth}"));
        }
        self.ids[ix.index()] = Some(id);
    }
}
