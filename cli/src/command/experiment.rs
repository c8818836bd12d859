//! `floe experiment`: hands over to `floe-experiment`, the program beside this one, so that the product needs nothing of
//! what is measured with it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::args::Experiment;

/// Becomes that program.
pub fn experiment(args: &Experiment) -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("floe-experiment");
    let fault = Command::new(&program).args(&args.arguments).exec();
    Err(fault).with_context(|| {
        format!(
            "cannot run {}; 'make build' in floe's sources compiles it beside floe",
            program.display()
        )
    })
}
