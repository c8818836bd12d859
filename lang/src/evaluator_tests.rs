//! What programs evaluate to, through the public face.

use std::path::Path;
use std::sync::Arc;

use crate::os_host::OsHost;
use crate::{Evaluator, Settings};

/// Evaluates deeply and prints; an error gives its message.
fn check_eval(text: &str, expect: &str) {
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let value = eval.eval_expr(text, Path::new("/")).and_then(|value| eval.force_deep(value));
    let shown = match value.and_then(|value| eval.print(value)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => error.message,
    };
    assert_eq!(shown, expect, "{text}");
}

#[test]
fn small_programs() {
    check_eval("let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 10", "55");
    check_eval("({ b ? 3, ... } @ q: b + q.c) { c = 4; }", "7");
    check_eval("rec { a = b; b = 2; }", "{ a = 2; b = 2; }");
    check_eval("with { x = 1; }; let y = 2; in [ x y ]", "[ 1 2 ]");
    check_eval("builtins.tryEval (throw \"x\")", "{ success = false; value = false; }");
    check_eval("builtins.fromJSON ''{\"a\": [1, 2.5, null]}''", "{ a = [ 1 2.5 null ]; }");
    check_eval("builtins.match \"(a+)b\" \"aab\"", "[ \"aa\" ]");
}

#[test]
fn what_was_laid_aside_is_evaluated_on() {
    let file = tempfile::tempfile().expect("a file");
    let mut shelf = crate::Shelf::new(file).expect("a table of pages");
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let text =
        "let all = builtins.genList (n: { own = toString n; }) 200000; in builtins.deepSeq all all";
    let all = eval.eval_expr(text, Path::new("/")).expect("it evaluates");
    let last = "all: toString (builtins.length all) + (builtins.elemAt all 199999).own";
    let last = eval.eval_expr(last, Path::new("/")).expect("it evaluates");
    for _ in 0..2 {
        let parts =
            (0..).take_while(|nth| eval.lay_aside(*nth, &mut shelf).expect("there is room"));
        assert!(parts.count() > 2, "it is large");
        let value = eval.apply(last, all).and_then(|value| eval.print(value));
        assert_eq!(value.expect("it evaluates"), b"\"200000199999\"");
    }
    assert!(shelf.bytes() >= eval.heap_bytes() / 2);
}

#[test]
fn variables_are_computed_once_whoever_shares_them() {
    for (text, expect) in [
        // Passed on before, while and after it is computed.
        (
            "let x = builtins.genList (n: n) 3; y = [ x x ]; z = builtins.elemAt y 0; in [ y z x ]",
            "[ [ [ 0 1 2 ] «repeated» ] [ 0 1 2 ] «repeated» ]",
        ),
        ("let l = [ 1 l2 ]; l2 = [ 2 (builtins.head l) ]; in l", "[ 1 [ 2 1 ] ]"),
        ("let s = { inherit f; v = f s; }; f = s: s ? v; in s.v", "true"),
        ("let f = a: [ a (g a) ]; g = a: if a == 0 then a else g (a - 1); in f (g 2)", "[ 0 0 ]"),
        (
            "let k = a: b: c: [ a b c ]; f = x: map (k (x + 1) x) [ 1 2 ]; in f (1 + 1)",
            "[ [ 3 2 1 ] [ 3 2 2 ] ]",
        ),
        ("let f = x: let y = x + 1; in z: y + z; g = f (1 + 1); in [ (g 1) (g 2) ]", "[ 4 5 ]"),
        ("let x = x; in x", "infinite recursion encountered"),
        ("let x = f x; f = a: a; in x", "infinite recursion encountered"),
        ("let f = a: a + (let b = b + a; in b); in f (1 + 1)", "infinite recursion encountered"),
        (
            "let x = throw \"no\"; t = builtins.tryEval x; in [ t.success (builtins.tryEval [ x ]).success x ]",
            "no",
        ),
        (
            "let f = x: [ (builtins.tryEval x).success (builtins.tryEval x).success ]; in f (throw \"no\")",
            "[ false false ]",
        ),
        (
            "{ a = 1; z = 0; } // { a = 2; b = 3; c = 4; d = 5; e = 6; f = 7; g = 8; h = 9; }",
            "{ a = 2; b = 3; c = 4; d = 5; e = 6; f = 7; g = 8; h = 9; z = 0; }",
        ),
        ("{ a = 1; } // { a = 2; b = 3; c = 4; d = 5; }", "{ a = 2; b = 3; c = 4; d = 5; }"),
    ] {
        check_eval(text, expect);
    }
}

