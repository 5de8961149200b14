//! Which member of somebody else's file is what.

use std::fmt;
use std::str::FromStr;

use crate::json::pointer::JsonPointer;

/// What a member of the file is to regrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonField {
    /// The access token, a string.
    AccessToken,
    /// The refresh token, a string.
    RefreshToken,
    /// When the access token expires, a number since the Unix epoch in this unit.
    ExpiresAt(JsonUnit),
    /// The announced lifetime in seconds. It is read, and never written: the file does not say
    /// from when on it counts.
    ExpiresIn,
    /// The scope: a string with blanks between, or an array of strings. It is written as it was
    /// found.
    Scope,
    /// The type of the access token, a string.
    TokenType,
}

/// What a moment is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JsonUnit {
    /// Seconds, a fraction included.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

impl JsonField {
    /// Its name in the text form, without the unit.
    const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
            Self::ExpiresAt(_) => "expires_at",
            Self::ExpiresIn => "expires_in",
            Self::Scope => "scope",
            Self::TokenType => "token_type",
        }
    }
}

impl fmt::Display for JsonField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One line of a map: a field, and where it lies.
///
/// Its text is `field=pointer`: `access_token=/token`, `expires_at=/expiry:ms`. The unit of
/// `expires_at` is `:s` or `:ms`, and seconds where none stands; a pointer with a colon in it is
/// followed by its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonEntry {
    /// What it is.
    pub field: JsonField,
    /// Where it lies.
    pub at: JsonPointer,
}

impl FromStr for JsonEntry {
    type Err = JsonMapError;

    fn from_str(text: &str) -> Result<Self, JsonMapError> {
        let (name, at) = text.split_once('=').ok_or(JsonMapError::Entry)?;
        let (field, at) = match name {
            "access_token" => (JsonField::AccessToken, at),
            "refresh_token" => (JsonField::RefreshToken, at),
            "expires_at" => {
                let (at, unit) = match at.rsplit_once(':') {
                    None => (at, JsonUnit::default()),
                    Some((at, "s")) => (at, JsonUnit::Seconds),
                    Some((at, "ms")) => (at, JsonUnit::Milliseconds),
                    Some(_) => return Err(JsonMapError::Unit),
                };
                (JsonField::ExpiresAt(unit), at)
            }
            "expires_in" => (JsonField::ExpiresIn, at),
            "scope" => (JsonField::Scope, at),
            "token_type" => (JsonField::TokenType, at),
            _ => return Err(JsonMapError::UnknownField),
        };
        Ok(Self { field, at: at.parse()? })
    }
}

impl fmt::Display for JsonEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.field {
            JsonField::ExpiresAt(JsonUnit::Seconds) => ":s",
            JsonField::ExpiresAt(JsonUnit::Milliseconds) => ":ms",
            JsonField::AccessToken
            | JsonField::RefreshToken
            | JsonField::ExpiresIn
            | JsonField::Scope
            | JsonField::TokenType => "",
        };
        write!(f, "{}={}{unit}", self.field, self.at)
    }
}

/// Where the parts of a credential lie in somebody else's JSON file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonMap {
    /// Each field at most once, in the order given.
    entries: Vec<JsonEntry>,
}

impl JsonMap {
    /// The map of these entries.
    ///
    /// # Errors
    ///
    /// [`JsonMapError::FieldTwice`], [`JsonMapError::SamePlace`] or
    /// [`JsonMapError::NoAccessToken`].
    pub fn new(entries: impl IntoIterator<Item = JsonEntry>) -> Result<Self, JsonMapError> {
        let mut map = Self { entries: Vec::new() };
        for entry in entries {
            for earlier in &map.entries {
                if earlier.field.name() == entry.field.name() {
                    return Err(JsonMapError::FieldTwice(entry.field));
                }
                if earlier.at.overlaps(&entry.at) {
                    return Err(JsonMapError::SamePlace(earlier.field, entry.field));
                }
            }
            map.entries.push(entry);
        }
        if map.place(JsonField::AccessToken).is_none() {
            return Err(JsonMapError::NoAccessToken);
        }
        Ok(map)
    }

