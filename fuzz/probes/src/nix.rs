//! C++ Nix as a second opinion on many programs at once: values from one `nix-instantiate` for many
//! expressions, failures from one `nix repl` that stays open. No judgement of who is right.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

/// Seconds after which a `nix-instantiate` is asked to end, and then made to: a regular expression that
/// takes it for ever does not heed a signal. The fuzzer itself waits for longer.
const TIMEOUT_SECONDS: &str = "10";
const GRACE_SECONDS: &str = "2";
/// For so long a session may think about one program.
const SILENCE: Duration = Duration::from_secs(10);
/// Bytes of all programs of one command: arguments have a bound.
const MAX_ARGUMENT_BYTES: usize = 1 << 20;

/// And for so long it may take to end.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines of a session that wait to be read.
const LINES: usize = 1_000;

/// A session keeps all that it evaluated: after so much input a new one begins.
const MAX_SESSION_BYTES: usize = 500_000;

/// Where below the folder programs lie: so deep that the folders above a path of theirs, which a program
/// may copy into the store, do not hold that store.
const PROGRAMS: &str = "programs/1/2/3/4/5/6/7/8";

/// What C++ Nix makes of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It prints this.
    Value(Vec<u8>),
    /// It fails; the end of what it says.
    Failure(String),
    /// It does not come to an end in time.
    Endless,
}

/// C++ Nix with a store of its own.
pub struct Nix {
    instantiate: OsString,
    nix: OsString,
    dir: TempDir,
    repl: Option<Repl>,
    asked: usize,
    /// Major and minor version.
    pub version: (u32, u32),
}

struct Repl {
    child: Child,
    input: ChildStdin,
    /// The lines that it says, until it ends.
    output: Receiver<String>,
    /// Bytes of input so far.
    asked: usize,
}

impl Nix {
    /// The one whose `nix-instantiate` the environment variable `NIX_INSTANTIATE` names (`nix` lies beside
    /// it), or else that of `PATH`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> Result<Nix, String> {
        let instantiate = std::env::var_os("NIX_INSTANTIATE").unwrap_or("nix-instantiate".into());
        let beside = PathBuf::from(&instantiate).with_file_name("nix").into_os_string();
        let version = Command::new(&instantiate)
            .arg("--version")
            .output()
            .map_err(|error| format!("{}: {error}", instantiate.display()))?;
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        let mut parts = text.trim().rsplit(' ').next().unwrap_or_default().split('.');
        let mut part = || parts.next().and_then(|part| part.parse().ok());
        let version = part().zip(part()).ok_or(format!("{text}: no version"))?;
        let dir = tempfile::Builder::new()
            .prefix("floe-probes-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        fs::create_dir(dir.path().join("conf")).map_err(|error| error.to_string())?;
        fs::create_dir(dir.path().join("home")).map_err(|error| error.to_string())?;
        fs::create_dir_all(dir.path().join(PROGRAMS)).map_err(|error| error.to_string())?;
        let conf = "build-users-group =\nsubstituters =\nsubstitute = false\n\
                    experimental-features = nix-command ca-derivations\n";
        fs::write(dir.path().join("conf/nix.conf"), conf).map_err(|error| error.to_string())?;
        Ok(Nix { instantiate, nix: beside, dir, repl: None, asked: 0, version })
    }

