//! Instantiation as a query: what an edit re-evaluates, and that what comes out is what a fresh evaluation gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floe_engine::instantiate::{Asked, Counts, Instantiator, Top};
use floe_lang::os_host::OsHost;
use floe_lang::{Argument, Evaluator, Settings};

/// A small package set: two leaves over a base, a library that both use, things read in other ways.
const FILES: &[(&str, &str)] = &[
    (
        "default.nix",
        r#"{ suffix ? "" }:
        let
          lib = import ./lib.nix;
          call = path: import path { inherit lib self suffix; };
          self = {
            base = call ./base.nix;
            one = call ./one.nix;
            two = call ./two;
            above = lib.make "above" { inherit (self) one; };
            listed = lib.make "listed" { names = builtins.attrNames (builtins.readDir ./folder); };
            maybe = lib.make "maybe" { there = if builtins.pathExists ./switch then "yes" else "no"; };
            source = lib.make "source" { src = ./data; };
            caught = lib.make "caught" {
              value = (builtins.tryEval (import ./may-throw.nix)).success;
            };
            text = lib.make "text" { text = builtins.readFile ./data/text; };
            filtered = lib.make "filtered" {
              src = builtins.filterSource (path: type: baseNameOf path != "left-out") ./data;
            };
          };
        in self"#,
    ),
    (
        "lib.nix",
        r#"{ make = name: env: derivation ({ inherit name; system = "s"; builder = "b"; } // env); }"#,
    ),
    ("base.nix", r#"{ lib, ... }: lib.make "base" { }"#),
    ("one.nix", r#"{ lib, self, suffix, ... }: lib.make "one${suffix}" { inherit (self) base; }"#),
    (
        "two/default.nix",
        r#"{ lib, self, ... }: lib.make "two" { inherit (self) base; n = import ./n.nix; }"#,
    ),
    ("two/n.nix", "1"),
    ("folder/a", ""),
    ("data/text", "text"),
    ("data/left-out", "text"),
    ("may-throw.nix", "1"),
    ("unread.nix", "1"),
];

const ATTRS: &[&str] =
    &["base", "one", "two", "above", "listed", "maybe", "source", "caught", "text", "filtered"];

struct World {
    dir: tempfile::TempDir,
    instantiator: Instantiator,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let host = Arc::new(OsHost::quiet());
        let instantiator =
            Instantiator::new(host, Settings::default(), Arc::default()).expect("a thread");
        let world = World { dir, instantiator };
        for (name, text) in FILES {
            world.write(name, text);
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
        fs::write(path, text).expect("ours");
    }

    fn asked(&self, attr: &str, args: Vec<(String, Argument)>) -> Asked {
        let (top, base) = (Top::File(self.path("default.nix")), self.dir.path().to_path_buf());
        Asked { top, base, attr: attr.to_owned(), args }
    }

    fn ask(&self, attr: &str) -> String {
        let asked = self.asked(attr, Vec::new());
        match self.instantiator.instantiate(&asked) {
            Ok(found) => {
                let paths = found.drv_paths().expect("paths");
                paths.iter().map(ToString::to_string).collect()
            }
            Err(error) => error.to_string(),
        }
    }

    fn counts(&self) -> Counts {
        self.instantiator.counts()
    }

    /// Asks for everything and checks it against a fresh evaluation; which requests were evaluated.
    #[track_caller]
    fn evaluated(&mut self) -> Vec<&'static str> {
        self.instantiator.refresh();
        let mut evaluated = Vec::new();
        for attr in ATTRS {
            let before = self.counts().evaluated;
            let found = self.ask(attr);
            if self.counts().evaluated > before {
                evaluated.push(*attr);
            }
            assert_eq!(found, fresh(&self.path("default.nix"), attr), "{attr}");
        }
        evaluated
    }
}

/// What an evaluation that has seen nothing gives.
fn fresh(file: &Path, attr: &str) -> String {
    let mut evaluator = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let result = (|| {
        let top = evaluator.eval_file(file)?;
        let value = evaluator.select_attr_path(top, attr, &[], file)?;
        evaluator.derivations(value, &[], file)
    })();
    match result {
        Ok(found) => {
            let path = |drv| evaluator.graph().drv_path(drv).expect("a path").to_string();
            found.iter().map(|wanted| path(wanted.drv)).collect()
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_edit_evaluates_what_read_it_and_nothing_else() {
    let mut world = World::new();
    assert_eq!(world.evaluated(), ATTRS, "the first time");
    assert_eq!(world.evaluated(), [""; 0], "nothing changed");
    world.write("unread.nix", "2");
    assert_eq!(world.evaluated(), [""; 0], "an edit that nobody read");
    world.write("two/n.nix", "2");
    assert_eq!(world.evaluated(), ["two"]);
    world.write("one.nix", r#"{ lib, self, ... }: lib.make "one-edited" { inherit (self) base; }"#);
    assert_eq!(world.evaluated(), ["one", "above"]);
    world.write("base.nix", r#"{ lib, ... }: lib.make "base" { edited = true; }"#);
    assert_eq!(world.evaluated(), ["base", "one", "two", "above"]);
    world.write("folder/b", "");
    assert_eq!(world.evaluated(), ["listed"], "an entry of a directory that was listed");
    world.write("folder/b", "its content");
    assert_eq!(world.evaluated(), [""; 0], "content that nobody read");
    world.write("switch", "");
    assert_eq!(world.evaluated(), ["maybe"], "a file that was looked for and absent");
    world.write("data/text", "other");
    assert_eq!(world.evaluated(), ["source", "text", "filtered"]);
    world.write("data/left-out", "other");
    assert_eq!(world.evaluated(), ["source"], "the filter leaves it out");
    world.write("may-throw.nix", "throw \"now\"");
    assert_eq!(world.evaluated(), ["caught"], "a failure that was caught");
    world.write("may-throw.nix", "1");
    assert_eq!(world.evaluated(), ["caught"], "and back");
    world.write("lib.nix", r#"{ make = name: env: derivation ({ inherit name; system = "t"; builder = "b"; } // env); }"#);
    assert_eq!(world.evaluated(), ATTRS, "all use the library");
    world.write("one.nix", "{");
    assert_eq!(world.evaluated(), ["one", "above"], "a file that cannot be parsed");
    fs::remove_file(world.path("one.nix")).expect("ours");
    assert_eq!(world.evaluated(), ["one", "above"], "a file that is gone");
    world.write("one.nix", FILES[3].1);
    assert_eq!(world.evaluated(), ["one", "above"], "and back");
    fs::remove_dir_all(world.path("two")).expect("ours");
    world.write("two", r#"{ lib, ... }: lib.make "two-as-a-file" { }"#);
    assert_eq!(world.evaluated(), ["two"], "a directory that becomes a file");
}

#[test]
fn equal_derivations_stop_the_change() {
    let mut world = World::new();
    let asked = world.asked("above", Vec::new());
    let graph = world.instantiator.graph(&asked).expect("a graph");
    let parsed = world.counts().parsed;
    world.write("base.nix", "# a comment\n{ lib, ... }: lib.make \"base\" { }");
    assert_eq!(world.instantiator.refresh(), 1);
    let again = world.instantiator.graph(&asked).expect("a graph");
    assert!(Arc::ptr_eq(&graph, &again), "the engine's graph is the same");
    let counts = world.counts();
    assert_eq!((counts.evaluated, counts.imported), (2, 1));
    assert_eq!(counts.parsed, parsed + 1, "only the edited file is parsed");
    world.write("base.nix", "{ lib, ... }: lib.make \"base\" { edited = true; }");
    world.instantiator.refresh();
    let other = world.instantiator.graph(&asked).expect("a graph");
    assert!(!Arc::ptr_eq(&graph, &other));
    assert_eq!(world.counts().imported, 2);
}

#[test]
fn arguments_make_another_request() {
    let world = World::new();
    let ask = |suffix: &str| {
        let args = vec![("suffix".to_owned(), Argument::Text(suffix.to_owned()))];
        let asked = world.asked("one", args);
        let found = world.instantiator.instantiate(&asked).expect("evaluates");
        found.drv_paths().expect("paths")[0].name().to_owned()
    };
    assert_eq!(ask("-x"), "one-x.drv");
    assert_eq!(ask("-y"), "one-y.drv");
    assert_eq!(ask("-x"), "one-x.drv");
    assert_eq!(world.counts().evaluated, 2);
}

#[test]
fn random_edits_give_what_a_fresh_evaluation_gives() {
    let mut world = World::new();
    let variants: &[(&str, &[&str])] = &[
        ("two/n.nix", &["1", "2", "throw \"x\"", "{", "(import ../default.nix { }).base.name"]),
        ("base.nix", &[FILES[2].1, r#"{ lib, ... }: lib.make "base-2" { }"#, "{ lib, ... }: { }"]),
        (
            "one.nix",
            &[FILES[3].1, r#"{ lib, self, ... }: self.two"#, r#"{ self, ... }: self.above"#],
        ),
        ("lib.nix", &[FILES[1].1, "{ make = name: env: throw \"no\"; }"]),
        ("folder/c", &["", "x"]),
        ("data/text", &["1", "2"]),
        ("may-throw.nix", &["1", "throw \"x\"", "assert false; 1"]),
    ];
    // a small generator of numbers: the same edits every time
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits") % bound
    };
    for _ in 0..60 {
        for _ in 0..=next(2) {
            let (name, texts) = variants[next(variants.len())];
            world.write(name, texts[next(texts.len())]);
        }
        world.evaluated();
    }
    let counts = world.counts();
    let all = 61 * ATTRS.len() as u64;
    assert!(counts.evaluated < all * 9 / 10, "{counts:?} of {all} requests");
}