#[test]
fn functions_outlive_their_calls() {
    // In tests, the memory of frames that were taken back is poisoned.
    for (text, expect) in [
        ("let k = a: b: a; in map (k 1) [ 2 3 ]", "[ 1 1 ]"),
        (
            "let f = a: b: c: [ a b c ]; g = f 1; in [ (g 2 3) (g 4 5) (f 6 7 8) ]",
            "[ [ 1 2 3 ] [ 1 4 5 ] [ 6 7 8 ] ]",
        ),
        (
            "let id = f: f; make = n: id (x: n + x); in map (f: f 1) [ (make 1) (make 2) ]",
            "[ 2 3 ]",
        ),
        (
            "let make = n: { add = x: n + x; }; f = make 3; g = make 4; in [ (f.add 1) (g.add 1) ]",
            "[ 4 5 ]",
        ),
        ("let make = n: [ (x: n) ]; l = make 1 ++ make 2; in map (f: f 0) l", "[ 1 2 ]"),
        ("let f = n: builtins.add n; in map (g: g 1) [ (f 1) (f 2) ]", "[ 2 3 ]"),
        ("let f = a: a: a; in f 1 2", "2"),
        (
            "let f = a: { b, c ? a + b }: d: [ a b c d ]; g = f 1; in [ (g { b = 2; } 3) (g { b = 4; } 5) ]",
            "[ [ 1 2 3 3 ] [ 1 4 5 5 ] ]",
        ),
        (
            "let f = a: all@{ b, ... }: all // { inherit a; }; in f 1 { b = 2; c = 3; }",
            "{ a = 1; b = 2; c = 3; }",
        ),
        (
            "let f = a: b: c: d: e: g: h: [ a b c d e g h ]; p = f 1 2 3; q = p 4 5; in [ (q 6 7) (p 0 0 0 0) ]",
            "[ [ 1 2 3 4 5 6 7 ] [ 1 2 3 0 0 0 0 ] ]",
        ),
        (
            "let f = n: if n == 0 then (x: x) else let g = f (n - 1); in x: g (x + n); in f 10 0",
            "55",
        ),
        (
            "let f = a: b: builtins.tryEval (if a then throw \"x\" else b); in [ (f true 1) (f false 2) ]",
            "[ { success = false; value = false; } { success = true; value = 2; } ]",
        ),
        ("builtins.foldl' (a: b: x: a (x + b)) (x: x) [ 1 2 3 ] 0", "6"),
        ("builtins.sort (a: b: a > b) [ 1 3 2 5 4 9 8 7 6 0 ]", "[ 9 8 7 6 5 4 3 2 1 0 ]"),
        ("let f = { a, b ? a }: a + b; in map f [ { a = 1; } { a = 2; b = 3; } ]", "[ 2 5 ]"),
        ("map (n: with { m = n; }; (x: m + x) 1) [ 1 2 ]", "[ 2 3 ]"),
    ] {
        check_eval(text, expect);
    }
}

