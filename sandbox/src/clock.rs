//! The sandbox's own notion of now: the wall clock of this machine, shifted.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The last second that an HTTP-date can spell (9999-12-31T23:59:59Z).
const LAST_HTTP_DATE_MS: u64 = 253_402_300_799_000;

/// A wall clock with an offset that can be changed while the servers run.
#[derive(Debug)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    pub(crate) fn new(offset_ms: i64) -> Self {
        Self { offset_ms: AtomicI64::new(offset_ms) }
    }

    /// Milliseconds since the Unix epoch, as the sandbox sees it.
    pub(crate) fn now_ms(&self) -> u64 {
        wall_ms().saturating_add_signed(self.offset_ms())
    }

    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::SeqCst)
    }

    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::SeqCst);
    }

    /// The value of a `Date` header sent now (RFC 9110, section 6.6.1).
    pub(crate) fn http_date(&self) -> String {
        let now = self.now_ms().min(LAST_HTTP_DATE_MS);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(now))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox reads the clock")]
fn wall_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_now_both_ways() {
        let clock = Clock::new(3_600_000);
        let ahead = clock.now_ms();
        clock.set_offset_ms(-3_600_000);
        let behind = clock.now_ms();
        assert!(ahead - behind >= 7_100_000);
    }

    #[test]
    fn an_absurd_offset_still_gives_a_date() {
        let clock = Clock::new(i64::MAX);
        assert_eq!(clock.http_date(), "Fri, 31 Dec 9999 23:59:59 GMT");
        clock.set_offset_ms(i64::MIN);
        assert_eq!(clock.http_date(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
