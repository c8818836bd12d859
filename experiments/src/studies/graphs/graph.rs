//! A graph of builds: what each needs, and which package it belongs to. Knows no package set and simulates nothing.

use anyhow::{Result, bail};
use floe_papers::chance::Chance;

/// What a node of a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that is built, and built again when what it needs has changed.
    Build,
    /// Something whose content is agreed on beforehand, as a fetched source is: a change below it never shows above it.
    Fixed,
    /// Several things that come as one, as an installed package and what it depends on: nothing is built, and whatever
    /// changes in it changes it.
    Bundle,
}

/// Nodes by number, each with the nodes that it needs. Cycles may occur: distributions build with what they have built.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    /// Where it is from, in words.
    pub origin: String,
    /// The packages, by number.
    pub packages: Vec<String>,
    kinds: Vec<Kind>,
    package: Vec<u32>,
    wanted: Vec<bool>,
    starts: Vec<u32>,
    needs: Vec<u32>,
}

/// A node before it has a number.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Whose it is: an index of [`Graph::packages`].
    pub package: u32,
    /// Whether it is asked for by itself, as an attribute is, and not only because something else needs it.
    pub wanted: bool,
    /// The nodes that it needs. Those of a [`Kind::Fixed`] are kept, and never followed.
    pub needs: Vec<u32>,
}

impl Graph {
    /// A graph of these nodes.
    ///
    /// # Errors
    /// A node names a package or a node that there is not.
    pub fn new(origin: String, packages: Vec<String>, nodes: &[Node]) -> Result<Self> {
        let mut graph = Self { origin, packages, starts: vec![0], ..Self::default() };
        for (at, node) in nodes.iter().enumerate() {
            if node.package as usize >= graph.packages.len() {
                bail!("node {at} is of package {}, which there is not", node.package);
            }
            if let Some(need) = node.needs.iter().find(|need| **need as usize >= nodes.len()) {
                bail!("node {at} needs node {need}, which there is not");
            }
            let mut needs = node.needs.clone();
            needs.sort_unstable();
            needs.dedup();
            graph.kinds.push(node.kind);
            graph.package.push(node.package);
            graph.wanted.push(node.wanted);
            graph.needs.extend(needs);
            graph.starts.push(u32::try_from(graph.needs.len())?);
        }
        Ok(graph)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// How many uses there are.
    pub fn uses(&self) -> usize {
        self.needs.len()
    }

    /// What a node is.
    pub fn kind(&self, node: u32) -> Kind {
        self.kinds[node as usize]
    }

    /// Whose it is.
    pub fn package(&self, node: u32) -> u32 {
        self.package[node as usize]
    }

    /// Whether it is asked for by itself.
    pub fn wanted(&self, node: u32) -> bool {
        self.wanted[node as usize]
    }

    /// The node as data.
    fn node(&self, node: u32, needs: Vec<u32>) -> Node {
        let (kind, package) = (self.kind(node), self.package(node));
        Node { kind, package, wanted: self.wanted(node), needs }
    }

    /// All that a node needs, in ascending order.
    pub fn needs(&self, node: u32) -> &[u32] {
        let at = node as usize;
        &self.needs[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// What of it can change it: nothing for a [`Kind::Fixed`].
    pub fn heeds(&self, node: u32) -> &[u32] {
        match self.kind(node) {
            Kind::Fixed => &[],
            Kind::Build | Kind::Bundle => self.needs(node),
        }
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.len() as u32
    }

    /// How many nodes are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.kinds.iter().filter(|of| **of == kind).count()
    }

    /// The builds that are demanded: wanted, or needed by one that is demanded. What only a fixed thing needs is not, since
    /// a fixed thing that is there needs nothing: who has fetched a source builds no fetcher.
    pub fn demanded(&self) -> Vec<bool> {
        let mut found = vec![false; self.len()];
        let mut open: Vec<u32> = self.nodes().filter(|node| self.wanted(*node)).collect();
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut found[node as usize], true) {
                open.extend(self.heeds(node));
            }
        }
        for node in self.nodes() {
            found[node as usize] &= self.kind(node) == Kind::Build;
        }
        found
    }

    /// The demanded builds of each package that has one: what a patch to the package changes at once.
    pub fn patches(&self) -> Vec<Patch> {
        let mut builds = vec![Vec::new(); self.packages.len()];
        let demanded = self.demanded();
        for node in self.nodes().filter(|node| demanded[*node as usize]) {
            builds[self.package(node) as usize].push(node);
        }
        let numbered = builds.into_iter().enumerate().filter(|(_, builds)| !builds.is_empty());
        numbered.map(|(package, builds)| Patch { package: package as u32, builds }).collect()
    }

    /// The nodes in groups, what is needed before what needs it. Only nodes of one group can need each other in a circle;
    /// within it most come after what they need.
    pub fn groups(&self) -> Vec<Vec<u32>> {
        let mut walk = Tarjan {
            graph: self,
            number: vec![0; self.len()],
            low: vec![0; self.len()],
            next: 1,
            open: Vec::new(),
            groups: Vec::new(),
        };
        for node in self.nodes() {
            if walk.number[node as usize] == 0 {
                walk.from(node);
            }
        }
        let rank = self.depth_first();
        for group in &mut walk.groups {
            group.sort_unstable_by_key(|node| rank[*node as usize]);
        }
        walk.groups
    }

