//! How likely each derivation is to run, from what is remembered: chances that an output differs,
//! and what follows from that in the graph. What is certain stays certain.

use floe_core::hash::Digest;

use super::book::{Book, Cell, Change, Key};
pub use super::cause::Request;
use super::cause::{Affected, Cause, Standing, affected};
use super::odds::Odds;
use super::pace::LogNormal;
use super::sample::{Chooser, Futures};
use crate::graph::NodeIx;
use crate::rebuilder::Strategy;
use crate::rebuilder::judge::RestsOn;

/// How many observations a more general experience is worth beside a more special one.
const NAME_STRENGTH: f64 = 2.0;
const TASK_STRENGTH: f64 = 1.0;

/// How likely a derivation runs that differs, or an input of which does, as long as nothing was ever
/// seen: the build trace may know the result.
const RUNS: f64 = 0.95;
const RUNS_STRENGTH: f64 = 4.0;

/// What will happen, as far as can be told.
pub struct Forecast {
    /// Those that may run, inputs first.
    pub affected: Vec<Affected>,
    /// In which futures each runs.
    pub ran: Vec<Futures>,
    /// In which futures its users find another output than before.
    pub changed: Vec<Futures>,
    /// All futures that were looked at.
    pub all: Futures,
    /// Where each node of the graph stands in the tables above.
    slots: Vec<u32>,
}

/// How news travels: whether a run that gives what it gave before makes others run.
fn stops_at_equal_outputs(strategy: Strategy) -> bool {
    let rebuilder = strategy.rebuilder();
    let stops = |rests_on| matches!(rests_on, RestsOn::Unchanged | RestsOn::Level(1));
    !rebuilder.addresses_by_inputs() && rebuilder.judge().is_none_or(|judge| stops(judge.rests_on))
}

impl Forecast {
    /// The forecast for a request; `all_words` bounds the work, see
    /// [`Futures::all`](super::sample::Futures::all).
    pub fn of(request: &Request<'_>, book: &Book<'_>, all_words: usize) -> Forecast {
        let affected = affected(request, book);
        let mut slots = vec![u32::MAX; request.graph.len()];
        for (slot, node) in affected.iter().enumerate() {
            slots[node.ix.index()] = slot as u32;
        }
        let count = affected.len();
        let (ran, changed) = (vec![Futures::NONE; count], vec![Futures::NONE; count]);
        let all = Futures::all(count, all_words);
        let mut forecast = Forecast { affected, ran, changed, all, slots };
        forecast.look_ahead(request, book);
        forecast.fetch_back(request);
        forecast
    }

    /// From below: who runs, and what comes out otherwise.
    fn look_ahead(&mut self, request: &Request<'_>, book: &Book<'_>) {
        let seed = Digest::of(&self.affected.len().to_le_bytes());
        let mut chooser = Chooser::new(u64::from(Cell::mark(&seed)));
        let all = book.cell(Key::ALL).unwrap_or_default();
        let stops = stops_at_equal_outputs(request.strategy);
        for slot in 0..self.affected.len() {
            let node = &self.affected[slot];
            let Affected { own, kin, .. } = node;
            // In which futures it is not what it was: whether it has to run is another question.
            let mut news = match (node.standing, &node.cause) {
                (Standing::Wanted, _) => continue,
                (Standing::Waiting, Cause::Below) => Futures::NONE,
                _ => self.all,
            };
            for dep in self.deps(request, node.ix) {
                news.join(&self.changed[dep]);
            }
            self.ran[slot] = match node.standing {
                Standing::Certain => self.all,
                _ => chooser.thin(&news, runs(own, kin, &all)),
            };
            let is_given = request.outcome.addressed[node.ix.index()];
            self.changed[slot] = match node.cause.change() {
                _ if !stops => news,
                // Its users were resolved without it.
                _ if is_given => Futures::NONE,
                Some(change) => chooser.thin(&news, chance(change, own, kin, &all)),
                None if node.cause == Cause::New => news,
                None => Futures::NONE,
            };
        }
    }

    /// From above: what is gone is made again where somebody who runs needs it.
    fn fetch_back(&mut self, request: &Request<'_>) {
        for slot in (0..self.affected.len()).rev() {
            if self.affected[slot].standing != Standing::Wanted {
                continue;
            }
            let mut ran = Futures::NONE;
            for user in request.shape.dependants.of(self.affected[slot].ix) {
                if let Some(user) = self.slot(*user) {
                    ran.join(&self.ran[user]);
                }
            }
            self.ran[slot] = ran;
        }
    }

    /// Where a node stands in the tables, if it may run.
    pub fn slot(&self, ix: NodeIx) -> Option<usize> {
        Some(self.slots[ix.index()]).filter(|slot| *slot != u32::MAX).map(|slot| slot as usize)
    }

    /// The inputs of a node that may run.
    pub fn deps(&self, request: &Request<'_>, ix: NodeIx) -> impl Iterator<Item = usize> {
        let deps = request.graph.node(ix).deps;
        deps.iter().filter_map(|dep| self.slot(*dep))
    }

    /// How likely one runs. Nothing that is not certain is said to be.
    pub fn probability(&self, slot: usize) -> f64 {
        match self.affected[slot].standing {
            Standing::Certain => 1.0,
            _ => (f64::from(self.ran[slot].count()) + 0.5) / (f64::from(self.all.count()) + 1.0),
        }
    }
}

/// How likely an output differs after such a change: the task's own experience, which counts
/// beside that of others of its name, which counts beside that of the rest of the store.
fn chance(change: Change, own: &Cell, kin: &Cell, all: &Cell) -> f64 {
    pooled(own.odds(change), kin.odds(change), all.odds(change), (change.prior(), 2.0))
}

/// How likely a derivation runs that is not what it was, likewise.
fn runs(own: &Cell, kin: &Cell, all: &Cell) -> f64 {
    pooled(own.ran, kin.ran, all.ran, (RUNS, RUNS_STRENGTH))
}

/// The mean of what is observed of one, of its name and of all, the former being part of the
/// latter; each is the prior of the one before.
fn pooled(own: Odds, kin: Odds, all: Odds, prior: (f64, f64)) -> f64 {
    let general = all.without(kin).mean(prior.0, prior.1);
    own.mean(kin.without(own).mean(general, NAME_STRENGTH), TASK_STRENGTH)
}

/// How long a builder takes, and whether that is this task's own experience.
pub(super) fn wall(node: &Affected, book: &Book<'_>) -> Option<(LogNormal, bool)> {
    let usual = book.scores.times.spread();
    let general = || {
        let all = || book.cell(Key::ALL).unwrap_or_default().wall.next(1.0);
        node.kin.wall.next(2.0 * usual).or_else(all).map(|wall| (wall, false))
    };
    node.own.wall.next(usual).map(|wall| (wall, true)).or_else(general)
}

/// Processor time of a builder in milliseconds.
pub(super) fn cpu_ms(node: &Affected, book: &Book<'_>) -> Option<u64> {
    let all = || book.cell(Key::ALL).unwrap_or_default().cpu.next(1.0);
    let cpu = node.own.cpu.next(1.0).or_else(|| node.kin.cpu.next(1.0)).or_else(all);
    cpu.map(LogNormal::median_ms)
}
