//! `login`: from an authorization server, or from the URL of an API, to a credential in the store.

mod failure;
mod server;

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use regrant::{Origin, Profile, Secret, StoreFault, TokenEndpoint as _};
use regrant_core::{Record, Refresh};
use regrant_login::{
    BrowserLogin, DeviceLogin, Http, LoggedIn, LoginRequest, Reach, ServerMetadata,
    client_credentials, open_browser,
};
use regrant_reqwest::TokenClient;
use regrant_storage::{Entry, KeySource, Name};

use self::server::Server;
use super::saved::save;
use super::{Context, origin, url};
use crate::api::USER_AGENT;
use crate::args::Login;
use crate::client_options::{authentication, scope, secret};
use crate::error::Failure;
use crate::output::Output;
use crate::profile;
use crate::store::Store;
use crate::time;

/// How long the browser is waited for: 5 min, in which a person finds a second factor.
const BROWSER: Duration = Duration::from_secs(300);

/// How long a revocation may take: 10 s. The login is saved by then, and nothing depends on it.
const REVOCATION: Duration = Duration::from_secs(10);

pub(super) async fn run(login: &Login, context: &Context) -> Result<(), Failure> {
    let output = context.output;
    let way = Way::of(login)?;
    let mut request = request(login, context)?;
    let origins = origins(login)?;
    let http = http(login)?;
    let store = context.store().await?;
    // Whoever must be asked for a passphrase is asked before the login, not after it.
    store.unlock().await;
    must_be_savable(&store, &context.global.account).await?;

    let Server { metadata, resource, scope } = server::find(&http, login).await?;
    request.resources.extend(resource);
    request.scope = request.scope.or(scope);
    let LoggedIn { client, mut grant, .. } = way.log_in(&http, &metadata, &request, output).await?;
    if !grant.token_type.eq_ignore_ascii_case("bearer") {
        return Err(failure::not_bearer());
    }
    // RFC 6749 section 5.1: a scope that is not stated is the one that was asked for.
    grant.scope = grant.scope.or_else(|| client.scope.clone());

    // Whatever cannot be read has nothing that could be revoked.
    let old = store.load(&context.global.account).await.ok().flatten();
    let refresh_token = grant.refresh_token.clone();
    let saved = save(&store, client, origins, grant, context).await.inspect_err(|_| {
        output.note(
            "the server has logged the user in all the same, and nobody has the tokens: end that \
             login there if it matters",
        );
    })?;
    let old_revoked = match old {
        Some(old) => revoke(&old, refresh_token.as_ref(), output).await?,
        None => None,
    };
    if refresh_token.is_none() && way != Way::ClientCredentials {
        output.note(
            "the server gave no refresh token: when the token ends, a login is needed; many \
             servers give one with --scope offline_access",
        );
    }
    let account = &context.global.account;
    let mut answer = saved.to_json(account);
    answer["old_revoked"] = old_revoked.into();
    output.answer(&saved.to_prose(&format!("Logged in as {account:?}")), &answer)
}

