//! The handle of running servers.

use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

use serde_json::Value;
use tokio::{
    runtime,
    sync::{broadcast, oneshot},
};

use crate::{
    api,
    api_config::{Demand, Rejection},
    authorization_server,
    config::Config,
    controls::{ConfigureError, Login},
    event::SandboxEvent,
    fault::{Endpoint, Fault},
    server,
    shared::{Addresses, HoldPoint, Inner, Shared},
    stats::{RequestRecord, Stats},
};

/// How long the waits without a deadline of their own wait: far longer than loopback ever takes,
/// even on a busy machine, and short enough to end a hanging test.
const WAIT_DEADLINE: Duration = Duration::from_secs(20);

/// A sandbox could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port on 127.0.0.1 could not be bound.
    #[error("port {port} on 127.0.0.1 cannot be bound")]
    Bind {
        /// The port; 0 stands for any.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// Two APIs have one name.
    #[error("two APIs are named {name:?}")]
    RepeatedApi {
        /// The name.
        name: String,
    },
    /// The thread of the servers could not be started.
    #[error("the servers cannot be started")]
    Runtime(#[source] std::io::Error),
}

/// What was waited for did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox was not as expected within {waited:?}; its counters: {stats:?}")]
pub struct WaitError {
    /// How long was waited.
    pub waited: Duration,
    /// The counters at the end.
    pub stats: Box<Stats>,
}

/// A running authorization server and its APIs.
///
/// They run on a thread of their own, so a test may block, or have no runtime at all. Dropping the
/// handle closes every listener and every connection before it returns.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    runtime: runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Sandbox {
    /// Binds the ports and starts to serve.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`] if a port is taken, [`StartError::RepeatedApi`] if two APIs have one
    /// name, [`StartError::Runtime`] if the system gives no thread.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = config.apis.iter().find(|api| !names.insert(&api.name)) {
            return Err(StartError::RepeatedApi { name: twice.name.clone() });
        }
        let bind = |port| {
            let bound = server::bind(port).map_err(|source| StartError::Bind { port, source })?;
            let url = format!("http://127.0.0.1:{}", bound.1);
            Ok::<_, StartError>((bound.0, url))
        };
        let (listener, issuer) = bind(config.port)?;
        let mut api_listeners = Vec::new();
        for api in &config.apis {
            let (listener, url) = bind(api.port)?;
            api_listeners.push((api.name.clone(), listener, url));
        }
        let addresses = Addresses {
            token_endpoint: format!("{issuer}/token"),
            revocation_endpoint: format!("{issuer}/revoke"),
            introspection_endpoint: format!("{issuer}/introspect"),
            authorization_endpoint: format!("{issuer}/authorize"),
            device_authorization_endpoint: format!("{issuer}/device_authorization"),
            verification_uri: format!("{issuer}/device"),
            issuer,
            apis: api_listeners.iter().map(|(name, _, url)| (name.clone(), url.clone())).collect(),
        };
        let shared = Arc::new(Shared::new(config, addresses));
        let mut servers = vec![(listener, authorization_server::router(Arc::clone(&shared)))];
        for (name, listener, _) in api_listeners {
            servers.push((listener, api::router(&name, Arc::clone(&shared))));
        }

        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        for (listener, router) in servers {
            let shared = Arc::clone(&shared);
            runtime.spawn(async move {
                if let Err(error) = server::serve(listener, router, shared).await {
                    tracing::error!(%error, "a listener of the sandbox failed");
                }
            });
        }
        let thread = thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || {
                // Whether told to stop or left alone: either way it is over, and what still runs
                // ends with the runtime.
                let _ = runtime.block_on(stopped);
            })
            .map_err(StartError::Runtime)?;
        Ok(Self { shared, runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Stops the servers, as dropping does.
    pub fn shutdown(self) {}

    /// The issuer identifier, without a trailing slash.
    pub fn issuer_url(&self) -> &str {
        &self.shared.addresses.issuer
    }

    /// The URL of the token endpoint.
    pub fn token_endpoint(&self) -> &str {
        &self.shared.addresses.token_endpoint
    }

    /// The URL of the revocation endpoint (RFC 7009).
    pub fn revocation_endpoint(&self) -> &str {
        &self.shared.addresses.revocation_endpoint
    }

    /// The URL of the introspection endpoint (RFC 7662).
    pub fn introspection_endpoint(&self) -> &str {
        &self.shared.addresses.introspection_endpoint
    }

    /// The URL of the authorization endpoint (RFC 6749, section 3.1).
    pub fn authorization_endpoint(&self) -> &str {
        &self.shared.addresses.authorization_endpoint
    }

    /// The URL of the device authorization endpoint (RFC 8628, section 3.1).
    pub fn device_authorization_endpoint(&self) -> &str {
        &self.shared.addresses.device_authorization_endpoint
    }

    /// The origin of an API, without a trailing slash.
    ///
    /// # Panics
    ///
    /// If there is no such API, as an index does. The same holds for every call here that names
    /// one.
    pub fn api_url(&self, api: &str) -> &str {
        self.shared.assert_api(api);
        &self.shared.addresses.apis[api]
    }

    /// The configuration as it is now; faults that were queued are no longer in it.
    pub fn config(&self) -> Config {
        self.shared.read(|inner| inner.config.clone())
    }

    /// Changes the configuration of the running servers. Tokens that were issued keep what they
    /// were issued with; `faults` are added to the queue.
    ///
    /// # Errors
    ///
    /// [`ConfigureError::Fixed`] if ports or the names of APIs differ; nothing is changed then.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) -> Result<(), ConfigureError> {
        let mut config = self.config();
        change(&mut config);
        self.shared.configure(config)
    }

    /// A login: a new family, and its token response (RFC 6749, section 5.1).
    pub fn issue(&self) -> Value {
        self.issue_for(Login::default())
    }

    /// A login with a scope and audiences of its own.
    pub fn issue_for(&self, login: Login) -> Value {
        self.shared.issue(login)
    }

    /// Decides for the user of a device that shows this code. False if no device waits for it.
    pub fn decide_device(&self, user_code: &str, approve: bool) -> bool {
        self.shared.decide_device(user_code, approve)
    }

    /// Ends every access token that was issued so far; refresh tokens live on.
    pub fn expire_access_tokens(&self) {
        self.shared.expire(None);
    }

    /// Ends every access token that was issued so far, in the eyes of one API.
    pub fn expire_access_tokens_at(&self, api: &str) {
        self.shared.assert_api(api);
        self.shared.expire(Some(api));
    }

    /// Revokes the family of an access or refresh token. False if it is unknown or revoked
    /// already.
    pub fn revoke_family(&self, token: &str) -> bool {
        self.shared.revoke_family(token)
    }

    /// Revokes everything; says how many families were live.
    pub fn revoke_all(&self) -> u64 {
        self.shared.revoke_all()
    }

    /// Makes an API reject every token, or stops that.
    pub fn reject_all(&self, api: &str, reject: bool) {
        self.shared.assert_api(api);
        self.shared.reject_all(api, reject);
    }

    /// Makes an API take `every` good requests, reject as many, and so on; 0 stops that.
    pub fn flip(&self, api: &str, every: u64) {
        self.shared.assert_api(api);
        self.shared.flip(api, every);
    }

    /// Makes an API take only these of the good access tokens; `None` takes all again.
    pub fn accept_only(&self, api: &str, tokens: Option<BTreeSet<String>>) {
        self.shared.assert_api(api);
        self.shared.accept_only(api, tokens);
    }

    /// Makes an API want something besides a good token; `None` ends it.
    pub fn demand(&self, api: &str, demand: Option<Demand>) {
        self.shared.assert_api(api);
        self.shared.configure_api(api, |config| config.demand = demand);
    }

    /// Makes an API say in another way that a token is no good.
    pub fn reject_as(&self, api: &str, rejection: Rejection) {
        self.shared.assert_api(api);
        self.shared.configure_api(api, |config| config.rejection = rejection);
    }

    /// Queues a fault for the token endpoint: one request meets it.
    pub fn inject(&self, fault: Fault) {
        self.shared.inject(Endpoint::Token, [fault]);
    }

    /// Queues a fault for an endpoint.
    pub fn inject_at(&self, endpoint: Endpoint, fault: Fault) {
        self.shared.inject(endpoint, [fault]);
    }

    /// Makes every request to an endpoint meet this fault once the queue is empty.
    pub fn always(&self, endpoint: Endpoint, fault: Option<Fault>) {
        self.shared.always(endpoint, fault);
    }

    /// Forgets all faults of both endpoints.
    pub fn clear_faults(&self) {
        self.shared.clear_faults(Endpoint::Token);
        self.shared.clear_faults(Endpoint::Revocation);
    }

    /// Now, on the sandbox's clock, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.shared.clock.now_ms()
    }

    /// Puts the sandbox's clock so far ahead of the wall clock, or behind it.
    pub fn set_clock_offset_ms(&self, offset_ms: i64) {
        self.shared.set_clock_offset_ms(offset_ms);
    }

    /// Moves the sandbox's clock from where it is.
    pub fn advance_clock_ms(&self, ms: i64) {
        self.set_clock_offset_ms(self.shared.clock.offset_ms().saturating_add(ms));
    }

    /// Makes the next token request wait at a gate. Several calls hold as many requests.
    pub fn hold(&self, point: HoldPoint) {
        self.shared.update(|inner| inner.armed.push_back(point));
    }

    /// Lets every held token request go on; says how many there were.
    pub fn release_held(&self) -> usize {
        self.shared.release()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.shared.read(Inner::snapshot)
    }

    /// Sets all counters to zero and empties the request log.
    pub fn reset_stats(&self) {
        self.shared.update(Inner::reset_stats);
    }

    /// The last requests, oldest first: several thousand at most.
    pub fn request_log(&self) -> Vec<RequestRecord> {
        self.shared.read(|inner| inner.log.to_vec())
    }

    /// What happens from now on. A listener that falls far behind misses the oldest events.
    pub fn events(&self) -> broadcast::Receiver<SandboxEvent> {
        self.shared.subscribe()
    }

    /// Waits until a token request stands at the gate.
    ///
    /// # Errors
    ///
    /// [`WaitError`] after 20 s.
    pub async fn wait_until_held(&self) -> Result<Stats, WaitError> {
        self.wait_for(|stats| stats.held > 0).await
    }

    /// Waits until so many token requests have come since the counters were reset.
    ///
    /// # Errors
    ///
    /// [`WaitError`] after 20 s.
    pub async fn wait_for_token_requests(&self, requests: u64) -> Result<Stats, WaitError> {
        self.wait_for(|stats| stats.token_requests >= requests).await
    }

    /// Waits until the counters are as wanted.
    ///
    /// # Errors
    ///
    /// [`WaitError`] after 20 s.
    pub async fn wait_for(&self, wanted: impl FnMut(&Stats) -> bool) -> Result<Stats, WaitError> {
        self.wait_within(WAIT_DEADLINE, wanted).await
    }

    /// Waits until the counters are as wanted, for so long. Needs no runtime, and counts real time
    /// even where the caller's runtime has paused its own.
    ///
    /// # Errors
    ///
    /// [`WaitError`] once the time is over.
    pub async fn wait_within(
        &self,
        deadline: Duration,
        mut wanted: impl FnMut(&Stats) -> bool,
    ) -> Result<Stats, WaitError> {
        let mut changes = self.shared.changes();
        let mut timer = self.runtime.spawn(async move { tokio::time::sleep(deadline).await });
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                timer.abort();
                return Ok(stats);
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = &mut timer => {
                    return Err(WaitError { waited: deadline, stats: Box::new(self.stats()) });
                }
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that it has stopped already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}
