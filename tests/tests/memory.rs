//! After a token is dropped, no copy of it is left in the memory of the process, as far as core,
//! storage, sealing, the driver and the types of the login had it.
//!
//! What others keep is not looked at: hyper's buffers and rustls's records hold what was sent and
//! received until they are used again, and `oauth2` has texts of its own, which it does not wipe.
//!
//! One test in a process of its own: what it searches for must not lie there for other reasons.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regrant::{Renewing, Session, TokenEndpoint};
use regrant_core::protocol::{self, TokenReply};
use regrant_core::{
    Answer, Client, Id, Login, Origin, Record, Secret, Strength, Timestamp, Verdict,
};
use regrant_login::LoginRequest;
use regrant_storage::{
    Costs, Kept, KeyFile, KeyRing, MemoryBlobStore, MemoryLease, MemoryStore, Over, Passphrase,
    TokenStore as _, Vault,
};

/// What the needles are kept under, so that the search does not find itself.
const MASK: u8 = 0x5a;

/// A secret that is searched for, masked.
struct Needle(Vec<u8>);

impl Needle {
    /// `length` bytes that stand nowhere else, each letter from a generator of its own.
    fn new(seed: u64, length: usize) -> Self {
        let mut state = seed;
        let letters = (0..length).map(|_| {
            // Knuth's MMIX generator; the upper bits are the better ones.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b'a' + u8::try_from((state >> 33) % 26).unwrap()
        });
        Self(letters.map(|letter| letter ^ MASK).collect())
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|byte| byte ^ MASK)
    }

    /// In a buffer that never moves.
    fn secret(&self) -> Secret {
        let mut text = String::with_capacity(self.0.len());
        text.extend(self.bytes().map(char::from));
        Secret::new(text)
    }

    /// In how many places of this process its middle lies: what frees memory may write over the
    /// first bytes of a block.
    fn found(&self) -> usize {
        let middle = &self.0[self.0.len() / 4..self.0.len() / 4 + 20];
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut memory = File::open("/proc/self/mem").unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut found = 0;
        for line in maps.lines().filter(|line| line.split(' ').nth(1).unwrap().starts_with("rw")) {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let mut at = u64::from_str_radix(start, 16).unwrap();
            let end = u64::from_str_radix(end, 16).unwrap();
            while at < end && memory.seek(SeekFrom::Start(at)).is_ok() {
                let length = buffer.len().min(usize::try_from(end - at).unwrap());
                let Ok(read) = memory.read(&mut buffer[..length]) else { break };
                found += places(&buffer[..read], middle);
                // Chunks overlap, so that nothing hides in a seam.
                let step = if read < length || read <= 64 { read } else { read - 32 };
                at += step.max(1) as u64;
            }
        }
        buffer.fill(0);
        found
    }
}

fn places(haystack: &[u8], masked: &[u8]) -> usize {
    let first = masked[0] ^ MASK;
    let mut found = 0;
    for at in (0..haystack.len().saturating_sub(masked.len())).filter(|at| haystack[*at] == first) {
        let window = &haystack[at..at + masked.len()];
        found += usize::from(window.iter().zip(masked).all(|(one, other)| *one == other ^ MASK));
    }
    found
}

