//! What somebody allowed a client, and what a token request wants of it.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use crate::{
    config::Config,
    form::Form,
    refusal::{Denial, Excess},
    shared::Addresses,
};

/// What a login allows, or as much of it as one access token has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Authorization {
    pub(crate) scope: BTreeSet<String>,
    pub(crate) audience: BTreeSet<String>,
    /// The APIs that its resources name (RFC 8707); empty is every API.
    pub(crate) apis: BTreeSet<String>,
    /// How the user authenticated (RFC 9470).
    pub(crate) acr_values: BTreeSet<String>,
    /// The claims that were asked for (OpenID Connect Core, section 5.5).
    pub(crate) claims: Option<Value>,
}

impl Authorization {
    /// As much of it as a token request asks for.
    pub(crate) fn narrowed(&self, request: &AccessRequest) -> Result<Self, Excess> {
        let mut narrowed = self.clone();
        if let Some(scope) = &request.scope {
            if !scope.is_subset(&self.scope) {
                return Err(Excess::Scope);
            }
            narrowed.scope.clone_from(scope);
        }
        if !request.apis.is_empty() {
            if !self.apis.is_empty() && !request.apis.is_subset(&self.apis) {
                return Err(Excess::Resource);
            }
            narrowed.apis.clone_from(&request.apis);
        }
        if request.claims.is_some() {
            narrowed.claims.clone_from(&request.claims);
        }
        Ok(narrowed)
    }
}

/// What a request says of the access it wants: `scope`, `resource` and `claims`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AccessRequest {
    pub(crate) scope: Option<BTreeSet<String>>,
    pub(crate) apis: BTreeSet<String>,
    pub(crate) claims: Option<Value>,
}

impl AccessRequest {
    pub(crate) fn read(
        form: &Form,
        config: &Config,
        addresses: &Addresses,
    ) -> Result<Self, Denial> {
        let mut apis = BTreeSet::new();
        for resource in form.resources() {
            let mut named = config.apis.iter().map(|api| (api, &addresses.apis[&api.name]));
            let api = named
                .find(|(api, origin)| api.audience.contains(resource) || is_at(resource, origin));
            let Some((api, _)) = api else {
                return Err(Denial("invalid_target", "No API has this resource identifier"));
            };
            apis.insert(api.name.clone());
        }
        let claims = form.value("claims").map(serde_json::from_str::<Value>).transpose();
        let claims = claims.ok().filter(|claims| claims.as_ref().is_none_or(Value::is_object));
        let claims = claims.ok_or(Denial("invalid_request", "The claims are no JSON object"))?;
        Ok(Self { scope: form.value("scope").map(words), apis, claims })
    }

    /// What a login that asks for this allows.
    pub(crate) fn authorization(self, config: &Config) -> Result<Authorization, Denial> {
        let scope = self.scope.unwrap_or_else(|| words(&config.scope));
        if !scope.is_subset(&scopes_supported(config)) {
            return Err(Denial("invalid_scope", "The server has no such scope"));
        }
        let (apis, claims) = (self.apis, self.claims);
        Ok(Authorization { scope, apis, claims, ..Authorization::default() })
    }
}

/// Every scope that a login may ask for.
pub(crate) fn scopes_supported(config: &Config) -> BTreeSet<String> {
    &words(&config.scope) | &words(&config.further_scopes)
}

/// Whether a resource identifier (RFC 8707, section 2) is a place at this origin.
fn is_at(resource: &str, origin: &str) -> bool {
    let (Ok(resource), Ok(origin)) = (Url::parse(resource), Url::parse(origin)) else {
        return false;
    };
    resource.origin() == origin.origin() && resource.fragment().is_none()
}

pub(crate) fn words(scope: &str) -> BTreeSet<String> {
    scope.split_ascii_whitespace().map(str::to_owned).collect()
}

pub(crate) fn joined(scope: &BTreeSet<String>) -> String {
    scope.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
