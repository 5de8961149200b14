//! What happens to a credential, from beginning to end, for the machine.

use super::super::machine::Operation::{
    self, Accept, Break, Disown, Do, End, LogIn, LogOut, Pass, Reconsider, Reject, Restart,
    Restore, Settle, Stop, Wake, Want, Write, WriteRaw,
};

/// A process over a store that holds a login whose token lasts for an hour; nobody says what the
/// server does with refresh tokens.
const LOGGED_IN: [u8; 5] = [1, 2, 11, 4, 0];

/// The number of an answer, in the order of the machine's own words: the outcome `Answered` with
/// a cause, whether it was applied, no wait, and the answer.
const REFUSED: [u8; 4] = [0, 0, 0, 1];
const UNAVAILABLE: [u8; 4] = [1, 0, 0, 5];
const LOST: [u8; 4] = [3, 1, 0, 5];
const TIMED_OUT: [u8; 4] = [3, 2, 0, 5];

pub(super) fn stories() -> Vec<(&'static str, Vec<u8>)> {
    let rejected = || Story::new().then(Settle, &[]).then(Reject, &[7, 0, 0, 0]);
    // Lease, reading, intent: then the request is out.
    let asked = || rejected().then(Do, &[]).then(Do, &[]).then(Do, &[]);
    let stories = vec![
        ("nobody-is-logged-in", Story(vec![0, 0])),
        ("a-rejection-is-refreshed", rejected().then(Settle, &[]).then(Accept, &[7, 0])),
        ("a-refusal-needs-a-login", asked().then(End, &[0, 1]).more(&REFUSED).then(Settle, &[])),
        (
            "a-refusal-is-reconsidered",
            asked()
                .then(End, &[0, 1])
                .more(&REFUSED)
                .then(Settle, &[])
                .then(Reconsider, &[])
                .then(Settle, &[]),
        ),
        ("an-outage-is-waited-out", asked().then(End, &[0, 1]).more(&UNAVAILABLE).then(Wake, &[])),
        (
            "a-lost-answer-is-asked-for-again",
            asked().then(End, &[0, 1]).more(&LOST).then(Settle, &[]),
        ),
        (
            "a-grant-comes-late",
            asked()
                .then(End, &[0, 1])
                .more(&TIMED_OUT)
                .then(Do, &[])
                .then(End, &[0, 1])
                .more(&[0, 0, 0, 0])
                .then(Settle, &[]),
        ),
        ("a-crash-with-the-request-out", asked().then(Restart, &[]).then(Settle, &[])),
        ("a-logout-with-the-request-out", asked().then(LogOut, &[]).then(Settle, &[])),
        ("a-login-with-the-request-out", asked().then(LogIn, &[0, 0]).then(Settle, &[])),
        ("a-stop-with-the-request-out", asked().then(Stop, &[])),
        (
            "a-grant-that-cannot-be-saved",
            asked().then(Do, &[0]).then(End, &[0, 0x84]).then(Wake, &[]).then(Settle, &[]),
        ),
        (
            "one-api-rejects-every-token",
            rejected()
                .then(Settle, &[])
                .then(Accept, &[7, 1])
                .then(Settle, &[])
                .then(Reject, &[7, 0, 0, 0])
                .then(Settle, &[])
                .then(Want, &[0])
                .then(Settle, &[]),
        ),
        (
            "somebody-outside-says-so",
            Story::new().then(Settle, &[]).then(Disown, &[7, 0]).then(Settle, &[]),
        ),
        ("a-token-expires", Story::new().then(Settle, &[]).then(Pass, &[11]).then(Settle, &[])),
        (
            "another-process-was-faster",
            rejected().then(Write, &[0, 19, 0]).then(Settle, &[]).then(Accept, &[7, 0]),
        ),
        (
            "a-backup-is-restored",
            rejected().then(Settle, &[]).then(Restore, &[0]).then(Settle, &[]),
        ),
        ("the-store-breaks", Story::new().then(Break, &[2, 1]).then(Settle, &[]).then(LogOut, &[])),
        ("another-version-writes", Story::new().then(WriteRaw, &[]).record().then(Settle, &[])),
    ];
    stories.into_iter().map(|(name, Story(bytes))| (name, bytes)).collect()
}

struct Story(Vec<u8>);

impl Story {
    fn new() -> Self {
        Self(LOGGED_IN.to_vec())
    }

    fn then(mut self, operation: Operation, operands: &[u8]) -> Self {
        self.0.push(operation.byte());
        self.more(operands)
    }

    fn more(mut self, operands: &[u8]) -> Self {
        self.0.extend_from_slice(operands);
        self
    }

    /// A record with its length before it.
    fn record(self) -> Self {
        let records = super::records::records();
        let (_, bytes) = &records[2];
        let length = u16::try_from(bytes.len()).expect("a record of a few hundred bytes");
        self.more(&length.to_be_bytes()).more(bytes)
    }
}
