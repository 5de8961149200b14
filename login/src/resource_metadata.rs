//! What an API says of itself: whom it takes tokens from (RFC 9728).

use http::HeaderMap;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use regrant_core::protocol::challenges;
use serde::Deserialize;

use crate::document::{DocumentError, fetch};
use crate::endpoint::{Endpoint, EndpointError};
use crate::http::{Http, HttpError};
use crate::text::shown_url;

/// The well-known place of the documents (RFC 9728 section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a login needs to know of an API.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceMetadata {
    /// The identifier of the API, to be sent as `resource` (RFC 8707).
    pub resource: String,
    /// The issuers that it takes tokens from, each fit for
    /// [`ServerMetadata::discover`](crate::ServerMetadata::discover). It may name none.
    pub authorization_servers: Vec<String>,
    /// The scopes that it knows, perhaps not all.
    pub scopes_supported: Option<Vec<String>>,
    /// The scope that its own challenge asked for: the first choice for a login.
    pub challenge_scope: Option<String>,
}

/// Why there is no metadata of an API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceMetadataError {
    /// The API's URL is none: the configuration.
    #[error("{url} cannot be an API: {source}; check what was configured")]
    Resource {
        /// What was asked for.
        url: String,
        /// What is wrong.
        source: EndpointError,
    },
    /// The API did not answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The API's challenge names a document that is not its own: the API's operator.
    #[error("the API names {url} for its metadata, which is not on its origin: tell its operator")]
    Elsewhere {
        /// What it names.
        url: String,
    },
    /// No document at any of the places.
    #[error("{url} publishes no metadata: configure the authorization server by hand")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// What is there is no metadata.
    #[error("no metadata from {url}: {source}")]
    Document {
        /// The place.
        url: String,
        /// What is there.
        source: DocumentError,
    },
    /// The document is another API's (RFC 9728 section 3.3): the configuration, or an attack.
    #[error(
        "the metadata of {asked} is for the API {found}: if that is the one meant, configure it \
         exactly so"
    )]
    ResourceDiffers {
        /// What was asked for.
        asked: String,
        /// What the document says.
        found: String,
    },
    /// An authorization server is named that a login does not go to: the API's operator.
    #[error("the API takes tokens from {url}, which is not used: {source}; tell its operator")]
    AuthorizationServer {
        /// What it names.
        url: String,
        /// What is wrong with it.
        source: EndpointError,
    },
}

/// The document (RFC 9728 section 2).
#[derive(Deserialize)]
struct Document {
    resource: String,
    #[serde(default)]
    authorization_servers: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// A place where the document can be, and the identifiers it may state there.
struct Place {
    url: Endpoint,
    resources: Vec<String>,
}

impl ResourceMetadata {
    /// Fetches the metadata of the API at this URL: from where its own challenge says, else from
    /// the well-known place for the URL, else from that for its origin.
    ///
    /// # Which API a document may be about
    ///
    /// RFC 9728 section 3.3 wants the document that a challenge names to state the very URL that
    /// was asked. Many APIs state an identifier that covers all their URLs instead, their origin
    /// above all, and publish it where section 3.1 puts it for that identifier. Both are taken,
    /// since a client that had begun with the identifier would take the same document from the
    /// same place. The document must be on the API's own origin, so that no other server is
    /// asked, and a token meant for one API never comes to be meant for a stranger's.
    ///
    /// # Errors
    ///
    /// Any variant of [`ResourceMetadataError`].
    pub async fn discover(http: &Http, resource: &str) -> Result<Self, ResourceMetadataError> {
        let malformed =
            |source| ResourceMetadataError::Resource { url: shown_url(resource), source };
        let asked = Endpoint::parse(resource).map_err(malformed)?;
        asked.within(http.reach()).map_err(|refused| malformed(refused.into()))?;
        let (status, headers) = http.probe(&asked).await?;
        let challenged =
            if status == 401 { Challenged::read(&headers) } else { Challenged::default() };
        let places = match &challenged.resource_metadata {
            Some(named) => vec![Place::named(named, resource, &asked)?],
            None => Place::well_known(resource, &asked),
        };
        for Place { url, resources } in places {
            let document = fetch::<Document>(http, &url).await.map_err(|source| {
                ResourceMetadataError::Document { url: shown_url(url.as_str()), source }
            })?;
            let Some(document) = document else { continue };
            if !resources.contains(&document.resource) {
                return Err(ResourceMetadataError::ResourceDiffers {
                    asked: shown_url(resource),
                    found: shown_url(&document.resource),
                });
            }
            let authorization_servers = document.authorization_servers.unwrap_or_default();
            for issuer in &authorization_servers {
                Endpoint::named(issuer, &asked, http.reach()).map_err(|source| {
                    ResourceMetadataError::AuthorizationServer { url: shown_url(issuer), source }
                })?;
            }
            return Ok(Self {
                resource: document.resource,
                authorization_servers,
                scopes_supported: document.scopes_supported,
                challenge_scope: challenged.scope,
            });
        }
        Err(ResourceMetadataError::NotFound { url: shown_url(resource) })
    }
}

/// What the API's own challenge says (RFC 9728 section 5.1, RFC 6750 section 3).
#[derive(Default)]
struct Challenged {
    resource_metadata: Option<String>,
    scope: Option<String>,
}

impl Challenged {
    /// The parameters belong to any scheme; the first challenge that has one counts.
    fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes);
        let challenges = challenges(lines);
        let first = |name| challenges.iter().find_map(|one| one.param(name)).map(str::to_owned);
        Self { resource_metadata: first("resource_metadata"), scope: first("scope") }
    }
}

