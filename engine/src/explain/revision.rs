//! Which request saw the world as a revision of its sources holds it. Requests say what was edited between them, so the
//! places that ever changed are enough to tell them apart. Knows no version control: whoever asks says what is held.

use std::collections::BTreeMap;

use floe_core::path::StorePath;

use crate::journal::{Head, Logged};
use crate::ledger::Short;
use crate::reads::Place;

/// What a request found at a place that changes from request to request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content<'a> {
    /// A file that evaluation read, and the digest of its content; none if it was not there.
    File(&'a str, Option<Short>),
    /// A source: where it lies, and what it became in the store.
    Source(&'a str, &'a StorePath),
}

impl<'a> Content<'a> {
    /// The file or folder.
    pub fn path(&self) -> &'a str {
        match self {
            Self::File(path, _) | Self::Source(path, _) => path,
        }
    }
}

/// The request that is nearest to a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// Its number.
    pub request: u64,
    /// The files and folders that it found otherwise than the revision holds them.
    pub otherwise: Vec<String>,
}

/// The newest request of those that found the fewest places otherwise. `holds` says whether a revision holds a content;
/// `None` where it says nothing of the place. Requests of before the journal's oldest are not asked about. None if there
/// is no request.
///
/// # Errors
/// Those of `holds`.
pub fn nearest<E>(
    head: Head,
    journal: &[(u64, Logged)],
    mut holds: impl FnMut(&Content<'_>) -> Result<Option<bool>, E>,
) -> Result<Option<Nearest>, E> {
    let mut places = Vec::new();
    for history in histories(journal).into_values() {
        let mut held = Vec::new();
        for (since, content) in &history {
            held.push((*since, holds(content)?));
        }
        // What the revision says nothing of tells no request from another.
        if held.iter().all(|(_, held)| held.is_some()) {
            places.push((history[0].1.path(), held));
        }
    }
    let otherwise = |request: u64| {
        places.iter().filter(move |(_, held)| {
            let then = held.iter().rev().find(|(since, _)| *since <= request);
            then.is_some_and(|(_, held)| *held == Some(false))
        })
    };
    let requests = head.oldest.max(1)..=head.newest;
    let nearest = requests.rev().min_by_key(|request| otherwise(*request).count());
    Ok(nearest.map(|request| {
        let mut otherwise: Vec<String> =
            otherwise(request).map(|(path, _)| (*path).to_owned()).collect();
        otherwise.dedup();
        Nearest { request, otherwise }
    }))
}

/// What was found at each place, and since which request. What a file was before it was first seen to be edited, it was
/// from the beginning.
fn histories(journal: &[(u64, Logged)]) -> BTreeMap<(&str, &str), Vec<(u64, Content<'_>)>> {
    let mut places: BTreeMap<(&str, &str), Vec<(u64, Content<'_>)>> = BTreeMap::new();
    for (number, logged) in journal {
        for edit in &logged.edits {
            if let Place::File(path) = &edit.place {
                let history = places.entry((path, "")).or_default();
                if history.is_empty() {
                    history.push((0, Content::File(path, edit.old)));
                }
                history.push((*number, Content::File(path, edit.new)));
            }
        }
        for (path, origin) in &logged.sources {
            // One folder may become several objects, by name.
            let history = places.entry((origin, path.name())).or_default();
            history.push((*number, Content::Source(origin, path)));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use floe_core::hash::Digest;

    use super::*;
    use crate::reads::Edit;

    fn short(text: &str) -> Option<Short> {
        Some(Digest::of(text.as_bytes()).into())
    }

    fn edited(path: &str, old: &str, new: &str) -> Edit {
        Edit { place: Place::File(path.to_owned()), old: short(old), new: short(new) }
    }

    fn source(digit: u8) -> StorePath {
        StorePath::new(&[digit; 20], "src").expect("a path")
    }

    #[test]
    fn the_newest_request_that_saw_the_same_is_found() {
        let logged = |edits: Vec<Edit>, sources: Vec<(StorePath, String)>| Logged {
            edits,
            sources,
            ..Logged::plain(0)
        };
        let src = |digit| vec![(source(digit), "/w/src".to_owned())];
        let journal = [
            (1, logged(vec![], src(1))),
            (
                2,
                logged(
                    vec![edited("/w/a.nix", "a1", "a2"), edited("/else/b.nix", "b1", "b2")],
                    vec![],
                ),
            ),
            (3, logged(vec![], src(2))),
            (4, logged(vec![edited("/w/a.nix", "a2", "a3")], vec![])),
        ];
        let head = Head { oldest: 1, newest: 4, ..Head::default() };
        let at = |a: &str, digit: u8| {
            let holds = |content: &Content<'_>| {
                Ok::<_, Infallible>(match content {
                    Content::File("/w/a.nix", digest) => Some(*digest == short(a)),
                    Content::Source(_, path) => Some(**path == source(digit)),
                    Content::File(..) => None,
                })
            };
            nearest(head, &journal, holds).expect("infallible").expect("some request")
        };
        let exactly = |request| Nearest { request, otherwise: vec![] };
        assert_eq!(at("a1", 1), exactly(1));
        assert_eq!(at("a2", 1), exactly(2));
        assert_eq!(at("a2", 2), exactly(3));
        assert_eq!(at("a3", 2), exactly(4));
        assert_eq!(at("a9", 2), Nearest { request: 4, otherwise: vec!["/w/a.nix".to_owned()] });
        let nothing = |_: &Content<'_>| Ok::<_, Infallible>(None);
        assert_eq!(nearest(head, &journal, nothing).expect("infallible"), Some(exactly(4)));
        assert_eq!(nearest(Head::default(), &[], nothing).expect("infallible"), None);
    }
}
