//! What broke does not stay broken: the process that saw it goes on once the cause is gone.

use crate::client::Client;
use crate::service::{SHORT, SecretService};

#[test]
fn sk_01_f_a_keychain_that_was_killed_is_found_again() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let load = format!("load {}", client.create());
    let before = client.ask(&load);
    session.stop_keychain();
    assert!(client.ask(&load).starts_with("store_unavailable"));
    session.unlock();
    assert_eq!(client.ask(&load), before);
}

#[test]
fn sk_01_g_a_bus_that_was_killed_is_found_again() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let load = format!("load {}", client.create());
    let before = client.ask(&load);
    session.stop_bus();
    assert!(client.ask(&load).starts_with("store_unavailable"));
    session.start_bus();
    session.unlock();
    assert_eq!(client.ask(&load), before);
}

#[test]
fn a_message_that_breaks_the_connection_breaks_it_once() {
    let Some(mut session) = SecretService::unlocked() else { return };
    let mut client = Client::of(&session);
    let load = format!("load {}", client.create());
    let before = client.ask(&load);
    let huge = "ffffffffffffffffffffffffffffffff";
    session.put(huge, &vec![b'x'; 2 << 20]);
    session.stop_bus();
    session.start_bus_for_short_messages();
    session.unlock();
    let answer = client.ask(&format!("load {huge}"));
    assert!(answer.starts_with("store_unavailable"), "{answer}");
    session.unlock();
    assert_eq!(client.ask(&load), before);
}

#[test]
fn sk_04_b_a_keychain_that_hangs_is_given_up_and_asked_again_when_it_goes_on() {
    let Some(session) = SecretService::unlocked() else { return };
    let mut client = Client::with(&session, "none", SHORT);
    let load = format!("load {}", Client::of(&session).create());
    let before = client.ask(&format!("patiently {load}"));
    session.freeze_keychain(true);
    for _ in 0..2 {
        let answer = client.ask(&load);
        assert!(answer.contains("did not answer in time"), "{answer}");
    }
    session.freeze_keychain(false);
    assert_eq!(client.ask(&format!("patiently {load}")), before);
}
