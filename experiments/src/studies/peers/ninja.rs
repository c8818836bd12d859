//! ninja: an edge an action, which compares the times of files; with `restat` also those of outputs that were left alone.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::measure;
use super::system::{Built, Site, System};
use super::workload::Output;

/// ninja at a site.
pub struct Ninja<'a> {
    /// Where.
    pub site: &'a Site<'a>,
    /// Whether outputs that come out equal are left alone, and ninja looks again after each action.
    pub restat: bool,
}

impl System for Ninja<'_> {
    fn describe(&mut self) -> Result<()> {
        let keep = if self.restat { "-k " } else { "" };
        let flags = format!("{keep}-l {}", self.site.log().display());
        let mut text = String::from("builddir = .\nrule action\n  command = $what\n");
        if self.restat {
            text.push_str("  restat = 1\n");
        }
        for action in 0..self.site.workload.actions() {
            text.push_str(&format!(
                "build {} {}: action src/s{action} {}\n  what = {}\n",
                Site::built(action, Output::A),
                Site::built(action, Output::B),
                self.site.input_files(action),
                self.site.command(action, &flags)
            ));
        }
        text.push_str(&format!("build all: phony {}\ndefault all\n", self.site.wanted()));
        self.site.write("build.ninja", &text)
    }

    fn build(&mut self) -> Result<Built> {
        let mut command = Command::new("ninja");
        command.args(["-j2", "--quiet"]).current_dir(self.site.tree());
        measure::logged(&mut command, &self.site.log())
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        Ok(fs::read_to_string(self.site.tree().join(Site::built(action, output)))?)
    }
}
