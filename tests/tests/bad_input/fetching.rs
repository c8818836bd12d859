//! Downloads that never end, from a server on the loopback device.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use floe_tests::process::interrupt;
use floe_tests::scene::{Scene, fails_with, no_process_remains, says};

/// A server that sends this head to whoever asks, and then bytes without end, a piece each `pause`.
fn endless(head: &'static str, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // an error is the client's leaving
            let _ = serve(client, head, pause);
        }
    });
    format!("http://{address}/endless-{}", std::process::id())
}

fn serve(mut client: TcpStream, head: &str, pause: Duration) -> std::io::Result<()> {
    let mut request = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read(&mut request)? == 0 {
            return Ok(());
        }
    }
    client.write_all(head.as_bytes())?;
    loop {
        client.write_all(&[b'x'; 65_536])?;
        std::thread::sleep(pause);
    }
}

/// A case whose attribute `bad` fetches this.
fn fetching(url: &str) -> Scene {
    Scene::with_text(&format!(
        "{{ bad = derivation {{ name = \"bad\"; system = \"builtin\"; builder = \"builtin:fetchurl\"; url = \"{url}\"; \
         outputHashMode = \"flat\"; outputHashAlgo = \"sha256\"; \
         outputHash = builtins.hashString \"sha256\" \"x\"; }}; }}\n"
    ))
}

#[test]
fn a_download_without_an_end_is_ended() {
    let url = endless("HTTP/1.1 200 OK\r\n\r\n", Duration::ZERO);
    let scene = fetching(&url);
    let outcome = scene.build("bad", &["--max-download-size", "3000000"]);
    fails_with(&outcome, 100, &["is larger than 3000000 bytes, the most that is fetched"]);
    says(&outcome, &["fetching 'bad' failed"]);
    says(&outcome, &[&url]);
    says(&outcome, &["allow more with --max-download-size"]);
    no_process_remains(&url);
    scene.store_is_sound();
}

#[test]
fn a_download_that_announces_too_much_is_not_begun() {
    let url = endless("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n", Duration::ZERO);
    let scene = fetching(&url);
    // without the flag: the bound that everybody has
    let outcome = scene.build("bad", &[]);
    fails_with(&outcome, 100, &["is larger than 8589934592 bytes"]);
    no_process_remains(&url);
    scene.store_is_sound();
}

#[test]
fn a_download_ends_when_floe_is_interrupted() {
    let url = endless("HTTP/1.1 200 OK\r\n\r\n", Duration::from_millis(200));
    let scene = fetching(&url);
    let mut child = scene.start("bad", &[]);
    scene.wait_for(&url);
    let started = Instant::now();
    interrupt(&child);
    let status = child.wait().expect("floe to end");
    assert_eq!(status.code(), Some(130), "the exit code of an interrupted build");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    no_process_remains(&url);
    scene.store_is_sound();
}