    fn command(&self, name: &OsString) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after", GRACE_SECONDS, TIMEOUT_SECONDS])
            .arg(name)
            .env("HOME", self.dir.path().join("home"))
            .env("NIX_CONF_DIR", self.dir.path().join("conf"))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NIX_PATH")
            .current_dir("/");
        command
    }

    fn store(&self) -> String {
        self.dir.path().join("root").display().to_string()
    }

    /// What becomes of each program.
    pub fn answers(&mut self, programs: &[&str]) -> Vec<Answer> {
        let mut answers = Vec::new();
        while answers.len() < programs.len() {
            let left = &programs[answers.len()..];
            let mut bytes = 0;
            let fits = left.iter().take_while(|program| {
                bytes += program.len() + 40;
                bytes < MAX_ARGUMENT_BYTES
            });
            let count = fits.count().max(1);
            answers.extend(self.run(&left[..count]));
        }
        answers
    }

    /// The answers to the first programs, up to one that fails.
    fn run(&mut self, programs: &[&str]) -> Vec<Answer> {
        let mark = |at: usize| format!("end of program {at}");
        let mut command = self.command(&self.instantiate);
        command.args(["--eval", "--strict", "--store"]).arg(self.store()).arg("-E");
        for (at, program) in programs.iter().enumerate() {
            command.arg(program).arg(format!("\"{}\"", mark(at)));
        }
        let output = command.stdin(Stdio::null()).output().expect("nix-instantiate starts");
        let mut answers = Vec::new();
        let mut rest = &output.stdout[..];
        for at in 0..programs.len() {
            let end = format!("\n\"{}\"\n", mark(at));
            let Some(found) = find(rest, end.as_bytes()) else {
                if was_ended(output.status) {
                    answers.push(Answer::Endless);
                    break;
                }
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.trim_end();
                let start = said.rfind("error:").unwrap_or(0);
                answers.push(Answer::Failure(format!("{} ({})", &said[start..], output.status)));
                break;
            };
            answers.push(Answer::Value(rest[..found].to_vec()));
            rest = &rest[found + end.len()..];
        }
        answers
    }

    /// Which of the programs have a value, where most are expected to have none.
    pub fn succeed(&mut self, programs: &[&str]) -> Vec<bool> {
        let first = self.asked;
        self.asked += programs.len() + 1;
        let folder = self.dir.path().join(PROGRAMS);
        let files: Vec<PathBuf> = (0..programs.len())
            .map(|at| folder.join(format!("program-{}.nix", first + at)))
            .collect();
        let mut lines = String::new();
        for (at, (file, program)) in files.iter().zip(programs).enumerate() {
            fs::write(file, program).expect("a file of ours");
            // Made of two parts, so that an echo of the line is no answer.
            lines += &format!(
                "builtins.deepSeq (import {}) (\"value \" + \"{number}.\")\n\"asked \" + \"{number}.\"\n",
                file.display(),
                number = first + at
            );
        }
        let last = format!("end {}.", first + programs.len());
        lines += &format!("\"end \" + \"{}.\"\n", first + programs.len());
        let (said, ended) = self.ask(lines, &last);
        files.iter().for_each(|file| drop(fs::remove_file(file)));
        let says = |what, at: usize| said.contains(&format!("{what} {}.", first + at));
        let count = match ended {
            true => programs.len(),
            false => (0..programs.len()).take_while(|at| says("asked", *at)).count(),
        };
        let mut succeed: Vec<bool> = (0..count).map(|at| says("value", at)).collect();
        if count < programs.len() {
            // The next one ended the session itself, or never ends, and those behind it were not asked.
            succeed.push(false);
            succeed.extend(self.succeed(&programs[count + 1..]));
        }
        succeed
    }

    /// What the session says to these lines, and whether it said what comes last.
    fn ask(&mut self, lines: String, last: &str) -> (String, bool) {
        let mut repl = match self.repl.take() {
            Some(repl) => repl,
            None => self.open(),
        };
        repl.asked += lines.len();
        let mut said = String::new();
        let mut alive =
            repl.input.write_all(lines.as_bytes()).and_then(|()| repl.input.flush()).is_ok();
        while alive && !said.contains(last) {
            match repl.output.recv_timeout(SILENCE) {
                Ok(line) => said += &line,
                Err(_) => alive = false,
            }
        }
        if alive && repl.asked < MAX_SESSION_BYTES {
            self.repl = Some(repl);
        } else {
            repl.end();
        }
        (said, alive)
    }

    fn open(&self) -> Repl {
        let mut command = Command::new(&self.nix);
        let mut child = command
            .args(["repl", "--store"])
            .arg(self.store())
            .env("HOME", self.dir.path().join("home"))
            .env("NIX_CONF_DIR", self.dir.path().join("conf"))
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb")
            .env_remove("NIX_PATH")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("nix repl starts");
        let input = child.stdin.take().expect("it is a pipe");
        let mut said = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (lines, output) = sync_channel(LINES);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while said.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Repl { child, input, output, asked: 0 }
    }
}

impl Repl {
    fn end(self) {
        let Repl { mut child, input, output, .. } = self;
        // Without input it ends itself, unless it never will.
        drop(input);
        let end = loop {
            if let Err(end) = output.recv_timeout(PATIENCE) {
                break end;
            }
        };
        if end == RecvTimeoutError::Timeout {
            // `nix` may be a script, and what it runs heeds nothing else.
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
        let _ = child.wait();
    }
}

impl Drop for Nix {
    fn drop(&mut self) {
        if let Some(repl) = self.repl.take() {
            repl.end();
        }
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.dir.path()).status();
    }
}

/// Whether `timeout` ended a command.
fn was_ended(status: ExitStatus) -> bool {
    matches!(status.code(), Some(124 | 137)) || status.signal() == Some(9)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
