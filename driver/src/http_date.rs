//! Moments and waits in HTTP headers, which every transport reads alike.

use std::time::Duration;

use regrant_core::Timestamp;

use crate::clock::{SystemClocks, TimeSource as _};

/// A moment as HTTP writes it, in any of its three forms (RFC 9110 section 5.6.7).
pub fn http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    Some(Timestamp::EPOCH + time.duration_since(std::time::UNIX_EPOCH).ok()?)
}

/// How long a server asks to be left alone, by the first line of `Retry-After` (RFC 9110 section
/// 10.2.3): seconds, or a date. A date is measured against the answer's own `Date`, for the
/// server's clock wrote both. What is neither counts as absent, and so does a date that is past.
///
/// ```
/// use std::time::Duration;
///
/// let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
/// let wait = regrant::retry_after("Wed, 21 Oct 2015 07:29:30 GMT", date);
/// assert_eq!(wait, Some(Duration::from_secs(90)));
/// assert_eq!(regrant::retry_after("120", None), Some(Duration::from_secs(120)));
/// assert_eq!(regrant::retry_after("soon", None), None);
/// ```
pub fn retry_after(line: &str, date: Option<&str>) -> Option<Duration> {
    let line = line.trim();
    if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is a very long time; the reader of the answer clamps it.
        return Some(Duration::from_secs(line.parse().unwrap_or(u64::MAX)));
    }
    let now = date.and_then(http_date).unwrap_or_else(|| SystemClocks.wall());
    Some(http_date(line)?.since(now)).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(line: &str, date: Option<&str>) -> Option<u64> {
        retry_after(line, date).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait(" 0 ", None), Some(0));
        assert_eq!(wait("99999999999999999999", None), Some(u64::MAX));
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(wait("Wed, 21 Oct 2015 07:29:30 GMT", date), Some(90));
        assert_eq!(wait("Wednesday, 21-Oct-15 07:28:10 GMT", date), Some(10));
        assert_eq!(wait("Wed Oct 21 07:28:20 2015", date), Some(20));
    }

    #[test]
    fn what_is_neither_is_absent() {
        for line in ["", "-1", "1.5", "soon", "Wed, 21 Oct 2015 07:27:00 GMT"] {
            assert_eq!(wait(line, Some("Wed, 21 Oct 2015 07:28:00 GMT")), None, "{line}");
        }
    }
}
