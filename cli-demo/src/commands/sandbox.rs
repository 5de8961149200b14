//! `sandbox`: the loopback servers alone, for people who test their own client.

use regrant_sandbox::{
    AnnouncedExpiresIn, ApiConfig, Config, Grace, GraceKind, Rejection, Rotation, StartError,
};
use serde_json::{Map, Value, json};

use crate::args::{RejectionForm, Sandbox, millis};
use crate::error::Failure;
use crate::output::Output;

pub(super) async fn run(asked: Sandbox, output: Output) -> Result<(), Failure> {
    let config = config(asked)?;
    let apis: Vec<_> = config.apis.iter().map(|api| api.name.clone()).collect();
    let sandbox = regrant_sandbox::Sandbox::start(config).map_err(|error| not_started(&error))?;
    let config = sandbox.config();
    let login = sandbox.issue();

    let urls: Map<String, Value> =
        apis.iter().map(|api| (api.clone(), sandbox.api_url(api).into())).collect();
    let stats = format!("{}/stats", sandbox.issuer_url());
    if output.is_json() {
        output.object(&json!({
            "issuer": sandbox.issuer_url(),
            "authorization_endpoint": sandbox.authorization_endpoint(),
            "device_authorization_endpoint": sandbox.device_authorization_endpoint(),
            "token_endpoint": sandbox.token_endpoint(),
            "revocation_endpoint": sandbox.revocation_endpoint(),
            "introspection_endpoint": sandbox.introspection_endpoint(),
            "stats": stats,
            "apis": urls,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
            "login": login,
        }))?;
    } else {
        let mut lines = vec![
            ("issuer", sandbox.issuer_url().to_owned()),
            ("token endpoint", sandbox.token_endpoint().to_owned()),
            ("revocation", sandbox.revocation_endpoint().to_owned()),
            ("counters", stats),
            ("client id", config.client_id),
        ];
        lines.extend(apis.iter().map(|api| ("api", format!("{} ({api})", sandbox.api_url(api)))));
        lines.push(("login", login.to_string()));
        let lines = lines.into_iter().map(|(name, value)| format!("{name:<16}{value}\n"));
        output.line(lines.collect::<String>().trim_end())?;
    }
    interrupted().await?;
    Ok(())
}

fn config(asked: Sandbox) -> Result<Config, Failure> {
    let mut config = Config { port: asked.port, ..Config::default() };
    if let Some(offset) = asked.clock_offset {
        let far = |_| Failure::usage("the clock offset is longer than a clock is wide");
        config.clock_offset_ms = i64::try_from(offset.as_millis()).map_err(far)?;
    }
    if let Some(ttl) = asked.access_ttl {
        config.access_ttl_ms = ttl;
    }
    config.announced_expires_in = match asked.announced_expires_in.as_deref() {
        None => AnnouncedExpiresIn::Truth,
        Some("absent") => AnnouncedExpiresIn::Absent,
        Some(text) => {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            AnnouncedExpiresIn::Value(value)
        }
    };
    if asked.no_rotate {
        config.rotation = Rotation::None;
    }
    config.reuse_detection = !asked.no_reuse_detection;
    config.grace = asked.grace;
    config.faults = asked.faults;
    config.always_fault = asked.always_fault;
    config.client_secret = asked.client_secret;
    let names = if asked.apis.is_empty() { vec!["api".to_owned()] } else { asked.apis };
    let rejection = rejection(asked.rejection);
    let api = |name| ApiConfig::named(name).rejection(rejection.clone());
    config.apis = names.into_iter().map(api).collect();
    Ok(config)
}

fn rejection(form: RejectionForm) -> Rejection {
    match form {
        RejectionForm::InvalidToken => Rejection::InvalidToken,
        RejectionForm::RealmOnly => Rejection::RealmOnly,
        RejectionForm::NoChallenge => Rejection::NoChallenge,
        RejectionForm::JsonBodyOnly => Rejection::JsonBodyOnly,
        RejectionForm::Forbidden => Rejection::Forbidden403InvalidToken,
        RejectionForm::InsufficientScope => Rejection::InsufficientScope,
        RejectionForm::StepUp => Rejection::StepUp,
        RejectionForm::RateLimited => Rejection::RateLimited { retry_after: None },
    }
}

/// `30s`, or with what a replay gets, `latest:30s`.
pub(crate) fn grace(text: &str) -> Result<Grace, &'static str> {
    let (kind, length) = match text.split_once(':') {
        None => (GraceKind::default(), text),
        Some(("same", length)) => (GraceKind::Same, length),
        Some(("siblings", length)) => (GraceKind::Siblings, length),
        Some(("latest", length)) => (GraceKind::Latest, length),
        Some(_) => return Err("the kind of a grace is same, siblings or latest"),
    };
    Ok(Grace { ms: millis(length)?, kind })
}

fn not_started(error: &StartError) -> Failure {
    match error {
        StartError::Bind { .. } => Failure::other("internal", "the sandbox cannot start")
            .because(error)
            .remedy("name another --port, or leave it away for any free one"),
        StartError::RepeatedApi { .. } => Failure::usage("the sandbox cannot start").because(error),
        other => Failure::other("internal", "the sandbox cannot start").because(other),
    }
}

/// Waits for Ctrl-C, or for what a supervisor sends.
async fn interrupted() -> Result<(), Failure> {
    let failed = |error| {
        Failure::other("internal", "the signals of an interrupt cannot be had").because(&error)
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_has_a_length_and_perhaps_a_kind() {
        assert_eq!(grace("30s"), Ok(Grace { ms: 30_000, kind: GraceKind::Same }));
        assert_eq!(grace("latest:500ms"), Ok(Grace { ms: 500, kind: GraceKind::Latest }));
        assert!(grace("later:1s").is_err() && grace("latest:").is_err());
    }
}
