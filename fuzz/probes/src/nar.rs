//! Archives: there is one form of each tree, so what the reader takes the writer gives, byte for byte;
//! and the bounds hold.

use std::io::Read;

use floe_core::nar::{Event, MAX_DEPTH, MAX_NAME, MAX_TARGET, NarError, Reader, Writer};

/// Reads the bytes as an archive and writes what was read.
pub fn check(data: &[u8]) {
    if let Ok(written) = copy(data) {
        assert!(written == data, "{} bytes were read, {} written", data.len(), written.len());
    }
    // A reader that is not asked for contents skips them, and comes to the same verdict.
    let mut reader = Reader::new(data);
    let skipped = loop {
        match reader.next_event() {
            Ok(Some(_)) => {}
            Ok(None) => break reader.expect_end(),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(skipped.is_ok(), copy(data).is_ok(), "{skipped:?}");
}

fn copy(data: &[u8]) -> Result<Vec<u8>, NarError> {
    let mut reader = Reader::new(data);
    let mut writer = Writer::new(Vec::new())?;
    let mut depth = 0;
    while let Some(event) = reader.next_event()? {
        assert!(reader.position() <= data.len() as u64);
        match event {
            Event::Directory => {
                depth += 1;
                assert!(depth <= MAX_DEPTH);
                writer.begin_directory()?;
            }
            Event::EndDirectory => {
                depth -= 1;
                writer.end_directory()?;
            }
            Event::Entry(name) => {
                assert!(!name.is_empty() && name.len() <= MAX_NAME && !name.contains(&b'/'));
                writer.entry(&name)?;
            }
            Event::Symlink(target) => {
                assert!(target.len() <= MAX_TARGET);
                writer.symlink(&target)?;
            }
            Event::File { executable, size } => {
                writer.begin_file(executable, size)?;
                let mut content = Vec::new();
                // Never more than there is, whatever the size says.
                reader.read_to_end(&mut content)?;
                writer.content(&content)?;
                writer.end_file()?;
            }
        }
    }
    reader.expect_end()?;
    writer.finish()
}
