//! Why a login brought nothing, by who must act.

use regrant::Cause;
use regrant_login::{
    AddressRefused, BrowserError, ClientCredentialsError, DeviceError, DocumentError,
    EndpointError, HttpError, Network, RequestError, ResourceMetadataError, ServerMetadataError,
    TokenError,
};

use crate::error::{Exit, Failure};

pub(super) fn of_browser(error: &BrowserError) -> Failure {
    match error {
        BrowserError::Request(error) => of_request(error),
        BrowserError::Unsupported => Failure::login(Exit::Other, "login_unsupported", error),
        BrowserError::PkceUnsupported => Failure::login(Exit::Other, "pkce_unsupported", error),
        BrowserError::Listen(_) => Failure::login(Exit::Other, "loopback_unavailable", error),
        BrowserError::TimedOut => Failure::login(Exit::NotNow, "login_timed_out", error),
        BrowserError::Denied { description } => {
            let denied = Failure::login(Exit::Login, "access_denied", error);
            described(denied, description.as_deref())
        }
        BrowserError::Refused { code, description } => {
            described(of_code(code), description.as_deref())
        }
        BrowserError::CodeMissing => Failure::login(Exit::Other, "login_malformed", error),
        BrowserError::IssuerMissing { .. } | BrowserError::IssuerDiffers { .. } => {
            Failure::login(Exit::Other, "issuer_mismatch", error)
        }
        BrowserError::Token(error) => of_token(error),
        // The enum may grow.
        other => Failure::login(Exit::Other, "login_malformed", other),
    }
}

pub(super) fn of_device(error: &DeviceError) -> Failure {
    match error {
        DeviceError::Request(error) => of_request(error),
        DeviceError::Unsupported => Failure::login(Exit::Other, "login_unsupported", error),
        DeviceError::Http(error) => of_http(error),
        DeviceError::Malformed => Failure::login(Exit::Other, "login_malformed", error),
        DeviceError::VerificationUri { source, .. } => of_endpoint(source, error),
        DeviceError::Denied => Failure::login(Exit::Login, "access_denied", error),
        DeviceError::Expired => Failure::login(Exit::NotNow, "login_timed_out", error),
        DeviceError::Token(error) => of_token(error),
        // The enum may grow.
        other => Failure::login(Exit::Other, "login_malformed", other),
    }
}

pub(super) fn of_client_credentials(error: &ClientCredentialsError) -> Failure {
    match error {
        ClientCredentialsError::Request(error) => of_request(error),
        ClientCredentialsError::Token(error) => of_token(error),
        // The enum may grow.
        other => Failure::login(Exit::Other, "login_malformed", other),
    }
}

/// Metadata that the authorization server published.
pub(super) fn of_server(error: &ServerMetadataError) -> Failure {
    match error {
        ServerMetadataError::Issuer { source, .. } => of_own(source, error),
        ServerMetadataError::IssuerQuery { .. } => Failure::usage(error.to_string()),
        ServerMetadataError::NotFound { .. } => {
            Failure::login(Exit::Other, "metadata_not_found", error)
        }
        ServerMetadataError::Document { source, .. } => of_document(source, error),
        ServerMetadataError::IssuerDiffers { .. } => {
            Failure::login(Exit::Other, "issuer_mismatch", error)
        }
        ServerMetadataError::TokenEndpointMissing => {
            Failure::login(Exit::Other, "metadata_malformed", error)
        }
        ServerMetadataError::Endpoint { source, .. } => of_endpoint(source, error),
        // The enum may grow.
        other => Failure::login(Exit::Other, "metadata_malformed", other),
    }
}

/// Endpoints that stand on the command line.
pub(super) fn of_options(error: &ServerMetadataError) -> Failure {
    Failure::usage(error.to_string()).remedy("write https URLs, or http on loopback")
}

pub(super) fn of_resource(error: &ResourceMetadataError) -> Failure {
    match error {
        ResourceMetadataError::Resource { source, .. } => of_own(source, error),
        ResourceMetadataError::Http(error) => of_http(error),
        ResourceMetadataError::Elsewhere { .. } => {
            Failure::login(Exit::Other, "endpoint_refused", error)
        }
        ResourceMetadataError::NotFound { .. } => {
            Failure::login(Exit::Other, "metadata_not_found", error)
        }
        ResourceMetadataError::Document { source, .. } => of_document(source, error),
        ResourceMetadataError::ResourceDiffers { .. } => {
            Failure::login(Exit::Other, "resource_mismatch", error)
        }
        ResourceMetadataError::AuthorizationServer { source, .. } => of_endpoint(source, error),
        // The enum may grow.
        other => Failure::login(Exit::Other, "metadata_malformed", other),
    }
}

