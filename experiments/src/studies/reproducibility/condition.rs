//! The conditions of a build, by name: what stands before floe's command, what is in its environment, where its store root
//! lies. All of them are real: namespaces, users, file systems, processors; nothing pretends. Builds nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Under which conditions floe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// As rows call it.
    pub name: &'static str,
    /// What it varies, in a few words.
    pub title: &'static str,
    /// Builders at the same time, and the cores that each is told of.
    pub jobs: u32,
    /// What stands before the command; `$0` and what follows is the command.
    script: Option<&'static str>,
    /// Variables that are set.
    variables: &'static [(&'static str, &'static str)],
    /// Where the store root lies.
    ground: Ground,
    /// Whether an unprivileged user runs it.
    other_user: bool,
    /// Whether as many processes as there are processors do nothing but work meanwhile.
    busy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// In the study's work.
    Work,
    /// Deep below it, under an unusual name.
    Deep,
    /// In memory: another file system.
    Memory,
}

/// Nothing unusual.
const PLAIN: Condition = Condition {
    name: "again",
    title: "nothing but the time and the place of the store",
    jobs: 2,
    script: None,
    variables: &[],
    ground: Ground::Work,
    other_user: false,
    busy: false,
};

/// All conditions.
pub const ALL: &[Condition] = &[
    PLAIN,
    Condition {
        name: "one-core",
        title: "one processor instead of two, and one job",
        jobs: 1,
        script: Some("exec taskset -c 0 \"$0\" \"$@\""),
        ..PLAIN
    },
    Condition {
        name: "busy",
        title: "six jobs of six cores on a machine that is busy otherwise",
        jobs: 6,
        busy: true,
        ..PLAIN
    },
    Condition {
        name: "host",
        title: "another host and domain name, kernel release and time since boot",
        script: Some(
            "exec unshare --uts --time --boottime 40000000 --monotonic 40000000 sh -c 'hostname elsewhere; \
             echo example.org >/proc/sys/kernel/domainname; exec setarch --uname-2.6 \"$0\" \"$@\"' \"$0\" \"$@\"",
        ),
        ..PLAIN
    },
    Condition {
        name: "user",
        title: "another user with another umask, limits and priority",
        script: Some("umask 077; ulimit -n 512; ulimit -s 16384; exec nice -n 5 \"$0\" \"$@\""),
        other_user: true,
        ..PLAIN
    },
    Condition {
        name: "environment",
        title: "another locale, time zone, home and temporary directory, and flags for compilers",
        variables: &[
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "Pacific/Chatham"),
            ("HOME", "/nowhere"),
            ("USER", "somebody"),
            ("LOGNAME", "somebody"),
            ("TMPDIR", "/var/tmp"),
            ("CFLAGS", "-O3 -g -march=native"),
            ("CPATH", "/nowhere/include"),
            ("LIBRARY_PATH", "/nowhere/lib"),
            ("LDFLAGS", "-Wl,--build-id"),
            ("MAKEFLAGS", "--shuffle"),
            ("SOURCE_DATE_EPOCH", "1700000000"),
            ("PERL_HASH_SEED", "7"),
            ("GCC_COLORS", ""),
            ("TERM", "dumb"),
        ],
        ..PLAIN
    },
    Condition {
        name: "place",
        title: "a store root with a long and unusual name",
        ground: Ground::Deep,
        ..PLAIN
    },
    Condition {
        name: "file-system",
        title: "a store root in memory: another file system, which lists directories in another order",
        ground: Ground::Memory,
        ..PLAIN
    },
];

/// Who runs what another user runs: nobody's number.
const OTHER: u32 = 4242;

impl Condition {
    /// The one of a name.
    ///
    /// # Errors
    /// There is none, or it needs root and this is another user.
    pub fn named(name: &str) -> Result<Self> {
        match ALL.iter().find(|of| of.name == name) {
            Some(condition) => Ok(*condition),
            None => {
                let known: Vec<&str> = ALL.iter().map(|of| of.name).collect();
                bail!("there is no condition '{name}'; there are {}", known.join(", "))
            }
        }
    }

    /// Where the store root lies; it is not made.
    pub fn root(&self, work: &Path, name: &str) -> PathBuf {
        match self.ground {
            Ground::Work => work.join(name),
            Ground::Deep => {
                let deep = "a folder whose name is long/".repeat(4);
                work.join(deep).join(format!("Wurzel, {name} ü"))
            }
            Ground::Memory => PathBuf::from(format!("/dev/shm/floe-study-{name}")),
        }
    }

    /// Makes the root's folder, the user's who will run floe there.
    ///
    /// # Errors
    /// It cannot be made or given away.
    pub fn prepare(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        if self.other_user {
            chown(root, Some(OTHER), Some(OTHER)).with_context(|| {
                format!(
                    "cannot give {} to another user; run the study as root, or without the condition '{}'",
                    root.display(),
                    self.name
                )
            })?;
            fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// The command under these conditions.
    pub fn command(&self, command: &Command) -> Command {
        let mut words: Vec<&OsStr> = Vec::new();
        let (user, group) = (format!("--reuid={OTHER}"), format!("--regid={OTHER}"));
        if self.other_user {
            let to_other = ["setpriv", &user, &group, "--clear-groups"];
            words.extend(to_other.map(OsStr::new));
        }
        if let Some(script) = self.script {
            words.extend(["sh", "-c", script].map(OsStr::new));
        }
        words.push(command.get_program());
        words.extend(command.get_args());
        let mut wrapped = Command::new(words[0]);
        wrapped.args(&words[1..]);
        wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        wrapped.envs(self.variables.iter().copied());
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
    }

    /// What goes on beside the build, until it is dropped.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn surroundings(&self) -> Result<Surroundings> {
        let mut busy = Surroundings { processes: Vec::new() };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..if self.busy { processors } else { 0 } {
            let mut spin = Command::new("sh");
            spin.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            busy.processes.push(spin.spawn().context("cannot run sh")?);
        }
        Ok(busy)
    }
}

/// Processes that only work.
#[derive(Debug)]
pub struct Surroundings {
    processes: Vec<Child>,
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that ended by itself is none the worse.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    #[test]
    fn a_condition_wraps_a_command() {
        let mut plain = Command::new("sh");
        plain.args(["-c", "echo \"$FLOE_ROOT $MAKEFLAGS $(nproc) $1\"", "sh", "two words"]);
        plain.env("FLOE_ROOT", "root").current_dir("/");
        let said = |name: &str| {
            let condition = Condition::named(name).expect("a condition");
            process::succeed(&mut condition.command(&plain)).expect("run").out
        };
        let nproc = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(said("again"), format!("root  {nproc} two words\n"));
        assert_eq!(said("one-core"), "root  1 two words\n");
        assert_eq!(said("environment"), format!("root --shuffle {nproc} two words\n"));
        assert!(Condition::named("faked").is_err());
    }

    #[test]
    fn what_is_busy_ends_with_the_build() {
        let busy = Condition::named("busy").expect("a condition").surroundings().expect("started");
        let ids: Vec<u32> = busy.processes.iter().map(Child::id).collect();
        assert!(!ids.is_empty());
        drop(busy);
        assert!(ids.iter().all(|id| !Path::new(&format!("/proc/{id}")).exists()));
        let again = Condition::named("again").expect("a condition").surroundings().expect("none");
        assert!(again.processes.is_empty());
    }
}
