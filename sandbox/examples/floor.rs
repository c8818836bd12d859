//! The least a build costs: milliseconds for a builder that does nothing, alone and several at a
//! time, from a small and from a large parent. Needs a static busybox.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use floe_sandbox::{Input, RootFs, Spawner, Spec};

/// Builds times inputs is about this.
const BINDS: usize = 5000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let objects = place.path().join("objects");
    for number in 0..500 {
        fs::create_dir_all(objects.join(format!("{number:032}-object")))?;
    }
    let spawner = Spawner::new()?;
    println!("memory inputs at_once builds wall_ms latency_ms cpu_ms (per build)");
    for gib in [0, 1] {
        let ballast = vec![1u8; gib << 30];
        for inputs in [5, 50, 500] {
            for at_once in [1, 8] {
                let builds = (BINDS / inputs).clamp(20, 200);
                let specs: Vec<Spec> = (0..builds)
                    .map(|build| spec(&place.path().join(build.to_string()), &objects, inputs))
                    .collect::<Result<_, _>>()?;
                let [wall, latency, cpu] = measure(&spawner, &specs, at_once);
                println!("{gib}GiB {inputs} {at_once} {builds} {wall:.2} {latency:.2} {cpu:.2}");
                for build in 0..builds {
                    fs::remove_dir_all(place.path().join(build.to_string()))?;
                }
            }
        }
        assert_eq!(ballast.len(), gib << 30);
    }
    Ok(())
}

/// Milliseconds per build: wall, from asking for one to its end, and CPU time of its processes.
fn measure(spawner: &Spawner, specs: &[Spec], at_once: usize) -> [f64; 3] {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut latency, mut cpu) = (0.0, 0.0);
        while let Some(spec) = specs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let asked = Instant::now();
            let outcome = spawner
                .spawn(spec)
                .and_then(|running| running.wait(&mut |_| {}))
                .expect("the build runs");
            assert!(outcome.end.is_success(), "{outcome:?}");
            latency += asked.elapsed().as_secs_f64();
            cpu += (outcome.cpu_user + outcome.cpu_system).as_secs_f64();
        }
        [latency, cpu]
    };
    let begun = Instant::now();
    let sums: Vec<[f64; 2]> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("the worker ends")).collect()
    });
    let wall = begun.elapsed().as_secs_f64();
    let sum = |index: usize| sums.iter().map(|sum| sum[index]).sum::<f64>();
    [wall, sum(0), sum(1)].map(|seconds| 1000.0 * seconds / specs.len() as f64)
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
            Input { host: objects.join(&name), name }
        })
        .collect();
    Ok(spec)
}
