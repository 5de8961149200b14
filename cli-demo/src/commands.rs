//! The commands, a file each, and what they share.

mod accounts;
mod allow;
mod call;
mod explain;
mod import;
mod logout;
mod reconsider;
pub(crate) mod sandbox;
mod status;
mod token;

use std::process::ExitCode;

use regrant::{LoginReason, Origin, OriginError};
use regrant_core::Record;
use url::Url;

use crate::args::{Command, Global};
use crate::demo;
use crate::error::Failure;
use crate::output::Output;
use crate::session::Opened;
use crate::store::{Place, Store};

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) output: Output,
}

impl Context {
    pub(crate) async fn store(&self) -> Result<Store, Failure> {
        Place::named(&self.global)?.open(self.output).await
    }

    /// Opens a session. From then on the credential is refreshed where that is due.
    pub(crate) fn session(&self, store: &Store) -> Result<Opened, Failure> {
        Opened::on(store, &self.global.account, self.output)
    }
}

/// Runs one command to its end.
pub(crate) async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo => {
            let options = demo::Options { json: context.output.is_json() };
            return Ok(Box::pin(demo::run(options)).await);
        }
        Command::DemoWorker => return Ok(Box::pin(demo::work()).await),
        Command::Call(call) => return Box::pin(call::run(call, context)).await,
        Command::Import(import) => import::run(&import, context).await,
        Command::Token(token) => token::run(&token, context).await,
        Command::Status => status::run(context).await,
        Command::Accounts => accounts::run(context).await,
        Command::Allow(allow) => allow::run(&allow, context).await,
        Command::Logout => logout::run(context).await,
        Command::Reconsider => reconsider::run(context).await,
        Command::Explain(explain) => explain::run(&explain, context.output),
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
