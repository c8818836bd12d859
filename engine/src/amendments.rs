//! Amendments: what requests found that differ from a former one in a few recipes, and in whose outputs
//! nothing came out otherwise. Everything above such an edit was cut off, which follows from the edges:
//! a row tells of the edits, however much lies above them, and is read together with the graph as it
//! was then, the frame. Whole ledgers take their place when a request finds out more. Nothing is decided
//! here and no store is known.

use floe_core::hash::Digest;
use floe_store::versioned;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::graph::{Graph, NodeIx, deep};
use crate::ledger::{Cause, Cutoff, Entry, Short};

/// So many requests are amended at most before the ledgers are written as a whole: whoever reads them
/// has to go through all.
pub const MOST: usize = 100;

/// The version byte of both rows.
const VERSION: u8 = 1;

/// The graph that amendments are about.
#[derive(Debug, Serialize, Deserialize)]
pub struct Frame {
    tasks: Vec<Short>,
    recipes: Vec<Digest>,
    /// The edges of all nodes, one after another.
    deps: Vec<u32>,
    /// Where each node's edges end; they begin where the former node's end.
    ends: Vec<u32>,
}

/// A derivation that was edited and came out as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Edited {
    /// Where it stands in the frame.
    pub place: u32,
    /// Of its recipe from then on.
    pub recipe: Digest,
    /// Its facts from then on.
    pub facts: Option<Short>,
}

/// What one request found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Amendment {
    /// Its number in the journal.
    pub request: u64,
    /// In seconds since 1970.
    pub at: u64,
    /// What differed.
    pub edited: Vec<Edited>,
}

/// The amendments of one request for the same, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Amendments(pub Vec<Amendment>);

/// What a ledger is to say of a task beside what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amended {
    /// The request that found it last.
    pub request: u64,
    unresolved: Short,
    /// Where it was edited.
    facts: Option<Short>,
    cutoff: Option<Cutoff>,
}

impl Amended {
    /// The entry as it is since.
    pub fn apply(&self, entry: &mut Entry) {
        entry.unresolved = self.unresolved;
        entry.cutoff = self.cutoff;
        entry.facts = self.facts.or(entry.facts);
    }
}

impl Frame {
    /// The frame of a graph.
    pub fn of(graph: &Graph, tasks: &[Short], recipes: &[Digest]) -> Frame {
        let (mut deps, mut ends) = (Vec::new(), Vec::with_capacity(graph.len()));
        for (_, node) in graph.nodes() {
            deps.extend(node.deps.iter().map(|dep| dep.0));
            ends.push(deps.len() as u32);
        }
        Frame { tasks: tasks.to_vec(), recipes: recipes.to_vec(), deps, ends }
    }

    /// The inverse of [`Frame::encode`]; one of another version is as good as none.
    pub fn decode(bytes: &[u8]) -> Option<Frame> {
        let frame: Frame = versioned::decode(VERSION, bytes).ok()?;
        let count = frame.tasks.len();
        let rises = frame.ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let is_whole = frame.recipes.len() == count
            && frame.ends.len() == count
            && rises
            && frame.ends.last().map_or(0, |end| *end as usize) == frame.deps.len()
            && (0..count).all(|at| frame.deps_of(at).iter().all(|dep| (*dep as usize) < at));
        is_whole.then_some(frame)
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(VERSION, self)
    }

    fn deps_of(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).map_or(0, |former| self.ends[former]);
        &self.deps[start as usize..self.ends[at] as usize]
    }

    /// What the amendments come to, by task.
    pub fn amended(mut self, amendments: &Amendments) -> Vec<(Short, Amended)> {
        let mut own: FxHashMap<usize, (usize, Option<Short>)> = FxHashMap::default();
        for (nth, amendment) in amendments.0.iter().enumerate() {
            for edited in &amendment.edited {
                let place = edited.place as usize;
                if let Some(recipe) = self.recipes.get_mut(place) {
                    *recipe = edited.recipe;
                    own.insert(place, (nth, edited.facts));
                }
            }
        }
        let mut digests: Vec<Digest> = Vec::with_capacity(self.tasks.len());
        // In which amendment each was news last.
        let mut news: Vec<Option<usize>> = Vec::with_capacity(self.tasks.len());
        let mut amended = Vec::new();
        let mut text = Vec::new();
        for (at, task) in self.tasks.iter().enumerate() {
            let deps = self.deps_of(at);
            let below = deps.iter().map(|dep| &digests[*dep as usize]);
            digests.push(deep(&self.recipes[at], below, &mut text));
            let edited = own.get(&at);
            let of = |dep: &u32| news[*dep as usize];
            let latest = deps.iter().filter_map(of).max();
            let itself = edited.map(|(nth, _)| *nth);
            // Where both are news at the same time, the record of the edit tells of it.
            let is_own = itself.is_some() && itself >= latest;
            let found = itself.max(latest);
            let cause = deps.iter().position(|dep| of(dep) == found);
            let cause = cause.map_or(Cause::Stored, |nth| Cause::Input(nth as u32));
            news.push(found);
            let Some(nth) = found else { continue };
            let Amendment { request, at: when, .. } = amendments.0[nth];
            amended.push((
                *task,
                Amended {
                    request,
                    unresolved: digests[at].into(),
                    facts: edited.and_then(|(_, facts)| *facts),
                    cutoff: (!is_own).then_some(Cutoff { at: when, request, cause }),
                },
            ));
        }
        amended
    }
}

impl Amendments {
    /// The inverse of [`Amendments::encode`]; those of another version are as good as none.
    pub fn decode(bytes: &[u8]) -> Option<Amendments> {
        versioned::decode(VERSION, bytes).ok()
    }

    /// As they are stored.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(VERSION, self)
    }
}

impl Edited {
    /// Of a node, as the ledger would tell of it.
    pub fn of(ix: NodeIx, recipe: Digest, entry: &Entry) -> Edited {
        Edited { place: ix.0, recipe, facts: entry.facts }
    }
}
