//! Which authorization server a login goes to.

use regrant_core::protocol::cleaned;
use regrant_login::{Endpoints, Http, ResourceMetadata, ResourceMetadataError, ServerMetadata};

use super::failure;
use crate::args::Login;
use crate::error::Failure;

/// Where the login goes, and what the API that it is for says of itself.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) metadata: ServerMetadata,
    /// The identifier of the API (RFC 8707).
    pub(super) resource: Option<String>,
    /// The scope that the API asked for.
    pub(super) scope: Option<String>,
}

/// Finds it: by the endpoints that were named, by the issuer, or by the API.
pub(super) async fn find(http: &Http, login: &Login) -> Result<Server, Failure> {
    if let Some(token) = &login.token_endpoint {
        let endpoints = Endpoints {
            token,
            authorization: login.authorization_endpoint.as_deref(),
            device_authorization: login.device_endpoint.as_deref(),
            revocation: login.revocation_endpoint.as_deref(),
            issuer: login.issuer.as_deref(),
        };
        let metadata =
            ServerMetadata::explicit(&endpoints).map_err(|error| failure::of_options(&error))?;
        return Ok(Server { metadata, resource: login.resource.clone(), scope: None });
    }
    let Some(resource) = &login.resource else {
        let metadata = discovered(http, login.issuer.as_deref().unwrap_or_default()).await?;
        return Ok(Server { metadata, resource: None, scope: None });
    };
    let api = match ResourceMetadata::discover(http, resource).await {
        Ok(api) => api,
        // An API that says nothing of itself can still be named beside its issuer.
        Err(ResourceMetadataError::NotFound { .. }) if login.issuer.is_some() => {
            let metadata = discovered(http, login.issuer.as_deref().unwrap_or_default()).await?;
            return Ok(Server { metadata, resource: Some(resource.clone()), scope: None });
        }
        Err(error) => return Err(failure::of_resource(&error)),
    };
    let issuer = picked(&api.authorization_servers, login.issuer.as_deref())?;
    let metadata = discovered(http, issuer).await?;
    Ok(Server { metadata, resource: Some(api.resource), scope: api.challenge_scope })
}

async fn discovered(http: &Http, issuer: &str) -> Result<ServerMetadata, Failure> {
    let discovered = ServerMetadata::discover(http, issuer).await;
    discovered.map_err(|error| failure::of_server(&error))
}

/// The one that the user named among those of the API, or the only one.
fn picked<'s>(servers: &'s [String], issuer: Option<&'s str>) -> Result<&'s str, Failure> {
    let listed = || servers.iter().map(|url| cleaned(url)).collect::<Vec<_>>().join(", ");
    // A slash at the end is what people add and leave out.
    let same = |server: &&String| {
        issuer.is_some_and(|issuer| server.trim_end_matches('/') == issuer.trim_end_matches('/'))
    };
    match (servers, issuer) {
        ([], Some(issuer)) => Ok(issuer),
        ([], None) => Err(failure::no_servers()),
        ([only], None) => Ok(only),
        (_, None) => Err(Failure::usage(format!(
            "the API takes tokens from several authorization servers: {}",
            listed()
        ))
        .remedy("pick one with --issuer")),
        (several, Some(issuer)) => several.iter().find(same).map(String::as_str).ok_or_else(|| {
            Failure::usage(format!(
                "the API does not take tokens from {issuer:?}, but from {}",
                listed()
            ))
            .remedy("pick one of these with --issuer")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_servers_the_user_picks_one_that_the_api_names() {
        let servers = ["https://a.example".to_owned(), "https://b.example/".to_owned()];
        assert_eq!(picked(&servers[..1], None).unwrap(), "https://a.example");
        assert_eq!(picked(&servers, Some("https://b.example")).unwrap(), "https://b.example/");
        assert_eq!(picked(&[], Some("https://c.example")).unwrap(), "https://c.example");
        let refused = picked(&servers, None).unwrap_err().to_prose();
        assert!(refused.contains("a.example") && refused.contains("b.example"), "{refused}");
        assert!(picked(&servers, Some("https://evil.example")).is_err());
        assert!(picked(&[], None).is_err());
    }

    #[test]
    fn what_the_api_lists_writes_nowhere_else_on_a_terminal() {
        let servers = ["https://a.example/\u{9b}2J".to_owned(), "https://b\u{202e}".to_owned()];
        for issuer in [None, Some("https://c.example")] {
            let refused = picked(&servers, issuer).unwrap_err().to_prose();
            assert!(refused.contains("https://a.example/2J, https://b"), "{refused}");
            assert!(!refused.contains(['\u{9b}', '\u{202e}']), "{refused}");
        }
    }
}
