//! Whole stores: records in files, their key in the keychain.

use std::fs;
use std::path::Path;

use crate::client::Client;
use crate::service::{LONG, SecretService};

/// A process that has the store of this folder open.
fn opened(session: &SecretService, folder: &Path) -> Client {
    let mut client = Client::with(session, "multi_thread", LONG);
    assert_eq!(client.ask(&format!("open {}", folder.display())), "opened");
    client
}

#[test]
fn what_was_saved_is_read_by_another_process() {
    let Some(session) = SecretService::unlocked() else { return };
    let folder = session.path().join("store");
    let mut writer = opened(&session, &folder);
    assert_eq!(writer.ask("read default"), "none");
    assert!(session.items().is_empty(), "reading makes no key");
    assert_eq!(writer.ask("save default"), "saved");
    assert_eq!(opened(&session, &folder).ask("read default"), "as it was saved");
    assert_eq!(session.items().len(), 1);
}

#[test]
fn a_store_that_is_moved_keeps_its_key_and_a_new_one_in_its_place_gets_another() {
    let Some(session) = SecretService::unlocked() else { return };
    let (folder, elsewhere) = (session.path().join("store"), session.path().join("elsewhere"));
    assert_eq!(opened(&session, &folder).ask("save default"), "saved");
    fs::rename(&folder, &elsewhere).unwrap();
    assert_eq!(opened(&session, &elsewhere).ask("read default"), "as it was saved");
    assert_eq!(opened(&session, &folder).ask("save default"), "saved");
    let mut items = session.items();
    items.dedup();
    assert_eq!(items.len(), 2);
}

#[test]
fn saves_do_not_touch_the_keychain() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let mut client = opened(&session, &session.path().join("store"));
    assert_eq!(client.ask("save default"), "saved");
    let kept = fs::read(session.keyring_file()).unwrap();
    for _ in 0..3 {
        assert_eq!(client.ask("save default"), "saved");
    }
    assert_eq!(fs::read(session.keyring_file()).unwrap(), kept);
    // They do not even read it.
    session.stop_keychain();
    for _ in 0..3 {
        assert_eq!(client.ask("save default"), "saved");
    }
}

#[test]
fn a_store_whose_key_is_in_another_keychain_stays_as_it_is() {
    let Some(session) = SecretService::unlocked() else { return };
    let Some(other) = SecretService::unlocked() else { return };
    let folder = session.path().join("store");
    assert_eq!(opened(&session, &folder).ask("save default"), "saved");
    let mut stranger = opened(&other, &folder);
    for request in ["read default", "save default", "save new"] {
        let answer = stranger.ask(request);
        assert!(answer.starts_with("key_missing"), "{request}: {answer}");
    }
    assert!(other.items().is_empty(), "no second key");
    assert_eq!(opened(&session, &folder).ask("read default"), "as it was saved");
}

#[test]
fn a_locked_keychain_is_no_logout() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let folder = session.path().join("store");
    assert_eq!(opened(&session, &folder).ask("save default"), "saved");
    session.lock();
    let mut client = opened(&session, &folder);
    for request in ["read default", "save default"] {
        let answer = client.ask(request);
        assert!(answer.starts_with("store_locked"), "{request}: {answer}");
    }
    session.unlock();
    assert_eq!(client.ask("read default"), "as it was saved");
}

#[test]
fn fifty_processes_that_create_at_once_end_with_one_key_that_all_find() {
    let Some(session) = SecretService::unlocked() else { return };
    let folder = session.path().join("store");
    let mut clients: Vec<_> = (0..50).map(|_| opened(&session, &folder)).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.say(&format!("save {index}"));
    }
    for client in &mut clients {
        assert_eq!(client.answer(), "saved");
    }
    let mut later = opened(&session, &folder);
    for index in 0..50 {
        assert_eq!(later.ask(&format!("read {index}")), "as it was saved");
        assert_eq!(clients[0].ask(&format!("read {index}")), "as it was saved");
    }
    // One is the store's; those who came second made theirs for nothing.
    assert_eq!(session.items().len(), 1, "the keys of the others are taken back");
}
