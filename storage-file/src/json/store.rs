//! The store over somebody else's file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use regrant_core::{Client, Origin, Over, Record, StateKind, StoreFault, Stored};
use regrant_storage::{Capabilities, Entry, Kept, Name, StoreError, TokenStore};

use crate::json::files::Files;
use crate::json::map::JsonMap;
use crate::json::save::Shared;

/// Whose credential a file holds: what the file itself does not say.
#[derive(Clone, Debug)]
pub struct JsonAccount {
    /// What regrant calls the account. Others are not in the file.
    pub name: String,
    /// Who refreshes what another program's login brought, and where. A record whose client is
    /// the same has its secret from here; one with another secret is not saved.
    pub client: Client,
    /// Where a token may go that another program's login brought.
    pub origins: Vec<Origin>,
}

/// A [`TokenStore`] over a JSON file that programs read and write which know nothing of regrant:
/// an older version of the same product, as long as both are in use.
///
/// A [`JsonMap`] says where the tokens lie. They are in the clear, as that file has them: whoever
/// can read the file has the credential. Nothing is sealed here.
///
/// ```
/// use std::fs;
///
/// use regrant_core::{Client, Origin};
/// use regrant_storage::{Kept, Over, TokenStore as _};
/// use regrant_storage_file::{JsonAccount, JsonFile, JsonMap};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("credentials.json");
/// // What the older version has written.
/// fs::write(&path, r#"{ "theme": "dark", "token": "A1", "refresh": "R1" }"#)?;
///
/// let map = JsonMap::parse(["access_token=/token", "refresh_token=/refresh"])?;
/// let account = JsonAccount {
///     name: "default".into(),
///     client: Client::new("https://as.example/token", "my-client"),
///     origins: vec![Origin::parse("https://api.example")?],
/// };
/// let store = JsonFile::open(&path, map, account).await?;
/// let first = store.load("default").await?.expect("somebody is logged in");
/// assert_eq!(first.record.generation, 1);
///
/// // The older version refreshes: a new login, as regrant sees it, and nothing to save over.
/// fs::write(&path, r#"{ "theme": "dark", "token": "A2", "refresh": "R2" }"#)?;
/// let late = store.save("default", &first.record, &Over::Version(first.version)).await?;
/// let Kept::Mismatch(Some(second)) = late else { unreachable!("the tokens are others") };
/// assert_eq!(second.record.slot().expect("it has a token").access_token.expose(), "A2");
/// # Ok(())
/// # }
/// ```
///
/// # What the other programs see
///
/// The tokens that regrant has refreshed, at once and in their place. All other bytes of the file
/// stay, and so do its mode, its owner, and a link that leads to it. A logout removes the members
/// of the map. What other programs write is adopted, whether it is a refresh, a login or a logout,
/// and is never overwritten: a save over what is not there any more is a
/// [`Mismatch`](regrant_storage::Kept::Mismatch).
///
/// They take no part in regrant's locks. So a refresh of theirs and one of regrant's may be out at
/// the same time, and where refresh tokens rotate, the server refuses the later one: this store
/// cannot keep two programs from refreshing, only from overwriting each other.
///
/// # The files
///
/// | name | what it is |
/// |---|---|
/// | `credentials.json` | the file, under its real path: the truth about tokens and expiry |
/// | `credentials.json.regrant` | notes: what else regrant knows of them, and a salted hash of the tokens that it is about; no token |
/// | `credentials.json.regrant.lock` | the lock of those who save, of regrant's processes alone |
/// | `credentials.json.regrant.*.tmp` | a file in the making |
/// | `credentials.json.corrupt-1` | a damaged file that a login has set aside; a logout removes it |
///
/// # Decisions
///
/// - **The tokens in the file decide.** If they are those that the notes are about, what the notes
///   say holds. If not, another program wrote them: a login whose incarnation is a hash of the
///   tokens, so that all who read it mean the same, and whose generation goes on from the notes'.
/// - **A program that writes old tokens back** is recognised, as long as regrant remembers them:
///   the last eight. They are answered as the older record that they are, and a session that
///   knows the newer saves it again. After a logout of regrant they stay logged out.
/// - **The notes come first.** A save writes both records to the notes and then the tokens to the
///   file. So there is one moment at which it is done, and a crash before it leaves the old record
///   whole, and after it the new one.
/// - **File and draft change places** where the system can do that (Linux, macOS), and what came
///   out is compared. What another program writes at that moment is put back, and the save is a
///   mismatch. Elsewhere (Windows, some network file systems) the file is read once more and then
///   replaced: what is written in these microseconds is lost. Everywhere lost is what a program
///   writes into a file that it has kept open since before the save, without having emptied it.
/// - **Half-written is not damaged.** A file that is no JSON is read again until nothing has changed
///   in it for half a second, since many programs write in place; a file that is away, for 30 ms.
///   Then it is [`Corrupt`](StoreFault::Corrupt), or a logout.
/// - **A map that does not fit is not damage either**, but
///   [`Unavailable`](StoreFault::Unavailable): no login may replace a file that is whole.
/// - **A client secret is not kept**: it is that of the [`JsonAccount`].
#[derive(Debug)]
pub struct JsonFile {
    shared: Arc<Shared>,
    identity: String,
}

impl JsonFile {
    /// The store over the file at this path. Finds out where the path leads, through symlinks,
    /// and touches nothing.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unavailable`], if the path cannot be followed.
    pub async fn open(
        path: impl Into<PathBuf>,
        map: JsonMap,
        account: JsonAccount,
    ) -> Result<Self, StoreError> {
        let path = path.into();
        blocking::unblock(move || {
            let path = std::path::absolute(&path).unwrap_or(path);
            let file = Files::resolve(&path)?.file;
            let is_known_lockless = AtomicBool::default();
            Ok(Self {
                shared: Arc::new(Shared { path, map, account, is_known_lockless }),
                identity: match file.to_str() {
                    Some(text) => format!("json:{text}"),
                    None => format!("json:{}", file.as_os_str().as_encoded_bytes().escape_ascii()),
                },
            })
        })
        .await
    }

    fn is_ours(&self, account: &str) -> bool {
        self.shared.account.name == account
    }

    async fn found(&self) -> Result<Option<(Stored, u64)>, StoreError> {
        let shared = Arc::clone(&self.shared);
        blocking::unblock(move || shared.load()).await
    }
}

#[async_trait]
impl TokenStore for JsonFile {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        if !self.is_ours(account) {
            return Ok(None);
        }
        Ok(self.found().await?.map(|(stored, _)| stored))
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        if !self.is_ours(account) {
            let what = "the file holds one account, and this is another: keep it elsewhere";
            return Err(StoreError::new(StoreFault::ReadOnly, what));
        }
        let (shared, record, over) = (Arc::clone(&self.shared), record.clone(), over.clone());
        blocking::unblock(move || shared.save(&record, &over)).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let entry = |(stored, revision): (Stored, u64)| Entry {
            name: Name::Account(self.shared.account.name.clone()),
            incarnation: stored.record.incarnation,
            generation: stored.record.generation,
            revision,
            due_at: stored.record.due_at(),
            live: stored.record.state() != StateKind::NeedsLogin,
        };
        Ok(self.found().await?.map(entry).into_iter().collect())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            identity: self.identity.clone(),
            volatile: false,
            shared: false,
            size_limit: None,
        }
    }
}
