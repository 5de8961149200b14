//! What another program did to the file, as regrant takes it.

use std::fs;

use regrant_core::{Access, Id, Over, Record, Refresh, StateKind, StoreFault, Timestamp};
use regrant_storage::{Name, SaveOutcome, TokenStore as _};

use crate::support::*;

/// A place where regrant has saved a login of its own.
async fn with_own_login() -> (Place, Record) {
    let place = Place::used();
    let store = place.open().await;
    let found = place.loaded().await;
    let own = login(1, Some(&found.record));
    done(save(&store, &own, &at(&found)).await);
    (place, own)
}

/// The other program refreshes or logs in: the tokens are others, and all else stays.
fn rewrite(place: &Place, from: &str, to: &str) {
    let text = place.text();
    let new = text.replace(&format!("\"{from} "), &format!("\"{to} "));
    assert_ne!(text, new, "there is no {from} in it");
    fs::write(&place.file, new).unwrap();
}

#[tokio::test]
async fn a_file_that_regrant_never_wrote_is_a_login() {
    let place = Place::used();
    let before = place.text();
    let found = place.loaded().await.record;
    assert_eq!(token(&found), "foreign 1");
    assert_eq!((found.generation, found.access()), (1, Access::Trusted));
    assert_eq!((found.state(), &found.refresh), (StateKind::Valid, &Refresh::Usable));
    assert_eq!(found.due_at(), Some(Timestamp::from_millis(1_700_003_600_000)));
    assert_eq!(found.slot().unwrap().scope.as_deref(), Some("read write"));
    assert_eq!(found.origins, [origin("https://api.example")]);
    assert_eq!(found.client.client_id, "client");
    assert!(found.superseded.is_empty());
    // Whoever reads it derives the same, and reading writes nothing.
    let again = place.loaded().await;
    assert_same(&again.record, &found);
    assert_eq!(place.names(), ["credentials.json"]);
    assert_eq!(place.text(), before);
}

#[tokio::test]
async fn another_programs_refresh_is_adopted_over_ours() {
    let (place, own) = with_own_login().await;
    let before = place.loaded().await;
    rewrite(&place, "own 1", "foreign 2");
    let found = place.loaded().await;
    assert_eq!(token(&found.record), "foreign 2");
    assert_eq!(found.record.generation, own.generation + 1);
    assert_eq!(found.record.superseded.last(), Some(&own.incarnation));
    assert!(!found.record.superseded.contains(&found.record.incarnation));
    assert_eq!(found.record.access(), Access::Trusted);
    assert_eq!(place.loaded().await.version, found.version);

    // What was read before is no version any more, for tokens as little as for facts.
    let store = place.open().await;
    let file = place.text();
    for late in [refreshed(&own, "late"), noted(&own, "late"), logged_out(&own)] {
        let there = mismatch(save(&store, &late, &at(&before)).await).unwrap();
        assert_same(&there.record, &found.record);
        assert_eq!(place.text(), file, "what another program wrote was overwritten");
    }
    let next = refreshed(&found.record, "own 3");
    done(save(&store, &next, &at(&found)).await);
    assert_same(&place.loaded().await.record, &next);
}

#[tokio::test]
async fn what_is_known_of_the_tokens_is_kept_beside_them() {
    let (place, own) = with_own_login().await;
    let store = place.open().await;
    let found = place.loaded().await;
    assert_same(&found.record, &own);
    let file = place.text();
    let next = noted(&own, "of these tokens");
    done(save(&store, &next, &at(&found)).await);
    assert_eq!(place.text(), file, "a fact is nothing to the other program");
    assert_same(&place.loaded().await.record, &next);

    let notes = fs::read_to_string(place.notes()).unwrap();
    assert!(notes.contains("of these tokens"));
    for secret in ["own 1", "foreign 1", "client secret"] {
        assert!(!notes.contains(secret), "{secret} is in the notes");
    }
    // The other program drops everything that it does not know, which is none of ours.
    fs::write(&place.file, written("own 1").replace("1700003600000", "1700003600123")).unwrap();
    assert_same(&place.loaded().await.record, &next);
}

#[tokio::test]
async fn a_save_of_facts_is_another_version_of_the_same_tokens() {
    let (place, own) = with_own_login().await;
    let found = place.loaded().await;
    let version = done(save(&place.open().await, &own, &at(&found)).await);
    assert_ne!(version, found.version, "two saves have one version");
    let late = save(&place.open().await, &noted(&own, "late"), &at(&found)).await;
    assert_eq!(mismatch(late).unwrap().version, version);
}

#[tokio::test]
async fn another_expiry_of_the_same_tokens_is_believed() {
    let (place, own) = with_own_login().await;
    let version = place.loaded().await.version;
    let text = place.text();
    fs::write(&place.file, text.replace("1700003600123", "1700000010000")).unwrap();
    let found = place.loaded().await;
    assert_eq!(found.record.due_at(), Some(Timestamp::from_millis(1_700_000_010_000)));
    assert_eq!(found.record.incarnation, own.incarnation);
    assert_eq!(found.version, version, "the same tokens are the same version");
    fs::write(&place.file, text.replace("1700003600123", "null")).unwrap();
    assert_eq!(place.loaded().await.record.due_at(), None);
}

