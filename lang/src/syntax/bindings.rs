//! Bindings into sets: merges attribute paths and repeated sets, finds duplicates. Reads no tokens.

use rustc_hash::FxHashMap;

use super::ast::*;
use super::error::{SyntaxError, SyntaxErrorKind};
use super::print;
use crate::symbol::Symbol;

/// Sets of more attributes than this are searched by hash.
const LINEAR: usize = 8;

type Checked = Result<(), Box<SyntaxError>>;

/// Where the attributes of large sets stand.
#[derive(Default)]
pub(super) struct Index {
    large: FxHashMap<(SetId, Symbol), u32>,
}

impl Index {
    fn find(&self, ast: &Ast, set: SetId, name: Symbol) -> Option<usize> {
        let attrs = &ast.sets[set.index()].attrs;
        if attrs.len() <= LINEAR {
            return attrs.iter().position(|attr| attr.name == name);
        }
        self.large.get(&(set, name)).map(|at| *at as usize)
    }

    fn push(&mut self, ast: &mut Ast, set: SetId, attr: Attr) {
        let attrs = &mut ast.sets[set.index()].attrs;
        attrs.push(attr);
        if attrs.len() == LINEAR + 1 {
            self.large
                .extend(attrs.iter().enumerate().map(|(at, attr)| ((set, attr.name), at as u32)));
        } else if attrs.len() > LINEAR {
            self.large.insert((set, attr.name), attrs.len() as u32 - 1);
        }
    }

    /// Adds `path = value;`, where `span` is that of the path.
    pub fn bind(
        &mut self,
        ast: &mut Ast,
        set: SetId,
        path: &[AttrName],
        span: Span,
        value: ExprId,
    ) -> Checked {
        let (last, outer) = path.split_last().expect("a path has a name");
        let mut set = set;
        for (depth, step) in outer.iter().enumerate() {
            set = match step.kind {
                AttrNameKind::Dynamic(name) => {
                    let (nested, value) = new_set(ast, span);
                    ast.sets[set.index()].dynamic.push(DynamicAttr { name, value, span });
                    nested
                }
                AttrNameKind::Static(name) => match self.find(ast, set, name) {
                    Some(at) => {
                        let found = ast.sets[set.index()].attrs[at];
                        match as_set(ast, found.value) {
                            Some(nested) => nested,
                            None => return duplicate(ast, &path[..=depth], span, found.span),
                        }
                    }
                    None => {
                        let (nested, value) = new_set(ast, span);
                        self.push(ast, set, Attr { name, span, value: AttrValue::Plain(value) });
                        nested
                    }
                },
            };
        }
        match last.kind {
            AttrNameKind::Dynamic(name) => {
                ast.sets[set.index()].dynamic.push(DynamicAttr { name, value, span });
                Ok(())
            }
            AttrNameKind::Static(name) => {
                let attr = Attr { name, span, value: AttrValue::Plain(value) };
                match self.find(ast, set, name) {
                    None => self.add(ast, set, attr),
                    Some(_) => self.insert(ast, set, &mut path.to_vec(), attr)?,
                }
                Ok(())
            }
        }
    }

    /// Adds a name of `inherit`, which may not be bound yet.
    pub fn inherit(&mut self, ast: &mut Ast, set: SetId, attr: Attr) -> Checked {
        if let Some(at) = self.find(ast, set, attr.name) {
            let previous = ast.sets[set.index()].attrs[at].span;
            let name = AttrName { kind: AttrNameKind::Static(attr.name), span: attr.span };
            return duplicate(ast, &[name], attr.span, previous);
        }
        self.push(ast, set, attr);
        Ok(())
    }

    /// Adds an attribute whose name is not bound yet.
    fn add(&mut self, ast: &mut Ast, set: SetId, attr: Attr) {
        if let AttrValue::Plain(value) = attr.value {
            name_lambdas(ast, value, attr.name);
        }
        self.push(ast, set, attr);
    }

    /// Adds an attribute, or merges it with the one that is there when both are sets.
    /// `path` ends with its name and is for messages.
    fn insert(
        &mut self,
        ast: &mut Ast,
        set: SetId,
        path: &mut Vec<AttrName>,
        attr: Attr,
    ) -> Checked {
        let Some(at) = self.find(ast, set, attr.name) else {
            self.add(ast, set, attr);
            return Ok(());
        };
        let found = ast.sets[set.index()].attrs[at];
        let (Some(into), Some(from)) = (as_set(ast, found.value), as_set(ast, attr.value)) else {
            return duplicate(ast, path, attr.span, found.span);
        };
        let merged = std::mem::take(&mut ast.sets[from.index()]);
        let shift = ast.sets[into.index()].inherit_from.len() as u32;
        for mut attr in merged.attrs {
            if let AttrValue::InheritFrom(source) = &mut attr.value {
                *source += shift;
            }
            path.push(AttrName { kind: AttrNameKind::Static(attr.name), span: attr.span });
            self.insert(ast, into, path, attr)?;
            path.pop();
        }
        let into = &mut ast.sets[into.index()];
        into.dynamic.extend(merged.dynamic);
        into.inherit_from.extend(merged.inherit_from);
        Ok(())
    }
}

fn new_set(ast: &mut Ast, span: Span) -> (SetId, ExprId) {
    let set = ast.push_set(AttrSet::default());
    (set, ast.push(Expr::Set(set), span))
}

fn as_set(ast: &Ast, value: AttrValue) -> Option<SetId> {
    match value {
        AttrValue::Plain(value) => match ast.expr(value) {
            Expr::Set(set) => Some(set),
            _ => None,
        },
        _ => None,
    }
}

/// A function is known by the attribute it is bound to, and so is the function it returns.
fn name_lambdas(ast: &mut Ast, mut value: ExprId, name: Symbol) {
    while let Expr::Lambda(id) = ast.expr(value) {
        let lambda = &mut ast.lambdas[id.index()];
        lambda.name = Some(name);
        value = lambda.body;
    }
}

fn duplicate(ast: &Ast, path: &[AttrName], span: Span, previous: Span) -> Checked {
    let path = String::from_utf8_lossy(&print::attr_path(ast, path)).into_owned();
    Err(Box::new(SyntaxError { span, kind: SyntaxErrorKind::DuplicateAttr { path, previous } }))
}
