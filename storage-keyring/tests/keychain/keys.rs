//! Keys that are made, found again, and never seen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::Client;
use crate::service::{LONG, SecretService};

#[test]
fn a_key_is_found_by_another_process_in_whatever_it_runs() {
    let Some(session) = SecretService::unlocked() else { return };
    for runtime in ["none", "current_thread", "multi_thread"] {
        let name = Client::with(&session, runtime, LONG).create();
        for other in ["none", "current_thread", "multi_thread"] {
            let answer = Client::with(&session, other, LONG).ask(&format!("load {name}"));
            assert_eq!(answer, format!("Key({name})"));
        }
    }
    assert_eq!(session.items().len(), 3);
}

#[test]
fn a_probe_leaves_nothing_behind() {
    let Some(session) = SecretService::unlocked() else { return };
    assert_eq!(Client::of(&session).ask("probe"), "usable");
    assert!(session.items().is_empty());
}

#[test]
fn sk_06_b_a_key_that_is_not_there_is_absent_and_one_that_is_removed_too() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    assert_eq!(client.ask("load 00000000000000000000000000000000"), "none");
    let name = client.create();
    assert_eq!(client.ask(&format!("remove {name}")), "removed");
    assert_eq!(client.ask(&format!("remove {name}")), "removed");
    assert_eq!(client.ask(&format!("load {name}")), "none");
    assert!(session.items().is_empty());
}

#[test]
fn a_key_that_nobody_waits_for_any_more_is_removed_again() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    // The call is under way when its caller leaves.
    session.freeze_keychain(true);
    assert_eq!(client.ask("create for 500 ms"), "given up");
    session.freeze_keychain(false);
    // Its turn comes after that.
    assert_eq!(client.ask("probe"), "usable");
    assert!(session.items().is_empty());
}

#[test]
fn parameters_that_are_no_name_are_a_newer_versions() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    for name in ["", "0", "../../x", "0000000000000000000000000000000G", &"0".repeat(65_535)] {
        let answer = client.ask(&format!("load {name}"));
        assert!(answer.starts_with("store_unknown_format"), "{answer}");
    }
}

#[test]
fn what_is_not_the_key_of_its_name_is_no_key_and_is_not_quoted() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let another = STANDARD.encode([0xc5; 32]);
    let long = STANDARD.encode([0xc5; 33]);
    let foreign: [&[u8]; 6] =
        [b"", b"a password", b"\xff\xfe\x80", &[0xc5; 32], another.as_bytes(), long.as_bytes()];
    for (index, secret) in foreign.iter().enumerate() {
        let name = format!("{index:032x}");
        session.put(&name, secret);
        let answer = client.ask(&format!("load {name}"));
        assert!(answer.starts_with("key_missing"), "{index}: {answer}");
        let text = String::from_utf8_lossy(secret);
        assert!(text.is_empty() || !answer.contains(&*text), "{answer}");
        assert!(!answer.contains("197") && !answer.contains("c5"), "{answer}");
    }
    // Nothing was made or removed.
    assert_eq!(session.items().len(), foreign.len());
}

#[test]
fn two_items_of_one_name_are_no_key() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let name = client.create();
    let text = session.items().remove(0);
    session.put(&name, &text);
    let answer = client.ask(&format!("load {name}"));
    assert!(answer.starts_with("key_missing") && answer.contains("several"), "{answer}");
}

#[test]
fn the_key_of_a_new_store_goes_where_it_can_be_kept() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let file = session.path().join("regrant.key");
    let auto = format!("auto {}", file.display());
    let answer = client.ask(&auto);
    let (name, source) = answer.split_once(' ').unwrap();
    assert_eq!(source, "keychain");
    assert!(!file.exists());
    assert_eq!(client.ask(&format!("load {name}")), format!("Key({name})"));
}

/// The libraries say what they do, down to the bytes that they send.
#[test]
fn no_log_however_detailed_has_the_key() {
    let Some(session) = SecretService::unlocked() else { return };
    let log = session.path().join("log");
    let mut client = Client::logging(&session, &log);
    let name = client.create();
    client.ask(&format!("load {name}"));
    let text = session.items().remove(0);
    let key = STANDARD.decode(&text).unwrap();
    client.ask(&format!("remove {name}"));
    client.end();
    let log = std::fs::read_to_string(log).unwrap();
    // It is there, and has what is no secret.
    assert!(log.contains("/org/freedesktop/secrets") && log.contains(&name));
    let bytes = |separator: &str| key.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    let digits = key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = String::from_utf8(text).unwrap();
    let typed = text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    for trace in [text, typed, digits, bytes(", "), bytes(",")] {
        assert!(!log.contains(&trace), "the log has {trace}");
    }
}
