//! A derivation's instructions as somebody reads them, kept so that the next request can say in
//! which variable or argument they differ. Holes are shown by the name of what fills them: its
//! path is the business of inputs and sources. Nothing is built or hashed from this text.

use std::cmp::Ordering;

use floe_core::hash::Digest;
use floe_store::versioned;
use serde::{Deserialize, Serialize};

use crate::graph::{Graph, NodeIx};
use crate::ledger::Short;
use crate::recipe::{Kind, Piece, Template};

/// The longest value that is kept whole, in bytes.
const VALUE_LEN: usize = 16 << 10;

/// A part of the instructions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Field {
    /// The names of its outputs.
    Outputs,
    /// How its outputs are addressed.
    Addressing,
    /// The platform.
    System,
    /// The program.
    Builder,
    /// An argument of the program, counted from 0.
    Argument(u32),
    /// An environment variable.
    Variable(String),
}

/// What a part says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// All of it.
    Text(String),
    /// It is too long to be kept.
    Long {
        /// Its length.
        bytes: u64,
        /// What stands for it.
        digest: Short,
    },
}

/// All parts of a derivation's instructions, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    fields: Vec<(Field, Value)>,
}

/// A part that differs between two instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which part.
    pub field: Field,
    /// What it said; nothing if there was no such part.
    pub old: Option<Value>,
    /// What it says.
    pub new: Option<Value>,
}

/// The version byte of stored instructions.
const VERSION: u8 = 1;

impl Instructions {
    /// The instructions of a node.
    pub fn of(graph: &Graph, ix: NodeIx) -> Instructions {
        let node = graph.node(ix);
        let recipe = node.recipe;
        let instructions = recipe.text();
        let shown = |template: &Template| {
            let input = |dep: u32| &*graph.node(node.deps[dep as usize]).recipe.name;
            value(&text(template, input))
        };
        let outputs: Vec<&str> = recipe.outputs.iter().map(|name| name.as_str()).collect();
        let addressing = match &recipe.kind {
            Kind::InputAddressed => "by its inputs".to_owned(),
            Kind::Fixed(ca) => format!("fixed, {ca}"),
            Kind::Floating(method, algo) => format!("by its content, {method:?} {algo:?}"),
            Kind::Dynamic => "as the derivation says that its input makes".to_owned(),
        };
        let mut fields = vec![
            (Field::Outputs, value(outputs.join(" ").as_bytes())),
            (Field::Addressing, value(addressing.as_bytes())),
            (Field::System, shown(&instructions.system)),
            (Field::Builder, shown(&instructions.builder)),
        ];
        let args = instructions.args.iter().enumerate();
        fields.extend(args.map(|(nth, arg)| (Field::Argument(nth as u32), shown(arg))));
        fields.extend(instructions.env.iter().map(|(name, template)| {
            (Field::Variable(String::from_utf8_lossy(name).into_owned()), shown(template))
        }));
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Instructions { fields }
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        versioned::encode(VERSION, self)
    }

    /// The inverse of [`Instructions::encode`]; of another version they are as good as none.
    pub fn decode(bytes: &[u8]) -> Option<Instructions> {
        versioned::decode(VERSION, bytes).ok()
    }

    /// The parts in which `new` differs from these.
    pub fn changes(&self, new: &Instructions) -> Vec<Change> {
        let mut changes = Vec::new();
        let (mut old, mut new) = (self.fields.iter().peekable(), new.fields.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return changes,
            };
            let was = old.next_if(|_| order.is_le());
            let is = new.next_if(|_| order.is_ge());
            let said = |field: Option<&(Field, Value)>| field.map(|(_, value)| value.clone());
            if let Some((field, _)) = was.or(is)
                && was != is
            {
                changes.push(Change { field: field.clone(), old: said(was), new: said(is) });
            }
        }
    }
}

/// A template's bytes with names in its holes.
fn text<'a>(template: &Template, input: impl Fn(u32) -> &'a str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(text) => bytes.extend_from_slice(text),
            Piece::Input { dep, output } if output.as_str() == "out" => {
                bytes.extend_from_slice(format!("${{{}}}", input(*dep)).as_bytes());
            }
            Piece::Input { dep, output } => {
                bytes.extend_from_slice(format!("${{{}.{output}}}", input(*dep)).as_bytes());
            }
            Piece::Own(output) => bytes.extend_from_slice(format!("${{{output}}}").as_bytes()),
            Piece::Path(path) => {
                bytes.extend_from_slice(format!("${{{}}}", path.name()).as_bytes())
            }
        }
    }
    bytes
}

fn value(bytes: &[u8]) -> Value {
    match bytes.len() {
        len if len > VALUE_LEN => {
            Value::Long { bytes: len as u64, digest: Digest::of(bytes).into() }
        }
        _ => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(fields: &[(&str, &str)]) -> Instructions {
        let field = |(name, text): &(&str, &str)| {
            (Field::Variable((*name).to_owned()), value(text.as_bytes()))
        };
        Instructions { fields: fields.iter().map(field).collect() }
    }

    #[test]
    fn every_part_that_differs_is_named_once() {
        let old = instructions(&[("a", "1"), ("b", "1"), ("d", "1")]);
        let new = instructions(&[("b", "2"), ("c", "1"), ("d", "1"), ("e", "")]);
        let told: Vec<String> = old
            .changes(&new)
            .iter()
            .map(|Change { field, old, new }| format!("{field:?} {old:?} {new:?}"))
            .collect();
        assert_eq!(
            told,
            [
                r#"Variable("a") Some(Text("1")) None"#,
                r#"Variable("b") Some(Text("1")) Some(Text("2"))"#,
                r#"Variable("c") None Some(Text("1"))"#,
                r#"Variable("e") None Some(Text(""))"#,
            ]
        );
        assert_eq!(old.changes(&old), []);
        assert_eq!(Instructions::decode(&new.encode()), Some(new));
    }

    #[test]
    fn a_long_value_is_known_by_its_digest() {
        let long = |last: char| format!("{}{last}", "x".repeat(VALUE_LEN));
        let [old, new] = ['a', 'b'].map(|last| instructions(&[("long", &long(last))]));
        assert_eq!(old.changes(&old.clone()), []);
        let Some(Value::Long { bytes, .. }) = old.changes(&new)[0].new else {
            panic!("it is longer than is kept")
        };
        assert_eq!(bytes, VALUE_LEN as u64 + 1);
    }
}
