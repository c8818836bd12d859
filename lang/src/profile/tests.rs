//! Profiles of small programs, under a clock that ticks once each time it is read.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use super::record::{BOUNDS, Bounds, Callee, Recorder};
use super::{Entry, Format, Profile};
use crate::os_host::OsHost;
use crate::source::{Loc, Sources};
use crate::{Evaluator, Settings};

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

/// Milliseconds that pass only here.
fn tick() -> u64 {
    TICKS.with(|ticks| {
        ticks.set(ticks.get() + 1_000_000);
        ticks.get()
    })
}

fn profile(text: &str, format: Format) -> Profile {
    let mut eval = Evaluator::new(Arc::new(OsHost::quiet()), Settings::default());
    eval.profile(tick, format);
    // failures have profiles, too
    let _ = eval.eval_expr(text, Path::new("/"));
    eval.take_profile().expect("a profile is recorded")
}

fn written(profile: &Profile, format: Format) -> String {
    let mut out = Vec::new();
    let notes = profile.write(format, &mut out).expect("memory takes everything");
    assert_eq!(notes, Vec::<String>::new());
    String::from_utf8(out).expect("UTF-8")
}

fn entry<'p>(profile: &'p Profile, name: &str) -> &'p Entry {
    let found = profile.functions().into_iter().find(|entry| entry.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn calls_are_counted_and_nested() {
    let text = "let f = n: if n == 0 then 0 else g (n - 1); g = n: 1 + f n; in f 3";
    let found = profile(text, Format::Folded);
    assert_eq!((entry(&found, "f").calls, entry(&found, "g").calls), (4, 3));
    // within itself, time counts once
    let all: u64 = found.functions().iter().map(|entry| entry.own_ns).sum();
    assert_eq!(all, found.total_ns());
    assert!(entry(&found, "f").total_ns <= found.total_ns());
    let stacks = written(&found, Format::Folded);
    let deepest = "(evaluation);f «string»:1:9;g «string»:1:49;f «string»:1:9;g «string»:1:49;f «string»:1:9;g «string»:1:49;f «string»:1:9 ";
    assert!(stacks.contains(deepest), "{stacks}");
    let sum: u64 =
        stacks.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(sum, found.total_ns());
}

#[test]
fn what_throws_leaves_the_stack() {
    let text = "let bad = x: throw \"no\"; good = x: x; in
        builtins.seq (builtins.tryEval (bad 1)) (builtins.seq (builtins.tryEval (bad 2)) (good 1))";
    let stacks = written(&profile(text, Format::Folded), Format::Folded);
    let of = |name: &str| stacks.lines().filter(|line| line.contains(name)).collect::<Vec<_>>();
    assert!(of("bad").iter().all(|line| line.contains("builtins.tryEval;bad")), "{stacks}");
    assert!(
        of("good").iter().all(|line| !line.contains("bad") && !line.contains("tryEval")),
        "{stacks}"
    );
    assert!(!of("good").is_empty() && !of("builtins.throw").is_empty(), "{stacks}");
    // one that nothing catches has a profile as well
    let uncaught = profile("let bad = x: throw \"no\"; in bad 1", Format::Folded);
    assert_eq!(entry(&uncaught, "bad").calls, 1);
}

#[test]
fn an_inner_function_has_the_name_of_the_outer_one() {
    let found = profile("let add = a: b: a + b; in add 1 2", Format::Folded);
    assert_eq!(entry(&found, "add").calls, 1);
    assert_eq!(entry(&found, "(reading)").calls, 1);
}

#[test]
fn a_trace_is_json_whose_calls_nest() {
    let text = "builtins.length (map (x: x) [ 1 2 ]) + (x: x) 1";
    let trace = written(&profile(text, Format::Chrome), Format::Chrome);
    let trace: serde_json::Value = serde_json::from_str(&trace).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let mut open: Vec<(f64, f64)> = Vec::new();
    let mut last = 0.0;
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let (ts, dur) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
        assert!(ts >= last, "in order: {event}");
        last = ts;
        open.retain(|(_, end)| *end > ts);
        assert!(open.iter().all(|(_, end)| ts + dur <= *end), "nested: {event}");
        open.push((ts, ts + dur));
    }
    let names: Vec<&str> = events.iter().filter_map(|event| event["name"].as_str()).collect();
    assert_eq!(
        names,
        ["process_name", "(reading)", "builtins.map", "builtins.length", "(anonymous)"]
    );
}

/// A recorder with small bounds.
fn recorder(bounds: Bounds) -> Recorder {
    Recorder::new(tick, true, bounds)
}

#[test]
fn bounds_cut_the_tree_and_keep_the_sums() {
    let mut small = recorder(Bounds { depth: 3, ..BOUNDS });
    for _ in 0..10 {
        small.enter(Callee::Prim("a"), Loc::NONE, None);
        small.enter(Callee::Prim("b"), Loc::NONE, None);
    }
    assert_eq!(small.nodes.len(), 4);
    assert!(small.cut);
    let profile = Profile::new(small, &Sources::default());
    assert_eq!(
        (entry(&profile, "builtins.a").calls, entry(&profile, "builtins.b").calls),
        (10, 10)
    );
    let mut out = Vec::new();
    let notes = profile.write(Format::Folded, &mut out).expect("memory takes everything");
    assert!(notes[0].contains("reached its bound"), "{notes:?}");
    assert_eq!(profile.files().iter().map(|(_, ns)| ns).sum::<u64>(), profile.total_ns());
}

#[test]
fn a_long_trace_keeps_the_longest_calls() {
    let mut small = recorder(Bounds { spans: 100, ..BOUNDS });
    for round in 0..1000 {
        small.enter(Callee::Prim("a"), Loc::NONE, None);
        for _ in 0..round % 10 {
            tick();
        }
        small.leave();
    }
    let profile = Profile::new(small, &Sources::default());
    assert!(profile.spans.len() <= 100 && !profile.spans.is_empty());
    assert!(profile.spans.iter().all(|span| span.wall_ns >= profile.shortest_ns));
    let mut out = Vec::new();
    let notes = profile.write(Format::Chrome, &mut out).expect("memory takes everything");
    assert!(notes[0].contains("of 1000 calls"), "{notes:?}");
}

#[test]
fn folded_stacks_stay_within_their_bytes() {
    let found = profile("let f = n: if n == 0 then 0 else f (n - 1); in f 500", Format::Folded);
    let mut out = Vec::new();
    let notes = found.write_folded(&mut out, 20_000).expect("memory takes everything");
    assert!(out.len() <= 20_000 && !out.is_empty(), "{} bytes", out.len());
    assert!(notes[0].contains("count as part of their callers"), "{notes:?}");
    let text = String::from_utf8(out).expect("UTF-8");
    let sum: u64 =
        text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(sum, found.total_ns());
}
