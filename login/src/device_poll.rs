//! Asking for the token of a device until there is one (RFC 8628 section 3.5).

use std::ops::Add;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, StandardDeviceAuthorizationResponse};
use regrant_core::Answer;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::device::DeviceError;
use crate::http::{HttpError, Reply};
use crate::token::{Attempt, LoggedIn, TokenError};

/// What `slow_down` adds to the interval, for good (section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// The longest that failures alone make the interval, a minute: a user who has finished waits for
/// no more than that.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// The server's pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) interval: Duration,
    pub(crate) expires_in: Duration,
}

/// What one answer means for the polling.
enum Step {
    /// Not yet: ask again, and not before this long.
    Pending(Option<Duration>),
    /// Not yet, and not so often.
    SlowDown(Option<Duration>),
    /// No answer, or none from the server itself.
    Failed(Option<Duration>),
    /// That was it.
    Ended(Box<Result<LoggedIn, DeviceError>>),
}

/// What became of the polling so far.
struct Progress {
    /// What the server asked for, which no failure may undercut.
    interval: Duration,
    /// What the last answer asked for.
    retry_after: Option<Duration>,
    ended: Option<Result<LoggedIn, DeviceError>>,
}

/// The request timed out or its answer says nothing. `oauth2` doubles its interval for it.
#[derive(Debug, thiserror::Error)]
#[error("no answer about the login")]
struct NoAnswer;

/// An answer under way.
pub(crate) type Posted = Pin<Box<dyn Future<Output = Result<Reply, HttpError>> + Send>>;

/// What sends a message to the token endpoint.
pub(crate) type Post = Box<dyn Fn(HttpRequest) -> Posted + Send + Sync>;

/// Carries the messages of `oauth2`, which learns what it needs to go on or to end, and sees no
/// token.
struct Poller {
    attempt: Attempt,
    post: Post,
    progress: Mutex<Progress>,
}

/// Asks until the server grants, refuses, or the codes have expired. A request that is under way
/// by then is waited for: it may bring the grant.
pub(crate) async fn poll(
    attempt: Attempt,
    announced: &StandardDeviceAuthorizationResponse,
    schedule: &Schedule,
    expiry: impl Future<Output = ()>,
    post: Post,
) -> Result<LoggedIn, DeviceError> {
    let messages = attempt.request.messages(&attempt.server)?;
    let resources = attempt.request.resources.clone();
    let progress = Progress { interval: schedule.interval, retry_after: None, ended: None };
    let poller = Arc::new(Poller { attempt, post, progress: Mutex::new(progress) });
    let (expire, expired) = watch::channel(false);

    let pause = {
        let (poller, expired) = (Arc::clone(&poller), expired.clone());
        move |interval| poller.pause(interval, expired.clone())
    };
    let now = {
        let (expired, late) = (expired.clone(), schedule.expires_in * 2);
        move || stand_still(*expired.borrow(), late)
    };
    let mut message = messages
        .exchange_device_access_token(announced)
        .set_time_fn(now)
        .set_max_backoff_interval(LONGEST_BACKOFF.max(schedule.interval));
    for resource in resources {
        message = message.add_extra_param("resource", resource);
    }
    let polling = async {
        // Nobody has finished yet, and the server counts from when it gave the codes.
        pause(schedule.interval).await;
        // The poller keeps the answer; what `oauth2` makes of its absence says nothing.
        let _ = message.request_async(&*poller, pause, None).await;
    };
    tokio::pin!(polling);
    tokio::select! {
        () = &mut polling => {}
        () = expiry => {
            expire.send_replace(true);
            polling.await;
        }
    }
    let ended = poller.progress().ended.take();
    ended.unwrap_or_else(|| {
        if *expired.borrow() {
            return Err(DeviceError::Expired);
        }
        // `oauth2` ends by itself only if it cannot write the message.
        let host = poller.attempt.server.token_endpoint.origin().host().to_owned();
        Err(TokenError::Http(HttpError::Unsendable { host }).into())
    })
}

impl Poller {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `oauth2`, the server and its last answer want, or until the codes expire.
    fn pause(
        &self,
        interval: Duration,
        mut expired: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let progress = self.progress();
        let pause = interval.max(progress.interval).max(progress.retry_after.unwrap_or_default());
        Box::pin(async move {
            tokio::select! {
                () = sleep(pause) => {}
                _ = expired.wait_for(|expired| *expired) => {}
            }
        })
    }
}

impl<'c> AsyncHttpClient<'c> for Poller {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, message: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let step = step(&self.attempt, (self.post)(message).await);
            self.progress().take(step)
        })
    }
}

