//! Several real processes on one credential. A process of these tests is this program again.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use regrant::Policy;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::provider::{Provider, SOON};
use crate::{code_flow, user};

const ASKED: &str = "REGRANT_TESTS_INTEROP";

#[tokio::test]
async fn processes_on_one_store_of_files_make_one_token_request() {
    share_a_refresh_token(Backend::File).await;
}

#[tokio::test]
async fn processes_on_one_sqlite_store_make_one_token_request() {
    share_a_refresh_token(Backend::Sqlite).await;
}

async fn share_a_refresh_token(backend: Backend) {
    const PROCESSES: u64 = 4;
    // Longer than the 2 s after which an attempt without a holder is taken for a dead one.
    let slow = json!({ "token_latency_ms": 3_000 });
    let Some(provider) = Provider::start(slow).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let session = user::open(backend, folder.path(), Policy::default()).await;
    let grant = code_flow::log_in(&provider, "public").await;
    session.install(provider.client("public"), [provider.origin()], grant).await.unwrap();
    session.close(SOON).await.unwrap();
    provider.kill_access_tokens().await;

    // Connecting says "I have read the store"; the end of the connection says "go".
    let gate = TcpListener::bind("127.0.0.1:0").unwrap();
    let task = json!({
        "backend": backend.name(), "folder": folder.path(), "api": provider.api(),
        "gate": gate.local_addr().unwrap().port(),
    });
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "processes::child", "--nocapture"]);
            command.env(ASKED, task.to_string());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..PROCESSES {
            let _ = tell.send(gate.accept().unwrap());
        }
    });
    let ready: Vec<_> = (0..PROCESSES).map(|_| told.recv_timeout(SOON).unwrap()).collect();
    drop(ready);
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        eprintln!("--- process\n{text}---");
        assert!(output.status.success(), "{text}");
    }
    assert_eq!(provider.refreshes().await, json!({ "granted": 1 }));
    let answers = provider.api_answers().await;
    assert_eq!(answers["200"], PROCESSES);
    assert!(answers["401"].as_u64().unwrap() > 1, "they came one after the other: {answers}");
}

/// What a process of these tests does. Alone it does nothing.
#[tokio::test]
async fn child() {
    let Ok(task) = std::env::var(ASKED) else { return };
    let task: Value = serde_json::from_str(&task).unwrap();
    let text = |name: &str| task[name].as_str().unwrap();
    // Built with the whole workspace, reqwest brings no provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (backend, folder) = (Backend::named(text("backend")), text("folder"));
    let session = user::open(backend, folder.as_ref(), Policy::default()).await;
    let origin = regrant::Origin::parse(text("api")).unwrap();
    assert_eq!(session.access(&origin).await.unwrap().id().generation, 1);
    let gate = u16::try_from(task["gate"].as_u64().unwrap()).unwrap();
    let _ = TcpStream::connect(("127.0.0.1", gate)).unwrap().read(&mut [0]);
    let me = format!("{}/me", text("api"));
    assert_eq!(user::call(&user::client(&session), &me).await.unwrap()["sub"], "alice");
    session.close(SOON).await.unwrap();
}
