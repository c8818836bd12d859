//! BuildStream: an element an action, of a kind of our own that runs the action as its sandbox's only process. No server
//! stays, and what it knows lies in a cache of the site's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::measure;
use super::system::{Built, Site, System};
use super::workload::Output;
use crate::process;

const KIND: &str = include_str!("buildstream.py");

const PROJECT: &str = "name: graph\nmin-version: 2.4\nelement-path: elements\n\
                       plugins:\n- origin: local\n  path: plugins\n  elements: [action]\n";

const TOOL: &str = "kind: import\nsources:\n- {kind: local, path: tool}\n";

/// BuildStream at a site.
pub struct BuildStream<'a> {
    /// The site.
    pub site: &'a Site<'a>,
}

impl BuildStream<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("bst");
        command
            .args(["--no-interactive", "--no-colors", "--config"])
            .arg(self.site.folder.join("settings"))
            .args(words)
            .current_dir(self.site.tree())
            .env("HOME", &self.site.folder)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    fn outputs(&self) -> PathBuf {
        self.site.folder.join("outputs")
    }

    fn element(&self, action: usize) -> String {
        let workload = self.site.workload;
        let used: String =
            workload.reads[action].iter().map(|(used, _)| format!(", s{used}.bst")).collect();
        let list = |of: Output| -> String {
            workload.inputs(action, of).map(|used| format!(", /s{used}.{}", of.letter())).collect()
        };
        format!(
            "kind: action\nbuild-depends: [tool.bst{used}]\nsources:\n- {{kind: local, path: src/s{action}}}\n\
             config:\n  words: [/out/s{action}.a, /out/s{action}.b, /src/s{action}{}, -b{}]\n",
            list(Output::A),
            list(Output::B)
        )
    }
}

impl System for BuildStream<'_> {
    fn describe(&mut self) -> Result<()> {
        let tree = self.site.tree();
        for folder in ["elements", "plugins", "tool"] {
            fs::create_dir_all(tree.join(folder))?;
        }
        fs::copy(self.site.action, tree.join("tool/program")).context("cannot copy the action")?;
        self.site.write("project.conf", PROJECT)?;
        self.site.write("plugins/action.py", KIND)?;
        self.site.write("elements/tool.bst", TOOL)?;
        for action in 0..self.site.workload.actions() {
            self.site.write(&format!("elements/s{action}.bst"), &self.element(action))?;
        }
        let sinks = self.site.workload.sinks();
        let sinks: Vec<String> = sinks.iter().map(|action| format!("s{action}.bst")).collect();
        let all = format!("kind: stack\ndepends: [{}]\n", sinks.join(", "));
        self.site.write("elements/all.bst", &all)?;
        let settings = format!(
            "cachedir: {}\nscheduler: {{builders: 2, fetchers: 2, on-error: quit}}\nbuild: {{max-jobs: 1}}\n",
            self.site.folder.join("cache").display()
        );
        Ok(fs::write(self.site.folder.join("settings"), settings)?)
    }

    fn build(&mut self) -> Result<Built> {
        let done = process::succeed(&mut self.command(&["build", "all.bst"]))?;
        let outputs = self.outputs().display().to_string();
        // Outputs lie in the cache; this brings those of the sinks to light, and is not part of what is measured.
        let checkout = [
            "artifact",
            "checkout",
            "--deps",
            "run",
            "--force",
            "--directory",
            &outputs,
            "all.bst",
        ];
        process::succeed(&mut self.command(&checkout))?;
        Ok(measure::built(&done, ran(&[done.out.as_str(), &done.err].concat())))
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        Ok(fs::read_to_string(self.outputs().join(format!("s{action}.{}", output.letter())))?)
    }
}

/// How many actions ran: `[00:00:00][9431c7bf][   build:s0.bst   ] SUCCESS graph/s0/9431c7bf-build.log`.
fn ran(said: &str) -> usize {
    said.lines()
        .filter(|line| line.contains("build:s") && line.contains("] SUCCESS graph/s"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_that_ran_are_counted() {
        let said = "[--:--:--][1b][   fetch:s0.bst  ] START   graph/s0/1b-fetch.log\n\
                    [00:00:00][1b][   fetch:s0.bst  ] SUCCESS graph/s0/1b-fetch.log\n\
                    [--:--:--][1b][   build:s0.bst  ] START   graph/s0/1b-build.log\n\
                    [00:00:00][1b][   build:s0.bst  ] SUCCESS Staging sources\n\
                    [00:00:00][1b][   build:s0.bst  ] SUCCESS graph/s0/1b-build.log\n\
                    [00:00:00][2c][   build:tool.bst] SUCCESS graph/tool/2c-build.log\n\
                    [00:00:00][3d][   build:all.bst ] SUCCESS graph/all/3d-build.log\n";
        assert_eq!(ran(said), 1);
    }
}
