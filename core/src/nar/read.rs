//! Reading an archive, event by event, without recursion.

use std::io::{self, Read};

use super::{
    MAGIC, MAX_DEPTH, MAX_NAME, MAX_TARGET, NarError, check_entry, check_order, check_target,
    padding,
};

/// Bytes of the longest word of the grammar, with room for an error message.
const MAX_WORD: usize = 32;

/// What stands next in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A directory starts: entries follow, then its end.
    Directory,
    /// The name of an entry of the innermost directory; its tree follows.
    Entry(Vec<u8>),
    /// A regular file; its content can be read from the reader now, and is skipped otherwise.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Length of the content.
        size: u64,
    },
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// The innermost directory ends.
    EndDirectory,
}

/// Reads one archive from `R`; an [`io::Read`] of the current file's content. Words are small
/// reads: give an `R` that buffers.
pub struct Reader<R> {
    input: R,
    at: u64,
    /// One per open directory: the name of its last entry.
    open: Vec<Vec<u8>>,
    state: State,
    /// Bytes of the current file's content that nobody has read yet.
    left: u64,
    /// Zero bytes after it.
    pad: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Tree,
    Content,
    Entries,
    Done,
}

impl<R: Read> Reader<R> {
    /// Nothing is read before the first event.
    pub fn new(input: R) -> Reader<R> {
        Reader { input, at: 0, open: Vec::new(), state: State::Start, left: 0, pad: 0 }
    }

    /// The next event, or `None` at the end of the tree.
    pub fn next_event(&mut self) -> Result<Option<Event>, NarError> {
        if self.state == State::Start {
            let magic = self.word("magic", MAX_WORD).map_err(|error| match error {
                NarError::Io(_) => error,
                _ => NarError::Magic,
            })?;
            if magic != MAGIC {
                return Err(NarError::Magic);
            }
            self.state = State::Tree;
        }
        if self.state == State::Content {
            self.skip_content()?;
            self.end_tree()?;
        }
        match self.state {
            State::Tree => self.tree().map(Some),
            State::Entries => self.entry_or_end().map(Some),
            _ => Ok(None),
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// After the last event: the input, positioned behind the archive.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// After the last event: checks that nothing follows.
    pub fn expect_end(&mut self) -> Result<(), NarError> {
        let mut byte = [0];
        loop {
            match self.input.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(NarError::Rest { at: self.at }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn tree(&mut self) -> Result<Event, NarError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(NarError::Depth);
        }
        self.expect("(")?;
        self.expect("type")?;
        let kind = self.word("type", MAX_WORD)?;
        match &kind[..] {
            b"regular" => {
                let mut word = self.word("word", MAX_WORD)?;
                let executable = word == b"executable";
                if executable {
                    self.expect("")?;
                    word = self.word("word", MAX_WORD)?;
                }
                self.check_word("contents", word)?;
                let size = self.number()?;
                (self.left, self.pad) = (size, padding(size));
                self.state = State::Content;
                Ok(Event::File { executable, size })
            }
            b"symlink" => {
                self.expect("target")?;
                let target = self.word("symlink target", MAX_TARGET)?;
                check_target(&target)?;
                self.end_tree()?;
                Ok(Event::Symlink(target))
            }
            b"directory" => {
                self.open.push(Vec::new());
                self.state = State::Entries;
                Ok(Event::Directory)
            }
            _ => Err(NarError::Word {
                expected: "regular', 'symlink' or 'directory",
                found: kind,
                at: self.at,
            }),
        }
    }

    fn entry_or_end(&mut self) -> Result<Event, NarError> {
        let word = self.word("word", MAX_WORD)?;
        if word == b")" {
            self.open.pop();
            self.end_of_node()?;
            return Ok(Event::EndDirectory);
        }
        self.check_word("entry", word)?;
        self.expect("(")?;
        self.expect("name")?;
        let name = self.word("file name", MAX_NAME)?;
        check_entry(&name)?;
        let last = self.open.last_mut().expect("entries are within a directory");
        check_order(last, &name)?;
        last.clone_from(&name);
        self.expect("node")?;
        self.state = State::Tree;
        Ok(Event::Entry(name))
    }

    fn end_tree(&mut self) -> Result<(), NarError> {
        self.expect(")")?;
        self.end_of_node()
    }

    fn end_of_node(&mut self) -> Result<(), NarError> {
        if self.open.is_empty() {
            self.state = State::Done;
            return Ok(());
        }
        self.expect(")")?;
        self.state = State::Entries;
        Ok(())
    }

    fn skip_content(&mut self) -> Result<(), NarError> {
        if self.left > 0 {
            let skipped = io::copy(&mut (&mut self.input).take(self.left), &mut io::sink())?;
            self.at += skipped;
            self.left -= skipped;
            if self.left > 0 {
                return Err(NarError::Truncated { at: self.at });
            }
        }
        self.read_padding(self.pad)
    }

    fn expect(&mut self, expected: &'static str) -> Result<(), NarError> {
        let found = self.word("word", MAX_WORD)?;
        self.check_word(expected, found)
    }

    fn check_word(&self, expected: &'static str, found: Vec<u8>) -> Result<(), NarError> {
        if found == expected.as_bytes() {
            return Ok(());
        }
        Err(NarError::Word { expected, found, at: self.at })
    }

    fn word(&mut self, what: &'static str, max: usize) -> Result<Vec<u8>, NarError> {
        let at = self.at;
        let len = self.number()?;
        if len > max as u64 {
            return Err(NarError::Long { what, len, max, at });
        }
        let mut word = vec![0; len as usize];
        self.fill(&mut word)?;
        self.read_padding(padding(len))?;
        Ok(word)
    }

    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn read_padding(&mut self, len: usize) -> Result<(), NarError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes[..len])?;
        if bytes != [0; 8] {
            return Err(NarError::Padding { at: self.at });
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), NarError> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => NarError::Truncated { at: self.at },
            _ => NarError::Io(error),
        })?;
        self.at += buffer.len() as u64;
        Ok(())
    }
}

/// The content of the file whose event came last; empty after any other.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let got = self.input.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                NarError::Truncated { at: self.at },
            ));
        }
        self.left -= got as u64;
        self.at += got as u64;
        Ok(got)
    }
}
