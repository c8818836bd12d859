//! A tree as `nix-instantiate --parse` writes it: fully parenthesised, sugar resolved. Not a formatter.

use std::collections::BTreeMap;

use super::ast::*;
use crate::symbol::Symbol;
use crate::text::float;

/// What relative and `~/` paths are written against.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// The folder of the file, absolute.
    pub base: &'a [u8],
    /// The user's home.
    pub home: &'a [u8],
}

/// Writes a node and all below it. Recurses as deep as the tree.
pub fn expression(ast: &Ast, expr: ExprId, folders: Folders<'_>) -> Vec<u8> {
    let mut printer = Printer { ast, folders, out: Vec::new() };
    printer.expr(expr);
    printer.out
}

/// Writes an attribute path as messages name it: `a."b c"."${x}"`.
pub fn attr_path(ast: &Ast, path: &[AttrName]) -> Vec<u8> {
    let folders = Folders { base: b"/", home: b"/" };
    let mut printer = Printer { ast, folders, out: Vec::new() };
    printer.path(path);
    printer.out
}

/// Writes a string literal with Nix's escapes.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if text.get(index + 1) == Some(&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

/// Writes a name, in quotes where it is no identifier or a keyword (`or` is none).
pub fn identifier(out: &mut Vec<u8>, name: &[u8]) {
    if is_identifier(name) {
        out.extend_from_slice(name);
    } else {
        string(out, name);
    }
}

/// Whether a name can be written without quotes.
pub fn is_identifier(name: &[u8]) -> bool {
    const KEYWORDS: [&[u8]; 9] =
        [b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];
    let [first, rest @ ..] = name else {
        return false;
    };
    (first.is_ascii_alphabetic() || *first == b'_')
        && rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\''))
        && !KEYWORDS.contains(&name)
}

/// Joins an absolute folder and a path, and resolves `.`, `..` and doubled slashes by text alone.
pub fn canonical(base: &[u8], path: &[u8]) -> Vec<u8> {
    let base: &[u8] = if path.starts_with(b"/") { b"" } else { base };
    let mut steps: Vec<&[u8]> = Vec::new();
    for step in base.split(|byte| *byte == b'/').chain(path.split(|byte| *byte == b'/')) {
        match step {
            b"" | b"." => {}
            b".." => {
                steps.pop();
            }
            _ => steps.push(step),
        }
    }
    let mut out = Vec::with_capacity(base.len() + path.len() + 1);
    for step in &steps {
        out.push(b'/');
        out.extend_from_slice(step);
    }
    if steps.is_empty() {
        out.push(b'/');
    }
    out
}

