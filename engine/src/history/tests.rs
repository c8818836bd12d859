//! Amended histories beside whole ones: random graphs and edits, each request entered into two stores, into one of them
//! always with whole ledgers. Whoever reads them finds the same.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use floe_core::path::OutputName;
use floe_store::Open;

use super::*;
use crate::cancel::Cancel;
use crate::db::Database;
use crate::event::Events;
use crate::graph::Target;
use crate::job::{Context, Cost, Done, Executor, Failure, Job};
use crate::rebuilder::Memo;
use crate::recipe::{Dep, Head, Kind, Piece, Recipe, RootKind, Template, Text};
use crate::resolve::Outputs;
use crate::schedule::{Options, Scheduler};
use crate::tasks::Tasks;

/// A store and builders in memory. An output shows the number, and the inputs unless it hides them; never the comment.
#[derive(Default)]
struct Machine {
    traces: Mutex<HashMap<Digest, Outputs>>,
    objects: Mutex<HashSet<StorePath>>,
}

impl Memo for Machine {
    fn recall(&self, resolved: &Digest, _: RootKind, _: &[OutputName]) -> Vec<Outputs> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.get(resolved).cloned().into_iter().collect()
    }

    fn is_present(&self, path: &StorePath) -> bool {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }
}

impl Executor for Machine {
    fn systems(&self) -> &[String] {
        &[]
    }

    fn features(&self) -> &[String] {
        &[]
    }

    fn execute(&self, job: &Job, _: &Context<'_>) -> Result<Done, Failure> {
        let drv = &job.derivation;
        let of = |name: &[u8]| drv.env[name].as_slice();
        let shown = if of(b"hides") == b"1" { &b""[..] } else { of(b"in") };
        let content = [drv.name.as_bytes(), b"\0", of(b"number"), b"\0", shown].concat();
        let digest = Digest::of(&content).0;
        let digest = digest.first_chunk().expect("32 bytes hold 20");
        let path = StorePath::new(digest, &drv.name).expect("a valid name");
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        let outputs: Outputs = [(OutputName::out(), path)].into();
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.insert(job.key, outputs.clone());
        Ok(Done { outputs, cost: Cost::default(), differences: Vec::new() })
    }
}

/// What a derivation is made of.
#[derive(Clone)]
struct Spec {
    uses: Vec<usize>,
    number: usize,
    comment: usize,
    hides: bool,
}

impl Spec {
    fn recipe(&self, name: &str) -> Recipe {
        let inputs = self.uses.iter().enumerate().flat_map(|(dep, _)| {
            let piece = Piece::Input { dep: dep as u32, output: OutputName::out() };
            [piece, Piece::Text(Box::from(*b" "))]
        });
        let env = [
            ("comment", Template::text(self.comment.to_string())),
            ("hides", Template::text(u8::from(self.hides).to_string())),
            ("in", Template(inputs.collect())),
            ("number", Template::text(self.number.to_string())),
            ("out", Template(vec![Piece::Own(OutputName::out())])),
        ];
        let out: Arc<[OutputName]> = Arc::new([OutputName::out()]);
        let head = Head {
            name: Arc::from(name),
            outputs: Arc::clone(&out),
            kind: Kind::InputAddressed,
            deps: self.uses.iter().map(|_| Dep { outputs: Arc::clone(&out) }).collect(),
        };
        let text = Text {
            system: "s".into(),
            builder: "b".into(),
            env: env.map(|(key, value)| (Box::from(key.as_bytes()), value)).into(),
            ..Text::default()
        };
        Recipe::new(head, text)
    }
}

fn graph(specs: &[Spec], targets: &[usize]) -> Graph {
    let mut graph = Graph::default();
    for (at, spec) in specs.iter().enumerate() {
        let deps: Vec<NodeIx> = spec.uses.iter().map(|&at| NodeIx(at as u32)).collect();
        graph.add(Arc::new(spec.recipe(&format!("n{at}"))), &deps);
    }
    let target = |&at: &usize| Target {
        attr: format!("t{at}"),
        node: NodeIx(at as u32),
        outputs: vec![OutputName::out()],
    };
    graph.targets = targets.iter().map(target).collect();
    graph
}

/// Requests over two stores.
struct World {
    machine: Arc<Machine>,
    db: Database,
    tasks: Tasks,
    whole: Store,
    amended: Store,
    /// How many requests were amended.
    count: usize,
    _dir: tempfile::TempDir,
}

