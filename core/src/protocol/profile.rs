//! What a provider does in its own way, as data: rules before the default ones, and the members of
//! its answers under other names.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use serde::Deserialize;

use super::class::Class;
use super::rule::When;
use crate::grant::{RefusalKind, Strength};
use crate::server::Rotation;

/// The longest profile that is read: 64 KiB, ten times the longest built-in one. It is kept in the
/// record of its credential.
const MAX_PROFILE: usize = 64 << 10;

/// What a provider does in its own way. Written as JSON; the schema is in `docs/profiles.md`, and
/// every built-in profile is an example of it.
///
/// A profile is chosen by configuration, never by what an answer looks like: its name, or its
/// whole text, stands in [`Client::profile`](crate::Client).
///
/// ```
/// use regrant_core::protocol::Profile;
///
/// let slack = Profile::of("slack")?;
/// assert_eq!(slack.name(), "slack");
///
/// let own = Profile::of(
///     r#"{"name":"own","api":[{"name":"gone","class":"TokenRejected",
///         "when":{"status":[498],"json":[{"path":"/code","eq":"TOKEN_GONE"}]}}]}"#,
/// )?;
/// assert!(own.has_api_rules() && !own.has_token_rules());
/// # Ok::<(), regrant_core::protocol::ProfileError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    rotation: Rotation,
    #[serde(default)]
    revokes: Option<Radius>,
    #[serde(default)]
    fresh_token_lag_ms: u64,
    #[serde(default)]
    pub(super) scope_separator: Option<char>,
    #[serde(default)]
    pub(super) request: RequestHabits,
    #[serde(default)]
    pub(super) api: Vec<ApiRule>,
    #[serde(default)]
    pub(super) token: TokenHabits,
}

/// What ends when a token is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Radius {
    Token,
    Grant,
    User,
}

/// What the token endpoint wants to be asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RequestHabits {
    /// Whether a refresh names the scope.
    pub(super) scope: bool,
    /// Further parameters of every token request.
    pub(super) extra: BTreeMap<String, String>,
}

/// A rule for answers of the provider's APIs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiRule {
    pub(super) name: String,
    pub(super) when: When,
    pub(super) class: Class,
    #[serde(default)]
    pub(super) strength: Option<Strength>,
    #[serde(default)]
    pub(super) scope: Option<ScopeAt>,
}

/// Where an answer says which scope is missing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeAt {
    /// At a pointer into the body.
    Path(String),
    /// In the challenge.
    Challenge,
    /// In the body, between two texts.
    Between(String, String),
    /// In the body, the word after a text.
    After(String),
}

/// What the token endpoint answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokenHabits {
    pub(super) rules: Vec<TokenRule>,
    /// The member whose object holds the grant.
    pub(super) root: Option<String>,
    /// The members that can hold the access token, the first one that does counts.
    pub(super) access_token_fields: Vec<String>,
    /// Other names of token types.
    pub(super) token_type_aliases: BTreeMap<String, String>,
    /// The members that can hold the lifetime.
    pub(super) expires_fields: Vec<String>,
    pub(super) expires_unit: Unit,
    /// The lifetime in seconds of a token whose answer states none.
    pub(super) default_expires_in: Option<u64>,
}

/// What a lifetime is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Unit {
    #[default]
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

/// A rule for answers of the token endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRule {
    pub(super) name: String,
    pub(super) when: When,
    pub(super) class: TokenClass,
    /// What is to be known of the refusal: a word, or where the answer has it.
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) reason_at: Option<String>,
    /// What `NeedsLogin` means for the refresh token.
    #[serde(default)]
    pub(super) refusal: Option<RefusalKind>,
}

/// What an answer of the token endpoint can be ruled to be. What a grant is stays with the
/// default rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum TokenClass {
    /// Not now.
    Transient,
    /// Not now, because there were too many requests.
    RateLimited,
    /// The refresh token is refused.
    NeedsLogin,
    /// The client is misconfigured.
    ClientMisconfigured,
    /// An error that says nothing about the refresh token.
    Malformed,
}

/// What serde says, without the values that it quotes: somebody may have given a file of tokens by
/// mistake. The name of a member that nobody knows is told if it looks like one.
fn in_our_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let quotes = ["invalid ", "unknown "].iter().any(|begin| text.starts_with(begin));
    let Some((what, expected)) = text.rsplit_once(", expected ").filter(|_| quotes) else {
        return text;
    };
    let name = what.strip_prefix("unknown field `").and_then(|rest| rest.strip_suffix('`'));
    let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match name.filter(is_plain) {
        Some(_) => text,
        None => alloc::format!("expected {expected}"),
    }
}

