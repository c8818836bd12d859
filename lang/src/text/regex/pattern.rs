//! Reads a POSIX extended regular expression, with what libstdc++ takes and refuses. Nothing is matched
//! here.

use super::RegexError;

/// A pattern that takes libstdc++ more states than this is refused.
const MAX_STATES: usize = 100_000;
/// Groups may nest this deep.
pub(super) const MAX_DEPTH: usize = 250;
/// So many repetitions of repetitions may be in a pattern.
const MAX_STACKED: usize = 500;

/// A part of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    /// One byte of a set.
    Set(ByteSet),
    /// The beginning of the text.
    Start,
    /// The end of the text.
    End,
    /// What a group of this number matches, from 1 on.
    Group(usize, Box<Node>),
    /// One of several, the first of which is tried first.
    Choice(Vec<Node>),
    /// One after the other.
    Sequence(Vec<Node>),
    /// The same again.
    Repeat(Box<Node>, Times),
}

/// How often something is repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Times {
    /// `*`
    Any,
    /// `+`
    Some,
    /// `?`
    Maybe,
    /// `{n}`, `{n,}`, `{n,m}`
    Between(u32, Option<u32>),
}

/// A pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) node: Node,
    /// How many groups it has.
    pub(super) groups: usize,
    /// Whether there are alternatives.
    pub(super) branches: bool,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn read(text: &[u8]) -> Result<Pattern, RegexError> {
        let mut reader = Reader { text, at: 0, groups: 0, stacked: 0, branches: false };
        let node = reader.alternatives(0)?;
        if reader.at < text.len() {
            return Err(RegexError::Invalid);
        }
        if node.states() > MAX_STATES {
            return Err(RegexError::TooLarge);
        }
        Ok(Pattern { node, groups: reader.groups, branches: reader.branches })
    }
}

impl Node {
    /// Whether it may match nothing at all.
    fn is_nullable(&self) -> bool {
        match self {
            Node::Set(_) => false,
            Node::Start | Node::End => true,
            Node::Group(_, node) => node.is_nullable(),
            Node::Choice(nodes) => nodes.iter().any(Node::is_nullable),
            Node::Sequence(nodes) => nodes.iter().all(Node::is_nullable),
            Node::Repeat(node, times) => match times {
                Times::Any | Times::Maybe | Times::Between(0, _) => true,
                Times::Some | Times::Between(..) => node.is_nullable(),
            },
        }
    }

    /// How many states it takes libstdc++, nearly.
    fn states(&self) -> usize {
        match self {
            Node::Set(_) | Node::Start | Node::End => 1,
            Node::Group(_, node) => node.states().saturating_add(2),
            Node::Choice(nodes) | Node::Sequence(nodes) => {
                nodes.iter().fold(1, |sum, node| sum.saturating_add(node.states()))
            }
            Node::Repeat(node, times) => {
                let (once, copies) = match times {
                    Times::Any | Times::Some | Times::Maybe => (node.states(), 1),
                    Times::Between(least, most) => (node.states(), most.unwrap_or(least + 1)),
                };
                once.saturating_mul(copies as usize).saturating_add(2)
            }
        }
    }

    fn has_groups(&self) -> bool {
        match self {
            Node::Set(_) | Node::Start | Node::End => false,
            Node::Group(..) => true,
            Node::Choice(nodes) | Node::Sequence(nodes) => nodes.iter().any(Node::has_groups),
            Node::Repeat(node, _) => node.has_groups(),
        }
    }

    /// Whether a group is repeated without bound that may match nothing: whether it does once more, after
    /// all else, is where implementations differ.
    pub(super) fn loops_on_nothing(&self) -> bool {
        match self {
            Node::Set(_) | Node::Start | Node::End => false,
            Node::Group(_, node) => node.loops_on_nothing(),
            Node::Choice(nodes) | Node::Sequence(nodes) => nodes.iter().any(Node::loops_on_nothing),
            Node::Repeat(node, times) => {
                let unbounded = matches!(times, Times::Any | Times::Some | Times::Between(_, None));
                (unbounded && node.has_groups() && node.is_nullable()) || node.loops_on_nothing()
            }
        }
    }
}

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    fn of(byte: u8) -> ByteSet {
        let mut set = ByteSet::default();
        set.add(byte);
        set
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte) / 64] |= 1 << (byte % 64);
    }

    fn without(self) -> ByteSet {
        ByteSet(self.0.map(|bits| !bits))
    }

    /// Whether a byte is in it.
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte) / 64] & 1 << (byte % 64) != 0
    }
}

