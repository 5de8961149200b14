//! The process that uses the ring, from within.

use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use regrant_core::{Client, Grant, Id, Login, Record, Secret, Timestamp};
use regrant_storage::{
    Kept, KeyFile, KeyRing as _, NewKey, Over, StoreError, TokenStore as _, Vault,
};
use regrant_storage_keyring::{Auto, Keychain, KeyringStore};
use tokio::runtime;

use crate::client::{ANSWER, DEADLINE, LOG, RUNTIME};
use crate::service::LONG;

/// Reads requests and answers them, if this is such a process.
#[test]
fn child() {
    let Ok(runtime) = std::env::var(RUNTIME) else { return };
    if let Some(path) = std::env::var_os(LOG) {
        log_all(Path::new(&path));
    }
    let millis = std::env::var(DEADLINE).unwrap().parse().unwrap();
    let keychain = Keychain::new().with_deadline(Duration::from_millis(millis));
    let mut tokio = match runtime.as_str() {
        "none" => None,
        "current_thread" => Some(runtime::Builder::new_current_thread()),
        "multi_thread" => Some(runtime::Builder::new_multi_thread()),
        other => panic!("no such runtime: {other}"),
    };
    let tokio = tokio.as_mut().map(|tokio| tokio.enable_time().build().unwrap());
    let mut store = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match &tokio {
            Some(tokio) => tokio.block_on(answered(&keychain, &mut store, &words)),
            None => block_on(answered(&keychain, &mut store, &words)),
        };
        println!("{ANSWER}{answer}");
    }
}

async fn answered(keychain: &Keychain, store: &mut Option<Vault>, words: &[&str]) -> String {
    let (keychain, words) = match words {
        // The same lane, whatever stands in it, and no deadline that a test comes to.
        ["patiently", words @ ..] => (&keychain.clone().with_deadline(LONG), words),
        words => (keychain, words),
    };
    let answer = match words {
        ["open", folder] => opened(folder, keychain).await.map(|vault| {
            *store = Some(vault);
            "opened".to_owned()
        }),
        ["save", account] => saved(store.as_ref().unwrap(), account).await,
        ["read", account] => read(store.as_ref().unwrap(), account).await,
        ["create"] => keychain.create().await.map(described),
        ["create", "for", millis, "ms"] => {
            let patience = Duration::from_millis(millis.parse().unwrap());
            return given_up(keychain.create(), patience);
        }
        ["work", "meanwhile"] => {
            let (steps, answer) = meanwhile(keychain.create()).await;
            return format!("{steps} {}", answer.map_or_else(|error| failed(&error), described));
        }
        ["load", name] => keychain
            .load(&Keychain::source(), name.as_bytes())
            .await
            .map(|key| key.map_or_else(|| "none".to_owned(), |key| format!("{key:?}"))),
        ["remove", name] => keychain.remove(name.as_bytes()).await.map(|()| "removed".to_owned()),
        ["probe"] => keychain.probe().await.map(|()| "usable".to_owned()),
        ["auto", path] => {
            Auto::new(keychain.clone(), KeyFile::new(path)).create().await.map(described)
        }
        other => panic!("no such request: {other:?}"),
    };
    answer.unwrap_or_else(|error| failed(&error))
}

async fn opened(folder: &str, keychain: &Keychain) -> Result<Vault, StoreError> {
    Ok(KeyringStore::open(folder).await?.with_keychain(keychain.clone()).vault())
}

/// Logs in to the account, or saves it once more.
async fn saved(vault: &Vault, account: &str) -> Result<String, StoreError> {
    let (record, over) = match vault.load(account).await? {
        Some(stored) => (stored.record, Over::Version(stored.version)),
        None => (Record::login(&login(account), None), Over::Absent),
    };
    match vault.save(account, &record, &over).await? {
        Kept::Done(_) => Ok("saved".to_owned()),
        Kept::Mismatch(_) => Ok("another was there".to_owned()),
    }
}

async fn read(vault: &Vault, account: &str) -> Result<String, StoreError> {
    let Some(stored) = vault.load(account).await? else { return Ok("none".to_owned()) };
    let saved = login(account);
    assert_eq!(stored.record.incarnation, saved.incarnation);
    let token = &stored.record.slot().unwrap().access_token;
    assert_eq!(token.expose(), saved.grant.access_token.expose());
    Ok("as it was saved".to_owned())
}

/// A login that tells its account. That of the account `long` has a token of six thousand bytes.
fn login(account: &str) -> Login {
    let token = match account {
        "long" => "0123456789".repeat(600),
        account => format!("the token of {account}"),
    };
    let mut incarnation = [0; 16];
    incarnation[..account.len()].copy_from_slice(account.as_bytes());
    Login {
        incarnation: Id(incarnation),
        client: Client::new("https://as.example/token", "a client"),
        origins: Vec::new(),
        grant: Grant::bearer(Secret::new(token)),
        obtained_at: Timestamp::EPOCH,
    }
}

fn described(new: NewKey) -> String {
    format!("{} {}", String::from_utf8(new.parameters).unwrap(), new.source)
}

fn failed(error: &StoreError) -> String {
    let mut text = format!("{}: {error}", error.kind());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(" ({error})"));
        source = error.source();
    }
    text
}

/// Polls it, waits, and drops it unanswered.
fn given_up<T>(future: impl Future<Output = T>, patience: Duration) -> String {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(_) => "answered".to_owned(),
        Poll::Pending => {
            std::thread::park_timeout(patience);
            "given up".to_owned()
        }
    }
}

/// How many steps another task takes until the future is done.
async fn meanwhile<T>(future: impl Future<Output = T>) -> (u32, T) {
    let mut future = std::pin::pin!(future);
    let mut steps = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            biased;
            output = &mut future => return (steps, output),
            _ = ticks.tick() => steps += 1,
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Everything at every level, of those who log with `tracing` and of those who use `log`.
fn log_all(path: &Path) {
    struct Lines(Mutex<File>);
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            writeln!(self.0.lock().unwrap(), "{}", record.args()).unwrap();
        }
        fn flush(&self) {}
    }
    let open = || File::options().create(true).append(true).open(path).unwrap();
    log::set_boxed_logger(Box::new(Lines(Mutex::new(open())))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    // Not by `init`, which would take the place of the logger where the build has that feature.
    let all = all.with_writer(Mutex::new(open())).finish();
    tracing::subscriber::set_global_default(all).unwrap();
}
