//! Files that change before, between and during requests: no change is missed, and nothing else is evaluated.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use floe_tests::process::run;
use serde_json::Value;

use crate::Served;

/// Names that tell what was read: a file's text, a link's goal, a directory's entries, a source.
const CASE: &str = r#"
let
  drv = name: derivation { inherit name; system = "s"; builder = "b"; };
  digest = path: builtins.unsafeDiscardStringContext (builtins.substring 11 32 "${path}");
in {
  text = drv "text-${builtins.readFile ./word}";
  code = drv "code-${import ./code.nix}";
  linked = drv "linked-${builtins.readFile ./link}";
  listed = drv "listed-${builtins.concatStringsSep "-" (builtins.attrNames (builtins.readDir ./folder))}";
  there = drv "there-${if builtins.pathExists ./maybe then "yes" else "no"}";
  source = drv "source-${digest ./tree}";
  alone = drv "alone";
}"#;

struct World {
    served: Served,
}

impl World {
    fn new() -> World {
        let world = World { served: Served::with_text(CASE) };
        for (name, text) in [
            ("word", "0000"),
            ("code.nix", "\"0000\""),
            ("a", "aaaa"),
            ("b", "bbbb"),
            ("folder/first", ""),
            ("tree/deep/file", "0000"),
        ] {
            world.write(name, text);
        }
        symlink("a", world.path("link")).expect("ours");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.served.scene.world.work().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        self.served.scene.world.file(name, text);
    }

    /// The name of the derivation that an attribute is now.
    #[track_caller]
    fn name(&self, attribute: &str) -> String {
        let outcome = self.served.built(attribute, &["--dry-run", "--json"]);
        let said: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        said["will_build"][0].as_str().expect("a name").to_owned()
    }
}

#[test]
fn a_thousand_edits_and_builds_without_a_pause() {
    let world = World::new();
    let tree = ["one ", "two "].map(|text| {
        world.write("tree/deep/file", text);
        (text, world.name("source"))
    });
    assert_ne!(tree[0].1, tree[1].1);
    let pid = world.served.pid();
    for round in 0..1000 {
        // Of one length each, so that nothing but the content tells them apart.
        let word = format!("{round:04}");
        match round % 5 {
            0 => {
                world.write("word", &word);
                assert_eq!(world.name("text"), format!("text-{word}"));
            }
            1 => {
                world.write("new", &format!("{word:?}"));
                fs::rename(world.path("new"), world.path("code.nix")).expect("ours");
                assert_eq!(world.name("code"), format!("code-{word}"));
            }
            2 => {
                let (goal, text) = [("a", "aaaa"), ("b", "bbbb")][round / 5 % 2];
                fs::remove_file(world.path("link")).expect("ours");
                symlink(goal, world.path("link")).expect("ours");
                assert_eq!(world.name("linked"), format!("linked-{text}"));
            }
            3 => {
                let (text, name) = &tree[round / 5 % 2];
                world.write("tree/deep/file", text);
                assert_eq!(world.name("source"), *name);
            }
            _ => {
                let is_there = round / 5 % 2 == 0;
                match is_there {
                    true => world.write("maybe", ""),
                    false => fs::remove_file(world.path("maybe")).expect("ours"),
                }
                let said = if is_there { "there-yes" } else { "there-no" };
                assert_eq!(world.name("there"), said);
            }
        }
    }
    assert_eq!(world.served.pid(), pid, "one server answered all of it");
}

#[test]
fn folders_that_come_later_are_seen_too() {
    let world = World::new();
    let before = world.name("source");
    fs::create_dir(world.path("tree/new")).expect("ours");
    let empty = world.name("source");
    assert_ne!(empty, before);
    world.write("tree/new/file", "text");
    let full = world.name("source");
    assert_ne!(full, empty);
    world.write("tree/new/file", "tEXt");
    assert_ne!(world.name("source"), full);
    assert_eq!(world.name("listed"), "listed-first");
    world.write("folder/second", "");
    assert_eq!(world.name("listed"), "listed-first-second");
}

