//! Kills: a child process registers and collects without pause, is killed with SIGKILL at a
//! random moment, and whatever it left must open and be whole.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use floe_store::{Batch, GcOptions, Open, Store};

use crate::fixture::{check_invariants, prepare};

const ROOT: &str = "FLOE_TEST_CRASH_ROOT";
const SEED: &str = "FLOE_TEST_CRASH_SEED";
const KILLS: u64 = 30;

/// Not a test of its own: does something only when started by [`survives_kills`].
#[test]
fn child() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let seed = std::env::var(SEED).expect("is set with the other");
    let store = Store::open(&root, Open::READ_WRITE).expect("opens");
    std::fs::write(root.with_file_name(format!("ready-{seed}")), b"").expect("says so");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                store.gc(&GcOptions::default()).expect("collects");
            }
        });
        for number in 0_u64.. {
            let input = prepare(&store, &format!("in-{seed}-{number}"), &[]);
            let output = prepare(&store, &format!("out-{seed}-{number}"), &[&input.object.path]);
            let path = output.object.path.clone();
            let batch = Batch { objects: vec![input.object, output.object], ..Batch::default() };
            store.register(&batch).expect("registers");
            if number % 4 == 0 {
                let link = format!("kept-{}", number % 32);
                store.add_named_root(link.as_ref(), &path).expect("makes a root");
            }
        }
    });
}

#[test]
fn survives_kills() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let root = dir.path().join("root");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut unclean = 0;
    let mut objects = 0;
    for kill in 0..KILLS {
        let mut command = Command::new(std::env::current_exe().expect("has a name"));
        command.args(["--exact", "crash::child", "--nocapture"]);
        command.env(ROOT, &root).env(SEED, kill.to_string()).stdout(Stdio::null());
        let mut child = command.spawn().expect("starts");
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // opening takes its time on a busy machine; the moment of the kill counts from its end
        let ready = dir.path().join(format!("ready-{kill}"));
        for _ in 0..6000 {
            if ready.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(random % 120));
        assert!(child.try_wait().expect("asks").is_none(), "the child ended by itself");
        child.kill().expect("kills");
        child.wait().expect("waits");
        let store = Store::open(&root, Open::READ_WRITE).expect("opens after a kill");
        unclean += usize::from(store.recovered().was_unclean);
        check_invariants(&store);
        for root in store.roots().expect("lists") {
            assert!(store.is_valid(&root.target).expect("reads"), "{root:?} lost its object");
        }
        objects = objects.max(store.find("").expect("lists").len());
    }
    assert!(unclean > KILLS as usize / 2, "most kills hit work in progress: {unclean}");
    assert!(objects > 2, "something was kept over the kills: {objects}");
}
