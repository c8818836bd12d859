//! The action that all tools run, compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

const SOURCE: &str = include_str!("action.c");

/// Compiles the action into a folder, unless it is there: static, so that it runs where nothing else is.
///
/// # Errors
/// There is no C compiler, or it fails.
pub fn compiled(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("action");
    let source = folder.join("action.c");
    if program.exists() && fs::read_to_string(&source).is_ok_and(|text| text == SOURCE) {
        return Ok(program);
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _ = fs::remove_file(&program);
    fs::write(&source, SOURCE)?;
    process::succeed(Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(&source))
        .context("cannot compile the action; `apt-get install gcc libc6-dev` gives a compiler")?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::super::workload::{Edit, Output, Workload, content};
    use super::*;

    /// The program writes what the workload says, is silent about what stays, and is counted.
    #[test]
    fn the_program_and_the_workload_agree() {
        let folder = tempfile::tempdir().expect("a directory");
        let program = compiled(folder.path()).expect("compiled");
        let workload = Workload::draw(40, 3, 7);
        let first = Workload::edited(Edit::Real, 3);
        let digests = workload.evaluate(&first);
        let file = |action: usize, of: Output| format!("{action}{}", of.letter());
        for (action, written) in digests.iter().enumerate() {
            let source = if action == 0 { first.clone() } else { Workload::source(action) };
            fs::write(folder.path().join("source"), source).expect("written");
            let list =
                |of| workload.inputs(action, of).map(|used| file(used, of)).collect::<Vec<_>>();
            let mut command = Command::new(&program);
            command
                .args(["-k", "-l", "log"])
                .args([file(action, Output::A), file(action, Output::B)])
                .arg("source")
                .args(list(Output::A))
                .arg("-b")
                .args(list(Output::B))
                .current_dir(folder.path());
            process::succeed(&mut command).expect("run");
            for (at, of) in [Output::A, Output::B].into_iter().enumerate() {
                let found = fs::read_to_string(folder.path().join(file(action, of)));
                assert_eq!(found.expect("written"), content(written[at]));
            }
        }
        let log = fs::metadata(folder.path().join("log")).expect("a log");
        assert_eq!(log.len(), 40);
    }
}
