//! What can go wrong in an evaluation, as data: kind, words, place, and the frames that led
//! there. Rendering with source excerpts is the affair of whoever shows it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

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
    /// Values take more memory than they may.
    OutOfMemory,
    /// Text that is not an expression.
    Syntax,
    /// The host refused: a file, a fetch, a build.
    Host,
    /// The user asked to stop.
    Interrupted,
    /// Something restricted or pure evaluation forbids.
    Restricted,
    /// Anything else: bad arguments, overflow, division by zero.
    Eval,
}

/// When a step is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Among the first steps of a short trace.
    Usually,
    /// Even in a short trace (`builtins.addErrorContext`).
    Always,
    /// Likewise, but never where it has no place of its own.
    Placed,
    /// In full traces only, and where it has a place of its own: the call of a function.
    InFull,
}

/// A step on the way to an error, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Such as `while evaluating the attribute 'x'`.
    pub text: String,
    /// Where.
    pub pos: Option<SourcePos>,
    /// When to show it.
    pub shown: Shown,
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
    /// Near where, which C++ Nix does not say: the reading of a variable whose value failed.
    pub near: Option<Box<SourcePos>>,
    /// How evaluation came there, innermost first.
    pub frames: Vec<Frame>,
    /// What may help and C++ Nix does not say: a name that may have been meant; of a value that
    /// needs itself, the way from it to itself.
    pub advice: Vec<String>,
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

/// The inner form: eight bytes on the success path, places unresolved. Shared with the promises
/// that failed with it, so that they fail again without being computed again; what is added on
/// the way out is seen by them too, as in C++ Nix.
#[derive(Debug)]
pub(crate) struct Error(Rc<RefCell<Failure>>);

#[derive(Clone, Debug)]
struct Failure {
    kind: ErrorKind,
    message: String,
    loc: Loc,
    /// Where the variable was read whose value failed.
    near: Loc,
    frames: Vec<(Loc, String, Shown)>,
    hint: Option<String>,
    cycle: Option<Cycle>,
}

/// The way from a promise back to itself.
#[derive(Clone, Debug)]
struct Cycle {
    /// The address of the promise.
    promise: usize,
    /// Where a variable or an attribute was read on the way, innermost first.
    reads: Vec<Loc>,
    /// Whether the promise itself was reached on the way out.
    closed: bool,
}

pub(crate) type Res<T> = Result<T, Error>;

/// Frames kept of a very deep failure: the innermost ones and the last.
const MAX_FRAMES: usize = 20_000;
/// A longer way from a promise to itself is not told.
const MAX_READS: usize = 16;

