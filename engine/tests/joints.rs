//! Where an edit stops in an evaluation that is kept: at derivations, whose users stay as they are. What comes out is what a
//! fresh evaluation gives, whatever became of a derivation.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use floe_engine::alias::Aliases;
use floe_engine::import::{Imports, Revised, Seen, Wanted, import};
use floe_engine::instantiate::{Asked, Instantiated, Instantiator, Top};
use floe_lang::graph::DrvId;
use floe_lang::os_host::OsHost;
use floe_lang::{Evaluator, Settings};
use serde_json::{Value, json};

/// Derivations that each a file of its own says everything about.
const SET: &str = r#"
let
  count = builtins.fromJSON (builtins.readFile ./count);
  number = i: builtins.elemAt all i;
  all = builtins.genList make count;
  says = i: builtins.fromJSON (builtins.readFile (./says + "/${toString i}"));
  make = i:
    let
      it = says i;
      each = f: numbers: map (j: f (number j)) numbers;
    in
    derivation ({
      name = it.name;
      system = "s";
      builder = "b";
      outputs = it.outputs;
      uses = each (d: "${d}") it.uses;
      last = each (d: d.${builtins.elemAt d.outputs 0}) it.uses;
      hashed = each (d: builtins.hashString "md5" "${d}") it.hashed;
      cut = each (d: builtins.substring 11 20 "${d}") it.cut;
      deep = each (d: d.drvPath) it.deep;
      files = each (d: builtins.unsafeDiscardOutputDependency d.drvPath) it.files;
      text = each (d: builtins.toFile "text" (builtins.unsafeDiscardStringContext "${d}")) it.texts;
      context = builtins.toJSON (each (d: builtins.attrNames (builtins.getContext "${d}")) it.contexts);
      source = ./sources + "/${toString i}";
      fails = if it.fails then throw "it fails" else 1;
    } // (if it.lifted then { __contentAddressed = true; } else { }));
  named = derivation { name = "named-${(number 0).name}"; system = "s"; builder = "b"; };
  chosen = if builtins.readFile ./choice == "0" then number 0 else number 1;
in
{ inherit all named chosen; last = number (count - 1); caught = (builtins.tryEval (number 0).drvPath).success; }
"#;

const COUNT: usize = 9;

struct World {
    dir: tempfile::TempDir,
    says: Vec<Value>,
    instantiator: Instantiator,
    imports: Imports,
    /// Of the last attribute that was asked for: its nodes' derivations and the graph as text.
    last: Option<(Arc<[DrvId]>, Vec<String>)>,
    /// How often a graph was the last one with other recipes.
    revised: usize,
}

impl World {
    fn new(count: usize, uses: impl Fn(usize) -> Vec<usize>) -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let host = Arc::new(OsHost::quiet());
        let instantiator =
            Instantiator::new(host, Settings::default(), Arc::default()).expect("a thread");
        let mut world = World {
            dir,
            says: Vec::new(),
            instantiator,
            imports: Imports::default(),
            last: None,
            revised: 0,
        };
        world.write("default.nix", SET);
        world.write("count", &count.to_string());
        world.write("choice", "0");
        for i in 0..count {
            let none: [usize; 0] = [];
            world.says.push(json!({
                "name": format!("n{i}"), "outputs": ["out"], "uses": uses(i), "hashed": none, "cut": none,
                "deep": none, "files": none, "texts": none, "contexts": none, "fails": false, "lifted": false,
            }));
            world.say(i);
            world.write(&format!("sources/{i}"), "");
        }
        world
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
        fs::write(path, text).expect("ours");
    }

    fn say(&self, i: usize) {
        self.write(&format!("says/{i}"), &self.says[i].to_string());
    }

    fn asked(&self, attr: &str) -> Asked {
        let top = Top::File(self.dir.path().join("default.nix"));
        Asked { top, base: self.dir.path().to_path_buf(), attr: attr.to_owned(), args: Vec::new() }
    }

    /// What the kept evaluation gives, and what the engine makes of it.
    fn ask(&mut self, attr: &str) -> (String, Vec<String>) {
        match self.instantiator.instantiate(&self.asked(attr)) {
            Ok(found) => {
                let path =
                    |wanted: &Wanted| found.graph.drv_path(wanted.drv).expect("a path").to_string();
                (found.wanted.iter().map(path).collect(), self.import(&found))
            }
            Err(error) => (fault(&error.to_string()), Vec::new()),
        }
    }

    /// The engine's graph as text: the last one with other recipes where that is all that differs.
    fn import(&mut self, found: &Instantiated) -> Vec<String> {
        let Instantiated { graph, wanted, seen, .. } = found;
        if let Some((nodes, mut shown)) = self.last.take() {
            match self.imports.revise(&nodes, graph, wanted, seen, &Aliases::default()) {
                Ok(Some(Revised { recipes, .. })) => {
                    for (ix, recipe) in recipes {
                        let line = &mut shown[ix.index()];
                        let edges = line.find(']').expect("edges end so") + 1;
                        *line = format!("{} {recipe:?}", &line[..edges]);
                    }
                    self.revised += 1;
                    self.last = Some((nodes, shown.clone()));
                    return shown;
                }
                Ok(None) => {}
                Err(_) => return vec!["refused".to_owned()],
            }
        }
        let imported = self.imports.import(graph, wanted, seen, &Aliases::default());
        let nodes = imported.as_ref().ok().map(|imported| Arc::clone(&imported.drvs));
        let shown = recipes(imported);
        self.last = nodes.map(|nodes| (nodes, shown.clone()));
        shown
    }

    #[track_caller]
    fn check(&mut self, attrs: &[&str], step: &str) {
        self.instantiator.refresh();
        for attr in attrs {
            let (found, graph) = self.ask(attr);
            let (expected, fresh) = fresh(self.dir.path(), attr);
            assert_eq!(found, expected, "{attr} after {step}");
            assert_eq!(graph, fresh, "the recipes of {attr} after {step}");
        }
    }
}

