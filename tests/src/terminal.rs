//! A pseudo-terminal with a command in it: keys go in, what would stand on the screen comes out. No knowledge of floe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::without_escapes;

/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keys that have no letter.
pub mod key {
    /// Completes.
    pub const TAB: &str = "\t";
    /// Ends a line.
    pub const ENTER: &str = "\r";
    /// Goes back in the history.
    pub const UP: &str = "\x1b[A";
    /// Ctrl-C.
    pub const INTERRUPT: &str = "\x03";
    /// Ctrl-D.
    pub const END: &str = "\x04";
}

/// A command whose terminal we hold.
pub struct Terminal {
    keys: File,
    child: Child,
    /// All that was written so far, as bytes.
    written: Vec<u8>,
    /// What a terminal makes of it.
    screen: vt100::Parser,
    /// How much of the text has been waited for.
    seen: usize,
}

impl Terminal {
    /// Starts a command in a session of its own whose terminal is a new one.
    ///
    /// # Errors
    /// When there is no terminal to be had, or the command cannot be started.
    pub fn start(command: &Command) -> io::Result<Terminal> {
        Terminal::start_sized(command, 120, 40)
    }

    /// The same with so many columns and rows.
    ///
    /// # Errors
    /// As [`Terminal::start`].
    pub fn start_sized(command: &Command, columns: u16, rows: u16) -> io::Result<Terminal> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(Path::new(&*name.to_string_lossy()))?;
        tcsetwinsize(&slave, size(columns, rows))?;
        // It makes the terminal the session's, so that Ctrl-C reaches who runs in it.
        let mut inside = Command::new("setsid");
        inside.arg("--ctty").arg("--wait").arg(command.get_program()).args(command.get_args());
        inside.env_clear().env("TERM", "xterm");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                inside.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        let end = |slave: &File| slave.try_clone().map(Stdio::from);
        let child = inside.stdin(end(&slave)?).stdout(end(&slave)?).stderr(end(&slave)?).spawn()?;
        let screen = vt100::Parser::new(cells(rows), cells(columns), 0);
        let keys = File::from(master);
        Ok(Terminal { keys, child, written: Vec::new(), screen, seen: 0 })
    }

    /// Gives the terminal another size. What stands on the screen is cut, not laid out anew.
    ///
    /// # Panics
    /// When it cannot have one.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        tcsetwinsize(&self.keys, size(columns, rows)).expect("a terminal has a size");
        self.screen.set_size(cells(rows), cells(columns));
    }

    /// What stands on the screen: its rows without the blanks at their ends, and without the empty ones at the end.
    pub fn screen(&self) -> String {
        self.screen
            .screen()
            .contents()
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// Waits until the screen is as it should be, and gives it.
    #[track_caller]
    pub fn wait_for_screen(&mut self, what: &str, is_right: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if is_right(&screen) {
                return screen;
            }
            let more = started.elapsed() < PATIENCE && self.read().expect("the terminal is read");
            assert!(more, "{what} is not to be seen:\n{screen}");
        }
    }

    /// Waits until the command has ended; how it ended, what the screen is then, and every byte that was written.
    #[track_caller]
    pub fn leave(mut self) -> (ExitStatus, String, Vec<u8>) {
        let started = Instant::now();
        while self.read().expect("the terminal is read") {
            assert!(started.elapsed() < PATIENCE, "it did not end:\n{}", self.screen());
        }
        let status = self.child.wait().expect("a child's end");
        (status, self.screen(), std::mem::take(&mut self.written))
    }

    /// Presses keys.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Types a line and ends it.
    #[track_caller]
    pub fn enter(&mut self, line: &str) {
        self.press(&format!("{line}{}", key::ENTER));
    }

    /// Types the beginning of something, and waits until Tab has completed it.
    #[track_caller]
    pub fn complete(&mut self, beginning: &str, whole: &str) {
        self.press(&format!("{beginning}{}", key::TAB));
        self.wait_for(whole);
    }

    /// Waits until a text has been written since the last one that was waited for, and gives all that came before it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let all = self.text();
            let from = self.seen.min(all.len());
            if let Some(at) = all[from..].find(text) {
                self.seen = from + at + text.len();
                return all[from..from + at].to_owned();
            }
            let more = started.elapsed() < PATIENCE && self.read().expect("the terminal is read");
            assert!(
                more,
                "'{text}' did not come; after what was seen before stands:\n{}",
                &all[from..]
            );
        }
    }

    /// What was written so far, without what steers a terminal.
    fn text(&self) -> String {
        without_escapes(&String::from_utf8_lossy(&self.written))
    }

    /// Reads what there is, waiting a little; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut ready = [PollFd::from_borrowed_fd(self.keys.as_fd(), PollFlags::IN)];
        if poll(&mut ready, Some(&pause))? == 0 {
            return Ok(true);
        }
        let mut buffer = [0; 4096];
        match self.keys.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.written.extend_from_slice(&buffer[..count]);
                self.screen.process(&buffer[..count]);
                Ok(true)
            }
            // The other end is closed.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until the command has ended.
    #[track_caller]
    pub fn end(self) -> ExitStatus {
        self.leave().0
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen has rows and columns")
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // it may be gone already, which is what was wanted; what runs in it is hung up with its terminal
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
