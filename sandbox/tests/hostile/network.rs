//! The networks that a build may have.

use std::fs;
use std::net::TcpListener;

use floe_sandbox::{Layer, Layers, Network, Policy, SandboxError};

use crate::world::World;

#[test]
fn the_network_is_out_of_reach() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let script = format!(
        "if nc -w 2 127.0.0.1 {port} </dev/null 2>/dev/null; then echo REACHED; fi; \
         nc -l -p 5000 -e cat & sleep 0.3; echo own | nc -w 2 127.0.0.1 5000"
    );
    let (_, log) = world.run(&world.script("a", &script));
    assert_eq!(log, "own\n");
}

#[test]
fn the_hosts_network_is_by_policy_only_and_recorded() {
    let world = World::new();
    let mut spec = world.script("a", ":");
    spec.network = Network::Host;
    assert!(matches!(world.try_run(&spec), Err(SandboxError::LayerMissing { .. })));
    let net = Layer::NetNamespace;
    spec = world.script("b", ":");
    spec.network = Network::Host;
    spec.policy = Policy::strict().allow_missing(net);
    let (outcome, _) = world.run(&spec);
    assert_eq!(outcome.layers, Layers::all().without(net));
}

#[test]
fn a_user_mode_network_leads_out_but_not_to_the_hosts_loopback() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let script = format!(
        "route -n | grep -c '^0.0.0.0'; cat /etc/nsswitch.conf; \
         for host in 127.0.0.1 10.0.2.2; do \
           if nc -w 2 $host {port} </dev/null >/dev/null 2>&1; then echo REACHED $host; fi; done"
    );
    let mut spec = world.script("a", &script);
    spec.network = Network::UserMode;
    let tun = fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    if let Err(error) = tun {
        // Not possible for this user on this host: that must be said, and nothing started.
        let text = world.try_run(&spec).expect_err("no network").to_string();
        assert!(text.contains("/dev/net/tun"), "{error}: {text}");
        return;
    }
    let (outcome, log) = world.run(&spec);
    assert!(outcome.end.is_success(), "{outcome:?}\n{log}");
    assert_eq!(outcome.layers, Layers::all());
    assert_eq!(log, "1\nhosts: files dns\nservices: files\n");
}
