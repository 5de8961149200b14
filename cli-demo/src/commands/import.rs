//! `import`: a login that somebody else made.

mod file;
mod response;

use regrant::Client;

use super::saved::save;
use super::{Context, origin, url};
use crate::args::Import;
use crate::client_options::{authentication, secret};
use crate::error::Failure;
use crate::profile::{self, Chosen};
use crate::time;

pub(super) async fn run(import: &Import, context: &Context) -> Result<(), Failure> {
    let chosen = profile::named(context.global.profile.as_deref())?;
    let client = client(import, chosen.as_ref())?;
    let origins = import.apis.iter().map(|api| origin(api)).collect::<Result<Vec<_>, _>>()?;
    // Opened first, which makes no file: a passphrase can come before the response on standard
    // input.
    let store = context.store().await?;
    let profile = chosen.as_ref().map(|chosen| &chosen.profile);
    let grant = match &import.from_file {
        Some(path) => file::grant(path, &import.map, time::now())?,
        None => response::grant(&response::response(context.output)?, profile)?,
    };
    let has_refresh_token = grant.refresh_token.is_some();
    let saved = save(&store, client, origins, grant, context).await?;
    if !has_refresh_token {
        context.output.note(
            "this token response has no refresh token: when the token ends, a login is needed",
        );
    }
    let account = &context.global.account;
    let prose = saved.to_prose(&format!("Imported {account:?}"));
    context.output.answer(&prose, &saved.to_json(account))
}

fn client(import: &Import, profile: Option<&Chosen>) -> Result<Client, Failure> {
    url(&import.token_endpoint, "the token endpoint")?;
    if let Some(endpoint) = &import.revocation_endpoint {
        url(endpoint, "the revocation endpoint")?;
    }
    if let Some(issuer) = &import.issuer {
        url(issuer, "the issuer")?;
    }
    if import.client_id.is_empty() {
        return Err(Failure::usage("the client id is empty"));
    }
    let secret = import.client_secret_file.as_deref().map(secret).transpose()?;
    let mut client = Client::new(&import.token_endpoint, &import.client_id);
    client.authentication = authentication(import.auth, secret.is_some())?;
    client.client_secret = secret;
    client.revocation_endpoint.clone_from(&import.revocation_endpoint);
    client.issuer.clone_from(&import.issuer);
    client.profile = profile.map(|profile| profile.kept.clone());
    Ok(client)
}
