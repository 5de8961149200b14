//! A credential as it lies in somebody else's file.

use std::time::Duration;

use regrant_core::{Grant, Record, Secret, Timestamp};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::json::map::{JsonField, JsonMap, JsonUnit};
use crate::json::text::{self, Misplaced, Text};

/// Below it a moment is in seconds, from it on in milliseconds: as seconds it is the year 5138,
/// as milliseconds it is 1973, and no token expires in either.
const BORDER: f64 = 1e11;

/// What a file holds, as far as its map says. All of it may be absent.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct JsonCredential {
    /// The access token; never empty.
    pub access_token: Option<Secret>,
    /// The refresh token; never empty.
    pub refresh_token: Option<Secret>,
    /// When the access token expires, by the clock of whoever wrote it.
    pub expires_at: Option<Timestamp>,
    /// The announced lifetime. It counts from a moment that the file does not tell.
    pub expires_in: Option<Duration>,
    /// The scope, with blanks between.
    pub scope: Option<String>,
    /// The type of the access token.
    pub token_type: Option<String>,
}

/// Why a file cannot be read by its map. Nothing of the file is quoted: it holds tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON. Perhaps somebody is writing it.
    #[error("the file is not a JSON text")]
    Malformed,
    /// There is something else at this place: a number for a token, text for a moment.
    #[error("what lies where the map places {0} is of another type: correct the map")]
    Shape(JsonField),
    /// A moment would be thousands of years away, or in the first years of Unix.
    #[error("expires_at is not in the unit that the map says: correct the map")]
    Unit,
}

impl JsonCredential {
    /// What a server would have granted just before `now`; `None` without an access token.
    ///
    /// An expiry that has passed is a lifetime of zero. A lifetime alone says nothing, since
    /// nobody knows how much of it is left.
    pub fn grant(&self, now: Timestamp) -> Option<Grant> {
        let mut grant = Grant::bearer(self.access_token.clone()?);
        if let Some(token_type) = &self.token_type {
            grant.token_type.clone_from(token_type);
        }
        grant.expires_in = self.expires_at.map(|at| at.since(now));
        grant.refresh_token.clone_from(&self.refresh_token);
        grant.scope.clone_from(&self.scope);
        Some(grant)
    }

    /// What an older program is to find of this record.
    pub(crate) fn of(record: &Record) -> Self {
        let there = |secret: &&Secret| !secret.expose().is_empty();
        let slot = record.slot();
        Self {
            access_token: slot.map(|slot| &slot.access_token).filter(there).cloned(),
            refresh_token: record.refresh_token.as_ref().filter(there).cloned(),
            expires_at: record.due_at(),
            expires_in: None,
            scope: slot.and_then(|slot| slot.scope.clone()),
            token_type: slot.map(|slot| slot.token_type.clone()),
        }
    }

    pub(crate) fn has_tokens(&self) -> bool {
        self.access_token.is_some() || self.refresh_token.is_some()
    }
}

impl JsonUnit {
    /// What is written for this moment; `None` if it could not be told from one in another unit.
    pub(crate) fn count(self, at: Timestamp) -> Option<u64> {
        let count = match self {
            Self::Seconds => at.as_millis() / 1_000,
            Self::Milliseconds => at.as_millis(),
        };
        self.contains(count as f64).then_some(count)
    }

    /// The moment of this count; zero and less say nothing.
    fn moment(self, count: f64) -> Result<Option<Timestamp>, JsonError> {
        if count <= 0.0 {
            return Ok(None);
        }
        if !self.contains(count) {
            return Err(JsonError::Unit);
        }
        // The border keeps it far below what a number with a fraction counts exactly.
        let millis = (count * self.millis()).round() as u64;
        Ok(Some(Timestamp::from_millis(millis)))
    }

    fn contains(self, count: f64) -> bool {
        count > 0.0
            && match self {
                Self::Seconds => count < BORDER,
                Self::Milliseconds => (BORDER..BORDER * 1e3).contains(&count),
            }
    }

    fn millis(self) -> f64 {
        match self {
            Self::Seconds => 1e3,
            Self::Milliseconds => 1.0,
        }
    }
}

impl JsonMap {
    /// Reads a file. What is missing, `null` or an empty text is absent.
    ///
    /// # Errors
    ///
    /// Any variant of [`JsonError`].
    pub fn read(&self, bytes: &[u8]) -> Result<JsonCredential, JsonError> {
        let text = str::from_utf8(bytes).map_err(|_| JsonError::Malformed)?;
        if !text::is_whole(text) {
            return Err(JsonError::Malformed);
        }
        let mut found = JsonCredential::default();
        for entry in self.entries() {
            let field = entry.field;
            let misplaced = |Misplaced| JsonError::Shape(field);
            let Some(raw) = text::find(text, &entry.at).map_err(misplaced)? else { continue };
            match field {
                JsonField::AccessToken => found.access_token = string(raw, field)?.map(Secret::new),
                JsonField::RefreshToken => {
                    found.refresh_token = string(raw, field)?.map(Secret::new);
                }
                JsonField::ExpiresAt(unit) => {
                    found.expires_at = unit.moment(value(raw, field)?)?;
                }
                JsonField::ExpiresIn => {
                    let seconds = value(raw, field)?;
                    let lifetime = Duration::try_from_secs_f64(seconds).ok();
                    found.expires_in = lifetime.filter(|lifetime| !lifetime.is_zero());
                }
                JsonField::Scope => found.scope = scope(raw)?,
                JsonField::TokenType => found.token_type = string(raw, field)?,
            }
        }
        Ok(found)
    }

