//! Several clients of one server, and commands beside it.

use std::fs;
use std::process::Child;
use std::time::Duration;

use floe_tests::process::{interrupt, run};
use floe_tests::scene::{Scene, no_process_remains};

use crate::{Served, builders_with, until};

#[test]
fn the_command_line_outweighs_the_environment() {
    let scene = Scene::with_script("echo made > $out");
    let mut command = scene.build_command("good", &["--no-server"]);
    let outcome = run(command.env("FLOE_SERVER", "1")).expect("floe to start");
    assert!(outcome.success(), "{}", outcome.describe());
    assert!(!scene.world.root().join("server.sock").exists());
}

fn slow(marker: &str) -> Served {
    let script = format!("$bb sleep {marker}; echo made > $out");
    Served::over(Scene::with_script(&script))
}

/// Two clients that wait for the same build, and what builds for the first.
fn two_clients(served: &Served, marker: &str) -> ([Child; 2], Vec<u32>) {
    let first = served.start("bad", &[]);
    served.scene.wait_for(marker);
    let own = builders_with(marker);
    let second = served.start("bad", &[]);
    std::thread::sleep(Duration::from_millis(1500));
    ([first, second], own)
}

#[test]
fn two_clients_share_a_build() {
    let marker = "4.0625";
    let served = slow(marker);
    let ([mut first, mut second], own) = two_clients(&served, marker);
    assert_eq!(served.status()["requests"], 2);
    assert_eq!(builders_with(marker), own, "the second has no builder of its own");
    assert!(first.wait().expect("the first client").success());
    assert!(second.wait().expect("the second client").success());
    assert_eq!(served.builders("bad", &[]), 0);
    served.scene.store_is_sound();
}

#[test]
fn two_clients_share_what_evaluation_builds() {
    let marker = "4.1875";
    let served = Served::over(Scene::with_set(&format!(
        "  imported = ca \"imported\" ''$bb sleep {marker}; echo '\"said\"' > $out'';\n  \
         first = ca \"first\" \"echo ${{import imported}} > $out\";\n  \
         second = ca \"second\" \"echo ${{import imported}} twice > $out\";\n"
    )));
    let mut first = served.start("first", &[]);
    served.scene.wait_for(marker);
    let own = builders_with(marker);
    let mut second = served.start("second", &[]);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(served.status()["requests"], 2);
    assert_eq!(builders_with(marker), own, "the second has no builder of its own");
    for client in [&mut first, &mut second] {
        assert!(client.wait().expect("a client").success());
    }
    served.scene.store_is_sound();
}

#[test]
fn one_client_leaves_and_the_other_gets_its_build() {
    let marker = "5.0625";
    let served = slow(marker);
    let ([mut first, mut second], own) = two_clients(&served, marker);
    interrupt(&first);
    assert_eq!(first.wait().expect("the first client").code(), Some(130));
    assert_eq!(builders_with(marker), own, "the builder goes on for the other");
    assert!(second.wait().expect("the second client").success());
    served.scene.store_is_sound();
}

#[test]
fn the_last_client_that_leaves_ends_the_build() {
    let marker = "86400.0625";
    let served = slow(marker);
    let mut clients = [served.start("bad", &[]), served.start("bad", &[])];
    served.scene.wait_for(marker);
    std::thread::sleep(Duration::from_millis(500));
    for client in &mut clients {
        interrupt(client);
        assert_eq!(client.wait().expect("a client").code(), Some(130));
    }
    no_process_remains(marker);
    served.scene.good_is_kept();
    served.scene.store_is_sound();
}

#[test]
fn a_quick_request_does_not_wait_for_a_slow_one() {
    let marker = "86400.1875";
    let served = slow(marker);
    let mut first = served.start("bad", &[]);
    served.scene.wait_for(marker);
    served.built("good", &[]);
    interrupt(&first);
    assert_eq!(first.wait().expect("the client").code(), Some(130));
    no_process_remains(marker);
}

