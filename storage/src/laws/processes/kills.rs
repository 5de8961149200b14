//! Processes that are killed at random moments.

use std::time::Duration;

use super::ProcessPlace;
use super::host::{Host, said};
use super::part::{self, ACCOUNT};
use crate::blob::Expected;
use crate::laws::BlobPlace;
use crate::laws::blobs::{account, done, listed, loaded, now, save};

/// What a saver was told to be durable is there after it was killed, at a hundred moments: what is
/// there is the last save that was acknowledged or the one after it, the place opens, and a
/// further save works.
pub async fn an_acknowledged_save_survives_a_kill<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    const KILLS: usize = 100;

    let mut moments = Moments::new("an_acknowledged_save_survives_a_kill");
    let place = host.place().await;
    let store = place.open().await;
    let mut last = part::next(&store, None);
    done(save(&store, &last, Expected::Absent).await);
    for kill in 0..KILLS {
        let mut saver = host.ready(&place, part::SAVES, "");
        saver.tell("go");
        // The first save of a process may do what the others do not.
        let mut acknowledged = vec![format!("saved {}", last.entry.revision)];
        for _ in 0..moments.below(3) {
            acknowledged.extend(saver.report());
        }
        acknowledged.extend(saver.reports_within(moments.next()));
        acknowledged.extend(saver.kill());

        let revision = last.entry.revision + acknowledged.len() as u64 - 1;
        let newest = acknowledged.last().map(String::as_str);
        let expected = format!("saved {revision}");
        assert_eq!(newest, Some(&*expected), "a save that was acknowledged was not built upon");
        let store = place.open().await;
        let found = loaded(&store, &account(ACCOUNT)).await.expect("it was saved before");
        part::assert_whole(&store, &found);
        let there = found.entry.revision;
        assert!(
            there == revision || there == revision + 1,
            "kill {kill}: revision {revision} was acknowledged, and {there} is there"
        );
        last = part::next(&store, Some(&found));
        done(save(&store, &last, now(&found)).await);
    }
    assert_swept(&place);
}

/// A process that is killed while it saves first leaves the record or nothing, and nobody in the
/// way of the next, at fifty moments and each in a place of its own.
pub async fn a_kill_at_first_use_stops_nobody<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    const KILLS: usize = 50;

    let mut moments = Moments::new("a_kill_at_first_use_stops_nobody");
    for _ in 0..KILLS {
        let place = host.place().await;
        let mut saver = host.ready(&place, part::SAVES, "");
        saver.tell("go");
        let mut acknowledged: Vec<_> = saver.reports_within(moments.next()).into_iter().collect();
        acknowledged.extend(saver.kill());
        assert_usable_with(&place, acknowledged.len() as u64, "a kill").await;
    }
}

/// Whether this revision is there or the one after it, and whether a further save works.
pub(super) async fn assert_usable_with<P>(place: &P, revision: u64, after: &str)
where
    P: BlobPlace + ProcessPlace,
{
    let store = place.open().await;
    let found = loaded(&store, &account(ACCOUNT)).await;
    let there = found.as_ref().map_or(0, |found| found.entry.revision);
    assert!(
        there == revision || there == revision + 1,
        "after {after}: revision {revision} was acknowledged, and {there} is there"
    );
    if let Some(found) = &found {
        part::assert_whole(&store, found);
    }
    let further = part::next(&store, found.as_ref());
    done(save(&store, &further, found.as_ref().map_or(Expected::Absent, now)).await);
    assert_eq!(listed(&place.open().await).await, [further.entry]);
    assert_swept(place);
}

#[track_caller]
fn assert_swept<P: ProcessPlace>(place: &P) {
    let left = place.leftovers();
    assert!(left.is_empty(), "left by the killed, and swept by nobody: {left:?}");
}

/// Random moments to kill at.
struct Moments(u64);

impl Moments {
    /// The seed can be given, and is said.
    fn new(law: &str) -> Self {
        let given = std::env::var("REGRANT_LAW_SEED").ok();
        let seed = given.map(|seed| seed.parse().expect("REGRANT_LAW_SEED is a number"));
        let seed = seed.unwrap_or_else(|| {
            u64::from(getrandom::u32().expect("a system that runs tests has randomness"))
        });
        said(&format!("{law}: REGRANT_LAW_SEED={seed}"));
        Self(seed)
    }

    /// SplitMix64: a law of the same seed kills at the same moments for as long as it exists.
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^ (drawn >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// As likely between 64 and 128 µs as between 8 and 16 ms: a save takes one or the other,
    /// and so do its parts.
    fn next(&mut self) -> Duration {
        let most = 1 << (1 + self.below(14));
        Duration::from_micros(self.below(most))
    }
}
