//! Tokens that sessions keep alive, through every answer of both servers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrant::{
    AccessError, Client, ClientAuthentication, Grant, NotSaved, Proof, ProofSigner, RefreshLease,
    Secret, Session, Strength, Timestamp, TokenStore, Verdict,
};
use regrant_core::protocol::Profile;
use regrant_reqwest::{Assertion, AssertionError, AssertionSigner, Middleware};
use regrant_storage::{Kept, KeyFile, MemoryBlobStore, MemoryLease, MemoryStore, Over, Vault};
use regrant_tests::NoLocks;

use crate::authority::{Authority, Judges, Says};
use crate::canary::Canaries;
use crate::heard::Since;
use crate::hosts::{BadHost, Broken, Signer, Takes, Troubled};
use crate::program::{Program, confidential, endpoint, grant, policy};
use crate::shown::Shown;
use crate::source;

/// What takes nothing in that could be a secret, each with the reason.
const BARE: [(&str, &str); 5] = [
    ("regrant::AccessError::Budget", "a moment"),
    ("regrant::ChangeError::Random", "the system's error about random numbers"),
    ("regrant::Lagged", "a number"),
    ("regrant::OpenError::Random", "the system's error about random numbers"),
    ("regrant::OpenError::Thread", "the system's error about threads"),
];

/// A store, sealed, of its own.
fn sealed(canaries: &Canaries, folder: &tempfile::TempDir) -> Vault {
    let path = folder.path().join("regrant.key");
    std::fs::write(&path, canaries.key("key")).unwrap();
    Vault::new(Arc::new(MemoryBlobStore::new()), Arc::new(KeyFile::new(path)))
}

struct Flows {
    canaries: Canaries,
    shown: Shown,
}

impl Flows {
    async fn program(&self) -> Program {
        self.on(Arc::new(MemoryStore::new())).await
    }

    async fn on(&self, store: Arc<dyn TokenStore>) -> Program {
        self.with(store, Arc::new(MemoryLease::new())).await
    }

    async fn with(&self, store: Arc<dyn TokenStore>, lease: Arc<dyn RefreshLease>) -> Program {
        let authority = Authority::start(&self.canaries);
        let client = confidential(&authority);
        let endpoint = endpoint();
        Program::new(authority, &self.shown, store, lease, endpoint, client).await
    }

    /// Refreshes, for good reasons and ahead of need, on a sealed store.
    async fn refreshed(&self) {
        let folder = tempfile::tempdir().unwrap();
        let store = sealed(&self.canaries, &folder);
        self.shown.value(&store);
        let mut program = self.on(Arc::new(store)).await;
        for judges in [Judges::ByToken, Judges::InTheBody, Judges::TokenAsCode] {
            program.authority.judges(judges);
            program.authority.expire();
            program.call().await;
            program.look().await;
        }
        for judges in [Judges::WantsScope, Judges::Redirects, Judges::Fails] {
            program.authority.judges(judges);
            program.call().await;
        }
        program.authority.judges(Judges::ByToken);
        program.authority.says([Says::GrantsOtherScope]);
        program.authority.expire();
        assert_eq!(program.call().await, Some(200));
        program.look().await;
        program.close().await;
    }

    /// Each answer that is no grant, by both kinds of authentication.
    async fn failed(&self) {
        for says in Says::FAILURES {
            for authentication in
                [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost]
            {
                let authority = Authority::start(&self.canaries);
                let mut client = confidential(&authority);
                client.authentication = authentication;
                let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
                let endpoint = endpoint();
                let mut program =
                    Program::new(authority, &self.shown, store, lease, endpoint, client).await;
                // As many as an attempt has tries.
                program.authority.says([says; 6]);
                program.authority.expire();
                assert_eq!(program.call().await, None, "{says:?}");
                assert!(program.access().await.is_err(), "{says:?}");
                program.look().await;
                // Refused or not: with what is left of it.
                let _ = program.session.reconsider().await;
                program.call().await;
                program.close().await;
            }
        }
    }

