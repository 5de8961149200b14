//! What regrant knows of a credential and older programs do not: notes, in a file of their own
//! beside theirs. There is no token in them.

use regrant_core::{Id, Record, RecordError, Secret};
use regrant_storage::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::tokens::Tokens;
use crate::save;

const FORMAT: u32 = 1;

/// How many tokens that were replaced are remembered: as many as a record remembers incarnations.
const REPLACED: usize = 8;

/// The content of the notes.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    /// Whose credential it is: one file holds one.
    pub(crate) account: String,
    salt: Id,
    /// Rises with every save.
    pub(crate) revision: u64,
    /// What was last known to be in the file; `None` if nothing was.
    pub(crate) saved: Option<Entry>,
    /// What was then on its way into the file. Whether it arrived, the tokens there tell.
    pub(crate) next: Option<Entry>,
    /// Tokens that were in the file before, newest last.
    replaced: Vec<Replaced>,
}

/// A record without its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Random for every save, so that no two have one version.
    pub(crate) save: Id,
    /// Which tokens it belongs to; `None` for none.
    pub(crate) tokens: Option<Id>,
    pub(crate) record: Record,
}

/// Tokens that a later save took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced {
    tokens: Id,
    pub(crate) incarnation: Id,
    pub(crate) generation: u64,
}

impl Notes {
    /// The notes of a file that regrant has not written yet.
    pub(crate) fn new(account: &str) -> Result<Self, StoreError> {
        Ok(Self {
            account: account.to_owned(),
            salt: Id(save::random()?),
            revision: 0,
            saved: None,
            next: None,
            replaced: Vec::new(),
        })
    }

    /// The newest record in here.
    pub(crate) fn latest(&self) -> Option<&Record> {
        self.next.as_ref().or(self.saved.as_ref()).map(|entry| &entry.record)
    }

    /// The entry that belongs to these tokens.
    pub(crate) fn entry(&self, tokens: &Tokens) -> Option<&Entry> {
        let mark = tokens.mark(self.salt);
        [&self.next, &self.saved].into_iter().flatten().find(|entry| entry.tokens == mark)
    }

    /// Whose these tokens were, if they are older ones.
    pub(crate) fn replaced(&self, tokens: &Tokens) -> Option<Replaced> {
        let mark = tokens.mark(self.salt)?;
        self.replaced.iter().rfind(|replaced| replaced.tokens == mark).copied()
    }

    /// The entry of a record as it shall be saved.
    pub(crate) fn new_entry(&self, record: &Record) -> Result<Entry, StoreError> {
        let tokens = Tokens::of_record(record).mark(self.salt);
        Ok(Entry { save: Id(save::random()?), tokens, record: bare(record) })
    }

    /// The notes of the next save. What they held before and hold no more is remembered as
    /// replaced.
    #[must_use]
    pub(crate) fn then(&self, saved: Option<Entry>, next: Option<Entry>) -> Self {
        let mut notes =
            Self { revision: self.revision.saturating_add(1), saved, next, ..self.clone() };
        for old in [&self.saved, &self.next].into_iter().flatten() {
            let Some(tokens) = old.tokens else { continue };
            let Record { incarnation, generation, .. } = old.record;
            notes.replaced.retain(|replaced| replaced.tokens != tokens);
            notes.replaced.push(Replaced { tokens, incarnation, generation });
        }
        let held = [&notes.saved, &notes.next].map(|entry| entry.as_ref().and_then(|e| e.tokens));
        notes.replaced.retain(|replaced| !held.contains(&Some(replaced.tokens)));
        let excess = notes.replaced.len().saturating_sub(REPLACED);
        notes.replaced.drain(..excess);
        notes
    }

    /// These notes again, after a save that was not done had `written` its own. Never the same
    /// bytes: who reads meanwhile sees by them whether anything changed.
    #[must_use]
    pub(crate) fn again(self, written: &Self) -> Self {
        Self { revision: written.revision.saturating_add(1), ..self }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let written = Written {
            format: FORMAT,
            account: self.account.clone(),
            salt: self.salt,
            revision: self.revision,
            saved: self.saved.as_ref().map(WrittenEntry::of),
            next: self.next.as_ref().map(WrittenEntry::of),
            replaced: self.replaced.clone(),
        };
        serde_json::to_vec(&written).expect("notes are valid JSON")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Undecoded> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let header: Header = serde_json::from_slice(bytes).map_err(|_| Undecoded::Damaged)?;
        if header.format > FORMAT {
            return Err(Undecoded::UnknownFormat);
        }
        let written: Written = serde_json::from_slice(bytes).map_err(|_| Undecoded::Damaged)?;
        let Written { account, salt, revision, saved, next, replaced, .. } = written;
        let entry = |entry: Option<WrittenEntry>| entry.map(WrittenEntry::entry).transpose();
        Ok(Self { account, salt, revision, saved: entry(saved)?, next: entry(next)?, replaced })
    }
}

/// Why bytes are no notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecoded {
    Damaged,
    UnknownFormat,
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    account: String,
    salt: Id,
    revision: u64,
    saved: Option<WrittenEntry>,
    next: Option<WrittenEntry>,
    replaced: Vec<Replaced>,
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    save: Id,
    tokens: Option<Id>,
    /// As [`Record::encode`] writes it, which has a format of its own.
    record: Box<RawValue>,
}

impl WrittenEntry {
    fn of(entry: &Entry) -> Self {
        let record = String::from_utf8(entry.record.encode().to_vec()).expect("JSON is UTF-8");
        let record = RawValue::from_string(record).expect("a record is valid JSON");
        Self { save: entry.save, tokens: entry.tokens, record }
    }

