//! What every [`TokenStore`] keeps.

use std::sync::{Arc, Mutex};

use regrant_core::{Client, Grant, Id, Login, Over, Record, Secret, Stored, Timestamp, Version};

use super::blobs::told;
use super::{CROWD, Task, TokenPlace, dropped_after, yield_now};
use crate::blob::Name;
use crate::token::{Kept, TokenStore};

/// How often each of a crowd saves. All are refused by each save of another, and to be refused costs
/// a seal and an opening, a millisecond where nothing is optimized.
const SAVES: u64 = 3;

/// An account that was never saved is not there, and that is no error.
pub async fn absent_is_none(place: &dyn TokenPlace) {
    let store = place.open().await;
    assert!(loaded(&store, "nobody").await.is_none());
    assert!(listed(&store).await.is_empty());
}

/// Who expects nothing finds nothing, and who expects something finds something.
pub async fn create_needs_absence(place: &dyn TokenPlace) {
    let store = place.open().await;
    let early = Over::Version(Version::new(*b"a version that no store has made"));
    assert!(mismatch(save(&store, "a", &record(1), &early).await).is_none());
    assert!(loaded(&store, "a").await.is_none(), "a save over what is not there");
    let first = record(1);
    done(save(&store, "a", &first, &Over::Absent).await);
    let late = save(&store, "a", &record(2), &Over::Absent).await;
    assert_same(&mismatch(late).expect("it was created").record, &first);
    assert_same(&expected(&store, "a").await.record, &first);
}

/// A version has one name, whoever asks: who saved, who loads, who is refused, and who has opened
/// the place anew. The next save has another.
pub async fn save_and_load_tell_the_same_version(place: &dyn TokenPlace) {
    let (store, other) = (place.open().await, place.open().await);
    let mut over = Over::Absent;
    let mut seen: Vec<Version> = Vec::new();
    for round in 1..=5 {
        let saved = done(save(&store, "a", &refreshed(&record(1), round), &over).await);
        assert!(!seen.contains(&saved), "two saves have one version");
        assert_eq!(expected(&store, "a").await.version, saved);
        assert_eq!(expected(&other, "a").await.version, saved);
        let refused = mismatch(save(&other, "a", &record(2), &Over::Absent).await);
        assert_eq!(refused.expect("it was saved").version, saved);
        seen.push(saved.clone());
        over = Over::Version(saved);
    }
}

/// The loser of a race learns what is there, can save over it, and has changed nothing before.
pub async fn a_mismatch_gives_what_is_there_and_changes_nothing(place: &dyn TokenPlace) {
    let (store, other) = (place.open().await, place.open().await);
    let first = done(save(&store, "a", &record(1), &Over::Absent).await);
    let newer = refreshed(&record(1), 2);
    done(save(&other, "a", &newer, &Over::Version(first.clone())).await);
    for over in [Over::Version(first), Over::Absent, Over::Version(Version::new([7; 3]))] {
        let refused = mismatch(save(&store, "a", &record(2), &over).await);
        assert_same(&refused.expect("it is there").record, &newer);
        assert_same(&expected(&store, "a").await.record, &newer);
    }
    let found = expected(&store, "a").await;
    done(save(&store, "a", &record(2), &Over::Version(found.version)).await);
}

/// Who read before the logout cannot save after it; a login can.
pub async fn a_tombstone_is_not_resurrected_by_a_stale_writer(place: &dyn TokenPlace) {
    let (writer, other) = (place.open().await, place.open().await);
    let live = record(1);
    let before = done(save(&writer, "a", &live, &Over::Absent).await);
    let logged_out = Record::logged_out(live.incarnation, live.generation, AT);
    let after = done(save(&other, "a", &logged_out, &Over::Version(before.clone())).await);
    for over in [Over::Version(before), Over::Absent] {
        let refused = mismatch(save(&writer, "a", &refreshed(&live, 2), &over).await);
        let refused = refused.expect("a tombstone is something");
        assert!(refused.record.is_logged_out(), "{over:?}");
        assert_eq!(refused.version, after);
    }
    let found = expected(&writer, "a").await.record;
    assert!(found.is_logged_out());
    assert!(found.slot().is_none() && found.refresh_token.is_none(), "a logout left tokens");
    let entries = listed(&writer).await;
    assert_eq!(entries.len(), 1, "a tombstone is in the list");
    assert!(!entries[0].live);
    done(save(&writer, "a", &login(2, Some(&found)), &Over::Version(after)).await);
    assert!(listed(&other).await[0].live);
}

