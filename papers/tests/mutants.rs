//! The mutation check: deliberate mistakes in rebuilders and schedulers, each caught by the law named beside it. The
//! mistakes are variants put together here, so the parts themselves stay as they are.

use std::collections::{BTreeSet, VecDeque};

use floe_papers::laws::law;
use floe_papers::log::Event;
use floe_papers::rebuilder::{
    Approximate, Constructive, Deep, Dependencies, DirtyBit, Grain, Job, Known, ModTime, Need,
    Observed, Ran, Rebuilder, Retargeting, Start, StepTraces, Verdict, Verifying, choose,
};
use floe_papers::scheduler::crew::{self, Crew, Foreman};
use floe_papers::scheduler::{Forward, Pace, Queue, Refused, Scheduler, Suspending, Topological};
use floe_papers::site::Site;
use floe_papers::store::Naming;
use floe_papers::system::{System, View};
use floe_papers::task::{Blocked, Look, Looked, Mentions, Part, Task, Tasks, World};
use floe_papers::trace::{Memory, Trace, Traces};
use floe_papers::value::{Key, Value};

const TRACKED: View = View { self_tracking: true, outputs_apart: false };
const PLAIN: View = View { self_tracking: false, outputs_apart: false };

/// A rebuilder with a mistake in one of its parts.
struct Mistaken {
    inner: Box<dyn Rebuilder>,
    begin: fn(&mut dyn Rebuilder, &Start<'_>),
    judge: fn(&dyn Rebuilder, &Job<'_>, &Known<'_>) -> Result<Verdict, Need>,
    record: fn(&mut dyn Rebuilder, &Job<'_>, Ran, &Known<'_>),
    settles: bool,
    shares: bool,
}

fn mistaken(inner: impl Rebuilder + 'static) -> Mistaken {
    Mistaken {
        inner: Box::new(inner),
        begin: |inner, start| inner.begin(start),
        judge: |inner, job, known| inner.judge(job, known),
        record: |inner, job, ran, known| inner.record(job, &ran, known),
        settles: true,
        shares: true,
    }
}

impl Rebuilder for Mistaken {
    fn begin(&mut self, start: &Start<'_>) {
        (self.begin)(self.inner.as_mut(), start);
    }

    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        (self.judge)(self.inner.as_ref(), job, known)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, known: &Known<'_>) {
        (self.record)(self.inner.as_mut(), job, ran.clone(), known);
    }

    fn settled(&mut self, job: &Job<'_>, known: &Known<'_>) {
        if self.settles {
            self.inner.settled(job, known);
        }
    }

    fn naming(&self) -> Naming {
        self.inner.naming()
    }

    fn is_shallow(&self) -> bool {
        self.inner.is_shallow()
    }

    fn traces(&mut self) -> Option<&mut Traces> {
        self.inner.traces().filter(|_| self.shares)
    }
}

/// Record after changing what ran.
fn forging(
    inner: impl Rebuilder + 'static,
    record: fn(&mut dyn Rebuilder, &Job<'_>, Ran, &Known<'_>),
) -> Mistaken {
    Mistaken { record, ..mistaken(inner) }
}

fn misjudging(
    inner: impl Rebuilder + 'static,
    judge: fn(&dyn Rebuilder, &Job<'_>, &Known<'_>) -> Result<Verdict, Need>,
) -> Mistaken {
    Mistaken { judge, ..mistaken(inner) }
}

fn beginning(
    inner: impl Rebuilder + 'static,
    begin: fn(&mut dyn Rebuilder, &Start<'_>),
) -> Mistaken {
    Mistaken { begin, ..mistaken(inner) }
}

fn constructive() -> Constructive {
    Constructive::new(Memory::All, Naming::Place)
}

/// A task that claims to mention all that it looks at.
struct Complete<'a>(&'a dyn Task);

impl Task for Complete<'_> {
    fn mentions(&self) -> Mentions {
        Mentions { complete: true, ..self.0.mentions() }
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        self.0.run(world)
    }

    fn is_command(&self) -> bool {
        self.0.is_command()
    }
}

/// Tasks none of which mentions anything.
struct Silent<'a>(&'a dyn Tasks);

struct Mute<'a>(Box<dyn Task + 'a>);

impl Tasks for Silent<'_> {
    fn task(&self, key: Key) -> Option<Box<dyn Task + '_>> {
        Some(Box::new(Mute(self.0.task(key)?)))
    }
}

