//! What a reader must know of the machine that figures come from. No name of it, no path.

use std::fs;

/// Facts by name: processor, cores, memory, kernel, distribution.
pub fn facts() -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push((name.to_owned(), value));
        }
    };
    add("processor", field("/proc/cpuinfo", "model name"));
    add("cores", std::thread::available_parallelism().ok().map(|cores| cores.to_string()));
    add("memory", field("/proc/meminfo", "MemTotal").and_then(|text| gib(&text)));
    add(
        "kernel",
        fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned()),
    );
    add("system", os_release());
    facts
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn gib(kb: &str) -> Option<String> {
    let kb: f64 = kb.split_whitespace().next()?.parse().ok()?;
    Some(format!("{:.0} GiB", kb / 1024.0 / 1024.0))
}

fn os_release() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}
