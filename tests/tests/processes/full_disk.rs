//! A disk that is full: a small one of its own, in a name space that only the process sees.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    AccessError, Answer, Client, Event, Origin, Renewing, Secret, Strength, TokenEndpoint, Verdict,
};
use regrant_core::StoreFault;
use regrant_reqwest::TokenClient;
use regrant_sandbox::{Config, Sandbox};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::child::{FULL_DISK, Task, finished};
use crate::fleet::login;

/// Set where every test must run: a part that is missing is a failure then.
const REQUIRE_ALL: &str = "REGRANT_REQUIRE_ALL_PARTS";

/// How long a step may take that waits for nothing but this machine.
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn before_the_request_and_at_the_save(backend: Backend) {
    // As root a mount needs a name space of its own alone; another user gets one to be root in.
    let is_root = rustix::process::geteuid().is_root();
    let unshare: &[&str] = if is_root { &["--mount"] } else { &["--map-root-user", "--mount"] };
    if !Command::new("unshare")
        .args(unshare)
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        let what = "left out: a full disk, which takes `unshare` and the right to mount";
        assert!(std::env::var_os(REQUIRE_ALL).is_none(), "{what}");
        eprintln!("{what}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let folder = folder.path().join("disk");
    fs::create_dir(&folder).unwrap();
    let mut task = Task::call(backend, &folder, sandbox.api_url("api"));
    task.what = FULL_DISK;

    let mut child = Command::new("unshare");
    child.args(unshare).args(["sh", "-c"]);
    // Half a megabyte: room for the store, its journal and its locks.
    child.arg("mount -t tmpfs -o size=512k tmpfs \"$1\" && shift && exec \"$@\"");
    child.arg("sh").arg(&folder).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--nocapture"]);
    task.ask(&mut child);
    let issued = login(&sandbox);
    let token = |secret: &Secret| secret.expose().to_owned();
    let given = json!({
        "endpoint": sandbox.token_endpoint(),
        "access_token": token(&issued.grant.access_token),
        "refresh_token": issued.grant.refresh_token.as_ref().map(token),
    });
    child.env(GIVEN, given.to_string());
    let said = finished(child.spawn().unwrap()).expect("nothing kills it");
    assert_eq!(said, json!({ "lived": true }));
    assert_eq!(sandbox.stats().token_requests, 2, "one for each refresh that there was room for");
    assert_eq!(sandbox.stats().reuse_detected, 0);
}

/// The tokens of the sandbox's login.
const GIVEN: &str = "REGRANT_TESTS_LOGIN";

/// What the process on the small disk does.
pub(crate) async fn live(task: &Task) -> Value {
    let given: Value = serde_json::from_str(&std::env::var(GIVEN).unwrap()).unwrap();
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    let origin = Origin::parse(&task.origin).unwrap();
    let ballast = Ballast::in_folder(&task.folder);
    let endpoint = Arc::new(Filling {
        inner: TokenClient::new().unwrap(),
        ballast: ballast.clone(),
        armed: std::sync::atomic::AtomicBool::new(false),
    });
    let session = task.session(endpoint.clone()).await;
    let mut grant = regrant::Grant::bearer(Secret::new(text("access_token")));
    grant.refresh_token = Some(Secret::new(text("refresh_token")));
    let client = Client::new(text("endpoint"), "sandbox-client");
    session.install(client, [origin.clone()], grant).await.unwrap();
    let mut events = session.events();

    // Full before the token request: nothing is sent, and the login is kept.
    let first = session.access(&origin).await.unwrap().id();
    ballast.fill();
    session.report(first, &origin, Verdict::Rejected(Strength::Strong));
    let refused = session.access_newer(&origin, first).await;
    let Err(AccessError::Store { fault: StoreFault::Full, .. }) = refused else {
        panic!("on a full disk: {refused:?}")
    };
    assert_eq!(generation(task).await, 1);
    ballast.empty();
    let second = timeout(SOON, async {
        loop {
            // It is tried again at once for whoever asks.
            match session.access_newer(&origin, first).await {
                Ok(access) => break access.id(),
                Err(AccessError::Store { .. }) => {}
                Err(other) => panic!("with room again: {other}"),
            }
        }
    });
    let second = second.await.unwrap();
    session.report(second, &origin, Verdict::Accepted);

    // Full when the grant comes: it is used from memory, said to be unsaved, and saved later.
    endpoint.armed.store(true, std::sync::atomic::Ordering::SeqCst);
    session.report(second, &origin, Verdict::Rejected(Strength::Strong));
    let third = timeout(SOON, session.access_newer(&origin, second)).await.unwrap().unwrap().id();
    assert!(third.generation > second.generation);
    let said = timeout(SOON, async {
        loop {
            if let Some(Ok(Event::NotSaved { fault })) = events.next().await {
                break fault;
            }
        }
    });
    assert_eq!(said.await.unwrap(), StoreFault::Full);
    assert_eq!(generation(task).await, second.generation, "the old record is gone");
    ballast.empty();
    let saved = timeout(SOON, async {
        loop {
            if let Some(Ok(Event::SavedAtLast { generation })) = events.next().await {
                break generation;
            }
        }
    });
    assert_eq!(saved.await.unwrap(), third.generation);
    assert_eq!(generation(task).await, third.generation);
    session.close(SOON).await.unwrap();
    json!({ "lived": true })
}

/// What another process would find.
async fn generation(task: &Task) -> u64 {
    use regrant_storage::{TokenStore as _, Vault};
    let (blobs, _) = task.backend.open(&task.folder).await;
    let vault = Vault::new(blobs, Arc::new(task.key()));
    vault.load("default").await.unwrap().unwrap().record.generation
}

/// A file that takes all the room there is.
#[derive(Clone, Debug)]
struct Ballast(PathBuf);

impl Ballast {
    fn in_folder(folder: &Path) -> Self {
        Self(folder.join("ballast"))
    }

    fn fill(&self) {
        let mut file = File::create(&self.0).unwrap();
        for size in [4_096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// A token endpoint that finds the disk full by the time its answer is there.
#[derive(Debug)]
struct Filling {
    inner: TokenClient,
    ballast: Ballast,
    armed: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl TokenEndpoint for Filling {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        let answer = self.inner.renew(with, within).await;
        if self.armed.swap(false, std::sync::atomic::Ordering::SeqCst) {
            self.ballast.fill();
        }
        answer
    }

    async fn revoke(&self, client: &Client, token: &Secret, hint: &str, within: Duration) -> bool {
        self.inner.revoke(client, token, hint, within).await
    }
}
