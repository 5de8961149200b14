//! Without a flaw, every law is kept.

pub(crate) mod laws {
    mod blob_store {
        use crate::store::{Files, Flaw};

        regrant_storage::blob_store_laws! {
            #[tokio::test(flavor = "multi_thread")]
            Files::with(Flaw::None)
        }
    }

    pub(crate) mod processes {
        use crate::store::{Files, Flaw};

        regrant_storage::process_laws! {
            #[tokio::test(flavor = "multi_thread")]
            Files::with(Flaw::None)
        }
    }

    pub(crate) mod lease_processes {
        use crate::lease::{Leak, LockFile};

        regrant_storage::lease_process_laws! {
            #[tokio::test(flavor = "multi_thread")]
            LockFile::with(Leak::None)
        }
    }
}