struct Printer<'a> {
    ast: &'a Ast,
    folders: Folders<'a>,
    out: Vec<u8>,
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, name: Symbol) {
        identifier(&mut self.out, name.as_bytes());
    }

    /// `before left between right after`
    fn pair(&mut self, before: &str, left: ExprId, between: &str, right: ExprId, after: &str) {
        self.put(before);
        self.expr(left);
        self.put(between);
        self.expr(right);
        self.put(after);
    }

    fn expr(&mut self, id: ExprId) {
        let ast = self.ast;
        match ast.expr(id) {
            Expr::Int(value) => self.put(&value.to_string()),
            Expr::Float(value) => self.put(&float::general(value)),
            Expr::Str(text) | Expr::Uri(text) => string(&mut self.out, ast.text(text)),
            Expr::Interpolated(parts) => {
                self.put("(");
                self.parts(ast.parts(parts));
                self.put(")");
            }
            Expr::Path(kind, parts) => self.path_literal(kind, ast.parts(parts)),
            Expr::SearchPath(text) => {
                self.put("(__findFile __nixPath ");
                string(&mut self.out, ast.text(text));
                self.put(")");
            }
            Expr::Var(name) => self.name(name),
            Expr::CurPos => self.put("__curPos"),
            Expr::Select { base, path, default } => {
                self.put("(");
                self.expr(base);
                self.put(").");
                self.path(ast.names(path));
                if let Some(default) = default {
                    self.put(" or (");
                    self.expr(default);
                    self.put(")");
                }
            }
            Expr::HasAttr { base, path } => {
                self.put("((");
                self.expr(base);
                self.put(") ? ");
                self.path(ast.names(path));
                self.put(")");
            }
            Expr::Call { func, args } => {
                self.put("(");
                self.expr(func);
                for arg in ast.exprs(args) {
                    self.put(" ");
                    self.expr(*arg);
                }
                self.put(")");
            }
            Expr::Lambda(id) => self.lambda(ast.lambda(id)),
            Expr::Set(set) => {
                let set = ast.set(set);
                self.put(if set.recursive { "rec { " } else { "{ " });
                self.bindings(set);
                self.put("}");
            }
            Expr::Let { bindings, body } => {
                self.put("(let ");
                self.bindings(ast.set(bindings));
                self.put("in ");
                self.expr(body);
                self.put(")");
            }
            Expr::With { env, body } => self.pair("(with ", env, "; ", body, ")"),
            Expr::Assert { cond, body } => self.pair("assert ", cond, "; ", body, ""),
            Expr::If { cond, yes, no } => {
                self.pair("(if ", cond, " then ", yes, " else ");
                self.expr(no);
                self.put(")");
            }
            Expr::List(elements) => {
                self.put("[ ");
                for element in ast.exprs(elements) {
                    self.put("(");
                    self.expr(*element);
                    self.put(") ");
                }
                self.put("]");
            }
            Expr::Not(operand) => {
                self.put("(! ");
                self.expr(operand);
                self.put(")");
            }
            Expr::Neg(operand) => {
                self.put("(__sub 0 ");
                self.expr(operand);
                self.put(")");
            }
            Expr::Binary { op, left, right, .. } => self.binary(op, left, right),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: ExprId, right: ExprId) {
        let (before, left, between, right, after) = match op {
            BinaryOp::Eq => ("(", left, " == ", right, ")"),
            BinaryOp::Ne => ("(", left, " != ", right, ")"),
            BinaryOp::Add => ("(", left, " + ", right, ")"),
            BinaryOp::Concat => ("(", left, " ++ ", right, ")"),
            BinaryOp::Update => ("(", left, " // ", right, ")"),
            BinaryOp::And => ("(", left, " && ", right, ")"),
            BinaryOp::Or => ("(", left, " || ", right, ")"),
            BinaryOp::Implies => ("(", left, " -> ", right, ")"),
            BinaryOp::Sub => ("(__sub ", left, " ", right, ")"),
            BinaryOp::Mul => ("(__mul ", left, " ", right, ")"),
            BinaryOp::Div => ("(__div ", left, " ", right, ")"),
            BinaryOp::Lt => ("(__lessThan ", left, " ", right, ")"),
            BinaryOp::Gt => ("(__lessThan ", right, " ", left, ")"),
            BinaryOp::Le => ("(! (__lessThan ", right, " ", left, "))"),
            BinaryOp::Ge => ("(! (__lessThan ", left, " ", right, "))"),
        };
        self.pair(before, left, between, right, after);
    }

    fn parts(&mut self, parts: &[Part]) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.put(" + ");
            }
            match part {
                Part::Literal(text) => string(&mut self.out, self.ast.text(*text)),
                Part::Interpolation(expr, _) => self.expr(*expr),
            }
        }
    }

    fn path_literal(&mut self, kind: PathKind, parts: &[Part]) {
        let (Some(Part::Literal(first)), rest) =
            (parts.first(), parts.get(1..).unwrap_or_default())
        else {
            unreachable!("a path begins with text");
        };
        let text = self.ast.text(*first);
        if !rest.is_empty() {
            self.put("(");
        }
        if kind == PathKind::Home {
            self.out.extend_from_slice(self.folders.home);
            self.out.extend_from_slice(&text[1..]);
        } else {
            let path = canonical(self.folders.base, text);
            self.out.extend_from_slice(&path);
            if text.len() > 1 && text.ends_with(b"/") {
                self.put("/");
            }
        }
        if !rest.is_empty() {
            self.put(" + ");
            self.parts(rest);
            self.put(")");
        }
    }

    fn path(&mut self, path: &[AttrName]) {
        for (index, step) in path.iter().enumerate() {
            if index > 0 {
                self.put(".");
            }
            match step.kind {
                AttrNameKind::Static(name) => self.name(name),
                AttrNameKind::Dynamic(name) => {
                    self.put("\"${");
                    self.expr(name);
                    self.put("}\"");
                }
            }
        }
    }

    fn lambda(&mut self, lambda: &Lambda) {
        self.put("(");
        if let Some(formals) = &lambda.formals {
            self.formals(formals);
            if lambda.arg.is_some() {
                self.put(" @ ");
            }
        }
        if let Some(arg) = lambda.arg {
            self.name(arg);
        }
        self.put(": ");
        self.expr(lambda.body);
        self.put(")");
    }

    fn formals(&mut self, formals: &Formals) {
        let mut sorted: Vec<&Formal> = formals.list.iter().collect();
        sorted.sort_by_key(|formal| formal.name.as_bytes());
        self.put("{ ");
        for (index, formal) in sorted.iter().enumerate() {
            if index > 0 {
                self.put(", ");
            }
            self.name(formal.name);
            if let Some(default) = formal.default {
                self.put(" ? ");
                self.expr(default);
            }
        }
        if formals.ellipsis {
            self.put(if sorted.is_empty() { "..." } else { ", ..." });
        }
        self.put(" }");
    }

    fn bindings(&mut self, set: &AttrSet) {
        let mut sorted: Vec<&Attr> = set.attrs.iter().collect();
        sorted.sort_by_key(|attr| attr.name.as_bytes());
        let inherited = |attr: &&&Attr| matches!(attr.value, AttrValue::Inherit(_));
        if sorted.iter().any(|attr| inherited(&attr)) {
            self.put("inherit");
            for attr in sorted.iter().filter(inherited) {
                self.put(" ");
                self.name(attr.name);
            }
            self.put("; ");
        }
        let mut by_source: BTreeMap<u32, Vec<Symbol>> = BTreeMap::new();
        for attr in &sorted {
            if let AttrValue::InheritFrom(source) = attr.value {
                by_source.entry(source).or_default().push(attr.name);
            }
        }
        for (source, names) in by_source {
            self.put("inherit (");
            self.expr(set.inherit_from[source as usize]);
            self.put(")");
            for name in names {
                self.put(" ");
                self.name(name);
            }
            self.put("; ");
        }
        for attr in sorted {
            if let AttrValue::Plain(value) = attr.value {
                self.name(attr.name);
                self.put(" = ");
                self.expr(value);
                self.put("; ");
            }
        }
        for attr in &set.dynamic {
            self.pair("\"${", attr.name, "}\" = ", attr.value, "; ");
        }
    }
}
