//! One process: a session on the store, asked for a token that the API has not rejected.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use regrant::{AccessError, Origin, Session, Strength, Verdict};
use regrant_reqwest::TokenClient;
use regrant_storage::{Blob, BlobStore, Expected, KeyFile, Name, Saved, StoreError, Vault};
use regrant_tests::{SavedOtherwise, Saves};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::{full_disk, siblings};

const ASKED: &str = "REGRANT_TESTS_PROCESS";

/// Where a process ends itself, as a crash would: by `abort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    BeforeSave(usize),
    /// So many microseconds after the save was begun.
    InSave(usize, u64),
    AfterSave(usize),
}

/// What a process is told to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) what: &'static str,
    pub(crate) backend: Backend,
    pub(crate) folder: PathBuf,
    /// The API that is called.
    pub(crate) origin: String,
    /// The generation that it has rejected.
    pub(crate) rejected: u64,
    pub(crate) crash: Crash,
    /// A port on loopback. Connecting to it says "ready"; its end says "go".
    pub(crate) gate: Option<u16>,
    /// Whose record it works on.
    pub(crate) account: String,
}

/// What this process does if it is asked to call.
const CALL: &str = "call";
/// If it is asked to save, again and again.
pub(crate) const SAVE: &str = "save";
/// And if it is asked to live on a full disk.
pub(crate) const FULL_DISK: &str = "full disk";

impl Task {
    pub(crate) fn call(backend: Backend, folder: &Path, origin: &str) -> Self {
        Self {
            what: CALL,
            backend,
            folder: folder.to_owned(),
            origin: origin.to_owned(),
            rejected: 1,
            crash: Crash::Never,
            gate: None,
            account: "default".to_owned(),
        }
    }

    pub(crate) fn rejected(self, rejected: u64) -> Self {
        Self { rejected, ..self }
    }

    pub(crate) fn crash(self, crash: Crash) -> Self {
        Self { crash, ..self }
    }

