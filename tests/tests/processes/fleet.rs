//! Many processes on one credential, and the place they share.

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use regrant_core::{Client, Grant, Id, Login, Origin, Record, Secret, Timestamp};
use regrant_sandbox::{Config, Sandbox};
use regrant_storage::{Kept, Over, TokenStore as _, Vault};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::child::{Task, finished};

/// A store with one credential of a sandbox that is as strict as they come.
pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    backend: Backend,
    folder: TempDir,
}

impl Place {
    pub(crate) fn new(backend: Backend, config: Config) -> Self {
        let place = Self {
            sandbox: Sandbox::start(config).unwrap(),
            backend,
            folder: tempfile::tempdir().unwrap(),
        };
        let record = Record::login(&login(&place.sandbox), None);
        block_on(async {
            let saved = place.vault().await.save("default", &record, &Over::Absent).await.unwrap();
            assert!(matches!(saved, Kept::Done(_)));
        });
        place
    }

    /// A process that finds the stored token rejected.
    pub(crate) fn task(&self) -> Task {
        Task::call(self.backend, self.folder.path(), self.sandbox.api_url("api"))
    }

    pub(crate) fn stored_generation(&self) -> u64 {
        block_on(async {
            let stored = self.vault().await.load("default").await.unwrap().unwrap();
            stored.record.generation
        })
    }

    async fn vault(&self) -> Vault {
        let (blobs, _) = self.backend.open(self.folder.path()).await;
        Vault::new(blobs, Arc::new(self.task().key()))
    }
}

pub(crate) fn login(sandbox: &Sandbox) -> Login {
    let issued = sandbox.issue();
    let text = |name: &str| Secret::new(issued[name].as_str().unwrap().to_owned());
    let mut grant = Grant::bearer(text("access_token"));
    grant.refresh_token = Some(text("refresh_token"));
    Login {
        incarnation: Id([1; 16]),
        client: Client::new(sandbox.token_endpoint(), "sandbox-client"),
        origins: vec![Origin::parse(sandbox.api_url("api")).unwrap()],
        grant,
        obtained_at: Timestamp::from_millis(sandbox.now_ms()),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Without grace and with reuse detection: a second request would be the end of the login.
pub(crate) fn fifty_at_once(backend: Backend) {
    const PROCESSES: usize = 50;
    let config = Config { token_latency_ms: 200, ..Config::default() };
    let place = Place::new(backend, config);
    let gate = TcpListener::bind("127.0.0.1:0").unwrap();
    let task = Task { gate: Some(gate.local_addr().unwrap().port()), ..place.task() };
    let children: Vec<_> = (0..PROCESSES).map(|_| task.command().spawn().unwrap()).collect();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..PROCESSES {
            let _ = tell.send(gate.accept().unwrap());
        }
    });
    let soon = Duration::from_secs(120);
    let ready: Vec<_> = (0..PROCESSES).map(|_| told.recv_timeout(soon).unwrap()).collect();
    drop(ready);
    let mut moments = Vec::new();
    for child in children {
        let said = finished(child).expect("nothing kills it");
        assert_eq!(said["generation"], 2, "{said}");
        moments.push(said["at"].as_u64().unwrap());
    }
    let stats = place.sandbox.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected, stats.live_families), (1, 0, 1));
    moments.sort_unstable();
    // The first to have it is the one that asked.
    let last = (moments[PROCESSES - 1] - moments[0]) / 1_000;
    let middle = (moments[PROCESSES / 2] - moments[0]) / 1_000;
    eprintln!("{}: half of them {middle} ms after the first, the last {last} ms", backend.name());
}
