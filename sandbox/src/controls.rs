//! What can be done to running servers, in-process and through the control endpoints alike.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    api_config::ApiConfig,
    authorization::{Authorization, words},
    config::{AnnouncedExpiresIn, Config},
    event::SandboxEvent,
    fault::{Endpoint, Fault, FaultScript},
    mint,
    shared::{Flip, Inner, Shared},
    state::Grant,
};

/// What a login asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// Its scope, separated by spaces; absent is that of the configuration.
    pub scope: Option<String>,
    /// The audiences of its access tokens; empty is every API.
    pub audience: BTreeSet<String>,
    /// How the user authenticated (RFC 9470), for an API that demands it.
    pub acr_values: BTreeSet<String>,
}

/// A change of configuration that running servers cannot follow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// Names and ports are fixed at the start.
    #[error("ports, and the names and number of APIs, are fixed at the start")]
    Fixed,
    /// The change does not fit the shape of a configuration.
    #[error("the change does not give a configuration")]
    Shape(#[source] serde_json::Error),
}

impl Inner {
    /// A token response (RFC 6749, section 5.1).
    pub(crate) fn token_response(&self, grant: &Grant) -> Value {
        let mut response = Map::new();
        response.insert("access_token".to_owned(), grant.access.clone().into());
        let token_type = if self.config.dpop { "DPoP" } else { &self.config.token_type };
        response.insert("token_type".to_owned(), token_type.into());
        let expires_in = match &self.config.announced_expires_in {
            AnnouncedExpiresIn::Truth => Some(Value::from(self.config.access_ttl_ms / 1_000)),
            AnnouncedExpiresIn::Absent => None,
            AnnouncedExpiresIn::Value(value) => Some(value.clone()),
        };
        if let Some(expires_in) = expires_in {
            response.insert("expires_in".to_owned(), expires_in);
        }
        if let Some(refresh) = &grant.refresh {
            response.insert("refresh_token".to_owned(), refresh.clone().into());
        }
        response.insert("scope".to_owned(), grant.scope.clone().into());
        response.extend(self.config.token_response_extra.clone());
        Value::Object(response)
    }

    pub(crate) fn script(&mut self, endpoint: Endpoint) -> &mut FaultScript {
        match endpoint {
            Endpoint::Token => &mut self.token_faults,
            Endpoint::Revocation => &mut self.revocation_faults,
        }
    }
}

impl Shared {
    pub(crate) fn issue(&self, login: Login) -> Value {
        let now = self.clock.now_ms();
        self.update(|inner| {
            let Login { scope, audience, acr_values } = login;
            let scope = words(scope.as_ref().unwrap_or(&inner.config.scope));
            let allowed = Authorization { scope, audience, acr_values, ..Authorization::default() };
            let access = allowed.clone();
            let grant = inner.state.issue(&inner.config, allowed, access, mint::tokens(), now);
            inner.emit(SandboxEvent::Issued);
            inner.token_response(&grant)
        })
    }

    /// Decides for the user of a device; false if none waits for this code.
    pub(crate) fn decide_device(&self, user_code: &str, approved: bool) -> bool {
        let now = self.clock.now_ms();
        self.update(|inner| {
            let waited = inner.devices.decide(user_code, approved, now);
            if waited {
                inner.emit(SandboxEvent::LoginDecided { approved });
            }
            waited
        })
    }

    pub(crate) fn expire(&self, api: Option<&str>) {
        self.update(|inner| {
            match api {
                Some(api) => inner.state.expire_access_at(api),
                None => inner.state.expire_access(),
            }
            inner.emit(SandboxEvent::AccessTokensExpired { api: api.map(str::to_owned) });
        });
    }

    pub(crate) fn revoke_family(&self, token: &str) -> bool {
        self.update(|inner| {
            let was_live = inner.state.revoke_family_of(token);
            inner.family_revoked(was_live);
            was_live
        })
    }

