//! `status`: what the store says, without a session and without the network.

use std::borrow::Cow;

use regrant::{LoginReason, StateKind, Timestamp, TokenStore as _};
use regrant_core::{Access, Record, Refresh};
use regrant_storage::KeySource;
use serde_json::{Value, json};

use super::Context;
use crate::error::Failure;
use crate::explain;
use crate::profile;
use crate::store::Store;
use crate::time;

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let store = context.store_unasked().await?;
    let now = time::now();
    let record = store.load(&context.global.account).await?;
    let mut report = Report::of(record.as_ref(), now);
    if let Some(record) = &record {
        report.fingerprints(record, &store).await?;
    }
    let account = &context.global.account;
    let prose = report.to_prose(account, &store, now);
    context.output.answer(prose.trim_end(), &report.to_json(account, &store))?;
    Ok(())
}

/// What there is to say about a record.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    record: Option<&'a Record>,
    state: StateKind,
    reason: Option<&'static str>,
    login_reason: Option<LoginReason>,
    server_code: Option<&'a str>,
    since: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    fingerprint: Option<String>,
    refresh_fingerprint: Option<String>,
}

impl<'a> Report<'a> {
    pub(crate) fn of(record: Option<&'a Record>, now: Timestamp) -> Self {
        let mut report = Self {
            record,
            state: record.map_or(StateKind::NeedsLogin, Record::state),
            reason: None,
            login_reason: None,
            server_code: None,
            since: None,
            expires_at: None,
            retry_at: None,
            fingerprint: None,
            refresh_fingerprint: None,
        };
        let Some(record) = record else {
            report.because_of(LoginReason::NotLoggedIn);
            return report;
        };
        if let Some(cool_down) = &record.cool_down
            && cool_down.until > now
        {
            report.reason = Some(cool_down.cause.as_str());
            report.server_code = cool_down.code.as_deref();
            report.retry_at = Some(cool_down.until);
        }
        report.expires_at = record.slot().and_then(|slot| slot.expires_at(now));
        let granted_at = record.slot().map(|slot| slot.obtained_at);
        report.since = match report.state {
            StateKind::Valid | StateKind::Retrying => granted_at,
            StateKind::Refreshing => record.attempt.as_ref().map(|intent| intent.at),
            // When the rejection came is not noted, only that it did.
            StateKind::ServerRejected | StateKind::NeedsLogin => None,
        };
        match &record.refresh {
            Refresh::Dead { reason, code, at } => {
                report.because_of(*reason);
                report.server_code = code.as_deref();
                report.retry_at = None;
                if report.state == StateKind::NeedsLogin {
                    report.since = Some(*at);
                }
            }
            Refresh::Absent if report.state == StateKind::NeedsLogin => {
                report.because_of(LoginReason::NoRefreshToken);
            }
            Refresh::Absent | Refresh::Usable | Refresh::InDoubt { .. } => {}
        }
        report
    }

    fn because_of(&mut self, reason: LoginReason) {
        self.reason = Some(reason.as_str());
        self.login_reason = Some(reason);
    }

    pub(crate) fn state(&self) -> StateKind {
        self.state
    }

    /// Why a login is needed, or will be once the access token ends.
    pub(crate) fn login_reason(&self) -> Option<LoginReason> {
        self.login_reason
    }

    /// What the authorization server called it.
    pub(crate) fn server_code(&self) -> Option<String> {
        self.server_code.map(str::to_owned)
    }

    async fn fingerprints(&mut self, record: &Record, store: &Store) -> Result<(), Failure> {
        let access = record.slot().map(|slot| &slot.access_token);
        if access.is_none() && record.refresh_token.is_none() {
            // A tombstone may have been left without the key.
            return Ok(());
        }
        let fingerprinter = store.vault().fingerprinter().await?;
        self.fingerprint = access.map(|token| fingerprinter.fingerprint(token));
        let refresh = record.refresh_token.as_ref();
        self.refresh_fingerprint = refresh.map(|token| fingerprinter.fingerprint(token));
        Ok(())
    }

