//! The package set for real: a compiler in the sandbox, programs that run, patches that rebuild what they must and no
//! more, and the one-liners that change a package. Says nothing about what a derivation's text looks like: see `drv`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use floe_tests::oracle::Oracle;
use floe_tests::process::run;
use floe_tests::{Outcome, World, fixture};
use serde_json::Value;

fn pkgs() -> PathBuf {
    fixture::package().join("../pkgs").canonicalize().expect("the package set")
}

fn overlay(name: &str) -> String {
    pkgs().join("overlays").join(name).to_string_lossy().into_owned()
}

/// How the variables begin that tell cargo where to find things.
const CLIENTS: [&str; 7] = ["PATH", "CARGO", "RUSTUP", "SSL_", "HTTP_", "HTTPS_", "NO_PROXY"];

/// A world in which crates can be fetched: it has the caller's cargo, with its settings and its cache.
struct Set {
    world: World,
}

impl Set {
    fn new() -> Set {
        Set { world: World::new() }
    }

    fn command(&self, verb: &str, overlays: &[String]) -> Command {
        let mut command = self.world.command("floe");
        for (name, value) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            if CLIENTS.iter().any(|known| text.starts_with(known)) {
                command.env(name, value);
            }
        }
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        for (name, place) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if std::env::var_os(name).is_none() {
                command.env(name, home.join(place));
            }
        }
        let leaf = fixture::folder().join("pkgs/leaf").to_string_lossy().into_owned();
        let overlays = [&[leaf], overlays].concat().join(" ");
        command.arg(verb).arg("--file").arg(pkgs()).args([
            "--arg",
            "overlays",
            &format!("[ {overlays} ]"),
        ]);
        command
    }

    /// Builds the leaf and lua; the names of what was decided so, without versions.
    #[track_caller]
    fn build(&self, overlays: &[String]) -> Decided {
        let report = self.world.work().join("report");
        let mut command = self.command("build", overlays);
        command.args(["--no-link", "leaf", "lua", "--report"]).arg(&report);
        done(run(&mut command).expect("floe to start"));
        let text = fs::read_to_string(&report).expect("the report");
        Decided(text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    #[track_caller]
    fn run(&self, overlays: &[String], attr: &str, args: &[&str]) -> String {
        let mut command = self.command("run", overlays);
        command.arg(attr).arg("--").args(args);
        done(run(&mut command).expect("floe to start")).stdout
    }
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

/// The lines of a report.
struct Decided(Vec<Value>);

impl Decided {
    /// What was decided so, sources left out.
    fn names(&self, decision: &str) -> BTreeSet<&str> {
        let names = self.0.iter().filter(|line| line["decision"] == decision);
        names
            .filter_map(|line| line["name"].as_str())
            .filter(|name| !name.ends_with(".crate"))
            .map(|name| name.split('-').next().unwrap_or(name))
            .collect()
    }

    /// The line of a package.
    #[track_caller]
    fn of(&self, package: &str) -> &Value {
        let prefix = format!("{package}-");
        let is_it = |line: &&Value| {
            line["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(&prefix) && !name.ends_with(".crate"))
        };
        self.0.iter().find(is_it).expect("the package in the report")
    }
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

#[test]
fn a_patch_to_zlib_rebuilds_what_it_must_and_no_more() {
    let it = Set::new();
    let cold = it.build(&[]);
    assert_eq!(cold.names("built"), set(&["zlib", "libpng", "lua", "leaf"]));

    let says = "libpng 1.6.50, zlib 1.3.2, crc d2c236e6\n";
    assert_eq!(it.run(&[], "leaf", &[]), says);
    assert_eq!(it.run(&[], "lua", &["-e", "print(6 * 7, _VERSION)"]), "42\tLua 5.4\n");

    // The object code is the same, so nothing above is looked at.
    let comment = [overlay("zlib-comment.nix")];
    let patched = it.build(&comment);
    assert_eq!(patched.names("built"), set(&["zlib"]));
    assert_eq!(patched.names("cutoff"), set(&["libpng", "leaf"]));
    assert_eq!(patched.names("reused"), set(&["lua"]));
    assert_eq!(patched.of("zlib")["unchanged"], true);
    assert_eq!(patched.of("libpng")["kind"], "byte");

    // Back to what was: the build trace knows it all.
    assert_eq!(it.build(&[]).names("built"), set(&[]));

    // The library differs: what is linked against it is built again, and the record names the file.
    let patched = it.build(&[overlay("zlib-impl.nix")]);
    assert_eq!(patched.names("built"), set(&["zlib", "libpng", "leaf"]));
    let file = patched.of("libpng")["decided_by"]["file"].as_str().unwrap_or_default();
    assert!(file.starts_with("lib/libz"), "{}", patched.of("libpng"));
    assert_eq!(it.run(&[overlay("zlib-impl.nix")], "leaf", &[]), says);
}

/// One of them includes a C file, the other checks itself with a file that is neither header nor document.
#[test]
fn packages_that_need_more_than_headers_build_file_by_file() {
    let set = Set::new();
    let mut command = set.command("build", &[]);
    command.args(["--no-link", "libwebp.units", "imagetool.units"]);
    done(run(&mut command).expect("floe to start"));
}

#[test]
fn one_liners_evaluate_as_under_nix() {
    let oracle = match Oracle::find() {
        Ok(oracle) => oracle,
        Err(why) => return eprintln!("not compared: {why}"),
    };
    let world = World::new();
    // Evaluation asks of a seed only that it is in the store.
    let place = world.file("seed/etc/os", "none\n");
    let place =
        place.parent().and_then(Path::parent).expect("the seed").to_string_lossy().into_owned();
    let seed = done(oracle.run("nix-store", &["--add", &place])).stdout;
    assert_eq!(done(world.floe(["store", "add", &place])).stdout, seed, "the same path of a tree");

    let comment = pkgs().join("patches/zlib/comment.patch");
    let comment = comment.display();
    for (arguments, what) in [
        ("", "set.report".to_owned()),
        ("", "set.zlib.units".to_owned()),
        ("", "set.zlib.override { static = true; }".to_owned()),
        ("", "(set.libpng.override { zlib = set.zlib.override { static = true; }; })".to_owned()),
        ("", format!("set.zlib.overrideAttrs (old: {{ patches = [ {comment} ]; }})")),
        (
            "",
            format!(
                "(set.zlib.override {{ static = true; }}).overrideAttrs (old: {{ patches = (old.patches or [ ]) ++ [ {comment} ]; }})"
            ),
        ),
        (
            "overlays = [ (final: prev: { zlib = prev.zlib.override { static = true; }; }) ];",
            "set.imagetool".to_owned(),
        ),
        (
            "overlays = [ OVERLAYS/zlib-comment.nix OVERLAYS/lua-impl.nix ];",
            "set.report".to_owned(),
        ),
        ("grain = \"file\";", "set.lua".to_owned()),
        ("split = true; contentAddressed = true;", "set.freetype".to_owned()),
    ] {
        let arguments = arguments.replace("OVERLAYS", &pkgs().join("overlays").to_string_lossy());
        let text = format!(
            "let set = import {} {{ seed = \"{}\"; {arguments} }}; in {what}",
            pkgs().display(),
            seed.trim()
        );
        let theirs = done(oracle.run("nix-instantiate", &["-E", &text])).stdout;
        let ours =
            run(world.command("nix-instantiate").args(["-E", &text])).expect("floe to start");
        assert_eq!(done(ours).stdout, theirs, "{text}");
    }
}