    /// The text with this credential in it: what the credential has not is removed.
    pub(crate) fn write(&self, text: &str, new: &JsonCredential) -> Result<Text, JsonError> {
        let mut text = Zeroizing::new(text.to_owned());
        for entry in self.entries() {
            let field = entry.field;
            let misplaced = |Misplaced| JsonError::Shape(field);
            let value = match field {
                JsonField::AccessToken => {
                    new.access_token.as_ref().map(|token| json(token.expose()))
                }
                JsonField::RefreshToken => {
                    new.refresh_token.as_ref().map(|token| json(token.expose()))
                }
                JsonField::ExpiresAt(unit) => new
                    .expires_at
                    .and_then(|at| unit.count(at))
                    .map(|count| Zeroizing::new(count.to_string())),
                // It stays as it is, unless there is no token any more that it could be about.
                JsonField::ExpiresIn if new.has_tokens() => continue,
                JsonField::ExpiresIn => None,
                JsonField::Scope => new.scope.as_ref().map(|scope| {
                    let found = text::find(&text, &entry.at);
                    match matches!(found, Ok(Some(found)) if found.starts_with('[')) {
                        true => json(&scope.split_ascii_whitespace().collect::<Vec<_>>()),
                        false => json(scope.as_str()),
                    }
                }),
                JsonField::TokenType => new.token_type.as_ref().map(|kind| json(kind.as_str())),
            };
            text = match value {
                Some(value) => text::set(&text, &entry.at, &value).map_err(misplaced)?,
                None => text::remove(&text, &entry.at).map_err(misplaced)?,
            };
        }
        Ok(text)
    }
}

fn value<T: DeserializeOwned>(raw: &str, field: JsonField) -> Result<T, JsonError> {
    // serde_json's own error quotes what it found.
    serde_json::from_str(raw).map_err(|_| JsonError::Shape(field))
}

fn string(raw: &str, field: JsonField) -> Result<Option<String>, JsonError> {
    Ok(Some(value::<String>(raw, field)?).filter(|text| !text.is_empty()))
}

fn scope(raw: &str) -> Result<Option<String>, JsonError> {
    if raw.starts_with('[') {
        let scopes: Vec<String> = value(raw, JsonField::Scope)?;
        return Ok(Some(scopes.join(" ")).filter(|scope| !scope.is_empty()));
    }
    string(raw, JsonField::Scope)
}

/// A value as JSON, in a buffer that does not grow: six bytes are the longest escape.
fn json<T: serde::Serialize + ?Sized + Room>(value: &T) -> Text {
    let mut bytes = Vec::with_capacity(value.room());
    serde_json::to_writer(&mut bytes, value).expect("a text is valid JSON");
    Zeroizing::new(String::from_utf8(bytes).expect("JSON is UTF-8"))
}

/// How long a value can be as JSON.
trait Room {
    fn room(&self) -> usize;
}

impl Room for str {
    fn room(&self) -> usize {
        6 * self.len() + 2
    }
}

