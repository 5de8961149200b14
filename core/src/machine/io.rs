//! What goes into the machine and what comes out.

use alloc::boxed::Box;
use alloc::string::String;

use crate::client::Client;
use crate::fault::StoreFault;
use crate::grant::{Answer, Strength};
use crate::holder::Holder;
use crate::id::TokenId;
use crate::machine::event::Event;
use crate::origin::Origin;
use crate::record::{Login, Record};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::version::Version;

/// What the host tells the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// Nothing but the time: the moment that [`Output::Timeout`] named has come.
    TimePassed,
    /// An action of [`Output::Act`] has ended. Each is answered once, by its deadline if
    /// possible; a grant that comes later is still taken.
    Done {
        /// The action's own number.
        id: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// Somebody wants a token for this origin and the view gave none.
    Wanted {
        /// Where it is to go.
        origin: Origin,
    },
    /// A server accepted the token. Needed only where [`Use::Token`](crate::Use::Token) asks for
    /// the report.
    Accepted {
        /// What the request carried.
        id: TokenId,
        /// Who accepted.
        origin: Origin,
    },
    /// A server rejected the token.
    Rejected {
        /// What the request carried.
        id: TokenId,
        /// Who rejected.
        origin: Origin,
        /// How sure that is.
        strength: Strength,
        /// The claims that it wants of the next token, if it named some.
        claims: Option<String>,
    },
    /// Somebody outside says that the token was rejected: a script that was given the token, for
    /// one. Its requests are not seen here, so a rejection of the next token says nothing about
    /// this origin's audience or scope.
    Disowned {
        /// What was rejected.
        id: TokenId,
        /// Who rejected, as far as it is known.
        origin: Origin,
    },
    /// A login brought a new grant. Answered by [`Output::Answered`].
    LoggedIn(Box<Login>),
    /// The user logs out. Answered by [`Output::Answered`].
    LoggedOut,
    /// A refused refresh token is to be tried once more. Answered by [`Output::Answered`]; what
    /// comes of it shows in the view.
    Reconsider,
    /// The client's configuration changed. Answered by [`Output::Answered`].
    ConfigurationChanged(Box<Client>),
    /// The token may go to one more origin. Answered by [`Output::Answered`].
    OriginAllowed(Origin),
    /// Begin nothing new; end with [`Output::Stopped`] when what is under way is saved.
    Stop,
}

/// What the machine wants from the host.
#[derive(Clone, Debug)]
pub enum Output {
    /// Do this, and answer with [`Input::Done`].
    Act {
        /// To be named in the answer.
        id: u64,
        /// What to do.
        action: Action,
        /// When the answer is due. An [`Action::Ask`] is not sent after it.
        deadline: Timestamp,
    },
    /// Something that people or programs may want to know.
    Event(Event),
    /// The login, logout, reconsideration, change of configuration or origin that was told last
    /// has ended. The host tells the next one after this answer. A logout is answered when its
    /// tombstone is saved; [`Event::LoggedOut`] follows when its tokens are revoked.
    Answered(Result<(), StoreFault>),
    /// Nothing is under way any more and nothing will begin.
    Stopped,
    /// All is said; call again at this moment at the latest, or with the next input.
    Timeout(Timestamp),
}

/// What the host is asked to do. Actions of one kind are done in the order they come.
#[derive(Clone, Debug)]
pub enum Action {
    /// One try for the lease.
    Acquire,
    /// Let the lease go.
    Release,
    /// Load the record.
    Load,
    /// Save this record over what is named.
    Save {
        /// What to save.
        record: Box<Record>,
        /// What must be there.
        over: Over,
    },
    /// Send a token request.
    Ask {
        /// Who asks, and where.
        client: Box<Client>,
        /// What with (RFC 6749 section 6); none where the client asks again with its own
        /// credentials (section 4.4).
        refresh_token: Option<Secret>,
        /// The claims that an API wants of the token.
        claims: Option<String>,
    },
    /// Revoke a token (RFC 7009).
    Revoke {
        /// Who asks, and where.
        client: Box<Client>,
        /// What is revoked.
        token: Secret,
        /// The `token_type_hint`.
        hint: &'static str,
    },
}

/// What a save puts its record in the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing may be there.
    Absent,
    /// This version must be there.
    Version(Version),
    /// Something unreadable must be there; a copy of it is set aside. At login and logout only.
    Damaged,
}

/// A record as it was loaded.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// Names this state of it to the next save.
    pub version: Version,
}

/// How an action ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The lease is ours.
    Acquired {
        /// Whether that proves that its last holder is gone.
        proves_death: bool,
    },
    /// Somebody else holds the lease.
    Busy(Holder),
    /// Leases cannot be had at this place; it can be written.
    Unlockable,
    /// The lease is let go, or left to run out.
    Released,
    /// This is stored; `None` for nothing.
    Loaded(Option<Box<Stored>>),
    /// The save is durable.
    Saved(Version),
    /// What was expected is not there; this is.
    Mismatch(Option<Box<Stored>>),
    /// Lease, load or save failed, and a save changed nothing.
    Failed(StoreFault),
    /// The save failed, and nobody knows whether it was applied.
    Unknown(StoreFault),
    /// The token request ended.
    Answered(Answer),
    /// The revocation request ended.
    Revoked {
        /// Whether the server confirmed it.
        confirmed: bool,
    },
}
