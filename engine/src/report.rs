//! The report of a request as JSON lines: a head, a line for each derivation, a line of counters.
//! Scripts and studies lean on its fields; they are added to, never changed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use floe_core::path::OutputName;
use serde::Serialize;

use crate::db::QueryCounts;
use crate::decide::Decided;
use crate::record::{CutoffKind, DecidedBy, Decision};
use crate::schedule::Outcome;
use crate::spent::{Spent, Stages, Told};

/// The format's version, in the head's `floe_report`.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize)]
pub struct Head<'a> {
    /// [`VERSION`].
    pub floe_report: u32,
    /// floe's own version.
    pub floe: &'a str,
    /// The rebuilder in force.
    pub rebuilder: &'a str,
    /// The platform.
    pub system: &'a str,
    /// When the request began, in seconds since 1970.
    pub at: u64,
}

/// A line for one derivation.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// The stable task id.
    pub task: &'a str,
    /// The path of the derivation as evaluated.
    pub drv: Option<String>,
    /// The digest of the resolved derivation.
    pub resolved: Option<String>,
    /// The derivation's name.
    pub name: &'a str,
    /// What was decided.
    pub decision: Decision,
    /// For a cutoff: by which comparison.
    pub kind: Option<CutoffKind>,
    /// Whether its outputs equal the former ones.
    pub unchanged: bool,
    /// In words, why.
    pub reason: &'a str,
    /// What decided.
    pub decided_by: Option<&'a DecidedBy>,
    /// Output paths by name.
    pub outputs: BTreeMap<&'a OutputName, &'a str>,
    /// When its builder started, in milliseconds after the request began.
    pub start_ms: Option<u64>,
    /// Wall time of its builder in this request.
    pub wall_ms: Option<u64>,
    /// Processor time of its builder in this request.
    pub cpu_ms: Option<u64>,
}

/// The last line.
#[derive(Debug, Serialize)]
pub struct Counters {
    /// Query bodies that ran.
    pub queries_executed: u64,
    /// Memos found still valid.
    pub queries_validated: u64,
    /// Derivations resolved.
    pub derivations_resolved: u64,
    /// Builders run, failed ones included.
    pub builders_run: u64,
    /// Builders run before for evaluation, which read what they made (import from derivation).
    pub builders_run_for_evaluation: u64,
    /// Builders that gave something else than they gave before.
    pub divergences: u64,
    /// Evaluations that were given up and begun again, because they asked for what was not built, and
    /// looks at a request from the bottom, because a builder had made a derivation.
    pub restarts: u64,
    /// Wall time of the request, evaluation included.
    pub wall_ms: u64,
    /// What its stages took.
    #[serde(flatten)]
    pub stages: Told,
    /// How many derivations were decided how.
    #[serde(flatten)]
    pub decisions: BTreeMap<Decision, u64>,
}

/// What a request took beside what its outcome says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Evaluations that were given up and begun again.
    pub restarts: u64,
    /// Builders that ran for evaluation.
    pub builders_for_evaluation: u64,
    /// Wall time in milliseconds, evaluation included.
    pub wall_ms: u64,
    /// What evaluation took, with the processor time of all threads.
    pub evaluation: Spent,
    /// What the other stages took.
    pub stages: Stages,
}

/// How many derivations were decided how.
pub fn tally<'a>(decided: impl IntoIterator<Item = &'a Decided>) -> BTreeMap<Decision, u64> {
    let mut tally = BTreeMap::new();
    for decided in decided {
        *tally.entry(decided.record.decision).or_default() += 1;
    }
    tally
}

/// Writes one value as a line.
///
/// # Errors
/// When the writer fails.
pub fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// The line for one decision. `drv` is the path of the derivation as evaluated.
pub fn decision_line<'a>(
    decided: &'a Decided,
    name: &'a str,
    outcome: &Outcome,
    drv: Option<String>,
) -> Line<'a> {
    let at = decided.node.index();
    let ran = outcome.start_ms[at].is_some();
    let record = &decided.record;
    Line {
        task: &decided.task,
        drv,
        resolved: record.resolved.map(|digest| digest.base16()),
        name,
        decision: record.decision,
        kind: record.kind,
        unchanged: decided.unchanged,
        reason: &record.reason,
        decided_by: record.decided_by.as_ref(),
        outputs: record.outputs.iter().map(|(name, path)| (name, path.as_str())).collect(),
        start_ms: outcome.start_ms[at],
        wall_ms: ran.then_some(record.wall_ms),
        cpu_ms: ran.then_some(record.cpu_ms),
    }
}

/// The last line of a request.
pub fn counters(
    decided: &[Decided],
    outcome: &Outcome,
    queries: QueryCounts,
    cost: Cost,
) -> Counters {
    Counters {
        queries_executed: queries.executed,
        queries_validated: queries.validated,
        derivations_resolved: queries.resolved,
        builders_run: outcome.builders_run,
        builders_run_for_evaluation: cost.builders_for_evaluation,
        divergences: outcome.divergences.len() as u64,
        restarts: cost.restarts + outcome.restarts,
        wall_ms: cost.wall_ms,
        stages: Told::of(cost.evaluation, &cost.stages),
        decisions: tally(decided),
    }
}