/// Why a text is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No built-in profile has this name.
    #[error("there is no built-in profile of this name")]
    Unknown,
    /// The text is not JSON of the schema.
    #[error("the profile is not JSON of the schema: {what}")]
    Schema {
        /// What is wrong, and where.
        what: String,
    },
    /// A rule says what no rule may say.
    #[error("the rule {rule} is not allowed: {why}")]
    Rule {
        /// The rule's name.
        rule: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The profile is longer than 64 KiB.
    #[error("the profile is longer than 64 KiB")]
    TooLong,
}

impl Profile {
    /// The built-in profile of this name; or, of a text that begins with a brace, the profile that
    /// it is.
    ///
    /// # Errors
    ///
    /// [`ProfileError`].
    pub fn of(name_or_text: &str) -> Result<Self, ProfileError> {
        let own = name_or_text.trim_start().starts_with('{');
        let text = if own { Some(name_or_text) } else { Self::text(name_or_text) };
        let text = text.ok_or(ProfileError::Unknown)?;
        if text.len() > MAX_PROFILE {
            return Err(ProfileError::TooLong);
        }
        let profile: Self = serde_json::from_str(text)
            .map_err(|error| ProfileError::Schema { what: in_our_words(&error) })?;
        profile.check()?;
        Ok(profile)
    }

    /// The names of the built-in profiles, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The text of a built-in profile.
    pub fn text(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(built_in, _)| *built_in == name).map(|(_, text)| *text)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom it is for, in words.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What the authorization server does with refresh tokens.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// Whether revoking a token ends that token alone: [`None`] where nobody knows.
    pub fn revokes_token_alone(&self) -> Option<bool> {
        self.revokes.map(|radius| radius == Radius::Token)
    }

    /// For how long the provider's APIs may reject a token that was just issued; zero where they
    /// do not.
    pub fn fresh_token_lag(&self) -> Duration {
        // A minute is far more than was ever seen; a request waits for it.
        Duration::from_millis(self.fresh_token_lag_ms.min(60_000))
    }

    /// Whether it says anything about answers of APIs.
    pub fn has_api_rules(&self) -> bool {
        !self.api.is_empty()
    }

    /// Whether it says anything about answers of the token endpoint.
    pub fn has_token_rules(&self) -> bool {
        let habits = &self.token;
        !habits.rules.is_empty()
            || habits.root.is_some()
            || !habits.access_token_fields.is_empty()
            || !habits.token_type_aliases.is_empty()
            || !habits.expires_fields.is_empty()
            || habits.expires_unit != Unit::Seconds
            || habits.default_expires_in.is_some()
            || self.scope_separator.is_some()
    }

    /// The names of its rules, those for APIs first.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        let api = self.api.iter().map(|rule| rule.name.as_str());
        api.chain(self.token.rules.iter().map(|rule| rule.name.as_str()))
    }

    /// Whether an API's answer of this status can only be understood with its body.
    pub fn reads_body(&self, status: u16) -> bool {
        self.api.iter().any(|rule| {
            let when = &rule.when;
            when.reads_body() && (when.status.is_empty() || when.status.contains(&status))
        })
    }

    /// What serde cannot check.
    fn check(&self) -> Result<(), ProfileError> {
        let refuse = |rule: &str, why| Err(ProfileError::Rule { rule: rule.to_owned(), why });
        let mut names: Vec<&str> = Vec::new();
        let api =
            self.api.iter().map(|rule| (&rule.name, &rule.when, rule.class == Class::Revoked));
        let token = self
            .token
            .rules
            .iter()
            .map(|rule| (&rule.name, &rule.when, rule.class == TokenClass::NeedsLogin));
        if let Some(rule) = self.api.iter().find(|rule| rule.class == Class::DpopNonce) {
            return refuse(&rule.name, "a nonce is wanted by RFC 9449, not by a rule");
        }
        for (name, when, ends_the_login) in api.chain(token) {
            if names.contains(&name.as_str()) {
                return refuse(name, "another rule has this name");
            }
            names.push(name);
            if let Some(why) = when.fault() {
                return refuse(name, why);
            }
            // Statuses are what proxies change, and a login is too dear for a guess.
            if ends_the_login && !when.names_a_text() {
                return refuse(name, "a login is ended by a code or a phrase, not by a status");
            }
        }
        if self.name.is_empty() {
            return refuse("", "a profile has a name");
        }
        Ok(())
    }
}

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        /// The built-in profiles, by name.
        const BUILT_IN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../profiles/", $name, ".json")))),+];
    };
}

built_in!(
    "anthropic",
    "atlassian",
    "aws",
    "bluesky",
    "cognito",
    "docker",
    "dropbox",
    "ebay",
    "facebook",
    "fitbit",
    "github",
    "gitlab",
    "google",
    "graphql",
    "hubspot",
    "linkedin",
    "matrix",
    "microsoft",
    "millis",
    "notion",
    "openai",
    "ory",
    "salesforce",
    "shopify",
    "slack",
    "slack_user",
    "spotify",
    "strava",
    "twitch",
    "wechat",
    "x",
    "xero",
    "zoho",
    "zoom",
);