/// The API names nobody that it takes tokens from.
pub(super) fn no_servers() -> Failure {
    Failure::other(
        "metadata_not_found",
        "the API does not say which authorization server it trusts",
    )
    .remedy("name the authorization server with --issuer")
}

/// Tokens of other types need what this command does not have.
pub(super) fn not_bearer() -> Failure {
    Failure::other("login_malformed", "regrant sends bearer tokens only, and this is another")
        .remedy("ask the operator of the authorization server for a token_type of Bearer")
}

fn of_request(error: &RequestError) -> Failure {
    Failure::usage(error.to_string())
}

fn of_token(error: &TokenError) -> Failure {
    match error {
        TokenError::Http(error) => of_http(error),
        TokenError::Refused { code } if code == "access_denied" => {
            Failure::login(Exit::Login, "access_denied", error)
        }
        TokenError::Refused { .. } => Failure::login(Exit::Login, "login_refused", error),
        TokenError::Failed { cause, code } => of_cause(*cause, code.clone()),
        TokenError::IdTokenIssuer { .. } | TokenError::IdTokenAudience => {
            Failure::login(Exit::Other, "id_token_mismatch", error)
        }
        // The enum may grow.
        other => Failure::login(Exit::Other, "login_malformed", other),
    }
}

/// A code that the server sent the browser back with (RFC 6749 section 4.1.2.1).
fn of_code(code: &str) -> Failure {
    let cause = match code {
        "server_error" | "temporarily_unavailable" => Cause::Unavailable,
        "invalid_client"
        | "invalid_request"
        | "invalid_scope"
        | "invalid_target"
        | "unauthorized_client"
        | "unsupported_response_type" => Cause::ClientMisconfigured,
        "account_selection_required"
        | "consent_required"
        | "interaction_required"
        | "login_required" => {
            let what = format!("the authorization server refuses the login ({code})");
            return Failure::refused_login(what);
        }
        _ => Cause::UnknownError,
    };
    of_cause(cause, Some(code.to_owned()))
}

fn of_cause(cause: Cause, code: Option<String>) -> Failure {
    let remedy = match (cause, code.as_deref()) {
        (_, Some("invalid_scope")) => "ask for another --scope; the server knows which it has",
        (_, Some("invalid_target" | "invalid_resource")) => {
            "name another --resource; the server does not know this one"
        }
        (Cause::ClientMisconfigured, _) => {
            "correct --client-id, --client-secret-file or --auth, or the client's registration at \
             the authorization server"
        }
        (Cause::NotOauth | Cause::EndpointMoved, _) => {
            "check the address of the authorization server, and whether the network wants a sign-in"
        }
        (Cause::UnknownError, _) => "look the server's code up in its documentation",
        (_, _) => "wait a little, and log in again",
    };
    Failure::delayed(cause, code, None).remedy(remedy)
}