#[test]
fn sets_in_layers_are_sets() {
    for (text, expect) in [
        ("{ a = 1; } // { a = 2; b = 2; } // { b = 3; c = 3; } // { }", "{ a = 2; b = 3; c = 3; }"),
        ("{ } // { } // { }", "{ }"),
        ("{ } // { a = 1; } // { } // { b = 2; }", "{ a = 1; b = 2; }"),
        ("{ a = 1; } // { b = 2; } // 3", "expected a set but found an integer: 3"),
        ("1 // throw \"x\" // 3", "expected a set but found an integer: 3"),
        ("{ a = 1; } // 2 // throw \"x\"", "x"),
        (
            "let f = n: if n == 0 then { } else f (n - 1) // { \"k${toString n}\" = n; a = n; };
            s = f 500; in [ s.a s.k2 s.k500 (builtins.length (builtins.attrNames s))
            (builtins.length (builtins.attrValues s)) (s == s // { }) (s ? k3) (s ? k501)
            (builtins.removeAttrs s (builtins.tail (builtins.attrNames s)))
            (builtins.intersectAttrs { k7 = 0; x = 0; } s) ]",
            "[ 500 2 500 501 501 true true false { a = 500; } { k7 = 7; } ]",
        ),
        (
            "builtins.listToAttrs [ { name = \"b\"; value = 1; } { name = \"a\"; value = 2; } { name = \"b\"; } ]",
            "{ a = 2; b = 1; }",
        ),
    ] {
        check_eval(text, expect);
    }
}

#[test]
fn calls_leave_no_frames() {
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let text = "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 20";
    eval.eval_expr(text, Path::new("/")).unwrap();
    let text = "builtins.foldl' (a: b: a + b) 0 (builtins.genList (i: i) 10000)";
    eval.eval_expr(text, Path::new("/")).unwrap();
    let most = 10_000 * 2 * 16 + (64 << 10);
    assert!(eval.heap_bytes() < most, "{} bytes", eval.heap_bytes());
}

#[test]
fn failures() {
    check_eval("let x = x; in x", "infinite recursion encountered");
    check_eval("(x: x x) (x: x x)", "stack overflow; max-call-depth exceeded");
    check_eval("nope", "undefined variable 'nope'");
    check_eval("1 / 0", "division by zero");
    check_eval("{ foo = 1; }.fop", "attribute 'fop' missing\nDid you mean foo?");
}

/// Forcing deeply nests as calls do, as in C++ Nix since 2.34: data of any depth ends in a value or
/// in an error.
#[test]
fn deep_data_does_not_overflow() {
    let deep = |levels: u32| {
        format!(
            "builtins.deepSeq (builtins.foldl' (a: _: {{ next = a; }}) null (builtins.genList (i: i) {levels})) 1"
        )
    };
    check_eval(&deep(9_000), "1");
    check_eval(&deep(200_000), "stack overflow; max-call-depth exceeded");
}

/// Paths as C++ Nix 2.8 computes them.
#[test]
fn derivation_paths() {
    let drv = "derivation { name = \"foo\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; }";
    check_eval(
        &format!("({drv}).drvPath"),
        "\"/nix/store/9d794zbx10n43fa6zaqf33pfymdrm4r2-foo.drv\"",
    );
    check_eval(&format!("builtins.substring 0 11 \"${{{drv}}}\""), "\"/nix/store/\"");
}

/// Evaluating a graph of derivations computes neither their texts nor their sources' hashes.
#[test]
fn paths_are_computed_only_when_observed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("source"), "text").expect("a file");
    let text = "let mk = n: i: derivation { name = n; system = \"s\"; builder = \"/b\"; src = ./source; inherit i; };
        go = n: if n == 0 then mk \"a\" [ ] else mk \"b${toString n}\" [ \"${go (n - 1)}/bin\" ];
        in { deep = go 20; seen = (go 1).drvPath; }";
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let value = eval.eval_expr(text, folder.path()).expect("it evaluates");
    let deep = eval.select_attr_path(value, "deep.outPath", &[], folder.path());
    deep.expect("it evaluates");
    assert_eq!((eval.graph().len(), eval.graph().computed()), (21, (0, 0)));
    let seen = eval.select_attr_path(value, "seen", &[], folder.path()).expect("it evaluates");
    assert_eq!(eval.graph().computed(), (0, 0));
    eval.print(seen).expect("it prints");
    assert_eq!(eval.graph().computed(), (2, 1));
}

/// No text from outside can pass for a handle: those begin with NUL.
#[test]
fn nul_never_enters_a_string() {
    let nul = "cannot be represented as Nix string because it contains null bytes";
    let marker = "/nix/store/\0d0000000000000000??????????????-x.drv";
    let message = |text: &str| {
        let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
        let value = eval.eval_expr(text, Path::new("/")).and_then(|value| eval.force_deep(value));
        value.err().map(|error| error.message).unwrap_or_default()
    };
    for text in [
        format!("\"{marker}\""),
        format!("''{marker}''"),
        "builtins.fromJSON ''\"\\u0000d0000000000000000\"''".to_owned(),
        "builtins.fromJSON ''{\"a\\u0000\": 1}''".to_owned(),
        "builtins.fromTOML ''a = \"\\u0000\"''".to_owned(),
    ] {
        assert!(message(&text).contains(nul), "{text}: {}", message(&text));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, marker).expect("a file");
    let found = message(&format!("builtins.readFile {}", file.display()));
    assert!(found.contains("cannot be represented as a Nix string"), "{found}");
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let value = eval.eval_expr("{ x }: x", Path::new("/")).expect("a function");
    let args = [("x".to_owned(), crate::Argument::Text(marker.to_owned()))];
    let error = eval.auto_call(value, &args, Path::new("/")).err().expect("a NUL in it");
    assert!(error.message.contains(nul), "{error}");
    check_eval("builtins.fromJSON ''\"\\\\u0000\"''", "\"\\\\u0000\"");
}

/// Data nested a hundred thousand deep: computed, or refused in words.
#[test]
fn endless_data_is_refused_in_words() {
    let chain = "let chain = builtins.foldl' (a: _: { next = a; }) null (builtins.genList (i: i) 100000); in ";
    for (text, least) in [
        ("builtins.deepSeq chain 1", "1"),
        ("chain == chain", ""),
        ("builtins.toJSON chain != \"\"", ""),
        ("builtins.toXML chain != \"\"", ""),
        ("chain", ""),
    ] {
        let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
        let value = eval
            .eval_expr(&format!("{chain}{text}"), Path::new("/"))
            .and_then(|value| eval.force_deep(value))
            .and_then(|value| eval.print(value));
        match value {
            Ok(bytes) => assert!(bytes.starts_with(least.as_bytes()), "{text}"),
            Err(error) => assert!(error.message.contains("stack overflow"), "{text}: {error}"),
        }
    }
}

