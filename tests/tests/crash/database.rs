//! A database whose files were cut off. Each kind of file is told by name, with what to do; nothing that was registered
//! is lost unsaid; and doing what the message says works.

use std::fs;
use std::path::{Path, PathBuf};

use floe_tests::scene::{Scene, fails_with, says};

/// A store with finished work; with `tables`, enough of it that the database has written tables (.sst).
fn scene(tables: bool) -> Scene {
    let big = if tables { "x".repeat(2 << 20) } else { String::new() };
    let scene = Scene::with_attributes(
        "echo made > $out",
        &format!("passAsFile = [ \"big\" ]; big = \"{big}\";"),
    );
    scene.made("bad");
    scene
}

/// The files of the database whose names hold this.
fn files(scene: &Scene, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(scene.world.root().join("db")).expect("the database").flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<_> = paths.filter(|path| path.to_string_lossy().contains(kind)).collect();
    found.sort();
    found
}

fn cut(file: &Path, size: u64) {
    let file = fs::File::options().write(true).open(file).expect("a file of the database");
    file.set_len(size).expect("to cut it");
}

/// Every command tells the damage with exit status 1, names the file, and leaves everything as it is.
#[track_caller]
fn is_told(scene: &Scene, file: &Path) {
    let name = file.file_name().expect("a name").to_string_lossy();
    let verify = scene.world.floe(["store", "verify"]);
    let collect = scene.world.floe(["store", "gc"]);
    // twice: telling it once must not make the loss good
    for outcome in [scene.build("bad", &[]), verify, collect, scene.build("bad", &[])] {
        fails_with(&outcome, 1, &["root/db\" is damaged"]);
        says(&outcome, &[&name]);
        says(&outcome, &["or move it away and build again"]);
        assert!(outcome.stderr.len() < 2000, "{}", outcome.describe());
    }
}

#[test]
fn a_database_file_that_was_cut_off_is_told() {
    for (kind, tables) in [("CURRENT", false), ("MANIFEST", false), (".log", false), (".sst", true)]
    {
        let scene = scene(tables);
        let mut victims = files(&scene, kind);
        victims.retain(|path| fs::metadata(path).expect("a file").len() > 0);
        let victim = victims.pop().unwrap_or_else(|| panic!("there is no {kind} to cut"));
        let whole = fs::read(&victim).expect("a file of the database");
        // a half, all but the last byte, and nothing
        for size in [whole.len() as u64 / 2, whole.len() as u64 - 1, 0] {
            cut(&victim, size);
            is_told(&scene, &victim);
        }
        // nothing was lost but what was cut off
        fs::write(&victim, whole).expect("the file as it was");
        scene.good_is_kept();
        scene.store_is_sound();
    }
}

#[test]
fn a_database_file_that_is_gone_is_told() {
    for (kind, tables) in [("CURRENT", false), ("MANIFEST", false), (".log", false), (".sst", true)]
    {
        let scene = scene(tables);
        let victim = files(&scene, kind).pop().unwrap_or_else(|| panic!("there is no {kind}"));
        let aside = scene.world.work().join("aside");
        fs::rename(&victim, &aside).expect("to move it");
        is_told(&scene, &victim);
        fs::rename(&aside, &victim).expect("to move it back");
        scene.good_is_kept();
    }
}

#[test]
fn the_mend_that_the_message_names_works() {
    let scene = scene(false);
    let db = scene.world.root().join("db");
    cut(&files(&scene, "MANIFEST")[0], 10);
    fs::rename(&db, scene.world.work().join("damaged")).expect("to move it away");
    assert_eq!(fs::read_to_string(scene.made("bad")).expect("the output"), "made\n");
    let collected = scene.world.floe(["store", "gc"]);
    assert!(collected.success(), "{}", collected.describe());
    scene.store_is_sound();
}

/// After a crash the log's last record may be cut short: that is repaired, and what was synced before is kept.
#[test]
fn a_log_that_a_crash_cut_short_is_repaired() {
    let scene = scene(false);
    // the seal of a database that was closed in order says otherwise
    fs::remove_file(scene.world.root().join("db/SEALED")).expect("the seal");
    let log = files(&scene, ".log")
        .into_iter()
        .max_by_key(|path| fs::metadata(path).expect("a file").len());
    let log = log.expect("a log");
    cut(&log, fs::metadata(&log).expect("a file").len() - 1);
    scene.good_is_kept();
    scene.made("bad");
    scene.store_is_sound();
}
