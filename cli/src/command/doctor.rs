//! `floe doctor`: what this host gives a sandbox, and how to get the rest.

use std::process::Command;

use anyhow::Result;
use floe_engine::local::find_shell;
use floe_sandbox::{FULL_KERNEL, FULL_LANDLOCK_ABI, LEAST_KERNEL, probe};
use serde_json::json;

use crate::args::Doctor;
use crate::fault::{Ended, status};

/// Prints every layer; fails when a build would be refused.
pub fn doctor(args: &Doctor) -> Result<()> {
    let layers = probe();
    let shell = find_shell();
    let network = ["slirp4netns", "pasta"].into_iter().find(|tool| runs(tool));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if args.json {
        let list: Vec<_> = layers
            .iter()
            .map(|status| {
                json!({ "layer": status.layer.name(), "available": status.available,
                        "detail": status.detail, "mend": status.mend })
            })
            .collect();
        println!(
            "{}",
            json!({ "kernel": kernel.trim(), "layers": list,
                    "shell": shell.as_ref().map(|path| path.display().to_string()),
                    "user_mode_network": network })
        );
    } else {
        println!(
            "kernel {} (least {LEAST_KERNEL}; every layer from {FULL_KERNEL}, landlock ABI {FULL_LANDLOCK_ABI})",
            kernel.trim()
        );
        for status in &layers {
            let mark = if status.available { "ok     " } else { "missing" };
            println!("{mark} {:17} {}", status.layer.name(), status.detail);
            if let Some(mend) = status.mend.filter(|_| !status.available) {
                println!("        {mend}");
                println!("        or build without it: --allow-missing-layer {}", status.layer);
            }
        }
        match &shell {
            Some(path) => println!("ok      static shell      {}", path.display()),
            None => println!(
                "missing static shell      derivations without a root of their own need one at /bin/sh\n        \
                 install it (apt-get install busybox-static) or name one in FLOE_SANDBOX_SHELL"
            ),
        }
        match network {
            Some(tool) => println!("ok      user-mode network {tool}"),
            None => println!(
                "missing user-mode network fixed-output builders need it (fetchers do not)\n        \
                 install it (apt-get install slirp4netns), or give them the host's with --host-network"
            ),
        }
    }
    if layers.iter().all(|status| status.available) && shell.is_some() {
        return Ok(());
    }
    Err(Ended(status::ERROR).into())
}

fn runs(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}
