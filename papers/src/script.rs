//! Tasks as data: a small language of scripts whose runs look at dependencies, and its interpreter. Because scripts are
//! data they can be compared, edited, generated and shrunk. Knows no scheduler and no rebuilder.
//!
//! Source: the spreadsheets of Build Systems à la Carte (JFP 2020, sections 3.2 and 3.5): `Look` is a cell reference, `If` is IF,
//! `Indirect` is INDIRECT. `Search` is the C preprocessor's look along an include path, which depends on an absence.

use crate::task::{Blocked, Look, Mentions, Part, Task, World};
use crate::value::{File, Key, Name, Text, Value, hash};

/// Which files of the output a read may influence, as bits; none means that the script reads in vain, as a compiler reads
/// a comment.
pub type Into = u8;

/// One read of a script. Numbers are nodes'.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Read {
    /// Look at a node.
    Look(u16, Look, Into),
    /// Look at the first node and, as it says, at the second or the third.
    If(u16, u16, u16, Into),
    /// Look at the first node and compute from it which of the others to look at; they are not named in the text.
    Indirect(u16, Vec<u16>, Into),
    /// Look for a file in the first node and, if it is absent, in the second.
    Search(File, u16, u16, Into),
}

/// How to make a node's files.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Script {
    /// What it does: enters the outputs.
    pub salt: u64,
    /// What it says without doing: enters the text of the script alone.
    pub comment: u64,
    /// Words are taken modulo this, so that outputs often stay what they were; 0 for not at all.
    pub modulus: u64,
    /// How many files it writes.
    pub files: u8,
    /// A file after the first is left out when its word is even.
    pub sparse: bool,
    /// What it reads, in order.
    pub reads: Vec<Read>,
    /// Whether it writes its dependencies' names into its outputs.
    pub embed: bool,
    /// For 1, names influence words, as compressing them would; for n, every n-th name does.
    pub scramble: u64,
    /// How many outcomes chance has; 0 for a deterministic script.
    pub random: u64,
    /// Whether it is to run in every build.
    pub volatile: bool,
    /// It fails when its first word is a multiple of this; 0 for never.
    pub fails: u64,
}

impl Script {
    /// A script that copies what it reads.
    pub fn copying(salt: u64, files: u8, reads: Vec<Read>) -> Script {
        Script {
            salt,
            comment: 0,
            modulus: 0,
            files,
            sparse: false,
            reads,
            embed: false,
            scramble: 0,
            random: 0,
            volatile: false,
            fails: 0,
        }
    }
}

/// A script with the key that it computes.
pub struct ScriptTask<'a> {
    /// The key.
    pub key: Key,
    /// Its script.
    pub script: &'a Script,
}

impl Task for ScriptTask<'_> {
    fn mentions(&self) -> Mentions {
        let mut found = Mentions { looks: Vec::new(), complete: true, certain: 0 };
        let plain = |read: &&Read| matches!(read, Read::Look(..));
        let before = self.script.reads.iter().take_while(plain).count();
        // the test of a choice, too, is looked at in any case
        let choices = self.script.reads.iter().skip(before).take(1).count();
        found.certain = usize::from(self.script.volatile) + before + choices;
        if self.script.volatile {
            found.looks.push((Key::World, Look::Whole));
        }
        let whole = |node: &u16| (Key::Node(*node), Look::Whole);
        for read in &self.script.reads {
            match read {
                Read::Look(node, look, _) => found.looks.push((Key::Node(*node), *look)),
                Read::If(test, yes, no, _) => found.looks.extend([test, yes, no].map(whole)),
                Read::Search(file, first, second, _) => {
                    found.looks.extend([first, second].map(|n| (Key::Node(*n), Look::File(*file))));
                }
                Read::Indirect(test, _, _) => {
                    found.looks.push(whole(test));
                    found.complete = false;
                }
            }
        }
        found
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        let mut run = Run { script: self.script, world, files: Vec::new(), failed: None };
        run.files.resize(
            usize::from(self.script.files),
            Text { word: self.script.salt, names: Vec::new() },
        );
        run.everything()?;
        Ok(run.value(self.key))
    }

    fn is_command(&self) -> bool {
        true
    }
}