    pub(crate) fn revoke_all(&self) -> u64 {
        self.update(|inner| {
            let live = inner.state.revoke_all();
            (0..live).for_each(|_| inner.family_revoked(true));
            live
        })
    }

    pub(crate) fn inject(&self, endpoint: Endpoint, faults: impl IntoIterator<Item = Fault>) {
        self.update(|inner| inner.script(endpoint).queue.extend(faults));
    }

    pub(crate) fn always(&self, endpoint: Endpoint, fault: Option<Fault>) {
        self.update(|inner| {
            if endpoint == Endpoint::Token {
                inner.config.always_fault.clone_from(&fault);
            }
            inner.script(endpoint).always = fault;
        });
    }

    pub(crate) fn clear_faults(&self, endpoint: Endpoint) {
        self.update(|inner| {
            if endpoint == Endpoint::Token {
                inner.config.always_fault = None;
            }
            inner.script(endpoint).clear();
        });
    }

    pub(crate) fn set_clock_offset_ms(&self, offset_ms: i64) {
        self.clock.set_offset_ms(offset_ms);
        self.update(|inner| inner.config.clock_offset_ms = offset_ms);
    }

    pub(crate) fn release(&self) -> usize {
        self.update(|inner| {
            let held = std::mem::take(&mut inner.held);
            if !held.is_empty() {
                inner.emit(SandboxEvent::Released);
            }
            // A receiver that is gone needs no release.
            held.into_iter().filter_map(|release| release.send(()).ok()).count()
        })
    }

    /// # Panics
    ///
    /// If there is no such API, as an index does.
    pub(crate) fn assert_api(&self, api: &str) {
        assert!(self.addresses.apis.contains_key(api), "the sandbox has no API named {api:?}");
    }

    pub(crate) fn reject_all(&self, api: &str, reject: bool) {
        self.update(|inner| inner.apis.entry(api.to_owned()).or_default().reject_all = reject);
    }

    pub(crate) fn flip(&self, api: &str, every: u64) {
        let flip = (every > 0).then_some(Flip { every, judged: 0 });
        self.update(|inner| inner.apis.entry(api.to_owned()).or_default().flip = flip);
    }

    pub(crate) fn accept_only(&self, api: &str, tokens: Option<BTreeSet<String>>) {
        self.update(|inner| inner.apis.entry(api.to_owned()).or_default().accept_only = tokens);
    }

    /// Changes what one API is told; its name and port stay.
    pub(crate) fn configure_api(&self, api: &str, change: impl FnOnce(&mut ApiConfig)) {
        self.update(|inner| {
            if let Some(config) = inner.config.apis.iter_mut().find(|config| config.name == api) {
                change(config);
            }
        });
    }

    pub(crate) fn configure(&self, new: Config) -> Result<(), ConfigureError> {
        let offset = self.update(|inner| {
            let fixed = |config: &Config| {
                let apis = config.apis.iter().map(|api| (api.name.clone(), api.port));
                (config.port, apis.collect::<Vec<_>>())
            };
            if fixed(&new) != fixed(&inner.config) {
                return Err(ConfigureError::Fixed);
            }
            inner.config = new;
            let faults = std::mem::take(&mut inner.config.faults);
            inner.token_faults.queue.extend(faults);
            inner.token_faults.always.clone_from(&inner.config.always_fault);
            Ok(inner.config.clock_offset_ms)
        })?;
        self.clock.set_offset_ms(offset);
        Ok(())
    }

    /// Changes the configuration by a JSON merge patch (RFC 7396).
    pub(crate) fn patch(&self, patch: &Value) -> Result<Config, ConfigureError> {
        let config = self.read(|inner| inner.config.clone());
        let mut value = serde_json::to_value(config).map_err(ConfigureError::Shape)?;
        merge(&mut value, patch);
        let config: Config = serde_json::from_value(value).map_err(ConfigureError::Shape)?;
        self.configure(config)?;
        Ok(self.read(|inner| inner.config.clone()))
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}
