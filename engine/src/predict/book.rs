//! What prediction remembers from one request to the next: for each task, each name and the store
//! as a whole a cell of some thirty bytes, and the account of how good predictions were. Cells lie
//! in a few rows, by the first bits of their keys, so that reading all of them is a few reads and
//! a run of one builder writes a few kilobytes. A row that is damaged or of another version is as
//! good as none. Nothing is learnt or predicted here.

use std::cell::RefCell;

use floe_core::hash::Digest;
use floe_store::versioned;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::odds::Odds;
use super::pace::Pace;
use super::score::Scores;
use crate::ledger::Short;
use crate::rebuilder::Strategy;

/// Where rows come from.
pub trait Rows {
    /// The row under this key, if there is one.
    fn row(&self, key: &[u8]) -> Option<Vec<u8>>;
}

/// What a cell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key([u8; 8]);

impl Key {
    /// The store as a whole.
    pub const ALL: Key = Key([0; 8]);

    /// A task, by what stands for its id.
    pub fn of_task(task: Short) -> Key {
        Key(*task.bytes().first_chunk().expect("a short digest holds 8"))
    }

    /// All derivations of this name, whatever their version.
    pub fn of_name(name: &str) -> Key {
        let text = [b"name\0", without_version(name).as_bytes()].concat();
        Key(*Digest::of(&text).0.first_chunk().expect("32 bytes hold 8"))
    }

    /// Which of so many places it falls into.
    pub fn place(self, places: u16) -> u16 {
        u16::from_le_bytes([self.0[6], self.0[7]]) % places
    }

    fn shard(self) -> u8 {
        self.0[0] % SHARDS
    }
}

/// `zlib` of `zlib-1.3.2`, as Nix divides names: the version begins at the first dash that no
/// letter follows.
fn without_version(name: &str) -> &str {
    let is_version =
        |at: &usize| !name[at + 1..].starts_with(|next: char| next.is_ascii_alphabetic());
    let end = name.match_indices('-').map(|(at, _)| at).find(is_version);
    &name[..end.unwrap_or(name.len())]
}

/// How many rows hold the cells.
const SHARDS: u8 = 64;

/// By what a derivation differs from what was last built: each kind of change has odds of its own
/// to come out otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Its instructions.
    Instructions,
    /// Comments in the code of a source.
    Comment,
    /// Text of a source that may be passed on as it is: documents, comments in headers.
    Text,
    /// Anything else in a source.
    Source,
    /// Nothing but what its inputs are.
    Input,
}

impl Change {
    /// How likely the output differs, as long as nothing was ever seen.
    pub fn prior(self) -> f64 {
        match self {
            Change::Instructions | Change::Text => 0.6,
            Change::Comment => 0.3,
            Change::Source => 0.85,
            Change::Input => 0.6,
        }
    }
}

/// What is remembered of a task, of a name or of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The beginning of its recipe's digest as it was last decided about; of a name, that of the
    /// last derivation that had it.
    pub recipe: u32,
    /// How often its output differed after each kind of change.
    pub changed: [Odds; 5],
    /// How often it ran when it or an input of it differed: the build trace may know the result.
    pub ran: Odds,
    /// Wall time of its builder.
    pub wall: Pace,
    /// Processor time of its builder.
    pub cpu: Pace,
}

impl Cell {
    /// What stands for a recipe.
    pub fn mark(recipe: &Digest) -> u32 {
        u32::from_le_bytes(*recipe.0.first_chunk().expect("32 bytes hold 4"))
    }

    /// How often its output differed after such a change.
    pub fn odds(&self, change: Change) -> Odds {
        self.changed[change as usize]
    }

    /// The same, to be added to.
    pub fn odds_mut(&mut self, change: Change) -> &mut Odds {
        &mut self.changed[change as usize]
    }
}

#[derive(Default)]
struct Shard {
    cells: FxHashMap<Key, Cell>,
    is_new: bool,
}

/// The version byte of the rows.
const VERSION: u8 = 1;

/// The memory of one rebuilder.
pub struct Book<'r> {
    rows: &'r dyn Rows,
    strategy: Strategy,
    shards: RefCell<FxHashMap<u8, Shard>>,
    /// The account.
    pub scores: Scores,
}