#[test]
fn a_folder_swapped_for_another_is_seen() {
    let world = World::new();
    assert_eq!(world.name("text"), "text-0000");
    let project = world.path("");
    let project = project.parent().expect("a folder").join("project");
    let aside = project.with_file_name("aside");
    fs::rename(&project, &aside).expect("ours");
    fs::create_dir(&project).expect("ours");
    for entry in fs::read_dir(&aside).expect("ours").flatten() {
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), project.join(entry.file_name())).expect("ours");
        }
    }
    fs::write(project.join("word"), "1111").expect("ours");
    assert_eq!(world.name("text"), "text-1111");
    fs::write(project.join("word"), "2222").expect("ours");
    assert_eq!(world.name("text"), "text-2222");
}

#[test]
fn times_that_go_backwards_hide_no_edit() {
    let world = World::new();
    world.name("text");
    for (round, seconds) in [0u64, 1_000_000_000, 1, 2_000_000_000].into_iter().enumerate() {
        let word = format!("{round:04}");
        let file = fs::File::options().write(true).open(world.path("word")).expect("ours");
        fs::write(world.path("word"), &word).expect("ours");
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).expect("a time");
        assert_eq!(world.name("text"), format!("text-{word}"));
    }
}

#[test]
fn a_mistake_and_its_correction_are_both_seen() {
    let world = World::new();
    for round in 0..3 {
        world.write("code.nix", &format!("\"{round}\""));
        assert_eq!(world.name("code"), format!("code-{round}"));
        world.write("code.nix", "\"unfinished");
        let wrong = world.served.build("code", &["--dry-run"]);
        assert_eq!(wrong.status.code(), Some(1), "{}", wrong.describe());
        world.write("code.nix", "throw \"on purpose\"");
        let thrown = world.served.build("code", &["--dry-run"]);
        assert!(thrown.stderr.contains("on purpose"), "{}", thrown.describe());
    }
}

#[test]
fn a_file_edited_while_it_is_evaluated_is_seen_by_the_next_request() {
    let world = World::new();
    // Long enough to edit in the middle.
    let slow = CASE.replace(
        "drv \"alone\"",
        "builtins.seq (builtins.readFile ./word) (builtins.seq (builtins.foldl' builtins.add 0 \
         (builtins.genList (x: x) 3000000)) (drv \"alone-${builtins.readFile ./word}\"))",
    );
    world.write("case.nix", &slow);
    for round in 0..4 {
        let word = format!("{round:04}");
        let mut client = world.served.start("alone", &["--dry-run"]);
        std::thread::sleep(Duration::from_millis(150));
        world.write("word", &word);
        client.wait().expect("the client");
        assert_eq!(world.name("alone"), format!("alone-{word}"));
    }
}

#[test]
fn watching_builds_again_on_each_save() {
    let world = World::new();
    let case =
        CASE.replace("builder = \"b\"", "builder = \"/bin/sh\"; args = [ \"-c\" \"echo > $out\" ]");
    world.write("case.nix", &case.replace("system = \"s\"", "system = \"x86_64-linux\""));
    let said = world.path("said");
    let mut command = world.served.command("text", &["--watch"]);
    let file = fs::File::create(&said).expect("ours");
    command.stdout(file.try_clone().expect("ours")).stderr(file);
    let mut watching = command.spawn().expect("floe to start");
    let waits_for = |text: &str| {
        crate::until(text, || fs::read_to_string(&said).is_ok_and(|all| all.contains(text)));
    };
    waits_for("-text-0000");
    for word in ["0001", "0002", "0003"] {
        crate::until("it waits", || {
            fs::read_to_string(&said)
                .is_ok_and(|all| all.trim_end().ends_with("waiting for changes"))
        });
        world.write("word", word);
        waits_for(&format!("-text-{word}\n"));
    }
    // A mistake does not end it.
    world.write("case.nix", "{ text = }");
    waits_for("error:");
    floe_tests::process::interrupt(&watching);
    watching.wait().expect("the client to end");
    let mut status = world.served.command("alone", &["--dry-run"]);
    run(&mut status).expect("floe to start");
}
