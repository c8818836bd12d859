//! Hostile source text: lines of megabytes, nesting without end, bytes that are no text, numbers at their borders. Each
//! ends in a value or in an error with its place, within a bound on time and memory.

use floe_tests::World;
use floe_tests::bounds::{deep, evaluates, fails_at};

#[test]
fn lines_of_megabytes() {
    let world = World::new();
    let list = format!("[{}]", "1 ".repeat(1_000_000));
    evaluates(&world, &list, &["--strict", "--json"], "[1,1,1,");
    evaluates(&world, format!("\"{}\"", "a".repeat(8_000_000)), &[], "\"aaaa");
    evaluates(&world, format!("{}1", " ".repeat(20_000_000)), &[], "1");
    evaluates(&world, format!("\"{}\"", "${\"a\"}".repeat(300_000)), &[], "\"aaaa");
    let names = |each: &dyn Fn(usize) -> String| (0..200_000).map(each).collect::<String>();
    let set = format!("{{{}}}", names(&|n| format!("a{n}=1;")));
    evaluates(&world, &set, &["--strict", "--json"], "{\"a0\":1,");
    evaluates(&world, format!("{{{}}}: 1", names(&|n| format!("a{n} ? 1, "))), &[], "1");
    let called = format!("({{{}}}: a7) {{ a7 = 3; }}", names(&|n| format!("a{n} ? 1, ")));
    evaluates(&world, &called, &[], "3");
    let chain = names(&|n| format!("x{} = x{n} + 1; ", n + 1));
    evaluates(&world, format!("let x0 = 0; {chain}in x200000"), &[], "200000");

    let place = "case.nix:1:8000001";
    fails_at(&world, format!("{}}}", " ".repeat(8_000_000)), &[], "unexpected '}'", place);
    fails_at(&world, format!("\"{}", "a".repeat(8_000_000)), &[], "end of file", "case.nix:1:");
    fails_at(&world, format!("/*{}", "a".repeat(8_000_000)), &[], "unexpected", "case.nix:1:");
    fails_at(&world, "a".repeat(1_000_000), &[], "undefined variable", "case.nix:1:1");
    fails_at(&world, "1".repeat(1_000_000), &[], "invalid integer", "case.nix:1:1");
    let twice = format!("{{{} a5 = 2; }}", names(&|n| format!("a{n}=1;")));
    fails_at(&world, twice, &[], "attribute 'a5' already defined at", "case.nix:1:");
    let twice = format!("{{{} a5 }}: 1", names(&|n| format!("a{n}, ")));
    fails_at(&world, twice, &[], "duplicate formal function argument 'a5'", "case.nix:1:");
    let unexpected = format!(
        "({{{}}}: 1) {{{} b = 1; }}",
        names(&|n| format!("a{n}, ")),
        names(&|n| format!("a{n}=1;"))
    );
    fails_at(&world, unexpected, &[], "unexpected argument 'b'", "case.nix:1:");
    let many = format!("{{{}}}.abd", names(&|n| format!("abc{n}=1;")));
    fails_at(&world, many, &[], "attribute 'abd' missing", "case.nix:1:");
    let long = (0..500).map(|n| format!("{}{n} = 1; ", "a".repeat(20_000))).collect::<String>();
    let long = format!("{{{long}}}.{}", "a".repeat(20_000));
    fails_at(&world, long, &[], "missing", "case.nix:1:");
}

