//! The passage in its canonical form.

use super::Passage;
use crate::machine::Canonical;

impl Passage {
    pub(in crate::machine) fn write(&self, form: &mut Canonical) {
        let Self { replayable, replays, nonce_replayed, lagged, rejected } = self;
        form.flags(&[*replayable, *nonce_replayed, *lagged]);
        form.number(u64::from(*replays));
        form.option(rejected.as_ref(), |form, id| form.token_id(*id));
    }
}
