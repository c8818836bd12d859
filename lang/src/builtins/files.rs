//! Builtins that read files or put them into the store.

use std::path::PathBuf;

use floe_core::ca::Method;
use floe_core::hash::{Hash, HashAlgo};

use super::Prim;
use crate::coerce::os_path;
use crate::context::{Ctx, CtxElem};
use crate::error::{Error, Res};
use crate::graph::DrvId;
use crate::host::{FileKind, Origin, Source};
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Str, Value};
use crate::{marker, paths};

const REALISING: &str = "while realising the context of a path";

fn path_arg(machine: &mut Machine, value: Value, loc: Loc) -> Res<Vec<u8>> {
    let path = machine.as_path(value, loc, REALISING)?;
    machine.check_allowed(&path, loc)?;
    Ok(path)
}

fn import(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let path = path_arg(machine, args[0], loc)?;
    if let Some(id) = machine.derivation_at(&path) {
        return imported_derivation(machine, id, loc);
    }
    let value = machine.import_unforced(&path, loc)?;
    machine.force(value).map_err(|error| {
        let path = String::from_utf8_lossy(&path);
        error.frame(Loc::NONE, format!("while evaluating the file '{path}':"))
    })
}

/// What a derivation's file means when it is imported: a package again.
const IMPORTED: &str = r#"made:
let
  each = output: {
    name = output;
    value = common // { outPath = made.${output}; outputName = output; };
  };
  list = map each made.outputs;
  common = builtins.listToAttrs list // {
    all = map (entry: entry.value) list;
    inherit (made) drvPath name;
    type = "derivation";
  };
in (builtins.head list).value
"#;

fn imported_derivation(machine: &mut Machine, id: DrvId, loc: Loc) -> Res<Value> {
    let graph = machine.graph.clone();
    let node = graph.node(id);
    let mut attrs = machine.derivation_attrs(id);
    let name = machine.string(node.name.as_bytes());
    attrs.push((Symbol::NAME, name));
    let names: Vec<Value> =
        node.outputs.iter().map(|output| machine.string(output.name.as_str().as_bytes())).collect();
    let names = machine.list(names.into_iter());
    attrs.push((Symbol::OUTPUTS, names));
    let made = machine.attrs(attrs);
    let function = machine.eval_builtin_text("imported-drv-to-derivation.nix", IMPORTED)?;
    machine.call(function, &[made], loc)
}

fn scoped_import(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let path = path_arg(machine, args[1], loc)?;
    let what = "while evaluating the first argument passed to builtins.scopedImport";
    let scope = machine.set_for(args[0], loc, what)?;
    machine.scoped_import(scope, &path, loc)
}

fn path_exists(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let value = machine.force(args[0])?;
    let wants_dir = matches!(value, Value::Str(text) if {
        let bytes = Str::bytes(text);
        bytes.ends_with(b"/") || bytes.ends_with(b"/.")
    });
    let path = machine.as_path(value, loc, REALISING)?;
    if machine.check_allowed(&path, loc).is_err() {
        return Ok(Value::Bool(false));
    }
    if wants_dir {
        let Ok(real) = machine.resolve_symlinks(&path, loc) else {
            return Ok(Value::Bool(false));
        };
        return Ok(Value::Bool(matches!(machine.kind(&real, loc), Ok(Some(FileKind::Directory)))));
    }
    Ok(Value::Bool(matches!(machine.kind(&path, loc), Ok(Some(_)))))
}

fn read_file(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let path = path_arg(machine, args[0], loc)?;
    let bytes = machine.read(&path, loc)?;
    if bytes.contains(&0) {
        let message = format!(
            "the contents of the file '{}' cannot be represented as a Nix string",
            String::from_utf8_lossy(&path)
        );
        return Err(Error::eval(loc, message));
    }
    let mut ctx = Ctx::EMPTY;
    if path.starts_with(b"/nix/store/") {
        ctx = machine.references_in(&bytes, &path, loc)?;
    }
    Ok(machine.string_with(&bytes, ctx))
}

fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "regular",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Unknown => "unknown",
    }
}

