//! Nix: a derivation an action with two outputs, in the language that floe reads too. Sandboxed, with a store of its own.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::measure;
use super::system::{Built, Site, System};
use super::workload::Output;
use crate::process;

/// What names an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// Its instructions.
    Inputs,
    /// What it holds: it floats until it is built.
    Content,
}

/// Writes the expression of the graph, and the action beside it.
///
/// # Errors
/// A file cannot be written.
pub fn describe(site: &Site<'_>, addressing: Addressing) -> Result<()> {
    fs::copy(site.action, site.tree().join("program")).context("cannot copy the action")?;
    let floating = match addressing {
        Addressing::Inputs => "",
        Addressing::Content => {
            "\n    __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\";"
        }
    };
    let mut text = format!(
        "let\n  program = builtins.path {{ path = ./program; name = \"program\"; }};\n  \
         action = name: source: a: b: derivation {{\n    \
         inherit name; system = builtins.currentSystem; builder = program; outputs = [ \"a\" \"b\" ];{floating}\n    \
         args = [ (builtins.placeholder \"a\") (builtins.placeholder \"b\") source ] ++ a ++ [ \"-b\" ] ++ b;\n  }};\n\
         in rec {{\n"
    );
    let workload = site.workload;
    let list = |action, of: Output| {
        let used = workload.inputs(action, of).map(|used| format!("s{used}.{}", of.letter()));
        used.collect::<Vec<_>>().join(" ")
    };
    for action in 0..workload.actions() {
        text.push_str(&format!(
            "  s{action} = action \"s{action}\" ./src/s{action} [ {} ] [ {} ];\n",
            list(action, Output::A),
            list(action, Output::B)
        ));
    }
    let sinks = workload.sinks();
    let sinks: Vec<String> =
        sinks.iter().map(|action| format!("s{action}.a s{action}.b")).collect();
    text.push_str(&format!("  all = [ {} ];\n}}\n", sinks.join(" ")));
    site.write("default.nix", &text)
}

/// The store paths that a build printed, by derivation name and output: `HASH-s3-a`.
pub fn printed(said: &str) -> HashMap<String, String> {
    let lines = said.lines().filter(|line| line.starts_with("/nix/store/"));
    lines
        .filter_map(|line| Some((line.split_once('-')?.1.to_owned(), line.trim().to_owned())))
        .collect()
}

/// A path of [`printed`].
///
/// # Errors
/// The output was not printed.
pub fn path_of(paths: &HashMap<String, String>, action: usize, output: Output) -> Result<&str> {
    let name = format!("s{action}-{}", output.letter());
    let path = paths.get(&name).with_context(|| format!("the output {name} was not printed"))?;
    Ok(path)
}

/// Nix at a site.
pub struct Nix<'a> {
    site: &'a Site<'a>,
    addressing: Addressing,
    paths: HashMap<String, String>,
}

impl<'a> Nix<'a> {
    /// With outputs of this kind.
    pub fn new(site: &'a Site<'a>, addressing: Addressing) -> Self {
        Self { site, addressing, paths: HashMap::new() }
    }

    fn store(&self) -> PathBuf {
        self.site.folder.join("store")
    }

    fn settings(&self) -> PathBuf {
        self.site.folder.join("conf")
    }
}

impl System for Nix<'_> {
    fn describe(&mut self) -> Result<()> {
        describe(self.site, self.addressing)?;
        // Without a word about it Nix would build outside its sandbox where that does not work, and then be faster.
        let settings = "build-users-group =\nexperimental-features = nix-command ca-derivations\nsandbox = true\n\
                        sandbox-fallback = false\nsubstitute = false\nsubstituters =\n";
        fs::create_dir_all(self.settings())?;
        fs::write(self.settings().join("nix.conf"), settings)?;
        Ok(())
    }

    fn build(&mut self) -> Result<Built> {
        let mut command = Command::new("nix-build");
        command
            .args(["--no-out-link", "-j", "2", "--cores", "1", "-A", "all", "--store"])
            .arg(self.store())
            .current_dir(self.site.tree())
            .env("NIX_CONF_DIR", self.settings())
            .env("HOME", &self.site.folder)
            .env_remove("NIX_PATH")
            .env_remove("NIX_REMOTE")
            .env_remove("XDG_CACHE_HOME");
        let done = process::succeed(&mut command)?;
        self.paths = printed(&done.out);
        let actions = done.err.lines().filter(|line| line.starts_with("building '")).count();
        if done.err.contains("sandbox") && done.err.contains("fallback") {
            bail!("Nix built outside its sandbox:\n{}", done.err);
        }
        Ok(measure::built(&done, actions))
    }

    fn output(&self, action: usize, output: Output) -> Result<String> {
        let path = path_of(&self.paths, action, output)?;
        Ok(fs::read_to_string(self.store().join(path.trim_start_matches('/')))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_name_and_output() {
        let said = "/nix/store/00000000000000000000000000000000-s3-a\n/nix/store/11111111111111111111111111111111-s3-b\n";
        let paths = printed(said);
        let b = path_of(&paths, 3, Output::B).expect("printed");
        assert_eq!(b, "/nix/store/11111111111111111111111111111111-s3-b");
        assert!(path_of(&paths, 4, Output::A).is_err());
    }
}
