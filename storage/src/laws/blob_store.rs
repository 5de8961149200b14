//! What every [`BlobStore`] keeps.

use std::slice;
use std::sync::{Arc, Mutex};

use regrant_core::{Id, StoreFault, Timestamp};

use super::blobs::{
    SAVES, account, after, assert_all_shares, blob, done, listed, loaded, mismatch, now, save,
    saves_a_share, told,
};
use super::{BlobPlace, CROWD, Task, dropped_after, yield_now};
use crate::blob::{Blob, BlobStore, Entry, Expected, Name, Saved};
use crate::error::SaveOutcome;

/// An account that was never saved is not there, and that is no error.
pub async fn absent_is_none(place: &dyn BlobPlace) {
    let store = place.open().await;
    assert_eq!(loaded(&store, &account("nobody")).await, None);
    assert_eq!(loaded(&store, &Name::DataKey).await, None);
    assert_eq!(listed(&store).await, []);
}

/// Who expects nothing finds nothing, and who expects something finds something.
pub async fn create_needs_absence(place: &dyn BlobPlace) {
    let store = place.open().await;
    for name in [account("a"), Name::DataKey] {
        let first = blob(&name, 1, b"first");
        let early = save(&store, &first, Expected::Revision(Id([1; 16]), 1)).await;
        assert_eq!(mismatch(early), None, "{name:?}: a save over what is not there");
        assert_eq!(loaded(&store, &name).await, None);

        done(save(&store, &first, Expected::Absent).await);
        let late = save(&store, &blob(&name, 1, b"second"), Expected::Absent).await;
        assert_eq!(mismatch(late).as_ref(), Some(&first), "{name:?}: created twice");
        assert_eq!(loaded(&store, &name).await.as_ref(), Some(&first));
    }
}

/// A store keeps what it is given, to the last value that fits.
pub async fn a_save_raises_nothing_by_itself(place: &dyn BlobPlace) {
    let store = place.open().await;
    let mut expected = Expected::Absent;
    let moments =
        [None, Some(Timestamp::EPOCH), Some(Timestamp::from_millis(1)), Some(Timestamp::NEVER)];
    for (index, due_at) in moments.into_iter().enumerate() {
        for number in [0, 1, 1 << 53, u64::MAX - 1, u64::MAX] {
            for live in [true, false] {
                let entry = Entry {
                    name: account("a"),
                    incarnation: Id([[0, 0x7f, 0x80, 0xff][index]; 16]),
                    generation: number,
                    revision: number,
                    due_at,
                    live,
                };
                let sealed = if live { vec![0, 1, 0xff] } else { Vec::new() };
                let given = Blob { entry, sealed };
                done(save(&store, &given, expected).await);
                assert_eq!(loaded(&store, &given.entry.name).await.as_ref(), Some(&given));
                assert_eq!(listed(&store).await, slice::from_ref(&given.entry));
                expected = now(&given);
            }
        }
    }
}

/// The loser of a race learns what is there, and has changed nothing.
pub async fn a_mismatch_says_what_is_there_and_changes_nothing(place: &dyn BlobPlace) {
    let store = place.open().await;
    let current = blob(&account("a"), 5, b"current");
    done(save(&store, &current, Expected::Absent).await);
    let other = Id([0xee; 16]);
    let wrong = [
        Expected::Absent,
        Expected::Revision(current.entry.incarnation, 4),
        Expected::Revision(current.entry.incarnation, 6),
        Expected::Revision(other, 5),
    ];
    for expected in wrong {
        let mut late = blob(&account("a"), 6, b"late");
        late.entry.incarnation = other;
        let saved = save(&store, &late, expected).await;
        assert_eq!(mismatch(saved).as_ref(), Some(&current), "{expected:?}");
        assert_eq!(loaded(&store, &account("a")).await.as_ref(), Some(&current), "{expected:?}");
    }
}

