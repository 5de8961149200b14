//! `import`: a login that somebody else made.

mod file;
mod response;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use regrant::{Client, ClientAuthentication, Grant, Origin, Secret};
use regrant_core::Record;
use regrant_storage::KeySource;
use serde_json::json;

use super::{Context, origin, url};
use crate::args::{Auth, Import};
use crate::error::Failure;
use crate::explain;
use crate::store::Store;
use crate::profile;
use crate::time;

/// The longest client secret: 64 KiB, which also holds a key that somebody names by mistake.
const LONGEST_SECRET: u64 = 1 << 16;

pub(super) async fn run(import: &Import, context: &Context) -> Result<(), Failure> {
    let profile = profile::chosen(context.global.profile.as_deref())?;
    let (named, profile) = profile.unzip();
    let client = client(import, named.as_deref())?;
    let origins = import.apis.iter().map(|api| origin(api)).collect::<Result<Vec<_>, _>>()?;
    // Opened first, which makes no file: a passphrase can come before the response on standard
    // input.
    let store = context.store().await?;
    let grant = match &import.from_file {
        Some(path) => file::grant(path, &import.map, time::now())?,
        None => response::grant(&response::response(context.output)?, profile.as_ref())?,
    };

    let is_first = store.recorded().source().is_none();
    let opened = context.session(&store).await?;
    let installed = opened.session().install(client, origins.clone(), grant.clone()).await;
    opened.close_after(installed.map_err(Failure::from)).await?;

    let (store, generation) = read_back(context, &grant).await?;
    let source = store.recorded().source();
    if let Some(source) = source.filter(|_| is_first) {
        let protection = store.protection(source);
        context.output.note(&format!(
            "the new store has its key from {source}; protection: {protection} ({})",
            explain::meaning(protection)
        ));
    }
    let account = &context.global.account;
    let now = time::now();
    let expires_at = grant.expires_in.map(|lifetime| now + lifetime);
    let mut prose = format!("Imported {account:?}, good for {}.", list(&origins));
    match expires_at {
        Some(at) => prose += &format!(" The token expires at {}.", time::with_distance(at, now)),
        None => prose += " The server does not say when the token expires.",
    }
    if grant.refresh_token.is_none() {
        context.output.note(
            "this token response has no refresh token: when the token ends, a login is needed",
        );
    }
    let answer = json!({
        "account": account,
        "generation": generation,
        "expires_at": time::json(expires_at),
        "scope": grant.scope,
        "has_refresh_token": grant.refresh_token.is_some(),
        "origins": origins.iter().map(Origin::to_string).collect::<Vec<_>>(),
        "store": store.url(),
        "key_source": source.map(KeySource::as_str),
        "protection": source.map(|source| store.protection(source).as_str()),
    });
    context.output.answer(&prose, &answer)?;
    Ok(())
}

/// Loads it again, past everything that this process remembers.
async fn read_back(context: &Context, grant: &Grant) -> Result<(Store, u64), Failure> {
    let store = context.store().await?;
    let record = store.load(&context.global.account).await?;
    let is_there = |record: &Record| {
        record.slot().is_some_and(|slot| slot.access_token.is(&grant.access_token))
    };
    match record {
        Some(record) if is_there(&record) => Ok((store, record.generation)),
        Some(_) | None => Err(Failure::other(
            "internal",
            "another login or logout came at the same moment and took the place of this one",
        )
        .remedy("see `regrant status`, and import again if that is not what you want")),
    }
}

fn client(import: &Import, profile: Option<&str>) -> Result<Client, Failure> {
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
    client.authentication = match (import.auth, &secret) {
        (None | Some(Auth::Basic), Some(_)) => ClientAuthentication::ClientSecretBasic,
        (Some(Auth::Post), Some(_)) => ClientAuthentication::ClientSecretPost,
        (None | Some(Auth::None), None) => ClientAuthentication::None,
        (Some(Auth::Basic | Auth::Post), None) => {
            return Err(Failure::usage("this way to authenticate needs a client secret")
                .remedy("name a file with --client-secret-file"));
        }
        (Some(Auth::None), Some(_)) => {
            return Err(Failure::usage("a public client has no secret")
                .remedy("leave --client-secret-file or --auth none away"));
        }
    };
    client.client_secret = secret;
    client.revocation_endpoint.clone_from(&import.revocation_endpoint);
    client.issuer.clone_from(&import.issuer);
    client.profile = profile.map(str::to_owned);
    Ok(client)
}

/// A secret in a file, without the end of its line.
fn secret(path: &Path) -> Result<Secret, Failure> {
    let unreadable = "the file of the client secret cannot be read";
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(LONGEST_SECRET + 1).read_to_string(&mut text))
        .map_err(|error| Failure::usage(unreadable).because(&error));
    let secret = Secret::new(text);
    read?;
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() || secret.expose().len() as u64 > LONGEST_SECRET {
        return Err(Failure::usage(
            "the file of the client secret is empty, or longer than 64 KiB",
        ));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

fn list(origins: &[Origin]) -> String {
    origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(", ")
}
