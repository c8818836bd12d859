//! How moments are written on the command line and shown to a user: in the time zone of the
//! machine. Nothing else knows a calendar.

use floe_engine::explain::Since;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A request as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By number or time.
    Request(Since),
    /// By the revision of the sources that it saw.
    Revision(String),
}

/// A request as the command line names it.
pub fn since(text: &str) -> Result<Named, String> {
    if let Some(back) = text.strip_prefix('-') {
        return back
            .parse()
            .map(|back| Named::Request(Since::Back(back)))
            .map_err(|_| unknown(text));
    }
    if !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .map(|number| Named::Request(Since::Number(number)))
            .map_err(|_| unknown(text));
    }
    let Some(at) = moment(text) else {
        return if text.is_empty() {
            Err(unknown(text))
        } else {
            Ok(Named::Revision(text.to_owned()))
        };
    };
    // What ended within that second is no later.
    u64::try_from(at.as_second())
        .map(|at| Named::Request(Since::Time(at)))
        .map_err(|_| unknown(text))
}

fn unknown(text: &str) -> String {
    format!(
        "'{text}' names no request; a number of `floe explain --list`, -1 for the request before the newest, a time \
         such as 2026-11-27T10:00, or a revision of the Git repository here does"
    )
}

/// With a zone or an offset it is that moment, without one it is the machine's own time.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Some(zoned.timestamp());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let civil = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from));
    Some(civil.ok()?.to_zoned(TimeZone::system()).ok()?.timestamp())
}

/// A moment, in seconds since 1970, as a user reads it.
pub fn shown(at: u64) -> String {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok());
    let at = at.map(|at| at.to_zoned(TimeZone::system()));
    at.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_in_four_ways() {
        let request = |since| Ok(Named::Request(since));
        assert_eq!(since("12"), request(Since::Number(12)));
        assert_eq!(since("-3"), request(Since::Back(3)));
        assert_eq!(since("1970-01-01T00:01:40Z"), request(Since::Time(100)));
        assert_eq!(since("1970-01-01T01:01:40+01:00"), request(Since::Time(100)));
        assert!(matches!(since("2026-11-27T10:00"), Ok(Named::Request(Since::Time(_)))));
        assert!(matches!(since("2026-11-27"), Ok(Named::Request(Since::Time(_)))));
        let hash = "1234567890123456789012345678901234567890";
        for revision in ["HEAD~1", "main", hash, "12th"] {
            assert_eq!(since(revision), Ok(Named::Revision(revision.to_owned())));
        }
        for wrong in ["", "--3", "-"] {
            assert!(since(wrong).expect_err("no request").contains("--list"), "{wrong}");
        }
    }
}
