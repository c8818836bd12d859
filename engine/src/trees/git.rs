//! `fetchGit`, and `fetchTree { type = "git"; }`: which commit is meant, where it is had from, and
//! what of it goes into the store. A repository of this machine is used where it lies, with its
//! working tree when neither commit nor branch is given; any other is cloned.

use std::fs;
use std::path::{Path, PathBuf};

use floe_core::ca::Method;
use floe_core::hash::Digest;
use floe_core::path::StorePath;
use floe_lang::host::FetchAttr;

use super::cache::Known;
use super::input::{Found, Input};
use super::repository::{Entry, Kind, Repository};
use super::{TreeError, Trees, at, scratch};
use crate::fetch::download::local_path;

/// Repositories within repositories within ...
const MAX_NESTING: usize = 32;

/// Which commit, and what is known of it.
struct Commit {
    rev: String,
    name: Option<String>,
    last_modified: i64,
    rev_count: Option<i64>,
}

impl Trees {
    pub(super) fn git(&mut self, input: &Input) -> Result<Found, TreeError> {
        if input.flag("submodules")? && input.flag("exportIgnore")? {
            return Err(TreeError::Call(
                "exportIgnore and submodules are not supported together yet".to_owned(),
            ));
        }
        let url = input.need("url")?;
        let local = local_path(url).filter(|path| path.join(".git").exists());
        let working = input.get("ref").is_none() && input.get("rev").is_none();
        match local {
            Some(dir) if working => self.working_tree(input, &dir),
            _ => self.committed(input, local.as_deref()),
        }
    }

    /// A working tree as it is.
    fn working_tree(&mut self, input: &Input, dir: &Path) -> Result<Found, TreeError> {
        let scratch = scratch()?;
        let to = scratch.path().join("tree");
        let dirty = self.write_working_tree(input, dir, &to, 0)?;
        let path = self.add(&to, input.name(), Method::Nar)?;
        let repository = Repository::new(dir, input.need("url")?);
        let head = repository.commit("HEAD");
        let mut found = input.clone().at(path);
        let text = FetchAttr::Str;
        match &head {
            Some(rev) if dirty => {
                let short: String = rev.chars().take(7).collect();
                found.default("dirtyRev", text(format!("{rev}-dirty")));
                found.default("dirtyShortRev", text(format!("{short}-dirty")));
            }
            Some(rev) => {
                if !input.flag("shallow")? {
                    found.default("revCount", FetchAttr::Int(repository.count(rev)?));
                }
                found.default("rev", text(rev.clone()));
            }
            None if dirty => {}
            None => {
                found.default("rev", text("0".repeat(40)));
                found.default("revCount", FetchAttr::Int(0));
            }
        }
        let time = head.map_or(Ok(0), |rev| repository.time(&rev))?;
        found.default("lastModified", FetchAttr::Int(time));
        Ok(found)
    }

    /// Writes a working tree and tells whether it differs from its commit.
    fn write_working_tree(
        &mut self,
        input: &Input,
        dir: &Path,
        to: &Path,
        nesting: usize,
    ) -> Result<bool, TreeError> {
        check_nesting(input, nesting)?;
        let repository = Repository::new(dir, input.need("url")?);
        let entries = repository.index()?;
        let status =
            ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"];
        let mut dirty = !repository.run(&status)?.is_empty();
        let kept = kept(&repository, input, None, &entries)?;
        fs::create_dir_all(to).map_err(at("write", to))?;
        repository.export_working(&kept, to)?;
        if input.flag("submodules")? && kept.iter().any(|entry| entry.kind == Kind::Module) {
            for module in repository.modules(None)? {
                let is_here = |entry: &Entry| {
                    entry.kind == Kind::Module && entry.path == module.path.as_bytes()
                };
                if !kept.iter().any(is_here) {
                    continue;
                }
                let inner = dir.join(&module.path);
                let url = format!("file://{}", inner.display());
                let inside = Input::submodule(&url, &[]);
                dirty |=
                    self.write_working_tree(&inside, &inner, &to.join(&module.path), nesting + 1)?;
            }
        }
        Ok(dirty)
    }