    /// The map of these entries in their text form, as a command line has them.
    ///
    /// ```
    /// use regrant_storage_file::{JsonMap, JsonMapError};
    ///
    /// # fn main() -> Result<(), JsonMapError> {
    /// let map = JsonMap::parse([
    ///     "access_token=/claudeAiOauth/accessToken",
    ///     "refresh_token=/claudeAiOauth/refreshToken",
    ///     "expires_at=/claudeAiOauth/expiresAt:ms",
    ///     "scope=/claudeAiOauth/scopes",
    /// ])?;
    /// let found = map.read(
    ///     br#"{ "claudeAiOauth": { "accessToken": "A", "expiresAt": 1700000000000, "scopes": ["a", "b"] } }"#,
    /// ).expect("it is such a file");
    /// assert_eq!(found.access_token.expect("it is there").expose(), "A");
    /// assert_eq!(found.expires_at.expect("it is there").as_millis(), 1_700_000_000_000);
    /// assert_eq!(found.scope.as_deref(), Some("a b"));
    /// assert!(found.refresh_token.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any variant of [`JsonMapError`].
    pub fn parse(entries: impl IntoIterator<Item: AsRef<str>>) -> Result<Self, JsonMapError> {
        let entries = entries.into_iter().map(|entry| entry.as_ref().parse());
        Self::new(entries.collect::<Result<Vec<_>, _>>()?)
    }

    /// Its entries, in the order they were given in.
    pub fn entries(&self) -> &[JsonEntry] {
        &self.entries
    }

    /// Where this field lies. The unit of `field` does not count.
    pub(crate) fn place(&self, field: JsonField) -> Option<&JsonPointer> {
        self.entries.iter().find(|entry| entry.field.name() == field.name()).map(|entry| &entry.at)
    }

    /// What the file counts its expiry in, if it has one.
    pub(crate) fn unit(&self) -> Option<JsonUnit> {
        self.entries.iter().find_map(|entry| match entry.field {
            JsonField::ExpiresAt(unit) => Some(unit),
            JsonField::AccessToken
            | JsonField::RefreshToken
            | JsonField::ExpiresIn
            | JsonField::Scope
            | JsonField::TokenType => None,
        })
    }
}

/// Why something is no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonMapError {
    /// There is no `=`.
    #[error("an entry of the map is written field=pointer, as in access_token=/token")]
    Entry,
    /// A field that no credential has.
    #[error(
        "the map knows access_token, refresh_token, expires_at, expires_in, scope and token_type"
    )]
    UnknownField,
    /// It is not a pointer of RFC 6901, or it means the whole file.
    #[error("a member's place is a JSON Pointer, as in /tokens/access")]
    Pointer,
    /// The unit is neither `s` nor `ms`.
    #[error("the unit after the last colon of expires_at is s or ms")]
    Unit,
    /// It has no entry for the access token.
    #[error("the map does not say where the access token lies: add access_token=")]
    NoAccessToken,
    /// One field lies at two places.
    #[error("the map gives {0} two places")]
    FieldTwice(JsonField),
    /// Two fields lie at one place, or one within the other.
    #[error("the map gives {0} and {1} the same place, or one within the other")]
    SamePlace(JsonField, JsonField),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_is_written() {
        for text in [
            "access_token=/a",
            "refresh_token=/a=b/c",
            "expires_at=/x:s",
            "expires_at=/x:ms:ms",
            "expires_in=/a:b",
            "scope=/~1",
            "token_type=/日本",
        ] {
            assert_eq!(text.parse::<JsonEntry>().unwrap().to_string(), text);
        }
        let seconds = "expires_at=/x".parse::<JsonEntry>().unwrap();
        assert_eq!(seconds.field, JsonField::ExpiresAt(JsonUnit::Seconds));
    }

    #[test]
    fn a_bad_map_is_refused_by_name() {
        use JsonField::{AccessToken, ExpiresAt, RefreshToken};
        let units = [JsonUnit::Seconds, JsonUnit::Milliseconds].map(ExpiresAt);
        for (entries, error) in [
            (&["access_token"][..], JsonMapError::Entry),
            (&["id_token=/a"], JsonMapError::UnknownField),
            (&["Access_Token=/a"], JsonMapError::UnknownField),
            (&["access_token=a"], JsonMapError::Pointer),
            (&["access_token="], JsonMapError::Pointer),
            (&["expires_at=/a:h"], JsonMapError::Unit),
            (&["expires_at=/a:"], JsonMapError::Unit),
            (&[], JsonMapError::NoAccessToken),
            (&["refresh_token=/a"], JsonMapError::NoAccessToken),
            (&["access_token=/a", "access_token=/b"], JsonMapError::FieldTwice(AccessToken)),
            (&["expires_at=/a", "expires_at=/b:ms"], JsonMapError::FieldTwice(units[1])),
            (
                &["access_token=/a", "refresh_token=/a"],
                JsonMapError::SamePlace(AccessToken, RefreshToken),
            ),
            (
                &["expires_at=/a/b", "access_token=/a"],
                JsonMapError::SamePlace(units[0], AccessToken),
            ),
        ] {
            assert_eq!(JsonMap::parse(entries), Err(error), "{entries:?}");
        }
    }
}
