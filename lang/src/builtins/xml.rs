//! `toXML`, and values as XML for `nix-instantiate --xml`.

use rustc_hash::FxHashSet;

use super::Prim;
use crate::calls::stack_overflow;
use crate::context::Ctx;
use crate::error::Res;
use crate::heap::Gc;
use crate::machine::Machine;
use crate::ops::{PIECE_BYTES, check_length};
use crate::source::{Loc, SourceName};
use crate::symbol::Symbol;
use crate::text::{float, xml};
use crate::value::{Attrs, LambdaRef, Str, Value};

/// How to write.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Force what is not forced yet, instead of writing `<unevaluated />`.
    pub(crate) strict: bool,
    /// Write where attributes and functions were defined.
    pub(crate) locations: bool,
}

type Fields = Vec<(&'static str, Vec<u8>)>;

struct Writer {
    style: Style,
    out: Vec<u8>,
    ctx: Ctx,
    depth: usize,
    seen: FxHashSet<Vec<u8>>,
}

impl Writer {
    fn tag(&mut self, name: &str, mut fields: Fields, end: &str) {
        self.out.resize(self.out.len() + 2 * self.depth, b' ');
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        fields.sort();
        for (field, text) in fields {
            self.out.push(b' ');
            self.out.extend_from_slice(field.as_bytes());
            self.out.extend_from_slice(b"=\"");
            for piece in text.chunks(PIECE_BYTES) {
                xml::attribute(&mut self.out, piece);
                if self.is_full() {
                    break;
                }
            }
            self.out.push(b'"');
        }
        self.out.extend_from_slice(end.as_bytes());
    }

    /// Whether more cannot be meant.
    fn is_full(&self) -> bool {
        check_length(self.out.len(), Loc::NONE).is_err()
    }

    fn empty(&mut self, name: &str, fields: Fields) {
        self.tag(name, fields, " />\n");
    }

    fn value(&mut self, name: &str, text: &[u8]) {
        self.empty(name, vec![("value", text.to_vec())]);
    }

    fn open(&mut self, name: &str, fields: Fields) {
        self.tag(name, fields, ">\n");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.out.resize(self.out.len() + 2 * self.depth, b' ');
        self.out.extend_from_slice(format!("</{name}>\n").as_bytes());
    }
}

impl Machine {
    /// A value as an XML document; markers of symbolic strings pass through.
    pub(crate) fn write_xml(&mut self, value: Value, style: Style) -> Res<(Vec<u8>, Ctx)> {
        let out = b"<?xml version='1.0' encoding='utf-8'?>\n".to_vec();
        let mut writer =
            Writer { style, out, ctx: Ctx::EMPTY, depth: 0, seen: FxHashSet::default() };
        writer.open("expr", Fields::new());
        self.xml_value(value, &mut writer)?;
        writer.close("expr");
        check_length(writer.out.len(), Loc::NONE)?;
        Ok((writer.out, writer.ctx))
    }

    fn xml_forced(&mut self, value: Value, writer: &Writer) -> Res<Value> {
        if writer.style.strict { self.force(value) } else { Ok(Machine::peek(value)) }
    }

    fn xml_value(&mut self, value: Value, writer: &mut Writer) -> Res<()> {
        self.check_stack(Loc::NONE)?;
        // Indentation makes the text grow with the square of the depth.
        if writer.depth >= self.settings.max_call_depth as usize {
            return Err(stack_overflow(Loc::NONE));
        }
        check_length(writer.out.len(), Loc::NONE)?;
        match self.xml_forced(value, writer)? {
            Value::Null => writer.empty("null", Fields::new()),
            Value::Bool(b) => writer.value("bool", if b { b"true" } else { b"false" }),
            Value::Int(n) => writer.value("int", n.to_string().as_bytes()),
            Value::Float(x) => writer.value("float", float::general(x).as_bytes()),
            Value::Str(text) => {
                writer.ctx = self.contexts.union(writer.ctx, text.ctx);
                writer.value("string", Str::bytes(text));
            }
            Value::Path(path) => writer.value("path", Str::bytes(path)),
            Value::List(list) => {
                writer.open("list", Fields::new());
                for item in list.places() {
                    self.xml_value(item.get(), writer)?;
                }
                writer.close("list");
            }
            Value::Attrs(attrs) => self.xml_set(attrs, writer)?,
            Value::Lambda(lambda) => self.xml_function(lambda, writer),
            Value::Prim(_)
            | Value::PrimApp(_)
            | Value::Thunk(_)
            | Value::Unset
            | Value::Later(_)
            | Value::Running => {
                writer.empty("unevaluated", Fields::new());
            }
        }
        Ok(())
    }

    fn xml_set(&mut self, attrs: Gc<Attrs>, writer: &mut Writer) -> Res<()> {
        if !self.is_derivation(attrs)? {
            writer.open("attrs", Fields::new());
            self.xml_attrs(attrs, writer)?;
            writer.close("attrs");
            return Ok(());
        }
        let mut fields = Fields::new();
        let mut drv_path = None;
        for (name, field) in [(Symbol::DRV_PATH, "drvPath"), (Symbol::OUT_PATH, "outPath")] {
            let Some(attr) = Attrs::find(attrs, name) else { continue };
            if let Value::Str(text) = self.xml_forced(attr.value.get(), writer)? {
                let text = Str::bytes(text).to_vec();
                if name == Symbol::DRV_PATH {
                    drv_path = Some(text.clone());
                }
                fields.push((field, text));
            }
        }
        writer.open("derivation", fields);
        if drv_path.is_some_and(|path| writer.seen.insert(path)) {
            self.xml_attrs(attrs, writer)?;
        } else {
            writer.empty("repeated", Fields::new());
        }
        writer.close("derivation");
        Ok(())
    }

    fn xml_attrs(&mut self, attrs: Gc<Attrs>, writer: &mut Writer) -> Res<()> {
        for attr in Attrs::by_text(attrs) {
            let mut fields = self.xml_place(attr.loc, writer);
            fields.push(("name", attr.name.as_bytes().to_vec()));
            writer.open("attr", fields);
            self.xml_value(attr.value.get(), writer)?;
            writer.close("attr");
        }
        Ok(())
    }

    fn xml_function(&mut self, lambda: LambdaRef, writer: &mut Writer) {
        let code = self.tables.lambdas[lambda.code as usize].get();
        let name = |symbol: Symbol| ("name", symbol.as_bytes().to_vec());
        writer.open("function", self.xml_place(code.loc, writer));
        match &code.formals {
            None => writer.empty("varpat", code.param.into_iter().map(name).collect()),
            Some(formals) => {
                let mut fields: Fields = code.param.into_iter().map(name).collect();
                if formals.ellipsis {
                    fields.push(("ellipsis", b"1".to_vec()));
                }
                writer.open("attrspat", fields);
                let mut names: Vec<Symbol> = formals.list.iter().map(|f| f.name).collect();
                names.sort_unstable_by_key(|name| name.as_bytes());
                for symbol in names {
                    writer.empty("attr", vec![name(symbol)]);
                }
                writer.close("attrspat");
            }
        }
        writer.close("function");
    }

    fn xml_place(&self, loc: Loc, writer: &Writer) -> Fields {
        if !writer.style.locations {
            return Fields::new();
        }
        let Some((source, line, column)) = self.sources.line_column(loc) else {
            return Fields::new();
        };
        let mut fields = vec![
            ("line", line.to_string().into_bytes()),
            ("column", column.to_string().into_bytes()),
        ];
        if let SourceName::File(path) = &source.name {
            fields.push(("path", path.as_os_str().as_encoded_bytes().to_vec()));
        }
        fields
    }
}

fn to_xml(machine: &mut Machine, args: &[Value], _: Loc) -> Res<Value> {
    let (text, ctx) = machine.write_xml(args[0], Style { strict: true, locations: false })?;
    Ok(machine.string_with(&text, ctx))
}

pub(super) fn prims() -> Vec<Prim> {
    vec![Prim::new("toXML", 1, 1, to_xml)]
}
