//! Random cases: projects, edits and histories, as proptest strategies, so that what breaks a law shrinks to something a
//! person can read. Knows no law.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::project::{Edit, Node, Project};
use crate::script::{Read, Script};
use crate::task::Look;
use crate::value::{File, Key, Value};

/// What random projects and histories may contain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shape {
    /// Dependencies that are found while running.
    pub dynamic: bool,
    /// Edits of scripts.
    pub scripts: bool,
    /// Tasks that fail.
    pub failures: bool,
    /// Tasks that run in every build.
    pub volatile: bool,
    /// Tasks that are not deterministic.
    pub random: bool,
    /// Outputs that hold the names of inputs.
    pub embed: bool,
    /// Tasks to which names matter.
    pub scramble: bool,
}

/// Something that happens to a project.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A node is edited.
    Edit(Edit),
    /// Some sinks are built (by bits), or all.
    Build(u8),
    /// A rule is built first although it is no sink, then all sinks.
    Inner(u16),
    /// What was made is removed; traces and cloud stay.
    Clean,
    /// The value of a node is lost.
    Evict(u16),
}

/// A project, what happens to it, and a seed for chance.
#[derive(Clone, Debug)]
pub struct Case {
    /// The project at first.
    pub project: Project,
    /// What happens, in order.
    pub happenings: Vec<Happening>,
    /// The seed.
    pub seed: u64,
}

/// A node before its numbers are made to fit its place.
#[derive(Clone, Debug)]
struct Raw {
    source: bool,
    words: Vec<u64>,
    reads: Vec<(u8, u16, u16, u16, u8, u8)>,
    salt: u64,
    comment: u64,
    modulus: u64,
    files: u8,
    /// Traits by bits: sparse, embed, volatile, random, fails, scramble.
    traits: u8,
}

fn raw() -> impl Strategy<Value = Raw> {
    let reads = vec((0..8u8, 0..8u16, 0..8u16, 0..8u16, 0..2u8, 0..4u8), 1..4);
    let what = (prop::bool::weighted(0.25), vec(0..4u64, 1..3), reads);
    let how =
        (0..3u64, 0..3u64, prop_oneof![Just(2u64), Just(3), Just(7), Just(0)], 1..3u8, any::<u8>());
    (what, how).prop_map(|((source, words, reads), (salt, comment, modulus, files, traits))| Raw {
        source,
        words,
        reads,
        salt,
        comment,
        modulus,
        files,
        traits,
    })
}

fn read(shape: Shape, place: u16, raw: (u8, u16, u16, u16, u8, u8)) -> Read {
    let (kind, a, b, c, file, into) = raw;
    let (a, b, c) = (a % place, b % place, c % place);
    let file = File(file);
    match kind {
        0 | 1 if shape.dynamic => Read::If(a, b, c, into),
        2 | 3 if shape.dynamic => Read::Indirect(a, vec![b, c], into),
        4 if shape.dynamic => Read::Search(file, a, b, into),
        5 => Read::Look(a, Look::List, into),
        1 | 3 | 6 => Read::Look(a, Look::File(file), into),
        _ => Read::Look(a, Look::Whole, into),
    }
}

fn node(shape: Shape, place: u16, raw: Raw) -> Node {
    if raw.source || place == 0 {
        return Node::Source(Value::words(raw.words));
    }
    let has = |bit: u8| raw.traits >> bit & 1 == 1;
    // two bits where one in two would be too many
    let seldom = |bit: u8| raw.traits.rotate_right(bit.into()) & 3 == 3;
    Node::Rule(Script {
        salt: raw.salt,
        comment: raw.comment,
        modulus: raw.modulus,
        files: raw.files,
        sparse: has(0),
        reads: raw.reads.into_iter().map(|raw| read(shape, place, raw)).collect(),
        embed: shape.embed && has(1),
        scramble: if shape.scramble && seldom(2) { 1 } else { 0 },
        random: if shape.random && has(3) { 2 } else { 0 },
        volatile: shape.volatile && seldom(4),
        fails: if shape.failures && seldom(5) { 2 } else { 0 },
    })
}

/// Projects of up to eight nodes, the first of which is a source.
pub fn projects(shape: Shape) -> impl Strategy<Value = Project> {
    vec(raw(), 2..8).prop_map(move |raws| {
        let numbered = raws.into_iter().enumerate();
        Project { nodes: numbered.map(|(at, raw)| node(shape, at as u16, raw)).collect() }
    })
}

