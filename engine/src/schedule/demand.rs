//! Who wants what of whom. Paths and objects are wanted separately: a user must know the paths of
//! its inputs to be resolved, and needs the objects only of those outputs that it uses, and only if
//! it runs.

use std::cmp::Reverse;

use super::names::Names;
use super::{Scheduler, State};
use crate::event::Event;
use crate::graph::NodeIx;

/// What is wanted of a node: to know the paths of its outputs, or these objects as well.
type Wish = Option<Names>;

impl Scheduler<'_> {
    /// Somebody wants something of this node.
    pub(super) fn demand(&mut self, ix: NodeIx, wish: Wish) {
        let mut stack = vec![(ix, wish)];
        while let Some((ix, wish)) = stack.pop() {
            let at = ix.index();
            let was_asked = std::mem::replace(&mut self.asked[at], true);
            if let Some(names) = wish {
                self.wanted[at] = self.wanted[at].and(names);
            }
            match self.states[at] {
                State::Known | State::Present | State::Built(_) => {
                    let Some(names) = wish else { continue };
                    if !self.are_here(ix, names) {
                        if self.is_dynamic(ix) || !self.choose_present(ix) {
                            self.must_run(ix, &mut stack);
                        }
                    } else if matches!(self.states[at], State::Known) {
                        self.states[at] = State::Present;
                    }
                }
                State::Missed => self.must_run(ix, &mut stack),
                State::Waiting if self.is_dynamic(ix) => {
                    self.consider(ix);
                    if !was_asked {
                        self.fresh.push(ix);
                        stack.push((self.feeder(ix), self.wish_of_feeder(ix)));
                    }
                }
                State::Waiting if !was_asked => {
                    self.fresh.push(ix);
                    stack.extend(self.awaited(ix).into_iter().map(|dep| (dep, None)));
                }
                _ => {}
            }
        }
    }

    /// Marks a node as one that runs, and asks for all its inputs.
    fn must_run(&mut self, ix: NodeIx, stack: &mut Vec<(NodeIx, Wish)>) {
        // Counted in `settle`, once all inputs have been asked for; until then it is blocked by
        // imaginary inputs, so that it cannot start early.
        if self.states[ix.index()].is_present() {
            self.lost_at[ix.index()] = self.tick();
        }
        self.states[ix.index()] = State::Blocked(u32::MAX);
        self.fresh.push(ix);
        if self.is_dynamic(ix) {
            stack.push((self.feeder(ix), Some(self.needed_of_feeder(ix))));
            return;
        }
        for (nth, &dep) in self.deps(ix).iter().enumerate() {
            stack.push((dep, Some(self.used(ix, nth))));
        }
    }

    /// What a node that stands for another one's output wants of whom it waits for: the file of the
    /// derivation, or to know the derivation's outputs.
    fn wish_of_feeder(&self, ix: NodeIx) -> Wish {
        let is_found = self.growth.finds.targets.contains_key(&ix);
        (!is_found).then(|| self.needed_of_feeder(ix))
    }

    /// Marks the targets that are made again to be compared.
    pub(super) fn demand_checks(&mut self) {
        if !self.checking {
            return;
        }
        for target in &self.graph.targets {
            let ix = self.stood_for(target.node);
            if ix != target.node {
                self.demand(ix, Some(self.needed_of_feeder(target.node)));
            }
            let is_over = self.keys[ix.index()].is_some_and(|key| self.finished.contains_key(&key));
            if self.states[ix.index()].is_present() && !is_over {
                let mut stack = Vec::new();
                self.must_run(ix, &mut stack);
                for (ix, wish) in stack {
                    self.demand(ix, wish);
                }
            }
        }
    }

    /// Whether a node runs to be compared with what it gave before.
    pub(super) fn checks(&self, ix: NodeIx) -> bool {
        self.checking
            && self.graph.targets.iter().any(|target| self.stood_for(target.node) == ix)
            && self.are_here(ix, self.wanted[ix.index()])
    }

    fn tick(&mut self) -> u32 {
        self.moment += 1;
        self.moment
    }

    /// Counts the missing inputs of the nodes that were just found to run, queues those that
    /// miss none, and skips what waits for inputs that will not come.
    fn settle(&mut self) {
        for ix in std::mem::take(&mut self.fresh) {
            let at = ix.index();
            let feeder = self.is_dynamic(ix).then(|| self.feeder(ix));
            let deps = match &feeder {
                Some(feeder) => std::slice::from_ref(feeder),
                None => self.deps(ix),
            };
            if let Some(&dep) = deps.iter().find(|dep| self.states[dep.index()].will_not_come()) {
                self.skip(ix, dep);
                continue;
            }
            if !matches!(self.states[at], State::Blocked(_)) {
                continue;
            }
            let missing = deps.iter().filter(|dep| !self.states[dep.index()].is_present()).count();
            self.counted_at[at] = self.tick();
            self.states[at] = State::Blocked(missing as u32);
            if missing == 0 {
                self.enqueue(ix);
            }
        }
    }

    fn enqueue(&mut self, ix: NodeIx) {
        if self.is_dynamic(ix) {
            // What it stands for is there.
            self.states[ix.index()] = State::Present;
            self.news.push((ix, false));
            return;
        }
        self.states[ix.index()] = State::Ready;
        self.ready.push((self.height(ix), Reverse(ix)));
        if self.events.are_detailed() {
            self.events.send(Event::Ready { job: ix.0 });
        }
    }

    /// Marks a node that cannot run because of `cause`, and everything that waits for it.
    pub(super) fn skip(&mut self, ix: NodeIx, cause: NodeIx) {
        let mut stack = vec![(ix, cause)];
        while let Some((ix, cause)) = stack.pop() {
            let at = ix.index();
            let waits = match self.states[at] {
                State::Blocked(_) => true,
                State::Waiting => self.asked[at],
                _ => false,
            };
            if waits {
                self.states[at] = State::Skipped(cause);
                let users = self.users(ix).filter(|&user| self.feeds(ix, user));
                stack.extend(users.map(|user| (user, ix)));
            }
        }
    }

    /// Tells the users of a node what has become of it: that its outputs are known
    /// (`newly_known`), and whether they are in the store. What they conclude travels on.
    pub(super) fn tell_users(&mut self, ix: NodeIx, newly_known: bool) {
        if self.standing.is_some() && self.moved[ix.index()] {
            // First those who wait for its objects already: all others will find them there.
            self.news.push((ix, false));
            self.tell_news();
            self.unfold();
        } else {
            self.news.push((ix, newly_known));
            self.settle_above();
        }
        self.spread();
        self.tell_cut_off(ix);
    }

    /// Lets all news travel as far as they matter, and what is found on the way join the graph.
    pub(super) fn spread(&mut self) {
        loop {
            self.tell_news();
            self.settle();
            self.grow();
            if self.news.is_empty() && self.fresh.is_empty() && self.growth.pending.is_empty() {
                return;
            }
        }
    }

    fn tell_news(&mut self) {
        while let Some((ix, newly_known)) = self.news.pop() {
            let present = self.states[ix.index()].is_present();
            if newly_known {
                self.tell_watchers(ix);
            }
            for user in self.users(ix) {
                if self.is_dynamic(user) {
                    self.consider(user);
                }
                if !self.feeds(ix, user) {
                    continue;
                }
                // One that counted while this node was present has all it needs of it, and waits
                // for others.
                let waits = self.lost_at[ix.index()] < self.counted_at[user.index()];
                match self.states[user.index()] {
                    State::Blocked(missing) if present && waits && missing != u32::MAX => {
                        self.states[user.index()] = State::Blocked(missing - 1);
                        if missing == 1 {
                            self.enqueue(user);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Lets those learn who wait for the outputs of a node that has just become known.
    fn tell_watchers(&mut self, ix: NodeIx) {
        for user in self.take_watchers(ix) {
            if !matches!(self.states[user.index()], State::Waiting) || !self.feeds(ix, user) {
                continue;
            }
            self.unknown_inputs[user.index()] -= 1;
            if self.unknown_inputs[user.index()] > 0 {
                continue;
            }
            self.learn(user);
            let known = self.outputs[user.index()].is_some();
            if self.asked[user.index()] {
                let wanted = self.wanted[user.index()];
                let wish = Some(wanted).filter(|_| wanted != Names::default());
                // It may wait for something else now.
                self.asked[user.index()] = false;
                self.demand(user, wish);
                let stands = matches!(self.states[user.index()], State::Known | State::Present);
                if stands && !self.is_dynamic(user) {
                    self.cut_off.push(user.0);
                }
            }
            if known {
                self.news.push((user, true));
            }
        }
    }
}