fn of_document(source: &DocumentError, error: &(dyn std::error::Error + 'static)) -> Failure {
    match source {
        DocumentError::Http(source) => of_http(source),
        DocumentError::Unavailable { .. } => {
            Failure::login(Exit::NotNow, "server_unreachable", error)
        }
        // Everything else that is there, now or in a later version, is no metadata.
        _ => Failure::login(Exit::Other, "metadata_malformed", error),
    }
}

fn of_http(error: &HttpError) -> Failure {
    match error {
        HttpError::Address(refused) => of_address(refused, error),
        HttpError::Unreachable { .. } | HttpError::TimedOut { .. } => {
            Failure::login(Exit::NotNow, "server_unreachable", error)
        }
        HttpError::Unsendable { .. } => Failure::usage(error.to_string()),
        // The enum may grow.
        other => Failure::login(Exit::NotNow, "server_unreachable", other),
    }
}

/// A URL that a server named.
fn of_endpoint(source: &EndpointError, error: &(dyn std::error::Error + 'static)) -> Failure {
    match source {
        EndpointError::Address(refused) => of_address(refused, error),
        // All else that can be wrong with it, now or in a later version, is the server's doing.
        _ => Failure::login(Exit::Other, "endpoint_refused", error),
    }
}

/// A URL that stands on the command line.
fn of_own(source: &EndpointError, error: &(dyn std::error::Error + 'static)) -> Failure {
    match source {
        EndpointError::Address(refused) => of_address(refused, error),
        // All else is a URL that must be written in another way.
        _ => Failure::usage(error.to_string()).remedy("write an https URL, or http on loopback"),
    }
}

fn of_address(refused: &AddressRefused, error: &(dyn std::error::Error + 'static)) -> Failure {
    let failure = Failure::login(Exit::Other, "address_refused", error);
    match refused.network {
        Network::Private => {
            failure.remedy("if the server is in your own network, add --allow-private-addresses")
        }
        // No option opens the others.
        _ => failure.remedy("check the address; no authorization server can be there"),
    }
}

fn described(failure: Failure, description: Option<&str>) -> Failure {
    match description {
        Some(description) => failure.beside("server_said", description),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;

    fn every() -> Vec<Failure> {
        let text = String::new;
        let private =
            || AddressRefused { host: "as.example".to_owned(), network: Network::Private };
        let special =
            || AddressRefused { host: "as.example".to_owned(), network: Network::Special };
        let timed_out = || HttpError::TimedOut { host: text() };
        let mut all = vec![
            of_browser(&BrowserError::Request(RequestError::ClientIdMissing)),
            of_browser(&BrowserError::Unsupported),
            of_browser(&BrowserError::PkceUnsupported),
            of_browser(&BrowserError::Listen(std::io::Error::other("x"))),
            of_browser(&BrowserError::TimedOut),
            of_browser(&BrowserError::Denied { description: Some(text()) }),
            of_browser(&BrowserError::CodeMissing),
            of_browser(&BrowserError::IssuerMissing { expected: text() }),
            of_browser(&BrowserError::IssuerDiffers { expected: text(), found: text() }),
            of_device(&DeviceError::Unsupported),
            of_device(&DeviceError::Http(HttpError::Address(private()))),
            of_device(&DeviceError::Malformed),
            of_device(&DeviceError::VerificationUri { url: text(), source: EndpointError::Local }),
            of_device(&DeviceError::Denied),
            of_device(&DeviceError::Expired),
            of_client_credentials(&ClientCredentialsError::Token(TokenError::IdTokenAudience)),
            of_token(&TokenError::Http(timed_out())),
            of_token(&TokenError::Refused { code: "access_denied".to_owned() }),
            of_token(&TokenError::Refused { code: "invalid_grant".to_owned() }),
            of_token(&TokenError::IdTokenIssuer { expected: text() }),
            of_server(&ServerMetadataError::NotFound { issuer: text() }),
            of_server(&ServerMetadataError::IssuerQuery { issuer: text() }),
            of_server(&ServerMetadataError::TokenEndpointMissing),
            of_server(&ServerMetadataError::IssuerDiffers { asked: text(), found: text() }),
            of_server(&ServerMetadataError::Issuer {
                issuer: text(),
                source: EndpointError::Address(special()),
            }),
            of_server(&ServerMetadataError::Document {
                url: text(),
                source: DocumentError::Unavailable { status: 503 },
            }),
            of_server(&ServerMetadataError::Document {
                url: text(),
                source: DocumentError::NotJson,
            }),
            of_resource(&ResourceMetadataError::NotFound { url: text() }),
            of_resource(&ResourceMetadataError::Elsewhere { url: text() }),
            of_resource(&ResourceMetadataError::ResourceDiffers { asked: text(), found: text() }),
            no_servers(),
            not_bearer(),
        ];
        let codes = ["server_error", "invalid_scope", "login_required", "eaten_by_a_dog"];
        all.extend(codes.map(of_code));
        all.extend(Cause::ALL.iter().map(|cause| of_cause(*cause, None)));
        all
    }

    #[test]
    fn every_code_has_its_page_with_the_same_exit_code() {
        for failure in every() {
            let page = explain::page(failure.code);
            let page = page.unwrap_or_else(|| panic!("{} has no page", failure.code));
            assert_eq!(page.exit, Some(failure.exit as u8), "{}", failure.code);
            assert!(explain::page(failure.reason()).is_some(), "{}", failure.reason());
            assert!(!failure.what_to_do().is_empty());
        }
    }

    #[test]
    fn a_denial_a_time_out_and_a_wrong_client_have_their_exit_codes() {
        let exits = [
            of_device(&DeviceError::Denied).exit,
            of_device(&DeviceError::Expired).exit,
            of_cause(Cause::ClientMisconfigured, Some("invalid_client".to_owned())).exit,
            of_http(&HttpError::TimedOut { host: String::new() }).exit,
        ];
        assert_eq!(exits, [Exit::Login, Exit::NotNow, Exit::Misconfigured, Exit::NotNow]);
    }
}
