//! A project: sources and scripts by node, and the edits that a developer makes. Knows no build system.

use std::collections::{BTreeMap, BTreeSet};

use crate::script::{Read, Script, ScriptTask};
use crate::task::{Task, Tasks};
use crate::value::{Key, Value, hash};

/// A node of a project.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// A file tree that a person writes.
    Source(Value),
    /// Something that is made.
    Rule(Script),
}

/// Nodes by number. A script reads nodes of smaller numbers alone, so no project has a cycle.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Project {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// One change to a project: what a node becomes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Edit {
    /// The node.
    pub node: u16,
    /// What it becomes.
    pub becomes: Node,
}

impl Project {
    /// The script of a node.
    pub fn script(&self, node: u16) -> Option<&Script> {
        match self.nodes.get(usize::from(node)) {
            Some(Node::Rule(script)) => Some(script),
            _ => None,
        }
    }

    /// The numbers of the nodes that are made.
    pub fn rules(&self) -> impl Iterator<Item = u16> + '_ {
        (0..self.nodes.len() as u16).filter(|node| self.script(*node).is_some())
    }

    /// What nothing else reads: building these builds all.
    pub fn sinks(&self) -> Vec<Key> {
        let scripts = self.nodes.iter().filter_map(|node| match node {
            Node::Rule(script) => Some(script),
            Node::Source(_) => None,
        });
        let read: BTreeSet<u16> = scripts.flat_map(|s| &s.reads).flat_map(read_nodes).collect();
        self.rules().filter(|node| !read.contains(node)).map(Key::Node).collect()
    }

    /// The inputs at this moment: sources, the texts of the scripts, and the world, which never stands still.
    pub fn inputs(&self, moment: u64) -> BTreeMap<Key, Value> {
        let numbered = self.nodes.iter().enumerate().map(|(at, node)| match node {
            Node::Source(value) => (Key::Node(at as u16), value.clone()),
            Node::Rule(script) => (Key::Script(at as u16), Value::words([hash(script)])),
        });
        numbered.chain([(Key::World, Value::words([moment]))]).collect()
    }

    /// Make a change.
    pub fn apply(&mut self, edit: &Edit) {
        if let Some(node) = self.nodes.get_mut(usize::from(edit.node)) {
            *node = edit.becomes.clone();
        }
    }
}

/// The nodes that a read may look at.
pub fn read_nodes(read: &Read) -> Vec<u16> {
    match read {
        Read::Look(node, _, _) => vec![*node],
        Read::If(test, yes, no, _) => vec![*test, *yes, *no],
        Read::Search(_, first, second, _) => vec![*first, *second],
        Read::Indirect(test, among, _) => among.iter().chain([test]).copied().collect(),
    }
}

impl Tasks for Project {
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>> {
        let Key::Node(node) = key else { return None };
        let script = self.script(node)?;
        Some(Box::new(ScriptTask { key, script }))
    }
}
