//! A world without processes and files: derivations are sums modulo three, objects are numbers,
//! and the build trace is a map. Random decisions are not made here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use floe_core::ca::{ContentAddress, Method};
use floe_core::drv::Derivation;
use floe_core::hash::{Digest, Hash, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use floe_engine::cancel::Cancel;
use floe_engine::db::{Database, Node, QueryCounts};
use floe_engine::dynamic::{Discover, NoReader};
use floe_engine::event::Events;
use floe_engine::graph::{Graph, NodeIx, Target};
use floe_engine::job::{Context, Cost, Done, Executor, Failure, Job};
use floe_engine::rebuilder::{Memo, Strategy};
use floe_engine::recipe::{Dep, Head, Kind, Piece, Recipe, RootKind, Template, Text};
use floe_engine::resolve::{Outputs, key};
use floe_engine::schedule::{Options, Outcome, Scheduler};
use floe_engine::tasks::Tasks;

/// The outputs that derivations of this world may have.
pub const OUTPUTS: [&str; 3] = ["dev", "doc", "out"];

pub fn output_name(name: &str) -> OutputName {
    OutputName::new(name).expect("a valid name")
}

/// One derivation: `out = op + index of the output + inputs (mod 3)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub name: String,
    /// What it adds.
    pub op: u32,
    /// Part of its instructions, and of no influence.
    pub comment: u32,
    /// Indices into [`OUTPUTS`].
    pub outputs: Vec<usize>,
    /// Which nodes it uses, and which of their outputs.
    pub deps: Vec<(usize, Vec<usize>)>,
    /// Its output is given up front.
    pub fixed: bool,
}

impl Spec {
    pub fn new(name: &str, op: u32, deps: &[usize]) -> Spec {
        Spec {
            name: name.to_owned(),
            op,
            comment: 0,
            outputs: vec![2],
            deps: deps.iter().map(|&dep| (dep, vec![2])).collect(),
            fixed: false,
        }
    }

    pub fn recipe(&self) -> Recipe {
        let mut inputs = Vec::new();
        for (nth, (_, outputs)) in self.deps.iter().enumerate() {
            for &output in outputs {
                inputs.push(Piece::Input { dep: nth as u32, output: output_name(OUTPUTS[output]) });
                inputs.push(Piece::Text(Box::from(*b" ")));
            }
        }
        let names = |outputs: &[usize]| -> Vec<OutputName> {
            outputs.iter().map(|&output| output_name(OUTPUTS[output])).collect()
        };
        let kind = match self.fixed {
            true => Kind::Fixed(Box::new(ContentAddress {
                method: Method::Flat,
                hash: Hash::of(HashAlgo::Sha256, self.name.as_bytes()),
            })),
            false => Kind::InputAddressed,
        };
        let env: [(&[u8], Template); 4] = [
            (b"comment", Template::text(self.comment.to_string())),
            (b"in", Template(inputs)),
            (b"name", Template::text(self.name.as_bytes())),
            (b"op", Template::text(self.op.to_string())),
        ];
        let head = Head {
            name: Arc::from(self.name.as_str()),
            outputs: names(&self.outputs).into(),
            kind,
            deps: self.deps.iter().map(|(_, used)| Dep { outputs: names(used).into() }).collect(),
        };
        let text = Text {
            system: "calculator".into(),
            builder: "/bin/add".into(),
            env: env.into_iter().map(|(name, value)| (Box::from(name), value)).collect(),
            ..Text::default()
        };
        Recipe::new(head, text)
    }
}

/// The graph of these derivations; the targets are wanted with all their outputs.
pub fn graph(specs: &[Spec], targets: &[usize]) -> Graph {
    let mut graph = Graph::default();
    for spec in specs {
        let deps: Vec<NodeIx> = spec.deps.iter().map(|(dep, _)| NodeIx(*dep as u32)).collect();
        graph.add(Arc::new(spec.recipe()), &deps);
    }
    graph.targets = targets
        .iter()
        .map(|&at| Target {
            attr: format!("t{at}"),
            node: NodeIx(at as u32),
            outputs: graph.node(NodeIx(at as u32)).recipe.outputs.to_vec(),
        })
        .collect();
    graph
}

