//! The settings that C++ Nix reads from `nix.conf`, for the faces that answer to its names. Which
//! of them mean something is for the faces to say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings by name, as text.
#[derive(Debug, Default)]
pub struct Conf(BTreeMap<String, String>);

/// Files may include files; more deeply than this it cannot be meant.
const MAX_DEPTH: usize = 16;

impl Conf {
    /// What the system's file, the user's files and `NIX_CONFIG` say, later ones first.
    pub fn read() -> Conf {
        let mut conf = Conf::default();
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let system = var("NIX_CONF_DIR").unwrap_or_else(|| PathBuf::from("/etc/nix"));
        conf.file(&system.join("nix.conf"), 0);
        match std::env::var("NIX_USER_CONF_FILES") {
            Ok(files) => {
                for file in files.split(':').rev().filter(|file| !file.is_empty()) {
                    conf.file(Path::new(file), 0);
                }
            }
            Err(_) => {
                let home = var("HOME").map(|home| home.join(".config"));
                if let Some(folder) = var("XDG_CONFIG_HOME").or(home) {
                    conf.file(&folder.join("nix/nix.conf"), 0);
                }
            }
        }
        if let Ok(text) = std::env::var("NIX_CONFIG") {
            conf.text(&text, Path::new("/"), 0);
        }
        conf
    }

    fn file(&mut self, path: &Path, depth: usize) {
        if depth < MAX_DEPTH
            && let Ok(text) = std::fs::read_to_string(path)
        {
            self.text(&text, path.parent().unwrap_or(Path::new("/")), depth);
        }
    }

    fn text(&mut self, text: &str, folder: &Path, depth: usize) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["include" | "!include", file] => self.file(&folder.join(file), depth + 1),
                [name, "=", ref value @ ..] => self.set(name, &value.join(" ")),
                _ => {}
            }
        }
    }

    /// Changes a setting; `extra-NAME` adds words to it.
    pub fn set(&mut self, name: &str, value: &str) {
        match name.strip_prefix("extra-") {
            Some(name) => {
                let all = self.0.entry(name.to_owned()).or_default();
                *all = format!("{all} {value}");
            }
            None => {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A setting's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a setting is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Whether a list of words has one.
    pub fn has(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|words| words.split(' ').any(|one| one == word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_comments_lists_and_includes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("more"), "show-trace = true").unwrap();
        let mut conf = Conf::default();
        let text = "# none\nexperimental-features = a b # c\nextra-experimental-features = d\n!include more\n!include none\nbroken\n";
        conf.text(text, folder.path(), 0);
        assert!(conf.is_on("show-trace") && !conf.is_on("pure-eval"));
        assert_eq!(conf.get("experimental-features"), Some("a b d"));
        assert!(conf.has("experimental-features", "d") && !conf.has("experimental-features", "c"));
    }

    #[test]
    fn files_that_include_themselves_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("loop"), "include loop\nx = 1").unwrap();
        let mut conf = Conf::default();
        conf.file(&folder.path().join("loop"), 0);
        assert_eq!(conf.get("x"), Some("1"));
    }
}
