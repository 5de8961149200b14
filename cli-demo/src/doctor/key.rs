//! Whether the key is there that seals the store.

use regrant_storage::KeySource;

use super::Check;
use crate::error::Failure;
use crate::explain;
use crate::store::{Rights, Store, rights};

const NAME: &str = "key";

/// Loads the key that the store names.
pub(crate) async fn examine(store: &Store, advised: impl Fn(Failure) -> Failure) -> Vec<Check> {
    let source = match store.recorded_now().await {
        Ok(Some(source)) => source,
        Ok(None) => {
            return vec![Check::fine(NAME, "none yet; it is made with the first credential")];
        }
        Err(error) => return vec![Check::failed(NAME, &advised(error.into()))],
    };
    if let Err(error) = store.vault().fingerprinter().await {
        return vec![Check::failed(NAME, &advised(error.into()))];
    }
    let protection = store.protection(&source);
    let what = format!("{source} loads; protection: {protection}");
    let mut checks = vec![Check::fine(NAME, format!("{what} ({})", explain::meaning(protection)))];
    checks.extend(of_file(&source, store));
    checks
}

/// What can be the matter with a key file although it loads.
fn of_file(source: &KeySource, store: &Store) -> Option<Check> {
    let path = source.file_path()?;
    if let Rights::Wrong(what) = rights([path]) {
        return Some(Check::warning(NAME, what, "give it the mode 0600"));
    }
    store.location().holds(path).then(|| {
        Check::warning(
            NAME,
            "the key file lies beside the store: whoever copies the folder has both",
            "regrant key rekey --to auto moves the key to another place",
        )
    })
}
