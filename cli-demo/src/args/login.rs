//! What `login` is told.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::Auth;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("server").args(["issuer", "resource", "token_endpoint"]).required(true).multiple(true))]
pub(crate) struct Login {
    /// The authorization server; its metadata names the endpoints (RFC 8414, OpenID discovery)
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The API, whose metadata names the authorization server (RFC 9728), as with MCP
    #[arg(long, value_name = "URL")]
    pub(crate) resource: Option<String>,
    /// The token endpoint, in place of metadata
    #[arg(long, value_name = "URL")]
    pub(crate) token_endpoint: Option<String>,
    /// Where the browser goes
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub(crate) authorization_endpoint: Option<String>,
    /// Where a login with a code begins (RFC 8628)
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub(crate) device_endpoint: Option<String>,
    /// The revocation endpoint (RFC 7009)
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub(crate) revocation_endpoint: Option<String>,
    /// The client identifier
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// A file with the client secret
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How the client authenticates [default: basic with a secret, else none]
    #[arg(long, value_name = "HOW")]
    pub(crate) auth: Option<Auth>,
    /// The scope to ask for; repeated or separated by spaces
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// A further parameter of the authorization request, such as `acr_values=...` or `prompt=...`;
    /// can be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// Where the token may go; can be repeated [default: the origin of --resource]
    #[arg(long = "api", value_name = "ORIGIN", required_unless_present = "resource")]
    pub(crate) apis: Vec<String>,
    /// Log in on another device, with a code (RFC 8628)
    #[arg(long, conflicts_with_all = ["client_credentials", "no_browser", "port"])]
    pub(crate) device: bool,
    /// Log in as the program itself, without a user (RFC 6749 section 4.4)
    #[arg(long, conflicts_with_all = ["no_browser", "port"])]
    pub(crate) client_credentials: bool,
    /// Print the URL for the browser and open none
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// The port on this machine that the browser comes back to [default: any]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Go to servers in private networks as well
    #[arg(long)]
    pub(crate) allow_private_addresses: bool,
}