#[test]
fn variables_and_the_search_path_travel_with_a_request() {
    let served = Served::with_text(
        r#"{ word = derivation { name = "w-${builtins.getEnv "WORD"}"; system = "s"; builder = "b"; };
             found = derivation { name = "f-${import <found>}"; system = "s"; builder = "b"; }; }"#,
    );
    let world = &served.scene.world;
    let would_build = |attribute: &str, variables: &[(&str, &str)]| {
        let mut command = served.command(attribute, &["--dry-run", "--json"]);
        command.envs(variables.iter().copied());
        run(&mut command).expect("floe to start").stdout
    };
    for word in ["one", "two", "two", "one"] {
        let said = would_build("word", &[("WORD", word)]);
        assert!(said.contains(&format!("w-{word}")), "{said}");
    }
    assert!(would_build("word", &[]).contains("\"w-\""));
    for name in ["a", "b", "a"] {
        let dir = world.work().join(name);
        world.file(&format!("{name}/found.nix"), format!("{name:?}"));
        let path = format!("found={}", dir.join("found.nix").display());
        let said = would_build("found", &[("NIX_PATH", &path)]);
        assert!(said.contains(&format!("f-{name}")), "{said}");
    }
    let pid = served.pid();
    would_build("word", &[("WORD", "three")]);
    assert_eq!(served.pid(), pid, "all of this was one server");
}

#[test]
fn the_time_is_the_request_s() {
    let served = Served::with_text(
        r#"derivation { name = "t-${toString builtins.currentTime}"; system = "s"; builder = "b"; }"#,
    );
    let first = served.build("", &["--dry-run"]).stderr;
    std::thread::sleep(Duration::from_millis(2100));
    assert_ne!(served.build("", &["--dry-run"]).stderr, first);
}

#[test]
fn other_commands_get_the_store() {
    let served = Served::over(Scene::with_script("echo made > $out"));
    served.built("bad", &[]);
    assert_eq!(served.status()["store"], "open for writing");
    let world = &served.scene.world;
    world.file("added", "text");
    let done = |args: &[&str]| {
        let outcome = served.floe(args);
        assert!(outcome.success(), "{args:?}: {}", outcome.describe());
        assert!(!outcome.stderr.contains("waiting for"), "{args:?}: {}", outcome.describe());
        outcome
    };
    done(&["store", "add", "added"]);
    done(&["explain", "bad"]);
    assert_eq!(served.builders("bad", &[]), 0, "what the server knew still holds");
    done(&["build", "--no-server", "--no-wait", "-f", "case.nix", "good", "--no-link"]);
    done(&["store", "ls"]);
    // Nothing is linked: all of it goes, and is built again.
    let gone = done(&["store", "gc", "--no-wait"]);
    assert!(gone.stdout.contains("-bad"), "{}", gone.describe());
    assert_eq!(served.builders("bad", &[]), 2, "{:?}", served.status());
    served.scene.store_is_sound();
}

#[test]
fn a_collection_beside_builds_hurts_nobody() {
    let served = Served::over(Scene::with_script("echo made > $out"));
    std::thread::scope(|scope| {
        let builder = scope.spawn(|| {
            for _ in 0..20 {
                served.built("bad", &[]);
            }
        });
        while !builder.is_finished() {
            let outcome = served.floe(["store", "gc"]);
            // Before the first build there is no store.
            let absent = outcome.stderr.contains("there is no store");
            assert!(outcome.success() || absent, "{}", outcome.describe());
        }
        builder.join().expect("builds");
    });
    served.scene.store_is_sound();
}

#[test]
fn a_server_ends_when_nobody_needs_it_and_when_it_is_told() {
    let served = Served::over(Scene::with_script("echo made > $out"));
    let socket = served.scene.world.root().join("server.sock");
    let mut command = served.command("bad", &[]);
    command.env("FLOE_SERVER_IDLE", "1");
    assert!(run(&mut command).expect("floe to start").success());
    until("the idle server is gone", || !socket.exists());
    served.built("bad", &[]);
    assert!(socket.exists());
    assert!(served.floe(["server", "stop"]).success());
    assert!(!socket.exists());
    let none = served.floe(["server", "status"]);
    assert_eq!(none.status.code(), Some(1), "{}", none.describe());
    // A fresh one knows from the store what was built.
    assert_eq!(served.builders("bad", &[]), 0);
}

#[test]
fn many_clients_at_once_start_one_server() {
    let served = Served::over(Scene::with_script("echo made > $out"));
    let mut clients: Vec<_> = (0..8).map(|_| served.start("bad", &[])).collect();
    for client in &mut clients {
        assert!(client.wait().expect("a client").success());
    }
    let log = served.scene.world.root().join("server.log");
    assert_eq!(fs::read_to_string(log).expect("the log"), "");
}
