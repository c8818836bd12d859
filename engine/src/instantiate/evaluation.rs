//! The one evaluation that is kept, on a thread of its own: its values are of use to nobody else.
//! Work goes in as closures, answers come back through channels.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};
use floe_core::hash::Digest;
use floe_lang::graph::DrvGraph;
use floe_lang::host::Host;
use floe_lang::track::{Read, ReadId, Rests};
use floe_lang::{Argument, Evaluator, Handle, Settings, Shelf};

use super::{Answer, Asked, InstantiateError, Instantiated, Target, Top};
use crate::import::{Seen, Wanted};

/// What one evaluation gave.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// Every read that the answer rests on.
    pub(super) rests_on: Vec<ReadId>,
    /// What was never read before.
    pub(super) new_reads: Vec<(Read, Option<Digest>)>,
    /// Files parsed so far.
    pub(super) parsed: u64,
}

/// So often at most, derivations may turn out to be others than their users took them for.
const ROUNDS: u32 = 8;

type Work = Box<dyn FnOnce(&mut Kept) + Send>;

/// An expression's value, called with arguments, and what it rests on itself.
struct Root {
    top: Top,
    base: PathBuf,
    args: Vec<(String, Argument)>,
    value: Handle,
    rests: Rests,
}

/// What stays between requests.
struct Kept {
    evaluator: Evaluator,
    /// One for each expression and arguments that were asked for: a top-level function is called once.
    roots: Vec<Root>,
    /// Where values are laid aside.
    shelf: Option<Shelf>,
}

/// The evaluation's thread.
pub(super) struct Evaluation {
    work: Sender<Work>,
}

impl Evaluation {
    pub(super) fn start(host: Arc<dyn Host>, settings: Settings) -> std::io::Result<Evaluation> {
        let (work, todo) = bounded::<Work>(0);
        std::thread::Builder::new().name("evaluation".to_owned()).spawn(move || {
            let mut evaluator = Evaluator::new(host, settings);
            evaluator.track();
            let mut kept = Kept { evaluator, roots: Vec::new(), shelf: None };
            // Ends when the last handle is dropped.
            while let Ok(work) = todo.recv() {
                work(&mut kept);
            }
        })?;
        Ok(Evaluation { work })
    }

    fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Kept) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = bounded(1);
        let work = Box::new(move |kept: &mut Kept| {
            // Nobody may be waiting any more.
            drop(answer.send(work(kept)));
        });
        self.work.send(work).expect("the thread lives as long as this");
        answered.recv().expect("evaluation does not panic")
    }

    pub(super) fn evaluate(&self, asked: Asked) -> Outcome {
        self.on_thread(move |kept| kept.evaluate(&asked))
    }

    /// The derivations that it makes.
    pub(super) fn graph(&self) -> Arc<DrvGraph> {
        self.on_thread(|kept| Arc::clone(kept.evaluator.graph()))
    }

    pub(super) fn source_text(&self, file: PathBuf) -> Option<Vec<u8>> {
        self.on_thread(move |kept| kept.evaluator.source_text(&file).map(<[u8]>::to_vec))
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        self.on_thread(|kept| kept.evaluator.heap_bytes())
    }

    /// Lays the `nth` part of the values aside in a file in this folder, and what somebody else has there
    /// `also`; whether there is such a part, and room for it.
    pub(super) fn lay_aside(
        &self,
        nth: usize,
        folder: PathBuf,
        also: impl FnOnce(&mut Shelf) -> io::Result<()> + Send + 'static,
    ) -> bool {
        self.on_thread(move |kept| kept.lay_aside(nth, &folder, also).unwrap_or(false))
    }

    /// The bytes of that file.
    pub(super) fn aside_bytes(&self) -> u64 {
        self.on_thread(|kept| kept.shelf.as_ref().map_or(0, Shelf::bytes))
    }

    /// Makes everything unevaluated that rests on these; how many values that were.
    pub(super) fn forget(&self, changed: Vec<ReadId>) -> usize {
        self.on_thread(move |kept| {
            let is_changed = |id: &ReadId| changed.contains(id);
            kept.roots.retain(|root| !root.rests.reads.iter().any(is_changed));
            kept.evaluator.forget(&changed)
        })
    }
}

