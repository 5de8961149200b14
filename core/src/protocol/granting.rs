//! The grant that an answer holds (RFC 6749 section 5.1), under whatever names.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use super::base64;
use super::members::Members;
use super::profile::{Profile, Unit};
use crate::grant::Grant;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The longest subject that is kept (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;
/// The longest lifetime that is believed, ten years: the rest is arithmetic that overflows.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// From here on a moment is in milliseconds: in seconds it would be in the year 5138.
const MILLISECONDS: f64 = 1e11;
/// How servers name the lifetime of the refresh token: Keycloak, GitHub and LinkedIn, Intuit.
const REFRESH_EXPIRES: [&str; 3] =
    ["refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"];

/// Where a grant lies, and what it is read against.
pub(super) struct Granting<'g, 'a> {
    pub(super) members: &'g Members<'a>,
    pub(super) profile: Option<&'g Profile>,
    /// The answer's own time.
    pub(super) date: Option<Timestamp>,
    /// Whether only a bound token is of use.
    pub(super) dpop_required: bool,
}

impl Granting<'_, '_> {
    /// The grant (RFC 6749 section 5.1), or the rule that forbids to take it for one, and why.
    pub(super) fn read(&self) -> Result<Grant, (&'static str, &'static str)> {
        let members = self.members;
        // VSCHAR (RFC 6749 appendix A.12): whatever else stands in a header would end it.
        let access_token = self.access_token().ok_or(("no_grant", "no_access_token"))?;
        if access_token.expose().trim().is_empty() {
            return Err(("no_grant", "no_access_token"));
        }
        if !access_token.expose().bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(("no_grant", "bad_token_chars"));
        }
        let token_type = match members.text("token_type") {
            None if members.states("token_type") => return Err(("token_type", "bad_token_type")),
            None => "Bearer".to_string(),
            Some(token_type) => self.unaliased(token_type),
        };
        let dpop = token_type.eq_ignore_ascii_case("DPoP");
        if !dpop && !token_type.eq_ignore_ascii_case("Bearer") {
            return Err(("token_type", "unsupported_token_type"));
        }
        if !dpop && self.dpop_required {
            return Err(("token_type", "dpop_downgrade"));
        }
        let scope = members.words("scope").map(|scope| {
            match self.profile.and_then(|profile| profile.scope_separator) {
                Some(separator) => {
                    let apart = |c: char| c == separator || c == ' ';
                    let words = scope.split(apart).filter(|word| !word.is_empty());
                    words.collect::<Vec<_>>().join(" ")
                }
                None => scope,
            }
        });
        Ok(Grant {
            access_token,
            token_type,
            expires_in: self.lifetime(),
            refresh_token: self.refresh_token(),
            refresh_expires_in: REFRESH_EXPIRES
                .iter()
                .find_map(|name| members.number(name))
                .and_then(length),
            scope,
            subject: subject(members),
        })
    }

    /// The access token, fit to be sent or not.
    pub(super) fn access_token(&self) -> Option<Secret> {
        let members = self.members;
        let habits = self.profile.map(|profile| &profile.token);
        let fields = habits.map(|habits| &habits.access_token_fields[..]).unwrap_or_default();
        let named = fields.iter().find_map(|name| members.secret(name));
        named.or_else(|| members.secret("access_token").filter(|_| fields.is_empty()))
    }

    /// A new refresh token. One that no request could carry (RFC 6749 appendix A.17) is none: the old
    /// one stays.
    pub(super) fn refresh_token(&self) -> Option<Secret> {
        let token = self.members.secret("refresh_token")?;
        let trimmed = token.expose().trim();
        let fits = !trimmed.is_empty() && trimmed.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        if fits && trimmed.len() < token.expose().len() {
            return Some(Secret::new(trimmed.to_string()));
        }
        Some(token).filter(|_| fits)
    }

    fn unaliased(&self, token_type: String) -> String {
        let known = self.profile.and_then(|profile| {
            let mut aliases = profile.token.token_type_aliases.iter();
            aliases.find(|(alias, _)| alias.eq_ignore_ascii_case(&token_type))
        });
        known.map_or(token_type, |(_, meant)| meant.clone())
    }

    /// The lifetime. Nonsense is unknown and harms nothing else: a new refresh token may stand
    /// beside it. So is zero, by which some servers mean "for ever".
    fn lifetime(&self) -> Option<Duration> {
        let members = self.members;
        let habits = self.profile.map(|profile| &profile.token);
        let fields = habits.map(|habits| &habits.expires_fields[..]).unwrap_or_default();
        let in_unit = |number: f64| match habits.map(|habits| habits.expires_unit) {
            Some(Unit::Milliseconds) => number / 1000.0,
            Some(Unit::Seconds) | None => number,
        };
        let named =
            fields.iter().find_map(|name| members.number(name).and_then(|n| length(in_unit(n))));
        let usual = || members.number("expires_in").and_then(|n| length(in_unit(n)));
        // Elsewhere `expires` is a moment, which no length comes near.
        let expires = || {
            let number = members.number("expires")?;
            length(number).filter(|_| number <= MAX_LIFETIME.as_secs_f64())
        };
        let moment = || {
            let at = ["expires_at", "expires_on"].iter().find_map(|name| members.number(name))?;
            let at = if at >= MILLISECONDS { at / 1000.0 } else { at };
            length(at - self.date?.as_millis() as f64 / 1000.0)
        };
        let default = || habits?.default_expires_in.map(Duration::from_secs);
        named.or_else(usual).or_else(expires).or_else(moment).or_else(default)
    }
}

/// Whom the grant is for: the `sub` of the ID token, else a `sub` of the answer itself. The ID
/// token's signature is not checked, because it came straight from the token endpoint (OpenID
/// Connect Core section 3.1.3.7).
fn subject(members: &Members<'_>) -> Option<String> {
    let from_id_token = || {
        let id_token = members.secret("id_token")?;
        let payload = base64::decode(id_token.expose().split('.').nth(1)?)?;
        Members::json(&payload)?.text("sub")
    };
    from_id_token().or_else(|| members.text("sub")).filter(|sub| sub.len() <= MAX_SUBJECT)
}

/// A number of seconds, rounded down; none below one.
fn length(seconds: f64) -> Option<Duration> {
    // A cast from a float saturates.
    (seconds >= 1.0).then(|| Duration::from_secs(seconds as u64).min(MAX_LIFETIME))
}
