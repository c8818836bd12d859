//! `floe explain` over real builds: what is said of each kind of edit, from the edited file down to the file in an
//! output, what would have stopped it, and what is said where nobody can tell any more.

use std::fs;
use std::process::Command;

use floe_tests::oracle::busybox;
use floe_tests::scene::{Scene, fails_saying};
use floe_tests::{Outcome, World};
use serde_json::Value;

/// `base` is made of two files of a folder, comments left out; `middle` reads one and holds the path of base, `named`
/// holds nothing but that path, `top` reads a line of middle.
const STEPS: &str = r##"{ edit ? "one" }:
let
  # A folder that holds just busybox, since busybox goes by the name it is called under.
  tools = builtins.path {
    name = "tools";
    path = dirOf BUSYBOX;
    filter = path: _: baseNameOf path == "busybox";
  };
  bb = "${tools}/busybox";
  make = name: inputs: script: derivation ({
    inherit name bb;
    system = builtins.currentSystem;
    builder = bb;
    args = [ "sh" "-e" "-c" script ];
  } // inputs);
in rec {
  base = make "base" { src = ./src; } ''
    $bb mkdir -p $out/lib $out/doc
    $bb grep -v '^#' $src/code > $out/lib/code
    $bb cat $src/manual > $out/doc/manual
    echo the same > $out/lib/steady
  '';
  middle = make "middle" { inherit base edit; flags = "-O2"; steps = "configure\nmake\n"; } ''
    $bb mkdir -p $out/bin
    read code < $base/lib/code
    echo "middle of $code, $flags" > $out/bin/middle
    echo "$base/lib" > $out/runpath
  '';
  named = make "named" { inherit base; } "echo $base > $out";
  top = make "top" { inherit middle named; } "read line < $middle/bin/middle; echo $line > $out";
}
"##;

struct Story {
    scene: Scene,
}

impl Story {
    /// All built once.
    fn begun() -> Story {
        let text = STEPS.replace("BUSYBOX", &busybox().display().to_string());
        let story = Story { scene: Scene::with_text(&text) };
        story.write("src/code", "# a comment\nfirst\n");
        story.write("src/manual", "read me\n");
        story.build(&[]);
        story
    }

    fn write(&self, name: &str, text: &str) {
        self.scene.world.file(name, text);
    }

    /// Edits the expression.
    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.scene.case).expect("the expression");
        assert!(text.contains(from), "{from} is in the expression");
        fs::write(&self.scene.case, text.replace(from, to)).expect("the expression");
    }

    #[track_caller]
    fn build(&self, flags: &[&str]) {
        done(self.scene.build("top", flags));
    }

    #[track_caller]
    fn floe(&self, args: &[&str]) -> String {
        done(self.scene.world.floe(args)).stdout
    }

    #[track_caller]
    fn explain(&self, args: &[&str]) -> String {
        shown(&self.scene.world, &self.floe(&[&["explain"], args].concat()))
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let text = self.floe(&[&["explain", "--json"], args].concat());
        serde_json::from_str(&text).expect("JSON")
    }
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

