//! Processes that are killed, or told to stop, between the server's answer and the save of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use regrant::{AccessError, Client, Grant, Origin, Secret, Session, Strength, Verdict};
use regrant_reqwest::TokenClient;
use regrant_sandbox::{Config, Grace, GraceKind, Sandbox};
use regrant_storage::{Blob, BlobStore, Expected, Name, Saved, StoreError, Vault};
use regrant_tests::{SavedOtherwise, Saves};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::disk::{self, KINDS, Kind, child};

/// The grant is the second save of a refresh; the intent is the first.
const GRANT: usize = 2;

/// The longest that anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// The credential of a sandbox in a store on a disk.
struct Login {
    sandbox: Sandbox,
    folder: TempDir,
    kind: Kind,
}

impl Login {
    async fn new(kind: Kind, grace: Option<Grace>) -> Self {
        let sandbox = Sandbox::start(Config { grace, ..Config::default() }).unwrap();
        let login = Self { sandbox, folder: tempfile::tempdir().unwrap(), kind };
        let issued = login.sandbox.issue();
        let token = |name: &str| Secret::new(issued[name].as_str().unwrap().to_owned());
        let mut grant = Grant::bearer(token("access_token"));
        grant.refresh_token = Some(token("refresh_token"));
        let client = Client::new(login.sandbox.token_endpoint(), "sandbox-client");
        let origin = Origin::parse(login.sandbox.api_url("api")).unwrap();
        let session = session(login.folder.path(), kind, Arc::new(Gate::default())).await;
        session.install(client, [origin], grant).await.unwrap();
        session.close(SOON).await.unwrap();
        login
    }

    fn process(&self, does: &str) -> Command {
        let mut process = child("cp::killed::child_that_refreshes");
        process.env(DOES, does).env(FOLDER, self.folder.path());
        process.env(KIND, format!("{:?}", self.kind)).env(API, self.sandbox.api_url("api"));
        process.stdin(Stdio::piped()).stdout(Stdio::piped());
        process
    }

