//! Values as strings and paths: interpolation, `toString`, copying to the store, and the one
//! accessor that turns symbolic strings into real bytes ([`Machine::text`]).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use floe_core::ca::Method;

use crate::code::{Pair, PartCode};
use crate::context::{Ctx, CtxElem};
use crate::error::{Error, ErrorKind, Res};
use crate::graph::{GraphError, Segment, SymStr};
use crate::heap::Gc;
use crate::host::{HostError, Origin, Source};
use crate::machine::Machine;
use crate::ops::check_length;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::text::float;
use crate::value::{Attrs, Env, Str, Value};
use crate::{marker, paths};

/// How to coerce.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coerce {
    /// Also null, Booleans, numbers and lists.
    pub(crate) more: bool,
    /// Paths become store paths.
    pub(crate) copy: bool,
}

impl Coerce {
    pub(crate) const INTERPOLATE: Coerce = Coerce { more: false, copy: true };
    pub(crate) const PLAIN: Coerce = Coerce { more: false, copy: false };
    pub(crate) const TO_STRING: Coerce = Coerce { more: true, copy: false };
    pub(crate) const ENV: Coerce = Coerce { more: true, copy: true };
}

/// The frame of a part of a string or path that is none.
const SEGMENT: &str = "while evaluating a path segment";

/// Where C++ Nix sees the calls that coercing makes: a builtin that coerces its arguments is nowhere.
fn call_place(loc: Loc, what: &str) -> Loc {
    if what == SEGMENT { loc } else { Loc::NONE }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Error {
        if let HostError::Interrupted = error {
            return Error::new(ErrorKind::Interrupted, Loc::NONE, error.to_string());
        }
        if let HostError::Io { action, path, source } = &error {
            use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
            let path = path.display();
            let message = match (*action, source.kind()) {
                (_, NotFound) => Some(format!("path '{path}' does not exist")),
                ("reading directory", NotADirectory) => {
                    Some(format!("cannot read directory \"{path}\": Not a directory"))
                }
                ("reading file", IsADirectory) => Some(format!("'{path}' is a directory")),
                _ => None,
            };
            if let Some(message) = message {
                return Error::new(ErrorKind::Host, Loc::NONE, message);
            }
        }
        Error::new(ErrorKind::Host, Loc::NONE, error.to_string())
    }
}

impl From<GraphError> for Error {
    fn from(error: GraphError) -> Error {
        Error::new(ErrorKind::Host, Loc::NONE, error.to_string())
    }
}

