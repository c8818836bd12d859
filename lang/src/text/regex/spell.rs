//! Spells a pattern in the syntax of the `regex` crate, for bytes. What it means there and where that
//! differs is told in `mod`.

use std::fmt::Write;

use super::pattern::{ByteSet, Node, Times};

/// The pattern in the crate's syntax.
pub(super) fn spell(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Set(set) => write_set(set, out),
        Node::Start => out.push_str(r"\A"),
        Node::End => out.push_str(r"\z"),
        Node::Group(_, inner) => {
            out.push('(');
            write(inner, out);
            out.push(')');
        }
        Node::Choice(nodes) => {
            for (at, node) in nodes.iter().enumerate() {
                if at > 0 {
                    out.push('|');
                }
                write(node, out);
            }
        }
        Node::Sequence(nodes) => nodes.iter().for_each(|node| write(node, out)),
        Node::Repeat(inner, times) => {
            // In a group of its own, so that a second sign repeats the first instead of making it lazy.
            out.push_str("(?:");
            write(inner, out);
            out.push(')');
            let written = match times {
                Times::Any => out.write_str("*"),
                Times::Some => out.write_str("+"),
                Times::Maybe => out.write_str("?"),
                Times::Between(least, Some(most)) => write!(out, "{{{least},{most}}}"),
                Times::Between(least, None) => write!(out, "{{{least},}}"),
            };
            written.expect("a string takes what is written to it");
        }
    }
}

fn write_set(set: &ByteSet, out: &mut String) {
    let mut ranges = Vec::new();
    let mut bytes = (0..=255u8).filter(|byte| set.has(*byte)).peekable();
    while let Some(low) = bytes.next() {
        let mut high = low;
        while let Some(next) = bytes.next_if(|next| *next == high + 1) {
            high = next;
        }
        ranges.push((low, high));
    }
    let written = match ranges[..] {
        // The crate has no empty set but this.
        [] => out.write_str(r"[^\x00-\xff]"),
        [(low, high)] if low == high => write!(out, r"\x{low:02x}"),
        _ => {
            out.push('[');
            for (low, high) in &ranges {
                write!(out, r"\x{low:02x}-\x{high:02x}").expect("as above");
            }
            out.write_str("]")
        }
    };
    written.expect("a string takes what is written to it");
}
