//! What callers may do now, where they can read it without a lock.

use std::fmt;
use std::sync::Arc;

use regrant_core::protocol::Profile;
use regrant_core::{Machine, Origin, Record, Secret, StateKind, TokenId, Use, View};

use crate::sync::{ArcSwap, AtomicU64, Guard, Ordering};

/// What the session's task shares with its callers.
#[derive(Debug)]
pub(crate) struct Shared {
    published: ArcSwap<Published>,
    /// How many rejections of the published token callers have told. As long as the task has not
    /// heard them all, the published view is not what it will be, and nobody goes by it.
    ///
    /// It guards no other memory, so every access is relaxed: who comes after a report, by whatever
    /// way, sees at least its count, and a view that has heard so many was published after they were
    /// told. `tests/schedules` goes through all of it.
    told: AtomicU64,
}

/// One view of the machine, as callers see it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    view: View,
    /// The origins that the credential is bound to, for the comparison with the next view.
    bound: Vec<Origin>,
    token: Option<Secret>,
    token_type: String,
    profile: Option<Arc<Profile>>,
    /// How many of the told rejections are in this view.
    heard: u64,
}

/// The current access token, lent for one request.
///
/// It holds what was published at one moment: let it go once the request is built.
pub struct Access {
    published: Guard<Arc<Published>>,
    id: TokenId,
    stale: bool,
    report: bool,
}

impl Access {
    /// The access token.
    pub fn token(&self) -> &Secret {
        self.published.token.as_ref().expect("access is made only of a view that gives a token")
    }

    /// Its type as the server wrote it, `Bearer` for the most part.
    pub fn token_type(&self) -> &str {
        &self.published.token_type
    }

    /// What the report about the request must name.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// Whether it has expired by the local clock and is only tried because no better one can be
    /// had now. The server decides.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether no server has accepted it yet since a refresh brought it.
    pub fn is_fresh(&self) -> bool {
        self.published.view.state() == Some(StateKind::Retrying)
    }

    /// The provider's profile, by which answers are read.
    pub fn profile(&self) -> Option<&Arc<Profile>> {
        self.published.profile.as_ref()
    }

    /// Whether an acceptance is news. [`Session::report`](crate::Session::report) may be called
    /// in any case.
    pub fn wants_report(&self) -> bool {
        self.report
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("id", &self.id)
            .field("stale", &self.stale)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self { published: ArcSwap::from(Arc::default()), told: AtomicU64::new(0) }
    }

    /// The hot path: no lock, no allocation, no clock.
    pub(crate) fn try_access(&self, origin: &Origin) -> Option<Access> {
        let published = self.published.load();
        let Use::Token { id, stale, report, .. } = published.view.access(origin) else {
            return None;
        };
        if published.heard != self.told.load(Ordering::Relaxed) {
            return None;
        }
        Some(Access { published, id, stale, report })
    }

    /// Raises the mark on the published token, if it is the one that was rejected.
    pub(crate) fn tell_rejection(&self, id: TokenId) -> bool {
        let current = self.published.load().view.token_id() == id;
        if current {
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        current
    }

    /// Whether an acceptance of this token by this origin is news.
    pub(crate) fn wants_acceptance(&self, accepted: TokenId, origin: &Origin) -> bool {
        match self.published.load().view.access(origin) {
            Use::Token { id, report, .. } => report && id == accepted,
            Use::Wait | Use::Login(_) | Use::Blocked { .. } | Use::Foreign => false,
        }
    }

    pub(crate) fn publish(&self, published: Arc<Published>) {
        self.published.store(published);
    }

    /// From now on, nothing can be had here.
    pub(crate) fn withdraw(&self) {
        self.publish(Arc::default());
    }
}

impl Published {
    /// What the machine shows now, with the rejections that it has heard.
    pub(crate) fn of(machine: &Machine, heard: u64, profile: Option<Arc<Profile>>) -> Self {
        let view = machine.view().clone();
        let bound = machine.record().map(|record: &Record| record.origins.clone());
        let bound = bound.unwrap_or_default();
        let lent = bound.iter().find_map(|origin| match view.access(origin) {
            Use::Token { token, token_type, .. } => Some((token.clone(), token_type.to_owned())),
            Use::Wait | Use::Login(_) | Use::Blocked { .. } | Use::Foreign => None,
        });
        let (token, token_type) = lent.unzip();
        let token_type = token_type.unwrap_or_default();
        Self { view, bound, token, token_type, profile, heard }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The token for this origin, if the view gives one.
    pub(crate) fn lend(this: &Arc<Self>, origin: &Origin) -> Option<Access> {
        let Use::Token { id, stale, report, .. } = this.view.access(origin) else { return None };
        Some(Access { published: Guard::from_inner(Arc::clone(this)), id, stale, report })
    }

    /// Whether a caller would see no difference.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let token = match (&self.token, &other.token) {
            (Some(ours), Some(theirs)) => ours.is(theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let (ours, theirs) = (&self.view, &other.view);
        let stranger = stranger();
        token
            && self.heard == other.heard
            && self.token_type == other.token_type
            && self.profile.as_ref().map(Arc::as_ptr) == other.profile.as_ref().map(Arc::as_ptr)
            && self.bound == other.bound
            && ours.state() == theirs.state()
            && ours.token_id() == theirs.token_id()
            && ours.holder() == theirs.holder()
            && ours.unsaved() == theirs.unsaved()
            && ours.code() == theirs.code()
            && self
                .bound
                .iter()
                .chain([&stranger])
                .all(|origin| same(ours.access(origin), theirs.access(origin)))
    }
}

/// An origin that no credential is bound to (RFC 6761 section 6.4): stands for all others.
fn stranger() -> Origin {
    Origin::new("https", "stranger.invalid", 443).expect("this is an origin")
}

fn same(ours: Use<'_>, theirs: Use<'_>) -> bool {
    match (ours, theirs) {
        (
            Use::Token { id, stale, report, .. },
            Use::Token { id: other_id, stale: other_stale, report: other_report, .. },
        ) => (id, stale, report) == (other_id, other_stale, other_report),
        (Use::Wait, Use::Wait) | (Use::Foreign, Use::Foreign) => true,
        (Use::Login(ours), Use::Login(theirs)) => ours == theirs,
        (Use::Blocked { why, retry_at }, Use::Blocked { why: other, retry_at: then }) => {
            why == other && retry_at == then
        }
        (Use::Token { .. } | Use::Wait | Use::Foreign | Use::Login(_) | Use::Blocked { .. }, _) => {
            false
        }
    }
}