/// Nobody logs in for nothing: what would also keep the login from being saved is told first. A
/// damaged credential, or one of another key, is no such thing, because a login takes its place.
async fn must_be_savable(store: &Store, account: &str) -> Result<(), Failure> {
    if !store.is_new()
        && let Err(error) = store.vault().fingerprinter().await
    {
        let others = store.list().await.unwrap_or_default();
        let is_other =
            |entry: &Entry| matches!(&entry.name, Name::Account(name) if name != account);
        let has_others = others.iter().any(is_other);
        let source = store.recorded().source().map(KeySource::as_str);
        let is_passphrase = source == Some("passphrase");
        // The key of a lone credential can be replaced with it; a passphrase is never taken for
        // another one.
        match error.kind() {
            StoreFault::KeyMissing
            | StoreFault::WrongKeySource
            | StoreFault::Locked
            | StoreFault::Unavailable => return Err(error.into()),
            StoreFault::WrongKey if has_others || is_passphrase => return Err(error.into()),
            _ => {}
        }
    }
    match store.load(account).await {
        Err(error)
            if matches!(
                error.kind(),
                StoreFault::KeyMissing
                    | StoreFault::WrongKeySource
                    | StoreFault::Locked
                    | StoreFault::Unavailable
            ) =>
        {
            Err(error.into())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// How the user logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Browser { opens: bool, port: Option<u16> },
    Device,
    ClientCredentials,
}

impl Way {
    fn of(login: &Login) -> Result<Self, Failure> {
        if login.device {
            return Ok(Self::Device);
        }
        if login.client_credentials {
            return Ok(Self::ClientCredentials);
        }
        let opens = !login.no_browser;
        if opens && !stderr().is_terminal() {
            return Err(Failure::usage("no prompt and no browser without a terminal").remedy(
                "log in with a code (--device), or open the printed URL yourself (--no-browser)",
            ));
        }
        Ok(Self::Browser { opens, port: login.port })
    }

    async fn log_in(
        self,
        http: &Http,
        server: &ServerMetadata,
        request: &LoginRequest,
        output: Output,
    ) -> Result<LoggedIn, Failure> {
        match self {
            Self::Browser { opens, port } => {
                let login = BrowserLogin::begin(http, server, request, port)
                    .await
                    .map_err(|error| failure::of_browser(&error))?;
                let address = login.authorization_url().as_str();
                output.say(&format!(
                    "To log in, open this address in a browser on this machine:\n\n  {address}\n\n\
                     Waiting for at most {}.",
                    time::length(BROWSER)
                ));
                if opens && let Err(error) = open_browser(address) {
                    output.note(&error.to_string());
                }
                login.wait(BROWSER).await.map_err(|error| failure::of_browser(&error))
            }
            Self::Device => {
                let login = DeviceLogin::begin(http, server, request)
                    .await
                    .map_err(|error| failure::of_device(&error))?;
                output.say(&announcement(&login));
                login.wait().await.map_err(|error| failure::of_device(&error))
            }
            Self::ClientCredentials => client_credentials(http, server, request)
                .await
                .map_err(|error| failure::of_client_credentials(&error)),
        }
    }
}

fn announcement(login: &DeviceLogin) -> String {
    let mut text = format!(
        "To log in, open this address in any browser:\n\n  {}\n\nand enter this code:\n\n  {}\n\n",
        login.verification_uri().as_str(),
        login.user_code()
    );
    if let Some(complete) = login.verification_uri_complete() {
        text +=
            &format!("Or open this one, which has the code in it:\n\n  {}\n\n", complete.as_str());
    }
    text + &format!("Waiting for at most {}.", time::length(login.expires_in()))
}

fn request(login: &Login, context: &Context) -> Result<LoginRequest, Failure> {
    let secret = login.client_secret_file.as_deref().map(secret).transpose()?;
    let mut request = LoginRequest::new(&login.client_id);
    request.authentication = authentication(login.auth, secret.is_some())?;
    request.client_secret = secret;
    request.scope = scope(login.scopes.iter().map(String::as_str));
    for parameter in &login.parameters {
        let (name, value) =
            parameter.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                Failure::usage("a --parameter is not as it should be")
                    .remedy("write --parameter NAME=VALUE")
            })?;
        request.parameters.push((name.to_owned(), value.to_owned()));
    }
    let profile = profile::named(context.global.profile.as_deref())?;
    request.profile = profile.map(|profile| profile.kept);
    Ok(request)
}

/// Where the token may go: what was named, else where the resource is.
fn origins(login: &Login) -> Result<Vec<Origin>, Failure> {
    let resource = login.resource.as_deref().map(|text| url(text, "the resource")).transpose()?;
    let named = login.apis.iter().map(|api| origin(api)).collect::<Result<Vec<_>, _>>()?;
    Ok(match resource {
        Some((_, origin)) if named.is_empty() => vec![origin],
        Some(_) | None => named,
    })
}

fn http(login: &Login) -> Result<Http, Failure> {
    let reach = if login.allow_private_addresses { Reach::Private } else { Reach::Public };
    Http::builder(reach).build(|builder| builder.user_agent(USER_AGENT)).map_err(|error| {
        Failure::other("internal", "the HTTP client cannot be made").because(&error)
    })
}

/// Ends the login that was there before, where that cannot end the new one too: both can be the
/// same grant to the server. None where there was nothing to revoke, or it was not tried.
async fn revoke(
    old: &Record,
    new: Option<&Secret>,
    output: Output,
) -> Result<Option<bool>, Failure> {
    let is_live = matches!(old.refresh, Refresh::Usable | Refresh::InDoubt { .. });
    let Some(token) = old.refresh_token.as_ref().filter(|_| is_live) else { return Ok(None) };
    // Some servers give the same one again.
    if old.client.revocation_endpoint.is_none() || new.is_some_and(|new| new.is(token)) {
        return Ok(None);
    }
    let profile = old.client.profile.as_deref().and_then(|kept| Profile::of(kept).ok());
    if profile.and_then(|profile| profile.revokes_token_alone()) != Some(true) {
        output.note(
            "the login before this one was not revoked, because that can end this one too; it \
             ends by itself at the authorization server",
        );
        return Ok(None);
    }
    let endpoint = TokenClient::new().map_err(|error| {
        Failure::other("internal", "the HTTP client cannot be made").because(&error)
    })?;
    let revoked = endpoint.revoke(&old.client, token, "refresh_token", REVOCATION).await;
    if !revoked {
        output.note("the authorization server did not confirm that the login before is revoked");
    }
    Ok(Some(revoked))
}
