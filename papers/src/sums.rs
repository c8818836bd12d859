//! Steps that add numbers: tasks that anything can run which can run a program, so that an engine can build for real what a
//! model predicts. Random graphs and histories of them shrink. Knows no engine and no model.
//!
//! Source: the calculators of Build Systems à la Carte's spreadsheets (JFP 2020, section 3.2). Sums are taken modulo three,
//! so that one in three changes makes no difference.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::task::{Blocked, Look, Mentions, Part, Task, Tasks, World};
use crate::value::{File, Key, Text, Value, hash};

/// What sums are taken modulo.
pub const MODULUS: u64 = 3;

/// How many outputs a step may have.
pub const OUTPUTS: u8 = 3;

/// One output of a step.
pub type Output = (u16, u8);

/// A step: output `o` is `adds + o` and all that it reads, modulo three.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sum {
    /// What it adds.
    pub adds: u64,
    /// Part of its text, and of no influence.
    pub comment: u64,
    /// Its outputs, in ascending order.
    pub outputs: Vec<u8>,
    /// The outputs of earlier steps that it reads, in ascending order.
    pub reads: Vec<Output>,
}

/// Steps by number, each of which reads earlier ones.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sums(pub Vec<Sum>);

/// Something that happens to steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happening {
    /// A step adds another number.
    Adds(u16, u64),
    /// A step's comment is another.
    Comment(u16, u64),
    /// A step reads other outputs.
    Reads(u16, Vec<Output>),
    /// The values of these outputs of a step are lost; what is known of them stays.
    Lost(u16, Vec<u8>),
    /// Another process goes on, which remembers what is on disk alone.
    Restart,
}

/// What happens before a build, and what is wanted of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// In order.
    pub happenings: Vec<Happening>,
    /// Of these steps all outputs.
    pub targets: Vec<u16>,
}

/// Steps, and turns each of which ends in a build.
#[derive(Clone, Debug)]
pub struct History {
    /// The steps at first.
    pub sums: Sums,
    /// The turns.
    pub turns: Vec<Turn>,
}

/// A step before its numbers are made to fit its place.
type Raw = (u64, u8, Vec<(u16, u8)>);

/// A happening before its numbers are made to fit.
type RawHappening = (u8, u16, u64, Vec<(u16, u8)>);

/// Histories of so many steps at most, with losses or without.
pub fn histories(steps: usize, turns: usize, losses: bool) -> impl Strategy<Value = History> {
    let step = (0..MODULUS, any::<u8>(), vec(any::<(u16, u8)>(), 0..4));
    let happening = (any::<u8>(), any::<u16>(), 0..MODULUS, vec(any::<(u16, u8)>(), 0..4));
    let turn = (vec(happening, 0..4), vec(any::<u16>(), 0..2));
    (vec(step, 1..=steps), vec(turn, 1..=turns)).prop_map(move |(steps, turns)| {
        let mut sums = Sums::default();
        steps.into_iter().for_each(|raw| sums.push(raw));
        let turns = turns.into_iter().map(|(happenings, targets)| Turn {
            happenings: happenings.into_iter().map(|raw| sums.happening(raw, losses)).collect(),
            targets: sums.targets(&targets),
        });
        let turns = turns.collect();
        History { sums, turns }
    })
}

impl Sums {
    fn push(&mut self, (adds, outputs, reads): Raw) {
        let all = (0..OUTPUTS).filter(|output| *output == 0 || outputs >> output & 3 == 3);
        let at = self.0.len() as u16;
        let reads = self.reads(at, &reads);
        self.0.push(Sum { adds, comment: 0, outputs: all.collect(), reads });
    }

    /// Outputs of steps before this one.
    fn reads(&self, before: u16, raw: &[(u16, u8)]) -> Vec<Output> {
        let fitting = raw.iter().filter(|_| before > 0).filter_map(|(step, output)| {
            let step = step % before;
            let of = &self.0.get(usize::from(step))?.outputs;
            Some((step, *of.get(usize::from(*output) % of.len())?))
        });
        let mut reads: Vec<Output> = fitting.collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }

