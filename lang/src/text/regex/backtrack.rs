//! Matches as the backtracking of libstdc++ does, where that differs from other implementations: all
//! alternatives are tried and the longest match counts, the first of equally long ones; of repetitions
//! as many as lead to a match, and no other number; what matches nothing is repeated twice at one place,
//! so that its groups may be set to nothing at the end (`std::regex`, grammar `extended`).
//!
//! libstdc++ takes time that is exponential in the pattern. Here what follows from a state at a place is
//! found out once.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::RegexError;
use super::pattern::{ByteSet, Node, Pattern, Times};

/// States of a program.
const MAX_STATES: usize = 100_000;
/// States at places that one match may look at.
const MAX_KNOWN: usize = 1 << 22;
/// A place may repeat what matches nothing this often.
const MAX_EMPTY: u8 = 2;

/// The number of a state.
type Id = u32;

#[derive(Clone, Copy, Debug)]
enum State {
    /// One byte of a set.
    Set(ByteSet, Id),
    Start(Id),
    End(Id),
    Open(u32, Id),
    Close(u32, Id),
    Skip(Id),
    /// One, then the other.
    Choice(Id, Id),
    /// Once more, or else on.
    Repeat(Id, Id),
    Accept,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Program {
    states: Vec<State>,
    start: Id,
    groups: usize,
}

/// A part of the text that groups matched, by number from 0 on.
pub(super) type Spans = Vec<Option<Range<usize>>>;

impl Program {
    /// Compiles a pattern.
    pub(super) fn new(pattern: &Pattern) -> Result<Program, RegexError> {
        let mut program = Program { states: vec![State::Accept], start: 0, groups: pattern.groups };
        program.start = program.add(&pattern.node, 0)?;
        Ok(program)
    }

    fn push(&mut self, state: State) -> Result<Id, RegexError> {
        if self.states.len() >= MAX_STATES {
            return Err(RegexError::TooLarge);
        }
        self.states.push(state);
        Ok((self.states.len() - 1) as Id)
    }

    /// Adds the states for a node, behind which it goes on at `next`; the first of them.
    fn add(&mut self, node: &Node, next: Id) -> Result<Id, RegexError> {
        match node {
            Node::Set(set) => self.push(State::Set(*set, next)),
            Node::Start => self.push(State::Start(next)),
            Node::End => self.push(State::End(next)),
            Node::Group(number, inner) => {
                let close = self.push(State::Close(*number as u32 - 1, next))?;
                let first = self.add(inner, close)?;
                self.push(State::Open(*number as u32 - 1, first))
            }
            Node::Sequence(nodes) => {
                nodes.iter().rev().try_fold(next, |next, node| self.add(node, next))
            }
            Node::Choice(nodes) => {
                let (last, others) = nodes.split_last().expect("a choice has alternatives");
                let last = self.add(last, next)?;
                others.iter().rev().try_fold(last, |later, node| {
                    let first = self.add(node, next)?;
                    self.push(State::Choice(first, later))
                })
            }
            Node::Repeat(inner, Times::Any) => Ok(self.looped(inner, next)?.0),
            Node::Repeat(inner, Times::Some) => Ok(self.looped(inner, next)?.1),
            Node::Repeat(inner, Times::Maybe) => {
                let once = self.add(inner, next)?;
                self.push(State::Repeat(once, next))
            }
            Node::Repeat(inner, Times::Between(least, most)) => {
                let rest = match most {
                    None => self.looped(inner, next)?.0,
                    Some(most) => (*least..*most).try_fold(next, |later, _| {
                        let once = self.add(inner, later)?;
                        self.push(State::Repeat(once, next))
                    })?,
                };
                (0..*least).try_fold(rest, |next, _| self.add(inner, next))
            }
        }
    }

    /// A loop: the state that decides about one more, and the first of what is repeated.
    fn looped(&mut self, inner: &Node, next: Id) -> Result<(Id, Id), RegexError> {
        let repeat = self.push(State::Skip(next))?;
        let first = self.add(inner, repeat)?;
        self.states[repeat as usize] = State::Repeat(first, next);
        Ok((repeat, first))
    }

    /// The groups of the match that begins at `start`, group 0 being all of it; with `whole`, of one that
    /// ends with the text.
    ///
    /// # Errors
    /// When that takes too much memory.
    pub(super) fn run(
        &self,
        text: &[u8],
        start: usize,
        whole: bool,
    ) -> Result<Option<Spans>, RegexError> {
        if u32::try_from(text.len()).is_err() {
            return Err(RegexError::TooLarge);
        }
        let mut run = Run {
            states: &self.states,
            text,
            whole,
            known: FxHashMap::default(),
            counts: vec![Counts::default()],
            numbers: FxHashMap::from_iter([(Counts::default(), 0)]),
        };
        let from = Place { state: self.start, at: start as u32, counts: 0 };
        let Some(end) = run.solve(from)? else { return Ok(None) };
        let mut spans: Spans = vec![None; self.groups + 1];
        spans[0] = Some(start..end as usize);
        run.replay(from, &mut spans[1..]);
        Ok(Some(spans))
    }
}

/// Which repetitions matched nothing at the present place, and how often.
type Counts = Box<[(Id, u8)]>;

/// A state at a place of the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    state: Id,
    at: u32,
    /// The number of its [`Counts`].
    counts: u32,
}