impl Task for Mute<'_> {
    fn mentions(&self) -> Mentions {
        Mentions { looks: Vec::new(), complete: true, certain: 0 }
    }

    fn run(&self, world: &mut dyn World) -> Result<Value, Blocked> {
        self.0.run(world)
    }

    fn is_command(&self) -> bool {
        self.0.is_command()
    }
}

fn saw(looked: &Looked, part: &Part) -> bool {
    looked.normal == Looked::new(looked.key, looked.look, looked.entry, part).normal
}

/// A scheduler given as a function.
struct Mischeduled(fn(&mut Site<'_>, &[Key]) -> Result<(), Refused>);

impl Scheduler for Mischeduled {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        (self.0)(site, targets)
    }
}

fn whatever(site: &mut Site<'_>, key: Key) -> Result<(), Refused> {
    site.bring(key, &mut |_, _| Ok(())).map_err(|Blocked(key)| Refused::Undeclared(key))
}

/// All nodes that are made, in the order of their numbers.
fn rules(site: &Site<'_>) -> Vec<Key> {
    (0..16).map(Key::Node).filter(|key| !site.is_input(*key)).collect()
}

/// In the order of need, then as the closure says.
fn ordered(site: &Site<'_>, targets: &[Key]) -> Vec<Key> {
    let mut wanted: Vec<Key> = targets.to_vec();
    let mut at = 0;
    while let Some(key) = wanted.get(at).copied() {
        let task = site.tasks.task(key);
        for (key, _) in task.map(|task| task.mentions().looks).unwrap_or_default() {
            if !site.is_input(key) && !wanted.contains(&key) {
                wanted.push(key);
            }
        }
        at += 1;
    }
    wanted.sort();
    wanted
}

/// A queue in which only the last key that waits for another is woken.
fn forgetful_queue(site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
    let mut queue: VecDeque<Key> = targets.iter().copied().collect();
    let mut blocked = std::collections::BTreeMap::new();
    while let Some(key) = queue.pop_front() {
        if site.done.contains(&key) {
            continue;
        }
        let mut ready = |site: &mut Site<'_>, dependency: Key| {
            if site.done.contains(&dependency) { Ok(()) } else { Err(Blocked(dependency)) }
        };
        match site.bring(key, &mut ready) {
            Ok(()) => queue.extend(blocked.remove(&key)),
            Err(Blocked(dependency)) => {
                blocked.insert(dependency, key);
                queue.push_back(dependency);
            }
        }
    }
    Ok(())
}

/// Deep traces whose bottoms come from the first trace of a dependency that has its present result.
struct AnyAccount(Traces);

impl Rebuilder for AnyAccount {
    fn judge(&self, job: &Job<'_>, known: &Known<'_>) -> Result<Verdict, Need> {
        for trace in self.0.of(job.key) {
            let there = known.store.can_have(trace.result.digest);
            if there && known.are(trace.layers.iter().flatten().copied())? {
                return Ok(choose(job, &[trace.result]));
            }
        }
        Ok(Verdict::Run)
    }

    fn record(&mut self, job: &Job<'_>, ran: &Ran, _known: &Known<'_>) {
        let mut layer = Vec::new();
        for looked in &ran.looks {
            let mut traces: Vec<_> = self.0.of(looked.key).collect();
            traces.reverse();
            match traces.into_iter().find(|trace| trace.result == looked.entry) {
                Some(trace) => layer.extend(trace.layers.iter().flatten().copied()),
                None => layer.push((looked.key, looked.entry)),
            }
        }
        let trace = Trace { looks: Vec::new(), layers: vec![layer], result: ran.entry };
        self.0.add(job.key, trace, Memory::All);
    }
}

/// One worker who makes no mistake, and several whose foreman does.
struct Crewed(fn(usize, Pace) -> Box<dyn Scheduler>);

impl Scheduler for Crewed {
    fn build(&mut self, site: &mut Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        Topological.build(site, targets)
    }

    fn parallel(&self, workers: usize, pace: Pace) -> Option<Box<dyn Scheduler>> {
        Some((self.0)(workers, pace))
    }
}

/// Starts in topological order without waiting for anyone to come home.
#[derive(Default)]
struct Hasty(VecDeque<Key>);

impl Foreman for Hasty {
    fn begin(&mut self, site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        self.0 = ordered(site, targets).into();
        Ok(())
    }

