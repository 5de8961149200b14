//! What an API's answer says about the token, without taking anything from its reader.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use regrant::{Profile, Strength, Timestamp, Verdict, http_date, retry_after};
use regrant_core::protocol::{ApiReading, ApiReply, read_api_reply};
use reqwest::{Body, Response, ResponseBuilderExt as _};
use tokio::time::timeout;

use crate::body::{Replayed, Rest};

/// How much of a body is read to look for an error code: 64 KiB. No error message is longer.
const CAP: usize = 64 << 10;

/// How long a body may pause before it is taken for a stream, and read ahead no further: 2 s. The
/// text of an error comes with its head.
const PAUSE: Duration = Duration::from_secs(2);

/// What the answer to a request that carried a token says about it, and the answer again.
pub(crate) async fn judge(
    response: Response,
    scheme: &str,
    profile: Option<&Profile>,
) -> (ApiReading<'static>, Response) {
    let reading = read(&response, scheme, &[], profile);
    let status = response.status().as_u16();
    let wanted = profile.is_some_and(|profile| profile.reads_body(status))
        || (matches!(status, 401 | 403 | 429)
            && reading.verdict != Verdict::Rejected(Strength::Strong));
    if !wanted || !is_short(&response) {
        log(status, &reading);
        return (reading, response);
    }
    let (start, response) = peek(response).await;
    let reading = match &start {
        Some(start) => read(&response, scheme, start, profile),
        None => reading,
    };
    log(status, &reading);
    (reading, response)
}

fn log(status: u16, reading: &ApiReading<'_>) {
    let (rule, reason) = (&*reading.rule, reading.reason.as_deref());
    let (class, verdict) = (reading.class.as_str(), reading.verdict);
    tracing::debug!(target: "regrant", status, ?verdict, class, rule, reason, "the API answered");
}

fn read(
    response: &Response,
    scheme: &str,
    body: &[u8],
    profile: Option<&Profile>,
) -> ApiReading<'static> {
    let headers = response.headers();
    let lines: Vec<_> =
        headers.iter().map(|(name, line)| (name.as_str(), line.as_bytes())).collect();
    let reply = ApiReply {
        scheme: Some(scheme),
        status: response.status().as_u16(),
        headers: &lines,
        retry_after: wait(headers),
        body,
    };
    read_api_reply(&reply, profile).into_owned()
}

/// `Retry-After`, measured against the answer's own `Date`.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    retry_after(text(headers, &RETRY_AFTER)?, text(headers, &DATE))
}

/// `Date`, the time by the server's clock.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, &DATE)?)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the body is one that can be read ahead. One that may never end is left alone: streams of
/// JSON have types of their own (`application/x-ndjson`, `application/json-seq`).
fn is_short(response: &Response) -> bool {
    if let Some(length) = response.content_length() {
        return (1..=CAP as u64).contains(&length);
    }
    let line = text(response.headers(), &CONTENT_TYPE).unwrap_or_default();
    let media_type = line.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let format = media_type.rsplit(['/', '+']).next().unwrap_or_default();
    matches!(format, "json" | "xml") && !media_type.contains("stream")
}

