//! The builder's environment and the files it finds in its build directory, which are Nix's to
//! the letter, so that expressions written for Nix build unchanged. Pure: what must be written
//! where is returned, not done.

use std::collections::BTreeMap;

use floe_core::base32;
use floe_core::drv::{Derivation, Output};
use floe_core::hash::{Hash, HashAlgo};
use floe_core::path::{OutputName, STORE_DIR, StorePath};
use floe_core::placeholder;
use serde_json::{Map, Value};

/// What an environment is made from besides the derivation.
pub struct Settings<'a> {
    /// `NIX_BUILD_CORES`.
    pub cores: usize,
    /// Where each output is to be written.
    pub scratch: &'a BTreeMap<OutputName, StorePath>,
    /// Reads a variable of the caller's environment (`impureEnvVars` of fixed outputs).
    pub impure: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The references graph of some store paths, for `exportReferencesGraph`.
    pub closures: &'a GraphOf<'a>,
}

/// The references graph of some store paths.
pub type GraphOf<'a> = dyn Fn(&[StorePath]) -> Result<Vec<ClosureEntry>, String> + 'a;

/// One object of a references graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureEntry {
    /// The object.
    pub path: StorePath,
    /// Its NAR hash.
    pub nar_hash: Hash,
    /// Its NAR size.
    pub nar_size: u64,
    /// What it refers to, sorted.
    pub refs: Vec<StorePath>,
}

/// What the builder is started with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The program.
    pub builder: Vec<u8>,
    /// Its arguments.
    pub args: Vec<Vec<u8>>,
    /// Its whole environment, sorted.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files to be written into the build directory first.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Nix's directory of a build, as the builder sees it.
pub const BUILD_DIR: &str = "/build";

/// Prepares what the builder of `drv` sees.
///
/// # Errors
/// A message, when an attribute that steers the environment is not understood.
pub fn prepare(drv: &Derivation, settings: &Settings<'_>) -> Result<Prepared, String> {
    let rewrite = Placeholders::new(settings.scratch);
    let mut env: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut set = |name: &str, value: &str| env.insert(name.into(), value.into());
    set("PATH", "/path-not-set");
    set("HOME", "/homeless-shelter");
    set("NIX_STORE", STORE_DIR);
    set("NIX_BUILD_CORES", &settings.cores.to_string());
    let mut files = Vec::new();
    match drv.env.get(b"__json".as_slice()) {
        Some(json) => structured(drv, json, settings, &rewrite, &mut env, &mut files)?,
        None => plain(drv, settings, &rewrite, &mut env, &mut files)?,
    }
    let fixed = drv.outputs.values().any(|output| matches!(output, Output::Fixed(..)));
    if fixed {
        env.insert(b"NIX_OUTPUT_CHECKED".into(), b"1".into());
        let names = drv.env.get(b"impureEnvVars".as_slice()).cloned().unwrap_or_default();
        for name in String::from_utf8_lossy(&names).split_ascii_whitespace() {
            env.insert(name.into(), (settings.impure)(name).unwrap_or_default());
        }
    }
    for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
        env.insert(name.into(), BUILD_DIR.into());
    }
    env.insert(b"NIX_LOG_FD".into(), b"2".into());
    env.insert(b"TERM".into(), b"xterm-256color".into());
    Ok(Prepared {
        builder: rewrite.apply(&drv.builder),
        args: drv.args.iter().map(|arg| rewrite.apply(arg)).collect(),
        env: env.into_iter().collect(),
        files,
    })
}

fn plain(
    drv: &Derivation,
    settings: &Settings<'_>,
    rewrite: &Placeholders,
    env: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), String> {
    let empty = Vec::new();
    let as_file = drv.env.get(b"passAsFile".as_slice()).unwrap_or(&empty);
    let as_file: Vec<&[u8]> =
        as_file.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()).collect();
    for (name, value) in &drv.env {
        let value = rewrite.apply(value);
        if as_file.contains(&name.as_slice()) {
            let digest = Hash::of(HashAlgo::Sha256, name);
            let file = format!(".attr-{}", base32::encode(digest.bytes()));
            env.insert([name, b"Path".as_slice()].concat(), format!("{BUILD_DIR}/{file}").into());
            files.push((file, value));
        } else {
            env.insert(name.clone(), value);
        }
    }
    for (name, path) in settings.scratch {
        env.insert(name.as_str().into(), path.as_str().into());
    }
    let export = drv.env.get(b"exportReferencesGraph".as_slice()).unwrap_or(&empty);
    let export = String::from_utf8_lossy(export);
    let words: Vec<&str> = export.split_ascii_whitespace().collect();
    if !words.len().is_multiple_of(2) {
        return Err(format!(
            "odd number of tokens in 'exportReferencesGraph': '{export}'; give pairs of a file name and a store path"
        ));
    }
    for pair in words.chunks_exact(2) {
        if pair[0].contains('/') || pair[0].starts_with('.') {
            return Err(format!("invalid file name '{}' in 'exportReferencesGraph'", pair[0]));
        }
        let (root, _) = StorePath::parse_prefix(pair[1])
            .map_err(|error| format!("'exportReferencesGraph': {error}"))?;
        let mut text = String::new();
        for entry in (settings.closures)(&[root])? {
            // The form `nix-store --register-validity` reads: path, deriver, references.
            text += &format!("{}\n\n{}\n", entry.path, entry.refs.len());
            for reference in &entry.refs {
                text += &format!("{reference}\n");
            }
        }
        files.push((pair[0].to_owned(), text.into_bytes()));
    }
    Ok(())
}