    /// Grants that cannot be used, are for others, or come back without an answer.
    async fn odd_grants(&self) {
        let mut program = self.program().await;
        program.authority.says([Says::Vanishes]);
        program.authority.expire();
        program.call().await;
        program.look().await;
        // A login that brought what no header can carry.
        let mut unfit = grant(&program.authority);
        unfit.access_token = Secret::new(format!("{}\n", self.canaries.token("access token")));
        let client = confidential(&program.authority);
        let api = program.authority.origin().parse_origin();
        program.session.install(client, [api], unfit).await.unwrap();
        assert_eq!(program.call().await, None);
        program.close().await;

        let mut program = self.program().await;
        program.authority.says([Says::GrantsOtherSubject]);
        program.authority.expire();
        assert_eq!(program.call().await, None);
        program.until("GrantDropped").await;
        program.close().await;

        let program = self.program().await;
        program.authority.judges(Judges::WantsClaims);
        program.authority.says([Says::Refuses]);
        assert_eq!(program.call().await, None);
        program.close().await;

        let program = self.program().await;
        program.authority.judges(Judges::RejectsAll);
        for _ in 0..3 {
            program.call().await;
        }
        program.close().await;
    }

    /// Logouts, further origins, and other configurations.
    async fn changed(&self) {
        let program = self.program().await;
        program.session.allow("https://api.example".parse_origin()).await.unwrap();
        program.session.configure(confidential(&program.authority)).await.unwrap();
        let (client, grant) = (confidential(&program.authority), grant(&program.authority));
        let api = program.authority.origin().parse_origin();
        program.session.install(client, [api], grant).await.unwrap();
        let elsewhere = format!("https://{}.example", "other").parse_origin();
        self.shown.error(&program.session.access(&elsewhere).await.unwrap_err());
        self.shown.value(&program.session.log_out().await.unwrap());
        assert_eq!(program.call().await, None);
        self.shown.error(&program.session.reconsider().await.unwrap_err());
        let closed = program.session.clone();
        let authority = program.close().await;
        self.shown.error(&closed.log_out().await.unwrap_err());
        let api = authority.origin().parse_origin();
        self.shown.error(&closed.access(&api).await.unwrap_err());
    }

    /// Stores that fail for a while, and a lease that somebody else has.
    async fn troubled(&self) {
        let store = Troubled::default();
        let mut program = self.on(Arc::new(store.clone())).await;
        program.authority.expire();
        store.takes(Takes::NoGrants);
        assert_eq!(program.call().await, Some(200));
        program.until("NotSaved").await;
        program.look().await;
        store.takes(Takes::All);
        program.until("SavedAtLast").await;
        store.takes(Takes::Nothing);
        program.authority.expire();
        assert_eq!(program.call().await, None);
        program.look().await;
        let client = confidential(&program.authority);
        self.shown.error(&program.session.configure(client).await.unwrap_err());
        store.takes(Takes::All);
        program.close().await;

        let program = self.on(Arc::new(store.clone())).await;
        program.authority.expire();
        store.takes(Takes::NoGrants);
        assert_eq!(program.call().await, Some(200));
        let unsaved = program.session.close(Duration::from_millis(1)).await.unwrap_err();
        self.shown.error(&unsaved);
        store.takes(Takes::All);
        program.close().await;
    }

    async fn leased(&self) {
        let lease = MemoryLease::new();
        let mut program = self.with(Arc::new(MemoryStore::new()), Arc::new(lease.clone())).await;
        let held = lease.try_acquire("default", Timestamp::EPOCH).await.unwrap();
        self.shown.value(&held);
        program.authority.expire();
        assert_eq!(program.call().await, None);
        program.look().await;
        drop(held);
        program.close().await;

        let mut program = self.with(Arc::new(MemoryStore::new()), Arc::new(NoLocks)).await;
        program.authority.expire();
        assert_eq!(program.call().await, Some(200));
        program.look().await;
        program.close().await;
    }

