//! What is known of a value beside its content: where it is defined, and what its author or the
//! manual says of it. Doc comments are those of RFC 145: `/** ... */` before a function, or before
//! the attribute or variable that is bound to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::builtins::manual;
use crate::code::LambdaCode;
use crate::error::Res;
use crate::graph::SourcePos;
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Str, Value};

/// What is known of a function, a builtin or an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documentation {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Whether it is a builtin.
    pub builtin: bool,
    /// What it can be called with: names, or patterns in braces.
    pub arguments: Vec<String>,
    /// Where it is defined.
    pub place: Option<SourcePos>,
    /// What is said of it, in Markdown.
    pub text: Option<String>,
}

/// Functors may give functors; further than this it cannot be meant.
const MAX_FUNCTORS: usize = 16;

impl Machine {
    /// What is known of a function or builtin.
    pub(crate) fn documentation(&mut self, value: Value) -> Res<Option<Documentation>> {
        let mut value = self.force(value)?;
        for _ in 0..MAX_FUNCTORS {
            match value {
                Value::Lambda(lambda) => {
                    let code = self.tables.lambdas[lambda.code as usize].get();
                    return Ok(Some(self.function_documentation(code)));
                }
                Value::Prim(prim) => return Ok(Some(self.page(prim))),
                Value::PrimApp(app) => return Ok(Some(self.page(app.prim))),
                Value::Attrs(attrs) => {
                    let Some(functor) = Attrs::find(attrs, Symbol::FUNCTOR) else {
                        return Ok(None);
                    };
                    value = self.force_place(&functor.value)?;
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn page(&self, prim: u16) -> Documentation {
        let name = self.prims[prim as usize].name;
        let page = manual::look_up(name).expect("every builtin has a page");
        Documentation {
            name: Some(name.to_owned()),
            builtin: true,
            arguments: page.arguments.iter().map(|&argument| argument.to_owned()).collect(),
            place: None,
            text: Some(page.text.to_owned()),
        }
    }

    fn function_documentation(&self, code: &'static LambdaCode) -> Documentation {
        let mut arguments = vec![argument(code)];
        let mut inner = code.inner;
        while let Some(code) = inner {
            arguments.push(argument(code.get()));
            inner = code.inner;
        }
        Documentation {
            name: code.name.map(|name| name.to_string()),
            builtin: false,
            arguments,
            place: self.sources.resolve(code.loc),
            text: self.comment_at(code.loc),
        }
    }

    /// Where an attribute is defined, and the comment before it.
    pub(crate) fn attribute_documentation(
        &mut self,
        set: Value,
        name: &str,
    ) -> Res<Option<Documentation>> {
        let Some(loc) = self.attribute_loc(set, name)? else { return Ok(None) };
        Ok(Some(Documentation {
            name: Some(name.to_owned()),
            builtin: false,
            arguments: Vec::new(),
            place: self.sources.resolve(loc),
            text: self.comment_at(loc),
        }))
    }

    fn comment_at(&self, loc: Loc) -> Option<String> {
        let (source, offset) = self.sources.find(loc)?;
        comment_before(source.text.get(..offset)?)
    }

    /// The file and line to look at for a value.
    pub(crate) fn place(&mut self, value: Value) -> Res<Option<(PathBuf, Option<u32>)>> {
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        Ok(match self.force(value)? {
            Value::Path(text) => Some((path(Str::bytes(text)), None)),
            Value::Str(text) => {
                let text = self.text(text)?;
                text.starts_with(b"/").then(|| (path(text), None))
            }
            Value::Attrs(attrs) => match self.package_place(attrs)? {
                Some(place) => Some(place),
                None => {
                    let Some(functor) = Attrs::find(attrs, Symbol::FUNCTOR) else {
                        return Ok(None);
                    };
                    let functor = self.force_place(&functor.value)?;
                    self.lambda_place(functor)
                }
            },
            function => self.lambda_place(function),
        })
    }

    fn lambda_place(&self, value: Value) -> Option<(PathBuf, Option<u32>)> {
        let Value::Lambda(lambda) = value else { return None };
        let loc = self.tables.lambdas[lambda.code as usize].loc;
        let pos = self.sources.resolve(loc)?;
        Some((pos.file, Some(pos.line)))
    }

    /// What a package says of its place: `meta.position = "file:line"`.
    fn package_place(
        &mut self,
        attrs: crate::heap::Gc<Attrs>,
    ) -> Res<Option<(PathBuf, Option<u32>)>> {
        let Some(meta) = Attrs::find(attrs, Symbol::META) else { return Ok(None) };
        let Value::Attrs(meta) = self.force_place(&meta.value)? else { return Ok(None) };
        let Some(position) = Attrs::find(meta, Symbol::intern("position")) else { return Ok(None) };
        let Value::Str(text) = self.force_place(&position.value)? else { return Ok(None) };
        let text = String::from_utf8_lossy(self.text(text)?).into_owned();
        Ok(Some(match text.rsplit_once(':') {
            Some((file, line)) => (PathBuf::from(file), line.parse().ok()),
            None => (PathBuf::from(text), None),
        }))
    }
}

/// An argument as it is written: a name, or a set pattern.
fn argument(code: &LambdaCode) -> String {
    let Some(formals) = &code.formals else {
        return code.param.map_or_else(|| "_".to_owned(), |name| name.to_string());
    };
    let mut names: Vec<String> = Vec::with_capacity(formals.list.len() + 1);
    for &index in formals.source_order {
        let formal = &formals.list[index as usize];
        let mark = if formal.default.is_some() { " ? …" } else { "" };
        names.push(format!("{}{mark}", formal.name));
    }
    names.extend(formals.ellipsis.then(|| "...".to_owned()));
    let pattern = format!("{{ {} }}", names.join(", "));
    match formals.at_name {
        Some(name) => format!("{name}@{pattern}"),
        None => pattern,
    }
}

/// The doc comment that a text ends with, before the name that is bound, if there is one: `text`
/// ends where a function or an attribute begins.
fn comment_before(text: &[u8]) -> Option<String> {
    let before = text.trim_ascii_end();
    let before = before.strip_suffix(b"(").map_or(before, <[u8]>::trim_ascii_end);
    if let Some(comment) = closing_comment(before) {
        return Some(comment);
    }
    let bound = before.strip_suffix(b"=")?.trim_ascii_end();
    let mut quoted = false;
    let mut in_path = |byte: &u8| {
        quoted ^= *byte == b'"';
        quoted || byte.is_ascii_alphanumeric() || b"_-'.\"".contains(byte)
    };
    let name = bound.iter().rev().take_while(|byte| in_path(byte)).count();
    closing_comment(bound[..bound.len() - name].trim_ascii_end())
}

/// The inner text of the doc comment that a text ends with.
fn closing_comment(text: &[u8]) -> Option<String> {
    let body = text.strip_suffix(b"*/")?;
    let start = memchr::memmem::rfind(body, b"/*")?;
    let inner = body[start..].strip_prefix(b"/**")?;
    let inner = String::from_utf8_lossy(inner).into_owned();
    let mut lines = inner.lines();
    let first = lines.next().unwrap_or_default().trim();
    let rest: Vec<&str> = lines.collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = rest.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let mut shown = vec![first];
    shown.extend(rest.iter().map(|line| line.get(common..).unwrap_or_default().trim_end()));
    let shown = shown.join("\n");
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let at = text.find('@').expect("where the function begins");
        assert_eq!(comment_before(&text.as_bytes()[..at]).as_deref(), expected, "{text}");
    }

    #[test]
    fn comments_belong_to_what_follows() {
        check("/** Adds. */ @x: x", Some("Adds."));
        check("{ /** Adds. */ a.\"b c\" = @x: x; }", Some("Adds."));
        check("{\n  /**\n    Adds.\n      More.\n  */\n  add = @x: x; }", Some("Adds.\n  More."));
        check("{ /** Of y. */ y = 1; x = @x: x; }", None);
        check("{ /* Plain. */ x = @x: x; }", None);
        check("/** Adds. */ (@x: x)", Some("Adds."));
        check("{ /** Adds. */ @x = 1; }", Some("Adds."));
        check("@x: x", None);
        check("/***/ @x: x", None);
    }
}