struct Reader<'p> {
    text: &'p [u8],
    at: usize,
    groups: usize,
    /// Repetitions of repetitions so far.
    stacked: usize,
    branches: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, RegexError> {
        let byte = self.peek().ok_or(RegexError::Invalid)?;
        self.at += 1;
        Ok(byte)
    }

    /// Up to the end or a closing parenthesis, which is left.
    fn alternatives(&mut self, depth: usize) -> Result<Node, RegexError> {
        if depth > MAX_DEPTH {
            return Err(RegexError::TooLarge);
        }
        let mut choices = Vec::new();
        let mut terms = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b')' => break,
                b'|' => {
                    self.at += 1;
                    self.branches = true;
                    choices.push(Node::Sequence(std::mem::take(&mut terms)));
                }
                _ => terms.push(self.term(depth)?),
            }
        }
        let last = Node::Sequence(terms);
        if choices.is_empty() {
            return Ok(last);
        }
        choices.push(last);
        Ok(Node::Choice(choices))
    }

    /// An atom or anchor and the repetitions behind it.
    fn term(&mut self, depth: usize) -> Result<Node, RegexError> {
        let mut node = match self.next()? {
            // An anchor is not repeated: a sign behind it has nothing before it.
            b'^' => return Ok(Node::Start),
            b'$' => return Ok(Node::End),
            b'.' => Node::Set(ByteSet::of(0).without()),
            b'[' => Node::Set(self.bracket()?),
            b'(' => {
                self.groups += 1;
                let number = self.groups;
                let inner = self.alternatives(depth + 1)?;
                if self.next()? != b')' {
                    return Err(RegexError::Invalid);
                }
                Node::Group(number, Box::new(inner))
            }
            b'*' | b'+' | b'?' | b'{' => return Err(RegexError::Invalid),
            b'\\' => {
                let byte = self.next()?;
                if !b".[\\()*+?{|^$".contains(&byte) {
                    return Err(RegexError::Invalid);
                }
                Node::Set(ByteSet::of(byte))
            }
            byte => Node::Set(ByteSet::of(byte)),
        };
        while let Some(byte @ (b'*' | b'+' | b'?' | b'{')) = self.peek() {
            self.at += 1;
            self.stacked += usize::from(matches!(node, Node::Repeat(..)));
            if self.stacked > MAX_STACKED {
                return Err(RegexError::TooLarge);
            }
            let times = match byte {
                b'*' => Times::Any,
                b'+' => Times::Some,
                b'?' => Times::Maybe,
                _ => self.counts()?,
            };
            node = Node::Repeat(Box::new(node), times);
        }
        Ok(node)
    }

    /// `n}`, `n,}` or `n,m}`
    fn counts(&mut self) -> Result<Times, RegexError> {
        let least = self.count()?.ok_or(RegexError::Invalid)?;
        let most = match self.next()? {
            b'}' => Some(least),
            b',' => {
                let most = self.count()?;
                if self.next()? != b'}' || most.is_some_and(|most| most < least) {
                    return Err(RegexError::Invalid);
                }
                most
            }
            _ => return Err(RegexError::Invalid),
        };
        Ok(Times::Between(least, most))
    }

    fn count(&mut self) -> Result<Option<u32>, RegexError> {
        let mut value: Option<u32> = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            let next = u64::from(value.unwrap_or(0)) * 10 + u64::from(digit - b'0');
            // It is an `int` there.
            let next = i32::try_from(next).map_err(|_| RegexError::Invalid)?;
            value = Some(next.cast_unsigned());
        }
        Ok(value)
    }

    /// A set of bytes, after its opening bracket.
    fn bracket(&mut self) -> Result<ByteSet, RegexError> {
        let mut set = ByteSet::default();
        let negated = self.peek() == Some(b'^');
        self.at += negated as usize;
        // What stood last, if a range can begin with it.
        let mut last = None;
        if let Some(byte @ (b']' | b'-')) = self.peek() {
            self.at += 1;
            set.add(byte);
            last = Some(byte);
        }
        loop {
            match self.next()? {
                b']' => break,
                b'[' if self.is_named() => last = self.named(&mut set)?,
                b'-' if self.peek() == Some(b']') => set.add(b'-'),
                b'-' => {
                    let (low, high) = (last.take().ok_or(RegexError::Invalid)?, self.next()?);
                    if high == b'[' && self.is_named() {
                        return Err(RegexError::Invalid);
                    }
                    // C's char has a sign on the machines that matter.
                    if (high as i8) < low as i8 {
                        return Err(RegexError::Invalid);
                    }
                    (low as i8..=high as i8).for_each(|byte| set.add(byte as u8));
                }
                byte => {
                    set.add(byte);
                    last = Some(byte);
                }
            }
        }
        Ok(if negated { set.without() } else { set })
    }

    /// Whether an opening bracket in a set begins `[:`, `[=` or `[.`
    fn is_named(&self) -> bool {
        matches!(self.peek(), Some(b':' | b'=' | b'.'))
    }

    /// `:alpha:]`, `=a=]` or `.hyphen.]`; the byte, if a range can begin with it.
    fn named(&mut self, set: &mut ByteSet) -> Result<Option<u8>, RegexError> {
        let mark = self.next()?;
        let rest = &self.text[self.at..];
        let end = memchr::memchr(mark, rest).ok_or(RegexError::Invalid)?;
        if rest.get(end + 1) != Some(&b']') {
            return Err(RegexError::Invalid);
        }
        self.at += end + 2;
        let name = &rest[..end];
        if mark == b':' {
            let belongs = class(&name.to_ascii_lowercase()).ok_or(RegexError::Invalid)?;
            (0..=255u8).filter(belongs).for_each(|byte| set.add(byte));
            return Ok(None);
        }
        let byte = COLLATING.iter().position(|known| known.as_bytes() == name);
        let byte = byte.ok_or(RegexError::Invalid)? as u8;
        set.add(byte);
        if mark == b'.' {
            return Ok(Some(byte));
        }
        // Letters of both cases are equivalent.
        set.add(byte.to_ascii_lowercase());
        set.add(byte.to_ascii_uppercase());
        Ok(None)
    }
}

