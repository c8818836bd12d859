//! What a session sees: names, values as they are shown, interrupts, counts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::os_host::OsHost;
use crate::stats::Statistics;
use crate::{ErrorKind, Evaluator, Handle, Settings};

fn session() -> Evaluator {
    Evaluator::new(Arc::new(OsHost::quiet()), Settings::default())
}

#[track_caller]
fn check_show(text: &str, depth: usize, expected: &str) {
    let mut eval = session();
    let value = eval.define(text, Path::new("/"), &[]).expect("it compiles");
    let shown = match eval.show(value, depth) {
        Ok(shown) => String::from_utf8(shown).expect("UTF-8"),
        Err(error) => format!("fails: {}", error.message),
    };
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn values_are_shown_as_far_as_asked() {
    for (text, expected) in [
        ("1 + 1", "2"),
        ("\"a\\nb\"", "\"a\\nb\""),
        ("{ }", "{ }"),
        ("{ a = 1 + 1; }", "{ a = 2; }"),
        ("{ a = 1; b = { c = 1; }; }", "{\n  a = 1;\n  b = { ... };\n}"),
        ("{ a = [ ]; }", "{\n  a = [ ... ];\n}"),
        ("[ 1 (throw \"no\") ]", "[\n  1\n  «error: no»\n]"),
        ("throw \"no\"", "fails: no"),
        ("x: x", "«lambda @ «input 1»:1:1»"),
        ("map", "«primop map»"),
        (
            "{ type = \"derivation\"; drvPath = \"/nix/store/x.drv\"; z = throw \"no\"; }",
            "«derivation /nix/store/x.drv»",
        ),
    ] {
        check_show(text, 1, expected);
    }
    check_show("{ a = { b = [ 1 ]; }; }", 9, "{\n  a = {\n    b = [ 1 ];\n  };\n}");
    check_show("let x = { inherit x; }; in x", 9, "{\n  x = «repeated»;\n}");
}

#[test]
fn bindings_see_the_names_before_them() {
    let mut eval = session();
    let mut scope: Vec<(String, Handle)> = Vec::new();
    for text in
        ["x = 1", "y = x + 1; v = 0;", "z = { a = y; }", "inherit (z) a; x = 5", "w = x + a"]
    {
        let found = eval.bind(text, Path::new("/"), &scope).expect("it binds");
        scope.retain(|(name, _)| found.iter().all(|(new, _)| new != name));
        scope.extend(found);
    }
    let all = eval.define("[ x y z w ]", Path::new("/"), &scope).expect("it compiles");
    assert_eq!(eval.to_json(all).expect("JSON"), b"[5,2,{\"a\":2},7]");
    let error = eval.bind("v =\n  )", Path::new("/"), &[]).err().expect("a fault");
    let pos = error.pos.expect("a place");
    assert_eq!((pos.file.to_str(), pos.line, pos.column), (Some("«input 7»"), 2, 3));
}

#[test]
fn an_interrupt_ends_evaluation_and_not_the_session() {
    let mut eval = session();
    let wish = Arc::new(AtomicBool::new(false));
    eval.heed(Arc::clone(&wish));
    let text = "let l = builtins.genList (x: x) 2000; each = f: builtins.foldl' (a: b: f a) 0 l;
        long = each (a: each (a: each (a: a))); in { inherit long; short = each (a: a + 1); }";
    let top = eval.eval_expr(text, Path::new("/")).expect("a set");
    let select = |eval: &mut Evaluator, name: &str| {
        let value = eval.select_attr_path(top, name, &[], Path::new("/"))?;
        eval.to_json(value)
    };
    let other = Arc::clone(&wish);
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.store(true, Ordering::Relaxed);
    });
    let error = select(&mut eval, "long").expect_err("interrupted");
    assert_eq!(error.kind, ErrorKind::Interrupted);
    waker.join().expect("it sets the wish");
    // asked again it is computed again, not a failure of long ago
    let error = select(&mut eval, "long").expect_err("the wish still stands");
    assert_eq!(error.kind, ErrorKind::Interrupted);
    wish.store(false, Ordering::Relaxed);
    assert_eq!(select(&mut eval, "short").expect("a number"), b"2000");
}