/// Of fifty who create one name, one does, and the others are told which.
pub async fn of_concurrent_creators_one_wins(place: &dyn BlobPlace) {
    for name in [account("a"), Name::DataKey] {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let mut tasks: Vec<Task> = Vec::new();
        for (store, index) in crowd(place).await {
            let (name, outcomes) = (name.clone(), Arc::clone(&outcomes));
            tasks.push(Box::pin(async move {
                let mut mine = blob(&name, 1, &[index]);
                mine.entry.incarnation = Id([index; 16]);
                assert_eq!(loaded(&store, &Name::Account("other".into())).await, None);
                yield_now().await;
                let saved = save(&store, &mine, Expected::Absent).await;
                outcomes.lock().expect("no task panics with it").push((mine, saved));
            }));
        }
        place.together(tasks).await;

        let outcomes = std::mem::take(&mut *outcomes.lock().expect("no task panics with it"));
        assert_eq!(outcomes.len(), CROWD);
        let winners: Vec<_> =
            outcomes.iter().filter(|(_, saved)| matches!(saved, Saved::Done)).collect();
        assert_eq!(winners.len(), 1, "{name:?} was created more than once, or never");
        let winner = winners[0].0.clone();
        assert_eq!(loaded(&place.open().await, &name).await.as_ref(), Some(&winner));
        for (_, saved) in outcomes {
            if let Saved::Mismatch(found) = saved {
                assert_eq!(found.as_ref(), Some(&winner), "{name:?}: a loser was told otherwise");
            }
        }
    }
}

/// Fifty at once, each of whom reads and saves twenty times: no save is lost, and nobody is
/// refused without a reason.
pub async fn concurrent_savers_lose_nothing(place: &dyn BlobPlace) {
    let name = account("a");
    let mut tasks: Vec<Task> = Vec::new();
    for (store, index) in crowd(place).await {
        let name = name.clone();
        tasks.push(Box::pin(async move { saves_a_share(&store, &name, index, 0).await }));
    }
    place.together(tasks).await;

    assert_all_shares(&place.open().await, &name).await;
}

/// Who read before the logout cannot save after it.
pub async fn a_tombstone_is_not_resurrected_by_a_stale_writer(place: &dyn BlobPlace) {
    let (writer, other) = (place.open().await, place.open().await);
    let first = blob(&account("a"), 1, b"tokens");
    done(save(&writer, &first, Expected::Absent).await);

    let mut tombstone = after(&first, b"");
    tombstone.entry.live = false;
    tombstone.entry.due_at = None;
    done(save(&other, &tombstone, now(&first)).await);

    for expected in [now(&first), Expected::Absent] {
        let saved = save(&writer, &after(&first, b"stale"), expected).await;
        assert_eq!(mismatch(saved).as_ref(), Some(&tombstone), "{expected:?}");
    }
    assert_eq!(loaded(&writer, &account("a")).await.as_ref(), Some(&tombstone));
    assert_eq!(listed(&writer).await, [tombstone.entry]);
}

/// No two names share a place, whatever stands in them.
pub async fn accounts_are_isolated(place: &dyn BlobPlace) {
    let store = place.open().await;
    let long = "x".repeat(1_023);
    let texts = [
        "",
        " ",
        ".",
        "..",
        "/",
        "\\",
        "a",
        "A",
        "a ",
        "a.",
        "a/b",
        "a\\b",
        "a:b",
        "a\0",
        "a\0b",
        "../a",
        "%61",
        "*",
        "?",
        "'",
        "\"",
        "\n",
        "con",
        "NUL",
        "DataKey",
        "data_key",
        "datakey",
        "Account",
        "ß",
        "ss",
        "SS",
        "é",
        "e\u{301}",
        "İ",
        "i",
        "ı",
        "日本",
        "🦀",
        "\u{202e}a",
        "\u{feff}a",
        "\u{10ffff}",
        "default",
    ];
    let mut names: Vec<_> = texts.into_iter().map(account).collect();
    names.extend([account(&format!("{long}1")), account(&format!("{long}2")), Name::DataKey]);
    for (index, name) in names.iter().enumerate() {
        let made = blob(name, 1, &index.to_be_bytes());
        assert_eq!(loaded(&store, name).await, None, "{name:?} was there already");
        done(save(&store, &made, Expected::Absent).await);
    }
    let other = place.open().await;
    for (index, name) in names.iter().enumerate() {
        let made = blob(name, 1, &index.to_be_bytes());
        assert_eq!(loaded(&other, name).await.as_ref(), Some(&made), "{name:?}");
        let changed = after(&made, b"changed");
        done(save(&other, &changed, now(&made)).await);
        if let Some(next) = names.get(index + 1) {
            let untouched = blob(next, 1, &(index + 1).to_be_bytes());
            assert_eq!(loaded(&other, next).await.as_ref(), Some(&untouched), "{next:?}");
        }
    }
}

