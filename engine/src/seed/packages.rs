//! Which packages a seed holds: the list, and the closure of their dependencies as dpkg knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::SeedError;

/// The list that the package set is made for.
pub const DEFAULT_LIST: &str = include_str!("../../../pkgs/seed/packages.txt");

/// A parsed package list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Alternatives of each wanted package.
    want: Vec<Vec<String>>,
    /// Packages whose dependency is not followed.
    skip: BTreeSet<String>,
    /// Patterns of paths that are left out.
    pub(super) drop: Vec<String>,
}

impl List {
    /// Parses a list: `+ A | B` wants a package, `- P` stops there, `! PATTERN` leaves paths out.
    ///
    /// # Errors
    /// A line that is none of these.
    pub fn parse(text: &str) -> Result<List, SeedError> {
        let mut list = List::default();
        for (at, full) in text.lines().enumerate() {
            let line = full.split('#').next().unwrap_or_default().trim();
            let mut chars = line.chars();
            let mark = chars.next();
            let rest = chars.as_str().trim();
            match mark {
                None => {}
                Some('+') => {
                    list.want.push(rest.split('|').map(|name| name.trim().to_owned()).collect());
                }
                Some('-') => {
                    list.skip.insert(rest.to_owned());
                }
                Some('!') => list.drop.push(rest.to_owned()),
                Some(_) => return Err(SeedError::List { line: at + 1, text: full.to_owned() }),
            }
        }
        Ok(list)
    }
}

/// What dpkg knows of the packages that are installed.
struct Installed {
    /// By name: the name with its architecture, and the dependency fields.
    packages: BTreeMap<String, (String, String)>,
    /// Virtual packages and who provides them.
    provided: BTreeMap<String, BTreeSet<String>>,
}

impl Installed {
    fn ask() -> Result<Self, SeedError> {
        let format = "${db:Status-Abbrev}\t${binary:Package}\t${Package}\t${Provides}\t${Pre-Depends},${Depends}\n";
        let text = dpkg_query(&["-W", "-f", format])?;
        let mut installed = Installed { packages: BTreeMap::new(), provided: BTreeMap::new() };
        for line in text.lines() {
            let mut fields = line.split('\t');
            let (Some(status), Some(full), Some(name), Some(provides), Some(depends)) =
                (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if !status.starts_with("ii") {
                continue;
            }
            installed
                .packages
                .entry(name.to_owned())
                .or_insert_with(|| (full.to_owned(), depends.to_owned()));
            for provided in provides.split(',').map(bare_name).filter(|name| !name.is_empty()) {
                installed.provided.entry(provided.to_owned()).or_default().insert(name.to_owned());
            }
        }
        Ok(installed)
    }

    /// The first alternative that is installed, or else the first that something provides.
    fn pick<'n>(&'n self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.packages.contains_key(*name)).or_else(|| {
            names.iter().find_map(|name| self.provided.get(*name)?.first().map(String::as_str))
        })
    }
}

/// The wanted packages and all they depend on, by dpkg's full names, sorted.
pub(super) fn closure(list: &List) -> Result<Vec<String>, SeedError> {
    let installed = Installed::ask()?;
    let mut todo: Vec<&str> = Vec::new();
    for alternatives in &list.want {
        let names: Vec<&str> = alternatives.iter().map(String::as_str).collect();
        let wanted =
            || SeedError::NotInstalled(names.last().copied().unwrap_or_default().to_owned());
        todo.push(installed.pick(&names).ok_or_else(wanted)?);
    }
    let mut seen = BTreeSet::new();
    let mut full_names = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if list.skip.contains(name) || !seen.insert(name) {
            continue;
        }
        let Some((full, depends)) = installed.packages.get(name) else { continue };
        full_names.insert(full.clone());
        for clause in depends.split(',') {
            let names: Vec<&str> = clause
                .split('|')
                .map(bare_name)
                .filter(|name| !name.is_empty() && !list.skip.contains(*name))
                .collect();
            todo.extend(installed.pick(&names));
        }
    }
    Ok(full_names.into_iter().collect())
}

/// A package's name without architecture and version.
fn bare_name(text: &str) -> &str {
    text.trim().split([' ', '(', ':']).next().unwrap_or_default()
}

pub(super) fn dpkg_query(args: &[&str]) -> Result<String, SeedError> {
    let output = Command::new("dpkg-query")
        .args(args)
        .output()
        .map_err(|error| SeedError::Dpkg(error.to_string()))?;
    if !output.status.success() {
        return Err(SeedError::Dpkg(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list_and_names_a_bad_line() {
        let list =
            List::parse("# c\n+ gcc | clang # x\n- dpkg\n! usr/share/doc/*\n").expect("a list");
        assert_eq!(list.want, [["gcc", "clang"]]);
        assert!(list.skip.contains("dpkg"));
        assert_eq!(list.drop, ["usr/share/doc/*"]);
        for bad in ["+ a\nbad", "\n\u{e9}", "# c\n\u{1f9ca} ice"] {
            assert!(matches!(List::parse(bad), Err(SeedError::List { line: 2, .. })), "{bad}");
        }
        List::parse(DEFAULT_LIST).expect("the list that is shipped");
    }
}