/// How the output of a derivation follows from what it is made of, which nobody can see.
#[derive(Debug, Clone, Default)]
pub struct Mood {
    /// What each state of its instructions comes to: two states may come to the same.
    pub states: Vec<u64>,
    /// The share of all inputs that it tells from one another; others are all the same to it.
    pub attention: f64,
}

impl Mood {
    fn value(&self, name: &str, state: u32, inputs: &[u32]) -> u32 {
        let digest = Digest::of(format!("{name} {inputs:?}").as_bytes()).0;
        let number = |at: usize| u32::from_le_bytes(digest[at..at + 4].try_into().expect("four"));
        let notices = f64::from(number(0)) < self.attention * f64::from(u32::MAX);
        let seen = if notices { number(4) } else { 0 };
        let own = self.states[state as usize];
        let digest = Digest::of(format!("{own} {seen}").as_bytes()).0;
        u32::from_le_bytes(digest[..4].try_into().expect("four"))
    }
}

/// What is remembered between requests.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// What each run of a key gave, the preferred run first.
    pub traces: BTreeMap<Digest, Vec<Outputs>>,
    pub objects: BTreeSet<StorePath>,
    /// What rebuilders remember.
    pub memories: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The number that every object ever made holds.
    pub values: HashMap<StorePath, u32>,
    /// Derivations whose builders fail, by name.
    pub failing: HashSet<String>,
    /// Outputs that are another number each time, by the names of their objects.
    pub fickle: HashSet<String>,
    /// Whether what runs may depend on the order: any of them was made, or a result of several went.
    pub order_matters: bool,
    /// Derivations whose outputs follow from their inputs in ways of their own, by name.
    pub moods: HashMap<String, Mood>,
    /// Cancels the request when so many more builders have run.
    pub cancel: Option<(usize, Cancel)>,
    /// How many builders ever ran.
    pub runs: u32,
    /// What ran: names, in order, and keys.
    pub log: Vec<(String, Digest)>,
}

impl State {
    /// Runs a resolved derivation as its builder would.
    pub fn run(&mut self, drv: &Derivation, key: Digest, own: Option<&Outputs>) -> Option<Outputs> {
        self.runs += 1;
        self.log.push((drv.name.clone(), key));
        let text = |name: &[u8]| String::from_utf8_lossy(&drv.env[name]).into_owned();
        let op: u32 = text(b"op").parse().expect("a number");
        let (mut sum, mut inputs) = (op, Vec::new());
        for input in text(b"in").split_whitespace() {
            let path = StorePath::parse(input).expect("a store path");
            assert!(self.objects.contains(&path), "'{}' misses its input {path}", drv.name);
            assert!(drv.input_srcs.contains(&path), "'{}' does not declare {path}", drv.name);
            match self.moods.is_empty() {
                true => sum += self.values[&path],
                false => inputs.push(self.values[&path]),
            }
        }
        if self.failing.contains(&drv.name) {
            return None;
        }
        let outputs: Outputs = drv
            .outputs
            .keys()
            .map(|output| {
                let nth = OUTPUTS.iter().position(|known| *known == output.as_str());
                let sum = sum + nth.expect("one of ours") as u32;
                let name = output.path_name(&drv.name);
                self.order_matters |= self.fickle.contains(&name);
                let value = match (self.fickle.contains(&name), self.moods.get(&drv.name)) {
                    (true, _) => sum + self.runs,
                    (false, Some(mood)) => mood.value(&drv.name, op, &inputs),
                    (false, None) => sum % 3,
                };
                let path = match own.and_then(|own| own.get(output)) {
                    Some(path) => path.clone(),
                    None => address_of(&name, value),
                };
                self.values
                    .insert(path.clone(), if drv.name.starts_with("fixed") { 1 } else { value });
                self.objects.insert(path.clone());
                (output.clone(), path)
            })
            .collect();
        let runs = self.traces.entry(key).or_default();
        if !runs.contains(&outputs) {
            runs.push(outputs.clone());
        }
        Some(outputs)
    }

    /// Removes the objects of these names; what is known of them stays, as in a collection.
    pub fn lose(&mut self, names: &[&str]) {
        self.objects.retain(|path| !names.contains(&path.name()));
    }

