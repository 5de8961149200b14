//! What other processes leave in the store: mostly what ours could leave, sometimes what no
//! version of it would.

use regrant_core::{
    Access, Budget, Cause, CoolDown, Id, Intent, LoginReason, Mark, Record, Refresh, Renewal,
    Timestamp, TokenId,
};

use super::bytes::Bytes;
use super::world::{World, origin};

/// The highest generation that a record here has: one that rises by one with each grant comes to
/// it in no time that matters.
const HIGHEST: u64 = u64::MAX - (1 << 20);

/// Another process's next record over this one.
pub(super) fn changed(
    mut record: Record,
    world: &mut World,
    bytes: &mut Bytes<'_>,
    now: Timestamp,
) -> Record {
    for _ in 0..=bytes.below(4) {
        change(&mut record, world, bytes, now);
    }
    record
}

fn change(record: &mut Record, world: &mut World, bytes: &mut Bytes<'_>, now: Timestamp) {
    match bytes.byte() % 20 {
        0 => {
            let access =
                bytes.one_of(&[Access::None, Access::Trusted, Access::Probation, Access::Rejected]);
            if access == Access::None {
                record.slots.remove(&0);
            } else if let Some(slot) = record.slots.get_mut(&0) {
                slot.access = access;
            }
        }
        1 => record.refresh = refresh(bytes, now),
        2 => record.attempt = bytes.bit().then(|| intent(world, bytes, now)),
        3 => record.cool_down = bytes.bit().then(|| cool_down(bytes, now)),
        4 => record.marks.push(mark(record, bytes, now)),
        5 => record.marks.clear(),
        6 => record.generation = generation(record.generation, bytes),
        7 => {
            // Another generation is another token.
            if let Some(slot) = record.slots.get_mut(&0) {
                slot.generation = generation(slot.generation, bytes);
                slot.access_token = world.secret("at");
            }
        }
        8 => {
            record.superseded.push(record.incarnation);
            record.incarnation = world.id();
        }
        9 => record.incarnation = Id([bytes.byte(); 16]),
        10 => record.refresh_token = bytes.bit().then(|| world.secret("rt")),
        11 => {
            if let Some(slot) = record.slots.get_mut(&0) {
                slot.lifetime_ms = bytes.bit().then(|| bytes.word());
                slot.obtained_at = bytes.stamp(now);
            }
        }
        12 => record.budget = Budget { full_at: bytes.stamp(now) },
        13 => record.origins.push(origin(bytes.below(4))),
        14 => record.origins.clear(),
        15 => {
            record.client.renewal =
                bytes.one_of(&[Renewal::RefreshToken, Renewal::ClientCredentials]);
        }
        16 => record.subject = bytes.bit().then(|| "somebody".into()),
        17 => *record = Record::login(&world.login(bytes, now), Some(record)),
        18 => *record = Record::logged_out(record.incarnation, record.generation, now),
        _ => granted(record, world, bytes, now),
    }
}

/// As a process writes it that refreshed in time.
fn granted(record: &mut Record, world: &mut World, bytes: &mut Bytes<'_>, now: Timestamp) {
    if record.generation >= HIGHEST {
        return;
    }
    record.generation += 1;
    if let Some(slot) = record.slots.get_mut(&0) {
        slot.access_token = world.secret("at");
        slot.generation = record.generation;
        slot.obtained_at = now;
        slot.access = bytes.one_of(&[Access::Trusted, Access::Probation]);
    }
    record.refresh_token = Some(world.secret("rt"));
    record.refresh = Refresh::Usable;
    record.attempt = None;
    record.cool_down = None;
}

fn refresh(bytes: &mut Bytes<'_>, now: Timestamp) -> Refresh {
    match bytes.byte() % 4 {
        0 => Refresh::Usable,
        1 => Refresh::InDoubt { since: bytes.stamp(now) },
        2 => Refresh::Absent,
        _ => {
            let reason = bytes.one_of(LoginReason::ALL);
            Refresh::Dead { reason, code: None, at: bytes.stamp(now) }
        }
    }
}

fn intent(world: &mut World, bytes: &mut Bytes<'_>, now: Timestamp) -> Intent {
    Intent {
        nonce: world.id(),
        owner: world.id(),
        at: bytes.stamp(now),
        deadline: bytes.stamp(now),
        raised: bytes.bit(),
    }
}

fn cool_down(bytes: &mut Bytes<'_>, now: Timestamp) -> CoolDown {
    CoolDown {
        until: bytes.stamp(now),
        cause: bytes.one_of(Cause::ALL),
        code: None,
        streak: streak(bytes),
        ahead_only: bytes.bit(),
    }
}

fn mark(record: &Record, bytes: &mut Bytes<'_>, now: Timestamp) -> Mark {
    Mark {
        origin: origin(bytes.below(4)),
        rejected: TokenId { slot: 0, generation: generation(record.generation, bytes) },
        until: bytes.stamp(now),
        streak: streak(bytes),
        still: bytes.bit(),
        weak: bytes.bit(),
    }
}

fn streak(bytes: &mut Bytes<'_>) -> u32 {
    bytes.one_of(&[0, 1, 2, 17, 33, u32::MAX])
}

fn generation(from: u64, bytes: &mut Bytes<'_>) -> u64 {
    match bytes.byte() % 5 {
        0 => from.saturating_sub(1),
        1 => from.saturating_add(1).min(HIGHEST),
        2 => 0,
        3 => HIGHEST,
        _ => from.saturating_add(7).min(HIGHEST),
    }
}
