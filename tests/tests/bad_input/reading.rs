//! Files that evaluation cannot read as it wants: cycles of imports and of links, what is no file, what may not be read,
//! names without measure, what vanishes while it is looked at.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::thread;

use floe_tests::World;
use floe_tests::bounds::{evaluates, fails_at};
use floe_tests::process::run;
use floe_tests::scene::{Scene, fails_with, says};
use serde_json::Value;

#[test]
fn imports_that_need_themselves() {
    let world = World::new();
    let recursion = "infinite recursion encountered";
    fails_at(&world, "import ./case.nix", &[], recursion, "case.nix:1:1");
    world.file("a.nix", "import ./b.nix");
    world.file("b.nix", "import ./c.nix");
    world.file("c.nix", "import ./a.nix");
    fails_at(&world, "import ./a.nix", &[], recursion, ".nix:1:1");
    // as long as nobody needs the value, a cycle is none
    world.file("a.nix", "{ b = import ./b.nix; one = 1; }");
    world.file("b.nix", "{ a = import ./a.nix; two = a.one + 1; a.one = 1; }");
    world.file("b.nix", "let a = import ./a.nix; in { inherit a; two = a.one + 1; }");
    evaluates(&world, "(import ./a.nix).b.a.b.two", &[], "2");
    // without a memo there is a new one each time
    world.file("a.nix", "builtins.scopedImport { } ./a.nix");
    fails_at(&world, "import ./a.nix", &[], "stack overflow", "a.nix:1:1");
}

#[test]
fn what_is_no_file() {
    let world = World::new();
    let at = |name: &str| world.work().join(name);
    fs::create_dir(at("folder")).expect("a folder");
    fails_at(&world, "import ./folder", &[], "folder/default.nix' does not exist", "case.nix:1:1");
    fails_at(&world, "builtins.readFile ./folder", &[], "is a directory", "case.nix:1:1");
    fails_at(
        &world,
        "builtins.hashFile \"sha256\" ./folder",
        &[],
        "is a directory",
        "case.nix:1:1",
    );
    fails_at(&world, "builtins.readDir ./case.nix", &[], "Not a directory", "case.nix:1:1");
    fails_at(&world, "import ./case.nix/x", &[], "does not exist", "case.nix:1:1");
    fs::create_dir(at("folder/default.nix")).expect("a folder");
    fails_at(&world, "import ./folder", &[], "default.nix' is a directory", "case.nix:1:1");

    symlink("loop-b", at("loop-a")).expect("a link");
    symlink("loop-a", at("loop-b")).expect("a link");
    symlink("absent", at("dangling")).expect("a link");
    symlink("myself/below", at("myself")).expect("a link");
    for name in ["loop-a", "myself"] {
        for read in ["import", "builtins.readFile", "builtins.readDir", "builtins.hashFile \"md5\""]
        {
            let outcome = floe_tests::bounds::eval(&world, format!("{read} ./{name}"), &[]);
            fails_with(&outcome, 1, &["symbolic links"]);
            says(&outcome, &["case.nix:1:1"]);
        }
    }
    evaluates(&world, "builtins.pathExists ./loop-a", &[], "");
    fails_at(&world, "import ./dangling", &[], "does not exist", "case.nix:1:1");
    evaluates(&world, "builtins.readFileType ./loop-a", &[], "\"symlink\"");

    let name = "a".repeat(5_000);
    let deep = "/a".repeat(5_000);
    for path in [format!("/{name}"), deep] {
        evaluates(&world, format!("builtins.pathExists (/. + \"{path}\")"), &[], "false");
        let read = format!("builtins.readFile (/. + \"{path}\")");
        fails_at(&world, read, &[], "File name too long", "case.nix:1:1");
    }
    let long = format!("builtins.toFile \"{}\" \"x\"", "a".repeat(1_000));
    fails_at(&world, long, &[], "211", "case.nix:1:1");
}

