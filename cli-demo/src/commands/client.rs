//! `client`: who asks the authorization server, and how.

use regrant::{Client, LoginReason, Origin, Renewal};
use regrant_core::Record;
use serde_json::{Value, json};
use url::Url;

use super::{Context, url};
use crate::args::{self, Auth, ClientSet};
use crate::client_options::{authentication, scope, secret};
use crate::error::Failure;
use crate::output::Output;
use crate::profile;
use crate::store::Store;

pub(super) async fn run(command: &args::Client, context: &Context) -> Result<(), Failure> {
    match command {
        args::Client::Show => {
            let store = context.store().await?;
            show(&stored(&store, &context.global.account).await?.client, context)
        }
        args::Client::Set(set) => change(set, context).await,
    }
}

async fn change(set: &ClientSet, context: &Context) -> Result<(), Failure> {
    let profile = profile::named(context.global.profile.as_deref())?;
    if set.says_nothing() && profile.is_none() {
        return Err(Failure::usage("nothing was named that could be changed")
            .remedy("name at least one option; see `regrant client set --help`"));
    }
    // What is wrong with the options shows before the store is asked for its key.
    set.check()?;
    let store = context.store().await?;
    let Record { mut client, .. } = stored(&store, &context.global.account).await?;
    set.apply(&mut client)?;
    if let Some(profile) = profile {
        client.profile = Some(profile.kept);
    }
    warn_of_strangers(&client, context.output);

    let opened = context.session(&store).await?;
    let configured = opened.session().configure(client).await;
    opened.close_after(configured.map_err(Failure::from)).await?;
    let store = context.store().await?;
    show(&stored(&store, &context.global.account).await?.client, context)
}

/// The record of this account, if somebody is logged in.
async fn stored(store: &Store, account: &str) -> Result<Record, Failure> {
    match store.load(account).await? {
        Some(record) if !record.is_logged_out() => Ok(record),
        Some(_) => Err(Failure::needs_login(LoginReason::LoggedOut, None)),
        None => Err(Failure::needs_login(LoginReason::NotLoggedIn, None)),
    }
}

impl ClientSet {
    fn says_nothing(&self) -> bool {
        let Self {
            token_endpoint,
            client_id,
            client_secret_file,
            no_client_secret,
            auth,
            revocation_endpoint,
            scopes,
            resources,
        } = self;
        token_endpoint.is_none()
            && client_id.is_none()
            && client_secret_file.is_none()
            && !no_client_secret
            && auth.is_none()
            && revocation_endpoint.is_none()
            && scopes.is_empty()
            && resources.is_empty()
    }

    fn check(&self) -> Result<(), Failure> {
        if let Some(endpoint) = &self.token_endpoint {
            url(endpoint, "the token endpoint")?;
        }
        if let Some(endpoint) = self.revocation_endpoint.as_deref().filter(|url| !url.is_empty()) {
            url(endpoint, "the revocation endpoint")?;
        }
        if self.client_id.as_deref() == Some("") {
            return Err(Failure::usage("the client id is empty"));
        }
        let resources = self.resources.iter().filter(|resource| !resource.is_empty());
        for resource in resources {
            if !Url::parse(resource).is_ok_and(|url| url.fragment().is_none()) {
                return Err(Failure::usage(format!("{resource:?} is no resource"))
                    .remedy("write an absolute URI without a fragment (RFC 8707 section 2)"));
            }
        }
        Ok(())
    }

    fn apply(&self, client: &mut Client) -> Result<(), Failure> {
        if let Some(endpoint) = &self.token_endpoint {
            client.token_endpoint.clone_from(endpoint);
        }
        if let Some(id) = &self.client_id {
            client.client_id.clone_from(id);
        }
        let had_secret = client.client_secret.is_some();
        if let Some(path) = &self.client_secret_file {
            client.client_secret = Some(secret(path)?);
        } else if self.no_client_secret {
            client.client_secret = None;
        }
        let has_secret = client.client_secret.is_some();
        let before = Auth::of(client.authentication).filter(|_| has_secret && had_secret);
        client.authentication = authentication(self.auth.or(before), has_secret)?;
        if let Some(endpoint) = &self.revocation_endpoint {
            client.revocation_endpoint = Some(endpoint.clone()).filter(|url| !url.is_empty());
        }
        if !self.scopes.is_empty() {
            client.scope = scope(self.scopes.iter().map(String::as_str));
        }
        if !self.resources.is_empty() {
            let named = self.resources.iter().filter(|resource| !resource.is_empty());
            client.resource = named.cloned().collect();
        }
        Ok(())
    }
}

/// Whoever stands at an endpoint gets the refresh token; one on another host than the issuer's is
/// usual with some servers, and a mistake or worse with others.
fn warn_of_strangers(client: &Client, output: Output) {
    let Some(issuer) = client.issuer.as_deref().and_then(origin_of) else { return };
    let endpoints = [
        ("token endpoint", Some(&client.token_endpoint)),
        ("revocation endpoint", client.revocation_endpoint.as_ref()),
    ];
    for (name, endpoint) in endpoints {
        let Some(origin) = endpoint.and_then(|endpoint| origin_of(endpoint)) else { continue };
        if origin.host() != issuer.host() {
            output.note(&format!(
                "warning: the {name} is on {origin}, and the issuer is {issuer}: the tokens go to \
                 whoever stands there"
            ));
        }
    }
}

fn origin_of(text: &str) -> Option<Origin> {
    url(text, "it").ok().map(|(_, origin)| origin)
}

fn show(client: &Client, context: &Context) -> Result<(), Failure> {
    let auth = Auth::of(client.authentication).map_or("unknown", Auth::as_str);
    let has_secret = if client.client_secret.is_some() { "set" } else { "none" };
    let renewal = match client.renewal {
        Renewal::RefreshToken => "refresh_token",
        Renewal::ClientCredentials => "client_credentials",
        // The enum may grow.
        _ => "unknown",
    };
    let profile = client.profile.as_deref().map(profile::name);
    let optional = |value: Option<&str>| value.map(str::to_owned);
    let lines: [(&str, Option<String>); 10] = [
        ("account", Some(context.global.account.clone())),
        ("client", Some(client.client_id.clone())),
        ("token endpoint", Some(client.token_endpoint.clone())),
        ("authentication", Some(auth.to_owned())),
        ("secret", Some(has_secret.to_owned())),
        ("revocation", optional(client.revocation_endpoint.as_deref())),
        ("issuer", optional(client.issuer.as_deref())),
        ("scope", optional(client.scope.as_deref())),
        ("resources", Some(client.resource.join(" ")).filter(|all| !all.is_empty())),
        ("profile", optional(profile.as_deref())),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let lines: String = lines.map(|(name, value)| format!("{name:<15} {value}\n")).collect();
    let answer: Value = json!({
        "account": context.global.account,
        "client_id": client.client_id,
        "token_endpoint": client.token_endpoint,
        "authentication": auth,
        "client_secret": has_secret,
        "revocation_endpoint": client.revocation_endpoint,
        "issuer": client.issuer,
        "scope": client.scope,
        "resource": client.resource,
        "profile": profile,
        "renewal": renewal,
        "dpop": client.dpop,
    });
    context.output.answer(lines.trim_end(), &answer)
}
