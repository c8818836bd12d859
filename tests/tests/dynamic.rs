//! Dynamic derivations (RFC 92): derivations that builders make, built in their turn. What the Nix sources' own
//! tests/functional/dyn-drv ask for is here, except for what needs recursive Nix, which floe has not: there each builder
//! makes one derivation, and says so where more is asked for.

use std::collections::BTreeMap;
use std::path::Path;

use floe_tests::Outcome;
use floe_tests::scene::{Scene, fails_with, says};
use serde_json::Value;

/// `hello` and what copies its file are those of text-hashed-output.nix of the Nix sources; `made` is the output of a
/// derivation whose text a builder writes.
const GRAPH: &str = r##"{ word ? "one", comment ? "", rest ? "", script ? null, aim ? "made" }: rec {
  sh = name: env: script: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
  } // env);
  text = { __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
  file = drv: builtins.unsafeDiscardOutputDependency drv.drvPath;
  of = drv: builtins.outputOf drv.outPath "out";

  hello = sh "hello" { } "echo Hello World > $out";
  producing = sh "hello.drv" text "IFS= read -r drv < ${file hello} || :; printf %s \"$drv\" > $out";
  wrapper = sh "wrapper" { hello = of producing; } "read -r line < $hello; echo $line > $out";
  failing = sh "failing" { hello = of producing; } "echo $hello; exit 3";
  direct = of producing;
  broken-maker = sh "broken.drv" text "echo this producer fails; exit 4";
  above-broken = sh "above-broken" { it = of broken-maker; } "echo $it > $out";

  # the text of a derivation; @ is where the placeholder of its output belongs
  quote = text: "\"${builtins.replaceStrings [ "\\" "\"" "\n" ] [ "\\\\" "\\\"" "\\n" ] text}\"";
  variables = vars: builtins.concatStringsSep "," (map (n: "(${quote n},${vars.${n}})") (builtins.attrNames vars));
  drv = { name, script, inputs ? "", sources ? "", env ? { }, output ? ''"out","","r:sha256",""'', head ? "Derive(" }:
    "${head}[(${output})],[${inputs}],[${sources}],\"x86_64-linux\",\"/bin/sh\",[\"-e\",\"-c\",${quote script}],["
    + variables ({ builder = quote "/bin/sh"; name = quote name; out = "\"@\""; system = quote "x86_64-linux"; } // env) + "])";
  # writes it; the placeholder is put together here, or it would be this builder's own
  writes = name: text': env: sh name (text // { text = text'; } // env) ''
    h=1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9
    printf '%s/%s%s%s' "''${text%%@*}" $h "''${text#*@}" '${rest}' > $out
  '';
  inner = { name = "inner"; script = if script != null then script else "echo ${word} > $out"; };
  maker = writes "inner.drv" (drv inner) { inherit comment; };
  made = of maker;
  user = sh "user" { inherit made; } "read -r line < $made; echo user of $line > $out";
  top = sh "top" { inherit user; } "read -r line < $user; echo top of $line > $out";

  # one that makes one that makes one
  twice-maker = writes "second.drv.drv" (drv {
    name = "second.drv";
    output = ''"out","","text:sha256",""'';
    # its own placeholder is put together there, once more
    script = "h=1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9; printf '%s/%s%s' \"$begin\" $h \"$end\" > $out";
    env =
      let parts = builtins.split "@" (drv inner);
      in { begin = quote (builtins.elemAt parts 0); end = quote (builtins.elemAt parts 2); };
  }) { };
  twice = builtins.outputOf (of twice-maker) "out";
  twice-user = sh "twice-user" { inherit twice; } "read -r line < $twice; echo twice $line > $out";

  # one that needs derivations that its maker was given
  helper = sh "helper" { } "echo helped > $out";
  needs-maker = writes "needs.drv" (drv {
    name = "needs";
    script = "read -r line < $helper; echo needs $line > $out";
    inputs = ''("${file helper}",["out"])'';
    env.helper = quote helper.outPath;
  }) { };
  needs = of needs-maker;
  # and one that is itself in need of a derivation that a builder makes
  needs-made-maker = writes "needs-made.drv" (drv {
    head = ''DrvWithVersion("xp-dyn-drv",'';
    name = "needs-made";
    script = "read -r line < $it; echo in need of $line > $out";
    inputs = ''("${file maker}",([],[("out",["out"])]))'';
    env.it = quote made;
  }) { };
  needs-made = of needs-made-maker;

  # a copied one that needs another one
  chain = sh "chain" { inherit hello; } "read -r line < $hello; echo chain of $line > $out";
  chained = of (sh "chain.drv" text "IFS= read -r drv < ${file chain} || :; printf %s \"$drv\" > $out");

  # one whose maker an edit makes another one
  edited = of (writes "edited.drv" (drv { name = "edited"; script = "echo ${import ./word.nix} > $out"; }) { });
  edited-user = sh "edited-user" { inherit edited; } "read -r line < $edited; echo edited $line > $out";

  # one whose maker writes another one each time
  fickle-maker = sh "fickle.drv" (text // {
    text = drv {
      name = "fickle";
      script = "echo one > $out; : TIME";
      inputs = ''("${file helper}",["out"])'';
      env.helper = quote helper.outPath;
    };
  }) ''
    read -r up < /proc/sys/kernel/random/uuid
    h=1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9
    rest=''${text#*TIME}
    printf '%s%s%s/%s%s' "''${text%%TIME*}" $up "''${rest%%@*}" $h "''${rest#*@}" > $out
  '';
  fickle-user = sh "fickle-user" { it = of fickle-maker; } "read -r line < $it; echo user of $line > $out";

  read = builtins.readFile made;
  from-read = sh "from-read" { inherit read; } "echo read $read > $out";

  # long enough for others to begin and end beside it
  slow = sh "slow" { } "i=0; while [ $i -lt 1000000 ]; do i=$((i + 1)); done; echo $i > $out";
  beside = sh "beside" { inherit slow made; } "echo $slow $made > $out";

  # faults
  unnamed = sh "unnamed" { it = of (sh "no-derivation" text "echo > $out"); } "";
  rubbish = of (sh "rubbish.drv" text "echo rubbish > $out");
  folder = of (writes "on-folder.drv" (drv {
    name = "on-folder";
    script = "echo > $out";
    inputs = ''("${builtins.path { path = ./folder; name = "folder.drv"; }}",["out"])'';
  }) { });
  outputless = builtins.outputOf maker.outPath "dev";
  wrong-path = of (writes "wrong.drv" (drv {
    name = "wrong";
    script = "echo > $out";
    output = ''"out","/nix/store/00000000000000000000000000000000-wrong","",""'';
  }) { });
  stray = of (writes "stray.drv" (drv {
    name = "stray";
    script = "echo > $out";
    sources = ''"/nix/store/00000000000000000000000000000000-elsewhere"'';
  }) { });
  recursive = sh "recursive.drv" (text // { requiredSystemFeatures = [ "recursive-nix" ]; }) "";
  old-stub = sh "stub" { } "echo stub > $out";
  old = sh "has-dynamic-drv-dep" { it = of old-stub; } "exit 1";
}
"##;

fn scene() -> Scene {
    Scene::with_text(GRAPH)
}

#[track_caller]
fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.success(), "{}", outcome.describe());
    outcome
}