impl Room for Vec<&str> {
    fn room(&self) -> usize {
        self.iter().map(|text| text.room() + 1).sum::<usize>() + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> JsonMap {
        JsonMap::parse([
            "access_token=/o/access",
            "refresh_token=/o/refresh",
            "expires_at=/o/expiry",
            "expires_in=/o/lifetime",
            "scope=/o/scope",
            "token_type=/o/type",
        ])
        .unwrap()
    }

    fn expiry(unit: &str, value: &str) -> Result<Option<u64>, JsonError> {
        let map = JsonMap::parse(["access_token=/a", &format!("expires_at=/e:{unit}")]).unwrap();
        let found = map.read(format!("{{\"e\":{value}}}").as_bytes())?;
        Ok(found.expires_at.map(Timestamp::as_millis))
    }

    #[test]
    fn all_that_the_map_names_is_read() {
        let found = map()
            .read(
                br#"{"o":{"access":"A\u0042","refresh":"R","expiry":1700000000,"lifetime":3600,
                "scope":"a b","type":"bearer","other":[]}}"#,
            )
            .unwrap();
        assert_eq!(found.access_token.as_ref().unwrap().expose(), "AB");
        assert_eq!(found.refresh_token.as_ref().unwrap().expose(), "R");
        assert_eq!(found.expires_at, Some(Timestamp::from_millis(1_700_000_000_000)));
        assert_eq!(found.expires_in, Some(Duration::from_secs(3_600)));
        assert_eq!(found.scope.as_deref(), Some("a b"));
        let grant = found.grant(Timestamp::from_millis(1_699_999_990_000)).unwrap();
        assert_eq!(grant.expires_in, Some(Duration::from_secs(10)));
        assert_eq!(grant.token_type, "bearer");
    }

    #[test]
    fn what_is_missing_null_or_empty_is_absent() {
        for text in [
            "{}",
            "null",
            "{\"o\":null}",
            "{\"o\":{}}",
            "{\"o\":{\"access\":\"\",\"refresh\":null,\"expiry\":0,\"lifetime\":0,\"scope\":[]}}",
            "{\"o\":{\"expiry\":-1,\"lifetime\":-1,\"scope\":\"\",\"type\":\"\"}}",
        ] {
            let found = map().read(text.as_bytes()).unwrap();
            assert!(!found.has_tokens(), "{text}");
            assert!(found.expires_at.is_none() && found.expires_in.is_none(), "{text}");
            assert!(found.scope.is_none() && found.token_type.is_none(), "{text}");
            assert!(found.grant(Timestamp::EPOCH).is_none());
        }
    }

    #[test]
    fn a_lifetime_alone_is_no_expiry() {
        let found = map().read(b"{\"o\":{\"access\":\"A\",\"lifetime\":3600}}").unwrap();
        assert_eq!(found.grant(Timestamp::EPOCH).unwrap().expires_in, None);
    }

    #[test]
    fn a_moment_is_read_in_its_unit_and_no_other() {
        let millis = Ok(Some(1_700_000_000_123));
        assert_eq!(expiry("s", "1700000000.123"), millis);
        assert_eq!(expiry("s", "1.700000000123e9"), millis);
        assert_eq!(expiry("ms", "1700000000123"), millis);
        assert_eq!(expiry("ms", "1700000000123.4"), millis);
        for wrong in [("s", "1700000000123"), ("ms", "1700000000"), ("ms", "1.7e15")] {
            assert_eq!(expiry(wrong.0, wrong.1), Err(JsonError::Unit), "{wrong:?}");
        }
        let shape = |unit| Err(JsonError::Shape(JsonField::ExpiresAt(unit)));
        for text in ["\"2025-01-01T00:00:00Z\"", "\"1700000000\"", "true", "[]", "{}"] {
            assert_eq!(expiry("s", text), shape(JsonUnit::Seconds), "{text}");
            assert_eq!(expiry("ms", text), shape(JsonUnit::Milliseconds), "{text}");
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        for unit in [JsonUnit::Seconds, JsonUnit::Milliseconds] {
            let at = Timestamp::from_millis(1_700_000_000_123);
            let count = unit.count(at).unwrap();
            let back = unit.moment(count as f64).unwrap().unwrap();
            assert!(at.since(back) < Duration::from_secs(1) && back <= at, "{unit:?}");
            for strange in [Timestamp::EPOCH, Timestamp::NEVER] {
                assert_eq!(unit.count(strange), None, "{unit:?}");
            }
        }
        assert_eq!(JsonUnit::Milliseconds.count(Timestamp::from_millis(5)), None);
    }

    #[test]
    fn scopes_are_written_in_the_shape_they_were_found_in() {
        let map = JsonMap::parse(["access_token=/a", "scope=/s"]).unwrap();
        let new = JsonCredential {
            access_token: Some(Secret::new("A\"\n".to_owned())),
            scope: Some("x y".to_owned()),
            ..JsonCredential::default()
        };
        for (text, expected) in [
            ("{\"s\":[\"old\"],\"a\":1}", "{\"s\":[\"x\",\"y\"],\"a\":\"A\\\"\\n\"}"),
            ("{\"s\":\"old\",\"a\":1}", "{\"s\":\"x y\",\"a\":\"A\\\"\\n\"}"),
            ("{\"a\":1}", "{\"a\":\"A\\\"\\n\",\"s\":\"x y\"}"),
        ] {
            assert_eq!(map.write(text, &new).unwrap().as_str(), expected);
            assert_eq!(map.read(expected.as_bytes()).unwrap().scope.as_deref(), Some("x y"));
        }
    }

    #[test]
    fn a_logout_removes_what_the_map_names_and_nothing_else() {
        let text = "{\"o\":{\"access\":\"A\",\"keep\":1,\"refresh\":\"R\",\"expiry\":7,\"lifetime\":9,\
                    \"scope\":\"a\",\"type\":\"b\"},\"z\":[]}";
        let left = map().write(text, &JsonCredential::default()).unwrap();
        assert_eq!(left.as_str(), "{\"o\":{\"keep\":1},\"z\":[]}");
    }

    #[test]
    fn errors_quote_nothing_of_the_file() {
        for text in [
            "{\"o\":{\"access\":\"canary",
            "{\"o\":{\"access\":[\"canary\"]}}",
            "{\"o\":\"canary\"}",
            "{\"o\":{\"expiry\":\"canary\"}}",
            "canary",
        ] {
            let error = map().read(text.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{text}");
        }
        assert_eq!(map().read(b"\xff").unwrap_err(), JsonError::Malformed);
        assert_eq!(map().read(b"").unwrap_err(), JsonError::Malformed);
    }
}