    /// The same builds and fixed things, with only those bundles that tell a build something new: not those that nothing
    /// is built with, nor those of one thing, which stand for it. Nodes get new numbers, those with the most users first.
    pub fn compact(&self) -> Self {
        let stand_in = |mut node: u32| {
            for _ in 0..self.len() {
                match (self.kind(node), self.needs(node)) {
                    (Kind::Bundle, [one]) if *one != node => node = *one,
                    _ => break,
                }
            }
            node
        };
        let needs = |node: u32| {
            let mut needs: Vec<u32> = self.needs(node).iter().map(|need| stand_in(*need)).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        };
        let mut users = vec![0u32; self.len()];
        let mut kept: Vec<u32> =
            self.nodes().filter(|node| self.kind(*node) != Kind::Bundle).collect();
        let mut seen: Vec<bool> =
            self.nodes().map(|node| self.kind(node) != Kind::Bundle).collect();
        let mut at = 0;
        while let Some(node) = kept.get(at).copied() {
            at += 1;
            for need in needs(node) {
                users[need as usize] += 1;
                if !std::mem::replace(&mut seen[need as usize], true) {
                    kept.push(need);
                }
            }
        }
        kept.sort_by_key(|node| std::cmp::Reverse(users[*node as usize]));
        let mut numbers = vec![0u32; self.len()];
        for (number, node) in kept.iter().enumerate() {
            numbers[*node as usize] = number as u32;
        }
        let nodes: Vec<Node> = kept
            .iter()
            .map(|node| {
                let needs = needs(*node).iter().map(|need| numbers[*need as usize]).collect();
                self.node(*node, needs)
            })
            .collect();
        Self::new(self.origin.clone(), self.packages.clone(), &nodes).expect("all are numbered")
    }

    /// The same graph without the uses that close a cycle, found by going down from the nodes in their order; and how many
    /// those are.
    pub fn acyclic(&self) -> (Self, usize) {
        let rank = self.depth_first();
        let mut cut = 0;
        let nodes: Vec<Node> = self
            .nodes()
            .map(|node| {
                let all = self.needs(node);
                let kept = all.iter().copied();
                let needs: Vec<u32> =
                    kept.filter(|need| rank[*need as usize] < rank[node as usize]).collect();
                cut += all.len() - needs.len();
                self.node(node, needs)
            })
            .collect();
        let graph = Self::new(self.origin.clone(), self.packages.clone(), &nodes);
        (graph.expect("a part of a graph is one"), cut)
    }

    /// A part of the graph with so many builds, or few more: wanted nodes drawn from the seed, and all that they need.
    pub fn part(&self, builds: usize, seed: u64) -> Self {
        let mut tops: Vec<u32> = self.nodes().filter(|node| self.wanted(*node)).collect();
        let mut chance = Chance::new(seed);
        tops.sort_by_cached_key(|_| chance.number());
        let mut kept = vec![false; self.len()];
        let mut count = 0;
        for top in tops {
            if count >= builds {
                break;
            }
            let mut open = vec![top];
            while let Some(node) = open.pop() {
                if !std::mem::replace(&mut kept[node as usize], true) {
                    count += usize::from(self.kind(node) == Kind::Build);
                    open.extend(self.needs(node));
                }
            }
        }
        let mut number = 0;
        let numbers: Vec<u32> = kept
            .iter()
            .map(|kept| {
                number += u32::from(*kept);
                number.saturating_sub(1)
            })
            .collect();
        let nodes: Vec<Node> = self
            .nodes()
            .filter(|node| kept[*node as usize])
            .map(|node| {
                let needs = self.needs(node).iter();
                self.node(node, needs.map(|need| numbers[*need as usize]).collect())
            })
            .collect();
        Self::new(self.origin.clone(), self.packages.clone(), &nodes).expect("all are numbered")
    }

    /// When each node is left, going down from all in their order: without cycles, after all that it needs.
    fn depth_first(&self) -> Vec<u32> {
        let mut rank = vec![u32::MAX; self.len()];
        let mut seen = vec![false; self.len()];
        let mut next = 0;
        for root in self.nodes() {
            let mut stack = vec![(root, 0)];
            while let Some((node, at)) = stack.pop() {
                if at == 0 && std::mem::replace(&mut seen[node as usize], true) {
                    continue;
                }
                match self.needs(node).get(at) {
                    Some(need) => stack.extend([(node, at + 1), (*need, 0)]),
                    None => {
                        rank[node as usize] = next;
                        next += 1;
                    }
                }
            }
        }
        rank
    }
}

/// A patch to a package: every build of it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The package.
    pub package: u32,
    /// Its builds, in ascending order.
    pub builds: Vec<u32>,
}

/// Strongly connected components (Tarjan 1972), without recursion: chains are long.
struct Tarjan<'a> {
    graph: &'a Graph,
    /// When a node was found, from 1; 0 for not yet, `u32::MAX` for done.
    number: Vec<u32>,
    low: Vec<u32>,
    next: u32,
    open: Vec<u32>,
    groups: Vec<Vec<u32>>,
}

impl Tarjan<'_> {
    fn from(&mut self, root: u32) {
        self.find(root);
        let mut stack = vec![(root, 0)];
        while let Some((node, at)) = stack.pop() {
            let here = node as usize;
            if let Some(need) = self.graph.heeds(node).get(at).copied() {
                stack.push((node, at + 1));
                match self.number[need as usize] {
                    0 => {
                        self.find(need);
                        stack.push((need, 0));
                    }
                    number => self.low[here] = self.low[here].min(number),
                }
                continue;
            }
            if self.low[here] == self.number[here] {
                let from = self.open.iter().rposition(|open| *open == node).expect("it is open");
                let group = self.open.split_off(from);
                group.iter().for_each(|done| self.number[*done as usize] = u32::MAX);
                self.groups.push(group);
            } else if let Some((user, _)) = stack.last() {
                self.low[*user as usize] = self.low[*user as usize].min(self.low[here]);
            }
        }
    }

    fn find(&mut self, node: u32) {
        self.number[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.open.push(node);
    }
}
