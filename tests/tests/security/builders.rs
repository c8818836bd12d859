//! Attacks by builders: on each other, on the host, and on floe as it takes in what they left.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use floe_tests::process::run;
use floe_tests::scene::{fails_saying, no_process_remains, says};

use crate::place::{Canary, Place};

/// The descriptor of an output sent through an abstract socket, by builds of every kind.
#[test]
fn cve_2024_27297_and_cve_2025_46416_no_socket_is_shared() {
    // SHA-256 of "honest\n" and of nothing
    let honest = "outputHash = builtins.hashString \"sha256\" \"honest\\n\";";
    let empty = "outputHash = builtins.hashString \"sha256\" \"\";";
    let tun = fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok();
    let mut kinds = vec![("", "")];
    if tun {
        kinds.extend([(honest, empty), (honest, ""), ("", empty)]);
    }
    for (giver, taker) in kinds {
        let flat = |hash: &str| if hash.is_empty() { "" } else { "flat // " }.to_owned();
        let place = Place::with(&format!(
            "giver = ca' ({}{{ inherit attack; {giver} }}) \"giver\" \"$attack give floe-test $out\";\n\
             taker = ca' ({}{{ inherit attack; {taker} }}) \"taker\" \"$attack take floe-test; : > $out\";",
            flat(giver),
            flat(taker)
        ));
        let outcome = place.build(&["giver", "taker", "-j", "2", "-L"]);
        assert!(outcome.success(), "{}", outcome.describe());
        says(&outcome, &["giver> nobody came"]);
        says(&outcome, &["taker> nobody there"]);
        assert!(!outcome.stderr.contains("REACHED"), "{}", outcome.describe());
        place.is_clean();
    }
}

