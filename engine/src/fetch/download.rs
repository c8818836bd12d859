//! One file from an address, with what the server says of its version: `file://` is copied,
//! `http(s)` goes through curl. Nothing is remembered here.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Bounds, FetchError, copy, run, scratch};

/// What came of a download.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Downloaded {
    /// The server's name for this version.
    pub etag: Option<String>,
    /// The version that the caller named is still the present one, so nothing was brought.
    pub unchanged: bool,
}

/// The file that a `file:` address names, its percent signs undone.
pub fn local_path(url: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let rest = url.strip_prefix("file:")?;
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").filter(|r| r.starts_with('/')).unwrap_or(rest),
        None => rest,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().as_bytes();
    let mut bytes = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let hex = |range| u8::from_str_radix(std::str::from_utf8(path.get(range)?).ok()?, 16).ok();
        match (path[at], hex(at + 1..at + 3)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                at += 3;
            }
            (byte, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    (!bytes.contains(&0)).then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Brings the file at `url` to `dest`, unless the server says that the version `etag` is still the
/// present one.
///
/// # Errors
/// When it cannot be fetched; `dest` does not exist then.
pub fn download(
    url: &str,
    etag: Option<&str>,
    dest: &Path,
    bounds: &Bounds<'_>,
    log: &mut dyn Write,
) -> Result<Downloaded, FetchError> {
    if url.starts_with("file:") {
        let path = local_path(url).filter(|path| path.is_absolute()).ok_or_else(|| {
            FetchError::Invalid {
                what: "address",
                text: url.to_owned(),
                rule: "a file's address holds an absolute path",
            }
        })?;
        copy(&path, dest)?;
        return Ok(Downloaded::default());
    }
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(FetchError::Invalid {
            what: "address",
            text: url.to_owned(),
            rule: "it must begin with http://, https:// or file:///",
        });
    }
    let dir = scratch()?;
    let headers = dir.path().join("headers");
    let mut client = curl(url, dest, bounds);
    client.arg("--dump-header").arg(&headers);
    if let Some(etag) = etag.filter(|etag| !etag.contains(['\r', '\n'])) {
        client.arg("--header").arg(format!("If-None-Match: {etag}"));
    }
    let ran = run("curl", url, &mut client, bounds, log);
    if ran.is_err() {
        // A transfer that broke off leaves its first part behind.
        drop(fs::remove_file(dest));
    }
    ran?;
    let answer = Answer::parse(&fs::read(&headers).unwrap_or_default());
    let unchanged = etag.is_some() && answer.status == 304;
    if unchanged {
        drop(fs::remove_file(dest));
    } else if !dest.exists() {
        // An empty file: some versions of the client make none.
        fs::write(dest, "").map_err(super::at("create", dest))?;
    }
    Ok(Downloaded { etag: answer.etag, unchanged })
}

/// The client, bounded in time and size.
fn curl(url: &str, dest: &Path, bounds: &Bounds<'_>) -> Command {
    let mut client = Command::new("curl");
    client.args(["--fail", "--location", "--silent", "--show-error"]);
    client.args(["--proto", "=http,https", "--proto-redir", "=http,https"]);
    client.args(["--retry", "3", "--connect-timeout", "30", "--speed-limit", "1"]);
    client.args(["--speed-time", "60", "--max-filesize"]).arg(bounds.max_bytes.to_string());
    client.arg("--output").arg(dest).arg("--url").arg(url);
    client
}

/// What the last server said, behind all redirections.
#[derive(Debug, Default)]
struct Answer {
    status: u32,
    etag: Option<String>,
}

impl Answer {
    fn parse(headers: &[u8]) -> Answer {
        let mut answer = Answer::default();
        for line in String::from_utf8_lossy(headers).lines() {
            if line.starts_with("HTTP/") {
                let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
                answer = Answer { status: status.unwrap_or_default(), etag: None };
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("etag")
            {
                answer.etag = Some(value.trim().to_owned());
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts() {
        let text = b"HTTP/1.1 302 Found\r\nETag: \"old\"\r\nLocation: /x\r\n\r\nHTTP/2 200\r\netag: W/\"new\"\r\n\r\n";
        let answer = Answer::parse(text);
        assert_eq!((answer.status, answer.etag.as_deref()), (200, Some("W/\"new\"")));
        assert_eq!(
            Answer::parse(b"HTTP/1.1 302 Found\r\nETag: x\r\n\r\nHTTP/1.1 200 OK\r\n").etag,
            None
        );
    }

    #[test]
    fn addresses_of_files() {
        let check = |url: &str, path: Option<&str>| {
            assert_eq!(local_path(url), path.map(PathBuf::from), "{url}");
        };
        check("file:///a/b%20c", Some("/a/b c"));
        check("file://localhost/a", Some("/a"));
        check("file:/a?x=1", Some("/a"));
        check("file:///a%00", None);
        check("http://a", None);
    }
}
