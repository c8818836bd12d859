//! What a store remembers of a request that is over, and what it says of one that is to come. When
//! a request is carried out is the engine's affair.

use floe_store::{Batch, TraceKey};

use super::{BuildOptions, Engine, EngineError};
use crate::decide::Decided;
use crate::event::Stage;
use crate::history::{Addition, Around, History, Over};
use crate::materials::Materials;
use crate::predict::score::Scores;
use crate::predict::{Prediction, foresee};
use crate::rebuilder::Strategy;
use crate::record::{Decision, Record};
use crate::schedule::Outcome;
use crate::spent::{Meter, Spent};

/// What was decided about a request, and what became of it in the store's history.
#[derive(Default)]
pub(super) struct Kept {
    /// The decisions.
    pub(super) decided: Vec<Decided>,
    /// The number of the last request that found anything new about the same.
    pub(super) number: Option<u64>,
    /// What it took to decide about what only a report asks for.
    pub(super) reporting: Spent,
}

impl Kept {
    /// Decides about everything, as seen from what the store knows.
    fn decide_all(&mut self, history: &History<'_>, over: &Over<'_>) -> Result<(), EngineError> {
        let meter = Meter::of_thread();
        self.decided = history.decided(over, true)?;
        self.reporting = meter.read();
        Ok(())
    }
}

/// What was written down of a request.
pub(super) struct Ending {
    pub(super) kept: Kept,
    /// What is foreseen, in a dry run.
    pub(super) prediction: Option<Prediction>,
    /// What it took to make it outlive a power cut.
    pub(super) syncing: Spent,
}

impl Engine {
    /// Writes down what became of a request, so that it outlives a power cut, or foresees it in a dry run.
    pub(super) fn keep(
        &self,
        over: &Over<'_>,
        materials: &Materials,
        options: &BuildOptions,
    ) -> Result<Ending, EngineError> {
        let deciding = self.events.stage(Stage::Deciding);
        let kept = self.keep_decisions(over, materials, options)?;
        let prediction = match options.schedule.dry_run {
            true => self.predict(over, materials, options)?,
            false => None,
        };
        self.keep_choices(over.outcome)?;
        self.keep_memories(over.outcome)?;
        drop(deciding);
        let syncing = Meter::of_thread();
        if let Some(store) = self.store() {
            let _syncing = self.events.stage(Stage::Syncing);
            self.digests.keep(&store)?;
            // What is about to be reported as built stays so.
            store.sync()?;
        }
        Ok(Ending { kept, prediction, syncing: syncing.read() })
    }

    /// Lets the next request begin with the realisations that this one chose.
    fn keep_choices(&self, outcome: &Outcome) -> Result<(), EngineError> {
        if outcome.builders_run == 0 {
            // It was chosen for what lies in the store, and will be again.
            return Ok(());
        }
        for (resolved, root, outputs) in &outcome.choices {
            let key = TraceKey { resolved: *resolved, profile: self.profiles.of(*root) };
            self.writable_store()?.prefer(&key, outputs)?;
        }
        Ok(())
    }

    /// Lets a rebuilder that goes by memory remember what ran.
    fn keep_memories(&self, outcome: &Outcome) -> Result<(), EngineError> {
        if !outcome.memories.is_empty() {
            let memories = outcome.memories.clone();
            self.writable_store()?.register(&Batch { memories, ..Batch::default() })?;
        }
        Ok(())
    }

    /// Decides about the nodes and writes what is new to the records, and what was learnt from it
    /// for predictions beside them.
    fn keep_decisions(
        &self,
        over: &Over<'_>,
        materials: &Materials,
        options: &BuildOptions,
    ) -> Result<Kept, EngineError> {
        let mut kept = Kept::default();
        // A check is no part of a task's history.
        if options.schedule.dry_run || options.check {
            return Ok(kept);
        }
        let Some(store) = self.store() else { return Ok(kept) };
        let history = History::new(&store, options.strategy);
        match history.knows(over)? {
            Some(number) => {
                kept.number = Some(number);
                if options.decide_all {
                    kept.decide_all(&history, over)?;
                }
            }
            None => self.enter(over, materials, options, &mut kept)?,
        }
        // What stands for another one's output is no derivation; it matters where it cannot be read.
        let graph = &over.entered.graph;
        kept.decided.retain(|decided| {
            !graph.node(decided.node).recipe.is_dynamic()
                || decided.record.decision == Decision::Failed
        });
        Ok(kept)
    }

    /// Enters a request into the store's history, and learns from it.
    fn enter(
        &self,
        over: &Over<'_>,
        materials: &Materials,
        options: &BuildOptions,
        kept: &mut Kept,
    ) -> Result<(), EngineError> {
        let store = self.writable_store()?;
        let (strategy, jobs) = (options.strategy, options.schedule.jobs);
        let _turn = self.slot.turn();
        let reads = self.host.reads();
        let around = Around { asked: &options.asked, materials, reads };
        let history = History::new(&store, strategy);
        let amended = match (over.entered.entered_as, &over.outcome.settled) {
            (Some(former), Some(edited)) => history.amend(over, &around, former, edited)?,
            _ => None,
        };
        let is_amended = amended.is_some();
        let Addition { number, decided, mut batch } = match amended {
            Some(amended) => amended,
            None => history.compare(over, &around, options.decide_all)?,
        };
        let case = foresee::Case {
            store: Some(&store),
            strategy,
            over,
            materials,
            decided: &decided,
            jobs,
        };
        batch.records.extend(case.learn());
        if is_amended && options.decide_all {
            kept.decide_all(&history, over)?;
        } else {
            kept.decided = decided;
        }
        store.register(&batch)?;
        reads.forget();
        kept.number = Some(number);
        Ok(())
    }

    /// What is foreseen for a request that was looked up, of which nothing has run.
    fn predict(
        &self,
        over: &Over<'_>,
        materials: &Materials,
        options: &BuildOptions,
    ) -> Result<Option<Prediction>, EngineError> {
        let (strategy, jobs) = (options.strategy, options.schedule.jobs);
        let store = self.store();
        let decided = match &store {
            Some(store) if !over.outcome.certain.is_empty() => {
                History::new(store, strategy).decided(over, false)?
            }
            _ => Vec::new(),
        };
        let (store, decided) = (store.as_deref(), &*decided);
        Ok(foresee::Case { store, strategy, over, materials, decided, jobs }.predict())
    }

    /// How good the predictions of a rebuilder's requests were.
    pub fn scores(&self, strategy: Strategy) -> Scores {
        self.store().map_or_else(Scores::default, |store| foresee::scores(&store, strategy))
    }

    /// All records of a strategy, by task id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn records(&self, strategy: Strategy) -> Result<Vec<(String, Record)>, EngineError> {
        match self.store() {
            Some(store) => Ok(History::new(&store, strategy).records()?),
            None => Ok(Vec::new()),
        }
    }
}
