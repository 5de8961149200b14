//! The laws of a token store, but for the one about several accounts: the file holds one.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use regrant_core::Client;
use regrant_storage::TokenStore;
use regrant_storage::laws::{Task, TokenPlace, token_store as suite};
use regrant_storage_file::{JsonAccount, JsonFile, JsonMap};

use crate::support::{ACCOUNT, Place};

/// A place whose map names all there is to name.
struct Mapped(Place);

impl Mapped {
    fn new() -> Self {
        Self(Place::empty())
    }
}

#[async_trait]
impl TokenPlace for Mapped {
    async fn open(&self) -> Arc<dyn TokenStore> {
        let map = JsonMap::parse([
            "access_token=/o/access",
            "refresh_token=/o/refresh",
            "expires_at=/o/expiry",
            "scope=/scope",
            "token_type=/type",
        ]);
        let client = Client::new("https://as.example/token", "client");
        let account = JsonAccount { name: ACCOUNT.to_owned(), client, origins: Vec::new() };
        Arc::new(JsonFile::open(&self.0.file, map.unwrap(), account).await.unwrap())
    }

    async fn together(&self, tasks: Vec<Task>) {
        let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in running {
            task.await.unwrap();
        }
    }

    async fn back_up(&self) -> Option<Task> {
        let copies: Vec<(PathBuf, Vec<u8>)> = [self.0.file.clone(), self.0.notes()]
            .into_iter()
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        Some(Box::pin(async move {
            for (path, bytes) in copies {
                fs::write(path, bytes).unwrap();
            }
        }))
    }
}

macro_rules! laws {
    ($($law:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $law() {
            suite::$law(&Mapped::new()).await;
        }
    )+};
}

mod token_store {
    use super::{Mapped, suite};

    laws! {
        absent_is_none
        create_needs_absence
        save_and_load_tell_the_same_version
        a_mismatch_gives_what_is_there_and_changes_nothing
        a_tombstone_is_not_resurrected_by_a_stale_writer
        a_new_login_has_a_new_incarnation_and_a_higher_generation
        a_record_restored_from_a_backup_is_recognised
        long_tokens_round_trip
        unknown_fields_survive
        what_is_readable_is_not_saved_over_as_damaged
        a_dropped_save_leaves_old_or_new
        concurrent_savers_lose_nothing
    }
}
