//! The inputs that every flavour meets. The compiler asks for the rows of a variant that is new.

use std::time::Duration;

use regrant_core::{
    Action, Client, Id, Input, Origin, Outcome, Record, Refresh, Strength, Timestamp, TokenId,
};
use regrant_world::origin;

use crate::outcomes::outcomes;
use crate::scene::{Scene, login};

/// One input.
pub(crate) struct Row {
    /// Rows of one group that have one effect are shown as one.
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) input: Input,
    pub(crate) now: Timestamp,
    /// A word of this input that the effect may repeat, and what is shown for it: so that inputs
    /// which differ in a name alone have one effect.
    pub(crate) word: Option<(String, &'static str)>,
    /// Whether its end is shown too, since it may have to wait for something else.
    pub(crate) to_its_end: bool,
}

/// Defines the rows of an enum, variant by variant.
macro_rules! by_variant {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($scene:ident) -> $of:ty as $enum:ident {
        $($variant:ident => $rows:expr,)+
    }) => {
        $(#[$doc])*
        $vis fn $name($scene: &$crate::scene::Scene) -> Vec<$of> {
            // Without a wildcard, so that a new variant does not compile until it has its rows.
            const _: fn(&$enum) = |value| match value {
                $($enum::$variant { .. } => {})+
            };
            let mut all = Vec::new();
            $({
                let rows: Vec<$of> = $rows;
                assert!(!rows.is_empty(), "no row for {}", stringify!($variant));
                let fits = |row: &$of| matches!(row.value(), $enum::$variant { .. });
                assert!(rows.iter().all(fits), "another's row at {}", stringify!($variant));
                all.extend(rows);
            })+
            all
        }
    };
}
pub(crate) use by_variant;

impl Row {
    fn value(&self) -> &Input {
        &self.input
    }

    fn new(scene: &Scene, group: &str, name: impl Into<String>, input: Input) -> Self {
        let (group, name, detail) = (group.to_owned(), name.into(), String::new());
        Self { group, name, detail, input, now: scene.now, word: None, to_its_end: false }
    }

    fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    fn with_its_end(self) -> Self {
        Self { to_its_end: true, ..self }
    }
}

/// Where requests go: two origins that the credential is bound to, and one that it is not.
fn places() -> [(&'static str, Origin); 3] {
    ["x", "y", "z"].map(|name| (name, origin(name)))
}

/// Names of tokens that are not the current one.
fn others(id: TokenId) -> [(&'static str, TokenId); 3] {
    let generation = id.generation;
    [
        ("older", TokenId { generation: generation.saturating_sub(1), ..id }),
        ("newer", TokenId { generation: generation + 1, ..id }),
        ("of another slot", TokenId { slot: 1, ..id }),
    ]
}

/// A report of each origin about the current token, and about others.
fn reports(scene: &Scene, what: &str, report: impl Fn(TokenId, Origin) -> Input) -> Vec<Row> {
    let mut rows = Vec::new();
    for (place, origin) in places() {
        rows.push(Row::new(scene, what, place, report(scene.id(), origin)));
    }
    let group = format!("{what}, another token");
    for (which, id) in others(scene.id()) {
        for (place, origin) in places() {
            let name = format!("{which} at {place}");
            rows.push(Row::new(scene, &group, name, report(id, origin)));
        }
    }
    rows
}

fn rejections(scene: &Scene) -> Vec<Row> {
    let mut rows = Vec::new();
    for (strength, how) in [(Strength::Strong, "strong"), (Strength::Weak, "weak")] {
        for (claims, also) in [(None, ""), (Some("{}"), ", with claims")] {
            let claims = claims.map(str::to_owned);
            let report =
                |id, origin| Input::Rejected { id, origin, strength, claims: claims.clone() };
            rows.extend(reports(scene, "Rejected", report).into_iter().map(|row| {
                let word = Some((format!("{strength:?}"), "<strength>"));
                Row { detail: format!("{how}{also}"), word, ..row }
            }));
        }
    }
    // By place, and in that by strength.
    rows.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    rows
}

fn times(scene: &Scene) -> Vec<Row> {
    let millisecond = Duration::from_millis(1);
    let hour = Duration::from_secs(3_600);
    let row = |name: &str, now| Row::new(scene, "TimePassed", name, Input::TimePassed).at(now);
    vec![
        row("an hour back", scene.now - hour),
        row("not at all", scene.now),
        row("to just before the wake", (scene.wake - millisecond).max(scene.now)),
        row("to the wake", scene.wake),
        row("an hour past the wake", scene.wake + hour),
    ]
}

/// Every answer to every action that is out, to one that was answered before, and to none.
fn ends(scene: &Scene) -> Vec<Row> {
    let mut ids: Vec<(u64, &str)> =
        scene.out.iter().map(|(id, action)| (*id, name_of(action))).collect();
    ids.push((scene.answered, "what ended before"));
    ids.push((u64::MAX, "what was never asked"));
    let mut rows = Vec::new();
    for (id, action) in ids {
        for end in outcomes(scene) {
            // What makes no answer to this action is not told apart any further.
            let fits = action == "ask" || !matches!(end.outcome, Outcome::Answered(_));
            let (group, name, detail, word) = if fits {
                (end.group, end.name, end.detail, end.word)
            } else {
                (String::new(), "Answered".into(), end.name, None)
            };
            rows.push(Row {
                group: format!("Done {action}{group}"),
                name,
                detail,
                input: Input::Done { id, outcome: end.outcome },
                now: scene.now,
                word,
                to_its_end: false,
            });
        }
    }
    rows
}

pub(crate) fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Acquire => "acquire",
        Action::Release => "release",
        Action::Load => "load",
        Action::Save { .. } => "save",
        Action::Ask { .. } => "ask",
        Action::Revoke { .. } => "revoke",
    }
}

