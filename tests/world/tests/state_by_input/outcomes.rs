//! Every end of an action, by the variants of [`Outcome`] and [`Answer`].

use std::time::Duration;

use regrant_core::{
    Answer, Applied, Cause, Failure, Holder, Outcome, Refusal, RefusalKind, Secret, StoreFault,
    Stored, Version,
};

use crate::rows::{by_variant, left_there};
use crate::scene::{Scene, grant};

/// One end of an action.
pub(crate) struct End {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) outcome: Outcome,
    pub(crate) word: Option<(String, &'static str)>,
}

impl End {
    fn value(&self) -> &Outcome {
        &self.outcome
    }

    fn new(name: &str, detail: impl Into<String>, outcome: Outcome) -> Self {
        let (group, name) = (String::new(), name.to_owned());
        Self { group, name, detail: detail.into(), outcome, word: None }
    }
}

/// One answer of the authorization server.
struct Reply {
    group: &'static str,
    name: String,
    detail: String,
    answer: Answer,
    word: Option<(String, &'static str)>,
}

impl Reply {
    fn value(&self) -> &Answer {
        &self.answer
    }

    fn new(name: &str, detail: &str, answer: Answer) -> Self {
        let (name, detail) = (name.to_owned(), detail.to_owned());
        Self { group: "", name, detail, answer, word: None }
    }
}

/// Every fault that this version names; a later one is told from none of these by the machine.
const FAULTS: [StoreFault; 10] = [
    StoreFault::Unavailable,
    StoreFault::Locked,
    StoreFault::Corrupt,
    StoreFault::UnknownFormat,
    StoreFault::WrongKey,
    StoreFault::KeyMissing,
    StoreFault::WrongKeySource,
    StoreFault::ReadOnly,
    StoreFault::Full,
    StoreFault::RolledBack,
];

fn faults(name: &str, outcome: fn(StoreFault) -> Outcome) -> Vec<End> {
    let end = |fault: StoreFault| {
        let word = Some((format!("{fault:?}"), "<fault>"));
        End { word, ..End::new(name, format!("{fault:?}"), outcome(fault)) }
    };
    FAULTS.map(end).into()
}

fn findings(
    scene: &Scene,
    name: &str,
    outcome: impl Fn(Option<Box<Stored>>) -> Outcome,
) -> Vec<End> {
    let end = |(detail, record): (&str, Option<regrant_core::Record>)| {
        // A version that no save of this process has named, but where nothing has changed.
        let version = match detail {
            "what was there" => scene.read().map(|stored| stored.version),
            _ => Some(Version::new(u64::MAX.to_le_bytes())),
        };
        let stored =
            record.zip(version).map(|(record, version)| Box::new(Stored { record, version }));
        End::new(name, detail, outcome(stored))
    };
    left_there(scene).into_iter().map(end).collect()
}

by_variant! {
    /// Every outcome, in the order of the enum.
    pub(crate) fn outcomes(scene) -> End as Outcome {
        Acquired => {
            let end = |detail, proves_death| {
                End::new("Acquired", detail, Outcome::Acquired { proves_death })
            };
            vec![end("after a death", true), end("proving nothing", false)]
        },
        Busy => {
            let holder = Holder { pid: Some(42), host: None, since: None };
            vec![End::new("Busy", "", Outcome::Busy(holder))]
        },
        Unlockable => vec![End::new("Unlockable", "", Outcome::Unlockable)],
        Released => vec![End::new("Released", "", Outcome::Released)],
        Loaded => findings(scene, "Loaded", Outcome::Loaded),
        Saved => vec![End::new("Saved", "", Outcome::Saved(Version::new(*b"saved")))],
        Mismatch => findings(scene, "Mismatch", Outcome::Mismatch),
        Failed => faults("Failed", Outcome::Failed),
        Unknown => faults("Unknown", Outcome::Unknown),
        Answered => replies(scene).into_iter().map(|reply| {
            let outcome = Outcome::Answered(reply.answer);
            let group = reply.group.to_owned();
            End { group, word: reply.word, ..End::new(&reply.name, reply.detail, outcome) }
        }).collect(),
        Revoked => {
            let end = |detail, confirmed| {
                End::new("Revoked", detail, Outcome::Revoked { confirmed })
            };
            vec![end("confirmed", true), end("not confirmed", false)]
        },
    }
}

fn grants() -> Vec<Reply> {
    let reply = |detail, change: fn(&mut regrant_core::Grant)| {
        let mut grant = grant("row");
        change(&mut grant);
        Reply::new("Granted", detail, Answer::Granted(grant))
    };
    vec![
        reply("plainly", |_| {}),
        reply("without a refresh token", |grant| grant.refresh_token = None),
        reply("without a lifetime", |grant| grant.expires_in = None),
        reply("with another scope", |grant| grant.scope = Some("write".into())),
        reply("for somebody else", |grant| grant.subject = Some("somebody else".into())),
    ]
}

fn refusals() -> Vec<Reply> {
    // Without a wildcard, so that a new kind does not compile until it has its row.
    const _: fn(RefusalKind) = |kind| match kind {
        RefusalKind::Dead | RefusalKind::Reused | RefusalKind::Interaction => {}
    };
    let reply = |detail, kind| {
        Reply::new("Refused", detail, Answer::Refused(Refusal { code: "a_code".into(), kind }))
    };
    vec![
        reply("dead", RefusalKind::Dead),
        reply("reused", RefusalKind::Reused),
        reply("interaction", RefusalKind::Interaction),
    ]
}

fn failures() -> Vec<Reply> {
    // As above.
    const _: fn(Applied) = |applied| match applied {
        Applied::No | Applied::Perhaps | Applied::PerhapsLater => {}
    };
    let applied = [
        (" Failed (not applied)", Applied::No),
        (" Failed (perhaps applied)", Applied::Perhaps),
        (" Failed (perhaps applied later)", Applied::PerhapsLater),
    ];
    let waits = [
        ("again at will", None),
        ("again in 7 s", Some(Duration::from_secs(7))),
        // Longer than an attempt.
        ("again in 90 s", Some(Duration::from_secs(90))),
    ];
    let mut replies = Vec::new();
    for (group, applied) in applied {
        for (wait, retry_after) in waits {
            for cause in Cause::ALL {
                let code = None;
                let failure = Failure { cause: *cause, applied, retry_after, code };
                let word = Some((format!("{cause:?}"), "<cause>"));
                let answer = Answer::Failed(failure);
                let (name, detail) = (wait.to_owned(), format!("{cause:?}"));
                replies.push(Reply { group, name, detail, answer, word });
            }
        }
    }
    replies
}

by_variant! {
    /// Every answer of the authorization server, in the order of the enum.
    fn replies(_scene) -> Reply as Answer {
        Granted => grants(),
        Unusable => {
            let refresh_token = Secret::new("refresh-row".into());
            let (cause, applied) = (Cause::UnknownError, Applied::No);
            let failure = Failure { cause, applied, retry_after: None, code: None };
            vec![Reply::new("Unusable", "", Answer::Unusable { refresh_token, failure })]
        },
        Refused => refusals(),
        NonceWanted => vec![Reply::new("NonceWanted", "", Answer::NonceWanted)],
        Failed => failures(),
    }
}
