//! The command beside the models of the literature: random graphs and histories, each step a builder in its sandbox, and the
//! sets of what ran. Few and small, since every step is a process; the engine's own tests hold many more without processes.

use std::fs;

use floe_papers::laws::runner;
use floe_papers::oracle::Oracle;
use floe_papers::sums::{History, MODULUS, Sums, histories};
use floe_tests::World;

/// The steps as derivations: each adds what it reads with the shell's own arithmetic.
fn expression(sums: &Sums, targets: &[u16]) -> String {
    let output = |(step, output): &(u16, u8)| format!("s{step}.o{output}");
    let steps = sums.0.iter().enumerate().map(|(at, sum)| {
        let reads: Vec<String> = sum.reads.iter().map(output).collect();
        let names: Vec<String> = sum.outputs.iter().map(|o| format!("\"o{o}\"")).collect();
        let write = |o: &u8| format!("echo $(( (sum + {o}) % {MODULUS} )) > $o{o}; ");
        let writes: String = sum.outputs.iter().map(write).collect();
        format!(
            "s{at} = derivation {{ name = \"n{at}\"; system = builtins.currentSystem; builder = \"/bin/sh\";\n  \
             outputs = [ {} ]; adds = {}; comment = {}; reads = [ {} ];\n  args = [ \"-c\" ''sum=$adds; \
             for file in $reads; do read value < $file; sum=$((sum + value)); done; {writes}'' ]; }};\n",
            names.join(" "),
            sum.adds,
            sum.comment,
            reads.join(" "),
        )
    });
    let wanted: Vec<String> =
        targets.iter().flat_map(|step| sums.outputs(*step)).map(|o| output(&o)).collect();
    format!("rec {{\n{}all = [ {} ];\n}}\n", steps.collect::<String>(), wanted.join(" "))
}

fn check(history: &History, rebuilder: &str, model: &str) {
    let world = World::new();
    let mut oracle = Oracle::new(model).expect("a model of this name").outputs_apart();
    let mut sums = history.sums.clone();
    for turn in &history.turns {
        turn.happenings.iter().for_each(|happening| sums.apply(happening));
        world.file("default.nix", expression(&sums, &turn.targets));
        let built = world.floe([
            "build",
            "-f",
            ".",
            "all",
            "--no-link",
            "--rebuilder",
            rebuilder,
            "--report",
            "report",
        ]);
        assert!(built.success(), "{}", built.describe());
        let report = fs::read_to_string(world.work().join("report")).expect("the report");
        let records = report
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON"));
        let mut ran: Vec<u16> = records
            .filter(|record| record["decision"] == "built")
            .filter_map(|record| record["name"].as_str()?.strip_prefix('n')?.parse().ok())
            .collect();
        ran.sort_unstable();
        let expected = oracle.build_sums(&sums, &turn.targets).expect("sums are static");
        assert_eq!(ran, expected.ran, "what ran, by floe and by its model");
        let wanted = turn.targets.iter().flat_map(|step| sums.outputs(*step));
        for (path, output) in built.lines().iter().zip(wanted) {
            let text = fs::read_to_string(world.physical(path)).expect("an output");
            assert_eq!(text, format!("{}\n", sums.value(output)), "what {output:?} holds");
        }
    }
}

#[track_caller]
fn check_all(rebuilder: &str, model: &str) {
    let checked = runner(6, 1).run(&histories(6, 5, false), |history| {
        check(&history, rebuilder, model);
        Ok(())
    });
    checked.expect("floe runs what its model runs");
}

#[test]
fn content_addressed_runs_what_its_model_runs() {
    check_all("content-addressed", "floe, content-addressed");
}

#[test]
fn input_addressed_runs_what_its_model_runs() {
    check_all("input-addressed", "Nix, input-addressed");
}
