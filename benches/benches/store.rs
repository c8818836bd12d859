//! The store's hot paths: bringing an output in (canonicalise, hash twice, scan for references,
//! rewrite, move) and registering what was brought in.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use floe_benches::{empty_object, fill};
use floe_core::ca::Method;
use floe_core::hash::{Digest, HashAlgo};
use floe_core::path::{OutputName, StorePath};
use floe_store::object::stage::{Address, Scratch};
use floe_store::{Batch, Open, Store};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&dir.path().join("root"), Open::READ_WRITE).expect("opens");
    (dir, store)
}

fn path(name: &str) -> StorePath {
    let digest = Digest::of(name.as_bytes()).0;
    StorePath::new(digest.first_chunk().expect("32 bytes hold 20"), name).expect("a valid name")
}

fn stage(criterion: &mut Criterion) {
    let (dir, store) = store();
    let scratch = dir.path().join("root/builds");
    let out = path("big");
    let candidates: BTreeSet<StorePath> = (0..50).map(|n| path(&format!("input-{n}"))).collect();
    let mut group = criterion.benchmark_group("stage");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (label, files, size) in [
        ("one file of 64 bytes", 1, 64),
        ("400 files of 4 kB", 400, 4096),
        ("8 files of 4 MB", 8, 4 << 20),
    ] {
        group.throughput(Throughput::Bytes((files * size) as u64));
        let place = scratch.join(out.base_name());
        group.bench_function(label, |bench| {
            bench.iter_batched(
                || {
                    // What an earlier round staged was never registered: it may be replaced.
                    std::fs::create_dir_all(&place).expect("ours");
                    fill(&place, files, size).expect("ours");
                },
                |()| {
                    let handle = std::fs::File::open(&scratch).expect("ours");
                    let address = Address::Floating(Method::Nar, HashAlgo::Sha256);
                    let output = OutputName::out();
                    let scratch = Scratch {
                        output: &output,
                        address: &address,
                        path: &out,
                        dir: handle.as_fd(),
                        file_name: OsStr::new(out.base_name()),
                    };
                    store.stage_outputs("big", None, &[scratch], &candidates).expect("stages")
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn register(criterion: &mut Criterion) {
    let (_dir, store) = store();
    let next = Cell::new(0);
    let objects = |count: usize| {
        let numbers = std::iter::repeat_with(|| next.replace(next.get() + 1));
        let objects = numbers.take(count).map(|number| empty_object(&store, number)).collect();
        Batch { objects, ..Batch::default() }
    };
    let mut group = criterion.benchmark_group("register");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for count in [1, 100] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} in a batch"), |bench| {
            bench.iter_batched(
                || objects(count),
                |batch| store.register(&batch).expect("registers"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, stage, register);
criterion_main!(benches);