/// The first line of what an attribute builds.
#[track_caller]
fn built(scene: &Scene, attribute: &str, flags: &[&str]) -> String {
    let outcome = done(scene.build(attribute, flags));
    let path = scene.world.physical(outcome.stdout.trim());
    std::fs::read_to_string(path).expect("the output").trim_end().to_owned()
}

/// What ran in a build, and the counters of its report.
#[track_caller]
fn ran(scene: &Scene, attribute: &str, flags: &[&str]) -> (Vec<String>, Value) {
    let report = scene.world.work().join("report.jsonl");
    let report = report.to_string_lossy();
    let flags: Vec<&str> = ["--report", &report].into_iter().chain(flags.iter().copied()).collect();
    done(scene.build(attribute, &flags));
    let lines = std::fs::read_to_string(Path::new(&*report)).expect("the report");
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_built = lines.iter().filter(|line| line["decision"] == "built");
    let mut names: Vec<String> =
        of_built.map(|line| line["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    (names, lines.last().expect("the counters").clone())
}

/// tests/functional/dyn-drv/text-hashed-output.sh, dep-built-drv.sh and build-built-drv.sh
#[test]
fn a_copied_derivation_is_the_copied_derivation() {
    for rebuilder in ["as-written", "content-addressed", "input-addressed"] {
        let scene = scene();
        let flags = ["--rebuilder", rebuilder];
        let copied = done(scene.build("producing", &flags)).stdout;
        let path = done(scene.world.floe(["eval", "-f", "case.nix", "hello.drvPath", "--json"]));
        if rebuilder != "input-addressed" {
            assert_eq!(
                format!("{}\n", path.stdout.trim().trim_matches('"')),
                copied,
                "{rebuilder}"
            );
        }
        assert_eq!(built(&scene, "wrapper", &flags), "Hello World", "{rebuilder}");
        let direct = done(scene.build("direct", &flags)).stdout;
        assert_eq!(direct, done(scene.build("hello", &flags)).stdout, "{rebuilder}");
        let mut command = scene.world.command("nix-build");
        command.arg(&scene.case).args(["-A", "wrapper", "--no-out-link"]);
        done(floe_tests::process::run(&mut command).expect("floe to start"));
        scene.store_is_sound();
    }
}

#[test]
fn what_a_builder_writes_is_built() {
    let scene = scene();
    assert_eq!(built(&scene, "top", &[]), "top of user of one");
    assert_eq!(built(&scene, "made", &[]), "one");
    assert_eq!(built(&scene, "twice-user", &[]), "twice one");
    assert_eq!(built(&scene, "needs", &[]), "needs helped");
    assert_eq!(built(&scene, "needs-made", &[]), "in need of one");
    assert_eq!(built(&scene, "from-read", &[]), "read one");
    scene.store_is_sound();
}

#[test]
fn a_change_stops_where_nothing_differs() {
    let scene = scene();
    let of = |flags: &[&str]| ran(&scene, "top", flags).0;
    assert_eq!(of(&[]), ["inner", "inner.drv", "top", "user"]);
    assert!(of(&[]).is_empty());
    // the maker is another one, and makes the same derivation
    assert_eq!(of(&["--argstr", "comment", "x"]), ["inner.drv"]);
    // another derivation, which gives the same
    let same = ["--argstr", "script", "echo  one  > $out"];
    assert_eq!(of(&same), ["inner", "inner.drv"]);
    assert_eq!(of(&["--argstr", "word", "two"]), ["inner", "inner.drv", "top", "user"]);
    assert_eq!(built(&scene, "top", &["--argstr", "word", "two"]), "top of user of two");
    assert!(of(&[]).is_empty(), "everything is in the trace");
    let (_, counters) = ran(&scene, "top", &["--argstr", "comment", "y"]);
    assert_eq!((&counters["builders_run"], &counters["cutoff"]), (&1.into(), &2.into()));
}

#[test]
fn a_null_build_writes_nothing() {
    let scene = scene();
    done(scene.build("top", &[]));
    let written = |scene: &Scene| {
        let files = std::fs::read_dir(scene.world.root().join("db")).expect("the database");
        let sizes =
            files.flatten().filter(|file| !file.file_name().to_string_lossy().starts_with("LOG"));
        let sizes: BTreeMap<_, u64> = sizes
            .map(|file| (file.file_name(), file.metadata().map_or(0, |meta| meta.len())))
            .collect();
        sizes
    };
    let before = written(&scene);
    done(scene.build("top", &[]));
    assert_eq!(written(&scene), before);
}

/// What is not in the store any more is made again, as far as it is needed.
#[test]
fn a_collected_derivation_is_made_again() {
    let scene = scene();
    let link = scene.world.work().join("result");
    let mut command = scene.world.command("floe");
    command.args(["build", "-f", "case.nix", "needs", "-o"]).arg(&link);
    done(floe_tests::process::run(&mut command).expect("floe to start"));
    let gone = done(scene.world.floe(["store", "gc"])).stdout;
    assert!(gone.lines().any(|line| line.ends_with("-needs.drv")), "{gone}");
    assert_eq!(ran(&scene, "needs", &[]).0, ["needs.drv"]);
    scene.store_is_sound();
}

/// A maker that gives another derivation than it gave before, whose own is gone: what rests on it is looked at again, and
/// who uses what comes out as it was does not run.
#[test]
fn a_maker_may_give_something_else() {
    let scene = scene();
    let link = scene.world.work().join("result");
    let mut command = scene.world.command("floe");
    command.args(["build", "-f", "case.nix", "fickle-user", "-o"]).arg(&link);
    let first = done(floe_tests::process::run(&mut command).expect("floe to start")).stdout;
    let gone = done(scene.world.floe(["store", "gc"])).stdout;
    assert!(gone.lines().any(|line| line.ends_with("-fickle.drv")), "{gone}");
    assert_eq!(ran(&scene, "fickle-user", &[]).0, ["fickle", "fickle.drv"]);
    assert_eq!(done(scene.build("fickle-user", &[])).stdout, first);
    assert!(ran(&scene, "fickle-user", &[]).0.is_empty());
    scene.store_is_sound();
}

#[test]
fn a_dry_run_says_what_it_cannot_know() {
    let scene = scene();
    let cold = done(scene.build("top", &["--dry-run"]));
    insta::assert_snapshot!("dry-run", scene.told(&cold));
    let json = done(scene.build("top", &["--dry-run", "--json"])).stdout;
    let bounds: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(bounds["unknown"], serde_json::json!(["inner.drv.drv^out"]));
    done(scene.build("maker", &[]));
    // the derivation is there by now, and what it needs is known
    let known: Value =
        serde_json::from_str(&done(scene.build("top", &["--dry-run", "--json"])).stdout)
            .expect("JSON");
    assert_eq!(known["unknown"], serde_json::json!([]));
    assert_eq!(known["will_build"], serde_json::json!(["inner"]));
    assert_eq!(known["may_build"], serde_json::json!(["user", "top"]));
}

/// tests/functional/dyn-drv/failing-outer.sh
#[test]
fn failures_are_told_as_others_are() {
    let scene = scene();
    let user = scene.build("failing", &[]);
    fails_with(&user, 100, &["builder for 'failing' failed with exit code 3"]);
    let maker = scene.build("above-broken", &[]);
    fails_with(&maker, 100, &["builder for 'broken.drv' failed with exit code 4"]);
    says(&maker, &["this producer fails"]);
    let made = scene.build("top", &["--argstr", "script", "echo made to fail; exit 5"]);
    fails_with(&made, 100, &["builder for 'inner' failed with exit code 5"]);
    says(&made, &["2 derivations were not built because of this"]);
    scene.store_is_sound();
}

#[test]
fn what_is_no_derivation_is_refused() {
    let scene = scene();
    scene.world.file("folder/file", "");
    let mut told = String::new();
    let cases: [(&str, &[&str]); 9] = [
        ("unnamed", &[]),
        ("rubbish", &[]),
        ("made", &["--argstr", "rest", "]"]),
        ("folder", &[]),
        ("outputless", &[]),
        ("wrong-path", &[]),
        ("stray", &[]),
        ("recursive", &[]),
        ("old", &[]),
    ];
    for (attribute, flags) in cases {
        let flags: Vec<&str> = flags.iter().copied().chain(["-q"]).collect();
        let outcome = scene.build(attribute, &flags);
        fails_with(&outcome, 100, &["error: "]);
        told += &format!("== {attribute}\n{}\n", scene.told(&outcome));
    }
    insta::assert_snapshot!("refused", told);
    scene.store_is_sound();
}

#[test]
fn what_builders_add_has_bounds() {
    let scene = scene();
    let mut told = String::new();
    for (attribute, flags) in [
        ("twice-user", ["-q", "--max-dynamic-depth", "1"]),
        ("chained", ["-q", "--max-dynamic-derivations", "1"]),
    ] {
        let outcome = scene.build(attribute, &flags);
        fails_with(&outcome, 100, &["error: "]);
        told += &format!("== {attribute}\n{}\n", scene.told(&outcome));
    }
    insta::assert_snapshot!("bounds", told);
    assert_eq!(built(&scene, "twice-user", &["--max-dynamic-depth", "2"]), "twice one");
    let two = ["--max-dynamic-derivations", "2"];
    assert_eq!(built(&scene, "chained", &two), "chain of Hello World");
}

/// A builder that knows its own instructions, and by them the path of its own derivation's file: the derivation that it
/// makes needs what that one's output gives, which is itself.
const LOOP: &str = r##"{ busybox }: rec {
  tools = builtins.path { name = "tools"; path = dirOf busybox; filter = path: _: baseNameOf path == "busybox"; };
  loop = derivation rec {
    name = "loop.drv";
    system = "x86_64-linux";
    builder = "${tools}/busybox";
    args = [ "sh" "-e" "-c" "eval \"$script\"" ];
    __contentAddressed = true;
    outputHashMode = "text";
    outputHashAlgo = "sha256";
    b = "\\";
    q = "\"";
    h = "1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9";
    inherit tools;
    # neither a quotation mark nor a backslash nor a new line is in it, so that it stands in a derivation as it is
    script = builtins.replaceStrings [ "\n" ] [ " " ] ''
      set -f; IFS=; bb=$builder;
      own='Derive([(~out~,~~,~text:sha256~,~~)],[],[~@T~],~x86_64-linux~,~@T/busybox~,[~sh~,~-e~,~-c~,~eval ^~$script^~~],[(~b~,~^^~),(~builder~,~@T/busybox~),(~h~,~@H~),(~name~,~loop.drv~),(~out~,~/@H~),(~outputHashAlgo~,~sha256~),(~outputHashMode~,~text~),(~q~,~^~~),(~script~,~@S~),(~system~,~x86_64-linux~),(~tools~,~@T~)])';
      made='DrvWithVersion(~xp-dyn-drv~,[(~out~,~~,~r:sha256~,~~)],[(~/nix/store/@O-loop.drv.drv~,([],[(~out~,[~out~])]))],[],~x86_64-linux~,~/bin/sh~,[],[(~out~,~/@H~)])';
      sum() { $bb sha256sum | $bb cut -c1-64; };
      own=$(printf %s $own | $bb tr '~^' $q$b$b);
      own=''${own//@T/$tools}; own=''${own//@H/$h};
      x=$(printf %s%s%s ''${own%%@S*} $script ''${own#*@S} | sum);
      x=$(printf %s text:$tools:sha256:$x:/nix/store:loop.drv.drv | sum);
      i=0; IFS=' ';
      for p in $(printf %s $x | $bb sed 's/../0x& /g'); do
        k=$((i % 20)); eval h$k='$((h'$k' ^ '$p'))'; i=$((i + 1));
      done;
      d=0123456789abcdfghijklmnpqrsvwxyz; n=31; o=;
      while [ $n -ge 0 ]; do
        i=$((n * 5 / 8)); j=$((n * 5 % 8)); k=$((i + 1)); eval lo='$h'$i; eval hi='$((h'$k' + 0))';
        c=$(( (lo >> j | hi << (8 - j)) & 31 )); o=$o$(printf %s $d | $bb cut -c$((c + 1))); n=$((n - 1));
      done;
      IFS=; made=$(printf %s $made | $bb tr '~' $q); made=''${made//@O/$o};
      printf %s ''${made//@H/$h} > $out
    '';
  };
  top = builtins.outputOf loop.outPath "out";
}
"##;

#[test]
fn a_cycle_is_found_and_told() {
    let scene = Scene::with_text(LOOP);
    let busybox = floe_tests::oracle::busybox().display().to_string();
    let flags = ["-q", "--arg", "busybox", &busybox];
    let outcome = scene.build("top", &flags);
    fails_with(&outcome, 100, &["it waits for itself"]);
    insta::assert_snapshot!("cycle", scene.told(&outcome));
    scene.store_is_sound();
}

#[test]
fn schedulers_differ_where_the_literature_says() {
    let scene = scene();
    let topological = scene.build("top", &["--scheduler", "topological"]);
    fails_with(&topological, 1, &["the topological scheduler must know what depends on what"]);
    insta::assert_snapshot!("topological", scene.told(&topological));
    let restarts = |attribute: &str, scheduler: &str| {
        let scene = Scene::with_text(GRAPH);
        let (names, counters) = ran(&scene, attribute, &["--scheduler", scheduler]);
        (names, counters["restarts"].as_u64().expect("a number"))
    };
    for (attribute, found) in [("top", 1), ("twice-user", 2), ("wrapper", 1), ("hello", 0)] {
        let (suspending, none) = restarts(attribute, "suspending");
        let (restarting, some) = restarts(attribute, "restarting");
        assert_eq!((suspending, none, some), (restarting, 0, found), "{attribute}");
    }
}

#[test]
fn what_is_made_can_be_checked() {
    let scene = scene();
    done(scene.build("made", &["--check"]));
    let fickle = [
        "--check",
        "--argstr",
        "script",
        "read -r id < /proc/sys/kernel/random/uuid; echo $id > $out",
    ];
    let outcome = scene.build("made", &fickle);
    fails_with(&outcome, 104, &["'inner' is not deterministic"]);
    scene.store_is_sound();
}

/// Whoever waits for a derivation to be made waits alone, unless everything is looked at again.
#[test]
fn nobody_else_waits() {
    for (scheduler, waits) in [("suspending", false), ("restarting", true)] {
        let scene = scene();
        ran(&scene, "beside", &["-j2", "--scheduler", scheduler]);
        let report = std::fs::read_to_string(scene.world.work().join("report.jsonl"));
        let time = |name: &str, what: &str| {
            let lines = report.as_ref().expect("the report").lines();
            let mut lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let line = lines.find(|line| line["name"] == name).expect("its line");
            line[what].as_u64().expect("a time")
        };
        let slow_ends = time("slow", "start_ms") + time("slow", "wall_ms");
        assert_eq!(time("inner", "start_ms") >= slow_ends, waits, "{scheduler}");
    }
}

#[test]
fn what_is_needed_of_them_is_shown() {
    let scene = scene();
    let shown = done(scene.world.floe(["derivation", "show", "-f", "case.nix", "twice-user"]));
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let drv = shown.as_object().and_then(|all| all.values().next()).expect("a derivation");
    let inputs = drv["inputDrvs"].as_object().expect("its inputs");
    let (path, needed) = inputs.iter().next().expect("one");
    assert!(path.ends_with("-second.drv.drv.drv"), "{path}");
    let none = serde_json::json!({});
    let last = serde_json::json!({ "outputs": ["out"], "dynamicOutputs": none });
    let first = serde_json::json!({ "outputs": [], "dynamicOutputs": { "out": last } });
    assert_eq!(*needed, serde_json::json!({ "outputs": [], "dynamicOutputs": { "out": first } }));
    // of what a builder makes, the derivation is shown that is there
    let made = done(scene.world.floe(["derivation", "show", "-f", "case.nix", "twice"])).stdout;
    assert!(made.contains("-second.drv.drv.drv\": {"), "{made}");
}

#[test]
fn every_rebuilder_builds_them() {
    let scene = scene();
    scene.world.file(
        "script",
        "build: -f case.nix top\ncold:\nagain:\ncomment: --argstr comment x\nback:\nsame: --argstr script 'echo  one  > $out'\n\
         back:\nreal: --argstr word two\n",
    );
    let outcome = done(scene.world.floe(["matrix", "script", "--json"]));
    let rows: Vec<Value> = serde_json::from_str(&outcome.stdout).expect("JSON");
    let mut told = String::new();
    for row in &rows {
        let steps = row["steps"].as_array().expect("steps");
        let count = |step: &Value| match step["failure"].as_str() {
            Some(failure) => failure.to_owned(),
            None => step["builds"].to_string(),
        };
        let counts: Vec<String> = steps.iter().map(count).collect();
        told += &format!("{}: {}\n", row["rebuilder"].as_str().expect("a name"), counts.join(" "));
    }
    insta::assert_snapshot!("rebuilders", told);
}

/// What evaluation waits for counts where it is built.
#[test]
fn a_matrix_counts_what_evaluation_had_built() {
    let scene = scene();
    scene.world.file("script", "build: -f case.nix from-read\ncold:\nagain:\n");
    let flags = ["matrix", "script", "--json", "--rebuilder", "content-addressed"];
    for (scheduler, restarts) in [("suspending", 0), ("restarting", 2)] {
        let flags = flags.iter().copied().chain(["--scheduler", scheduler]);
        let outcome = done(scene.world.floe(flags));
        let rows: Vec<Value> = serde_json::from_str(&outcome.stdout).expect("JSON");
        let step = |at: usize, what: &str| rows[0]["steps"][at][what].as_u64().expect("a number");
        assert_eq!((step(0, "builds"), step(1, "builds")), (3, 0), "{scheduler}");
        assert_eq!(step(0, "restarts"), restarts, "{scheduler}");
    }
}

#[test]
fn a_server_answers_the_same() {
    let scene = scene();
    let alone = done(scene.build("top", &[])).stdout;
    for flags in [&[][..], &[], &["--argstr", "comment", "x"]] {
        let flags: Vec<&str> = flags.iter().copied().chain(["--server"]).collect();
        assert_eq!(done(scene.build("top", &flags)).stdout, alone);
    }
    for word in ["one", "two", "one"] {
        scene.world.file("word.nix", format!("\"{word}\""));
        let edited = built(&scene, "edited-user", &["--server"]);
        assert_eq!(edited, format!("edited {word}"));
    }
    let flags = ["--server", "-q", "--max-dynamic-depth", "1"];
    fails_with(&scene.build("twice-user", &flags), 100, &["--max-dynamic-depth"]);
}