#[test]
fn cve_2024_27297_no_descriptor_outlives_its_build() {
    let marker = format!("marker-{}", std::process::id());
    let place = Place::script(&format!(
        "mkdir $out; $attack linger $out/file {marker}; ln $out/file $out/other; \
         if ln $out/file /build/other 2>/dev/null; then exit 7; fi"
    ));
    let made = place.made(&["x"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(fs::read_to_string(made.join("file")).expect("the file"), "honest\n");
    no_process_remains(&marker);
    place.is_clean();
}

#[test]
fn the_hosts_devices_and_programs_keep_their_modes_and_times() {
    let place = Place::script("$attack host; : > $out");
    let outcome = place.build(&["x", "-L"]);
    says(&outcome, &["devices work"]);
    assert!(!outcome.stderr.contains("CHANGED"), "{}", outcome.describe());
}

#[test]
fn cve_2024_38531_build_directories_are_private_while_a_build_runs() {
    let marker = &format!("86396.1{}", std::process::id());
    let place = Place::script(&format!(
        "mkdir $out; chmod 777 /build /nix/store $out; umask 0; mkdir /build/open; exec $bb sleep {marker}"
    ));
    let mut child = place.start_until(&["x"], marker);
    let builds = place.world.root().join("builds");
    let meta = fs::metadata(&builds).expect("the directory of builds");
    let found = place.below("builds");
    let as_other = other_user_lists(&builds);
    child.kill().expect("to kill floe");
    child.wait().expect("its end");
    assert_eq!(meta.permissions().mode() & 0o7777, 0o700);
    assert_eq!(meta.uid(), rustix::process::getuid().as_raw());
    assert!(found.iter().any(|(path, _)| path.ends_with("build/open")), "{found:?}");
    // The builder may open up what is its own; the two levels above are closed.
    let own = found.iter().filter(|(path, _)| path.parent() == Some(&builds));
    assert!(own.clone().count() == 1 && own.clone().all(|(_, mode)| *mode == 0o700), "{found:?}");
    assert!(!as_other, "another user could list {builds:?}");
    no_process_remains(marker);
    // The next owner cleans up.
    assert!(place.world.floe(["store", "gc"]).success());
    place.is_clean();
}

/// Whether another user can look into a directory; `false` where we cannot become another user.
fn other_user_lists(dir: &std::path::Path) -> bool {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65533", "--regid=65533", "--clear-groups", "ls"]).arg(dir);
    rustix::process::getuid().is_root() && run(&mut command).expect("setpriv").success()
}

#[test]
fn cve_2025_52992_a_failed_build_leaves_nothing_reachable() {
    let place = Place::with(
        "x = ca \"x\" ''mkdir $out; echo x > $out/file; umask 0; mkdir -m 777 /build/open; echo x > /build/open/file; \
         chmod 777 /build /nix/store $out; chmod 666 $out/file; exit 1'';\n\
         y = ca \"y\" \": > $out\";",
    );
    fails_saying(&place.build(&["x"]), &["exit code 1"]);
    place.is_clean();
    let out = fs::read_dir(place.world.root().join("store")).expect("the store").flatten();
    assert!(!out.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with("-x")));

    let kept = place.build(&["x", "--keep-failed"]);
    let line = kept.stderr.lines().find(|line| line.contains("keeping")).expect("where it is kept");
    let dir = std::path::PathBuf::from(line.rsplit(' ').next().expect("a path"));
    // Other commands clean up after dead ones; what was kept on purpose stays.
    place.made(&["y"]);
    let file = dir.join("build/open/file");
    assert_eq!(fs::read_to_string(&file).expect("the file of the failed build"), "x\n");
    let closed = |path: &std::path::Path| {
        fs::metadata(path).expect("a directory").permissions().mode() & 0o7777 == 0o700
    };
    assert!(closed(&dir) && closed(dir.parent().expect("a parent")), "{dir:?}");
    assert!(!other_user_lists(&dir));
}

#[test]
fn nothing_is_writable_by_others_whatever_the_umask() {
    let place = Place::with(
        "x = ca \"x\" \"mkdir -p $out/d; echo x > $out/d/f; chmod -R 777 $out\";\n\
         y = ca \"y\" \"echo y > $out; exit 1\";",
    );
    for args in [["x", "--out-link", "link"], ["y", "--keep-failed", "-L"]] {
        let mut inner = place.world.command("floe");
        inner.args(["build", "-f", "case.nix"]).args(args);
        let outcome = place.within("umask 0", &inner);
        assert!(!outcome.stderr.contains("cannot"), "{}", outcome.describe());
    }
    let open: Vec<_> = place
        .below("")
        .into_iter()
        .filter(|(path, mode)| mode & 0o022 != 0 && !path.to_string_lossy().contains("/kept/"))
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

/// Links at every place where floe opens, creates, renames, or changes modes and times.
#[test]
fn cve_2026_39860_and_cve_2025_52993_planted_links_are_content() {
    let place = Place::with("");
    let canary = Canary::new(&place.world);
    let at = canary.dir.display().to_string();
    let inside = format!(
        "mkdir -p $out/sub; ln -s {at} $out/dir; ln -s {at}/file $out/file; ln -s {at} $out/sub/.floe-deep-1; \
         for n in 0 1 2 3; do ln -s {at}/new $out/.floe-tmp-$n; ln -s {at}/file $out/sub/.floe-tmp-$n; done; \
         echo $out > $out/self; echo $out > $out/sub/self; echo twice > $out/sub/a; ln $out/sub/a $out/sub/b; \
         ln -s $out $out/to-self; chmod 0 $out/sub/a; chmod 0 $out/sub"
    );
    place.set(&format!(
            "itself = ca \"itself\" \"ln -s {at} $out\";\n\
             inside = ca \"inside\" \"{inside}\";\n\
             again = ca \"again\" \"{inside}; exit 1\";\n\
             fixed = ca' (flat // {{ outputHash = builtins.hashString \"sha256\" \"alive\\n\"; }}) \"fixed\" \"ln -s {at}/file $out\";\n\
             tree = ca' (flat // {{ outputHashMode = \"recursive\"; outputHash = builtins.hashString \"sha256\" \"\"; }}) \"tree\" \"{inside}\";\n\
             two = ca' {{ outputs = [ \"out\" \"dev\" ]; }} \"two\" \"ln -s {at} $out; ln -s $out $dev\";\n"
    ));

    let itself = place.made(&["itself"]);
    assert_eq!(fs::read_link(itself).expect("a link"), canary.dir);
    let inside = place.made(&["inside"]);
    assert_eq!(fs::read_link(inside.join(".floe-tmp-3")).expect("a link"), canary.dir.join("new"));
    assert_eq!(fs::read_to_string(inside.join("sub/b")).expect("a file"), "twice\n");
    canary.is_alive();
    fails_saying(&place.build(&["again"]), &["exit code 1"]);
    if fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok() {
        fails_saying(&place.build(&["fixed"]), &["regular file"]);
        fails_saying(&place.build(&["tree"]), &["must not refer", "mismatch"]);
    }
    place.made(&["two"]);
    canary.is_alive();
    place.is_clean();
    // Collection deletes it all, and follows nothing.
    let gc = place.world.floe(["store", "gc"]);
    assert!(gc.success(), "{}", gc.describe());
    canary.is_alive();
}

#[test]
fn names_of_any_bytes_are_kept_and_cannot_steer_a_terminal() {
    let names = "long=$(printf '%0255d' 0); nl=$(printf 'a\\nb'); bad=$(printf '\\377\\376'); esc=$(printf '\\033]0;title\\007')";
    let place = Place::with(&format!(
        "good = ca \"good\" ''{names}; mkdir $out; for n in $long \"$nl\" \"$bad\" ... ..x -rf '*' ' ' \"$esc\"; do echo x > \"$out/$n\"; done'';\n\
         bad = ca \"bad\" ''{names}; mkdir $out; mkfifo \"$out/$esc\"'';"
    ));
    let made = place.made(&["good"]);
    let mut found: Vec<_> =
        fs::read_dir(&made).expect("a directory").flatten().map(|e| e.file_name()).collect();
    found.sort();
    assert_eq!(found.len(), 9, "{found:?}");
    assert!(found.iter().any(|name| name.as_bytes() == b"\xff\xfe"), "{found:?}");
    place.is_clean();
    let command = &mut place.command(&["bad"]);
    let raw = command.output().expect("floe to start");
    assert!(!raw.status.success());
    assert!(!raw.stderr.contains(&7), "{:?}", String::from_utf8_lossy(&raw.stderr));
    place.is_clean();
}

#[test]
fn cve_2026_44028_deep_trees_are_refused_and_removed() {
    let place = Place::with(
        "out = ca' { inherit attack; } \"out\" \"mkdir $out; $attack deep $out 3000\";\n\
         beside = ca' { inherit attack; } \"beside\" \"mkdir b; $attack deep b 3000; : > $out\";",
    );
    fails_saying(&place.build(&["out"]), &["deep", "nest"]);
    place.is_clean();
    place.made(&["beside"]);
    place.is_clean();
}

#[test]
fn sockets_are_no_output() {
    let place = Place::script("mkdir $out; $attack socket $out");
    fails_saying(&place.build(&["x"]), &["socket"]);
    place.is_clean();
}

#[test]
fn a_builder_cannot_lock_floe_out_of_its_own_directories() {
    let place = Place::with(
        "good = ca \"good\" \"mkdir -p $out/a/b /build/c/d; echo x > $out/a/b/f; \
            chmod 0 $out/a/b/f $out/a/b $out/a $out /build/c/d /build/c /build /nix/store\";\n\
         bad = ca \"bad\" \"mkdir -p $out/a; chmod 0 $out/a $out /build /nix/store; exit 1\";",
    );
    let made = place.made(&["good"]);
    assert_eq!(fs::read_to_string(made.join("a/b/f")).expect("the file"), "x\n");
    fails_saying(&place.build(&["bad"]), &["exit code 1"]);
    place.is_clean();
}

#[test]
fn only_declared_outputs_come_into_the_store() {
    let place = Place::script(
        "echo x > $out; other=/nix/store/00000000000000000000000000000000-other; echo evil > $other; \
         ln -s $other /nix/store/00000000000000000000000000000001-link; \
         for p in /nix/store/*; do rm -rf $p 2>/dev/null || mv $p /build 2>/dev/null || :; done; \
         test -x $bb; umount $attack 2>/dev/null && exit 9; \
         ln $attack /nix/store/linked 2>/dev/null && exit 8; echo made > $out",
    );
    let made = place.made(&["x"]);
    assert_eq!(fs::read_to_string(made).expect("the output"), "made\n");
    let entries = fs::read_dir(place.world.root().join("store")).expect("the store").flatten();
    let names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|n| n.ends_with("other") || n.ends_with("link")), "{names:?}");
    place.is_clean();
}

