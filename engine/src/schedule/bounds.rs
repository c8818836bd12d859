//! What will certainly run and what may run, told before anything does.

use std::collections::HashSet;

use super::{Scheduler, State};
use crate::graph::NodeIx;

/// What runs and what may; the fields are those of [`Outcome`](super::Outcome).
#[derive(Default)]
pub(super) struct Bounds {
    pub(super) certain: Vec<NodeIx>,
    pub(super) possible: Vec<NodeIx>,
    pub(super) unknown: Vec<NodeIx>,
    pub(super) wanted: Vec<NodeIx>,
}

impl Scheduler<'_> {
    /// The bounds of what runs.
    pub(super) fn bounds(&self) -> Bounds {
        let Bounds { mut certain, mut possible, mut unknown, mut wanted } = Bounds::default();
        let mut keys = HashSet::new();
        let mut addresses = HashSet::new();
        let mut reached = vec![false; self.graph.len()];
        let mut stack = Vec::new();
        for (ix, _) in self.graph.nodes() {
            let at = ix.index();
            match self.states[at] {
                // Nothing runs for it but what it waits for.
                State::Blocked(_) if self.is_dynamic(ix) => reached[at] = true,
                State::Blocked(_) | State::Ready => {
                    reached[at] = true;
                    // Two of one key share a run; two of one address may find it there.
                    let shares = self.keys[at].is_some_and(|key| !keys.insert(key));
                    let here = self.outputs[at].as_ref().is_some_and(|own| !addresses.insert(own));
                    match (shares, here) {
                        (true, _) => {}
                        (false, true) => possible.push(ix),
                        (false, false) => certain.push(ix),
                    }
                }
                State::Waiting if self.asked[at] => stack.push(ix),
                _ => {}
            }
        }
        // Whoever may run needs the objects that it uses of its inputs, and they may be gone.
        let above = self.standing.as_ref().map_or(&[][..], |standing| &standing.above);
        above.iter().for_each(|ix| reached[ix.index()] = true);
        for &ix in above {
            for (nth, &dep) in self.deps(ix).iter().enumerate() {
                // What is present is so since somebody asked for it.
                let is_asked = reached[dep.index()] || self.states[dep.index()].is_present();
                if !is_asked && !self.are_here(dep, self.used(ix, nth)) {
                    stack.push(dep);
                }
            }
        }
        while let Some(ix) = stack.pop() {
            let at = ix.index();
            if !std::mem::replace(&mut reached[at], true) {
                if self.is_dynamic(ix) {
                    let (feeder, names) = (self.feeder(ix), self.needed_of_feeder(ix));
                    if !reached[feeder.index()] && !self.are_here(feeder, names) {
                        stack.push(feeder);
                    }
                    if !self.growth.finds.targets.contains_key(&ix) {
                        unknown.push(ix);
                    }
                    continue;
                }
                possible.push(ix);
                if self.outputs[at].is_some() {
                    wanted.push(ix);
                }
                for (nth, &dep) in self.deps(ix).iter().enumerate() {
                    if !reached[dep.index()] && !self.are_here(dep, self.used(ix, nth)) {
                        stack.push(dep);
                    }
                }
            }
        }
        possible.extend(above);
        possible.sort_unstable();
        unknown.sort_unstable();
        wanted.sort_unstable();
        Bounds { certain, possible, unknown, wanted }
    }
}