impl Machine {
    /// The real bytes of a string: whatever observes bytes goes through here.
    pub(crate) fn text(&mut self, text: Gc<Str>) -> Res<&'static [u8]> {
        let bytes = Str::bytes(text);
        if text.ctx.is_empty() || memchr::memchr(0, bytes).is_none() {
            return Ok(bytes);
        }
        let real = self.real_bytes(bytes)?;
        Ok(self.heap.alloc_slice(real.into_iter()))
    }

    /// Bytes with every token replaced by the path it stands for.
    pub(crate) fn real_bytes(&mut self, bytes: &[u8]) -> Res<Vec<u8>> {
        if memchr::memchr(0, bytes).is_none() {
            return Ok(bytes.to_vec());
        }
        let mut out = Vec::with_capacity(bytes.len());
        for segment in self.segment_list(bytes) {
            if let Segment::Output(id, _) | Segment::DrvPath(id) = segment {
                self.note_bytes(id)?;
                self.graph.observe(id);
            }
            self.graph.segment_text(&segment, &mut out)?;
        }
        Ok(out)
    }

    /// Bytes as a symbolic string.
    pub(crate) fn segments(&self, bytes: &[u8]) -> SymStr {
        SymStr(self.segment_list(bytes).into())
    }

    pub(crate) fn segment_list(&self, bytes: &[u8]) -> Vec<Segment> {
        let mut segments = Vec::new();
        let mut from = 0;
        let name_len = |segment: &Segment| self.graph.name_len(segment);
        while let Some(token) = marker::next(bytes, from, &name_len) {
            if token.start > from {
                segments.push(Segment::Text(bytes[from..token.start].into()));
            }
            from = token.end;
            segments.push(token.segment);
        }
        if from < bytes.len() {
            segments.push(Segment::Text(bytes[from..].into()));
        }
        segments
    }

    /// Where tokens lie in a string: (start, end).
    pub(crate) fn token_ranges(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut ranges = Vec::new();
        let mut from = 0;
        let name_len = |segment: &Segment| self.graph.name_len(segment);
        while let Some(token) = marker::next(bytes, from, &name_len) {
            ranges.push((token.start, token.end));
            from = token.end;
        }
        ranges
    }

    /// Notes that the bytes of what a context element names count.
    pub(crate) fn note_elem(&mut self, elem: CtxElem) -> Res<()> {
        match elem {
            CtxElem::DrvFile(id) | CtxElem::DrvDeep(id) | CtxElem::Output(id, _) => {
                self.note_bytes(id)
            }
            CtxElem::Source(_) | CtxElem::Path(_) => Ok(()),
        }
    }

    /// A context element as C++ Nix shows it.
    pub(crate) fn show_elem(&mut self, elem: CtxElem) -> Res<String> {
        self.note_elem(elem)?;
        Ok(match elem {
            CtxElem::Source(id) => self.graph.source_path(id)?.as_str().to_owned(),
            CtxElem::Path(id) => self.contexts.path(id).as_str().to_owned(),
            CtxElem::DrvFile(id) => self.graph.drv_path(id)?.as_str().to_owned(),
            CtxElem::DrvDeep(id) => format!("={}", self.graph.drv_path(id)?),
            CtxElem::Output(id, output) => {
                let name = self.graph.node(id).outputs[output as usize].name.clone();
                match self.graph.node(id).made_by {
                    None => format!("!{name}!{}", self.graph.drv_path(id)?),
                    Some(made) => {
                        let below = self.show_elem(CtxElem::Output(made.drv, made.output))?;
                        format!("!{name}{below}")
                    }
                }
            }
        })
    }

    /// Appends a value's text. `what` is the frame of an error when the value has none; errors of
    /// computing the value do not get it.
    pub(crate) fn coerce(
        &mut self,
        value: Value,
        mode: Coerce,
        (loc, what): (Loc, &str),
        out: &mut Vec<u8>,
        ctx: &mut Ctx,
    ) -> Res<()> {
        let value = self.force(value).map_err(|error| error.looped_at(loc))?;
        match value {
            Value::Str(text) => {
                let bytes = Str::bytes(text);
                check_length(out.len() + bytes.len(), loc)?;
                *ctx = self.contexts.union(*ctx, text.ctx);
                out.extend_from_slice(bytes);
            }
            Value::Path(path) => {
                if mode.copy {
                    self.coerce_source(path, loc, out, ctx)?;
                } else {
                    check_length(out.len() + Str::bytes(path).len(), loc)?;
                    out.extend_from_slice(Str::bytes(path));
                }
            }
            Value::Attrs(attrs) => {
                self.check_stack(loc)?;
                if let Some(to_string) = Attrs::find(attrs, Symbol::TO_STRING) {
                    let place = call_place(loc, what);
                    let func = self.force_place_at(&to_string.value, place)?;
                    let text = self.call(func, &[value], place)?;
                    let what = "while evaluating the result of the `__toString` attribute";
                    return self.coerce(text, mode, (loc, what), out, ctx);
                }
                let Some(path) = Attrs::find(attrs, Symbol::OUT_PATH) else {
                    return Err(self.cannot_coerce(value).frame(loc, what));
                };
                let path = self.force_place_at(&path.value, call_place(loc, what))?;
                return self.coerce(path, mode, (loc, what), out, ctx);
            }
            Value::Bool(true) if mode.more => out.push(b'1'),
            Value::Bool(false) | Value::Null if mode.more => {}
            Value::Int(n) if mode.more => out.extend_from_slice(n.to_string().as_bytes()),
            Value::Float(x) if mode.more => out.extend_from_slice(float::fixed(x).as_bytes()),
            Value::List(list) if mode.more => {
                self.check_stack(loc)?;
                // A context for each step on the way would be quadratic in the list's length.
                let mut parts = Vec::new();
                for (index, item) in list.places().iter().enumerate() {
                    let item = self.force_place(item).map_err(|error| error.frame(loc, what))?;
                    let element = (loc, "while evaluating one element of the list");
                    let mut own = Ctx::EMPTY;
                    self.nested(loc, |machine| machine.coerce(item, mode, element, out, &mut own))
                        .map_err(|error| error.frame(loc, what))?;
                    own.add_to(&mut parts);
                    let empty = matches!(item, Value::List(list) if list.len() == 0);
                    if index + 1 < list.len() && !empty {
                        out.push(b' ');
                    }
                }
                ctx.add_to(&mut parts);
                *ctx = self.contexts.union_all(&parts);
            }
            other => return Err(self.cannot_coerce(other).frame(loc, what)),
        }
        Ok(())
    }

    #[cold]
    fn cannot_coerce(&mut self, value: Value) -> Error {
        let shown = self.show_error(value);
        let message = format!("cannot coerce {} to a string: {shown}", self.type_phrase(value));
        Error::typed(Loc::NONE, message)
    }

    /// A value's text with its context; `at` as for [`Machine::coerce`].
    pub(crate) fn coerced(
        &mut self,
        value: Value,
        mode: Coerce,
        at: (Loc, &str),
    ) -> Res<(Vec<u8>, Ctx)> {
        let mut out = Vec::new();
        let mut ctx = Ctx::EMPTY;
        self.coerce(value, mode, at, &mut out, &mut ctx)?;
        Ok((out, ctx))
    }

    /// The source for a path, which must exist.
    pub(crate) fn copy_to_store(&mut self, path: &[u8], loc: Loc) -> Res<crate::graph::SourceId> {
        if let Some(&(id, record)) = self.copied.get(path) {
            self.used(record);
            return Ok(id);
        }
        let stretch = self.begin_entry();
        let id = self.copied_source(path, loc);
        let record = self.end_copy(stretch, path);
        let id = id?;
        self.copied.insert(path.to_vec(), (id, record));
        Ok(id)
    }

    fn copied_source(&mut self, path: &[u8], loc: Loc) -> Res<crate::graph::SourceId> {
        if path.ends_with(b".drv") && path.starts_with(b"/nix/store/") {
            let text = String::from_utf8_lossy(path);
            return Err(Error::eval(
                loc,
                format!("file names are not allowed to end in '.drv' ('{text}')"),
            ));
        }
        let file = os_path(path);
        self.check_allowed(path, loc)?;
        if self.kind(path, loc)?.is_none() {
            return Err(self.no_such_path(path, loc));
        }
        let name = String::from_utf8_lossy(paths::base_name(path)).into_owned();
        floe_core::path::check_name(&name).map_err(|error| Error::eval(loc, error.to_string()))?;
        let source =
            Source { name, origin: Origin::Tree(file), method: Method::Nar, expected: None };
        let id = self.graph.add_source(&source);
        self.note_source(id);
        Ok(id)
    }

    #[cold]
    pub(crate) fn no_such_path(&mut self, path: &[u8], loc: Loc) -> Error {
        Error::new(
            ErrorKind::Host,
            loc,
            format!("path '{}' does not exist", String::from_utf8_lossy(path)),
        )
    }

    fn coerce_source(
        &mut self,
        path: Gc<Str>,
        loc: Loc,
        out: &mut Vec<u8>,
        ctx: &mut Ctx,
    ) -> Res<()> {
        let id = self.copy_to_store(Str::bytes(path), loc)?;
        let own = self.contexts.intern(vec![CtxElem::Source(id)]);
        *ctx = self.contexts.union(*ctx, own);
        out.extend_from_slice(&marker::source(id, &self.graph.source_name(id)));
        Ok(())
    }

    pub(crate) fn interpolate(
        &mut self,
        parts: &'static [PartCode],
        env: Gc<Env>,
        whole: Loc,
    ) -> Res<Value> {
        let mut out = self.room();
        let mut ctx = Ctx::EMPTY;
        for part in parts {
            match *part {
                PartCode::Text(text) => out.extend_from_slice(text),
                PartCode::Expr(code, loc) => match self.operand_value(code, env)? {
                    Value::Str(text) => {
                        ctx = self.contexts.union(ctx, text.ctx);
                        out.extend_from_slice(Str::bytes(text));
                    }
                    other => {
                        let at = (loc, SEGMENT);
                        self.coerce(other, Coerce::INTERPOLATE, at, &mut out, &mut ctx)?;
                    }
                },
            }
        }
        check_length(out.len(), whole)?;
        Ok(self.string_from(out, ctx))
    }

    pub(crate) fn interpolate_path(
        &mut self,
        parts: &'static [PartCode],
        env: Gc<Env>,
        loc: Loc,
    ) -> Res<Value> {
        let mut out = Vec::new();
        let mut ctx = Ctx::EMPTY;
        for part in parts {
            match *part {
                PartCode::Text(text) => out.extend_from_slice(text),
                PartCode::Expr(code, at) => {
                    let value = self.eval(code, env)?;
                    self.coerce(value, Coerce::PLAIN, (at, SEGMENT), &mut out, &mut ctx)?;
                }
            }
        }
        self.path_from(&out, ctx, loc)
    }

    fn path_from(&mut self, bytes: &[u8], ctx: Ctx, loc: Loc) -> Res<Value> {
        if !ctx.is_empty() {
            return Err(Error::eval(
                loc,
                "a string that refers to a store path cannot be appended to a path",
            ));
        }
        Ok(self.path(bytes))
    }

    /// A path value.
    pub(crate) fn path(&mut self, bytes: &[u8]) -> Value {
        Value::Path(Str::alloc(&mut self.heap, &paths::normalise(bytes), Ctx::EMPTY))
    }

    pub(crate) fn add_to_path(&mut self, left: Value, right: Value, pair: &Pair) -> Res<Value> {
        let mut out = Vec::new();
        let mut ctx = Ctx::EMPTY;
        self.coerce(left, Coerce::PLAIN, (pair.left_loc, SEGMENT), &mut out, &mut ctx)?;
        self.coerce(right, Coerce::PLAIN, (pair.right_loc, SEGMENT), &mut out, &mut ctx)?;
        self.path_from(&out, ctx, pair.loc)
    }

    /// Why nothing can be added to a value, if so: that is found before what is to be added is looked at.
    #[cold]
    pub(crate) fn cannot_begin_sum(&mut self, left: Value, pair: &Pair) -> Option<Error> {
        if let Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Path(_) = left {
            return None;
        }
        let (mut out, mut ctx) = (Vec::new(), Ctx::EMPTY);
        self.coerce(left, Coerce::PLAIN, (pair.left_loc, SEGMENT), &mut out, &mut ctx).err()
    }

    pub(crate) fn add_strings(&mut self, left: Value, right: Value, pair: &Pair) -> Res<Value> {
        let mode = if matches!(left, Value::Str(_)) { Coerce::INTERPOLATE } else { Coerce::PLAIN };
        let mut out = self.room();
        let mut ctx = Ctx::EMPTY;
        self.coerce(left, mode, (pair.left_loc, SEGMENT), &mut out, &mut ctx)?;
        self.coerce(right, mode, (pair.right_loc, SEGMENT), &mut out, &mut ctx)?;
        check_length(out.len(), pair.loc)?;
        Ok(self.string_from(out, ctx))
    }

    /// A value as the text of an absolute path, with its context.
    pub(crate) fn coerced_path(
        &mut self,
        value: Value,
        (loc, what): (Loc, &str),
    ) -> Res<(Vec<u8>, Ctx)> {
        let value = self.force(value).map_err(|error| error.frame(loc, what))?;
        match value {
            Value::Path(path) => return Ok((Str::bytes(path).to_vec(), Ctx::EMPTY)),
            Value::Attrs(attrs) => {
                if let Some(to_string) = Attrs::find(attrs, Symbol::TO_STRING) {
                    self.check_stack(loc)?;
                    let func = self.force_place(&to_string.value)?;
                    let text = self.call(func, &[value], Loc::NONE)?;
                    return self.coerced_path(text, (loc, what));
                }
            }
            _ => {}
        }
        let (bytes, ctx) = self.coerced(value, Coerce::PLAIN, (loc, what))?;
        let bytes = if ctx.is_empty() { bytes } else { self.real_bytes(&bytes)? };
        if bytes.first() != Some(&b'/') {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let message = format!("string '{text}' doesn't represent an absolute path");
            return Err(Error::eval(Loc::NONE, message).frame(loc, what));
        }
        Ok((bytes, ctx))
    }

    /// Where a path's bytes can be read.
    pub(crate) fn physical(&self, path: &[u8]) -> PathBuf {
        let path = os_path(path);
        if path.starts_with(floe_core::path::STORE_DIR) { self.host.physical(&path) } else { path }
    }

    /// Fails for paths that restricted evaluation forbids.
    pub(crate) fn check_allowed(&self, path: &[u8], loc: Loc) -> Res<()> {
        let Some(allowed) = &self.settings.restrict else {
            return Ok(());
        };
        let path = os_path(path);
        let inside = |root: &Path| path.starts_with(root) || root.starts_with(&path);
        if path.starts_with(floe_core::path::STORE_DIR) || allowed.iter().any(|root| inside(root)) {
            return Ok(());
        }
        let text = path.display();
        Err(Error::new(
            ErrorKind::Restricted,
            loc,
            format!("access to absolute path '{text}' is forbidden in restricted mode"),
        ))
    }
}

/// Bytes as a path of this system.
pub(crate) fn os_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
