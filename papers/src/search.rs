//! Long searches for counter-examples: rounds of fresh cases for pairs of a law and a system, the same again for the same
//! seed and number of rounds, and what was found as a record. Prints nothing and claims nothing.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::chance::Chance;
use crate::claims::keepers;
use crate::laws::{CERTIFIED, LAWS, Law};
use crate::systems::{Model, model};
use crate::tables::{Table, strings};

/// A law and a system to be held to it.
pub type Pair = (&'static Law, &'static Model);

/// When a search ends, unless every pair is refuted before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// After so many rounds.
    Rounds(u64),
    /// After the round in which so much time is over.
    Over(Duration),
}

/// What a search found.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The seed of the first round; those of the others follow from it.
    pub seed: u64,
    /// Cases for each pair in a round.
    pub cases_a_round: u32,
    /// Rounds that were finished.
    pub rounds: u64,
    /// How long it took, by the clock.
    pub wall_seconds: u64,
    /// All cases.
    pub cases: u64,
    /// By law.
    pub laws: Vec<Tally>,
    /// What was found.
    pub refuted: Vec<Refuted>,
}

/// What was done for a law.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
    /// Its name.
    pub law: &'static str,
    /// How many systems were held to it.
    pub systems: usize,
    /// In how many cases, all systems together.
    pub cases: u64,
}

/// A law that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Refuted {
    /// Which.
    pub law: &'static str,
    /// By whom.
    pub system: &'static str,
    /// The seed of the round: with it a search of one round finds the same.
    pub seed: u64,
    /// The smallest case, in words.
    pub counter_example: String,
}

/// Every law with every system that is said to keep it.
pub fn claims() -> Vec<Pair> {
    let all = LAWS.iter().flat_map(|law| keepers(law).into_iter().map(move |model| (law, model)));
    let retargeting = ["floe, normalised", "floe, observed"].into_iter().filter_map(model);
    all.chain(retargeting.map(|model| (&CERTIFIED, model))).collect()
}

/// Search, and tell of each round when it is over.
pub fn search(
    pairs: &[Pair],
    cases_a_round: u32,
    seed: u64,
    until: Until,
    mut tell: impl FnMut(&Record),
) -> Record {
    let started = Instant::now();
    let mut record = Record::new(pairs, cases_a_round, seed);
    let mut seeds = Chance::new(seed);
    let mut left = pairs.to_vec();
    let mut round_seed = seed;
    while !left.is_empty() {
        left.retain(|(law, model)| {
            let found = law.refute(cases_a_round, round_seed, &model.make);
            let (law, system) = (law.name, model.name);
            match found {
                Some(counter_example) => {
                    record.refuted.push(Refuted { law, system, seed: round_seed, counter_example });
                    false
                }
                None => {
                    record.count(law);
                    true
                }
            }
        });
        record.rounds += 1;
        record.wall_seconds = started.elapsed().as_secs();
        tell(&record);
        let over = match until {
            Until::Rounds(rounds) => record.rounds >= rounds,
            Until::Over(time) => started.elapsed() >= time,
        };
        if over {
            break;
        }
        round_seed = seeds.number();
    }
    record
}

impl Record {
    fn new(pairs: &[Pair], cases_a_round: u32, seed: u64) -> Record {
        let mut laws: Vec<Tally> = Vec::new();
        for (law, _) in pairs {
            match laws.iter_mut().find(|tally| tally.law == law.name) {
                Some(tally) => tally.systems += 1,
                None => laws.push(Tally { law: law.name, systems: 1, cases: 0 }),
            }
        }
        let refuted = Vec::new();
        Record { seed, cases_a_round, rounds: 0, wall_seconds: 0, cases: 0, laws, refuted }
    }

    fn count(&mut self, law: &str) {
        let cases = u64::from(self.cases_a_round);
        self.cases += cases;
        if let Some(tally) = self.laws.iter_mut().find(|tally| tally.law == law) {
            tally.cases += cases;
        }
    }

    /// The record as a table.
    pub fn table(&self) -> Table {
        let refuted = |law: &str| self.refuted.iter().filter(|refuted| refuted.law == law).count();
        let row = |tally: &Tally| {
            let found = match refuted(tally.law) {
                0 => "nothing refuted".to_owned(),
                some => format!("{some} refuted"),
            };
            vec![tally.law.to_owned(), tally.systems.to_string(), tally.cases.to_string(), found]
        };
        Table {
            title: format!("Random cases of seed {}", self.seed),
            note: format!(
                "{} cases in {} rounds of {} for each law and system, {} s by the clock.",
                self.cases, self.rounds, self.cases_a_round, self.wall_seconds
            ),
            columns: strings(["law", "systems", "cases", "found"]),
            rows: self.laws.iter().map(row).collect(),
        }
    }
}
