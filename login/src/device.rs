//! A login on another device (RFC 8628).

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use oauth2::{DeviceAuthorizationUrl, StandardDeviceAuthorizationResponse};
use serde::{Deserialize, Deserializer};
use tokio::time::{Sleep, sleep};

use crate::device_poll::{Posted, Schedule, poll};
use crate::endpoint::{Endpoint, EndpointError};
use crate::http::{Http, HttpError, Reply};
use crate::request::{LoginRequest, RequestError};
use crate::server_metadata::ServerMetadata;
use crate::text::{shown, shown_url};
use crate::token::{Attempt, Courier, LoggedIn, TokenError};

/// The interval where the server names none (RFC 8628 section 3.2).
const USUAL_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest interval: 1 s. What is less would be a storm.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// The longest interval that is believed, an hour: more is arithmetic that overflows.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The longest life of a code that is believed, a day: servers give minutes.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A login that its user finishes on another device, or in any browser.
///
/// Show [`user_code`](Self::user_code) and [`verification_uri`](Self::verification_uri), then
/// [`wait`](Self::wait).
pub struct DeviceLogin {
    attempt: Attempt,
    announced: StandardDeviceAuthorizationResponse,
    schedule: Schedule,
    user_code: String,
    verification_uri: Endpoint,
    verification_uri_complete: Option<Endpoint>,
    /// Runs from the moment that the codes came.
    expiry: Pin<Box<Sleep>>,
}

