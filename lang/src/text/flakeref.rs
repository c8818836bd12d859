//! Flake references: `github:owner/repo/ref?dir=x` to attributes and back. Text only; fetches
//! nothing and looks at no file.

use std::collections::BTreeMap;

use crate::host::FetchAttr;

/// What a reference says, by name.
pub type Attrs = BTreeMap<String, FetchAttr>;

/// Attributes of trees that C++ Nix keeps out of the URL that is fetched.
const TREE_PARAMS: &[&str] =
    &["narHash", "name", "unpack", "rev", "revCount", "lastModified", "url"];
const ARCHIVES: &[&str] = &[".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst"];

struct Url {
    scheme: String,
    /// What stands between `//` and the path.
    authority: Option<String>,
    path: String,
    query: BTreeMap<String, String>,
}

impl Url {
    fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once(':')?;
        let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b)) {
            return None;
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
            None => (None, rest),
        };
        Some(Url {
            scheme: scheme.to_owned(),
            authority,
            path: decode(path),
            query: parse_query(query),
        })
    }

    fn write(&self) -> String {
        let mut out = format!("{}:", self.scheme);
        if let Some(authority) = &self.authority {
            out += "//";
            out += authority;
        }
        out += &encode(&self.path, b":@!$&'()*+,;=/");
        for (index, (name, value)) in self.query.iter().enumerate() {
            out.push(if index == 0 { '?' } else { '&' });
            out += &encode(name, b":@!$'()*,;/?");
            out.push('=');
            out += &encode(value, b":@!$'()*,;/?");
        }
        out
    }

    fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|b| (*b as char).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, hex(0), hex(1)) {
            out.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(byte as char);
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Runs of slashes as one; of nothing the root.
fn single_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

fn is_rev(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_flake_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Whether Git takes it as the name of a branch or tag.
fn is_ref(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['-', '.', '/'])
        && !text.ends_with(['/', '.'])
        && !text.ends_with(".lock")
        && !text.contains("..")
        && !text.contains("//")
        && !text.contains("@{")
        && text.bytes().all(|b| b > b' ' && !b"~^:?*[\\\x7f".contains(&b))
}

fn text_of(text: &str) -> FetchAttr {
    FetchAttr::Str(text.to_owned())
}

/// Takes a reference apart.
pub fn parse(text: &str) -> Result<Attrs, String> {
    let (body, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut attrs = if is_flake_id(body.split('/').next().unwrap_or_default())
        && !body.contains([':', '?'])
    {
        indirect(body, &body.split('/').map(str::to_owned).collect::<Vec<_>>())?
    } else if let Some(mut url) = Url::parse(body) {
        let dir = url.query.remove("dir");
        let mut attrs = from_url(body, url)?;
        attrs.extend(
            dir.filter(|dir| !dir.is_empty()).map(|dir| ("dir".to_owned(), FetchAttr::Str(dir))),
        );
        attrs
    } else {
        from_path(text, body)?
    };
    if !fragment.is_empty() {
        return Err(format!("unexpected fragment '{fragment}' in flake reference '{text}'"));
    }
    attrs.retain(|_, value| !matches!(value, FetchAttr::Str(text) if text.is_empty()));
    Ok(attrs)
}

fn from_path(whole: &str, body: &str) -> Result<Attrs, String> {
    let (path, query) = body.split_once('?').unwrap_or((body, ""));
    if !path.starts_with('/') {
        return Err(format!("flake reference '{whole}' is not an absolute path"));
    }
    let mut url = Url {
        scheme: "path".to_owned(),
        authority: Some(String::new()),
        path: path.to_owned(),
        query: parse_query(query),
    };
    let dir = url.query.remove("dir");
    let mut attrs = from_url(body, url)?;
    attrs.extend(dir.map(|dir| ("dir".to_owned(), FetchAttr::Str(dir))));
    Ok(attrs)
}

fn indirect(whole: &str, path: &[String]) -> Result<Attrs, String> {
    let mut attrs = Attrs::from([("type".to_owned(), text_of("indirect"))]);
    let (id, reference, rev) = match path {
        [id] => (id, None, None),
        [id, one] if is_rev(one) => (id, None, Some(one)),
        [id, one] if is_ref(one) => (id, Some(one), None),
        [_, one] => {
            return Err(format!(
                "in flake URL '{whole}', '{one}' is not a commit hash or branch/tag name"
            ));
        }
        [_, one, _] if !is_ref(one) => {
            return Err(format!("in flake URL '{whole}', '{one}' is not a branch/tag name"));
        }
        [id, one, two] if is_rev(two) => (id, Some(one), Some(two)),
        [_, _, two] => return Err(format!("in flake URL '{whole}', '{two}' is not a commit hash")),
        _ => return Err(format!("GitHub URL '{whole}' is invalid")),
    };
    if !is_flake_id(id) {
        return Err(format!("'{id}' is not a valid flake ID"));
    }
    attrs.insert("id".to_owned(), text_of(id));
    attrs.extend(reference.map(|text| ("ref".to_owned(), text_of(text))));
    attrs.extend(rev.map(|text| ("rev".to_owned(), text_of(text))));
    Ok(attrs)
}

fn from_url(whole: &str, mut url: Url) -> Result<Attrs, String> {
    let mut attrs = Attrs::new();
    let (application, transport) = match url.scheme.split_once('+') {
        Some((application, transport)) => (application.to_owned(), transport.to_owned()),
        None => (String::new(), url.scheme.clone()),
    };
    match url.scheme.as_str() {
        "flake" => return indirect(whole, &url.segments()),
        scheme @ ("github" | "gitlab" | "sourcehut") => return forge(whole, scheme, &url),
        "path" => {
            let authority = url.authority.as_deref().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            let host = host.split(':').next().unwrap_or_default();
            if !host.is_empty() {
                return Err(format!(
                    "path URL '{whole}' should not have an authority ('{authority}')"
                ));
            }
            attrs.insert("type".to_owned(), text_of("path"));
            attrs.insert("path".to_owned(), FetchAttr::Str(single_slashes(&url.path)));
            for (name, value) in &url.query {
                let value = match name.as_str() {
                    "rev" | "narHash" => text_of(value),
                    "revCount" | "lastModified" => {
                        value.parse().map(FetchAttr::Int).map_err(|_| {
                            format!("path URL '{whole}' has invalid parameter '{name}'")
                        })?
                    }
                    _ => {
                        return Err(format!(
                            "path URL '{whole}' has unsupported parameter '{name}'"
                        ));
                    }
                };
                attrs.insert(name.clone(), value);
            }
        }
        scheme if scheme == "git" || application == "git" => {
            attrs.insert("type".to_owned(), text_of("git"));
            for (name, value) in std::mem::take(&mut url.query) {
                match name.as_str() {
                    "rev" | "ref" | "keytype" | "publicKey" | "publicKeys" => {
                        attrs.insert(name, FetchAttr::Str(value));
                    }
                    "shallow" | "submodules" | "lfs" | "exportIgnore" | "allRefs"
                    | "verifyCommit" => {
                        attrs.insert(name, FetchAttr::Bool(value == "1"));
                    }
                    _ => {
                        url.query.insert(name, value);
                    }
                }
            }
            url.scheme = transport;
            attrs.insert("url".to_owned(), FetchAttr::Str(url.write()));
        }
        _ if matches!(transport.as_str(), "http" | "https" | "file")
            && matches!(application.as_str(), "" | "tarball" | "file") =>
        {
            let archive = ARCHIVES.iter().any(|end| url.path.ends_with(end));
            let kind = match application.as_str() {
                "file" => "file",
                "" if transport == "file" && !archive => "file",
                _ => "tarball",
            };
            for name in ["narHash", "rev"] {
                attrs.extend(url.query.get(name).map(|value| (name.to_owned(), text_of(value))));
            }
            for name in ["revCount", "lastModified"] {
                let number = url.query.get(name).and_then(|value| value.parse().ok());
                attrs.extend(number.map(|n| (name.to_owned(), FetchAttr::Int(n))));
            }
            url.query.retain(|name, _| !TREE_PARAMS.contains(&name.as_str()));
            url.scheme = transport;
            attrs.insert("type".to_owned(), text_of(kind));
            attrs.insert("url".to_owned(), FetchAttr::Str(url.write()));
        }
        _ => return Err(format!("input '{whole}' is unsupported")),
    }
    Ok(attrs)
}

fn forge(whole: &str, scheme: &str, url: &Url) -> Result<Attrs, String> {
    let path = url.segments();
    let [owner, repo, rest @ ..] = &path[..] else {
        return Err(format!("URL '{whole}' is invalid"));
    };
    let (mut reference, mut rev) = (None, None);
    match rest {
        [] => {}
        [one] if is_rev(one) => rev = Some(one.clone()),
        parts => reference = Some(parts.join("/")),
    }
    let mut attrs = Attrs::from([
        ("type".to_owned(), text_of(scheme)),
        ("owner".to_owned(), text_of(owner)),
        ("repo".to_owned(), text_of(repo)),
    ]);
    for (name, value) in &url.query {
        match name.as_str() {
            "rev" if rev.is_some() => {
                return Err(format!("URL '{whole}' contains multiple commit hashes"));
            }
            "rev" => rev = Some(value.clone()),
            "ref" if reference.is_some() => {
                return Err(format!("URL '{whole}' contains multiple branch/tag names"));
            }
            "ref" => reference = Some(value.clone()),
            "host" | "narHash" => {
                attrs.insert(name.clone(), text_of(value));
            }
            _ => {}
        }
    }
    if let (Some(rev), Some(reference)) = (&rev, &reference) {
        return Err(format!(
            "input '{whole}' contains both a commit hash ('{rev}') and a branch/tag name ('{reference}')"
        ));
    }
    attrs.extend(reference.map(|text| ("ref".to_owned(), FetchAttr::Str(text))));
    attrs.extend(rev.map(|text| ("rev".to_owned(), FetchAttr::Str(text))));
    Ok(attrs)
}

/// Puts a reference together.
pub fn write(attrs: &Attrs) -> Result<String, String> {
    let find = |name: &str| match attrs.get(name) {
        Some(FetchAttr::Str(text)) => Ok(text.as_str()),
        Some(_) => Err(format!("input attribute '{name}' is not a string")),
        None => Err(format!("input attribute '{name}' is missing")),
    };
    let maybe = |name: &str| find(name).ok();
    let plain = |value: &FetchAttr| match value {
        FetchAttr::Str(text) => text.clone(),
        FetchAttr::Int(n) => n.to_string(),
        FetchAttr::Bool(b) => u8::from(*b).to_string(),
    };
    let mut url =
        Url { scheme: String::new(), authority: None, path: String::new(), query: BTreeMap::new() };
    match find("type")? {
        kind @ ("github" | "gitlab" | "sourcehut") => {
            url.scheme = kind.to_owned();
            let mut path = vec![find("owner")?, find("repo")?];
            path.extend(maybe("ref"));
            path.extend(maybe("rev"));
            url.path = path.join("/");
            for name in ["narHash", "host"] {
                url.query.extend(maybe(name).map(|value| (name.to_owned(), value.to_owned())));
            }
        }
        "indirect" => {
            url.scheme = "flake".to_owned();
            let mut path = vec![find("id")?];
            path.extend(maybe("ref"));
            path.extend(maybe("rev"));
            url.path = path.join("/");
        }
        "path" => {
            url.scheme = "path".to_owned();
            url.path = find("path")?.to_owned();
            let rest = attrs
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "path" | "type" | "dir" | "__final"));
            url.query = rest.map(|(name, value)| (name.clone(), plain(value))).collect();
        }
        kind @ ("git" | "tarball" | "file") => {
            let text = find("url")?;
            url = Url::parse(text).ok_or_else(|| format!("'{text}' is not a valid URL"))?;
            let names: &[&str] = if kind == "git" {
                if url.scheme != "git" {
                    url.scheme = format!("git+{}", url.scheme);
                }
                &["rev", "ref", "shallow", "lfs", "submodules", "exportIgnore", "verifyCommit"]
            } else {
                &["narHash"]
            };
            for name in names {
                let value = attrs.get(*name).filter(|value| **value != FetchAttr::Bool(false));
                url.query.extend(value.map(|value| ((*name).to_owned(), plain(value))));
            }
        }
        other => return Err(format!("input type '{other}' is not supported")),
    }
    url.query.extend(maybe("dir").map(|dir| ("dir".to_owned(), dir.to_owned())));
    Ok(url.write())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, attrs: &[(&str, &str)], written: &str) {
        let parsed = parse(text).unwrap();
        let expect: Attrs =
            attrs.iter().map(|(name, value)| ((*name).to_owned(), text_of(value))).collect();
        assert_eq!(parsed, expect);
        assert_eq!(write(&parsed).unwrap(), written);
    }

    #[test]
    fn paths_are_without_host_and_doubled_slashes() {
        check("path:///a//b", &[("type", "path"), ("path", "/a/b")], "path:/a/b");
        check("//e%'", &[("type", "path"), ("path", "/e%'")], "path:/e%25'");
        check("path:", &[("type", "path"), ("path", "/")], "path:/");
        check("path:x//../y/", &[("type", "path"), ("path", "x/../y/")], "path:x/../y/");
        check("path://u@:80/x", &[("type", "path"), ("path", "/x")], "path:/x");
        assert_eq!(
            parse("path://e/x").unwrap_err(),
            "path URL 'path://e/x' should not have an authority ('e')"
        );
    }

    #[test]
    fn takes_apart_and_puts_together() {
        let rev = "55bc52401966fbffa525c574c14f67b00bc4fb3a";
        check(
            "github:o/r/23.05?dir=lib",
            &[("type", "github"), ("owner", "o"), ("repo", "r"), ("ref", "23.05"), ("dir", "lib")],
            "github:o/r/23.05?dir=lib",
        );
        let with_rev = format!("nixpkgs/{rev}");
        check(
            &with_rev,
            &[("type", "indirect"), ("id", "nixpkgs"), ("rev", rev)],
            &format!("flake:{with_rev}"),
        );
        check("/a/b?dir=c", &[("type", "path"), ("path", "/a/b"), ("dir", "c")], "path:/a/b?dir=c");
        check(
            "git+https://h.example/r?ref=main",
            &[("type", "git"), ("url", "https://h.example/r"), ("ref", "main")],
            "git+https://h.example/r?ref=main",
        );
        check(
            "https://h.example/a.tar.gz",
            &[("type", "tarball"), ("url", "https://h.example/a.tar.gz")],
            "https://h.example/a.tar.gz",
        );
    }

    #[test]
    fn refuses_what_is_no_reference() {
        for text in ["github:o", "./a", "path:/a?x=1", "x:y", "nixpkgs/..", "github:o/r#x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
