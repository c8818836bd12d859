//! The lexer, the parser and the printer: positions lie within the text, and what was printed can be
//! read again and is printed the same. Nothing is evaluated.

use floe_lang::syntax::ast::{Ast, Expr, FileId, PathKind};
use floe_lang::syntax::print::{Folders, canonical, expression};
use floe_lang::syntax::{Features, SyntaxError, SyntaxErrorKind, parse};

/// The printer recurses as deep as the tree.
const STACK_BYTES: usize = 256 << 20;
const FOLDERS: Folders<'static> = Folders { base: b"/base", home: b"/home" };

/// Reads the bytes as a file of Nix text.
pub fn check(data: &[u8]) {
    let features = Features { pipe_operators: true, ..Features::default() };
    stacker::grow(STACK_BYTES, || {
        // Syntax that is off is refused and nothing else changes.
        let plain = parse(FileId(0), data, Features::default());
        match parse(FileId(0), data, features) {
            Err(error) => {
                check_error(&error, data);
                check_error(&plain.expect_err("what is on by choice takes nothing away"), data);
            }
            Ok(tree) => {
                check_spans(&tree, data);
                print_again(&tree);
            }
        }
    });
}

fn check_error(error: &SyntaxError, data: &[u8]) {
    let span = error.span;
    let whole = span.start <= span.end && span.end as usize <= data.len();
    assert!(whole, "{error} at {span:?} of {} bytes", data.len());
    assert!(!error.message(|span| format!("{span:?}")).is_empty());
    if let SyntaxErrorKind::DuplicateAttr { previous, .. } = &error.kind {
        assert!(previous.end <= data.len() as u32 && previous.start <= previous.end);
    }
}

fn check_spans(tree: &Ast, data: &[u8]) {
    for id in tree.ids() {
        let span = tree.span(id);
        assert!(
            span.start <= span.end && span.end as usize <= data.len(),
            "{:?} at {span:?} of {} bytes",
            tree.expr(id),
            data.len()
        );
        if let Expr::Binary { at, starts, .. } = tree.expr(id) {
            assert!(starts[0] <= at && at < starts[1] && starts[1] < data.len() as u32);
        }
    }
}

/// The printer writes what C++ Nix writes, which leaves out parentheses around `assert`, digits of
/// floats, what paths are made of, and that a variable `or` behind a selection is no default. All
/// else can be read again.
fn prints_whole(tree: &Ast) -> bool {
    tree.ids().all(|id| match tree.expr(id) {
        Expr::Assert { .. } | Expr::Float(_) => false,
        Expr::Var(name) => name.as_bytes() != b"or",
        Expr::Path(PathKind::Home, _) => false,
        Expr::Path(_, parts) => match tree.parts(parts) {
            [floe_lang::syntax::ast::Part::Literal(text)] => {
                canonical(FOLDERS.base, tree.text(*text)) != b"/"
            }
            _ => false,
        },
        _ => true,
    })
}

fn print_again(tree: &Ast) {
    let whole = prints_whole(tree);
    let mut before = expression(tree, tree.root(), FOLDERS);
    // Interpolation is printed as `+`, and a chain of that is printed with its parentheses from the
    // second time on.
    for round in 0..3 {
        let again = match parse(FileId(0), &before, Features::default()) {
            Ok(again) => again,
            Err(SyntaxError { kind: SyntaxErrorKind::TooDeep(_), .. }) => return,
            Err(error) if whole => {
                panic!("{error} at {:?} of {}", error.span, String::from_utf8_lossy(&before))
            }
            Err(_) => return,
        };
        let after = expression(&again, again.root(), FOLDERS);
        if round > 0 && whole {
            assert_eq!(
                String::from_utf8_lossy(&before),
                String::from_utf8_lossy(&after),
                "printed, read and printed"
            );
        }
        before = after;
    }
}