/// A script that is running.
struct Run<'a> {
    script: &'a Script,
    world: &'a mut dyn World,
    files: Vec<Text>,
    failed: Option<Key>,
}

impl Run<'_> {
    fn everything(&mut self) -> Result<(), Blocked> {
        if self.script.volatile {
            self.look(Key::World, Look::Whole, u8::MAX)?;
        }
        for read in &self.script.reads {
            if self.failed.is_some() {
                return Ok(());
            }
            let node = |node: &u16| Key::Node(*node);
            match read {
                Read::Look(key, what, into) => drop(self.look(node(key), *what, *into)?),
                Read::If(test, yes, no, into) => {
                    let part = self.look(node(test), Look::Whole, 0)?;
                    let chosen = if hash(part).is_multiple_of(2) { yes } else { no };
                    self.look(node(chosen), Look::Whole, *into)?;
                }
                Read::Indirect(test, among, into) => {
                    let part = self.look(node(test), Look::Whole, 0)?;
                    if let Some(chosen) =
                        among.get((hash(part) % among.len().max(1) as u64) as usize)
                    {
                        self.look(node(chosen), Look::Whole, *into)?;
                    }
                }
                Read::Search(file, first, second, into) => {
                    if self.look(node(first), Look::File(*file), *into)? == Part::Absent {
                        self.look(node(second), Look::File(*file), *into)?;
                    }
                }
            }
        }
        if self.script.random > 0 {
            let chance = self.world.random(self.script.random);
            self.files.iter_mut().for_each(|text| text.word = hash((text.word, chance)));
        }
        Ok(())
    }

    /// Look, and let what is seen into the files that the bits name. The part comes back without its names, on which no
    /// script decides anything unless it scrambles.
    fn look(&mut self, key: Key, what: Look, into: Into) -> Result<Part, Blocked> {
        let seen = self.world.look(key, what)?;
        let mut names = Vec::new();
        let part = match seen.part {
            Part::Texts(mut texts) => {
                texts.iter_mut().for_each(|(_, text)| names.append(&mut text.names));
                Part::Texts(texts)
            }
            other => other,
        };
        if let Part::Failed(origin) = part {
            self.failed.get_or_insert(origin);
        }
        if self.script.embed {
            names.push(seen.name);
        }
        let scrambled: Vec<Name> = match self.script.scramble {
            0 => Vec::new(),
            n => names.iter().copied().filter(|name| name.0.is_multiple_of(n)).collect(),
        };
        for (at, text) in self.files.iter_mut().enumerate().filter(|(at, _)| into >> at & 1 == 1) {
            text.word = match scrambled.is_empty() {
                true => hash((text.word, &part, at)),
                false => hash((text.word, &part, at, &scrambled)),
            };
            for name in &names {
                if !text.names.contains(name) {
                    text.names.push(*name);
                }
            }
        }
        Ok(part)
    }

    fn value(mut self, key: Key) -> Value {
        if self.script.modulus > 0 {
            self.files.iter_mut().for_each(|text| text.word %= self.script.modulus);
        }
        if let Some(origin) = self.failed {
            return Value::Failed(origin);
        }
        let fails = self.script.fails;
        if fails > 0 && self.files.first().is_some_and(|text| text.word.is_multiple_of(fails)) {
            return Value::Failed(key);
        }
        let sparse = self.script.sparse;
        let numbered = self.files.into_iter().enumerate();
        let kept = numbered.filter(|(at, text)| *at == 0 || !sparse || text.word % 2 == 1);
        Value::Tree(kept.map(|(at, text)| (File(at as u8), text)).collect())
    }
}
