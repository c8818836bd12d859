//! `floe repl` as somebody at a terminal meets it, and over a pipe.

use std::fs;

use floe_tests::World;
use floe_tests::process::run_with;
use floe_tests::terminal::{Terminal, key};

const FILE: &str = r#"{ loaded ? 3 }: {
  inherit loaded;
  /**
    Twice a number.
  */
  twice = n: n * 2;
  package = derivation {
    name = "trivial";
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" "echo said by the builder; echo made > $out" ];
  };
}
"#;

/// Loops for hours in little memory.
const LONG: &str = "let l = builtins.genList (x: x) 9000; e = f: builtins.foldl' (a: b: f a) 0 l; in e (a: e (a: e (a: a)))";

fn world() -> World {
    let world = World::new();
    world.file("set.nix", FILE);
    world
}

fn typed(world: &World, text: &str) -> floe_tests::Outcome {
    let file = fs::File::open(world.file("typed", text)).expect("what is typed");
    let outcome = run_with(world.command("floe").arg("repl"), file).expect("floe to start");
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

#[test]
fn a_session_over_a_pipe() {
    let world = world();
    let outcome = typed(
        &world,
        "x = 1 +\n  2\nx * 2\n:t x\n{\n  a = x;\n\n}.a\n:l set.nix\nloaded\nnope\nx\n:doc map\n:z\n:q\nx\n",
    );
    let said: Vec<&str> = outcome.lines();
    let added = "added 3 names: loaded, package, twice";
    assert_eq!(said[..6], ["6", "an integer", "3", added, "3", "3"], "{}", outcome.describe());
    assert!(said[6].starts_with("builtins.map"), "{}", outcome.describe());
    assert_eq!(said.len(), 9, "{}", outcome.describe());
    assert!(outcome.stderr.contains("undefined variable 'nope'"), "{}", outcome.describe());
    assert!(outcome.stderr.contains("there is no command :z"), "{}", outcome.describe());
}

#[test]
fn answers_are_worth_reading() {
    let world = world();
    let outcome = typed(
        &world,
        ":l set.nix\n\
         { a = 1; b.c = [ 1 ]; f = x: x; bad = throw \"no\"; }\n\
         :p { a = 1; b.c = [ 1 2 ]; }\n\
         :p \"a\\nb\"\n\
         package\n\
         :b package\n\
         :doc builtins.map\n\
         :doc twice\n\
         :doc builtins.nixVersion\n\
         :t twice\n\
         :ll\n\
         :te\n\
         :te false\n\
         inherit (builtins) length; m = 1\n\
         n = length [ m ]; o = m\n\
         n\n\
         \n# nothing\n\
         :log package\n",
    );
    let work = world.work().display().to_string();
    insta::assert_snapshot!("repl-answers", outcome.stdout.replace(&work, "WORK"));
}

#[test]
fn faults_are_told_and_the_session_goes_on() {
    let world = world();
    let outcome = typed(
        &world,
        "1 + \"a\"\n\
         { a = 1;\n  b = c; }\n\
         x = )\n\
         :a 1\n\
         :b 1\n\
         :i 1\n\
         :lf nixpkgs\n\
         :sh 1\n\
         :l nowhere.nix\n\
         :doc 1\n\
         :te maybe\n\
         :e 1\n\
         :ll\n\
         {\n\"still here\"\n",
    );
    let work = world.work().display().to_string();
    insta::assert_snapshot!("repl-faults", outcome.stderr.replace(&work, "WORK"));
    assert_eq!(outcome.stdout, "");
}

#[test]
fn an_unfinished_text_at_the_end_is_a_fault() {
    let world = world();
    let outcome = typed(&world, "1 + 1\n{ a =\n");
    assert_eq!(outcome.stdout, "2\n");
    assert!(outcome.stderr.contains("unexpected end of file"), "{}", outcome.describe());
}

fn open(world: &World, args: &[&str]) -> Terminal {
    let mut command = world.command("floe");
    command.arg("repl").args(args);
    let mut terminal = Terminal::start(&command).expect("a terminal");
    terminal.wait_for("floe> ");
    terminal
}

/// Ctrl-D at the next prompt.
#[track_caller]
fn leave(mut terminal: Terminal) {
    terminal.wait_for("floe> ");
    terminal.press(key::END);
    assert!(terminal.end().success());
}

#[test]
fn keys_complete_names_attributes_commands_and_files() {
    let world = world();
    let mut terminal = open(&world, &[]);
    terminal.complete(":l se", "set.nix");
    terminal.enter("");
    terminal.wait_for("added 3 names");
    terminal.wait_for("floe> ");
    terminal.complete("loa", "loaded");
    terminal.enter(" + 1");
    terminal.wait_for("\n4");
    terminal.wait_for("floe> ");
    terminal.complete("builtins.attrNa", "builtins.attrNames");
    terminal.enter(" { deep = 1; }");
    terminal.wait_for("[ \"deep\" ]");
    terminal.wait_for("floe> ");
    // several: all are told
    terminal.press("builtins.fetch");
    terminal.press(&key::TAB.repeat(2));
    terminal.wait_for("fetchTarball");
    terminal.wait_for("floe> builtins.fetch");
    terminal.press(key::INTERRUPT);
    terminal.wait_for("floe> ");
    terminal.complete(":last", ":last-loaded");
    terminal.enter("");
    terminal.wait_for("twice");
    leave(terminal);
}

#[test]
fn a_text_goes_on_until_it_is_complete_and_is_remembered() {
    let world = world();
    let mut terminal = open(&world, &["-E", "{ given = 5; }"]);
    for line in ["let", "  a = given;", "in a *", "8"] {
        terminal.enter(line);
    }
    terminal.wait_for("\n40");
    leave(terminal);
    // in another session, arrow up brings it back
    let mut terminal = open(&world, &["-E", "{ given = 7; }"]);
    terminal.press(key::UP);
    terminal.wait_for("8");
    terminal.enter("");
    terminal.wait_for("\n56");
    terminal.wait_for("floe> ");
    terminal.enter(":q");
    assert!(terminal.end().success());
    let kept = world
        .command("true")
        .get_envs()
        .find(|(name, _)| *name == "HOME")
        .and_then(|(_, home)| home.map(std::path::PathBuf::from));
    let kept = kept.expect("a home").join(".local/state/floe/repl-history");
    assert!(fs::read_to_string(kept).expect("the history").contains("given"));
}

#[test]
fn an_interrupt_ends_what_runs_and_not_the_session() {
    let world = world();
    let mut terminal = open(&world, &[]);
    terminal.enter(&format!("long = {LONG}"));
    terminal.wait_for("floe> ");
    terminal.enter("long");
    // it evaluates now, and nothing says so: the key must come after it began
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.press(key::INTERRUPT);
    terminal.wait_for("interrupted");
    terminal.wait_for("floe> ");
    terminal.enter("40 + 2");
    terminal.wait_for("\n42");
    // what was typed is forgotten, too
    terminal.wait_for("floe> ");
    terminal.press("nonsense (");
    terminal.wait_for("nonsense (");
    terminal.press(key::INTERRUPT);
    terminal.wait_for("floe> ");
    terminal.enter("1 + 1");
    terminal.wait_for("\n2");
    leave(terminal);
}

#[test]
fn an_interrupt_ends_a_build_and_not_the_session() {
    let world = world();
    world.file(
        "slow.nix",
        "{ slow = derivation { name = \"slow\"; system = \"x86_64-linux\"; builder = \"/bin/sh\";
           args = [ \"-c\" \"while :; do :; done\" ]; }; }",
    );
    let mut terminal = open(&world, &["slow.nix"]);
    terminal.enter(":b slow");
    terminal.wait_for("1 to build");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.press(key::INTERRUPT);
    terminal.wait_for("interrupted");
    terminal.wait_for("floe> ");
    terminal.enter("40 + 2");
    terminal.wait_for("\n42");
    leave(terminal);
}

#[test]
fn an_editor_opens_what_defines_a_value() {
    let world = world();
    let editor =
        world.file("vi", "#!/bin/sh\necho \"$@\" > edited\nsed -i 's/n \\* 2/n * 3/' set.nix\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&editor, mode).expect("a program");
    let file = fs::File::open(world.file("typed", ":l set.nix\n:e twice\ntwice 5\n:bl package\n"));
    let mut command = world.command("floe");
    command.arg("repl").env("EDITOR", &editor);
    let outcome = run_with(&mut command, file.expect("what is typed")).expect("floe to start");
    assert!(outcome.success(), "{}", outcome.describe());
    let edited = fs::read_to_string(world.work().join("edited")).expect("the editor ran");
    assert_eq!(edited.trim(), format!("+6 {}", world.work().join("set.nix").display()));
    // files were read again
    assert!(outcome.lines().contains(&"15"), "{}", outcome.describe());
    let link = fs::read_link(world.work().join("repl-result-out")).expect("a link");
    assert!(link.to_string_lossy().ends_with("-trivial"), "{}", link.display());
}

#[test]
fn a_shell_has_what_was_built() {
    let world = world();
    let shell = world.file("shell", "#!/bin/sh\necho \"PATH begins with ${PATH%%:*}\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&shell, mode).expect("a program");
    let file = fs::File::open(world.file("typed", ":l set.nix\n:u package\n1 + 1\n"));
    let mut command = world.command("floe");
    command.arg("repl").env("SHELL", &shell);
    let outcome = run_with(&mut command, file.expect("what is typed")).expect("floe to start");
    assert!(outcome.success(), "{}", outcome.describe());
    let said = outcome.lines();
    assert!(said[1].starts_with("PATH begins with /nix/store/"), "{}", outcome.describe());
    assert!(said[1].ends_with("-trivial/bin"), "{}", outcome.describe());
    assert_eq!(said[2], "2", "{}", outcome.describe());
}
