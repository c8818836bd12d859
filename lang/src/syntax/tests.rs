//! Tests of scanner, parser and printer together: text in, printed tree or message out.

use super::ast::{AttrNameKind, Expr, FileId, Span};
use super::lines::LineTable;
use super::print::{Folders, expression};
use super::{Features, MAX_DEPTH, parse};

/// What `--parse` would print in `/base`, or `LINE:COLUMN: message`.
fn parsed_with(text: &[u8], features: Features) -> String {
    let folders = Folders { base: b"/base", home: b"/home" };
    match parse(FileId(0), text, features) {
        Ok(ast) => String::from_utf8_lossy(&expression(&ast, ast.root(), folders)).into_owned(),
        Err(error) => {
            let lines = LineTable::new(text);
            let place = |span: Span| {
                let at = lines.locate(span.start);
                format!("{}:{}", at.line, at.column)
            };
            format!("{}: {}", place(error.span), error.message(place))
        }
    }
}

fn parsed(text: &[u8]) -> String {
    parsed_with(text, Features { pipe_operators: true, ..Features::default() })
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(parsed(text.as_bytes()), expect, "{text}");
}

/// Each line is a source, `=>`, and what becomes of it.
#[track_caller]
fn check_table(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expect) = line.split_once(" => ").expect("a line has an arrow");
        check(text, expect);
    }
}

/// Runs `test` on a stack that holds the deepest allowed nesting.
fn deep(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 20).spawn_scoped(scope, test);
        thread.expect("a thread can be started").join().expect("the test passes");
    });
}

#[test]
fn numbers() {
    check_table(
        r#"
        12 => 12
        007 => 7
        9223372036854775807 => 9223372036854775807
        9223372036854775808 => 1:1: invalid integer '9223372036854775808'
        1.5 => 1.5
        1. => 1
        .5 => 0.5
        0.5e3 => 500
        1.e5 => 100000
        1.5e400 => 1:1: invalid float '1.5e400'
        1.0e-400 => 1:1: invalid float '1.0e-400'
        0.0e-400 => 0
        00.5 => (0 0.5)
        1a => (1 a)
        1.a => (1 a)
        1.5.5 => (1.5 0.5)
        1e5 => (1 e5)
        "#,
    );
}

#[test]
fn operators_bind_as_in_the_manual() {
    check_table(
        r#"
        1 + 2 * 3 - 4 => (__sub (1 + (__mul 2 3)) 4)
        a -> b -> c || d && e => (a -> (b -> (c || (d && e))))
        a // b // c => (a // (b // c))
        a ++ b ++ c => (a ++ (b ++ c))
        a == b && c != d => ((a == b) && (c != d))
        a < b == c => ((__lessThan a b) == c)
        a <= b => (! (__lessThan b a))
        a >= b => (! (__lessThan a b))
        a > b => (__lessThan b a)
        !a + b == c => ((! (a + b)) == c)
        !a ? b => (! ((a) ? b))
        -a ? b => (((__sub 0 a)) ? b)
        - -a * b => (__mul (__sub 0 (__sub 0 a)) b)
        -!a + b => (__sub 0 (! (a + b)))
        a * !b + c => (__mul a (! (b + c)))
        a ? b ? c => ((((a) ? b)) ? c)
        a ? b.c."d e".${f} => ((a) ? b.c."d e"."${f}")
        -f x => (__sub 0 (f x))
        a - b => (__sub a b)
        a-b => a-b
        a -b => (__sub a b)
        a ++ b ? c => (a ++ ((b) ? c))
        a == b == c => 1:8: syntax error, unexpected '=='
        a == !b != c => 1:9: syntax error, unexpected '!='
        a < b >= c => 1:7: syntax error, unexpected '>='
        1 + x: x => 1:6: syntax error, unexpected ':', expecting end of file
        "#,
    );
}

#[test]
fn calls_and_selections() {
    check_table(
        r#"
        f x y => (f x y)
        (f x) y => (f x y)
        f (x y) => (f (x y))
        f x.y z.w or v u => (f (x).y (z).w or (v) u)
        a.b or c.d or e => (a).b or ((c).d or (e))
        map or [ ] => (map or [ ])
        f or x => (f or x)
        f (g or) => (f (g or))
        [ a or b.c d ] => [ ((a or)) ((b).c) (d) ]
        a.or => (a).or
        a."or"."b c"."if".x-y' => (a).or."b c"."if".x-y'
        a.${"b"}.${''c''}."d${e}" => (a).b.c."${("d" + e)}"
        x |> f |> g y => (g y (f x))
        f <| g <| x => (f (g x))
        x |> f <| y => 1:8: syntax error, unexpected '<|', expecting end of file
        __curPos.line => (__curPos).line
        <nixpkgs/lib> => (__findFile __nixPath "nixpkgs/lib")
        import <a> { } => (import (__findFile __nixPath "a") { })
        a <b> c => (a (__findFile __nixPath "b") c)
        a < b > c => 1:7: syntax error, unexpected '>'
        "#,
    );
    let off = parsed_with(b"x |> f", Features::default());
    assert!(off.starts_with("1:3: experimental Nix feature 'pipe-operators' is disabled"), "{off}");
}

