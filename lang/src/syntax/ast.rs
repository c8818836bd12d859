//! The syntax tree of one file: an arena of nodes named by dense ids. Data only: the parser fills it,
//! the printer and the evaluator read it. No names are resolved here and no path is looked up.
//!
//! What the parser has already done, as C++ Nix's parser does:
//! - nested attribute paths and repeated sets are merged: `{ a.b = 1; a = { c = 2; }; }` holds one `a`;
//! - indented strings are stripped of their common indentation and are ordinary strings;
//! - `let { body = ...; }` is a selection of `body` from a recursive set;
//! - `x |> f` and `f <| x` are calls;
//! - parentheses are gone.
//!
//! What it leaves to the evaluator: C++ Nix looks `-`, `*`, `/`, `<` (and kin) and `<path>` up as
//! the variables `__sub`, `__mul`, `__div`, `__lessThan`, `__findFile`, `__nixPath`, which programs
//! may rebind; relative and `~/` paths are kept as written.

use std::ops::Range;

use super::lint::Warning;
use crate::symbol::Symbol;

/// A source file of the session; the evaluator's table of sources gives them out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FileId(pub u32);

/// Byte offsets `start..end` in the file of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The span from the start of `self` to the end of `end`.
    pub fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end }
    }
}

/// A place in a file: what a position in a message or an attribute's position is made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pos {
    /// The file.
    pub file: FileId,
    /// The byte offset in it.
    pub offset: u32,
}

/// Names a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExprId(pub(super) u32);

/// Names an [`AttrSet`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SetId(pub(super) u32);

/// Names a [`Lambda`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LambdaId(pub(super) u32);

impl ExprId {
    /// A dense number, for tables beside the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl SetId {
    /// A dense number, for tables beside the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl LambdaId {
    /// A dense number, for tables beside the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A slice of one of the arena's side tables; read it through [`Ast`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice<T> {
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) of: std::marker::PhantomData<fn() -> T>,
}

impl<T> Slice<T> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn range(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// Literal bytes.
pub type Text = Slice<u8>;
/// Expressions in a row: list elements, call arguments.
pub type Exprs = Slice<ExprId>;
/// An attribute path: `a.b.${c}`.
pub type AttrPath = Slice<AttrName>;
/// The parts of an interpolated string or path.
pub type Parts = Slice<Part>;

/// One node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expr {
    /// `1`
    Int(i64),
    /// `1.5`
    Float(f64),
    /// A string without interpolation (also an indented one).
    Str(Text),
    /// A string with at least one interpolation: its value is always a string.
    Interpolated(Parts),
    /// A path literal. The first part is literal and begins as written: `/`, `./`, `../`, `name/`, `~/`.
    /// Without interpolation there is just that part.
    Path(PathKind, Parts),
    /// `<nixpkgs/lib>`, without the angle brackets.
    SearchPath(Text),
    /// An unquoted URI: a string.
    Uri(Text),
    /// A variable.
    Var(Symbol),
    /// `__curPos`: a set that describes the node's own position.
    CurPos,
    /// `base.path`, or `base.path or default`.
    Select {
        /// The set.
        base: ExprId,
        /// At least one name.
        path: AttrPath,
        /// After `or`.
        default: Option<ExprId>,
    },
    /// `base ? path`
    HasAttr {
        /// The set.
        base: ExprId,
        /// At least one name.
        path: AttrPath,
    },
    /// `func arg arg ...`; at least one argument.
    Call {
        /// The function.
        func: ExprId,
        /// Its arguments, from the left.
        args: Exprs,
    },
    /// A function.
    Lambda(LambdaId),
    /// `{ ... }` or `rec { ... }`
    Set(SetId),
    /// `let ... in body`. The set is never dynamic; its names see each other.
    Let {
        /// The bindings.
        bindings: SetId,
        /// After `in`.
        body: ExprId,
    },
    /// `with env; body`
    With {
        /// The set whose names become visible.
        env: ExprId,
        /// After the semicolon.
        body: ExprId,
    },
    /// `assert cond; body`
    Assert {
        /// What must be true.
        cond: ExprId,
        /// After the semicolon.
        body: ExprId,
    },
    /// `if cond then yes else no`
    If {
        /// The condition.
        cond: ExprId,
        /// After `then`.
        yes: ExprId,
        /// After `else`.
        no: ExprId,
    },
    /// `[ ... ]`
    List(Exprs),
    /// `!x`
    Not(ExprId),
    /// `-x`
    Neg(ExprId),
    /// `left op right`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Offset of the operator: C++ Nix reports errors there.
        at: u32,
        /// The left operand.
        left: ExprId,
        /// The right operand.
        right: ExprId,
        /// Offsets of the operands, their parentheses included.
        starts: [u32; 2],
    },
}