#[test]
fn hostile_sources_fail_with_a_place() {
    for text in [
        "[".repeat(100_000) + &"]".repeat(100_000),
        "(".repeat(100_000) + "1" + &")".repeat(100_000),
        "let a = ".repeat(100_000),
        "!".repeat(100_000) + "true",
        "x: ".repeat(100_000) + "x",
        format!("\"{}", "a".repeat(4_000_000)),
        "{ a = 1;\r\n  b = ; }".to_owned(),
        "let f = n: f (n + 1); in f 0".to_owned(),
        "rec { a = b; b = a; }.a".to_owned(),
    ] {
        let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
        let error = match eval.eval_expr(&text, Path::new("/")) {
            // What is deep but sound may be a value.
            Ok(_) => continue,
            Err(error) => error,
        };
        let shown = text.chars().take(30).collect::<String>();
        assert!(error.pos.is_some(), "{shown}: {error}");
    }
}

/// Memory has a bound, and the place that passed it is told.
#[test]
fn values_have_a_bound() {
    for text in [
        "let f = n: [ n (f (n + 1)) ]; g = l: g (builtins.elemAt l 1); in g (f 0)",
        "builtins.foldl' (a: n: a ++ [ n ]) [ ] (builtins.genList (n: n) 100000)",
        "let f = s: f (s + \"xxxxxxxxxxxxxxxx\"); in f \"\"",
        "let f = n: l: f (n + 1) { inherit n l; }; in f 0 null",
        "let f = n: l: f (n + 1) (builtins.genList (i: i + n) 1000); in f 0 null",
    ] {
        let settings =
            Settings { heap_bytes: 16 << 20, max_call_depth: u32::MAX, ..Settings::default() };
        let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), settings);
        let error = eval.eval_expr(text, Path::new("/")).map(|_| ()).expect_err(text);
        assert_eq!(error.kind, crate::ErrorKind::OutOfMemory, "{text}: {error}");
        assert!(error.message.contains("take more than 16 MiB"), "{error}");
        assert!(eval.heap_bytes() < 64 << 20, "{text}: {}", eval.heap_bytes());
        let later = eval.eval_expr("1 + 1", Path::new("/")).map(|_| ()).expect_err("no room");
        assert_eq!(later.kind, crate::ErrorKind::OutOfMemory, "{later}");
    }
    check_eval(
        "let f = n: s: if n == 0 then s else f (n - 1) (s ++ s); in builtins.length (f 60 [ 1 ])",
        "a list of 134217728 elements is longer than the limit of 67108864",
    );
}

fn failure(text: &str) -> crate::EvalError {
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    let value = eval.eval_expr(text, Path::new("/")).and_then(|value| eval.force_deep(value));
    value.err().expect("it fails")
}

/// An error has the place of what is wrong, and not that of a variable with this value.
#[test]
fn variables_are_no_place() {
    for text in ["let x = \"${{ }}\"; in x", "let x = [ ] ++ 1; in x", "let x = \"a\" + { }; in x"]
    {
        let error = failure(text);
        let use_of_it = u32::try_from(text.len()).expect("a short text");
        let places = error.pos.iter().chain(error.frames.iter().filter_map(|f| f.pos.as_ref()));
        let columns: Vec<u32> = places.map(|place| place.column).collect();
        assert!(!columns.is_empty() && !columns.contains(&use_of_it), "{text}: {columns:?}");
        assert_eq!(error.near.map(|place| place.column), Some(use_of_it), "{text}");
    }
    let error = failure("let x = x; in x");
    assert_eq!(error.pos.map(|place| place.column), Some(9));
}

#[test]
fn names_that_may_have_been_meant() {
    let advice = |text: &str| failure(text).advice.join("\n");
    assert_eq!(advice("let colour = 1; in color"), "Did you mean colour?");
    assert_eq!(advice("{ width, ... }: widht"), "Did you mean width?");
    assert_eq!(advice("let colour = 1; in zzzzzzzz"), "");
}

#[test]
fn cycles_are_named() {
    let cycle = |text: &str| {
        let advice = failure(text).advice.join("\n");
        advice.strip_prefix("each of these needs the next: ").unwrap_or(&advice).to_owned()
    };
    assert_eq!(cycle("let x = x + 1; in x"), "x → x");
    assert_eq!(cycle("let x = 1 + y; y = 1 + z; z = 1 + x; in x"), "x → y → z → x");
    assert_eq!(cycle("rec { a = 1 + b; b = [ ] ++ c; c = [ 1 ] ++ b; }.b"), "b → c → b");
    assert_eq!(cycle("1 + nope"), "");
}