    fn next(&mut self, _site: &Site<'_>) -> Option<Key> {
        self.0.pop_front()
    }

    fn blocked(&mut self, _site: &Site<'_>, _key: Key, on: Key) -> Result<(), Refused> {
        Err(Refused::Undeclared(on))
    }

    fn finished(&mut self, _key: Key, _looks: Option<&[Looked]>) {}
}

/// When there is nothing to start, starts once more what it started last.
#[derive(Default)]
struct Twice {
    right: crew::Topological,
    last: Option<Key>,
}

impl Foreman for Twice {
    fn begin(&mut self, site: &Site<'_>, targets: &[Key]) -> Result<(), Refused> {
        self.last = None;
        self.right.begin(site, targets)
    }

    fn next(&mut self, site: &Site<'_>) -> Option<Key> {
        match self.right.next(site) {
            None => self.last.take(),
            key => {
                self.last = key;
                key
            }
        }
    }

    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused> {
        self.right.blocked(site, key, on)
    }

    fn finished(&mut self, key: Key, looks: Option<&[Looked]>) {
        self.right.finished(key, looks);
    }
}

/// Takes everything for a target.
#[derive(Default)]
struct Eager(crew::Suspending);

impl Foreman for Eager {
    fn begin(&mut self, site: &Site<'_>, _targets: &[Key]) -> Result<(), Refused> {
        self.0.begin(site, &rules(site))
    }

    fn next(&mut self, site: &Site<'_>) -> Option<Key> {
        self.0.next(site)
    }

    fn blocked(&mut self, site: &Site<'_>, key: Key, on: Key) -> Result<(), Refused> {
        self.0.blocked(site, key, on)
    }

    fn finished(&mut self, key: Key, looks: Option<&[Looked]>) {
        self.0.finished(key, looks);
    }

    fn suspends(&self) -> bool {
        true
    }
}

struct Mutant {
    mistake: &'static str,
    law: &'static str,
    make: fn() -> System,
}

macro_rules! mutants {
    ($($mistake:literal, $law:literal, $scheduler:expr, $rebuilder:expr, $view:expr;)*) => {
        [$(Mutant {
            mistake: $mistake,
            law: $law,
            make: || System::new($scheduler, $rebuilder, $view),
        }),*]
    };
}

