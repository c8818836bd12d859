//! Recording a profile while evaluation runs: which calls are open, and what time passed in each.
//! Places stay unresolved here.

use rustc_hash::FxHashMap;

use super::Clock;
use crate::source::Loc;
use crate::symbol::Symbol;

/// What a frame of a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Callee {
    /// All that happens outside of calls.
    Top,
    /// A function, by where it is defined.
    Lambda(Loc),
    /// A builtin.
    Prim(&'static str),
    /// Parsing and compiling a text, by where it begins.
    Reading(Loc),
}

/// Bounds on what is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Nodes of the call tree: what is called in one more way counts as part of its caller.
    pub(crate) nodes: usize,
    /// Frames of a stack: what is called from there counts as part of the last one.
    pub(crate) depth: u32,
    /// Calls kept one by one: when there are more, the shorter half goes.
    pub(crate) spans: usize,
}

/// A tree of a million nodes takes 100 MB; stacks of more frames than these no viewer shows; and
/// half a million calls are 60 MB of Chrome's JSON, about what its viewers load.
pub(crate) const BOUNDS: Bounds = Bounds { nodes: 1 << 20, depth: 1000, spans: 500_000 };

/// A callee in the place of the call tree that its callers give it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// The caller's node, which is before this one; the first node is its own.
    pub(crate) parent: u32,
    /// Index in the list of functions.
    pub(crate) function: u32,
    /// Where a builtin is called.
    pub(crate) site: Loc,
    pub(crate) depth: u32,
    pub(crate) own_ns: u64,
    pub(crate) calls: u64,
}

/// A callee, wherever it is called from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub(crate) callee: Callee,
    pub(crate) name: Option<Symbol>,
    pub(crate) calls: u64,
    pub(crate) own_ns: u64,
    /// With all that it called; what is called within itself counts once.
    pub(crate) total_ns: u64,
    /// Its calls that are open.
    open: u32,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) function: u32,
    /// How many calls it lies in.
    pub(crate) depth: u32,
    pub(crate) start_ns: u64,
    pub(crate) wall_ns: u64,
}

/// Calls one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) kept: Vec<Span>,
    pub(crate) seen: u64,
    /// Shorter ones are not kept.
    pub(crate) shortest_ns: u64,
}

impl Spans {
    fn add(&mut self, span: Span, most: usize) {
        self.seen += 1;
        if span.wall_ns < self.shortest_ns {
            return;
        }
        self.kept.push(span);
        if self.kept.len() > most {
            let half = most / 2;
            self.kept.select_nth_unstable_by(half, |a, b| b.wall_ns.cmp(&a.wall_ns));
            self.kept.truncate(half);
            let shortest_ns = self.kept.iter().map(|span| span.wall_ns).min();
            self.shortest_ns = shortest_ns.unwrap_or(0);
        }
    }
}

struct Open {
    node: u32,
    function: u32,
    start_ns: u64,
}

/// What is recorded so far.
pub(crate) struct Recorder {
    clock: Clock,
    bounds: Bounds,
    /// The last moment that was accounted for.
    now_ns: u64,
    start_ns: u64,
    pub(crate) nodes: Vec<Node>,
    below: FxHashMap<(u32, Callee, Loc), u32>,
    pub(crate) functions: Vec<Function>,
    known: FxHashMap<Callee, u32>,
    open: Vec<Open>,
    pub(crate) spans: Option<Spans>,
    /// Whether a bound on the tree was reached.
    pub(crate) cut: bool,
}

impl Recorder {
    /// Nothing recorded yet; `spans` says whether to keep calls one by one.
    pub(crate) fn new(clock: Clock, spans: bool, bounds: Bounds) -> Recorder {
        let now_ns = clock();
        let mut recorder = Recorder {
            clock,
            bounds,
            now_ns,
            start_ns: now_ns,
            nodes: vec![Node {
                parent: 0,
                function: 0,
                site: Loc::NONE,
                depth: 0,
                own_ns: 0,
                calls: 1,
            }],
            below: FxHashMap::default(),
            functions: Vec::new(),
            known: FxHashMap::default(),
            open: Vec::new(),
            spans: spans.then(Spans::default),
            cut: false,
        };
        let top = recorder.function(Callee::Top, None);
        recorder.functions[top as usize].open = 1;
        recorder.open.push(Open { node: 0, function: top, start_ns: now_ns });
        recorder
    }

    fn function(&mut self, callee: Callee, name: Option<Symbol>) -> u32 {
        *self.known.entry(callee).or_insert_with(|| {
            let new = Function { callee, name, calls: 0, own_ns: 0, total_ns: 0, open: 0 };
            self.functions.push(new);
            self.functions.len() as u32 - 1
        })
    }

    /// Gives the time since the last moment to what runs.
    fn account(&mut self) -> u64 {
        let now_ns = (self.clock)();
        let passed = now_ns.saturating_sub(self.now_ns);
        self.now_ns = now_ns;
        if let Some(open) = self.open.last() {
            self.nodes[open.node as usize].own_ns += passed;
            self.functions[open.function as usize].own_ns += passed;
        }
        now_ns
    }

    /// Evaluation goes on: what happened since it stopped is not its own.
    pub(crate) fn go_on(&mut self) {
        self.now_ns = (self.clock)();
    }

    /// Evaluation stops for now.
    pub(crate) fn pause(&mut self) {
        self.account();
    }

    /// A call begins.
    pub(crate) fn enter(&mut self, callee: Callee, site: Loc, name: Option<Symbol>) {
        let start_ns = self.account();
        let above = self.open.last().map_or(0, |open| open.node);
        let (node, function) = match self.below.get(&(above, callee, site)) {
            Some(&node) => (node, self.nodes[node as usize].function),
            None => self.new_node(above, callee, site, name),
        };
        if node != above {
            self.nodes[node as usize].calls += 1;
        }
        let entered = &mut self.functions[function as usize];
        entered.calls += 1;
        entered.open += 1;
        self.open.push(Open { node, function, start_ns });
    }

    #[cold]
    fn new_node(
        &mut self,
        above: u32,
        callee: Callee,
        site: Loc,
        name: Option<Symbol>,
    ) -> (u32, u32) {
        let function = self.function(callee, name);
        let depth = self.nodes[above as usize].depth + 1;
        if self.nodes.len() >= self.bounds.nodes || depth > self.bounds.depth {
            self.cut = true;
            return (above, function);
        }
        let new = Node { parent: above, function, site, depth, own_ns: 0, calls: 0 };
        self.nodes.push(new);
        let node = self.nodes.len() as u32 - 1;
        self.below.insert((above, callee, site), node);
        (node, function)
    }

    /// The call that began last ends.
    pub(crate) fn leave(&mut self) {
        let now_ns = self.account();
        let Some(open) = self.open.pop() else { return };
        let wall_ns = now_ns.saturating_sub(open.start_ns);
        let left = &mut self.functions[open.function as usize];
        left.open -= 1;
        if left.open == 0 {
            left.total_ns += wall_ns;
        }
        if let Some(spans) = &mut self.spans {
            let start_ns = open.start_ns - self.start_ns;
            let depth = self.open.len() as u32;
            let span = Span { function: open.function, depth, start_ns, wall_ns };
            spans.add(span, self.bounds.spans);
        }
    }

    /// Nothing more will come: ends what is open.
    pub(crate) fn end(&mut self) {
        while self.open.len() > 1 {
            self.leave();
        }
        // Time between entries of the evaluator belongs to nobody.
        self.functions[0].total_ns = self.nodes.iter().map(|node| node.own_ns).sum();
        self.functions[0].calls = 1;
    }
}
