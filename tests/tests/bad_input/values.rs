//! Values without measure: nested a million deep, doubled until memory would end, regular expressions that backtrack,
//! data formats that nest, comparators without an order, computations without an end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use floe_tests::World;
use floe_tests::bounds::{bounded, evaluates, fails_at};
use floe_tests::process::interrupt;

const PLACE: &str = "case.nix:1:";

/// An expression made of a value, and the flags it is evaluated with.
type Use<'a> = (&'a dyn Fn(&str) -> String, &'a [&'a str]);

/// A list or a set nested so deep.
fn nested(made: &str, levels: u32) -> String {
    format!("(builtins.foldl' (a: _: {made}) null (builtins.genList (i: i) {levels}))")
}

#[test]
fn a_million_levels_of_data() {
    let world = World::new();
    let overflow = "stack overflow; max-call-depth exceeded";
    for made in ["[ a ]", "{ x = a; }"] {
        let uses: [Use; 9] = [
            (&|v| v.to_owned(), &["--strict"]),
            (&|v| v.to_owned(), &["--strict", "--json"]),
            (&|v| v.to_owned(), &["--strict", "--xml"]),
            (&|v| format!("{v} == {v}"), &[]),
            (&|v| format!("builtins.deepSeq {v} 1"), &[]),
            (&|v| format!("builtins.hashString \"sha256\" (builtins.toJSON {v})"), &[]),
            (&|v| format!("builtins.elem {v} [ {v} ]"), &[]),
            (
                &|v| {
                    format!("builtins.length (builtins.attrNames {{ a = builtins.toXML {v}; }}.a)")
                },
                &[],
            ),
            (
                &|v| {
                    format!(
                        "(derivation {{ name = \"x\"; system = \"x\"; builder = \"x\"; __structuredAttrs = true; a = {v}; }}).drvPath"
                    )
                },
                &[],
            ),
        ];
        for (at, (used, flags)) in uses.iter().enumerate() {
            // the rest is as deep as need be
            let levels = if at % 4 == 0 { 1_000_000 } else { 50_000 };
            fails_at(&world, used(&nested(made, levels)), flags, overflow, "");
        }
        for (used, flags) in &uses[3..7] {
            evaluates(&world, used(&nested(made, 9_000)), flags, "");
        }
    }
    let list = nested("[ a ]", 50_000);
    for used in [
        format!("{list} < {list}"),
        format!("toString {list}"),
        format!("builtins.sort builtins.lessThan [ {list} {list} ]"),
        format!(
            "(derivation {{ name = \"x\"; system = \"x\"; builder = \"x\"; args = {list}; }}).drvPath"
        ),
    ] {
        fails_at(&world, used, &[], overflow, "");
    }
    evaluates(&world, format!("builtins.trace {list} 1"), &[], "1");
    fails_at(&world, format!("1 + {list}"), &[], "cannot add a list to an integer", PLACE);
    fails_at(&world, format!("throw {list}"), &[], "[ ... ]", PLACE);
    for endless in [
        "let x = { inherit x; }; in builtins.toJSON x",
        "let x = { inherit x; y = 1; }; z = { x = z; y = 1; }; in x == z",
        "let x = { inherit x; }; in builtins.toXML x",
        "let x = [ x ]; in toString x",
        "let x = [ x ]; y = [ y ]; in x < y",
        "let s = { __functor = self: self; }; in s 1",
        "let s = { __toString = self: self; }; in builtins.toJSON s",
        "let s = { __toString = self: self; }; in toString s",
        "let f = n: 1 + f (n + 1); in f 0",
        "(x: x x) (x: x x)",
    ] {
        fails_at(&world, endless, &[], overflow, PLACE);
    }
    for endless in ["let x = x; in x", "let a = b; b = a; in a", "let s = \"${s}\"; in s"] {
        fails_at(&world, endless, &[], "infinite recursion encountered", PLACE);
    }
    evaluates(&world, "let x = { inherit x; }; in x", &["--strict"], "{ x = «repeated»; }");
    evaluates(&world, "let x = { inherit x; }; in builtins.deepSeq x 1", &[], "1");
}