    fn happening(&self, (kind, at, number, reads): RawHappening, losses: bool) -> Happening {
        let step = at % self.0.len() as u16;
        match kind % 8 {
            0..3 => Happening::Adds(step, number),
            3 | 4 => Happening::Comment(step, number),
            5 => Happening::Reads(step, self.reads(step, &reads)),
            6 if losses => {
                let all = &self.0[usize::from(step)].outputs;
                let named = |output: &&u8| reads.iter().any(|read| read.1 % OUTPUTS == **output);
                let some: Vec<u8> = all.iter().filter(named).copied().collect();
                Happening::Lost(step, if some.is_empty() { all.clone() } else { some })
            }
            _ => Happening::Restart,
        }
    }

    /// These steps, or the last one.
    fn targets(&self, raw: &[u16]) -> Vec<u16> {
        let count = self.0.len() as u16;
        let mut targets: Vec<u16> = raw.iter().map(|step| step % count).collect();
        if targets.is_empty() {
            targets.push(count - 1);
        }
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Make an edit; losses and restarts are no edits.
    pub fn apply(&mut self, happening: &Happening) {
        match happening {
            Happening::Adds(step, adds) => self.0[usize::from(*step)].adds = *adds,
            Happening::Comment(step, comment) => self.0[usize::from(*step)].comment = *comment,
            Happening::Reads(step, reads) => self.0[usize::from(*step)].reads.clone_from(reads),
            Happening::Lost(..) | Happening::Restart => {}
        }
    }

    /// What an output is, by plain recursion.
    pub fn value(&self, (step, output): Output) -> u64 {
        let sum = &self.0[usize::from(step)];
        let read: u64 = sum.reads.iter().map(|output| self.value(*output)).sum();
        (sum.adds + u64::from(output) + read) % MODULUS
    }

    /// All outputs of a step.
    pub fn outputs(&self, step: u16) -> Vec<Output> {
        self.0[usize::from(step)].outputs.iter().map(|output| (step, *output)).collect()
    }

    /// These steps and all below them.
    pub fn closure(&self, targets: &[u16]) -> BTreeSet<u16> {
        let mut found: BTreeSet<u16> = targets.iter().copied().collect();
        // what a step reads has a smaller number
        for step in (0..self.0.len() as u16).rev() {
            if !found.contains(&step) {
                continue;
            }
            let below = self.0[usize::from(step)].reads.iter().map(|(step, _)| *step);
            found.extend(below);
        }
        found
    }

    /// The texts of the steps, which are the only inputs.
    pub fn inputs(&self) -> BTreeMap<Key, Value> {
        let numbered = self.0.iter().enumerate();
        numbered.map(|(at, sum)| (Key::Script(at as u16), Value::words([hash(sum)]))).collect()
    }
}

struct Adding<'a> {
    step: u16,
    sum: &'a Sum,
}

impl Tasks for Sums {
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>> {
        let Key::Node(step) = key else { return None };
        let sum = self.0.get(usize::from(step))?;
        Some(Box::new(Adding { step, sum }))
    }
}

impl Task for Adding<'_> {
    fn mentions(&self) -> Mentions {
        let looks = self.sum.reads.iter();
        let looks: Vec<_> =
            looks.map(|(step, output)| (Key::Node(*step), Look::File(File(*output)))).collect();
        Mentions { certain: looks.len(), looks, complete: true }
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        let mut sum = self.sum.adds;
        for (step, output) in &self.sum.reads {
            if let Part::Texts(texts) =
                world.look(Key::Node(*step), Look::File(File(*output)))?.part
            {
                sum += texts.iter().map(|(_, text)| text.word % MODULUS).sum::<u64>();
            }
        }
        // no two steps have the same value, as no two derivations have the same name
        let word =
            |output: u8| (sum + u64::from(output)) % MODULUS + MODULUS * u64::from(self.step);
        let text = |output: &u8| (File(*output), Text { word: word(*output), names: Vec::new() });
        Ok(Value::Tree(self.sum.outputs.iter().map(text).collect()))
    }

    fn is_command(&self) -> bool {
        true
    }
}
