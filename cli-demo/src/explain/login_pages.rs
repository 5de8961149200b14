//! The pages of what can go wrong with a login, and of what only another one mends.

use super::Page;

/// One code after the other, in the order in which they are listed.
pub(super) const LOGIN_PAGES: &[Page] = &[
    // The user, or the server for the user.
    Page {
        code: "access_denied",
        what: "the login was denied",
        why: "Somebody pressed the button that says no, or the authorization server said no for \
              them (access_denied). Nothing was saved, and a login that was there before is there \
              still.",
        remedy: "log in again and allow it; if nobody was asked, the server's operator must allow it",
        exit: Some(3),
    },
    Page {
        code: "login_refused",
        what: "the authorization server refuses this login",
        why: "It answered that the code of this login is no good any more, or that it wants \
              another login (invalid_grant, login_required and their kin). Nothing was saved.",
        remedy: "log in again, in one go",
        exit: Some(3),
    },
    Page {
        code: "insufficient_scope",
        what: "the token is good, and does not reach this far",
        why: "The API answered insufficient_scope (RFC 6750 section 3.1): this request needs a \
              permission that the login did not ask for or did not get. A refresh gives no more \
              than the login had. The API's answer is the command's answer.",
        remedy: "log in again and ask for the missing scope as well: `regrant login --scope \"OLD \
                 NEW\"`",
        exit: None,
    },
    // Not now.
    Page {
        code: "login_timed_out",
        what: "the login was not finished in time",
        why: "A browser is waited for five minutes, a code for as long as the authorization \
              server says. Nothing was saved.",
        remedy: "log in again, and finish in the browser while the command waits",
        exit: Some(4),
    },
    Page {
        code: "server_unreachable",
        what: "a server of the login cannot be reached, or cannot serve now",
        why: "The authorization server, or the API that names it, gave no whole answer in time or \
              said itself that it is down. Nothing was saved.",
        remedy: "check network, proxy and name, and log in again",
        exit: Some(4),
    },
    // This machine.
    Page {
        code: "loopback_unavailable",
        what: "the browser has no place on this machine to come back to",
        why: "After a login with the browser, the authorization server sends it back to a port of \
              this machine (RFC 8252). The port of --port is taken, or no address is there.",
        remedy: "name another --port that the client is registered with, or log in with --device",
        exit: Some(1),
    },
    // The authorization server and its metadata.
    Page {
        code: "login_unsupported",
        what: "the authorization server does not offer this way to log in",
        why: "Its metadata, or the endpoints that were named, have no authorization endpoint for a \
              browser, or no device authorization endpoint for a code.",
        remedy: "log in the other way: with --device, or without it; or name the endpoint that \
                 is missing",
        exit: Some(1),
    },
    Page {
        code: "pkce_unsupported",
        what: "the authorization server does not do PKCE with S256",
        why: "Its metadata lists the methods of PKCE (RFC 7636), and S256 is not among them. \
              Without it, another program on this machine could redeem the code of the login.",
        remedy: "log in with --device, or ask the operator of the server to enable S256",
        exit: Some(1),
    },
    Page {
        code: "metadata_not_found",
        what: "the server does not say where its endpoints are",
        why: "There is no metadata at any of the well-known places (RFC 8414, OpenID Connect \
              Discovery; for an API, RFC 9728), or it names no authorization server.",
        remedy: "check the URL; else name --issuer, or --token-endpoint and the other endpoints",
        exit: Some(1),
    },
    Page {
        code: "metadata_malformed",
        what: "what is published as metadata is none",
        why: "The document is not JSON, is longer than 1 MiB, redirects elsewhere, or misses what \
              every one has. Nothing is concluded from it.",
        remedy: "check the URL, or tell the operator; else name --token-endpoint and the other \
                 endpoints",
        exit: Some(1),
    },
    Page {
        code: "issuer_mismatch",
        what: "an answer is from another issuer than the login went to",
        why: "The metadata, or the redirect of the browser, names another issuer (RFC 8414 section \
              3.3, RFC 9207). Somebody may be mixing up two servers to get at a login. Nothing was \
              saved.",
        remedy: "write --issuer exactly as the server does, slash at the end included; if it is \
                 right, do not log in there, and tell the operator",
        exit: Some(1),
    },
    Page {
        code: "resource_mismatch",
        what: "the metadata is another API's",
        why: "The document says that it describes another API than the one that was named (RFC \
              9728 section 3.3). A token for that one must not come to be sent to this one.",
        remedy: "write --resource exactly as the API does; if it is right, tell its operator",
        exit: Some(1),
    },
    Page {
        code: "endpoint_refused",
        what: "a server names a place that a login does not go to",
        why: "An endpoint in its metadata is not https, has a password in it, is on this machine \
              though the server is not, or is elsewhere than it must be. Nothing was sent there.",
        remedy: "tell the operator of the server; endpoints that you trust can be named with \
                 --token-endpoint and the others",
        exit: Some(1),
    },
    Page {
        code: "address_refused",
        what: "the server is at an address that a login does not go to",
        why: "Addresses come from documents on servers, and could point at machines that only this \
              one can reach. Those of private networks are contacted only with \
              --allow-private-addresses, and link-local and reserved ones never.",
        remedy: "if the server is in your own network, add --allow-private-addresses",
        exit: Some(1),
    },
    Page {
        code: "id_token_mismatch",
        what: "the ID token is not for this login",
        why: "It names another issuer or another client (OpenID Connect Core section 3.1.3.7). The \
              tokens were not saved.",
        remedy: "do not log in there; tell the operator of the authorization server",
        exit: Some(1),
    },
    Page {
        code: "login_malformed",
        what: "the authorization server's answer to the login cannot be used",
        why: "It gave no code, no code that can be shown, or a token of a type that regrant does \
              not send. Nothing was saved.",
        remedy: "log in in another way, or tell the operator of the authorization server",
        exit: Some(1),
    },
];
