//! The pages themselves, but those of a login.

use super::Page;

/// One code after the other, in the order in which they are listed.
pub(crate) const PAGES: &[Page] = &[
    // A login is needed: reasons.
    Page {
        code: "needs_login",
        what: "login needed",
        why: "The authorization server refused to renew the credential, or there is nothing to \
              renew it with. The reason beside this code says which. It is remembered: until a new \
              login, nothing is sent.",
        remedy: "log in again: `regrant login`, or `regrant import` of a login made elsewhere",
        exit: Some(3),
    },
    Page {
        code: "not_logged_in",
        what: "the store holds no credential of this name",
        why: "Nothing was ever saved under this account in this store. The store itself could be \
              read. A wrong --account or --store looks like this too.",
        remedy: "log in: `regrant login`, or `regrant import` of a login made elsewhere; `regrant \
              accounts` lists what is there",
        exit: Some(3),
    },
    Page {
        code: "refused",
        what: "the authorization server refused the refresh token",
        why: "It answered that the refresh token is expired, revoked or not known (RFC 6749 \
              section 5.2, invalid_grant). That comes after a password change, a withdrawn \
              consent, a long time without use, or another login that ended this one. The refused \
              token is kept for seven days.",
        remedy: "log in again: `regrant login`, or `regrant import`; if the server was wrong, \
              `regrant reconsider` tries once more",
        exit: Some(3),
    },
    Page {
        code: "reuse_detected",
        what: "the authorization server says that the refresh token was used before",
        why: "Refresh tokens of this server are good for one use, and somebody else used this one: \
              a copy of the credential in another program, a restored backup, or a thief. The \
              server has ended the whole login.",
        remedy: "log in again: `regrant login`, or `regrant import`; find out who else has a copy of \
              the credential",
        exit: Some(3),
    },
    Page {
        code: "lineage_forked",
        what: "the credential came from another host, and the copy there went on",
        why: "This credential was brought by a host of another name, and its refresh token is \
              refused here. Where refresh tokens are good for one use, two copies of one login \
              cannot both go on: whoever refreshes first keeps it. A host that was renamed since \
              looks the same.",
        remedy: "log in on each host separately: `regrant login` here; the other host keeps its own",
        exit: Some(3),
    },
    Page {
        code: "rotation_lost",
        what: "a new refresh token was lost on its way here, and the old one is refused",
        why: "The authorization server answered a refresh with a new refresh token, and the answer \
              never arrived whole: a crash, a cut connection, a proxy that gave up. It then \
              refused the old one. This is neither expiry nor revocation, and no client can mend \
              it; a grace period at the server avoids it.",
        remedy: "log in again: `regrant login`, or `regrant import`",
        exit: Some(3),
    },
    Page {
        code: "interaction_required",
        what: "the authorization server wants the user to act",
        why: "It asks for a consent, a second factor or another password (interaction_required and \
              its kin). The refresh token stays good; only a person in a browser can go on.",
        remedy: "log in again: `regrant login`, or `regrant import`; or do what the server asks for, \
              and `regrant reconsider`",
        exit: Some(3),
    },
    Page {
        code: "logged_out",
        what: "somebody logged out, here or in another process",
        why: "A logout left its mark in the store. It wins over a refresh that was under way, and \
              it is never undone by one.",
        remedy: "log in again: `regrant login`, or `regrant import`",
        exit: Some(3),
    },
    Page {
        code: "account_mismatch",
        what: "the authorization server granted a token for somebody else",
        why: "The subject of the new token is not the one this credential belongs to. The token \
              was not stored: requests of one user must not be sent as another.",
        remedy: "log in as the right user: `regrant login`, or `regrant import`",
        exit: Some(3),
    },
    Page {
        code: "no_refresh_token",
        what: "the token was rejected and there is no refresh token",
        why: "The login brought an access token alone, and a server refused it. Many servers give \
              a refresh token only if the scope offline_access, or an option of their own, is \
              asked for.",
        remedy: "log in again, asking for a refresh token if you can: `regrant login --scope \
              offline_access`, or `regrant import`",
        exit: Some(3),
    },
    Page {
        code: "step_up",
        what: "the API wants the user to authenticate once more",
        why: "It answered insufficient_user_authentication (RFC 9470): the token is good, but this \
              request needs a stronger or a more recent login. A refresh cannot give that.",
        remedy: "log in again in the way that the API asks for: `regrant login`, with its wish as \
              --parameter, or `regrant import`",
        exit: Some(3),
    },
    // Not now: causes.
    Page {
        code: "delayed",
        what: "no token for now",
        why: "The authorization server gave neither a token nor a refusal. The reason beside this \
              code says what happened. The login is kept, and the server is left alone for a while \
              that grows with each failure, up to an hour.",
        remedy: "wait until the time that is printed; the next command after it tries again",
        exit: Some(4),
    },
    Page {
        code: "unreachable",
        what: "the authorization server cannot be reached",
        why: "Nothing was sent: there is no network, or the connection was refused.",
        remedy: "check network and proxy; the next command after the time that is printed tries \
              again",
        exit: Some(4),
    },
    Page {
        code: "name_unresolved",
        what: "the name of the authorization server does not resolve",
        why: "Nothing was sent: the name servers know no host of that name, or cannot be reached.",
        remedy: "check the name in `regrant client show`, the network and a VPN; the next command \
              after the time that is printed tries again",
        exit: Some(4),
    },
    Page {
        code: "tls_failed",
        what: "no secure connection to the authorization server can be made",
        why: "Nothing was sent: the certificate that the server showed is not believed, or what \
              answers there speaks no TLS. A wrong clock, a proxy that opens connections, or a \
              missing authority are the usual causes.",
        remedy: "check clock, proxy and certificates of this machine; the next command after the \
              time that is printed tries again",
        exit: Some(4),
    },
    Page {
        code: "unavailable",
        what: "the authorization server cannot serve now",
        why: "It answered that it is overloaded or down (5xx, temporarily_unavailable). The login \
              is kept.",
        remedy: "wait until the time that is printed; the next command after it tries again",
        exit: Some(4),
    },
    Page {
        code: "rate_limited",
        what: "the authorization server asks for fewer requests",
        why: "It answered 429 or slow_down. Its Retry-After is honoured, up to a day. Many \
              machines that share one client are the usual cause.",
        remedy: "wait until the time that is printed, and let fewer programs use this client; the \
              next command after it tries again",
        exit: Some(4),
    },
    Page {
        code: "no_answer",
        what: "the token request went out, and no whole answer came",
        why: "The connection was cut, or nobody answered in time. The server may have acted on the \
              request. The same refresh token is sent once more, soon, since many servers honour \
              that for a short while.",
        remedy: "wait until the time that is printed; the next command after it tries again",
        exit: Some(4),
    },
    Page {
        code: "not_oauth",
        what: "what answers at the token endpoint does not speak OAuth",
        why: "The answer is no token response and no OAuth error: the sign-in page of a hotel \
              network, a proxy's error page, or a wrong URL. Nothing is concluded from it, and the \
              tokens are kept.",
        remedy: "open any page in a browser to see whether the network wants a sign-in; check the \
              token endpoint",
        exit: Some(4),
    },
    Page {
        code: "unknown_error",
        what: "the authorization server answered an error that nobody has described",
        why: "The code is not in the specifications. It is not taken for a refusal: a server that \
              invents a code must not log users out.",
        remedy: "look the server's code up in its documentation; the next command after the time \
              that is printed tries again",
        exit: Some(4),
    },
    Page {
        code: "lease_busy",
        what: "another process refreshes this credential",
        why: "One process at a time may use the refresh token. The other one holds the lock and \
              did not finish in time: it is stopped, asleep, or its server is slow. Taking over \
              from it could cost the login.",
        remedy: "wait for the process that is named; if it is stopped or hangs, let it go on or \
              end it",
        exit: Some(4),
    },
    Page {
        code: "budget_spent",
        what: "too many token requests in a row",
        why: "An API rejects good tokens again and again, or many processes are told to. At most \
              30 token requests are sent in a row, then one a minute.",
        remedy: "wait until the time that is printed; find out why the API rejects fresh tokens",
        exit: Some(4),
    },
    Page {
        code: "timed_out",
        what: "no token within the time that a command waits",
        why: "A refresh was begun and is not over after 30 seconds. It is not lost: what it brings \
              is saved, and the next command finds it.",
        remedy: "run the command again",
        exit: Some(4),
    },
    Page {
        code: "api_unreachable",
        what: "the API cannot be reached",
        why: "The request got no answer: there is no network, the name does not resolve, the \
              connection was refused or cut, or TLS failed. It says nothing about the login.",
        remedy: "check the URL, network and proxy, and run the command again",
        exit: Some(4),
    },
    // The API itself.
    Page {
        code: "still_rejected",
        what: "the API rejects freshly issued tokens too",
        why: "A token that was issued a moment ago was rejected like the one before: this API \
              wants another audience, another scope or another account. A login would not help. \
              The API is left alone for a while; others that the credential is bound to go on.",
        remedy: "check audience, scope and account at the API; do not log in again for this",
        exit: Some(5),
    },
    Page {
        code: "http_error",
        what: "the answer is an HTTP error",
        why: "`call -f` turns a status of 400 or more into this exit code. The API's own answer \
              says more.",
        remedy: "read the answer; without -f it does not change the exit code",
        exit: Some(22),
    },
    Page {
        code: "foreign_origin",
        what: "the credential is not bound to this origin",
        why: "A token goes only to the origins that were named with --api at the login, and to those \
              that were allowed later: whoever gets it can act as you. Nothing was sent.",
        remedy: "check the URL; if the token may go there, `regrant allow ORIGIN`",
        exit: Some(2),
    },
    // The client.
    Page {
        code: "misconfigured",
        what: "the client is misconfigured",
        why: "The authorization server refuses the client, not the user. The reason beside this \
              code says how. The login is kept.",
        remedy: "correct the client's configuration: `regrant client set`",
        exit: Some(7),
    },
    Page {
        code: "client_misconfigured",
        what: "the authorization server does not accept this client",
        why: "It does not know the client id, the secret is wrong or missing, or it does not allow \
              the client this kind of request (invalid_client, unauthorized_client and their kin). \
              The login is kept; deploying a new secret must not force one.",
        remedy: "correct client id, secret or --auth: `regrant client set`",
        exit: Some(7),
    },
    Page {
        code: "endpoint_moved",
        what: "the token endpoint answers with a redirect",
        why: "A redirect is never followed from there: it would hand the refresh token to whoever \
              stands at its end.",
        remedy: "find the new URL in the server's documentation, and name it as --token-endpoint \
              of `regrant client set`",
        exit: Some(7),
    },
    // The store.
    Page {
        code: "store_unavailable",
        what: "the credential store cannot be reached",
        why: "Its file or folder, its key file or the keychain cannot be reached: a path that is \
              wrong, something that belongs to somebody else, no desktop session that has a \
              keychain, or no answer in time. Whether you are logged in is not known, and nothing \
              was changed.",
        remedy: "see whether the path of --store is right and can be read, and whether the \
              keychain runs, then run the command again",
        exit: Some(6),
    },
    Page {
        code: "store_locked",
        what: "the credential store is locked",
        why: "Another program holds the store for longer than a few seconds: a backup, an open \
              editor, a process that hangs. Or its key is out of reach for now: the keychain is \
              locked, or the passphrase was not given. Nothing was changed.",
        remedy: "close what holds the store, unlock the keychain, or give the passphrase (--key \
              passphrase-fd:N, or prompt), then run the command again",
        exit: Some(6),
    },
    Page {
        code: "store_corrupt",
        what: "the credential store is damaged",
        why: "What lies there is empty, is not a store of regrant, or does not fit together. It \
              was left as it is.",
        remedy: "restore it from a backup, or log in again: `regrant login` sets a copy of it \
              aside first",
        exit: Some(6),
    },
    Page {
        code: "store_unknown_format",
        what: "a newer version of regrant wrote the credential store",
        why: "This version does not know the format and left everything as it is.",
        remedy: "use the newer version, or name another store with --store",
        exit: Some(6),
    },
    Page {
        code: "wrong_key",
        what: "the credential was sealed with another key",
        why: "There is a key, and it is not the one that sealed this store: the passphrase is not \
              the right one, or the store or its key file was restored from a backup or copied \
              without the other.",
        remedy: "give the right passphrase, restore the key that belongs to the store, or log in \
              again: `regrant login`",
        exit: Some(6),
    },
    Page {
        code: "key_missing",
        what: "the key of the credential store is gone",
        why: "The store is there, and its key is not: the key file was removed, or the keychain \
              has no item for it, as after a new installation of the system. No new key is made \
              in its place: what the old one sealed would be lost.",
        remedy: "restore the key that is named, or move the store away and log in again",
        exit: Some(6),
    },
    Page {
        code: "wrong_key_source",
        what: "the key of the credential store comes from another source than --key names",
        why: "A store names the source of its key when its first credential is saved, and opens \
              with that one alone. `regrant key rekey --to SOURCE` changes it.",
        remedy: "leave --key away, or name the source that the store names; `regrant key show` \
              says which",
        exit: Some(6),
    },
    Page {
        code: "store_read_only",
        what: "the credential store cannot be written",
        why: "A refresh is noted in the store before it is sent, so that no new refresh token can \
              be lost. Where that is not possible, nothing is sent.",
        remedy: "make the store and its folder writable for the user who runs this",
        exit: Some(6),
    },
    Page {
        code: "store_full",
        what: "there is no room left for the credential store",
        why: "The disk or the quota is full. A refresh is noted in the store before it is sent, so \
              nothing is sent.",
        remedy: "make room, then run the command again",
        exit: Some(6),
    },
    Page {
        code: "store_rolled_back",
        what: "an older copy was put in the place of the credential",
        why: "The record in the store is older than the one this process has seen: a backup was \
              restored. Its refresh token may be spent already, so it is not believed.",
        remedy: "run the command again; if it stays, log in again: `regrant login`",
        exit: Some(6),
    },
    Page {
        code: "grant_unsaved",
        what: "the new tokens could not be saved",
        why: "The authorization server gave new tokens, the store did not take them, and saving \
              was tried until the command ended. If the server spends refresh tokens, the one in \
              the store is spent.",
        remedy: "mend the store; if the next command says that a login is needed, log in again \
              with `regrant login`",
        exit: Some(6),
    },
    // This command.
    Page {
        code: "usage",
        what: "the command line or its input is not right",
        why: "An option, a URL or the input is not what belongs there. Nothing was sent, and \
              nothing was changed.",
        remedy: "see `regrant --help`, or `regrant COMMAND --help`",
        exit: Some(2),
    },
    Page {
        code: "session_closed",
        what: "the session has ended",
        why: "The command was already ending when a token was asked for. That is a fault of \
              regrant.",
        remedy: "run the command again, and report it",
        exit: Some(1),
    },
    Page {
        code: "output",
        what: "the answer cannot be written",
        why: "Standard output does not take what the command has to say: the disk that it goes to \
              is full, or it is closed.",
        remedy: "make room where the output goes, and run the command again",
        exit: Some(1),
    },
    Page {
        code: "internal",
        what: "something failed that should not",
        why: "The system refused something that is always there: random numbers, threads, the \
              signal of an interrupt.",
        remedy: "run the command again; if it stays, report it",
        exit: Some(1),
    },
    Page {
        code: "unrecognised",
        what: "a newer version of regrant wrote a reason that this one does not know",
        why: "The record is readable, and one name in it is not. The newer version can say what it \
              means.",
        remedy: "ask the newer version: `regrant status`",
        exit: None,
    },
];