/// An edit that fits a project: another content for a source; another text for a script where the shape allows it.
fn edit(shape: Shape, project: &Project, at: u16, raw: Raw) -> Option<Edit> {
    let place = at % project.nodes.len() as u16;
    let is_source = project.script(place).is_none();
    if !is_source && !shape.scripts {
        return None;
    }
    let becomes = match project.script(place) {
        None => Node::Source(Value::words(raw.words)),
        // half of the edits change a comment alone
        Some(script) if raw.traits & 1 == 0 => {
            Node::Rule(Script { comment: raw.comment, ..script.clone() })
        }
        Some(_) => node(shape, place, Raw { source: false, ..raw }),
    };
    Some(Edit { node: place, becomes })
}

/// Projects with edits, each of which a full build follows.
pub fn edited(shape: Shape) -> impl Strategy<Value = Case> {
    (projects(shape), vec((any::<u16>(), raw()), 0..5), any::<u64>()).prop_map(
        move |(project, edits, seed)| {
            let edits = edits.into_iter().filter_map(|(at, raw)| edit(shape, &project, at, raw));
            let pairs = edits.flat_map(|edit| [Happening::Edit(edit), Happening::Build(u8::MAX)]);
            let happenings = [Happening::Build(u8::MAX)].into_iter().chain(pairs).collect();
            Case { project, happenings, seed }
        },
    )
}

/// Projects with edits and their undoing in reverse order, each of which a full build follows: what is no longer needed
/// becomes needed again as it was.
pub fn returns(shape: Shape) -> impl Strategy<Value = Case> {
    edited(shape).prop_map(|mut case| {
        let mut project = case.project.clone();
        let mut undoing = Vec::new();
        for happening in &case.happenings {
            let Happening::Edit(edit) = happening else { continue };
            let before = project.nodes.get(usize::from(edit.node)).cloned();
            undoing.extend(before.map(|becomes| Edit { node: edit.node, becomes }));
            project.apply(edit);
        }
        let back = undoing.into_iter().rev();
        let pairs = back.flat_map(|edit| [Happening::Edit(edit), Happening::Build(u8::MAX)]);
        case.happenings.extend(pairs);
        case
    })
}

/// Projects with arbitrary histories: several edits between builds, builds of a part, and losses.
pub fn histories(shape: Shape) -> impl Strategy<Value = Case> {
    let happening = (0..10u8, any::<u16>(), raw());
    (projects(shape), vec(happening, 1..9), any::<u64>()).prop_map(
        move |(project, happenings, seed)| {
            let happenings = happenings.into_iter().filter_map(|(kind, at, raw)| match kind {
                0..4 => edit(shape, &project, at, raw).map(Happening::Edit),
                4..7 => Some(Happening::Build(at as u8)),
                7 => Some(Happening::Inner(at % project.nodes.len() as u16)),
                8 => Some(Happening::Evict(at % project.nodes.len() as u16)),
                _ => Some(Happening::Clean),
            });
            let happenings = happenings.chain([Happening::Build(u8::MAX)]).collect();
            Case { project, happenings, seed }
        },
    )
}

/// Projects with losses: after a full build, now and then an edit, the loss of a value, sometimes a clean-up, and a build
/// in which something else may be asked for first (the pattern of JFP section 8.4, figure 12).
pub fn losses(shape: Shape) -> impl Strategy<Value = Case> {
    let round = ((any::<u16>(), raw()), any::<u16>(), any::<u16>(), 0..4u8);
    (projects(shape), vec(round, 1..4), any::<u64>()).prop_map(move |(project, rounds, seed)| {
        let mut happenings = vec![Happening::Build(u8::MAX)];
        let place = |at: u16| at % project.nodes.len() as u16;
        for ((at, raw), lost, first, kind) in rounds {
            if kind & 1 == 1 {
                happenings.extend(edit(shape, &project, at, raw).map(Happening::Edit));
            }
            happenings.push(Happening::Evict(place(lost)));
            if kind & 2 == 2 {
                happenings.push(Happening::Clean);
            }
            happenings.push(Happening::Inner(place(first)));
        }
        Case { project, happenings, seed }
    })
}

impl Happening {
    /// The targets, if this is a build.
    pub fn targets(&self, project: &Project) -> Option<Vec<Key>> {
        match self {
            Happening::Build(bits) => {
                let sinks = project.sinks().into_iter().enumerate();
                let chosen = sinks.filter(|(at, _)| bits >> (at % 8) & 1 == 1).map(|(_, key)| key);
                Some(chosen.collect())
            }
            Happening::Inner(node) => {
                let inner = project.script(*node).map(|_| Key::Node(*node));
                Some(inner.into_iter().chain(project.sinks()).collect())
            }
            _ => None,
        }
    }
}