/// What grows is told to stop before it takes the machine's memory: the bound on memory of these tests would end it
/// with a signal.
#[test]
fn what_grows_without_end() {
    let world = World::new();
    let long = "is longer than the limit of 1 GiB";
    let megabyte = "mega = builtins.foldl' (s: _: s + s) \"xxxx\" (builtins.genList (i: i) 18); all = builtins.genList (_: mega) 5000;";
    for grown in [
        "builtins.concatStringsSep \"\" all",
        "builtins.concatStringsSep mega all",
        "toString all",
        "builtins.toJSON all",
        "builtins.toXML all",
        "builtins.replaceStrings [ \"x\" ] [ mega ] mega",
        &format!("\"{}\"", "${mega}".repeat(1100)),
    ] {
        let text = format!("let {megabyte} in builtins.stringLength ({grown})");
        fails_at(&world, text, &[], long, PLACE);
    }
    fails_at(&world, format!("let {megabyte} in all"), &["--strict", "--json"], long, "");
    fails_at(&world, format!("let {megabyte} in all"), &["--strict"], long, "");
    // no single value is long, all together are
    for endless in [
        "builtins.foldl' (a: i: builtins.deepSeq (builtins.genList (x: x + i) 100000) a) 0 (builtins.genList (i: i) 60000)",
        "builtins.foldl' (s: i: \"${s}${builtins.substring 0 100000 mega}\") \"\" (builtins.genList (i: i) 10000)",
    ] {
        let text = format!("let {megabyte} in {endless}");
        fails_at(
            &world,
            text,
            &[],
            "out of memory: the values of this evaluation take more than",
            PLACE,
        );
    }
    let list = "let grow = n: l: if n == 0 then l else grow (n - 1) (@); in builtins.length (grow 60 [ 1 ])";
    for doubled in ["l ++ l", "builtins.concatLists [ l l ]", "builtins.concatMap (_: l) [ 1 2 ]"] {
        fails_at(
            &world,
            list.replace('@', doubled),
            &[],
            "is longer than the limit of 67108864",
            PLACE,
        );
    }
}

/// Matching is linear in the text, whatever the pattern; patterns that take too much memory are refused.
#[test]
fn regular_expressions_that_backtrack() {
    let world = World::new();
    let text = "a".repeat(50_000);
    for pattern in ["(a*)*b", "(a|aa)+$", "(.*)*x", "(a+)+b", "(a?){500}a{500}b", "(a|b|ab)*d"] {
        evaluates(&world, format!("builtins.match \"{pattern}\" \"{text}c\""), &[], "null");
        let split = format!("builtins.length (builtins.split \"{pattern}\" \"{text}c\")");
        evaluates(&world, split, &[], "1");
    }
    for pattern in ["(a{1000}){1000}", "((a{100}){100}){100}", "a{100001}", &"(".repeat(100_000)] {
        for builtin in ["match", "split"] {
            let text = format!("builtins.{builtin} \"{pattern}\" \"a\"");
            fails_at(&world, text, &[], "memory limit exceeded by regular expression", PLACE);
        }
    }
    let text = format!("builtins.length (builtins.split \"\" \"{}\")", "a".repeat(1_000_000));
    evaluates(&world, text, &[], "2000003");
}