/// A login over a login begins a lineage, and says so to whoever reads: in the record and in the
/// list.
pub async fn a_new_login_has_a_new_incarnation_and_a_higher_generation(place: &dyn TokenPlace) {
    let (store, other) = (place.open().await, place.open().await);
    let old = refreshed(&record(1), 6);
    let version = done(save(&store, "a", &old, &Over::Absent).await);
    let found = expected(&other, "a").await.record;
    let version_after =
        done(save(&other, "a", &login(2, Some(&found)), &Over::Version(version.clone())).await);
    assert_ne!(version_after, version);
    let new = expected(&store, "a").await.record;
    assert_eq!(new.incarnation, Id([2; 16]));
    assert!(new.generation > old.generation);
    assert_eq!(new.superseded, [old.incarnation]);
    let entry = &listed(&store).await[0];
    assert_eq!((entry.incarnation, entry.generation), (new.incarnation, new.generation));
    // Who still refreshes for the old login has lost.
    let stale = save(&store, "a", &refreshed(&old, 7), &Over::Version(version)).await;
    assert_same(&mismatch(stale).expect("it is there").record, &new);
}

/// An older copy that was put back is an older copy to whoever knew the newer: of the same
/// incarnation with a lower generation, or of one that the newer has superseded. It is no version
/// of the newer, and can be saved over.
pub async fn a_record_restored_from_a_backup_is_recognised(place: &dyn TokenPlace) {
    let store = place.open().await;
    let mut older = record(1);
    let mut version = done(save(&store, "a", &older, &Over::Absent).await);
    for newer in [refreshed(&older, 2), login(2, Some(&refreshed(&older, 2)))] {
        let Some(put_back) = place.back_up().await else { return };
        let over = Over::Version(version);
        let newest = done(save(&store, "a", &newer, &over).await);
        assert_same(&expected(&store, "a").await.record, &newer);
        put_back.await;

        let store = place.open().await;
        let found = expected(&store, "a").await;
        assert_same(&found.record, &older);
        let is_older = found.record.generation < newer.generation;
        let is_known = found.record.incarnation == newer.incarnation
            || newer.superseded.contains(&found.record.incarnation);
        assert!(is_older && is_known, "a restored record passes for a new one");
        assert_ne!(found.version, newest, "a restored record passes for the newest");
        let stale = save(&store, "a", &newer, &Over::Version(newest)).await;
        assert_same(&mismatch(stale).expect("it is there").record, &older);
        let over = Over::Version(found.version);
        version = done(save(&store, "a", &newer, &over).await);
        assert_same(&expected(&store, "a").await.record, &newer);
        older = newer;
    }
}