    /// A commit.
    fn committed(&mut self, input: &Input, local: Option<&Path>) -> Result<Found, TreeError> {
        let shallow = input.flag("shallow")?;
        if let Some(rev) = input.text("rev")?
            && let Some((path, known)) = self.recall(&fingerprint(input, rev)?)?
            && (shallow || known.rev_count.is_some())
        {
            let (last_modified, rev_count) = (known.last_modified, known.rev_count);
            let commit = Commit { rev: rev.to_owned(), name: None, last_modified, rev_count };
            return Ok(self.found(input, commit, path, shallow));
        }
        let (repository, commit) = self.locate(input, local)?;
        let key = fingerprint(input, &commit.rev)?;
        let path = match self.recall(&key)? {
            Some((path, _)) => path,
            None => {
                let scratch = scratch()?;
                let to = scratch.path().join("tree");
                self.write_commit(input, &repository, &commit, &to, 0)?;
                self.add(&to, input.name(), Method::Nar)?
            }
        };
        let known = Known {
            last_modified: commit.last_modified,
            rev_count: commit.rev_count,
            ..Known::new(&path)
        };
        self.remember(&key, known)?;
        Ok(self.found(input, commit, path, shallow))
    }

    fn found(&self, input: &Input, commit: Commit, path: StorePath, shallow: bool) -> Found {
        let mut found = input.clone().at(path);
        found.default("rev", FetchAttr::Str(commit.rev));
        found.default("lastModified", FetchAttr::Int(commit.last_modified));
        if let Some(count) = commit.rev_count.filter(|_| !shallow) {
            found.default("revCount", FetchAttr::Int(count));
        }
        found
    }

    /// The repository that has the commit, fetched from afar if need be, and the commit.
    fn locate(
        &mut self,
        input: &Input,
        local: Option<&Path>,
    ) -> Result<(Repository, Commit), TreeError> {
        let url = input.need("url")?;
        let shallow = input.flag("shallow")?;
        let wanted = input.text("rev")?;
        if let Some(rev) = wanted
            && !(matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            let message = format!("'{rev}' is no Git revision: a commit's whole hash is wanted");
            return Err(TreeError::Call(message));
        }
        if let Some(name) = input.text("ref")? {
            check_ref(name)?;
        }
        let (repository, name) = match local {
            Some(dir) => {
                let name = input.text("ref")?.unwrap_or("HEAD").to_owned();
                (Repository::new(dir, url), name)
            }
            None => self.clone_of(input, url, wanted, shallow)?,
        };
        if !shallow && repository.is_shallow()? {
            return Err(TreeError::Call(format!(
                "'{url}' is a shallow Git repository, but shallow repositories are only allowed when `shallow = true;` is specified"
            )));
        }
        let missing = |rev: &str| {
            TreeError::Call(format!(
                "Cannot find Git revision '{rev}' in ref '{name}' of repository '{url}'! Please make sure that the rev \
                 exists on the ref you've specified or add allRefs = true; to fetchGit."
            ))
        };
        let rev = match wanted {
            Some(rev) => repository.commit(rev).ok_or_else(|| missing(rev))?,
            None => {
                let branch = format!("refs/heads/{name}");
                let found = match name.starts_with("refs/") || name == "HEAD" {
                    true => repository.commit(&name),
                    false => repository.commit(&branch).or_else(|| repository.commit(&name)),
                };
                found.ok_or_else(|| {
                    TreeError::Call(format!("the Git repository '{url}' has no ref '{name}'"))
                })?
            }
        };
        let last_modified = repository.time(&rev)?;
        let rev_count = if shallow { None } else { Some(repository.count(&rev)?) };
        let commit = Commit { rev, name: Some(name), last_modified, rev_count };
        Ok((repository, commit))
    }

