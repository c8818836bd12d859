//! The graph on which build systems are compared: a step at the bottom writes two things, ten steps read one of them, ten
//! more read those, and one reads all ten. What runs after an edit, through the server.

use crate::Served;

/// Twenty-two steps. What the second line of `base` says is read by nobody.
const STEPS: &str = r#"
let
  step = name: reads: script: derivation {
    inherit name reads;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  word = builtins.readFile;
  base = step "base" [ ] "${word ./comment}echo ${word ./used} > $out; echo ${word ./unread} >> $out";
  first = i: step "first-${toString i}" [ base ] "read line < $reads; echo $line ${toString i} > $out";
  second = i: step "second-${toString i}" [ (first i) ] "read line < $reads; echo $line again > $out";
in {
  top = step "top" (builtins.genList second 10) "for file in $reads; do read line < $file; echo $line; done > $out";
}"#;

struct World {
    served: Served,
}

impl World {
    fn new() -> World {
        let world = World { served: Served::with_text(STEPS) };
        world.edit("comment", "");
        world.edit("used", "used");
        world.edit("unread", "unread");
        world
    }

    fn edit(&self, name: &str, text: &str) {
        self.served.scene.world.file(name, text);
    }

    #[track_caller]
    fn runs(&self, builders: u64, after: &str) {
        let report = self.served.report("top", &[]);
        assert_eq!(report["builders_run"], builders, "builders after {after}");
    }
}

#[test]
fn nothing_runs_but_what_an_edit_can_change() {
    let world = World::new();
    world.runs(22, "nothing at all");
    world.runs(0, "no edit");
    world.edit("comment", "# of no consequence\n");
    world.runs(1, "a comment");
    world.runs(0, "no edit after a comment");
    world.edit("used", "changed");
    world.runs(22, "a real change");
    world.edit("used", "used");
    world.runs(0, "a revert");
    world.edit("unread", "changed");
    world.runs(11, "a change of what nobody reads");
    world.edit("comment", "# of other consequence\n");
    world.runs(1, "another comment");
}

#[test]
fn a_cut_off_edit_asks_the_queries_about_itself_alone() {
    let world = World::new();
    world.runs(22, "nothing at all");
    for round in 0..3 {
        world.edit("comment", &format!("# of no consequence, {round}\n"));
        let report = world.served.report("top", &[]);
        assert_eq!(report["builders_run"], 1);
        assert_eq!((&report["built"], &report["cutoff"]), (&1.into(), &21.into()));
        assert_eq!(report["derivations_resolved"], 1, "{report}");
        assert!(report["queries_executed"].as_u64() <= Some(2), "{report}");
        for stage in ["evaluation_ms", "import_ms", "engine_ms", "waiting_ms", "engine_cpu_ms"] {
            assert!(report[stage].as_f64() > Some(0.0), "{stage} in {report}");
        }
        // What others see is that all of it was cut off.
        let told = world.served.floe(["explain", "top", "--json"]);
        assert!(told.stdout.contains("cutoff"), "{}", told.describe());
    }
}
