//! `sandbox`: the loopback servers alone, for people who test their own client.

use std::io::{IsTerminal as _, stdin};

use regrant_sandbox::{
    AnnouncedExpiresIn, ApiConfig, Config, Consent, Rejection, Rotation, StartError,
};
use serde_json::{Map, Value, json};

use crate::args::{Apis, BrowserLogin, Logins, RejectionForm, Sandbox};
use crate::error::Failure;
use crate::output::Output;

pub(super) async fn run(asked: Sandbox, output: Output) -> Result<(), Failure> {
    let config = config(asked, stdin().is_terminal());
    let apis: Vec<_> = config.apis.iter().map(|api| api.name.clone()).collect();
    let sandbox = regrant_sandbox::Sandbox::start(config).map_err(|error| not_started(&error))?;
    let config = sandbox.config();
    let login = sandbox.issue();

    let urls: Map<String, Value> =
        apis.iter().map(|api| (api.clone(), sandbox.api_url(api).into())).collect();
    let device_page = format!("{}/device", sandbox.issuer_url());
    let stats = format!("{}/stats", sandbox.issuer_url());
    if output.is_json() {
        output.object(&json!({
            "issuer": sandbox.issuer_url(),
            "authorization_endpoint": sandbox.authorization_endpoint(),
            "device_authorization_endpoint": sandbox.device_authorization_endpoint(),
            "verification_uri": device_page,
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
            ("authorization", sandbox.authorization_endpoint().to_owned()),
            ("device logins", sandbox.device_authorization_endpoint().to_owned()),
            ("device page", device_page),
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

/// Somebody at a terminal is asked before a login; a script has nobody to press a button.
fn config(asked: Sandbox, on_terminal: bool) -> Config {
    let Sandbox { port, clock_offset_ms, client_secret, dpop, logins, tokens, apis } = asked;
    let Logins { login, redirect_uris, scopes, device_interval_ms, device_code_ttl_ms } = logins;
    let standard = Config::default();
    Config {
        port,
        apis: each_api(apis),
        client_secret,
        further_scopes: scopes.unwrap_or(standard.further_scopes),
        login: match login {
            Some(BrowserLogin::Approve) => Consent::Approve,
            Some(BrowserLogin::Ask) => Consent::Ask,
            Some(BrowserLogin::Deny) => Consent::Deny,
            None if on_terminal => Consent::Ask,
            None => Consent::Approve,
        },
        redirect_uris: redirect_uris.into_iter().collect(),
        device_code_ttl_ms: device_code_ttl_ms.unwrap_or(standard.device_code_ttl_ms),
        device_interval_ms: device_interval_ms.unwrap_or(standard.device_interval_ms),
        dpop,
        access_ttl_ms: tokens.access_ttl_ms.unwrap_or(standard.access_ttl_ms),
        announced_expires_in: announced(tokens.announced_expires_in.as_deref()),
        rotation: if tokens.no_rotate { Rotation::None } else { Rotation::Rotate },
        reuse_detection: !tokens.no_reuse_detection,
        grace: tokens.grace,
        clock_offset_ms: clock_offset_ms.unwrap_or(standard.clock_offset_ms),
        faults: tokens.faults,
        always_fault: tokens.always_fault,
        ..standard
    }
}

fn announced(expires_in: Option<&str>) -> AnnouncedExpiresIn {
    match expires_in {
        None => AnnouncedExpiresIn::Truth,
        Some("absent") => AnnouncedExpiresIn::Absent,
        Some(text) => {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            AnnouncedExpiresIn::Value(value)
        }
    }
}

fn each_api(asked: Apis) -> Vec<ApiConfig> {
    let Apis { names, rejection: form, demand, minimum_age_ms, resource_metadata } = asked;
    let names = if names.is_empty() { vec!["api".to_owned()] } else { names };
    let api = |name| ApiConfig {
        rejection: rejection(form),
        demand: demand.clone(),
        minimum_age_ms: minimum_age_ms.unwrap_or_default(),
        resource_metadata,
        ..ApiConfig::named(name)
    };
    names.into_iter().map(api).collect()
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
        RejectionForm::OkFalse => Rejection::OkFalse,
    }
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
