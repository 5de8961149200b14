//! A locked keychain that asks: somebody who answers, in time or late, and nobody.

use std::time::Duration;

use crate::client::Client;
use crate::service::{LONG, PASSWORD, SHORT, SecretService};

#[test]
fn a_password_that_is_typed_in_time_opens_the_keychain() {
    let Some(mut session) = SecretService::with_display() else { return };
    let name = Client::of(&session).create();
    session.lock();
    let mut client = Client::with(&session, "none", LONG);
    client.say(&format!("load {name}"));
    session.at_the_prompt(&["type", "--args", "1", PASSWORD, "keydown", "Return"]);
    assert_eq!(client.answer(), format!("Key({name})"));
}

#[test]
fn a_prompt_that_is_closed_leaves_the_keychain_locked() {
    let Some(mut session) = SecretService::with_display() else { return };
    session.lock();
    let mut client = Client::with(&session, "none", LONG);
    client.say("create");
    session.at_the_prompt(&["keydown", "Escape"]);
    let answer = client.answer();
    assert!(answer.starts_with("store_locked") && answer.contains("closed"), "{answer}");
}

#[test]
fn a_password_that_is_typed_late_serves_those_who_come_after_it() {
    let Some(mut session) = SecretService::with_display() else { return };
    session.lock();
    let mut client = Client::with(&session, "none", SHORT);
    for _ in 0..2 {
        assert!(client.ask("create").contains("did not answer in time"));
    }
    client.say("patiently create");
    session.at_the_prompt(&["type", "--args", "1", PASSWORD, "keydown", "Return"]);
    let answer = client.answer();
    assert!(answer.ends_with(" keychain"), "{answer}");
    // Those who had given up made no key.
    assert_eq!(session.items().len(), 1);
}

/// A prompt that nobody answers is given up at the deadline, and the process ends.
#[test]
fn sk_04_backend_hang_or_blocking_runtime() {
    let Some(mut session) = SecretService::with_display() else { return };
    session.lock();
    for runtime in ["none", "current_thread", "multi_thread"] {
        let mut client = Client::with(&session, runtime, SHORT);
        let answer = client.ask("create");
        // A prompt that cannot be shown would have been closed at once.
        assert!(answer.starts_with("store_locked"), "{answer}");
        assert!(answer.contains("did not answer in time"), "{answer}");
        client.end();
    }
}

#[test]
fn sk_04_c_a_process_that_waits_for_a_prompt_can_end() {
    let Some(mut session) = SecretService::with_display() else { return };
    session.lock();
    for runtime in ["none", "current_thread", "multi_thread"] {
        // This deadline comes after the test.
        let mut client = Client::with(&session, runtime, Duration::from_secs(3600));
        assert_eq!(client.ask("create for 100 ms"), "given up");
        session.until_prompted();
        client.end();
    }
}

#[test]
fn sk_04_d_the_other_tasks_of_a_program_go_on_while_a_prompt_waits() {
    let Some(mut session) = SecretService::with_display() else { return };
    session.lock();
    for runtime in ["current_thread", "multi_thread"] {
        let mut client = Client::with(&session, runtime, SHORT);
        let answer = client.ask("work meanwhile");
        let (steps, answer) = answer.split_once(' ').unwrap();
        assert!(answer.starts_with("store_locked"), "{answer}");
        // A step takes a millisecond or two.
        assert!(steps.parse::<u32>().unwrap() > 100, "{steps}");
    }
}

#[test]
fn a_prompt_that_ends_with_its_keychain_is_waited_for_no_longer() {
    let Some(mut session) = SecretService::with_display() else { return };
    let load = format!("load {}", Client::of(&session).create());
    // The item lies in the collection for new items, or in one that was this before.
    for is_elsewhere in [false, true] {
        session.lock();
        if is_elsewhere {
            session.change_default();
        }
        let mut client = Client::with(&session, "none", SHORT);
        let answer = client.ask(&load);
        assert!(answer.contains("did not answer in time"), "{answer}");
        session.unlock();
        assert!(client.ask(&format!("patiently {load}")).starts_with("Key("));
    }
}