/// No two names share a record, whatever stands in them.
pub async fn accounts_are_isolated(place: &dyn TokenPlace) {
    let store = place.open().await;
    let long = "x".repeat(1_023);
    let mut names: Vec<String> =
        ["", "a", "A", "a ", "..", "a/b", "a\0", "é", "e\u{301}", "日本"].map(Into::into).into();
    names.extend([format!("{long}1"), format!("{long}2")]);
    for (name, number) in names.iter().zip(1..) {
        assert!(loaded(&store, name).await.is_none(), "{name:?} was there already");
        done(save(&store, name, &record(number), &Over::Absent).await);
    }
    let other = place.open().await;
    for (name, number) in names.iter().zip(1..) {
        let found = expected(&other, name).await;
        assert_same(&found.record, &record(number));
        let logged_out = Record::logged_out(found.record.incarnation, 1, AT);
        done(save(&other, name, &logged_out, &Over::Version(found.version)).await);
    }
    let mut found: Vec<_> = listed(&store).await.into_iter().map(|entry| entry.name).collect();
    let mut expected: Vec<_> = names.into_iter().map(Name::Account).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Tokens are as long as servers make them: longer than what a keychain takes (2,560 bytes on
/// Windows), and 64 KiB, which is more than any header takes.
pub async fn long_tokens_round_trip(place: &dyn TokenPlace) {
    let store = place.open().await;
    let mut over = Over::Absent;
    for length in [1, 2_561, 64 * 1024] {
        let mut long = record(1);
        let token: String = ('!'..='~').cycle().take(length).collect();
        long.slots.get_mut(&0).expect("a login fills it").access_token = Secret::new(token.clone());
        long.refresh_token = Some(Secret::new(token));
        over = Over::Version(done(save(&store, "a", &long, &over).await));
        assert_same(&expected(&place.open().await, "a").await.record, &long);
    }
}

/// What a newer version has written is kept by an older one that loads, changes and saves.
pub async fn unknown_fields_survive(place: &dyn TokenPlace) {
    let mut newer = record(1);
    newer.unknown.insert("a_field".to_owned(), "of a newer version".into());
    newer.unknown.insert("a_number".to_owned(), (1_u64 << 60).into());
    newer.unknown.insert("a_list".to_owned(), vec!["one", "two"].into());
    let slot = newer.slots.get_mut(&0).expect("a login fills it");
    slot.unknown.insert("a_field_of_the_slot".to_owned(), true.into());
    let (store, other) = (place.open().await, place.open().await);
    done(save(&store, "a", &newer, &Over::Absent).await);
    for round in 2..4 {
        let Stored { record, version } = expected(&other, "a").await;
        let changed = refreshed(&record, round);
        done(save(&other, "a", &changed, &Over::Version(version)).await);
        let found = expected(&store, "a").await.record;
        assert_eq!(found.unknown, newer.unknown);
        assert_eq!(found.slots[&0].unknown, newer.slots[&0].unknown);
        assert_same(&found, &changed);
    }
}

/// Only what cannot be read is saved over as damaged, however sure somebody was of its damage.
pub async fn what_is_readable_is_not_saved_over_as_damaged(place: &dyn TokenPlace) {
    let store = place.open().await;
    assert!(mismatch(save(&store, "a", &tombstone(9), &Over::Damaged).await).is_none());
    assert!(loaded(&store, "a").await.is_none(), "nothing is no damage");
    let live = record(1);
    done(save(&store, "a", &live, &Over::Absent).await);
    for over in [record(2), tombstone(2)] {
        let refused = mismatch(save(&store, "a", &over, &Over::Damaged).await);
        assert_same(&refused.expect("it is there").record, &live);
        assert_same(&expected(&store, "a").await.record, &live);
    }
}

/// A save that nobody waits for any more is done or not done, and blocks nobody.
pub async fn a_dropped_save_leaves_old_or_new(place: &dyn TokenPlace) {
    let first = place.open().await;
    done(save(&first, "a", &record(1), &Over::Absent).await);
    for polls in 0..12 {
        let store = place.open().await;
        let old = expected(&store, "a").await;
        let new = refreshed(&old.record, old.record.generation + 1);
        let over = Over::Version(old.version.clone());
        let finished = dropped_after(polls, store.save("a", &new, &over)).await;
        let mut found = expected(&place.open().await, "a").await;
        let is_new = found.record.generation == new.generation;
        assert_same(&found.record, if is_new { &new } else { &old.record });
        if let Some(saved) = finished {
            done(saved.unwrap_or_else(|error| panic!("save: {}", told(&error))));
            assert!(is_new, "a save that was done is not there");
        }
        // The dropped save may still arrive, once.
        for _ in 0..2 {
            let further = refreshed(&found.record, new.generation + 1);
            let over = Over::Version(found.version.clone());
            match save(&store, "a", &further, &over).await {
                Kept::Done(_) => break,
                Kept::Mismatch(newer) => {
                    let newer = newer.expect("it does not vanish");
                    assert_same(&newer.record, &new);
                    found = newer;
                }
            }
        }
        let last = expected(&store, "a").await.record.generation;
        assert_eq!(last, new.generation + 1, "after {polls} polls: no further save");
    }
}

/// Fifty at once, each of whom reads and saves three times: no save is lost.
pub async fn concurrent_savers_lose_nothing(place: &dyn TokenPlace) {
    let store = place.open().await;
    done(save(&store, "a", &record(1), &Over::Absent).await);
    let refusals = Arc::new(Mutex::new(0_usize));
    let mut tasks: Vec<Task> = Vec::new();
    for index in 0..CROWD {
        let (store, refusals) = (place.open().await, Arc::clone(&refusals));
        tasks.push(Box::pin(async move {
            let counter = format!("saver {index}");
            let mut found = expected(&store, "a").await;
            for saves in 1..=SAVES {
                loop {
                    yield_now().await;
                    let mut new = refreshed(&found.record, found.record.generation + 1);
                    new.unknown.insert(counter.clone(), saves.into());
                    match save(&store, "a", &new, &Over::Version(found.version)).await {
                        Kept::Done(version) => {
                            found = Stored { record: new, version };
                            break;
                        }
                        Kept::Mismatch(there) => found = there.expect("it does not vanish"),
                    }
                    let mut refusals = refusals.lock().expect("no task panics with it");
                    *refusals += 1;
                    // Each needs a save of another, and each save refuses the others once.
                    assert!(*refusals < CROWD * CROWD * SAVES as usize, "refused for no reason");
                }
            }
        }));
    }
    place.together(tasks).await;
    let last = expected(&place.open().await, "a").await.record;
    assert_eq!(last.generation, 1 + CROWD as u64 * SAVES, "saves were lost");
    for index in 0..CROWD {
        assert_eq!(last.unknown[&format!("saver {index}")], SAVES, "saves of {index} were lost");
    }
}

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn record(number: u8) -> Record {
    login(number, None)
}

/// The record of a login whose incarnation is made of this number.
fn login(number: u8, over: Option<&Record>) -> Record {
    let mut grant = Grant::bearer(Secret::new(format!("access {number}")));
    grant.refresh_token = Some(Secret::new(format!("refresh {number}")));
    grant.expires_in = Some(std::time::Duration::from_secs(3_600));
    let login = Login {
        incarnation: Id([number; 16]),
        client: Client::new("https://as.example/token", "client"),
        origins: Vec::new(),
        grant,
        obtained_at: AT,
    };
    Record::login(&login, over)
}

fn tombstone(number: u8) -> Record {
    Record::logged_out(Id([number; 16]), 1, AT)
}

/// The same login with the tokens of this generation.
fn refreshed(of: &Record, generation: u64) -> Record {
    let mut record = of.clone();
    record.generation = generation;
    if let Some(slot) = record.slots.get_mut(&0) {
        slot.generation = generation;
        slot.access_token = Secret::new(format!("access of generation {generation}"));
    }
    record.refreshed_at = Some(AT);
    record
}

async fn loaded(store: &Arc<dyn TokenStore>, account: &str) -> Option<Stored> {
    store.load(account).await.unwrap_or_else(|error| panic!("load {account:?}: {}", told(&error)))
}

async fn expected(store: &Arc<dyn TokenStore>, account: &str) -> Stored {
    let stored = loaded(store, account).await;
    stored.unwrap_or_else(|| panic!("{account:?} was saved, and is not there"))
}

async fn save(store: &Arc<dyn TokenStore>, account: &str, record: &Record, over: &Over) -> Kept {
    let kept = store.save(account, record, over).await;
    kept.unwrap_or_else(|error| panic!("save {account:?}: {}", told(&error)))
}

async fn listed(store: &Arc<dyn TokenStore>) -> Vec<crate::blob::Entry> {
    let listed = store.list().await;
    listed.unwrap_or_else(|error| panic!("list: {}", told(&error)))
}

/// A record has no equality, since it has tokens; its bytes have.
#[track_caller]
fn assert_same(found: &Record, expected: &Record) {
    let same = found.encode() == expected.encode();
    assert!(same, "another record is there, or another part of it, than was saved");
}

#[track_caller]
fn done(kept: Kept) -> Version {
    match kept {
        Kept::Done(version) => version,
        Kept::Mismatch(found) => {
            let found = found.map(|found| (found.record.incarnation, found.record.generation));
            panic!("the save was refused, and what is there is {found:?}")
        }
    }
}

#[track_caller]
fn mismatch(kept: Kept) -> Option<Stored> {
    match kept {
        Kept::Mismatch(found) => found,
        Kept::Done(_) => panic!("the save was done over something else than it expected"),
    }
}