/// The whole body, if it is short, and the response with its body as if it had not been read.
async fn peek(mut response: Response) -> (Option<Bytes>, Response) {
    let mut start = BytesMut::new();
    let (whole, rest) = loop {
        match timeout(PAUSE, response.chunk()).await {
            Ok(Ok(Some(chunk))) => start.extend_from_slice(&chunk),
            Ok(Ok(None)) => break (true, None),
            Ok(Err(error)) => break (false, Some(Rest::Broken(Some(error.into())))),
            Err(_) => break (false, None),
        }
        if start.len() > CAP {
            break (false, None);
        }
    };
    let start = start.freeze();
    let url = response.url().clone();
    let (parts, body) = http::Response::<Body>::from(response).into_parts();
    let rest = rest.unwrap_or(if whole { Rest::Nothing } else { Rest::Body(body) });
    let body = Body::wrap(Replayed::new(start.clone(), rest));
    let mut rebuilt = http::Response::builder()
        .url(url)
        .status(parts.status)
        .version(parts.version)
        .body(body)
        .expect("all parts are those of a response");
    *rebuilt.headers_mut() = parts.headers;
    rebuilt.extensions_mut().extend(parts.extensions);
    (whole.then_some(start), Response::from(rebuilt))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::sync::oneshot;

    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: Body) -> Response {
        let mut builder = http::Response::builder()
            .status(status)
            .url("https://api.example/x".parse().unwrap())
            .extension("kept");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        Response::from(builder.body(body).unwrap())
    }

    #[tokio::test]
    async fn the_challenge_decides_without_a_look_at_the_body() {
        let challenge = [("www-authenticate", "Bearer error=\"invalid_token\"")];
        let answer = response(401, &challenge, "body".into());
        let (reading, answer) = judge(answer, "Bearer", None).await;
        assert_eq!(reading.verdict, Verdict::Rejected(Strength::Strong));
        assert_eq!(answer.text().await.unwrap(), "body");
    }

    #[tokio::test]
    async fn a_code_in_the_body_counts_and_the_body_stays_whole() {
        let json = r#"{"error":"invalid_token"}"#;
        for status in [401, 403] {
            let (reading, answer) = judge(response(status, &[], json.into()), "Bearer", None).await;
            assert_eq!(reading.verdict, Verdict::Rejected(Strength::Strong));
            assert_eq!(answer.url().as_str(), "https://api.example/x");
            assert_eq!(answer.extensions().get::<&str>(), Some(&"kept"));
            assert_eq!(answer.content_length(), Some(json.len() as u64));
            assert_eq!(answer.text().await.unwrap(), json);
        }
    }

    #[tokio::test]
    async fn a_long_body_is_no_evidence_and_stays_whole() {
        let long = "x".repeat(CAP + 1);
        let (reading, answer) =
            judge(response(401, &[], long.clone().into()), "Bearer", None).await;
        assert_eq!(reading.verdict, Verdict::Rejected(Strength::Weak));
        assert_eq!(answer.text().await.unwrap(), long);
    }

    #[tokio::test]
    async fn a_long_body_of_unknown_length_stays_whole() {
        let long = Bytes::from("x".repeat(CAP + 1));
        let body = Replayed::new(
            Bytes::from_static(b"a"),
            Rest::Body(Body::wrap_stream(Two(vec![long.clone(), long.clone()]))),
        );
        let json = [("content-type", "application/problem+json")];
        let (reading, answer) = judge(response(401, &json, Body::wrap(body)), "Bearer", None).await;
        assert_eq!(reading.verdict, Verdict::Rejected(Strength::Weak));
        assert_eq!(answer.bytes().await.unwrap().len(), 1 + 2 * long.len());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_breaks_off_for_its_reader_too() {
        let broken = Rest::Broken(Some("cut".into()));
        let body = Body::wrap(Replayed::new(Bytes::from_static(b"{\"er"), broken));
        let json = [("content-type", "application/json")];
        let (reading, mut answer) = judge(response(401, &json, body), "Bearer", None).await;
        assert_eq!(reading.verdict, Verdict::Rejected(Strength::Weak));
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "{\"er");
        assert!(answer.chunk().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_is_handed_on_and_goes_on_where_it_paused() {
        let json = [("content-type", "application/json")];
        let (go_on, pause) = oneshot::channel();
        let body = Body::wrap_stream(Watching { events: 2, pause: Some(pause) });
        let profile = Profile::of("slack").unwrap();
        let (reading, mut answer) =
            judge(response(200, &json, body), "Bearer", Some(&profile)).await;
        assert_eq!(reading.verdict, Verdict::Accepted);
        go_on.send(()).unwrap();
        for _ in 0..2 {
            assert_eq!(answer.chunk().await.unwrap().unwrap(), "{}");
        }
        assert!(answer.chunk().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_stream_of_json_is_not_read_ahead() {
        let stream = |media_type| response(200, &[("content-type", media_type)], endless());
        for media_type in [
            "application/x-ndjson",
            "application/json-seq",
            "application/stream+json",
            "text/event-stream",
            "",
        ] {
            assert!(!is_short(&stream(media_type)), "{media_type}");
        }
        for media_type in
            ["application/json; charset=utf-8", "application/problem+JSON", "text/xml"]
        {
            assert!(is_short(&stream(media_type)), "{media_type}");
        }
    }

    fn endless() -> Body {
        Body::wrap_stream(Watching { events: u8::MAX, pause: None })
    }

    /// Events, with a pause before the last.
    struct Watching {
        events: u8,
        pause: Option<oneshot::Receiver<()>>,
    }

    impl futures_core::Stream for Watching {
        type Item = Result<&'static str, std::io::Error>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            if self.events == 1
                && let Some(pause) = &mut self.pause
            {
                ready!(Pin::new(pause).poll(context)).unwrap();
                self.pause = None;
            }
            let event = self.events.checked_sub(1).map(|left| self.events = left);
            Poll::Ready(event.map(|()| Ok("{}")))
        }
    }

    struct Two(Vec<Bytes>);

    impl Two {
        fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
            self.0.pop().map(Ok)
        }
    }

    impl futures_core::Stream for Two {
        type Item = Result<Bytes, std::io::Error>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.next())
        }
    }
}