/// How a path literal begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathKind {
    /// With `/`.
    Absolute,
    /// With `./`, `../` or a name: relative to the folder of the file.
    Relative,
    /// With `~/`: relative to the user's home.
    Home,
}

/// An infix operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `++`
    Concat,
    /// `//`
    Update,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `->`
    Implies,
}

/// A part of an interpolated string or path.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Part {
    /// Bytes as they are, escapes resolved.
    Literal(Text),
    /// `${expr}`; the span covers the whole of it.
    Interpolation(ExprId, Span),
}

/// A name in an attribute path.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AttrName {
    /// What it is.
    pub kind: AttrNameKind,
    /// Where it stands.
    pub span: Span,
}

/// A name as written, or computed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AttrNameKind {
    /// `a`, `"a"`, `${"a"}`
    Static(Symbol),
    /// `${expr}` or `"a${expr}"`
    Dynamic(ExprId),
}

/// The bindings of a set or of a `let`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AttrSet {
    /// Whether its names see each other. Always false for the bindings of a `let`, which do anyway.
    pub recursive: bool,
    /// Attributes with known names, each name once, in the order of first appearance.
    pub attrs: Vec<Attr>,
    /// Attributes with computed names, in source order. Their names and values see the enclosing
    /// scope, and in a recursive set also the static attributes.
    pub dynamic: Vec<DynamicAttr>,
    /// The sources of `inherit (source) ...`, evaluated at most once each, in the scope of the
    /// set's values (inside of it, if it is recursive or a `let`).
    pub inherit_from: Vec<ExprId>,
}

/// An attribute with a known name.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Attr {
    /// The name.
    pub name: Symbol,
    /// Where the name stands: the attribute's position.
    pub span: Span,
    /// What is bound.
    pub value: AttrValue,
}

/// What a name is bound to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AttrValue {
    /// `name = expr;`
    Plain(ExprId),
    /// `inherit name;`: the variable (an [`Expr::Var`]) in the scope *around* the set.
    Inherit(ExprId),
    /// `inherit (source) name;`: the attribute of this name of `inherit_from[index]`.
    InheritFrom(u32),
}

/// An attribute with a computed name; a name that evaluates to `null` drops it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DynamicAttr {
    /// Computes the name.
    pub name: ExprId,
    /// The value.
    pub value: ExprId,
    /// Where the name stands.
    pub span: Span,
}

/// A function: `x: body`, `{ a, b ? 1, ... } @ x: body`.
#[derive(Clone, PartialEq, Debug)]
pub struct Lambda {
    /// The name it is bound to in the source, for messages.
    pub name: Option<Symbol>,
    /// `x`, the name of the whole argument.
    pub arg: Option<Symbol>,
    /// The set pattern. At least one of `arg` and `formals` is there.
    pub formals: Option<Formals>,
    /// The body.
    pub body: ExprId,
}

/// A set pattern.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Formals {
    /// In source order, each name once, none equal to `arg`.
    pub list: Vec<Formal>,
    /// Whether it ends with `...`
    pub ellipsis: bool,
}

/// A name in a set pattern.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Formal {
    /// The name.
    pub name: Symbol,
    /// Where it stands.
    pub span: Span,
    /// After `?`.
    pub default: Option<ExprId>,
}