    /// What other processes do to the store.
    async fn elsewhere(&self) {
        let store = MemoryStore::new();
        let mut program = self.on(Arc::new(store.clone())).await;
        let old = store.load("default").await.unwrap().unwrap();
        // Another process has refreshed.
        let mut newer = old.record.clone();
        newer.generation += 1;
        newer.refresh_token = Some(Secret::new(self.canaries.token("refresh token")));
        let access = Secret::new(self.canaries.token("access token"));
        let slot = newer.slots.get_mut(&0).unwrap();
        (slot.generation, slot.access_token) = (newer.generation, access);
        let kept = store.save("default", &newer, &Over::Version(old.version)).await.unwrap();
        assert!(matches!(kept, Kept::Done(_)));
        program.authority.expire();
        program.call().await;
        program.until("Adopted").await;
        // A backup is put back.
        let now = store.load("default").await.unwrap().unwrap();
        let kept = store.save("default", &old.record, &Over::Version(now.version)).await.unwrap();
        assert!(matches!(kept, Kept::Done(_)));
        program.authority.expire();
        program.call().await;
        program.until("StoreRolledBack").await;
        program.close().await;
    }

    /// Tokens that are bound to a key, and signers that have lost theirs.
    async fn bound(&self) {
        let signer: Arc<dyn ProofSigner> = Arc::new(Signer { canaries: self.canaries.clone() });
        let broken: Arc<dyn ProofSigner> = Arc::new(Broken { canaries: self.canaries.clone() });
        for (by_client, by_api) in
            [(&signer, Some(&signer)), (&signer, Some(&broken)), (&signer, None), (&broken, None)]
        {
            let authority = Authority::start(&self.canaries);
            let mut client = confidential(&authority);
            client.dpop = true;
            let endpoint = endpoint().with_proofs(Arc::clone(by_client));
            let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
            let program =
                Program::new(authority, &self.shown, store, lease, endpoint, client).await;
            let mut middleware = Middleware::new(program.session.clone());
            if let Some(by_api) = by_api {
                middleware = middleware.with_proofs(Arc::clone(by_api));
            }
            self.shown.value(&middleware);
            let client = regrant_reqwest::client_builder().build().unwrap();
            let client = reqwest_middleware::ClientBuilder::new(client).with(middleware).build();
            let mut program = program.with_client(client);
            program.authority.says([Says::WantsNonce, Says::GrantsBound]);
            program.authority.expire();
            program.call().await;
            program.look().await;
            program.call().await;
            program.close().await;
        }
    }

    /// Clients that sign who they are.
    async fn signed(&self) {
        let key = self.canaries.phrase("private key");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
        let real = ring::signature::EcdsaKeyPair::generate_pkcs8(
            &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &ring::rand::SystemRandom::new(),
        );
        let real = in_pem(&self.canaries, real.unwrap().as_ref());
        let broken: Option<Arc<dyn AssertionSigner>> =
            Some(Arc::new(Broken { canaries: self.canaries.clone() }));
        for (pem, signer, status) in
            [(real.clone(), None, Some(200)), (pem, None, None), (real, broken, None)]
        {
            let authority = Authority::start(&self.canaries);
            let mut client = confidential(&authority);
            client.authentication = ClientAuthentication::PrivateKeyJwt;
            client.client_secret = Some(Secret::new(pem));
            let mut endpoint = endpoint();
            if let Some(signer) = signer {
                endpoint = endpoint.with_assertions(signer);
            }
            let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
            let mut program =
                Program::new(authority, &self.shown, store, lease, endpoint, client).await;
            program.authority.expire();
            assert_eq!(program.call().await, status);
            program.look().await;
            program.close().await;
        }
        let (client, now) = (Client::new("https://as.example/token", "app"), Timestamp::EPOCH);
        let broken = Broken { canaries: self.canaries.clone() };
        let proof = Proof::new("GET", "https://api.example/", now);
        self.shown.value(&proof);
        self.shown.own_words(&ProofSigner::sign(&broken, &proof).await.unwrap_err());
        let assertion = Assertion::new(&client, now);
        self.shown.own_words(&AssertionSigner::sign(&broken, &assertion).await.unwrap_err());
        self.shown.error(&AssertionError::NoKey);
        // Which of these a flow meets is a matter of time.
        self.shown.error(&AccessError::TimedOut);
        self.shown.error(&NotSaved::UnderWay);
        assert!(self.canaries.count("client_assertion") > 0);
    }

