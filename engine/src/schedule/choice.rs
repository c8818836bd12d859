//! Which realisation a key denotes, where a recipe that is not deterministic has given several. The
//! whole request uses one of them: when the choice changes, its round is over, and everything is
//! resolved again from what is chosen now. Nothing is built twice for that.
//!
//! The rounds end: a key that was run has all its outputs and denotes them from then on, and every
//! other change of mind is for outputs that were wanted in vain before.

use std::sync::Arc;

use floe_core::hash::Digest;

use super::{Names, Scheduler, State};
use crate::graph::NodeIx;
use crate::job::Failure;
use crate::resolve::Outputs;
use crate::tasks::Known;

impl Scheduler<'_> {
    /// Lets the key of a node denote a realisation of which everything that was ever wanted is in
    /// the store, if there is one.
    pub(super) fn choose_present(&mut self, ix: NodeIx) -> bool {
        let at = ix.index();
        let Some(key) = self.keys[at].filter(|_| !self.addressed[at]) else { return false };
        let needed = self.needed.entry(key).or_default();
        *needed = needed.and(self.wanted[at]);
        let needed = *needed;
        let recipe = self.graph.node(ix).recipe;
        let runs = self.db.recall_all(recipe, &key);
        let found = runs.into_iter().find(|outputs| self.are_present(ix, needed, outputs));
        let found = found.filter(|found| self.outputs[at].as_deref() != Some(found));
        let Some(found) = found else { return false };
        self.choose(ix, key, Arc::new(found));
        true
    }

    /// Lets a key denote these outputs: what was resolved against others is so no longer.
    pub(super) fn choose(&mut self, ix: NodeIx, key: Digest, outputs: Arc<Outputs>) {
        let root = self.graph.node(ix).recipe.root_kind();
        self.db.land(key, Arc::clone(&outputs));
        self.choices.insert(key, (root, outputs));
        self.rechosen = true;
    }

    /// Begins another round: looks everything up again.
    pub(super) fn begin_again(&mut self) {
        self.restarts += u64::from(std::mem::take(&mut self.restarting));
        self.forget_round();
        self.look_up();
        for ix in self.failed.clone() {
            // What failed in this request fails without being tried again.
            let waits = matches!(self.states[ix.index()], State::Blocked(_) | State::Ready);
            let key = self.keys[ix.index()].filter(|_| waits);
            if let Some(Err(failure)) = key.and_then(|key| self.finished.get(&key)) {
                let failure: Failure = failure.clone();
                self.landed(ix, Err(failure));
            }
        }
    }

    /// Forgets where every node stands; what ran is remembered by key.
    pub(super) fn forget_round(&mut self) {
        let count = self.graph.len();
        let keys = std::mem::take(&mut self.keys);
        let Known { stale, states, outputs, keys: _, addressed } = Known::nothing(count);
        (self.stale, self.states, self.outputs) = (stale, states, outputs);
        // An addressed node is resolved when it runs only: its last key stands until then.
        self.keys =
            keys.into_iter().zip(&self.addressed).map(|(key, own)| key.filter(|_| *own)).collect();
        self.addressed = addressed;
        self.asked = vec![false; count];
        self.wanted = vec![Names::default(); count];
        self.unknown_inputs = vec![0; count];
        self.ready.clear();
        self.fresh.clear();
        self.rechosen = false;
        self.standing = None;
        self.forget_watchers();
        self.growth.forget_targets();
        self.news.clear();
    }

    /// Marks those whose outputs are what their own builder gave in an earlier round of this
    /// request.
    pub(super) fn say_what_ran(&mut self) {
        for &(key, ix, cost) in &self.ran {
            let at = ix.index();
            if matches!(self.states[at], State::Known | State::Present)
                && self.keys[at] == Some(key)
            {
                self.states[at] = State::Built(cost);
            }
        }
    }
}
