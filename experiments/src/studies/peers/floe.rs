//! floe as a system of this study: alone, and through its resident server, on the expressions that Nix is given.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::measure::{self, Used};
use super::nix;
use super::system::{Built, Site, System};
use super::workload::Output;
use crate::floe::Floe;
use crate::process::{self, Measured};

/// What both do in the same way.
struct Common<'a> {
    site: &'a Site<'a>,
    floe: Floe,
    paths: HashMap<String, String>,
}

impl<'a> Common<'a> {
    fn new(site: &'a Site<'a>) -> Self {
        let floe = Floe::new(site.floe, &site.folder.join("store"), &site.tree());
        Self { site, floe, paths: HashMap::new() }
    }

    /// A report would say more than any peer does, and take longer than all else: what was built is told anyway.
    fn build(&mut self, how: &str) -> Result<(Measured, usize)> {
        let words = ["build", "all", "-f", ".", "-j2", "--no-link", "--progress", "plain", how];
        let done = process::succeed(&mut self.floe.command(words))?;
        self.paths = nix::printed(&done.out);
        let actions = done.err.lines().filter(|line| line.starts_with("built ")).count();
        Ok((done, actions))
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        let path = nix::path_of(&self.paths, action, output)?;
        Ok(fs::read_to_string(self.floe.object(path))?)
    }
}

/// floe in a process of its own.
pub struct Alone<'a>(Common<'a>);

impl<'a> Alone<'a> {
    /// At a site.
    pub fn new(site: &'a Site<'a>) -> Self {
        Self(Common::new(site))
    }
}

impl System for Alone<'_> {
    fn describe(&mut self) -> Result<()> {
        nix::describe(self.0.site, nix::Addressing::Inputs)
    }

    fn build(&mut self) -> Result<Built> {
        let (done, actions) = self.0.build("--no-server")?;
        Ok(measure::built(&done, actions))
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        self.0.output(action, output)
    }
}

/// floe through a server.
pub struct Served<'a>(Common<'a>);

#[derive(Deserialize)]
struct Status {
    pid: i32,
}

impl<'a> Served<'a> {
    /// At a site.
    pub fn new(site: &'a Site<'a>) -> Self {
        Self(Common::new(site))
    }

    /// The server's process, if it runs.
    fn server(&self) -> Result<Option<i32>> {
        let said = process::measure(&mut self.0.floe.command(["server", "status", "--json"]))?;
        if !said.status.success() {
            return Ok(None);
        }
        let status: Status =
            serde_json::from_str(&said.out).context("floe's server says what it should not")?;
        Ok(Some(status.pid))
    }
}

impl System for Served<'_> {
    fn describe(&mut self) -> Result<()> {
        nix::describe(self.0.site, nix::Addressing::Inputs)
    }

    fn build(&mut self) -> Result<Built> {
        let before = Used::of(self.server()?)?;
        let (done, actions) = self.0.build("--server")?;
        let after = Used::of(self.server()?)?;
        Ok(measure::served(&done, actions, before, after))
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        self.0.output(action, output)
    }

    fn serves(&self) -> bool {
        true
    }

    fn stop(&mut self) -> Result<()> {
        let Some(pid) = self.server()? else { return Ok(()) };
        process::succeed(&mut self.0.floe.command(["server", "stop"]))?;
        for _ in 0..6_000 {
            if !fs::exists(format!("/proc/{pid}"))? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("floe's server, process {pid}, does not end")
    }
}
