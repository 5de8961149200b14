//! What the servers say of themselves: RFC 8414 and RFC 9728.

use serde_json::{Value, json};

use crate::{
    authorization::scopes_supported,
    config::Config,
    shared::{Addresses, Inner},
};

/// The algorithm that DPoP clients are asked for; its signatures are not verified.
pub(crate) const DPOP_ALGORITHM: &str = "ES256";

const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// The metadata of the authorization server (RFC 8414, section 2).
pub(crate) fn authorization_server(config: &Config, addresses: &Addresses) -> Value {
    let mut metadata = json!({
        "issuer": addresses.issuer,
        "authorization_endpoint": addresses.authorization_endpoint,
        "device_authorization_endpoint": addresses.device_authorization_endpoint,
        "token_endpoint": addresses.token_endpoint,
        "revocation_endpoint": addresses.revocation_endpoint,
        "introspection_endpoint": addresses.introspection_endpoint,
        "scopes_supported": scopes_supported(config),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
            "client_credentials",
        ],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
        "protected_resources": addresses.apis.values().collect::<Vec<_>>(),
    });
    if config.dpop {
        metadata["dpop_signing_alg_values_supported"] = json!([DPOP_ALGORITHM]);
    }
    metadata
}

/// The path of the resource whose metadata is asked for here (RFC 9728, section 3.1).
pub(crate) fn resource_path(path: &str) -> Option<&str> {
    let resource = path.strip_prefix(PROTECTED_RESOURCE)?;
    (resource.is_empty() || resource.starts_with('/')).then_some(resource)
}

/// The metadata of what is at this path of an API (RFC 9728, section 2). The whole API is one
/// resource, and every path in it is called so too: a client takes only metadata that names the
/// very URL that it asked about (section 3.3).
pub(crate) fn protected_resource(
    inner: &Inner,
    addresses: &Addresses,
    api: &str,
    path: &str,
) -> Value {
    let mut metadata = json!({
        "resource": format!("{}{path}", addresses.apis[api]),
        "authorization_servers": [addresses.issuer],
        "scopes_supported": scopes_supported(&inner.config),
        "bearer_methods_supported": ["header"],
    });
    if inner.config.dpop {
        metadata["dpop_signing_alg_values_supported"] = json!([DPOP_ALGORITHM]);
        metadata["dpop_bound_access_tokens_required"] = json!(true);
    }
    metadata
}

/// Where the metadata of what is at this path is found.
pub(crate) fn protected_resource_url(addresses: &Addresses, api: &str, path: &str) -> String {
    // The root of an origin is written without its slash (RFC 9728, section 3.1).
    let path = if path == "/" { "" } else { path };
    format!("{}{PROTECTED_RESOURCE}{path}", addresses.apis[api])
}