    fn entry(self) -> Result<Entry, Undecoded> {
        let record = Record::decode(self.record.get().as_bytes()).map_err(|error| match error {
            RecordError::UnknownFormat { .. } => Undecoded::UnknownFormat,
            // The enum may grow; what is no record of a newer format is damage.
            _ => Undecoded::Damaged,
        })?;
        Ok(Entry { save: self.save, tokens: self.tokens, record })
    }
}

/// The record without a secret.
fn bare(record: &Record) -> Record {
    let mut bare = record.clone();
    bare.refresh_token = None;
    bare.client.client_secret = None;
    // This release fills slot 0, and the file has room for one access token.
    bare.slots.retain(|slot, _| *slot == 0);
    for slot in bare.slots.values_mut() {
        slot.access_token = Secret::new(String::new());
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;
    use regrant_core::{Client, Grant, Login, Timestamp};

    fn record(generation: u64) -> Record {
        let mut grant = Grant::bearer(Secret::new(format!("canary access {generation}")));
        grant.refresh_token = Some(Secret::new("canary refresh".to_owned()));
        let mut client = Client::new("https://as.example/token", "client");
        client.client_secret = Some(Secret::new("canary secret".to_owned()));
        let login = Login {
            incarnation: Id([7; 16]),
            client,
            origins: Vec::new(),
            grant,
            obtained_at: Timestamp::EPOCH,
        };
        let mut record = Record::login(&login, None);
        record.generation = generation;
        record.unknown.insert("of a newer version".to_owned(), true.into());
        record
    }

    #[test]
    fn notes_hold_no_secret_and_know_their_tokens() {
        let notes = Notes::new("a").unwrap();
        let entry = notes.new_entry(&record(1)).unwrap();
        let notes = notes.then(None, Some(entry));
        let bytes = notes.encode();
        assert!(!str::from_utf8(&bytes).unwrap().contains("canary"));
        let back = Notes::decode(&bytes).unwrap();
        assert_eq!(back.encode(), bytes);
        let found = back.entry(&Tokens::of_record(&record(1))).unwrap();
        assert_eq!(found.record.unknown.len(), 1);
        assert!(back.entry(&Tokens::of_record(&record(2))).is_none());
    }

    /// Notes of the first release: what was once saved must be read for ever.
    #[test]
    fn notes_of_format_1_are_what_they_always_were() {
        let text = concat!(
            r#"{"format":1,"account":"a","salt":"01010101010101010101010101010101","revision":7,"#,
            r#""saved":{"save":"02020202020202020202020202020202","#,
            r#""tokens":"b58ac8aa39664a86f8d57a77c79618e1","record":{"format":1,"#,
            r#""incarnation":"07070707070707070707070707070707","generation":3,"#,
            r#""client":{"token_endpoint":"https://as.example/token","client_id":"client","#,
            r#""authentication":"none"},"origins":[],"slots":{"0":{"access_token":"","#,
            r#""token_type":"Bearer","generation":3,"obtained_at":0,"access":"trusted"}},"#,
            r#""refresh":"usable","budget":0}},"next":null,"replaced":[{"#,
            r#""tokens":"03030303030303030303030303030303","#,
            r#""incarnation":"07070707070707070707070707070707","generation":2}]}"#,
        );
        let notes = Notes::decode(text.as_bytes()).unwrap();
        assert_eq!(str::from_utf8(&notes.encode()).unwrap(), text);
        assert!(notes.entry(&Tokens::of_record(&record(3))).is_some());
    }

    #[test]
    fn the_last_eight_tokens_are_remembered_and_those_held_are_not_old() {
        let mut notes = Notes::new("a").unwrap();
        for generation in 1..=12 {
            let entry = notes.new_entry(&record(generation)).unwrap();
            notes = notes.then(notes.next.clone(), Some(entry));
        }
        // Twelve and eleven are held, and ten to three are old.
        for generation in 1..=12 {
            let tokens = Tokens::of_record(&record(generation));
            let replaced = notes.replaced(&tokens).map(|replaced| replaced.generation);
            let is_old = (3..=10).contains(&generation);
            assert_eq!(replaced, is_old.then_some(generation));
            assert_eq!(notes.entry(&tokens).is_some(), generation > 10);
        }
    }

    #[test]
    fn notes_that_come_back_are_not_the_same_bytes() {
        let before = Notes::new("a").unwrap();
        let before = before.then(Some(before.new_entry(&record(1)).unwrap()), None);
        let entry = before.new_entry(&record(2)).unwrap();
        let both = before.then(before.saved.clone(), Some(entry));
        let again = before.clone().again(&both);
        assert_ne!(again.encode(), before.encode());
        assert_eq!(again.latest().unwrap().generation, 1);
        assert!(again.entry(&Tokens::of_record(&record(2))).is_none());
    }

    #[test]
    fn newer_notes_and_newer_records_are_told_from_damage() {
        let notes = Notes::new("a").unwrap();
        let notes = notes.then(Some(notes.new_entry(&record(1)).unwrap()), None);
        let text = String::from_utf8(notes.encode()).unwrap();
        let newer = text.replacen("\"format\":1", "\"format\":2", 1);
        assert_eq!(Notes::decode(newer.as_bytes()).unwrap_err(), Undecoded::UnknownFormat);
        let (head, record) = text.split_once("\"record\"").unwrap();
        let newer =
            format!("{head}\"record\"{}", record.replacen("\"format\":1", "\"format\":2", 1));
        assert_eq!(Notes::decode(newer.as_bytes()).unwrap_err(), Undecoded::UnknownFormat);
        for end in 0..text.len() {
            let error = Notes::decode(&text.as_bytes()[..end]).unwrap_err();
            assert_eq!(error, Undecoded::Damaged, "{end}");
        }
    }
}