fn read_dir(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let path = path_arg(machine, args[0], loc)?;
    if let Some(known) = machine.listings.get(&path) {
        return Ok(*known);
    }
    let real = machine.resolve_symlinks(&path, loc)?;
    let entries = machine.entries(&real, loc)?;
    let mut kinds: Vec<(FileKind, Value)> = Vec::new();
    let mut attrs = Vec::with_capacity(entries.len());
    for (name, kind) in entries {
        let value = match kinds.iter().find(|(known, _)| *known == kind) {
            Some((_, value)) => *value,
            None => {
                let value = machine.string(kind_name(kind).as_bytes());
                kinds.push((kind, value));
                value
            }
        };
        attrs.push((Symbol::intern(&name), value));
    }
    let listing = machine.attrs(attrs);
    // Where it is kept what values rest on, each reader is to be noted.
    if machine.tracking.is_none() {
        machine.listings.insert(path, listing);
    }
    Ok(listing)
}

fn read_file_type(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let path = path_arg(machine, args[0], loc)?;
    match machine.kind(&path, loc)? {
        Some(kind) => Ok(machine.string(kind_name(kind).as_bytes())),
        None => Err(machine.no_such_path(&path, loc)),
    }
}

fn hash_file(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let algo = super::strings::algorithm(
        machine,
        args[0],
        (loc, "while evaluating the first argument passed to builtins.hashFile"),
    )?;
    let path = path_arg(machine, args[1], loc)?;
    let bytes = machine.read(&path, loc)?;
    Ok(machine.string(Hash::of(algo, &bytes).base16().as_bytes()))
}

fn to_path(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.toPath";
    let (text, ctx) = machine.coerced_path(args[0], (loc, what))?;
    let text = paths::normalise(&text);
    Ok(machine.string_with(&text, ctx))
}