/// A record is as long as tokens are. What is longer than the store takes is refused whole.
pub async fn large_records_round_trip(place: &dyn BlobPlace) {
    let store = place.open().await;
    let limit = store.capabilities().size_limit;
    let name = account("a");
    let mut last: Option<Blob> = None;
    // One more than the credential manager of Windows takes, and what a record never reaches.
    for length in [2_561, 64 * 1024] {
        let sealed: Vec<u8> = (0..length).map(|index: u32| index.to_le_bytes()[0]).collect();
        let fits = limit.is_none_or(|limit| sealed.len() <= limit);
        let new = match &last {
            Some(last) => after(last, &sealed),
            None => blob(&name, 1, &sealed),
        };
        let expected = last.as_ref().map_or(Expected::Absent, now);
        if fits {
            done(save(&store, &new, expected).await);
            last = Some(new);
        } else {
            let error = store.save(&new, expected).await.expect_err("it is over the limit");
            assert_eq!(error.kind(), StoreFault::Full);
            assert_eq!(error.outcome(), SaveOutcome::NotApplied);
        }
        assert_eq!(loaded(&place.open().await, &name).await, last);
    }
}

/// A save that nobody waits for any more is done or not done, and blocks nobody.
pub async fn a_dropped_save_leaves_old_or_new(place: &dyn BlobPlace) {
    let name = account("a");
    let mut old = blob(&name, 1, b"0");
    done(save(&place.open().await, &old, Expected::Absent).await);
    for polls in 0..12 {
        let store = place.open().await;
        let new = after(&old, format!("dropped after {polls} polls").as_bytes());
        let finished = dropped_after(polls, store.save(&new, now(&old))).await;
        let reader = if polls % 2 == 0 { store } else { place.open().await };
        let mut found = loaded(&reader, &name).await.expect("something was there before");
        assert!(found == old || found == new, "after {polls} polls: neither old nor new");
        if let Some(saved) = finished {
            done(saved.expect("the save was refused"));
            assert_eq!(found, new, "a save that was done is not there");
        }
        // The dropped save may still arrive, once.
        for _ in 0..2 {
            let further = after(&found, b"further");
            match save(&reader, &further, now(&found)).await {
                Saved::Done => break,
                Saved::Mismatch(newer) => {
                    assert_eq!(newer.as_ref(), Some(&new), "after {polls} polls");
                    assert_eq!(found, old, "after {polls} polls");
                    found = new.clone();
                }
            }
        }
        old = loaded(&reader, &name).await.expect("something was saved");
        assert_eq!(old.sealed, b"further", "after {polls} polls: no further save");
    }
}

/// A list has every account once, tombstones too, as they were saved last.
pub async fn list_names_every_account_and_not_the_data_key(place: &dyn BlobPlace) {
    let store = place.open().await;
    let mut expected = Vec::new();
    for index in 0..20 {
        let mut first = blob(&account(&format!("account {index}")), 1, b"x");
        done(save(&store, &first, Expected::Absent).await);
        if index % 3 == 0 {
            let mut tombstone = after(&first, b"");
            tombstone.entry.live = false;
            tombstone.entry.generation += 1;
            done(save(&store, &tombstone, now(&first)).await);
            first = tombstone;
        }
        expected.push(first.entry);
    }
    done(save(&store, &blob(&Name::DataKey, 1, b"key"), Expected::Absent).await);
    expected.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(listed(&store).await, expected);
    assert_eq!(listed(&place.open().await).await, expected);
}

/// Who lists while others save misses none of those that were there before, and sees none twice.
pub async fn a_list_is_complete_while_others_write(place: &dyn BlobPlace) {
    let store = place.open().await;
    let names: Vec<_> = (0..10).map(|index| account(&format!("account {index}"))).collect();
    let mut tasks: Vec<Task> = Vec::new();
    for name in &names {
        let mut last = blob(name, 1, b"x");
        done(save(&store, &last, Expected::Absent).await);
        let store = place.open().await;
        tasks.push(Box::pin(async move {
            for _ in 0..SAVES {
                yield_now().await;
                let new = after(&last, &[last.sealed.as_slice(), b"more"].concat());
                done(save(&store, &new, now(&last)).await);
                last = new;
            }
        }));
    }
    tasks.push(Box::pin(async move {
        for _ in 0..SAVES {
            yield_now().await;
            let found: Vec<_> = listed(&store).await.into_iter().map(|entry| entry.name).collect();
            assert_eq!(found, names);
        }
    }));
    place.together(tasks).await;
}

