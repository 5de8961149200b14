//! A sandbox, a session on a store in memory, and a client.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use regrant::{
    Client, ClientAuthentication, Grant, Origin, Policy, Secret, Session, StateKind,
    TokenStore as _,
};
use regrant_core::Record;
use regrant_reqwest::TokenClient;
use regrant_sandbox::{Config, Sandbox};
use regrant_storage::{MemoryLease, MemoryStore};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::Value;

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) store: MemoryStore,
    pub(crate) session: Session,
    pub(crate) client: ClientWithMiddleware,
}

impl World {
    /// Logged in, for the API named `api`.
    pub(crate) async fn new(config: Config) -> Self {
        Self::with(config, |_| {}).await
    }

    /// The same, with the client configured further.
    pub(crate) async fn with(config: Config, configure: impl FnOnce(&mut Client)) -> Self {
        // Installed already by another test of this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client_secret = config.client_secret.clone().map(Secret::new);
        let sandbox = Sandbox::start(config).unwrap();
        let mut client = Client::new(sandbox.token_endpoint(), "sandbox-client");
        client.revocation_endpoint = Some(sandbox.revocation_endpoint().to_owned());
        if client_secret.is_some() {
            client.authentication = ClientAuthentication::ClientSecretBasic;
            client.client_secret = client_secret;
        }
        configure(&mut client);
        let store = MemoryStore::new();
        // Only how long is waited between tries differs from what programs get.
        let mut policy = Policy::default();
        policy.backoff = Duration::from_millis(1);
        let endpoint = Arc::new(TokenClient::new().unwrap());
        let session =
            Session::builder(Arc::new(store.clone()), Arc::new(MemoryLease::new()), endpoint)
                .policy(policy)
                .open()
                .unwrap();
        let api = Origin::parse(sandbox.api_url("api")).unwrap();
        let grant = grant(&sandbox.issue());
        session.install(client, [api], grant).await.unwrap();
        let client = regrant_reqwest::client(session.clone()).unwrap();
        Self { sandbox, store, session, client }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.api_url("api"))
    }

    pub(crate) async fn status(&self) -> u16 {
        self.client.get(self.url("/things")).send().await.unwrap().status().as_u16()
    }

    /// Requests at the token endpoint and at the first API.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let stats = self.sandbox.stats();
        (stats.token_requests, stats.api("api").requests)
    }

    pub(crate) async fn record(&self) -> Record {
        self.store.load("default").await.unwrap().unwrap().record
    }

    /// Ends the session, and gives the state that it leaves in the store.
    pub(crate) async fn closed(&self) -> StateKind {
        self.session.close(Duration::from_secs(10)).await.unwrap();
        self.record().await.state()
    }
}

pub(crate) fn grant(tokens: &Value) -> Grant {
    let secret = |name: &str| Secret::new(tokens[name].as_str().unwrap().to_owned());
    let mut grant = Grant::bearer(secret("access_token"));
    grant.refresh_token = Some(secret("refresh_token"));
    grant.expires_in = tokens["expires_in"].as_u64().map(Duration::from_secs);
    grant
}
