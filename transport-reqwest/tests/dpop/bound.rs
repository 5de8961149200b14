//! A session whose tokens are bound to a key, at servers that verify proofs.

use std::sync::Arc;
use std::time::Duration;

use regrant::{Client, ClientAuthentication, Grant, Origin, Policy, ProofSigner, Secret, Session};
use regrant_reqwest::{Middleware, TokenClient, client_builder};
use regrant_storage::{MemoryLease, MemoryStore};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::guard::{Guard, Nonces};
use crate::signer::Signer;

pub(crate) struct Bound {
    pub(crate) guard: Guard,
    pub(crate) signer: Arc<Signer>,
    pub(crate) session: Session,
    pub(crate) client: ClientWithMiddleware,
}

impl Bound {
    pub(crate) async fn new() -> Self {
        let signer = Arc::new(Signer::new());
        let guard = Guard::start(signer.public_key()).await;
        Self::with(guard, &signer, signer.clone()).await
    }

    /// Logged in; `keyed` signs in the end.
    pub(crate) async fn with(
        guard: Guard,
        signer: &Arc<Signer>,
        keyed: Arc<dyn ProofSigner>,
    ) -> Self {
        let endpoint = token_client().with_proofs(Arc::clone(&keyed));
        let session = session(&guard, endpoint).await;
        let client = ClientBuilder::new(client_builder().build().unwrap())
            .with(Middleware::new(session.clone()).with_proofs(keyed))
            .build();
        Self { guard, signer: Arc::clone(signer), session, client }
    }

    /// The same, where the two want these nonces.
    pub(crate) async fn wanting(api: Nonces, token: Nonces) -> Self {
        let bound = Self::new().await;
        {
            let mut state = bound.guard.state();
            (state.api.nonces, state.token.nonces) = (api, token);
        }
        bound
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/things?page=2#top", self.guard.url)
    }

    pub(crate) async fn status(&self) -> u16 {
        self.client.get(self.url()).send().await.unwrap().status().as_u16()
    }

    /// The live access token dies, and the next request brings a refresh.
    pub(crate) fn expire(&self) {
        self.guard.state().live_access = None;
    }
}

pub(crate) fn token_client() -> TokenClient {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    TokenClient::new().unwrap()
}

/// The client whose tokens are bound.
pub(crate) fn bound_client(guard: &Guard) -> Client {
    let mut client = Client::new(format!("{}/token", guard.url), "app");
    client.dpop = true;
    if let Some(secret) = guard.state().client_secret {
        client.authentication = ClientAuthentication::ClientSecretBasic;
        client.client_secret = Some(Secret::new(secret.to_owned()));
    }
    client
}

pub(crate) async fn session(guard: &Guard, endpoint: TokenClient) -> Session {
    let mut policy = Policy::default();
    policy.backoff = Duration::from_millis(1);
    let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
    let session = Session::builder(store, lease, Arc::new(endpoint)).policy(policy).open().unwrap();
    let (access, refresh) = guard.state().issue();
    let mut grant = Grant::bearer(Secret::new(access));
    // Servers write the type in any case.
    grant.token_type = "dpop".to_owned();
    grant.refresh_token = Some(Secret::new(refresh));
    let api = Origin::parse(&guard.url).unwrap();
    session.install(bound_client(guard), [api], grant).await.unwrap();
    session
}
