//! Writing an archive, event by event.

use std::io::{self, Write};

use super::{MAGIC, MAX_DEPTH, NarError, check_entry, check_order, check_target, padding};

/// Writes one archive into `W`. The calls must describe one tree, in this grammar:
///
/// ```text
/// tree      = file | link | directory
/// file      = begin_file, (content)*, end_file
/// link      = symlink
/// directory = begin_directory, (entry, tree)*, end_directory
/// ```
///
/// followed by `finish`. Entries must come in strictly ascending order of their bytes. A call
/// that the grammar forbids is a fault of the caller and panics. Every word is a small write:
/// give a `W` that gathers them.
pub struct Writer<W> {
    out: W,
    /// One per open directory: the name of its last entry.
    open: Vec<Vec<u8>>,
    state: State,
    /// Of the open file: announced length, and content so far.
    file: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A tree must follow.
    Tree,
    /// Within a file.
    File,
    /// Within a directory: an entry or its end must follow.
    Entries,
    /// The root is complete.
    Done,
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(mut out: W) -> Result<Writer<W>, NarError> {
        words(&mut out, &[MAGIC])?;
        Ok(Writer { out, open: Vec::new(), state: State::Tree, file: (0, 0) })
    }

    /// Starts a regular file of exactly `size` bytes.
    pub fn begin_file(&mut self, executable: bool, size: u64) -> Result<(), NarError> {
        self.become_state(State::Tree, State::File);
        if executable {
            words(&mut self.out, &[b"(", b"type", b"regular", b"executable", b""])?;
        } else {
            words(&mut self.out, &[b"(", b"type", b"regular"])?;
        }
        words(&mut self.out, &[b"contents"])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.file = (size, 0);
        Ok(())
    }

    /// The next bytes of the file.
    pub fn content(&mut self, data: &[u8]) -> Result<(), NarError> {
        assert_eq!(self.state, State::File, "content belongs to a file");
        self.file.1 += data.len() as u64;
        let (announced, found) = self.file;
        if found > announced {
            return Err(NarError::Size { announced, found });
        }
        self.out.write_all(data)?;
        Ok(())
    }

    /// Ends the file.
    pub fn end_file(&mut self) -> Result<(), NarError> {
        let (announced, found) = self.file;
        if found != announced {
            return Err(NarError::Size { announced, found });
        }
        self.out.write_all(&[0; 8][..padding(found)])?;
        words(&mut self.out, &[b")"])?;
        self.end_tree(State::File)
    }

    /// A symbolic link.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), NarError> {
        check_target(target)?;
        words(&mut self.out, &[b"(", b"type", b"symlink", b"target", target, b")"])?;
        self.end_tree(State::Tree)
    }

    /// Starts a directory.
    pub fn begin_directory(&mut self) -> Result<(), NarError> {
        self.become_state(State::Tree, State::Entries);
        self.open.push(Vec::new());
        words(&mut self.out, &[b"(", b"type", b"directory"])?;
        Ok(())
    }

    /// The name of the next entry; its tree must follow.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), NarError> {
        self.become_state(State::Entries, State::Tree);
        check_entry(name)?;
        // Its tree is one level deeper than the directories that are open.
        if self.open.len() >= MAX_DEPTH {
            return Err(NarError::Depth);
        }
        let last = self.open.last_mut().expect("an entry is within a directory");
        check_order(last, name)?;
        last.clear();
        last.extend_from_slice(name);
        words(&mut self.out, &[b"entry", b"(", b"name", name, b"node"])?;
        Ok(())
    }

    /// Ends the directory.
    pub fn end_directory(&mut self) -> Result<(), NarError> {
        words(&mut self.out, &[b")"])?;
        self.open.pop();
        self.end_tree(State::Entries)
    }

    /// What the archive is written to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Ends the archive and gives back what it was written to.
    pub fn finish(self) -> Result<W, NarError> {
        assert_eq!(self.state, State::Done, "an archive holds one whole tree");
        Ok(self.out)
    }

    fn become_state(&mut self, from: State, to: State) {
        assert_eq!(self.state, from, "a NAR is written in the order of its grammar");
        self.state = to;
    }

    fn end_tree(&mut self, from: State) -> Result<(), NarError> {
        let in_directory = !self.open.is_empty();
        self.become_state(from, if in_directory { State::Entries } else { State::Done });
        if in_directory {
            words(&mut self.out, &[b")"])?;
        }
        Ok(())
    }
}

fn words(out: &mut impl Write, words: &[&[u8]]) -> io::Result<()> {
    for word in words {
        out.write_all(&(word.len() as u64).to_le_bytes())?;
        out.write_all(word)?;
        out.write_all(&[0; 8][..padding(word.len() as u64)])?;
    }
    Ok(())
}
