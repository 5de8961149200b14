//! The Secret Service: the keychain of Linux and its relatives, reached over D-Bus.
//!
//! The library that reads and writes items prompts by itself where something is locked, and waits
//! for that however long it takes, also for a keychain that has ended. So it comes second: first
//! everything is unlocked on a connection of our own.

use std::collections::HashMap;
use std::error::Error;

use futures_lite::{StreamExt as _, future};
use keyring::Entry;
use keyring_core::api::CredentialStoreApi as _;
use secret_service::{EncryptionType, SecretService};
use zbus::zvariant::{OwnedObjectPath, OwnedValue};
use zbus::{Connection, DBusError as _, Proxy};
use zbus_secret_service_keyring_store::Store;

use super::SERVICE;
use crate::item::Prompt;
use crate::refusal::{Cause, Refusal};

/// What people read who look into their keychain.
const LABEL: &str = "regrant: the key of a credential store";

/// Where the Secret Service stands on the bus.
const OBJECT: &str = "/org/freedesktop/secrets";

/// Nothing has to be kept silent: what is not unlocked is not read.
pub(crate) type Silence = ();

/// The item of this name, in a keychain that is unlocked.
pub(crate) fn reach(name: &str, prompt: Prompt) -> Result<(Entry, Silence), Refusal> {
    future::block_on(unlock(name, prompt))?;
    let label = HashMap::from([("label", LABEL)]);
    let inner = Store::new()?.build(SERVICE, name, Some(&label))?;
    Ok((Entry { inner }, ()))
}

/// Why, if it was the Secret Service that failed an entry.
pub(crate) fn refusal(error: &(dyn Error + 'static)) -> Refusal {
    match error.downcast_ref() {
        Some(error) => refused(error),
        None => Refusal::Failed(Cause::new("no error of the Secret Service")),
    }
}

/// Unlocks what holds the item of this name, or what a new one goes into.
async fn unlock(name: &str, prompt: Prompt) -> Result<(), Refusal> {
    let connection =
        Connection::session().await.map_err(|error| Refusal::NoSession(named(&error)))?;
    let locked = locked(&connection, name).await?;
    if locked.is_empty() {
        return Ok(());
    }
    match prompt {
        Prompt::Allowed => ask_for(&connection, &locked).await,
        Prompt::Never => Err(Refusal::Locked),
    }
}

/// What must be unlocked.
async fn locked(connection: &Connection, name: &str) -> Result<Vec<OwnedObjectPath>, Refusal> {
    // No secret goes over this connection, so it needs no encryption.
    let service =
        SecretService::connect_with_existing(EncryptionType::Plain, connection.clone()).await?;
    let attributes = HashMap::from([("service", SERVICE), ("username", name)]);
    let found = service.search_items(attributes).await?;
    if !found.locked.is_empty() {
        return Ok(found.locked.iter().map(|item| item.item_path.clone()).collect());
    }
    if !found.unlocked.is_empty() {
        return Ok(Vec::new());
    }
    // The item is not there, or the keychain shows nothing of what is locked.
    let default = service.get_default_collection().await?;
    let is_locked = default.is_locked().await?;
    Ok(is_locked.then(|| default.collection_path.clone()).into_iter().collect())
}

/// Has the keychain ask its user for the password.
///
/// Waits for the answer also when the caller has gone: the prompt stays open, and the next caller
/// would open another one. (It could be dismissed; gnome-keyring 42 crashes over that.) The wait
/// ends with the keychain.
async fn ask_for(connection: &Connection, locked: &[OwnedObjectPath]) -> Result<(), Refusal> {
    let service = proxy(connection, OBJECT, "org.freedesktop.Secret.Service").await?;
    let (_, path): (Vec<OwnedObjectPath>, OwnedObjectPath) =
        service.call("Unlock", &(locked,)).await?;
    if path.as_str() == "/" {
        return Ok(());
    }
    let prompt = proxy(connection, &path, "org.freedesktop.Secret.Prompt").await?;
    let mut completed = prompt.receive_signal("Completed").await?;
    let mut owners = prompt.receive_owner_changed().await?;
    // There is no window of ours that it should belong to.
    prompt.call::<_, _, ()>("Prompt", &("",)).await?;
    let answered = async {
        let answer = completed.next().await.ok_or(zbus::Error::InvalidReply)?;
        let (was_dismissed, _): (bool, OwnedValue) = answer.body().deserialize()?;
        if was_dismissed { Err(Refusal::Dismissed) } else { Ok(()) }
    };
    let ended = async {
        owners.next().await;
        Err(Refusal::NoService(Cause::new("the keychain ended while it asked")))
    };
    future::or(answered, ended).await
}

async fn proxy<'a>(
    connection: &Connection,
    path: &'a str,
    interface: &'a str,
) -> zbus::Result<Proxy<'a>> {
    Proxy::new(connection, "org.freedesktop.secrets", path, interface).await
}

impl From<zbus::Error> for Refusal {
    fn from(error: zbus::Error) -> Self {
        answered(named(&error))
    }
}

impl From<secret_service::Error> for Refusal {
    fn from(error: secret_service::Error) -> Self {
        refused(&error)
    }
}

fn refused(error: &secret_service::Error) -> Refusal {
    use secret_service::Error;
    match error {
        Error::Locked => Refusal::Locked,
        Error::Prompt => Refusal::Dismissed,
        // What is asked for by its alias, and no more, is the default collection.
        Error::NoResult => Refusal::NoCollection,
        Error::PromptDisconnected => Refusal::Failed(Cause::new("the prompt was cut off")),
        Error::Unavailable => Refusal::NoService(Cause::new("nothing there")),
        Error::Zbus(error) => answered(named(error)),
        Error::ZbusFdo(error) => answered(Cause::new(error.name().as_str())),
        // A message that cannot be read or decrypted; and the enum may grow.
        _ => Refusal::Failed(Cause::new("an answer that makes no sense")),
    }
}

/// What the name of a D-Bus error says.
fn answered(cause: Cause) -> Refusal {
    match cause.as_str() {
        "org.freedesktop.Secret.Error.IsLocked" => Refusal::Locked,
        "org.freedesktop.DBus.Error.AccessDenied" => Refusal::Denied(cause),
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner" => Refusal::NoService(cause),
        // The bus knows how to start one, and could not.
        name if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => Refusal::NoService(cause),
        _ => Refusal::Failed(cause),
    }
}

/// The name of the error, and not its text.
fn named(error: &zbus::Error) -> Cause {
    match error {
        zbus::Error::MethodError(name, ..) => Cause::new(name.as_str()),
        zbus::Error::FDO(error) => Cause::new(error.name().as_str()),
        zbus::Error::InputOutput(error) | zbus::Error::Connection(error, _) => {
            Cause::new(error.kind().to_string())
        }
        zbus::Error::Address(_) => Cause::new("no address of a session bus"),
        _ => Cause::new("an error of the D-Bus connection"),
    }
}
