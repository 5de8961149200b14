//! What a program holds: one credential, kept alive.

use std::sync::Arc;
use std::time::Duration;

use regrant_core::{Client, Grant, Id, Login, Origin, Strength, TokenId, Verdict};
use regrant_storage::{RefreshLease, TokenStore};
use tokio::sync::oneshot;

use crate::change::{Change, LoggedOut};
use crate::clock::Clock;
use crate::endpoint::TokenEndpoint;
use crate::error::{AccessError, ChangeError, NotSaved};
use crate::event::{Events, Reader};
use crate::open::SessionBuilder;
use crate::published::{Access, Shared};
use crate::registry::Ends;
use crate::status::Status;
use crate::sync::{AtomicBool, Ordering};
use crate::task::{Command, Commands};

/// One credential, kept alive for as long as a clone of this exists.
///
/// Every method may be called from any thread and under any executor; the work is done by a task
/// of the session's own. Dropping a future of this type gives up waiting and nothing else: a
/// refresh that has begun goes on.
///
/// When the last clone is dropped, the task finishes what is under way, saves included, as far as
/// its runtime lives. [`close`](Self::close) waits for that. A runtime that is shut down ends its
/// sessions as a crash does: whoever waits is told that the session is closed, the lease is free,
/// and a token request whose grant was not saved by then is made once more by the next session.
///
/// A store, lease or endpoint that panics has failed, and that is all: callers are told, and the
/// session goes on.
#[derive(Clone, Debug)]
pub struct Session {
    tie: Arc<Tie>,
}

/// What connects the clones of a session with its task.
#[derive(Debug)]
pub(crate) struct Tie {
    account: String,
    commands: Commands,
    shared: Arc<Shared>,
    clock: Arc<Clock>,
    closed: AtomicBool,
}

impl Tie {
    pub(crate) fn new(
        account: String,
        commands: Commands,
        shared: Arc<Shared>,
        clock: Arc<Clock>,
    ) -> Self {
        Self { account, commands, shared, clock, closed: AtomicBool::new(false) }
    }
}

impl Ends for Tie {
    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && !self.commands.is_closed()
    }
}

impl Session {
    /// Begins to open a session on this store, where `lease` keeps other processes from
    /// refreshing the same credential at the same time, and `endpoint` sends token requests.
    pub fn builder(
        store: Arc<dyn TokenStore>,
        lease: Arc<dyn RefreshLease>,
        endpoint: Arc<dyn TokenEndpoint>,
    ) -> SessionBuilder {
        SessionBuilder::new(store, lease, endpoint)
    }

    pub(crate) fn of(tie: Arc<Tie>) -> Self {
        Self { tie }
    }

    /// The account that it was opened for.
    pub fn account(&self) -> &str {
        &self.tie.account
    }