/// The best match from a place on.
#[derive(Clone, Copy, Debug)]
struct Best {
    end: u32,
    /// Which of two ways leads there.
    second: bool,
}

/// Where a place leads as long as there is one way.
enum Way {
    Nowhere,
    Match(u32),
    Fork(Place),
}

/// A place whose ways are being looked at.
struct Frame {
    place: Place,
    /// What the first way came to, once it is known.
    first: Option<Option<u32>>,
}

struct Run<'r> {
    states: &'r [State],
    text: &'r [u8],
    whole: bool,
    /// What is known of the places with two ways.
    known: FxHashMap<Place, Option<Best>>,
    counts: Vec<Counts>,
    numbers: FxHashMap<Counts, u32>,
}

impl Run<'_> {
    /// Goes on while there is one way; `note` hears of groups.
    fn walk(&self, mut place: Place, mut note: impl FnMut(State, u32)) -> Way {
        loop {
            let state = self.states[place.state as usize];
            let at = place.at as usize;
            place.state = match state {
                State::Set(set, next) => match self.text.get(at) {
                    Some(byte) if set.has(*byte) => {
                        place.at += 1;
                        place.counts = 0;
                        next
                    }
                    _ => return Way::Nowhere,
                },
                State::Start(next) if at == 0 => next,
                State::End(next) if at == self.text.len() => next,
                State::Start(_) | State::End(_) => return Way::Nowhere,
                State::Open(_, next) | State::Close(_, next) => {
                    note(state, place.at);
                    next
                }
                State::Skip(next) => next,
                State::Choice(..) | State::Repeat(..) => return Way::Fork(place),
                State::Accept if self.whole && at < self.text.len() => return Way::Nowhere,
                State::Accept => return Way::Match(place.at),
            };
        }
    }

    /// The two ways that a place leads.
    fn ways(&mut self, place: Place) -> [Option<Place>; 2] {
        match self.states[place.state as usize] {
            State::Repeat(more, on) => {
                let more =
                    self.once_more(place).map(|counts| Place { state: more, counts, ..place });
                [more, Some(Place { state: on, ..place })]
            }
            State::Choice(one, other) => [one, other].map(|state| Some(Place { state, ..place })),
            _ => unreachable!("a fork is a choice or a repetition"),
        }
    }

    /// The counts with which a repetition is repeated once more, if it may be.
    fn once_more(&mut self, place: Place) -> Option<u32> {
        let mut counts = self.counts[place.counts as usize].to_vec();
        match counts.binary_search_by_key(&place.state, |(state, _)| *state) {
            Ok(found) if counts[found].1 == MAX_EMPTY => return None,
            Ok(found) => counts[found].1 += 1,
            Err(gap) => counts.insert(gap, (place.state, 1)),
        }
        let counts = counts.into_boxed_slice();
        let next = self.counts.len() as u32;
        let all = &mut self.counts;
        Some(*self.numbers.entry(counts).or_insert_with_key(|counts| {
            all.push(counts.clone());
            next
        }))
    }

    /// Where the best match from a place on ends, if that is known; otherwise the place that must be known
    /// before.
    fn end_of(&self, place: Option<Place>) -> Result<Option<u32>, Place> {
        let Some(place) = place else { return Ok(None) };
        match self.walk(place, |_, _| {}) {
            Way::Nowhere => Ok(None),
            Way::Match(end) => Ok(Some(end)),
            Way::Fork(fork) => match self.known.get(&fork) {
                Some(best) => Ok(best.map(|best| best.end)),
                None => Err(fork),
            },
        }
    }

    /// Where the best match from a place on ends.
    fn solve(&mut self, from: Place) -> Result<Option<u32>, RegexError> {
        let mut frames = Vec::new();
        loop {
            let before = match frames.last_mut() {
                None => match self.end_of(Some(from)) {
                    Ok(end) => return Ok(end),
                    Err(before) => before,
                },
                Some(frame) => match self.judge(frame) {
                    Ok(best) => {
                        if self.known.len().max(self.counts.len()) >= MAX_KNOWN {
                            return Err(RegexError::TooLarge);
                        }
                        self.known.insert(frame.place, best);
                        frames.pop();
                        continue;
                    }
                    Err(before) => before,
                },
            };
            frames.push(Frame { place: before, first: None });
        }
    }

    /// The best match from a fork on, or a place of which that must be known before.
    fn judge(&mut self, frame: &mut Frame) -> Result<Option<Best>, Place> {
        let [one, other] = self.ways(frame.place);
        let first = match frame.first {
            Some(first) => first,
            None => *frame.first.insert(self.end_of(one)?),
        };
        let is_repeat = matches!(self.states[frame.place.state as usize], State::Repeat(..));
        let is_enough = |end| is_repeat || end as usize == self.text.len();
        let second = match first {
            Some(end) if is_enough(end) => None,
            _ => self.end_of(other)?,
        };
        Ok(match (first, second) {
            (first, Some(end)) if first.is_none_or(|first| first < end) => {
                Some(Best { end, second: true })
            }
            (first, _) => first.map(|end| Best { end, second: false }),
        })
    }

    /// Follows the best match from a place on, which is known, and notes what its groups matched last.
    fn replay(&mut self, mut place: Place, spans: &mut [Option<Range<usize>>]) {
        let mut opened = vec![0; spans.len()];
        loop {
            let way = self.walk(place, |state, at| match state {
                State::Open(group, _) => opened[group as usize] = at as usize,
                State::Close(group, _) => {
                    spans[group as usize] = Some(opened[group as usize]..at as usize);
                }
                _ => unreachable!("only groups are told of"),
            });
            let Way::Fork(fork) = way else { return };
            let best = self.known.get(&fork).copied().flatten();
            let second = best.expect("the best match goes by forks that lead to it").second;
            let ways = self.ways(fork);
            place = ways[usize::from(second)].expect("it was gone before");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by trying everything, as libstdc++ does: nothing is remembered.
    struct Naive<'r> {
        program: &'r Program,
        text: &'r [u8],
        whole: bool,
        /// Where each repetition stands, and how often it was there.
        counts: FxHashMap<Id, (usize, u8)>,
        opened: Vec<usize>,
        spans: Spans,
        best: Option<(usize, Spans)>,
        steps: usize,
    }

    impl Naive<'_> {
        /// Whether a match was found.
        fn tries(&mut self, id: Id, at: usize) -> bool {
            self.steps += 1;
            if self.steps > 200_000 {
                return false;
            }
            match self.program.states[id as usize] {
                State::Set(set, next) => {
                    self.text.get(at).is_some_and(|byte| set.has(*byte)) && self.tries(next, at + 1)
                }
                State::Start(next) => at == 0 && self.tries(next, at),
                State::End(next) => at == self.text.len() && self.tries(next, at),
                State::Skip(next) => self.tries(next, at),
                State::Open(group, next) => {
                    let before = std::mem::replace(&mut self.opened[group as usize], at);
                    let found = self.tries(next, at);
                    self.opened[group as usize] = before;
                    found
                }
                State::Close(group, next) => {
                    let span = self.opened[group as usize]..at;
                    let before = self.spans[group as usize + 1].replace(span);
                    let found = self.tries(next, at);
                    self.spans[group as usize + 1] = before;
                    found
                }
                State::Choice(one, other) => self.tries(one, at) | self.tries(other, at),
                State::Repeat(more, on) => {
                    let before = self.counts.get(&id).copied();
                    let times = match before {
                        Some((place, times)) if place == at => times,
                        _ => 0,
                    };
                    let mut found = false;
                    if times < MAX_EMPTY {
                        self.counts.insert(id, (at, times + 1));
                        found = self.tries(more, at);
                        match before {
                            Some(before) => self.counts.insert(id, before),
                            None => self.counts.remove(&id),
                        };
                    }
                    found || self.tries(on, at)
                }
                State::Accept if self.whole && at < self.text.len() => false,
                State::Accept => {
                    if self.best.as_ref().is_none_or(|(end, _)| *end < at) {
                        self.spans[0] = Some(0..at);
                        self.best = Some((at, self.spans.clone()));
                    }
                    true
                }
            }
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let atom = prop_oneof![Just("a"), Just("b"), Just("."), Just("[ab]"), Just("^"), Just("")];
        let sign = prop_oneof![
            4 => Just(""), 2 => Just("*"), 1 => Just("+"), 1 => Just("?"), 1 => Just("{0,2}"), 1 => Just("{1,}"),
        ];
        let group = |inner: String, sign: &str| format!("({inner}){sign}");
        atom.prop_map(str::to_owned).prop_recursive(4, 12, 3, move |inner| {
            let parts = prop::collection::vec((inner, sign.clone()), 1..4);
            (parts, any::<bool>()).prop_map(move |(parts, branches)| {
                let parts: Vec<_> =
                    parts.into_iter().map(|(part, sign)| group(part, sign)).collect();
                parts.join(if branches { "|" } else { "" })
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_remembered_changes_nothing(
            pattern in pattern(),
            text in "[abc]{0,6}",
            whole in any::<bool>(),
        ) {
            let program = Program::new(&Pattern::read(pattern.as_bytes()).unwrap()).unwrap();
            let mut naive = Naive {
                program: &program,
                text: text.as_bytes(),
                whole,
                counts: FxHashMap::default(),
                opened: vec![0; program.groups],
                spans: vec![None; program.groups + 1],
                best: None,
                steps: 0,
            };
            naive.tries(program.start, 0);
            prop_assume!(naive.steps <= 200_000);
            let best = naive.best.map(|(_, spans)| spans);
            prop_assert_eq!(program.run(text.as_bytes(), 0, whole).unwrap(), best, "{} {}", pattern, text);
        }
    }
}
