//! How a record becomes bytes, and back.

use alloc::vec::Vec;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Record;

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
        // A record has text keys and finite numbers only, so this cannot fail.
        Zeroizing::new(serde_json::to_vec(self).expect("a record is always valid JSON"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::grant::Grant;
    use crate::id::Id;
    use crate::record::{Login, StateKind};
    use crate::secret::Secret;
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

    #[test]
    fn fields_of_other_versions_are_kept() {
        let text = core::str::from_utf8(&record().encode()).unwrap().to_string();
        let newer = text.replacen('{', "{\"colour\":{\"deep\":[1,2]},", 1);
        let newer = newer.replace("\"token_type\"", "\"shade\":7,\"token_type\"");
        let back = Record::decode(newer.as_bytes()).unwrap();
        let again = back.encode();
        let again = core::str::from_utf8(&again).unwrap();
        assert!(again.contains("\"colour\":{\"deep\":[1,2]}"), "{again}");
        assert!(again.contains("\"shade\":7"), "{again}");
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
