//! Compiled expressions: a tree in the heap with every variable resolved to (level, slot).
//! Data only; `compile` makes it and `machine` runs it.

use std::cell::Cell;

use crate::heap::Gc;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Value};

/// A node that may be evaluated later: its number lets a thunk name it in four bytes.
#[derive(Clone, Copy)]
pub(crate) struct Lazy {
    pub(crate) code: Gc<Code>,
    pub(crate) id: u32,
}

/// A name in an attribute path.
#[derive(Clone, Copy)]
pub(crate) enum Name {
    Static(Symbol),
    Dynamic(Gc<Code>, Loc),
}

/// An attribute or a `let` binding.
#[derive(Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) name: Symbol,
    pub(crate) loc: Loc,
    pub(crate) value: Lazy,
    pub(crate) scope: BindingScope,
}

/// In which environment a binding's value is evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindingScope {
    /// Inside the set, if it has a frame; else around it.
    Inside,
    /// Around the set (`inherit x`).
    Around,
    /// In the frame of a plain set's `inherit (source)` sources.
    Sources,
}

/// A set's code. `bindings` are sorted by symbol; in a recursive set or a `let`, binding `i`
/// has slot `i`, and the sources of `inherit (source)` have the slots behind.
#[derive(Clone, Copy)]
pub(crate) struct SetCode {
    pub(crate) bindings: &'static [Binding],
    pub(crate) sources: &'static [Lazy],
    pub(crate) dynamic: &'static [DynamicBinding],
    /// The index of `__overrides` in a recursive set.
    pub(crate) overrides: Option<u32>,
}

#[derive(Clone, Copy)]
pub(crate) struct DynamicBinding {
    pub(crate) name: Gc<Code>,
    pub(crate) value: Lazy,
    pub(crate) loc: Loc,
}

/// A function. The argument itself, if named, has slot `taken`; the pattern's names follow.
///
/// Functions that return functions (`a: b: ...`) share one frame: the inner one begins with a
/// copy of the slots that the outer one had filled, and a call with all arguments goes straight
/// to the inner one.
pub(crate) struct LambdaCode {
    pub(crate) name: Option<Symbol>,
    pub(crate) loc: Loc,
    pub(crate) body: Gc<Code>,
    /// The name of the whole argument.
    pub(crate) param: Option<Symbol>,
    pub(crate) formals: Option<FormalsCode>,
    pub(crate) frame_len: u32,
    /// How many slots of the frame it was made in come first in its own; then that frame's
    /// outer one is also its own outer one.
    pub(crate) taken: u32,
    /// The function that is this one's whole body and shares its frame.
    pub(crate) inner: Option<Gc<LambdaCode>>,
}

/// A set pattern; `list` is sorted by symbol.
pub(crate) struct FormalsCode {
    pub(crate) list: &'static [FormalCode],
    pub(crate) ellipsis: bool,
    /// Whether the whole argument is in slot 0, the names in the slots behind.
    pub(crate) at_name: Option<Symbol>,
    /// Indices in `list` in the order of the source.
    pub(crate) source_order: &'static [u32],
    /// What `functionArgs` gives, once it was asked.
    pub(crate) args: Cell<Option<Gc<Attrs>>>,
}

#[derive(Clone, Copy)]
pub(crate) struct FormalCode {
    pub(crate) name: Symbol,
    pub(crate) loc: Loc,
    pub(crate) default: Option<Lazy>,
}

#[derive(Clone, Copy)]
pub(crate) enum PartCode {
    Text(&'static [u8]),
    Expr(Gc<Code>, Loc),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arith {
    Sub,
    Mul,
    Div,
}

impl Arith {
    /// The builtin that the operator stands for.
    pub(crate) fn builtin(self) -> &'static str {
        match self {
            Arith::Sub => "sub",
            Arith::Mul => "mul",
            Arith::Div => "div",
        }
    }
}

/// Two operands and the operator's place; of the operands of `+`, also where they are.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) left: Gc<Code>,
    pub(crate) right: Gc<Code>,
    pub(crate) loc: Loc,
    pub(crate) left_loc: Loc,
    pub(crate) right_loc: Loc,
}

pub(crate) enum Code {
    Const(Value),
    /// A variable of the innermost frame.
    Local(u32, Loc),
    /// A variable `level` frames out.
    Up {
        level: u32,
        slot: u32,
        loc: Loc,
    },
    /// A variable that only a `with` can give; levels of the `with` frames, innermost first, and
    /// where they stand.
    Dynamic {
        name: Symbol,
        withs: &'static [(u32, Loc)],
        loc: Loc,
    },
    Select {
        base: Gc<Code>,
        path: &'static [Name],
        default: Option<Gc<Code>>,
        loc: Loc,
    },
    HasAttr {
        base: Gc<Code>,
        path: &'static [Name],
    },
    Call {
        func: Gc<Code>,
        args: &'static [Lazy],
        loc: Loc,
    },
    Lambda(u32),
    Set(Gc<SetCode>),
    RecSet(Gc<SetCode>),
    Let {
        frame: Gc<SetCode>,
        body: Gc<Code>,
    },
    With {
        env: Lazy,
        body: Gc<Code>,
    },
    Assert {
        cond: Gc<Code>,
        body: Gc<Code>,
        loc: Loc,
    },
    If {
        cond: Gc<Code>,
        yes: Gc<Code>,
        no: Gc<Code>,
        loc: Loc,
    },
    List(&'static [Lazy]),
    Not(Gc<Code>, Loc),
    And(Pair),
    Or(Pair),
    Implies(Pair),
    Eq(Pair),
    Ne(Pair),
    Compare(Compare, Pair),
    Arith(Arith, Pair),
    Add(Pair),
    Concat(Pair),
    Update(Pair),
    Neg(Gc<Code>, Loc),
    Interpolated {
        parts: &'static [PartCode],
        loc: Loc,
    },
    /// An interpolated path.
    Path {
        parts: &'static [PartCode],
        loc: Loc,
    },
    /// `<name>` with the global `__findFile` and `__nixPath`.
    SearchPath {
        name: &'static [u8],
        loc: Loc,
    },
}

impl Code {
    /// Where C++ Nix says that an expression is; constants are nowhere.
    pub(crate) fn pos(&self) -> Loc {
        match self {
            Code::Local(_, loc)
            | Code::Up { loc, .. }
            | Code::Dynamic { loc, .. }
            | Code::Select { loc, .. }
            | Code::Call { loc, .. }
            | Code::Assert { loc, .. }
            | Code::If { loc, .. }
            | Code::Neg(_, loc)
            | Code::Interpolated { loc, .. }
            | Code::Path { loc, .. }
            | Code::SearchPath { loc, .. } => *loc,
            Code::Not(_, loc) => *loc,
            Code::And(pair)
            | Code::Or(pair)
            | Code::Implies(pair)
            | Code::Eq(pair)
            | Code::Ne(pair)
            | Code::Compare(_, pair)
            | Code::Arith(_, pair)
            | Code::Add(pair)
            | Code::Concat(pair)
            | Code::Update(pair) => pair.loc,
            Code::HasAttr { base, .. } => base.pos(),
            Code::List(items) => items.first().map_or(Loc::NONE, |item| item.code.pos()),
            Code::Const(_)
            | Code::Lambda(_)
            | Code::Set(_)
            | Code::RecSet(_)
            | Code::Let { .. }
            | Code::With { .. } => Loc::NONE,
        }
    }
}
