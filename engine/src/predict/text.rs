//! A forecast as it is told: plain data, for the command, its JSON and whoever asks a server. No
//! probability is computed here.

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::cause::{Affected, Cause, Request, Standing};
use super::forecast::{Forecast, cpu_ms, wall};
use super::total::{Interval, Layout};
use crate::graph::NodeIx;

/// A probability in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Chance(u16);

impl Chance {
    /// That of something certain.
    pub const CERTAIN: Chance = Chance(1000);

    fn of(probability: f64) -> Chance {
        Chance((probability * 1000.0).round().clamp(1.0, 999.0) as u16)
    }

    /// Between 0 and 1.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// In hundredths; 0 and 100 are kept for what is known.
    pub fn percent(self) -> u16 {
        match self {
            Chance::CERTAIN => 100,
            Chance(thousandths) => ((thousandths + 5) / 10).clamp(1, 99),
        }
    }

    /// In a word.
    pub fn likelihood(self) -> Likelihood {
        match self.0 {
            1000.. => Likelihood::Certain,
            667..1000 => Likelihood::Likely,
            334..667 => Likelihood::Possible,
            ..334 => Likelihood::Unlikely,
        }
    }
}

/// A probability in a word, as the IPCC divides them (Guidance Note on Uncertainties, 2010):
/// likely is above two thirds, unlikely below one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Likelihood {
    /// It will run.
    Certain,
    /// Above two thirds.
    Likely,
    /// In between.
    Possible,
    /// Below one third.
    Unlikely,
}

impl Likelihood {
    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Likelihood::Certain => "certain",
            Likelihood::Likely => "likely",
            Likelihood::Possible => "possible",
            Likelihood::Unlikely => "unlikely",
        }
    }
}

/// What is foreseen for one derivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreseen {
    /// Its task id.
    pub task: String,
    /// Its name.
    pub name: String,
    /// How likely its builder runs.
    pub chance: Chance,
    /// Wall time of its builder if it runs, the median, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Processor time likewise.
    pub cpu_ms: Option<u64>,
    /// Whether these are known from runs of its own, and not only of others.
    pub own_time: bool,
    /// Why it runs or may.
    pub why: String,
}

/// A quantity as an interval: one in twenty is expected below it, one in twenty above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its lower end.
    pub low: u64,
    /// Half are below.
    pub median: u64,
    /// Its upper end.
    pub high: u64,
}

impl From<Interval> for Span {
    fn from([low, median, high]: Interval) -> Span {
        Span { low, median, high }
    }
}

/// What is foreseen for a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// Each derivation that may run, in the order of the graph.
    pub derivations: Vec<Foreseen>,
    /// Builders at a time.
    pub jobs: u64,
    /// How many builders run; none without any experience of times.
    pub builders: Option<Span>,
    /// Milliseconds from the first builder's start to the last one's end.
    pub wall_ms: Option<Span>,
}

impl Prediction {
    /// Tells a forecast.
    pub fn of(
        forecast: &Forecast,
        request: &Request<'_>,
        book: &Book<'_>,
        jobs: usize,
    ) -> Prediction {
        let slots = 0..forecast.affected.len();
        let derivations = slots.map(|slot| foreseen(forecast, slot, request, book)).collect();
        let layout = Layout::of(forecast, request, book, jobs);
        let total = layout
            .filter(|_| !forecast.affected.is_empty())
            .map(|layout| layout.total(book.scores.times.excess()));
        Prediction {
            derivations,
            jobs: jobs as u64,
            builders: total.map(|total| total.builders.into()),
            wall_ms: total.map(|total| total.wall_ms.into()),
        }
    }
}

fn foreseen(forecast: &Forecast, slot: usize, request: &Request<'_>, book: &Book<'_>) -> Foreseen {
    let node = &forecast.affected[slot];
    let wall = wall(node, book);
    Foreseen {
        task: request.shape.tasks[node.ix.index()].to_string(),
        name: request.graph.node(node.ix).recipe.name.to_string(),
        chance: match node.standing {
            Standing::Certain => Chance::CERTAIN,
            _ => Chance::of(forecast.probability(slot)),
        },
        wall_ms: wall.map(|(wall, _)| wall.median_ms()),
        cpu_ms: cpu_ms(node, book),
        own_time: wall.is_some_and(|(_, own)| own),
        why: why(forecast, node, slot, request),
    }
}

fn why(forecast: &Forecast, node: &Affected, slot: usize, request: &Request<'_>) -> String {
    let name = |ix: NodeIx| &request.graph.node(ix).recipe.name;
    match &node.cause {
        _ if node.standing == Standing::Wanted => {
            "its outputs are gone, and somebody who runs may need them".to_owned()
        }
        Cause::New => "it was never built here before".to_owned(),
        Cause::Lost => "its outputs are no longer in the store".to_owned(),
        Cause::Input(Some(dep)) => format!("its input '{}' changed", name(*dep)),
        Cause::Input(None) => "its inputs changed".to_owned(),
        Cause::Edited(change, Some(source)) => {
            format!("its source '{}' changed{}", source.name(), in_what(*change))
        }
        Cause::Edited(change, None) => match change {
            super::book::Change::Instructions => "its instructions changed".to_owned(),
            _ => "its sources changed".to_owned(),
        },
        Cause::Below => {
            let common = |dep: &usize| forecast.changed[*dep].common(&forecast.ran[slot]);
            // The first among equals, so that the words do not depend on the order of ties.
            let deps = forecast.deps(request, node.ix).filter(|dep| common(dep) > 0);
            match deps.max_by_key(|dep| (common(dep), std::cmp::Reverse(*dep))) {
                Some(dep) => {
                    format!("if '{}' comes out otherwise", name(forecast.affected[dep].ix))
                }
                None => "it depends on what comes out below".to_owned(),
            }
        }
    }
}

fn in_what(change: super::book::Change) -> &'static str {
    use super::book::Change;
    match change {
        Change::Comment => ", in comments only",
        Change::Text => ", in its documents or its headers' comments only",
        Change::Source | Change::Instructions | Change::Input => "",
    }
}