impl Place {
    /// The place that a challenge named.
    fn named(text: &str, resource: &str, asked: &Endpoint) -> Result<Self, ResourceMetadataError> {
        let elsewhere = || ResourceMetadataError::Elsewhere { url: shown_url(text) };
        let url = Endpoint::parse(text)
            .ok()
            .filter(|url| url.origin() == asked.origin())
            .ok_or_else(elsewhere)?;
        let mut resources = spellings(resource, asked);
        // The identifier whose document section 3.1 puts there, if it covers the URL.
        if let Some(path) = url.url().path().strip_prefix(WELL_KNOWN)
            && (path.is_empty() || path.starts_with('/'))
            && covers(path, asked.url().path())
        {
            let identifier = asked.with_path(path).with_query(url.url().query());
            resources.extend(spellings(identifier.as_str(), &identifier));
        }
        Ok(Self { url, resources })
    }

    /// The places of section 3.1: for the URL, then for its origin, each once.
    fn well_known(resource: &str, asked: &Endpoint) -> Vec<Self> {
        let path = asked.url().path();
        let inserted = format!("{WELL_KNOWN}{}", if path == "/" { "" } else { path });
        let own = Self {
            url: asked.with_path(&inserted).with_query(asked.url().query()),
            resources: spellings(resource, asked),
        };
        let origin = asked.with_path("/");
        let root = Self {
            url: asked.with_path(WELL_KNOWN),
            resources: spellings(origin.as_str(), &origin),
        };
        let mut places = vec![own, root];
        places.dedup_by(|second, first| second.url == first.url);
        places
    }
}

/// How this resource may be written: as it was asked for, and as the request had it. Of an origin
/// also without the slash, which no request can leave out.
fn spellings(resource: &str, endpoint: &Endpoint) -> Vec<String> {
    let normal = endpoint.as_str();
    let mut spellings = vec![resource.to_owned(), normal.to_owned()];
    if endpoint.url().path() == "/" && endpoint.url().query().is_none() {
        spellings.extend(normal.strip_suffix('/').map(str::to_owned));
    }
    spellings
}

/// Whether what is at `path` is below `of`, by whole segments.
fn covers(of: &str, path: &str) -> bool {
    let of = of.trim_end_matches('/');
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "https://api.example/v1/mcp";

    fn named(text: &str) -> Result<Vec<String>, ResourceMetadataError> {
        let asked = Endpoint::parse(API).unwrap();
        Place::named(text, API, &asked).map(|place| place.resources)
    }

    #[test]
    fn a_document_is_about_the_url_or_about_what_its_place_stands_for() {
        let at = |path: &str| named(&format!("https://api.example{path}")).unwrap();
        let is = |path: &str, resource: &str| at(path).iter().any(|one| one == resource);
        for path in ["/metadata", WELL_KNOWN, "/.well-known/oauth-protected-resource/v1/mcp"] {
            assert!(is(path, API), "{path}");
        }
        assert!(is(WELL_KNOWN, "https://api.example"));
        assert!(is(WELL_KNOWN, "https://api.example/"));
        assert!(is("/.well-known/oauth-protected-resource/v1", "https://api.example/v1"));
        assert!(!is("/metadata", "https://api.example"));
        assert!(!is("/.well-known/oauth-protected-resource/v2", "https://api.example/v2"));
        assert!(!is("/.well-known/oauth-protected-resource/v", "https://api.example/v"));
        assert!(!is("/.well-known/oauth-protected-resourceful", "https://api.example/"));
    }

    #[test]
    fn a_challenge_names_a_document_on_its_own_origin() {
        for text in [
            "https://evil.example/metadata",
            "https://api.example:8443/metadata",
            "http://api.example/metadata",
            "http://127.0.0.1/metadata",
            "/metadata",
        ] {
            let refused = named(text).unwrap_err();
            assert!(matches!(refused, ResourceMetadataError::Elsewhere { .. }), "{text}");
        }
    }

    #[test]
    fn the_path_of_an_api_is_inserted_and_then_left_out() {
        let at = |url: &str| -> Vec<String> {
            let asked = Endpoint::parse(url).unwrap();
            Place::well_known(url, &asked).iter().map(|place| place.url.to_string()).collect()
        };
        assert_eq!(
            at("https://api.example/v1/mcp?a=b"),
            [
                "https://api.example/.well-known/oauth-protected-resource/v1/mcp?a=b",
                "https://api.example/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            at("https://api.example"),
            ["https://api.example/.well-known/oauth-protected-resource"]
        );
    }

    #[test]
    fn a_challenge_of_any_scheme_names_metadata_and_scope() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=x"));
        let line = "DPoP resource_metadata=\"https://api.example/m\", scope=\"a b\"";
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
        let challenged = Challenged::read(&headers);
        assert_eq!(challenged.resource_metadata.as_deref(), Some("https://api.example/m"));
        assert_eq!(challenged.scope.as_deref(), Some("a b"));
    }
}
