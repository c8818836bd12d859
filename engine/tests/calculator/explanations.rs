//! Decisions over a history of requests, and the chain of causes that leads through them.

use std::cell::RefCell;
use std::collections::HashMap;

use floe_core::path::StorePath;
use floe_engine::decide::{Decided, Past, Request as Question, decide};
use floe_engine::explain;
use floe_engine::rebuilder::Strategy;
use floe_engine::record::Record;

use crate::world::{Spec, World};

/// Records as a store keeps them.
#[derive(Default)]
struct Kept(RefCell<HashMap<String, Record>>);

impl Past for Kept {
    fn record(&self, _: Strategy, task: &str) -> Option<Record> {
        self.0.borrow().get(task).cloned()
    }

    fn first_difference(&self, _: &StorePath, _: &StorePath) -> Option<String> {
        Some("lib/changed".to_owned())
    }
}

/// Requests over one history, with their records.
struct History {
    world: World,
    kept: Kept,
    at: u64,
}

impl History {
    fn new() -> History {
        History { world: World::new(Strategy::ContentAddressed), kept: Kept::default(), at: 0 }
    }

    fn decide(&mut self, specs: &[Spec]) -> Vec<Decided> {
        let request = self.world.request(specs, &[specs.len() - 1], 1);
        self.at += 1;
        let decided = decide(
            &Question {
                graph: &request.graph,
                tasks: &request.graph.task_ids(),
                recipes: &request.recipes,
                deep: &request.graph.deep_digests(&request.recipes),
                outcome: &request.outcome,
                strategy: self.world.strategy,
            },
            &self.kept,
            self.at,
        );
        for decided in decided.iter().filter(|decided| !decided.recorded) {
            self.kept.0.borrow_mut().insert(decided.task.to_string(), decided.record.clone());
        }
        decided
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
    let mut records: Vec<(String, Record)> = history.kept.0.borrow().clone().into_iter().collect();
    records.sort_by(|a, b| a.0.cmp(&b.0));
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
