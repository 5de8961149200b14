//! How long a server asks us to wait.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use regrant::{SystemClocks, TimeSource as _, Timestamp};

/// `Retry-After` (RFC 9110 section 10.2.3), the first line of several: seconds, or a date, which
/// is measured against the answer's own `Date`, for the server's clock wrote both. What is
/// neither counts as absent, and so does a date that is past.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is a very long time; the reader of the answer clamps it.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = date(value)?;
    let now = headers.get(DATE).and_then(|line| date(line.to_str().ok()?));
    let wait = until.since(now.unwrap_or_else(|| SystemClocks.wall()));
    Some(wait).filter(|wait| !wait.is_zero())
}

fn date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    Some(Timestamp::EPOCH + time.duration_since(std::time::UNIX_EPOCH).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after_line: &str, date_line: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_line.parse().unwrap());
        if let Some(line) = date_line {
            headers.insert(DATE, line.parse().unwrap());
        }
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait(" 0 ", None), Some(0));
        assert_eq!(wait("99999999999999999999", None), Some(u64::MAX));
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(wait("Wed, 21 Oct 2015 07:29:30 GMT", date), Some(90));
        assert_eq!(wait("Wednesday, 21-Oct-15 07:28:10 GMT", date), Some(10));
    }

    #[test]
    fn what_is_neither_is_absent() {
        for line in ["", "-1", "1.5", "soon", "Wed, 21 Oct 2015 07:27:00 GMT"] {
            assert_eq!(wait(line, Some("Wed, 21 Oct 2015 07:28:00 GMT")), None, "{line}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
