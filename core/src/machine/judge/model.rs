//! The claims in their canonical form.

use super::Claim;
use crate::machine::Canonical;

impl Canonical {
    pub(in crate::machine) fn claim(&mut self, claim: &Claim) {
        let Claim { origin, id, strength, ground, claims } = claim;
        self.origin(origin);
        self.token_id(*id);
        self.number(*strength as u64);
        self.number(*ground as u64);
        self.option(claims.as_ref(), |form, claims| form.text(claims));
    }
}
