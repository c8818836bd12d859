//! C++ Nix as an oracle, where it is installed: a temporary store, no substituters, no configuration of the user's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::process::{Outcome, run};

/// Nix in a world of its own.
pub struct Oracle {
    dir: TempDir,
}

impl Oracle {
    /// The oracle, or why there is none. With `FLOE_REQUIRE_NIX` set its absence is a panic.
    pub fn find() -> Result<Oracle, String> {
        static VERSION: OnceLock<Result<String, String>> = OnceLock::new();
        match VERSION.get_or_init(usable_version) {
            Ok(_) => Ok(Oracle::new()),
            Err(why) => {
                assert!(
                    std::env::var_os("FLOE_REQUIRE_NIX").is_none(),
                    "FLOE_REQUIRE_NIX is set, but {why}"
                );
                Err(why.clone())
            }
        }
    }

    fn new() -> Oracle {
        let dir = TempDir::with_prefix("floe-oracle-").expect("a temporary directory");
        for name in ["conf", "home"] {
            fs::create_dir(dir.path().join(name)).expect("a directory of the oracle");
        }
        let conf = format!(
            "build-users-group =\nexperimental-features = nix-command ca-derivations\nsubstituters =\nsubstitute = false\n\
             sandbox = true\nsandbox-fallback = false\nsandbox-paths = /bin/sh={}\n",
            busybox().display()
        );
        fs::write(dir.path().join("conf/nix.conf"), conf).expect("the oracle's nix.conf");
        Oracle { dir }
    }

    /// One of Nix's commands on the temporary store.
    pub fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("home"))
            .env("NIX_CONF_DIR", self.dir.path().join("conf"))
            .env("LC_ALL", "C.UTF-8")
            .env("FLOE_FIXTURE", "set")
            .args(args)
            .arg("--store")
            .arg(self.dir.path().join("root"));
        command
    }

    /// Runs one of Nix's commands.
    pub fn run(&self, name: &str, args: &[&str]) -> Outcome {
        run(&mut self.command(name, args)).expect("Nix to start")
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.dir.path()).status();
    }
}

/// The static busybox that sandboxes and fixtures use: `FLOE_TEST_BUSYBOX`, or Debian's busybox-static.
pub fn busybox() -> PathBuf {
    std::env::var_os("FLOE_TEST_BUSYBOX")
        .map_or_else(|| Path::new("/usr/bin/busybox").to_path_buf(), PathBuf::from)
}

/// Versions 2.17 to 2.34 forget the positions of self-references in content addresses, so they cannot judge.
fn usable_version() -> Result<String, String> {
    let outcome = run(Command::new("nix-build").arg("--version"))
        .map_err(|e| format!("Nix is not installed ({e})"))?;
    let version = outcome.stdout.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    let mut parts = version.split(['.', 'p']).map(|part| part.parse::<u32>().unwrap_or(0));
    match (parts.next(), parts.next()) {
        (Some(2), Some(17..=34)) => Err(format!(
            "Nix {version} computes other paths for self-references (NixOS/nix issue 15837)"
        )),
        _ => Ok(version),
    }
}