#[test]
fn data_formats_that_nest() {
    let world = World::new();
    let json = |text: &str| format!("builtins.fromJSON ''{text}''");
    let toml = |text: &str| format!("builtins.fromTOML ''{text}''");
    let many = 100_000;
    let deep = "arrays and objects are nested more than 1000 levels deep";
    for text in [
        "[".repeat(many) + &"]".repeat(many),
        "[".repeat(many),
        "{\"a\":".repeat(many) + "1" + &"}".repeat(many),
    ] {
        fails_at(&world, json(&text), &[], deep, PLACE);
    }
    evaluates(&world, json(&("[".repeat(900) + &"]".repeat(900))), &["--strict"], "[ [ [");
    for text in [
        format!("a = {}{}", "[".repeat(many), "]".repeat(many)),
        format!("a = {}", "[".repeat(many)),
        format!("a = {}1{}", "{a=".repeat(many), "}".repeat(many)),
        format!("{} = 1", ["a"].repeat(many).join(".")),
        format!("[{}]", ["a"].repeat(many).join(".")),
    ] {
        let outcome = floe_tests::bounds::eval(&world, toml(&text), &[]);
        floe_tests::scene::fails_with(&outcome, 1, &["recursion limit", "cannot recurse further"]);
        assert!(outcome.stderr.contains("while parsing TOML: "), "{}", outcome.describe());
        let last = outcome.stderr.len();
        assert!(last < 2_000, "a message of {last} bytes quotes what is wrong in full");
    }
    for (text, words) in [
        (r#""\ud83d""#, "column 8: a pair of surrogates expected"),
        (r#""\ude00""#, "column 8: a pair of surrogates expected"),
        (r#""\ud83d\u0041""#, "column 14: a low surrogate expected"),
        ("", "a value expected"),
        ("1 2", "end of input expected"),
        ("NaN", "a value expected"),
        ("/* */ 1", "a value expected"),
        ("1e1000000000000", "number overflow"),
        ("18446744073709551615", "outside of Nix integer range"),
    ] {
        fails_at(&world, json(text), &[], words, PLACE);
    }
    for (text, words) in [
        ("a = 1\na = 2", "duplicate key"),
        ("[a]\n[a]", "duplicate key"),
        ("a = \"\\ud83d\"", "line 1, column"),
        ("a = 9223372036854775808", "too large integer"),
        ("a = 1979-05-27", "Dates and times are not supported"),
    ] {
        fails_at(&world, toml(text), &[], words, "case.nix:");
    }
    let strict = &["--strict"];
    evaluates(&world, json(r#""\ud83d\ude00""#), strict, "\"\u{1f600}\"");
    let twice = json(r#"{"a":1,"a":2,"b":{"c":1,"c":[]}}"#);
    evaluates(&world, twice, strict, "{ a = 2; b = { c = [ ]; }; }");
    // a hundred megabytes
    let megabytes = "builtins.concatStringsSep \",\" (builtins.genList (i: \"\\\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\\"\") 2000000)";
    evaluates(
        &world,
        format!("builtins.length (builtins.fromJSON (\"[\" + {megabytes} + \"]\"))"),
        &[],
        "2000000",
    );
    evaluates(
        &world,
        format!("builtins.length (builtins.fromTOML (\"a = [\" + {megabytes} + \"]\")).a"),
        &[],
        "2000000",
    );
    let more = format!("builtins.fromTOML (\"a = [\" + {megabytes} + \",\" + {megabytes} + \"]\")");
    fails_at(&world, more, &[], "larger than 128 MiB", PLACE);
}

/// A comparator that is no order gives some order of all elements.
#[test]
fn comparators_without_an_order() {
    let world = World::new();
    for compare in [
        "a: b: true",
        "a: b: builtins.bitAnd (a * 7919 + b * 104729) 3 == 1",
        "a: b: (if a > 5 then 1.0e308 * 10 - 1.0e308 * 10 else a) < b",
    ] {
        let text = format!(
            "let sorted = builtins.sort ({compare}) (builtins.genList (x: x) 10000); in builtins.length (builtins.attrNames (builtins.groupBy toString sorted))"
        );
        evaluates(&world, text, &[], "10000");
    }
    fails_at(&world, "builtins.sort (a: b: 1) [ 1 2 ]", &[], "expected a Boolean", PLACE);
    fails_at(&world, "builtins.sort builtins.lessThan [ 1 \"a\" ]", &[], "cannot compare", PLACE);
}

/// Ctrl-C ends what would never end, at once and without a word of a crash.
#[test]
fn endless_evaluations_are_interrupted() {
    let world = World::new();
    for endless in [
        "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } ]; }",
        "let loop = n: if n == 0 then loop 5000 else loop (n - 1); go = i: builtins.tryEval (loop i); in builtins.foldl' (a: i: builtins.seq (builtins.length (builtins.genList (x: go 9) 1000000)) a) 0 (builtins.genList (i: i) 60000000)",
        "builtins.length (builtins.filter (i: builtins.foldl' (a: b: a + b) 0 (builtins.genList (i: i) 1000) < 0) (builtins.genList (i: i) 60000000))",
    ] {
        let case = world.file("case.nix", endless);
        let mut command = world.command("floe");
        let mut child = bounded(command.args(["eval", "-f"]).arg(case))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("floe to start");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(child.try_wait().expect("its state").is_none(), "it ended by itself: {endless}");
        let started = Instant::now();
        interrupt(&child);
        let status = child.wait().expect("floe to end");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}: {endless}", started.elapsed());
        // A shell calls both 130.
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert!(status.code() == Some(130) || by_signal == Some(2), "{status:?}: {endless}");
    }
}
