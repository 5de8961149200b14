//! An HTTP answer, as whoever reads it with regrant is given it.

use std::time::Duration;

use regrant::{http_date, retry_after};
use regrant_core::protocol::{ApiReply, TokenReply};

use crate::args::Kind;

/// How much of an API's body its reader wants: 64 KiB, and a byte that says that there was more.
const API_BODY: usize = (64 << 10) + 1;
/// The same of the token endpoint's: 1 MiB.
const TOKEN_BODY: usize = (1 << 20) + 1;

/// How much of a body is looked at. A longer one reads as one of this length.
pub(super) fn longest_body(kind: Kind) -> usize {
    match kind {
        Kind::Resource => API_BODY,
        Kind::Token => TOKEN_BODY,
    }
}

/// What came, line by line and byte by byte.
#[derive(Debug, Default)]
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// What of the request the answer is read against.
#[derive(Debug)]
pub(super) struct Asked {
    /// The scheme under which it carried a token; none if it carried none.
    pub(super) scheme: Option<String>,
    pub(super) sent_scope: bool,
    pub(super) dpop_required: bool,
}

impl HttpAnswer {
    /// The lines, as readers take them.
    pub(super) fn lines(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, line)| (name.as_str(), line.as_slice())).collect()
    }

    fn first(&self, name: &str) -> Option<&str> {
        let (_, line) = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(line).ok()
    }

    fn retry_after(&self) -> Option<Duration> {
        retry_after(self.first("retry-after")?, self.first("date"))
    }

    /// As the answer of an API.
    pub(super) fn api_reply<'a>(
        &'a self,
        lines: &'a [(&'a str, &'a [u8])],
        asked: &'a Asked,
    ) -> ApiReply<'a> {
        ApiReply {
            scheme: asked.scheme.as_deref(),
            status: self.status,
            headers: lines,
            retry_after: self.retry_after(),
            body: &self.body,
        }
    }

    /// As the answer of the token endpoint.
    pub(super) fn token_reply<'a>(
        &'a self,
        lines: &'a [(&'a str, &'a [u8])],
        asked: &Asked,
    ) -> TokenReply<'a> {
        TokenReply {
            status: self.status,
            headers: lines,
            retry_after: self.retry_after(),
            date: self.first("date").and_then(http_date),
            body: &self.body,
            scope_sent: asked.sent_scope,
            dpop_required: asked.dpop_required,
            sent: &[],
        }
    }
}
