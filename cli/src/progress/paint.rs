//! A block of lines at the bottom of a terminal that is painted again and again, with lasting lines
//! scrolling away above it. Knows rows and columns, not what is in them.
//!
//! The cursor rests in the row below the block, so that whoever kills the process finds a clean
//! line there. No line is as wide as the terminal, so none wraps; when the terminal has become
//! narrower since, the rows that a terminal which reflows has made of the block are counted.

use std::io::{self, Write};

use super::line::Line;

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Characters in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl Size {
    /// What a line may take.
    pub fn width(self) -> usize {
        self.columns.saturating_sub(1)
    }
}

/// The block.
pub struct Painter<W> {
    out: W,
    colours: bool,
    /// The widths of the lines that stand on the screen.
    drawn: Vec<usize>,
}

impl<W: Write> Painter<W> {
    /// Nothing is painted yet.
    pub fn new(out: W, colours: bool) -> Painter<W> {
        Painter { out, colours, drawn: Vec::new() }
    }

    /// Whether something stands on the screen.
    pub fn is_drawn(&self) -> bool {
        !self.drawn.is_empty()
    }

    /// Something else was written below the block: it stays where it is.
    pub fn leave(&mut self) {
        self.drawn.clear();
    }

    /// Writes lasting lines, and the block in the place of the former one.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn paint(&mut self, above: &[String], block: Vec<Line>, size: Size) -> io::Result<()> {
        let mut text = String::new();
        let rows: usize =
            self.drawn.iter().map(|width| width.div_ceil(size.columns.max(1)).max(1)).sum();
        if rows > 0 {
            // Up to the block's first row; everything from there on goes.
            text += &format!("\r\x1b[{rows}A\x1b[J");
        }
        for line in above {
            text += line;
            text += "\n";
        }
        self.drawn.clear();
        // One row stays for the cursor.
        for line in block.into_iter().take(size.rows.saturating_sub(1)) {
            let line = line.cut(size.width());
            text += &line.paint(self.colours);
            text += "\n";
            self.drawn.push(line.width());
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Tone;
    use super::*;

    fn block(lines: &[&str]) -> Vec<Line> {
        lines.iter().map(|text| Line::default().with(Tone::Plain, *text)).collect()
    }

    fn painted(painter: &mut Painter<Vec<u8>>) -> String {
        String::from_utf8(std::mem::take(&mut painter.out)).expect("text")
    }

    #[test]
    fn a_block_is_painted_over() {
        let size = Size { columns: 10, rows: 5 };
        let mut painter = Painter::new(Vec::new(), false);
        painter.paint(&[], block(&["one", "two"]), size).expect("memory");
        assert_eq!(painted(&mut painter), "one\ntwo\n");
        painter.paint(&["above".to_owned()], block(&["three"]), size).expect("memory");
        assert_eq!(painted(&mut painter), "\r\x1b[2A\x1b[Jabove\nthree\n");
        painter.paint(&[], Vec::new(), size).expect("memory");
        assert_eq!(painted(&mut painter), "\r\x1b[1A\x1b[J");
        assert!(!painter.is_drawn());
    }

    #[test]
    fn it_keeps_within_the_terminal() {
        let size = Size { columns: 6, rows: 3 };
        let mut painter = Painter::new(Vec::new(), false);
        painter.paint(&[], block(&["123456", "two", "three"]), size).expect("memory");
        assert_eq!(painted(&mut painter), "1234…\ntwo\n");
        // Each row of five characters has become two.
        let narrow = Size { columns: 3, rows: 9 };
        painter.paint(&[], block(&["12"]), narrow).expect("memory");
        assert_eq!(painted(&mut painter), "\r\x1b[3A\x1b[J12\n");
    }
}