/// The record that this process would find unchanged.
pub(crate) fn base(scene: &Scene) -> Record {
    let stored = scene.stored.as_ref().map(|(record, _)| record.clone());
    stored.unwrap_or_else(crate::scene::record)
}

by_variant! {
    /// Every input, in the order of the enum.
    pub(crate) fn rows(scene) -> Row as Input {
        TimePassed => times(scene),
        Done => ends(scene),
        Wanted => {
            let wanted = |(name, origin)| Row::new(scene, "Wanted", name, Input::Wanted { origin });
            places().map(wanted).into()
        },
        Accepted => reports(scene, "Accepted", |id, origin| Input::Accepted { id, origin }),
        Rejected => rejections(scene),
        Disowned => reports(scene, "Disowned", |id, origin| Input::Disowned { id, origin }),
        LoggedIn => {
            let (mut same, mut another) = (login(1), login(3));
            same.incarnation = base(scene).incarnation;
            (same.obtained_at, another.obtained_at) = (scene.now, scene.now);
            let row = |name, login| {
                Row::new(scene, "LoggedIn", name, Input::LoggedIn(Box::new(login))).with_its_end()
            };
            vec![row("another login", another), row("the login that is there", same)]
        },
        LoggedOut => vec![Row::new(scene, "LoggedOut", "", Input::LoggedOut).with_its_end()],
        Reconsider => vec![Row::new(scene, "Reconsider", "", Input::Reconsider).with_its_end()],
        ConfigurationChanged => {
            let row = |name, client: Client| {
                let input = Input::ConfigurationChanged(Box::new(client));
                Row::new(scene, "ConfigurationChanged", name, input).with_its_end()
            };
            let other = Client::new("https://as.example/new", "client");
            vec![row("the same", base(scene).client), row("another endpoint", other)]
        },
        OriginAllowed => {
            let row = |name| {
                let input = Input::OriginAllowed(origin(name));
                Row::new(scene, "OriginAllowed", name, input).with_its_end()
            };
            vec![row("x"), row("z")]
        },
        Stop => vec![Row::new(scene, "Stop", "", Input::Stop).with_its_end()],
    }
}

/// What another process may have left in the store, or somebody who restored a backup.
pub(crate) fn left_there(scene: &Scene) -> Vec<(&'static str, Option<Record>)> {
    let base = base(scene);
    let changed = |change: fn(&mut Record)| {
        let mut record = base.clone();
        change(&mut record);
        Some(record)
    };
    let successor = |access| {
        let mut record = base.clone();
        record.generation += 1;
        record.refresh_token = Some(regrant_core::Secret::new("refresh-elsewhere".into()));
        record.refresh = Refresh::Usable;
        record.attempt = None;
        record.cool_down = None;
        let slots = Record::login(&login(1), None).slots;
        record.slots = slots;
        for slot in record.slots.values_mut() {
            slot.access_token = regrant_core::Secret::new("access-elsewhere".into());
            (slot.generation, slot.access, slot.obtained_at) =
                (record.generation, access, scene.now);
        }
        Some(record)
    };
    let mut newcomer = login(4);
    newcomer.obtained_at = scene.now;
    let mut stranger = Record::login(&newcomer, Some(&base));
    stranger.generation = 1;
    for slot in stranger.slots.values_mut() {
        slot.generation = 1;
    }
    vec![
        ("nothing", None),
        ("what was there", scene.stored.as_ref().map(|(record, _)| record.clone())),
        ("a trusted successor", successor(regrant_core::Access::Trusted)),
        ("a successor on probation", successor(regrant_core::Access::Probation)),
        ("an intent of another", {
            let mut record = base.clone();
            let at = scene.now;
            let deadline = at + regrant_core::Policy::default().intent();
            let (nonce, owner) = (Id([8; 16]), crate::scene::ANOTHER);
            record.attempt =
                Some(regrant_core::Intent { nonce, owner, at, deadline, raised: false });
            Some(record)
        }),
        ("a refusal", {
            let mut record = base.clone();
            let reason = regrant_core::LoginReason::Refused;
            record.refresh = Refresh::Dead { reason, code: None, at: scene.now };
            record.attempt = None;
            for slot in record.slots.values_mut() {
                slot.access = regrant_core::Access::Rejected;
            }
            Some(record)
        }),
        ("a logout", {
            let mut record = base.clone();
            let reason = regrant_core::LoginReason::LoggedOut;
            record.refresh = Refresh::Dead { reason, code: None, at: scene.now };
            record.attempt = None;
            record.refresh_token = None;
            record.slots.clear();
            Some(record)
        }),
        ("another login", Some(stranger)),
        (
            "an older copy",
            changed(|record| record.generation = record.generation.saturating_sub(1)),
        ),
        ("the login before", changed(|record| record.incarnation = Id([0xee; 16]))),
    ]
}
