//! What somebody types into a session: bindings or an expression, finished or not. Nothing is
//! evaluated here.

use super::ast::{Ast, AttrSet, Expr, FileId};
use super::error::{SyntaxError, SyntaxErrorKind};
use super::parser::{Features, Parsed, Parser, parse, parse_with};
use super::token::TokenKind;

/// What a text is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// `x = 1; inherit (y) z;`; the text may lack its last semicolon.
    Bindings,
    /// An expression.
    Expression,
    /// The beginning of either.
    Unfinished,
    /// An expression with a fault, or whatever else.
    Fault(SyntaxError),
    /// Bindings with a fault.
    BindingsFault(SyntaxError),
}

/// Says what a text is.
pub fn read(text: &[u8], features: Features) -> Input {
    let file = FileId(0);
    let binding_fault = match parse_bindings(file, text, features) {
        Ok(_) => return Input::Bindings,
        Err(fault) => fault,
    };
    let fault = match parse(file, text, features) {
        Ok(_) => return Input::Expression,
        Err(fault) => fault,
    };
    if is_unfinished(&binding_fault, text) || is_unfinished(&fault, text) {
        return Input::Unfinished;
    }
    // Whichever reading came farther is what was meant.
    if binding_fault.span.start > fault.span.start {
        Input::BindingsFault(binding_fault)
    } else {
        Input::Fault(fault)
    }
}

/// Parses bindings without braces around them into a set. The last semicolon may be missing.
///
/// # Errors
/// When the text is something else.
pub fn parse_bindings(file: FileId, text: &[u8], features: Features) -> Result<Ast, SyntaxError> {
    // On a line of its own: the text may end in a comment.
    let closed = [text, b"\n;"].concat();
    let parsed = parse_with(file, &closed, features, |parser| parser.loose_bindings());
    match parsed {
        Ok(ast) => Ok(ast),
        Err(_) => parse_with(file, text, features, |parser| parser.loose_bindings()),
    }
}

/// Whether more text could mend this.
fn is_unfinished(fault: &SyntaxError, text: &[u8]) -> bool {
    let rest = text.get(fault.span.start as usize..).unwrap_or_default();
    // A comment without an end is read as a division.
    matches!(fault.kind, SyntaxErrorKind::Unexpected { found: TokenKind::Eof, .. })
        || rest.starts_with(b"/*")
}

impl Parser<'_> {
    /// Bindings to the end of the text.
    fn loose_bindings(&mut self) -> Parsed<()> {
        self.bump()?;
        let start = self.token.span;
        let set = self.ast.push_set(AttrSet::default());
        let mut some = false;
        loop {
            match self.token.kind {
                TokenKind::Inherit => self.inherit(set)?,
                TokenKind::Id
                | TokenKind::OrKeyword
                | TokenKind::Quote
                | TokenKind::DollarCurly => {
                    self.binding(set, None)?;
                }
                TokenKind::Eof if some => break,
                _ => return self.unexpected(&[]),
            }
            some = true;
        }
        self.ast.root = self.ast.push(Expr::Set(set), start.to(self.token.span));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match read(text.as_bytes(), Features::default()) {
            Input::Bindings => "bindings".to_owned(),
            Input::Expression => "expression".to_owned(),
            Input::Unfinished => "unfinished".to_owned(),
            Input::Fault(fault) | Input::BindingsFault(fault) => {
                format!("{}: {fault}", fault.span.start)
            }
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn texts_are_told_apart() {
        for text in ["x = 1", "x = 1;", "x.y = 1; z = 2", "inherit (x) y", "\"a b\" = 1;"] {
            check(text, "bindings");
        }
        for text in
            ["x", "x == 1", "{ x = 1; }", "x: x", "let x = 1; in x", "a or b", "''\n  x\n''"]
        {
            check(text, "expression");
        }
        for text in ["x =", "x = {", "x = 1 +", "{", "(", "let x = 1;", "\"a", "''a", "x:", "/* x"]
        {
            check(text, "unfinished");
        }
        check("x = )", "4: syntax error, unexpected ')'");
        check("1 )", "2: syntax error, unexpected ')', expecting end of file");
    }
}
