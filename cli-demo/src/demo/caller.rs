//! A program that uses regrant: it opens the credential and makes calls.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use regrant::{AccessError, Answer, Client, Grant, Origin, Policy, Secret, Session, StateKind};
use regrant_core::protocol::{TokenReply, read_token_reply};
use regrant_reqwest::{Middleware, RequestError, TokenClient, client_builder};
use regrant_storage::{FileLease, KeyFile, Vault};
use regrant_storage_sqlite::SqliteStore;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;

use super::trouble::Trouble;

/// How long a session that is closed may take to save: 10 s, twice what one save may take.
const CLOSING: Duration = Duration::from_secs(10);

/// One request to the API may take 20 s, far longer than loopback takes.
const REQUEST: Duration = Duration::from_secs(20);

/// A session on the demo's store, and a client that goes through it.
#[derive(Debug)]
pub(super) struct Caller {
    session: Session,
    client: ClientWithMiddleware,
    origin: Origin,
    url: String,
}

/// Why a call got no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// regrant has something to say about the credential.
    Access(AccessError),
    /// The request itself failed.
    Request(reqwest_middleware::Error),
}

impl NoAnswer {
    /// The stable name of what happened.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Access(error) => error.code(),
            Self::Request(_) => "request_failed",
        }
    }

    /// The same in a sentence.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Access(error) => error.to_string(),
            Self::Request(error) => error.to_string(),
        }
    }
}

impl Caller {
    /// Opens the credential that lies in this folder: an SQLite database, its key in a file, its
    /// lease a lock. All that one process needs; the next process does the same.
    pub(super) async fn open(folder: &Path, url: &str, policy: Policy) -> Result<Self, Trouble> {
        let sqlite = SqliteStore::open(folder.join("data").join("credentials.db")).await?;
        let lease = FileLease::new(sqlite.lock_folder());
        let key = KeyFile::new(folder.join("keys").join("credentials.key"));
        let vault = Vault::new(Arc::new(sqlite), Arc::new(key));
        let endpoint = TokenClient::new().map_err(Trouble::Http)?;
        let session = Session::builder(Arc::new(vault), Arc::new(lease), Arc::new(endpoint))
            .policy(policy)
            .open()?;
        // The API is on loopback, where no proxy is.
        let client = client_builder().no_proxy().timeout(REQUEST).build().map_err(Trouble::Http)?;
        let client = ClientBuilder::new(client).with(Middleware::new(session.clone())).build();
        Ok(Self { session, client, origin: origin(url)?, url: url.to_owned() })
    }

    /// Installs what a login brought.
    pub(super) async fn install(
        &self,
        token_endpoint: &str,
        client_id: &str,
        response: &Value,
    ) -> Result<(), Trouble> {
        let client = Client::new(token_endpoint, client_id);
        let origins = [self.origin.clone()];
        Ok(self.session.install(client, origins, grant(response)?).await?)
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// One request to the API: its status, whatever regrant had to do for it.
    pub(super) async fn call(&self) -> Result<u16, NoAnswer> {
        let sent = self.client.get(&self.url).send().await;
        sent.map(|response| response.status().as_u16()).map_err(|error| {
            match RequestError::of(&error) {
                Some(RequestError::Access(why)) => NoAnswer::Access(why.clone()),
                _ => NoAnswer::Request(error),
            }
        })
    }

    /// The state, once the store was read.
    pub(super) async fn state(&self) -> Option<StateKind> {
        self.session.status().await?.state
    }

    /// The refresh token as it is stored, and its generation.
    pub(super) async fn refresh_token(&self) -> Option<(u64, Secret)> {
        let record = self.session.status().await?.record?;
        Some((record.generation, record.refresh_token?))
    }

    pub(super) async fn close(self) -> Result<(), Trouble> {
        Ok(self.session.close(CLOSING).await?)
    }
}

fn origin(url: &str) -> Result<Origin, Trouble> {
    let url = url::Url::parse(url).map_err(|_| Trouble::Order)?;
    let host = url.host_str().ok_or(Trouble::Order)?;
    let port = url.port_or_known_default().ok_or(Trouble::Order)?;
    Origin::new(url.scheme(), host, port).map_err(|_| Trouble::Order)
}

/// A token response (RFC 6749 section 5.1), read as any other.
fn grant(response: &Value) -> Result<Grant, Trouble> {
    let body = response.to_string();
    let reply = TokenReply { status: 200, body: body.as_bytes(), ..TokenReply::default() };
    match read_token_reply(&reply, None).answer {
        Answer::Granted(grant) => Ok(grant),
        _ => Err(Trouble::NoTokens),
    }
}