/// The engine's graph as text, in its own order; where it is refused, that it is.
fn recipes(
    imported: Result<floe_engine::import::Imported, floe_engine::import::ImportError>,
) -> Vec<String> {
    match imported {
        Ok(imported) => {
            let shown = imported
                .graph
                .nodes()
                .map(|(ix, node)| format!("{ix:?} {:?} {:?}", node.deps, node.recipe));
            shown.collect()
        }
        Err(_) => vec!["refused".to_owned()],
    }
}

/// What an evaluation that has seen nothing gives.
fn fresh(dir: &Path, attr: &str) -> (String, Vec<String>) {
    let mut evaluator = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let result = (|| {
        let top = evaluator.eval_file(&dir.join("default.nix"))?;
        let value = evaluator.select_attr_path(top, attr, &[], dir)?;
        evaluator.derivations(value, &[], dir)
    })();
    match result {
        Ok(found) => {
            let graph = evaluator.graph();
            let name = |wanted: &floe_lang::Wanted| Wanted {
                attr: wanted.attr_path.clone(),
                drv: wanted.drv,
                outputs: wanted
                    .outputs
                    .iter()
                    .map(|at| graph.node(wanted.drv).outputs[*at as usize].name.clone())
                    .collect(),
            };
            let wanted: Vec<Wanted> = found.iter().map(name).collect();
            let paths = wanted
                .iter()
                .map(|wanted| graph.drv_path(wanted.drv).expect("a path").to_string())
                .collect();
            (paths, recipes(import(graph, &wanted, &Seen::All, &Aliases::default())))
        }
        Err(error) => (fault(&error.to_string()), Vec::new()),
    }
}

/// An error as it is compared. Where a cycle is entered depends on what was evaluated before, in one
/// evaluation too.
fn fault(text: &str) -> String {
    let recursion = "infinite recursion encountered";
    (if text.starts_with(recursion) { recursion } else { text }).to_owned()
}

#[test]
fn an_edit_below_many_evaluates_one() {
    let mut world = World::new(300, |i| if i == 0 { vec![] } else { vec![i - 1] });
    world.check(&["last"], "nothing");
    let before = world.instantiator.counts();
    world.write("sources/0", "edited");
    world.check(&["last"], "an edit of a source");
    let after = world.instantiator.counts();
    assert_eq!(after.evaluated, before.evaluated + 1);
    let forgotten = after.forgotten - before.forgotten;
    assert!(forgotten < 10, "{forgotten} values for one derivation below 299");
    assert_eq!(world.revised, 1, "one recipe was imported again, and no graph");
}

#[test]
fn whatever_becomes_of_derivations_is_what_a_fresh_evaluation_gives() {
    let attrs = ["last", "all", "named", "chosen", "caught"];
    for seed in 1..=seeds() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed) | 1;
        // A small generator of numbers: the same edits every time.
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits") % bound
        };
        let mut world = World::new(COUNT, |i| if i == 0 { vec![] } else { vec![i - 1, i / 2] });
        let mut steps = String::new();
        for _ in 0..40 {
            for _ in 0..=next(2) {
                let i = next(COUNT);
                // One that it may use; one in twenty may make a cycle.
                let below = if next(20) == 0 { next(COUNT) } else { next(i.max(1)) };
                let list = |next: &mut dyn FnMut(usize) -> usize| {
                    if i == 0 || next(2) == 0 { json!([]) } else { json!([below]) }
                };
                let lists = ["uses", "hashed", "cut", "deep", "files", "texts", "contexts"];
                let (what, value) = match next(12) {
                    0 => ("name", json!(format!("n{i}{}", ["", "-x"][next(2)]))),
                    1 => ("outputs", [json!(["out"]), json!(["dev", "out"])][next(2)].clone()),
                    2 => ("fails", json!(next(3) == 0)),
                    3 => ("lifted", json!(next(3) == 0)),
                    4..=6 => ("source", json!(next(3))),
                    7 => ("choice", json!(next(2))),
                    _ => (lists[next(lists.len())], list(&mut next)),
                };
                match what {
                    "source" => world.write(&format!("sources/{i}"), &value.to_string()),
                    "choice" => world.write("choice", &value.to_string()),
                    _ => {
                        world.says[i][what] = value.clone();
                        world.say(i);
                    }
                }
                steps += &format!("\n  {i} {what} {value}");
            }
            // Not everything is asked for each time, and often one thing only.
            let some: Vec<&str> = match next(3) {
                0 => attrs.iter().copied().filter(|_| next(3) > 0).collect(),
                _ => vec![attrs[seed as usize % 2]],
            };
            steps += &format!("\n  {some:?}");
            world.check(&some, &format!("seed {seed}:{steps}"));
        }
    }
}

/// How many histories; more of them find more.
fn seeds() -> u64 {
    std::env::var("FLOE_JOINT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12)
}
