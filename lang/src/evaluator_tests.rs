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
fn failures() {
    check_eval("let x = x; in x", "infinite recursion encountered");
    check_eval("(x: x x) (x: x x)", "stack overflow; max-call-depth exceeded");
    check_eval("nope", "undefined variable 'nope'");
    check_eval("1 / 0", "division by zero");
    check_eval("{ foo = 1; }.fop", "attribute 'fop' missing\nDid you mean foo?");
}

#[test]
fn deep_data_does_not_overflow() {
    check_eval(
        "builtins.deepSeq (builtins.foldl' (a: _: { next = a; }) null (builtins.genList (i: i) 200000)) 1",
        "1",
    );
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