#[tokio::test]
async fn another_programs_logout_is_a_logout() {
    let tokens_removed = "{ \"theme\": \"dark\" }";
    let tokens_emptied = "{ \"oauth\": { \"access\": \"\", \"refresh\": null } }";
    for left in [Some(tokens_removed), Some(tokens_emptied), None] {
        let (place, own) = with_own_login().await;
        match left {
            Some(left) => fs::write(&place.file, left).unwrap(),
            None => fs::remove_file(&place.file).unwrap(),
        }
        let found = place.loaded().await;
        assert!(found.record.is_logged_out(), "{left:?}");
        assert_eq!(found.record.incarnation, own.incarnation);
        assert_eq!(found.record.superseded, own.superseded);
        let entries = place.open().await.list().await.unwrap();
        assert_eq!((entries.len(), entries[0].live), (1, false));

        // A login can be saved over it, and the file is there again.
        let next = login(2, Some(&found.record));
        done(save(&place.open().await, &next, &at(&found)).await);
        assert_same(&place.loaded().await.record, &next);
        assert_eq!(place.found()["oauth"]["access"], "own 2 access", "{left:?}");
    }
}

#[tokio::test]
async fn a_file_without_tokens_that_regrant_never_wrote_is_nobodys_login() {
    let place = Place::empty();
    for text in [None, Some("{ \"theme\": \"dark\" }\n"), Some("{ \"oauth\": null }")] {
        if let Some(text) = text {
            fs::write(&place.file, text).unwrap();
        }
        let store = place.open().await;
        assert!(store.load(ACCOUNT).await.unwrap().is_none(), "{text:?}");
        assert!(store.list().await.unwrap().is_empty());
    }
    done(save(&place.open().await, &login(1, None), &Over::Absent).await);
    assert_eq!(place.found()["oauth"]["refresh"], "own 1 refresh");
}

#[tokio::test]
async fn a_refresh_token_alone_is_a_login_that_wants_a_refresh() {
    let place = Place::empty();
    fs::write(&place.file, "{ \"oauth\": { \"refresh\": \"R\" } }").unwrap();
    let found = place.loaded().await.record;
    assert_eq!((found.access(), found.state()), (Access::None, StateKind::ServerRejected));
    assert!(found.is_renewable());
    done(save(&place.open().await, &noted(&found, "x"), &at(&place.loaded().await)).await);
    assert_eq!(place.loaded().await.record.unknown["fact"], "x");
}

#[tokio::test]
async fn our_logout_takes_the_tokens_and_leaves_the_rest() {
    let (place, own) = with_own_login().await;
    let store = place.open().await;
    done(save(&store, &logged_out(&own), &at(&place.loaded().await)).await);
    assert_eq!(
        place.text(),
        "{\n  \"theme\": \"dark\",\n  \"oauth\": {\n    \"plan\": 1.50\n  }\n}\n"
    );
    let found = place.loaded().await;
    assert_same(&found.record, &logged_out(&own));
    assert!(found.record.client.client_secret.is_none());
}

#[tokio::test]
async fn other_tokens_after_our_logout_are_a_login_and_the_same_are_not() {
    let (place, own) = with_own_login().await;
    let before = place.text();
    let store = place.open().await;
    done(save(&store, &logged_out(&own), &at(&place.loaded().await)).await);

    // The other program still has them in memory, and writes all it has.
    fs::write(&place.file, &before).unwrap();
    let found = place.loaded().await;
    assert!(found.record.is_logged_out(), "a logout was undone by what it logged out");
    assert_eq!(found.record.incarnation, own.incarnation);

    fs::write(&place.file, written("foreign 2")).unwrap();
    let found = place.loaded().await;
    assert_eq!((token(&found.record), found.record.generation), ("foreign 2", own.generation + 1));
    assert_eq!(found.record.superseded.last(), Some(&own.incarnation));
}

#[tokio::test]
async fn tokens_that_regrant_has_replaced_are_known_as_older_when_they_come_back() {
    let (place, own) = with_own_login().await;
    let old_text = place.text();
    let store = place.open().await;
    let newer = refreshed(&own, "own 2");
    let version = done(save(&store, &newer, &at(&place.loaded().await)).await);
    // Directly, and after a save of facts.
    for over in [None, Some(version)] {
        if let Some(version) = over {
            fs::write(&place.file, place.text().replace("own 1", "own 2")).unwrap();
            done(save(&store, &noted(&newer, "x"), &Over::Version(version)).await);
        }
        fs::write(&place.file, &old_text).unwrap();
        let found = place.loaded().await.record;
        assert_eq!(token(&found), "own 1");
        assert_eq!((found.incarnation, found.generation), (own.incarnation, own.generation));
    }
    // Whoever knows the newer can save it over them.
    let found = place.loaded().await;
    done(save(&store, &newer, &at(&found)).await);
    assert_same(&place.loaded().await.record, &newer);
}