/// What was saved does not live in the handle.
pub async fn what_was_saved_is_there_after_reopening(place: &dyn BlobPlace) {
    let mut last = blob(&account("a"), 1, b"first");
    let key = blob(&Name::DataKey, 1, b"key");
    {
        let store = place.open().await;
        done(save(&store, &key, Expected::Absent).await);
        done(save(&store, &last, Expected::Absent).await);
    }
    for round in 0..3_u8 {
        let store = place.open().await;
        assert_eq!(loaded(&store, &account("a")).await.as_ref(), Some(&last));
        assert_eq!(loaded(&store, &Name::DataKey).await.as_ref(), Some(&key));
        assert_eq!(listed(&store).await, slice::from_ref(&last.entry));
        let new = after(&last, &[round]);
        done(save(&store, &new, now(&last)).await);
        last = new;
    }
}

/// A handle keeps no copy of its own.
pub async fn two_handles_see_each_others_saves(place: &dyn BlobPlace) {
    let handles = [place.open().await, place.open().await];
    let mut last = blob(&account("a"), 1, b"first");
    done(save(&handles[0], &last, Expected::Absent).await);
    for round in 0..10_u8 {
        let (one, other) =
            (&handles[usize::from(round % 2)], &handles[usize::from((round + 1) % 2)]);
        assert_eq!(loaded(one, &account("a")).await.as_ref(), Some(&last));
        let new = after(&last, &[round]);
        done(save(one, &new, now(&last)).await);
        assert_eq!(loaded(other, &account("a")).await.as_ref(), Some(&new));
        let stale = save(other, &after(&last, b"stale"), now(&last)).await;
        assert_eq!(mismatch(stale).as_ref(), Some(&new));
        last = new;
    }
}

/// What can be read is nobody's to replace, however sure somebody was of its damage.
pub async fn replace_leaves_what_is_readable_alone(place: &dyn BlobPlace) {
    let store = place.open().await;
    for name in [account("a"), Name::DataKey] {
        let current = blob(&name, 3, b"readable");
        done(save(&store, &current, Expected::Absent).await);
        for revision in [1, 3, 4] {
            let replaced = store.replace(&blob(&name, revision, b"other")).await;
            let replaced = replaced.unwrap_or_else(|error| panic!("replace: {}", told(&error)));
            assert_eq!(mismatch(replaced).as_ref(), Some(&current));
            assert_eq!(loaded(&store, &name).await.as_ref(), Some(&current));
        }
    }
}

/// A copy that is set aside is no account, and the original stays.
pub async fn what_is_set_aside_is_out_of_the_way(place: &dyn BlobPlace) {
    let store = place.open().await;
    let current = blob(&account("a"), 3, b"cannot be opened");
    done(save(&store, &current, Expected::Absent).await);
    for _ in 0..2 {
        let kept = store.set_aside(&current).await;
        kept.unwrap_or_else(|error| panic!("set_aside: {}", told(&error)));
    }
    assert_eq!(loaded(&store, &account("a")).await.as_ref(), Some(&current));
    assert_eq!(listed(&store).await, slice::from_ref(&current.entry));
    done(save(&store, &after(&current, b"login"), now(&current)).await);
}

/// The name of the place is the same for all who open it, and stays.
pub async fn capabilities_name_the_same_place(place: &dyn BlobPlace) {
    let store = place.open().await;
    let before = store.capabilities();
    assert!(!before.identity.is_empty(), "the place has no name");
    done(save(&store, &blob(&account("a"), 1, b"x"), Expected::Absent).await);
    assert_eq!(store.capabilities(), before);
    assert_eq!(place.open().await.capabilities(), before);
}

/// A handle for each of a crowd; some share one, as the tasks of a process do.
async fn crowd(place: &dyn BlobPlace) -> Vec<(Arc<dyn BlobStore>, u8)> {
    let mut handles = Vec::new();
    for _ in 0..5 {
        handles.push(place.open().await);
    }
    let handles = handles.iter().cycle().cloned();
    handles.zip(0..).take(CROWD).collect()
}
