//! What can be known without running anything: addresses, keys, and what the trace says of them.

use std::sync::Arc;

use floe_core::drv::Derivation;
use floe_core::hash::Digest;

use super::{Scheduler, State};
use crate::db::{address, resolved};
use crate::graph::NodeIx;
use crate::resolve::Outputs;

impl Scheduler<'_> {
    /// Looks up what is not known from the former request and asks for the targets, without
    /// running anything.
    pub fn look_up(&mut self) {
        if self.look_up_edited() {
            return;
        }
        loop {
            self.learn_doubted();
            self.demand_targets();
            self.spread();
            self.demand_checks();
            self.spread();
            if !self.rechosen {
                return;
            }
            // What the trace prefers is gone, and another realisation is there.
            self.forget_round();
        }
    }

    fn learn_doubted(&mut self) {
        let mut doubted = self.stale.clone();
        for at in 0..self.graph.len() {
            if doubted[at] {
                let ix = NodeIx(at as u32);
                self.learn(ix);
                if self.moved[at] || self.outputs[at].is_none() {
                    self.users(ix).for_each(|user| doubted[user.index()] = true);
                }
            }
        }
    }

    /// Finds out what can be known of a node whose inputs' outputs may all be known.
    pub(super) fn learn(&mut self, ix: NodeIx) {
        let at = ix.index();
        if self.is_dynamic(ix) {
            return self.learn_dynamic(ix);
        }
        if self.stale[at] {
            if let Some(address) = address(self.db, self.node(ix)) {
                let outputs = Arc::new(address.outputs.clone());
                self.addressed[at] = true;
                self.states[at] = State::Known;
                self.know(ix, outputs);
                return;
            }
        } else if self.addressed[at] {
            return;
        }
        if self.judge(ix).is_some() {
            return;
        }
        self.outputs[at] = None;
        self.unknown_inputs[at] = self.count_unknown(ix);
        if self.unknown_inputs[at] > 0 {
            self.states[at] = State::Waiting;
            return;
        }
        let stands = !self.stale[at] && self.deps(ix).iter().all(|dep| !self.moved[dep.index()]);
        let outputs = match stands {
            // Its inputs came out as they were: so did its key, and so does what the trace says.
            true => self.node(ix).outputs(self.db).clone(),
            false => {
                let key = self.resolve(ix);
                self.db.recall(self.graph.node(ix).recipe, &key)
            }
        };
        match outputs {
            Some(outputs) => {
                self.know(ix, outputs);
                self.states[at] = State::Known;
            }
            None => self.states[at] = State::Missed,
        }
    }

    /// The key of a node all of whose inputs' outputs are known.
    pub(super) fn resolve(&mut self, ix: NodeIx) -> Digest {
        let key = resolved(self.db, self.node(ix));
        let key = key.expect("the outputs of all inputs are known");
        self.keys[ix.index()] = Some(key);
        key
    }

    /// The resolved derivation itself.
    pub(super) fn derivation(&self, ix: NodeIx) -> Derivation {
        let inputs: Vec<&Outputs> = self
            .deps(ix)
            .iter()
            .map(|dep| &**self.outputs[dep.index()].as_ref().expect("its key was computed"))
            .collect();
        let own = address(self.db, self.node(ix)).as_deref();
        self.strategy.rebuilder().resolve(self.graph.node(ix).recipe, own, &inputs)
    }

    /// The outputs of a node are known, to this request and to the queries above it.
    pub(super) fn know(&mut self, ix: NodeIx, outputs: Arc<Outputs>) {
        let at = ix.index();
        self.moved[at] |= self.db.know(self.node(ix), &outputs);
        self.outputs[at] = Some(outputs);
    }

    fn count_unknown(&self, ix: NodeIx) -> u32 {
        self.deps(ix).iter().filter(|dep| self.outputs[dep.index()].is_none()).count() as u32
    }
}
