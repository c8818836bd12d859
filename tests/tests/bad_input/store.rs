//! Things that are no store objects, and objects that are not what they were.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use floe_tests::scene::{Scene, fails_with, says};

#[test]
fn a_corrupted_object_is_found_and_can_be_mended() {
    let scene = Scene::with_script("echo made > $out");
    let path = scene.build("good", &[]).stdout.trim().to_owned();
    let file = scene.world.physical(&path);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the object as a file");
    fs::write(&file, "finished lies\n").expect("the object to be writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("its mode");
    let verify = scene.world.floe(["store", "verify"]);
    fails_with(&verify, 1, &[&format!("{path} was changed")]);
    says(&verify, &["registered is sha256-"]);
    says(&verify, &["remove its roots, run `floe store gc` and build it again"]);
    // as it says
    let collected = scene.world.floe(["store", "gc"]);
    assert!(collected.success(), "{}", collected.describe());
    assert_eq!(fs::read_to_string(scene.made("good")).expect("the object"), "finished work\n");
    scene.store_is_sound();
}

#[test]
fn a_lost_object_is_found() {
    let scene = Scene::with_script("echo made > $out");
    let path = scene.build("good", &[]).stdout.trim().to_owned();
    fs::remove_file(scene.world.physical(&path)).expect("the object as a file");
    let verify = scene.world.floe(["store", "verify"]);
    fails_with(&verify, 1, &[&format!("{path} is registered, but nothing lies at")]);
}

#[test]
fn what_is_no_object_is_not_added() {
    let scene = Scene::with_text("1");
    for flags in [&[][..], &["--flat"]] {
        let mut words = vec!["store", "add", "/dev/zero"];
        words.extend(flags);
        fails_with(&scene.world.floe(words), 1, &["'/dev/zero' is a character device"]);
    }
    fails_with(&scene.world.floe(["store", "add", "./gone"]), 1, &["/gone\": No such file"]);
    scene.store_is_sound();
}