/// The syntax tree of one file.
#[derive(Debug)]
pub struct Ast {
    pub(super) file: FileId,
    pub(super) root: ExprId,
    pub(super) exprs: Vec<Expr>,
    pub(super) spans: Vec<Span>,
    pub(super) sets: Vec<AttrSet>,
    pub(super) lambdas: Vec<Lambda>,
    pub(super) lists: Vec<ExprId>,
    pub(super) names: Vec<AttrName>,
    pub(super) parts: Vec<Part>,
    pub(super) bytes: Vec<u8>,
    pub(super) warnings: Vec<Warning>,
}

impl Ast {
    /// A tree without nodes, for the parser to fill.
    pub(super) fn new(file: FileId) -> Ast {
        Ast {
            file,
            root: ExprId(0),
            exprs: Vec::new(),
            spans: Vec::new(),
            sets: Vec::new(),
            lambdas: Vec::new(),
            lists: Vec::new(),
            names: Vec::new(),
            parts: Vec::new(),
            bytes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What to warn of, in source order.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(super) fn push(&mut self, expr: Expr, span: Span) -> ExprId {
        let id = ExprId(self.exprs.len() as u32);
        self.exprs.push(expr);
        self.spans.push(span);
        id
    }

    pub(super) fn push_set(&mut self, set: AttrSet) -> SetId {
        self.sets.push(set);
        SetId(self.sets.len() as u32 - 1)
    }

    pub(super) fn push_lambda(&mut self, lambda: Lambda) -> LambdaId {
        self.lambdas.push(lambda);
        LambdaId(self.lambdas.len() as u32 - 1)
    }

    pub(super) fn push_exprs(&mut self, exprs: &[ExprId]) -> Exprs {
        append(&mut self.lists, exprs)
    }

    pub(super) fn push_names(&mut self, names: &[AttrName]) -> AttrPath {
        append(&mut self.names, names)
    }

    pub(super) fn push_parts(&mut self, parts: &[Part]) -> Parts {
        append(&mut self.parts, parts)
    }

    pub(super) fn push_text(&mut self, text: &[u8]) -> Text {
        append(&mut self.bytes, text)
    }

    /// The file it was read from.
    pub fn file(&self) -> FileId {
        self.file
    }

    /// The whole expression.
    pub fn root(&self) -> ExprId {
        self.root
    }

    /// All nodes, in no order that means anything.
    pub fn ids(&self) -> impl Iterator<Item = ExprId> + use<> {
        (0..self.exprs.len() as u32).map(ExprId)
    }

    /// How many nodes there are: every [`ExprId::index`] is below.
    pub fn len(&self) -> usize {
        self.exprs.len()
    }

    /// Never: a tree has a root.
    pub fn is_empty(&self) -> bool {
        self.exprs.is_empty()
    }

    /// The node.
    pub fn expr(&self, id: ExprId) -> Expr {
        self.exprs[id.index()]
    }

    /// Where a node stands in the file.
    pub fn span(&self, id: ExprId) -> Span {
        self.spans[id.index()]
    }

    /// Where a node begins.
    pub fn pos(&self, id: ExprId) -> Pos {
        Pos { file: self.file, offset: self.span(id).start }
    }

    /// Bindings.
    pub fn set(&self, id: SetId) -> &AttrSet {
        &self.sets[id.index()]
    }

    /// A function.
    pub fn lambda(&self, id: LambdaId) -> &Lambda {
        &self.lambdas[id.index()]
    }

    /// List elements or arguments.
    pub fn exprs(&self, slice: Exprs) -> &[ExprId] {
        &self.lists[slice.range()]
    }

    /// The names of an attribute path.
    pub fn names(&self, slice: AttrPath) -> &[AttrName] {
        &self.names[slice.range()]
    }

    /// The parts of a string or path.
    pub fn parts(&self, slice: Parts) -> &[Part] {
        &self.parts[slice.range()]
    }

    /// Literal bytes.
    pub fn text(&self, slice: Text) -> &[u8] {
        &self.bytes[slice.range()]
    }
}

fn append<T: Copy>(table: &mut Vec<T>, items: &[T]) -> Slice<T> {
    let start = table.len() as u32;
    table.extend_from_slice(items);
    Slice { start, len: items.len() as u32, of: std::marker::PhantomData }
}
