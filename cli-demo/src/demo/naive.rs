//! The naive client: what many programs do, and what works as long as there is one of them.
//!
//! A mutex around the tokens, a refresh when the local clock says so and on 401, one replay, and
//! the new tokens saved to a file. It reads that file once, when it starts. No word of regrant.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use regrant::{SystemClocks, TimeSource as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::trouble::Trouble;

/// How long before the local expiry it refreshes: a minute, as is customary.
const LEEWAY_MS: u64 = 60_000;

/// A request is over after so long: 20 s, far longer than loopback takes.
const REQUEST: Duration = Duration::from_secs(20);

/// What lies in the file.
#[derive(Serialize, Deserialize)]
struct Tokens {
    token_endpoint: String,
    client_id: String,
    access_token: String,
    refresh_token: String,
    /// By the local clock, in milliseconds.
    expires_at: u64,
}

/// What it asks of a token response.
#[derive(Deserialize)]
struct Response {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: u64,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the authorization server refused the refresh token: log in again")]
    LogInAgain,
    #[error("the request failed")]
    Http(#[source] reqwest::Error),
    #[error("the new tokens cannot be saved")]
    Save(#[source] io::Error),
}

/// The naive client of one process.
pub(super) struct Naive {
    http: reqwest::Client,
    path: PathBuf,
    /// None after a refusal: it has logged itself out.
    tokens: Mutex<Option<Tokens>>,
}

impl Naive {
    /// Writes what a login brought, as the file that every process reads.
    pub(super) fn install(
        folder: &Path,
        token_endpoint: &str,
        client_id: &str,
        response: &serde_json::Value,
    ) -> Result<(), Trouble> {
        let response = Response::deserialize(response).map_err(|_| Trouble::NoTokens)?;
        let tokens = Tokens {
            token_endpoint: token_endpoint.to_owned(),
            client_id: client_id.to_owned(),
            access_token: response.access_token,
            refresh_token: response.refresh_token.ok_or(Trouble::NoTokens)?,
            expires_at: expiry(response.expires_in),
        };
        save(&file(folder), &tokens).map_err(Trouble::Folder)
    }

    /// Reads the file.
    pub(super) fn open(folder: &Path) -> Result<Self, Trouble> {
        let path = file(folder);
        let text = std::fs::read(&path).map_err(Trouble::Folder)?;
        let tokens = serde_json::from_slice(&text).map_err(|_| Trouble::NoTokens)?;
        let http = reqwest::Client::builder()
            .timeout(REQUEST)
            .no_proxy()
            .build()
            .map_err(Trouble::Http)?;
        Ok(Self { http, path, tokens: Mutex::new(Some(tokens)) })
    }

    /// A call with the token, and once more with a new one if the first was rejected.
    pub(super) async fn call(&self, url: &str) -> Result<u16, Failed> {
        let mut held = self.tokens.lock().await;
        let tokens = held.as_mut().ok_or(Failed::LogInAgain)?;
        let answered = self.call_with(tokens, url).await;
        if matches!(answered, Err(Failed::LogInAgain)) {
            *held = None;
        }
        answered
    }

    async fn call_with(&self, tokens: &mut Tokens, url: &str) -> Result<u16, Failed> {
        if SystemClocks.wall().as_millis() + LEEWAY_MS >= tokens.expires_at {
            self.refresh(tokens).await?;
        }
        let status = self.send(tokens, url).await?;
        if status != 401 {
            return Ok(status);
        }
        self.refresh(tokens).await?;
        self.send(tokens, url).await
    }

    async fn send(&self, tokens: &Tokens, url: &str) -> Result<u16, Failed> {
        let request = self.http.get(url).bearer_auth(&tokens.access_token);
        Ok(request.send().await.map_err(Failed::Http)?.status().as_u16())
    }

    async fn refresh(&self, tokens: &mut Tokens) -> Result<(), Failed> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &tokens.refresh_token),
            ("client_id", &tokens.client_id),
        ];
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let request = self
            .http
            .post(&tokens.token_endpoint)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.finish());
        let answer = request.send().await.map_err(Failed::Http)?;
        if answer.status() == http::StatusCode::BAD_REQUEST {
            return Err(Failed::LogInAgain);
        }
        let answer = answer.error_for_status().map_err(Failed::Http)?;
        let text = answer.bytes().await.map_err(Failed::Http)?;
        // The one refusal that is left: an answer that is no token response.
        let response: Response = serde_json::from_slice(&text).map_err(|_| Failed::LogInAgain)?;
        tokens.access_token = response.access_token;
        if let Some(rotated) = response.refresh_token {
            tokens.refresh_token = rotated;
        }
        tokens.expires_at = expiry(response.expires_in);
        save(&self.path, tokens).map_err(Failed::Save)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("naive.json")
}

fn expiry(seconds: u64) -> u64 {
    SystemClocks.wall().as_millis() + seconds * 1_000
}

/// Written whole and renamed, so that nobody reads half of it.
fn save(path: &Path, tokens: &Tokens) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::NotFound)?;
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(tokens)?)?;
    file.persist(path)?;
    Ok(())
}
