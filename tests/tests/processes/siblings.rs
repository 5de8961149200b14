//! Several credentials in one store: what is saved of one changes nothing of another.

use std::collections::BTreeMap;
use std::sync::Arc;

use regrant_core::Timestamp;
use regrant_sandbox::Config;
use regrant_storage::{Kept, Over, TokenStore as _, Vault};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::child::{SAVE, Task, finished};
use crate::fleet::{Place, together};

/// How often each of two processes saves.
const SAVES: u64 = 1_000;

/// Two processes save a thousand times, each to an account of its own, at the same time.
pub(crate) fn two_save_side_by_side(backend: Backend) {
    let place = Place::in_memory(backend, Config::default());
    // Fields of a later version, with what is easily lost on the way.
    let unknown = |account: &str| -> BTreeMap<String, Value> {
        let odd = json!({
            "of": account, "big": u64::MAX, "small": i64::MIN, "half": 0.1, "none": null,
            "text": "\u{0}\"\\/ \u{1f511}", "list": [[], {}, [true, "", 1.5e300]],
        });
        BTreeMap::from([("later".to_owned(), odd)])
    };
    let accounts = ["one", "two"];
    for account in accounts {
        place.log_in(account, |record| record.unknown.extend(unknown(account)));
    }
    let idle = place.blob("default");
    let task = |account: &str| Task { what: SAVE, account: account.to_owned(), ..place.task() };
    let said = together(accounts.map(task).to_vec());
    assert_eq!(said, [json!({ "saved": SAVES }), json!({ "saved": SAVES })]);
    for account in accounts {
        let record = place.stored(account);
        assert_eq!(record.refreshed_at, Some(Timestamp::from_millis(SAVES)), "{account}");
        let text = |fields: &BTreeMap<_, _>| serde_json::to_string(fields).unwrap();
        assert_eq!(text(&record.unknown), text(&unknown(account)), "{account}");
        // One for the login, and none was lost or made twice.
        assert_eq!(place.blob(account).entry.revision, SAVES + 1, "{account}");
    }
    assert_eq!(place.blob("default"), idle);
}

/// What each of the two does.
pub(crate) async fn save(task: &Task) -> Value {
    let (blobs, _) = task.backend.open(&task.folder).await;
    let vault = Vault::new(blobs, Arc::new(task.key()));
    let mut stored = vault.load(&task.account).await.unwrap().unwrap();
    task.wait_for_all();
    for save in 1..=SAVES {
        stored.record.refreshed_at = Some(Timestamp::from_millis(save));
        let over = Over::Version(stored.version);
        match vault.save(&task.account, &stored.record, &over).await.unwrap() {
            Kept::Done(version) => stored.version = version,
            Kept::Mismatch(found) => panic!("save {save} met that of somebody else: {found:?}"),
        }
    }
    json!({ "saved": SAVES })
}

/// A refresh of one account leaves every byte of another as it is.
pub(crate) fn a_refresh_changes_one_entry(backend: Backend) {
    let place = Place::new(backend, Config::default());
    place.log_in("other", |_| {});
    let (own, other) = (place.blob("default"), place.blob("other"));
    let said = finished(place.task().command().spawn().unwrap()).expect("nothing kills it");
    assert_eq!(said["generation"], 2);
    assert_eq!(place.blob("other"), other);
    assert_ne!(place.blob("default"), own);
    // And the other way round.
    let own = place.blob("default");
    let task = Task { account: "other".to_owned(), ..place.task() };
    let said = finished(task.command().spawn().unwrap()).expect("nothing kills it");
    assert_eq!(said["generation"], 2);
    assert_eq!(place.blob("default"), own);
    let stats = place.sandbox.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected, stats.live_families), (2, 0, 2));
}