impl Progress {
    /// Notes what an answer means, and says it in the words that `oauth2` goes by.
    fn take(&mut self, step: Step) -> Result<HttpResponse, NoAnswer> {
        match step {
            Step::Pending(retry_after) => {
                self.retry_after = retry_after;
                Ok(error("authorization_pending"))
            }
            Step::SlowDown(retry_after) => {
                self.retry_after = retry_after;
                self.interval += SLOWER;
                Ok(error("slow_down"))
            }
            Step::Failed(retry_after) => {
                self.retry_after = retry_after;
                Err(NoAnswer)
            }
            Step::Ended(ended) => {
                self.ended = Some(*ended);
                Ok(HttpResponse::default())
            }
        }
    }
}

fn step(attempt: &Attempt, sent: Result<Reply, HttpError>) -> Step {
    let ended = |ended| Step::Ended(Box::new(ended));
    let reply = match sent {
        Ok(reply) => reply,
        Err(error @ (HttpError::Unreachable { .. } | HttpError::TimedOut { .. })) => {
            tracing::debug!(target: "regrant", %error, "no answer about the login");
            return Step::Failed(None);
        }
        Err(error @ (HttpError::Address(_) | HttpError::Unsendable { .. })) => {
            return ended(Err(TokenError::Http(error).into()));
        }
    };
    let reading = attempt.read(&reply);
    if let Answer::Failed(failure) = &reading.answer {
        let code = failure.code.as_deref().unwrap_or_default();
        if code.eq_ignore_ascii_case("authorization_pending") {
            return Step::Pending(failure.retry_after);
        }
        if code.eq_ignore_ascii_case("slow_down") {
            return Step::SlowDown(failure.retry_after);
        }
        // A server that is busy, or a gateway: no error response of RFC 6749 section 5.2, after
        // which polling must end.
        if matches!(reply.status, 408 | 425 | 429 | 500..) {
            return Step::Failed(failure.retry_after);
        }
    }
    let is = |code: &str| matches!(&reading.answer, Answer::Refused(refusal) if refusal.code.eq_ignore_ascii_case(code));
    if is("access_denied") {
        ended(Err(DeviceError::Denied))
    } else if is("expired_token") {
        ended(Err(DeviceError::Expired))
    } else {
        ended(attempt.accept(reading).map_err(Into::into))
    }
}

