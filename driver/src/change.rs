//! Changes of the credential that somebody asked for, one after the other.

use std::collections::VecDeque;

use regrant_core::{Client, Input, Login, Machine, Origin, Record, StoreFault};
use tokio::sync::oneshot;

use crate::error::ChangeError;
use crate::trouble::Trouble;

/// What a logout came to. Locally it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedOut {
    /// Whether the authorization server confirmed the revocation of every token; none if it was
    /// not asked, because there was nothing to revoke or no revocation endpoint is known.
    pub revoked: Option<bool>,
}

/// A change that somebody asked for.
#[derive(Debug)]
pub(crate) enum Change {
    LogIn(Box<Login>),
    LogOut,
    Reconsider,
    Configure(Box<Client>),
    Allow(Origin),
}

pub(crate) type Reply = oneshot::Sender<Result<LoggedOut, ChangeError>>;

/// The changes: at most one is with the machine, as its contract wants it, so they happen in the
/// order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    queue: VecDeque<(Change, Reply)>,
    out: Option<Out>,
}

#[derive(Debug)]
struct Out {
    reply: Reply,
    needs_login: bool,
    is_logout: bool,
    /// The change was made; what is missing is what became of the revocations.
    is_made: bool,
    /// The revocations that were asked for while this logout was made.
    revoking: Vec<u64>,
    asked_to_revoke: bool,
    /// What the machine says of its revocations.
    revoked: Option<bool>,
}

impl Changes {
    pub(crate) fn push(&mut self, change: Change, reply: Reply) {
        self.queue.push_back((change, reply));
    }

    /// The next change, if none is with the machine.
    pub(crate) fn begin(&mut self) -> Option<Input> {
        if self.out.is_some() {
            return None;
        }
        let (change, reply) = self.queue.pop_front()?;
        let is_logout = matches!(change, Change::LogOut);
        let (input, needs_login) = match change {
            Change::LogIn(login) => (Input::LoggedIn(login), false),
            Change::LogOut => (Input::LoggedOut, false),
            Change::Reconsider => (Input::Reconsider, true),
            Change::Configure(client) => (Input::ConfigurationChanged(client), true),
            Change::Allow(origin) => (Input::OriginAllowed(origin), true),
        };
        self.out = Some(Out {
            reply,
            needs_login,
            is_logout,
            is_made: false,
            revoking: Vec::new(),
            asked_to_revoke: false,
            revoked: None,
        });
        Some(input)
    }

    /// Changes that have not begun will not.
    pub(crate) fn abandon(&mut self) {
        self.queue.clear();
    }

    /// A revocation is asked for.
    pub(crate) fn revoking(&mut self, id: u64) {
        if let Some(out) = self.out.as_mut().filter(|out| out.is_logout) {
            out.revoking.push(id);
            out.asked_to_revoke = true;
        }
    }

    /// The machine says what became of the revocations of a logout.
    pub(crate) fn logged_out(&mut self, revoked: bool) {
        if let Some(out) = &mut self.out {
            out.revoked = Some(revoked);
        }
    }

    /// An action has ended, and the machine has heard of it.
    pub(crate) fn done(&mut self, id: u64) {
        let Some(out) = &mut self.out else { return };
        out.revoking.retain(|revoking| *revoking != id);
        if out.is_made && out.revoking.is_empty() {
            self.end(Ok(()));
        }
    }

    /// The change is made, or was not.
    pub(crate) fn answered(
        &mut self,
        result: Result<(), StoreFault>,
        machine: &Machine,
        trouble: &Trouble,
    ) {
        let Some(out) = &mut self.out else { return };
        let nobody = machine.record().is_none_or(Record::is_logged_out);
        match result {
            Ok(()) if out.needs_login && nobody => self.end(Err(ChangeError::NotLoggedIn)),
            Ok(()) if !out.revoking.is_empty() => out.is_made = true,
            Ok(()) => self.end(Ok(())),
            Err(fault) => {
                self.end(Err(ChangeError::Store { fault, source: trouble.behind(fault) }));
            }
        }
    }

    fn end(&mut self, result: Result<(), ChangeError>) {
        let Some(out) = self.out.take() else { return };
        // Without a request, the machine's word is that nothing was revoked: that was not asked.
        let revoked = out.revoked.filter(|_| out.asked_to_revoke);
        // Whoever asked may have gone away.
        let _ = out.reply.send(result.map(|()| LoggedOut { revoked }));
    }
}
