//! A login that came from somewhere is saved, read back, and told.

use regrant::{Client, Grant, Origin, Timestamp};
use regrant_core::Record;
use regrant_storage::KeySource;
use serde_json::{Value, json};

use super::Context;
use crate::error::Failure;
use crate::explain;
use crate::store::Store;
use crate::time;

/// A login that is in the store now.
pub(super) struct Saved {
    store: Store,
    generation: u64,
    grant: Grant,
    origins: Vec<Origin>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
}

/// Puts a login in the place of what the store holds, in whatever state that is, and reads it
/// back.
pub(super) async fn save(
    store: &Store,
    client: Client,
    origins: Vec<Origin>,
    grant: Grant,
    context: &Context,
) -> Result<Saved, Failure> {
    let is_first = store.recorded().source().is_none();
    // What cannot be read now is no reason not to save: a login may take the place of damage.
    let before = store.load(&context.global.account).await.ok().flatten();
    let opened = context.session(store).await?;
    let installed = opened.session().install(client, origins.clone(), grant.clone()).await;
    opened.close_after(installed.map_err(Failure::from)).await?;

    let (store, generation) = read_back(context, &grant, before.as_ref()).await?;
    if let Some(source) = store.recorded().source().filter(|_| is_first) {
        let protection = store.protection(source);
        context.output.note(&format!(
            "the new store has its key from {source}; protection: {protection} ({})",
            explain::meaning(protection)
        ));
    }
    let now = time::now();
    let expires_at = grant.expires_in.map(|lifetime| now + lifetime);
    Ok(Saved { store, generation, grant, origins, expires_at, now })
}

/// Loads it again, past everything that this process remembers.
async fn read_back(
    context: &Context,
    grant: &Grant,
    before: Option<&Record>,
) -> Result<(Store, u64), Failure> {
    let store = context.store().await?;
    let record = store.load(&context.global.account).await?;
    let is_there = |record: &Record| {
        record.slot().is_some_and(|slot| slot.access_token.is(&grant.access_token))
    };
    let is_as_before = |record: &Record| {
        let same = before.is_some_and(|before| before.incarnation == record.incarnation);
        same && !record.is_logged_out()
    };
    match record {
        Some(record) if is_there(&record) => Ok((store, record.generation)),
        Some(record) if !is_as_before(&record) => Err(Failure::other(
            "internal",
            "another login or logout came at the same moment and took the place of this one",
        )
        .remedy("see `regrant status`, and do it again if that is not what you want")),
        Some(_) | None => Err(Failure::login_unsaved()),
    }
}

impl Saved {
    /// What was saved, in prose: after `Logged in as "x"`, say.
    pub(super) fn to_prose(&self, done: &str) -> String {
        let origins: Vec<_> = self.origins.iter().map(Origin::to_string).collect();
        let mut prose = format!("{done}, good for {}.", origins.join(", "));
        match self.expires_at {
            Some(at) => {
                prose += &format!(" The token expires at {}.", time::with_distance(at, self.now));
            }
            None => prose += " The server does not say when the token expires.",
        }
        prose
    }

    pub(super) fn to_json(&self, account: &str) -> Value {
        let source = self.store.recorded().source();
        json!({
            "account": account,
            "generation": self.generation,
            "expires_at": time::json(self.expires_at),
            "scope": self.grant.scope,
            "has_refresh_token": self.grant.refresh_token.is_some(),
            "origins": self.origins.iter().map(Origin::to_string).collect::<Vec<_>>(),
            "store": self.store.url(),
            "key_source": source.map(KeySource::as_str),
            "protection": source.map(|source| self.store.protection(source).as_str()),
        })
    }
}
