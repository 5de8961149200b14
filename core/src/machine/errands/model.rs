//! The errands in their canonical form.

use super::{Errand, Kind};
use crate::machine::Canonical;
use crate::machine::job::Ending;
use crate::machine::model::GrantInHand;

impl Errand {
    /// The grant that it is to save.
    pub(in crate::machine) fn grant_in_hand(&self) -> Option<GrantInHand<'_>> {
        match &self.kind {
            Kind::Keep { asked, grant, exposed: _ } => Some(GrantInHand {
                grant,
                incarnation: asked.incarnation,
                generation: asked.generation,
            }),
            Kind::Reread
            | Kind::Login(_)
            | Kind::Logout
            | Kind::Reconsider
            | Kind::Configure(_)
            | Kind::Allow(_)
            | Kind::Trust
            | Kind::Finish { .. } => None,
        }
    }
}

impl Canonical {
    pub(in crate::machine) fn errand(&mut self, errand: &Errand) {
        let Errand { kind, asked, read, over_damage, not_before, rounds, taken } = errand;
        self.kind(kind);
        self.flags(&[*asked, *read, *over_damage]);
        self.moment(*not_before);
        self.number(u64::from(*rounds));
        self.option(taken.as_ref(), |form, (client, tokens)| {
            form.client(client);
            for token in tokens {
                form.option(token.as_ref(), |form, (token, _)| form.token(token));
            }
        });
    }

    fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Reread => self.number(0),
            Kind::Login(login) => {
                self.number(1);
                self.login(login);
            }
            Kind::Logout => self.number(2),
            Kind::Reconsider => self.number(3),
            Kind::Configure(client) => {
                self.number(4);
                self.client(client);
            }
            Kind::Allow(origin) => {
                self.number(5);
                self.origin(origin);
            }
            Kind::Trust => self.number(6),
            Kind::Keep { asked, grant, exposed } => {
                self.flags(&[*exposed]);
                self.number(7);
                self.asked(asked);
                self.grant(grant);
            }
            Kind::Finish { asked, ending } => {
                self.number(8);
                self.asked(asked);
                self.ending(ending);
            }
        }
    }

    fn ending(&mut self, ending: &Ending) {
        match ending {
            Ending::Refused { reason, code: _ } => {
                self.number(0);
                self.number(*reason as u64);
            }
            Ending::Failed { failure, doubt, ahead, successor, replay_left } => {
                self.number(1);
                self.option(failure.as_ref(), Self::failure);
                self.flags(&[doubt.is_some(), *ahead, *replay_left]);
                self.option(successor.as_ref(), Self::token);
            }
        }
    }
}