/// Why a login on another device brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The request is wrong: the configuration.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no device authorization endpoint: the configuration.
    #[error("the authorization server offers no login on another device: log in with the browser")]
    Unsupported,
    /// The server did not answer at the beginning.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server's codes cannot be used: the operator.
    #[error("the authorization server gave no usable codes: its operator must mend it")]
    Malformed,
    /// The server wants to send people to where a login does not go: the operator, or an attack.
    #[error("the authorization server names {url} to go to, which is not shown: {source}")]
    VerificationUri {
        /// What it names.
        url: String,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// The user said no.
    #[error("the login was denied: log in again and allow it")]
    Denied,
    /// The user did not finish in time.
    #[error("the code has expired: begin the login again")]
    Expired,
    /// The server granted nothing.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The answer of the device authorization endpoint (RFC 8628 section 3.2).
#[derive(Deserialize)]
struct Announcement {
    device_code: String,
    user_code: String,
    verification_uri: Option<String>,
    /// The name in a draft, which Google has kept.
    verification_url: Option<String>,
    verification_uri_complete: Option<String>,
    #[serde(deserialize_with = "seconds")]
    expires_in: Duration,
    #[serde(default = "usual_interval", deserialize_with = "seconds")]
    interval: Duration,
}

impl DeviceLogin {
    /// Asks the server for the codes.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Request`], [`DeviceError::Unsupported`], [`DeviceError::Http`],
    /// [`DeviceError::Malformed`], [`DeviceError::VerificationUri`], [`DeviceError::Token`] where
    /// the server says no.
    pub async fn begin(
        http: &Http,
        server: &ServerMetadata,
        request: &LoginRequest,
    ) -> Result<Self, DeviceError> {
        let attempt = Attempt::new(http, server, request)?;
        let endpoint =
            server.device_authorization_endpoint.as_ref().ok_or(DeviceError::Unsupported)?;
        let messages = request
            .messages(server)?
            .set_device_authorization_url(DeviceAuthorizationUrl::from_url(endpoint.url().clone()));
        let mut message = messages.exchange_device_code().add_scopes(request.scopes());
        for resource in &request.resources {
            message = message.add_extra_param("resource", resource);
        }
        for (name, value) in &request.parameters {
            message = message.add_extra_param(name, value);
        }
        let courier = Courier::new(http, endpoint);
        // The courier keeps the answer; what `oauth2` makes of its absence says nothing.
        let _: Result<StandardDeviceAuthorizationResponse, _> =
            message.request_async(&courier).await;
        let reply = courier.answer()?;
        Self::announced(attempt, endpoint, &reply)
    }

    fn announced(
        attempt: Attempt,
        endpoint: &Endpoint,
        reply: &Reply,
    ) -> Result<Self, DeviceError> {
        let announcement = (200..300).contains(&reply.status).then_some(&*reply.body);
        let Some(Ok(announcement)) =
            announcement.map(|b| serde_json::from_slice::<Announcement>(b))
        else {
            // Some servers say no with 200. A grant, which this is not, would not be one either.
            return Err(attempt.logged_in(reply).err().map_or(DeviceError::Malformed, Into::into));
        };
        let address = |text: &str| {
            Endpoint::named(text, endpoint, attempt.http.reach())
                .map_err(|source| DeviceError::VerificationUri { url: shown_url(text), source })
        };
        let verification_uri =
            announcement.verification_uri.as_ref().or(announcement.verification_url.as_ref());
        let verification_uri = address(verification_uri.ok_or(DeviceError::Malformed)?)?;
        let verification_uri_complete =
            announcement.verification_uri_complete.as_deref().map(address).transpose()?;
        let user_code = shown(&announcement.user_code);
        if user_code.is_empty() || announcement.device_code.is_empty() {
            return Err(DeviceError::Malformed);
        }
        let schedule = Schedule {
            interval: announcement.interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL),
            expires_in: announcement.expires_in.min(LONGEST_LIFE),
        };
        let announced = serde_json::from_value(serde_json::json!({
            "device_code": announcement.device_code,
            "user_code": user_code,
            "verification_uri": verification_uri.as_str(),
            "expires_in": schedule.expires_in.as_secs(),
            "interval": schedule.interval.as_secs(),
        }))
        .map_err(|_| DeviceError::Malformed)?;
        let expiry = Box::pin(sleep(schedule.expires_in));
        Ok(Self {
            attempt,
            announced,
            schedule,
            user_code,
            verification_uri,
            verification_uri_complete,
            expiry,
        })
    }

    /// What the user types in. Without characters that a terminal would obey.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the user types it in.
    pub fn verification_uri(&self) -> &Endpoint {
        &self.verification_uri
    }

    /// The same with the code in it, to be opened or shown as a picture.
    pub fn verification_uri_complete(&self) -> Option<&Endpoint> {
        self.verification_uri_complete.as_ref()
    }

    /// How long the codes lived when they came.
    pub fn expires_in(&self) -> Duration {
        self.schedule.expires_in
    }

    /// Waits until the user has finished, by asking at the server's pace (RFC 8628 section 3.5).
    /// Ends with the codes at the latest. An outage meanwhile is waited out.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Denied`], [`DeviceError::Expired`], [`DeviceError::Token`],
    /// [`DeviceError::Request`].
    pub async fn wait(self) -> Result<LoggedIn, DeviceError> {
        let Self { attempt, announced, schedule, expiry, .. } = self;
        let (http, endpoint) = (attempt.http.clone(), attempt.server.token_endpoint.clone());
        let post = move |message| -> Posted {
            let (http, endpoint) = (http.clone(), endpoint.clone());
            Box::pin(async move { http.post(&endpoint, message).await })
        };
        poll(attempt, &announced, &schedule, expiry, Box::new(post)).await
    }
}

fn usual_interval() -> Duration {
    USUAL_INTERVAL
}

/// A number of seconds, also one in quotes, as some servers write it.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }
    let seconds = match Option::<Written>::deserialize(from)? {
        Some(Written::Number(seconds)) => seconds,
        Some(Written::Text(text)) => text.trim().parse().map_err(serde::de::Error::custom)?,
        // A member without a value counts as omitted (RFC 6749 section 3.2).
        None => return Ok(USUAL_INTERVAL),
    };
    // The cast rounds down and saturates.
    Ok(Duration::from_secs(seconds as u64))
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("verification_uri", &self.verification_uri)
            .field("expires_in", &self.schedule.expires_in)
            .finish_non_exhaustive()
    }
}
