//! Addresses as the fetchers read them: a repository's in its short forms, and a tree's as one
//! text. Text in, text out.

use std::collections::BTreeMap;

use floe_lang::host::FetchAttr;

use super::TreeError;

/// A repository's address in full: `user@host:path` and plain paths are short forms.
pub(super) fn git_url(text: &str) -> Result<String, TreeError> {
    let text = text.strip_prefix("git+").unwrap_or(text);
    if text.contains("://") || text.starts_with("file:") {
        return Ok(text.to_owned());
    }
    if text.starts_with('/') {
        return Ok(format!("file://{text}"));
    }
    if let Some((user, rest)) = text.split_once('@')
        && !user.contains('/')
        && let Some((host, path)) = rest.rsplit_once(':')
    {
        return Ok(format!("ssh://{user}@{host}/{path}"));
    }
    if text.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err(TreeError::Call(format!(
            "SCP-like URL '{text}' is not supported; use SSH URL syntax instead (ssh://...)"
        )));
    }
    Ok(format!("file:{text}"))
}

/// A tree's address as the attributes it stands for.
pub(super) fn attributes(text: &str) -> Result<BTreeMap<String, FetchAttr>, TreeError> {
    let fault = || TreeError::Call(format!("input '{text}' is unsupported"));
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let mut attrs = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        attrs.insert(name.to_owned(), FetchAttr::Str(value.to_owned()));
    };
    let (scheme, rest) = address.split_once(':').ok_or_else(fault)?;
    let url = |scheme: &str| format!("{scheme}:{rest}");
    match scheme.split_once('+') {
        _ if scheme == "path" => {
            set("type", "path");
            set("path", rest.strip_prefix("//").unwrap_or(rest));
        }
        Some(("git", transport)) => {
            set("type", "git");
            set("url", &url(transport));
        }
        None if scheme == "git" => {
            set("type", "git");
            set("url", &url("git"));
        }
        Some((kind @ ("tarball" | "file"), transport)) => {
            set("type", kind);
            set("url", &url(transport));
        }
        None if matches!(scheme, "http" | "https" | "file") => {
            set("type", "tarball");
            set("url", &url(scheme));
        }
        None if matches!(scheme, "github" | "gitlab" | "sourcehut") => {
            let mut parts = rest.splitn(3, '/');
            set("type", scheme);
            set("owner", parts.next().ok_or_else(fault)?);
            set("repo", parts.next().ok_or_else(fault)?);
            if let Some(version) = parts.next() {
                let is_rev = version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
                set(if is_rev { "rev" } else { "ref" }, version);
            }
        }
        _ => return Err(fault()),
    }
    let mut left = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = match name {
            "rev" | "ref" | "narHash" => {
                FetchAttr::Str(value.replace("%2B", "+").replace("%3D", "=").replace("%2F", "/"))
            }
            "lastModified" | "revCount" => FetchAttr::Int(value.parse().map_err(|_| fault())?),
            "shallow" | "submodules" | "exportIgnore" | "allRefs" | "lfs" => {
                FetchAttr::Bool(value == "1")
            }
            _ => {
                left.push(pair);
                continue;
            }
        };
        attrs.insert(name.to_owned(), value);
    }
    if !left.is_empty()
        && let Some(FetchAttr::Str(url)) = attrs.get_mut("url")
    {
        url.push('?');
        url.push_str(&left.join("&"));
    }
    Ok(attrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        let check = |text: &str, full: &str| assert_eq!(git_url(text).unwrap(), full);
        check("/srv/x.git", "file:///srv/x.git");
        check("git@example.org:a/b.git", "ssh://git@example.org/a/b.git");
        check("git+https://example.org/a", "https://example.org/a");
        check("a/b", "file:a/b");
        assert!(git_url("example.org:a").is_err());
    }

    #[test]
    fn trees() {
        let check = |text: &str, expect: &str| {
            let attrs = attributes(text).unwrap();
            let shown: Vec<_> = attrs
                .iter()
                .map(|(k, v)| format!("{k}={}", super::super::input::show(Some(v))))
                .collect();
            assert_eq!(shown.join(" "), expect);
        };
        check("path:/a/b?lastModified=3", "lastModified=3 path=/a/b type=path");
        check("git+file:///r?ref=x&shallow=1", "ref=x shallow=true type=git url=file:///r");
        check("https://h/x.tar.gz?y=1", "type=tarball url=https://h/x.tar.gz?y=1");
        check("github:o/r/main", "owner=o ref=main repo=r type=github");
        assert!(attributes("nothing").is_err());
        assert!(attributes("hg+https://x").is_err());
    }
}
