//! The commands, a file each, and what they share.

mod accounts;
mod allow;
mod call;
mod classify;
mod client;
mod doctor;
mod explain;
mod import;
mod key;
mod login;
mod logout;
mod profiles;
mod reconsider;
mod sandbox;
mod saved;
mod status;
mod token;

pub(crate) use status::Report;

use std::process::ExitCode;
use std::sync::OnceLock;

use regrant::{LoginReason, Origin, OriginError};
use regrant_core::Record;
use url::Url;

use crate::advice::Advice;
use crate::args::{Command, Global};
use crate::demo;
use crate::error::{Exit, Failure};
use crate::key::{Descriptors, Keys, Patience};
use crate::output::Output;
use crate::session::Opened;
use crate::store::{Place, Store};

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) output: Output,
    keys: Keys,
    /// What there is to say of the store that was opened last.
    advice: OnceLock<Advice>,
}

impl Context {
    pub(crate) fn new(global: Global, descriptors: Descriptors, output: Output) -> Self {
        Self { global, output, keys: Keys::new(descriptors), advice: OnceLock::new() }
    }

    /// The store, whose key a person may be asked for when it is needed.
    pub(crate) async fn store(&self) -> Result<Store, Failure> {
        self.open(Patience::Asks).await
    }

    /// The store, whose key nobody is asked for.
    pub(crate) async fn store_unasked(&self) -> Result<Store, Failure> {
        self.open(Patience::Never).await
    }

    async fn open(&self, patience: Patience) -> Result<Store, Failure> {
        let place = Place::named(self.global.store.as_deref(), &self.global.key)?;
        let store = place.open(&self.keys, patience, self.output).await?;
        self.advice.get_or_init(|| Advice::of(&store, &place));
        Ok(store)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Opens a session. From then on the credential is refreshed where that is due.
    pub(crate) async fn session(&self, store: &Store) -> Result<Opened, Failure> {
        store.unlock().await;
        Opened::on(store, &self.global.account, self.output)
    }

    /// What went wrong, with what is known of the store that it went wrong with.
    pub(crate) fn advised(&self, failure: Failure) -> Failure {
        match self.advice.get() {
            Some(advice) if failure.exit == Exit::Store => advice.on(failure),
            _ => failure,
        }
    }
}

/// Runs one command to its end.
pub(crate) async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    done(command, context).await.map_err(|failure| context.advised(failure))
}

async fn done(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo => {
            let options = demo::Options { json: context.output.is_json() };
            return Ok(Box::pin(demo::run(options)).await);
        }
        Command::DemoWorker => return Ok(Box::pin(demo::work()).await),
        Command::Call(call) => return Box::pin(call::run(call, context)).await,
        Command::Login(login) => Box::pin(login::run(&login, context)).await,
        Command::Import(import) => import::run(&import, context).await,
        Command::Token(token) => token::run(&token, context).await,
        Command::Status => status::run(context).await,
        Command::Accounts => accounts::run(context).await,
        Command::Allow(allow) => allow::run(&allow, context).await,
        Command::Logout => logout::run(context).await,
        Command::Reconsider => reconsider::run(context).await,
        Command::Client(command) => client::run(&command, context).await,
        Command::Key(command) => key::run(&command, context).await,
        Command::Doctor(doctor) => return doctor::run(&doctor, context).await,
        Command::Explain(explain) => explain::run(&explain, context.output),
        Command::Profiles(profiles) => profiles::run(&profiles, context.output),
        Command::Classify(classify) => return classify::run(&classify, context),
        Command::Sandbox(sandbox) => sandbox::run(*sandbox, context.output).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// A URL that something secret may be sent to, and its origin.
fn url(text: &str, what: &str) -> Result<(Url, Origin), Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!("{what} {why}")).remedy("write an https URL, or http on loopback")
    };
    let url = Url::parse(text).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user name or password in it"));
    }
    let host = url.host_str().ok_or_else(|| wrong("has no host"))?;
    let port = url.port_or_known_default().unwrap_or(0);
    let origin = Origin::new(url.scheme(), host, port);
    let origin = origin.map_err(|error| wrong(&format!("cannot be used: {error}")))?;
    Ok((url, origin))
}

/// An origin on the command line.
fn origin(text: &str) -> Result<Origin, Failure> {
    Origin::parse(text).map_err(|error| {
        let remedy = match error {
            OriginError::Trailing => "write scheme and host alone, such as https://api.example.com",
            _ => "write an origin such as https://api.example.com, or http on loopback",
        };
        Failure::usage("this is no origin that a token may go to").because(&error).remedy(remedy)
    })
}

/// Where the token is good, by the first origin that the credential is bound to.
fn first_origin(record: &Record) -> Result<&Origin, Failure> {
    record.origins.first().ok_or_else(|| {
        // What a logout left without the key has no origins.
        if record.is_logged_out() {
            return Failure::needs_login(LoginReason::LoggedOut, None);
        }
        Failure::usage("the credential is bound to no origin")
            .remedy("say where the token may go: regrant allow ORIGIN")
    })
}