    /// Removes objects and the runs that gave them.
    pub fn forget(&mut self, gone: &[StorePath]) {
        self.objects.retain(|path| !gone.contains(path));
        let is_gone = |outputs: &Outputs| outputs.values().any(|path| gone.contains(path));
        self.traces.values_mut().for_each(|runs| runs.retain(|outputs| !is_gone(outputs)));
        self.traces.retain(|_, runs| !runs.is_empty());
    }

    /// Prefers a run.
    fn prefer(&mut self, key: &Digest, outputs: &Outputs) {
        if let Some(runs) = self.traces.get_mut(key) {
            runs.sort_by_key(|run| run != outputs);
        }
    }
}

fn address_of(name: &str, value: u32) -> StorePath {
    let digest = Digest::of(format!("{name} {value}").as_bytes()).0;
    StorePath::new(digest[..20].try_into().expect("20 bytes"), name).expect("a valid name")
}

/// The memory and the machine of this world.
#[derive(Default)]
pub struct Shared(Mutex<State>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Memo for Shared {
    fn recall(&self, resolved: &Digest, _: RootKind, _: &[OutputName]) -> Vec<Outputs> {
        self.lock().traces.get(resolved).cloned().unwrap_or_default()
    }

    fn memory(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock().memories.get(key).cloned()
    }

    fn is_present(&self, path: &StorePath) -> bool {
        self.lock().objects.contains(path)
    }
}

impl Executor for Shared {
    fn systems(&self) -> &[String] {
        &[]
    }

    fn features(&self) -> &[String] {
        &[]
    }

    fn execute(&self, job: &Job, _: &Context<'_>) -> Result<Done, Failure> {
        let mut state = self.lock();
        if let Some((left, cancel)) = &mut state.cancel {
            if *left == 0 {
                cancel.cancel();
                return Err(Failure::Cancelled);
            }
            *left -= 1;
        }
        match state.run(&job.derivation, job.key, job.own.as_ref()) {
            Some(outputs) => Ok(Done { outputs, cost: Cost::default(), differences: Vec::new() }),
            None => Err(Failure::Builder {
                message: "it fails".to_owned(),
                log_tail: Vec::new(),
                log: None,
            }),
        }
    }
}

/// An engine over this world, without a store.
pub struct World {
    pub shared: Arc<Shared>,
    pub db: Database,
    pub tasks: Tasks,
    pub strategy: Strategy,
    /// Query executions, as salsa names them.
    pub queries: Arc<Mutex<Vec<String>>>,
}

/// One request and what came of it.
pub struct Request {
    pub graph: Arc<Graph>,
    pub outcome: Arc<Outcome>,
    /// What ran, by name.
    pub ran: Vec<String>,
    /// The keys of what ran, sorted.
    pub keys: Vec<Digest>,
    pub counts: QueryCounts,
    pub nodes: Vec<Node>,
    /// The recipes' digests.
    pub recipes: Vec<Digest>,
}

impl World {
    pub fn new(strategy: Strategy) -> World {
        let shared = Arc::new(Shared::default());
        let queries = Arc::new(Mutex::new(Vec::new()));
        let db = database(&shared, strategy, &queries);
        World { shared, db, tasks: Tasks::default(), strategy, queries }
    }

    /// Forgets all queries, as a new process does.
    pub fn restart(&mut self) {
        self.db = database(&self.shared, self.strategy, &self.queries);
        self.tasks = Tasks::default();
    }

    pub fn request(&mut self, specs: &[Spec], targets: &[usize], jobs: usize) -> Request {
        self.request_graph(
            graph(specs, targets),
            Options { jobs, keep_going: true, dry_run: false, ..Options::default() },
        )
    }

    /// A request that is cancelled when so many builders have run.
    pub fn request_and_cancel(&mut self, specs: &[Spec], targets: &[usize], after: usize) {
        let cancel = Cancel::default();
        self.shared.lock().cancel = Some((after, cancel.clone()));
        let options = Options { jobs: 2, keep_going: true, dry_run: false, ..Options::default() };
        self.carry_out(graph(specs, targets), &NoReader, options, &cancel);
        self.shared.lock().cancel = None;
    }

    /// A request that ends in an error before anything is looked up.
    pub fn abandon(&mut self, specs: &[Spec], targets: &[usize]) {
        self.tasks.enter(&mut self.db, graph(specs, targets));
    }

    pub fn request_graph(&mut self, graph: Graph, options: Options) -> Request {
        self.request_reading(graph, &NoReader, options)
    }

    /// A request in which builders make derivations.
    pub fn request_reading(
        &mut self,
        graph: Graph,
        reader: &dyn Discover,
        options: Options,
    ) -> Request {
        self.carry_out(graph, reader, options, &Cancel::default())
    }

    fn carry_out(
        &mut self,
        graph: Graph,
        reader: &dyn Discover,
        options: Options,
        cancel: &Cancel,
    ) -> Request {
        self.shared.lock().log.clear();
        self.queries.lock().expect("no panic").clear();
        let before = self.db.counts();
        let mut entered = self.tasks.enter(&mut self.db, graph);
        let events = Events::nowhere();
        let mut scheduler =
            Scheduler::new(&mut entered, &mut self.tasks, &mut self.db, &events, cancel, options);
        scheduler.read_with(reader);
        scheduler.remember(&|_| None);
        scheduler.look_up();
        let outcome = Arc::new(scheduler.run(&*self.shared));
        let (graph, nodes, recipes) =
            (Arc::clone(&entered.graph), entered.nodes.clone(), entered.recipes.clone());
        self.tasks.keep(&self.db, entered, &outcome);
        self.shared.lock().memories.extend(outcome.memories.iter().cloned());
        if outcome.builders_run > 0 {
            let mut state = self.shared.lock();
            outcome.choices.iter().for_each(|(key, _, outputs)| state.prefer(key, outputs));
        }
        let after = self.db.counts();
        let log = self.shared.lock().log.clone();
        let mut keys: Vec<Digest> = log.iter().map(|(_, key)| *key).collect();
        keys.sort_unstable_by_key(|key| key.0);
        Request {
            graph,
            outcome,
            ran: log.into_iter().map(|(name, _)| name).collect(),
            keys,
            counts: QueryCounts {
                executed: after.executed - before.executed,
                validated: after.validated - before.validated,
                resolved: after.resolved - before.resolved,
            },
            nodes,
            recipes,
        }
    }
}

impl Request {
    /// Whether every result rests on the others as they are: each key denotes one and the same
    /// outputs, and each node's key is made from what its inputs are for everybody.
    pub fn assert_whole(&self, world: &World) {
        let rebuilder = world.strategy.rebuilder();
        let mut denoted: HashMap<Digest, &Outputs> = HashMap::new();
        for (ix, node) in self.graph.nodes() {
            let of = |ix: &NodeIx| self.outcome.outputs[ix.index()].as_deref();
            let inputs: Option<Vec<&Outputs>> = node.deps.iter().map(of).collect();
            let (Some(inputs), Some(outputs)) = (inputs, of(&ix)) else { continue };
            if self.outcome.addressed[ix.index()] || node.recipe.is_dynamic() {
                continue;
            }
            let name = &node.recipe.name;
            let resolved = key(&rebuilder.resolve(node.recipe, None, &inputs));
            assert_eq!(self.outcome.keys[ix.index()], Some(resolved), "what '{name}' rests on");
            assert_eq!(*denoted.entry(resolved).or_insert(outputs), outputs, "two of '{name}'");
            let state = world.shared.lock();
            assert!(state.traces[&resolved].contains(outputs), "no run of '{name}' gave these");
        }
        for target in &self.graph.targets {
            let outputs = self.outcome.outputs[target.node.index()].as_deref();
            let is_complete = self.outcome.is_complete(&self.graph);
            for name in target.outputs.iter().filter(|_| is_complete) {
                let path = outputs.and_then(|outputs| outputs.get(name)).expect("it is complete");
                assert!(world.shared.lock().objects.contains(path), "{path} is not there");
            }
        }
    }
}

fn database(
    shared: &Arc<Shared>,
    strategy: Strategy,
    queries: &Arc<Mutex<Vec<String>>>,
) -> Database {
    let heard = Arc::clone(queries);
    Database::listening(Arc::clone(shared) as Arc<dyn Memo>, strategy, move |event| {
        if let salsa::EventKind::WillExecute { database_key } = event.kind {
            heard.lock().expect("no panic").push(format!("{database_key:?}"));
        }
    })
}
