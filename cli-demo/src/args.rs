//! The command line, as clap reads it.

mod classify;
mod client;
mod login;
mod sandbox;

pub(crate) use classify::{Classify, Kind, Profiles};
pub(crate) use client::{Auth, Client, ClientSet};
pub(crate) use login::Login;
pub(crate) use sandbox::{Apis, BrowserLogin, Logins, RejectionForm, Sandbox};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Keeps OAuth 2.0 credentials alive for scripts: the server decides when a token is dead.
#[derive(Debug, Parser)]
#[command(name = "regrant", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  2   usage; an origin that the credential is not bound to
  3   login needed, or a step-up
  4   not now: server or network away, another process refreshes, a cool-down runs
  5   the API rejects freshly issued tokens too
  6   the credential store cannot be used
  7   the client is misconfigured
  22  call -f, and the answer was an HTTP error
  1   anything else

Times are in RFC 3339, UTC. `regrant explain` has a page for every error and reason.";

/// What every command takes, before its name or after it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where credentials are kept: `sqlite:PATH`, `file:FOLDER`, or `keyring[:FOLDER]`, a folder
    /// whose key is in the keychain
    /// [default: sqlite, regrant/credentials.db in the user's data folder]
    // A URL of a store can hold a password, so its value is never shown.
    #[arg(long, global = true, value_name = "URL", env = "REGRANT_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,

    /// Which credential
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "REGRANT_ACCOUNT",
        hide_env_values = true,
        default_value = "default",
        value_parser = account
    )]
    pub(crate) account: String,

    /// Where the sealing key comes from: `keychain`, `file:PATH`, `passphrase-fd:N` (a line on
    /// that descriptor), `prompt`; or `auto`: what the store names, and for a new store the
    /// keychain if it answers without a prompt, else a file in the user's configuration folder
    #[arg(
        long,
        global = true,
        value_name = "SOURCE",
        env = "REGRANT_KEY",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub(crate) key: String,

    /// Provider profile; kept with the credential at login, import and `client set`
    #[arg(long, global = true, value_name = "NAME or FILE")]
    pub(crate) profile: Option<String>,

    /// Print the refresh log on standard error, without secrets. REGRANT_LOG does too: a level
    /// (`info`, `debug`, `trace`), or levels by target (`regrant=debug`)
    #[arg(long, global = true)]
    pub(crate) debug: bool,

    /// Print one JSON object in place of prose, on errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole story on real parts, in a temporary place
    Demo,
    /// One of the processes of `demo`
    #[command(name = crate::demo::WORKER, hide = true)]
    DemoWorker,
    /// Log in: with the browser, on another device, or as the program itself
    Login(Box<Login>),
    /// Take over a token response (RFC 6749 section 5.1), read on standard input, or another
    /// program's credential file
    Import(Box<Import>),
    /// Send a request with the credential
    Call(Call),
    /// Print a live access token
    Token(Token),
    /// Show the state of the credential; needs no network
    Status,
    /// List the stored credentials
    Accounts,
    /// Let the token go to one more origin
    Allow(Allow),
    /// Forget the credential here, and revoke it at the authorization server
    Logout,
    /// Try a refused refresh token once more
    Reconsider,
    /// Look at the client that asks the authorization server, or change it
    #[command(subcommand)]
    Client(Client),
    /// Look at the key that seals the store, or change it
    #[command(subcommand)]
    Key(Key),
    /// Try each part (store, lock, key, credentials, endpoints, clock), and say what is wrong
    Doctor(Doctor),
    /// Explain a reason or an error code
    Explain(Explain),
    /// List the provider profiles, or print one
    Profiles(Profiles),
    /// Say what an HTTP answer, read on standard input, means to regrant, and by which rule
    Classify(Classify),
    /// Run an authorization server and APIs on loopback, for tests
    Sandbox(Box<Sandbox>),
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The token endpoint: https, or http on loopback
    #[arg(long, value_name = "URL")]
    pub(crate) token_endpoint: String,
    /// The client identifier
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// Where the token may go; can be repeated
    #[arg(long = "api", value_name = "ORIGIN", required = true)]
    pub(crate) apis: Vec<String>,
    /// A file with the client secret
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How the client authenticates [default: basic with a secret, else none]
    #[arg(long, value_name = "HOW")]
    pub(crate) auth: Option<Auth>,
    /// The revocation endpoint (RFC 7009)
    #[arg(long, value_name = "URL")]
    pub(crate) revocation_endpoint: Option<String>,
    /// The issuer
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Another program's JSON file, in place of standard input; it is not changed
    #[arg(long, value_name = "FILE", requires = "map")]
    pub(crate) from_file: Option<PathBuf>,
    /// Where a member lies in that file: access_token, refresh_token, expires_at, expires_in,
    /// scope or token_type, and a JSON Pointer, such as `access_token=/oauth/token`; a moment in
    /// milliseconds is `expires_at=/oauth/expires:ms`. Can be repeated
    #[arg(long, value_name = "FIELD=POINTER", requires = "from_file")]
    pub(crate) map: Vec<String>,
}