#[test]
fn hard_links_between_outputs_are_cut() {
    let place = Place::with(
        "x = ca' { outputs = [ \"out\" \"dev\" ]; } \"x\" ''\n\
         echo shared $out > $out; ln $out $dev; cat $dev > /dev/null\n'';",
    );
    let outcome = place.build(&["x"]);
    assert!(outcome.success(), "{}", outcome.describe());
    // Every name of the files is one of the store's own.
    let count = |inode| {
        let own = place.below("store").into_iter().chain(place.below("links"));
        own.filter(|(path, _)| fs::metadata(path).expect("a file").ino() == inode).count()
    };
    for path in outcome.lines() {
        let meta = fs::metadata(place.world.physical(path)).expect("an output");
        assert_eq!(meta.nlink() as usize, count(meta.ino()), "{path}");
    }
    place.is_clean();
}

#[test]
fn a_flood_of_lines_does_not_fill_the_memory() {
    let place = Place::with("x = ca \"x\" \"$bb yes \\\"\\\" | $bb head -c 3000000; : > $out\";");
    let mut child = place.start(&["x"]);
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kb = 0;
    let end = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        peak_kb = peak_kb.max(peak.unwrap_or_default());
        if let Some(end) = child.try_wait().expect("its state") {
            break end;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(end.success(), "{end}");
    // Kept in memory until somebody shows them, these lines would take some hundred megabytes.
    assert!((1..100_000).contains(&peak_kb), "{peak_kb} kB");
}

#[test]
fn cve_2024_47174_a_certificate_of_nobodys_is_refused() {
    let place = Place::with("");
    let dir = place.world.work();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(&dir)
        .stderr(Stdio::null())
        .status()
        .expect("openssl is needed for a certificate: apt install openssl");
    assert!(made.success());
    // A free port, given back before the server takes it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let port = port.expect("a port").port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-WWW", "-key", "key.pem", "-cert", "cert.pem"])
        .args(["-accept", &port.to_string()])
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    place.world.file("file", "content\n");
    place.set(&format!(
        "x = derivation {{ name = \"file\"; system = \"builtin\"; builder = \"builtin:fetchurl\"; \
         url = \"https://127.0.0.1:{port}/file\"; outputHashMode = \"flat\"; outputHashAlgo = \"sha256\"; \
         outputHash = builtins.hashString \"sha256\" \"content\\n\"; }};"
    ));
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.try_wait().expect("its state").is_none(), "the server ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = place.build(&["x"]);
    // The same server is believed when the user's settings vouch for it: it was the certificate.
    let mut trusting = place.command(&["x"]);
    let trusted = run(trusting.env("CURL_CA_BUNDLE", dir.join("cert.pem"))).expect("floe to start");
    server.kill().expect("to end the server");
    server.wait().expect("its end");
    fails_saying(&refused, &["certificate"]);
    assert!(trusted.success(), "{}", trusted.describe());
    place.is_clean();
}