    /// Whether both are clones of one session.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tie, &other.tie)
    }

    /// A token for a request to this origin, if one is at hand.
    ///
    /// It takes no lock, allocates nothing and reads no clock. `None` says nothing but that
    /// [`access`](Self::access) may have to wait.
    pub fn try_access(&self, origin: &Origin) -> Option<Access> {
        self.tie.shared.try_access(origin)
    }

    /// A token for a request to this origin, refreshed first if it has to be.
    ///
    /// # Errors
    ///
    /// Any variant of [`AccessError`]; it says who must act.
    pub async fn access(&self, origin: &Origin) -> Result<Access, AccessError> {
        match self.try_access(origin) {
            Some(access) => Ok(access),
            None => self.wait(origin, None).await,
        }
    }

    /// A token for this origin that is newer than `than`, after a report that `than` was
    /// rejected.
    ///
    /// # Errors
    ///
    /// Any variant of [`AccessError`]. [`StillRejected`](AccessError::StillRejected): this origin
    /// rejects fresh tokens too, and its own answer says more than this error does.
    pub async fn access_newer(
        &self,
        origin: &Origin,
        than: TokenId,
    ) -> Result<Access, AccessError> {
        self.wait(origin, Some(than)).await
    }

    /// Tells what the answer to a request says about the token that it carried. Waits for
    /// nothing. What is no news costs no more than a look at what is published.
    pub fn report(&self, id: TokenId, origin: &Origin, verdict: Verdict) {
        let command = match verdict {
            Verdict::Accepted if self.tie.shared.wants_acceptance(id, origin) => {
                Command::Accepted { id, origin: origin.clone() }
            }
            Verdict::Rejected(strength) => self.rejected(id, origin, strength, None),
            Verdict::Accepted | Verdict::Silent => return,
        };
        // A session that has ended has nothing to learn.
        let _ = self.tie.commands.send(command);
    }

    /// Tells that this origin wants a token with these claims, as the challenge gave them (OpenID
    /// Connect Core section 5.5): a rejection, after which the refresh asks for them.
    pub fn report_claims(&self, id: TokenId, origin: &Origin, claims: &str) {
        let claims = Some(claims.to_owned());
        let command = self.rejected(id, origin, Strength::Strong, claims);
        // A session that has ended has nothing to learn.
        let _ = self.tie.commands.send(command);
    }

    /// Tells that somebody outside says that this origin rejected the token: a script that was
    /// given it, for one. Like a report of a rejection, but what the script does with the next
    /// token is not seen here, so the next such word counts as much.
    pub fn disown(&self, id: TokenId, origin: &Origin) {
        let marked = self.tie.shared.tell_rejection(id);
        let command = Command::Disowned { id, origin: origin.clone(), marked };
        // A session that has ended has nothing to learn.
        let _ = self.tie.commands.send(command);
    }

    /// Takes over what a login brought, from whatever library: the grant, the client that asked
    /// for it, and the origins where its token may go. What the store held under this account is
    /// replaced, also if it cannot be read; a copy of that is set aside.
    ///
    /// Its lifetime counts from now, so call it as soon as the grant is there.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`] if the login could not be saved, [`ChangeError::Random`],
    /// [`ChangeError::Closed`].
    pub async fn install(
        &self,
        client: Client,
        origins: impl IntoIterator<Item = Origin>,
        grant: Grant,
    ) -> Result<(), ChangeError> {
        let mut incarnation = [0; 16];
        getrandom::fill(&mut incarnation).map_err(ChangeError::Random)?;
        let login = Login {
            incarnation: Id(incarnation),
            client,
            origins: origins.into_iter().collect(),
            grant,
            obtained_at: self.tie.clock.now(),
        };
        self.change(Change::LogIn(Box::new(login))).await.map(drop)
    }

    /// Logs out: leaves a tombstone that other processes see, then revokes the tokens.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`] if the tombstone could not be saved; then nothing was revoked
    /// either. [`ChangeError::Closed`].
    pub async fn log_out(&self) -> Result<LoggedOut, ChangeError> {
        self.change(Change::LogOut).await
    }

    /// Tries a refused refresh token once more: an authorization server can have been wrong. What
    /// comes of it shows at the next [`access`](Self::access).
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`], [`ChangeError::NotLoggedIn`], [`ChangeError::Closed`].
    pub async fn reconsider(&self) -> Result<(), ChangeError> {
        self.change(Change::Reconsider).await.map(drop)
    }

    /// Lets the token go to one more origin.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`], [`ChangeError::NotLoggedIn`], [`ChangeError::Closed`].
    pub async fn allow(&self, origin: Origin) -> Result<(), ChangeError> {
        self.change(Change::Allow(origin)).await.map(drop)
    }

    /// Changes the client's configuration. A cool-down over the old one ends at once.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`], [`ChangeError::NotLoggedIn`], [`ChangeError::Closed`].
    pub async fn configure(&self, client: Client) -> Result<(), ChangeError> {
        self.change(Change::Configure(Box::new(client))).await.map(drop)
    }

    /// What there is to say about the credential, once the store was read or could not be. None
    /// if the session is closed.
    ///
    /// An open session may send a token request at any time. Who only wants to look reads the
    /// store and opens none.
    pub async fn status(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.tie.commands.send(Command::Status(reply)).ok()?;
        answer.await.ok()
    }

    /// What happens from now on, for people and for programs that count.
    pub fn events(&self) -> Events {
        let (reader, events) = Reader::new();
        // To a session that has ended nothing happens any more: the stream ends at once.
        let _ = self.tie.commands.send(Command::Watch(reader));
        events
    }

    /// Ends the session for all its clones: begins nothing new, waits for what is under way, and
    /// says what could not be saved `within` that time.
    ///
    /// # Errors
    ///
    /// [`NotSaved`]; the session's task goes on with it for as long as its runtime lives.
    pub async fn close(&self, within: Duration) -> Result<(), NotSaved> {
        self.tie.closed.store(true, Ordering::Release);
        let (reply, answer) = oneshot::channel();
        if self.tie.commands.send(Command::Close { within, reply }).is_err() {
            return Ok(());
        }
        // It ends without an answer only if its runtime was shut down.
        answer.await.unwrap_or(Err(NotSaved::UnderWay))
    }

    fn rejected(
        &self,
        id: TokenId,
        origin: &Origin,
        strength: Strength,
        claims: Option<String>,
    ) -> Command {
        // First the mark, so that nobody is lent the token before the task has heard.
        let marked = self.tie.shared.tell_rejection(id);
        Command::Rejected { id, origin: origin.clone(), strength, claims, marked }
    }

    async fn wait(&self, origin: &Origin, than: Option<TokenId>) -> Result<Access, AccessError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Access { origin: origin.clone(), than, reply };
        self.tie.commands.send(command).map_err(|_| AccessError::Closed)?;
        answer.await.unwrap_or(Err(AccessError::Closed))
    }

    async fn change(&self, change: Change) -> Result<LoggedOut, ChangeError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Change(change, reply);
        self.tie.commands.send(command).map_err(|_| ChangeError::Closed)?;
        answer.await.unwrap_or(Err(ChangeError::Closed))
    }
}
