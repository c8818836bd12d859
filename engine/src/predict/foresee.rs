//! Prediction over a store: the forecast for a request, and what is written when it is over. The
//! model is in the modules beside this one; here it meets the store's rows, records and sources.

use floe_core::path::StorePath;
use floe_store::Store;

use super::book::{Book, Change, Rows};
use super::edit::{self, Edits, Tree};
use super::forecast::{Forecast, Request};
use super::learn::learn;
use super::sample::{SCORED, TOLD};
use super::score::Scores;
use super::text::Prediction;
use crate::decide::{Decided, Past};
use crate::history::{History, Over};
use crate::materials::Materials;
use crate::rebuilder::Strategy;
use crate::record::Record;
use crate::tasks::Entered;

/// Rows as they are stored.
pub(crate) type Stored = Vec<(Vec<u8>, Vec<u8>)>;

impl Rows for Store {
    fn row(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.record(key).ok().flatten()
    }
}

/// Where the sources of a request are: in the store, or still where they came from.
struct Sources<'a> {
    store: &'a Store,
    materials: &'a Materials,
}

impl Edits for Sources<'_> {
    fn change(&self, old: &[&StorePath], new: &[&StorePath]) -> Change {
        let (Some(old), Some(new)) = (self.trees(old), self.trees(new)) else {
            return Change::Source;
        };
        edit::change(&old, &new)
    }
}

impl Sources<'_> {
    fn trees<'p>(&self, paths: &[&'p StorePath]) -> Option<Vec<(&'p str, Tree)>> {
        let tree = |path: &&'p StorePath| {
            let stored = self.store.is_valid(path).unwrap_or(false);
            let stored = stored.then(|| Tree { place: self.store.physical(path), kept: None });
            Some((path.name(), stored.or_else(|| self.materials.tree(path))?))
        };
        paths.iter().map(tree).collect()
    }
}

/// Where more may run, nothing is foreseen but the bounds: half a kilobyte for each is too much.
const MOST: usize = 200_000;

/// So many derivations are always learnt from, and so many more for each builder that ran.
const FEW: u64 = 500;
const WORTH: u64 = 100;

/// Everything that a forecast is made of. Without a store there is no experience.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) store: Option<&'a Store>,
    pub(crate) strategy: Strategy,
    pub(crate) over: &'a Over<'a>,
    pub(crate) materials: &'a Materials,
    pub(crate) decided: &'a [Decided],
    pub(crate) jobs: usize,
}

impl Case<'_> {
    fn with<T>(&self, work: impl FnOnce(&Request<'_>, Book<'_>) -> T) -> T {
        let Over { entered, outcome, recipes, .. } = self.over;
        let Entered { graph, shape, .. } = entered;
        let found = &outcome.finds.tasks;
        let grown = (!found.is_empty()).then(|| shape.grown(graph, found));
        let request = |past, edits| Request {
            graph,
            shape: grown.as_ref().unwrap_or(shape),
            recipes,
            outcome,
            decided: self.decided,
            past,
            edits,
            strategy: self.strategy,
        };
        let Some(store) = self.store else {
            return work(&request(&Nothing, &Nothing), Book::open(&Nothing, self.strategy));
        };
        let history = History::new(store, self.strategy);
        let sources = Sources { store, materials: self.materials };
        work(&request(&history, &sources), Book::open(store, self.strategy))
    }

    /// Whether more may run than a forecast is made of.
    fn is_too_large(&self) -> bool {
        self.over.outcome.certain.len() + self.over.outcome.possible.len() > MOST
    }

    /// Whether learning would take longer than what was built: where much may run and little does, a
    /// build that is cut off at once costs little, and so must its account.
    fn is_dear(&self) -> bool {
        let affected = (self.over.outcome.certain.len() + self.over.outcome.possible.len()) as u64;
        affected > FEW + WORTH * self.over.outcome.builders_run
    }

    /// What is foreseen, if it is not too much.
    pub(crate) fn predict(&self) -> Option<Prediction> {
        (!self.is_too_large()).then(|| {
            self.with(|request, book| {
                let forecast = Forecast::of(request, &book, TOLD);
                Prediction::of(&forecast, request, &book, self.jobs)
            })
        })
    }

    /// The rows that change now that the request is over. What is said of it is what would have
    /// been said before: of the outcome, a forecast sees what was known then, and nothing of this
    /// request has been written yet.
    pub(crate) fn learn(&self) -> Stored {
        if self.is_too_large() || self.is_dear() {
            return Stored::new();
        }
        self.with(|request, mut book| {
            let forecast = Forecast::of(request, &book, SCORED);
            let scored = learn(request, &forecast, &mut book, self.jobs);
            book.news(scored)
        })
    }
}

/// What is known without a store.
struct Nothing;

impl Rows for Nothing {
    fn row(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

impl Past for Nothing {
    fn record(&self, _: &str) -> Option<Record> {
        None
    }

    fn first_difference(&self, _: &StorePath, _: &StorePath) -> Option<String> {
        None
    }
}

impl Edits for Nothing {
    fn change(&self, _: &[&StorePath], _: &[&StorePath]) -> Change {
        Change::Source
    }
}

/// The account of a rebuilder's predictions.
pub(crate) fn scores(store: &Store, strategy: Strategy) -> Scores {
    Book::open(store, strategy).scores
}