/// What to do about the key.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Say where the key comes from, what it protects from, and whether it is there
    Show,
    /// Make a new key for the store, and seal every credential with it
    Rekey(Rekey),
    /// Change the passphrase that the store is opened with
    ChangePassphrase(ChangePassphrase),
}

#[derive(Args, Debug)]
pub(crate) struct Rekey {
    /// Where the new key comes from, as --key names it [default: where the old one does]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) to: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ChangePassphrase {
    /// Where the new passphrase comes from: `passphrase-fd:N` or `prompt` [default: the terminal;
    /// with --key passphrase-fd:N, its next line]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) new: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Leave out what needs the network
    #[arg(long)]
    pub(crate) offline: bool,
}

impl Command {
    /// The source of a key that the command names beside --key.
    pub(crate) fn other_key(&self) -> Option<&str> {
        match self {
            Self::Key(Key::Rekey(rekey)) => rekey.to.as_deref(),
            Self::Key(Key::ChangePassphrase(change)) => change.new.as_deref(),
            Self::Key(Key::Show)
            | Self::Demo
            | Self::DemoWorker
            | Self::Login(_)
            | Self::Import(_)
            | Self::Call(_)
            | Self::Token(_)
            | Self::Status
            | Self::Accounts
            | Self::Allow(_)
            | Self::Logout
            | Self::Reconsider
            | Self::Client(_)
            | Self::Doctor(_)
            | Self::Explain(_)
            | Self::Profiles(_)
            | Self::Classify(_)
            | Self::Sandbox(_) => None,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// Where to; its origin must be one that the credential is bound to
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// The method [default: GET, or POST with -d]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// A header, `Name: value`; can be repeated
    #[arg(short = 'H', long = "header", value_name = "K: V")]
    pub(crate) headers: Vec<String>,
    /// The body: text, `@FILE`, or `@-` for standard input
    #[arg(short = 'd', long = "data", value_name = "DATA", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// How many requests
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,
    /// How many at the same time
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) concurrency: u16,
    /// The request must not be sent again, even if the token was rejected
    #[arg(long)]
    pub(crate) no_replay: bool,
    /// Exit with 22 if the answer is an HTTP error
    #[arg(short = 'f', long)]
    pub(crate) fail: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Token {
    /// Say that a server refused the token of this fingerprint, and print a newer one
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) rejected: Option<String>,
    /// Print a line of configuration for `curl -K -`
    #[arg(long)]
    pub(crate) curl: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Allow {
    /// Scheme, host and port: https, or http on loopback
    #[arg(value_name = "ORIGIN")]
    pub(crate) origin: String,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The code; without one, all codes are listed
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// The longest account name. It is shown in tables, and no store has a use for more.
const LONGEST_ACCOUNT: usize = 256;

fn account(name: &str) -> Result<String, &'static str> {
    if name.is_empty() || name.chars().count() > LONGEST_ACCOUNT {
        return Err("an account name has 1 to 256 characters");
    }
    if name.chars().any(char::is_control) {
        return Err("an account name has no control characters");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_are_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            &["regrant", "--json", "--account", "a", "status"][..],
            &["regrant", "status", "--account", "a", "--json"],
            &["regrant", "--account", "a", "status", "--json"],
        ] {
            let read = CommandLine::try_parse_from(line).unwrap();
            assert!(read.global.json && read.global.account == "a", "{line:?}");
        }
    }
}
