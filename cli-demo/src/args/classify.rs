//! What `profiles` and `classify` are told.

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct Profiles {
    /// The profile to print, or a file to check; without one, the built-in ones are listed
    #[arg(value_name = "NAME or FILE")]
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Classify {
    /// Read one JSON object a line, and write one for each
    #[arg(long)]
    pub(crate) batch: bool,
    /// Who answered: an API, or the token endpoint
    #[arg(long, value_name = "KIND", default_value = "resource")]
    pub(crate) kind: Kind,
    /// Under which scheme the request carried its token
    #[arg(long, value_name = "SCHEME", ignore_case = true, default_value = "bearer")]
    pub(crate) scheme: Scheme,
    /// The token request named a scope
    #[arg(long)]
    pub(crate) sent_scope: bool,
    /// A token that is not bound to a key (RFC 9449) is of no use
    #[arg(long)]
    pub(crate) dpop_required: bool,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// An API
    Resource,
    /// The token endpoint
    Token,
}

/// How a request carries its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheme {
    /// RFC 6750
    Bearer,
    /// RFC 9449
    Dpop,
    /// It carried none
    None,
}

impl Scheme {
    /// As the header writes it.
    pub(crate) fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Bearer => Some("Bearer"),
            Self::Dpop => Some("DPoP"),
            Self::None => None,
        }
    }
}
