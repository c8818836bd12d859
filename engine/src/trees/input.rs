//! A call of `fetchTree` or `fetchGit` as attributes, and what is told of the tree that it gave, in
//! C++ Nix's words.

use std::collections::BTreeMap;

use floe_core::path::StorePath;
use floe_lang::host::{FetchAttr, FetchRequest, Fetched};

use super::TreeError;
use super::address;

/// What is to be fetched.
#[derive(Debug, Clone)]
pub(super) struct Input {
    attrs: BTreeMap<String, FetchAttr>,
    /// It was called as `fetchGit`, which gives all attributes of a commit even if there is none.
    is_git: bool,
}

/// What was fetched.
pub(super) struct Found {
    pub(super) input: Input,
    pub(super) path: StorePath,
}

const CURL: &[&str] = &["url", "narHash", "name", "unpack", "rev", "revCount", "lastModified"];
const GIT: &[&str] = &[
    "url",
    "ref",
    "rev",
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "lastModified",
    "revCount",
    "narHash",
    "allRefs",
    "name",
    "dirtyRev",
    "dirtyShortRev",
];
const PATH: &[&str] = &["path", "rev", "revCount", "lastModified", "narHash"];
const FORGE: &[&str] =
    &["owner", "repo", "ref", "rev", "narHash", "lastModified", "host", "treeHash"];

impl Input {
    pub(super) fn of(request: &FetchRequest) -> Result<Input, TreeError> {
        let is_git = request.kind == "fetchGit";
        let mut attrs: BTreeMap<String, FetchAttr> = request.attrs.iter().cloned().collect();
        let mut is_text = false;
        if is_git {
            attrs.insert("type".to_owned(), FetchAttr::Str("git".to_owned()));
        } else if let (None, Some(FetchAttr::Str(text))) = (attrs.get("type"), attrs.get("url")) {
            attrs = address::attributes(text)?;
            is_text = true;
        }
        let mut input = Input { attrs, is_git };
        if input.kind() == "git" {
            let url = address::git_url(input.need("url")?)?;
            input.set("url", FetchAttr::Str(url));
        }
        if is_git && !input.flag("submodules")? && input.get("exportIgnore").is_none() {
            input.set("exportIgnore", FetchAttr::Bool(true));
        }
        if !is_git && !is_text && input.kind() == "git" && input.get("shallow").is_none() {
            input.set("shallow", FetchAttr::Bool(true));
        }
        input.check()?;
        Ok(input)
    }

    /// A repository within another.
    pub(super) fn submodule(url: &str, attrs: &[(&str, FetchAttr)]) -> Input {
        let mut all = BTreeMap::from([
            ("type".to_owned(), FetchAttr::Str("git".to_owned())),
            ("url".to_owned(), FetchAttr::Str(url.to_owned())),
            ("submodules".to_owned(), FetchAttr::Bool(true)),
        ]);
        all.extend(attrs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Input { attrs: all, is_git: false }
    }

    fn check(&self) -> Result<(), TreeError> {
        let allowed = match self.kind() {
            "git" => GIT,
            "path" => PATH,
            "file" | "tarball" => CURL,
            "github" | "gitlab" | "sourcehut" => FORGE,
            _ => return Ok(()),
        };
        match self.attrs.keys().find(|name| *name != "type" && !allowed.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(TreeError::Call(format!(
                "input attribute '{name}' not supported by scheme '{}'",
                self.kind()
            ))),
        }
    }

    pub(super) fn kind(&self) -> &str {
        match self.attrs.get("type") {
            Some(FetchAttr::Str(kind)) => kind,
            _ => "",
        }
    }

    pub(super) fn name(&self) -> &str {
        match self.attrs.get("name") {
            Some(FetchAttr::Str(name)) => name,
            _ => "source",
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&FetchAttr> {
        self.attrs.get(name)
    }

    pub(super) fn set(&mut self, name: &str, value: FetchAttr) {
        self.attrs.insert(name.to_owned(), value);
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TreeError> {
        match self.attrs.get(name) {
            None => Ok(None),
            Some(FetchAttr::Str(text)) => Ok(Some(text)),
            Some(_) => Err(TreeError::Call(format!("input attribute '{name}' is not a string"))),
        }
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, TreeError> {
        self.text(name)?
            .ok_or_else(|| TreeError::Call(format!("input attribute '{name}' is missing")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, TreeError> {
        match self.attrs.get(name) {
            None => Ok(false),
            Some(FetchAttr::Bool(value)) => Ok(*value),
            Some(_) => Err(TreeError::Call(format!("input attribute '{name}' is not a Boolean"))),
        }
    }

    /// As an address.
    pub(super) fn shown(&self) -> String {
        let text = |name: &str| self.text(name).ok().flatten().unwrap_or_default();
        match self.kind() {
            "git" if text("url").starts_with("git:") => text("url").to_owned(),
            "git" => format!("git+{}", text("url")),
            "path" => format!("path:{}", text("path")),
            kind @ ("github" | "gitlab" | "sourcehut") => {
                format!("{kind}:{}/{}/{}", text("owner"), text("repo"), text("rev"))
            }
            _ => text("url").to_owned(),
        }
    }

    pub(super) fn at(self, path: StorePath) -> Found {
        Found { input: self, path }
    }
}

impl Found {
    /// Sets an attribute that was not given.
    pub(super) fn default(&mut self, name: &str, value: FetchAttr) {
        self.input.attrs.entry(name.to_owned()).or_insert(value);
    }

    /// What the expression sees.
    pub(super) fn emit(self) -> Fetched {
        const NO_REV: &str = "0000000000000000000000000000000000000000";
        let Found { input, path } = self;
        let mut attrs = Vec::new();
        let mut put = |name: &str, value: FetchAttr| attrs.push((name.to_owned(), value));
        if let Some(hash) = input.get("narHash") {
            put("narHash", hash.clone());
        }
        if input.kind() == "git" {
            put("submodules", FetchAttr::Bool(input.flag("submodules").unwrap_or(false)));
        }
        let rev = match input.get("rev") {
            Some(FetchAttr::Str(rev)) => Some(rev.as_str()),
            _ => input.is_git.then_some(NO_REV),
        };
        if let Some(rev) = rev {
            put("rev", FetchAttr::Str(rev.to_owned()));
            put("shortRev", FetchAttr::Str(rev.chars().take(7).collect()));
        }
        match input.get("revCount") {
            Some(count) => put("revCount", count.clone()),
            None if input.is_git => put("revCount", FetchAttr::Int(0)),
            None => {}
        }
        for name in ["dirtyRev", "dirtyShortRev"] {
            if let Some(value) = input.get(name) {
                put(name, value.clone());
            }
        }
        if let Some(FetchAttr::Int(seconds)) = input.get("lastModified") {
            put("lastModified", FetchAttr::Int(*seconds));
            put("lastModifiedDate", FetchAttr::Str(date(*seconds)));
        }
        Fetched { path, attrs }
    }
}

pub(super) fn show(value: Option<&FetchAttr>) -> String {
    match value {
        None => "none".to_owned(),
        Some(FetchAttr::Str(text)) => text.clone(),
        Some(FetchAttr::Int(number)) => number.to_string(),
        Some(FetchAttr::Bool(value)) => value.to_string(),
    }
}

/// Seconds since 1970 as `YYYYMMDDhhmmss` in UTC (Hinnant's calendar arithmetic).
fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{:02}", second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "19700101000000");
        assert_eq!(date(1_686_503_798), "20230611171638");
        assert_eq!(date(951_782_399), "20000228235959");
        assert_eq!(date(951_782_400), "20000229000000");
    }
}
