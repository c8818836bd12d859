//! The report: sections made of results, rendered as one self-contained page and as Markdown. Measures nothing.

pub mod bars;
pub mod block;
pub mod html;
pub mod lines;
pub mod markdown;
pub mod readme;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::description::{Description, Scale};
use crate::record::{self, Head};
use crate::report::block::Section;
use crate::studies;

/// What the report says of one study.
#[derive(Debug)]
pub struct Chapter {
    /// The study.
    pub description: Description,
    /// With what and where it was measured; the newest run's.
    pub head: Head,
    /// Those of the runs before it, each of which measured a part.
    pub earlier: Vec<Head>,
    /// How many trials its results hold, and how many there should be.
    pub trials: (usize, usize),
    /// Wall time of all trials, in milliseconds.
    pub wall_ms: u64,
    /// What the rows say.
    pub section: Section,
}

/// Makes a chapter of each study that has results.
///
/// # Errors
/// Results are damaged, or a section cannot be made of them.
pub fn chapters(studies: &[Description], scale: Scale) -> Result<Vec<Chapter>> {
    let mut chapters = Vec::new();
    for description in studies {
        let mut results = record::read(&description.results(scale))?;
        let Some(head) = results.heads.pop() else { continue };
        let study = studies::open(description, scale)?;
        let trials = study.trials()?;
        let held = trials.iter().filter(|trial| results.ended.contains(&trial.key)).count();
        let section = study.section(&results.rows).with_context(|| {
            format!("cannot make a section of the results of the study {}", description.name)
        })?;
        chapters.push(Chapter {
            description: description.clone(),
            head,
            earlier: results.heads,
            trials: (held, trials.len()),
            wall_ms: results.wall_ms,
            section,
        });
    }
    Ok(chapters)
}

/// Writes `index.html`, `report.md` and the figures beside it into a folder.
///
/// # Errors
/// A file cannot be written, or a figure not be drawn.
pub fn write(chapters: &[Chapter], folder: &Path) -> Result<()> {
    let figures = folder.join("figures");
    fs::create_dir_all(&figures).with_context(|| format!("cannot make {}", figures.display()))?;
    let put = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put(&folder.join("index.html"), &html::page(chapters)?)?;
    put(&folder.join("report.md"), &markdown::page(chapters))?;
    for chapter in chapters {
        for (at, figure) in chapter.section.figures().enumerate() {
            let name = markdown::figure_file(&chapter.description.name, at);
            put(&figures.join(name), &figure.svg(block::Ink::Paper)?)?;
        }
    }
    Ok(())
}
