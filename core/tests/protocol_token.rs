//! What an answer of the token endpoint means, rule by rule; long because the rules are many.

use std::time::Duration;

use regrant_core::protocol::{Headers, Profile, TokenReply, read_token_reply};
use regrant_core::{Answer, Applied, Cause, Failure, Grant, RefusalKind, Secret, Timestamp};

fn reply(status: u16, body: &str) -> TokenReply<'_> {
    TokenReply { status, body: body.as_bytes(), ..TokenReply::default() }
}

fn read(reply: &TokenReply<'_>) -> (Answer, &'static str) {
    let reading = read_token_reply(reply, None);
    // A rule of the default table: there are not many.
    (reading.answer, reading.rule.into_owned().leak())
}

#[track_caller]
fn granted(reply: &TokenReply<'_>) -> Grant {
    match read(reply) {
        (Answer::Granted(grant), "granted") => grant,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(reply: &TokenReply<'_>) -> (String, RefusalKind, &'static str) {
    match read(reply) {
        (Answer::Refused(refusal), rule) => (refusal.code, refusal.kind, rule),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(reply: &TokenReply<'_>) -> (Failure, &'static str) {
    match read(reply) {
        (Answer::Failed(failure), rule) => (failure, rule),
        other => panic!("{other:?}"),
    }
}

/// Cause, whether it may have been applied, and the rule.
#[track_caller]
fn outcome(reply: &TokenReply<'_>) -> (Cause, Applied, &'static str) {
    let (failure, rule) = failed(reply);
    (failure.cause, failure.applied, rule)
}

#[test]
fn a_grant_carries_all_that_the_server_stated() {
    let grant = granted(&reply(
        200,
        r#"{"access_token":"a2","token_type":"bearer","expires_in":3600,"refresh_token":"r2",
            "scope":"read write","sub":"u1"}"#,
    ));
    assert_eq!(grant.access_token.expose(), "a2");
    assert_eq!(grant.token_type, "bearer");
    assert_eq!(grant.expires_in, Some(Duration::from_secs(3600)));
    assert_eq!(grant.refresh_token.unwrap().expose(), "r2");
    assert_eq!(grant.scope.as_deref(), Some("read write"));
    assert_eq!(grant.subject.as_deref(), Some("u1"));
}

#[test]
fn a_grant_that_states_little_leaves_the_rest_open() {
    let grant = granted(&reply(
        200,
        r#"{"access_token":"a2","refresh_token":"","scope":"","token_type":null,"error":null}"#,
    ));
    assert_eq!(grant.token_type, "Bearer");
    assert!(grant.expires_in.is_none() && grant.refresh_token.is_none());
    assert!(grant.scope.is_none() && grant.subject.is_none());
}

#[test]
fn a_refresh_token_of_a_wrong_type_keeps_the_old_one() {
    for value in ["null", "\"\"", "12345", "{}", "[\"r2\"]", "true"] {
        let body = format!(r#"{{"access_token":"a2","refresh_token":{value}}}"#);
        assert!(granted(&reply(200, &body)).refresh_token.is_none(), "{value}");
    }
}

#[test]
fn a_token_written_with_escapes_is_the_token() {
    let grant = granted(&reply(200, r#"{"access_token":"a\/b\u002b","refresh_token":"r\/2"}"#));
    assert_eq!(grant.access_token.expose(), "a/b+");
    assert_eq!(grant.refresh_token.unwrap().expose(), "r/2");
}

#[test]
fn a_form_is_read_where_the_answer_does_not_deny_that_it_is_one() {
    let form = reply(200, "access_token=a%2F2&token_type=bearer&expires_in=60&scope=a+b");
    for content_type in ["", "application/x-www-form-urlencoded; charset=utf-8", "Text/Plain"] {
        let headers: Headers<'_> = &[("Content-Type", content_type.as_bytes())];
        let grant = granted(&TokenReply { headers, ..form });
        assert_eq!(grant.access_token.expose(), "a/2");
        assert_eq!(grant.scope.as_deref(), Some("a b"));
    }
    granted(&form);
    for content_type in ["text/html", "application/json"] {
        let headers: Headers<'_> = &[("Content-Type", content_type.as_bytes())];
        let outcome = outcome(&TokenReply { headers, ..form });
        assert_eq!(outcome, (Cause::NotOauth, Applied::Perhaps, "no_grant"));
    }
}

#[test]
fn json_is_read_whatever_the_answer_calls_it() {
    for content_type in ["", "text/html", "text/plain", "nonsense"] {
        let headers: Headers<'_> = &[("content-type", content_type.as_bytes())];
        granted(&TokenReply { headers, ..reply(200, "\u{feff}{\"access_token\":\"a2\"}") });
    }
}

#[test]
fn a_lifetime_is_read_in_every_form_and_nonsense_is_unknown() {
    let lifetime = |value: &str| {
        let body = format!(r#"{{"access_token":"a2","refresh_token":"r2","expires_in":{value}}}"#);
        let grant = granted(&reply(200, &body));
        assert!(grant.refresh_token.is_some(), "{value}");
        grant.expires_in.map(|length| length.as_secs())
    };
    for (value, expected) in [
        ("3600", Some(3600)),
        ("3599.7", Some(3599)),
        ("3.6e3", Some(3600)),
        ("\" 3600 \"", Some(3600)),
        ("\"86400.92\"", Some(86400)),
        ("1e308", Some(315_360_000)),
        ("1e999", Some(315_360_000)),
        ("99999999999999999999999", Some(315_360_000)),
        ("0", None),
        ("0.5", None),
        ("-10", None),
        ("\"-10\"", None),
        ("-1e999", None),
        ("\"soon\"", None),
        ("\"inf\"", None),
        ("false", None),
        ("null", None),
        ("[3600]", None),
        ("{}", None),
    ] {
        assert_eq!(lifetime(value), expected, "{value}");
    }
}

#[test]
fn expires_counts_where_it_is_a_length_and_expires_in_is_of_no_use() {
    let lifetime = |body: &str| granted(&reply(200, body)).expires_in.map(|l| l.as_secs());
    assert_eq!(lifetime("access_token=a2&expires=5183814"), Some(5_183_814));
    assert_eq!(lifetime("access_token=a2&expires=5&expires_in=7"), Some(7));
    assert_eq!(lifetime("access_token=a2&expires=5&expires_in=0"), Some(5));
    assert_eq!(lifetime("access_token=a2&expires=1700000000"), None);
}

#[test]
fn an_access_token_that_no_header_can_carry_is_no_grant() {
    for token in ["", "a\\r\\nX: 1", "tok\\u00e9n", "a\\u0000", "\\ud83d"] {
        let body = format!(r#"{{"access_token":"{token}"}}"#);
        let outcome = outcome(&reply(200, &body));
        assert_eq!(outcome, (Cause::NotOauth, Applied::Perhaps, "no_grant"), "{token}");
    }
}

#[test]
fn a_token_type_that_is_not_understood_is_not_used() {
    for token_type in ["\"mac\"", "\"User Access Token\"", "1", "{}"] {
        let body = format!(r#"{{"access_token":"a2","token_type":{token_type}}}"#);
        let outcome = outcome(&reply(200, &body));
        assert_eq!(outcome, (Cause::NotOauth, Applied::Perhaps, "token_type"), "{token_type}");
    }
}

#[test]
fn a_bearer_token_is_refused_only_where_a_bound_one_was_demanded() {
    let body = r#"{"access_token":"a2","token_type":"Bearer"}"#;
    granted(&reply(200, body));
    let demanded = TokenReply { dpop_required: true, ..reply(200, body) };
    assert_eq!(outcome(&demanded), (Cause::NotOauth, Applied::Perhaps, "token_type"));
    let bound = r#"{"access_token":"a2","token_type":"dpop"}"#;
    granted(&TokenReply { dpop_required: true, ..reply(200, bound) });
}

#[test]
fn a_new_refresh_token_beside_an_unusable_access_token_is_kept() {
    for (token_type, dpop_required) in [("mac", false), ("Bearer", true)] {
        let body =
            format!(r#"{{"access_token":"a2","token_type":"{token_type}","refresh_token":"r2"}}"#);
        match read(&TokenReply { dpop_required, ..reply(200, &body) }) {
            (Answer::Unusable { refresh_token, failure }, "token_type") => {
                assert_eq!(refresh_token.expose(), "r2");
                assert_eq!((failure.cause, failure.applied), (Cause::NotOauth, Applied::Perhaps));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_member_that_contradicts_itself_is_no_grant() {
    for body in [
        r#"{"access_token":"a1","access_token":"a2"}"#,
        r#"{"access_token":"a1","refresh_token":"r1","refresh_token":"r2"}"#,
        "access_token=a1&access_token=a2",
    ] {
        let outcome = outcome(&reply(200, body));
        assert_eq!(outcome, (Cause::NotOauth, Applied::Perhaps, "repeated_member"), "{body}");
    }
    granted(&reply(200, r#"{"access_token":"a1","access_token":"a1","x":1,"x":2}"#));
}

#[test]
fn a_contradicting_code_refuses_nobody() {
    let body = r#"{"error":"invalid_grant","error":"invalid_client"}"#;
    for status in [400, 401] {
        let outcome = outcome(&reply(status, body));
        assert_eq!(outcome, (Cause::NotOauth, Applied::No, "repeated_member"), "{status}");
    }
}

#[test]
fn the_subject_comes_from_the_id_token_and_else_from_the_answer() {
    let subject = |body: &str| granted(&reply(200, body)).subject;
    // The payload is {"sub":"u1"}.
    let both = r#"{"access_token":"a","id_token":"e30.eyJzdWIiOiJ1MSJ9.c2ln","sub":"u2"}"#;
    assert_eq!(subject(both).as_deref(), Some("u1"));
    for unreadable in ["", "e30", "e30.!!.s", "e30.W10.s", "e30.eyJzdWIiOjF9.s"] {
        let body = format!(r#"{{"access_token":"a","id_token":"{unreadable}","sub":"u2"}}"#);
        assert_eq!(subject(&body).as_deref(), Some("u2"), "{unreadable}");
    }
    let long = format!(r#"{{"access_token":"a","sub":"{}"}}"#, "s".repeat(256));
    assert_eq!(subject(&long), None);
}

#[test]
fn every_code_has_its_meaning_at_any_status_that_is_not_busy() {
    let interaction = (RefusalKind::Interaction, "interaction_code");
    let dead = (RefusalKind::Dead, "refusal_code");
    for (code, expected) in [
        ("invalid_grant", dead),
        ("INVALID_GRANT", dead),
        ("access_denied", dead),
        ("bad_refresh_token", dead),
        ("token_revoked", dead),
        ("invalid_scope", (RefusalKind::Dead, "scope_refused")),
        ("refresh_token_reused", (RefusalKind::Reused, "reuse_code")),
        ("interaction_required", interaction),
        ("mfa_required", interaction),
        ("consent_required", interaction),
    ] {
        let body = format!(r#"{{"error":"{code}"}}"#);
        for status in [200, 400, 401, 403, 404, 498] {
            let (kept, kind, rule) = refused(&reply(status, &body));
            assert_eq!((kept.as_str(), (kind, rule)), (code, expected), "{status}");
        }
    }
    for (code, cause, expected) in [
        ("server_error", Cause::Unavailable, "transient_code"),
        ("temporarily_unavailable", Cause::Unavailable, "transient_code"),
        ("slow_down", Cause::RateLimited, "transient_code"),
        ("rate_limit_exceeded", Cause::RateLimited, "transient_code"),
        ("invalid_client", Cause::ClientMisconfigured, "client_code"),
        ("invalid_request", Cause::ClientMisconfigured, "client_code"),
        ("unauthorized_client", Cause::ClientMisconfigured, "client_code"),
        ("use_dpop_nonce", Cause::ClientMisconfigured, "nonce_missing"),
        ("something_new", Cause::UnknownError, "unknown_code"),
        ("invalidgrant", Cause::UnknownError, "unknown_code"),
    ] {
        let body = format!(r#"{{"error":"{code}"}}"#);
        for status in [200, 400, 401, 403] {
            let (failure, rule) = failed(&reply(status, &body));
            assert_eq!(failure.code.as_deref(), Some(code));
            assert_eq!((failure.cause, failure.applied, rule), (cause, Applied::No, expected));
        }
    }
}

#[test]
fn a_refusal_with_claims_asks_for_the_user_and_keeps_the_refresh_token() {
    let (_, kind, rule) = refused(&reply(400, r#"{"error":"invalid_grant","claims":"{}"}"#));
    assert_eq!((kind, rule), (RefusalKind::Interaction, "interaction_code"));
    let (_, kind, _) = refused(&reply(400, r#"{"error":"invalid_grant","claims":""}"#));
    assert_eq!(kind, RefusalKind::Dead);
}

#[test]
fn a_refused_scope_that_was_sent_is_the_clients_mistake() {
    let sent = TokenReply { scope_sent: true, ..reply(400, r#"{"error":"invalid_scope"}"#) };
    assert_eq!(outcome(&sent), (Cause::ClientMisconfigured, Applied::No, "scope_sent"));
}

#[test]
fn a_code_is_found_wherever_servers_put_it() {
    for body in [
        r#"{"error":{"code":"invalid_grant","message":"x"}}"#,
        r#"{"error":{"code":400,"type":"invalid_grant"}}"#,
        r#"{"error":{"status":"INVALID_GRANT"}}"#,
        r#"{"code":"invalid_grant"}"#,
        r#"{"error":"","code":"invalid_grant"}"#,
        "error=invalid_grant&error_description=x",
    ] {
        assert_eq!(refused(&reply(400, body)).1, RefusalKind::Dead, "{body}");
    }
    // Beside a success, `code` is whatever the server likes.
    granted(&reply(200, r#"{"access_token":"a2","code":"invalid_grant"}"#));
}

#[test]
fn a_code_beside_an_access_token_is_neither() {
    let (failure, rule) = failed(&reply(200, r#"{"access_token":"a2","error":"invalid_grant"}"#));
    assert_eq!((failure.cause, failure.applied), (Cause::NotOauth, Applied::Perhaps));
    assert_eq!((failure.code.as_deref(), rule), (Some("invalid_grant"), "code_and_token"));
    // What is no success grants nothing.
    for status in [300, 400] {
        let body = r#"{"access_token":"a2","error":"invalid_grant"}"#;
        assert_eq!(refused(&reply(status, body)).2, "refusal_code", "{status}");
    }
}

#[test]
fn a_nonce_is_wanted_only_with_one_good_nonce_at_hand() {
    let wanted = reply(400, r#"{"error":"use_dpop_nonce"}"#);
    let with = TokenReply { headers: &[("DPoP-Nonce", b"eyJ7S_zG.eyJH0-Z")], ..wanted };
    let reading = read_token_reply(&with, None);
    assert!(matches!(reading.answer, Answer::NonceWanted), "{reading:?}");
    assert_eq!(reading.nonce.as_deref(), Some("eyJ7S_zG.eyJH0-Z"));
    let long = "a".repeat(1025);
    for bad in [&["a", "b"][..], &[""], &["bad\"nonce"], &["a b"], &[&long], &[]] {
        let headers: Vec<_> = bad.iter().map(|nonce| ("dpop-nonce", nonce.as_bytes())).collect();
        let (cause, _, rule) = outcome(&TokenReply { headers: &headers, ..wanted });
        assert_eq!((cause, rule), (Cause::ClientMisconfigured, "nonce_missing"));
    }
}

#[test]
fn a_refresh_token_that_nobody_can_send_is_none() {
    for token in [" ", r"\n", r"r\u0000", "ré", r"a\r\nb"] {
        let body = format!(r#"{{"access_token":"a2","refresh_token":"{token}"}}"#);
        assert!(granted(&reply(200, &body)).refresh_token.is_none(), "{token:?}");
    }
    let body = r#"{"access_token":"a2","refresh_token":"r2\n"}"#;
    assert_eq!(granted(&reply(200, body)).refresh_token.unwrap().expose(), "r2");
    let form = granted(&reply(200, "refresh_token=r2&access_token=a2\r\n"));
    assert_eq!((form.access_token.expose(), form.refresh_token.unwrap().expose()), ("a2", "r2"));
}

#[test]
fn a_text_with_a_url_in_it_is_neither_a_grant_nor_a_refusal() {
    for (status, text, rule) in [
        (302, "Moved: https://sso.example/?x=1&error=access_denied&y=2", "redirect"),
        (302, "https://sso.example/?x=1&error=access_denied&y=2", "redirect"),
        (404, "<p>no such page /t?x=1&error=invalid_grant&z", "bare_4xx"),
        (200, "see https://x.example/?a=1&access_token=abc&b=2", "no_grant"),
    ] {
        assert_eq!(failed(&reply(status, text)).1, rule, "{text}");
    }
}

#[test]
fn no_rule_takes_a_grant_and_none_ends_a_login_on_a_busy_status() {
    let own = r#"{"name":"own","token":{"rules":[{"name":"bearer","class":"NeedsLogin",
        "when":{"json":[{"path":"/token_type","eq":"Bearer"}]}}]}}"#;
    let profile = Profile::of(own).unwrap();
    let rule = |status, body: &str| {
        read_token_reply(&reply(status, body), Some(&profile)).rule.into_owned()
    };
    let body = r#"{"token_type":"Bearer"}"#;
    assert_eq!(rule(200, r#"{"access_token":"a2","token_type":"Bearer"}"#), "granted");
    assert_eq!(rule(400, body), "own.bearer");
    assert_eq!(rule(302, body), "redirect");
    for status in [408, 425, 429, 500, 503] {
        assert_eq!(rule(status, body), "busy_status", "{status}");
    }
    let named = Profile::of(&own.replace("\"json\"", "\"status\":[503],\"json\"")).unwrap();
    assert_eq!(read_token_reply(&reply(503, body), Some(&named)).rule, "own.bearer");
    // What is no success carries no grant, whatever it is called.
    let named = Profile::of(&own.replace("\"json\"", "\"status\":[300],\"json\"")).unwrap();
    let both = r#"{"access_token":"a2","token_type":"Bearer"}"#;
    assert_eq!(read_token_reply(&reply(300, both), Some(&named)).rule, "own.bearer");
}

#[test]
fn a_grant_that_lies_deeper_is_judged_like_any_other() {
    let profile = Profile::of("slack_user").unwrap();
    let read = |body: &str| read_token_reply(&reply(200, body), Some(&profile));
    let strange = r#"{"ok":true,"authed_user":{"access_token":"a","token_type":"weird",
        "refresh_token":"r2"}}"#;
    let Answer::Unusable { refresh_token, .. } = read(strange).answer else { panic!("r2 is lost") };
    assert_eq!(refresh_token.expose(), "r2");
    let twice = r#"{"authed_user":{"access_token":"a","refresh_token":"r2","refresh_token":"r3"}}"#;
    assert_eq!(read(twice).rule, "repeated_member");
    let both = r#"{"error":"token_revoked","authed_user":{"access_token":"a"}}"#;
    assert_eq!(read(both).rule, "code_and_token");
}

#[test]
fn a_token_of_blanks_is_no_token() {
    for token in ["", " ", "   "] {
        let outcome = outcome(&reply(200, &format!(r#"{{"access_token":"{token}"}}"#)));
        assert_eq!(outcome, (Cause::NotOauth, Applied::Perhaps, "no_grant"), "{token:?}");
    }
}

#[test]
fn claims_that_a_refusal_names_are_kept_for_the_login() {
    let body = r#"{"error":"interaction_required","claims":"{\"a\":1}"}"#;
    let reading = read_token_reply(&reply(400, body), None);
    assert_eq!(reading.claims.as_deref(), Some(r#"{"a":1}"#));
    let body = r#"{"error":"server_error","claims":"{}"}"#;
    assert_eq!(read_token_reply(&reply(400, body), None).claims, None);
}

#[test]
fn a_moment_is_measured_against_the_answers_own_date() {
    let date = Some(Timestamp::from_millis(1_700_000_000_000));
    let lifetime = |members: &str, date| {
        let body = format!(r#"{{"access_token":"a2",{members}}}"#);
        granted(&TokenReply { date, ..reply(200, &body) }).expires_in.map(|l| l.as_secs())
    };
    assert_eq!(lifetime(r#""expires_at":1700003600"#, date), Some(3600));
    assert_eq!(lifetime(r#""expires_on":"1700003600""#, date), Some(3600));
    assert_eq!(lifetime(r#""expires_at":1700003600000"#, date), Some(3600));
    assert_eq!(lifetime(r#""expires_at":1700003600,"expires_in":60"#, date), Some(60));
    assert_eq!(lifetime(r#""expires_at":1600000000"#, date), None);
    assert_eq!(lifetime(r#""expires_at":1700003600"#, None), None);
}

#[test]
fn a_refresh_tokens_own_lifetime_is_read_by_each_of_its_names() {
    for name in ["refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"] {
        let grant = granted(&reply(200, &format!(r#"{{"access_token":"a2","{name}":"1800"}}"#)));
        assert_eq!(grant.refresh_expires_in, Some(Duration::from_secs(1800)));
    }
    let offline = granted(&reply(200, r#"{"access_token":"a2","refresh_expires_in":0}"#));
    assert_eq!(offline.refresh_expires_in, None);
}

#[test]
fn a_provider_is_read_before_the_default_table_and_after_what_none_may_change() {
    let own = r#"{"name":"own","token":{"rules":[
        {"name":"all","when":{},"class":"Transient","reason":"why"}]}}"#;
    let profile = Profile::of(own).unwrap();
    for (status, rule) in
        [(200, "own.all"), (400, "own.all"), (503, "own.all"), (511, "network_status")]
    {
        let reply = reply(status, r#"{"error":"invalid_grant"}"#);
        assert_eq!(read_token_reply(&reply, Some(&profile)).rule, rule, "{status}");
    }
}

#[test]
fn a_provider_can_name_the_members_of_its_grant() {
    let own = r#"{"name":"own","scope_separator":",","token":{"root":"user",
        "access_token_fields":["jeton"],"token_type_aliases":{"user":"bearer"},
        "expires_fields":["valid"],"expires_unit":"ms"}}"#;
    let profile = Profile::of(own).unwrap();
    let body = r#"{"user":{"jeton":"a2","token_type":"User","valid":60000,"scope":"a,b"}}"#;
    let reading = read_token_reply(&reply(200, body), Some(&profile));
    let Answer::Granted(grant) = reading.answer else { panic!("{reading:?}") };
    assert_eq!((grant.access_token.expose(), &*grant.token_type), ("a2", "bearer"));
    assert_eq!(grant.expires_in, Some(Duration::from_secs(60)));
    assert_eq!(grant.scope.as_deref(), Some("a b"));
}

#[test]
fn a_busy_server_is_busy_whatever_the_body_says() {
    for (status, cause, applied) in [
        (408, Cause::Unavailable, Applied::No),
        (425, Cause::Unavailable, Applied::No),
        (429, Cause::RateLimited, Applied::No),
        (500, Cause::Unavailable, Applied::No),
        (502, Cause::Unavailable, Applied::Perhaps),
        (503, Cause::Unavailable, Applied::No),
        (504, Cause::Unavailable, Applied::Perhaps),
        (520, Cause::Unavailable, Applied::Perhaps),
        (524, Cause::Unavailable, Applied::Perhaps),
        (529, Cause::Unavailable, Applied::No),
        (999, Cause::Unavailable, Applied::No),
    ] {
        for body in ["", "<html>", r#"{"error":"invalid_grant"}"#, r#"{"access_token":"a2"}"#] {
            assert_eq!(outcome(&reply(status, body)), (cause, applied, "busy_status"), "{status}");
        }
    }
}

#[test]
fn the_network_in_between_is_not_the_server() {
    for status in [407, 511] {
        let outcome = outcome(&reply(status, r#"{"error":"invalid_grant"}"#));
        assert_eq!(outcome, (Cause::Unreachable, Applied::No, "network_status"));
    }
}

#[test]
fn a_success_without_a_grant_leaves_the_outcome_open() {
    for body in ["", "<html>", "{}", "[]", "{\"access_token\":\"a2", "\u{1f}\u{8b}", "null"] {
        for status in [200, 201, 204] {
            let outcome = outcome(&reply(status, body));
            assert_eq!(outcome, (Cause::NotOauth, Applied::Perhaps, "no_grant"), "{body}");
        }
    }
}

#[test]
fn a_success_without_a_grant_says_why() {
    let reason = |body: &str| read_token_reply(&reply(200, body), None).reason.unwrap();
    let of_length = |body: &str, length| body.to_owned() + &" ".repeat(length - body.len());
    let grant = r#"{"access_token":"a2"}"#;
    granted(&reply(200, &of_length(grant, 1 << 20)));
    assert_eq!(reason(&of_length(grant, (1 << 20) + 1)), "too_big");
    assert_eq!(reason(&of_length("{}", 1 << 20)), "no_access_token");
    let nested = |levels| format!(r#"{{"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(reason(&nested(31)), "no_access_token");
    assert_eq!(reason(&nested(32)), "too_deep");
    assert_eq!(reason(r#"{"access_token":"a\u0000"}"#), "bad_token_chars");
    assert_eq!(reason(r#"{"access_token":"a2","token_type":"mac"}"#), "unsupported_token_type");
}

#[test]
fn what_is_no_success_and_has_no_code_applied_nothing() {
    for status in [300, 302, 307, 308, 399] {
        let outcome = outcome(&reply(status, r#"{"access_token":"a2"}"#));
        assert_eq!(outcome, (Cause::EndpointMoved, Applied::No, "redirect"));
    }
    let outcome_401 = outcome(&reply(401, ""));
    assert_eq!(outcome_401, (Cause::ClientMisconfigured, Applied::No, "bare_401"));
    for status in [400, 403, 404, 409, 499] {
        for body in ["", "<html>", r#"{"error":400}"#, r#"{"message":"x"}"#] {
            let outcome = outcome(&reply(status, body));
            assert_eq!(outcome, (Cause::NotOauth, Applied::No, "bare_4xx"), "{status} {body}");
        }
    }
}

#[test]
fn the_longer_wait_counts_and_none_is_longer_than_a_day() {
    let wait = |header: Option<u64>, body: &str| {
        let retry_after = header.map(Duration::from_secs);
        failed(&TokenReply { retry_after, ..reply(429, body) }).0.retry_after.map(|w| w.as_secs())
    };
    assert_eq!(wait(None, ""), None);
    assert_eq!(wait(Some(30), ""), Some(30));
    assert_eq!(wait(Some(65), r#"{"retry_after":64.57}"#), Some(65));
    assert_eq!(wait(Some(1), r#"{"retry_after":64.57}"#), Some(65));
    assert_eq!(wait(Some(1), r#"{"retry_after":-9}"#), Some(1));
    assert_eq!(wait(None, r#"{"retry_after":1e999}"#), Some(86_400));
    assert_eq!(wait(Some(u64::MAX), ""), Some(86_400));
}

#[test]
fn a_code_is_kept_short_and_fit_to_be_shown() {
    let code = |code: &str| {
        let body = format!(r#"{{"error":"{code}"}}"#);
        failed(&reply(400, &body)).0.code
    };
    assert_eq!(code(r"new\u001b[31m\u202e\u200bcode\r\n\ufeff").as_deref(), Some("new[31mcode"));
    assert_eq!(code("Access Denied").as_deref(), Some("Access Denied"));
    assert_eq!(code("one two three").as_deref(), Some("one two three"));
    assert_eq!(code("one two three four"), None);
    assert_eq!(code(&"e".repeat(48)), Some("e".repeat(48)));
    // A sentence, or a token, is no code.
    assert_eq!(code("The refresh token rt-canary has expired"), None);
    assert_eq!(code(&"e".repeat(49)), None);
    assert_eq!(code(r"\u0000"), None);
}

#[test]
fn neither_the_reply_nor_what_was_read_shows_a_token() {
    let body = r#"{"access_token":"canary-a","refresh_token":"canary-r"}"#;
    let reply = reply(200, body);
    let shown = format!("{reply:?} {:#?}", read_token_reply(&reply, None));
    assert!(!shown.contains("canary"), "{shown}");
    let told = format!("status: 200, retry_after: None, body: {} bytes", body.len());
    assert!(shown.contains(&told), "{shown}");
}

#[test]
fn a_code_that_quotes_a_secret_is_withheld() {
    let token = Secret::new("ghr_1B4a2e77838347a7E420ce178F2E7c69".into());
    let short = Secret::new("s3cr3t".into());
    let sent = [&token, &short];
    for said in ["ghr_1B4a2e77838347a7E420ce178F2E7c69", "Unknown GHR_1b4a2e77", "no s3cr3t"] {
        let body = format!(r#"{{"error":"{said}"}}"#);
        let reading = read_token_reply(&TokenReply { sent: &sent, ..reply(400, &body) }, None);
        let Answer::Failed(failure) = &reading.answer else { panic!("{reading:?}") };
        assert_eq!((failure.cause, &failure.code), (Cause::UnknownError, &None), "{said}");
        assert!(!format!("{reading:?}").to_lowercase().contains(&said.to_lowercase()), "{said}");
    }
    let body = r#"{"error":"at-of-the-answer","access_token":"at-of-the-answer"}"#;
    let reading = read_token_reply(&reply(400, body), None);
    assert!(!format!("{reading:?}").contains("at-of-the"), "{reading:?}");
    // A code that quotes nothing stays.
    let reading =
        read_token_reply(&TokenReply { sent: &sent, ..reply(400, r#"{"error":"E42"}"#) }, None);
    let Answer::Failed(failure) = &reading.answer else { panic!("{reading:?}") };
    assert_eq!(failure.code.as_deref(), Some("E42"));
}

#[test]
fn a_refusal_whose_code_quotes_a_secret_stays_a_refusal() {
    let text = r#"{"name":"own","token":{"rules":[
        {"name":"dead","class":"NeedsLogin","when":{"body_contains":"has ended"}}]}}"#;
    let profile = Profile::of(text).unwrap_or_else(|error| panic!("{error}"));
    let token = Secret::new("ghr_1B4a2e77838347a7".into());
    for (said, code) in [("GHR_1b4a2e77", "withheld"), ("spent_token", "spent_token")] {
        let body = format!(r#"{{"error":"{said}","error_description":"it has ended"}}"#);
        let reply = TokenReply { sent: &[&token], ..reply(400, &body) };
        let reading = read_token_reply(&reply, Some(&profile));
        let Answer::Refused(refusal) = &reading.answer else { panic!("{reading:?}") };
        assert_eq!((refusal.code.as_str(), refusal.kind), (code, RefusalKind::Dead));
        assert_eq!(reading.reason.as_deref(), Some(code));
    }
}