const STRATEGY: Strategy = Strategy::ContentAddressed;

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = |name| Store::open(&dir.path().join(name), Open::READ_WRITE).expect("opens");
        let (whole, amended) = (open("whole"), open("amended"));
        let machine = Arc::new(Machine::default());
        let db = Database::new(Arc::clone(&machine) as Arc<dyn Memo>, STRATEGY);
        let tasks = Tasks::default();
        World { machine, db, tasks, whole, amended, count: 0, _dir: dir }
    }

    /// As another process would go on.
    fn restart(&mut self) {
        self.db = Database::new(Arc::clone(&self.machine) as Arc<dyn Memo>, STRATEGY);
        self.tasks = Tasks::default();
    }

    fn request(&mut self, graph: Graph) {
        let mut entered = self.tasks.enter(&mut self.db, graph);
        let (events, cancel) = (Events::nowhere(), Cancel::default());
        let mut scheduler = Scheduler::new(
            &mut entered,
            &mut self.tasks,
            &mut self.db,
            &events,
            &cancel,
            Options::default(),
        );
        scheduler.look_up();
        let outcome = Arc::new(scheduler.run(&*self.machine));
        let over = Over::new(&entered, &outcome);
        let reads = Reads::default();
        let around = Around { asked: &[], materials: &Materials::default(), reads: &reads };
        let history = History::new(&self.whole, STRATEGY);
        if history.knows(&over).expect("reads").is_none() {
            let Addition { batch, .. } = history.compare(&over, &around, false).expect("reads");
            self.whole.register(&batch).expect("writes");
        }
        let history = History::new(&self.amended, STRATEGY);
        let number = match history.knows(&over).expect("reads") {
            Some(number) => number,
            None => {
                let amended = match (entered.entered_as, &outcome.settled) {
                    (Some(former), Some(edited)) => {
                        history.amend(&over, &around, former, edited).expect("reads")
                    }
                    _ => None,
                };
                self.count += usize::from(amended.is_some());
                let addition = amended
                    .unwrap_or_else(|| history.compare(&over, &around, false).expect("reads"));
                self.amended.register(&addition.batch).expect("writes");
                addition.number
            }
        };
        drop(over);
        entered.entered_as = Some(number);
        self.tasks.keep(&self.db, entered, &outcome);
    }

    #[track_caller]
    fn check(&self, steps: &str) {
        let records = [&self.whole, &self.amended].map(|store| {
            let mut records = History::new(store, STRATEGY).records().expect("reads");
            records.iter_mut().for_each(|(_, record)| record.at = 0);
            records
        });
        let [whole, amended] = records;
        assert_eq!(whole.len(), amended.len(), "{steps}");
        for (whole, amended) in whole.iter().zip(&amended) {
            assert_eq!(whole, amended, "{steps}");
        }
        let logged = [&self.whole, &self.amended].map(|store| {
            let requests = History::new(store, STRATEGY).requests().expect("reads");
            let decisions = requests.into_iter().map(|(number, logged)| (number, logged.decisions));
            decisions.collect::<Vec<_>>()
        });
        assert_eq!(logged[0], logged[1], "{steps}");
    }
}

fn history(seed: u64) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed) | 1;
    // A small generator of numbers: the same edits every time.
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits") % bound
    };
    let count = 4 + next(7);
    let mut specs: Vec<Spec> = (0..count)
        .map(|at| {
            let uses: BTreeSet<usize> = (0..at.min(1 + next(3))).map(|_| next(at)).collect();
            let uses = uses.into_iter().collect();
            Spec { uses, number: 0, comment: 0, hides: next(3) == 0 }
        })
        .collect();
    let used: HashSet<usize> = specs.iter().flat_map(|spec| spec.uses.clone()).collect();
    let tops: Vec<usize> = (0..count).filter(|at| !used.contains(at)).collect();
    let (mut world, mut steps) = (World::new(), format!("seed {seed}"));
    for _ in 0..25 {
        for _ in 0..=next(2) {
            let at = next(count);
            let spec = &mut specs[at];
            match next(8) {
                0 => spec.number = next(3),
                1 => spec.hides ^= true,
                _ => spec.comment = next(4),
            }
            let Spec { number, comment, hides, .. } = spec;
            steps += &format!("\n  {at}: {number} {comment} {hides}");
        }
        // Seldom one of them alone: another request for some of the same.
        let some = if next(8) == 0 { vec![tops[next(tops.len())]] } else { tops.clone() };
        if next(10) == 0 {
            steps += "\n  restart";
            world.restart();
        }
        steps += &format!("\n  {some:?}");
        world.request(graph(&specs, &some));
        world.check(&steps);
    }
    world.count
}

#[test]
fn amended_ledgers_say_what_whole_ones_say() {
    let amended: usize = (1..=12).map(history).sum();
    assert!(amended > 30, "only {amended} requests were amended");
}

#[test]
fn an_amendment_is_as_long_as_the_edit() {
    let mut world = World::new();
    let chain = |comment: usize, count: usize| -> Vec<Spec> {
        let spec = |at: usize| {
            let uses = at.checked_sub(1).into_iter().collect();
            Spec { uses, number: 0, comment: if at == 0 { comment } else { 0 }, hides: false }
        };
        (0..count).map(spec).collect()
    };
    let key = History::new(&world.amended, STRATEGY).amendments_key(&graph(&chain(0, 300), &[299]));
    let mut lengths = Vec::new();
    for comment in 0..4 {
        world.request(graph(&chain(comment, 300), &[299]));
        world.check("an edit below 299");
        lengths.push(world.amended.record(&key).expect("reads").map_or(0, |row| row.len()));
    }
    assert_eq!(world.count, 3);
    assert_eq!(lengths[0], 0);
    assert!(lengths[3] < 300, "{lengths:?} bytes for one edit each");
}

#[test]
fn a_damaged_record_is_told_and_one_of_another_version_is_none() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path(), Open::READ_WRITE).expect("opens");
    let history = History::new(&store, Strategy::ContentAddressed);
    let keys = ["damaged", "older"].map(|task| history.record_key(task));
    let rows: [&[u8]; 2] = [&[2, 7, 7], &[1, 7, 7]];
    store.put_records(keys.iter().map(Vec::as_slice).zip(rows)).expect("writes");
    let span = history.now().expect("reads");
    assert_eq!(span.tasks.len(), 0);
    assert_eq!(span.damaged.keys().collect::<Vec<_>>(), ["damaged"]);
    assert_eq!(history.records().expect("reads"), []);
    assert!(history.record("damaged").is_none(), "a request decides as if there were none");
}