fn login(access: &Needle, refresh: &Needle, client: &Needle) -> Login {
    let mut client_of = Client::new("https://as.example/token", "client");
    client_of.client_secret = Some(client.secret());
    let mut grant = regrant_core::Grant::bearer(access.secret());
    grant.refresh_token = Some(refresh.secret());
    Login {
        incarnation: Id([1; 16]),
        client: client_of,
        origins: Vec::new(),
        grant,
        obtained_at: Timestamp::EPOCH,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_was_dropped_is_nowhere_in_memory() {
    let [access, refresh, client, key, passphrase] =
        [1, 2, 3, 4, 5].map(|seed| Needle::new(seed, if seed == 4 { 32 } else { 600 }));
    let needles =
        [("access token", &access), ("refresh token", &refresh), ("client secret", &client)];

    // The search finds what is there, or it would prove nothing.
    let kept = access.secret();
    assert!(access.found() >= 1, "the search finds nothing");
    drop(kept);
    assert_eq!(access.found(), 0, "a secret that was dropped");
    let next = [6, 7].map(|seed| Needle::new(seed, 600));

    // The answer of a token endpoint.
    let mut body = zeroize::Zeroizing::new(Vec::with_capacity(4_096));
    body.extend_from_slice(br#"{"token_type":"Bearer","access_token":""#);
    body.extend(access.bytes());
    body.extend_from_slice(br#"","expires_in":60,"refresh_token":""#);
    body.extend(refresh.bytes());
    body.extend_from_slice(br#""}"#);
    let reply = TokenReply { status: 200, body: &body, ..TokenReply::default() };
    let Answer::Granted(grant) = protocol::read_token_reply(&reply, None).answer else {
        panic!("the answer is a grant")
    };
    let read = access.found();
    assert!(read >= 1);
    drop((grant, body));
    for (what, needle) in needles {
        assert_eq!(needle.found(), 0, "{what}: reading an answer");
    }

    // The request.
    let mut sent_by = Client::new("https://as.example/token", "client");
    sent_by.client_secret = Some(client.secret());
    sent_by.authentication = regrant_core::ClientAuthentication::ClientSecretBasic;
    drop(protocol::token_request(&sent_by, Some(&refresh.secret()), None, None));
    sent_by.authentication = regrant_core::ClientAuthentication::ClientSecretPost;
    drop(protocol::token_request(&sent_by, Some(&refresh.secret()), None, None));
    drop(sent_by);
    for (what, needle) in needles {
        assert_eq!(needle.found(), 0, "{what}: making a request");
    }

    // A record, sealed under a key file, saved and read by two handles.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regrant.key");
    std::fs::write(&path, zeroize::Zeroizing::new(key.bytes().collect::<Vec<_>>())).unwrap();
    stored(Arc::new(KeyFile::new(&path)), &access, &refresh, &client).await;
    for (what, needle) in needles.into_iter().chain([("key", &key)]) {
        assert_eq!(needle.found(), 0, "{what}: a key file's store");
    }

    // The same under a passphrase.
    let ring = Passphrase::new(passphrase.secret()).with_costs(Costs::new(64, 1, 1).unwrap());
    stored(Arc::new(ring), &access, &refresh, &client).await;
    for (what, needle) in needles.into_iter().chain([("passphrase", &passphrase)]) {
        assert_eq!(needle.found(), 0, "{what}: a passphrase's store");
    }

    // What a login is asked with, and what it brings.
    let mut request = LoginRequest::new("client");
    request.client_secret = Some(client.secret());
    drop((request.clone(), login(&access, &refresh, &client)));
    drop(request);
    for (what, needle) in needles {
        assert_eq!(needle.found(), 0, "{what}: a login");
    }

    // A session that was logged in, refreshed, and logged out.
    let next = Arc::new(next);
    driven(&access, &refresh, &client, &next).await;
    let later = [("next access token", &next[0]), ("next refresh token", &next[1])];
    for (what, needle) in needles.into_iter().chain(later) {
        assert_eq!(needle.found(), 0, "{what}: a session");
    }
}

/// Grants what is next.
struct Endpoint(Arc<[Needle; 2]>);

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Endpoint")
    }
}

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn renew(&self, _: Renewing<'_>, _: Duration) -> Answer {
        let mut grant = regrant_core::Grant::bearer(self.0[0].secret());
        grant.refresh_token = Some(self.0[1].secret());
        Answer::Granted(grant)
    }

    async fn revoke(&self, _: &Client, _: &Secret, _: &str, _: Duration) -> bool {
        true
    }
}

async fn driven(access: &Needle, refresh: &Needle, client: &Needle, next: &Arc<[Needle; 2]>) {
    let endpoint = Arc::new(Endpoint(Arc::clone(next)));
    let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
    let session = Session::builder(store, lease, endpoint).open().unwrap();
    let api = Origin::parse("https://api.example").unwrap();
    let Login { mut client, grant, .. } = login(access, refresh, client);
    client.revocation_endpoint = Some("https://as.example/revoke".into());
    session.install(client, [api.clone()], grant).await.unwrap();
    let sent = session.access(&api).await.unwrap().id();
    session.report(sent, &api, Verdict::Rejected(Strength::Strong));
    let newer = session.access_newer(&api, sent).await.unwrap();
    assert!(next[0].found() >= 1, "the search finds what is in use");
    drop((newer, session.status().await.unwrap()));
    assert_eq!(session.log_out().await.unwrap().revoked, Some(true));
    session.close(Duration::from_secs(20)).await.unwrap();
}

async fn stored(ring: Arc<dyn KeyRing>, access: &Needle, refresh: &Needle, client: &Needle) {
    let blobs = Arc::new(MemoryBlobStore::new());
    let vault = Vault::new(blobs.clone(), Arc::clone(&ring));
    let record = Record::login(&login(access, refresh, client), None);
    let Kept::Done(version) = vault.save("a", &record, &Over::Absent).await.unwrap() else {
        panic!("nobody else has this store")
    };
    vault.save("a", &record, &Over::Version(version)).await.unwrap();
    let later = Vault::new(blobs, Arc::clone(&ring));
    let stored = later.load("a").await.unwrap().unwrap();
    assert_eq!(stored.record.slots[&0].access_token.expose().len(), 600);
    later.rekey(&*ring).await.unwrap();
    later.fingerprinter().await.unwrap().fingerprint(&stored.record.slots[&0].access_token);
    assert!(access.found() >= 1, "the search finds what is in use");
}
