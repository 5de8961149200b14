//! The record at rest.

use regrant_core::{Record, RecordError};
use serde_json::{Map, Value};

/// Decodes a record, and writes it back.
pub fn record(data: &[u8]) {
    let record = match Record::decode(data) {
        Ok(record) => record,
        Err(RecordError::UnknownFormat { found, known }) => return assert!(found > known),
        Err(_) => return,
    };
    let encoded = record.encode();
    let again = Record::decode(&encoded).expect("what was encoded is a record");
    assert!(*again.encode() == *encoded, "a record changes with every save");
    assert_eq!(again.state(), record.state());
    assert_eq!(again.token_id(), record.token_id());
    assert!(again.client.is(&record.client));
    secrets_are_not_shown(&record);

    // Of what is passed over, decoding demands less than a parser that keeps it.
    let Ok(before) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
    let after: Map<String, Value> = serde_json::from_slice(&encoded).expect("and stays one");
    for name in record.unknown.keys() {
        assert_eq!(before.get(name), after.get(name), "a field of another version: {name}");
    }
    for name in record.client.unknown.keys() {
        assert_eq!(before["client"].get(name), after["client"].get(name), "of the client: {name}");
    }
    for (number, slot) in &record.slots {
        for name in slot.unknown.keys() {
            let of = |whole: &Map<String, Value>| {
                whole["slots"].get(number.to_string()).and_then(|slot| slot.get(name)).cloned()
            };
            // A slot may be named twice in ways that differ, `0` and `00`.
            assert!(of(&before).is_none() || of(&before) == of(&after), "of a slot: {name}");
        }
    }
}

fn secrets_are_not_shown(record: &Record) {
    let slots = record.slots.values().map(|slot| &slot.access_token);
    let secrets = slots.chain(&record.refresh_token).chain(&record.client.client_secret);
    let mut blank = record.clone();
    let hidden = |secret: &regrant_core::Secret| {
        regrant_core::Secret::new("x".repeat(secret.expose().len()))
    };
    for slot in blank.slots.values_mut() {
        slot.access_token = hidden(&slot.access_token);
    }
    blank.refresh_token = blank.refresh_token.as_ref().map(hidden);
    blank.client.client_secret = blank.client.client_secret.as_ref().map(hidden);
    if secrets.count() > 0 {
        assert_eq!(format!("{record:?}"), format!("{blank:?}"), "a secret is shown");
    }
}
