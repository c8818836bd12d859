//! Raw results: JSON lines. A file begins with a head that says with what and where it was measured; then each row of each
//! trial, and a line that ends the trial. Rows of a trial that was not ended are of a run that was stopped, and are not read.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::description::Scale;
use crate::study::Fields;

/// The format's version.
const VERSION: u32 = 1;

/// With what, where and when rows were measured. One stands before the rows of each run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub floe_experiment: u32,
    /// The study.
    pub study: String,
    /// How much was measured.
    pub scale: Scale,
    /// What `floe --version` says, and the commit of the sources.
    pub floe: String,
    /// The seed of what was drawn by chance.
    pub seed: u64,
    /// When the run began.
    pub at: String,
    /// The machine: facts by name.
    pub machine: Vec<(String, String)>,
    /// What was measured beside floe: versions by name.
    pub peers: Vec<(String, String)>,
}

impl Head {
    /// The head of a run that begins now.
    pub fn new(
        study: &str,
        scale: Scale,
        floe: String,
        seed: u64,
        peers: Vec<(String, String)>,
    ) -> Self {
        let at = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string();
        let machine = crate::machine::facts();
        Self {
            floe_experiment: VERSION,
            study: study.to_owned(),
            scale,
            floe,
            seed,
            at,
            machine,
            peers,
        }
    }
}

/// A row of a trial that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The trial that gave it.
    pub trial: String,
    /// What it found.
    pub fields: Fields,
}

impl Row {
    /// A field that is text.
    ///
    /// # Errors
    /// It is not there, or no text.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.field(name)?
            .as_str()
            .with_context(|| format!("'{name}' of trial {} is no text", self.trial))
    }

    /// A field that is a number.
    ///
    /// # Errors
    /// It is not there, or no number.
    pub fn number(&self, name: &str) -> Result<f64> {
        self.field(name)?
            .as_f64()
            .with_context(|| format!("'{name}' of trial {} is no number", self.trial))
    }

    /// Any field.
    ///
    /// # Errors
    /// It is not there.
    pub fn field(&self, name: &str) -> Result<&Value> {
        self.fields.get(name).with_context(|| format!("trial {} has no field '{name}'", self.trial))
    }
}

/// What a study says in a row, as a type of its own.
pub trait Written: Serialize + DeserializeOwned {
    /// As fields of a row.
    ///
    /// # Errors
    /// Never, as long as it is written as an object.
    fn fields(&self) -> Result<Fields> {
        match serde_json::to_value(self)? {
            Value::Object(fields) => Ok(fields),
            other => bail!("{other} has no fields"),
        }
    }

    /// The inverse.
    ///
    /// # Errors
    /// The row tells of something else; the message names its trial.
    fn of(row: &Row) -> Result<Self> {
        serde_json::from_value(Value::Object(row.fields.clone())).with_context(|| {
            format!("a row of the trial {} is not what its study wrote", row.trial)
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Head(Head),
    Row { trial: String, row: Fields },
    End { ended: String, wall_ms: u64 },
}

/// What a file of results holds.
#[derive(Debug, Default, PartialEq)]
pub struct Results {
    /// One a run.
    pub heads: Vec<Head>,
    /// Rows of trials that ended, in their order.
    pub rows: Vec<Row>,
    /// The trials that ended.
    pub ended: HashSet<String>,
    /// Wall time of all that ended, in milliseconds.
    pub wall_ms: u64,
}

/// Reads a file of results; one that is not there holds none.
///
/// # Errors
/// It cannot be read, or a line before the last is damaged. A last line that was cut off by a crash counts as not written.
pub fn read(file: &Path) -> Result<Results> {
    let opened = match File::open(file) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Results::default()),
        opened => opened.with_context(|| format!("cannot open the results {}", file.display()))?,
    };
    let mut results = Results::default();
    let mut open: Vec<Row> = Vec::new();
    let mut lines = BufReader::new(opened).lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let line = line.with_context(|| format!("cannot read the results {}", file.display()))?;
        match serde_json::from_str(&line) {
            Ok(Line::Head(head)) if head.floe_experiment != VERSION => {
                bail!(
                    "{} is of format {}, and this floe reads {VERSION}",
                    file.display(),
                    head.floe_experiment
                )
            }
            Ok(Line::Head(head)) => {
                open.clear();
                results.heads.push(head);
            }
            Ok(Line::Row { trial, row }) => open.push(Row { trial, fields: row }),
            Ok(Line::End { ended, wall_ms }) => {
                results.rows.extend(open.drain(..).filter(|row| row.trial == ended));
                results.ended.insert(ended);
                results.wall_ms += wall_ms;
            }
            Err(_) if lines.peek().is_none() => {}
            Err(fault) => {
                return Err(fault).with_context(|| {
                    format!(
                        "line {} of {} is no result; move the file away to begin anew",
                        at + 1,
                        file.display()
                    )
                });
            }
        }
    }
    Ok(results)
}

/// A file that results are added to.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens a file for another run. What a crash left of a last line is cut off.
    ///
    /// # Errors
    /// The file cannot be made, or not be written.
    pub fn open(path: &Path, head: Head) -> Result<Self> {
        let place = || format!("cannot write the results {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(place)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(place)?;
        let text = fs::read(path).with_context(place)?;
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64).with_context(place)?;
        let mut journal = Self { file };
        journal.write(&Line::Head(head))?;
        Ok(journal)
    }

    /// Adds the rows of a trial and ends it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, trial: &str, rows: Vec<Fields>, wall_ms: u64) -> Result<()> {
        for row in rows {
            self.write(&Line::Row { trial: trial.to_owned(), row })?;
        }
        self.write(&Line::End { ended: trial.to_owned(), wall_ms })
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).context("cannot write the results; is the disk full?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::new("s", Scale::Quick, "floe 0".to_owned(), 1, Vec::new())
    }

    fn fields(count: u64) -> Fields {
        Fields::from_iter([("built".to_owned(), Value::from(count))])
    }

    #[test]
    fn a_run_that_was_cut_off_keeps_the_trials_that_ended() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("results/quick.jsonl");
        let mut journal = Journal::open(&file, head()).expect("opened");
        journal.add("a", vec![fields(1), fields(2)], 5).expect("written");
        journal.write(&Line::Row { trial: "b".to_owned(), row: fields(3) }).expect("written");
        drop(journal);
        let mut text = fs::read_to_string(&file).expect("text");
        text.push_str("{\"trial\":\"b\",\"ro");
        fs::write(&file, text).expect("written");

        let results = read(&file).expect("read");
        assert_eq!(results.ended, HashSet::from(["a".to_owned()]));
        assert_eq!(results.rows.len(), 2);

        let mut journal = Journal::open(&file, head()).expect("opened again");
        journal.add("b", vec![fields(4)], 7).expect("written");
        let results = read(&file).expect("read");
        let built: Vec<f64> =
            results.rows.iter().map(|row| row.number("built").expect("built")).collect();
        assert_eq!((built, results.heads.len(), results.wall_ms), (vec![1.0, 2.0, 4.0], 2, 12));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("quick.jsonl");
        fs::write(
            &file,
            "{\"ended\":\"a\",\"wall_ms\":1}\nrubbish\n{\"ended\":\"b\",\"wall_ms\":1}\n",
        )
        .expect("written");
        let fault = read(&file).expect_err("damaged");
        assert!(format!("{fault:#}").contains("line 2 of "), "{fault:#}");
    }
}
