//! A world of its own for floe: an empty store root, home and environment, removed at the end. No assertions about
//! what floe answers.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Outcome, run};

/// A temporary store root, home and working directory, and the floe command under its names.
pub struct World {
    dir: TempDir,
}

impl World {
    /// A fresh world. Panics if the floe binary is missing, saying how to get it.
    pub fn new() -> World {
        let binary = binary();
        let dir = TempDir::with_prefix("floe-test-").expect("a temporary directory");
        for name in ["bin", "home", "project", "tmp"] {
            fs::create_dir(dir.path().join(name)).expect("a directory of the world");
        }
        for name in ["floe", "nix-instantiate", "nix-build"] {
            symlink(&binary, dir.path().join("bin").join(name)).expect("a name of the command");
        }
        World { dir }
    }

    /// The store root (`FLOE_ROOT`); floe makes it on first use.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The working directory of commands.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// Writes a file under the working directory and returns its path.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("a file of the test");
        path
    }

    /// `floe` (or `nix-build`, `nix-instantiate`) with this world's environment and nothing of the caller's.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("bin").join(name));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.dir.path().join("home"))
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("FLOE_ROOT", self.root())
            .env("LC_ALL", "C.UTF-8")
            .env("FLOE_FIXTURE", "set")
            .current_dir(self.work());
        if std::env::var_os("FLOE_TEST_SERVER").is_some() {
            command.env("FLOE_SERVER", "1");
        }
        if let Some(trace) = std::env::var_os("RUST_BACKTRACE") {
            command.env("RUST_BACKTRACE", trace);
        }
        command
    }

    /// Runs `floe` with arguments.
    pub fn floe<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Outcome {
        run(self.command("floe").args(args)).expect("floe to start")
    }

    /// `floe path-info --json` of one path, whether it answers with a list or with an object by path.
    pub fn path_info(&self, path: &str) -> Result<Value, String> {
        let outcome = self.floe(["path-info", "--json", path]);
        if !outcome.success() {
            return Err(format!("floe path-info --json {path}: {}", outcome.describe()));
        }
        only_object(&outcome.stdout, path)
    }

    /// The physical place of a logical path, whose existence is the caller's to check.
    pub fn physical(&self, logical: &str) -> PathBuf {
        self.root().join("store").join(logical.strip_prefix("/nix/store/").unwrap_or(logical))
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.root().join("server.sock").exists() {
            // It would end by itself once its root is gone, and might write to it meanwhile.
            let _ = self.command("floe").args(["server", "stop", "-q"]).status();
        }
        // store objects are read-only; the TempDir can only remove what may be written
        make_writable(self.dir.path());
    }
}

/// The single object that `path-info --json` gives for a path.
pub fn only_object(json: &str, path: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(json).map_err(|e| format!("not JSON ({e}): {json}"))?;
    let found = match &value {
        Value::Array(list) => list.first(),
        Value::Object(map) if map.contains_key("narHash") => Some(&value),
        Value::Object(map) => map.get(path),
        _ => None,
    };
    found.cloned().ok_or_else(|| format!("no entry for {path}: {json}"))
}

/// The floe binary: `FLOE_BIN`, or the one that cargo built beside this test.
pub fn binary() -> PathBuf {
    let path = match std::env::var_os("FLOE_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            let test = std::env::current_exe().expect("the path of the test");
            let deps = test.parent().expect("the folder of the test");
            deps.parent().expect("the folder of the profile").join("floe")
        }
    };
    let runs =
        fs::metadata(&path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    assert!(
        runs,
        "there is no floe binary at {}: build it first, in the profile of the tests (`cargo build --release -p floe`), \
         or name one with FLOE_BIN",
        path.display()
    );
    fs::canonicalize(&path).expect("the path of floe")
}

fn make_writable(dir: &Path) {
    let Ok(meta) = fs::symlink_metadata(dir) else {
        return;
    };
    if !meta.is_dir() {
        return;
    }
    // errors show again when the directory is removed
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}