/// The bytes of a named class.
fn class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" | b"d" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"upper" => u8::is_ascii_uppercase,
        b"lower" => u8::is_ascii_lowercase,
        b"punct" => u8::is_ascii_punctuation,
        b"xdigit" => u8::is_ascii_hexdigit,
        b"cntrl" => u8::is_ascii_control,
        b"graph" => u8::is_ascii_graphic,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"space" | b"s" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"w" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
        _ => return None,
    })
}

/// The names of the bytes of ASCII in the portable character set of POSIX, as libstdc++ has them.
#[rustfmt::skip]
const COLLATING: [&str; 128] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "alert", "backspace", "tab", "newline",
    "vertical-tab", "form-feed", "carriage-return", "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4",
    "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "IS4", "IS3", "IS2", "IS1", "space",
    "exclamation-mark", "quotation-mark", "number-sign", "dollar-sign", "percent-sign", "ampersand",
    "apostrophe", "left-parenthesis", "right-parenthesis", "asterisk", "plus-sign", "comma", "hyphen",
    "period", "slash", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "colon", "semicolon", "less-than-sign", "equals-sign", "greater-than-sign", "question-mark",
    "commercial-at", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P",
    "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "left-square-bracket", "backslash",
    "right-square-bracket", "circumflex", "underscore", "grave-accent", "a", "b", "c", "d", "e", "f",
    "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
    "left-curly-bracket", "vertical-line", "right-curly-bracket", "tilde", "DEL",
];
