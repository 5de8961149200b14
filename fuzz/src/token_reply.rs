//! What became of a token request.

use regrant_core::protocol::{Profile, TokenReading, TokenReply, cleaned, read_token_reply};
use regrant_core::{Answer, Applied, Failure, Grant, Secret, Timestamp};

use super::message::{Message, rearranged, slices};

/// Every code by which a server refuses a refresh token, without a profile's help.
const REFUSALS: [&str; 21] = [
    "access_denied",
    "account_selection_required",
    "bad_refresh_token",
    "consent_required",
    "expired_refresh_token",
    "expired_token",
    "insufficient_user_authentication",
    "interaction_required",
    "invalid_grant",
    "invalid_refresh_token",
    "invalid_scope",
    "invalid_token",
    "login_required",
    "mfa_required",
    "refresh_token_expired",
    "refresh_token_invalidated",
    "refresh_token_reused",
    "refresh_token_revoked",
    "token_expired",
    "token_revoked",
    "unmet_authentication_requirements",
];

/// Reads an answer: its first line has the status, `profile=`, `date=` in milliseconds, and
/// `sent=scope`, `want=dpop`.
pub fn token_reply(data: &[u8]) {
    let message = Message::of(data);
    check(&message, None);
    if let Some(profile) = message.profile() {
        check(&message, Some(profile));
    }
}

pub(super) fn check(message: &Message<'_>, profile: Option<&Profile>) {
    let reply = TokenReply {
        status: message.status(),
        headers: &message.headers,
        retry_after: message.retry_after(),
        date: message.word("date").and_then(|ms| Some(Timestamp::from_millis(ms.parse().ok()?))),
        body: message.body,
        scope_sent: message.word("sent").is_some(),
        dpop_required: message.word("want").is_some(),
        sent: &[],
    };
    let reading = read_token_reply(&reply, profile);
    match &reading.answer {
        Answer::Granted(grant) => is_grant(&reply, &reading, grant, profile),
        Answer::Refused(refusal) => {
            assert_eq!(cleaned(&refusal.code), refusal.code);
            is_refusal(&reply, &reading, profile);
        }
        Answer::NonceWanted => assert!(reading.nonce.is_some() && profiled(&reading).is_none()),
        Answer::Unusable { refresh_token, failure } => {
            is_sendable(refresh_token);
            is_failure(failure);
            assert!(reply.status < 300 && failure.applied == Applied::Perhaps);
        }
        Answer::Failed(failure) => {
            is_failure(failure);
            // Such a success leaves open what the server did.
            let open = ["no_grant", "token_type", "code_and_token"].contains(&&*reading.rule);
            assert!(!open || failure.applied == Applied::Perhaps, "{reading:?}");
        }
    }
    if let Some(reason) = &reading.reason {
        assert!(cleaned(reason) == *reason && reason.len() <= 256, "{reason:?}");
    }
    assert!(reading.id_token.is_none() || matches!(reading.answer, Answer::Granted(_)));
    assert!(reading.claims.is_none() || matches!(reading.answer, Answer::Refused(_)));

    let said = all_of(&reading);
    let lines = rearranged(reply.headers);
    let again = read_token_reply(&TokenReply { headers: &slices(&lines), ..reply }, profile);
    assert_eq!(said, all_of(&again), "the case of names and the order of fields count for nothing");
    if let Some(body) = with_a_member_of_no_meaning(reply.body) {
        let again = read_token_reply(&TokenReply { body: &body, ..reply }, None);
        let plain = read_token_reply(&reply, None);
        assert_eq!(all_of(&plain), all_of(&again), "RFC 6749 section 5.1: it is ignored");
    }
    let empty = vec![0; reply.body.len()];
    let silent = TokenReply { headers: &[], body: &empty, ..reply };
    assert_eq!(format!("{reply:?}"), format!("{silent:?}"), "an answer is not shown");
}

/// The profile's rule that decided, if one did.
fn profiled<'r>(reading: &'r TokenReading<'_>) -> Option<&'r str> {
    reading.rule.contains('.').then_some(&*reading.rule)
}