fn to_file(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the first argument passed to builtins.toFile";
    let name = machine.as_text(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let name = String::from_utf8_lossy(name).into_owned();
    let what = "while evaluating the second argument passed to builtins.toFile";
    let text = machine.as_str(args[1], loc).map_err(|e| e.frame(loc, what))?;
    let mut refs = Vec::new();
    for elem in machine.contexts.elems(text.ctx).to_vec() {
        machine.note_elem(elem)?;
        match elem {
            CtxElem::Source(id) => refs.push(machine.graph.source_path(id)?),
            CtxElem::Path(id) => refs.push(machine.contexts.path(id).clone()),
            CtxElem::DrvFile(id) => refs.push(machine.graph.drv_path(id)?),
            CtxElem::DrvDeep(_) | CtxElem::Output(..) => {
                let shown = machine.show_elem(elem)?;
                let message = format!(
                    "files created by builtins.toFile may not reference derivations, but {name} references {shown}"
                );
                return Err(Error::eval(loc, message));
            }
        }
    }
    floe_core::path::check_name(&name).map_err(|error| Error::eval(loc, error.to_string()))?;
    let bytes = machine.text(text)?.to_vec();
    refs.sort();
    let source =
        Source { name, origin: Origin::Text(bytes, refs), method: Method::Text, expected: None };
    Ok(machine.source_string(source))
}

/// What `builtins.path` and `filterSource` were asked for.
struct Wanted {
    path: Vec<u8>,
    name: String,
    filter: Option<Value>,
    method: Method,
    expected: Option<Hash>,
}

impl Machine {
    /// A string that stands for a source.
    fn source_string(&mut self, source: Source) -> Value {
        let id = self.graph.add_source(&source);
        self.note_source(id);
        let ctx = self.contexts.intern(vec![CtxElem::Source(id)]);
        self.string_with(&marker::source(id, &source.name), ctx)
    }

    fn add_path(&mut self, wanted: Wanted, loc: Loc) -> Res<Value> {
        let path = String::from_utf8_lossy(&wanted.path).into_owned();
        self.path_source(wanted, loc)
            .map_err(|error| error.frame(loc, format!("while adding path '{path}'")))
    }

    fn path_source(&mut self, wanted: Wanted, loc: Loc) -> Res<Value> {
        let Wanted { path, name, filter, method, expected } = wanted;
        floe_core::path::check_name(&name).map_err(|error| Error::eval(loc, error.to_string()))?;
        self.check_allowed(&path, loc)?;
        // The name is that of a link, the source what it leads to.
        let path = self.resolve_symlinks(&path, loc)?;
        let Some(kind) = self.kind(&path, loc)? else {
            return Err(self.no_such_path(&path, loc));
        };
        let root = self.physical(&path);
        let origin = match filter {
            Some(filter) if kind == FileKind::Directory => {
                let mut kept = Vec::new();
                self.filter_tree(filter, &path, &mut Vec::new(), &mut kept, loc)?;
                kept.sort();
                Origin::Filtered(root, kept)
            }
            _ => Origin::Tree(root),
        };
        let expected = expected.map(Box::new);
        Ok(self.source_string(Source { name, origin, method, expected }))
    }

    /// Collects the entries that a filter keeps, relative to the root.
    fn filter_tree(
        &mut self,
        filter: Value,
        root: &[u8],
        inside: &mut Vec<u8>,
        kept: &mut Vec<PathBuf>,
        loc: Loc,
    ) -> Res<()> {
        self.check_stack(loc)?;
        let folder = [root, inside].concat();
        let mut entries = self.entries(&folder, loc)?;
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in entries {
            let before = inside.len();
            inside.push(b'/');
            inside.extend_from_slice(&name);
            let full = self.string(&[root, &inside[..]].concat());
            let kind_text = self.string(kind_name(kind).as_bytes());
            let verdict = self.call(filter, &[full, kind_text], loc)?;
            let what = "while evaluating the return value of the path filter function";
            if self.as_bool(verdict, loc).map_err(|e| e.frame(loc, what))? {
                kept.push(os_path(&inside[1..]));
                if kind == FileKind::Directory {
                    self.filter_tree(filter, root, inside, kept, loc)?;
                }
            }
            inside.truncate(before);
        }
        Ok(())
    }
}

fn filter_source(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the second argument (the path to filter) passed to 'builtins.filterSource'";
    let path = machine.as_path(args[1], loc, what)?;
    let what = "while evaluating the first argument passed to builtins.filterSource";
    let filter = machine.as_function(args[0], loc).map_err(|e| e.frame(loc, what))?;
    let name = String::from_utf8_lossy(paths::base_name(&path)).into_owned();
    machine.add_path(
        Wanted { path, name, filter: Some(filter), method: Method::Nar, expected: None },
        loc,
    )
}

fn path(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
    let what = "while evaluating the argument passed to 'builtins.path'";
    let attrs = machine.set_for(args[0], loc, what)?;
    let mut path = None;
    let mut wanted = Wanted {
        path: Vec::new(),
        name: String::new(),
        filter: None,
        method: Method::Nar,
        expected: None,
    };
    for attr in Attrs::all(attrs, &mut machine.heap) {
        let value = attr.value.unread();
        let what = match attr.name.as_bytes() {
            b"path" => "while evaluating the 'path' attribute passed to 'builtins.path'".to_owned(),
            b"filter" => {
                "while evaluating the `filter` parameter passed to builtins.path".to_owned()
            }
            _ => format!("while evaluating the `{}` attribute passed to builtins.path", attr.name),
        };
        let framed = |e: Error| e.frame(attr.loc, &*what);
        match attr.name.as_bytes() {
            b"path" => path = Some(machine.as_path(value, attr.loc, &what)?),
            b"name" => {
                let text = machine.as_text(value, attr.loc).map_err(framed)?;
                wanted.name = String::from_utf8_lossy(text).into_owned();
            }
            b"filter" => {
                wanted.filter = Some(machine.as_function(value, attr.loc).map_err(framed)?)
            }
            b"recursive" => {
                let recursive = machine.as_bool(value, attr.loc).map_err(framed)?;
                wanted.method = if recursive { Method::Nar } else { Method::Flat };
            }
            b"sha256" => {
                let text = machine.as_text(value, attr.loc).map_err(framed)?;
                let text = String::from_utf8_lossy(text);
                let algo = Some(HashAlgo::Sha256);
                wanted.expected = Some(machine.parse_hash_allow_empty(&text, algo, attr.loc)?);
            }
            _ => {
                return Err(Error::eval(
                    attr.loc,
                    format!("unsupported argument '{}' to 'builtins.path'", attr.name),
                ));
            }
        }
    }
    let Some(path) = path else {
        return Err(Error::eval(
            loc,
            "missing required 'path' attribute in the first argument to 'builtins.path'",
        ));
    };
    if wanted.name.is_empty() {
        wanted.name = String::from_utf8_lossy(paths::base_name(&path)).into_owned();
    }
    wanted.path = path;
    machine.add_path(wanted, loc)
}

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("import", 1, 1, import),
        Prim::new("scopedImport", 2, 3, scoped_import),
        Prim::new("pathExists", 1, 1, path_exists),
        Prim::new("readFile", 1, 1, read_file),
        Prim::new("readDir", 1, 1, read_dir),
        Prim::new("readFileType", 1, 1, read_file_type),
        Prim::new("hashFile", 2, 3, hash_file),
        Prim::new("toPath", 1, 1, to_path),
        Prim::new("toFile", 2, 3, to_file),
        Prim::new("filterSource", 2, 3, filter_source),
        Prim::new("path", 1, 1, path),
    ]
}
