//! Byte offsets to lines and columns. Made only when a position is shown.

/// The starts of the lines of a text. Lines end with `\n`, `\r\n` or `\r`, as in C++ Nix.
#[derive(Clone, Debug)]
pub struct LineTable {
    starts: Vec<u32>,
}

/// A line and a column (in bytes), both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LineColumn {
    /// The line.
    pub line: u32,
    /// The column, in bytes.
    pub column: u32,
}

impl LineTable {
    /// Reads the text once.
    pub fn new(text: &[u8]) -> LineTable {
        let mut starts = vec![0];
        for at in memchr::memchr2_iter(b'\n', b'\r', text) {
            if text[at] == b'\r' && text.get(at + 1) == Some(&b'\n') {
                continue;
            }
            starts.push(at as u32 + 1);
        }
        LineTable { starts }
    }

    /// Where a byte offset is; offsets behind the text count on in its last line.
    pub fn locate(&self, offset: u32) -> LineColumn {
        let line = self.starts.partition_point(|start| *start <= offset);
        LineColumn { line: line as u32, column: offset - self.starts[line - 1] + 1 }
    }

    /// The bytes of a line (counted from 1) without its end, if there is such a line.
    pub fn line<'t>(&self, text: &'t [u8], line: u32) -> Option<&'t [u8]> {
        let index = line.checked_sub(1)? as usize;
        let start = *self.starts.get(index)? as usize;
        let end = self.starts.get(index + 1).map_or(text.len(), |end| *end as usize);
        let mut bytes = &text[start.min(text.len())..end.min(text.len())];
        while let [rest @ .., b'\n' | b'\r'] = bytes {
            bytes = rest;
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_counts_once() {
        let text = b"a\nbc\r\nd\re";
        let table = LineTable::new(text);
        let at = |offset| {
            let place = table.locate(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(1), (1, 2));
        assert_eq!(at(2), (2, 1));
        assert_eq!(at(5), (2, 4));
        assert_eq!(at(6), (3, 1));
        assert_eq!(at(8), (4, 1));
        assert_eq!(at(9), (4, 2));
        let lines: Vec<_> = (0..6).map(|line| table.line(text, line)).collect();
        assert_eq!(lines, [None, Some(&b"a"[..]), Some(b"bc"), Some(b"d"), Some(b"e"), None]);
    }
}