fn is_grant(
    reply: &TokenReply<'_>,
    reading: &TokenReading<'_>,
    grant: &Grant,
    profile: Option<&Profile>,
) {
    assert_eq!(reading.rule, "granted");
    assert!(reply.status < 300);
    is_sendable(&grant.access_token);
    grant.refresh_token.iter().for_each(is_sendable);
    let dpop = grant.token_type.eq_ignore_ascii_case("dpop");
    assert!(dpop || grant.token_type.eq_ignore_ascii_case("bearer"), "{}", grant.token_type);
    assert!(dpop || !reply.dpop_required, "a token that is not bound to the key");
    let ten_years = 10 * 365 * 86_400;
    let habit = profile.is_some_and(Profile::has_token_rules);
    for length in [grant.expires_in, grant.refresh_expires_in].into_iter().flatten() {
        assert!(habit || (1..=ten_years).contains(&length.as_secs()), "{length:?}");
    }
    assert!(grant.subject.as_ref().is_none_or(|subject| subject.len() <= 255));
    // What is long enough to be a token, and stands nowhere else, is not shown.
    let shown = format!("{reading:?}");
    let public = [&grant.scope, &grant.subject, &Some(grant.token_type.clone()), &reading.nonce];
    for token in
        [Some(&grant.access_token), grant.refresh_token.as_ref(), reading.id_token.as_ref()]
            .into_iter()
            .flatten()
            .map(Secret::expose)
            .filter(|token| token.len() >= 16)
    {
        let elsewhere = public.iter().copied().flatten().any(|text| text.contains(token));
        assert!(elsewhere || !shown.contains(token), "a token is shown: {shown}");
    }
}

/// A token that a header can carry (RFC 6749 appendix A.12 and A.17).
fn is_sendable(token: &Secret) {
    let token = token.expose();
    assert!(!token.trim().is_empty(), "an empty token");
    assert!(token.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "a token that ends a header");
}

fn is_refusal(reply: &TokenReply<'_>, reading: &TokenReading<'_>, profile: Option<&Profile>) {
    let status = reply.status;
    assert!(!matches!(status, 407 | 511), "the network in between knows no grant");
    if let Some(rule) = profiled(reading) {
        let profile = profile.expect("without a profile the default table decides");
        let known = profile.rules().any(|name| rule == format!("{}.{name}", profile.name()));
        assert!(known, "{rule} is nobody's");
        return;
    }
    assert!(!matches!(status, 408 | 425 | 429 | 500..), "a busy server knows no grant");
    // Somebody wrote one of the codes, in JSON or in a form from end to end.
    let body = String::from_utf8_lossy(reply.body).to_ascii_lowercase();
    let escaped = body.contains(['\\', '%', '+']);
    assert!(escaped || REFUSALS.iter().any(|code| body.contains(code)), "{reading:?}");
    assert!(!body.trim_start().starts_with('<'), "a page for people refuses nothing");
    assert!(!reply.scope_sent || reading.reason.as_deref() != Some("invalid_scope"));
}

fn is_failure(failure: &Failure) {
    assert!(failure.retry_after.is_none_or(|wait| wait.as_secs() <= 86_400));
    if let Some(code) = &failure.code {
        // A sentence could quote what was sent.
        assert!(!code.is_empty() && cleaned(code) == *code, "{code:?}");
        let words: Vec<_> = code.split(' ').collect();
        assert!(words.len() <= 3 && words.iter().all(|word| word.len() <= 48), "{code:?}");
    }
}

/// The reading with its secrets, to be compared.
fn all_of(reading: &TokenReading<'_>) -> String {
    let mut all = format!("{reading:?}");
    let mut add = |secret: &Secret| all.push_str(&format!(" {}", secret.expose()));
    match &reading.answer {
        Answer::Granted(grant) => {
            add(&grant.access_token);
            grant.refresh_token.iter().for_each(&mut add);
        }
        Answer::Unusable { refresh_token, .. } => add(refresh_token),
        Answer::Refused(_) | Answer::NonceWanted | Answer::Failed(_) => {}
    }
    reading.id_token.iter().for_each(&mut add);
    all
}

/// The same object with one more member.
fn with_a_member_of_no_meaning(body: &[u8]) -> Option<Vec<u8>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    let brace = body.iter().position(|byte| *byte == b'{')?;
    let more: &[u8] =
        if object.is_empty() { b"\"means_nothing\":0" } else { b"\"means_nothing\":0," };
    Some([&body[..=brace], more, &body[brace + 1..]].concat())
}