fn structured(
    drv: &Derivation,
    json: &[u8],
    settings: &Settings<'_>,
    rewrite: &Placeholders,
    env: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), String> {
    let mut attrs: Map<String, Value> =
        serde_json::from_slice(&rewrite.apply(json)).map_err(|error| {
            format!("the attribute '__json' of '{}' is not JSON: {error}", drv.name)
        })?;
    let outputs = settings
        .scratch
        .iter()
        .map(|(name, path)| (name.as_str().to_owned(), Value::String(path.to_string())))
        .collect();
    attrs.insert("outputs".into(), Value::Object(outputs));
    if let Some(Value::Object(graphs)) = attrs.get("exportReferencesGraph").cloned() {
        for (name, roots) in graphs {
            let roots = match roots {
                Value::String(root) => vec![root],
                Value::Array(roots) => {
                    roots.iter().filter_map(|root| root.as_str().map(str::to_owned)).collect()
                }
                _ => return Err(format!("'exportReferencesGraph.{name}' must be a store path")),
            };
            let roots: Vec<StorePath> = roots
                .iter()
                .map(|root| StorePath::parse_prefix(root).map(|(path, _)| path))
                .collect::<Result<_, _>>()
                .map_err(|error| format!("'exportReferencesGraph.{name}': {error}"))?;
            let entries = (settings.closures)(&roots)?;
            attrs.insert(name, closure_json(&entries));
        }
    }
    attrs.sort_keys();
    files.push((".attrs.sh".into(), shell(&attrs).into_bytes()));
    let text = serde_json::to_vec(&Value::Object(attrs)).map_err(|error| error.to_string())?;
    files.push((".attrs.json".into(), text));
    env.insert(b"NIX_ATTRS_SH_FILE".into(), format!("{BUILD_DIR}/.attrs.sh").into());
    env.insert(b"NIX_ATTRS_JSON_FILE".into(), format!("{BUILD_DIR}/.attrs.json").into());
    Ok(())
}

fn closure_json(entries: &[ClosureEntry]) -> Value {
    let sizes: BTreeMap<&StorePath, u64> =
        entries.iter().map(|entry| (&entry.path, entry.nar_size)).collect();
    let refs: BTreeMap<&StorePath, &[StorePath]> =
        entries.iter().map(|entry| (&entry.path, entry.refs.as_slice())).collect();
    let closure_size = |root: &StorePath| {
        let mut seen = std::collections::BTreeSet::new();
        let mut stack = vec![root];
        while let Some(path) = stack.pop() {
            if seen.insert(path) {
                stack.extend(refs.get(path).copied().unwrap_or_default());
            }
        }
        seen.iter().filter_map(|path| sizes.get(path)).sum::<u64>()
    };
    let list = entries.iter().map(|entry| {
        serde_json::json!({
            "closureSize": closure_size(&entry.path),
            "narHash": format!("sha256:{}", entry.nar_hash.base32()),
            "narSize": entry.nar_size,
            "path": entry.path.as_str(),
            "references": entry.refs.iter().map(StorePath::as_str).collect::<Vec<_>>(),
        })
    });
    Value::Array(list.collect())
}

/// The attributes as bash declarations: those that bash has a type for.
fn shell(attrs: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in attrs.iter().filter(|(name, _)| is_identifier(name)) {
        match value {
            Value::Array(items) => {
                if let Some(items) = items.iter().map(scalar).collect::<Option<Vec<_>>>() {
                    let items: String = items.iter().map(|item| format!("{item} ")).collect();
                    text += &format!("declare -a {name}=({items})\n");
                }
            }
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| Some(format!("[{}]={} ", quote(key), scalar(value)?)))
                    .collect::<Option<String>>();
                if let Some(fields) = fields {
                    text += &format!("declare -A {name}=({fields})\n");
                }
            }
            value => {
                if let Some(value) = scalar(value) {
                    text += &format!("declare {name}={value}\n");
                }
            }
        }
    }
    text
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quote(text)),
        Value::Null => Some("''".into()),
        Value::Bool(true) => Some("1".into()),
        Value::Bool(false) => Some(String::new()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Some(number.to_string()),
            (None, Some(number)) if number.fract() == 0.0 => Some(format!("{number:.0}")),
            _ => None,
        },
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The placeholders of a derivation's own outputs and what stands for them during the build.
struct Placeholders(Vec<(String, String)>);

impl Placeholders {
    fn new(scratch: &BTreeMap<OutputName, StorePath>) -> Self {
        let pairs = scratch
            .iter()
            .map(|(name, path)| (placeholder::output(name.as_str()), path.to_string()));
        Placeholders(pairs.collect())
    }

    fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for (from, to) in &self.0 {
            if memchr::memmem::find(&text, from.as_bytes()).is_none() {
                continue;
            }
            let mut rewritten = Vec::with_capacity(text.len());
            let mut rest = text.as_slice();
            while let Some(at) = memchr::memmem::find(rest, from.as_bytes()) {
                rewritten.extend_from_slice(&rest[..at]);
                rewritten.extend_from_slice(to.as_bytes());
                rest = &rest[at + from.len()..];
            }
            rewritten.extend_from_slice(rest);
            text = rewritten;
        }
        text
    }
}
