//! One repetition of a system on a graph: from nothing where that is asked for, then each edit and its undoing, each build
//! checked against what the workload says. Knows no system.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::measure;
use super::system::{Built, Site, System};
use super::workload::{Digests, Edit, Output, Workload, content};
use crate::study::Fields;

/// What a repetition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Which it is, from 1: edits of different repetitions differ.
    pub repetition: u32,
    /// Whether it begins with nothing built.
    pub cold: bool,
    /// Whether it makes the edit that reaches almost everything.
    pub real: bool,
}

/// Runs it. Whatever is left running is ended, also when it fails.
///
/// # Errors
/// A build fails, or gives something else than the workload says.
pub fn run(site: &Site<'_>, system: &mut dyn System, plan: Plan) -> Result<Vec<Fields>> {
    let rows = Repetition { site, plan, rows: Vec::new() }.run(system);
    let stopped = system.stop();
    // Why it failed says more than that it could not be ended then.
    let rows = rows?;
    stopped?;
    Ok(rows)
}

struct Repetition<'a> {
    site: &'a Site<'a>,
    plan: Plan,
    rows: Vec<Fields>,
}

impl Repetition<'_> {
    fn run(mut self, system: &mut dyn System) -> Result<Vec<Fields>> {
        let workload = self.site.workload;
        let base_text = Workload::source(0);
        let base = workload.evaluate(&base_text);
        let done = self.done_here();
        // Until the end nothing is known of the folder, should this stop half way.
        let marker = self.site.folder.join("done");
        let _ = fs::remove_file(&marker);
        let mut known = Vec::new();
        if self.plan.cold {
            self.begin(system, &base)?;
        } else {
            match done.filter(|done| !done.contains(&self.plan.repetition)) {
                Some(done) => known = done,
                None => {
                    self.begin(system, &base)?;
                    system.stop()?;
                }
            }
            let again = system.build()?;
            if again.actions != 0 {
                bail!("{} actions ran where nothing had changed", again.actions);
            }
            if system.serves() {
                self.row("fresh server", &again, 0, 0)?;
            }
        }

        self.null(system)?;
        for edit in [Edit::Comment, Edit::Partial, Edit::Real] {
            if edit == Edit::Real && !self.plan.real {
                continue;
            }
            let text = Workload::edited(edit, self.plan.repetition);
            let after = workload.evaluate(&text);
            let least = workload.least(&base, &after);
            let built = self.change(system, &text, &after)?;
            if built.actions < least {
                bail!(
                    "{} actions ran after the edit '{}', which needs {least}: they are not counted right",
                    built.actions,
                    edit.name()
                );
            }
            self.row(edit.name(), &built, least, workload.above())?;
            let undone = self.change(system, &base_text, &base)?;
            self.row(&format!("{} undone", edit.name()), &undone, least, workload.above())?;
            self.null(system)?;
        }
        let done: Vec<u32> = known.into_iter().chain([self.plan.repetition]).collect();
        fs::write(&marker, serde_json::to_string(&done)?)?;
        Ok(self.rows)
    }

    /// The repetitions that were made in the folder since it was built from nothing, if it is as one of them left it.
    fn done_here(&self) -> Option<Vec<u32>> {
        let text = fs::read_to_string(self.site.folder.join("done")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Builds everything from nothing.
    fn begin(&mut self, system: &mut dyn System, base: &[Digests]) -> Result<()> {
        let folder = &self.site.folder;
        remove(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        self.site.write_sources()?;
        system.describe()?;
        std::thread::sleep(system.pause());
        let built = system.build()?;
        let all = self.site.workload.actions();
        if built.actions != all {
            bail!("{} actions of {all} ran where nothing had been built", built.actions);
        }
        self.check(system, base)?;
        if self.plan.cold {
            self.row("cold", &built, all, all)?;
        }
        Ok(())
    }

    /// Asks again for what is there.
    fn null(&mut self, system: &mut dyn System) -> Result<()> {
        let built = system.build()?;
        self.row("null", &built, 0, 0)
    }

    /// Puts a text into the first source, builds, and looks at what came out.
    fn change(&self, system: &mut dyn System, text: &str, expected: &[Digests]) -> Result<Built> {
        std::thread::sleep(system.pause());
        fs::write(self.site.source(0), text)?;
        let built = system.build()?;
        self.check(system, expected)?;
        Ok(built)
    }

    fn check(&self, system: &dyn System, expected: &[Digests]) -> Result<()> {
        for action in self.site.workload.sinks() {
            // Only the first output is asked for where outputs lie in the tree; both are made by the same run.
            for (at, output) in [Output::A, Output::B].into_iter().enumerate() {
                let (is, should) = (system.output(action, output)?, content(expected[action][at]));
                if is != should {
                    bail!(
                        "output {} of action {action} holds {is:?}, and should hold {should:?}",
                        output.letter()
                    );
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, edit: &str, built: &Built, least: usize, above: usize) -> Result<()> {
        let row = json!({
            "edit": edit,
            "actions": built.actions,
            "least": least,
            "above": above,
            "wall_ms": round(built.wall_ms),
            "cpu_ms": round(built.cpu_ms),
            "peak_kb": built.peak_kb,
            "floor_kb": measure::floor_kb()?,
            "load_share": measure::load_share()?,
        });
        self.rows.extend(row.as_object().cloned());
        Ok(())
    }
}

fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

/// Deletes a folder, read-only ones within it too, if it is there.
fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder)?.permissions().mode();
        if mode & 0o700 != 0o700 {
            fs::set_permissions(&folder, Permissions::from_mode(mode | 0o700))?;
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(fs::remove_dir_all(folder)?)
}

#[cfg(test)]
mod tests {
    use super::super::make::Make;
    use super::super::{action, system::named};
    use super::*;

    fn site<'a>(workload: &'a Workload, folder: &'a Path, action: &'a Path) -> Site<'a> {
        Site {
            workload,
            folder: folder.join("make"),
            shared: folder,
            action,
            floe: Path::new("floe"),
        }
    }

    #[test]
    fn a_repetition_goes_on_where_another_ended_and_begins_anew_where_it_cannot() {
        let folder = tempfile::tempdir().expect("a directory");
        let program = action::compiled(folder.path()).expect("compiled");
        let workload = Workload::draw(60, 3, 1);
        let site = site(&workload, folder.path(), &program);
        let requests = |plan: Plan| -> Vec<(String, u64)> {
            let rows = run(&site, &mut Make { site: &site }, plan).expect("a repetition");
            let of = |row: &Fields| {
                let edit = row["edit"].as_str().expect("an edit").to_owned();
                (edit, row["actions"].as_u64().expect("a count"))
            };
            rows.iter().map(of).collect()
        };
        let above = workload.above() as u64;
        let edits = |of: &str| vec![(of.to_owned(), above), (format!("{of} undone"), above)];
        let null = vec![("null".to_owned(), 0)];
        let small = [&null[..], &edits("comment"), &null, &edits("partial"), &null].concat();

        let first = requests(Plan { repetition: 1, cold: true, real: true });
        let cold = [("cold".to_owned(), 60)];
        assert_eq!(first, [&cold[..], &small, &edits("real"), &null].concat());
        let second = Plan { repetition: 2, cold: false, real: false };
        assert_eq!(requests(second), small);
        // What it edits was built before by systems that remember: only an empty folder gives the same again.
        let stale = site.tree().join("stale");
        fs::write(&stale, "").expect("written");
        assert_eq!(requests(second), small);
        assert!(!stale.exists());
    }

    #[test]
    fn a_wrong_output_is_told() {
        let folder = tempfile::tempdir().expect("a directory");
        let program = action::compiled(folder.path()).expect("compiled");
        let workload = Workload::draw(10, 3, 1);
        let site = site(&workload, folder.path(), &program);
        let plan = Plan { repetition: 1, cold: true, real: false };
        let mut system = (named("make").expect("make").open)(&site);
        run(&site, system.as_mut(), plan).expect("a repetition");
        fs::write(site.tree().join("out/s9.a"), "other\n").expect("written");
        let check = Repetition { site: &site, plan, rows: Vec::new() };
        let base = workload.evaluate(&Workload::source(0));
        let fault = check.check(system.as_ref(), &base).expect_err("wrong");
        assert!(
            fault.to_string().starts_with("output a of action 9 holds \"other\\n\""),
            "{fault}"
        );
    }
}