    /// A process that does it. What it has to say it says in a line of JSON on standard error,
    /// since the test harness writes on standard output.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--nocapture"]);
        self.ask(&mut command);
        command
    }

    /// Sets what the process is asked by.
    pub(crate) fn ask(&self, command: &mut Command) {
        let (crash, save, micros) = match self.crash {
            Crash::Never => ("never", 0, 0),
            Crash::BeforeSave(save) => ("before", save, 0),
            Crash::InSave(save, micros) => ("in", save, micros),
            Crash::AfterSave(save) => ("after", save, 0),
        };
        let task = json!({
            "what": self.what, "backend": self.backend.name(), "folder": self.folder,
            "origin": self.origin, "rejected": self.rejected, "crash": crash, "save": save,
            "micros": micros, "gate": self.gate, "account": self.account,
        });
        command.env(ASKED, task.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    }

    pub(crate) fn asked() -> Option<Self> {
        let task: Value = serde_json::from_str(&std::env::var(ASKED).ok()?).unwrap();
        let text = |name: &str| task[name].as_str().unwrap().to_owned();
        let save = usize::try_from(task["save"].as_u64().unwrap()).unwrap();
        Some(Self {
            what: [CALL, SAVE, FULL_DISK].into_iter().find(|what| *what == task["what"]).unwrap(),
            backend: Backend::named(&text("backend")),
            folder: text("folder").into(),
            origin: text("origin"),
            rejected: task["rejected"].as_u64().unwrap(),
            crash: match text("crash").as_str() {
                "before" => Crash::BeforeSave(save),
                "in" => Crash::InSave(save, task["micros"].as_u64().unwrap()),
                "after" => Crash::AfterSave(save),
                _ => Crash::Never,
            },
            gate: task["gate"].as_u64().map(|port| u16::try_from(port).unwrap()),
            account: text("account"),
        })
    }

    pub(crate) fn run(&self) {
        // Built with the whole workspace, reqwest brings no provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let said = runtime.block_on(async {
            match self.what {
                FULL_DISK => full_disk::live(self).await,
                SAVE => siblings::save(self).await,
                _ => self.called().await,
            }
        });
        eprintln!("{said}");
    }

    async fn called(&self) -> Value {
        let session = self.session(Arc::new(TokenClient::new().unwrap())).await;
        let origin = Origin::parse(&self.origin).unwrap();
        if self.gate.is_some() {
            // The store is open by then.
            session.access(&origin).await.unwrap();
            self.wait_for_all();
        }
        let mut answer = session.access(&origin).await;
        if let Ok(access) = &answer
            && access.id().generation <= self.rejected
        {
            let old = access.id();
            session.report(old, &origin, Verdict::Rejected(Strength::Strong));
            answer = session.access_newer(&origin, old).await;
        }
        let said = match answer {
            Ok(access) => {
                session.report(access.id(), &origin, Verdict::Accepted);
                json!({ "generation": access.id().generation, "at": micros() })
            }
            Err(AccessError::NeedsLogin { reason, .. }) => json!({ "login": reason.as_str() }),
            Err(error) => json!({ "error": error.code() }),
        };
        session.close(Duration::from_secs(20)).await.unwrap();
        said
    }

    /// Says that this process is ready, and waits until all are.
    pub(crate) fn wait_for_all(&self) {
        if let Some(gate) = self.gate {
            let mut gate = TcpStream::connect(("127.0.0.1", gate)).unwrap();
            let _ = gate.read(&mut [0]);
        }
    }

    pub(crate) async fn session(&self, endpoint: Arc<dyn regrant::TokenEndpoint>) -> Session {
        let (inner, lease) = self.backend.open(&self.folder).await;
        let dying = Dying { crash: self.crash, saves: AtomicUsize::new(0) };
        let blobs = SavedOtherwise::new(inner, dying);
        let vault = Vault::new(Arc::new(blobs), Arc::new(self.key()));
        Session::builder(Arc::new(vault), Arc::new(lease), endpoint)
            .account(self.account.as_str())
            .open()
            .unwrap()
    }

    pub(crate) fn key(&self) -> KeyFile {
        KeyFile::new(self.folder.join("keys/regrant.key"))
    }
}

/// The wall clock, which all processes share.
fn micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1_000
}

/// Starts a process and waits for what it says; `None` from one that died.
pub(crate) fn finished(child: Child) -> Option<Value> {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(output.status.signal(), Some(6), "it did not end by itself: {text}");
        return None;
    }
    let said = text.lines().find(|line| line.starts_with('{'));
    Some(serde_json::from_str(said.unwrap_or_else(|| panic!("it said nothing: {text}"))).unwrap())
}

/// A process that ends itself at one of its saves of a record.
#[derive(Debug)]
struct Dying {
    crash: Crash,
    saves: AtomicUsize,
}

#[async_trait]
impl Saves for Dying {
    async fn save(
        &self,
        inner: &dyn BlobStore,
        blob: &Blob,
        expected: Expected,
    ) -> Result<Saved, StoreError> {
        let save = match blob.entry.name {
            Name::Account(_) => self.saves.fetch_add(1, Ordering::SeqCst) + 1,
            Name::DataKey => 0,
        };
        if self.crash == Crash::BeforeSave(save) {
            std::process::abort();
        }
        if let Crash::InSave(fatal, micros) = self.crash
            && fatal == save
        {
            // Wherever the save is by then.
            std::thread::spawn(move || {
                // Nobody is given the notice, so all of the time passes.
                std::thread::park_timeout(Duration::from_micros(micros));
                std::process::abort();
            });
            let _ = inner.save(blob, expected).await;
            std::future::pending::<()>().await;
        }
        let saved = inner.save(blob, expected).await;
        if self.crash == Crash::AfterSave(save) {
            std::process::abort();
        }
        saved
    }
}
