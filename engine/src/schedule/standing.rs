//! A request that differs from the former one in what a few recipes say. All else stands as it was left,
//! and what lies above the edit is not even looked at while the edited nodes run: if they come out as
//! they were, nothing above is any different. The first that does not, or that will not come out at
//! all, puts all above it in question, and from then on the request is like any other.

use std::sync::Arc;

use super::names::Names;
use super::plan::MOST;
use super::{Scheduler, State};
use crate::graph::NodeIx;
use crate::resolve::Outputs;

/// What stands for the time being.
pub(super) struct Standing {
    /// The nodes that were edited. None of them lies above another.
    pub(super) edited: Vec<NodeIx>,
    /// Those above that may have to run, inputs first, and were not told to be cut off yet.
    pub(super) above: Vec<NodeIx>,
}

/// Those whose outputs are not known yet.
fn open(edited: &[NodeIx], outputs: &[Option<Arc<Outputs>>]) -> Vec<NodeIx> {
    edited.iter().copied().filter(|ix| outputs[ix.index()].is_none()).collect()
}

impl Scheduler<'_> {
    /// Looks up what was edited and nothing else; whether that is enough for now.
    pub(super) fn look_up_edited(&mut self) -> bool {
        let Some(edited) = self.edited.take() else { return false };
        if self.checking || self.judging.is_some() || self.options.dry_run {
            return false;
        }
        let is_edited = |ix: &NodeIx| edited.binary_search(ix).is_ok();
        let mut targets = self.graph.targets.iter().filter(|target| !is_edited(&target.node));
        let are_here = targets.all(|target| {
            let names = Names::of(self.graph.node(target.node).recipe, &target.outputs);
            self.are_here(target.node, names)
        });
        let above = self.shape.above(&edited, |user| !self.addressed[user.index()]);
        if !are_here || !self.is_wanted_throughout(&edited, &above) {
            return false;
        }
        edited.iter().for_each(|&ix| self.learn(ix));
        if edited.iter().any(|ix| self.moved[ix.index()]) {
            return false;
        }
        let open = open(&edited, &self.outputs);
        let is_over = open.is_empty();
        self.standing = Some(Standing { edited, above });
        self.demand_targets();
        open.into_iter().for_each(|ix| self.demand(ix, None));
        if is_over {
            // Known without running anything: nobody waits, so there is nothing to tell.
            self.standing.iter_mut().for_each(|standing| standing.above.clear());
        }
        self.spread();
        if self.rechosen {
            self.forget_round();
            return false;
        }
        true
    }

    /// Whether a target needs each of these by a way of nodes that do not know their outputs before
    /// their inputs', and no edited node lies on another's way.
    fn is_wanted_throughout(&self, edited: &[NodeIx], above: &[NodeIx]) -> bool {
        let is_wanted = |ix: &NodeIx| {
            let mut users = self.shape.dependants.of(*ix).iter();
            users.any(|user| !self.addressed[user.index()])
                || self.graph.targets.iter().any(|target| target.node == *ix)
        };
        edited.iter().all(|ix| above.binary_search(ix).is_err())
            && edited.iter().chain(above).all(is_wanted)
    }

    /// Whether nothing that stands for the time being can fall any more.
    pub(super) fn is_settled(&self) -> bool {
        let standing = self.standing.as_ref();
        standing.is_none_or(|standing| open(&standing.edited, &self.outputs).is_empty())
    }

    /// The edited nodes, if nothing else had to be looked at and nothing else ran.
    pub(super) fn settled(&mut self) -> Option<Vec<NodeIx>> {
        let Standing { edited, .. } = self.standing.take()?;
        let ran = edited.iter().filter(|ix| matches!(self.states[ix.index()], State::Built(_)));
        (ran.count() as u64 == self.builders_run).then_some(edited)
    }

    /// An edited node came out as it was: what lies above it, and above no other that is still to
    /// come out, is cut off.
    pub(super) fn settle_above(&mut self) {
        let Some(standing) = &mut self.standing else { return };
        let open = open(&standing.edited, &self.outputs);
        let left = match open.is_empty() {
            true => Vec::new(),
            // Looking takes longer than telling is worth.
            false if standing.above.len() > MOST => return,
            false => self.shape.above(&open, |user| !self.addressed[user.index()]),
        };
        let above = std::mem::take(&mut standing.above);
        let cut_off = above.iter().filter(|ix| left.binary_search(ix).is_err());
        self.cut_off.extend(cut_off.map(|ix| ix.0));
        standing.above = left;
    }

    /// Something came out otherwise, or may not come: all that rests on it is in question.
    pub(super) fn unfold(&mut self) {
        let Some(Standing { edited, above }) = self.standing.take() else { return };
        let mut doubted = vec![false; self.graph.len()];
        let edited = edited.iter().map(|&ix| (ix, true));
        for (ix, is_edited) in edited.chain(above.iter().map(|&ix| (ix, false))) {
            let at = ix.index();
            if !is_edited {
                if !doubted[at] {
                    continue;
                }
                self.learn(ix);
                // What is asked of it now is another question.
                self.asked[at] = false;
            }
            if self.moved[at] || self.outputs[at].is_none() {
                self.users(ix).for_each(|user| doubted[user.index()] = true);
            }
        }
        let cut_off = above.iter().filter(|ix| self.outputs[ix.index()].is_some());
        self.cut_off.extend(cut_off.map(|ix| ix.0));
        self.demand_targets();
    }

    /// Asks for the targets.
    pub(super) fn demand_targets(&mut self) {
        for target in &self.graph.targets {
            let names = Names::of(self.graph.node(target.node).recipe, &target.outputs);
            self.demand(target.node, Some(names));
        }
    }
}
