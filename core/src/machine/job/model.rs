//! The attempt in its canonical form.

use super::{Asked, Attempt};
use crate::machine::Canonical;

impl Canonical {
    pub(in crate::machine) fn asked(&mut self, asked: &Asked) {
        let Asked {
            id,
            incarnation,
            generation,
            nonce,
            sent,
            claims,
            for_claims,
            client,
            subject,
            asked_at,
            is_copied,
            is_later,
            extra,
            intent_deadline,
        } = asked;
        self.action(*id);
        self.id(*incarnation);
        self.generation(*generation);
        self.id(*nonce);
        self.option(sent.as_ref(), Self::token);
        self.option(claims.as_ref(), |form, claims| form.text(claims));
        self.flags(&[*for_claims, *is_copied, *is_later]);
        self.client(client);
        self.option(subject.as_ref(), |form, subject| form.text(subject));
        self.past(*asked_at);
        self.number(u64::from(*extra));
        self.moment(*intent_deadline);
    }

    pub(in crate::machine) fn attempt(&mut self, attempt: &Attempt) {
        let Attempt {
            asked,
            need,
            deadline,
            tries,
            malformed,
            replays,
            nonce_sent,
            // Since when is for people.
            doubt,
            failed,
        } = attempt;
        self.asked(asked);
        self.number(*need as u64);
        self.moment(*deadline);
        self.overdue(*deadline);
        self.number(u64::from(*tries));
        self.number(u64::from(*malformed));
        self.number(u64::from(*replays));
        self.flags(&[*nonce_sent, doubt.is_some(), *failed]);
    }

    /// Requests that were given up: those whose answer can still come, and how near each is to
    /// being forgotten.
    pub(in crate::machine) fn late(&mut self, late: &[Asked]) {
        for (at, asked) in late.iter().enumerate() {
            if self.place_of_action(asked.id).is_some() {
                self.number((late.len() - at) as u64);
                self.asked(asked);
            }
        }
        self.number(0);
    }
}
