//! Which request somebody means by a number, a count back or a time. How a time is written is the
//! command's affair.

use crate::journal::{Head, Logged};

/// A way to name a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// By its number; 0 is the beginning.
    Number(u64),
    /// So many requests ago.
    Back(u64),
    /// The last one that had ended at this time, in seconds since 1970.
    Time(u64),
}

/// Why there is no such request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// There is none at all.
    #[error("no request is kept yet; build something first")]
    Empty,
    /// It was not made yet.
    #[error("there is no request {0} yet; the newest is {1}")]
    Future(u64, u64),
    /// It was made and is not kept.
    #[error(
        "how things stood after request {0} is no longer kept; the oldest request that is kept is {1} \
         (`floe explain --list` lists them)"
    )]
    Dropped(u64, u64),
    /// All that is kept is newer.
    #[error(
        "how things stood then is no longer kept; the oldest request that is kept is {0} \
         (`floe explain --list` lists them)"
    )]
    TooEarly(u64),
}

impl Since {
    /// The number of the request.
    ///
    /// # Errors
    /// When there is none, or how things stood after it is not kept.
    pub fn resolve(self, head: Head, journal: &[(u64, Logged)]) -> Result<u64, SinceError> {
        if head.newest == 0 {
            return Err(SinceError::Empty);
        }
        let number = match self {
            Since::Number(number) => number,
            Since::Back(count) => match head.newest.checked_sub(count) {
                Some(number) => number,
                None => return Err(SinceError::TooEarly(head.oldest)),
            },
            Since::Time(at) => {
                let later = journal.iter().find(|(_, logged)| logged.at > at);
                match later {
                    // What was dropped before it may be later, too.
                    Some((number, _)) if *number == head.oldest && head.oldest > 1 => {
                        return Err(SinceError::TooEarly(head.oldest));
                    }
                    Some((number, _)) => number - 1,
                    None => head.newest,
                }
            }
        };
        match number {
            number if number > head.newest => Err(SinceError::Future(number, head.newest)),
            number if !head.knows(number) => Err(SinceError::Dropped(number, head.oldest)),
            number => Ok(number),
        }
    }
}

/// The request after which things stood as they did before request `at` of a rebuilder: the one
/// before it for the same task, or for the same targets where no task is meant.
pub fn before(at: u64, task: Option<&str>, rebuilder: &str, journal: &[(u64, Logged)]) -> u64 {
    let this = journal.iter().find(|(number, _)| *number == at);
    let is_earlier = |(number, logged): &&(u64, Logged)| {
        let for_the_same = match task {
            Some(task) => logged.is_for(task, rebuilder),
            None => this.is_some_and(|(_, this)| {
                this.targets == logged.targets && this.rebuilder == logged.rebuilder
            }),
        };
        *number < at && for_the_same
    };
    let earlier = journal.iter().rev().find(is_earlier);
    earlier.map_or(at.saturating_sub(1), |(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(at: u64, target: &str) -> Logged {
        let targets = vec![target.to_owned()];
        Logged { targets, target_count: 1, ..Logged::plain(at) }
    }

    #[test]
    fn a_request_is_named_in_three_ways() {
        let head = Head { newest: 5, oldest: 3, ..Head::default() };
        let journal = [(3, logged(30, "a")), (4, logged(40, "b")), (5, logged(50, "a"))];
        let found = |since: Since| since.resolve(head, &journal);
        assert_eq!(found(Since::Number(5)), Ok(5));
        assert_eq!(found(Since::Number(2)), Ok(2), "how things stood before the oldest is known");
        assert_eq!(found(Since::Number(1)), Err(SinceError::Dropped(1, 3)));
        assert_eq!(found(Since::Number(6)), Err(SinceError::Future(6, 5)));
        assert_eq!(found(Since::Back(0)), Ok(5));
        assert_eq!(found(Since::Back(3)), Ok(2));
        assert_eq!(found(Since::Back(4)), Err(SinceError::Dropped(1, 3)));
        assert_eq!(found(Since::Back(9)), Err(SinceError::TooEarly(3)));
        assert_eq!(found(Since::Time(40)), Ok(4));
        assert_eq!(found(Since::Time(99)), Ok(5));
        assert_eq!(found(Since::Time(29)), Err(SinceError::TooEarly(3)));
        assert_eq!(Since::Back(0).resolve(Head::default(), &[]), Err(SinceError::Empty));
        let whole = Head { oldest: 1, newest: 1, ..Head::default() };
        assert_eq!(Since::Time(0).resolve(whole, &[(1, logged(30, "a"))]), Ok(0));
        let before_5 = |task, rebuilder| before(5, task, rebuilder, &journal);
        assert_eq!(before_5(Some("a/x"), "content-addressed"), 3);
        assert_eq!(before_5(Some("c"), "content-addressed"), 4);
        assert_eq!(before_5(Some("a/x"), "input-addressed"), 4);
        assert_eq!(before_5(None, "content-addressed"), 3);
    }
}
