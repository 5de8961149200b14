//! Whole stores: records in files, their key in the keychain.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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

/// Saves do not touch the keychain.
#[test]
fn sk_03_mac_acl_prompt_loop() {
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
fn sk_05_a_store_whose_key_is_in_another_keychain_stays_as_it_is() {
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

/// A locked keychain is no logout.
#[test]
fn sk_01_store_unavailable_is_not_logged_out() {
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

/// What the smallest keychain takes for an item, that of Windows.
const SMALLEST: usize = 2_560;

/// A record of any length has its key in the keychain, and is itself one file: no part of it can
/// be of another save. A creator that was killed after either of its two writes stops nobody.
#[test]
fn sk_02_windows_2560_and_multi_entry() {
    let Some(session) = SecretService::unlocked() else { return };
    let folder = session.path().join("store");
    // Its key is in the keychain, and the store has nothing of it.
    Client::of(&session).create();
    assert_eq!(opened(&session, &folder).ask("save long"), "saved");
    assert_eq!(opened(&session, &folder).ask("read long"), "as it was saved");
    // The store names its key, and the record did not come to be.
    let is_record = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".rgnt") && name != "data-key.rgnt"
    };
    let records: Vec<_> = files(&folder).into_keys().filter(is_record).collect();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    fs::remove_file(record).unwrap();
    let mut client = opened(&session, &folder);
    assert_eq!(client.ask("read long"), "none");
    for _ in 0..3 {
        assert_eq!(client.ask("save long"), "saved");
        assert_eq!(opened(&session, &folder).ask("read long"), "as it was saved");
    }
    assert_eq!(files(&folder).into_keys().filter(is_record).count(), 1);
    assert!(fs::metadata(record).unwrap().len() > 6_000);
    for item in session.items() {
        assert!(item.len() == KEY && KEY < SMALLEST, "{} bytes", item.len());
    }
}

/// 32 bytes in base64.
const KEY: usize = 44;

/// What lies in a folder but for locks, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_none_or(|end| end != "lock"));
    paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// There is one copy of a record and one place for its key. While the keychain cannot be used,
/// nothing is put anywhere else, so that nothing has to be reconciled when it is back.
#[test]
fn sk_06_two_copies_diverge() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let folder = session.path().join("store");
    assert_eq!(opened(&session, &folder).ask("save default"), "saved");
    let (before, items) = (files(&folder), session.items());
    assert_eq!(items.iter().map(Vec::len).collect::<Vec<_>>(), [KEY], "the key, and no record");
    session.lock();
    let at_home = names(session.path());
    let mut client = opened(&session, &folder);
    for request in ["read default", "save default", "save new"] {
        let answer = client.ask(request);
        assert!(answer.starts_with("store_locked"), "{request}: {answer}");
    }
    assert_eq!((files(&folder), names(session.path())), (before.clone(), at_home));
    session.unlock();
    assert_eq!(client.ask("save default"), "saved");
    assert_ne!(files(&folder), before);
    for request in ["save default", "read default"] {
        let answer = opened(&session, &folder).ask(request);
        assert!(answer == "saved" || answer == "as it was saved", "{request}: {answer}");
    }
    assert_eq!(session.items(), items);
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}
