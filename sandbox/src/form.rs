//! Form-encoded requests and the client that sent them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use url::form_urlencoded;

use crate::config::Config;

/// The parameters of one request, each at most once (RFC 6749, section 3.2), but for `resource`
/// (RFC 8707, section 2).
#[derive(Debug)]
pub(crate) struct Form {
    parameters: BTreeMap<String, String>,
    resources: Vec<String>,
}

/// Why a request is not a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidForm {
    ContentType,
    Repeated,
}

impl InvalidForm {
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::ContentType => "The body is not application/x-www-form-urlencoded",
            Self::Repeated => "A parameter is included more than once",
        }
    }
}

impl Form {
    pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, InvalidForm> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(InvalidForm::ContentType);
        }
        Self::decoded(body)
    }

    /// The parameters of a query.
    pub(crate) fn parse_query(query: &str) -> Result<Self, InvalidForm> {
        Self::decoded(query.as_bytes())
    }

    fn decoded(encoded: &[u8]) -> Result<Self, InvalidForm> {
        let (mut parameters, mut resources) = (BTreeMap::new(), Vec::new());
        for (name, value) in form_urlencoded::parse(encoded) {
            if name == "resource" {
                resources.push(value.into_owned());
            } else if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(InvalidForm::Repeated);
            }
        }
        Ok(Self { parameters, resources })
    }

    /// A parameter; one without a value counts as left out.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The resource indicators.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Why a client is not known (RFC 6749, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unauthenticated {
    /// Wrong or missing id or secret; `by_header` asks for a challenge in the answer.
    Wrong { by_header: bool },
    /// More than one method in one request.
    TwoMethods,
}

/// Checks `client_secret_basic`, `client_secret_post` or, for a public client, `none`.
pub(crate) fn authenticate(
    config: &Config,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(), Unauthenticated> {
    let header = headers.get(header::AUTHORIZATION);
    let by_header = header.is_some();
    if by_header && form.value("client_secret").is_some() {
        return Err(Unauthenticated::TwoMethods);
    }
    let (id, secret) = match header {
        Some(header) => header
            .to_str()
            .ok()
            .and_then(basic)
            .map(|(id, secret)| (Some(id), Some(secret).filter(|secret| !secret.is_empty())))
            .ok_or(Unauthenticated::Wrong { by_header })?,
        None => (
            form.value("client_id").map(str::to_owned),
            form.value("client_secret").map(str::to_owned),
        ),
    };
    if id.as_ref() == Some(&config.client_id) && secret == config.client_secret {
        Ok(())
    } else {
        Err(Unauthenticated::Wrong { by_header })
    }
}

/// Id and secret of a Basic header, each form-encoded before it was joined.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // As the name of one parameter; clients that did not encode may send these two as they are.
    let text = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}