impl Kept {
    fn lay_aside(
        &mut self,
        nth: usize,
        folder: &Path,
        also: impl FnOnce(&mut Shelf) -> io::Result<()>,
    ) -> io::Result<bool> {
        let shelf = match &mut self.shelf {
            Some(shelf) => shelf,
            none => none.insert(Shelf::new(tempfile::tempfile_in(folder)?)?),
        };
        also(shelf)?;
        self.evaluator.lay_aside(nth, shelf)
    }

    fn evaluate(&mut self, asked: &Asked) -> Outcome {
        let mut rests = Rests::default();
        let mut answer = self.answer(asked, &mut rests);
        let mut rounds = 0;
        while rounds < ROUNDS && self.evaluator.break_joints() {
            rounds += 1;
            answer = self.answer(asked, &mut rests);
        }
        // Of several faults the one is told that evaluation comes upon first.
        if (rounds == ROUNDS || answer.is_err()) && self.evaluator.break_all() {
            answer = self.answer(asked, &mut rests);
        }
        let mut rests_on = rests.reads;
        rests_on.sort_unstable();
        rests_on.dedup();
        let new_reads = self.evaluator.new_reads();
        let parsed = self.evaluator.files_parsed() as u64;
        Outcome { answer, rests_on, new_reads, parsed }
    }

    fn root(&mut self, asked: &Asked, rests: &mut Rests) -> Result<Handle, InstantiateError> {
        let is_it = |root: &&Root| {
            root.top == asked.top && root.base == asked.base && root.args == asked.args
        };
        if let Some(root) = self.roots.iter().find(is_it) {
            rests.add(&root.rests);
            return Ok(root.value);
        }
        let (root, own) = self.evaluator.resting(|evaluator| {
            let value = match &asked.top {
                Top::File(file) => evaluator.eval_file(file)?,
                Top::Text(text) => evaluator.eval_expr(text, &asked.base)?,
            };
            evaluator.auto_call(value, &asked.args, &asked.base)
        });
        rests.add(&own);
        let value = root?;
        let Asked { top, base, args, .. } = asked.clone();
        self.roots.push(Root { top, base, args, value, rests: own });
        Ok(value)
    }

    fn answer(&mut self, asked: &Asked, rests: &mut Rests) -> Answer {
        let root = self.root(asked, rests)?;
        let (found, own) = self.evaluator.resting(|evaluator| {
            let value = evaluator.select_attr_path(root, &asked.attr, &asked.args, &asked.base)?;
            let value = evaluator.auto_call(value, &asked.args, &asked.base)?;
            let found = evaluator.outputs(value, &asked.args, &asked.base)?;
            let drvs: Vec<_> = found.iter().map(|found| found.drv).collect();
            evaluator.settle(&drvs)?;
            Ok(found)
        });
        rests.add(&own);
        let graph = Arc::clone(self.evaluator.graph());
        let mut targets = Vec::new();
        let mut wanted = Vec::new();
        for found in found? {
            let node = graph.node(found.drv);
            let outputs: Vec<_> =
                found.outputs.iter().map(|at| node.outputs[*at as usize].name.clone()).collect();
            let attr = [asked.attr.as_str(), found.attr_path.as_str()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(".");
            let main_program = found.main_program;
            targets.push(Target { attr: attr.clone(), outputs: outputs.clone(), main_program });
            wanted.push(Wanted { attr, drv: found.drv, outputs });
        }
        let seen = Seen::Only { observed: rests.observed.clone(), hashed: rests.hashed.clone() };
        Ok(Arc::new(Instantiated { targets, wanted, graph, seen }))
    }
}