/// What a user reads, without what differs from run to run and from machine to machine.
fn shown(world: &World, text: &str) -> String {
    let work = fs::canonicalize(world.work()).expect("the world").to_string_lossy().into_owned();
    let text = text.replace(&work, "WORK");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let at_word = !out.ends_with(|last: char| last.is_ascii_alphanumeric());
        let known = [(32, "DIGEST", "-"), (12, "HASH", ")"), (12, "HASH", " "), (64, "HASH", "\"")];
        let found = known.iter().find(|(len, _, end)| {
            let word = rest.get(..*len).unwrap_or_default();
            let is_hash = word.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
            at_word
                && is_hash
                && word.contains(|c: char| c.is_ascii_digit())
                && rest.get(*len..).is_some_and(|after| after.starts_with(end))
        });
        match found {
            Some((len, word, _)) => {
                out += word;
                rest = &rest[*len..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    let timeless = |line: &str| match line {
        line if line.contains("its builder took") => "  its builder took N ms".to_owned(),
        line if line.starts_with("since request") => {
            line.split(" of ").next().unwrap_or_default().to_owned() + " of TIME:"
        }
        line => without_time(line),
    };
    out.lines().map(timeless).collect::<Vec<_>>().join("\n")
}

/// A line of the list of requests, or of JSON, without its moment.
fn without_time(line: &str) -> String {
    if let Some((number, rest)) = line.split_once("  ")
        && number.chars().all(|c| c.is_ascii_digit())
        && !number.is_empty()
        && rest.len() > 19
    {
        return format!("{number}  TIME{}", &rest[19..]);
    }
    for field in ["\"at\": ", "\"wall_ms\": ", "\"cpu_ms\": "] {
        if let Some((before, _)) = line.split_once(field) {
            return format!("{before}{field}N,");
        }
    }
    line.to_owned()
}

#[test]
fn a_comment_in_a_source_is_cut_off() {
    let story = Story::begun();
    insta::assert_snapshot!("first", story.explain(&["top"]));
    story.write("src/code", "# another comment\nfirst\n");
    story.build(&[]);
    insta::assert_snapshot!("comment", story.explain(&["top"]));
}

#[test]
fn an_edit_is_followed_from_file_to_file() {
    let story = Story::begun();
    story.write("src/code", "# a comment\nsecond\n");
    story.build(&[]);
    insta::assert_snapshot!("real", story.explain(&["top"]));
    let told = story.json(&["middle"]);
    let input = &told["tasks"][0]["causes"][0];
    assert_eq!(input["task"], "top/middle/base");
    assert_eq!(input["outputs"][0]["files"][0]["file"], "lib/code");
    assert_eq!(input["outputs"][0]["files"][0]["kind"], "content");
    assert_eq!(input["outputs"][0]["differ"], 1);
    assert_eq!(told["tasks"][0]["stop"]["by"], "observation");
    assert_eq!(
        told["edited_sources"][0]["file"],
        story.scene.world.work().join("src/code").to_str().expect("text")
    );
    insta::assert_snapshot!(
        "real-json",
        shown(&story.scene.world, &story.floe(&["explain", "--json", "base"]))
    );
}

/// Nobody reads the manual; but all that hold its path are built, and what rests on them differs only by that.
#[test]
fn what_only_names_carry_could_have_been_retargeted() {
    let story = Story::begun();
    story.write("src/manual", "do not read me\n");
    story.build(&[]);
    insta::assert_snapshot!("names", story.explain(&["top"]));
    let told = story.json(&["top"]);
    let of = |task: &str| {
        let tasks = told["tasks"].as_array().expect("tasks");
        tasks.iter().find(|told| told["task"] == task).expect("it is told of").clone()
    };
    assert_eq!(of("top")["stop"]["by"], "retarget");
    assert_eq!(of("top")["effect"], "same");
    assert_eq!(of("top/named")["effect"], "names");
    assert_eq!(of("top/named")["stop"]["files"][0]["file"], "doc/manual");
}

#[test]
fn an_edited_variable_is_named_with_the_file_it_is_written_in() {
    let story = Story::begun();
    story.edit("-O2", "-O3");
    story.edit("configure\\nmake\\n", "configure\\nmake\\nmake check\\n");
    story.build(&[]);
    insta::assert_snapshot!("variable", story.explain(&["middle"]));
    story.build(&["--argstr", "edit", "two"]);
    insta::assert_snapshot!("argument", story.explain(&["middle"]));
    insta::assert_snapshot!("list", story.explain(&["--list"]));
    let list: Value =
        serde_json::from_str(&story.floe(&["explain", "--list", "--json"])).expect("JSON");
    assert_eq!(list[1]["edits"][0]["kind"], "file");
    assert_eq!(list[2]["asked"][1]["name"], "argument edit");
    assert_eq!(list[2]["decisions"]["built"], 1);
}

#[test]
fn an_edit_that_was_undone_leaves_nothing() {
    let story = Story::begun();
    story.write("src/code", "# a comment\nsecond\n");
    story.build(&[]);
    story.edit("-O2", "-O3");
    story.build(&[]);
    story.write("src/code", "# a comment\nfirst\n");
    story.edit("-O3", "-O2");
    story.build(&[]);
    insta::assert_snapshot!("undone-last", story.explain(&["top"]));
    insta::assert_snapshot!("undone", story.explain(&["top", "--since", "1"]));
    assert_eq!(story.explain(&["top", "--since", "-3"]), story.explain(&["top", "--since", "1"]));
    let told = story.json(&["top", "--since", "-2"]);
    assert_eq!(told["since"], 2);
    assert_eq!(told["tasks"][0]["effect"], "changed");
    let nothing = story.explain(&["top", "--since", "4"]);
    assert!(nothing.contains("top: nothing happened to it"), "{nothing}");
    assert!(story.explain(&["top", "--since", "1970-01-01"]).contains("since the beginning"));
}

#[test]
fn what_was_collected_cannot_be_compared() {
    let story = Story::begun();
    story.write("src/code", "# a comment\nsecond\n");
    done(story.scene.build("top", &["--out-link", "top"]));
    done(story.scene.world.floe(["store", "gc"]));
    insta::assert_snapshot!("collected", story.explain(&["middle"]));
    fs::remove_file(story.scene.world.work().join("top")).ok();
    done(story.scene.world.floe(["store", "gc"]));
    story.build(&[]);
    insta::assert_snapshot!("lost", story.explain(&["top"]));
}

#[test]
fn a_null_build_writes_nothing_and_is_no_request() {
    let story = Story::begun();
    let files = || {
        let dir = fs::read_dir(story.scene.world.root().join("db")).expect("the database");
        let mut files: Vec<_> = dir
            .map(|entry| {
                let entry = entry.expect("an entry");
                let meta = entry.metadata().expect("its stats");
                (entry.file_name(), meta.len(), meta.modified().expect("a time"))
            })
            .collect();
        files.sort();
        files
    };
    story.build(&[]);
    let before = files();
    for _ in 0..3 {
        story.build(&[]);
    }
    assert_eq!(files(), before);
    assert_eq!(story.explain(&["--list"]).lines().count(), 2);
    // An edit that makes no difference to any derivation is told of when something else does.
    story.edit("let\n", "let # nothing\n");
    story.build(&[]);
    assert_eq!(files(), before);
    story.write("src/code", "# a comment\nsecond\n");
    story.build(&[]);
    let told = story.explain(&["top"]);
    assert!(told.contains("edited: case.nix (HASH -> HASH)\n  edited: src/code\n"), "{told}");
}

#[test]
fn everything_that_happened_is_told_without_a_name() {
    let story = Story::begun();
    done(story.scene.build("named", &[]));
    story.write("src/code", "# a comment\nsecond\n");
    story.build(&[]);
    let told = story.explain(&[]);
    for task in ["top: built", "top/middle: built", "top/named: built", "top/middle/base: built"] {
        assert!(told.contains(task), "{told}");
    }
    // The other target is as it was.
    assert!(!told.contains("\nnamed: "), "{told}");
}

#[test]
fn pictures_are_whole_and_need_nothing_from_elsewhere() {
    let story = Story::begun();
    story.write("src/code", "# a comment\nsecond\n");
    story.edit("-O2", "-O3");
    story.build(&[]);
    let said = story.floe(&["explain", "top", "--html", "why.html", "--svg", "why.svg"]);
    assert_eq!(said, "", "the answer is in the files");
    let read =
        |name: &str| fs::read_to_string(story.scene.world.work().join(name)).expect("a file");
    let (page, picture) = (read("why.html"), read("why.svg"));
    assert!(picture.starts_with("<?xml") && picture.trim_end().ends_with("</svg>"));
    for text in [&page, &picture] {
        for part in [
            "role=\"img\"",
            "<title",
            "prefers-color-scheme:dark",
            ">middle<",
            ">case.nix<",
            "built",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        for foreign in ["<script", "src=", "url(", "@import", "href="] {
            assert!(!text.contains(foreign), "{foreign} in:\n{text}");
        }
        let elsewhere = text.matches("http").count();
        assert_eq!(elsewhere, text.matches("http://www.w3.org/2000/svg").count());
    }
    assert!(page.contains("variable flags: &quot;-O2&quot; -&gt; &quot;-O3&quot;"), "{page}");
    assert_eq!(picture, {
        story.floe(&["explain", "top", "--svg", "again.svg"]);
        read("again.svg")
    });
}

#[test]
fn wrong_questions_are_answered_with_what_would_be_right() {
    let story = Story::begun();
    let wrong = |args: &[&str], said: &[&str]| {
        fails_saying(&story.scene.world.floe([&["explain"], args].concat()), said);
    };
    wrong(&["midle"], &["did you mean 'middle'?"]);
    wrong(&["something"], &["name an attribute, a derivation or a store path"]);
    wrong(&["top", "--since", "7"], &["there is no request 7 yet; the newest is 1"]);
    wrong(&["top", "--since", "-9"], &["no longer kept"]);
    wrong(&["top", "--since", "HEAD~1"], &["is no request", "no revision of a Git repository"]);
    wrong(&["--rebuilder", "verifying"], &["nothing was built with the rebuilder verifying"]);
    wrong(&["top", "--svg", "no/such/folder/x.svg"], &["cannot write no/such/folder/x.svg"]);
}

/// What a server found out is told as if the command had done it alone.
#[test]
fn a_git_revision_names_the_request_that_saw_it() {
    let story = Story::begun();
    let git = |words: &[&str]| {
        let who = ["-c", "user.name=n", "-c", "user.email=e@example.org"];
        let status = Command::new("git")
            .args(who)
            .args(words)
            .current_dir(story.scene.world.work())
            .status();
        assert!(status.expect("git runs").success(), "git {words:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "src", "case.nix"]);
    git(&["commit", "-q", "-m", "one"]);
    story.write("src/code", "second\n");
    story.build(&[]);
    git(&["commit", "-q", "-a", "-m", "two"]);
    story.edit("-O2", "-O3");
    story.build(&[]);

    let since = |revision: &str| story.json(&["--since", revision])["since"].clone();
    assert_eq!([since("HEAD~1"), since("HEAD")], [1, 2]);
    story.write("src/code", "third\n");
    git(&["commit", "-q", "-a", "-m", "three"]);
    let told = story.scene.world.floe(["explain", "--since", "HEAD"]).stderr;
    insta::assert_snapshot!(shown(&story.scene.world, &told), @"error: no request that is kept saw the files as they are in 'HEAD'; the nearest, request 3, found WORK/src otherwise: name it with --since 3, or build the revision once");
    fails_saying(
        &story.scene.world.floe(["explain", "--since", "no-where"]),
        &["'no-where' is no request"],
    );
}

#[test]
fn a_server_leaves_the_same_traces() {
    let told: Vec<String> = [&["--no-server"][..], &["--server"]]
        .iter()
        .map(|flags| {
            let story = Story::begun();
            story.build(flags);
            story.write("src/code", "# a comment\nsecond\n");
            story.edit("-O2", "-O3");
            story.build(flags);
            story.build(&[flags, &["--argstr", "edit", "two"][..]].concat());
            let told = ["--list", "middle", "top"].map(|what| story.explain(&[what]));
            told.concat() + &story.explain(&["top", "--since", "1"])
        })
        .collect();
    assert_eq!(told[0], told[1]);
}