    /// A clone that has what is wanted, and the name of the branch.
    fn clone_of(
        &mut self,
        input: &Input,
        url: &str,
        wanted: Option<&str>,
        shallow: bool,
    ) -> Result<(Repository, String), TreeError> {
        let url = match local_path(url) {
            Some(path) if !path.is_absolute() => {
                return Err(TreeError::Call(format!(
                    "cannot fetch the Git repository '{url}' because it uses a relative path"
                )));
            }
            Some(path) if !path.exists() => {
                let message = format!("the Git repository '{}' does not exist", path.display());
                return Err(TreeError::Call(message));
            }
            Some(path) => format!("file://{}", path.display()),
            None => url.to_owned(),
        };
        let suffix = if shallow { "-shallow" } else { "" };
        let digest = Digest::of(url.as_bytes()).base16();
        let dir = self.cache.join("git").join(format!("{}{suffix}", &digest[..40]));
        if !dir.join("HEAD").exists() {
            fs::create_dir_all(&dir).map_err(at("make the directory", &dir))?;
            Repository::new(&dir, &url).run(&["init", "--quiet", "--bare"])?;
        }
        let _lock = lock(&dir)?;
        let repository = Repository::new(&dir, &url);
        let name = match input.text("ref")? {
            Some(name) => name.to_owned(),
            None if wanted.is_some() => "HEAD".to_owned(),
            None => self.head(&repository, &dir, &url)?,
        };
        let all = input.flag("allRefs")?;
        let full = match name.as_str() {
            "HEAD" => "HEAD".to_owned(),
            name if name.starts_with("refs/") => name.to_owned(),
            name => format!("refs/heads/{name}"),
        };
        let stamp = dir.join("fetched").join(Digest::of(full.as_bytes()).base16());
        let needed = match wanted {
            Some(rev) => repository.commit(rev).is_none(),
            None => all || !self.is_recent(&stamp) || repository.commit(&full).is_none(),
        };
        if needed {
            let refspec = match wanted {
                _ if all => "+refs/*:refs/*".to_owned(),
                Some(rev) => rev.to_owned(),
                None if full == "HEAD" => "+HEAD:refs/floe/HEAD".to_owned(),
                None => format!("+{full}:{full}"),
            };
            let mut args =
                vec!["fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-tags"];
            if shallow {
                args.extend(["--depth", "1"]);
            }
            args.extend(["--end-of-options", &url, &refspec]);
            let fetched = repository.run(&args);
            // An old answer is better than none.
            if fetched.is_err() && (wanted.is_some() || repository.commit(&full).is_none()) {
                fetched?;
            } else if wanted.is_none() {
                touch(&stamp)?;
            }
        }
        let name =
            if full == "HEAD" && wanted.is_none() { "refs/floe/HEAD".to_owned() } else { name };
        Ok((repository, name))
    }

    /// The branch that a far repository's HEAD names.
    fn head(&self, repository: &Repository, dir: &Path, url: &str) -> Result<String, TreeError> {
        let stamp = dir.join("fetched/head");
        if self.is_recent(&stamp)
            && let Ok(name) = fs::read_to_string(&stamp)
        {
            return Ok(name);
        }
        let text = repository.line(&["ls-remote", "--symref", "--end-of-options", url, "HEAD"])?;
        let name = text.lines().find_map(|line| {
            let (target, what) = line.strip_prefix("ref: ")?.split_once('\t')?;
            (what == "HEAD").then(|| target.to_owned())
        });
        let name = name.unwrap_or_else(|| "HEAD".to_owned());
        touch(&stamp)?;
        fs::write(&stamp, &name).map_err(at("write", &stamp))?;
        Ok(name)
    }

