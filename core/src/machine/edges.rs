//! The one table of edges. A change of state that is not a row here does not compile: each
//! transition names its trigger, its source and its target, and [`Edge`] is implemented for the
//! rows alone. The diagram is drawn from the same rows.

use super::states::{NeedsLogin, Refreshing, Retrying, ServerRejected, State, Valid};
use crate::record::{Record, StateKind};

/// A row of the table of edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The state before; none before the first load.
    pub from: Option<StateKind>,
    /// The state after.
    pub to: StateKind,
    /// What happened.
    pub trigger: &'static str,
    /// The same in a sentence.
    pub why: &'static str,
}

/// The table of edges.
pub const fn edges() -> &'static [Edge] {
    TABLE
}

/// Implemented for the rows of the table: from the implementing state, by `Trigger`, to `To`.
pub(super) trait Row<Trigger, To> {}

/// A name that a row gives to what happened.
pub(super) trait Trigger {
    const NAME: &'static str;
}

/// A change that was made: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: StateKind,
    pub(super) to: StateKind,
    pub(super) trigger: &'static str,
}

/// The one function through which a state becomes another: the facts are changed, and must then
/// spell the row's target.
pub(super) fn go<'r, On, From, To>(from: From, change: impl FnOnce(&mut Record)) -> Step
where
    On: Trigger,
    From: State<'r> + Row<On, To>,
    To: State<'r>,
{
    let record = from.repay();
    change(record);
    debug_assert_eq!(record.state(), To::KIND, "{}: the facts spell another state", On::NAME);
    Step { from: From::KIND, to: To::KIND, trigger: On::NAME }
}

macro_rules! edges {
    (@impl $trigger:ident $from:ident $to:ident) => {
        impl<'r> Row<on::$trigger, $to<'r>> for $from<'r> {}
    };
    (@row $why:literal $trigger:ident $from:ident $to:ident) => {
        Edge {
            from: Some(StateKind::$from),
            to: StateKind::$to,
            trigger: stringify!($trigger),
            why: $why,
        }
    };
    ($($why:literal $trigger:ident { $($from:ident => $to:ident,)+ })+) => {
        /// The triggers, as types.
        pub(super) mod on {
            $(#[doc = $why] pub(in crate::machine) struct $trigger;)+
        }

        $(impl Trigger for on::$trigger {
            const NAME: &'static str = stringify!($trigger);
        })+

        $($(edges!(@impl $trigger $from $to);)+)+

        const TABLE: &[Edge] = &[
            Edge::loaded(StateKind::Valid),
            Edge::loaded(StateKind::ServerRejected),
            Edge::loaded(StateKind::Refreshing),
            Edge::loaded(StateKind::Retrying),
            Edge::loaded(StateKind::NeedsLogin),
            $($(edges!(@row $why $trigger $from $to),)+)+
        ];
    };
}

impl Edge {
    const fn loaded(to: StateKind) -> Self {
        let why = "the first load: the record spells the state";
        Self { from: None, to, trigger: "Loaded", why }
    }
}

edges! {
    "a resource server rejected the current token"
    Rejected {
        Valid => ServerRejected,
        Valid => Refreshing,
        Valid => NeedsLogin,
        Retrying => ServerRejected,
        Retrying => Refreshing,
        Retrying => NeedsLogin,
    }
    "an origin whose cool-down is over asks for a token that it has not rejected"
    Demanded {
        Valid => ServerRejected,
        Valid => Refreshing,
        Retrying => ServerRejected,
        Retrying => Refreshing,
    }
    "the origin rejects fresh tokens too: it alone cools down, the token stays"
    StillRejected {
        ServerRejected => Valid,
        ServerRejected => Retrying,
        Refreshing => Valid,
        Refreshing => Retrying,
        NeedsLogin => Valid,
        NeedsLogin => Retrying,
    }
    "the intent is durable"
    Begun {
        ServerRejected => Refreshing,
        Refreshing => Refreshing,
        Valid => Valid,
        Retrying => Retrying,
    }
    "the authorization server granted a new token"
    Granted {
        Refreshing => Retrying,
        Valid => Retrying,
        Retrying => Retrying,
    }
    "a grant came late, after its attempt was given up or another process was refused"
    GrantedLate {
        ServerRejected => Retrying,
        NeedsLogin => Retrying,
    }
    "the authorization server refused the refresh token"
    Refused {
        Refreshing => NeedsLogin,
        ServerRejected => NeedsLogin,
        Valid => Valid,
        Retrying => Retrying,
    }
    "the attempt ended in neither a grant nor a refusal"
    Failed {
        Refreshing => ServerRejected,
        Valid => Valid,
        Retrying => Retrying,
    }
    "a server accepted the token"
    Accepted {
        Retrying => Valid,
        Valid => Valid,
    }
    "the refused refresh token is to be tried once more"
    Reconsidered {
        NeedsLogin => ServerRejected,
        Valid => Valid,
        Retrying => Retrying,
    }
    "another process's record was taken over"
    Adopted {
        Valid => Valid,
        Valid => ServerRejected,
        Valid => Refreshing,
        Valid => Retrying,
        Valid => NeedsLogin,
        ServerRejected => Valid,
        ServerRejected => ServerRejected,
        ServerRejected => Refreshing,
        ServerRejected => Retrying,
        ServerRejected => NeedsLogin,
        Refreshing => Valid,
        Refreshing => ServerRejected,
        Refreshing => Refreshing,
        Refreshing => Retrying,
        Refreshing => NeedsLogin,
        Retrying => Valid,
        Retrying => ServerRejected,
        Retrying => Refreshing,
        Retrying => Retrying,
        Retrying => NeedsLogin,
        NeedsLogin => Valid,
        NeedsLogin => ServerRejected,
        NeedsLogin => Refreshing,
        NeedsLogin => Retrying,
        NeedsLogin => NeedsLogin,
    }
    "a login was saved"
    LoggedIn {
        Valid => Valid,
        ServerRejected => Valid,
        Refreshing => Valid,
        Retrying => Valid,
        NeedsLogin => Valid,
    }
    "a logout was saved"
    LoggedOut {
        Valid => NeedsLogin,
        ServerRejected => NeedsLogin,
        Refreshing => NeedsLogin,
        Retrying => NeedsLogin,
        NeedsLogin => NeedsLogin,
    }
}
