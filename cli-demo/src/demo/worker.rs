//! One process of the demo: it opens the credential, and calls when it is told to.

use std::process::ExitCode;

use regrant::{Policy, SystemClocks, TimeSource as _};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::caller::Caller;
use super::naive::{self, Naive};
use super::says::{Kind, Order, Said, StateName, Task};
use super::trouble::Trouble;

/// The client of this process.
enum Client {
    Regrant(Caller),
    Naive(Naive),
}

/// What this process says, in order.
type Mouth = UnboundedSender<Said>;

/// Runs a worker: its task and its orders come on standard input, what it says goes to standard
/// output. It ends with its input, so also when the demo is gone.
pub(crate) async fn work() -> ExitCode {
    let (mouth, words) = mpsc::unbounded_channel();
    let speaking = tokio::spawn(speak(words));
    let done = Box::pin(obey(mouth)).await;
    // Fails only where the demo does not listen any more.
    let _ = speaking.await;
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            super::complain(&trouble);
            ExitCode::FAILURE
        }
    }
}

async fn obey(mouth: Mouth) -> Result<(), Trouble> {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let task: Task = next(&mut input).await?.ok_or(Trouble::Order)?;
    let (client, told, state) = match task.kind {
        Kind::Regrant => {
            let caller = Caller::open(&task.folder, &task.url, Policy::default()).await?;
            let events = caller.session().events();
            let told = tokio::spawn(tell(events, mouth.clone()));
            let state = caller.state().await.map(StateName);
            (Client::Regrant(caller), Some(told), state)
        }
        Kind::Naive => (Client::Naive(Naive::open(&task.folder)?), None, None),
    };
    say(&mouth, Said::Ready { state });
    while let Some(Order { calls }) = next(&mut input).await? {
        for _ in 0..calls {
            say(&mouth, client.call(&task.url).await);
        }
    }
    if let Client::Regrant(caller) = client {
        caller.close().await?;
    }
    if let Some(told) = told {
        // The events end with the session.
        let _ = told.await;
    }
    Ok(())
}

impl Client {
    async fn call(&self, url: &str) -> Said {
        let failed = |code: &str, message: String| Said::Failed { code: code.to_owned(), message };
        match self {
            Self::Regrant(caller) => match caller.call().await {
                Ok(status) => Said::Answered { status },
                Err(error) => failed(error.code(), error.sentence()),
            },
            Self::Naive(naive) => match naive.call(url).await {
                Ok(status) => Said::Answered { status },
                Err(error @ naive::Failed::LogInAgain) => failed("needs_login", error.to_string()),
                Err(error @ (naive::Failed::Http(_) | naive::Failed::Save(_))) => {
                    failed("http", error.to_string())
                }
            },
        }
    }
}

/// The session's events, as far as the timeline tells them.
async fn tell(mut events: regrant::Events, mouth: Mouth) {
    while let Some(event) = events.next().await {
        // What was missed, because it came too fast, is missing in the timeline alone.
        if let Some(said) = event.ok().and_then(|event| Said::of(&event, SystemClocks.wall())) {
            say(&mouth, said);
        }
    }
}

fn say(mouth: &Mouth, said: Said) {
    // Fails only where the demo does not listen any more.
    let _ = mouth.send(said);
}

async fn speak(mut words: UnboundedReceiver<Said>) -> Option<()> {
    let mut out = tokio::io::stdout();
    while let Some(said) = words.recv().await {
        let mut line = serde_json::to_vec(&said).ok()?;
        line.push(b'\n');
        out.write_all(&line).await.ok()?;
        out.flush().await.ok()?;
    }
    Some(())
}

async fn next<T: DeserializeOwned>(
    input: &mut Lines<BufReader<Stdin>>,
) -> Result<Option<T>, Trouble> {
    match input.next_line().await.map_err(|_| Trouble::Order)? {
        Some(line) => serde_json::from_str(&line).map(Some).map_err(|_| Trouble::Order),
        None => Ok(None),
    }
}
