//! What servers said, in its canonical form.

use super::Canonical;
use crate::grant::{Failure, Grant};
use crate::record::Login;

impl Canonical {
    pub(in crate::machine) fn grant(&mut self, grant: &Grant) {
        let Grant {
            access_token,
            token_type,
            expires_in,
            refresh_token,
            // A hint for people.
            refresh_expires_in: _,
            scope,
            subject,
        } = grant;
        self.token(access_token);
        self.text(token_type);
        self.option(expires_in.as_ref(), |form, length| form.number(length.as_millis() as u64));
        self.option(refresh_token.as_ref(), Self::token);
        self.option(scope.as_ref(), |form, scope| form.text(scope));
        self.option(subject.as_ref(), |form, subject| form.text(subject));
    }

    pub(in crate::machine) fn failure(&mut self, failure: &Failure) {
        // The server's code is for people.
        let Failure { cause, applied, retry_after, code: _ } = failure;
        self.number(*cause as u64);
        self.number(*applied as u64);
        self.option(retry_after.as_ref(), |form, length| form.number(length.as_millis() as u64));
    }

    pub(in crate::machine) fn login(&mut self, login: &Login) {
        let Login { incarnation, client, origins, grant, obtained_at } = login;
        self.id(*incarnation);
        self.client(client);
        self.list(origins, Self::origin);
        self.grant(grant);
        self.past(*obtained_at);
    }
}
