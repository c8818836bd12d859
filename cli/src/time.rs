//! How moments are written on the command line and shown to a user: in the time zone of the
//! machine. Nothing else knows a calendar.

use floe_engine::explain::Since;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A request as the command line names it.
pub fn since(text: &str) -> Result<Since, String> {
    if let Some(back) = text.strip_prefix('-') {
        return back.parse().map(Since::Back).map_err(|_| unknown(text));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Since::Number).map_err(|_| unknown(text));
    }
    let at = moment(text).ok_or_else(|| unknown(text))?;
    // What ended within that second is no later.
    u64::try_from(at.as_second()).map(Since::Time).map_err(|_| unknown(text))
}

fn unknown(text: &str) -> String {
    format!(
        "'{text}' names no request; a number of `floe explain --list`, -1 for the request before the newest, or a \
         time such as 2026-11-27T10:00 does"
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
    fn a_request_is_written_in_three_ways() {
        assert_eq!(since("12"), Ok(Since::Number(12)));
        assert_eq!(since("-3"), Ok(Since::Back(3)));
        assert_eq!(since("1970-01-01T00:01:40Z"), Ok(Since::Time(100)));
        assert_eq!(since("1970-01-01T01:01:40+01:00"), Ok(Since::Time(100)));
        assert!(matches!(since("2026-11-27T10:00"), Ok(Since::Time(_))));
        assert!(matches!(since("2026-11-27"), Ok(Since::Time(_))));
        for wrong in ["", "HEAD~1", "--3", "-", "12th", "2026-13-01"] {
            assert!(since(wrong).expect_err("no request").contains("--list"), "{wrong}");
        }
    }
}
