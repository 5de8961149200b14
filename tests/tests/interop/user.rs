//! A program with regrant in it: a session on a store in a folder, and a client for the API.

use std::path::Path;
use std::sync::Arc;

use regrant::{AccessError, LoginReason, Policy, Secret, Session};
use regrant_reqwest::{Middleware, RequestError, TokenClient, client_builder};
use regrant_storage::{KeyFile, Vault};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;
use tempfile::TempDir;

use crate::backend::Backend;
use crate::code_flow;
use crate::keys::Key;
use crate::provider::{Provider, SOON};

pub(crate) struct User {
    pub(crate) session: Session,
    api: ClientWithMiddleware,
    url: String,
    _folder: TempDir,
}

impl User {
    /// Alice, logged in by the client of that name.
    pub(crate) async fn of(provider: &Provider, client_id: &str) -> Self {
        Self::with(provider, client_id, Policy::default()).await
    }

    pub(crate) async fn with(provider: &Provider, client_id: &str, policy: Policy) -> Self {
        let user = Self::unknown(provider, policy).await;
        user.log_in(provider, client_id).await;
        user
    }

    /// Alice, with tokens that are bound to this key.
    pub(crate) async fn bound(provider: &Provider, key: &Arc<Key>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = TokenClient::new().unwrap().with_proofs(key.clone());
        let session = open_by(Backend::File, folder.path(), Policy::default(), endpoint).await;
        let grant = code_flow::log_in_bound(provider, key).await;
        session.install(provider.client("dpop"), [provider.origin()], grant).await.unwrap();
        let middleware = Middleware::new(session.clone()).with_proofs(key.clone());
        let url = format!("{}/me", provider.api());
        Self { api: client_by(middleware), url, session, _folder: folder }
    }

    /// Nobody yet.
    pub(crate) async fn unknown(provider: &Provider, policy: Policy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let session = open(Backend::File, folder.path(), policy).await;
        let url = format!("{}/me", provider.api());
        Self { api: client(&session), url, session, _folder: folder }
    }

    pub(crate) async fn log_in(&self, provider: &Provider, client_id: &str) {
        let grant = code_flow::log_in(provider, client_id).await;
        let client = provider.client(client_id);
        self.session.install(client, [provider.origin()], grant).await.unwrap();
    }

    /// Asks the API who this is.
    pub(crate) async fn call(&self) -> Result<Value, AccessError> {
        call(&self.api, &self.url).await
    }

    /// Asks, and is told that a login is needed.
    pub(crate) async fn needs_login(&self) -> (LoginReason, Option<String>) {
        match self.call().await {
            Err(AccessError::NeedsLogin { reason, code, .. }) => (reason, code),
            other => panic!("instead of a needed login: {other:?}"),
        }
    }

    /// The tokens that it holds now: access and refresh.
    pub(crate) async fn tokens(&self) -> (String, String) {
        let record = self.session.status().await.unwrap().record.unwrap();
        let text = |token: &Secret| token.expose().to_owned();
        (text(&record.slots[&0].access_token), record.refresh_token.as_ref().map(text).unwrap())
    }

    pub(crate) async fn close(self) {
        self.session.close(SOON).await.unwrap();
    }
}

/// A session on the store in this folder. What happens in it is said aloud.
pub(crate) async fn open(backend: Backend, folder: &Path, policy: Policy) -> Session {
    open_by(backend, folder, policy, TokenClient::new().unwrap()).await
}

async fn open_by(
    backend: Backend,
    folder: &Path,
    policy: Policy,
    endpoint: TokenClient,
) -> Session {
    let (blobs, lease) = backend.open(folder).await;
    let vault = Vault::new(blobs, Arc::new(KeyFile::new(folder.join("keys/regrant.key"))));
    let session = Session::builder(Arc::new(vault), Arc::new(lease), Arc::new(endpoint))
        .policy(policy)
        .open()
        .unwrap();
    let mut events = session.events();
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            eprintln!("regrant: {event:?}");
        }
    });
    session
}

pub(crate) fn client(session: &Session) -> ClientWithMiddleware {
    client_by(Middleware::new(session.clone()))
}

fn client_by(middleware: Middleware) -> ClientWithMiddleware {
    let http = client_builder().no_proxy().build().unwrap();
    ClientBuilder::new(http).with(middleware).build()
}

pub(crate) async fn call(api: &ClientWithMiddleware, url: &str) -> Result<Value, AccessError> {
    let answer = match api.get(url).send().await {
        Ok(answer) => answer,
        Err(error) => match RequestError::of(&error) {
            Some(RequestError::Access(why)) => {
                eprintln!("user: {why}");
                return Err(why.clone());
            }
            _ => panic!("the request failed by itself: {error}"),
        },
    };
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    eprintln!("user: {status} {body}");
    assert_eq!(status, 200, "{body}");
    Ok(body)
}