    fn is_recent(&self, stamp: &Path) -> bool {
        let changed = fs::metadata(stamp).and_then(|meta| meta.modified()).ok();
        let since = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|since| self.is_fresh(since.as_secs()))
    }

    /// Writes a commit's files, and those of the repositories within it if they are wanted.
    fn write_commit(
        &mut self,
        input: &Input,
        repository: &Repository,
        commit: &Commit,
        to: &Path,
        nesting: usize,
    ) -> Result<(), TreeError> {
        check_nesting(input, nesting)?;
        let entries = repository.entries(&commit.rev)?;
        let entries = kept(repository, input, Some(&commit.rev), &entries)?;
        fs::create_dir_all(to).map_err(at("write", to))?;
        repository.export(&entries, to)?;
        if !input.flag("submodules")? || entries.iter().all(|entry| entry.kind != Kind::Module) {
            return Ok(());
        }
        for module in repository.modules(Some(&commit.rev))? {
            let here = entries
                .iter()
                .find(|entry| entry.kind == Kind::Module && entry.path == module.path.as_bytes());
            let Some(here) = here else { continue };
            let url = relative_to(input.need("url")?, &module.url);
            let text = |text: &str| FetchAttr::Str(text.to_owned());
            let mut attrs = vec![("rev", text(&here.object)), ("allRefs", FetchAttr::Bool(true))];
            match module.branch.as_deref() {
                Some(".") => attrs.extend(commit.name.as_deref().map(|name| ("ref", text(name)))),
                Some(branch) => attrs.push(("ref", text(branch))),
                None => {}
            }
            let inside = Input::submodule(&super::address::git_url(&url)?, &attrs);
            let local = local_path(inside.need("url")?).filter(|path| path.join(".git").exists());
            let (inner, found) = self.locate(&inside, local.as_deref())?;
            self.write_commit(&inside, &inner, &found, &to.join(&module.path), nesting + 1)?;
        }
        Ok(())
    }
}

/// The entries that go into the store.
fn kept(
    repository: &Repository,
    input: &Input,
    rev: Option<&str>,
    entries: &[Entry],
) -> Result<Vec<Entry>, TreeError> {
    if !input.flag("exportIgnore")? {
        return Ok(entries.to_vec());
    }
    let ignored = repository.export_ignored(rev, entries)?;
    let is_kept = |entry: &&Entry| {
        let mut ends = entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        !ignored.contains(&entry.path) && !ends.any(|(end, _)| ignored.contains(&entry.path[..end]))
    };
    Ok(entries.iter().filter(is_kept).cloned().collect())
}

/// What a commit's tree is remembered by.
fn fingerprint<'a>(input: &'a Input, rev: &'a str) -> Result<[&'a str; 4], TreeError> {
    let how = match (input.flag("submodules")?, input.flag("exportIgnore")?) {
        (true, _) => "submodules",
        (_, true) => "exportIgnore",
        _ => "plain",
    };
    Ok(["git", rev, how, input.name()])
}

fn check_nesting(input: &Input, nesting: usize) -> Result<(), TreeError> {
    if nesting < MAX_NESTING {
        return Ok(());
    }
    let message =
        format!("the submodules of '{}' lie within one another without end", input.shown());
    Err(TreeError::Call(message))
}

/// Names that Git takes for nothing else.
fn check_ref(name: &str) -> Result<(), TreeError> {
    let bad = name.is_empty()
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock")
        || ["..", "//", "@{", "/."].iter().any(|piece| name.contains(piece))
        || name.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte));
    if bad {
        return Err(TreeError::Call(format!("invalid Git branch/tag name '{name}'")));
    }
    Ok(())
}

/// A module's address, which may be relative to that of the repository that holds it.
fn relative_to(base: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let mut base = base.trim_end_matches('/').to_owned();
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            base.truncate(base.rfind('/').unwrap_or(0));
        } else {
            return format!("{base}/{rest}");
        }
    }
}

fn touch(stamp: &Path) -> Result<(), TreeError> {
    if let Some(above) = stamp.parent() {
        fs::create_dir_all(above).map_err(at("make the directory", above))?;
    }
    fs::write(stamp, "").map_err(at("write", stamp))
}

/// Waits until no other process fetches into the same clone.
fn lock(dir: &Path) -> Result<fs::File, TreeError> {
    let path: PathBuf = dir.with_extension("lock");
    let file = fs::File::create(&path).map_err(at("write", &path))?;
    file.lock().map_err(at("lock", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_may_lie_beside_the_repository() {
        assert_eq!(relative_to("https://h/a/b", "../c"), "https://h/a/c");
        assert_eq!(relative_to("file:///x/a", "./c"), "file:///x/a/c");
        assert_eq!(relative_to("https://h/a", "https://g/c"), "https://g/c");
    }

    #[test]
    fn names_of_branches() {
        for good in ["main", "refs/tags/v1", "a/b-c_d", "HEAD"] {
            assert!(check_ref(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a..b", "a b", "a:b", "x.lock", "a/", "@{u}", "a~1"] {
            assert!(check_ref(bad).is_err(), "{bad}");
        }
    }
}
