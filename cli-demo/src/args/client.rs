//! What `client` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use regrant::ClientAuthentication;

/// What to do about the client.
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Print the stored client configuration, without its secret
    Show,
    /// Change the stored client configuration; a cool-down over the old one ends at once
    Set(Box<ClientSet>),
}

/// What is not named stays as it is; an empty value removes what is there.
#[derive(Args, Debug)]
pub(crate) struct ClientSet {
    /// The token endpoint: https, or http on loopback
    #[arg(long, value_name = "URL")]
    pub(crate) token_endpoint: Option<String>,
    /// The client identifier
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// A file with the client secret, or with the private key of `private-key-jwt` (PKCS #8, PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// The client has no secret
    #[arg(long, conflicts_with = "client_secret_file")]
    pub(crate) no_client_secret: bool,
    /// How the client authenticates [default: as before; with the first secret basic, without one
    /// none]
    #[arg(long, value_name = "HOW")]
    pub(crate) auth: Option<Auth>,
    /// The revocation endpoint (RFC 7009)
    #[arg(long, value_name = "URL")]
    pub(crate) revocation_endpoint: Option<String>,
    /// The scope that tokens are asked for with; repeated or separated by spaces
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// A resource that tokens are asked for (RFC 8707); can be repeated
    #[arg(long = "resource", value_name = "URI")]
    pub(crate) resources: Vec<String>,
}

/// How the client shows who it is (RFC 6749 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    /// HTTP Basic
    Basic,
    /// The secret in the body
    Post,
    /// A token that is signed with a private key (RFC 7523)
    PrivateKeyJwt,
    /// A public client
    None,
}

impl Auth {
    pub(crate) fn of(authentication: ClientAuthentication) -> Option<Self> {
        match authentication {
            ClientAuthentication::None => Some(Self::None),
            ClientAuthentication::ClientSecretBasic => Some(Self::Basic),
            ClientAuthentication::ClientSecretPost => Some(Self::Post),
            ClientAuthentication::PrivateKeyJwt => Some(Self::PrivateKeyJwt),
            // The enum may grow.
            _ => None,
        }
    }

    pub(crate) fn authentication(self) -> ClientAuthentication {
        match self {
            Self::Basic => ClientAuthentication::ClientSecretBasic,
            Self::Post => ClientAuthentication::ClientSecretPost,
            Self::PrivateKeyJwt => ClientAuthentication::PrivateKeyJwt,
            Self::None => ClientAuthentication::None,
        }
    }

    /// As `--auth` takes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Post => "post",
            Self::PrivateKeyJwt => "private-key-jwt",
            Self::None => "none",
        }
    }
}