fn count(text: &str, each: bool) -> Statistics {
    let mut eval = session();
    eval.count(each);
    let value = eval.eval_expr(text, Path::new("/")).expect("a value");
    eval.force_deep(value).expect("all of it");
    eval.statistics()
}

/// What a text adds to an empty program.
fn added(text: &str, of: fn(&Statistics) -> u64) -> u64 {
    of(&count(text, false)) - of(&count("null", false))
}

#[test]
fn calls_and_selections_are_counted() {
    let fib = "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 10";
    assert_eq!(added(fib, |all| all.nr_function_calls), 177);
    assert_eq!(added("map (x: x) [ 1 2 3 ]", |all| all.nr_prim_op_calls), 1);
    assert_eq!(added("map (x: x) [ 1 2 3 ]", |all| all.nr_function_calls), 3);
    assert_eq!(added("let s = { a.b = 1; }; in s.a.b + s.a.b", |all| all.nr_lookups), 4);
}

#[test]
fn things_are_counted_with_their_elements() {
    assert_eq!(added("{ a = 1; b = 2; }", |all| all.sets.elements), 2);
    assert_eq!(added("[ 1 2 3 ] ++ [ 4 ]", |all| all.list.elements), 8);
    assert_eq!(added("[ 1 ] ++ [ 2 ] ++ [ ]", |all| all.list.concats), 2);
    assert_eq!(added("{ a = 1; } // { b = 2; } // { c = 3; }", |all| all.nr_op_updates), 2);
    assert_eq!(added("(a: b: a) 1 2", |all| all.envs.number), 1);
    assert_eq!(added("(a: b: a) 1 2", |all| all.envs.elements), 2);
    assert_eq!(added("let x = 1 + 1; y = x; in y", |all| all.envs.elements), 2);
    assert!(added("[ (1 + 1) (2 + 2) ]", |all| all.nr_thunks) >= 2);
    assert!(added("[ 1 2 3 ]", |all| all.nr_avoided) >= 3);
    assert!(added("[ 1 2 3 ]", |all| all.nr_exprs) >= 3);
    let all = count("null", false);
    assert_eq!(all.sizes.value, 16);
    assert!(all.symbols.number > 100 && all.symbols.bytes > all.symbols.number);
    assert!(all.heap_bytes > 0);
}

#[test]
fn each_call_is_counted_where_asked() {
    let text = "let f = n: n; s = { a = 1; }; in [ (f 1) (f 2) (map f [ s.a s.a ]) (builtins.length [ ]) ]";
    let all = count(text, true);
    let primops = all.primops.expect("asked for");
    assert_eq!((primops["map"], primops["length"]), (1, 1));
    let functions = all.functions.expect("asked for");
    assert_eq!(functions.len(), 1);
    assert_eq!(functions[0].name, Some(Some("f".to_owned())));
    assert_eq!((functions[0].count, functions[0].line, functions[0].column), (4, Some(1), Some(9)));
    let attributes = all.attributes.expect("asked for");
    assert!(
        attributes.iter().any(|one| one.count == 2 && one.column == Some(21)),
        "{attributes:?}"
    );
    assert_eq!(count(text, false).functions, None);
}

#[test]
fn functions_and_attributes_have_documentation() {
    let mut eval = session();
    let text =
        "{ /** Adds. */ add = a: { b, c ? 1, ... }@d: a; /** A number. */ one = 1; map = map; }";
    let set = eval.eval_expr(text, Path::new("/")).expect("a set");
    let mut known = |name: &str| {
        let value = eval.select_attr_path(set, name, &[], Path::new("/")).expect("a value");
        eval.documentation(value).expect("no fault")
    };
    let add = known("add").expect("a function");
    assert_eq!((add.name.as_deref(), add.text.as_deref()), (Some("add"), Some("Adds.")));
    assert_eq!(add.arguments, ["a", "d@{ b, c ? …, ... }"]);
    assert_eq!(known("map").expect("a builtin").arguments, ["function", "list"]);
    assert_eq!(known("one"), None);
    let one = eval.attribute_documentation(set, "one").expect("no fault").expect("an attribute");
    assert_eq!(one.text.as_deref(), Some("A number."));
    assert_eq!(eval.attribute_documentation(set, "two").expect("no fault"), None);
}
