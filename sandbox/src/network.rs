//! What a builder may reach: the files that tell it names, and the helper process that joins its
//! network namespace to the outside. No namespace is made here.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::SandboxError;
use crate::spec::Network;

/// The files by which names are found.
pub(crate) struct Names {
    /// Name below `/etc`, and content.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    /// A bundle of certificates on the host.
    pub(crate) certificates: Option<PathBuf>,
}

const HOSTS: &[u8] = b"127.0.0.1 localhost\n::1 localhost\n";
/// Names and services are looked up, nothing else that the host may have configured.
const NSSWITCH: &[u8] = b"hosts: files dns\nservices: files\n";
/// Where slirp4netns answers name queries.
const SLIRP_RESOLVER: &[u8] = b"nameserver 10.0.2.3\n";
/// An address for pasta to answer name queries at; it stands in no real network (RFC 5737).
const PASTA_RESOLVER: &str = "192.0.2.53";
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A program that joins a network namespace to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Slirp,
    Pasta,
}

impl Tool {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Tool::Slirp => "slirp4netns",
            Tool::Pasta => "pasta",
        }
    }

    /// The first one that is installed.
    pub(crate) fn find() -> Result<Tool, SandboxError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        [Tool::Slirp, Tool::Pasta]
            .into_iter()
            .find(|tool| std::env::split_paths(&path).any(|dir| dir.join(tool.program()).is_file()))
            .ok_or_else(|| failed("neither slirp4netns nor pasta is in PATH".into()))
    }
}

/// The files for this kind of network.
pub(crate) fn names(network: Network, tool: Option<Tool>) -> Names {
    let host = |path: &str| fs::read(path).unwrap_or_default();
    let (hosts, resolver) = match (network, tool) {
        (Network::None, _) => {
            return Names { files: vec![("hosts", HOSTS.to_vec())], certificates: None };
        }
        (Network::UserMode, Some(Tool::Pasta)) => {
            (HOSTS.to_vec(), format!("nameserver {PASTA_RESOLVER}\n").into_bytes())
        }
        (Network::UserMode, _) => (HOSTS.to_vec(), SLIRP_RESOLVER.to_vec()),
        (Network::Host, _) => (host("/etc/hosts"), host("/etc/resolv.conf")),
    };
    Names {
        files: vec![
            ("hosts", hosts),
            ("resolv.conf", resolver),
            ("nsswitch.conf", NSSWITCH.to_vec()),
            ("services", host("/etc/services")),
        ],
        certificates: CERTIFICATES.into_iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

/// The running helper. It ends when this is dropped, and by itself when the namespace does.
#[derive(Debug)]
pub(crate) struct Helper {
    process: Child,
    /// slirp4netns ends when the other side of this pipe closes, even if floe is killed.
    _life: Option<OwnedFd>,
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already; either way it is to be reaped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Joins the network namespace of this process to the outside.
pub(crate) fn attach(tool: Tool, pid: u32) -> Result<Helper, SandboxError> {
    let io_failed = |error: io::Error| failed(format!("{}: {error}", tool.program()));
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| io_failed(error.into()));
    let namespace = |kind: &str| Path::new("/proc").join(pid.to_string()).join("ns").join(kind);
    let (errors_read, errors_write) = pipe()?;
    let mut command = Command::new(tool.program());
    command.stderr(errors_write);
    let (mut process, life, ready) = match tool {
        Tool::Slirp => {
            let (life_read, life_write) = pipe()?;
            let (ready_read, ready_write) = pipe()?;
            let process = command
                .args(["--configure", "--mtu=65520", "--disable-host-loopback"])
                .args(["--exit-fd=0", "--ready-fd=1", "--netns-type=path"])
                .arg(format!("--userns-path={}", namespace("user").display()))
                .arg(namespace("net"))
                .arg("tap0")
                .stdin(life_read)
                .stdout(ready_write)
                .spawn()
                .map_err(io_failed)?;
            // The command still owns our copies of the pipes' far ends.
            drop(command);
            let mut byte = [0];
            let ready = fs::File::from(ready_read).read(&mut byte).is_ok_and(|count| count == 1);
            (process, Some(life_write), ready)
        }
        Tool::Pasta => {
            let process = command
                .args(["--foreground", "--quiet", "--config-net", "--no-map-gw"])
                .args(["--tcp-ports", "none", "--udp-ports", "none"])
                .args(["--tcp-ns", "none", "--udp-ns", "none"])
                .args(["--dns-forward", PASTA_RESOLVER, "--runas", "0"])
                .arg("--userns")
                .arg(namespace("user"))
                .arg("--netns")
                .arg(namespace("net"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .map_err(io_failed)?;
            drop(command);
            let ready = wait_for_route(pid);
            (process, None, ready)
        }
    };
    if ready {
        return Ok(Helper { process, _life: life });
    }
    // Reaped either way; what it said tells the reason.
    let _ = process.kill();
    let _ = process.wait();
    let mut said = String::new();
    let _ = fs::File::from(errors_read).read_to_string(&mut said);
    Err(failed(format!("{} said: {}", tool.program(), said.trim())))
}

/// Waits until the namespace of this process has a default route, at most five seconds.
fn wait_for_route(pid: u32) -> bool {
    let table = format!("/proc/{pid}/net/route");
    for _ in 0..500 {
        let routes = fs::read_to_string(&table).unwrap_or_default();
        if routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000")) {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    false
}

/// The parent's ends of the two pipes over which a child waits for its network.
pub(crate) struct Meeting {
    pub(crate) ready: OwnedFd,
    pub(crate) go: OwnedFd,
}

impl Meeting {
    /// Waits for the child, attaches the helper and lets the child go on. `None` if the child
    /// failed before it came here, which its own report explains.
    pub(crate) fn hold(self, tool: Tool) -> Result<Option<Helper>, SandboxError> {
        let mut text = [0; 32];
        let count = fs::File::from(self.ready).read(&mut text).unwrap_or(0);
        let pid = std::str::from_utf8(text.get(..count).unwrap_or(&[]))
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(pid) = pid else { return Ok(None) };
        let helper = attach(tool, pid);
        let answer = if helper.is_ok() { b"+" } else { b"-" };
        // A child that died meanwhile is reported by its own result.
        let _ = fs::File::from(self.go).write_all(answer);
        helper.map(Some)
    }
}

fn failed(reason: String) -> SandboxError {
    SandboxError::Network { reason }
}
