//! What can go wrong in an evaluation, as data: kind, words, place, and the frames that led
//! there. Rendering with source excerpts is the affair of whoever shows it.

use std::fmt;

use crate::graph::SourcePos;
use crate::source::{Loc, Sources};

/// The family of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `throw`; `tryEval` catches it.
    Throw,
    /// A failed `assert`; `tryEval` catches it.
    Assertion,
    /// `abort`.
    Abort,
    /// A value of the wrong type.
    Type,
    /// A name that nothing binds.
    UndefinedVariable,
    /// A selection of what is not there.
    MissingAttribute,
    /// A value that needs itself.
    InfiniteRecursion,
    /// Calls nested too deep, or the stack's end.
    StackOverflow,
    /// Text that is not an expression.
    Syntax,
    /// The host refused: a file, a fetch, a build.
    Host,
    /// Something restricted or pure evaluation forbids.
    Restricted,
    /// Anything else: bad arguments, overflow, division by zero.
    Eval,
}

/// A step on the way to an error, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Such as `while evaluating the attribute 'x'`.
    pub text: String,
    /// Where.
    pub pos: Option<SourcePos>,
    /// Shown even in a short trace (`builtins.addErrorContext`).
    pub always: bool,
}

/// A failed evaluation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct EvalError {
    /// The family.
    pub kind: ErrorKind,
    /// The words, as C++ Nix says them, without `error: `.
    pub message: String,
    /// Where it happened.
    pub pos: Option<SourcePos>,
    /// How evaluation came there, innermost first.
    pub frames: Vec<Frame>,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(pos) = &self.pos {
            write!(f, "\n  at {}:{}:{}", pos.file.display(), pos.line, pos.column)?;
        }
        Ok(())
    }
}

/// The inner form: eight bytes on the success path, places unresolved.
#[derive(Debug)]
pub(crate) struct Error(pub(crate) Box<Failure>);

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) loc: Loc,
    pub(crate) frames: Vec<(Loc, String, bool)>,
}

pub(crate) type Res<T> = Result<T, Error>;

/// Frames kept of a very deep failure: the innermost ones and the last.
const MAX_FRAMES: usize = 20_000;

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, loc: Loc, message: impl Into<String>) -> Error {
        Error(Box::new(Failure { kind, message: message.into(), loc, frames: Vec::new() }))
    }

    #[cold]
    pub(crate) fn eval(loc: Loc, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Eval, loc, message)
    }

    #[cold]
    pub(crate) fn typed(loc: Loc, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Type, loc, message)
    }

    /// Adds a frame.
    #[cold]
    pub(crate) fn frame(mut self, loc: Loc, text: impl Into<String>) -> Error {
        if self.0.frames.len() < MAX_FRAMES {
            self.0.frames.push((loc, text.into(), false));
        }
        self
    }

    /// Adds a frame that short traces show too.
    #[cold]
    pub(crate) fn context(mut self, text: String) -> Error {
        self.0.frames.push((Loc::NONE, text, true));
        self
    }

    /// Gives the place, if none is known yet.
    #[cold]
    pub(crate) fn at(mut self, loc: Loc) -> Error {
        if self.0.loc == Loc::NONE {
            self.0.loc = loc;
        }
        self
    }

    pub(crate) fn is_catchable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Throw | ErrorKind::Assertion)
    }

    pub(crate) fn resolve(self, sources: &Sources) -> EvalError {
        let failure = *self.0;
        EvalError {
            kind: failure.kind,
            message: failure.message,
            pos: sources.resolve(failure.loc),
            frames: failure
                .frames
                .into_iter()
                .map(|(loc, text, always)| Frame { text, pos: sources.resolve(loc), always })
                .collect(),
        }
    }
}