/// The reader is another user than the owner, since root may read everything. Skipped, and said so, where this is not
/// root: then nobody else can be had.
#[test]
fn what_may_not_be_read() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can be somebody else");
        return;
    }
    const NOBODY: u32 = 65_534;
    let world = World::new();
    let text = "{ file = import ./secret.nix; folder = builtins.readDir ./closed; inside = builtins.readFile ./closed/file; }";
    world.file("case.nix", text);
    world.file("secret.nix", "1");
    world.file("closed/file", "1");
    let world_folder = world.work().parent().expect("the world").to_path_buf();
    for (place, mode) in [
        (world_folder.clone(), 0o755),
        (world.work().join("secret.nix"), 0o000),
        (world.work().join("closed"), 0o000),
    ] {
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).expect("its mode");
    }
    // a binary that others may reach, and a home of their own
    let binary = world_folder.join("floe-for-others");
    fs::copy(floe_tests::world::binary(), &binary).expect("a copy of floe");
    let theirs = world_folder.join("theirs");
    fs::create_dir(&theirs).expect("a folder");
    std::os::unix::fs::chown(&theirs, Some(NOBODY), Some(NOBODY)).expect("their own folder");
    for (attribute, words) in
        [("file", "secret.nix"), ("folder", "closed"), ("inside", "closed/file")]
    {
        let mut command = world.command("floe");
        let arguments = ["eval", "-f", "case.nix", attribute].map(str::to_owned);
        let envs: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        command = std::process::Command::new(&binary);
        command.args(arguments).env_clear().current_dir(world.work()).uid(NOBODY).gid(NOBODY);
        command.envs(envs.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command.env("HOME", &theirs).env("FLOE_ROOT", theirs.join("root")).env("TMPDIR", &theirs);
        let outcome = run(&mut command).expect("floe to start");
        fails_with(&outcome, 1, &["Permission denied"]);
        says(&outcome, &[words]);
        says(&outcome, &["case.nix:1:"]);
    }
}

/// Another process takes files away and puts them back while evaluation lists and reads them: each read gives the
/// content or says that the file is gone.
#[test]
fn files_that_vanish() {
    let world = World::new();
    let folder = world.work().join("folder");
    fs::create_dir(&folder).expect("a folder");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for n in 0..50 {
                    // whoever removes and makes files in turn is not to fail for it
                    let _ = fs::write(folder.join(format!("file-{n}")), "content");
                }
                for n in 0..50 {
                    let _ = fs::remove_file(folder.join(format!("file-{n}")));
                }
            }
        });
        let text = "builtins.mapAttrs (name: _: builtins.readFile (./folder + \"/${name}\")) (builtins.readDir ./folder)";
        for _ in 0..20 {
            let outcome = floe_tests::bounds::eval(&world, text, &["--strict"]);
            if !outcome.success() {
                fails_with(&outcome, 1, &["does not exist", "No such file"]);
                says(&outcome, &["folder"]);
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_source_that_is_edited_while_it_is_built() {
    let scene = Scene::with_text(
        r#"let
             sh = name: env: script: derivation ({
               inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-ec" script ];
             } // env);
             slow = sh "slow" { } "sleep 2.25; echo > $out";
           in sh "late" { inherit slow; src = ./text; } "read -r line < $src; echo $line > $out""#,
    );
    scene.world.file("text", "before\n");
    let outcome = thread::scope(|scope| {
        let building = scope.spawn(|| scene.build("", &[]));
        scene.wait_for("sleep 2.25");
        scene.world.file("text", "after\n");
        building.join().expect("the build")
    });
    fails_with(&outcome, 100, &["changed while it was used", "run the command again"]);
    let made = fs::read_to_string(scene.made("")).expect("the output");
    assert_eq!(made, "after\n");
    scene.store_is_sound();
}

#[test]
fn a_million_derivations() {
    let scene = Scene::with_text(
        r#"let
             width = 1000;
             all = builtins.genList (i: derivation {
               name = "n"; system = "x86_64-linux"; builder = "/bin/sh"; number = i;
               below = if i < width then [ ] else map (builtins.elemAt all) [ (i - width) (i - width + 1) ];
             }) 1000000;
           in builtins.genList (i: builtins.elemAt all (999999 - i)) width"#,
    );
    let outcome = scene.build("", &["--dry-run", "--json"]);
    assert!(outcome.success(), "{}", outcome.describe());
    let said: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let count = |list: &str| said[list].as_array().expect("a list").len();
    assert_eq!(count("will_build") + count("may_build"), 1_000_000);
    assert!(said.get("derivations").is_none(), "of so many only bounds are told");
}