    fn refresh(&self) -> &'static str {
        match self.record.map(|record| &record.refresh) {
            None | Some(Refresh::Absent) => "absent",
            Some(Refresh::Usable) => "usable",
            Some(Refresh::InDoubt { .. }) => "in_doubt",
            Some(Refresh::Dead { reason: LoginReason::LoggedOut, .. }) => "absent",
            Some(Refresh::Dead { .. }) => "dead",
        }
    }

    fn scope(&self) -> Option<&str> {
        self.record?.slot()?.scope.as_deref()
    }

    fn to_json(&self, account: &str, store: &Store) -> Value {
        let record = self.record;
        let client = record.filter(|record| !record.is_logged_out()).map(|record| &record.client);
        json!({
            "account": account,
            "state": self.state.to_string(),
            "reason": self.reason,
            "server_code": self.server_code,
            "since": time::json(self.since),
            "generation": record.map_or(0, |record| record.generation),
            "expires_at": time::json(self.expires_at),
            "scope": self.scope(),
            "has_refresh_token": record.is_some_and(|record| record.refresh_token.is_some()),
            "refresh": self.refresh(),
            "retry_at": time::json(self.retry_at),
            "refreshed_at": time::json(record.and_then(|record| record.refreshed_at)),
            "origins": record.map_or_else(Vec::new, |record| {
                record.origins.iter().map(ToString::to_string).collect()
            }),
            "rejected_by": self.rejected_by(),
            "client_id": client.map(|client| client.client_id.as_str()),
            "token_endpoint": client.map(|client| client.token_endpoint.as_str()),
            "profile": client.and_then(|client| client.profile.as_deref()).map(profile::name),
            "refresh_expires_at": time::json(record.and_then(|record| record.refresh_expires_at)),
            "store": store.url(),
            "persistence": persistence(store),
            "permissions": store.files().rights().as_text(),
            "key_source": store.recorded().source().map(KeySource::as_str),
            "protection": store.recorded().source().map(|source| store.protection(source).as_str()),
            "fingerprint": self.fingerprint,
            "refresh_fingerprint": self.refresh_fingerprint,
            "next": self.next(),
        })
    }

    /// The origins that rejected a token and have not accepted one since.
    fn rejected_by(&self) -> Vec<Value> {
        let marks = self.record.map_or(&[][..], |record| &record.marks);
        let value = |mark: &regrant_core::Mark| json!({ "origin": mark.origin.to_string(), "until": time::json(Some(mark.until)) });
        marks.iter().map(value).collect()
    }

    /// What comes next, in a sentence.
    pub(crate) fn next(&self) -> &'static str {
        match self.state {
            StateKind::Valid if self.refresh() == "dead" => {
                "the token is used until a server rejects it; then a login is needed"
            }
            StateKind::Valid => "the token is used until it expires or a server rejects it",
            StateKind::Retrying => "the token is new; the first server that accepts it settles it",
            StateKind::Refreshing => "a process refreshes, or died over it; the next call goes on",
            StateKind::ServerRejected if self.retry_at.is_some() => {
                "the next call after the cool-down refreshes"
            }
            StateKind::ServerRejected => "the next call refreshes",
            StateKind::NeedsLogin => self.reason.map_or("log in again", explain::remedy),
        }
    }

    fn to_prose(&self, account: &str, store: &Store, now: Timestamp) -> String {
        let at = |at: Option<Timestamp>| {
            at.filter(|at| time::rfc3339(*at).is_some()).map(|at| time::with_distance(at, now))
        };
        let mut lines: Vec<(&str, String)> = vec![("account", account.to_owned())];
        let mut state = self.state.to_string();
        if let Some(reason) = self.reason {
            state += &format!(": {} ({reason})", explain::what(reason));
        }
        lines.push(("state", state));
        let mut put = |name, value: Option<String>| {
            if let Some(value) = value {
                lines.push((name, value));
            }
        };
        put("server said", self.server_code.map(str::to_owned));
        put("since", at(self.since));
        put("next", Some(self.next().to_owned()));
        put("retry at", at(self.retry_at));
        if let Some(record) = self.record {
            put("generation", Some(record.generation.to_string()));
            put("scope", self.scope().map(str::to_owned));
            let unknown = || "not known".to_owned();
            if record.access() != Access::None {
                put("expires", Some(at(self.expires_at).unwrap_or_else(unknown)));
            }
            put("last refresh", at(record.refreshed_at));
            put("login ends", at(record.refresh_expires_at));
            put("refresh token", Some(self.refresh().replace('_', " ")));
            let origins: Vec<_> = record.origins.iter().map(ToString::to_string).collect();
            put("good for", Some(origins.join(", ")).filter(|origins| !origins.is_empty()));
            for mark in &record.marks {
                let until = time::with_distance(mark.until, now);
                put("rejected by", Some(format!("{}, left alone until {until}", mark.origin)));
            }
            if !record.is_logged_out() {
                put("client", Some(record.client.client_id.clone()));
                put("token endpoint", Some(record.client.token_endpoint.clone()));
            }
            let profile = record.client.profile.as_deref().map(profile::name);
            put("profile", profile.map(Cow::into_owned));
        }
        put("store", Some(store.url()));
        put("persistence", Some(persistence(store).to_owned()));
        put("permissions", store.files().rights().as_text().map(str::to_owned));
        put("key", Some(key(store)));
        put("fingerprint", self.fingerprint.clone());
        let lines = lines.into_iter().map(|(name, value)| format!("{name:<15}{value}\n"));
        lines.collect()
    }
}

/// Whether a restart of the machine loses it.
fn persistence(store: &Store) -> &'static str {
    if store.vault().capabilities().volatile { "volatile" } else { "persistent" }
}

fn key(store: &Store) -> String {
    match store.recorded().source() {
        Some(source) => {
            let protection = store.protection(source);
            format!("{source} (protection: {protection}; {})", explain::meaning(protection))
        }
        None => "none yet; it is made with the first credential".to_owned(),
    }
}
