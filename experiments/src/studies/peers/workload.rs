//! The work that all tools do: a graph of actions drawn from a seed, the edits made to it, what every output must then hold
//! and how few actions could bring that about. Pure: no file, no tool.

use floe_papers::chance::Chance;

/// One of the two files that an action writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// What most users read.
    A,
    /// What few read.
    B,
}

impl Output {
    /// As file names end.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }
}

/// What is done to the source of the first action, which is one of the lowest and most used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// A comment: the action runs and writes what it wrote before.
    Comment,
    /// What changes only the output that few read.
    Partial,
    /// What changes the output that most read.
    Real,
}

impl Edit {
    /// As rows and the report call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Partial => "partial",
            Self::Real => "real",
        }
    }
}

/// How many of the lowest actions are read by all layers.
const HUBS: usize = 8;

/// How many inputs in a hundred are outputs that few read.
const PERCENT_B: u64 = 10;

/// Layers of actions. Each action has a source file of its own and reads outputs of others: one of a hub in the lowest
/// layer, and the rest of the layer just below.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// What each action reads, in the order in which it reads it; users come after what they use.
    pub reads: Vec<Vec<(usize, Output)>>,
}

/// What an action writes: its digests, [`Output::A`] first.
pub type Digests = [u64; 2];

impl Workload {
    /// Draws a graph of so many actions with at most `fan_in` inputs each, a quarter as deep as it is wide.
    pub fn draw(actions: usize, fan_in: usize, seed: u64) -> Self {
        let width = (4 * actions).isqrt().max(1);
        let mut chance = Chance::new(seed);
        let mut below = |bound: usize| chance.below(bound as u64) as usize;
        let mut reads = Vec::with_capacity(actions);
        for action in 0..actions {
            let layer = action / width;
            let mut used: Vec<usize> = Vec::new();
            if layer > 0 {
                used.push(below(HUBS.min(width)));
                for _ in 1..fan_in {
                    used.push((layer - 1) * width + below(width));
                }
                used.sort_unstable();
                used.dedup();
            }
            let output = |action| match (below(100) as u64) < PERCENT_B {
                true => (action, Output::B),
                false => (action, Output::A),
            };
            reads.push(used.into_iter().map(output).collect());
        }
        Self { reads }
    }

    /// How many actions there are.
    pub fn actions(&self) -> usize {
        self.reads.len()
    }

    /// What an action reads of one kind.
    pub fn inputs(&self, action: usize, of: Output) -> impl Iterator<Item = usize> {
        self.reads[action]
            .iter()
            .filter(move |(_, output)| *output == of)
            .map(|(action, _)| *action)
    }

    /// The actions that no other reads: what is asked for.
    pub fn sinks(&self) -> Vec<usize> {
        let mut used = vec![false; self.actions()];
        for (action, _) in self.reads.iter().flatten() {
            used[*action] = true;
        }
        (0..self.actions()).filter(|action| !used[*action]).collect()
    }

    /// The source of an action as it is before any edit.
    pub fn source(action: usize) -> String {
        format!("# action {action}\na {action}\nb {action}\n")
    }

    /// The source of the first action after an edit. Edits with different marks differ.
    pub fn edited(edit: Edit, mark: u32) -> String {
        let line = match edit {
            Edit::Comment => "#",
            Edit::Partial => "b",
            Edit::Real => "a",
        };
        format!("{}{line} edit {mark}\n", Self::source(0))
    }

    /// What all actions write when the first one's source holds this.
    pub fn evaluate(&self, first: &str) -> Vec<Digests> {
        let mut written: Vec<Digests> = Vec::with_capacity(self.actions());
        for (action, reads) in self.reads.iter().enumerate() {
            let own = Self::source(action);
            let source = if action == 0 { first } else { &own };
            let mut digests = [Fnv::new(), Fnv::new()];
            for line in source.split_inclusive('\n').filter(|line| !line.starts_with('#')) {
                digests[usize::from(line.starts_with('b'))].mix(line.as_bytes());
            }
            for (used, output) in reads {
                let at = usize::from(*output == Output::B);
                digests[at].mix(content(written[*used][at]).as_bytes());
            }
            written.push(digests.map(|digest| digest.0));
        }
        written
    }

    /// How few actions must run when the source of the first action changes: it, and those that read what came out
    /// otherwise.
    pub fn least(&self, before: &[Digests], after: &[Digests]) -> usize {
        let differs = |(action, output): &(usize, Output)| {
            let at = usize::from(*output == Output::B);
            before[*action][at] != after[*action][at]
        };
        1 + self.reads.iter().skip(1).filter(|reads| reads.iter().any(differs)).count()
    }

    /// The first action and all above it: what runs where nothing is cut off.
    pub fn above(&self) -> usize {
        let mut reached = vec![false; self.actions()];
        for (action, reads) in self.reads.iter().enumerate() {
            reached[action] = action == 0 || reads.iter().any(|(used, _)| reached[*used]);
        }
        reached.into_iter().filter(|reached| *reached).count()
    }
}

/// What is in a file that holds this digest.
pub fn content(digest: u64) -> String {
    format!("{digest:016x}\n")
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo), as `action.c` has it.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_digest_is_fnvs() {
        let mut digest = Fnv::new();
        digest.mix(b"foobar");
        assert_eq!(digest.0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn edits_reach_what_they_should() {
        let workload = Workload::draw(2_000, 4, 1);
        let base = workload.evaluate(&Workload::source(0));
        let least = |edit| {
            let after = workload.evaluate(&Workload::edited(edit, 1));
            workload.least(&base, &after)
        };
        let (comment, partial, real) =
            (least(Edit::Comment), least(Edit::Partial), least(Edit::Real));
        assert_eq!(comment, 1);
        assert!(partial > 5 && partial * 20 < workload.actions(), "{partial}");
        assert!(real * 2 > workload.actions(), "{real}");
        assert!(workload.above() >= real);
    }

    /// Actions that ran, when each runs whose own source or inputs changed, one after the other.
    fn simulated(workload: &Workload, first: &str, base: &[Digests]) -> usize {
        let after = workload.evaluate(first);
        let mut now = base.to_vec();
        let mut ran = 0;
        for action in 0..workload.actions() {
            let reads = &workload.reads[action];
            let moved = reads.iter().any(|(used, output)| {
                let at = usize::from(*output == Output::B);
                now[*used][at] != base[*used][at]
            });
            if moved || (action == 0 && first != Workload::source(0)) {
                ran += 1;
                now[action] = after[action];
            }
        }
        assert_eq!(now, after, "what did not run is what it would be");
        ran
    }

    proptest! {
        #[test]
        fn the_least_is_what_a_run_with_cutoff_needs(seed: u64, actions in 1..300usize, fan_in in 1..6usize) {
            let workload = Workload::draw(actions, fan_in, seed);
            let base = workload.evaluate(&Workload::source(0));
            for edit in [Edit::Comment, Edit::Partial, Edit::Real] {
                let first = Workload::edited(edit, 1);
                let least = workload.least(&base, &workload.evaluate(&first));
                prop_assert_eq!(least, simulated(&workload, &first, &base));
                prop_assert!(least <= workload.above());
            }
        }

        #[test]
        fn actions_read_only_what_comes_before(seed: u64, actions in 1..300usize) {
            let workload = Workload::draw(actions, 4, seed);
            for (action, reads) in workload.reads.iter().enumerate() {
                prop_assert!(reads.iter().all(|(used, _)| *used < action));
                prop_assert!(reads.len() <= 4);
            }
        }
    }
}
