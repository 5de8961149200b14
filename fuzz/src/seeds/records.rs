//! Records as this version writes them, and as another might.

use regrant_core::{
    Access, Budget, Cause, Client, CoolDown, Grant, Id, Intent, Login, LoginReason, Mark, Origin,
    Record, Refresh, Secret, Timestamp, TokenId,
};

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

pub(super) fn records() -> Vec<(&'static str, Vec<u8>)> {
    let plain = logged_in();
    let out = Record::logged_out(plain.incarnation, 7, NOW);
    let written = |record: &Record| record.encode().to_vec();
    let text = String::from_utf8(written(&plain)).expect("a record is text");
    let newer = text.replacen('{', "{\"colour\":{\"deep\":[1,2.5,null]},", 1);
    let newer = newer.replace("\"token_type\"", "\"shade\":7,\"token_type\"");
    vec![
        ("logged-in", written(&plain)),
        ("logged-out", written(&out)),
        ("in-trouble", written(&in_trouble())),
        ("refused", written(&refused())),
        ("of-a-newer-format", text.replace("\"format\":1", "\"format\":2").into_bytes()),
        ("of-a-newer-version", newer.into_bytes()),
        ("cut-short", text.as_bytes()[..text.len() / 2].to_vec()),
    ]
}

fn logged_in() -> Record {
    let mut grant = Grant::bearer(Secret::new("at \"quoted\" \\ 0#".into()));
    grant.refresh_token = Some(Secret::new("rt".into()));
    grant.expires_in = Some(std::time::Duration::from_secs(3600));
    grant.subject = Some("somebody".into());
    let mut client = Client::new("https://as.example/token", "client");
    client.client_secret = Some(Secret::new("s".into()));
    let origins = vec![api()];
    Record::login(
        &Login { incarnation: Id([7; 16]), client, origins, grant, obtained_at: NOW },
        None,
    )
}

fn api() -> Origin {
    Origin::parse("https://api.example").expect("an origin")
}

fn in_trouble() -> Record {
    let mut record = logged_in();
    if let Some(slot) = record.slots.get_mut(&0) {
        slot.access = Access::Rejected;
    }
    record.refresh = Refresh::InDoubt { since: NOW };
    record.attempt = Some(Intent {
        nonce: Id([1; 16]),
        owner: Id([2; 16]),
        at: NOW,
        deadline: NOW + std::time::Duration::from_secs(25),
        raised: true,
    });
    record.cool_down = Some(CoolDown {
        until: NOW + std::time::Duration::from_secs(60),
        cause: Cause::Unavailable,
        code: Some("http_503".into()),
        streak: 1,
        ahead_only: false,
    });
    record.marks.push(Mark {
        origin: api(),
        rejected: TokenId { slot: 0, generation: 1 },
        until: NOW + std::time::Duration::from_secs(60),
        streak: 1,
        still: true,
        weak: true,
    });
    record.budget = Budget { full_at: NOW };
    record.superseded.push(Id([6; 16]));
    record
}

fn refused() -> Record {
    let mut record = logged_in();
    let reason = LoginReason::RotationLost;
    record.refresh = Refresh::Dead { reason, code: Some("invalid_grant".into()), at: NOW };
    record
}
