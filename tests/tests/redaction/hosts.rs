//! Parts that a host brings: signers, stores and endpoints that fail, or that nobody should have
//! written.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    Answer, Capabilities, Client, Grant, Proof, ProofError, ProofSigner, Renewing, Secret,
    StoreError, StoreFault, TokenEndpoint, TokenStore,
};
use regrant_core::Record;
use regrant_reqwest::{Assertion, AssertionError, AssertionSigner};
use regrant_storage::{Entry, Kept, MemoryStore, Over, Stored};

use crate::canary::Canaries;

/// A host's signer.
pub(crate) struct Signer {
    pub(crate) canaries: Canaries,
}

/// A host's signer whose errors quote its key, as nobody's should.
pub(crate) struct Broken {
    pub(crate) canaries: Canaries,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broken")
    }
}

#[async_trait]
impl ProofSigner for Signer {
    async fn sign(&self, _: &Proof<'_>) -> Result<Secret, ProofError> {
        Ok(Secret::new(self.canaries.token("proof")))
    }
}

#[async_trait]
impl ProofSigner for Broken {
    async fn sign(&self, _: &Proof<'_>) -> Result<Secret, ProofError> {
        Err(ProofError::new(format!("no key {}", self.canaries.phrase("private key"))))
    }
}

#[async_trait]
impl AssertionSigner for Broken {
    async fn sign(&self, _: &Assertion<'_>) -> Result<Secret, AssertionError> {
        Err(AssertionError::new(format!("no key {}", self.canaries.phrase("private key"))))
    }
}

/// A store in trouble. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubled {
    inner: MemoryStore,
    takes: Arc<Mutex<Takes>>,
}

/// What a store in trouble still does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Takes {
    #[default]
    All,
    /// Everything but new tokens.
    NoGrants,
    /// Neither loads nor saves.
    Nothing,
}

impl Troubled {
    pub(crate) fn takes(&self, takes: Takes) {
        *self.takes.lock().unwrap() = takes;
    }

    fn taken(&self) -> Takes {
        *self.takes.lock().unwrap()
    }
}

#[async_trait]
impl TokenStore for Troubled {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        if self.taken() == Takes::Nothing {
            return Err(StoreError::new(StoreFault::Locked, "as the test wants"));
        }
        self.inner.load(account).await
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        let fails = match self.taken() {
            Takes::All => false,
            // A record with an open intent has none.
            Takes::NoGrants => record.attempt.is_none(),
            Takes::Nothing => true,
        };
        if fails {
            return Err(StoreError::new(StoreFault::Full, "as the test wants"));
        }
        self.inner.save(account, record, over).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.inner.list().await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// A store and an endpoint of a host that does not keep its duties.
pub(crate) struct BadHost {
    pub(crate) canaries: Canaries,
    pub(crate) panics_at: Mutex<Option<&'static str>>,
    /// What stands at the end of every token it gives.
    pub(crate) gives: &'static str,
}

/// What it keeps.
static BAD_STORE: LazyLock<MemoryStore> = LazyLock::new(MemoryStore::new);

impl BadHost {
    fn may_panic(&self, at: &'static str) {
        let panics_at = *self.panics_at.lock().unwrap();
        assert_ne!(panics_at, Some(at), "as the test wants it");
    }
}

impl std::fmt::Debug for BadHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BadHost")
    }
}

#[async_trait]
impl TokenStore for BadHost {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        self.may_panic("load");
        BAD_STORE.load(account).await
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        self.may_panic("save");
        BAD_STORE.save(account, record, over).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn capabilities(&self) -> Capabilities {
        // No other store is like this one, so no other session is.
        let identity = format!("{:p}", std::ptr::from_ref(self));
        Capabilities { identity, ..BAD_STORE.capabilities() }
    }
}

#[async_trait]
impl TokenEndpoint for BadHost {
    async fn renew(&self, with: Renewing<'_>, _: Duration) -> Answer {
        self.may_panic("renew");
        let sent = with.refresh_token.map(|token| token.expose().to_owned()).unwrap_or_default();
        let mut grant = Grant::bearer(Secret::new(sent + self.gives));
        let refresh = format!("{}{}", self.canaries.token("refresh token"), self.gives);
        grant.refresh_token = Some(Secret::new(refresh));
        Answer::Granted(grant)
    }

    async fn revoke(&self, _: &Client, _: &Secret, _: &str, _: Duration) -> bool {
        self.may_panic("revoke");
        false
    }
}
