//! The texts that were parsed, and [`Loc`]: a place in any of them in 32 bits. Reads no file.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::diagnostic::SourceLines;
use crate::graph::SourcePos;
use crate::syntax::ast::{FileId, Pos};
use crate::syntax::lines::LineTable;

/// A place in some source text: offsets of all texts laid end to end. 0 is no place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Loc(pub(crate) u32);

impl Loc {
    pub(crate) const NONE: Loc = Loc(0);
}

/// How a text came here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceName {
    /// From this file.
    File(PathBuf),
    /// From the command line or another caller.
    Text,
    /// From standard input.
    Stdin,
    /// Typed in a session, by number.
    Input(u32, Typed),
    /// From the program itself, under this name.
    Builtin(&'static str),
}

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Typed {
    /// An expression.
    Expression,
    /// Bindings without braces.
    Bindings,
}

impl SourceName {
    /// As positions name it.
    pub(crate) fn shown(&self) -> PathBuf {
        match self {
            SourceName::File(path) => path.clone(),
            SourceName::Text => PathBuf::from("«string»"),
            SourceName::Stdin => PathBuf::from("«stdin»"),
            SourceName::Input(number, _) => PathBuf::from(format!("«input {number}»")),
            SourceName::Builtin(name) => Path::new("«nix-internal»").join(name),
        }
    }
}

pub(crate) struct SourceText {
    pub(crate) name: SourceName,
    pub(crate) text: Vec<u8>,
    base: u32,
    /// Made when the first place in the text is shown.
    lines: OnceCell<LineTable>,
}

/// All texts of an evaluation.
#[derive(Default)]
pub(crate) struct Sources {
    texts: Vec<SourceText>,
}

impl Sources {
    /// Adds a text; `None` when there are more than 4 GiB of them.
    pub(crate) fn add(&mut self, name: SourceName, text: Vec<u8>) -> Option<FileId> {
        let base = self.texts.last().map_or(1, |last| last.base + last.text.len() as u32 + 1);
        base.checked_add(u32::try_from(text.len()).ok()?)?.checked_add(1)?;
        self.texts.push(SourceText { name, text, base, lines: OnceCell::new() });
        Some(FileId(self.texts.len() as u32 - 1))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn text(&self, file: FileId) -> &SourceText {
        &self.texts[file.0 as usize]
    }

    pub(crate) fn loc(&self, pos: Pos) -> Loc {
        Loc(self.texts[pos.file.0 as usize].base + pos.offset)
    }

    /// The text and the offset in it.
    pub(crate) fn find(&self, loc: Loc) -> Option<(&SourceText, usize)> {
        if loc == Loc::NONE {
            return None;
        }
        let at = self.texts.partition_point(|text| text.base <= loc.0).checked_sub(1)?;
        let text = &self.texts[at];
        Some((text, (loc.0 - text.base) as usize))
    }

    /// Line and column, from 1.
    pub(crate) fn line_column(&self, loc: Loc) -> Option<(&SourceText, u32, u32)> {
        let (source, offset) = self.find(loc)?;
        let lines = source.lines.get_or_init(|| LineTable::new(&source.text));
        let place = lines.locate(offset as u32);
        Some((source, place.line, place.column))
    }

    /// The text that positions name like this; of several `«string»`s the first.
    pub(crate) fn by_path(&self, path: &Path) -> Option<&[u8]> {
        let same = |source: &&SourceText| match &source.name {
            SourceName::File(file) => file == path,
            other => other.shown() == path,
        };
        // An evaluation that outlives an edit has several; the last is the one that is meant.
        self.texts.iter().rev().find(same).map(|source| &source.text[..])
    }

    pub(crate) fn resolve(&self, loc: Loc) -> Option<SourcePos> {
        let (source, line, column) = self.line_column(loc)?;
        Some(SourcePos { file: source.name.shown(), line, column })
    }
}

impl SourceLines for Sources {
    fn line(&self, file: &str, line: u32) -> Option<Vec<u8>> {
        let mut rest = self.by_path(Path::new(file))?;
        for number in 1.. {
            let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            if number == line {
                return Some(rest[..end].to_vec());
            }
            let after = match rest.get(end..) {
                None | Some([]) => return None,
                Some([b'\r', b'\n', after @ ..]) => after,
                Some([_, after @ ..]) => after,
            };
            rest = after;
        }
        None
    }
}
