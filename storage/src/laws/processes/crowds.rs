//! Many processes at one place.

use std::time::Duration;

use super::ProcessPlace;
use super::host::{Host, Process};
use super::part::{self, ACCOUNT};
use crate::blob::Expected;
use crate::laws::blobs::{account, assert_all_shares, blob, done, listed, loaded, now, save};
use crate::laws::{BlobPlace, CROWD};

/// How many read, or list, while others save.
const READERS: usize = 16;

/// Of fifty processes that create one name, one does, and all learn which. The same holds for the
/// data key: a second one would be the loss of all that the first has sealed.
pub async fn of_fifty_processes_that_create_one_name_one_wins<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    let place = host.place().await;
    let mut crowd = host.crowd(&place, part::CREATES, CROWD);
    go(&mut crowd);
    let reports: Vec<_> = crowd.into_iter().map(Process::ended).collect();

    let store = place.open().await;
    for (turn, name) in part::created().enumerate() {
        let stored = loaded(&store, &name).await.expect("it was created");
        for (index, reports) in reports.iter().enumerate() {
            let expected = match usize::from(stored.sealed[0]) {
                winner if winner == index => "won".to_owned(),
                winner => format!("lost to {winner}"),
            };
            assert_eq!(reports.get(turn), Some(&expected), "{name:?}, process {index}");
        }
    }
}

/// Fifty processes, each of which reads and saves twenty times: all thousand saves are counted.
/// A process may be told that the place is locked, if that is true and nothing was changed.
pub async fn fifty_processes_that_save_lose_nothing<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    let place = host.place().await;
    let mut crowd = host.crowd(&place, part::COUNTS, CROWD);
    go(&mut crowd);
    crowd.into_iter().for_each(|process| drop(process.ended()));
    assert_all_shares(&place.open().await, &account(ACCOUNT)).await;
}

/// While one process saves, sixteen read whole records: never none, never an error, and never one
/// that is older than what they have read before. That the place is locked, a process may be told
/// now and then, if it is true; the law says it aloud.
pub async fn readers_see_no_gap_and_nothing_older<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    /// Enough to meet a gap of a hundredth of a save.
    const SAVES: usize = 500;
    /// Or as many as there are in this time, where a save is fast.
    const AT_LEAST: Duration = Duration::from_secs(2);

    let place = host.place().await;
    let store = place.open().await;
    done(save(&store, &part::next(&store, None), Expected::Absent).await);
    let mut readers = host.crowd(&place, part::READS, READERS);
    let mut saver = host.ready(&place, part::SAVES, "");
    go(&mut readers);
    saver.tell("go");
    // A reader reports nothing, so what is waited for is the time, or its untimely end.
    assert_eq!(readers[0].reports_within(AT_LEAST), None);
    for _ in 0..SAVES {
        let report = saver.report();
        assert!(report.is_some(), "the saver has failed: {}", saver.said());
    }
    saver.tell("stop");
    saver.ended();
    readers.iter_mut().for_each(|reader| reader.tell("stop"));
    readers.into_iter().for_each(|reader| drop(reader.ended()));
}

/// While processes save to accounts and create others, a list has every account once that was
/// there when it began, and none as it was before an earlier list.
pub async fn lists_are_complete_while_processes_write<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    /// Each with an account of its own, and enough of them that some list is met by a save.
    const WRITERS: usize = 8;
    const LISTERS: usize = 4;

    let place = host.place().await;
    let store = place.open().await;
    for index in 0..WRITERS {
        let first = blob(&account(&index.to_string()), 1, b"first");
        done(save(&store, &first, Expected::Absent).await);
        // An account that nobody touches.
        let other = blob(&account(&format!("other {index}")), 1, b"other");
        done(save(&store, &other, Expected::Absent).await);
        done(save(&store, &blob(&other.entry.name, 2, b"more"), now(&other)).await);
    }
    let mut listers = host.crowd(&place, part::LISTS, LISTERS);
    let mut writers = host.crowd(&place, part::WRITES, WRITERS);
    go(&mut listers);
    go(&mut writers);
    writers.into_iter().for_each(|writer| drop(writer.ended()));
    listers.iter_mut().for_each(|lister| lister.tell("stop"));
    listers.into_iter().for_each(|lister| drop(lister.ended()));
    // Two before, and five that each has created.
    assert_eq!(listed(&store).await.len(), WRITERS * 7);
}

fn go(crowd: &mut [Process]) {
    crowd.iter_mut().for_each(|process| process.tell("go"));
}
