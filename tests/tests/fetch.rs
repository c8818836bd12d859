//! Fetching while evaluating, against repositories, archives and a loopback server: the values are what C++ Nix 2.34.8
//! gave for the same world (`fixtures/fetch/expected`), and what must fail says why.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use floe_tests::fixture;
use floe_tests::process::run;
use floe_tests::scene::fails_saying;
use floe_tests::{Outcome, World};
use serde_json::Value;

/// Serves the files of a directory on a loopback port, each with an ETag; ends with the process.
struct Server {
    address: String,
    /// The requests so far: path and status.
    seen: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Server {
    fn start(root: PathBuf) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is its own affair.
                if let Ok(entry) = answer(stream, &root) {
                    log.lock().expect("the log").push(entry);
                }
            }
        });
        Server { address, seen }
    }

    fn requests(&self) -> Vec<(String, u16)> {
        std::mem::take(&mut self.seen.lock().expect("the log"))
    }
}

fn answer(stream: TcpStream, root: &Path) -> std::io::Result<(String, u16)> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut known = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(tag) = line.to_lowercase().strip_prefix("if-none-match:") {
            known = tag.trim().to_owned();
        }
    }
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let (status, tag, body) = match fs::read(root.join(path.trim_start_matches('/'))) {
        Ok(body) => {
            let sum = body.iter().fold(7u32, |sum, byte| sum.wrapping_mul(31) ^ u32::from(*byte));
            let tag = format!("\"{sum:x}\"");
            if tag == known { (304, tag, Vec::new()) } else { (200, tag, body) }
        }
        Err(_) => (404, String::new(), Vec::new()),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nETag: {tag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    Ok((path, status))
}

/// The world that the cases fetch from.
struct Stage {
    world: World,
    dir: PathBuf,
    server: Server,
    marks: BTreeMap<String, String>,
}

impl Stage {
    fn new() -> Stage {
        let world = World::new();
        let dir = world.work().join("w");
        let made =
            Command::new(fixtures().join("world")).arg(&dir).output().expect("the world script");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let home = dir.join("home/.gitconfig");
        fs::copy(home, world.work().join("../home/.gitconfig")).expect("Git's settings");
        let server = Server::start(dir.clone());
        let pins = fs::read_to_string(fixtures().join("pins")).expect("the pins");
        let pins = pins.lines().filter_map(|line| line.split_once('='));
        let mut marks: BTreeMap<String, String> =
            pins.map(|(mark, value)| (mark.to_owned(), value.to_owned())).collect();
        marks.insert("W".to_owned(), dir.display().to_string());
        marks.insert("H".to_owned(), server.address.clone());
        Stage { world, dir, server, marks }
    }

    fn evaluate(&self, text: &str, flags: &[&str]) -> Outcome {
        let mut text = text.to_owned();
        for (mark, value) in &self.marks {
            text = text.replace(&format!("@{mark}@"), value);
        }
        let pure = text.strip_prefix("pure ").map(str::to_owned);
        let expression = pure.as_deref().unwrap_or(&text);
        let expression = format!(
            "(v: if v ? outPath then removeAttrs v [ \"outPath\" ] // {{ path = v.outPath; }} else v) ({expression})"
        );
        let mut command = self.world.command("floe");
        command.args(["eval", "--strict", "--json", "--expr", &expression]).args(flags);
        if pure.is_some() {
            command.args(["--option", "pure-eval", "true"]);
        }
        run(&mut command).expect("floe to start")
    }

    #[track_caller]
    fn value(&self, text: &str, flags: &[&str]) -> Value {
        let outcome = self.evaluate(text, flags);
        assert!(outcome.success(), "{text}: {}", outcome.describe());
        serde_json::from_str(&outcome.stdout).expect("JSON")
    }
}

fn fixtures() -> PathBuf {
    fixture::folder().join("fetch")
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn values_are_those_of_nix() {
    let stage = Stage::new();
    let expected = fs::read_to_string(fixtures().join("expected")).expect("what is expected");
    let expected: BTreeMap<&str, &str> =
        expected.lines().filter_map(|line| line.split_once(": ")).collect();
    let cases = fs::read_to_string(fixtures().join("cases")).expect("the cases");
    let mut faults = String::new();
    let mut count = 0;
    for line in cases.lines().filter(|line| !line.starts_with('#')) {
        let (name, text) = line.split_once(": ").expect("a name and an expression");
        if name == "tarball-zst" && !has("zstd") {
            continue;
        }
        let (text, said) = text.split_once(" => ").map_or((text, None), |(a, b)| (a, Some(b)));
        let outcome = stage.evaluate(text, &[]);
        count += 1;
        if let Some(said) = said {
            fails_saying(&outcome, &[said]);
            continue;
        }
        let wanted: Value = serde_json::from_str(expected[name]).expect("JSON");
        match serde_json::from_str::<Value>(&outcome.stdout) {
            Ok(found) if outcome.success() && found == wanted => {}
            _ => faults += &format!("{name}: expected {wanted}, but {}\n", outcome.describe()),
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(count >= 75, "{count} cases");
}

#[test]
fn what_the_network_gave_is_kept_for_a_while() {
    let stage = Stage::new();
    let fetch = "builtins.readFile (builtins.fetchurl \"@H@/plain.txt\")";
    assert_eq!(stage.value(fetch, &[]), "plain\n");
    assert_eq!(stage.server.requests(), [("/plain.txt".to_owned(), 200)]);
    fs::write(stage.dir.join("plain.txt"), "changed\n").expect("ours");
    assert_eq!(stage.value(fetch, &[]), "plain\n", "it is fresh");
    assert_eq!(stage.server.requests(), []);
    let now = ["--option", "tarball-ttl", "0"];
    assert_eq!(stage.value(fetch, &now), "changed\n");
    assert_eq!(stage.value(fetch, &now), "changed\n", "the server says that it is the same");
    let seen = [("/plain.txt".to_owned(), 200), ("/plain.txt".to_owned(), 304)];
    assert_eq!(stage.server.requests(), seen);
    // an archive likewise, and an old answer is better than none
    let archive = "builtins.fetchTarball \"@H@/tree.tar\"";
    let first = stage.value(archive, &[]);
    assert_eq!(stage.value(archive, &now), first);
    let statuses: Vec<u16> = stage.server.requests().iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [200, 304]);
    fs::remove_file(stage.dir.join("tree.tar")).expect("ours");
    assert_eq!(stage.value(archive, &now), first);
}

#[test]
fn what_is_pinned_and_there_is_not_fetched() {
    let stage = Stage::new();
    let pinned = "builtins.fetchTarball { url = \"@H@/tree.tar\"; sha256 = \"@N@\"; }";
    let first = stage.value(pinned, &[]);
    stage.server.requests();
    assert_eq!(stage.value(pinned, &["--option", "tarball-ttl", "0"]), first);
    // nor is a forge asked for it
    let forge = "builtins.fetchTree { type = \"github\"; owner = \"o\"; repo = \"r\"; rev = \"@R1@\"; narHash = \"@N@\"; }";
    let found = stage.value(forge, &[]);
    assert_eq!(found["path"], first);
    assert_eq!(found["shortRev"], "a674dd6");
    let pure = format!("pure {forge}");
    assert_eq!(stage.value(&pure, &[]), found);
    assert_eq!(stage.server.requests(), []);
    // a commit that was fetched needs its repository no more
    let commit = "builtins.fetchGit { url = \"file://@W@/bare.git\"; rev = \"@R1@\"; }";
    let first = stage.value(commit, &[]);
    fs::rename(stage.dir.join("bare.git"), stage.dir.join("gone.git")).expect("ours");
    assert_eq!(stage.value(commit, &[]), first);
}

#[test]
fn a_hostile_repository_runs_nothing() {
    let stage = Stage::new();
    let mark = stage.dir.join("it-ran");
    let hook = format!("#!/bin/sh\ntouch {}\n", mark.display());
    let repo = stage.dir.join("repo");
    let script = repo.join(".git/evil");
    fs::write(&script, &hook).expect("ours");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, executable).expect("ours");
    let settings = format!(
        "[core]\n\tfsmonitor = {0}\n\tpager = {0}\n\thooksPath = {1}\n",
        script.display(),
        repo.join(".git").display()
    );
    let file = repo.join(".git/config");
    let before = fs::read_to_string(&file).expect("its settings");
    fs::write(&file, before + &settings).expect("ours");
    stage.value("builtins.fetchGit @W@/repo", &[]);
    stage.value("builtins.fetchGit { url = @W@/repo; ref = \"other\"; }", &[]);
    assert!(!mark.exists(), "a program that the repository names ran");
}
