//! Decisions over a history of requests, and the chain of causes that leads through them.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use floe_core::path::StorePath;
use floe_engine::decide::{Decided, Decisions, Past, Request as Question, decide};
use floe_engine::differences::{Differences, Names};
use floe_engine::explain::{self, Cause, Explanation, Seen, Span};
use floe_engine::instructions::Instructions;
use floe_engine::ledger::{Entry, Ledger, Short};
use floe_engine::rebuilder::Strategy;
use floe_engine::record::{Record, When};

use crate::world::{Request, Spec, World};

/// Records as a store keeps them, and how many were read.
#[derive(Default)]
struct Kept {
    records: HashMap<String, Record>,
    instructions: HashMap<String, Instructions>,
    read: Cell<usize>,
    /// How many pairs of objects were compared.
    compared: Cell<usize>,
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

impl explain::World for Kept {
    fn instructions(&self, task: &str) -> Option<Instructions> {
        self.instructions.get(task).cloned()
    }

    fn is_present(&self, _: &StorePath) -> bool {
        true
    }

    fn differences(&self, _: &StorePath, _: &StorePath, _: &Names) -> Option<Differences> {
        self.compared.set(self.compared.get() + 1);
        Some(Differences { real: 1, ..Differences::default() })
    }
}

/// What a request replaced: its number, the task, and what stood there.
type Replaced = (u64, String, Record, Option<Instructions>);

/// Requests over one history, with their records and the ledger beside them.
pub struct History {
    pub world: World,
    kept: Kept,
    ledger: Ledger,
    replaced: Vec<Replaced>,
    /// The number of the last request.
    pub at: u64,
}

impl History {
    pub fn new() -> History {
        History {
            world: World::new(Strategy::ContentAddressed),
            kept: Kept::default(),
            ledger: Ledger::default(),
            replaced: Vec::new(),
            at: 0,
        }
    }

    /// A request and all its decisions.
    fn decide(&mut self, specs: &[Spec]) -> Vec<Decided> {
        self.request(specs, true).1
    }

    /// A request for the last of these, and its decisions.
    pub fn request(&mut self, specs: &[Spec], full: bool) -> (Request, Vec<Decided>) {
        let request = self.world.request(specs, &[specs.len() - 1], 1);
        self.at += 1;
        let tasks = request.graph.task_ids();
        let short_tasks: Vec<Short> = tasks.iter().map(Short::of_task).collect();
        let mut ledger = Ledger::decode(&self.ledger.encode());
        let former: Vec<Option<Entry>> =
            short_tasks.iter().enumerate().map(|(nth, task)| ledger.get(nth, *task)).collect();
        let Decisions { decided, entries, tally } = decide(
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
            When { at: self.at, request: self.at },
        );
        assert_eq!(tally.values().sum::<u64>(), request.graph.len() as u64);
        for Decided { task, record, former, node, .. } in
            decided.iter().filter(|decided| !decided.recorded)
        {
            let task = task.to_string();
            let same = |former: &Record| former.recipe == record.recipe;
            let new = Instructions::of(&request.graph, *node);
            let old = match former.as_ref().is_some_and(same) {
                true => None,
                false => self.kept.instructions.insert(task.clone(), new),
            };
            if let Some(former) = former {
                self.replaced.push((self.at, task.clone(), former.clone(), old));
            }
            self.kept.records.insert(task, record.clone());
        }
        self.ledger = ledger.with(self.at, short_tasks.into_iter().zip(entries).collect());
        (request, decided)
    }

    /// The records with what the ledger adds, as they are looked back at.
    pub fn span(&self, since: u64) -> Span {
        let entries: HashMap<Short, Entry> = self.ledger.entries().iter().copied().collect();
        let mut span = Span { since, until: self.at, ..Span::default() };
        for (task, record) in &self.kept.records {
            let mut now = record.clone();
            entries[&Short::of_task(task)].complete(&mut now);
            let written = record.request;
            let then = (written <= since && now.request > since).then(|| record.clone());
            span.tasks.insert(task.clone(), Seen { now, written, then, instructions_then: None });
        }
        for (at, task, record, instructions) in self.replaced.iter().rev() {
            if *at > since {
                let seen = span.tasks.get_mut(task).expect("what was replaced is there");
                seen.then = Some(record.clone()).filter(|then| then.request <= since);
                if instructions.is_some() {
                    seen.instructions_then.clone_from(instructions);
                }
            }
        }
        span
    }

    pub fn explain<'a>(&'a self, span: &'a Span, what: Option<&str>) -> Explanation<'a> {
        explain::explain(span, &self.kept, what)
    }