/// An error response with this code and nothing else.
fn error(code: &str) -> HttpResponse {
    let body = format!(r#"{{"error":"{code}"}}"#).into_bytes();
    let mut response = HttpResponse::new(body);
    *response.status_mut() = http::StatusCode::BAD_REQUEST;
    response
}

/// The clock that `oauth2` is given: it stands still, and is `late` once the codes have expired.
fn stand_still<T: Default + Add<Duration, Output = T>>(expired: bool, late: Duration) -> T {
    if expired { T::default() + late } else { T::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use zeroize::Zeroizing;

    use super::*;
    use crate::http::Http;
    use crate::reach::Reach;
    use crate::request::LoginRequest;
    use crate::server_metadata::{Endpoints, ServerMetadata};

    const PENDING: &str = r#"{"error":"authorization_pending"}"#;
    const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;
    const GRANT: &str = r#"{"access_token":"a","token_type":"Bearer","expires_in":"3600"}"#;

    /// One answer of the script: a status and a body, or no answer at all.
    #[derive(Clone, Copy)]
    enum Scripted {
        Says(u16, &'static str),
        AsksToWait(u16, &'static str),
        Silent,
        /// Says this after so many seconds.
        Late(u64, &'static str),
    }
    use Scripted::{AsksToWait, Late, Says, Silent};

    fn attempt() -> Attempt {
        // Installed already by another test of this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoints = Endpoints { token: "https://as.example/token", ..Endpoints::default() };
        let server = ServerMetadata::explicit(&endpoints).unwrap();
        let http = Http::new(Reach::Public).unwrap();
        Attempt::new(&http, &server, &LoginRequest::new("app")).unwrap()
    }

    /// Lets virtual time go by.
    async fn pass(length: Duration) {
        let nothing = std::future::pending::<()>();
        tokio::time::timeout(length, nothing).await.unwrap_err();
    }

    /// Polls through the script, of which the last line holds from then on. The seconds at which
    /// requests came, and the end.
    async fn polled(
        interval: u64,
        expires_in: u64,
        script: &[Scripted],
    ) -> (Vec<u64>, Result<LoggedIn, DeviceError>) {
        // Counts in the middle of each second, so that no moment is on the edge of two.
        let clock = Arc::new(AtomicU64::new(0));
        let ticking = Arc::clone(&clock);
        tokio::spawn(async move {
            pass(Duration::from_millis(500)).await;
            loop {
                ticking.fetch_add(1, Ordering::Relaxed);
                pass(Duration::from_secs(1)).await;
            }
        });
        let announced = serde_json::from_value(serde_json::json!({
            "device_code": "d", "user_code": "u", "verification_uri": "https://as.example/d",
            "expires_in": expires_in, "interval": interval,
        }))
        .unwrap();
        let schedule = Schedule {
            interval: Duration::from_secs(interval),
            expires_in: Duration::from_secs(expires_in),
        };
        let times = Arc::new(Mutex::new(Vec::new()));
        let (noted, script) = (Arc::clone(&times), script.to_vec());
        let post = move |message: HttpRequest| -> Posted {
            let body = String::from_utf8(message.into_body()).unwrap();
            assert!(body.contains("device_code=d") && body.contains("client_id=app"), "{body}");
            let mut times = noted.lock().unwrap();
            let scripted = script[times.len().min(script.len() - 1)];
            times.push(clock.load(Ordering::Relaxed));
            Box::pin(async move {
                let (status, body) = match scripted {
                    Says(status, body) | AsksToWait(status, body) => (status, body),
                    Silent => return Err(HttpError::TimedOut { host: "as.example".into() }),
                    Late(seconds, body) => {
                        pass(Duration::from_secs(seconds)).await;
                        (200, body)
                    }
                };
                let mut headers = HeaderMap::new();
                if matches!(scripted, AsksToWait(..)) {
                    headers.insert(RETRY_AFTER, HeaderValue::from_static("42"));
                }
                let body = Zeroizing::new(body.as_bytes().to_vec());
                Ok(Reply { status, headers, body, sent: Vec::new() })
            })
        };
        let expiry = pass(schedule.expires_in);
        let ended = poll(attempt(), &announced, &schedule, expiry, Box::new(post)).await;
        let times = times.lock().unwrap().clone();
        (times, ended)
    }

    #[tokio::test(start_paused = true)]
    async fn the_interval_is_kept_from_the_beginning() {
        let script = [Says(400, PENDING), Says(400, PENDING), Says(200, GRANT)];
        let (times, ended) = polled(5, 900, &script).await;
        assert_eq!(times, [5, 10, 15]);
        assert_eq!(ended.unwrap().grant.access_token.expose(), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_down_adds_five_seconds_for_good() {
        let script = [
            Says(400, SLOW_DOWN),
            Says(400, PENDING),
            Says(429, SLOW_DOWN),
            Says(400, PENDING),
            Says(200, GRANT),
        ];
        let (times, ended) = polled(5, 900, &script).await;
        assert_eq!(times, [5, 15, 25, 40, 55]);
        assert!(ended.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_doubles_the_interval_up_to_a_minute() {
        let gateway = Says(502, "<html>bad gateway</html>");
        let script = [Silent, gateway, Silent, Silent, Silent, Says(200, GRANT)];
        let (times, ended) = polled(5, 900, &script).await;
        assert_eq!(times, [5, 15, 35, 75, 135, 195]);
        assert!(ended.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_never_undercut_what_the_server_asked_for() {
        let script = [Says(400, SLOW_DOWN), Silent, Silent, Says(200, GRANT)];
        let (times, ended) = polled(60, 900, &script).await;
        assert_eq!(times, [60, 125, 190, 255]);
        assert!(ended.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_ask_for_one_longer_wait() {
        let script = [AsksToWait(503, "busy"), Says(400, PENDING), Says(200, GRANT)];
        let (times, ended) = polled(5, 900, &script).await;
        assert_eq!(times, [5, 47, 57]);
        assert!(ended.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn polling_ends_with_the_codes() {
        let (times, ended) = polled(5, 12, &[Says(400, PENDING)]).await;
        assert_eq!(times, [5, 10]);
        assert!(matches!(ended, Err(DeviceError::Expired)));
        let (times, ended) = polled(5, 12, &[Silent]).await;
        assert_eq!(times, [5]);
        assert!(matches!(ended, Err(DeviceError::Expired)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_that_comes_as_the_codes_expire_is_taken() {
        let (times, ended) = polled(5, 12, &[Says(400, PENDING), Late(4, GRANT)]).await;
        assert_eq!(times, [5, 10]);
        assert!(ended.is_ok(), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_error_ends_the_polling_at_once() {
        for (status, body) in [
            (400, r#"{"error":"access_denied"}"#),
            (400, r#"{"error":"expired_token"}"#),
            (400, r#"{"error":"invalid_grant"}"#),
            (401, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"surprise"}"#),
            (200, "<html>captive portal</html>"),
            (302, ""),
        ] {
            let (times, ended) = polled(5, 900, &[Says(status, body)]).await;
            assert_eq!(times, [5], "{body}");
            let error = ended.unwrap_err();
            match body {
                b if b.contains("denied") => assert!(matches!(error, DeviceError::Denied)),
                b if b.contains("expired") => assert!(matches!(error, DeviceError::Expired)),
                b if b.contains("grant") => {
                    assert!(matches!(error, DeviceError::Token(TokenError::Refused { .. })));
                }
                _ => assert!(matches!(error, DeviceError::Token(TokenError::Failed { .. }))),
            }
        }
    }
}
