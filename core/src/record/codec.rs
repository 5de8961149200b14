//! How a record becomes bytes, and back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Record;
use crate::secret::Secret;

/// The format this version writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;

/// Why bytes are not a record. Nothing of the bytes is quoted: they hold tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are no record of any version.
    #[error("the record cannot be read")]
    Malformed,
    /// A newer version wrote it; it is left as it is.
    #[error("the record has format {found}, and this version reads formats up to {known}")]
    UnknownFormat {
        /// The format it states.
        found: u32,
        /// The newest that this version reads.
        known: u32,
    },
}

impl Record {
    /// The record as JSON, **in the clear**; wiped when dropped.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // A buffer that grows leaves its old self behind, and nobody wipes that. So the JSON is
        // written with marks for the secrets, and they are put in where there is room for all.
        let mut bare = self.clone();
        let put = |secret: &mut Secret| core::mem::replace(secret, Secret::new(String::new()));
        let secrets: Vec<_> = bare.secrets_mut().map(put).collect();
        let text = json(&bare);
        let mark = (0_usize..)
            .map(|number| format!("\"{number}#"))
            .find(|mark| !text.contains(mark))
            .expect("a text holds fewer numbers than there are");
        for (index, secret) in bare.secrets_mut().enumerate() {
            *secret = Secret::new(format!("{}{index}#", &mark[1..]));
        }
        let text = json(&bare);
        let room: usize = secrets.iter().map(|secret| escaped(secret.expose()).count()).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(text.len() + room));
        let mut parts = text.split(&mark);
        out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            let (index, rest) = part.split_once("#\"").expect("a mark has an end");
            let index: usize = index.parse().expect("a mark has a number");
            out.push(b'"');
            out.extend(escaped(secrets[index].expose()));
            out.push(b'"');
            out.extend_from_slice(rest.as_bytes());
        }
        out
    }

    fn secrets_mut(&mut self) -> impl Iterator<Item = &mut Secret> {
        let of_slots = self.slots.values_mut().map(|slot| &mut slot.access_token);
        of_slots.chain(&mut self.refresh_token).chain(&mut self.client.client_secret)
    }

    /// Reads what [`Record::encode`] wrote, in this version or an older one.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; a newer format is told from a damaged record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let header: Header = serde_json::from_slice(bytes).map_err(|_| RecordError::Malformed)?;
        if header.format > FORMAT {
            return Err(RecordError::UnknownFormat { found: header.format, known: FORMAT });
        }
        serde_json::from_slice(bytes).map_err(|_| RecordError::Malformed)
    }
}

fn json(record: &Record) -> String {
    // A record has text keys and finite numbers only.
    serde_json::to_string(record).expect("a record is always valid JSON")
}

/// The text as it stands in JSON between quotes (RFC 8259 section 7).
fn escaped(text: &str) -> impl Iterator<Item = u8> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    text.bytes().flat_map(|byte| {
        let (bytes, length) = match byte {
            b'"' | b'\\' => ([b'\\', byte, 0, 0, 0, 0], 2),
            0..0x20 => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                ([b'\\', b'u', b'0', b'0', high, low], 6)
            }
            _ => ([byte, 0, 0, 0, 0, 0], 1),
        };
        bytes.into_iter().take(length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::grant::Grant;
    use crate::id::Id;
    use crate::record::{Login, StateKind};
    use crate::time::Timestamp;
    use alloc::string::ToString;
    use alloc::vec;

    fn record() -> Record {
        let mut grant = Grant::bearer(Secret::new("at".into()));
        grant.refresh_token = Some(Secret::new("rt".into()));
        let login = Login {
            incarnation: Id([7; 16]),
            client: Client::new("https://as.example/token", "client"),
            origins: vec![crate::origin::Origin::parse("https://api.example").unwrap()],
            grant,
            obtained_at: Timestamp::from_millis(5),
        };
        Record::login(&login, None)
    }

    #[test]
    fn a_record_survives_the_trip_through_bytes() {
        let bytes = record().encode();
        let back = Record::decode(&bytes).unwrap();
        assert_eq!(back.encode(), bytes);
        assert_eq!(back.state(), StateKind::Valid);
    }

    /// Had the buffer grown, it would have grown by doubling.
    #[test]
    fn what_is_encoded_is_never_moved() {
        let mut long = record();
        for secret in long.secrets_mut() {
            *secret = Secret::new("x".repeat(5_000));
        }
        for record in [record(), long] {
            let encoded = record.encode();
            let slack = encoded.capacity() - encoded.len();
            assert!(slack < 50, "{slack}");
        }
    }

    #[test]
    fn whatever_stands_in_a_secret_survives_the_trip() {
        let every: String = (0..0x250).filter_map(char::from_u32).collect();
        for text in [&every, "", "\"", "\\", "0#0#", "\"0#1#\"", "\"1#", "日本🦀\u{2028}"] {
            let mut record = record();
            record.subject = Some("0#".into());
            record.client.client_id = "1#0#".into();
            record.client.client_secret = Some(Secret::new(text.into()));
            record.refresh_token = Some(Secret::new(text.chars().rev().collect()));
            let back = Record::decode(&record.encode()).unwrap();
            assert_eq!(back.client.client_secret.as_ref().unwrap().expose(), text);
            let reversed: String = text.chars().rev().collect();
            assert_eq!(back.refresh_token.as_ref().unwrap().expose(), reversed);
            assert_eq!(back.slots[&0].access_token.expose(), "at");
            assert_eq!(back.subject.as_deref(), Some("0#"));
            assert_eq!(back.client.client_id, "1#0#");
            let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert!(value(&back.encode()) == value(&serde_json::to_vec(&back).unwrap()));
        }
    }

    #[test]
    fn fields_of_other_versions_are_kept() {
        let text = core::str::from_utf8(&record().encode()).unwrap().to_string();
        let newer = text.replacen('{', "{\"colour\":{\"deep\":[1,2]},", 1);
        let newer = newer.replace("\"token_type\"", "\"shade\":7,\"token_type\"");
        let newer = newer.replace("\"client_id\"", "\"tint\":\"red\",\"client_id\"");
        let back = Record::decode(newer.as_bytes()).unwrap();
        let again = back.encode();
        let again = core::str::from_utf8(&again).unwrap();
        assert!(again.contains("\"colour\":{\"deep\":[1,2]}"), "{again}");
        assert!(again.contains("\"shade\":7"), "{again}");
        assert!(again.contains("\"tint\":\"red\""), "{again}");
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let text = core::str::from_utf8(&record().encode()).unwrap().to_string();
        let newer = text.replace("\"format\":1", "\"format\":2");
        let unknown = RecordError::UnknownFormat { found: 2, known: 1 };
        assert_eq!(Record::decode(newer.as_bytes()).unwrap_err(), unknown);
        assert_eq!(Record::decode(b"").unwrap_err(), RecordError::Malformed);
        assert_eq!(Record::decode(&text.as_bytes()[..40]).unwrap_err(), RecordError::Malformed);
    }
}