    /// The tasks that what happened to a task last leads to, each with its decision and reason.
    fn chain(&self, what: &str) -> Vec<(String, &'static str, String)> {
        let span = self.span(self.at - 1);
        let told = self.explain(&span, Some(what));
        let told = told.tasks.iter().map(|explained| {
            let record = &explained.seen.now;
            (explained.task.to_owned(), record.decision.word(), record.reason.clone())
        });
        told.collect()
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
    let reasons: Vec<String> =
        history.chain("t2").into_iter().map(|(_, _, reason)| reason).collect();
    assert_eq!(
        reasons,
        [
            "its input 't2/mid' changed, first in lib/changed",
            "its input 't2/mid/base-1.0' changed, first in lib/changed",
            "its instructions changed",
        ]
    );
    let records: BTreeMap<&str, &Record> =
        history.kept.records.iter().map(|(task, record)| (task.as_str(), record)).collect();
    let found = |what: &str| explain::find(records.clone(), what, None);
    assert_eq!(found("mid"), Some("t2/mid"));
    assert_eq!(found("base"), Some("t2/mid/base-1.0"));
    assert_eq!(found("base-1.0"), Some("t2/mid/base-1.0"));
    assert_eq!(found("m"), None);
    let out = records["t2/mid"].outputs.values().next();
    let by_path = explain::find(records.clone(), "nothing of that name", out);
    assert_eq!(by_path, Some("t2/mid"));
}

/// A change that is cut off is known of everything above it, and costs their records nothing.
#[test]
fn a_cutoff_needs_no_records() {
    let mut history = History::new();
    let mut specs = fixture();
    history.decide(&specs);
    specs[0].comment = 1;
    history.kept.read.set(0);
    let (_, decided) = history.request(&specs, false);
    let written: Vec<&str> = decided.iter().map(|decided| &*decided.task).collect();
    assert_eq!(written, ["t2/mid/base-1.0"]);
    assert_eq!(history.kept.read.get(), 1, "only what ran is compared with its record");
    let chain = history.chain("t2");
    let told: Vec<(&str, &str)> =
        chain.iter().map(|(_, word, reason)| (*word, reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("cutoff", "its input 't2/mid' came out byte for byte as before"),
            ("cutoff", "its input 't2/mid/base-1.0' came out byte for byte as before"),
            ("built", "its instructions changed"),
        ]
    );
    // Asked again, nothing is news; a real change is told by the record, as ever.
    assert!(history.request(&specs, false).1.is_empty());
    specs[0].op = 2;
    history.check(&specs, "built built built");
    assert_eq!(history.chain("t2")[0].1, "built");
}

/// A span over several requests tells what is left of them, and an edit that was undone leaves
/// nothing.
#[test]
fn a_span_tells_what_is_left_of_several_requests() {
    let mut history = History::new();
    let mut specs = fixture();
    history.request(&specs, false);
    specs[0].op = 2;
    history.request(&specs, false);
    specs[1].comment = 1;
    history.request(&specs, false);
    let span = history.span(1);
    let told = history.explain(&span, None);
    let causes: Vec<String> =
        told.tasks.iter().map(|task| format!("{}: {:?}", task.task, kinds(&task.causes))).collect();
    assert_eq!(
        causes,
        [
            r#"t2: ["input t2/mid"]"#,
            r#"t2/mid: ["instructions", "input t2/mid/base-1.0"]"#,
            r#"t2/mid/base-1.0: ["instructions"]"#,
        ]
    );
    specs[0].op = 1;
    specs[1].comment = 0;
    history.request(&specs, false);
    let span = history.span(1);
    let told = history.explain(&span, Some("t2"));
    assert_eq!(kinds(&told.tasks[0].causes), ["passed t2/mid"]);
    assert_eq!(told.tasks[0].effect, explain::Effect::Same);
}

/// Deeper than a stack would bear, and more objects than anybody would wait for.
#[test]
fn a_long_chain_is_told_to_its_end() {
    const COUNT: usize = 3_000;
    let mut history = History::new();
    let chain = |at: usize| Spec::new(&format!("n{at}"), 1, &[at.wrapping_sub(1)][..at.min(1)]);
    let mut specs: Vec<Spec> = (0..COUNT).map(chain).collect();
    history.request(&specs, false);
    specs[0].comment = 1;
    history.request(&specs, false);
    specs[0].op = 2;
    history.request(&specs, false);
    for since in [1, 2] {
        let span = history.span(since);
        history.kept.compared.set(0);
        let told = history.explain(&span, Some(&format!("t{}", COUNT - 1)));
        assert_eq!(told.tasks.len(), COUNT);
        let last = told.tasks.last().expect("the bottom");
        assert!(last.task.ends_with("/n0"), "{}", last.task);
        assert_eq!(kinds(&last.causes), ["instructions"]);
        assert!(history.kept.compared.get() <= 400, "{}", history.kept.compared.get());
    }
}

/// Causes in short.
pub fn kinds(causes: &[Cause]) -> Vec<String> {
    let kind = |cause: &Cause| match cause {
        Cause::New => "new".to_owned(),
        Cause::Input { task, .. } => format!("input {task}"),
        Cause::AddedInput(task) => format!("added {task}"),
        Cause::RemovedInput(task) => format!("removed {task}"),
        Cause::Instructions(_) => "instructions".to_owned(),
        Cause::Passed(task) => format!("passed {task}"),
        Cause::Told(_) => "told".to_owned(),
        Cause::Source { .. } | Cause::AddedSource { .. } | Cause::RemovedSource(_) => {
            "source".to_owned()
        }
    };
    causes.iter().map(kind).collect()
}
