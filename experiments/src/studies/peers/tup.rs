//! tup: a rule an action, which sees what an action reads and writes; the flag `^o^` stops a change at equal outputs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::measure;
use super::system::{Built, Site, System};
use super::workload::Output;
use crate::process;

/// tup at a site.
pub struct Tup<'a> {
    /// Where.
    pub site: &'a Site<'a>,
}

impl System for Tup<'_> {
    fn describe(&mut self) -> Result<()> {
        let flags = format!("-l {}", self.site.log().display());
        let mut text = String::new();
        for action in 0..self.site.workload.actions() {
            text.push_str(&format!(
                ": src/s{action} {} |> ^o^ {} |> {} {}\n",
                self.site.input_files(action),
                self.site.command(action, &flags),
                Site::built(action, Output::A),
                Site::built(action, Output::B),
            ));
        }
        self.site.write("Tupfile", &text)?;
        process::succeed(Command::new("tup").arg("init").current_dir(self.site.tree()))?;
        Ok(())
    }

    fn build(&mut self) -> Result<Built> {
        let mut command = Command::new("tup");
        command.args(["-j2", "--quiet"]).current_dir(self.site.tree());
        measure::logged(&mut command, &self.site.log())
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        Ok(fs::read_to_string(self.site.tree().join(Site::built(action, output)))?)
    }

    /// It compares whole seconds: what is edited in the second of the last build is never seen.
    fn pause(&self) -> Duration {
        Duration::from_millis(1_100)
    }
}
