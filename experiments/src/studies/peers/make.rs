//! GNU make: a rule an action with grouped targets, which compares the times of files.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::measure;
use super::system::{Built, Site, System};
use super::workload::Output;

/// make at a site.
pub struct Make<'a> {
    /// Where.
    pub site: &'a Site<'a>,
}

impl System for Make<'_> {
    fn describe(&mut self) -> Result<()> {
        let flags = format!("-l {}", self.site.log().display());
        let mut text =
            format!("MAKEFLAGS += -rR\n.SUFFIXES:\n.PHONY: all\nall: {}\n", self.site.wanted());
        for action in 0..self.site.workload.actions() {
            text.push_str(&format!(
                "{} {} &: src/s{action} {}\n\t@{}\n",
                Site::built(action, Output::A),
                Site::built(action, Output::B),
                self.site.input_files(action),
                self.site.command(action, &flags)
            ));
        }
        self.site.write("Makefile", &text)
    }

    fn build(&mut self) -> Result<Built> {
        let mut command = Command::new("make");
        command.args(["-j2", "--silent"]).current_dir(self.site.tree());
        measure::logged(&mut command, &self.site.log())
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        Ok(fs::read_to_string(self.site.tree().join(Site::built(action, output)))?)
    }
}