#[test]
fn functions() {
    check_table(
        r#"
        x: y: x => (x: (y: x))
        { }: 1 => ({  }: 1)
        { ... }: 1 => ({ ... }: 1)
        { b, a ? 1, ... }: a => ({ a ? 1, b, ... }: a)
        { a, }: a => ({ a }: a)
        args@{ a }: a => ({ a } @ args: a)
        { a } @ args: a => ({ a } @ args: a)
        { x, y, y, x }: x => 1:12: duplicate formal function argument 'x'
        { x }@x: x => 1:1: duplicate formal function argument 'x'
        { a b } => 1:5: syntax error, unexpected identifier, expecting '.' or '='
        { a, b c }: a => 1:8: syntax error, unexpected identifier, expecting '}' or ','
        { a ? 1; }: a => 1:8: syntax error, unexpected ';', expecting '}' or ','
        { a, 1 }: a => 1:6: syntax error, unexpected integer, expecting identifier or '...' or '}'
        { ..., a }: a => 1:6: syntax error, unexpected ',', expecting '}'
        { a } => 1:6: syntax error, unexpected end of file, expecting ':' or '@'
        { a } @ { b }: a => 1:9: syntax error, unexpected '{', expecting identifier
        a @ b: a => 1:5: syntax error, unexpected identifier, expecting '{'
        "#,
    );
}

