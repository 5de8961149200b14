//! A program that is logged in, and all that it shows of itself.

use std::sync::Arc;
use std::time::Duration;

use regrant::{
    AccessError, Client, ClientAuthentication, Events, Grant, Origin, Policy, RefreshLease, Secret,
    Session, TokenStore,
};
use regrant_reqwest::{RequestError, TokenClient};
use reqwest_middleware::ClientWithMiddleware;

use crate::authority::{Authority, CLIENT};
use crate::shown::Shown;

/// What a session ends in at the latest: loopback needs milliseconds.
const END: Duration = Duration::from_secs(20);

pub(crate) struct Program {
    pub(crate) authority: Authority,
    pub(crate) session: Session,
    pub(crate) shown: Shown,
    client: ClientWithMiddleware,
    events: Events,
}

/// As programs have it, but for how long is waited between tries and where nobody can answer.
pub(crate) fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.backoff = Duration::from_millis(1);
    policy.crash_pause = Duration::from_millis(1);
    policy
}

/// A client with a secret at this server.
pub(crate) fn confidential(authority: &Authority) -> Client {
    let mut client = Client::new(authority.url("/token"), CLIENT);
    client.revocation_endpoint = Some(authority.url("/revoke"));
    client.authentication = ClientAuthentication::ClientSecretBasic;
    client.client_secret = Some(Secret::new(authority.canaries.phrase("client secret")));
    client.scope = Some("read".to_owned());
    client
}

/// The token endpoint's client, with TLS in a build of the whole workspace as in one of this
/// package.
pub(crate) fn endpoint() -> TokenClient {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    TokenClient::new().unwrap()
}

/// What a login brought.
pub(crate) fn grant(authority: &Authority) -> Grant {
    let mut grant = Grant::bearer(Secret::new(authority.canaries.token("access token")));
    grant.refresh_token = Some(Secret::new(authority.canaries.token("refresh token")));
    grant.expires_in = Some(Duration::from_secs(3_600));
    grant.subject = Some("user".to_owned());
    grant.scope = Some("read".to_owned());
    grant
}

impl Program {
    /// Logged in as this client, at the API of the same server.
    pub(crate) async fn new(
        authority: Authority,
        shown: &Shown,
        store: Arc<dyn TokenStore>,
        lease: Arc<dyn RefreshLease>,
        endpoint: TokenClient,
        client: Client,
    ) -> Self {
        let grant = grant(&authority);
        let program = Self::open(authority, shown, store, lease, endpoint);
        let api = Origin::parse(&program.authority.origin()).unwrap();
        program.shown.value(&client);
        program.shown.value(&grant);
        program.session.install(client, [api], grant).await.unwrap();
        program
    }

    /// With what the store holds.
    pub(crate) fn open(
        authority: Authority,
        shown: &Shown,
        store: Arc<dyn TokenStore>,
        lease: Arc<dyn RefreshLease>,
        endpoint: TokenClient,
    ) -> Self {
        shown.value(&endpoint);
        let builder = Session::builder(store, lease, Arc::new(endpoint))
            .policy(policy())
            .patience(Duration::from_secs(3));
        shown.value(&builder);
        let session = builder.open().unwrap();
        let events = session.events();
        let client = regrant_reqwest::client(session.clone()).unwrap();
        shown.value(&client);
        Self { authority, session, shown: shown.clone(), client, events }
    }

    /// Other middleware than the usual.
    pub(crate) fn with_client(mut self, client: ClientWithMiddleware) -> Self {
        self.client = client;
        self
    }

    /// One request; the status, or none if there was an error.
    pub(crate) async fn call(&self) -> Option<u16> {
        let api = Origin::parse(&self.authority.origin()).unwrap();
        if let Some(access) = self.session.try_access(&api) {
            self.shown.value(&access);
        }
        match self.client.get(self.authority.url("/things")).send().await {
            Ok(answer) => {
                if let Some(judged) = answer.extensions().get::<regrant_reqwest::Judged>() {
                    self.shown.value(judged);
                }
                if let Some(rejected) = answer.extensions().get::<regrant_reqwest::Rejected>() {
                    self.shown.value(rejected);
                }
                Some(answer.status().as_u16())
            }
            Err(error) => {
                self.look_into(&error);
                None
            }
        }
    }

    /// A request that somebody makes by hand.
    pub(crate) async fn access(&self) -> Result<(), AccessError> {
        let api = Origin::parse(&self.authority.origin()).unwrap();
        match self.session.access(&api).await {
            Ok(access) => {
                self.shown.value(&access);
                Ok(())
            }
            Err(error) => {
                self.shown.error(&error);
                Err(error)
            }
        }
    }

    fn look_into(&self, error: &reqwest_middleware::Error) {
        self.shown.text(&error.to_string());
        let Some(request) = RequestError::of(error) else {
            self.shown.value(error);
            return;
        };
        if matches!(request, RequestError::Proof(_)) {
            // What the host's own signer says stands behind it, and is the host's.
            self.shown.own_words(request);
            return;
        }
        // It prints all that stands behind it.
        self.shown.value(error);
        self.shown.error(request);
        if let RequestError::Access(access) = request {
            self.shown.error(access);
        }
    }

    /// Shows all there is to see, and the events so far.
    pub(crate) async fn look(&mut self) {
        self.shown.value(&self.session);
        if let Some(status) = self.session.status().await {
            if let Some(trouble) = &status.trouble {
                self.shown.error(&**trouble);
            }
            self.shown.value(&status);
        }
        // Who is asked for the status is asked in order: what has happened is told.
        while let Ok(event) =
            tokio::time::timeout(Duration::ZERO, self.events.next()).await.map(Option::unwrap)
        {
            self.shown.value(&event.unwrap());
        }
        self.shown.value(&self.events);
    }

    /// Waits for an event of this name.
    pub(crate) async fn until(&mut self, name: &str) {
        let wanted = async {
            loop {
                let event = self.events.next().await.unwrap().unwrap();
                self.shown.value(&event);
                if format!("{event:?}").starts_with(name) {
                    return;
                }
            }
        };
        tokio::time::timeout(END, wanted).await.unwrap_or_else(|_| panic!("no event {name}"));
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) -> Authority {
        self.look().await;
        if let Err(error) = self.session.close(END).await {
            self.shown.error(&error);
        }
        self.authority
    }
}