impl<'r> Book<'r> {
    /// The memory that these rows hold.
    pub fn open(rows: &'r dyn Rows, strategy: Strategy) -> Book<'r> {
        let row = rows.row(&scores_key(strategy));
        let scores = row.and_then(|row| versioned::decode(VERSION, &row).ok());
        let scores = scores.filter(Scores::is_sound).unwrap_or_default();
        Book { rows, strategy, shards: RefCell::default(), scores }
    }

    /// What is known about something.
    pub fn cell(&self, key: Key) -> Option<Cell> {
        self.with(key, |shard| shard.cells.get(&key).copied())
    }

    /// Changes what is known about something.
    pub fn update(&self, key: Key, change: impl FnOnce(&mut Cell)) {
        self.with(key, |shard| {
            change(shard.cells.entry(key).or_default());
            shard.is_new = true;
        });
    }

    fn with<T>(&self, key: Key, work: impl FnOnce(&mut Shard) -> T) -> T {
        let number = key.shard();
        let mut shards = self.shards.borrow_mut();
        let shard = shards.entry(number).or_insert_with(|| {
            let row = self.rows.row(&shard_key(self.strategy, number));
            let cells: Option<Vec<(Key, Cell)>> =
                row.and_then(|row| versioned::decode(VERSION, &row).ok());
            Shard { cells: cells.unwrap_or_default().into_iter().collect(), is_new: false }
        });
        work(shard)
    }

    /// The rows that are not what they were, with the account if `scored`.
    pub fn news(&self, scored: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let shards = self.shards.borrow();
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> = shards
            .iter()
            .filter(|(_, shard)| shard.is_new)
            .map(|(number, shard)| {
                let mut cells: Vec<(Key, Cell)> =
                    shard.cells.iter().map(|(key, cell)| (*key, *cell)).collect();
                cells.sort_unstable_by_key(|(key, _)| *key);
                (shard_key(self.strategy, *number), versioned::encode(VERSION, &cells))
            })
            .collect();
        if scored {
            rows.push((scores_key(self.strategy), versioned::encode(VERSION, &self.scores)));
        }
        rows
    }
}

fn shard_key(strategy: Strategy, shard: u8) -> Vec<u8> {
    format!("outcome\0{strategy}\0{shard:02}").into_bytes()
}

fn scores_key(strategy: Strategy) -> Vec<u8> {
    format!("outcome\0{strategy}\0score").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Rows for BTreeMap<Vec<u8>, Vec<u8>> {
        fn row(&self, key: &[u8]) -> Option<Vec<u8>> {
            self.get(key).cloned()
        }
    }

    #[test]
    fn names_lose_their_versions() {
        for (name, without) in [
            ("zlib-1.3.2", "zlib"),
            ("gcc-wrapper-13", "gcc-wrapper"),
            ("source", "source"),
            ("a-b-c", "a-b-c"),
            ("odd-", "odd"),
            ("-1", ""),
        ] {
            assert_eq!(without_version(name), without, "{name}");
        }
        assert_eq!(Key::of_name("zlib-1.3"), Key::of_name("zlib-1.4"));
        assert_ne!(Key::of_name("zlib"), Key::of_task(Short::of_task("zlib")));
    }

    #[test]
    fn what_was_learnt_is_there_again_and_damage_costs_that_row_only() {
        let mut rows = BTreeMap::new();
        let book = Book::open(&rows, Strategy::ContentAddressed);
        let tasks: Vec<Key> =
            (0..100).map(|nth| Key::of_task(Short::of_task(&format!("task {nth}")))).collect();
        for &task in &tasks {
            book.update(task, |cell| cell.odds_mut(Change::Input).add(true));
        }
        assert!((20..=64).contains(&book.news(false).len()), "a few rows");
        let news = book.news(true);
        drop(book);
        rows.extend(news);
        let known = |rows: &BTreeMap<Vec<u8>, Vec<u8>>, strategy| {
            let book = Book::open(rows, strategy);
            tasks.iter().filter(|task| book.cell(**task).is_some()).count()
        };
        assert_eq!(known(&rows, Strategy::ContentAddressed), 100);
        assert_eq!(known(&rows, Strategy::InputAddressed), 0, "each rebuilder has its own");
        assert!(Book::open(&rows, Strategy::ContentAddressed).news(false).is_empty());
        let first = rows.keys().next().expect("a row").clone();
        let whole = rows[&first].clone();
        for len in 0..whole.len() {
            rows.insert(first.clone(), whole[..len].to_vec());
            assert!((90..100).contains(&known(&rows, Strategy::ContentAddressed)), "cut to {len}");
        }
    }
}
