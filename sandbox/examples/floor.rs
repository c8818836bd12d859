//! The least a build costs: milliseconds for a builder that does nothing, alone and several at a
//! time, from a small and from a large parent. Needs a static busybox.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use floe_sandbox::{Input, RootFs, Spawner, Spec};

const BUILDS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let objects = place.path().join("objects");
    for number in 0..500 {
        fs::create_dir_all(objects.join(format!("{number:032}-object")))?;
    }
    let spawner = Spawner::new()?;
    println!("memory inputs at_once builds ms_per_build latency_ms");
    for gib in [0, 1] {
        let ballast = vec![1u8; gib << 30];
        for inputs in [0, 5, 50, 500] {
            for at_once in [1, 8] {
                let (each, latency) = measure(&spawner, place.path(), &objects, inputs, at_once)?;
                println!("{gib}GiB {inputs} {at_once} {BUILDS} {each:.2} {latency:.2}");
            }
        }
        assert_eq!(ballast.len(), gib << 30);
    }
    Ok(())
}

/// Wall milliseconds per build, and from asking for one to its end.
fn measure(
    spawner: &Spawner,
    place: &Path,
    objects: &Path,
    inputs: usize,
    at_once: usize,
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let specs: Vec<Spec> = (0..BUILDS)
        .map(|build| {
            let dir = place.join(format!("{inputs}-{at_once}-{build}"));
            spec(&dir, objects, inputs)
        })
        .collect::<Result<_, _>>()?;
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let latency = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| {
                    let mut sum = 0.0;
                    while let Some(spec) = specs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let asked = Instant::now();
                        let outcome = spawner
                            .spawn(spec)
                            .and_then(|running| running.wait(&mut |_| {}))
                            .expect("the build runs");
                        assert!(outcome.end.is_success(), "{outcome:?}");
                        sum += asked.elapsed().as_secs_f64();
                    }
                    sum
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("the worker ends"))
            .sum::<f64>()
    });
    let wall = begun.elapsed().as_secs_f64();
    for build in 0..BUILDS {
        fs::remove_dir_all(place.join(format!("{inputs}-{at_once}-{build}")))?;
    }
    let ms = 1000.0 / BUILDS as f64;
    Ok((wall * ms, latency * ms))
}

fn spec(dir: &Path, objects: &Path, inputs: usize) -> std::io::Result<Spec> {
    let (store, build) = (dir.join("store"), dir.join("build"));
    fs::create_dir_all(&store)?;
    fs::create_dir_all(&build)?;
    let sh = PathBuf::from("/bin/busybox");
    let mut spec = Spec::new(RootFs::Bare { sh }, store, build, "/bin/sh");
    spec.args = vec![b"-c".to_vec(), b":".to_vec()];
    spec.inputs = (0..inputs)
        .map(|number| {
            let name = format!("{number:032}-object");
            Input {
                host: objects.join(&name),
                name,
            }
        })
        .collect();
    Ok(spec)
}
