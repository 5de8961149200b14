//! Records that end with the process. No backup reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use regrant_storage::laws::{Task, TokenPlace};
use regrant_storage::{MemoryStore, TokenStore};

use crate::spawned;

#[derive(Default)]
struct InMemory(MemoryStore);

#[async_trait]
impl TokenPlace for InMemory {
    async fn open(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.0.clone())
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }
}

mod laws {
    mod token_store {
        use crate::memory_store::InMemory;

        regrant_storage::token_store_laws! {
            #[tokio::test(flavor = "multi_thread")]
            InMemory::default()
        }
    }
}
