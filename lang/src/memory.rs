//! How much memory there is for values: what the machine has, or what the control group may use, less a part for the rest
//! of the process. Reads the system's files about itself and no others.

use std::fs;

/// Bytes of memory that the values of one evaluation may take, so that an endless one ends in words before the system
/// ends it. Without a limit where the system does not say.
pub fn for_values() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    let limits = fs::read_to_string("/proc/self/limits").ok();
    let process = limits.and_then(|text| address_space(&text));
    let process = process.map(|bytes| bytes.saturating_sub(AROUND_BYTES).max(LEAST_BYTES));
    let bytes = machine.into_iter().chain(group).chain(process).min();
    bytes.map_or(u64::MAX, |bytes: u64| bytes / 8 * 7)
}

/// What a process with a limit on its address space needs besides values: the stack, and the longest text in the making.
const AROUND_BYTES: u64 = 3 << 30;
/// So much is tried under the tightest limit.
const LEAST_BYTES: u64 = 256 << 20;

/// The limit that `ulimit -v` sets, in bytes.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What `MemTotal` says, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let text = "MemTotal:        8000 kB\nMemFree:          100 kB\n";
        assert_eq!(total(text), Some(8_192_000));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        let limits =
            "Max processes  1  2  processes\nMax address space    6442450944    unlimited  bytes\n";
        assert_eq!(address_space(limits), Some(6 << 30));
        assert_eq!(address_space("Max address space  unlimited  unlimited  bytes\n"), None);
        assert!(for_values() > 64 << 20);
    }
}
