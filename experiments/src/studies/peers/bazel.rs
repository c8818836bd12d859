//! Bazel: a rule an action, in one package, through its server, which a trial ends. Counts are what Bazel itself says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::measure::{self, Used};
use super::system::{Built, Site, System};
use super::workload::Output;
use crate::process;

/// Flags of Bazel as it comes.
pub const SANDBOXED: &[&str] = &["--spawn_strategy=linux-sandbox"];

/// Flags of Bazel as fast as it goes.
pub const LOCAL: &[&str] = &["--spawn_strategy=local", "--watchfs"];

const RULE: &str = r#"Outputs = provider(fields = ["a", "b"])

def _action(ctx):
    outputs = [ctx.actions.declare_file("out/%s.%s" % (ctx.label.name, end)) for end in ["a", "b"]]
    a = [used[Outputs].a for used in ctx.attr.a]
    b = [used[Outputs].b for used in ctx.attr.b]
    words = ctx.actions.args()
    words.add_all(outputs + [ctx.file.source] + a)
    words.add("-b")
    words.add_all(b)
    ctx.actions.run(
        outputs = outputs,
        inputs = [ctx.file.source] + a + b,
        executable = ctx.executable.program,
        arguments = [words],
        mnemonic = "Action",
    )
    return [DefaultInfo(files = depset(outputs)), Outputs(a = outputs[0], b = outputs[1])]

action = rule(
    implementation = _action,
    attrs = {
        "a": attr.label_list(providers = [Outputs]),
        "b": attr.label_list(providers = [Outputs]),
        "program": attr.label(default = "//:tool/program", executable = True, cfg = "exec", allow_single_file = True),
        "source": attr.label(allow_single_file = True),
    },
)
"#;

/// Bazel at a site.
pub struct Bazel<'a> {
    site: &'a Site<'a>,
    flags: &'static [&'static str],
}

impl<'a> Bazel<'a> {
    /// With these flags of a build.
    pub fn new(site: &'a Site<'a>, flags: &'static [&'static str]) -> Self {
        Self { site, flags }
    }

    fn base(&self) -> PathBuf {
        self.site.folder.join("base")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("bazel");
        command
            .arg(format!("--output_user_root={}", self.site.shared.join("bazel").display()))
            .arg(format!("--output_base={}", self.base().display()))
            .args(["--nohome_rc", "--noworkspace_rc"])
            .args(words)
            .current_dir(self.site.tree());
        command
    }

    /// The server's process, if it runs.
    fn server(&self) -> Option<i32> {
        let file = self.base().join("server/server.pid.txt");
        let pid: i32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        fs::exists(format!("/proc/{pid}")).ok()?.then_some(pid)
    }
}

impl System for Bazel<'_> {
    fn describe(&mut self) -> Result<()> {
        let tree = self.site.tree();
        // In a folder: a program whose name has no slash is looked for in PATH.
        fs::create_dir_all(tree.join("tool"))?;
        fs::copy(self.site.action, tree.join("tool/program")).context("cannot copy the action")?;
        let mut text = String::from("load(\":action.bzl\", \"action\")\n");
        let workload = self.site.workload;
        for action in 0..workload.actions() {
            let list = |of| {
                let labels = workload.inputs(action, of).map(|used| format!("\"s{used}\""));
                labels.collect::<Vec<_>>().join(", ")
            };
            text.push_str(&format!(
                "action(name = \"s{action}\", source = \"src/s{action}\", a = [{}], b = [{}])\n",
                list(Output::A),
                list(Output::B)
            ));
        }
        let sinks: Vec<String> =
            workload.sinks().iter().map(|action| format!("\"s{action}\"")).collect();
        text.push_str(&format!("filegroup(name = \"all_sinks\", srcs = [{}])\n", sinks.join(", ")));
        self.site.write("BUILD", &text)?;
        self.site.write("action.bzl", RULE)?;
        self.site.write("WORKSPACE", "")
    }

    fn build(&mut self) -> Result<Built> {
        let mut command = self.command(&["build", "//:all_sinks", "--jobs=2"]);
        // Debian's own settings have Bazel keep all sandboxes and tell of each.
        command.arg("--nosandbox_debug");
        command.args(["--noshow_progress", "--color=no", "--curses=no", "--show_result=0"]);
        command.args(self.flags);
        let before = Used::of(self.server())?;
        let done = process::succeed(&mut command)?;
        let after = Used::of(self.server())?;
        let actions = spawned(&done.err)
            .with_context(|| format!("Bazel does not say what it ran:\n{}", done.err))?;
        Ok(measure::served(&done, actions, before, after))
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        let file = self.site.tree().join("bazel-bin").join(Site::built(action, output));
        Ok(fs::read_to_string(file)?)
    }

    fn serves(&self) -> bool {
        true
    }

    fn stop(&mut self) -> Result<()> {
        let Some(pid) = self.server() else { return Ok(()) };
        process::succeed(&mut self.command(&["shutdown"]))?;
        for _ in 0..6_000 {
            if self.server().is_none() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("Bazel's server, process {pid}, does not end")
    }
}

/// How many processes a build ran, by its last lines: `INFO: 3 processes: 1 internal, 2 linux-sandbox.`
fn spawned(said: &str) -> Option<usize> {
    let line = said.lines().find(|line| {
        line.starts_with("INFO: ") && (line.contains(" processes: ") || line.contains(" process: "))
    })?;
    let (_, kinds) = line.trim_end_matches('.').split_once(": ")?.1.split_once(": ")?;
    kinds.split(", ").try_fold(0, |sum, kind| {
        let (count, what) = kind.split_once(' ')?;
        Some(sum + if what == "internal" { 0 } else { count.parse::<usize>().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_is_what_is_not_internal() {
        let said = "INFO: Found 1 target...\nINFO: Elapsed time: 0.3s\nINFO: 3 processes: 1 internal, 2 linux-sandbox.\n";
        assert_eq!(spawned(said), Some(2));
        assert_eq!(spawned("INFO: 1 process: 1 internal.\n"), Some(0));
        assert_eq!(spawned("INFO: 7 processes: 1 action cache hit, 1 internal, 5 local."), Some(6));
        assert_eq!(spawned("INFO: Elapsed time: 0.3s"), None);
    }
}