#[test]
fn words() {
    check_table(
        r#"
        if a then b else c => (if a then b else c)
        assert a; with b; c => assert a; (with b; c)
        let a = 1; in a => (let a = 1; in a)
        let in 1 => (let in 1)
        let { a = 1; body = a; } => (rec { a = 1; body = a; }).body
        let { body = 1; } + 1 => ((rec { body = 1; }).body + 1)
        let ${a} = 1; in 1 => 1:1: dynamic attributes not allowed in let
        let a.${b} = 1; in 1 => (let a = { "${b}" = 1; }; in 1)
        let 1 => 1:5: syntax error, unexpected integer, expecting 'in' or 'inherit'
        rec 1 => 1:5: syntax error, unexpected integer, expecting '{'
        rec { 1 } => 1:7: syntax error, unexpected integer, expecting 'inherit' or '}'
        (1 => 1:3: syntax error, unexpected end of file, expecting ')'
        [ 1 => 1:4: syntax error, unexpected end of file
        if a else b => 1:6: syntax error, unexpected 'else', expecting 'then'
        with a b => 1:9: syntax error, unexpected end of file, expecting ';'
        1 } => 1:3: syntax error, unexpected '}', expecting end of file
        /* open => 1:1: syntax error, unexpected '/'
        1 /* a */ # b => 1
        "#,
    );
}

#[test]
fn bindings_merge_as_in_nix() {
    check_table(
        r#"
        { a.b = 1; a.c = 2; } => { a = { b = 1; c = 2; }; }
        { a = { b = 1; }; a.c = 2; a = { d.e = 3; }; a.d.f = 4; } => { a = { b = 1; c = 2; d = { e = 3; f = 4; }; }; }
        { a = rec { b = 1; }; a = { c = b; }; } => { a = rec { b = 1; c = b; }; }
        { a = { b = 1; }; a = rec { c = b; }; } => { a = { b = 1; c = b; }; }
        { a = { inherit (x) b; }; a = { inherit (y) c; inherit d; }; } => { a = { inherit d; inherit (x) b; inherit (y) c; }; }
        { a.${b}.c = 1; a.${b}.d = 2; } => { a = { "${b}" = { c = 1; }; "${b}" = { d = 2; }; }; }
        { "${a}" = 1; ${"b"} = 2; "c" = 3; or = 4; } => { b = 2; c = 3; or = 4; "${(a)}" = 1; }
        { inherit; inherit (a); } => { }
        { inherit a "b" ${"c"}; } => { inherit a b c; }
        { a = 1; a = 2; } => 1:10: attribute 'a' already defined at 1:3
        { a.b = 1; a = 2; } => 1:12: attribute 'a' already defined at 1:3
        { a = 1; a.b.c = 2; } => 1:10: attribute 'a' already defined at 1:3
        { a.b.c = 1; a = { b = { c = 2; }; }; } => 1:26: attribute 'a.b.c' already defined at 1:3
        { inherit a; a = 1; } => 1:14: attribute 'a' already defined at 1:11
        { a = { }; inherit a; } => 1:20: attribute 'a' already defined at 1:3
        { ${x}.a.a = 1; b.${x}.a.a = 2; b."if" = 3; b."if".c = 4; } => 1:45: attribute 'b."if"' already defined at 1:33
        { inherit ${x}; } => 1:11: dynamic attributes not allowed in inherit
        { inherit 1; } => 1:11: syntax error, unexpected integer
        { a = 1 } => 1:9: syntax error, unexpected '}', expecting ';'
        { a } + 1 => 1:7: syntax error, unexpected '+', expecting ':' or '@'
        { a = 1; 2 } => 1:10: syntax error, unexpected integer, expecting 'inherit'
        a.1 => (a 0.1)
        a.if => 1:3: syntax error, unexpected 'if', expecting identifier or 'or' or '${' or '"'
        "#,
    );
}

#[test]
fn large_sets_find_duplicates_too() {
    let mut text = String::from("{ ");
    for index in 0..100 {
        text += &format!("a{index} = {index}; s.a{index} = {index}; ");
    }
    assert!(parsed(format!("{text}}}").as_bytes()).starts_with("{ a0 = 0; "));
    let message = parsed(format!("{text}\na99 = 1; }}").as_bytes());
    assert!(message.starts_with("2:1: attribute 'a99' already defined at 1:"), "{message}");
    let message = parsed(format!("{text}\ns = {{ a7 = 1; }}; }}").as_bytes());
    assert!(message.starts_with("2:7: attribute 's.a7' already defined at 1:"), "{message}");
}

#[test]
fn strings() {
    check_table(
        r#"
        "a\n\t\r\"\\\${b}\x" => "a\n\t\r\"\\\${b}x"
        "a${b}c" => ("a" + b + "c")
        "${b}" => (b)
        "" => ""
        "$" => "$"
        "$$" => "$$"
        "$${a}" => "$\${a}"
        "$$${a}" => ("$$" + a)
        "\$${a}" => ("$" + a)
        "$\${a}" => "$\${a}"
        "a${"b${c}"}" => ("a" + ("b" + c))
        "a => 1:3: syntax error, unexpected end of file, expecting '"'
        "a${b => 1:6: syntax error, unexpected end of file, expecting '}'
        "a${b c}" => ("a" + (b c))
        http://a.b/c?d=e%20 => "http://a.b/c?d=e%20"
        x:x => "x:x"
        x: x => (x: x)
        a_b:c => (a_b: c)
        a'b:c => (a'b: c)
        a.b:c => "a.b:c"
        "#,
    );
    check("\"a\r\nb\rc\"", r#""a\nb\nc""#);
    check(
        "\"a\0b\"",
        "1:2: input string 'a␀b' cannot be represented as Nix string because it contains null bytes",
    );
    assert_eq!(
        parse(FileId(0), b"\"\xff\xfe\"", Features::default()).map(|ast| {
            match ast.expr(ast.root()) {
                Expr::Str(text) => ast.text(text).to_vec(),
                other => panic!("{other:?}"),
            }
        }),
        Ok(vec![0xff, 0xfe])
    );
}

#[test]
fn indented_strings() {
    for (text, expect) in [
        ("''''", r#""""#),
        ("''  ''", r#""""#),
        ("''\n  a\n   b\n  ''", r#""a\n b\n""#),
        ("''   \n  a\n   b''", r#""a\n b""#),
        ("''a\n  b''", r#""a\n  b""#),
        ("''\n    a\n\n  b\n ''", r#""  a\n\nb\n""#),
        ("''\n  ${a}\n    b''", r#"(a + "\n  b")"#),
        ("''\n  a''$b''${c}$d''", r#"("a" + "$" + "b" + "$" + "{c}$d")"#),
        ("''a'''b''", r#"("a" + "''" + "b")"#),
        ("''a'b'$c''", r#"("a'b" + "'" + "$c")"#),
        ("''a''\\nb''", r#"("a" + "\n" + "b")"#),
        ("''$${a}''", r#""$\${a}""#),
        ("''\n\ta\n\t  b''", r#""\ta\n\t  b""#),
        ("''\r\n  a\r\n  ''", r#""\r\n  a\r\n""#),
        ("''\n  ''\\ta\n  b''", r#"("\t" + "a\nb")"#),
        ("''a$''", r#"("a" + "$")"#),
        (
            "''a",
            "1:4: syntax error, unexpected end of file, expecting indented string or '${' or end of an indented string",
        ),
    ] {
        check(text, expect);
    }
}

#[test]
fn paths() {
    check_table(
        r#"
        ./a => /base/a
        ../a/./b => /a/b
        a/b => /base/a/b
        /a/b/../c => /a/c
        /. => /
        ~/a => /home/a
        1/2 => /base/1/2
        a -b/c => (a /base/-b/c)
        a/ b => (__div a b)
        a / b => (__div a b)
        a//b => (a // b)
        ./a${b}c => (/base/a + b + "c")
        ./${b} => (/base/ + b)
        /${b}/c => (/ + b + "/c")
        a/${b}.c => (/base/a/ + b + ".c")
        ~/${a} => (/home/ + a)
        ./a/${b}/c/${d} => (/base/a/ + b + "/c/" + d)
        ./a/ => 1:1: path has a trailing slash
        ./a${b}/ => 1:8: path has a trailing slash
        ./a//b => 1:1: syntax error, unexpected end of path, expecting '${'
        (./a/) => 1:6: path has a trailing slash
        ./a//b${c} => (/base/a/ + "/b" + c)
        ./a b => (/base/a b)
        [ ./a./b ] => [ (/base/a./b) ]
        ~a => 1:1: syntax error, unexpected invalid token
        .../a => /base/.../a
        a.b/c => /base/a.b/c
        "#,
    );
}

#[test]
fn positions_are_those_that_messages_need() {
    let text = b"f a\n  (b + c)";
    let ast = parse(FileId(3), text, Features::default()).unwrap();
    let Expr::Call { func, args } = ast.expr(ast.root()) else { panic!("a call") };
    assert_eq!(ast.pos(func).offset, 0);
    assert_eq!(ast.pos(func).file, FileId(3));
    assert_eq!(ast.span(ast.root()), Span { start: 0, end: 12 });
    let Expr::Binary { at, .. } = ast.expr(ast.exprs(args)[1]) else { panic!("a sum") };
    assert_eq!(at, 9);
    let ast = parse(FileId(0), b"a.bc.\"d\"", Features::default()).unwrap();
    let Expr::Select { path, .. } = ast.expr(ast.root()) else { panic!("a selection") };
    let spans: Vec<_> =
        ast.names(path).iter().map(|name| (name.span.start, name.span.end)).collect();
    assert_eq!(spans, [(2, 4), (5, 8)]);
    assert!(ast.names(path).iter().all(|name| matches!(name.kind, AttrNameKind::Static(_))));
}

#[test]
fn functions_know_their_names() {
    let ast =
        parse(FileId(0), b"{ a.b = x: { y }: x; c = (z: z) 1; }", Features::default()).unwrap();
    let names: Vec<_> =
        ast.lambdas.iter().map(|lambda| lambda.name.map(|name| name.to_string())).collect();
    assert_eq!(names, [Some("b".to_owned()), Some("b".to_owned()), None]);
}

#[test]
fn nesting_has_a_limit_and_no_crash() {
    deep(|| {
        let limit = MAX_DEPTH as usize;
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("[", "", "]"),
            ("{ a = ", "1", "; }"),
            ("\"${", "1", "}\""),
            ("''${", "1", "}''"),
            ("x: ", "1", ""),
            ("!", "1", ""),
            ("-", "1", ""),
            ("1 ++ ", "1", ""),
            ("", "1", " + 1"),
            ("", "a", " ? b"),
            ("if 1 then 2 else ", "1", ""),
            ("a.b or ", "1", ""),
            ("f <| ", "1", ""),
            ("", "1", " |> f"),
            ("f (", "1", ")"),
        ] {
            let nested =
                |depth: usize| format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            let below = parsed(nested(limit / 3).as_bytes());
            assert!(!below.contains("nested more"), "{open}{close}: {below:.80}");
            let above = parsed(nested(limit * 50).as_bytes());
            assert!(above.contains("nested more than 10000 levels"), "{open}{close}: {above:.80}");
        }
        let path = vec!["a"; limit * 2].join(".");
        assert!(parsed(format!("{{ {path} = 1; }}").as_bytes()).contains("nested more"));
    });
}

#[test]
fn long_runs_take_linear_time() {
    let count = 200_000;
    for text in [
        "a.".repeat(count) + "a//b",
        "a_.".repeat(count) + "a:x",
        "1.".repeat(count),
        "a/".repeat(count),
    ] {
        parse(FileId(0), text.as_bytes(), Features::default()).ok();
    }
    let list = format!("[ {}]", "1 ".repeat(count));
    assert!(parse(FileId(0), list.as_bytes(), Features::default()).is_ok());
}

#[test]
fn any_bytes_are_parsed_or_refused() {
    let words: Vec<&[u8]> = [
        "a", "b.c", " ", "\n", "{", "}", "${", "\"", "''", "'", "$", "\\", "(", ")", "[", "]", "=",
        ";", ":", "@", ",", "?", "!", "+", "-", "*", "/", "//", "./a", "~/", "<a>", "if ", "then ",
        "else ", "let ", "in ", "rec ", "or ", "inherit ", "with ", "assert ", "1", "1.5", ".",
        "...", "#", "/*", "*/", "\0", "\r", "|>", "<|", "é", "==",
    ]
    .map(str::as_bytes)
    .to_vec();
    let mut random = random();
    for _ in 0..20_000 {
        let text: Vec<u8> =
            (0..random(20)).flat_map(|_| words[random(words.len())].to_vec()).collect();
        if let Ok(ast) =
            parse(FileId(0), &text, Features { pipe_operators: true, ..Features::default() })
        {
            let span = ast.span(ast.root());
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{text:?}");
        }
    }
}

/// A generator of the same numbers in every run; each is below its argument.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    }
}

/// Some expression of at most this depth, fully parenthesised, and how it is printed.
fn some_expression(depth: usize, random: &mut dyn FnMut(usize) -> usize) -> (String, String) {
    if depth == 0 {
        let (text, printed) = [
            ("1", "1"),
            ("2.50", "2.5"),
            ("x", "x"),
            ("__curPos", "__curPos"),
            ("\"a\\n\"", "\"a\\n\""),
            ("''\n  b\n''", "\"b\\n\""),
            ("./p/../q", "/base/q"),
            ("<s/t>", "(__findFile __nixPath \"s/t\")"),
            ("u:v", "\"u:v\""),
            ("{ }", "{ }"),
            ("[ ]", "[ ]"),
        ][random(11)];
        return (text.to_owned(), printed.to_owned());
    }
    let (a, pa) = some_expression(depth - 1, random);
    let depth = random(depth);
    let (b, pb) = some_expression(depth, random);
    match random(16) {
        0 => (format!("({a}) + ({b})"), format!("({pa} + {pb})")),
        1 => (format!("({a}) * ({b})"), format!("(__mul {pa} {pb})")),
        2 => (format!("({a})<=({b})"), format!("(! (__lessThan {pb} {pa}))")),
        3 => (format!("({a}) // ({b})"), format!("({pa} // {pb})")),
        4 => (format!("!({a})"), format!("(! {pa})")),
        5 => (format!("-({a})"), format!("(__sub 0 {pa})")),
        6 => (format!("if {a} then {b} else {a}"), format!("(if {pa} then {pb} else {pa})")),
        7 => (format!("with {a};{b}"), format!("(with {pa}; {pb})")),
        8 => (format!("assert {a}; {b}"), format!("assert {pa}; {pb}")),
        9 => (format!("[({a})({b})]"), format!("[ ({pa}) ({pb}) ]")),
        10 => (format!("x: {a}"), format!("(x: {pa})")),
        11 => (format!("{{y?{a} ,z,...}}@x: {b}"), format!("({{ y ? {pa}, z, ... }} @ x: {pb})")),
        12 => (format!("g ({a}).k.l or ({b})"), format!("(g ({pa}).k.l or ({pb}))")),
        13 => (
            format!("let m.n = {a}; o = {b}; in m"),
            format!("(let m = {{ n = {pa}; }}; o = {pb}; in m)"),
        ),
        14 => (
            format!("rec{{inherit ({a}) c;d={b} ;}}"),
            format!("rec {{ inherit ({pa}) c; d = {pb}; }}"),
        ),
        _ => (format!("\"p${{{a}}}q${{{b}}}\""), format!("(\"p\" + {pa} + \"q\" + {pb})")),
    }
}

#[test]
fn any_tree_is_read_as_it_was_written() {
    let mut random = random();
    for round in 0..3_000 {
        let (text, expect) = some_expression(round % 6, &mut random);
        check(&text, &expect);
    }
}
