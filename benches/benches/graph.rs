//! A thousand to a hundred thousand derivations in one process: what the engine itself costs a
//! request in which nothing changed, and one whose change is cut off at the first node. `resolve`
//! is the query graph and the scheduler over a store in memory; `request` is all that
//! `floe build` does after evaluation, over a real store with real builders, records included.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use floe_benches::generated::{Generated, Memory};
use floe_engine::cancel::Cancel;
use floe_engine::db::Database;
use floe_engine::engine::{BuildOptions, Engine};
use floe_engine::event::Events;
use floe_engine::graph::Graph;
use floe_engine::local::{Bounds, LocalSettings};
use floe_engine::materials::Materials;
use floe_engine::rebuilder::{Memo, Strategy};
use floe_engine::schedule::{Options, Scheduler};
use floe_engine::tasks::Tasks;
use floe_sandbox::Policy;

const COUNT: usize = 10_000;

fn options() -> Options {
    Options { jobs: 2, keep_going: false, dry_run: false, ..Options::default() }
}

/// The query graph over a store in memory.
struct Queries {
    memory: Arc<Memory>,
    db: Database,
    tasks: Tasks,
}

impl Queries {
    fn new() -> Queries {
        let memory = Arc::new(Memory::default());
        let db = Database::new(Arc::clone(&memory) as Arc<dyn Memo>, Strategy::ContentAddressed);
        Queries { memory, db, tasks: Tasks::default() }
    }

    /// One request in a revision of its own; how many builders ran.
    fn request(&mut self, graph: Graph) -> u64 {
        self.db.new_revision();
        let mut entered = self.tasks.enter(&mut self.db, graph);
        let (events, cancel) = (Events::nowhere(), Cancel::default());
        let mut scheduler = Scheduler::new(
            &mut entered,
            &mut self.tasks,
            &mut self.db,
            &events,
            &cancel,
            options(),
        );
        scheduler.look_up();
        let outcome = Arc::new(scheduler.run(&*self.memory));
        self.tasks.keep(&self.db, entered, &outcome);
        outcome.builders_run
    }
}

fn resolve(criterion: &mut Criterion) {
    for count in [1_000, COUNT, 100_000] {
        resolve_of(criterion, count);
    }
}

fn resolve_of(criterion: &mut Criterion, count: usize) {
    let generated = Generated::new(count);
    let before = resident_bytes();
    let graph = generated.evaluated_again();
    let nodes = graph.len();
    let of_graph = resident_bytes() - before;
    let mut queries = Queries::new();
    assert_eq!(queries.request(graph), nodes as u64);
    let of_queries = resident_bytes() - before - of_graph;
    println!(
        "{nodes} derivations, {} use the one that is edited; resident bytes a derivation: recipes and edges {}, \
         queries, traces and scheduler {}",
        generated.users_of_first(),
        of_graph / nodes,
        of_queries / nodes
    );
    let mut group = criterion.benchmark_group(format!("resolve {count}"));
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    let mut bench = |label: &str, next: &mut dyn FnMut() -> Graph, runs: u64| {
        group.bench_function(label, |bench| {
            bench.iter_batched(
                &mut *next,
                |graph| assert_eq!(queries.request(graph), runs),
                BatchSize::PerIteration,
            );
        });
    };
    bench("unchanged", &mut || generated.graph(), 0);
    bench("unchanged, evaluated again", &mut || generated.evaluated_again(), 0);
    let mut edit = 0;
    let mut edited = || {
        edit += 1;
        generated.edited(edit)
    };
    bench("cut off at the first", &mut edited, 1);
    group.finish();
}

/// A whole engine over a store on disk.
struct Whole {
    engine: Engine,
    options: BuildOptions,
    _dir: tempfile::TempDir,
}

impl Whole {
    fn new() -> Whole {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let engine =
            Engine::open(&dir.path().join("root"), true, Events::nowhere()).expect("opens");
        let options = BuildOptions {
            strategy: Strategy::ContentAddressed,
            schedule: options(),
            local: LocalSettings {
                cores: 1,
                timeout: None,
                max_silent: None,
                max_log_bytes: None,
                bounds: Bounds::default(),
                keep_failed: false,
                policy: Policy::default(),
                host_network: false,
                environment: Default::default(),
            },
            decide_all: false,
            check: false,
            asked: Vec::new(),
        };
        Whole { engine, options, _dir: dir }
    }

    /// Builds the graph; how many builders ran.
    fn request(&mut self, graph: Graph) -> u64 {
        let built = self
            .engine
            .build_graph(graph, Materials::default(), &self.options, &Cancel::default())
            .expect("the request is carried out");
        let is_complete = built.outcome.is_complete(&built.graph);
        assert!(is_complete || self.options.schedule.dry_run, "everything is built");
        built.outcome.builders_run
    }
}

fn request(criterion: &mut Criterion) {
    let generated = Generated::new(COUNT);
    let whole = RefCell::new(None::<Whole>);
    let mut edit = 0;
    let mut bench = |label: &str, next: &mut dyn FnMut() -> Graph, runs: u64| {
        let mut group = criterion.benchmark_group("request of 10,000");
        group.sample_size(20).measurement_time(Duration::from_secs(5));
        group.bench_function(label, |bench| {
            // Built when the first of these benchmarks is asked for: it takes a minute.
            let mut whole = whole.borrow_mut();
            let whole = whole.get_or_insert_with(|| {
                let mut whole = Whole::new();
                whole.request(generated.graph());
                whole
            });
            bench.iter_batched(
                &mut *next,
                |graph| assert_eq!(whole.request(graph), runs),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    };
    bench("unchanged", &mut || generated.graph(), 0);
    let mut edited = || {
        edit += 1;
        generated.edited(edit)
    };
    bench("cut off at the first", &mut edited, 1);
    whole.borrow_mut().as_mut().expect("it was built").options.schedule.dry_run = true;
    bench("an edit foreseen", &mut edited, 0);
}

/// The memory that this process has in use, in bytes.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<usize>().ok());
    pages.expect("its second field is the resident set") * 4096
}

criterion_group!(benches, resolve, request);
criterion_main!(benches);