    /// One is killed when the server's answer is there and the save of it has begun.
    fn kill_one_in_the_gap(&self) {
        let mut process = self.process("refresh and wait in the save").spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let saving = lines.map_while(Result::ok).find(|line| line.contains(SAYS)).unwrap();
        assert!(saving.ends_with("saving"), "{saving}");
        assert_eq!(self.sandbox.stats().token_requests, 1, "the server has answered");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// What a process says that does this, and ends by itself.
    fn said(&self, does: &str) -> String {
        let output = self.process(does).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        text.split_once(SAYS).unwrap().1.lines().next().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_04_crash_between_200_and_save() {
    for kind in KINDS {
        let grace = Some(Grace { ms: 60_000, kind: GraceKind::Same });
        let login = Login::new(kind, grace).await;
        login.kill_one_in_the_gap();
        assert_eq!(login.said("refresh"), "generation 2", "{kind:?}");
        let stats = login.sandbox.stats();
        let requests = (stats.token_requests, stats.grace_replays, stats.live_families);
        assert_eq!(requests, (2, 1, 1), "one more, with the old refresh token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cp_04_b_without_a_grace_the_reason_is_told_and_nothing_more_is_sent() {
    for kind in KINDS {
        let login = Login::new(kind, None).await;
        login.kill_one_in_the_gap();
        for _ in 0..3 {
            assert_eq!(login.said("refresh"), "login needed: rotation_lost", "{kind:?}");
        }
        assert_eq!(login.sandbox.stats().token_requests, 2);
    }
}

/// What a host does that is told to end, by a signal for one.
#[tokio::test(flavor = "multi_thread")]
async fn cp_04_c_a_stop_in_the_same_moment_waits_for_the_save() {
    for kind in KINDS {
        let login = Login::new(kind, None).await;
        assert_eq!(login.said("refresh and stop in the save"), "closed", "{kind:?}");
        assert_eq!(login.sandbox.stats().token_requests, 1);
        assert_eq!(login.said("refresh"), "generation 2", "{kind:?}");
        let stats = login.sandbox.stats();
        assert_eq!((stats.token_requests, stats.reuse_detected), (1, 0), "{kind:?}");
    }
}

const DOES: &str = "REGRANT_TEST_DOES";
const FOLDER: &str = "REGRANT_TEST_FOLDER";
const KIND: &str = "REGRANT_TEST_KIND";
const API: &str = "REGRANT_TEST_API";

/// Begins what a process says, since the test harness writes on the same stream.
const SAYS: &str = "says: ";

fn says(what: &str) {
    std::io::stdout().write_all(format!("{SAYS}{what}\n").as_bytes()).unwrap();
}

/// A process that finds the first token rejected. Alone it does nothing.
#[test]
fn child_that_refreshes() {
    let Ok(does) = std::env::var(DOES) else { return };
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
        let named = std::env::var(KIND).unwrap();
        let kind = KINDS.into_iter().find(|kind| format!("{kind:?}") == named).unwrap();
        let origin = Origin::parse(&std::env::var(API).unwrap()).unwrap();
        let gate = Arc::new(Gate { is_shut: does != "refresh", ..Gate::default() });
        let session = session(&folder, kind, Arc::clone(&gate)).await;
        let refresh = refreshed(session.clone(), origin);
        if does == "refresh" {
            return says(&refresh.await);
        }
        let refresh = tokio::spawn(refresh);
        gate.reached.notified().await;
        if does == "refresh and wait in the save" {
            says("saving");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            return;
        }
        let mut close = pin!(session.close(SOON));
        let begun = std::future::poll_fn(|context| Poll::Ready(close.as_mut().poll(context))).await;
        assert!(begun.is_pending(), "it does not wait for the save");
        gate.opened.notify_one();
        close.await.unwrap();
        says("closed");
        refresh.abort();
    });
}

async fn refreshed(session: Session, origin: Origin) -> String {
    let mut answer = session.access(&origin).await;
    if let Ok(access) = &answer
        && access.id().generation == 1
    {
        let old = access.id();
        session.report(old, &origin, Verdict::Rejected(Strength::Strong));
        answer = session.access_newer(&origin, old).await;
    }
    match answer {
        Ok(access) => format!("generation {}", access.id().generation),
        Err(AccessError::NeedsLogin { reason, .. }) => format!("login needed: {reason}"),
        Err(error) => error.to_string(),
    }
}

async fn session(folder: &Path, kind: Kind, gate: Arc<Gate>) -> Session {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (inner, lease) = disk::blobs_in(folder, kind).await;
    let blobs = SavedOtherwise::new(inner, Gated { gate, saves: AtomicUsize::new(0) });
    let vault = Vault::new(Arc::new(blobs), Arc::new(disk::key_in(folder)));
    disk::open(Arc::new(vault), lease, Arc::new(TokenClient::new().unwrap()))
}

/// Where the save of the grant waits, if it is shut.
#[derive(Debug, Default)]
struct Gate {
    is_shut: bool,
    reached: Notify,
    opened: Notify,
}

#[derive(Debug)]
struct Gated {
    gate: Arc<Gate>,
    /// Of records.
    saves: AtomicUsize,
}

#[async_trait]
impl Saves for Gated {
    async fn save(
        &self,
        inner: &dyn BlobStore,
        blob: &Blob,
        expected: Expected,
    ) -> Result<Saved, StoreError> {
        let is_record = blob.entry.name != Name::DataKey;
        let save = self.saves.fetch_add(usize::from(is_record), Ordering::SeqCst) + 1;
        if is_record && save == GRANT && self.gate.is_shut {
            self.gate.reached.notify_one();
            self.gate.opened.notified().await;
        }
        inner.save(blob, expected).await
    }
}
