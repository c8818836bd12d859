//! Decisions over a history of requests, and the chain of causes that leads through them.

use std::cell::Cell;
use std::collections::HashMap;

use floe_core::path::StorePath;
use floe_engine::decide::{Decided, Decisions, Past, Request as Question, decide};
use floe_engine::explain;
use floe_engine::ledger::{Entry, Ledger, Short};
use floe_engine::rebuilder::Strategy;
use floe_engine::record::Record;

use crate::world::{Spec, World};

/// Records as a store keeps them, and how many were read.
#[derive(Default)]
struct Kept {
    records: HashMap<String, Record>,
    read: Cell<usize>,
}

impl Past for Kept {
    fn record(&self, task: &str) -> Option<Record> {
        self.read.set(self.read.get() + 1);
        self.records.get(task).cloned()
    }

    fn first_difference(&self, _: &StorePath, _: &StorePath) -> Option<String> {
        Some("lib/changed".to_owned())
    }
}

/// Requests over one history, with their records and the ledger beside them.
struct History {
    world: World,
    kept: Kept,
    ledger: Ledger,
    at: u64,
}

impl History {
    fn new() -> History {
        let world = World::new(Strategy::ContentAddressed);
        History { world, kept: Kept::default(), ledger: Ledger::default(), at: 0 }
    }

    /// A request and all its decisions.
    fn decide(&mut self, specs: &[Spec]) -> Vec<Decided> {
        self.request(specs, true)
    }

    fn request(&mut self, specs: &[Spec], full: bool) -> Vec<Decided> {
        let request = self.world.request(specs, &[specs.len() - 1], 1);
        self.at += 1;
        let tasks = request.graph.task_ids();
        let short_tasks: Vec<Short> = tasks.iter().map(|task| Short::of_task(task)).collect();
        let mut ledger = Ledger::decode(&self.ledger.encode());
        let former: Vec<Option<Entry>> =
            short_tasks.iter().enumerate().map(|(nth, task)| ledger.get(nth, *task)).collect();
        let Decisions { decided, entries } = decide(
            &Question {
                graph: &request.graph,
                tasks: &tasks,
                short_tasks: &short_tasks,
                recipes: &request.recipes,
                deep: &request.graph.deep_digests(&request.recipes),
                entries: &former,
                outcome: &request.outcome,
                full,
            },
            &self.kept,
            self.at,
        );
        for decided in decided.iter().filter(|decided| !decided.recorded) {
            self.kept.records.insert(decided.task.to_string(), decided.record.clone());
        }
        self.ledger = ledger.with(short_tasks.into_iter().zip(entries).collect());
        decided
    }

    /// The records with what the ledger adds, as they are looked back at.
    fn records(&self) -> Vec<(String, Record)> {
        let entries: HashMap<Short, Entry> = self.ledger.entries().iter().copied().collect();
        let mut records: Vec<(String, Record)> = self.kept.records.clone().into_iter().collect();
        records.sort_by(|a, b| a.0.cmp(&b.0));
        for (task, record) in &mut records {
            entries[&Short::of_task(task)].complete(record);
        }
        records
    }

    /// One request, and its decisions in short.
    fn check(&mut self, specs: &[Spec], expect: &str) {
        let decided = self.decide(specs);
        let words: Vec<String> = decided
            .iter()
            .map(|decided| {
                let unchanged = if decided.unchanged { "=" } else { "" };
                format!("{}{unchanged}", decided.record.decision.word())
            })
            .collect();
        assert_eq!(words.join(" "), expect);
    }
}

fn fixture() -> Vec<Spec> {
    vec![Spec::new("base-1.0", 1, &[]), Spec::new("mid", 0, &[0]), Spec::new("top", 0, &[1])]
}

#[test]
fn decisions_follow_a_history() {
    let mut history = History::new();
    let mut specs = fixture();
    history.check(&specs, "built built built");
    history.check(&specs, "reused= reused= reused=");
    assert!(history.decide(&specs).iter().all(|decided| decided.recorded));
    specs[0].comment = 1;
    history.check(&specs, "built= cutoff= cutoff=");
    specs[0].op = 2;
    history.check(&specs, "built built built");
    specs[0].op = 1;
    history.check(&specs, "cutoff cutoff cutoff");
}

#[test]
fn a_failure_is_forgotten_by_a_revert_and_compared_beyond() {
    let mut history = History::new();
    let mut specs = fixture();
    history.check(&specs, "built built built");
    specs[0].comment = 1;
    history.world.shared.lock().failing.insert("base-1.0".to_owned());
    history.check(&specs, "failed skipped skipped");
    specs[0].comment = 0;
    history.check(&specs, "reused= reused= reused=");
    specs[0].comment = 1;
    history.check(&specs, "failed skipped skipped");
    history.world.shared.lock().failing.clear();
    // Compared with the last result, not with the failure.
    history.check(&specs, "built= cutoff= cutoff=");
}

#[test]
fn causes_lead_down_to_the_first() {
    let mut history = History::new();
    let mut specs = fixture();
    history.decide(&specs);
    specs[0].op = 2;
    history.decide(&specs);
    let records = history.records();
    let first = explain::find(&records, "t2", None).expect("a target");
    let reasons: Vec<&str> =
        explain::chain(&records, first).iter().map(|(_, record)| &*record.reason).collect();
    assert_eq!(
        reasons,
        [
            "its input 't2/mid' changed, first in lib/changed",
            "its input 't2/mid/base-1.0' changed, first in lib/changed",
            "its instructions changed",
        ]
    );
    let found = |what: &str| explain::find(&records, what, None).map(|(task, _)| task.as_str());
    assert_eq!(found("mid"), Some("t2/mid"));
    assert_eq!(found("base"), Some("t2/mid/base-1.0"));
    assert_eq!(found("base-1.0"), Some("t2/mid/base-1.0"));
    assert_eq!(found("m"), None);
    let out = records[0].1.outputs.values().next();
    let by_path = explain::find(&records, "nothing of that name", out).map(|(task, _)| task);
    assert_eq!(by_path, Some(&records[0].0));
}

/// A change that is cut off is known of everything above it, and costs their records nothing.
#[test]
fn a_cutoff_needs_no_records() {
    let mut history = History::new();
    let mut specs = fixture();
    history.decide(&specs);
    specs[0].comment = 1;
    history.kept.read.set(0);
    let decided = history.request(&specs, false);
    let written: Vec<&str> = decided.iter().map(|decided| &*decided.task).collect();
    assert_eq!(written, ["t2/mid/base-1.0"]);
    assert_eq!(history.kept.read.get(), 1, "only what ran is compared with its record");
    let records = history.records();
    let first = explain::find(&records, "t2", None).expect("a target");
    let told: Vec<(&str, &str)> = explain::chain(&records, first)
        .iter()
        .map(|(_, record)| (record.decision.word(), &*record.reason))
        .collect();
    assert_eq!(
        told,
        [
            ("cutoff", "its input 't2/mid' came out byte for byte as before"),
            ("cutoff", "its input 't2/mid/base-1.0' came out byte for byte as before"),
            ("built", "its instructions changed"),
        ]
    );
    // Asked again, nothing is news; a real change is told by the record, as ever.
    assert!(history.request(&specs, false).is_empty());
    specs[0].op = 2;
    history.check(&specs, "built built built");
    assert_eq!(history.records()[0].1.decision.word(), "built");
}
