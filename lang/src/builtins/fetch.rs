//! Builtins that fetch while evaluating. What can be fetched is the host's affair: here, only
//! arguments become a request and the answer a value.

use floe_core::hash::HashAlgo;

use super::Prim;
use crate::error::{Error, ErrorKind, Res};
use crate::host::{FetchAttr, FetchRequest, Fetched};
use crate::machine::Machine;
use crate::source::Loc;
use crate::symbol::Symbol;
use crate::value::{Attrs, Value};

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The part behind the last slash, as Nix names what it downloads.
fn url_name(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// `channel:NAME` is short for a channel's archive.
fn channel(url: String) -> String {
    match url.strip_prefix("channel:") {
        Some(name) => format!("https://channels.nixos.org/{name}/nixexprs.tar.xz"),
        None => url,
    }
}

const URL_FRAME: &str = "while evaluating the url we should fetch";

/// `fetchurl` and `fetchTarball`: a URL, or a set with `url`, `sha256` and `name`.
fn download(machine: &mut Machine, arg: Value, loc: Loc, who: &'static str) -> Res<Value> {
    let mut url = None;
    let mut name = None;
    let mut attrs = Vec::new();
    match machine.force(arg)? {
        Value::Attrs(set) => {
            for attr in Attrs::by_text(set) {
                let key = attr.name.to_text();
                if !matches!(&*key, "url" | "sha256" | "name") {
                    let message = format!("unsupported argument '{key}' to '{who}'");
                    return Err(Error::eval(loc, message));
                }
                let what = match &*key {
                    "url" => URL_FRAME,
                    "name" => "while evaluating the name of the content we should fetch",
                    _ => "while evaluating the sha256 of the content we should fetch",
                };
                let value = attr.value.unread();
                let text = machine.as_text(value, attr.loc).map_err(|e| e.frame(attr.loc, what))?;
                let text = text_of(text);
                match &*key {
                    "url" => url = Some(text),
                    "name" => name = Some(text),
                    _ => {
                        let algo = Some(HashAlgo::Sha256);
                        let hash = machine.parse_hash_allow_empty(&text, algo, attr.loc)?;
                        attrs.push(("sha256".to_owned(), FetchAttr::Str(hash.sri())));
                    }
                }
            }
        }
        value => {
            let text = machine.as_text(value, loc).map_err(|e| e.frame(loc, URL_FRAME))?;
            url = Some(text_of(text));
        }
    }
    let url = url.map(|url| if who == "fetchTarball" { channel(url) } else { url });
    let Some(url) = url else {
        return Err(Error::eval(loc, "'url' argument required"));
    };
    let given = name.is_some();
    let name = name.unwrap_or_else(|| match who {
        "fetchTarball" => "source".to_owned(),
        _ => url_name(&url).to_owned(),
    });
    if let Err(error) = floe_core::path::check_name(&name) {
        let by_url = attrs.is_empty() && !given && !matches!(machine.force(arg)?, Value::Attrs(_));
        let advice = match given {
            true => format!(
                "Please change the value for the 'name' attribute passed to '{who}', so that it can create a valid store path."
            ),
            // The second space is C++ Nix's.
            false if by_url => format!(
                "Please pass an attribute set with 'url' and 'name' attributes to '{who}',  so that it can create a valid store path."
            ),
            false => format!(
                "Please add a valid 'name' attribute to the argument for '{who}', so that it can create a valid store path."
            ),
        };
        let why = super::strings::nix_words(&error);
        let message = format!("invalid store path name when fetching URL '{url}': {why}. {advice}");
        return Err(Error::eval(loc, message));
    }
    if machine.settings.pure && attrs.is_empty() {
        let message = format!("in pure evaluation mode, '{who}' requires a 'sha256' argument");
        return Err(Error::new(ErrorKind::Restricted, loc, message));
    }
    attrs.insert(0, ("name".to_owned(), FetchAttr::Str(name)));
    attrs.push(("url".to_owned(), FetchAttr::Str(url)));
    let fetched = fetch(machine, who, attrs, loc)?;
    Ok(path_string(machine, &fetched))
}

/// What an archive of the search path unpacks to.
pub(crate) fn tarball(machine: &mut Machine, url: &str, loc: Loc) -> Res<Vec<u8>> {
    let attrs = vec![
        ("name".to_owned(), FetchAttr::Str("source".to_owned())),
        ("url".to_owned(), FetchAttr::Str(channel(url.to_owned()))),
    ];
    let fetched = fetch(machine, "fetchTarball", attrs, loc)?;
    Ok(fetched.path.as_str().as_bytes().to_vec())
}

fn fetch(
    machine: &mut Machine,
    kind: &str,
    attrs: Vec<(String, FetchAttr)>,
    loc: Loc,
) -> Res<Fetched> {
    let request = FetchRequest { kind: kind.to_owned(), attrs };
    let fetched = machine.host.fetch(&request);
    machine.note_fetch(&request, &fetched);
    fetched.map_err(|e| Error::from(e).at(loc))
}

fn path_string(machine: &mut Machine, fetched: &Fetched) -> Value {
    let elem = machine.contexts.path_elem(&fetched.path);
    let ctx = machine.contexts.intern(vec![elem]);
    machine.string_with(fetched.path.as_str().as_bytes(), ctx)
}

/// `fetchGit`, `fetchMercurial` and `fetchTree`: a URL or any set of scalars.
fn tree(machine: &mut Machine, arg: Value, loc: Loc, who: &'static str) -> Res<Value> {
    let mut attrs = Vec::new();
    match machine.force(arg)? {
        Value::Attrs(set) => {
            if who == "fetchTree" && Attrs::find(set, Symbol::TYPE).is_none() {
                let message = format!("argument 'type' is missing in call to '{who}'");
                return Err(Error::eval(loc, message));
            }
            for attr in Attrs::by_text(set) {
                let key = attr.name.to_text().into_owned();
                if key == "name" && who == "fetchTree" {
                    let message = format!("argument 'name' isn’t supported in call to '{who}'");
                    return Err(Error::eval(loc, message));
                }
                if key == "type" && who != "fetchTree" {
                    return Err(Error::eval(loc, "unexpected argument 'type'"));
                }
                let value = machine.force_place(&attr.value)?;
                let scalar = match value {
                    Value::Bool(b) => FetchAttr::Bool(b),
                    Value::Int(n) if n < 0 => {
                        let message =
                            format!("negative value given for '{who}' argument '{key}': {n}");
                        return Err(Error::eval(loc, message));
                    }
                    Value::Int(n) => FetchAttr::Int(n),
                    Value::Str(_) | Value::Path(_) => {
                        FetchAttr::Str(text_of(&machine.realised_text(value, (attr.loc, ""))?))
                    }
                    other => {
                        let message = format!(
                            "argument '{key}' to '{who}' is {} while a string, Boolean or integer is expected",
                            machine.type_phrase(other)
                        );
                        return Err(Error::typed(loc, message));
                    }
                };
                attrs.push((key, scalar));
            }
        }
        value => {
            let what = format!("while evaluating the first argument passed to '{who}'");
            let text = machine.realised_text(value, (loc, &what))?;
            attrs.push(("url".to_owned(), FetchAttr::Str(text_of(&text))));
        }
    }
    let given = |name: &str| attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    if machine.settings.pure && given("rev").is_none() && given("narHash").is_none() {
        let what = match given("url").or_else(|| given("path")) {
            Some(FetchAttr::Str(text)) => text.as_str(),
            _ => "",
        };
        let message =
            format!("in pure evaluation mode, '{who}' doesn't fetch unlocked input '{what}'");
        return Err(Error::new(ErrorKind::Restricted, loc, message));
    }
    let fetched = fetch(machine, who, attrs, loc)?;
    let mut out = vec![(Symbol::OUT_PATH, path_string(machine, &fetched))];
    for (name, value) in &fetched.attrs {
        let value = match value {
            FetchAttr::Str(text) => {
                super::json::check_nul(text.as_bytes(), loc)?;
                machine.string(text.as_bytes())
            }
            FetchAttr::Int(n) => Value::Int(*n),
            FetchAttr::Bool(b) => Value::Bool(*b),
        };
        out.push((Symbol::intern(name), value));
    }
    Ok(machine.attrs(out))
}

macro_rules! fetcher {
    ($function:ident, $how:ident, $name:literal) => {
        fn $function(machine: &mut Machine, args: &[Value], loc: Loc) -> Res<Value> {
            $how(machine, args[0], loc, $name)
        }
    };
}

fetcher!(fetch_url, download, "fetchurl");
fetcher!(fetch_tarball, download, "fetchTarball");
fetcher!(fetch_git, tree, "fetchGit");
fetcher!(fetch_mercurial, tree, "fetchMercurial");
fetcher!(fetch_tree, tree, "fetchTree");

pub(super) fn prims() -> Vec<Prim> {
    vec![
        Prim::new("fetchurl", 1, 1, fetch_url),
        Prim::new("fetchTarball", 1, 1, fetch_tarball),
        Prim::new("fetchGit", 1, 1, fetch_git),
        Prim::new("fetchMercurial", 1, 1, fetch_mercurial),
        Prim::new("fetchTree", 1, 1, fetch_tree),
    ]
}