    /// Hosts that keep none of their duties: parts of theirs panic in the middle of everything, and
    /// give what nobody can use.
    async fn bad_hosts(&self) {
        for (panics_at, gives) in [
            (Some("load"), "unfit\r\n"),
            (Some("save"), ""),
            (Some("renew"), ""),
            (Some("revoke"), ""),
            (None, "unfit\r\n"),
            (None, ""),
        ] {
            let host = Arc::new(BadHost {
                canaries: self.canaries.clone(),
                panics_at: Mutex::default(),
                gives,
            });
            let lease = Arc::new(MemoryLease::new());
            let builder = Session::builder(host.clone(), lease, host.clone());
            let session = builder.policy(policy()).patience(Duration::from_secs(1)).open().unwrap();
            let mut client = Client::new("https://as.example/token", "client");
            client.revocation_endpoint = Some("https://as.example/revoke".to_owned());
            let mut grant = Grant::bearer(Secret::new(self.canaries.token("access token")));
            grant.refresh_token = Some(Secret::new(self.canaries.token("refresh token")));
            let api = "https://api.example".parse_origin();
            session.install(client, [api.clone()], grant).await.unwrap();
            *host.panics_at.lock().unwrap() = panics_at;
            let access = session.access(&api).await.unwrap();
            let sent = access.id();
            drop(access);
            session.report(sent, &api, Verdict::Rejected(Strength::Strong));
            match session.access_newer(&api, sent).await {
                Ok(access) => self.shown.value(&access),
                Err(error) => self.shown.error(&error),
            }
            if let Some(status) = session.status().await {
                self.shown.value(&status);
            }
            match session.log_out().await {
                Ok(out) => self.shown.value(&out),
                Err(error) => self.shown.error(&error),
            }
            if let Err(error) = session.close(Duration::from_millis(100)).await {
                self.shown.error(&error);
            }
        }
    }

    /// A provider whose profile reads the reason from where it likes.
    async fn by_profile(&self) {
        let profile = r#"{"name":"quoting","token":{"rules":[
            {"name":"quoted","when":{"json":[{"path":"/error","eq":"invalid_client"}]},
             "class":"ClientMisconfigured","reason_at":"/error"}]}}"#;
        self.shown.value(&Profile::of(profile).unwrap());
        let mut program = self.program().await;
        let mut client = confidential(&program.authority);
        client.profile = Some(profile.to_owned());
        program.session.configure(client).await.unwrap();
        program.authority.says([Says::RefusesClient]);
        program.authority.expire();
        assert_eq!(program.call().await, None);
        program.look().await;
        program.close().await;
    }
}

#[tokio::test]
async fn sh_01_tokens_in_logs() {
    let since = Since::now();
    let flows = Flows { canaries: Canaries::default(), shown: Shown::default() };
    flows.refreshed().await;
    flows.failed().await;
    flows.odd_grants().await;
    flows.changed().await;
    flows.troubled().await;
    flows.leased().await;
    flows.elsewhere().await;
    flows.bound().await;
    flows.signed().await;
    flows.by_profile().await;
    flows.bad_hosts().await;
    for what in ["access token", "refresh token", "client secret", "ID token", "cookie", "key"] {
        assert!(flows.canaries.count(what) > 0, "{what}");
    }
    since.must_hold(&[
        "token request sent",
        "the API answered",
        "hyper_util",
        "not sent",
        "as the test wants it",
    ]);
    let searcher = flows.canaries.searcher();
    searcher.assert_absent("logs", since.said());
    searcher.assert_absent("what programs are shown", flows.shown.all());

    let bare = BARE.iter().map(|(name, _)| *name).collect();
    source::assert_all_shown(&["regrant", "regrant_reqwest"], &flows.shown.names(), &bare);
    // Each event there is was among them.
    let shown = flows.shown.names();
    let events = source::variants("core/src/machine/event.rs", "Event");
    let unseen: Vec<_> = events
        .iter()
        .filter(|one| !shown.contains(&format!("regrant_core::Event::{one}")))
        .collect();
    assert!(unseen.is_empty(), "events that no flow makes: {unseen:?}");
}

trait ParseOrigin {
    fn parse_origin(&self) -> regrant::Origin;
}

impl ParseOrigin for str {
    fn parse_origin(&self) -> regrant::Origin {
        regrant::Origin::parse(self).unwrap()
    }
}

/// PKCS #8 in PEM, whose lines are secret.
fn in_pem(canaries: &Canaries, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    // What every key of this kind begins with says nothing: 36 bytes, with the algorithm's name.
    canaries.planted("private key", &text[48..]);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}