#[tokio::test]
async fn tokens_that_began_a_foreign_login_are_older_however_often_it_was_refreshed() {
    let place = Place::used();
    let first = place.loaded().await;
    let mut newest = first.record.clone();
    for round in 1..=12 {
        newest = refreshed(&newest, &format!("own {round}"));
        done(save(&place.open().await, &newest, &at(&place.loaded().await)).await);
    }
    fs::write(&place.file, written("foreign 1")).unwrap();
    let found = place.loaded().await.record;
    assert_eq!((token(&found), found.incarnation), ("foreign 1", newest.incarnation));
    assert!(found.generation < newest.generation, "spent tokens pass for the newest");
}

#[tokio::test]
async fn origins_that_were_allowed_stay_allowed_after_another_programs_refresh() {
    let (place, mut own) = with_own_login().await;
    own.origins.push(origin("https://more.example"));
    let store = place.open().await;
    done(save(&store, &own, &at(&place.loaded().await)).await);
    rewrite(&place, "own 1", "foreign 2");
    let origins = [origin("https://api.example"), origin("https://more.example")];
    assert_eq!(place.loaded().await.record.origins, origins);
}

#[tokio::test]
async fn generations_go_on_through_any_number_of_foreign_logins() {
    let place = Place::used();
    let mut last = (0, Vec::new());
    for round in 2..14 {
        let found = place.loaded().await;
        assert!(found.record.generation > last.0);
        assert!(found.record.superseded.iter().all(|id| *id != found.record.incarnation));
        last = (found.record.generation, found.record.superseded.clone());
        let store = place.open().await;
        done(save(&store, &noted(&found.record, "seen"), &at(&found)).await);
        fs::write(&place.file, written(&format!("foreign {round}"))).unwrap();
    }
    assert_eq!(last.1.len(), 8);
}

#[tokio::test]
async fn the_file_holds_one_account() {
    let (place, own) = with_own_login().await;
    let store = place.open().await;
    assert!(store.load("another").await.unwrap().is_none());
    let refused = store.save("another", &own, &Over::Absent).await;
    let error = assert_fault(refused, StoreFault::ReadOnly);
    assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    let entries = store.list().await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name, Name::Account(ACCOUNT.to_owned()));
    assert_eq!((entries[0].incarnation, entries[0].live), (own.incarnation, true));
    assert_eq!(entries[0].due_at, own.due_at());
}

#[tokio::test]
async fn two_accounts_that_are_told_to_share_a_file_are_told_so() {
    let (place, own) = with_own_login().await;
    let other = open_as("b", &place.file).await;
    assert_fault(other.load("b").await, StoreFault::Unavailable);
    assert_fault(other.save("b", &own, &Over::Absent).await, StoreFault::Unavailable);
    assert_fault(other.save("b", &own, &Over::Damaged).await, StoreFault::Unavailable);
    assert_same(&place.loaded().await.record, &own);
}

#[tokio::test]
async fn a_hollow_record_is_refused_and_changes_nothing() {
    let (place, own) = with_own_login().await;
    let (file, notes) = (place.text(), fs::read(place.notes()).unwrap());
    let mut hollow = own.clone();
    hollow.refresh_token = None;
    hollow.slots.clear();
    let mut blank = own.clone();
    blank.refresh_token = Some(regrant_core::Secret::new(String::new()));
    blank.slots.get_mut(&0).unwrap().access_token = regrant_core::Secret::new(String::new());
    for record in [hollow, blank] {
        let found = place.loaded().await;
        let refused = place.open().await.save(ACCOUNT, &record, &at(&found)).await;
        assert_eq!(assert_fault(refused, StoreFault::Corrupt).outcome(), SaveOutcome::NotApplied);
        assert_eq!((place.text(), fs::read(place.notes()).unwrap()), (file.clone(), notes.clone()));
    }
}

#[tokio::test]
async fn a_client_secret_is_the_accounts_or_refused() {
    let (place, mut own) = with_own_login().await;
    let found = place.loaded().await;
    assert!(found.record.client.is(&client()), "the secret is the account's");
    own.client.client_secret = Some(regrant_core::Secret::new("another".to_owned()));
    let refused = place.open().await.save(ACCOUNT, &own, &at(&found)).await;
    assert_fault(refused, StoreFault::ReadOnly);
}

#[tokio::test]
async fn a_login_of_regrants_own_is_named_by_its_own_incarnation() {
    let (place, own) = with_own_login().await;
    let found = place.loaded().await.record;
    assert_eq!(found.incarnation, Id([1; 16]));
    assert_eq!(found.superseded, own.superseded);
    let store = place.open().await;
    let capabilities = store.capabilities();
    let real = fs::canonicalize(&place.file).unwrap();
    assert_eq!(capabilities.identity, format!("json:{}", real.display()));
    assert!(!capabilities.volatile && !capabilities.shared);
}
