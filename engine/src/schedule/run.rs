//! Running: workers are fed with what is ready, and what they made is told to those who wait for it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::worker::{Message, work};
use super::{Divergence, Scheduler, State};
use crate::db::address;
use crate::event::Event;
use crate::graph::NodeIx;
use crate::job::{Cost, Done, Executor, Failure, Job};
use crate::resolve::Outputs;

/// What became of a node that was about to start.
enum Start {
    /// It needs a worker.
    Job(Box<Job>),
    /// Another node's run serves it, or has served it.
    Shared,
}

impl Scheduler<'_> {
    /// Starts workers and feeds them until nothing is left, or the round is over.
    pub(super) fn drive(&mut self, executor: &dyn Executor) {
        let (to_workers, jobs) = unbounded::<(NodeIx, Job)>();
        let (messages, from_workers) = unbounded::<Message>();
        let (events, cancel) = (self.events, self.cancel);
        // A worker whose builder has ended may still be hashing; the next builder need not wait.
        let threads = self.options.jobs * 2 + 2;
        std::thread::scope(|scope| {
            let mut hired = 0;
            // Few requests need all of them.
            let mut hire = |unfinished: usize, dead: usize| {
                if hired < unfinished.min(threads) + dead {
                    let worker = hired as u32;
                    let (jobs, messages) = (jobs.clone(), messages.clone());
                    scope.spawn(move || work(executor, events, cancel, worker, &jobs, &messages));
                    hired += 1;
                }
            };
            self.driving = true;
            self.feed(&to_workers, &from_workers, &mut hire);
            self.driving = false;
            drop(to_workers);
        });
        if self.rechosen {
            return;
        }
        if !self.is_settled() {
            self.unfold();
            self.spread();
        }
        for (at, state) in self.states.iter_mut().enumerate() {
            if matches!(state, State::Ready | State::Blocked(_))
                || matches!(state, State::Waiting) && self.asked[at]
            {
                *state = State::Cancelled;
            }
        }
    }

    /// Whether nothing more is to be started.
    fn is_over(&self) -> bool {
        self.stopping || self.rechosen || self.cancel.is_cancelled()
    }

    fn feed(
        &mut self,
        to_workers: &Sender<(NodeIx, Job)>,
        from_workers: &Receiver<Message>,
        hire: &mut dyn FnMut(usize, usize),
    ) {
        let (mut builders, mut unfinished, mut dead) = (0, 0, 0);
        loop {
            while builders < self.options.jobs && !self.is_over() {
                let Some((_, Reverse(ix))) = self.ready.pop() else { break };
                if !matches!(self.states[ix.index()], State::Ready) {
                    continue;
                }
                if let Start::Job(job) = self.start(ix) {
                    builders += 1;
                    unfinished += 1;
                    hire(unfinished, dead);
                    to_workers.send((ix, *job)).expect("workers outlive the feeder");
                }
            }
            if unfinished == 0 {
                return;
            }
            let idle = Instant::now();
            let message = from_workers.recv().expect("workers outlive their jobs");
            self.waited += idle.elapsed();
            match message {
                Message::BuilderEnded => builders -= 1,
                Message::Ended { ix, result, told, dies } => {
                    dead += usize::from(dies);
                    // A failure frees its place only now, when it is known to be one.
                    builders -= usize::from(!told);
                    unfinished -= 1;
                    self.ended(ix, result);
                }
            }
        }
    }

    /// The job for a node that is ready, unless the result of another node serves it too.
    fn start(&mut self, ix: NodeIx) -> Start {
        let at = ix.index();
        let key = match self.keys[at].filter(|_| !self.addressed[at]) {
            Some(key) => key,
            // Its inputs were not needed to know its outputs.
            None => self.resolve(ix),
        };
        if let Some(result) = self.finished.get(&key).cloned() {
            self.landed(ix, result.map(|outputs| (outputs, None)));
            return Start::Shared;
        }
        if !self.checks(ix) && self.are_here(ix, self.wanted[at]) {
            // Another derivation with the same address ran since this one was asked for.
            self.states[at] = State::Present;
            self.tell_users(ix, false);
            return Start::Shared;
        }
        self.states[at] = State::Running;
        if let Some(waiting) = self.in_flight.get_mut(&key) {
            waiting.push(ix);
            return Start::Shared;
        }
        self.in_flight.insert(key, Vec::new());
        self.builders_run += 1;
        self.start_ms[at] = Some(self.started.elapsed().as_millis() as u64);
        let own = address(self.db, self.node(ix)).as_ref();
        Start::Job(Box::new(Job {
            id: ix.0,
            recipe: Arc::clone(self.graph.node(ix).recipe),
            derivation: self.derivation(ix),
            key,
            own: own.map(|own| own.outputs.clone()),
            check: self.outputs[at].as_deref().filter(|_| self.checks(ix)).cloned(),
        }))
    }

    /// A job has ended, and with it all nodes that wait for the same.
    fn ended(&mut self, ix: NodeIx, result: Result<Done, Failure>) {
        let key = self.keys[ix.index()].expect("it was started");
        let sharers = self.in_flight.remove(&key).unwrap_or_default();
        let cost = result.as_ref().ok().map(|done| done.cost);
        if let Ok(done) = &result {
            let differences = done.differences.iter().cloned();
            self.differences.extend(differences.map(|difference| (ix, difference)));
        }
        let result = result.map(|done| Arc::new(done.outputs));
        match (&result, self.outputs[ix.index()].clone()) {
            (Ok(now), Some(before)) if *now != before => self.diverged(ix, &before, now),
            (Ok(now), None) => self.db.land(key, Arc::clone(now)),
            (Ok(_), Some(_)) => {}
            (Err(_), _) => self.failed.push(ix),
        }
        self.ran.extend(cost.map(|cost| (key, ix, cost)));
        self.finished.insert(key, result.clone());
        // One builder ran, whoever shares its result reuses it.
        self.landed(ix, result.clone().map(|outputs| (outputs, cost)));
        for ix in sharers {
            self.landed(ix, result.clone().map(|outputs| (outputs, None)));
        }
    }

    /// A builder gave something else than the trace says.
    fn diverged(&mut self, ix: NodeIx, before: &Arc<Outputs>, now: &Arc<Outputs>) {
        let key = self.keys[ix.index()].expect("it was started");
        let name = &self.graph.node(ix).recipe.name;
        let mut differing = now.iter().filter(|(name, path)| before.get(*name) != Some(*path));
        if let Some((output, path)) = differing.next() {
            let former = before.get(output).map_or_else(String::new, ToString::to_string);
            self.events.send(Event::Note(format!(
                "'{name}' is not deterministic: its builder gave {path}, and {former} before"
            )));
        }
        let (before, now) = (Arc::clone(before), Arc::clone(now));
        self.divergences.push(Divergence { node: ix, key, before, now });
    }

    /// What a node was to run for is there, or will not come.
    pub(super) fn landed(
        &mut self,
        ix: NodeIx,
        result: Result<(Arc<Outputs>, Option<Cost>), Failure>,
    ) {
        let at = ix.index();
        match result {
            Ok((outputs, cost)) => {
                let outputs = match self.outputs[at].clone() {
                    // What it was is there by now, so everybody keeps what they have.
                    Some(known) if known != outputs && self.are_here(ix, self.wanted[at]) => known,
                    Some(known) if known != outputs => {
                        let key = self.keys[at].expect("it was started");
                        self.choose(ix, key, outputs);
                        return;
                    }
                    _ => outputs,
                };
                let newly_known = self.outputs[at].is_none();
                self.know(ix, outputs);
                self.states[at] = cost.map_or(State::Present, State::Built);
                self.record_run(ix);
                self.tell_users(ix, newly_known);
            }
            Err(failure) => {
                if self.standing.is_some() {
                    self.unfold();
                    self.spread();
                }
                let cancelled = matches!(failure, Failure::Cancelled);
                self.states[at] =
                    if cancelled { State::Cancelled } else { State::Failed(Box::new(failure)) };
                self.stopping |= !self.options.keep_going;
                if !cancelled {
                    for user in self.users(ix).chain(self.take_watchers(ix)) {
                        if self.feeds(ix, user) {
                            self.skip(user, ix);
                        }
                    }
                }
            }
        }
    }
}
