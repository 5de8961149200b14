//! What the file and the notes say together.
//!
//! | the tokens in the file | the answer |
//! |---|---|
//! | are those of an entry of the notes | its record |
//! | are none, and the notes know of a record | a logout by another program |
//! | are older ones, which regrant has replaced since | the older record, which a process that knows the newer recognises as restored |
//! | are older ones, and the newest record is a logout | that logout |
//! | are others | a login by another program |
//! | are none, and there are no notes | nothing |

use regrant_core::{Client, Grant, Id, Login, Record, Secret, Stored, Timestamp, Version};
use sha2::{Digest as _, Sha256};

use crate::json::JsonAccount;
use crate::json::credential::JsonCredential;
use crate::json::map::{JsonField, JsonMap};
use crate::json::notes::{Entry, Notes};
use crate::json::tokens::Tokens;

/// What is in the file and in the notes, both readable.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) credential: JsonCredential,
    pub(crate) notes: Option<Notes>,
}

/// A record, and the entry of the notes it was made of, if it was.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) stored: Stored,
    pub(crate) entry: Option<Entry>,
}

impl Found {
    /// Whether another program has taken the tokens away, as far as can be seen. One that removes
    /// its file before it writes it anew looks the same for a moment.
    pub(crate) fn seems_logged_out(&self) -> bool {
        let Some(notes) = &self.notes else { return false };
        let tokens = Tokens::of(&self.credential);
        tokens.is_none() && notes.entry(&tokens).is_none() && notes.latest().is_some()
    }

    pub(crate) fn standing(&self, map: &JsonMap, account: &JsonAccount) -> Option<Standing> {
        let Self { credential, notes } = self;
        let tokens = Tokens::of(credential);
        let Some(notes) = notes else {
            return (!tokens.is_none()).then(|| {
                let record = adopted(account, credential, None);
                Standing { stored: self.derived(record), entry: None }
            });
        };
        if let Some(entry) = notes.entry(&tokens) {
            let record = completed(entry.record.clone(), credential, map, account);
            let version = version_of(entry);
            let entry = Some(entry.clone());
            return Some(Standing { stored: Stored { record, version }, entry });
        }
        let record = match (notes.latest(), older(notes, &tokens)) {
            (latest, _) if tokens.is_none() => logged_out(latest?),
            (Some(latest), Some(_)) if latest.is_logged_out() => latest.clone(),
            (latest, Some((incarnation, generation))) => {
                restored(account, credential, incarnation, generation, latest)
            }
            (latest, None) => adopted(account, credential, latest),
        };
        Some(Standing { stored: self.derived(record), entry: None })
    }

    /// A record that no entry stands for: it is another one as soon as either file is.
    fn derived(&self, record: Record) -> Stored {
        let mut hash = Sha256::new();
        hash.update(b"regrant json version 1");
        hash.update(Tokens::of(&self.credential).incarnation().0);
        if let Some(notes) = &self.notes {
            hash.update(notes.encode());
        }
        Stored { record, version: Version::new(hash.finalize().to_vec()) }
    }
}

/// The version of an entry whose tokens are in the file.
pub(crate) fn version_of(entry: &Entry) -> Version {
    let tokens = entry.tokens.unwrap_or(Id([0; 16]));
    Version::new([entry.save.0, tokens.0].concat())
}

/// A record of ours with what only the file has.
fn completed(
    mut record: Record,
    found: &JsonCredential,
    map: &JsonMap,
    account: &JsonAccount,
) -> Record {
    record.refresh_token.clone_from(&found.refresh_token);
    if !record.is_logged_out() {
        fill_secret(&mut record.client, &account.client);
    }
    let due_at = record.due_at();
    let Some(slot) = record.slots.get_mut(&0) else { return record };
    if let Some(token) = &found.access_token {
        slot.access_token = token.clone();
    }
    if let Some(unit) = map.unit() {
        let count = |at: Option<Timestamp>| at.and_then(|at| unit.count(at));
        // Ours is the more exact one, as long as it is the same.
        if count(due_at) != count(found.expires_at) {
            let lifetime = found.expires_at.map(|at| at.since(slot.obtained_at).as_millis());
            slot.lifetime_ms = lifetime.and_then(|millis| u64::try_from(millis).ok());
        }
    }
    if map.place(JsonField::Scope).is_some() && slot.scope != found.scope {
        slot.scope.clone_from(&found.scope);
    }
    if let Some(token_type) = &found.token_type {
        slot.token_type.clone_from(token_type);
    }
    record
}

/// The notes hold no client secret: it is the account's, if it is the same client.
pub(crate) fn fill_secret(client: &mut Client, known: &Client) {
    let mut filled = client.clone();
    filled.client_secret.clone_from(&known.client_secret);
    if filled.is(known) {
        *client = filled;
    }
}

/// A login by another program. It is as good as one of ours, and the generation goes on.
fn adopted(account: &JsonAccount, found: &JsonCredential, over: Option<&Record>) -> Record {
    let mut login = login(account, found, Tokens::of(found).incarnation());
    // Where the user let the last login be used, the next one may be used too.
    let live = over.filter(|record| !record.is_logged_out());
    for origin in live.iter().flat_map(|record| &record.origins) {
        if !login.origins.contains(origin) {
            login.origins.push(origin.clone());
        }
    }
    record(&login, over)
}

/// Whose these tokens were, if they are known to be older ones: incarnation and generation.
fn older(notes: &Notes, tokens: &Tokens) -> Option<(Id, u64)> {
    if let Some(replaced) = notes.replaced(tokens) {
        return Some((replaced.incarnation, replaced.generation));
    }
    // Those with which another program began a login are known by its name for longer. Their
    // generation is none that any token has had.
    let name = tokens.incarnation();
    let latest = notes.latest()?;
    (latest.incarnation == name || latest.superseded.contains(&name)).then_some((name, 0))
}

/// An older record whose tokens were put back.
fn restored(
    account: &JsonAccount,
    found: &JsonCredential,
    incarnation: Id,
    generation: u64,
    latest: Option<&Record>,
) -> Record {
    let mut record = record(&login(account, found, incarnation), None);
    record.generation = generation;
    if let Some(slot) = record.slots.get_mut(&0) {
        slot.generation = generation;
    }
    if let Some(latest) = latest {
        record.unknown.clone_from(&latest.unknown);
    }
    record
}

/// What another program's logout leaves of this record. When it was, nobody knows.
fn logged_out(last: &Record) -> Record {
    let mut record = Record::logged_out(last.incarnation, last.generation, Timestamp::EPOCH);
    record.superseded.clone_from(&last.superseded);
    record.client = last.client.clone();
    record.origins.clone_from(&last.origins);
    record.unknown.clone_from(&last.unknown);
    record
}

fn login(account: &JsonAccount, found: &JsonCredential, incarnation: Id) -> Login {
    // When the tokens were obtained, the file does not say; their expiry counts from the epoch
    // then, which makes it the moment that the file says.
    let obtained_at = Timestamp::EPOCH;
    let grant = found.grant(obtained_at).unwrap_or_else(|| {
        let mut grant = Grant::bearer(Secret::new(String::new()));
        grant.refresh_token.clone_from(&found.refresh_token);
        grant
    });
    let JsonAccount { client, origins, .. } = account.clone();
    Login { incarnation, client, origins, grant, obtained_at }
}

fn record(login: &Login, over: Option<&Record>) -> Record {
    let mut record = Record::login(login, over);
    // A file can hold a refresh token alone.
    record.slots.retain(|_, slot| !slot.access_token.expose().is_empty());
    record
}
