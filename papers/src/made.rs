//! Steps that make steps, in the world of [`crate::sums`]: what a maker gives says what else is to be computed, so nobody knows
//! it before the maker ran. They are dynamic dependencies in the paper's sense, and what dynamic derivations are to an
//! engine. Knows no engine and no model.
//!
//! Source: Build Systems à la Carte (JFP 2020), section 3.5 (monadic tasks); Nix's RFC 92 (dynamic derivations).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::sums::{Happening, History, MODULUS, Sums, histories};
use crate::task::{Blocked, Look, Mentions, Part, Task, Tasks, World};
use crate::value::{File, Key, Text, Value, hash};

/// A step that another one makes, and a user of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Made {
    /// Who makes it: what it gives is what the step adds.
    pub maker: u16,
    /// What the step reads, by what its maker gives.
    pub reads: [u16; MODULUS as usize],
    /// What its user adds.
    pub adds: u64,
}

/// Sums, each with one output, and steps that some of them make.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Making {
    /// The steps that are there.
    pub sums: Sums,
    /// Those that are made, no two by one maker.
    pub made: Vec<Made>,
}

impl Making {
    /// The number of a step that is made.
    pub fn made_step(&self, nth: usize) -> u16 {
        (self.sums.0.len() + 2 * nth) as u16
    }

    /// The number of its user.
    pub fn user(&self, nth: usize) -> u16 {
        self.made_step(nth) + 1
    }

    /// What the user of a step that is made gives, by plain recursion.
    pub fn value(&self, nth: usize) -> u64 {
        let Made { maker, reads, adds } = &self.made[nth];
        let given = self.sums.value((*maker, 0));
        (given + self.sums.value((reads[given as usize], 0)) + adds) % MODULUS
    }

    /// The texts of all steps. That of one that is made is the same whatever its maker gives.
    pub fn inputs(&self) -> BTreeMap<Key, Value> {
        let made = self.made.iter().enumerate().flat_map(|(nth, made)| {
            let user = (self.user(nth), hash(made.adds));
            [(self.made_step(nth), 0), user]
        });
        let texts = made.map(|(step, text)| (Key::Script(step), Value::words([text])));
        self.sums.inputs().into_iter().chain(texts).collect()
    }
}

/// Histories of so many steps at most.
pub fn makings(steps: usize, turns: usize) -> impl Strategy<Value = (Making, History)> {
    let made = vec((any::<u16>(), any::<[u16; MODULUS as usize]>(), 0..MODULUS), 1..4);
    (histories(steps, turns, false), made).prop_map(|(mut history, raw)| {
        single(&mut history);
        let count = history.sums.0.len() as u16;
        let fit = |(maker, reads, adds): (u16, [u16; 3], u64)| {
            let (maker, reads) = (maker % count, reads.map(|step| step % count));
            Made { maker, reads, adds }
        };
        let mut made: Vec<Made> = raw.into_iter().map(fit).collect();
        made.sort_by_key(|made| made.maker);
        made.dedup_by_key(|made| made.maker);
        (Making { sums: history.sums.clone(), made }, history)
    })
}

/// The same history of steps with one output each.
fn single(history: &mut History) {
    let first = |reads: &mut Vec<(u16, u8)>| {
        reads.iter_mut().for_each(|(_, output)| *output = 0);
        reads.dedup();
    };
    for sum in &mut history.sums.0 {
        sum.outputs = vec![0];
        first(&mut sum.reads);
    }
    for happening in history.turns.iter_mut().flat_map(|turn| &mut turn.happenings) {
        if let Happening::Reads(_, reads) = happening {
            first(reads);
        }
    }
}

struct BeingMade<'a> {
    step: u16,
    made: &'a Made,
}

struct Using {
    step: u16,
    made: u16,
    adds: u64,
}

impl Tasks for Making {
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>> {
        let Key::Node(step) = key else { return None };
        let Some(above) = usize::from(step).checked_sub(self.sums.0.len()) else {
            return self.sums.task(key);
        };
        let made = self.made.get(above / 2)?;
        Some(match above % 2 {
            0 => Box::new(BeingMade { step, made }),
            _ => Box::new(Using { step, made: step - 1, adds: made.adds }),
        })
    }
}

/// The number that a step gives.
fn given(world: &mut dyn World, step: u16) -> Result<u64, Blocked> {
    Ok(match world.look(Key::Node(step), Look::File(File(0)))?.part {
        Part::Texts(texts) => texts.iter().map(|(_, text)| text.word % MODULUS).sum(),
        _ => 0,
    })
}

/// What a step gives; no two have the same value.
fn value(step: u16, number: u64) -> Value {
    let word = number % MODULUS + MODULUS * u64::from(step);
    Value::Tree(BTreeMap::from([(File(0), Text { word, names: Vec::new() })]))
}

impl Task for BeingMade<'_> {
    fn mentions(&self) -> Mentions {
        let looks = vec![(Key::Node(self.made.maker), Look::File(File(0)))];
        Mentions { certain: looks.len(), looks, complete: false }
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        let adds = given(world, self.made.maker)?;
        let read = given(world, self.made.reads[adds as usize])?;
        Ok(value(self.step, adds + read))
    }

    fn is_command(&self) -> bool {
        true
    }
}

impl Task for Using {
    fn mentions(&self) -> Mentions {
        let looks = vec![(Key::Node(self.made), Look::File(File(0)))];
        Mentions { certain: looks.len(), looks, complete: true }
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        let read = given(world, self.made)?;
        Ok(value(self.step, self.adds + read))
    }

    fn is_command(&self) -> bool {
        true
    }
}
