//! What a build may use at most, and how its end is told: under which bounds it ran, and what of
//! the sandbox it may have met. Kept by the kernel; nothing here watches a build.

use floe_sandbox::{End, Resource, Rlimit};

/// Bounds on what one build may use; `None`: no bound but the machine's. They are no part of any
/// key, since a build that ends well has met none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory of each of a builder's processes.
    pub max_memory_bytes: Option<u64>,
    /// A builder's processes and threads at the same time.
    pub max_processes: Option<u32>,
    /// Bytes of each file that a builder writes.
    pub max_file_bytes: Option<u64>,
    /// Bytes of one file that is fetched.
    pub max_download_bytes: u64,
}

/// More than any source archive; an answer without an end meets it before the disk is full.
pub const MAX_DOWNLOAD_BYTES: u64 = 8 << 30;

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            max_memory_bytes: None,
            max_processes: None,
            max_file_bytes: None,
            max_download_bytes: MAX_DOWNLOAD_BYTES,
        }
    }
}

impl Bounds {
    /// The resource limits of each process of a builder.
    pub(super) fn rlimits(&self) -> Vec<Rlimit> {
        let memory = self.max_memory_bytes.map(|value| (Resource::Data, value));
        let file = self.max_file_bytes.map(|value| (Resource::FileSize, value));
        let limits = [memory, file].into_iter().flatten();
        limits.map(|(resource, value)| Rlimit { resource, value }).collect()
    }

    /// The bounds in force, in the words of the command line.
    fn in_force(&self) -> Vec<String> {
        let memory = self.max_memory_bytes.map(|bytes| format!("--max-memory {bytes}"));
        let processes = self.max_processes.map(|number| format!("--max-processes {number}"));
        let file = self.max_file_bytes.map(|bytes| format!("--max-file-size {bytes}"));
        [memory, processes, file].into_iter().flatten().collect()
    }

    /// How a builder that failed came to its end, with what its log lets suppose.
    pub(super) fn describe(&self, end: End, log_tail: &[Vec<u8>]) -> String {
        let mut text = describe(end);
        let own_fault = matches!(end, End::Exited(_) | End::Signaled(_));
        let in_force = self.in_force();
        if own_fault && !in_force.is_empty() {
            text += &format!(
                "; it ran under {}, so raise that if the build needs more",
                in_force.join(" and ")
            );
        }
        let refused = |line: &Vec<u8>| memchr::memmem::find(line, REFUSED).is_some();
        if own_fault && log_tail.iter().any(refused) {
            text += "; what its log calls \"Operation not permitted\" may be the sandbox, which lets \
                     nobody make set-user-id or set-group-id files, device nodes, mounts or \
                     namespaces: leave that out of the build";
        }
        text
    }
}

/// The C library's words for EPERM, the sandbox's answer to what it does not allow.
const REFUSED: &[u8] = b"Operation not permitted";

fn describe(end: End) -> String {
    match end {
        End::Exited(status) => format!("failed with exit code {status}"),
        // SIGKILL, which no builder can send to itself
        End::Signaled(9) => {
            "failed due to signal 9: it was killed from outside, perhaps for want of memory (try fewer --max-jobs)"
                .to_owned()
        }
        End::Signaled(signal) => format!("failed due to signal {signal}"),
        End::TimedOut(limit) => {
            format!("timed out after {} seconds (see --timeout) and was killed", limit.as_secs())
        }
        End::Silent(limit) => format!(
            "was silent for {} seconds (see --max-silent-time) and was killed",
            limit.as_secs()
        ),
        End::LogTooLong(bytes) => {
            format!("wrote more than {bytes} bytes of log (see --max-log-size) and was killed")
        }
        End::Killed => "was killed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_names_the_bounds_and_the_sandbox() {
        let bounds = Bounds { max_processes: Some(64), ..Bounds::default() };
        let said = |bounds: Bounds, end, line: &str| bounds.describe(end, &[line.into()]);
        assert_eq!(said(Bounds::default(), End::Exited(2), "no"), "failed with exit code 2");
        let limited = said(bounds, End::Exited(2), "can't fork");
        assert!(limited.contains("it ran under --max-processes 64, so"), "{limited}");
        let refused = said(Bounds::default(), End::Exited(1), "chmod: f: Operation not permitted");
        assert!(refused.contains("set-user-id") && refused.contains("leave that out"), "{refused}");
        assert!(!said(bounds, End::Killed, "Operation not permitted").contains("sandbox"));
    }
}
