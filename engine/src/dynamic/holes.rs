//! The texts of a derivation that a builder made as templates: what stands in them for an output
//! of an input, or for an own one, becomes a hole, so that resolving searches no text. Nothing here
//! knows how the inputs were found.

use std::collections::HashMap;

use floe_core::path::{DIGEST_LEN, OutputName, STORE_DIR};

use crate::recipe::{Piece, Template};

/// What a text stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hole {
    /// An output of the input with this number.
    Input(usize, OutputName),
    /// An own output.
    Own(OutputName),
}

/// The texts that stand for outputs, and the order in which inputs turn up.
#[derive(Default)]
pub(super) struct Holes {
    by_text: HashMap<Vec<u8>, Hole>,
    /// The lengths that occur, longest first.
    lengths: Vec<usize>,
    /// For each input its place in the recipe, once it turned up.
    places: Vec<Option<u32>>,
    next: u32,
}

impl Holes {
    /// Holes for so many inputs.
    pub(super) fn new(texts: HashMap<Vec<u8>, Hole>, inputs: usize) -> Holes {
        let mut lengths: Vec<usize> = texts.keys().map(Vec::len).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Holes { by_text: texts, lengths, places: vec![None; inputs], next: 0 }
    }

    /// The place of an input in the recipe: in the order in which they turn up.
    pub(super) fn place(&mut self, input: usize) -> u32 {
        *self.places[input].get_or_insert_with(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// A text with its holes.
    pub(super) fn template(&mut self, text: &[u8]) -> Template {
        let mut pieces = Vec::new();
        let mut done = 0;
        while let Some((at, len, hole)) = self.find(text, done) {
            if at > done {
                pieces.push(Piece::Text(text[done..at].into()));
            }
            pieces.push(match hole {
                Hole::Own(output) => Piece::Own(output),
                Hole::Input(input, output) => Piece::Input { dep: self.place(input), output },
            });
            done = at + len;
        }
        if done < text.len() {
            pieces.push(Piece::Text(text[done..].into()));
        }
        Template(pieces)
    }

    /// The first hole from `from` on: where, how long, what for.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize, Hole)> {
        // Store paths and placeholders both begin with a slash.
        memchr::memchr_iter(b'/', &text[from..]).map(|at| from + at).find_map(|at| {
            self.lengths.iter().find_map(|&len| {
                let hole = self.by_text.get(text.get(at..at + len)?)?;
                Some((at, len, hole.clone()))
            })
        })
    }
}

/// The digests of the store paths in what is left of a template beside its holes.
pub(super) fn digests(template: &Template) -> impl Iterator<Item = &[u8]> {
    let texts = template.0.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(&**text),
        _ => None,
    });
    texts.flat_map(|text| {
        let starts = memchr::memmem::find_iter(text, STORE_DIR.as_bytes());
        starts.filter_map(|at| {
            let start = at + STORE_DIR.len() + 1;
            text.get(start..start + DIGEST_LEN)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_holes_in_the_order_in_which_they_turn_up() {
        let (out, dev) = (OutputName::out(), OutputName::new("dev").unwrap());
        let texts = HashMap::from([
            (b"/one".to_vec(), Hole::Input(0, out.clone())),
            (b"/one-dev".to_vec(), Hole::Input(0, dev.clone())),
            (b"/two".to_vec(), Hole::Input(1, out.clone())),
            (b"/own".to_vec(), Hole::Own(out.clone())),
        ]);
        let mut holes = Holes::new(texts, 3);
        let text = |text: &str| Piece::Text(text.as_bytes().into());
        let input = |dep, output: &OutputName| Piece::Input { dep, output: output.clone() };
        let template = holes.template(b"see /two/bin, /one-dev/one and /own");
        let expected = vec![
            text("see "),
            input(0, &out),
            text("/bin, "),
            input(1, &dev),
            input(1, &out),
            text(" and "),
            Piece::Own(out.clone()),
        ];
        assert_eq!(template.0, expected);
        assert_eq!((holes.place(2), holes.place(0), holes.place(1)), (2, 1, 0));
        assert_eq!(holes.template(b""), Template::default());
    }

    #[test]
    fn store_paths_that_are_left_are_found() {
        let digest = "0".repeat(DIGEST_LEN);
        let template = Template::text(format!("PATH=/nix/store/{digest}-x/bin:/nix/store/short"));
        assert_eq!(digests(&template).collect::<Vec<_>>(), [digest.as_bytes()]);
    }
}
