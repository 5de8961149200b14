//! What the ring says of a keychain that cannot be used, and that none of it reads as "no key".

use crate::client::Client;
use crate::service::SecretService;

/// A name that no item has.
const NOWHERE: &str = "00000000000000000000000000000000";

/// All that the ring can be asked for.
fn requests() -> [String; 4] {
    ["probe", "create", &format!("load {NOWHERE}"), &format!("remove {NOWHERE}")].map(String::from)
}

#[track_caller]
fn all_say(client: &mut Client, kind: &str, what: &str) {
    for request in requests() {
        let answer = client.ask(&request);
        assert!(answer.starts_with(kind) && answer.contains(what), "{request}: {answer}");
    }
}

#[test]
fn sk_01_b_without_a_bus_there_is_no_keychain() {
    let Some(session) = SecretService::without_bus() else { return };
    all_say(&mut Client::of(&session), "store_unavailable", "log in to a desktop");
}

#[test]
fn sk_01_c_a_bus_without_a_keychain_is_told_from_no_bus() {
    let Some(session) = SecretService::without_keychain() else { return };
    all_say(&mut Client::of(&session), "store_unavailable", "no keychain answers");
}

#[test]
fn sk_01_d_a_keychain_without_a_collection_is_unavailable_and_nobody_is_asked_to_make_one() {
    let Some(mut session) = SecretService::without_keychain() else { return };
    session.start_keychain(None);
    all_say(&mut Client::of(&session), "store_unavailable", "no default collection");
    assert!(!session.has_prompted());
}

#[test]
fn sk_01_e_a_locked_keychain_where_nobody_can_be_asked_is_locked() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let name = client.create();
    session.lock();
    all_say(&mut client, "store_locked", "unlock it and try again");
    // The key that is there is not absent.
    let answer = client.ask(&format!("load {name}"));
    assert!(answer.starts_with("store_locked"), "{answer}");
    session.unlock();
    assert!(client.ask(&format!("load {name}")).contains(&name));
}

#[test]
fn a_probe_of_a_locked_keychain_asks_nobody() {
    let Some(mut session) = SecretService::with_display() else { return };
    session.lock();
    let mut client = Client::of(&session);
    let answer = client.ask("probe");
    assert!(answer.starts_with("store_locked"), "{answer}");
    let file = session.path().join("regrant.key");
    let answer = client.ask(&format!("auto {}", file.display()));
    assert!(answer.ends_with(&format!("file:{}", file.display())), "{answer}");
    assert!(!session.has_prompted());
}
