//! Moments and lengths, as people read them.

use regrant::{SystemClocks, TimeSource as _, Timestamp};
use serde_json::Value;

/// Now, by the wall clock.
pub(crate) fn now() -> Timestamp {
    SystemClocks.wall()
}

/// In RFC 3339, UTC, to the second; `None` for what is no moment that a calendar has.
pub(crate) fn rfc3339(at: Timestamp) -> Option<String> {
    // The epoch stands for "unknown" in records that a logout left without the key.
    if at == Timestamp::EPOCH {
        return None;
    }
    let seconds = i64::try_from(at.as_millis() / 1_000).ok()?;
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

/// The same as JSON; `null` for none.
pub(crate) fn json(at: Option<Timestamp>) -> Value {
    at.and_then(rfc3339).map_or(Value::Null, Value::String)
}

/// When something may be tried again: a moment to come, or now.
pub(crate) fn to_come(at: Timestamp, now: Timestamp) -> String {
    if at > now { with_distance(at, now) } else { "now".to_owned() }
}

/// With how far away it is: `2026-03-01T12:00:00Z (in 59m 30s)`.
pub(crate) fn with_distance(at: Timestamp, now: Timestamp) -> String {
    let Some(text) = rfc3339(at) else { return "unknown".to_owned() };
    if at > now {
        format!("{text} (in {})", length(at.since(now)))
    } else {
        format!("{text} ({} ago)", length(now.since(at)))
    }
}

/// To the second, in at most two units: `59m 30s`.
pub(crate) fn length(length: std::time::Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = length.as_secs();
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        let count = rest / unit;
        rest %= unit;
        if count > 0 || text.is_empty() {
            let space = if text.is_empty() { "" } else { " " };
            text += &format!("{space}{count}{name}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lengths_have_at_most_two_units() {
        let seconds = Duration::from_secs;
        assert_eq!(length(seconds(0)), "0s");
        assert_eq!(length(seconds(59)), "59s");
        assert_eq!(length(seconds(3_600)), "1h");
        assert_eq!(length(seconds(3_599)), "59m 59s");
        assert_eq!(length(seconds(90_061)), "1d 1h");
    }

    #[test]
    fn moments_are_in_rfc_3339() {
        let at = Timestamp::from_millis(1_700_000_000_999);
        assert_eq!(rfc3339(at).unwrap(), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(Timestamp::EPOCH), None);
        assert_eq!(rfc3339(Timestamp::NEVER), None);
        let later = at + Duration::from_secs(61);
        assert_eq!(with_distance(later, at), "2023-11-14T22:14:21Z (in 1m 1s)");
    }
}
