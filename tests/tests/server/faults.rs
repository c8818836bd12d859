//! Servers that are killed, sockets that are stale, roots that move, clients that vanish, stall or say rubbish.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use floe_tests::process::run;
use floe_tests::scene::{Scene, no_process_remains, says};
use rustix::process::Signal;

use crate::{Served, is_alive, signal, until};

fn quick() -> Served {
    Served::over(Scene::with_script("echo made > $out"))
}

#[test]
fn a_killed_server_is_replaced() {
    let served = quick();
    served.built("bad", &[]);
    let killed = served.kill();
    let socket = served.scene.world.root().join("server.sock");
    assert!(socket.exists(), "its socket is left behind, stale");
    assert_eq!(served.builders("bad", &[]), 0);
    assert_ne!(served.pid(), killed);
    served.scene.store_is_sound();
}

#[test]
fn a_server_killed_while_it_builds_costs_the_client_nothing() {
    let marker = "3.15625";
    let served = Served::over(Scene::with_script(&format!("$bb sleep {marker}; echo made > $out")));
    let mut client = served.start("bad", &[]);
    served.scene.wait_for(marker);
    let killed = served.kill();
    assert!(client.wait().expect("the client").success(), "it asked another server");
    assert_ne!(served.pid(), killed);
    served.scene.store_is_sound();
}

#[test]
fn a_server_killed_at_any_moment_leaves_a_sound_store() {
    let served = quick();
    for after_ms in [0u64, 5, 10, 20, 40, 80] {
        served.built("good", &[]);
        let pid = served.pid();
        let comment = format!("comment{after_ms}");
        let text = fs::read_to_string(&served.scene.case).expect("the case");
        fs::write(&served.scene.case, text.replace("finished", &comment)).expect("ours");
        let mut client = served.start("bad", &[]);
        std::thread::sleep(Duration::from_millis(after_ms));
        signal(pid, Signal::KILL);
        assert!(client.wait().expect("the client").success(), "after {after_ms} ms");
    }
    served.scene.store_is_sound();
}

#[test]
fn rubbish_hurts_nobody() {
    let served = quick();
    served.built("good", &[]);
    let pid = served.pid();
    let socket = served.scene.world.root().join("server.sock");
    let mode = fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut open = Vec::new();
    for rubbish in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 65536], b"floe-ipc", b"", &[0; 48]] {
        let mut stream = UnixStream::connect(&socket).expect("connects");
        // It may hang up before it has read everything.
        let _ = stream.write_all(rubbish);
        if rubbish.len() >= 48 {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
        } else {
            // And these say nothing more, and stay.
            open.push(stream);
        }
    }
    served.built("bad", &[]);
    assert_eq!(served.pid(), pid);
}

#[test]
fn a_client_that_vanishes_ends_its_build() {
    let marker = "86400.3125";
    let served = Served::over(Scene::with_script(&format!("$bb sleep {marker}")));
    let mut client = served.start("bad", &[]);
    served.scene.wait_for(marker);
    client.kill().expect("to kill the client");
    client.wait().expect("the client to be gone");
    no_process_remains(marker);
    until("the request has ended", || served.status()["requests"] == 0);
    served.scene.good_is_kept();
    served.scene.store_is_sound();
}

#[test]
fn a_client_that_stalls_stops_nobody() {
    let marker = "of very many lines";
    let served = Served::with_text(&format!(
        r#"{{ good = derivation {{ name = "good"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }};
             bad = derivation {{ name = "bad"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" ''
               n=0; while [ $n -lt 300000 ]; do echo line $n {marker}; n=$((n+1)); done; echo > $out
             '' ]; }}; }}"#
    ));
    served.built("good", &[]);
    let mut stalled = served.start("bad", &["-L"]);
    served.scene.wait_for(marker);
    signal(i32::try_from(stalled.id()).expect("a process"), Signal::STOP);
    // The same build, shared with the one who does not listen.
    served.built("bad", &[]);
    signal(i32::try_from(stalled.id()).expect("a process"), Signal::CONT);
    assert!(stalled.wait().expect("the client").success());
}

#[test]
fn another_build_of_floe_gets_a_server_of_its_own() {
    let served = quick();
    served.built("bad", &[]);
    let first = served.pid();
    // The same program as another file: as after an update.
    let world = &served.scene.world;
    let other = world.work().join("other-floe");
    fs::copy(floe_tests::world::binary(), &other).expect("a copy");
    let mut command = std::process::Command::new(&other);
    let like = served.command("bad", &[]);
    command.env_clear().current_dir(world.work()).args(like.get_args());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let outcome = run(&mut command).expect("the other to start");
    assert!(outcome.success(), "{}", outcome.describe());
    assert!(!is_alive(first), "the former server has ended");
    // And back again.
    assert_eq!(served.builders("bad", &[]), 0);
    served.scene.store_is_sound();
}

#[test]
fn a_server_that_was_started_with_other_variables_is_renewed() {
    let served = quick();
    served.built("bad", &[]);
    let first = served.pid();
    let mut command = served.command("bad", &[]);
    command.env("https_proxy", "http://127.0.0.1:9");
    assert!(run(&mut command).expect("floe to start").success());
    assert!(!is_alive(first), "what it would fetch with is not what it was");
}

#[test]
fn a_root_that_moves_takes_no_server_along() {
    let served = quick();
    served.built("bad", &[]);
    let first = served.pid();
    let world = &served.scene.world;
    let elsewhere = world.work().join("elsewhere");
    fs::rename(world.root(), &elsewhere).expect("ours");
    let mut command = served.command("bad", &[]);
    command.env("FLOE_ROOT", &elsewhere);
    let moved = run(&mut command).expect("floe to start");
    assert!(moved.success(), "{}", moved.describe());
    until("the server of the old place has ended", || !is_alive(first));
    // The old place is a new store.
    assert_eq!(served.builders("bad", &[]), 2);
    let mut stop = world.command("floe");
    stop.env("FLOE_ROOT", &elsewhere).args(["server", "stop"]);
    assert!(run(&mut stop).expect("floe to start").success());
}

#[test]
fn a_root_that_is_deleted_is_made_anew() {
    let served = quick();
    served.built("bad", &[]);
    let first = served.pid();
    let root = served.scene.world.root();
    run(std::process::Command::new("chmod").arg("-R").arg("u+w").arg(&root)).expect("chmod");
    fs::remove_dir_all(&root).expect("ours");
    let outcome = served.build("bad", &[]);
    assert!(outcome.success(), "{}", outcome.describe());
    until("the server of the deleted root has ended", || !is_alive(first));
    served.scene.store_is_sound();
}

#[test]
fn a_root_that_others_may_write_to_has_no_server() {
    let served = quick();
    let root = served.scene.world.root();
    fs::create_dir(&root).expect("ours");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).expect("ours");
    let outcome = served.built("bad", &[]);
    says(&outcome, &["building without a server"]);
    says(&outcome, &["others may write to it"]);
}
