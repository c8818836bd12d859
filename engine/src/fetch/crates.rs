//! Published crates, by the ordinary cargo client: the very archive that a lock file's checksum
//! names. The registry, its mirrors and its credentials are those of the user's cargo settings.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Bounds, FetchError, at, check, copy, run, scratch};

/// Brings the archive of a crate to `dest`, which must not exist yet: from the user's own cache if
/// it lies there, else through cargo in a private home.
///
/// # Errors
/// A name or version that is none, a missing or failing cargo, or a file that cannot be written.
pub fn fetch_crate(
    name: &str,
    version: &str,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<(), FetchError> {
    check("crate", name, b"-_")?;
    check("version", version, b"-.+")?;
    let file = format!("{name}-{version}.crate");
    let home = user_home();
    if let Some(cached) = home.as_deref().and_then(|home| cached(home, &file)) {
        // Not worth failing for when the log is gone.
        drop(writeln!(log, "{file} is in cargo's cache already"));
        return copy(&cached, dest);
    }

    let dir = scratch()?;
    let private = dir.path().join("home");
    settings(&private, home.as_deref())?;
    // What follows "+" is no part of a requirement.
    let wanted = version.split('+').next().unwrap_or(version);
    let subject = format!("the crate {name} {version}");

    // Asking about a crate brings its archive and no other.
    let mut info = cargo(&private, &private);
    info.args(["info", "--color", "never"]).arg(format!("{name}@{wanted}"));
    let asked = run("cargo", &subject, &mut info, bounds, log);
    if let Some(archive) = cached(&private, &file) {
        return copy(&archive, dest);
    }
    if let Err(missing @ FetchError::NoTool { .. }) = asked {
        return Err(missing);
    }

    // An older cargo cannot be asked; this brings what the crate depends on as well.
    let project = dir.path().join("project");
    manifest(&project, name, wanted)?;
    let mut fetch = cargo(&private, &project);
    fetch.args(["fetch", "--color", "never"]);
    run("cargo", &subject, &mut fetch, bounds, log)?;
    let archive =
        cached(&private, &file).ok_or(FetchError::NothingFetched { tool: "cargo", subject })?;
    copy(&archive, dest)
}

fn cargo(home: &Path, dir: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(dir).env("CARGO_HOME", home);
    cargo
}

/// A package in `project` that wants this one version and nothing else.
fn manifest(project: &Path, name: &str, wanted: &str) -> Result<(), FetchError> {
    fs::create_dir(project).map_err(at("create", project))?;
    let manifest = format!(
        "[package]\nname = \"floe-fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
         [lib]\npath = \"lib.rs\"\n\n[workspace]\n\n[dependencies]\n{name} = \"={wanted}\"\n"
    );
    for (file, text) in [("Cargo.toml", manifest.as_str()), ("lib.rs", "")] {
        let path = project.join(file);
        fs::write(&path, text).map_err(at("write", &path))?;
    }
    Ok(())
}

/// A cargo home with the user's settings but none of the user's files.
fn settings(private: &Path, home: Option<&Path>) -> Result<(), FetchError> {
    fs::create_dir(private).map_err(at("create", private))?;
    for name in ["config.toml", "config", "credentials.toml", "credentials"] {
        let Some(from) = home.map(|home| home.join(name)).filter(|from| from.is_file()) else {
            continue;
        };
        copy(&from, &private.join(name))?;
    }
    Ok(())
}

/// Where the user's cargo keeps its files.
fn user_home() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cargo")))
}

/// The archive in a cargo home's cache, whichever registry it came from.
fn cached(home: &Path, file: &str) -> Option<PathBuf> {
    let registries = fs::read_dir(home.join("registry/cache")).ok()?;
    registries
        .filter_map(Result::ok)
        .map(|registry| registry.path().join(OsStr::new(file)))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_of_any_registry_is_looked_through() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(cached(home.path(), "a-1.0.0.crate"), None);
        let registry = home.path().join("registry/cache/some-registry");
        fs::create_dir_all(&registry).unwrap();
        fs::write(registry.join("a-1.0.0.crate"), "x").unwrap();
        assert_eq!(cached(home.path(), "a-1.0.0.crate"), Some(registry.join("a-1.0.0.crate")));
        assert_eq!(cached(home.path(), "a-1.0.1.crate"), None);
    }

    #[test]
    fn the_manifest_pins_one_version() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("project");
        manifest(&project, "bzip2-sys", "0.1.13").unwrap();
        let text = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        assert!(text.ends_with("bzip2-sys = \"=0.1.13\"\n"), "{text}");
    }

    #[test]
    fn settings_are_taken_over() {
        let (user, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(user.path().join("config.toml"), "[net]\n").unwrap();
        let private = dir.path().join("home");
        settings(&private, Some(user.path())).unwrap();
        let text = fs::read_to_string(private.join("config.toml")).unwrap();
        assert_eq!(text, "[net]\n");
        assert!(!private.join("credentials.toml").exists());
    }
}
