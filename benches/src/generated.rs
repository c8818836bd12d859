//! A generated graph of derivations and a machine that only exists in memory, so that the engine
//! itself is measured: no process, no file. No measuring here.

use std::collections::BTreeSet;
use std::sync::Arc;

use dashmap::{DashMap, DashSet};
use floe_core::hash::Digest;
use floe_core::path::{OutputName, StorePath};
use floe_engine::graph::{Graph, NodeIx, Target};
use floe_engine::job::{Context, Cost, Done, Executor, Failure, Job};
use floe_engine::rebuilder::Memo;
use floe_engine::recipe::{Dep, Head, Kind, Piece, Recipe, RootKind, Template, Text};
use floe_engine::resolve::Outputs;

use crate::Random;

/// Libraries at the bottom that half of all packages use.
const BASE: usize = 20;

/// Recipes and edges shaped like a package set: each package uses up to four that came shortly
/// before it, half of them one of twenty at the bottom too, and one target uses all that nobody
/// else does. The same at every call.
pub struct Generated {
    nodes: Vec<(Arc<Recipe>, Vec<NodeIx>)>,
}

impl Generated {
    /// `count` packages and the target.
    pub fn new(count: usize) -> Generated {
        let mut random = Random(1);
        let mut used = vec![false; count];
        let mut nodes: Vec<(Arc<Recipe>, Vec<NodeIx>)> = (0..count)
            .map(|at| {
                let mut deps = BTreeSet::new();
                for _ in 0..if at < BASE { 0 } else { random.below(5) } {
                    deps.insert(at - 1 - random.below(at.min(50)));
                }
                if at >= BASE && random.below(2) == 0 {
                    deps.insert(random.below(BASE));
                }
                deps.iter().for_each(|&dep| used[dep] = true);
                let deps: Vec<usize> = deps.into_iter().collect();
                (Arc::new(recipe(&format!("package-{at}"), deps.len(), 0)), indices(&deps))
            })
            .collect();
        let sinks: Vec<usize> = (0..count).filter(|&at| !used[at]).collect();
        nodes.push((Arc::new(recipe("everything", sinks.len(), 0)), indices(&sinks)));
        Generated { nodes }
    }

    /// The graph with the very same recipes, as when evaluation gives what it gave before.
    pub fn graph(&self) -> Graph {
        self.assemble(Arc::clone)
    }

    /// The graph with equal recipes that share nothing, as when everything was evaluated again.
    pub fn evaluated_again(&self) -> Graph {
        self.assemble(|recipe| Arc::new(Recipe::clone(recipe)))
    }

    /// The graph after an edit of the package at the very bottom that its output does not show.
    pub fn edited(&self, edit: u64) -> Graph {
        let first = Arc::new(recipe("package-0", 0, edit));
        self.assemble(|known| match &*known.name {
            "package-0" => Arc::clone(&first),
            _ => Arc::clone(known),
        })
    }

    fn assemble(&self, recipe: impl Fn(&Arc<Recipe>) -> Arc<Recipe>) -> Graph {
        let mut graph = Graph::default();
        for (known, deps) in &self.nodes {
            graph.add(recipe(known), deps);
        }
        graph.targets = vec![Target {
            attr: "everything".to_owned(),
            node: NodeIx(self.nodes.len() as u32 - 1),
            outputs: vec![OutputName::out()],
        }];
        graph
    }

    /// How many packages use the one at the very bottom themselves.
    pub fn users_of_first(&self) -> usize {
        self.nodes.iter().filter(|(_, deps)| deps.contains(&NodeIx(0))).count()
    }
}

fn indices(deps: &[usize]) -> Vec<NodeIx> {
    deps.iter().map(|&dep| NodeIx(dep as u32)).collect()
}

/// A package as nixpkgs' `stdenv` writes them: some twenty attributes, most of them empty. Its
/// builder writes its name, whatever the comment says: an output that named its inputs would drag
/// thousands of them into every sandbox.
fn recipe(name: &str, deps: usize, comment: u64) -> Recipe {
    let mut inputs = Vec::new();
    for dep in 0..deps {
        inputs.push(Piece::Input { dep: dep as u32, output: OutputName::out() });
        inputs.push(Piece::Text(Box::from(*b" ")));
    }
    let mut env: Vec<(Box<[u8]>, Template)> = [
        ("buildInputs", Template(inputs)),
        ("builder", "/bin/sh".into()),
        ("comment", Template::text(comment.to_string())),
        ("configureFlags", "--disable-static --enable-shared --without-documentation".into()),
        ("meta", "a generated package of no use but to be counted".into()),
        ("name", Template::text(name)),
        ("out", Template(vec![Piece::Own(OutputName::out())])),
        ("stdenv", "standard environment".into()),
    ]
    .map(|(key, value)| (Box::from(key.as_bytes()), value))
    .into();
    for empty in
        ["cmakeFlags", "doCheck", "mesonFlags", "nativeBuildInputs", "patches", "strictDeps"]
    {
        env.push((Box::from(empty.as_bytes()), Template::default()));
    }
    env.sort_by(|(one, _), (other, _)| one.cmp(other));
    let out: Arc<[OutputName]> = Arc::new([OutputName::out()]);
    let head = Head {
        name: Arc::from(name),
        outputs: Arc::clone(&out),
        kind: Kind::InputAddressed,
        deps: (0..deps).map(|_| Dep { outputs: Arc::clone(&out) }).collect(),
    };
    let text = Text {
        system: floe_engine::local::current_system().as_str().into(),
        builder: "/bin/sh".into(),
        args: vec!["-c".into(), "echo $name > $out".into()],
        env,
        ..Text::default()
    };
    Recipe::new(head, text)
}

/// A store and a machine in memory.
#[derive(Default)]
pub struct Memory {
    traces: DashMap<Digest, Outputs>,
    objects: DashSet<StorePath>,
}

impl Memo for Memory {
    fn recall(&self, resolved: &Digest, _: RootKind, _: &[OutputName]) -> Vec<Outputs> {
        self.traces.get(resolved).map(|outputs| outputs.clone()).into_iter().collect()
    }

    fn is_present(&self, path: &StorePath) -> bool {
        self.objects.contains(path)
    }
}

impl Executor for Memory {
    fn systems(&self) -> &[String] {
        &[]
    }

    fn features(&self) -> &[String] {
        &[]
    }

    /// What the builder of [`recipe`] does, without the builder.
    fn execute(&self, job: &Job, _: &Context<'_>) -> Result<Done, Failure> {
        let digest = Digest::of(job.derivation.name.as_bytes()).0;
        let digest = digest.first_chunk().expect("32 bytes hold 20");
        let path = StorePath::new(digest, &job.derivation.name).expect("a valid name");
        self.objects.insert(path.clone());
        let outputs: Outputs = [(OutputName::out(), path)].into();
        self.traces.insert(job.key, outputs.clone());
        Ok(Done { outputs, cost: Cost::default(), differences: Vec::new() })
    }
}
