//! `key`: the key that seals the store, looked at and changed.

use std::path::Path;
use std::sync::Arc;

use regrant::{StoreError, StoreFault};
use regrant_storage::{KeyRing, KeySource, Passphrase, Rekeyed};
use regrant_storage_keyring::Keychain;
use serde_json::{Value, json};

use super::Context;
use crate::args::{ChangePassphrase, Key, Rekey};
use crate::error::Failure;
use crate::explain;
use crate::key::Choice;
use crate::store::{Store, rights};

pub(super) async fn run(command: &Key, context: &Context) -> Result<(), Failure> {
    match command {
        Key::Show => show(context).await,
        Key::Rekey(rekey) => replaced(rekey, context).await,
        Key::ChangePassphrase(change) => changed(change, context).await,
    }
}

async fn show(context: &Context) -> Result<(), Failure> {
    let store = context.store_unasked().await?;
    let Some(source) = store.recorded_now().await? else {
        return context.output.answer(
            "The store has no key yet; it is made with the first credential.",
            &json!({ "store": store.url(), "source": null, "protection": null, "present": false }),
        );
    };
    let protection = store.protection(&source);
    let meaning = explain::meaning(protection);
    let presence = Presence::of(&store, &source).await;
    let mut json = json!({
        "store": store.url(),
        "source": source.as_str(),
        "protection": protection.as_str(),
        "meaning": meaning,
        "present": presence.as_bool(),
    });
    let mut lines = vec![
        ("store", store.url()),
        ("source", source.to_string()),
        ("protection", format!("{protection}: {meaning}")),
        ("there", presence.to_string()),
    ];
    if let Some(path) = source.file_path() {
        let permissions = rights([path]);
        json["path"] = path.display().to_string().into();
        json["mode"] = mode(path).map_or(Value::Null, Value::String);
        json["permissions"] = permissions.as_text().into();
        lines.push(("path", path.display().to_string()));
        lines.extend(mode(path).map(|mode| ("mode", mode)));
    }
    let lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name:<15}{value}")).collect();
    context.output.answer(&lines.join("\n"), &json)
}

/// Whether the key is there now.
enum Presence {
    There,
    /// A passphrase is in somebody's head.
    Remembered,
    Not(StoreError),
}

impl Presence {
    async fn of(store: &Store, source: &KeySource) -> Self {
        if *source == Passphrase::source() {
            return Self::Remembered;
        }
        match store.vault().fingerprinter().await {
            Ok(_) => Self::There,
            Err(error) => Self::Not(error),
        }
    }

    /// Not known of a passphrase, nor of a keychain that does not answer.
    fn as_bool(&self) -> Option<bool> {
        match self {
            Self::There => Some(true),
            Self::Remembered => None,
            Self::Not(error) => match error.kind() {
                StoreFault::Locked | StoreFault::Unavailable => None,
                _ => Some(false),
            },
        }
    }
}

impl std::fmt::Display for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::There => f.write_str("yes"),
            Self::Remembered => f.write_str("whoever knows the passphrase has it"),
            Self::Not(error) => write!(f, "no: {error} ({})", error.kind()),
        }
    }
}

async fn replaced(rekey: &Rekey, context: &Context) -> Result<(), Failure> {
    let to = rekey.to.as_deref().map(Choice::parse).transpose()?;
    let store = context.store().await?;
    let old = store.recorded_now().await?.ok_or_else(keyless)?;
    let ring = match &to {
        Some(to) => context.keys().new_ring(to, store.location().path())?,
        None => Arc::clone(&store.ring().keys),
    };
    let Rekeyed { resealed, unreadable } = store.vault().rekey(&*ring).await?;
    let now = store.recorded_now().await?.ok_or_else(keyless)?;

    let mut prose = format!("The store has a new key, from {now}. Sealed anew: {resealed}.");
    if unreadable > 0 {
        prose += &format!(" Unreadable, and left as they are: {unreadable}.");
    }
    note_needless(&old, &now, context);
    context.output.answer(
        &prose,
        &json!({
            "store": store.url(),
            "resealed": resealed,
            "unreadable": unreadable,
            "key_source": now.as_str(),
            "protection": store.protection(&now).as_str(),
            "former_key_source": old.as_str(),
        }),
    )
}

/// What the old source holds is not deleted: a backup may need it.
fn note_needless(old: &KeySource, now: &KeySource, context: &Context) {
    let what = match old.file_path() {
        // The same file, with the same key in it.
        Some(_) if old == now => return,
        Some(path) => path.display().to_string(),
        // Each key has an item of its own.
        None if *old == Keychain::source() => "the former key in the keychain".to_owned(),
        None => return,
    };
    context.output.note(&format!("nothing needs {what} any more but older copies of the store"));
}

async fn changed(change: &ChangePassphrase, context: &Context) -> Result<(), Failure> {
    let new = change.new.as_deref().map(Choice::parse).transpose()?;
    let store = context.store().await?;
    let source = store.recorded_now().await?.ok_or_else(keyless)?;
    if source != Passphrase::source() {
        let what = format!("the store has no passphrase: its key comes from {source}");
        return Err(Failure::usage(what)
            .remedy("give it one: regrant key rekey --to prompt, or --to passphrase-fd:N"));
    }
    // Before anybody is asked for a new one, the old one must be right.
    store.vault().fingerprinter().await?;
    let ring: Arc<dyn KeyRing> = match (new, Choice::parse(&context.global.key)?) {
        (Some(Choice::Descriptor(number)), _) | (None, Choice::Descriptor(number)) => {
            Arc::new(context.keys().next_handed(number)?)
        }
        (Some(Choice::Prompt) | None, _) => context.keys().asked_anew()?,
        (Some(Choice::Auto | Choice::Keychain | Choice::File(_)), _) => {
            return Err(Failure::usage("--new names no passphrase").remedy(
                "use --new passphrase-fd:N or prompt; for another kind of key: regrant key rekey \
                 --to SOURCE",
            ));
        }
    };
    store.vault().rewrap(&*ring).await?;
    context.output.answer(
        "The passphrase is changed. The old one still opens older copies of the store.",
        &json!({ "store": store.url(), "key_source": source.as_str(), "changed": true }),
    )
}

fn keyless() -> Failure {
    Failure::usage("the store has no key yet").remedy("it is made with the first credential")
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    Some(format!("{mode:04o}"))
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<String> {
    None
}
