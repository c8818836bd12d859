//! Files: reading, parsing, importing, and the search path.

use std::os::unix::ffi::OsStrExt;

use crate::compile::{Surroundings, compile};
use crate::error::{Error, ErrorKind, Res};
use crate::heap::Gc;
use crate::host::{FileKind, MessageKind};
use crate::machine::{Import, Machine};
use crate::settings::SearchEntry;
use crate::source::{Loc, SourceName, SourceText, Typed};
use crate::symbol::Symbol;
use crate::syntax;
use crate::syntax::lint::Warning;
use crate::track::{self, Read};
use crate::value::{Attrs, Env, Value};
use crate::{builtins, coerce, diagnostic, paths};

const MAX_LINKS: usize = 1024;

/// Files that come with the program: `<nix/NAME>`.
const BUNDLED: &[(&str, &str)] = &[("fetchurl.nix", FETCHURL)];
const BUNDLED_ROOT: &str = "/__corepkgs__";

const FETCHURL: &str = "{ system ? \"\"
, url, hash ? \"\"
, md5 ? \"\", sha1 ? \"\", sha256 ? \"\", sha512 ? \"\"
, outputHash ? if hash != \"\" then hash else if sha512 != \"\" then sha512 else if sha1 != \"\" then sha1 else if md5 != \"\" then md5 else sha256
, outputHashAlgo ? if hash != \"\" then \"\" else if sha512 != \"\" then \"sha512\" else if sha1 != \"\" then \"sha1\" else if md5 != \"\" then \"md5\" else \"sha256\"
, executable ? false, unpack ? false
, name ? baseNameOf (toString url)
, impure ? false
}:
derivation ({
  builder = \"builtin:fetchurl\";
  outputHashMode = if unpack || executable then \"recursive\" else \"flat\";
  inherit name url executable unpack;
  system = \"builtin\";
  preferLocalBuild = true;
  impureEnvVars = [ \"http_proxy\" \"https_proxy\" \"ftp_proxy\" \"all_proxy\" \"no_proxy\" ];
  urls = [ url ];
} // (if impure then { __impure = true; } else { inherit outputHashAlgo outputHash; }))
";

impl Machine {
    /// The kind of what is at a path, if anything.
    pub(crate) fn kind(&mut self, path: &[u8], loc: Loc) -> Res<Option<FileKind>> {
        let kind = self.host.file_kind(&self.physical(path));
        self.note(path, Read::Kind, || track::kind_answer(&kind));
        kind.map_err(|e| Error::from(e).at(loc))
    }

    /// A file's content.
    pub(crate) fn read(&mut self, path: &[u8], loc: Loc) -> Res<Vec<u8>> {
        if self.kind(path, loc)?.is_none() {
            return Err(self.no_such_path(path, loc));
        }
        self.read_found(path, loc)
    }

    /// The content of a file that is there.
    fn read_found(&mut self, path: &[u8], loc: Loc) -> Res<Vec<u8>> {
        let bytes = self.host.read_file(&self.physical(path));
        self.note(path, Read::File, || track::file_answer(&bytes));
        bytes.map_err(|e| Error::from(e).at(loc))
    }

    /// A directory's entries.
    pub(crate) fn entries(&mut self, path: &[u8], loc: Loc) -> Res<Vec<(Vec<u8>, FileKind)>> {
        let entries = self.host.read_dir(&self.physical(path));
        self.note(path, Read::Directory, || track::directory_answer(&entries));
        entries.map_err(|e| Error::from(e).at(loc))
    }

    /// A path whose last component is no symbolic link.
    pub(crate) fn resolve_symlinks(&mut self, path: &[u8], loc: Loc) -> Res<Vec<u8>> {
        Ok(self.resolve(path, loc)?.0)
    }

    /// The same, and what is there.
    fn resolve(&mut self, path: &[u8], loc: Loc) -> Res<(Vec<u8>, Option<FileKind>)> {
        let mut path = path.to_vec();
        for _ in 0..MAX_LINKS {
            let kind = self.kind(&path, loc)?;
            if kind != Some(FileKind::Symlink) {
                return Ok((path, kind));
            }
            let target = self.host.read_link(&self.physical(&path));
            self.note(&path, Read::Link, || track::link_answer(&target));
            let target = target.map_err(|e| Error::from(e).at(loc))?;
            let target = target.as_os_str().as_bytes();
            path = if target.starts_with(b"/") {
                paths::normalise(target)
            } else {
                paths::normalise(&[paths::parent(&path), b"/", target].concat())
            };
        }
        let text = String::from_utf8_lossy(&path).into_owned();
        Err(Error::new(ErrorKind::Host, loc, format!("too many symbolic links at '{text}'")))
    }

    /// The file that an import of a path reads, which is there.
    fn import_target(&mut self, path: &[u8], loc: Loc) -> Res<Vec<u8>> {
        let (path, kind) = self.resolve(path, loc)?;
        let (path, kind) = match kind {
            Some(FileKind::Directory) => {
                self.resolve(&[&path, &b"/default.nix"[..]].concat(), loc)?
            }
            _ => (path, kind),
        };
        match kind {
            Some(_) => Ok(path),
            None => {
                self.check_allowed(&path, loc)?;
                Err(self.no_such_path(&path, loc))
            }
        }
    }

    /// Evaluates a file, once.
    pub(crate) fn import(&mut self, path: &[u8], loc: Loc) -> Res<Value> {
        let value = self.import_unforced(path, loc)?;
        self.force(value)
    }

    /// The value of a file, read and parsed once, computed when needed.
    pub(crate) fn import_unforced(&mut self, path: &[u8], loc: Loc) -> Res<Value> {
        if let Some(import) = self.imports.get(path).copied() {
            self.used(import.record);
            return Ok(import.value);
        }
        if let Some(name) =
            path.strip_prefix(BUNDLED_ROOT.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"))
        {
            let bundled = BUNDLED.iter().find(|(bundled, _)| bundled.as_bytes() == name);
            let Some((name, text)) = bundled else {
                return Err(self.no_such_path(path, loc));
            };
            let value = self.eval_builtin_text(name, text)?;
            self.imports.insert(path.to_vec(), Import { value, record: None });
            return Ok(value);
        }
        let stretch = self.begin_entry();
        let value = self.imported(path, loc);
        let record = self.end_import(stretch, path);
        let value = value?;
        self.imports.insert(path.to_vec(), Import { value, record });
        Ok(value)
    }

    /// The value of the file that a path leads to, unevaluated.
    fn imported(&mut self, path: &[u8], loc: Loc) -> Res<Value> {
        let target = self.import_target(path, loc)?;
        if let Some(import) = self.imports.get(&target).copied() {
            self.used(import.record);
            return Ok(import.value);
        }
        let stretch = self.begin_entry();
        let code = self.load(&target, None, loc);
        let record = self.end_import(stretch, &target);
        let value = self.suspend(code?);
        if target != path {
            self.imports.insert(target, Import { value, record });
        }
        Ok(value)
    }

    /// Evaluates a file with more names in scope.
    pub(crate) fn scoped_import(&mut self, scope: Gc<Attrs>, path: &[u8], loc: Loc) -> Res<Value> {
        let target = self.import_target(path, loc)?;
        let all = Attrs::all(scope, &mut self.heap);
        let env = Env::alloc(&mut self.heap, Some(self.root), all.len());
        for (attr, slot) in all.iter().zip(0..) {
            Env::slot(env, slot).set(attr.value.unread());
        }
        let names = all.iter().map(|attr| attr.name).collect();
        let code = self.load(&target, Some(names), loc)?;
        self.eval(code, env)
    }

    fn load(
        &mut self,
        path: &[u8],
        frame: Option<Vec<Symbol>>,
        loc: Loc,
    ) -> Res<Gc<crate::code::Code>> {
        self.check_allowed(path, loc)?;
        let text = self.read_found(path, loc)?;
        let base = paths::parent(path).to_vec();
        self.compile(SourceName::File(coerce::os_path(path)), text, &base, frame)
    }

    /// Parses and compiles a text.
    pub(crate) fn compile(
        &mut self,
        name: SourceName,
        text: Vec<u8>,
        base: &[u8],
        frame: Option<Vec<Symbol>>,
    ) -> Res<Gc<crate::code::Code>> {
        self.check_stack(Loc::NONE)?;
        let file_value = match &name {
            SourceName::File(path) => Some(path.as_os_str().as_bytes().to_vec()),
            _ => None,
        };
        let file_value = file_value.map(|path| self.string(&path));
        let Some(file) = self.sources.add(name, text) else {
            return Err(Error::eval(Loc::NONE, "more than 4 GiB of expressions"));
        };
        let home = if self.settings.pure { None } else { self.host.env_var("HOME") };
        self.note_variable("HOME", home.as_deref());
        let start = self.sources.loc(syntax::ast::Pos { file, offset: 0 });
        self.enter_reading(start);
        let code = self.parse(file, start).and_then(|ast| {
            let around = Surroundings {
                globals: &self.globals,
                frame,
                base,
                home,
                start,
                text: &self.sources.text(file).text,
                file: file_value,
                stack_limit: self.heap.stack_limit(),
            };
            compile(&ast, &mut self.heap, &mut self.tables, &around)
        });
        self.leave();
        code
    }

    fn parse(&self, file: syntax::ast::FileId, start: Loc) -> Res<syntax::ast::Ast> {
        let SourceText { name, text, .. } = self.sources.text(file);
        let parse = match name {
            SourceName::Input(_, Typed::Bindings) => syntax::input::parse_bindings,
            _ => syntax::parse,
        };
        let ast = parse(file, text, self.settings.features).map_err(|error| {
            let locate = |span: syntax::ast::Span| self.show_loc(Loc(start.0 + span.start));
            let at = Loc(start.0 + error.span.start);
            let hint = encoding_hint(text).unwrap_or_default();
            Error::new(ErrorKind::Syntax, at, error.message(locate)).hint(hint)
        })?;
        for warning in ast.warnings() {
            self.warn_of_syntax(warning, start, text);
        }
        Ok(ast)
    }

    fn warn_of_syntax(&self, warning: &Warning, start: Loc, text: &[u8]) {
        let at = |span: syntax::ast::Span| Loc(start.0 + span.start);
        let message = match warning {
            Warning::Literal(lint, span) => {
                let place = self.sources.resolve(at(*span));
                diagnostic::warning(&lint.to_string(), place.as_ref(), &self.sources)
            }
            Warning::CursedOr(span) => {
                let place = self.show_loc(at(*span));
                let mut message = format!("at {place}: This expression uses `or` as an identifier in a way that will change in a future Nix release.\nWrap this entire expression in parentheses to preserve its current meaning:\n    (").into_bytes();
                message.extend_from_slice(&text[span.start as usize..span.end as usize]);
                message.extend_from_slice(
                    b")\nGive feedback at https://github.com/NixOS/nix/pull/11121",
                );
                message
            }
        };
        self.host.message(MessageKind::Notice, &message);
    }

    /// A top-level expression's value, computed when needed.
    pub(crate) fn suspend(&mut self, code: Gc<crate::code::Code>) -> Value {
        self.tables.lazies.push(code);
        let id = self.tables.lazies.len() as u32 - 1;
        let lazy = crate::code::Lazy { code, id };
        self.delay(&lazy, self.root)
    }

    /// Evaluates an expression that is part of the program.
    pub(crate) fn eval_builtin_text(&mut self, name: &'static str, text: &str) -> Res<Value> {
        let code = self.compile(SourceName::Builtin(name), text.as_bytes().to_vec(), b"/", None)?;
        self.eval(code, self.root)
    }

    /// `<name>` with the evaluation's own search path.
    pub(crate) fn find_in_nix_path(&mut self, name: &[u8], loc: Loc) -> Res<Value> {
        let entries: Vec<_> = if self.settings.pure {
            Vec::new()
        } else {
            let entry = |entry: &SearchEntry| {
                (entry.prefix.clone(), entry.path.as_os_str().as_bytes().to_vec())
            };
            self.settings.nix_path.iter().map(entry).collect()
        };
        self.find_file(&entries, name, loc)
    }

    /// Where an entry of a search path lies, if it is there; an archive is fetched.
    fn search_entry(&mut self, entry: &[u8], loc: Loc) -> Res<Option<Vec<u8>>> {
        if let Some(url) = std::str::from_utf8(entry).ok().filter(|text| SearchEntry::is_url(text))
        {
            return builtins::fetch::tarball(self, url, loc).map(Some);
        }
        let path = paths::normalise(entry);
        let allowed = self.check_allowed(&path, loc).is_ok();
        if allowed && self.kind(&path, loc)?.is_some() {
            return Ok(Some(path));
        }
        if allowed && self.missing_entries.insert(path.clone()) {
            let shown = String::from_utf8_lossy(entry);
            let text = format!("Nix search path entry '{shown}' does not exist, ignoring");
            self.host.message(MessageKind::Notice, text.as_bytes());
        }
        Ok(None)
    }

    /// Looks a name up in a search path.
    pub(crate) fn find_file(
        &mut self,
        entries: &[(String, Vec<u8>)],
        name: &[u8],
        loc: Loc,
    ) -> Res<Value> {
        for (prefix, path) in entries {
            let rest = if prefix.is_empty() {
                name
            } else {
                match name.strip_prefix(prefix.as_bytes()) {
                    Some([]) => b"",
                    Some([b'/', rest @ ..]) => rest,
                    _ => continue,
                }
            };
            let Some(path) = self.search_entry(path, loc)? else { continue };
            // No `..` of the name leads out of the entry.
            let rest = paths::normalise(&[&b"/"[..], rest].concat());
            let candidate = paths::normalise(&[&path[..], &rest].concat());
            if self.check_allowed(&candidate, loc).is_ok() && self.kind(&candidate, loc)?.is_some()
            {
                return Ok(self.path(&candidate));
            }
        }
        if let Some(rest) = name.strip_prefix(b"nix/")
            && BUNDLED.iter().any(|(bundled, _)| bundled.as_bytes() == rest)
        {
            return Ok(self.path(&[BUNDLED_ROOT.as_bytes(), b"/", rest].concat()));
        }
        let text = String::from_utf8_lossy(name).into_owned();
        if !self.settings.pure
            && let Some(path) = self.host.search_path(&text).map_err(|e| Error::from(e).at(loc))?
        {
            return Ok(self.path(path.as_os_str().as_bytes()));
        }
        let message = if self.settings.pure {
            format!(
                "cannot look up '<{text}>' in pure evaluation mode (use '--impure' to override)"
            )
        } else {
            format!(
                "file '{text}' was not found in the Nix search path (add it using $NIX_PATH or -I)"
            )
        };
        Err(Error::new(ErrorKind::Throw, loc, message))
    }
}

/// What is wrong with a text that was not saved as plain UTF-8.
#[cold]
fn encoding_hint(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => {
            Some("the file begins with a byte order mark; save it as UTF-8 without one")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("the file is in UTF-16; save it as UTF-8"),
        _ => None,
    }
}