#[test]
fn a_hundred_thousand_levels() {
    let world = World::new();
    for (open, middle, close) in [
        ("[", "", "]"),
        ("(", "1", ")"),
        ("{ a = ", "1", "; }"),
        ("rec { a = ", "1", "; }"),
        ("let { body = ", "1", "; }"),
        ("let a = 1; in ", "a", ""),
        ("let a = ", "1", "; in a"),
        ("if true then ", "1", " else 2"),
        ("if ", "true", " then true else false"),
        ("if false then 1 else ", "1", ""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("\"${", "\"a\"", "}\""),
        ("''${", "\"a\"", "}''"),
        ("{ ${", "\"a\"", "} = 1; }"),
        ("a: ", "a", ""),
        ("{ a ? 1 }: ", "a", ""),
        ("with { }; ", "1", ""),
        ("assert true; ", "1", ""),
        ("(x: x) (", "1", ")"),
        ("1 + (", "1", ")"),
        ("{ }.a or ", "1", ""),
        ("import (", "1", ")"),
    ] {
        let text = |levels: usize, close: &str| {
            format!("{}{middle}{}", open.repeat(levels), close.repeat(levels))
        };
        let words = "expression is nested more than 10000 levels deep; split it up";
        fails_at(&world, text(100_000, close), &[], words, "case.nix:1:");
        // never closed
        fails_at(&world, text(100_000, ""), &[], words, "case.nix:1:");
        // nothing near the limit is a crash either, whatever it evaluates to
        deep(&world, &text(4_900, close));
    }
    for close in [")", "}", "]"] {
        fails_at(&world, close.repeat(100_000), &[], "unexpected", "case.nix:1:1");
    }
    for operator in ["++ [ ]", "// { }", "+ 1", "&& true", "|| true", "? a", "- 1"] {
        let chain = |terms| format!("[ ] {}", format!("{operator} ").repeat(terms));
        fails_at(&world, chain(1_000_000), &[], "nested more than 10000 levels", "case.nix:1:");
        deep(&world, &chain(9_900));
    }
    let dots = |count: usize| ["a"].repeat(count).join(".");
    let defined = format!("{{ {} = 1; }}", dots(100_000));
    fails_at(&world, defined, &[], "nested more than 10000 levels", "case.nix:1:");
    let missing = format!("{{ }}.{}", dots(100_000));
    fails_at(&world, missing, &[], "attribute 'a' missing", "case.nix:1:");
    evaluates(&world, format!("{{ }}.{} or 1", dots(100_000)), &[], "1");
    evaluates(&world, format!("{{ }} ? {}", dots(100_000)), &[], "false");
    evaluates(&world, format!("({{ {0} = 1; }}).{0}", dots(9_000)), &[], "1");
    // what is long and not nested has no such limit
    let calls = format!("let f = x: f; id = x: x; in {} {}", "id ".repeat(1_000_000), "1");
    evaluates(&world, &calls, &[], "1");
    evaluates(&world, format!("let f = x: f; in f {}", "1 ".repeat(1_000_000)), &[], "<LAMBDA>");
}

#[test]
fn bytes_that_are_no_text() {
    let world = World::new();
    let refused: [(&[u8], &str, &str); 14] = [
        (b"{ a = \xff; }", "unexpected invalid token", "case.nix:1:7"),
        (b"{ \xc3\x28 = 1; }", "unexpected invalid token", "case.nix:1:3"),
        (b"1 \x00 2", "unexpected invalid token", "case.nix:1:3"),
        (b"a\x00b", "unexpected invalid token", "case.nix:1:2"),
        (b"./a\x00b", "unexpected invalid token", "case.nix:1:4"),
        (b"\"a\x00b\"", "contains null bytes", "case.nix:1:2"),
        (b"''a\x00''", "contains null bytes", "case.nix:1:3"),
        (b"{ \"a\x00\" = 1; }", "contains null bytes", "case.nix:1:4"),
        (b"./\xff", "unexpected '.'", "case.nix:1:1"),
        (b"throw \"\xff\"", "\u{fffd}", "case.nix:1:1"),
        (b"{ }.\"\xff\"", "attribute '\"\u{fffd}\"' missing", "case.nix:1:1"),
        (b"\xef\xbb\xbf1", "begins with a byte order mark", "case.nix:1:1"),
        (b"\xff\xfe1\x00", "the file is in UTF-16; save it as UTF-8", "case.nix:1:1"),
        (b"", "unexpected end of file", "case.nix:1:1"),
    ];
    for (text, words, place) in refused {
        fails_at(&world, text, &[], words, place);
    }
    for text in [&b"\"\xff\xfe\""[..], b"{ \"\xff\" = 1; }"] {
        fails_at(&world, text, &["--json"], "invalid UTF-8 byte at index 0: 0xFF", "");
    }
    fails_at(&world, "{\r\n  a = 1;\r\n  b = ;\r\n}", &[], "unexpected ';'", "case.nix:3:7");
    fails_at(&world, "{\r  a = 1;\r  b = ;\r}", &[], "unexpected ';'", "case.nix:3:7");
    let value = |text: &[u8], expected: &str| evaluates(&world, text, &["--strict"], expected);
    value(b"# \xff \x00\n1", "1");
    value(b"{\r\n  a = \"x\r\ny\"; # c\r  b = 2;\r}", "{ a = \"x\\ny\"; b = 2; }");
    value(b"builtins.length (builtins.split \".\" \"\xff\xfe\xc3\")", "7");
    value(b"builtins.match \"[\xc3\xa9]*\" \"\xc3\xa9\xc3\xa9\"", "[ ]");
    value(b"builtins.getEnv \"\xff\"", "\"\"");
    value(b"builtins.getEnv \"A=B\"", "\"\"");
}

/// What an expression chose to print cannot steer the terminal.
#[test]
fn escape_sequences_stay_out_of_messages() {
    let world = World::new();
    let text = "builtins.trace \"a\x1b]0;title\x07b\x1b[2Jc\" (builtins.warn \"d\x1b[31me\" (throw \"f\x1b[1;35mg\x1b[0mh\"))";
    for command in ["floe", "nix-instantiate"] {
        let outcome = floe_tests::bounds::eval_as(&world, command, text, &[]);
        for words in ["trace: abc", "de", "fgh"] {
            assert!(outcome.stderr.contains(words), "{words}: {}", outcome.describe());
        }
        assert!(!outcome.stderr.contains('\x1b'), "{}", outcome.describe());
    }
}

#[test]
fn numbers_at_their_borders() {
    let world = World::new();
    let value = |text: &str, expected: &str| {
        evaluates(&world, text, &["--strict"], &format!("{expected}\n"));
    };
    value("9223372036854775807", "9223372036854775807");
    value("(-9223372036854775807) - 1", "-9223372036854775808");
    value("00012", "12");
    value("1.0e308 * 10", "inf");
    value("-(1.0e308 * 10)", "-inf");
    value("0.0e999", "0");
    value("9007199254740993 == 9007199254740992.0", "true");
    value("9223372036854775807 < 9223372036854775808.0", "false");
    value(
        "let n = 1.0e308 * 10 - 1.0e308 * 10; in [ (n == n) (n < n) (n > n) (n != n) ]",
        "[ false false false true ]",
    );
    value("builtins.toJSON [ (1.0e308 * 10) (-0.0) 1.0e-7 ]", "\"[null,0.0,1e-07]\"");
    value("builtins.substring 0 9223372036854775807 \"abc\"", "\"abc\"");
    value("builtins.substring 9223372036854775807 9223372036854775807 \"abc\"", "\"\"");
    value("builtins.bitAnd 9223372036854775807 (-1)", "9223372036854775807");
    for (text, words) in [
        ("9223372036854775808", "invalid integer '9223372036854775808'"),
        ("-9223372036854775808", "invalid integer '9223372036854775808'"),
        ("1.0e400", "invalid float '1.0e400'"),
        ("4.9e-324", "invalid float '4.9e-324'"),
        ("9223372036854775807 + 1", "integer overflow in adding 9223372036854775807 + 1"),
        ("9223372036854775807 * 2", "integer overflow in multiplying 9223372036854775807 * 2"),
        ("(-9223372036854775807 - 1) - 1", "integer overflow in subtracting"),
        ("-(-9223372036854775807 - 1)", "integer overflow in subtracting 0 -"),
        ("(-9223372036854775807 - 1) / (-1)", "integer overflow in dividing"),
        ("builtins.add 9223372036854775807 1", "integer overflow in adding"),
        ("1 / 0", "division by zero"),
        ("1.0 / 0.0", "division by zero"),
        ("builtins.floor 1.0e300", "overflow in builtins.floor"),
        ("builtins.ceil (1.0e308 * 10 - 1.0e308 * 10)", "overflow in builtins.ceil"),
        (
            "builtins.elemAt [ 1 ] 9223372036854775807",
            "index 9223372036854775807 on a list of size 1",
        ),
        ("builtins.elemAt [ 1 ] (-1)", "index -1 on a list of size 1"),
        ("builtins.genList (x: x) (-1)", "cannot create list of size -1"),
        (
            "builtins.genList (x: x) 4611686018427387904",
            "cannot create list of size 4611686018427387904",
        ),
    ] {
        fails_at(&world, text, &[], words, "case.nix:1:");
    }
}