impl Cycle {
    fn way(&self, sources: &Sources) -> Option<String> {
        if !self.closed || self.reads.len() == MAX_READS {
            return None;
        }
        let name = |loc: &Loc| {
            let (source, offset) = sources.find(*loc)?;
            let rest = source.text.get(offset..)?;
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"_'-.".contains(byte);
            let end = rest.iter().position(|byte| !inside(byte)).unwrap_or(rest.len());
            let name = String::from_utf8_lossy(&rest[..end]).into_owned();
            (!name.is_empty()).then_some(name)
        };
        let mut names: Vec<String> = self.reads.iter().rev().filter_map(name).collect();
        let first = names.last()?.clone();
        names.insert(0, first);
        Some(format!("each of these needs the next: {}", names.join(" → ")))
    }
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, loc: Loc, message: impl Into<String>) -> Error {
        let (message, frames) = (message.into(), Vec::new());
        let failure =
            Failure { kind, message, loc, near: Loc::NONE, frames, hint: None, cycle: None };
        Error(Rc::new(RefCell::new(failure)))
    }

    /// A promise that needs itself.
    #[cold]
    pub(crate) fn infinite_recursion(promise: usize) -> Error {
        let message = "infinite recursion encountered";
        let error = Error::new(ErrorKind::InfiniteRecursion, Loc::NONE, message);
        let cycle = Cycle { promise, reads: Vec::new(), closed: false };
        error.0.borrow_mut().cycle = Some(cycle);
        error
    }

    /// Tells that the error leaves the computation of a promise.
    #[cold]
    pub(crate) fn leaves(&self, promise: usize) {
        if let Some(cycle) = &mut self.0.borrow_mut().cycle {
            cycle.closed |= cycle.promise == promise;
        }
    }

    /// Adds what may help.
    #[cold]
    pub(crate) fn hint(self, hint: &str) -> Error {
        let hint = hint.trim_start();
        if !hint.is_empty() {
            self.0.borrow_mut().hint = Some(hint.to_owned());
        }
        self
    }

    #[cold]
    pub(crate) fn eval(loc: Loc, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Eval, loc, message)
    }

    #[cold]
    pub(crate) fn typed(loc: Loc, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Type, loc, message)
    }

    fn push(self, loc: Loc, text: String, shown: Shown) -> Error {
        let mut failure = self.0.borrow_mut();
        if shown == Shown::Always || failure.frames.len() < MAX_FRAMES {
            failure.frames.push((loc, text, shown));
        }
        drop(failure);
        self
    }

    /// Adds a frame.
    #[cold]
    pub(crate) fn frame(self, loc: Loc, text: impl Into<String>) -> Error {
        self.push(loc, text.into(), Shown::Usually)
    }

    /// Adds a frame that is shown when it has a place of its own.
    #[cold]
    pub(crate) fn placed_frame(self, loc: Loc, text: impl Into<String>) -> Error {
        if loc == Loc::NONE { self } else { self.push(loc, text.into(), Shown::Placed) }
    }

    /// Adds a frame that only full traces show.
    #[cold]
    pub(crate) fn call_frame(self, loc: Loc, text: impl Into<String>) -> Error {
        self.push(loc, text.into(), Shown::InFull)
    }

    /// Adds a frame that short traces show too.
    #[cold]
    pub(crate) fn context(self, text: String) -> Error {
        self.push(Loc::NONE, text, Shown::Always)
    }

    /// Gives the place, if none is known yet.
    #[cold]
    pub(crate) fn at(self, loc: Loc) -> Error {
        let mut failure = self.0.borrow_mut();
        if failure.loc == Loc::NONE {
            failure.loc = loc;
        }
        if let Some(cycle) = &mut failure.cycle
            && !cycle.closed
            && loc != Loc::NONE
            && cycle.reads.len() < MAX_READS
        {
            cycle.reads.push(loc);
        }
        drop(failure);
        self
    }

    /// Tells where a variable was read whose value failed: the place of one that needs itself, and of
    /// no other error.
    #[cold]
    pub(crate) fn read_at(self, loc: Loc) -> Error {
        let mut failure = self.0.borrow_mut();
        if failure.near == Loc::NONE {
            failure.near = loc;
        }
        drop(failure);
        self.looped_at(loc)
    }

    /// Gives the place where a value that needs itself is read.
    #[cold]
    pub(crate) fn looped_at(self, loc: Loc) -> Error {
        if self.kind() == ErrorKind::InfiniteRecursion { self.at(loc) } else { self }
    }

    pub(crate) fn message(&self) -> String {
        self.0.borrow().message.clone()
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.0.borrow().kind
    }

    pub(crate) fn is_catchable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Throw | ErrorKind::Assertion)
    }

    /// The same failure, for the table of those that promises ended with.
    pub(crate) fn share(&self) -> Error {
        Error(self.0.clone())
    }

    pub(crate) fn is_same(&self, other: &Error) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// A failure of its own with what is known of this one so far.
    pub(crate) fn again(&self) -> Error {
        Error(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    pub(crate) fn resolve(self, sources: &Sources) -> EvalError {
        let failure = self.0.borrow();
        let frame = |(loc, text, shown): &(Loc, String, Shown)| Frame {
            text: text.clone(),
            pos: sources.resolve(*loc),
            shown: *shown,
        };
        let way = failure.cycle.as_ref().and_then(|cycle| cycle.way(sources));
        EvalError {
            kind: failure.kind,
            message: failure.message.clone(),
            pos: sources.resolve(failure.loc),
            near: sources.resolve(failure.near).map(Box::new),
            frames: failure.frames.iter().map(frame).collect(),
            advice: failure.hint.iter().cloned().chain(way).collect(),
        }
    }
}