fn mutants() -> Vec<Mutant> {
    mutants! {
        "record the hash of the user instead of the dependency's", "idempotent", Suspending,
            forging(constructive(), |inner, job, mut ran, known| {
                let own = ran.entry.digest;
                ran.looks.iter_mut().for_each(|looked| looked.entry.digest = own);
                inner.record(job, &ran, known);
            }), TRACKED;
        "check one level only", "correct", Suspending,
            misjudging(Verifying::default(), |inner, job, known| {
                let all: BTreeSet<Key> = known.store.keys().collect();
                inner.judge(job, &Known { asked: &all, ..*known })
            }), TRACKED;
        "forget the last dependency", "correct", Suspending,
            forging(Verifying::default(), |inner, job, mut ran, known| {
                ran.looks.pop();
                inner.record(job, &ran, known);
            }), TRACKED;
        "forget the script", "self-tracking", Suspending,
            forging(Verifying::default(), |inner, job, mut ran, known| {
                ran.looks.retain(|looked| !matches!(looked.key, Key::Script(_)));
                inner.record(job, &ran, known);
            }), TRACKED;
        "forget absences", "correct", Forward,
            forging(Observed::new(Memory::Latest), |inner, job, mut ran, known| {
                ran.looks.retain(|looked| !saw(looked, &Part::Absent));
                inner.record(job, &ran, known);
            }), TRACKED;
        "forget listings", "correct", Forward,
            forging(Observed::new(Memory::Latest), |inner, job, mut ran, known| {
                ran.looks.retain(|looked| looked.look != Look::List);
                inner.record(job, &ran, known);
            }), TRACKED;
        "forget reads of single files", "no stale answer", Topological,
            forging(Retargeting::new(Grain::Looks), |inner, job, mut ran, known| {
                ran.looks.retain(|looked| !matches!(looked.look, Look::File(_)));
                inner.record(job, &ran, known);
            }), TRACKED;
        "do not remember failures", "idempotent", Suspending,
            forging(constructive(), |inner, job, ran, known| {
                if !matches!(known.store.value(ran.entry.digest), Some(Value::Failed(_))) {
                    inner.record(job, &ran, known);
                }
            }), TRACKED;
        "remember nothing", "idempotent", Suspending,
            forging(Verifying::default(), |_, _, _, _| {}), TRACKED;
        "forget the world", "volatile tasks", Suspending,
            forging(Verifying::default(), |inner, job, mut ran, known| {
                ran.looks.retain(|looked| looked.key != Key::World);
                inner.record(job, &ran, known);
            }), TRACKED;
        "record what the result was before", "idempotent", Suspending,
            forging(Verifying::default(), |inner, job, mut ran, known| {
                ran.entry = job.current.unwrap_or(ran.entry);
                inner.record(job, &ran, known);
            }), TRACKED;
        "check dependencies in the wrong order", "minimal, dynamic", Suspending,
            forging(Verifying::default(), |inner, job, mut ran, known| {
                ran.looks.reverse();
                inner.record(job, &ran, known);
            }), TRACKED;
        "check all dependencies before the first mismatch counts", "minimal, dynamic", Suspending,
            misjudging(Verifying::default(), |inner, job, known| {
                for (key, _) in job.task.mentions().looks {
                    known.entry(key)?;
                }
                inner.judge(job, known)
            }), TRACKED;
        "keep whatever is there", "correct", Suspending,
            misjudging(Verifying::default(), |inner, job, known| match job.current {
                Some(_) => Ok(Verdict::Keep),
                None => inner.judge(job, known),
            }), TRACKED;
        "keep a result whose value is lost", "no stale answer", Topological,
            misjudging(ModTime::new(Dependencies::Mentioned, false), |inner, job, known| {
                match job.current {
                    Some(entry) if !known.store.can_have(entry.digest) => Ok(Verdict::Keep),
                    _ => inner.judge(job, known),
                }
            }), PLAIN;
        "keep although another result was taken back", "correct", Suspending,
            forging(constructive(), |inner, job, mut ran, known| {
                ran.looks.truncate(1);
                inner.record(job, &ran, known);
            }), TRACKED;
        "share one memory among all keys", "correct", Topological,
            Mistaken {
                judge: |inner, job, known| inner.judge(&Job { key: Key::Node(0), ..*job }, known),
                record: |inner, job, ran, known| {
                    inner.record(&Job { key: Key::Node(0), ..*job }, &ran, known);
                },
                ..mistaken(constructive())
            }, PLAIN;
        "do not look which inputs changed", "correct", Topological,
            beginning(ModTime::new(Dependencies::Mentioned, false), |inner, start| {
                inner.begin(&Start { changed: &BTreeSet::new(), ..*start });
            }), PLAIN;
        "miss one of the inputs that changed", "no stale answer", Suspending,
            beginning(StepTraces::default(), |inner, start| {
                let most: BTreeSet<Key> = start.changed.iter().copied().skip(2).collect();
                inner.begin(&Start { changed: &most, ..*start });
            }), PLAIN;
        "take every input for changed", "minimal", Suspending,
            beginning(StepTraces::default(), |inner, start| {
                inner.begin(&Start { changed: start.keys, ..*start });
            }), PLAIN;
        "write a clean result's time", "early cutoff", Topological,
            ModTime::new(Dependencies::Recorded, false), TRACKED;
        "mark dirty only what was edited, not what stands on it", "correct", Suspending,
            beginning(DirtyBit::default(), |inner, start| {
                inner.begin(&Start { keys: &BTreeSet::new(), ..*start });
            }), PLAIN;
        "compute dirty bits from tasks that mention nothing", "correct", Suspending,
            beginning(DirtyBit::default(), |inner, start| {
                inner.begin(&Start { tasks: &Silent(start.tasks), ..*start });
            }), PLAIN;
        "take an INDIRECT for complete", "dynamic dependencies", Suspending,
            misjudging(Approximate::default(), |inner, job, known| {
                inner.judge(&Job { task: &Complete(job.task), ..*job }, known)
            }), PLAIN;
        "do not rename", "names", Topological,
            misjudging(Retargeting::new(Grain::Looks), |inner, job, known| {
                Ok(match inner.judge(job, known)? {
                    Verdict::Retarget(..) => Verdict::Keep,
                    other => other,
                })
            }), TRACKED;
        "record of all names the dependency's own alone", "observed, normalised cutoff", Topological,
            forging(Retargeting::new(Grain::Looks), |inner, job, mut ran, known| {
                ran.looks.iter_mut().for_each(|looked| looked.names.truncate(1));
                inner.record(job, &ran, known);
            }), TRACKED;
        "record dependencies as if they were inputs", "shallow", Suspending,
            Mistaken { settles: false, ..mistaken(Deep::new(Naming::Inputs)) }, TRACKED;
        "let any trace with the same result account for a dependency", "idempotent", Suspending,
             AnyAccount(Traces::default()), TRACKED;
        "share traces of nothing", "sharing costs nothing", Suspending,
            Mistaken { shares: false, ..mistaken(constructive()) }, TRACKED;
        "pass hashes through whose values cannot be made again", "no frankenbuild", Suspending,
            constructive().shallow(), TRACKED;
        "assume that tasks are deterministic", "no frankenbuild", Suspending,
            Deep::new(Naming::Place), TRACKED;
        "build in the order of the letters", "correct", Mischeduled(|site, targets| {
            let mut order = ordered(site, targets);
            order.reverse();
            order.into_iter().try_for_each(|key| whatever(site, key))
        }), Verifying::default(), TRACKED;
        "stop at the first key that may stay", "correct", Mischeduled(|site, targets| {
            for key in ordered(site, targets) {
                whatever(site, key)?;
                if matches!(site.log.events.last(), Some(Event::Kept(_))) {
                    break;
                }
            }
            Ok(())
        }), Verifying::default(), TRACKED;
        "leave out what is not a target's own dependency", "correct", Mischeduled(|site, targets| {
            for target in targets {
                let task = site.tasks.task(*target);
                for (key, _) in task.map(|task| task.mentions().looks).unwrap_or_default() {
                    whatever(site, key)?;
                }
                whatever(site, *target)?;
            }
            Ok(())
        }), Verifying::default(), TRACKED;
        "run the whole script once more", "minimal", Mischeduled(|site, _| {
            let twice = [rules(site), rules(site)].concat();
            twice.into_iter().try_for_each(|key| whatever(site, key))
        }), floe_papers::rebuilder::Perpetual, TRACKED;
        "build what was not asked for", "minimal, dynamic", Mischeduled(|site, _| {
            rules(site).into_iter().try_for_each(|key| whatever(site, key))
        }), Verifying::default(), TRACKED;
        "wake one of several that wait", "correct", Mischeduled(forgetful_queue),
            Verifying::default(), TRACKED;
        "start what waits again and again", "minimal", Queue, Verifying::default(), TRACKED;
        "start a key when its dependencies were started", "parallel", Crewed(|workers, pace| {
            Box::new(Crew::new(Hasty::default(), workers, pace))
        }), Verifying::default(), PLAIN;
        "give one key to two workers", "parallel, same runs", Crewed(|workers, pace| {
            Box::new(Crew::new(Twice::default(), workers, pace))
        }), Verifying::default(), PLAIN;
        "keep workers busy with what no target needs", "parallel, same runs", Crewed(|workers, pace| {
            Box::new(Crew::new(Eager::default(), workers, pace))
        }), Verifying::default(), PLAIN;
    }
    .into()
}

/// A law and a system that keeps it.
type Sound = (&'static str, fn() -> System);

#[test]
fn every_mistake_is_caught() {
    let mutants = mutants();
    assert!(mutants.len() >= 20);
    let missed: Vec<&str> = mutants
        .iter()
        .filter(|mutant| {
            let law = law(mutant.law).expect("a law of this name");
            law.refute(10_000, 3, &mutant.make).is_none()
        })
        .map(|mutant| mutant.mistake)
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

/// The same parts without the mistakes keep the laws by which the mistakes are caught.
#[test]
fn without_a_mistake_nothing_is_caught() {
    let sound: [Sound; 4] = [
        ("correct", || System::new(Suspending, mistaken(Verifying::default()), TRACKED)),
        ("idempotent", || System::new(Suspending, mistaken(constructive()), TRACKED)),
        ("shallow", || System::new(Suspending, mistaken(Deep::new(Naming::Inputs)), TRACKED)),
        ("names", || System::new(Topological, mistaken(Retargeting::new(Grain::Looks)), TRACKED)),
    ];
    for (name, make) in sound {
        let found = law(name).expect("a law of this name").refute(2000, 3, &make);
        assert_eq!(found, None, "{name}");
    }
}
