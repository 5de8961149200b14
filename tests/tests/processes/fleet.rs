//! Many processes on one credential, and the place they share.

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use regrant_core::{Client, Grant, Id, Login, Origin, Record, Secret, Timestamp};
use regrant_sandbox::{Config, Sandbox};
use regrant_storage::{Blob, Kept, Name, Over, TokenStore as _, Vault};
use serde_json::Value;
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
        Self::in_folder(backend, config, tempfile::tempdir().unwrap())
    }

    /// The same on a disk in memory, where there is one: for thousands of saves whose durability
    /// is not what is tested.
    pub(crate) fn in_memory(backend: Backend, config: Config) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::in_folder(backend, config, folder.unwrap())
    }

    fn in_folder(backend: Backend, config: Config, folder: TempDir) -> Self {
        let place = Self { sandbox: Sandbox::start(config).unwrap(), backend, folder };
        place.log_in("default", |_| {});
        place
    }

    /// A login of this account, in the same store.
    pub(crate) fn log_in(&self, account: &str, change: impl FnOnce(&mut Record)) {
        let mut record = Record::login(&login(&self.sandbox), None);
        change(&mut record);
        block_on(async {
            let saved = self.vault().await.save(account, &record, &Over::Absent).await.unwrap();
            assert!(matches!(saved, Kept::Done(_)));
        });
    }

    /// A process that finds the stored token rejected.
    pub(crate) fn task(&self) -> Task {
        Task::call(self.backend, self.folder.path(), self.sandbox.api_url("api"))
    }

    pub(crate) fn stored_generation(&self) -> u64 {
        self.stored("default").generation
    }

    pub(crate) fn stored(&self, account: &str) -> Record {
        block_on(async { self.vault().await.load(account).await.unwrap().unwrap().record })
    }

    /// What lies there, byte for byte.
    pub(crate) fn blob(&self, account: &str) -> Blob {
        block_on(async {
            let (blobs, _) = self.backend.open(self.folder.path()).await;
            blobs.load(&Name::Account(account.to_owned())).await.unwrap().unwrap()
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
pub(crate) fn at_once(backend: Backend, processes: usize) {
    let config = Config { token_latency_ms: 200, ..Config::default() };
    let place = Place::new(backend, config);
    let mut moments = Vec::new();
    for said in together(vec![place.task(); processes]) {
        assert_eq!(said["generation"], 2, "{said}");
        moments.push(said["at"].as_u64().unwrap());
    }
    let stats = place.sandbox.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected, stats.live_families), (1, 0, 1));
    moments.sort_unstable();
    // The first to have it is the one that asked.
    let last = (moments[processes - 1] - moments[0]) / 1_000;
    let middle = (moments[processes / 2] - moments[0]) / 1_000;
    eprintln!("{}: half of them {middle} ms after the first, the last {last} ms", backend.name());
}

/// Processes that begin at the same moment, once all are ready, and what each had to say.
pub(crate) fn together(tasks: Vec<Task>) -> Vec<Value> {
    let gate = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = gate.local_addr().unwrap().port();
    let processes = tasks.len();
    let tasks = tasks.into_iter().map(|task| Task { gate: Some(port), ..task });
    let children: Vec<_> = tasks.map(|task| task.command().spawn().unwrap()).collect();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..processes {
            let _ = tell.send(gate.accept().unwrap());
        }
    });
    let soon = Duration::from_secs(120);
    let ready: Vec<_> = (0..processes).map(|_| told.recv_timeout(soon).unwrap()).collect();
    drop(ready);
    let said = children.into_iter().map(|child| finished(child).expect("nothing kills it"));
    said.collect()
}
