//! Tests of scanner, parser and printer together: text in, printed tree or message out.

use super::ast::{FileId, Span};
use super::lines::LineTable;
use super::print::{Folders, expression};
use super::{Features, parse};

/// What `--parse` would print in `/base` with pipes enabled, or `LINE:COLUMN: message`.
fn parsed(text: &[u8]) -> String {
    let folders = Folders {
        base: b"/base",
        home: b"/home",
    };
    match parse(
        FileId(0),
        text,
        Features {
            pipe_operators: true,
        },
    ) {
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

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(parsed(text.as_bytes()), expect, "{text}");
}

#[test]
fn first() {
    check("1 + 2 * 3", "(1 + (__mul 2 3))");
}
